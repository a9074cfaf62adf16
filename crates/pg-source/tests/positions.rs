//! From every position that may have been stored last, the stream goes on with exactly what comes behind it: where
//! positions of events are equal, the reference loses some of them.
#![allow(clippy::unwrap_used)] // helpers of tests are tests too

#[allow(dead_code)] // each test binary uses a part of it
mod support;

use std::time::Duration;

use connect::{Record, SourcePosition, Value};
use support::{Connectors, Source, cluster};

const QUIET: Duration = Duration::from_millis(400);

/// A record, and where it lies.
fn brief(record: &Record) -> (String, u64) {
    let fields = record.value.as_struct().expect("an envelope");
    let is_message = record.topic.ends_with(".message");
    let (op, source) = if is_message { (&fields[0], &fields[2]) } else { (&fields[4], &fields[2]) };
    let row = if fields[1].is_null() { &fields[0] } else { &fields[1] };
    let id = row.as_struct().and_then(|row| row.first()).and_then(Value::as_i64);
    let content = if is_message { format!("{:?}", fields[4]) } else { String::new() };
    let lsn = source.as_struct().expect("a source block")[12].as_i64().unwrap_or(0) as u64;
    (format!("{} {}{} {content}", record.topic, op.as_str().unwrap_or_default(), id.unwrap_or(-1)), lsn)
}

/// What one run sent in all, and the positions with the number of records that were sent before each.
struct Sent {
    records: Vec<(String, u64)>,
    positions: Vec<(usize, SourcePosition)>,
}

const OPTIONS: [(&str, &str); 5] = [
    ("max.batch.size", "1"),
    ("tombstones.on.delete", "false"),
    ("skipped.operations", "none"),
    ("snapshot.mode", "no_data"),
    // The slot stays where it began.
    ("lsn.flush.mode", "manual"),
];

/// Runs `write` while a connector streams, one record at a time and none of it confirmed.
async fn sent<F: Future<Output = ()>>(case: &str, write: impl FnOnce(pg::Session, pg::Session) -> F) -> Sent {
    let session = cluster().database(case).await;
    session
        .batch_execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY)")
        .await
        .unwrap();
    let mut source = Source::new(cluster().properties(case, case, &OPTIONS));
    source.start().await.unwrap();
    write(session, cluster().session(case).await).await;
    let mut positions = vec![];
    let mut seen = 0;
    while let Ok(polled) = tokio::time::timeout(QUIET, source.poll_unconfirmed()).await {
        polled.unwrap();
        if source.offsets.len() > seen {
            seen = source.offsets.len();
            positions.push((source.records.len(), source.offsets[seen - 1].clone()));
        }
    }
    source.kill();
    Sent { records: source.records.iter().map(brief).collect(), positions }
}

/// Starts from every position in turn. Nothing may be missing; what comes again lies behind the position before.
async fn goes_on_from_every_position(case: &str, sent: &Sent) {
    let texts: Vec<&String> = sent.records.iter().map(|(text, _)| text).collect();
    let mut before = 0;
    for (count, position) in &sent.positions {
        let mut source = Source::new(cluster().properties(case, case, &OPTIONS));
        source.offset = Some(position.clone());
        wait_for_free_slot(case).await;
        source.start().await.unwrap();
        while let Ok(polled) = tokio::time::timeout(QUIET, source.poll_unconfirmed()).await {
            polled.unwrap();
        }
        source.kill();
        let found: Vec<String> = source.records.iter().map(|record| brief(record).0).collect();
        let from = texts.len().checked_sub(found.len()).expect("nothing is invented");
        assert_eq!(found.iter().collect::<Vec<_>>(), texts[from..], "from {:?}", position.offset);
        assert!(from <= *count, "{} records are missing from {:?}", from - count, position.offset);
        assert!(from >= before, "what was stored before comes again from {:?}", position.offset);
        before = *count;
    }
}

/// A killed process leaves its walsender for a moment.
async fn wait_for_free_slot(slot: &str) {
    let session = cluster().session("postgres").await;
    loop {
        let sql = "SELECT active FROM pg_replication_slots WHERE slot_name = $1";
        let row = session.query_opt(sql, &[&slot]).await.unwrap();
        if row.is_none_or(|row| !row.get::<_, bool>(0)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn copy(session: &pg::Session, table: &str, ids: std::ops::Range<i32>) {
    let copy = session.copy_in(&format!("COPY {table} FROM STDIN")).await.unwrap();
    let mut copy = std::pin::pin!(copy);
    let lines: String = ids.map(|id| format!("{id}\n")).collect();
    futures::SinkExt::send(&mut copy, bytes::Bytes::from(lines)).await.unwrap();
    copy.finish().await.unwrap();
}

/// Next to each other and at one LSN.
fn pairs_at_one_lsn(sent: &Sent) -> usize {
    sent.records.windows(2).filter(|pair| pair[0].1 == pair[1].1).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_copy_share_their_lsn() {
    let sent = sent("at_copy", |one, _| async move {
        copy(&one, "a", 1..6).await;
        one.batch_execute("BEGIN; INSERT INTO b VALUES (1)").await.unwrap();
        copy(&one, "a", 6..9).await;
        copy(&one, "a", 9..12).await;
        one.batch_execute(
            "INSERT INTO b VALUES (2); COMMIT; INSERT INTO a SELECT n FROM generate_series(12, 14) n",
        )
        .await
        .unwrap();
    })
    .await;
    assert_eq!(sent.records.len(), 16);
    // The reference goes on behind the LSN: it would lose these.
    assert_eq!(pairs_at_one_lsn(&sent), 4 + 2 + 2);
    goes_on_from_every_position("at_copy", &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_ends_where_the_next_event_begins() {
    let sent = sent("at_commit", |one, two| async move {
        for n in 0..6 {
            let id = n * 10;
            one.batch_execute(&format!("BEGIN; INSERT INTO a VALUES ({id})")).await.unwrap();
            two.batch_execute(&format!("BEGIN; INSERT INTO b VALUES ({id})")).await.unwrap();
            one.batch_execute("COMMIT").await.unwrap();
            // At the end of the commit, and so is the commit of the other one behind it.
            two.batch_execute(&format!("INSERT INTO b VALUES ({})", id + 1)).await.unwrap();
            one.batch_execute(&format!("BEGIN; INSERT INTO a VALUES ({})", id + 1)).await.unwrap();
            two.batch_execute("COMMIT").await.unwrap();
            one.batch_execute("COMMIT").await.unwrap();
        }
    })
    .await;
    assert_eq!(sent.records.len(), 24);
    let commits: Vec<u64> = sent
        .positions
        .iter()
        .filter_map(|(_, position)| position.offset.get("lsn_commit")?.as_u64())
        .collect();
    // The reference takes such an event for one that it has sent, and loses its transaction up to it.
    let equal = sent.records.iter().filter(|(_, lsn)| commits.contains(lsn)).count();
    assert!(equal > 0, "no event begins where a commit ends");
    goes_on_from_every_position("at_commit", &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_outside_of_transactions_lie_between_them() {
    let sent = sent("at_message", |one, two| async move {
        let message = |text: &str| format!("SELECT pg_logical_emit_message(false, 'p', '{text}')");
        two.batch_execute("BEGIN; INSERT INTO b VALUES (1)").await.unwrap();
        one.batch_execute(&message("1")).await.unwrap();
        one.batch_execute("INSERT INTO a VALUES (1)").await.unwrap();
        one.batch_execute(&message("2")).await.unwrap();
        one.batch_execute(
            "BEGIN; SELECT pg_logical_emit_message(true, 'p', '3'); INSERT INTO a VALUES (2); COMMIT",
        )
        .await
        .unwrap();
        two.batch_execute("INSERT INTO b VALUES (2)").await.unwrap();
        one.batch_execute(&message("4")).await.unwrap();
        two.batch_execute("COMMIT").await.unwrap();
        one.batch_execute(&message("5")).await.unwrap();
        one.batch_execute("INSERT INTO a VALUES (3)").await.unwrap();
    })
    .await;
    assert_eq!(sent.records.len(), 10);
    goes_on_from_every_position("at_message", &sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_of_many_tables_has_one_lsn() {
    let sent = sent("at_truncate", |one, _| async move {
        one.batch_execute(
            "INSERT INTO a VALUES (1); TRUNCATE a, b, c;
             BEGIN; INSERT INTO c VALUES (1); TRUNCATE a, b; INSERT INTO b VALUES (1); TRUNCATE c, a; COMMIT",
        )
        .await
        .unwrap();
    })
    .await;
    assert_eq!(sent.records.len(), 1 + 3 + 1 + 2 + 1 + 2);
    assert_eq!(pairs_at_one_lsn(&sent), 2 + 1 + 1);
    goes_on_from_every_position("at_truncate", &sent).await;
}

/// The offset of a source that has sent one row, with one member changed.
async fn refused(case: &str, member: &str, value: serde_json::Value, message: &str) {
    let session = cluster().database(case).await;
    session.batch_execute("CREATE TABLE a (id int PRIMARY KEY)").await.unwrap();
    let mut source = Source::new(cluster().properties(case, case, &[]));
    source.start().await.unwrap();
    session.batch_execute("INSERT INTO a VALUES (1)").await.unwrap();
    source.until(1).await.unwrap();
    source.stop().await;
    wait_for_free_slot(case).await;
    let position = source.offset.as_mut().unwrap();
    std::sync::Arc::make_mut(&mut position.offset).insert(member.to_owned(), value);
    let error = source.start().await.expect_err("the position is another server's");
    assert!(error.message.contains(message), "{error}");
    assert!(error.hint.as_deref().unwrap_or_default().contains("trust_slot"), "{error}");
    source.configure("offset.mismatch.strategy", "trust_slot");
    source.start().await.unwrap();
    session.batch_execute("INSERT INTO a VALUES (2)").await.unwrap();
    source.until(2).await.unwrap();
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_another_server_are_refused() {
    refused("of_another", "tidegate_server", "1/1".into(), "system identifier 1,").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_behind_the_end_of_the_wal_are_refused() {
    refused("of_a_later", "lsn_commit", (1_u64 << 40).into(), "behind the end of the server's WAL").await;
}
