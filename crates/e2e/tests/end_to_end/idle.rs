//! Databases in which nothing happens: the slot must not keep WAL all the same.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::eventually::eventually;
use tokio_postgres::Client;

use crate::setup::{Kind, Rig, on_both_brokers};

on_both_brokers!(the_slot_follows_what_others_write, a_slot_of_somebody_else_is_named);

async fn confirmed_behind(client: &Client) -> Result<i64> {
    let sql = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint FROM pg_replication_slots \
               WHERE slot_name = 'dbz_replication_slot'";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// Nothing is written to the captured database: only another one is busy, then none.
async fn the_slot_follows_what_others_write(kind: Kind) -> Result<()> {
    let rig = Rig::start("idle", kind).await?;
    let mut source = rig.source_connector();
    source["config"]["status.update.interval.ms"] = serde_json::json!("1000");
    rig.worker.rest.create(&source).await?;
    rig.worker.rest.wait_for_state(&rig.source_name(), "RUNNING").await?;
    let other = rig.cluster.connect("sink_db").await?;
    other.batch_execute("CREATE TABLE busy (filler text)").await?;
    for _ in 0..3 {
        let fill = "INSERT INTO busy SELECT repeat('x', 500) FROM generate_series(1, 20000)";
        other.batch_execute(fill).await?;
        let behind = confirmed_behind(&other).await?;
        ensure!(behind > 5_000_000, "the other database wrote, the slot is only {behind} bytes behind");
        eventually("the slot follows", Duration::from_secs(30), || async {
            let behind = confirmed_behind(&other).await?;
            ensure!(behind < 1_000_000, "the slot is {behind} bytes behind");
            Ok(Some(()))
        })
        .await?;
    }
    // And what was confirmed was not too much.
    rig.worker.rest.create(&rig.sink_connector()).await?;
    rig.source.batch_execute("INSERT INTO users (name) VALUES ('at last')").await?;
    rig.wait_until_equal(Duration::from_secs(30)).await
}

/// A slot that somebody else reads: FAILED, with the process that holds it; with that gone, a restart is enough.
async fn a_slot_of_somebody_else_is_named(kind: Kind) -> Result<()> {
    let rig = Rig::start("slot-in-use", kind).await?;
    let mut first = rig.source_connector();
    first["name"] = serde_json::json!("slot-in-use-first");
    rig.worker.rest.create(&first).await?;
    rig.worker.rest.wait_for_state("slot-in-use-first", "RUNNING").await?;
    let pid = eventually("the slot is in use", Duration::from_secs(20), || async {
        let row = rig.source.query_one("SELECT active_pid FROM pg_replication_slots", &[]).await?;
        Ok(row.get::<_, Option<i32>>(0))
    })
    .await?;
    let mut second = rig.source_connector();
    second["config"]["topic.prefix"] = serde_json::json!("another");
    second["config"]["slot.max.retries"] = serde_json::json!("0");
    // Refused at once, or FAILED with the trace in its status.
    let answer = rig.worker.rest.call(reqwest::Method::POST, "/connectors", Some(&second)).await?;
    let text = if answer.status == 201 {
        let path = format!("/connectors/{}/status", rig.source_name());
        eventually("the second reader fails", Duration::from_secs(30), || async {
            let status = rig.worker.rest.get(&path).await?.body;
            let failed = status["tasks"][0]["state"] == "FAILED";
            Ok(failed.then(|| status["tasks"][0]["trace"].to_string()))
        })
        .await?
    } else {
        answer.body.to_string()
    };
    ensure!(text.contains(&pid.to_string()), "{pid} is not named in: {text}");
    ensure!(text.contains(&format!("pg_terminate_backend({pid})")), "no statement in: {text}");
    Ok(())
}
