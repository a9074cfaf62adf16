"""Everything from the start again, as people do it by script: connectors, subjects, topics and tables are deleted and
made anew, and both sides must be equal. Stored offsets, the slot and the consumer group outlive all of that.

usage: manage.py SETTINGS.json - bootstrap, connect, registry, source and sink (connection strings), connectors (the two
bodies of POST /connectors), topics, rounds."""

import json
import sys
import time

import psycopg2
import requests
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

SETTINGS = json.load(open(sys.argv[1], encoding="utf-8"))
CONNECT, REGISTRY = SETTINGS["connect"], SETTINGS["registry"]
TOPICS, TABLES = SETTINGS["topics"], ["users", "posts", "comments"]
DEADLINE_SECONDS = 60

SCHEMA = """
    CREATE TABLE users (id SERIAL PRIMARY KEY, username VARCHAR(50) NOT NULL, email VARCHAR(100) UNIQUE,
        created_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE posts (id SERIAL PRIMARY KEY, user_id INTEGER REFERENCES users(id) ON DELETE CASCADE,
        title VARCHAR(200) NOT NULL, content TEXT,
        created_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE comments (id SERIAL PRIMARY KEY, post_id INTEGER REFERENCES posts(id) ON DELETE CASCADE,
        user_id INTEGER REFERENCES users(id) ON DELETE CASCADE, content TEXT NOT NULL,
        created_at TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP);
"""
INITIAL = """
    INSERT INTO users (username, email)
        SELECT 'round %(round)s user ' || n, n || '@example.org' FROM generate_series(1, %(users)s) n;
    INSERT INTO posts (user_id, title, content)
        SELECT n %% %(users)s + 1, 'post ' || n, repeat('text ', n) FROM generate_series(1, 2 * %(users)s) n;
    INSERT INTO comments (post_id, user_id, content)
        SELECT n %% (2 * %(users)s) + 1, n %% %(users)s + 1, 'comment ' || n FROM generate_series(1, 3 * %(users)s) n;
"""
CHANGES = """
    UPDATE users SET username = username || ' (changed)', updated_at = now() WHERE id %% 3 = 0;
    DELETE FROM users WHERE id %% 5 = 0;
    INSERT INTO users (username, email) VALUES ('late in round %(round)s', 'late@example.org');
"""


def check(response, *wanted):
    if response.status_code not in wanted:
        sys.exit(f"{response.request.method} {response.url}: {response.status_code} {response.text}")
    return response


def delete_connectors():
    for connector in SETTINGS["connectors"]:
        name = connector["name"]
        check(requests.delete(f"{CONNECT}/connectors/{name}"), 204, 404)
        check(requests.get(f"{CONNECT}/connectors/{name}/status"), 404)


def delete_subjects():
    for subject in check(requests.get(f"{REGISTRY}/subjects"), 200).json():
        if subject.removesuffix("-key").removesuffix("-value") not in TOPICS:
            continue
        check(requests.delete(f"{REGISTRY}/subjects/{subject}"), 200)
        check(requests.delete(f"{REGISTRY}/subjects/{subject}?permanent=true"), 200)


def recreate_topics():
    admin = KafkaAdminClient(bootstrap_servers=SETTINGS["bootstrap"])
    existing = [topic for topic in TOPICS if topic in admin.list_topics()]
    if existing:
        admin.delete_topics(existing)
    until("the topics are gone", lambda: not set(TOPICS) & set(admin.list_topics()))
    admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1) for topic in TOPICS])
    admin.close()


def recreate_tables(database):
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        for table in reversed(TABLES):
            cursor.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
        cursor.execute(SCHEMA)


def run(statements, **values):
    with psycopg2.connect(SETTINGS["source"]) as connection, connection.cursor() as cursor:
        cursor.execute(statements % values)


def create_connectors():
    for connector in SETTINGS["connectors"]:
        body = check(requests.post(f"{CONNECT}/connectors", json=connector), 201).json()
        assert body["name"] == connector["name"] and body["type"] in ("source", "sink"), body
        check(requests.post(f"{CONNECT}/connectors", json=connector), 409)
    until("all tasks run", lambda: all(map(is_running, SETTINGS["connectors"])))


def is_running(connector):
    # The status comes a moment after the connector.
    response = check(requests.get(f"{CONNECT}/connectors/{connector['name']}/status"), 200, 404)
    if response.status_code == 404:
        return False
    status = response.json()
    states = [task["state"] for task in status["tasks"]] + [status["connector"]["state"]]
    if "FAILED" in states:
        sys.exit(f"failed: {json.dumps(status)}")
    return len(states) > 1 and set(states) == {"RUNNING"}


def contents(database):
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        found = {}
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            found[table] = cursor.fetchall()
        return found


def until(what, holds, more=lambda: ""):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"not in {DEADLINE_SECONDS} s: {what} {more()}")
        time.sleep(0.05)


def difference():
    source, sink = contents(SETTINGS["source"]), contents(SETTINGS["sink"])
    counts = {table: (len(source[table]), len(sink[table])) for table in TABLES}
    first = {table: next(((a, b) for a, b in zip(source[table], sink[table]) if a != b), None) for table in TABLES}
    return f"rows (source, sink) {counts}, first differences {first}"


def equal():
    return contents(SETTINGS["source"]) == contents(SETTINGS["sink"])


for number in range(SETTINGS["rounds"]):
    began = time.monotonic()
    delete_connectors()
    delete_subjects()
    recreate_topics()
    recreate_tables(SETTINGS["source"])
    recreate_tables(SETTINGS["sink"])
    run(INITIAL, round=number, users=20 + number)
    create_connectors()
    until(f"round {number}: both sides are equal", equal, difference)
    run(CHANGES, round=number)
    until(f"round {number}: both sides are equal after changes", equal, difference)
    print(f"round {number}: equal after {time.monotonic() - began:.1f} s", flush=True)
print("all passed")
