//! What the Debezium connector wrote, case by case, against what ours writes: byte by byte after masking.
//!
//! `TIDEGATE_GOLDEN` is the folder of recordings (default: the project's), the command line a list of cases (default:
//! what this version answers for). Where a row of docs/compatibility.md says that we differ, a rule of `presence` or
//! `decided` says how, so that other recordings of the same form are judged as well.

mod case; // one case: its files and steps
mod mask; // fields that change from run to run
mod catalogue; // what its tables are
mod presence; // records that are meant to be missing
mod decided; // differences in a record that are meant
mod states; // ends that are meant to differ
mod counts; // what records add up to
mod compare; // the first difference

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::golden::{Outcome, Report, Wanted, clean_up, folder, scratch};
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions};
use e2e::worker::{Worker, WorkerOptions};
use futures::StreamExt as _;

use case::Case;

/// Connectors at once: more only wait for the two cores.
const CASES_AT_ONCE: usize = 8;

/// What this version answers for, of every version of the reference.
const DEFAULT_CASES: &[&str] = &[
    "blocking_*",
    "column_*",
    "converters_*",
    "copy_*",
    "database_*",
    "datatype_*",
    "event_*",
    "extended_*",
    "filter_*",
    "heartbeat",
    "incremental_*",
    "initial_*",
    "key_*",
    "logical_*",
    "message_*",
    "names_*",
    "notifications",
    "offsets_*",
    "partitioned_*",
    "privileges_*",
    "publication_*",
    "replace_*",
    "replica_*",
    "replication_*",
    "schema_change",
    "seed_*",
    "server_*",
    "signal_*",
    "skip_*",
    "slot_*",
    "snapshot_*",
    "table_*",
    "toast*",
    "topic_*",
    "truncate*",
    "tx_*",
    "types_*",
];
/// Beginnings of the names of cases: recordings of 3.6, and of older versions.
const VERSIONS: &[&str] = &["", "v19_", "v25_", "v27_", "v30_"];

/// What the cases share.
pub struct Rig {
    pub cluster: Cluster,
    pub worker: Worker,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    runtime.block_on(run()).unwrap_or_else(|error| {
        eprintln!("golden_source: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    let cases = selected(&folder().join("source"))?;
    let dir = scratch("golden-source")?;
    let settings = ["max_replication_slots = 400", "max_wal_senders = 60", "max_connections = 300"];
    let options = ClusterOptions { port: ports::free(), settings: &settings };
    let cluster = Cluster::create(&dir.path().join("postgres"), &options).await?;
    let options = WorkerOptions {
        settings: vec!["offset.flush.interval.ms=200".to_owned()],
        ..WorkerOptions::default()
    };
    let worker = Worker::start(&dir.path().join("worker"), &options).await?;
    clean_up(&dir, &worker)?;
    let rig = Arc::new(Rig { cluster, worker });
    let mut results = futures::stream::iter(cases.into_iter().map(|case| {
        let rig = rig.clone();
        async move { (case.run(&rig).await, case.name) }
    }))
    .buffer_unordered(CASES_AT_ONCE);
    let mut report = Report::new("golden_source");
    while let Some((outcome, name)) = results.next().await {
        report.enter(&name, outcome.unwrap_or_else(|error| Outcome::Different(format!("{error:#}"))));
    }
    if std::env::var_os("TIDEGATE_KEEP_LOG").is_some() {
        eprintln!("{}", rig.worker.log_text());
    }
    Ok(report.finish())
}

fn selected(dir: &Path) -> Result<Vec<Case>> {
    let named =
        |version: &&str| DEFAULT_CASES.iter().map(|name| format!("{version}{name}")).collect::<Vec<_>>();
    let default: Vec<String> = VERSIONS.iter().flat_map(named).collect();
    let wanted = Wanted::new(&default.join(","));
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .with_context(|| format!("read {}", dir.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| dir.join(name).join("case.json").exists() && wanted.has(name))
        .collect();
    names.sort();
    wanted.check(names.len())?;
    names.iter().map(|name| Case::read(&dir.join(name))).collect()
}
