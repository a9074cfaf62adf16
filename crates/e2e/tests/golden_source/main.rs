//! What the Debezium connector wrote, case by case, against what ours writes: byte by byte after masking.
//!
//! `TIDEGATE_GOLDEN` is the folder of recordings (default: the project's), `TIDEGATE_CASES` a comma list of case names
//! or `prefix*` (default: what this version answers for).

mod case; // one case: its files and steps
mod mask; // fields that change from run to run
mod compare; // the first difference

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
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
    /// Our own expectation for cases in which the reference is wrong.
    pub deviations: PathBuf,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    match runtime.block_on(run()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("golden_source: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the cases; returns how many differ.
async fn run() -> Result<usize> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let golden = std::env::var_os("TIDEGATE_GOLDEN").map_or_else(|| project.join("golden"), PathBuf::from);
    let cases = selected(&golden.join("source"))?;
    let dir = tempfile::Builder::new().prefix("golden-source").tempdir_in("/var/tmp")?;
    open_to_all(dir.path())?;
    let settings = ["max_replication_slots = 400", "max_wal_senders = 60", "max_connections = 300"];
    let cluster = Cluster::create(
        &dir.path().join("postgres"),
        &ClusterOptions { port: ports::free(), settings: &settings },
    )
    .await?;
    let options = WorkerOptions {
        settings: vec!["offset.flush.interval.ms=1000".to_owned()],
        ..WorkerOptions::default()
    };
    let worker = Worker::start(&dir.path().join("worker"), &options).await?;
    let rig =
        Arc::new(Rig { cluster, worker, deviations: project.join("crates/e2e/tests/deviations/source") });
    let total = cases.len();
    let mut results = futures::stream::iter(cases.into_iter().map(|case| {
        let rig = rig.clone();
        async move {
            let outcome = case.run(&rig).await;
            (case.name, outcome)
        }
    }))
    .buffer_unordered(CASES_AT_ONCE);
    let (mut passed, mut failed) = (0, 0);
    while let Some((name, outcome)) = results.next().await {
        match outcome {
            Ok(None) => passed += 1,
            Ok(Some(difference)) => {
                failed += 1;
                println!("{name}: {difference}");
            }
            Err(error) => {
                failed += 1;
                println!("{name}: {error:#}");
            }
        }
    }
    println!("golden_source: {total} cases");
    println!("{passed} passed, {failed} failed");
    if std::env::var_os("TIDEGATE_KEEP_LOG").is_some() {
        eprintln!("{}", rig.worker.log_text());
    }
    Ok(failed)
}

fn selected(dir: &Path) -> Result<Vec<Case>> {
    let wanted = std::env::var("TIDEGATE_CASES").unwrap_or_else(|_| DEFAULT_CASES.to_owned());
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .with_context(|| format!("read {}", dir.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| dir.join(name).join("case.json").exists())
        .filter(|name| {
            wanted.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == pattern,
            })
        })
        .collect();
    names.sort();
    names.iter().map(|name| Case::read(&dir.join(name))).collect()
}

/// The server may run as another user than we.
fn open_to_all(dir: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?)
}
