//! What happens around the stream: crashes, lost connections, idle databases, and servers that are not set up.
#![allow(clippy::unwrap_used)] // helpers of tests are tests too

#[allow(dead_code)] // each test binary uses a part of it
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use connect::{Fate, Record, Value};
use support::{Connectors, Source, cluster, wait_for_free_slot};

const QUIET: Duration = Duration::from_millis(700);

/// `op` and the first column of a record's row.
fn brief(record: &Record) -> String {
    let Some(fields) = record.value.as_struct() else { return "tombstone".to_owned() };
    let op = fields[4].as_str().unwrap_or_default();
    let row = if fields[1].is_null() { &fields[0] } else { &fields[1] };
    let id = row.as_struct().and_then(|row| row.first()).and_then(Value::as_i64).unwrap_or(-1);
    format!("{op}{id}")
}

fn briefs(source: &Source) -> Vec<String> {
    source.records.iter().map(brief).collect()
}

/// What a consumer has that applies the records: second column by key.
fn applied(records: &[Record]) -> BTreeMap<i64, i64> {
    let mut rows = BTreeMap::new();
    for record in records {
        let key = record.key.as_struct().and_then(|key| key[0].as_i64()).expect("a key");
        match record.value.as_struct().map(|value| &value[1]) {
            Some(Value::Struct(row)) => {
                rows.insert(key, row[1].as_i64().expect("a number"));
            }
            _ => {
                rows.remove(&key);
            }
        }
    }
    rows
}

async fn rows(session: &pg::Session, table: &str) -> BTreeMap<i64, i64> {
    let rows = session.query(&format!("SELECT id::bigint, v::bigint FROM {table}"), &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn resumes_within_a_transaction_by_ordinal() {
    let session = cluster().database("by_ordinal").await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    let properties = cluster().properties(
        "by_ordinal",
        "by_ordinal",
        &[("max.batch.size", "3"), ("snapshot.mode", "no_data")],
    );
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    // One WAL record for all rows: they share one LSN, only the ordinal tells them apart.
    session.batch_execute("INSERT INTO t SELECT n, n FROM generate_series(1, 2) n").await.unwrap();
    let copy = session.copy_in("COPY t FROM STDIN").await.unwrap();
    let mut copy = std::pin::pin!(copy);
    let lines: String = (3..=10).map(|n| format!("{n}\t{n}\n")).collect();
    futures::SinkExt::send(&mut copy, bytes::Bytes::from(lines)).await.unwrap();
    copy.finish().await.unwrap();
    source.until(5).await.unwrap();
    let kept = source.records.len();
    let lost = source.poll_and_lose().await.unwrap();
    assert!(!lost.is_empty());
    source.kill();
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    let expected: Vec<String> = (1..=10).map(|n| format!("c{n}")).collect();
    assert_eq!(briefs(&source), expected, "after {kept} records were kept");
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_snapshot_while_rows_change() {
    let session = cluster().database("killed_snapshot").await;
    session
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, n FROM generate_series(1, 5000) n",
        )
        .await
        .unwrap();
    let properties = cluster().properties("killed_snapshot", "killed_snapshot", &[("max.batch.size", "100")]);
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    source.until(1000).await.unwrap();
    source.kill();
    // These rows were sent, and must not stay downstream.
    session
        .batch_execute("DELETE FROM t WHERE id <= 50; UPDATE t SET v = -v WHERE id BETWEEN 51 AND 100; INSERT INTO t VALUES (9001, 1)")
        .await
        .unwrap();
    wait_for_free_slot(&session, "killed_snapshot").await.unwrap();
    source.start().await.unwrap();
    source.until(1500).await.unwrap();
    source.kill();
    session.batch_execute("DELETE FROM t WHERE id BETWEEN 4000 AND 4010").await.unwrap();
    wait_for_free_slot(&session, "killed_snapshot").await.unwrap();
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    session.batch_execute("DELETE FROM t WHERE id = 60; UPDATE t SET v = 7 WHERE id = 61").await.unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(applied(&source.records), rows(&session, "t").await);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_walsender_is_replaced() {
    let session = cluster().database("terminated").await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    let properties = cluster().properties("terminated", "terminated", &[("slot.retry.delay.ms", "100")]);
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    for round in 1..=3 {
        session.batch_execute(&format!("INSERT INTO t VALUES ({round}, {round})")).await.unwrap();
        source.until(round).await.unwrap();
        session
            .batch_execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'terminated'")
            .await
            .unwrap();
        // The loss is said once, as something to try again; the call after it connects.
        loop {
            match tokio::time::timeout(QUIET, source.poll()).await {
                Ok(Err(error)) => {
                    assert_eq!(error.fate, Fate::Retry, "{error}");
                    break;
                }
                Ok(Ok(())) => {}
                Err(_) => panic!("the loss was not noticed"),
            }
        }
    }
    session.batch_execute("INSERT INTO t VALUES (4, 4)").await.unwrap();
    source.until(4).await.unwrap();
    assert_eq!(briefs(&source), ["c1", "c2", "c3", "c4"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_database_lets_the_slot_advance() {
    let session = cluster().database("idle_one").await;
    let other = cluster().database("idle_other").await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    other.batch_execute("CREATE TABLE t (id int)").await.unwrap();
    let properties = cluster().properties("idle_one", "idle_one", &[("status.update.interval.ms", "100")]);
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    other.batch_execute("INSERT INTO t SELECT generate_series(1, 10000)").await.unwrap();
    let target: String = other.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    let target: pg::Lsn = target.parse().unwrap();
    for _ in 0..100 {
        source.idle(Duration::from_millis(150)).await.unwrap();
        let confirmed: String = session
            .query_one(
                "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = 'idle_one'",
                &[],
            )
            .await
            .unwrap()
            .get(0);
        if confirmed.parse::<pg::Lsn>().unwrap() >= target {
            // The offset was there first: a restart finds nothing missing.
            session.batch_execute("INSERT INTO t VALUES (1, 1)").await.unwrap();
            source.until(1).await.unwrap();
            source.stop().await;
            wait_for_free_slot(&session, "idle_one").await.unwrap();
            source.start().await.unwrap();
            session.batch_execute("INSERT INTO t VALUES (2, 2)").await.unwrap();
            source.until(2).await.unwrap();
            source.idle(QUIET).await.unwrap();
            assert_eq!(briefs(&source), ["c1", "c2"]);
            source.stop().await;
            return;
        }
    }
    panic!("the slot stayed before {target}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_come_and_their_statement_cannot_stop_the_stream() {
    let session = cluster().database("beats").await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    let properties = cluster().properties(
        "beats",
        "beats",
        &[("heartbeat.interval.ms", "100"), ("heartbeat.action.query", "UPDATE nowhere SET x = 1")],
    );
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    source.until(3).await.unwrap();
    assert!(source.records.iter().all(|record| &*record.topic == "__debezium-heartbeat.beats"));
    session.batch_execute("INSERT INTO t VALUES (1, 1)").await.unwrap();
    while !source.records.iter().any(|record| &*record.topic == "beats.public.t") {
        source.poll().await.unwrap();
    }
    source.stop().await;
}

async fn refused(case: &str, prepare: &str, options: &[(&str, &str)], message: &str, hint: &str) {
    let session = cluster().database(case).await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    session.batch_execute(prepare).await.unwrap();
    let mut source = Source::new(cluster().properties(case, case, options));
    let error = source.start().await.expect_err(case);
    assert_eq!(error.fate, Fate::Halt, "{error}");
    assert!(error.message.contains(message), "{case}: {error}");
    assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{case}: {error}");
    let slots: i64 = session
        .query_one(
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND database = $1",
            &[&case],
        )
        .await
        .unwrap()
        .get(0);
    let publications: i64 = session
        .query_one("SELECT count(*) FROM pg_publication WHERE pubname = $1", &[&case])
        .await
        .unwrap()
        .get(0);
    assert_eq!((slots, publications), (0, 0), "{case} created something");
}

#[tokio::test(flavor = "multi_thread")]
async fn prerequisites_fail_before_anything_is_created() {
    refused(
        "no_replication",
        "CREATE ROLE norepl LOGIN; GRANT SELECT ON t TO norepl",
        &[("database.user", "norepl")],
        "has not the attribute REPLICATION",
        "ALTER ROLE \"norepl\" REPLICATION",
    )
    .await;
    refused(
        "no_select",
        "CREATE ROLE noselect LOGIN REPLICATION; CREATE PUBLICATION other FOR ALL TABLES",
        &[("database.user", "noselect"), ("publication.name", "other")],
        "may not read \"public\".\"t\"",
        "GRANT SELECT ON \"public\".\"t\" TO \"noselect\"",
    )
    .await;
    refused(
        "no_publication",
        "SELECT 1",
        &[("publication.autocreate.mode", "disabled")],
        "Publication autocreation is disabled",
        "CREATE PUBLICATION \"no_publication\" FOR TABLE \"public\".\"t\"",
    )
    .await;
    refused(
        "no_right_to_publish",
        "CREATE ROLE nopub LOGIN REPLICATION; GRANT SELECT ON t TO nopub",
        &[("database.user", "nopub")],
        "may not create a publication for all tables",
        "CREATE PUBLICATION",
    )
    .await;
    refused(
        "wrong_plugin",
        "SELECT pg_create_physical_replication_slot('wrong_plugin_slot')",
        &[("slot.name", "wrong_plugin_slot")],
        "already exists and uses",
        "another slot.name",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_in_use_names_its_holder() {
    let session = cluster().database("in_use").await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    let options = [("slot.max.retries", "1"), ("slot.retry.delay.ms", "50"), ("snapshot.mode", "no_data")];
    let mut first = Source::new(cluster().properties("in_use", "in_use", &options));
    first.start().await.unwrap();
    let mut second = Source::new(cluster().properties("in_use", "in_use", &options));
    let error = second.start().await.expect_err("two readers");
    let pid: i32 = session
        .query_one("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'in_use'", &[])
        .await
        .unwrap()
        .get(0);
    assert!(error.message.contains(&format!("is active for PID {pid}")), "{error}");
    assert!(error.hint.as_deref().unwrap_or_default().contains(&pid.to_string()), "{error}");
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_made_again_is_refused() {
    let session = cluster().database("made_again").await;
    session.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    let mut source = Source::new(cluster().properties("made_again", "made_again", &[]));
    source.start().await.unwrap();
    session.batch_execute("INSERT INTO t VALUES (1, 1)").await.unwrap();
    session.batch_execute("INSERT INTO t VALUES (2, 2)").await.unwrap();
    source.until(2).await.unwrap();
    source.stop().await;
    wait_for_free_slot(&session, "made_again").await.unwrap();
    session.batch_execute("SELECT pg_drop_replication_slot('made_again')").await.unwrap();
    let error = source.start().await.expect_err("the slot is gone");
    assert!(error.message.contains("does not exist any more"), "{error}");
    session.batch_execute("INSERT INTO t VALUES (3, 3)").await.unwrap();
    session
        .batch_execute("SELECT pg_create_logical_replication_slot('made_again', 'pgoutput')")
        .await
        .unwrap();
    let error = source.start().await.expect_err("the slot is another");
    assert!(error.message.contains("beyond the stored offset"), "{error}");
    source.configure("offset.mismatch.strategy", "trust_slot");
    source.start().await.unwrap();
    session.batch_execute("INSERT INTO t VALUES (4, 4)").await.unwrap();
    source.until(3).await.unwrap();
    assert_eq!(briefs(&source), ["c1", "c2", "c4"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_readers_see_one_moment_and_mark_the_ends() {
    let session = cluster().database("parallel").await;
    for table in ["a", "b", "c"] {
        session
            .batch_execute(&format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, v int); INSERT INTO {table} SELECT n, n FROM generate_series(1, 3000) n"
            ))
            .await
            .unwrap();
    }
    let properties = cluster().properties("parallel", "parallel", &[("snapshot.max.threads", "3")]);
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    source.until(9000).await.unwrap();
    let mut markers: BTreeMap<String, usize> = BTreeMap::new();
    for record in &source.records {
        let marker =
            record.value.as_struct().and_then(|value| value[2].as_struct()).map(|source| source[4].clone());
        *markers.entry(format!("{marker:?}")).or_default() += 1;
    }
    let count = |name: &str| {
        markers.iter().filter(|(key, _)| key.contains(&format!("\"{name}\""))).map(|(_, n)| *n).sum::<usize>()
    };
    assert_eq!(
        (
            count("first"),
            count("first_in_data_collection"),
            count("last_in_data_collection"),
            count("last"),
            count("true")
        ),
        (1, 2, 2, 1, 8994)
    );
    source.stop().await;
}

/// Whether the slot of the session's database needs nothing any more from the time when the table was made.
async fn horizon_is_past(session: &pg::Session, table: &str) -> bool {
    let sql = "SELECT age(a.xmin) > age(s.catalog_xmin) FROM pg_catalog.pg_attribute a, pg_catalog.pg_replication_slots s \
               WHERE a.attrelid = $1::text::regclass AND a.attname = 'tableoid' AND s.database = current_database()";
    session.query(sql, &[&table]).await.unwrap().iter().all(|row| row.get(0))
}

/// A filtered publication holds a new table from the next start on; its first rows come by a snapshot of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_anew_while_away_is_read_whole() {
    let session = cluster().database("anew").await;
    session
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE old (id int PRIMARY KEY, v int)",
        )
        .await
        .unwrap();
    session.batch_execute("INSERT INTO t VALUES (1, 1); INSERT INTO old VALUES (1, 1)").await.unwrap();
    let more = [("publication.autocreate.mode", "filtered"), ("schema.include.list", "public")];
    let mut source = Source::new(cluster().properties("anew", "anew", &more));
    source.start().await.unwrap();
    source.until(2).await.unwrap();
    // Until the slot's horizon is past them, these tables may be taken for new ones too.
    let mut looks = 0;
    while !horizon_is_past(&session, "old").await {
        looks += 1;
        assert!(looks < 100, "the slot's horizon does not move");
        session.batch_execute("SELECT pg_catalog.pg_current_xact_id(); CHECKPOINT").await.unwrap();
        source.idle(QUIET).await.unwrap();
    }
    source.stop().await;
    session
        .batch_execute(
            "INSERT INTO old VALUES (2, 2); DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v int);
             INSERT INTO t VALUES (11, 1), (12, 2); INSERT INTO old VALUES (3, 3); UPDATE t SET v = 7 WHERE id = 12;",
        )
        .await
        .unwrap();
    // Killed before the position of the new table is stored: it is read again.
    source.start().await.unwrap();
    let lost = source.poll_and_lose().await.unwrap();
    assert!(!lost.is_empty());
    source.kill();
    source.records.clear();
    source.start().await.unwrap();
    source.until(4).await.unwrap();
    session.batch_execute("INSERT INTO t VALUES (13, 3); DELETE FROM t WHERE id = 11").await.unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(briefs(&source), ["c2", "c3", "r11", "r12", "c13", "d11", "tombstone"]);
    let of_t: Vec<Record> =
        source.records.iter().filter(|record| record.topic.ends_with(".t")).cloned().collect();
    assert_eq!(applied(&of_t), rows(&session, "t").await);
    source.stop().await;
}
