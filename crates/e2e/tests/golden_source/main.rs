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

/// What this version answers for.
const DEFAULT_CASES: &str = "seed_*,types_default_*,types_decimal_*,types_time_adaptive*,types_time_connect*,\
    replica_identity*,toast,truncate*,key_types,partitioned_leaves,table_kinds,filter_*,heartbeat,offsets_initial,\
    snapshot_mode_initial,snapshot_mode_no_data,snapshot_mode_initial_only,names_ugly,database_latin1,\
    server_settings,schema_change,replication_origin";

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
    let wanted = Wanted::new(DEFAULT_CASES);
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .with_context(|| format!("read {}", dir.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| dir.join(name).join("case.json").exists() && wanted.has(name))
        .collect();
    names.sort();
    wanted.check(names.len())?;
    names.iter().map(|name| Case::read(&dir.join(name))).collect()
}
