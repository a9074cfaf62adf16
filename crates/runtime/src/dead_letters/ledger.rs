//! What was replayed: a topic of its own, one record for each record that was sent again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kafka::{ClientSettings, CompactedLog, Producer, TopicSpec};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{At, Identity};

/// Name of the topic.
pub const TOPIC: &str = "tidegate-dead-letter-replays";

/// How far a replay came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was put, or was about to be; how it ended is not known.
    Sending,
    /// The sink wrote it.
    Applied,
    /// A transform dropped it: nothing is to be written.
    Dropped,
    /// It failed again, and nothing was written.
    Refused,
}

/// What is remembered of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub state: State,
    /// Milliseconds since the epoch.
    pub time: i64,
    /// The letter that was sent.
    pub at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Entry {
    pub fn new(state: State, at: At, error: Option<String>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { state, time: now.as_millis() as i64, at: at.to_string(), error }
    }
}

/// By key, as it is written.
type Entries = Arc<Mutex<HashMap<Vec<u8>, Entry>>>;

/// The ledger, read to its end.
pub struct Ledger {
    log: CompactedLog,
    entries: Entries,
}

impl Ledger {
    /// Creates the topic where it is missing.
    ///
    /// # Errors
    /// No broker answered, or it refused the topic.
    pub async fn open(
        clients: &ClientSettings,
        producer: Arc<Producer>,
        replication_factor: i32,
    ) -> Result<Self, kafka::Error> {
        let entries = Entries::default();
        let told = entries.clone();
        let spec = TopicSpec::compacted(TOPIC, 1, replication_factor);
        let log = CompactedLog::open(clients, producer, &spec, move |record| {
            let Some(key) = record.key else { return };
            let entry = record.value.and_then(|value| serde_json::from_slice(&value).ok());
            let mut entries = told.lock();
            match entry {
                Some(entry) => drop(entries.insert(key.to_vec(), entry)),
                None => drop(entries.remove(&key[..])),
            }
        })
        .await?;
        Ok(Self { log, entries })
    }

    /// Another worker may have replayed since.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn catch_up(&self) -> Result<(), kafka::Error> {
        self.log.read_to_end().await
    }

    pub fn entry(&self, connector: &str, record: &Identity) -> Option<Entry> {
        self.entries.lock().get(&key(connector, record)).cloned()
    }

    /// Durable when it returns.
    ///
    /// # Errors
    /// The first entry that could not be written.
    pub async fn write(&self, connector: &str, entries: &[(Identity, Entry)]) -> Result<(), kafka::Error> {
        let mut records = vec![];
        for (record, entry) in entries {
            let value = serde_json::to_vec(entry).expect("an entry is JSON");
            records.push((key(connector, record), Some(value)));
        }
        self.log.append(&records).await?;
        self.log.read_to_end().await
    }
}

fn key(connector: &str, record: &Identity) -> Vec<u8> {
    let key = (connector, &record.topic, record.partition, record.offset, record.timestamp);
    serde_json::to_vec(&key).expect("a key is JSON")
}
