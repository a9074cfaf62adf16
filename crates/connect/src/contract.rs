//! The four contracts between the runtime and the stations.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Map, Value as Json};

use crate::fate::TaskError;
use crate::headers::Header;
use crate::position::SourcePosition;
use crate::record::{Origin, Record, SourceBatch, TopicPartition};
use crate::schema::Schema;
use crate::signal::{Signal, SignalChannels};
use crate::text::Buffer;
use crate::value::Value;

/// Who a task is, for logs, metrics and headers.
#[derive(Clone, Debug)]
pub struct TaskId {
    pub connector: Arc<str>,
    pub task: u32,
}

/// Reads one source. One instance is one task; the runtime calls it from one place, never concurrently.
pub trait SourceTask: Send {
    /// Called once, first. `stored` is what [`SourcePosition::offset`] was when it was last committed for the
    /// partition that the task names in its settings; `None` on the first start.
    /// Nothing is created on the source before everything that can be checked has been checked.
    fn start<'a>(&'a mut self, stored: StoredOffsets) -> BoxFuture<'a, Result<(), TaskError>>;

    /// Waits until there is something to send. Cancel-safe: dropping the future loses nothing.
    /// [`crate::Fate::Retry`] means that the task will reconnect on the next call; the runtime waits in between.
    fn poll(&mut self) -> BoxFuture<'_, Result<SourceBatch, TaskError>>;

    /// All records up to this position are durable in Kafka and so is the position itself: the source may forget
    /// them. Called in order, at most once per position, not for every one. Must not wait.
    fn committed(&mut self, position: &SourcePosition);

    /// Where signals for this task come from beside the source itself. Called once, after [`SourceTask::start`].
    fn signal_channels(&self) -> SignalChannels {
        SignalChannels::default()
    }

    /// Takes a signal of one of these channels; the next poll acts on it. Must not wait. The effect is part of the next
    /// position that is handed over, and only when that one is committed is the signal taken out of its channel: after
    /// a crash it may come again.
    fn signal(&mut self, signal: Signal) {
        let _ = signal;
    }

    /// Called once, last, also after an error. Releases what the settings say to release.
    fn stop(&mut self) -> BoxFuture<'_, Result<(), TaskError>>;
}

/// Stored offsets of a connector: what the runtime read from the offsets topic.
#[derive(Clone, Debug, Default)]
pub struct StoredOffsets(pub Vec<SourcePosition>);

impl StoredOffsets {
    /// The offset stored for a partition.
    pub fn get(&self, partition: &Map<String, Json>) -> Option<&Map<String, Json>> {
        self.0.iter().find(|stored| *stored.partition == *partition).map(|stored| &*stored.offset)
    }
}

/// What becomes of a record after a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Drop,
}

/// Changes a record in place, or drops it. Pure: no IO, no waiting.
///
/// What depends on a schema only is compiled on the first record of that schema and kept by schema identity;
/// after that no field is looked up by name. One instance belongs to one thread.
pub trait Transform: Send {
    /// An error leaves the record in an unspecified state: the caller drops it.
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError>;
}

/// Turns values into bytes and back. Works in two steps: *prepare* for a schema, which may wait for a registry,
/// and then encode or decode, which may not.
pub trait Converter: Send + Sync {
    /// Called on the first record of a (topic, schema); the caller keeps the encoder.
    fn encoder<'a>(
        &'a self,
        topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>>;

    /// What a decoder must be prepared for: the writer's schema id of a framed payload, 0 where there is none.
    fn writer_id(&self, payload: &[u8]) -> Result<u32, TaskError>;

    /// Called on the first record of a (topic, writer id); the caller keeps the decoder.
    fn decoder<'a>(
        &'a self,
        topic: &'a str,
        writer_id: u32,
    ) -> BoxFuture<'a, Result<Box<dyn Decoder>, TaskError>>;
}

/// Encodes values of one schema. One instance belongs to one thread.
pub trait Encoder: Send {
    /// Appends to `out`. `Ok(false)` means no bytes at all (Kafka's null), and nothing was appended; an error may
    /// leave a part behind, which the caller truncates.
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError>;
}

/// Decodes payloads of one writer's schema. One instance belongs to one thread.
pub trait Decoder: Send {
    /// `None` is Kafka's null. Long strings of the result are slices of the buffer. The schema is the same
    /// pointer for the same content, so that the caller may cache by its identity.
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError>;
}

/// Converts one header value; small and rare enough to do without preparation.
pub trait HeaderConverter: Send + Sync {
    /// `None` is Kafka's null.
    fn encode(&self, topic: &str, header: &Header) -> Result<Option<Vec<u8>>, TaskError>;
    fn decode(
        &self,
        topic: &str,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(Option<Schema>, Value), TaskError>;
}

/// A record that the sink refused, with the reason. The runtime decides by tolerance, and sends it to the dead
/// letter queue before it commits any offset behind it.
#[derive(Debug)]
pub struct Rejected {
    /// Always [`Origin::Kafka`]: the raw bytes go to the queue.
    pub origin: Origin,
    pub error: TaskError,
}

/// Whether records may be rejected at all (`errors.tolerance`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    None,
    All,
}

/// How far a sink is.
#[derive(Debug, Default)]
pub struct SinkProgress {
    /// Next offset to read per partition: everything before it is durable at the target, or rejected.
    pub offsets: BTreeMap<TopicPartition, i64>,
    /// Rejected since the last call. With [`Tolerance::None`] the first one ends the task, and no offset at or
    /// behind it is in `offsets`.
    pub rejected: Vec<Rejected>,
    /// Partitions from which the task wants nothing more for the moment; all others may be read.
    pub paused: Vec<TopicPartition>,
}

/// Writes to one target. One instance is one task; the runtime calls it from one place, never concurrently.
pub trait SinkTask: Send {
    /// Called once, first.
    fn start(&mut self, tolerance: Tolerance) -> BoxFuture<'_, Result<(), TaskError>>;

    /// The task now owns these partitions too.
    fn open(&mut self, partitions: &[TopicPartition]);

    /// The task no longer owns these: what it holds of them is forgotten, somebody else reads it again.
    /// Called after [`SinkTask::flush`] where the partitions are given up in peace.
    fn close(&mut self, partitions: &[TopicPartition]);

    /// This partition has been read to its end (until the next record of it is put).
    fn reached_end(&mut self, partition: &TopicPartition);

    /// Called with records of owned partitions, in offset order per partition. An empty list is a tick: it gives
    /// the task time to write what it holds.
    /// `Ok` means accepted, not durable: only [`SinkTask::progress`] says what may be committed.
    /// May see the same record again after a restart. Waits while the task's own queue is full.
    /// [`crate::Fate::Retry`] means that the records were accepted, and that writing will be tried again.
    fn put(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<(), TaskError>>;

    /// Writes all that can be written now, and waits for it. What is held back stays held back.
    fn flush(&mut self) -> BoxFuture<'_, Result<(), TaskError>>;

    /// What may be committed now. Does not wait.
    fn progress(&mut self) -> SinkProgress;

    /// Resolves when there is news: progress, a rejected record, or a failure that the next call returns.
    /// Cancel-safe.
    fn news(&mut self) -> BoxFuture<'_, ()>;

    /// Called once, last, also after an error.
    fn stop(&mut self) -> BoxFuture<'_, ()>;
}
