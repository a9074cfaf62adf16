//! The connector configurations that people have, each as they wrote it: rows end equal after inserts, updates and
//! deletes, and nothing goes to a dead letter queue. All of them run at once on one worker and one PostgreSQL; a case
//! has databases, tables and topics of its own.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use serde_json::json;
use tokio_postgres::Client;

use crate::connector_json::{self as configured, Connectors, Names};
use crate::setup::{Kind, Parts, Rig, bootstrap, on_both_brokers, wait_until_equal};

on_both_brokers!(configurations_of_users);

const EQUAL_WITHIN: Duration = Duration::from_secs(120);

/// One configuration and the tables it meets.
struct Case {
    name: &'static str,
    connectors: fn(&Names) -> Connectors,
    /// Type of `created_at` and `updated_at`.
    timestamp: &'static str,
    sink: SinkTables,
    /// Whether a column comes later, at the source alone.
    later: Later,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SinkTables {
    AsTheSource,
    /// Each has a connector of its own, which knows nothing of the others.
    WithoutForeignKeys,
    /// The sink makes `comments`.
    TwoOfThree,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Later {
    NewColumn,
    NoNewColumn,
}

const CASES: [Case; 7] = [
    Case {
        name: "avro",
        connectors: configured::avro_of_the_issue,
        timestamp: "timestamp",
        sink: SinkTables::AsTheSource,
        later: Later::NewColumn,
    },
    Case {
        name: "json",
        connectors: configured::json_of_the_worker,
        timestamp: "timestamp(3)",
        sink: SinkTables::AsTheSource,
        later: Later::NewColumn,
    },
    Case {
        name: "no_tombstones",
        connectors: configured::without_tombstones,
        timestamp: "timestamp(3)",
        sink: SinkTables::AsTheSource,
        later: Later::NoNewColumn,
    },
    Case {
        name: "tombstones_only",
        connectors: configured::tombstones_only,
        timestamp: "timestamp",
        sink: SinkTables::AsTheSource,
        later: Later::NoNewColumn,
    },
    Case {
        name: "debezium",
        connectors: configured::debezium_sink_avro,
        timestamp: "timestamp",
        sink: SinkTables::TwoOfThree,
        later: Later::NewColumn,
    },
    Case {
        name: "debezium_json",
        connectors: configured::debezium_sink_json,
        timestamp: "timestamptz",
        sink: SinkTables::AsTheSource,
        later: Later::NoNewColumn,
    },
    Case {
        name: "older",
        connectors: configured::older_style,
        timestamp: "timestamp(3)",
        sink: SinkTables::WithoutForeignKeys,
        later: Later::NoNewColumn,
    },
];

async fn configurations_of_users(kind: Kind) -> Result<()> {
    let parts = Parts { bootstrap: bootstrap(kind).await?, ..Parts::default() };
    let rig = Rig::without_tables("configurations", parts).await?;
    let results = join_all(CASES.iter().map(|case| run(&rig, case))).await;
    let failed: Vec<String> = std::iter::zip(&CASES, results)
        .filter_map(|(case, result)| result.err().map(|error| format!("{}: {error:#}", case.name)))
        .collect();
    ensure!(failed.is_empty(), "{}\nthe worker's log:\n{}", failed.join("\n"), rig.worker.log_text());
    rig.nothing_was_rejected().await
}

async fn run(rig: &Rig, case: &Case) -> Result<()> {
    let names = Names { case: case.name, port: rig.cluster.port, registry: rig.worker.registry.clone() };
    for database in [names.source_db(), names.sink_db()] {
        rig.cluster.database(&database, "").await?;
    }
    let (source, sink) =
        (rig.cluster.connect(&names.source_db()).await?, rig.cluster.connect(&names.sink_db()).await?);
    let [users, posts, comments] = &names.tables();
    let tables = schema(&names, case.timestamp);
    source.batch_execute(&tables.join(";")).await.context("source's tables")?;
    let at_sink = match case.sink {
        SinkTables::AsTheSource => tables.join(";"),
        SinkTables::WithoutForeignKeys => without_references(&tables.join(";")),
        SinkTables::TwoOfThree => tables[..2].join(";"),
    };
    sink.batch_execute(&at_sink).await.context("sink's tables")?;
    fill(&source, &names).await?;
    let connectors = (case.connectors)(&names);
    let source_name = format!("{}-source", case.name);
    rig.worker.rest.create(&json!({"name": source_name, "config": connectors.source})).await?;
    for (name, config) in &connectors.sinks {
        rig.worker.rest.create(&json!({"name": name, "config": config})).await?;
    }
    rig.worker.rest.wait_for_state(&source_name, "RUNNING").await?;
    for (name, _) in &connectors.sinks {
        rig.worker.rest.wait_for_state(name, "RUNNING").await?;
    }
    change(&source, &names).await?;
    if case.later == Later::NewColumn {
        let statements = format!(
            "ALTER TABLE {users} ADD nickname text;
             INSERT INTO {users} (name, email, nickname) VALUES ('new', 'new@example.org', 'nick');
             UPDATE {users} SET nickname = name WHERE id % 5 = 0;"
        );
        source.batch_execute(&statements).await.context("the new column")?;
    }
    let compared = [users, posts, comments].map(|table| comparable(case, table, table == comments));
    let compared = compared.each_ref().map(|rows| (rows.as_str(), rows.as_str()));
    wait_until_equal(&source, &sink, &compared, EQUAL_WITHIN).await
}

/// Rows as they can be compared: a Timestamp of Connect has milliseconds.
fn comparable(case: &Case, table: &str, is_comments: bool) -> String {
    if case.name != "avro" {
        return table.to_owned();
    }
    let columns: &[&str] = if is_comments { &["created_at"] } else { &["created_at", "updated_at"] };
    let cut = columns.iter().map(|name| format!("'{name}', date_trunc('milliseconds', {name})"));
    let cut = cut.collect::<Vec<_>>().join(", ");
    format!("(SELECT to_jsonb(r) || jsonb_build_object({cut}) FROM {table} r)")
}

fn schema(names: &Names, timestamp: &str) -> [String; 3] {
    let [users, posts, comments] = names.tables();
    [
        format!(
            "CREATE TABLE {users} (id serial PRIMARY KEY, name varchar(100) NOT NULL, email text UNIQUE,
             created_at {timestamp} DEFAULT CURRENT_TIMESTAMP, updated_at {timestamp})"
        ),
        format!(
            "CREATE TABLE {posts} (id serial PRIMARY KEY,
             user_id int NOT NULL REFERENCES {users} (id) ON DELETE CASCADE, title text NOT NULL, price numeric(12, 2),
             created_at {timestamp} DEFAULT CURRENT_TIMESTAMP, updated_at {timestamp});
             CREATE INDEX ON {posts} (user_id)"
        ),
        format!(
            "CREATE TABLE {comments} (id serial PRIMARY KEY,
             post_id int NOT NULL REFERENCES {posts} (id) ON DELETE CASCADE,
             user_id int NOT NULL REFERENCES {users} (id) ON DELETE CASCADE, body text, visible boolean,
             created_at {timestamp} DEFAULT CURRENT_TIMESTAMP);
             CREATE INDEX ON {comments} (post_id); CREATE INDEX ON {comments} (user_id)"
        ),
    ]
}

fn without_references(schema: &str) -> String {
    let references = regex::Regex::new(r"REFERENCES \w+ \(id\) ON DELETE CASCADE").expect("a valid pattern");
    references.replace_all(schema, "").into_owned()
}

/// What the snapshot finds.
async fn fill(client: &Client, names: &Names) -> Result<()> {
    let [users, posts, comments] = names.tables();
    let statements = format!(
        "INSERT INTO {users} (name, email) SELECT 'user ' || n, n || '@example.org' FROM generate_series(1, 60) n;
         INSERT INTO {posts} (user_id, title, price) SELECT n % 60 + 1, 'post ' || n, n / 7.0 FROM generate_series(1, 200) n;
         INSERT INTO {comments} (post_id, user_id, body, visible)
         SELECT n % 200 + 1, n % 60 + 1, repeat('é', n), n % 3 = 0 FROM generate_series(1, 300) n;"
    );
    client.batch_execute(&statements).await.context("initial rows")
}

/// Inserts, updates and deletes in transactions of their own; deletes of parents take their children with them.
async fn change(client: &Client, names: &Names) -> Result<()> {
    let [users, posts, comments] = names.tables();
    for n in 1..=25 {
        let statements = format!(
            "BEGIN;
             INSERT INTO {users} (name, email, updated_at) VALUES ('later {n}', 'later{n}@example.org', clock_timestamp());
             INSERT INTO {posts} (user_id, title) SELECT max(id), 'by later {n}' FROM {users};
             INSERT INTO {comments} (post_id, user_id, body) SELECT max(id), max(user_id), NULL FROM {posts};
             COMMIT;
             UPDATE {users} SET name = name || '!', updated_at = clock_timestamp() WHERE id % 25 = {n};
             UPDATE {posts} SET price = price * 2, updated_at = now() WHERE id % 25 = {n};
             UPDATE {comments} SET id = id + 100000 WHERE id = {n} * 3;
             DELETE FROM {comments} WHERE id = {n} * 7;
             DELETE FROM {users} WHERE id = {n} * 2;"
        );
        client.batch_execute(&statements).await.context("changes")?;
    }
    // Deleted and made again with its children: the sink must not let the delete win.
    let again = format!(
        "BEGIN; DELETE FROM {users} WHERE id = 1; INSERT INTO {users} (id, name) VALUES (1, 'again');
         INSERT INTO {posts} (user_id, title) VALUES (1, 'again'); COMMIT;"
    );
    client.batch_execute(&again).await.context("a parent again")
}
