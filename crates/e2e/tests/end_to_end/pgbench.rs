//! Input that is not of our making: pgbench's tables and its load.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::postgres::{PASSWORD, USER};
use serde_json::json;
use tokio::process::Command;

use crate::setup::{Kind, Parts, Rig, bootstrap, on_both_brokers, wait_until_equal};

on_both_brokers!(pgbench_is_replicated);

const EQUAL_WITHIN: Duration = Duration::from_secs(180);
/// `./test --all` asks for a minute.
const SECONDS: &str = "15";
/// Those with primary keys.
const TABLES: [&str; 3] = ["pgbench_branches", "pgbench_tellers", "pgbench_accounts"];
/// Has none: a sink of its own inserts its rows.
const HISTORY: &str = "pgbench_history";

async fn pgbench_is_replicated(kind: Kind) -> Result<()> {
    let parts = Parts { bootstrap: bootstrap(kind).await?, ..Parts::default() };
    let rig = Rig::without_tables("pgbench", parts).await?;
    pgbench(&rig, "source_db", &["--initialize", "--quiet", "--foreign-keys"]).await?;
    pgbench(&rig, "sink_db", &["--initialize", "--init-steps=dtpf", "--foreign-keys"]).await?;
    let mut source = rig.source_connector();
    source["config"]["table.include.list"] = json!("public.pgbench_.*");
    let mut sink = rig.sink_connector();
    sink["config"]["topics"] = json!(TABLES.map(|table| rig.topic(table)).join(","));
    let mut history = rig.sink_connector();
    history["name"] = json!(format!("{}-history", rig.sink_name()));
    let options = [("insert.mode", "insert"), ("pk.mode", "none"), ("delete.enabled", "false")];
    for (key, value) in options.into_iter().chain([("topics", &*rig.topic(HISTORY))]) {
        history["config"][key] = json!(value);
    }
    for connector in [&source, &sink, &history] {
        rig.worker.rest.create(connector).await?;
    }
    rig.wait_until_running().await?;
    let seconds = std::env::var("TIDEGATE_PGBENCH_SECONDS").unwrap_or_else(|_| SECONDS.to_owned());
    pgbench(&rig, "source_db", &["--client=4", &format!("--time={seconds}")]).await?;
    let tables: Vec<_> = TABLES.into_iter().chain([HISTORY]).map(|table| (table, table)).collect();
    wait_until_equal(&rig.source, &rig.sink, &tables, EQUAL_WITHIN)
        .await
        .with_context(|| rig.worker.log_text())?;
    rig.nothing_was_rejected().await
}

async fn pgbench(rig: &Rig, database: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(rig.cluster.program("pgbench"));
    command.env("PGPASSWORD", PASSWORD).args([
        "-h",
        "127.0.0.1",
        "-p",
        &rig.cluster.port.to_string(),
        "-U",
        USER,
    ]);
    let output =
        command.args(arguments).arg(database).kill_on_drop(true).output().await.context("run pgbench")?;
    ensure!(output.status.success(), "pgbench {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
