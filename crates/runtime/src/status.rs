//! What state everything is in, and which topics connectors use: Connect's status topic (spec: connect.md §3.3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use connect::contract::TaskId;
use kafka::{ClientSettings, CompactedLog, Error, LogRecord, Producer, TopicSpec};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::settings::Tracking;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    Unassigned,
    Running,
    Paused,
    Stopped,
    Failed,
    Destroyed,
    Restarting,
}

/// The state of a connector or a task, as the topic and the REST API show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub state: State,
    pub trace: Option<String>,
    pub worker_id: String,
    pub generation: i64,
    #[serde(default)]
    pub version: Option<String>,
}

/// States of all connectors and tasks of the cluster.
pub struct StatusStore {
    log: CompactedLog,
    state: Arc<RwLock<Statuses>>,
    worker_id: String,
    tracking: Tracking,
    topics_epoch: AtomicU64,
    /// Keeps a state's place in the topic the same as its place in `state`.
    order: Mutex<()>,
}

#[derive(Default)]
struct Statuses {
    connectors: BTreeMap<String, Status>,
    tasks: BTreeMap<(String, u32), Status>,
    /// Connector, topic.
    topics: BTreeSet<(String, String)>,
}

impl StatusStore {
    /// # Errors
    /// No broker answered, or it refused the topic.
    pub async fn open(
        clients: &ClientSettings,
        producer: Arc<Producer>,
        topic: &TopicSpec,
        worker_id: String,
        tracking: Tracking,
    ) -> Result<Self, Error> {
        let state: Arc<RwLock<Statuses>> = Arc::default();
        let loading = Arc::new(AtomicBool::new(true));
        let (told, told_loading) = (state.clone(), loading.clone());
        let log = CompactedLog::open(clients, producer, topic, move |record| {
            // Later records are this worker's own, which are in the state before they are in the topic.
            if told_loading.load(Ordering::Acquire) {
                load(&told, &record);
            }
        })
        .await?;
        loading.store(false, Ordering::Release);
        Ok(Self { log, state, worker_id, tracking, topics_epoch: AtomicU64::new(1), order: Mutex::new(()) })
    }

    pub fn connector(&self, name: &str) -> Option<Status> {
        self.state.read().connectors.get(name).cloned()
    }

    /// States of a connector's tasks, by number.
    pub fn tasks(&self, name: &str) -> Vec<(u32, Status)> {
        self.state
            .read()
            .tasks
            .iter()
            .filter(|((connector, _), _)| connector == name)
            .map(|((_, task), status)| (*task, status.clone()))
            .collect()
    }

    pub fn set_connector(&self, name: &str, state: State, trace: Option<String>, version: &str) {
        let status = self.status(state, trace, version);
        let _order = self.order.lock();
        self.state.write().connectors.insert(name.to_owned(), status.clone());
        self.write(&format!("status-connector-{name}"), &status);
    }

    pub fn set_task(&self, id: &TaskId, state: State, trace: Option<String>, version: &str) {
        let status = self.status(state, trace, version);
        let _order = self.order.lock();
        self.state.write().tasks.insert((id.connector.to_string(), id.task), status.clone());
        self.write(&format!("status-task-{}-{}", id.connector, id.task), &status);
    }

    /// Forgets a connector's tasks from number `from` on.
    pub fn delete_tasks(&self, name: &str, from: u32) {
        let _order = self.order.lock();
        let mut state = self.state.write();
        let gone: Vec<_> = state
            .tasks
            .keys()
            .filter(|(connector, task)| connector == name && *task >= from)
            .cloned()
            .collect();
        for key in gone {
            state.tasks.remove(&key);
            self.delete(&format!("status-task-{name}-{}", key.1));
        }
    }

    /// Forgets a connector, its tasks and its topics.
    pub fn delete_connector(&self, name: &str) {
        self.delete_tasks(name, 0);
        self.forget_topics(name);
        let _order = self.order.lock();
        self.state.write().connectors.remove(name);
        self.delete(&format!("status-connector-{name}"));
    }

    pub fn tracking(&self) -> Tracking {
        self.tracking
    }

    /// Topics that a connector has read or written.
    pub fn topics(&self, name: &str) -> Vec<String> {
        let state = self.state.read();
        state
            .topics
            .iter()
            .filter(|(connector, _)| connector == name)
            .map(|(_, topic)| topic.clone())
            .collect()
    }

    /// Changes whenever tasks must report their topics again.
    pub fn topics_epoch(&self) -> u64 {
        self.topics_epoch.load(Ordering::Relaxed)
    }

    /// A task has read or written a topic; cheap enough for once per topic and epoch, not per record.
    pub fn saw_topic(&self, id: &TaskId, topic: &str) {
        if self.tracking == Tracking::Disabled {
            return;
        }
        let entry = (id.connector.to_string(), topic.to_owned());
        let _order = self.order.lock();
        if !self.state.write().topics.insert(entry) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let value = serde_json::json!({"topic": {
            "name": topic, "connector": &*id.connector, "task": id.task, "discoverTimestamp": now
        }});
        self.send(&topic_key(topic, &id.connector), Some(value.to_string().as_bytes()));
    }

    pub fn forget_topics(&self, name: &str) {
        let _order = self.order.lock();
        let gone: Vec<_> =
            self.state.read().topics.iter().filter(|(connector, _)| connector == name).cloned().collect();
        for entry in gone {
            self.delete(&topic_key(&entry.1, name));
            self.state.write().topics.remove(&entry);
        }
        self.topics_epoch.fetch_add(1, Ordering::Relaxed);
    }

    fn status(&self, state: State, trace: Option<String>, version: &str) -> Status {
        Status {
            state,
            trace,
            worker_id: self.worker_id.clone(),
            generation: 1,
            version: Some(version.to_owned()),
        }
    }

    fn write(&self, key: &str, status: &Status) {
        match serde_json::to_vec(status) {
            Ok(value) => self.send(key, Some(&value)),
            Err(error) => tracing::error!(%error, key, "a state cannot be written"),
        }
    }

    fn delete(&self, key: &str) {
        self.send(key, None);
    }

    /// States are written without waiting, as Connect does: the next one repairs what a lost one said.
    fn send(&self, key: &str, value: Option<&[u8]>) {
        if let Err(error) = self.log.send(key.as_bytes(), value) {
            tracing::warn!(%error, key, "a state was not written");
        }
    }
}

fn topic_key(topic: &str, connector: &str) -> String {
    format!("status-topic-{topic}:connector-{connector}")
}

/// Takes over one record of what earlier workers left behind.
fn load(state: &RwLock<Statuses>, record: &LogRecord) {
    let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { return };
    let status = record.value.as_deref().and_then(|value| serde_json::from_slice::<Status>(value).ok());
    let mut state = state.write();
    if let Some(name) = key.strip_prefix("status-connector-") {
        set(&mut state.connectors, name.to_owned(), status);
    } else if let Some((name, task)) = key.strip_prefix("status-task-").and_then(|rest| rest.rsplit_once('-'))
    {
        if let Ok(task) = task.parse() {
            set(&mut state.tasks, (name.to_owned(), task), status);
        }
    } else if let Some((topic, connector)) =
        key.strip_prefix("status-topic-").and_then(|rest| rest.split_once(":connector-"))
    {
        let entry = (connector.to_owned(), topic.to_owned());
        match record.value {
            Some(_) => drop(state.topics.insert(entry)),
            None => drop(state.topics.remove(&entry)),
        }
    }
}

fn set<K: Ord>(statuses: &mut BTreeMap<K, Status>, key: K, status: Option<Status>) {
    match status {
        Some(status) => drop(statuses.insert(key, status)),
        None => drop(statuses.remove(&key)),
    }
}
