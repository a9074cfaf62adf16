//! Bad rows, lost connections, changed tables.

use std::time::{Duration, Instant};

use connect::contract::Tolerance;
use connect::{Fate, Value};
use pg_sink::Flavour;

use crate::feed::{Draft, Feed, properties};
use crate::postgres::{Cluster, Database, cluster};
use crate::rows::{Topic, int, text};

fn topic() -> Topic {
    Topic::new("t", &[("id", int()), ("name", text())])
}

fn row(id: i32, name: &str) -> Draft {
    topic().upsert(vec![id.into(), Value::text(name)])
}

async fn feed(url: &str, tolerance: Tolerance) -> Feed {
    Feed::upserting(url, tolerance).await
}

async fn names(database: &Database) -> Vec<String> {
    database.rows("t").await.into_iter().map(|row| row[1].clone().unwrap_or_default()).collect()
}

const TABLE: &str = "CREATE TABLE t(id int PRIMARY KEY, name text CHECK (name <> 'bad'))";

#[tokio::test]
async fn bad_rows_go_alone() {
    let database = cluster().database().await;
    database.run(TABLE).await;
    let mut feed = feed(&database.url, Tolerance::All).await;
    let rows = (0..1000).map(|id| row(id, if id % 333 == 7 { "bad" } else { "good" })).collect();
    feed.put(rows).await.unwrap();
    feed.flush().await.unwrap();
    let offsets: Vec<i64> = feed
        .rejected
        .iter()
        .map(|rejected| match &rejected.origin {
            connect::Origin::Kafka(origin) => origin.offset,
            connect::Origin::Source => -1,
        })
        .collect();
    let mut sorted = offsets.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [7, 340, 673]);
    assert!(feed.rejected[0].error.to_string().contains("23514"), "{}", feed.rejected[0].error);
    assert_eq!(database.count("t").await, 997);
    assert_eq!(feed.committed("t"), Some(1000));
}

#[tokio::test]
async fn a_good_change_before_a_bad_one_of_the_same_key_counts() {
    let database = cluster().database().await;
    database.run(TABLE).await;
    let mut feed = feed(&database.url, Tolerance::All).await;
    feed.put(vec![row(1, "first"), row(2, "x"), row(1, "bad"), row(3, "nul\0"), row(3, "bad")])
        .await
        .unwrap();
    feed.flush().await.unwrap();
    assert_eq!(names(&database).await, ["first", "x"]);
    assert_eq!(feed.rejected.len(), 3);
}

#[tokio::test]
async fn without_tolerance_the_first_bad_row_ends_the_task_and_nothing_behind_it_is_committed() {
    let database = cluster().database().await;
    database.run(TABLE).await;
    let mut feed = feed(&database.url, Tolerance::None).await;
    feed.put(vec![row(1, "a"), row(2, "b")]).await.unwrap();
    feed.flush().await.unwrap();
    feed.put(vec![row(3, "c"), row(4, "bad"), row(5, "e")]).await.unwrap();
    feed.flush().await.unwrap();
    assert_eq!(feed.rejected.len(), 1);
    assert_eq!(feed.committed("t"), Some(2));
    assert_eq!(names(&database).await, ["a", "b"]);
}

#[tokio::test]
async fn a_missing_table_halts_with_a_hint() {
    let database = cluster().database().await;
    let mut feed = feed(&database.url, Tolerance::All).await;
    feed.put(vec![row(1, "a")]).await.unwrap();
    let error = feed.flush().await.unwrap_err();
    assert_eq!(error.fate, Fate::Halt);
    assert!(error.message.contains("table \"t\" is missing") && error.hint.is_some(), "{error}");
}

#[tokio::test]
async fn a_missing_privilege_halts_with_a_hint() {
    let database = cluster().database().await;
    database
        .run(&format!(
            "{TABLE}; DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader"
        ))
        .await;
    let options = properties(&[
        ("connection.url", &*database.url),
        ("connection.user", "reader"),
        ("topics", "t"),
        ("insert.mode", "upsert"),
        ("pk.mode", "record_key"),
    ]);
    let mut feed = Feed::start(Flavour::Confluent, &options, Tolerance::All).await.unwrap();
    feed.put(vec![row(1, "a")]).await.unwrap();
    let error = feed.flush().await.unwrap_err();
    assert_eq!(error.fate, Fate::Halt);
    assert!(error.hint.is_some_and(|hint| hint.contains("grant")));
}

#[tokio::test]
async fn a_wrong_password_or_database_fails_at_the_start() {
    let mut url = cluster().url("nothing_here");
    url.push_str("?connectTimeout=5");
    let options = properties(&[("connection.url", &*url), ("connection.user", "postgres"), ("topics", "t")]);
    let error = Feed::start(Flavour::Confluent, &options, Tolerance::All).await.err().unwrap();
    assert_eq!(error.fate, Fate::Halt, "{error}");
    let options = properties(&[
        ("connection.url", "jdbc:postgresql://127.0.0.1:1/d"),
        ("connection.user", "postgres"),
        ("topics", "t"),
    ]);
    let error = Feed::start(Flavour::Confluent, &options, Tolerance::All).await.err().unwrap();
    assert_eq!(error.fate, Fate::Retry, "{error}");
}

#[tokio::test]
async fn ended_sessions_are_opened_again_and_nothing_is_lost() {
    let database = cluster().database().await;
    database.run(TABLE).await;
    let mut feed = feed(&database.url, Tolerance::None).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'tidegate'";
    for round in 0..5 {
        let rows = (0..200).map(|id| row(round * 200 + id, "x")).collect();
        feed.put(rows).await.unwrap();
        database.run(end).await;
    }
    until(|| async { database.count("t").await == 1000 }).await;
    while feed.flush().await.is_err() {}
    assert_eq!(feed.committed("t"), Some(1000));
}

#[tokio::test]
async fn a_restart_of_the_server_only_delays() {
    let own = Cluster::create(&["fsync = off"]);
    let database = own.database().await;
    database.run(TABLE).await;
    let mut feed = feed(&database.url, Tolerance::None).await;
    feed.write(vec![row(1, "a")]).await;
    own.stop("fast");
    feed.put(vec![row(2, "b")]).await.unwrap();
    let error = feed.flush().await.unwrap_err();
    assert_eq!(error.fate, Fate::Retry);
    feed.put(vec![row(1, "c")]).await.unwrap();
    own.start();
    let started = Instant::now();
    while feed.flush().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(5), "it goes on within five seconds");
    }
    let client = own.connect(&database.name).await;
    let rows = client.query("SELECT name FROM t ORDER BY id", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["c", "b"]);
    assert_eq!(feed.committed("t"), Some(3));
    feed.stop().await;
}

#[tokio::test]
async fn a_table_that_was_changed_or_made_anew_is_read_again() {
    let database = cluster().database().await;
    database.run(TABLE).await;
    let mut feed = feed(&database.url, Tolerance::None).await;
    feed.write(vec![row(1, "a")]).await;
    database
        .run("DROP TABLE t; CREATE TABLE t(name varchar(9), x int DEFAULT 5, id bigint PRIMARY KEY)")
        .await;
    feed.write(vec![row(2, "b"), topic().delete(1)]).await;
    database.run("ALTER TABLE t RENAME name TO other; ALTER TABLE t ADD name text").await;
    feed.write(vec![row(3, "c")]).await;
    let rows = database.rows("t").await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows.iter().map(|row| row[3].as_deref()).collect::<Vec<_>>(), [Some("c"), None]);
}

#[tokio::test]
async fn deadlocks_and_locks_are_waited_for() {
    let database = cluster().database().await;
    database.run(TABLE).await;
    let mut feed = feed(&database.url, Tolerance::None).await;
    feed.write(vec![row(1, "a"), row(2, "b")]).await;
    let other = cluster().connect(&database.name).await;
    other.batch_execute("BEGIN; UPDATE t SET name = 'mine' WHERE id = 2").await.unwrap();
    feed.put(vec![row(1, "c"), row(2, "d")]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // One of the two is chosen by the server as the victim, whichever it is.
    let _ = other.batch_execute("UPDATE t SET name = 'mine' WHERE id = 1; COMMIT").await;
    while feed.flush().await.is_err() {}
    until(|| async { names(&database).await == ["c", "d"] }).await;
}

async fn until<F: Future<Output = bool>>(done: impl Fn() -> F) {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < Duration::from_secs(20), "it takes too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
