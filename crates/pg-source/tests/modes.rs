//! What options change: snapshots at every start, lost positions, transactions that are counted, identities, masks.
#![allow(clippy::unwrap_used)] // helpers of tests are tests too

#[allow(dead_code)] // each test binary uses a part of it
mod support;

use std::time::Duration;

use connect::{Record, Value};
use support::{Connectors, Source, cluster};

const QUIET: Duration = Duration::from_millis(700);

/// `op` and the first column of a record's row; the topic of others.
fn brief(record: &Record) -> String {
    if record.topic.ends_with(".transaction") {
        let value = record.value.as_struct().unwrap();
        return format!("{} {}", value[0].as_str().unwrap(), value[2].as_i64().unwrap_or(-1));
    }
    let Some(fields) = record.value.as_struct() else { return "tombstone".to_owned() };
    let row = if fields[1].is_null() { &fields[0] } else { &fields[1] };
    let id = row.as_struct().and_then(|row| row.first()).and_then(Value::as_i64).unwrap_or(-1);
    format!("{}{id}", fields[4].as_str().unwrap_or_default())
}

fn briefs(source: &Source) -> Vec<String> {
    source.records.iter().map(brief).collect()
}

async fn table(database: &str) -> pg::Session {
    let session = cluster().database(database).await;
    let sql = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    session.batch_execute(sql).await.unwrap();
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_at_every_start_comes_behind_what_happened_meanwhile() {
    let session = table("mode_always").await;
    let properties = cluster().properties("mode_always", "mode_always", &[("snapshot.mode", "always")]);
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    session.batch_execute("INSERT INTO t VALUES (3, 'c')").await.unwrap();
    source.idle(QUIET).await.unwrap();
    source.stop().await;
    session.batch_execute("DELETE FROM t WHERE id = 1").await.unwrap();
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    session.batch_execute("INSERT INTO t VALUES (4, 'd')").await.unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(briefs(&source), ["r1", "r2", "c3", "d1", "tombstone", "r2", "r3", "c4"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_slot_is_made_again_when_needed() {
    let session = table("mode_needed").await;
    let properties = cluster().properties("mode_needed", "mode_needed", &[("snapshot.mode", "when_needed")]);
    let mut source = Source::new(properties);
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    source.stop().await;
    let dropped = async || session.batch_execute("SELECT pg_drop_replication_slot('mode_needed')").await;
    while dropped().await.is_err() {
        tokio::task::yield_now().await;
    }
    session.batch_execute("INSERT INTO t VALUES (3, 'c')").await.unwrap();
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(briefs(&source), ["r1", "r2", "r1", "r2", "r3"]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_counted_on_after_a_restart() {
    let session = table("mode_counted").await;
    let more =
        [("provide.transaction.metadata", "true"), ("max.batch.size", "3"), ("snapshot.mode", "no_data")];
    let mut source = Source::new(cluster().properties("mode_counted", "mode_counted", &more));
    source.start().await.unwrap();
    session.batch_execute("INSERT INTO t SELECT n, 'x' FROM generate_series(11, 16) n").await.unwrap();
    source.until(3).await.unwrap();
    source.kill();
    source.start().await.unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(briefs(&source), ["BEGIN -1", "c11", "c12", "c13", "c14", "c15", "c16", "END 6"]);
    let orders: Vec<i64> = source
        .records
        .iter()
        .filter(|record| !record.topic.ends_with(".transaction"))
        .map(|record| record.value.as_struct().unwrap()[3].as_struct().unwrap()[1].as_i64().unwrap())
        .collect();
    assert_eq!(orders, [1, 2, 3, 4, 5, 6]);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_are_set_and_unchanged_rows_skipped() {
    let session = table("mode_identity").await;
    let more = [
        ("replica.identity.autoset.values", "public.t:FULL"),
        ("skip.messages.without.change", "true"),
        ("column.mask.with.3.chars", "public.t.v"),
        ("snapshot.mode", "no_data"),
    ];
    let mut source = Source::new(cluster().properties("mode_identity", "mode_identity", &more));
    source.start().await.unwrap();
    // Under a mask nobody sees the difference.
    session
        .batch_execute("UPDATE t SET v = 'other' WHERE id = 1; UPDATE t SET id = 3 WHERE id = 2")
        .await
        .unwrap();
    source.idle(QUIET).await.unwrap();
    assert_eq!(briefs(&source), ["d2", "tombstone", "c3"]);
    let after = source.records[2].value.as_struct().unwrap()[1].as_struct().unwrap()[1].clone();
    assert_eq!(after, Value::text("***"));
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guardrail_ends_the_start() {
    table("mode_guardrail").await.batch_execute("CREATE TABLE u (id int)").await.unwrap();
    let more = [("guardrail.collections.max", "1"), ("guardrail.collections.limit.action", "fail")];
    let mut source = Source::new(cluster().properties("mode_guardrail", "mode_guardrail", &more));
    let error = source.start().await.unwrap_err();
    assert!(error.to_string().contains("2 tables are captured"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_half_of_a_changed_key_is_skipped_for_itself() {
    let cases =
        [("half_d", "d,t", ["c3", "u2"]), ("half_u", "u", ["d1", "c3"]), ("half_c", "c", ["d1", "u2"])];
    for (case, skipped, expected) in cases {
        let session = table(case).await;
        // The publication has all operations: what is left out is left out by us.
        session.batch_execute(&format!("CREATE PUBLICATION {case} FOR ALL TABLES")).await.unwrap();
        let options = [
            ("skipped.operations", skipped),
            ("tombstones.on.delete", "false"),
            ("snapshot.mode", "no_data"),
        ];
        let mut source = Source::new(cluster().properties(case, case, &options));
        source.start().await.unwrap();
        let sql = "UPDATE t SET id = 3 WHERE id = 1; UPDATE t SET v = 'z' WHERE id = 2";
        session.batch_execute(sql).await.unwrap();
        source.idle(QUIET).await.unwrap();
        assert_eq!(briefs(&source), expected, "{skipped}");
        source.stop().await;
    }
}
