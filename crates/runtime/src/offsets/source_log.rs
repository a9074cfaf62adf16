//! Source offsets in Connect's topic, in Connect's bytes (spec: connect.md §3.2).

use std::collections::HashMap;
use std::sync::Arc;

use connect::SourcePosition;
use kafka::{ClientSettings, CompactedLog, Error, LogRecord, Producer, TopicSpec};
use parking_lot::RwLock;
use serde_json::{Map, Value as Json};

/// Offsets of all connectors of the cluster.
pub struct SourceOffsets {
    log: CompactedLog,
    state: Arc<RwLock<State>>,
}

/// By connector: the key's bytes as they were written first, and what they say. The bytes of an existing key are
/// used again where its partition is equal, because Java's maps write their entries in an order of their own and
/// compaction goes by bytes.
type State = HashMap<String, Vec<Stored>>;

struct Stored {
    key: Vec<u8>,
    position: SourcePosition,
}

impl SourceOffsets {
    /// # Errors
    /// No broker answered, or it refused the topic.
    pub async fn open(
        clients: &ClientSettings,
        producer: Arc<Producer>,
        topic: &TopicSpec,
    ) -> Result<Self, Error> {
        let state: Arc<RwLock<State>> = Arc::default();
        let told = state.clone();
        let log = CompactedLog::open(clients, producer, topic, move |record| tell(&told, &record)).await?;
        Ok(Self { log, state })
    }

    /// What is stored for a connector, after everything written before has been read.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn read(&self, connector: &str) -> Result<Vec<SourcePosition>, Error> {
        self.log.read_to_end().await?;
        Ok(self
            .state
            .read()
            .get(connector)
            .map(|all| all.iter().map(|stored| stored.position.clone()).collect())
            .unwrap_or_default())
    }

    /// Stores positions and waits until they are durable; an empty offset deletes its partition's.
    ///
    /// # Errors
    /// The write failed; nothing may be confirmed to the source.
    pub async fn write(&self, connector: &str, positions: &[SourcePosition]) -> Result<(), Error> {
        let records: Vec<_> = positions
            .iter()
            .map(|position| {
                let value = (!position.offset.is_empty())
                    .then(|| Json::Object((*position.offset).clone()).to_string().into_bytes());
                (self.key(connector, &position.partition), value)
            })
            .collect();
        self.log.append(&records).await
    }

    fn key(&self, connector: &str, partition: &Map<String, Json>) -> Vec<u8> {
        let state = self.state.read();
        let known = state
            .get(connector)
            .and_then(|all| all.iter().find(|stored| *stored.position.partition == *partition));
        match known {
            Some(stored) => stored.key.clone(),
            None => {
                Json::Array(vec![connector.into(), Json::Object(partition.clone())]).to_string().into_bytes()
            }
        }
    }
}

fn tell(state: &RwLock<State>, record: &LogRecord) {
    let Some(key) = &record.key else { return };
    let Ok(Json::Array(parts)) = serde_json::from_slice::<Json>(key) else {
        tracing::warn!(offset = record.offset, "a key of the offsets topic is not a JSON array");
        return;
    };
    let (Some(Json::String(connector)), Some(Json::Object(partition))) = (parts.first(), parts.get(1)) else {
        return;
    };
    let mut state = state.write();
    let all = state.entry(connector.clone()).or_default();
    let place = all.iter().position(|stored| *stored.position.partition == *partition);
    match (&record.value, place) {
        (None, Some(place)) => drop(all.remove(place)),
        (None, None) => {}
        (Some(value), place) => {
            let Ok(Json::Object(offset)) = serde_json::from_slice::<Json>(value) else { return };
            let offset = Arc::new(offset);
            match place {
                Some(place) => all[place].position.offset = offset,
                None => all.push(Stored {
                    key: key.to_vec(),
                    position: SourcePosition { partition: Arc::new(partition.clone()), offset },
                }),
            }
        }
    }
}
