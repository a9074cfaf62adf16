//! kill -9 at the worst moment: nothing is lost, and both sides end equal.

use std::time::Duration;

use anyhow::Result;
use tokio_postgres::Client;

use crate::setup::{Kind, Rig, on_both_brokers};

on_both_brokers!(killed_in_the_middle_of_the_initial_snapshot_under_load, killed_while_streaming,);

const EQUAL_WITHIN: Duration = Duration::from_secs(180);

/// Inserts, updates, deletes of parents and children, `count` transactions.
pub async fn write(client: &Client, count: i32) -> Result<()> {
    for n in 0..count {
        client
            .batch_execute(&format!(
                "BEGIN;
                 INSERT INTO users (name) VALUES ('u{n}');
                 INSERT INTO posts (user_id, title, price) SELECT max(id), 'p{n}', {n} / 3.0 FROM users;
                 INSERT INTO comments (post_id, user_id, body) SELECT max(id), max(user_id), 'c{n}' FROM posts;
                 COMMIT;
                 UPDATE users SET name = name || '!', updated_at = now() WHERE id = (SELECT min(id) + {n} % 7 FROM users);"
            ))
            .await?;
        if n % 5 == 0 {
            client.batch_execute("DELETE FROM users WHERE id = (SELECT min(id) FROM users)").await?;
        }
    }
    Ok(())
}

/// The reference loses deletes when it is killed here (deviations: "killed during the initial snapshot").
async fn killed_in_the_middle_of_the_initial_snapshot_under_load(kind: Kind) -> Result<()> {
    let mut rig = Rig::start("crash-snapshot", kind).await?;
    rig.source
        .batch_execute(
            "INSERT INTO users (name) SELECT repeat('x', 200) || n FROM generate_series(1, 25000) n;
             INSERT INTO posts (user_id, title) SELECT n, 'p' || n FROM generate_series(1, 25000) n;",
        )
        .await?;
    rig.worker.rest.create(&rig.source_connector()).await?;
    rig.worker.rest.create(&rig.sink_connector()).await?;
    let writer = rig.cluster.connect("source_db").await?;
    let writing = tokio::spawn(async move { write(&writer, 300).await });
    for _ in 0..3 {
        // The worst moment is any: three different ones of the snapshot and what follows it.
        tokio::time::sleep(Duration::from_millis(400)).await;
        rig.worker.kill()?;
        rig.worker.restart().await?;
    }
    writing.await??;
    rig.wait_until_equal(EQUAL_WITHIN).await
}

async fn killed_while_streaming(kind: Kind) -> Result<()> {
    let mut rig = Rig::start("crash-stream", kind).await?;
    rig.worker.rest.create(&rig.source_connector()).await?;
    rig.worker.rest.create(&rig.sink_connector()).await?;
    rig.worker.rest.wait_for_state(&rig.sink_name(), "RUNNING").await?;
    let writer = rig.cluster.connect("source_db").await?;
    let writing = tokio::spawn(async move { write(&writer, 800).await });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        rig.worker.kill()?;
        rig.worker.restart().await?;
    }
    writing.await??;
    rig.wait_until_equal(EQUAL_WITHIN).await
}
