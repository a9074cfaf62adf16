//! A topic that is read to its end at the start and followed from then on: what a cluster of workers agrees on
//! (configs, offsets, status, schemas).
//!
//! The state itself belongs to the caller: it is told each record once, in order, on the log's own thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use crate::admin::{Admin, TopicSpec};
use crate::error::Error;
use crate::producer::{Outgoing, Producer, Topic};
use crate::settings::{ClientKind, ClientSettings};

/// How long a write may take before its author is told that it failed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long reading to the end may take without an answer from the broker.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long brokers may take until all know a topic that was created: those that have just started take seconds.
const CREATE_TIMEOUT: Duration = Duration::from_secs(60);

/// A record of the log. A null value deletes its key.
#[derive(Clone, Debug)]
pub struct LogRecord {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// A followed topic.
pub struct CompactedLog {
    name: String,
    producer: Arc<Producer>,
    topic: Topic,
    reader: Arc<Reader>,
    partitions: i32,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

type Reader = BaseConsumer<Quiet>;

/// Reaching the end of a partition is no error here.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "internal topic");
        }
    }
}

impl ConsumerContext for Quiet {}

#[derive(Default)]
struct Shared {
    /// Next offset to be read, by partition; every record before it has been told.
    positions: Mutex<HashMap<i32, i64>>,
    moved: Notify,
    stopping: AtomicBool,
}

impl CompactedLog {
    /// Creates the topic where it is missing, and returns when everything in it has been told to `tell`.
    ///
    /// # Errors
    /// No broker answered, or it refused the topic.
    pub async fn open(
        settings: &ClientSettings,
        producer: Arc<Producer>,
        spec: &TopicSpec,
        tell: impl FnMut(LogRecord) + Send + 'static,
    ) -> Result<Self, Error> {
        let admin = Admin::new(settings)?;
        let partitions = match admin.partitions(Some(&spec.name)).await?.get(&spec.name) {
            Some(count) => *count,
            None => create(&admin, spec).await?,
        };
        let topic = producer.topic(&spec.name)?;
        let config = settings
            .with([
                ("group.id", "tidegate-log"),
                ("fetch.max.wait.ms", "100"),
                ("allow.auto.create.topics", "false"),
            ])
            .native(ClientKind::Consumer)?;
        let reader = BaseConsumer::from_config_and_context(&config, Quiet)
            .map_err(|error| Error::new("create consumer", &error))?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            // librdkafka asks where the beginning is, and waits half a second before it asks again where it does not
            // know the leader yet. What begins later is found by `auto.offset.reset`.
            list.add_partition_offset(&spec.name, partition, Offset::Offset(0))
                .map_err(|error| Error::new("assign", &error))?;
        }
        reader.assign(&list).map_err(|error| Error::new("assign", &error))?;
        let (reader, shared) = (Arc::new(reader), Arc::new(Shared::default()));
        let thread = follow(reader.clone(), shared.clone(), tell)?;
        let log = Self {
            name: spec.name.clone(),
            producer,
            topic,
            reader,
            partitions,
            shared,
            thread: Some(thread),
        };
        log.read_to_end().await?;
        Ok(log)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes records and waits until they are durable. They are told like all others, soon after:
    /// [`CompactedLog::read_to_end`] waits for that.
    ///
    /// # Errors
    /// The first write that failed; earlier ones may be durable.
    pub async fn append(&self, records: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), Error> {
        for (key, value) in records {
            self.send(key, value.as_deref())?;
        }
        self.producer.flush(WRITE_TIMEOUT).await
    }

    /// Writes one record without waiting.
    ///
    /// # Errors
    /// The producer's queue is full or the record too large.
    pub fn send(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
        let message = Outgoing {
            topic: &self.topic,
            partition: None,
            key: Some(key),
            value,
            headers: None,
            timestamp: None,
        };
        self.producer.send(&message)?;
        self.producer.submit();
        Ok(())
    }

    /// Waits until every record that is durable now has been told.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn read_to_end(&self) -> Result<(), Error> {
        let (reader, name, partitions) = (self.reader.clone(), self.name.clone(), self.partitions);
        let ends = tokio::task::spawn_blocking(move || ends(&reader, &name, partitions))
            .await
            .map_err(|_| Error::Closed { what: "read log".to_owned() })??;
        loop {
            let moved = self.shared.moved.notified();
            if self.has_reached(&ends) {
                return Ok(());
            }
            if tokio::time::timeout(READ_TIMEOUT, moved).await.is_err() {
                let what = format!("read {} to its end", self.name);
                return Err(Error::Timeout { what, millis: READ_TIMEOUT.as_millis() });
            }
        }
    }

    fn has_reached(&self, ends: &[(i32, i64)]) -> bool {
        let positions = self.shared.positions.lock();
        ends.iter()
            .all(|(partition, end)| *end == 0 || positions.get(partition).is_some_and(|next| next >= end))
    }
}

impl Drop for CompactedLog {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Next offsets of all partitions, asked for in one request per broker: the time -1 is Kafka's "latest".
fn ends(reader: &Reader, name: &str, partitions: i32) -> Result<Vec<(i32, i64)>, Error> {
    let failed = |error: &KafkaError| Error::new(format!("read the end of {name}"), error);
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(name, partition, Offset::End).map_err(|error| failed(&error))?;
    }
    let found = reader.offsets_for_times(list, READ_TIMEOUT).map_err(|error| failed(&error))?;
    found
        .elements()
        .iter()
        .map(|element| {
            element.error().map_err(|error| failed(&error))?;
            Ok((element.partition(), element.offset().to_raw().unwrap_or(0).max(0)))
        })
        .collect()
}

async fn create(admin: &Admin, spec: &TopicSpec) -> Result<i32, Error> {
    admin.create_topic(spec).await?;
    // The answer to a creation may be ahead of what other brokers say of it.
    let deadline = Instant::now() + CREATE_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(count) = admin.partitions(Some(&spec.name)).await?.get(&spec.name) {
            return Ok(*count);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let millis = CREATE_TIMEOUT.as_millis();
    Err(Error::Timeout { what: format!("wait for topic {}", spec.name), millis })
}

fn follow(
    reader: Arc<Reader>,
    shared: Arc<Shared>,
    mut tell: impl FnMut(LogRecord) + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name("kafka-log".to_owned())
        .spawn(move || {
            while !shared.stopping.load(Ordering::Acquire) {
                match reader.poll(Duration::from_millis(100)) {
                    Some(Ok(message)) => {
                        let (partition, offset) = (message.partition(), message.offset());
                        tell(LogRecord {
                            partition,
                            offset,
                            timestamp: message.timestamp().to_millis(),
                            key: message.key().map(Bytes::copy_from_slice),
                            value: message.payload().map(Bytes::copy_from_slice),
                        });
                        shared.positions.lock().insert(partition, offset + 1);
                        shared.moved.notify_waiters();
                    }
                    Some(Err(KafkaError::PartitionEOF(partition))) => at_end(&reader, &shared, partition),
                    Some(Err(error)) => tracing::warn!(%error, "following an internal topic"),
                    None => {}
                }
            }
        })
        .map_err(|error| Error::Setting { key: "thread".to_owned(), reason: error.to_string() })
}

/// The end of a partition may lie behind offsets that compaction or transactions left empty.
fn at_end(reader: &Reader, shared: &Shared, partition: i32) {
    let Ok(position) = reader.position() else { return };
    for element in position.elements().iter().filter(|element| element.partition() == partition) {
        if let Offset::Offset(next) = element.offset() {
            shared.positions.lock().insert(partition, next);
            shared.moved.notify_waiters();
        }
    }
}
