//! Signals: incremental and blocking snapshots while rows change, restarts in the middle, tables that change.
#![allow(clippy::unwrap_used)] // helpers of tests are tests too

#[allow(dead_code)] // each test binary uses a part of it
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use connect::{Record, Signal, Value};
use support::{Connectors, Source, cluster, wait_for_free_slot};

const QUIET: Duration = Duration::from_millis(900);
const SIGNALS: &str =
    "CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));";

/// A database with a signal table, and a source on it that reads no data at first.
async fn prepare(name: &str, tables: &str, more: &[(&str, &str)]) -> (pg::Session, Source) {
    let session = cluster().database(name).await;
    session.batch_execute(&format!("{SIGNALS} {tables}")).await.unwrap();
    let mut options = vec![
        ("snapshot.mode", "no_data"),
        ("signal.data.collection", "public.signals"),
        ("notification.enabled.channels", "sink"),
        ("notification.sink.topic.name", "notes"),
        ("status.update.interval.ms", "100"),
        ("incremental.snapshot.chunk.size", "10"),
    ];
    options.extend_from_slice(more);
    let properties = cluster().properties(name, name, &options);
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    (session, source)
}

async fn signal(session: &pg::Session, id: &str, kind: &str, data: &str) {
    let statement = format!("INSERT INTO signals VALUES ('{id}', '{kind}', '{data}')");
    session.batch_execute(&statement).await.unwrap();
}

async fn execute(session: &pg::Session, id: &str, data: &str) {
    signal(session, id, "execute-snapshot", data).await;
}

/// Records of a table.
fn of<'a>(source: &'a Source, table: &str) -> Vec<&'a Record> {
    let ending = format!(".public.{table}");
    source.records.iter().filter(|record| record.topic.ends_with(&ending)).collect()
}

fn row(record: &Record) -> Option<&[Value]> {
    let fields = record.value.as_struct()?;
    let row = if fields[1].is_null() { &fields[0] } else { &fields[1] };
    row.as_struct()
}

fn op(record: &Record) -> &str {
    record.value.as_struct().and_then(|fields| fields[4].as_str()).unwrap_or("tombstone")
}

/// What a consumer has that applies the records: second column by first.
fn applied(records: &[&Record]) -> BTreeMap<i64, i64> {
    let mut rows = BTreeMap::new();
    for record in records {
        let Some(row) = row(record) else { continue };
        let id = row[0].as_i64().unwrap();
        match op(record) {
            "d" => drop(rows.remove(&id)),
            _ => drop(rows.insert(id, row[1].as_i64().unwrap())),
        }
    }
    rows
}

async fn rows(session: &pg::Session, table: &str) -> BTreeMap<i64, i64> {
    let rows = session.query(&format!("SELECT id::bigint, v::bigint FROM {table}"), &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Types of the notifications about incremental snapshots, but for their progress.
fn told(source: &Source) -> Vec<String> {
    let notes = source.records.iter().filter(|record| &*record.topic == "notes");
    let fields = notes.filter_map(|record| record.value.as_struct());
    fields
        .filter(|fields| fields[2].as_str() == Some("Incremental Snapshot"))
        .filter_map(|fields| fields[1].as_str().map(str::to_owned))
        .filter(|kind| kind != "IN_PROGRESS")
        .collect()
}

/// Polls until the snapshot is told to be complete.
async fn until_completed(source: &mut Source) {
    let started = std::time::Instant::now();
    while !told(source).iter().any(|kind| kind == "COMPLETED") {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", told(source));
        let _ = tokio::time::timeout(Duration::from_millis(200), source.poll()).await;
    }
}

/// Changes rows of `t` until the channel closes.
async fn change_rows(session: pg::Session, mut stop: tokio::sync::oneshot::Receiver<()>) {
    let mut n = 0_i32;
    while stop.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
        n += 1;
        let id = (n * 37) % 300;
        let statement = format!(
            "UPDATE t SET v = v + 1000 WHERE id = {id}; DELETE FROM t WHERE id = {} ; \
             INSERT INTO t VALUES ({}, {n}) ON CONFLICT (id) DO UPDATE SET v = {n}; \
             UPDATE t SET id = id + {} WHERE id = {}",
            (id + 11) % 300,
            (id + 100) % 400,
            10_000 * n,
            (id + 50) % 300,
        );
        session.batch_execute(&statement).await.unwrap();
        // The stream is to keep up: what is looked for is order, not load.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn while_rows_change(name: &str, more: &[(&str, &str)]) {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, n FROM generate_series(1, 300) n;";
    let (session, mut source) = prepare(name, tables, more).await;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let writer = tokio::spawn(change_rows(cluster().session(name).await, stopped));
    if more.iter().any(|(key, _)| *key == "read.only") {
        let data = r#"{"data-collections":["public.t"]}"#.to_owned();
        source.signal(Signal { id: "s".to_owned(), kind: "execute-snapshot".to_owned(), data: Some(data) });
    } else {
        execute(&session, "s", r#"{"data-collections":["public.t"]}"#).await;
    }
    until_completed(&mut source).await;
    drop(stop);
    writer.await.unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(applied(&of(&source, "t")), rows(&session, "t").await);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_while_their_chunk_is_open() {
    while_rows_change("incremental_changes", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_end_with_a_deletion() {
    let more = [("incremental.snapshot.watermarking.strategy", "insert_delete")];
    while_rows_change("incremental_delete", &more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_where_nothing_may_be() {
    while_rows_change("incremental_read_only", &[("read.only", "true")]).await;
    let session = cluster().session("incremental_read_only").await;
    let count: i64 = session.query_one("SELECT count(*) FROM signals", &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_at_its_chunk_after_a_restart() {
    let tables = "CREATE TABLE t (id int, k text, v int, PRIMARY KEY (k, id)); \
                  INSERT INTO t SELECT n, 'k' || n % 7, n FROM generate_series(1, 200) n;";
    let (session, mut source) = prepare("incremental_restart", tables, &[]).await;
    execute(&session, "s", r#"{"data-collections":["public.t"]}"#).await;
    while of(&source, "t").len() < 50 {
        source.poll().await.unwrap();
    }
    for round in 0..3 {
        source.kill();
        let offset = source.offset.clone().unwrap().offset;
        assert!(offset["incremental_snapshot_primary_key"].as_str().unwrap().starts_with("aced0005"));
        wait_for_free_slot(&session, "incremental_restart").await.unwrap();
        source.start().await.unwrap();
        while of(&source, "t").len() < 80 + 30 * round {
            source.poll().await.unwrap();
        }
    }
    until_completed(&mut source).await;
    source.idle(QUIET).await.unwrap();
    // Every record was stored with the poll that brought it: none comes twice.
    let mut ids: Vec<i64> =
        of(&source, "t").iter().map(|record| row(record).unwrap()[0].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    assert!(!source.offset.clone().unwrap().offset.contains_key("incremental_snapshot_primary_key"));
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_type_and_tables_without_one() {
    let tables = "CREATE DOMAIN d AS numeric(10, 2); CREATE TYPE e AS ENUM ('z', 'a', 'm'); \
        CREATE TABLE t (a d, b e, c uuid, f timestamptz, g bytea, h inet, v int, PRIMARY KEY (a, b, c, f, g, h)); \
        INSERT INTO t SELECT n % 3 + 0.5, (ARRAY['z','a','m'])[1 + n % 3]::e, md5(n::text)::uuid, \
          '2024-01-01 00:00:00.123456+00'::timestamptz + n * interval '1 s', decode(md5(n::text), 'hex'), \
          '10.0.0.1'::inet + n, n FROM generate_series(1, 55) n; \
        CREATE TABLE nullable (id int, k int, v int); CREATE UNIQUE INDEX ON nullable (k); \
        INSERT INTO nullable SELECT n, CASE WHEN n > 30 THEN NULL ELSE 100 - n END, n FROM generate_series(1, 45) n; \
        CREATE TABLE keyless (id int, v int); ALTER TABLE keyless REPLICA IDENTITY FULL; \
        INSERT INTO keyless SELECT n / 25, n FROM generate_series(1, 60) n; \
        CREATE TABLE \"Odd.Name\" (\"I d\" int PRIMARY KEY, v text); INSERT INTO \"Odd.Name\" SELECT n, E'a\\\\b\\t''' FROM generate_series(1, 12) n;";
    let (session, mut source) = prepare("incremental_keys", tables, &[]).await;
    execute(
        &session,
        "s",
        r#"{"data-collections":["public.t","public.nullable","public.Odd.Name","public.keyless"]}"#,
    )
    .await;
    until_completed(&mut source).await;
    execute(&session, "s2", r#"{"data-collections":["public.keyless"],"surrogate-key":"id"}"#).await;
    source.idle(QUIET).await.unwrap();
    assert_eq!(of(&source, "t").len(), 55);
    assert_eq!(of(&source, "nullable").len(), 45);
    assert_eq!(of(&source, "Odd.Name").len() + of(&source, "Odd_Name").len(), 12);
    // Its surrogate key is not unique, and parts no rows of one key.
    let mut values: Vec<i64> =
        of(&source, "keyless").iter().map(|record| row(record).unwrap()[1].as_i64().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, (1..=60).collect::<Vec<_>>());
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_changes_between_chunks() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v int, gone text DEFAULT 'x'); \
                  INSERT INTO t SELECT n, n FROM generate_series(1, 100) n;";
    let (session, mut source) = prepare("incremental_schema", tables, &[]).await;
    execute(&session, "s", r#"{"data-collections":["public.t"],"additional-conditions":[{"data-collection":"public.t","filter":"id % 2 = 0"}]}"#).await;
    while of(&source, "t").len() < 10 {
        source.poll().await.unwrap();
    }
    session
        .batch_execute("ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ADD COLUMN more int DEFAULT 7")
        .await
        .unwrap();
    until_completed(&mut source).await;
    source.idle(QUIET).await.unwrap();
    let records = of(&source, "t");
    let ids: Vec<i64> = records.iter().map(|record| row(record).unwrap()[0].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=50).map(|n| n * 2).collect::<Vec<_>>());
    assert_eq!(row(records[0]).unwrap()[2], Value::text("x"));
    assert_eq!(row(records[49]).unwrap()[2], Value::Int32(7));
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_while_paused_and_begins_again() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, n FROM generate_series(1, 500) n;";
    let (session, mut source) = prepare("incremental_stop", tables, &[]).await;
    execute(&session, "s1", r#"{"data-collections":["public.t"]}"#).await;
    signal(&session, "s2", "pause-snapshot", "{}").await;
    source.idle(QUIET).await.unwrap();
    assert_eq!(told(&source), ["STARTED", "PAUSED"]);
    assert!(of(&source, "t").len() < 500);
    signal(&session, "s3", "stop-snapshot", "{}").await;
    source.idle(QUIET).await.unwrap();
    let before = of(&source, "t").len();
    execute(&session, "s4", r#"{"data-collections":["public.t"]}"#).await;
    until_completed(&mut source).await;
    source.idle(QUIET).await.unwrap();
    assert_eq!(
        told(&source),
        ["STARTED", "PAUSED", "ABORTED", "STARTED", "TABLE_SCAN_COMPLETED", "COMPLETED"]
    );
    assert_eq!(of(&source, "t").len(), before + 500);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_snapshot_has_its_place_in_the_stream() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, n FROM generate_series(1, 300) n; \
                  CREATE TABLE other (id int PRIMARY KEY, v int);";
    let (session, mut source) = prepare("blocking", tables, &[]).await;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let writer = tokio::spawn(change_rows(cluster().session("blocking").await, stopped));
    execute(&session, "s", r#"{"type":"BLOCKING","data-collections":["public.t"]}"#).await;
    let started = std::time::Instant::now();
    let reads = |source: &Source| of(source, "t").iter().filter(|record| op(record) == "r").count();
    // Killed in the middle of it, it begins again.
    while reads(&source) == 0 {
        assert!(started.elapsed() < Duration::from_secs(60));
        let _ = tokio::time::timeout(Duration::from_millis(200), source.poll()).await;
    }
    let done = !source.offset.clone().unwrap().offset.contains_key("tidegate_blocking_snapshots");
    source.kill();
    wait_for_free_slot(&session, "blocking").await.unwrap();
    source.start().await.unwrap();
    let wanted = if done { 1 } else { reads(&source) + 1 };
    while reads(&source) < wanted {
        assert!(started.elapsed() < Duration::from_secs(60));
        let _ = tokio::time::timeout(Duration::from_millis(200), source.poll()).await;
    }
    drop(stop);
    writer.await.unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(applied(&of(&source, "t")), rows(&session, "t").await);
    // A request that cannot be served does not stop the stream.
    execute(&session, "s2", r#"{"type":"blocking","data-collections":["public.t"],"additional-conditions":[{"data-collection":"public.t","filter":"SELECT nonsense"}]}"#).await;
    source.idle(QUIET).await.unwrap();
    execute(&session, "s3", r#"{"type":"blocking","data-collections":["public.none"]}"#).await;
    source.idle(QUIET).await.unwrap();
    session.batch_execute("INSERT INTO other VALUES (1, 1)").await.unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(of(&source, "other").len(), 1);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_write_the_position_does_it() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, n FROM generate_series(1, 30) n;";
    let (session, mut source) = prepare("incremental_unwritable", tables, &[]).await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE insufficient_privilege; END $$; \
                  CREATE TRIGGER refuse BEFORE INSERT ON signals FOR EACH ROW WHEN (NEW.type LIKE 'snapshot-%') \
                  EXECUTE FUNCTION refuse()";
    session.batch_execute(refuse).await.unwrap();
    execute(&session, "s", r#"{"data-collections":["public.t"]}"#).await;
    until_completed(&mut source).await;
    assert_eq!(of(&source, "t").len(), 30);
    source.stop().await;
}
