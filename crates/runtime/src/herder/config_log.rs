//! Configurations, target states and task configurations in Connect's config topic (spec: connect.md §3.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use connect::settings::Properties;
use kafka::{ClientSettings, CompactedLog, Error, LogRecord, Producer, TopicSpec};
use parking_lot::RwLock;
use serde_json::{Value as Json, json};

/// What a connector is meant to be doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetState {
    #[default]
    Started,
    Paused,
    Stopped,
}

/// What the topic says of one connector.
#[derive(Clone, Debug, Default)]
pub struct ConnectorConfig {
    /// As it was written, secrets unresolved.
    pub properties: Properties,
    pub target: TargetState,
    pub tasks: Vec<Properties>,
}

#[derive(Default)]
struct State {
    /// `None`: known by its target state or tasks only, which outlive a deletion.
    connectors: BTreeMap<String, Entry>,
}

#[derive(Default)]
struct Entry {
    properties: Option<Properties>,
    target: TargetState,
    tasks: Vec<Properties>,
    /// Task configurations that wait for their commit record.
    deferred: BTreeMap<usize, Properties>,
}

pub struct ConfigLog {
    log: CompactedLog,
    state: Arc<RwLock<State>>,
}

type Records = Vec<(Vec<u8>, Option<Vec<u8>>)>;

impl ConfigLog {
    pub async fn open(
        clients: &ClientSettings,
        producer: Arc<Producer>,
        topic: &TopicSpec,
    ) -> Result<Self, Error> {
        let state: Arc<RwLock<State>> = Arc::default();
        let told = state.clone();
        let log =
            CompactedLog::open(clients, producer, topic, move |record| tell(&mut told.write(), &record))
                .await?;
        Ok(Self { log, state })
    }

    pub fn names(&self) -> Vec<String> {
        let state = self.state.read();
        state
            .connectors
            .iter()
            .filter(|(_, entry)| entry.properties.is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<ConnectorConfig> {
        let state = self.state.read();
        let entry = state.connectors.get(name)?;
        Some(ConnectorConfig {
            properties: entry.properties.clone()?,
            target: entry.target,
            tasks: entry.tasks.clone(),
        })
    }

    /// Writes a configuration, after its target state where one is given, and waits until it is read back.
    pub async fn put(
        &self,
        name: &str,
        properties: &Properties,
        target: Option<TargetState>,
    ) -> Result<(), Error> {
        let mut records: Records = vec![];
        if let Some(target) = target {
            records.push(target_record(name, target));
        }
        records.push(record(format!("connector-{name}"), &json!({ "properties": properties })));
        self.write(records).await
    }

    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let gone = |prefix: &str| (format!("{prefix}-{name}").into_bytes(), None);
        self.write(vec![gone("connector"), gone("target-state")]).await
    }

    pub async fn put_target(&self, name: &str, target: TargetState) -> Result<(), Error> {
        self.write(vec![target_record(name, target)]).await
    }

    /// Writes all task configurations of a connector; they count together.
    pub async fn put_tasks(&self, name: &str, tasks: &[Properties]) -> Result<(), Error> {
        let mut records: Records = tasks
            .iter()
            .enumerate()
            .map(|(task, properties)| {
                record(format!("task-{name}-{task}"), &json!({ "properties": properties }))
            })
            .collect();
        records.push(record(format!("commit-{name}"), &json!({ "tasks": tasks.len() })));
        self.write(records).await
    }

    async fn write(&self, records: Records) -> Result<(), Error> {
        self.log.append(&records).await?;
        self.log.read_to_end().await
    }
}

fn record(key: String, value: &Json) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into_bytes(), Some(value.to_string().into_bytes()))
}

fn target_record(name: &str, target: TargetState) -> (Vec<u8>, Option<Vec<u8>>) {
    let (state, state_v2) = match target {
        TargetState::Started => ("STARTED", "STARTED"),
        TargetState::Paused => ("PAUSED", "PAUSED"),
        TargetState::Stopped => ("PAUSED", "STOPPED"),
    };
    record(format!("target-state-{name}"), &json!({ "state": state, "state.v2": state_v2 }))
}

fn tell(state: &mut State, record: &LogRecord) {
    let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { return };
    let value: Option<Json> = record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
    if let Some(name) = key.strip_prefix("target-state-") {
        let text = value.as_ref().and_then(|value| value.get("state.v2").or_else(|| value.get("state")));
        state.connectors.entry(name.to_owned()).or_default().target = match text.and_then(Json::as_str) {
            Some("PAUSED") => TargetState::Paused,
            Some("STOPPED") => TargetState::Stopped,
            _ => TargetState::Started,
        };
    } else if let Some(name) = key.strip_prefix("connector-") {
        if value.is_none() {
            state.connectors.remove(name);
            return;
        }
        state.connectors.entry(name.to_owned()).or_default().properties = value.as_ref().and_then(properties);
    } else if let Some((name, task)) = key.strip_prefix("task-").and_then(|rest| rest.rsplit_once('-')) {
        if let (Ok(task), Some(properties)) = (task.parse(), value.as_ref().and_then(properties)) {
            state.connectors.entry(name.to_owned()).or_default().deferred.insert(task, properties);
        }
    } else if let Some(name) = key.strip_prefix("commit-") {
        let count = value.and_then(|value| value.get("tasks")?.as_u64()).unwrap_or(0) as usize;
        let entry = state.connectors.entry(name.to_owned()).or_default();
        let mut deferred = std::mem::take(&mut entry.deferred);
        // More may be left of a time with more tasks; where compaction took one away, the tasks are worked out
        // again.
        let tasks: Option<Vec<_>> = (0..count).map(|task| deferred.remove(&task)).collect();
        entry.tasks = tasks.unwrap_or_default();
    }
}

/// Null values of a configuration are Java's; they mean that the key is absent.
fn properties(value: &Json) -> Option<Properties> {
    let map = value.get("properties")?.as_object()?;
    Some(
        map.iter()
            .filter_map(|(key, value)| match value {
                Json::String(text) => Some((key.clone(), text.clone())),
                Json::Null => None,
                other => Some((key.clone(), other.to_string())),
            })
            .collect(),
    )
}
