//! `/tidegate/connectors/{name}/dead-letters`: what a sink refused, and sending it again. Not Connect's: its paths
//! never begin like this.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use base64::Engine as _;
use runtime::dead_letters::{At, Entry, Group, Outcome, Replayed, Selection};
use runtime::herder::{Force, ReplayRequest, Run, ShownLetter};
use serde_json::{Map, Value, json};

use crate::body::{JsonBody, members};
use crate::connectors::values;
use crate::error::ApiError;
use crate::router::Server;

/// Records that are shown when nothing is said.
const SHOWN_DEFAULT: usize = 20;
/// Most that are shown: they are held in memory.
const SHOWN_MAX: usize = 1_000;
/// How long the target may take for a chunk when nothing is said.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);

pub async fn list(State(server): State<Server>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let (topic, summary) = server.herder.dead_letters(&name).await?;
    let records = summary.ungrouped + summary.groups.iter().map(|group| group.records).sum::<u64>();
    let groups: Vec<Value> = summary.groups.iter().map(group_json).collect();
    Ok(Json(json!({"topic": topic, "records": records, "ungrouped": summary.ungrouped, "groups": groups})))
}

pub async fn show(
    State(server): State<Server>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let given = |key: &str| -> Result<Vec<String>, ApiError> {
        values(query.as_deref(), key).iter().map(|text| decoded(text)).collect()
    };
    let one = |key: &str| Ok::<_, ApiError>(given(key)?.into_iter().next());
    let selection = Selection {
        at: given("at")?
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map_err(ApiError::bad_request)?,
        group: one("group")?,
        stage: one("stage")?,
        exception: one("exception")?,
        topic: one("topic")?,
        contains: one("contains")?,
    };
    let limit = match one("limit")? {
        None => SHOWN_DEFAULT,
        Some(text) => {
            text.parse().map_err(|_| ApiError::bad_request(format!("limit: \"{text}\" is no number")))?
        }
    };
    let shown = server.herder.show_dead_letters(&name, selection, limit.min(SHOWN_MAX)).await?;
    Ok(Json(json!({"records": shown.iter().map(letter_json).collect::<Vec<_>>()})))
}

pub async fn replay(
    State(server): State<Server>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<Value>, ApiError> {
    let replayed = server.herder.replay_dead_letters(&name, request(body)?).await?;
    let count = |wanted: &str| replayed.iter().filter(|one| word(&one.outcome) == wanted).count();
    let counts: Map<String, Value> =
        ["applied", "dropped", "refused", "unknown", "already", "duplicate", "chosen"]
            .into_iter()
            .map(|outcome| (outcome.to_owned(), json!(count(outcome))))
            .collect();
    Ok(Json(json!({"counts": counts, "records": replayed.iter().map(replayed_json).collect::<Vec<_>>()})))
}

const MEMBERS: [&str; 11] = [
    "at",
    "group",
    "stage",
    "exception",
    "topic",
    "contains",
    "all",
    "limit",
    "force",
    "dry_run",
    "timeout_ms",
];

fn request(body: Value) -> Result<ReplayRequest, ApiError> {
    let body = members(body, &MEMBERS)?;
    let wrong = |key: &str, what: &str| ApiError::bad_request(format!("\"{key}\" must be {what}"));
    let text = |key: &str| match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(key, "a text")),
    };
    let flag = |key: &str| match body.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(key, "true or false")),
    };
    let number = |key: &str| match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(key, "a whole number")),
    };
    let mut at = vec![];
    for value in body.get("at").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        let place = value.as_str().ok_or_else(|| wrong("at", "a list of texts"))?;
        at.push(place.parse().map_err(ApiError::bad_request)?);
    }
    let selection = Selection {
        at,
        group: text("group")?,
        stage: text("stage")?,
        exception: text("exception")?,
        topic: text("topic")?,
        contains: text("contains")?,
    };
    if selection.is_everything() && !flag("all")? {
        let text = "nothing is selected: give \"at\", \"group\", \"stage\", \"exception\", \"topic\" or \"contains\", or \
                    \"all\": true";
        return Err(ApiError::bad_request(text));
    }
    Ok(ReplayRequest {
        selection,
        limit: number("limit")?.map_or(usize::MAX, |limit| limit as usize),
        force: if flag("force")? { Force::Yes } else { Force::No },
        run: if flag("dry_run")? { Run::Dry } else { Run::Real },
        wait: number("timeout_ms")?.map_or(WAIT_DEFAULT, Duration::from_millis),
    })
}

fn group_json(group: &Group) -> Value {
    let place = |(at, timestamp): (At, Option<i64>)| json!({"at": at.to_string(), "timestamp": timestamp});
    json!({
        "id": group.id,
        "records": group.records,
        "topic": group.topic,
        "connector": group.connector,
        "stage": group.stage,
        "class": group.class,
        "exception": group.exception,
        "message": group.message,
        "example": group.example,
        "first": place(group.first),
        "last": place(group.last),
        "replayed": {"applied": group.applied, "refused": group.refused, "unknown": group.unknown},
    })
}

fn letter_json(shown: &ShownLetter) -> Value {
    let letter = &shown.letter;
    let headers: Vec<Value> = letter
        .headers
        .iter()
        .map(|(name, value)| json!({"key": &**name, "value": bytes_json(value.as_deref())}))
        .collect();
    let context = letter.context.as_ref().map(|context| {
        json!({
            "topic": context.topic,
            "partition": context.partition,
            "offset": context.offset,
            "connector": context.connector,
            "task": context.task,
            "stage": context.stage,
            "class": context.class,
            "exception": context.exception,
            "message": context.message,
            "stacktrace": context.trace,
        })
    });
    json!({
        "at": letter.at.to_string(),
        "timestamp": letter.message.timestamp,
        "group": shown.group,
        "error": context,
        "headers": headers,
        "key": part_json(letter.message.key.as_deref(), shown.key.as_ref()),
        "value": part_json(letter.message.value.as_deref(), shown.value.as_ref()),
        "replayed": shown.replayed.as_ref().map(entry_json),
    })
}

/// The bytes as they are, and what the connector's converter makes of them.
fn part_json(bytes: Option<&[u8]>, decoded: Option<&Value>) -> Value {
    let mut part = bytes_json(bytes);
    if let (Value::Object(part), Some(decoded)) = (&mut part, decoded) {
        part.insert("decoded".to_owned(), decoded.clone());
    }
    part
}

/// `null`, a text, or what is none in base64.
fn bytes_json(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    let is_text = |text: &&str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    match std::str::from_utf8(bytes).ok().filter(is_text) {
        Some(text) => json!({"text": text}),
        None => json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
    }
}

fn entry_json(entry: &Entry) -> Value {
    json!({"state": entry.state, "time": entry.time, "at": entry.at, "error": entry.error})
}

fn replayed_json(replayed: &Replayed) -> Value {
    let mut json = Map::new();
    json.insert("at".to_owned(), json!(replayed.letter.at.to_string()));
    json.insert("outcome".to_owned(), json!(word(&replayed.outcome)));
    match &replayed.outcome {
        Outcome::Refused(error) | Outcome::Unknown(error) => {
            json.insert("error".to_owned(), json!(error));
        }
        Outcome::Already(entry) => {
            json.insert("before".to_owned(), entry_json(entry));
        }
        Outcome::Applied | Outcome::Dropped | Outcome::Duplicate | Outcome::Chosen => {}
    }
    Value::Object(json)
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "applied",
        Outcome::Dropped => "dropped",
        Outcome::Refused(_) => "refused",
        Outcome::Unknown(_) => "unknown",
        Outcome::Already(_) => "already",
        Outcome::Duplicate => "duplicate",
        Outcome::Chosen => "chosen",
    }
}

/// A query's value without its percent signs.
fn decoded(text: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::bad_request(format!("\"{text}\" is not percent-encoded text"));
    let mut bytes = vec![];
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(wrong);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_says_what_it_means() {
        let parse = |body: Value| request(body).map_err(|error| format!("{error:?}"));
        assert!(parse(json!({})).expect_err("nothing selected").contains("nothing is selected"));
        let all = parse(json!({"all": true, "dry_run": true})).expect("everything");
        assert!(all.selection.is_everything() && all.run == Run::Dry && all.force == Force::No);
        let some = parse(json!({"at": ["3", "0:5-9"], "force": true, "limit": 2})).expect("some");
        assert_eq!((some.selection.at.len(), some.limit, some.force), (2, 2, Force::Yes));
        for wrong in
            [json!({"at": [3]}), json!({"at": ["x"]}), json!({"all": 1}), json!({"al": true}), json!([])]
        {
            assert!(request(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn queries_are_decoded_and_bytes_shown() {
        assert_eq!(decoded("a%20b+%C3%A9").expect("text"), "a b é");
        assert!(decoded("%zz").is_err() && decoded("%f").is_err() && decoded("%ff").is_err());
        assert_eq!(bytes_json(None), Value::Null);
        assert_eq!(bytes_json(Some(b"a\nb")), json!({"text": "a\nb"}));
        assert_eq!(bytes_json(Some(&[0, 1])), json!({"base64": "AAE="}));
    }
}
