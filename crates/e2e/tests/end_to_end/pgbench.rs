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
/// Those with primary keys; the fourth one has none.
const TABLES: [&str; 3] = ["pgbench_branches", "pgbench_tellers", "pgbench_accounts"];

async fn pgbench_is_replicated(kind: Kind) -> Result<()> {
    let parts = Parts { bootstrap: bootstrap(kind).await?, ..Parts::default() };
    let rig = Rig::without_tables("pgbench", parts).await?;
    pgbench(&rig, "source_db", &["--initialize", "--quiet", "--foreign-keys"]).await?;
    pgbench(&rig, "sink_db", &["--initialize", "--init-steps=dtpf", "--foreign-keys"]).await?;
    let mut source = rig.source_connector();
    source["config"]["table.include.list"] = json!(TABLES.map(|table| format!("public.{table}")).join(","));
    let mut sink = rig.sink_connector();
    sink["config"]["topics"] = json!(TABLES.map(|table| rig.topic(table)).join(","));
    rig.worker.rest.create(&source).await?;
    rig.worker.rest.create(&sink).await?;
    rig.wait_until_running().await?;
    let seconds = std::env::var("TIDEGATE_PGBENCH_SECONDS").unwrap_or_else(|_| SECONDS.to_owned());
    pgbench(&rig, "source_db", &["--client=4", &format!("--time={seconds}")]).await?;
    let tables = TABLES.map(|table| (table, table));
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
