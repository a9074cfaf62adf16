//! What Kafka Connect's REST API answered, scenario by scenario, against what ours answers (golden/README-connect.md,
//! "rest/": status, error_code, keys and their order, types, states; not texts, times and positions), and the records
//! of a dead letter queue.
//!
//! `TIDEGATE_GOLDEN` is the folder of recordings (default: the project's), the command line a list of scenarios; those
//! on which they build are played as well.

mod step; // one request and its answer
mod shape; // what counts of an answer
mod dead_letters; // the records of the queue

use std::process::ExitCode;

use anyhow::{Context, Result};
use e2e::golden::{Outcome, Report, Wanted, clean_up, folder, scratch};
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions, PASSWORD, USER};
use e2e::rest::Rest;
use e2e::worker::{Worker, WorkerOptions};
use serde_json::json;

/// In the order in which they build on each other.
const SCENARIOS: [&str; 12] = [
    "root",
    "plugins",
    "create_source",
    "create_sink",
    "restart",
    "pause_resume_stop_source",
    "offsets_source",
    "offsets_sink",
    "topics",
    "failed_task",
    "dead_letter",
    "delete",
];
/// Kafka's file connector, which scenarios that are not ours made; it is another one here.
const FILE_CONNECTOR: &str = "rg-file";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    runtime.block_on(run()).unwrap_or_else(|error| {
        eprintln!("golden_rest: {error:#}");
        ExitCode::FAILURE
    })
}

/// A database, and a worker.
struct Rig {
    cluster: Cluster,
    worker: Worker,
}

async fn run() -> Result<ExitCode> {
    let wanted = Wanted::new("");
    let chosen: Vec<(&str, bool)> = SCENARIOS
        .into_iter()
        .filter(|scenario| folder().join(format!("rest/{scenario}.json")).exists())
        .map(|scenario| (scenario, wanted.has(scenario)))
        .collect();
    wanted.check(chosen.iter().filter(|(_, is_wanted)| *is_wanted).count())?;
    let last = chosen.iter().rposition(|(_, is_wanted)| *is_wanted).unwrap_or_default();
    let dir = scratch("golden-rest")?;
    let options = ClusterOptions { port: ports::free(), settings: &[] };
    let cluster = Cluster::create(&dir.path().join("postgres"), &options).await?;
    cluster.database("rest_golden", "").await?;
    let client = cluster.connect("rest_golden").await?;
    let tables = "CREATE TABLE t1 (id int PRIMARY KEY, v text); INSERT INTO t1 VALUES (1, 'a'), (2, 'b')";
    client.batch_execute(tables).await?;
    let options = WorkerOptions {
        settings: vec!["offset.flush.interval.ms=500".to_owned()],
        ..WorkerOptions::default()
    };
    let worker = Worker::start(&dir.path().join("worker"), &options).await?;
    clean_up(&dir, &worker)?;
    let rig = Rig { cluster, worker };
    let mut report = Report::new("golden_rest");
    for (scenario, is_wanted) in chosen.into_iter().take(last + 1) {
        let entered = play(&rig, scenario).await.with_context(|| scenario.to_owned())?;
        for (name, outcome) in entered.into_iter().filter(|_| is_wanted) {
            report.enter(&name, outcome);
        }
    }
    Ok(report.finish())
}

/// Plays a scenario; an outcome for each step.
async fn play(rig: &Rig, scenario: &str) -> Result<Vec<(String, Outcome)>> {
    let text = std::fs::read_to_string(folder().join(format!("rest/{scenario}.json")))?;
    let text = text.replace("5442", &rig.cluster.port.to_string());
    let recorded: serde_json::Value = serde_json::from_str(&text)?;
    let steps =
        recorded.as_array().or_else(|| recorded["steps"].as_array()).context("a scenario has steps")?;
    if text.contains(FILE_CONNECTOR) {
        make_file_connector(&rig.worker.rest, rig.cluster.port).await?;
    }
    let mut outcomes = vec![];
    for (number, step) in steps.iter().enumerate() {
        let request = &step["request"];
        let path = request["path"].as_str().unwrap_or_default();
        let name = format!(
            "{scenario} step {}: {} {path}",
            number + 1,
            request["method"].as_str().unwrap_or_default()
        );
        outcomes.push((name, step::play(&rig.worker.rest, step, &steps[..number]).await?));
    }
    if scenario == "dead_letter" {
        let found = dead_letters::compare(&rig.worker.bootstrap).await?;
        outcomes.push(("dead_letter records".to_owned(), found.map_or(Outcome::Equal, Outcome::Different)));
    }
    Ok(outcomes)
}

async fn make_file_connector(rest: &Rest, port: u16) -> Result<()> {
    if rest.get(&format!("/connectors/{FILE_CONNECTOR}")).await?.status == 200 {
        return Ok(());
    }
    let config = json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "tasks.max": "1",
        "database.hostname": "127.0.0.1", "database.port": port.to_string(), "database.dbname": "rest_golden",
        "database.user": USER, "database.password": PASSWORD, "topic.prefix": "file", "slot.name": "file",
        "publication.name": "file", "snapshot.mode": "no_data",
    });
    rest.create(&json!({ "name": FILE_CONNECTOR, "config": config })).await?;
    rest.wait_for_state(FILE_CONNECTOR, "RUNNING").await
}
