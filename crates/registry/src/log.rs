//! Where records are kept: the topic, or memory.

use std::sync::{Arc, RwLock};

use futures::future::BoxFuture;
use kafka::{CompactedLog, TopicSpec};

use crate::settings::Store;
use crate::state::State;

/// Key and value; a null value deletes.
pub(crate) type LogRecord = (Vec<u8>, Option<Vec<u8>>);

pub(crate) type Shared = Arc<RwLock<State>>;

/// Records in order; every one of them is applied to the shared state.
pub(crate) trait Log: Send + Sync {
    /// Returns when the records are durable and applied.
    fn append(&self, records: Vec<LogRecord>) -> BoxFuture<'_, Result<(), kafka::Error>>;

    /// Returns when everything that is durable now has been applied.
    fn catch_up(&self) -> BoxFuture<'_, Result<(), kafka::Error>>;
}

pub(crate) async fn open(store: &Store, state: &Shared) -> Result<Arc<dyn Log>, kafka::Error> {
    let Store::Topic { kafka, topic, replication_factor } = store else {
        return Ok(Arc::new(Memory { state: Arc::clone(state) }));
    };
    let producer = Arc::new(kafka::Producer::new(kafka)?);
    let spec = TopicSpec::compacted(topic, 1, *replication_factor);
    let told = Arc::clone(state);
    let log = CompactedLog::open(kafka, producer, &spec, move |record| {
        if let Some(key) = &record.key {
            write(&told).apply(key, record.value.as_deref());
        }
    });
    Ok(Arc::new(TopicLog { log: log.await? }))
}

/// The state is only ever replaced piece by piece in `apply`, which does not panic half-way.
pub(crate) fn write(state: &Shared) -> std::sync::RwLockWriteGuard<'_, State> {
    state.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn read(state: &Shared) -> std::sync::RwLockReadGuard<'_, State> {
    state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct TopicLog {
    log: CompactedLog,
}

impl Log for TopicLog {
    fn append(&self, records: Vec<LogRecord>) -> BoxFuture<'_, Result<(), kafka::Error>> {
        Box::pin(async move {
            self.log.append(&records).await?;
            self.log.read_to_end().await
        })
    }

    fn catch_up(&self) -> BoxFuture<'_, Result<(), kafka::Error>> {
        Box::pin(self.log.read_to_end())
    }
}

struct Memory {
    state: Shared,
}

impl Log for Memory {
    fn append(&self, records: Vec<LogRecord>) -> BoxFuture<'_, Result<(), kafka::Error>> {
        let mut state = write(&self.state);
        for (key, value) in &records {
            state.apply(key, value.as_deref());
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn catch_up(&self) -> BoxFuture<'_, Result<(), kafka::Error>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
