//! What travels between the stations.

use std::sync::Arc;

use bytes::Bytes;

use crate::headers::Headers;
use crate::position::SourcePosition;
use crate::schema::Schema;
use crate::value::Value;

/// One record, on its way to Kafka or from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Shared by all records of a topic: compare and cache by pointer first.
    pub topic: Arc<str>,
    /// `None`: the producer's partitioner decides by the key.
    pub partition: Option<i32>,
    pub key_schema: Option<Schema>,
    pub key: Value,
    pub value_schema: Option<Schema>,
    pub value: Value,
    pub headers: Headers,
    /// Milliseconds since the epoch; `None`: the time of producing.
    pub timestamp: Option<i64>,
    pub origin: Origin,
}

/// Where a record came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Origin {
    /// From a source task; its position is the batch's.
    #[default]
    Source,
    Kafka(KafkaOrigin),
}

/// Where in Kafka a record was read, and its bytes: transforms may change the record, a dead letter must not.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaOrigin {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_type: TimestampType,
    /// The message's own, in ms since the epoch: transforms may change the record's.
    pub timestamp: Option<i64>,
    pub raw: RawMessage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    None,
    CreateTime,
    LogAppendTime,
}

/// The bytes of a message as they lie in Kafka. Cloning copies pointers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawMessage {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Arc<[(Arc<str>, Option<Bytes>)]>,
}

impl RawMessage {
    pub fn size_bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// What one poll of a source returns.
#[derive(Debug, Default)]
pub struct SourceBatch {
    /// In the order in which they must reach Kafka; cut only where an event ends.
    pub records: Vec<Record>,
    /// Memory that the records retain, in bytes.
    pub bytes: usize,
    /// How far the source is once all these records, and all before, are durable. A batch without records may
    /// carry a position too (an idle database).
    pub position: Option<SourcePosition>,
}

impl Record {
    /// A record of a source, without headers.
    pub fn source(topic: Arc<str>, key: (Option<Schema>, Value), value: (Option<Schema>, Value)) -> Self {
        Self {
            topic,
            partition: None,
            key_schema: key.0,
            key: key.1,
            value_schema: value.0,
            value: value.1,
            headers: Headers::default(),
            timestamp: None,
            origin: Origin::Source,
        }
    }

    /// Where it lies in Kafka, for a record that was read there.
    pub fn kafka_origin(&self) -> Option<&KafkaOrigin> {
        match &self.origin {
            Origin::Kafka(origin) => Some(origin),
            Origin::Source => None,
        }
    }
}
