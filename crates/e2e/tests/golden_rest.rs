//! What Kafka Connect's REST API answered, scenario by scenario, against what ours answers (golden/README-connect.md,
//! "rest/": status, error_code, keys and their order, types, states; not texts, times and positions).
//!
//! `TIDEGATE_GOLDEN` is the folder of recordings, `TIDEGATE_CASES` a comma list of scenarios.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions};
use e2e::rest::Rest;
use e2e::worker::{Worker, WorkerOptions};
use reqwest::Method;
use serde_json::Value;

/// In the order in which they build on each other.
const SCENARIOS: [&str; 11] = [
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
    "delete",
];
/// The recorder waited for states to settle; so do we.
const SETTLE: Duration = Duration::from_secs(20);
/// Answers that deviations.md decides otherwise, as scenario, method, path and body's beginning.
const DEVIATIONS: [(&str, &str, &str); 7] = [
    ("offsets_sink", "PATCH", r#""kafka_topic":5"#),
    ("offsets_source", "PATCH", r#"{"offsets":[{"offset":{"a":1}}]}"#),
    ("offsets_sink", "PATCH", r#""kafka_topic":"no.such.topic""#),
    ("offsets_sink", "PATCH", r#""kafka_offset":-1"#),
    ("offsets_sink", "PATCH", r#""kafka_partition":-1"#),
    ("offsets_sink", "PATCH", r#""kafka_partition":7"#),
    ("offsets_sink", "PATCH", r#""kafka_partition":99"#),
];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    match runtime.block_on(run()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("golden_rest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<usize> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let golden = std::env::var_os("TIDEGATE_GOLDEN").map_or_else(|| project.join("golden"), PathBuf::from);
    let wanted = std::env::var("TIDEGATE_CASES").ok();
    let dir = tempfile::Builder::new().prefix("golden-rest").tempdir_in("/var/tmp")?;
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    let options = ClusterOptions { port: ports::free(), settings: &[] };
    let cluster = Cluster::create(&dir.path().join("postgres"), &options).await?;
    cluster.database("rest_golden", "").await?;
    let client = cluster.connect("rest_golden").await?;
    client
        .batch_execute(
            "CREATE TABLE t1 (id int PRIMARY KEY, v text); INSERT INTO t1 VALUES (1, 'a'), (2, 'b')",
        )
        .await?;
    let settings = vec!["offset.flush.interval.ms=500".to_owned()];
    let worker =
        Worker::start(&dir.path().join("worker"), &WorkerOptions { settings, ..WorkerOptions::default() })
            .await?;
    let (mut passed, mut failed) = (0, 0);
    for scenario in SCENARIOS {
        if wanted.as_ref().is_some_and(|wanted| !wanted.split(',').any(|name| name.trim() == scenario)) {
            continue;
        }
        let file = golden.join("rest").join(format!("{scenario}.json"));
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let recorded: Value = serde_json::from_str(&text.replace("5442", &cluster.port.to_string()))?;
        let steps =
            recorded.as_array().or_else(|| recorded["steps"].as_array()).context("a scenario has steps")?;
        for (number, step) in steps.iter().enumerate() {
            // The recorder asked for the topics before its reset had come into force, and for the state of a deleted
            // connector before that was gone.
            let before = number.checked_sub(1).map(|before| &steps[before]["request"]);
            let path_is =
                |request: &Value, end: &str| request["path"].as_str().is_some_and(|path| path.ends_with(end));
            let is_early = before.is_some_and(|before| path_is(before, "/topics/reset"))
                || (scenario == "delete" && path_is(&step["request"], "/status"));
            if is_early || concerns_others(step) || deviates(scenario, step) {
                continue;
            }
            match play(&worker.rest, step).await? {
                None => passed += 1,
                Some(difference) => {
                    failed += 1;
                    let request = &step["request"];
                    println!(
                        "{scenario} step {}: {} {}: {difference}",
                        number + 1,
                        request["method"],
                        request["path"]
                    );
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

/// Steps on connectors that are not ours (Kafka's file connectors, plug-ins of others).
fn concerns_others(step: &Value) -> bool {
    let text = step.to_string();
    ["FileStream", "rg-file"].iter().any(|name| text.contains(name)) && !text.contains("\"/connector-plugins")
}

fn deviates(scenario: &str, step: &Value) -> bool {
    let body = step["request"]["body"].to_string();
    DEVIATIONS.iter().any(|(name, method, part)| {
        *name == scenario && step["request"]["method"] == *method && body.contains(part)
    })
}

/// Asks until the answer fits, or the time is over; changes are asked once.
async fn play(rest: &Rest, step: &Value) -> Result<Option<String>> {
    let request = &step["request"];
    let method: Method = request["method"].as_str().context("a method")?.parse()?;
    let path = request["path"].as_str().context("a path")?;
    let deadline = Instant::now() + SETTLE;
    loop {
        let (status, headers, body) = ask(rest, &method, path, request).await?;
        let difference = differs(&step["response"], status, &headers, &body);
        let again = method == Method::GET && difference.is_some() && Instant::now() < deadline;
        if !again {
            return Ok(difference);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn ask(
    rest: &Rest,
    method: &Method,
    path: &str,
    request: &Value,
) -> Result<(u16, reqwest::header::HeaderMap, Value)> {
    let client = reqwest::Client::new();
    let mut call =
        client.request(method.clone(), format!("{}{path}", rest.base())).timeout(Duration::from_secs(60));
    if let Some(text) = request["body_text"].as_str() {
        let content_type = request["content_type"].as_str().unwrap_or("application/json");
        call = call.header("content-type", content_type).body(text.to_owned());
    } else if !request["body"].is_null() {
        call = call.json(&request["body"]);
    }
    let response = call.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    Ok((
        status,
        headers,
        serde_json::from_str(&text).unwrap_or(if text.is_empty() { Value::Null } else { text.into() }),
    ))
}

fn differs(
    recorded: &Value,
    status: u16,
    headers: &reqwest::header::HeaderMap,
    body: &Value,
) -> Option<String> {
    if recorded["status"] != status {
        return Some(format!("status {status} instead of {}; {body}", recorded["status"]));
    }
    for name in ["content-type", "location"] {
        let (wanted, got) = (recorded["headers"].get(name).is_some(), headers.contains_key(name));
        if wanted != got {
            return Some(format!("header {name}: {got} instead of {wanted}"));
        }
    }
    if recorded["body"].get("text").is_some() {
        return None;
    }
    shape("", &recorded["body"], body)
}

/// Members whose text counts; of all others only the type does.
const EXACT: [&str; 8] = ["state", "type", "name", "connector", "error_code", "task", "id", "status"];

fn shape(path: &str, recorded: &Value, seen: &Value) -> Option<String> {
    match (recorded, seen) {
        (Value::Object(recorded), Value::Object(seen)) => {
            // A version is part of the classes' jars, a trace of the failure's kind.
            // Keys of a task's configuration that share a bucket of Java's map stand in the order of a map that is
            // not shown anywhere.
            let keys = |map: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = map.keys().cloned().collect();
                if map.contains_key("task.class") {
                    keys.sort();
                }
                keys
            };
            // An idle database's position follows keep-alives, so the offset is the stream's sooner.
            if path.ends_with("/offset") && recorded.contains_key("lsn") && seen.contains_key("lsn") {
                return None;
            }
            if keys(recorded) != keys(seen) {
                return Some(format!("{path}: members {:?} instead of {:?}", keys(seen), keys(recorded)));
            }
            recorded.iter().find_map(|(key, value)| {
                let member = &seen[key];
                if EXACT.contains(&key.as_str()) && !value.is_object() && value != member {
                    return Some(format!("{path}/{key}: {member} instead of {value}"));
                }
                shape(&format!("{path}/{key}"), value, member)
            })
        }
        (Value::Array(recorded), Value::Array(seen)) => {
            // The list of plug-ins depends on what is built in.
            let plugins = recorded.first().is_some_and(|first| first.get("class").is_some());
            if recorded.len() != seen.len() && !plugins {
                return Some(format!("{path}: {} entries instead of {}", seen.len(), recorded.len()));
            }
            let shown = if plugins { 1 } else { recorded.len() };
            (0..shown.min(seen.len())).find_map(|at| {
                let (mut recorded, mut seen) = (recorded[at].clone(), seen[at].clone());
                if plugins {
                    for one in [&mut recorded, &mut seen] {
                        one["type"] = Value::Null;
                    }
                }
                shape(&format!("{path}/{at}"), &recorded, &seen)
            })
        }
        (recorded, seen) => {
            let same = std::mem::discriminant(recorded) == std::mem::discriminant(seen);
            (!same).then(|| format!("{path}: {seen} instead of {recorded}"))
        }
    }
}
