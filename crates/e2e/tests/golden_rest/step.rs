//! One request and its answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::eventually::eventually;
use e2e::golden::Outcome;
use e2e::rest::Rest;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::shape;

/// The recorder waited for states to settle; so do we.
const SETTLE: Duration = Duration::from_secs(20);
/// How long a restart may take to begin; one that was over sooner than anybody looked is not seen.
const RESTART: Duration = Duration::from_secs(3);
const INVALID: &str = "an unknown class in validate, an unknown topic and a negative offset answer 500";
const OTHER_SERVER: &str = "an offset of another server, of one that was restored to an earlier moment, or of a history that a \
     promoted standby does not have: what is written then is passed over, silently";
const STATUS_GONE: &str = "a status is still shown for a moment after its connector was deleted";
const TOPICS_GONE: &str = "topics are still shown for a moment after they were reset";

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Asks until the answer fits, or the time is over; changes are asked for once.
pub async fn play(rest: &Rest, step: &Value, before: &[Value]) -> Result<Outcome> {
    let request = &step["request"];
    settle(rest, before).await?;
    let method: Method = request["method"].as_str().context("a method")?.parse()?;
    let path = request["path"].as_str().context("a path")?;
    let deadline = Instant::now() + SETTLE;
    loop {
        let answer = ask(rest, &method, path, request).await?;
        let outcome = match (shape::outcome(&step["response"], &answer), decided(step, before, &answer)) {
            (Outcome::Different(_), Some(row)) => Outcome::Decided(vec![row]),
            (outcome, _) => outcome,
        };
        let again =
            method == Method::GET && matches!(outcome, Outcome::Different(_)) && Instant::now() < deadline;
        if !again {
            return Ok(outcome);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A task that had failed, and was restarted, fails again before the next step.
async fn settle(rest: &Rest, before: &[Value]) -> Result<()> {
    let path = |step: &Value| step["request"]["path"].as_str().unwrap_or_default().to_owned();
    let Some(restart) = before.last().map(path).filter(|path| path.contains("/restart")) else {
        return Ok(());
    };
    let connector: Vec<&str> = restart.split('/').take(3).collect();
    let status = format!("{}/status", connector.join("/"));
    let failed = |body: &Value| body["tasks"][0]["state"] == "FAILED";
    if !before.iter().any(|step| path(step) == status && failed(&step["response"]["body"])) {
        return Ok(());
    }
    // The answer comes before the restart: what is seen first may still be the failure before it.
    let is_failed = async || anyhow::Ok(failed(&rest.get(&status).await?.body));
    let restarted =
        eventually("the task starts", RESTART, || async { Ok((!is_failed().await?).then_some(())) });
    let _ = restarted.await;
    eventually("the task fails again", SETTLE, || async { Ok(is_failed().await?.then_some(())) }).await
}

async fn ask(rest: &Rest, method: &Method, path: &str, request: &Value) -> Result<Answer> {
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
    let body = serde_json::from_str(&text).unwrap_or(if text.is_empty() { Value::Null } else { text.into() });
    Ok(Answer { status, headers, body })
}

/// The row of docs/compatibility.md that says this answer.
fn decided(step: &Value, before: &[Value], answer: &Answer) -> Option<&'static str> {
    let (request, recorded) = (&step["request"], &step["response"]);
    let path = request["path"].as_str()?;
    // The recording sets positions of its own server.
    if answer.body.to_string().contains("lies behind the end of the server's WAL") {
        return Some(OTHER_SERVER);
    }
    let is_refusal = answer.body["error_code"] == answer.status && answer.body["message"].is_string();
    let was = |step: &Value, method: &str, path: &str| {
        step["request"]["method"] == method && step["request"]["path"] == path
    };
    if let Some(connector) = path.strip_suffix("/status") {
        let is_gone = recorded["status"] == 200 && answer.status == 404 && is_refusal;
        let was_deleted = before.iter().any(|step| was(step, "DELETE", connector));
        return (is_gone && was_deleted).then_some(STATUS_GONE);
    }
    if let Some(connector) = path.strip_suffix("/topics") {
        let name = connector.rsplit('/').next()?;
        let is_empty = answer.body == json!({ name: { "topics": [] } });
        let was_reset = before.last().is_some_and(|step| was(step, "PUT", &format!("{path}/reset")));
        return (was_reset && is_empty).then_some(TOPICS_GONE);
    }
    if request["method"] == "PATCH" && path.ends_with("/offsets") {
        let is_invalid = recorded["status"] == 500 || (recorded["status"] == 200 && lacks_partition(request));
        return (is_invalid && [400, 404].contains(&answer.status) && is_refusal).then_some(INVALID);
    }
    None
}

fn lacks_partition(request: &Value) -> bool {
    let offsets = request["body"]["offsets"].as_array();
    offsets.is_some_and(|offsets| offsets.iter().any(|offset| offset["partition"].is_null()))
}
