//! What a signal asks for.

use connect::Signal;
use serde_json::Value as Json;

/// A signal that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Log(String),
    Execute(Execute),
    /// Ends the incremental snapshot of the tables that match; of all where none is named.
    Stop(Vec<String>),
    Pause,
    Resume,
    /// Of another version, or our own: nothing is to be done.
    Nothing,
}

/// `execute-snapshot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    pub id: String,
    pub kind: SnapshotKind,
    /// Regular expressions of whole names.
    pub tables: Vec<String>,
    pub conditions: Vec<Condition>,
    pub surrogate: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    Incremental,
    Blocking,
}

/// Which rows of the tables that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub tables: String,
    /// An expression, or the whole statement of a blocking snapshot.
    pub filter: String,
}

/// What is wrong with a signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    #[error("there is no signal of this type")]
    Unknown,
    #[error("its data is not JSON: {0}")]
    NotJson(String),
    #[error("its data lacks {0}")]
    Lacks(&'static str),
    #[error("there is no snapshot of type {0}")]
    SnapshotKind(String),
    #[error("a blocking snapshot cannot be stopped, paused or resumed")]
    Blocking,
}

pub fn parse(signal: &Signal) -> Result<Action, SignalError> {
    match signal.kind.as_str() {
        "log" => {
            let data = data(signal)?;
            let message = data["message"].as_str().ok_or(SignalError::Lacks("message"))?;
            Ok(Action::Log(message.to_owned()))
        }
        "execute-snapshot" => execute(signal).map(Action::Execute),
        "stop-snapshot" => {
            let data = optional_data(signal)?;
            incremental(&data)?;
            Ok(Action::Stop(texts(&data["data-collections"])))
        }
        "pause-snapshot" => incremental(&optional_data(signal)?).map(|()| Action::Pause),
        "resume-snapshot" => incremental(&optional_data(signal)?).map(|()| Action::Resume),
        // Schemas come with the rows here.
        "schema-changes" | "snapshot-window-open" | "snapshot-window-close" => Ok(Action::Nothing),
        _ => Err(SignalError::Unknown),
    }
}

fn data(signal: &Signal) -> Result<Json, SignalError> {
    let text = signal.data.as_deref().filter(|text| !text.trim().is_empty());
    let text = text.ok_or(SignalError::Lacks("everything"))?;
    serde_json::from_str(text).map_err(|error| SignalError::NotJson(error.to_string()))
}

fn optional_data(signal: &Signal) -> Result<Json, SignalError> {
    match signal.data.as_deref().is_some_and(|text| !text.trim().is_empty()) {
        true => data(signal),
        false => Ok(Json::Null),
    }
}

fn kind(data: &Json) -> Result<SnapshotKind, SignalError> {
    match data["type"].as_str() {
        None => Ok(SnapshotKind::Incremental),
        Some(kind) if kind.eq_ignore_ascii_case("incremental") => Ok(SnapshotKind::Incremental),
        Some(kind) if kind.eq_ignore_ascii_case("blocking") => Ok(SnapshotKind::Blocking),
        Some(kind) => Err(SignalError::SnapshotKind(kind.to_owned())),
    }
}

fn incremental(data: &Json) -> Result<(), SignalError> {
    if kind(data)? == SnapshotKind::Incremental { Ok(()) } else { Err(SignalError::Blocking) }
}

fn execute(signal: &Signal) -> Result<Execute, SignalError> {
    let data = data(signal)?;
    let tables = texts(&data["data-collections"]);
    if tables.is_empty() {
        return Err(SignalError::Lacks("data-collections"));
    }
    let listed = data["additional-conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut conditions = vec![];
    for condition in listed {
        let text = |name| condition[name].as_str().map(str::trim).filter(|text| !text.is_empty());
        let tables = text("data-collection").ok_or(SignalError::Lacks("data-collection of a condition"))?;
        let filter = text("filter").ok_or(SignalError::Lacks("filter of a condition"))?;
        conditions.push(Condition { tables: tables.to_owned(), filter: filter.to_owned() });
    }
    // Of versions before 2.7: one for all.
    if let Some(filter) = data["additional-condition"].as_str().filter(|text| !text.trim().is_empty()) {
        conditions.push(Condition { tables: ".*".to_owned(), filter: filter.trim().to_owned() });
    }
    let surrogate = data["surrogate-key"].as_str().filter(|text| !text.trim().is_empty());
    Ok(Execute {
        id: signal.id.clone(),
        kind: kind(&data)?,
        tables,
        conditions,
        surrogate: surrogate.map(|name| name.trim().to_owned()),
    })
}

fn texts(list: &Json) -> Vec<String> {
    let mut texts: Vec<String> = vec![];
    for text in list.as_array().into_iter().flatten().filter_map(Json::as_str) {
        if !texts.iter().any(|one| one == text) {
            texts.push(text.to_owned());
        }
    }
    texts
}

impl Execute {
    /// As it is kept until it is done.
    pub fn store(&self) -> Json {
        let conditions: Vec<Json> = self
            .conditions
            .iter()
            .map(|one| serde_json::json!({ "data-collection": one.tables, "filter": one.filter }))
            .collect();
        serde_json::json!({
            "id": self.id,
            "type": match self.kind {
                SnapshotKind::Incremental => "INCREMENTAL",
                SnapshotKind::Blocking => "BLOCKING",
            },
            "data-collections": self.tables,
            "additional-conditions": conditions,
            "surrogate-key": self.surrogate,
        })
    }

    /// Reads back what [`Self::store`] made.
    pub fn load(stored: &Json) -> Option<Self> {
        let signal = Signal {
            id: stored["id"].as_str()?.to_owned(),
            kind: "execute-snapshot".to_owned(),
            data: Some(stored.to_string()),
        };
        execute(&signal).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, data: Option<&str>, expected: Result<Action, SignalError>) {
        let signal = Signal { id: "1".to_owned(), kind: kind.to_owned(), data: data.map(str::to_owned) };
        assert_eq!(parse(&signal), expected, "{kind} {data:?}");
    }

    #[test]
    fn signals() {
        check("log", Some(r#"{"message":"at {}"}"#), Ok(Action::Log("at {}".to_owned())));
        check("log", None, Err(SignalError::Lacks("everything")));
        check("no-such", Some("{}"), Err(SignalError::Unknown));
        check("stop-snapshot", None, Ok(Action::Stop(vec![])));
        let stop = r#"{"type":"incremental","data-collections":["a.b","a.b"]}"#;
        check("stop-snapshot", Some(stop), Ok(Action::Stop(vec!["a.b".to_owned()])));
        check("pause-snapshot", Some(r#"{"type":"BLOCKING"}"#), Err(SignalError::Blocking));
        check("execute-snapshot", Some("{}"), Err(SignalError::Lacks("data-collections")));
        let other = r#"{"data-collections":["a.b"],"type":"x"}"#;
        check("execute-snapshot", Some(other), Err(SignalError::SnapshotKind("x".to_owned())));
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let execute = Execute {
            id: "7".to_owned(),
            kind: SnapshotKind::Blocking,
            tables: vec!["public.a".to_owned()],
            conditions: vec![Condition { tables: "public.a".to_owned(), filter: "SELECT 1".to_owned() }],
            surrogate: None,
        };
        assert_eq!(Execute::load(&execute.store()), Some(execute));
        assert_eq!(Execute::load(&Json::Null), None);
    }
}
