//! What `tidegate dlq` prints: the worker's REST API does the work.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::cli::{DlqVerb, Which};

/// Asks the worker and prints its answer.
///
/// # Errors
/// No answer, or a refusal.
pub async fn run(url: &str, as_json: bool, verb: DlqVerb) -> Result<ExitCode> {
    let base = |connector: &str| {
        let url = url.trim_end_matches('/');
        format!("{url}/tidegate/connectors/{}/dead-letters", encoded(connector))
    };
    let (answer, print): (Value, fn(&Value, Traces) -> ExitCode) = match &verb {
        DlqVerb::List { connector } => (get(&base(connector)).await?, print_groups),
        DlqVerb::Show { connector, which, limit, .. } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(which.at.iter().map(|at| ("at", at.clone())));
            query.extend(filters(which).into_iter().map(|(key, value)| (key, value.to_owned())));
            let query: Vec<String> =
                query.into_iter().map(|(key, value)| format!("{key}={}", encoded(&value))).collect();
            (get(&format!("{}/records?{}", base(connector), query.join("&"))).await?, print_letters)
        }
        DlqVerb::Replay { connector, which, all, limit, force, dry_run, timeout_ms } => {
            let mut body = Map::new();
            body.insert("at".to_owned(), json!(which.at));
            body.extend(filters(which).into_iter().map(|(key, value)| (key.to_owned(), json!(value))));
            body.insert("all".to_owned(), json!(all));
            body.insert("limit".to_owned(), json!(limit));
            body.insert("force".to_owned(), json!(force));
            body.insert("dry_run".to_owned(), json!(dry_run));
            body.insert("timeout_ms".to_owned(), json!(timeout_ms));
            (post(&format!("{}/replay", base(connector)), &Value::Object(body)).await?, print_replayed)
        }
    };
    let traces = match verb {
        DlqVerb::Show { trace: true, .. } => Traces::Shown,
        _ => Traces::Hidden,
    };
    if as_json {
        println!("{answer:#}");
        return Ok(exit_code(&answer));
    }
    Ok(print(&answer, traces))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Traces {
    Shown,
    Hidden,
}

fn filters(which: &Which) -> Vec<(&'static str, &str)> {
    let given = [
        ("group", &which.group),
        ("stage", &which.stage),
        ("exception", &which.exception),
        ("topic", &which.topic),
        ("contains", &which.contains),
    ];
    given.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect()
}

async fn get(url: &str) -> Result<Value> {
    answer(url, reqwest::Client::new().get(url)).await
}

async fn post(url: &str, body: &Value) -> Result<Value> {
    answer(url, reqwest::Client::new().post(url).json(body)).await
}

async fn answer(url: &str, request: reqwest::RequestBuilder) -> Result<Value> {
    let response =
        request.send().await.with_context(|| format!("no answer from {url} (--url says where)"))?;
    let status = response.status();
    let body: Value = response.json().await.with_context(|| format!("{url} answered no JSON ({status})"))?;
    if !status.is_success() {
        bail!("{}", text(&body["message"]));
    }
    Ok(body)
}

fn print_groups(answer: &Value, _: Traces) -> ExitCode {
    println!("{}: {} records", text(&answer["topic"]), answer["records"]);
    for group in list(&answer["groups"]) {
        let replayed = &group["replayed"];
        let replayed: Vec<String> = ["applied", "refused", "unknown"]
            .into_iter()
            .filter(|word| replayed[word] != json!(0))
            .map(|word| format!("{} {word}", replayed[word]))
            .collect();
        let replayed =
            if replayed.is_empty() { String::new() } else { format!("  replayed: {}", replayed.join(", ")) };
        println!();
        println!("{}  {} records{replayed}", text(&group["id"]), group["records"]);
        if text(&group["stage"]).is_empty() {
            println!("  without context headers");
        } else {
            println!("  {} from {}", text(&group["stage"]), text(&group["topic"]));
            println!("  {}: {}", text(&group["exception"]), text(&group["message"]));
            println!("  e.g. {}", text(&group["example"]));
        }
        println!("  from {} to {}", text(&group["first"]["at"]), text(&group["last"]["at"]));
    }
    match answer["ungrouped"].as_u64() {
        None | Some(0) => {}
        Some(count) => println!("\n{count} records of other groups"),
    }
    ExitCode::SUCCESS
}

fn print_letters(answer: &Value, traces: Traces) -> ExitCode {
    for letter in list(&answer["records"]) {
        println!("{}  group {}", text(&letter["at"]), text(&letter["group"]));
        if let Some(state) = letter["replayed"]["state"].as_str() {
            println!("  replayed: {state} {}", text(&letter["replayed"]["error"]));
        }
        let error = &letter["error"];
        if error.is_object() {
            let (topic, partition, offset) = (text(&error["topic"]), &error["partition"], &error["offset"]);
            println!("  record: {topic} partition {partition} offset {offset}");
            println!("  {} in {}", text(&error["stage"]), text(&error["class"]));
            println!("  {}: {}", text(&error["exception"]), text(&error["message"]));
            if traces == Traces::Shown {
                println!("  {}", text(&error["stacktrace"]).replace('\n', "\n  "));
            }
        }
        for header in list(&letter["headers"]) {
            println!("  header {}: {}", text(&header["key"]), part(&header["value"]));
        }
        println!("  key: {}", part(&letter["key"]));
        println!("  value: {}", part(&letter["value"]));
        println!();
    }
    ExitCode::SUCCESS
}

fn print_replayed(answer: &Value, _: Traces) -> ExitCode {
    for record in list(&answer["records"]) {
        let why = match (record["error"].as_str(), record["before"]["state"].as_str()) {
            (Some(error), _) => format!(": {error}"),
            (None, Some("sending")) => {
                ": sent before, and how that ended is not known (--force sends it again)".to_owned()
            }
            (None, Some(state)) => format!(": {state} before (--force sends it again)"),
            (None, None) => String::new(),
        };
        println!("{:<9} {}{why}", text(&record["outcome"]), text(&record["at"]));
    }
    let counts = answer["counts"].as_object();
    let counts: Vec<String> = counts
        .into_iter()
        .flatten()
        .filter(|(_, count)| **count != json!(0))
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    println!("{}", if counts.is_empty() { "nothing is selected".to_owned() } else { counts.join(", ") });
    exit_code(answer)
}

/// Whether all that was to be done is done.
fn exit_code(answer: &Value) -> ExitCode {
    let failed = |word: &str| answer["counts"][word].as_u64().is_some_and(|count| count > 0);
    if ["refused", "unknown", "already"].into_iter().any(failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// A key, value or header: what the converter made of it, else its text, else base64.
fn part(value: &Value) -> String {
    match (value.get("text"), value.get("decoded"), value.get("base64")) {
        (Some(text), ..) => text.as_str().unwrap_or_default().to_owned(),
        (None, Some(decoded), _) => decoded.to_string(),
        (None, None, Some(base64)) => format!("base64 {}", text(base64)),
        _ => "null".to_owned(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn encoded(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(byte);
    text.bytes()
        .map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
