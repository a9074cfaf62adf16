//! What the Debezium JDBC sink made of records, case by case, against what ours makes of them: tables, rows, and
//! whether the task failed and with which SQLSTATE.
//!
//! `TIDEGATE_GOLDEN` is the folder of recordings (default: the project's), the command line a list of cases. Where a
//! row of docs/compatibility.md says that we differ, our own ending is pinned in `tests/deviations/sink.jsonl`
//! (`UPDATE_EXPECT=1` renews it); it holds for a case only as long as that case is the one that was pinned.

mod case; // one case: its tables, topics and connector
mod ending; // what a case ended with
mod decided; // differences that are meant
mod pinned; // our own endings of such cases

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::golden::{Outcome, Report, Wanted, clean_up, folder, scratch};
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions};
use e2e::worker::{Worker, WorkerOptions};
use futures::StreamExt as _;
use kafka::{Admin, ClientSettings, Producer};
use tokio::sync::Mutex;

use case::Case;
use pinned::Pinned;

/// Connectors at once: more only wait for the cores.
const CASES_AT_ONCE: usize = 24;

/// What the cases share.
pub struct Rig {
    pub cluster: Cluster,
    pub worker: Worker,
    pub admin: Admin,
    pub producer: Producer,
    /// Those that no case uses now.
    pub databases: Mutex<Vec<String>>,
}

/// Cases that need what is still missing, by name, and what that is.
const NOT_YET: [(&str, &str); 0] = [];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    runtime.block_on(run()).unwrap_or_else(|error| {
        eprintln!("golden_sink: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    let cases = selected()?;
    let dir = scratch("golden-sink")?;
    let options = ClusterOptions { port: ports::free(), settings: &[] };
    let cluster = Cluster::create(&dir.path().join("postgres"), &options).await?;
    let databases: Vec<String> =
        (0..CASES_AT_ONCE.min(cases.len())).map(|number| format!("target_{number}")).collect();
    for database in &databases {
        cluster.database(database, "TEMPLATE template0").await?;
    }
    let options = WorkerOptions {
        settings: vec!["offset.flush.interval.ms=200".to_owned()],
        ..WorkerOptions::default()
    };
    let worker = Worker::start(&dir.path().join("worker"), &options).await?;
    clean_up(&dir, &worker)?;
    // The records of one put arrive together when they were sent together.
    let settings =
        ClientSettings::new([("bootstrap.servers", worker.bootstrap.as_str()), ("linger.ms", "20")]);
    let rig = Arc::new(Rig {
        cluster,
        worker,
        admin: Admin::new(&settings)?,
        producer: Producer::new(&settings)?,
        databases: Mutex::new(databases),
    });
    let mut endings = futures::stream::iter(cases.into_iter().map(|case| {
        let rig = rig.clone();
        async move { (case.run(&rig).await, case) }
    }))
    .buffer_unordered(CASES_AT_ONCE);
    let mut found = BTreeMap::new();
    while let Some((ending, case)) = endings.next().await {
        found.insert(case.name().to_owned(), (case, ending));
    }
    let mut pinned = Pinned::read()?;
    let mut report = Report::new("golden_sink");
    for (name, (case, ending)) in found {
        let outcome = match ending {
            Ok(ending) => judge(&case, ending, &mut pinned),
            Err(error) => Outcome::Different(format!("{error:#}")),
        };
        report.enter(&name, known(&name, outcome));
    }
    pinned.write_when_asked()?;
    Ok(report.finish())
}

fn selected() -> Result<Vec<Case>> {
    let wanted = Wanted::new("");
    let dir = folder().join("sink");
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .with_context(|| format!("read {}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    let mut cases = vec![];
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let case = Case::parse(line).with_context(|| format!("a case of {}", file.display()))?;
            if wanted.has(case.name()) {
                cases.push(case);
            }
        }
    }
    wanted.check(cases.len())?;
    Ok(cases)
}

fn judge(case: &Case, found: ending::Ending, pinned: &mut Pinned) -> Outcome {
    let expected = case.expected();
    let Some(difference) = expected.difference(&found) else { return Outcome::Equal };
    let Some(row) = decided::row(case, &expected, &found) else { return Outcome::Different(difference) };
    match pinned.check(case, row, found) {
        None => Outcome::Decided(vec![row]),
        Some(difference) => Outcome::Different(format!("not as pinned ({row}): {difference}")),
    }
}

fn known(name: &str, outcome: Outcome) -> Outcome {
    let reason = NOT_YET.iter().find(|(case, _)| *case == name).map(|(_, reason)| *reason);
    match (outcome, reason) {
        (Outcome::Different(_), Some(reason)) => Outcome::NotYet(reason),
        (outcome, _) => outcome,
    }
}
