//! `/connectors` (spec: connect.md §1.2 to §1.4).

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use connect::settings::Properties;
use runtime::herder::{ConnectorInfo, IncludeTasks, OnlyFailed, RestartScope, TargetState};
use runtime::status::Status;
use serde_json::{Map, Value, json};

use crate::body::{JsonBody, configuration, flat, members};
use crate::error::ApiError;
use crate::router::Server;

type Answer = Result<Response, ApiError>;

pub async fn list(State(server): State<Server>, RawQuery(query): RawQuery) -> Json<Value> {
    let names = server.herder.connectors();
    let expand = |what: &str| values(query.as_deref(), "expand").iter().any(|value| value == what);
    if values(query.as_deref(), "expand").is_empty() {
        return Json(json!(names));
    }
    let mut all = Map::new();
    for name in names {
        let mut one = Map::new();
        if expand("status")
            && let Ok(status) = status_json(&server, &name)
        {
            one.insert("status".to_owned(), status);
        }
        if expand("info")
            && let Ok(info) = server.herder.connector(&name)
        {
            one.insert("info".to_owned(), info_json(&info));
        }
        if !one.is_empty() {
            all.insert(name, Value::Object(one));
        }
    }
    Json(Value::Object(all))
}

pub async fn create(State(server): State<Server>, headers: HeaderMap, JsonBody(body): JsonBody) -> Answer {
    let mut body = members(body, &["name", "config", "initial_state"])?;
    let name = match body.remove("name") {
        Some(Value::String(name)) => name.trim().to_owned(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    let initial = match body.remove("initial_state") {
        None | Some(Value::Null) => None,
        Some(value) => Some(initial_state(&value)?),
    };
    let config = named(&name, configuration(body.remove("config").unwrap_or_else(|| json!({})))?)?;
    let info = server.herder.create(&name, config, initial).await?;
    Ok(created(&headers, &info))
}

pub async fn get(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    Ok(Json(info_json(&server.herder.connector(&name)?)).into_response())
}

pub async fn delete(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    server.herder.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub async fn config(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    Ok(Json(json!(server.herder.connector(&name)?.config)).into_response())
}

pub async fn put_config(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Answer {
    let config = named(&name, configuration(body)?)?;
    let (info, is_new) = server.herder.put_config(&name, config).await?;
    Ok(if is_new { created(&headers, &info) } else { Json(info_json(&info)).into_response() })
}

pub async fn patch_config(
    State(server): State<Server>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody,
) -> Answer {
    let info = server.herder.patch_config(&name, flat(body)?).await?;
    Ok(Json(info_json(&info)).into_response())
}

pub async fn status(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    Ok(Json(status_json(&server, &name)?).into_response())
}

pub async fn restart(
    State(server): State<Server>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let flag = |key: &str| {
        values(query.as_deref(), key).first().is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    let scope = RestartScope {
        tasks: if flag("includeTasks") { IncludeTasks::Yes } else { IncludeTasks::No },
        failed: if flag("onlyFailed") { OnlyFailed::Yes } else { OnlyFailed::No },
    };
    let plan = server.herder.restart(&name, scope).await?;
    if scope.tasks == IncludeTasks::No && scope.failed == OnlyFailed::No {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let kind = server.herder.status(&name)?.2.map_or("unknown", |kind| kind.name());
    let body = state_json(&name, &plan.connector, &plan.tasks, kind);
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

pub async fn pause(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    server.herder.set_target(&name, TargetState::Paused).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

pub async fn resume(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    server.herder.set_target(&name, TargetState::Started).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

pub async fn stop(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    server.herder.set_target(&name, TargetState::Stopped).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub async fn tasks(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    let tasks = server.herder.tasks(&name)?;
    let tasks = tasks
        .iter()
        .enumerate()
        .map(|(task, config)| json!({"id": {"connector": name, "task": task}, "config": config}));
    Ok(Json(Value::Array(tasks.collect())).into_response())
}

pub async fn task_status(State(server): State<Server>, Path((name, task)): Path<(String, String)>) -> Answer {
    let task = task_number(&name, &task)?;
    let status = server.herder.task_status(&name, task)?;
    Ok(Json(task_json(task, &status)).into_response())
}

pub async fn restart_task(
    State(server): State<Server>,
    Path((name, task)): Path<(String, String)>,
) -> Answer {
    server.herder.restart_task(&name, task_number(&name, &task)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub async fn topics(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    let topics = server.herder.topics(&name)?;
    Ok(Json(json!({ name: { "topics": topics } })).into_response())
}

pub async fn reset_topics(State(server): State<Server>, Path(name): Path<String>) -> Answer {
    server.herder.reset_topics(&name)?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// A number that is none is an unknown path; a task of a negative one is not known.
fn task_number(connector: &str, text: &str) -> Result<u32, ApiError> {
    let unknown = |message: String| ApiError::new(StatusCode::NOT_FOUND, message);
    let number: i32 = text.parse().map_err(|_| unknown("HTTP 404 Not Found".to_owned()))?;
    u32::try_from(number).map_err(|_| unknown(format!("Unknown task: {connector}-{number}")))
}

/// The configuration with its own name in it.
fn named(name: &str, mut config: Properties) -> Result<Properties, ApiError> {
    match config.get("name") {
        Some(given) if given != name => Err(ApiError::bad_request(format!(
            "Connector name configuration ({given}) doesn't match connector name in the URL ({name})"
        ))),
        Some(_) => Ok(config),
        None => {
            config.insert("name".to_owned(), name.to_owned());
            Ok(config)
        }
    }
}

fn initial_state(value: &Value) -> Result<TargetState, ApiError> {
    match value.as_str().map(str::to_ascii_uppercase).as_deref() {
        Some("RUNNING") => Ok(TargetState::Started),
        Some("PAUSED") => Ok(TargetState::Paused),
        Some("STOPPED") => Ok(TargetState::Stopped),
        _ => Err(ApiError::malformed(format!("{value} is no initial state: RUNNING, PAUSED or STOPPED"))),
    }
}

fn created(headers: &HeaderMap, info: &ConnectorInfo) -> Response {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost");
    let location = format!("http://{host}/connectors/{}", percent_encoded(&info.name));
    (StatusCode::CREATED, [(header::LOCATION, location)], Json(info_json(info))).into_response()
}

fn info_json(info: &ConnectorInfo) -> Value {
    let tasks: Vec<_> = (0..info.tasks).map(|task| json!({"connector": info.name, "task": task})).collect();
    json!({
        "name": info.name,
        "config": info.config,
        "tasks": tasks,
        "type": info.kind.map_or("unknown", |kind| kind.name()),
    })
}

fn status_json(server: &Server, name: &str) -> Result<Value, ApiError> {
    let (connector, tasks, kind) = server.herder.status(name)?;
    Ok(state_json(name, &connector, &tasks, kind.map_or("unknown", |kind| kind.name())))
}

fn state_json(name: &str, connector: &Status, tasks: &[(u32, Status)], kind: &str) -> Value {
    let tasks: Vec<_> = tasks.iter().map(|(task, status)| task_json(*task, status)).collect();
    json!({ "name": name, "connector": members_of(connector), "tasks": tasks, "type": kind })
}

fn task_json(task: u32, status: &Status) -> Value {
    let mut members = Map::new();
    members.insert("id".to_owned(), json!(task));
    members.extend(members_of(status));
    Value::Object(members)
}

fn members_of(status: &Status) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("state".to_owned(), json!(status.state));
    members.insert("worker_id".to_owned(), json!(status.worker_id));
    if let Some(version) = &status.version {
        members.insert("version".to_owned(), json!(version));
    }
    if let Some(trace) = &status.trace {
        members.insert("trace".to_owned(), json!(trace));
    }
    members
}

/// All values of a query parameter.
pub fn values(query: Option<&str>, key: &str) -> Vec<String> {
    query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
        .collect()
}

fn percent_encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
