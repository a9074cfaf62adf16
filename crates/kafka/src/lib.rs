//! Kafka clients: a thin layer over librdkafka that knows bytes, offsets and groups, and nothing of records.

pub mod settings; // Java's client settings, in librdkafka's words
pub mod error; // what went wrong, and whether waiting helps
pub mod acknowledged; // which of the sent messages are durable: the contiguous prefix
pub mod producer; // messages out
pub mod message; // a message that was read
pub mod consumer; // messages in, as a member of a group
mod consumer_thread; // the loop that takes them off librdkafka
mod pattern; // topics by regular expression
pub mod admin; // topics, groups, offsets
mod group_offsets; // a call that the binding lacks
pub mod topic_reader; // a topic as it is now, outside of any group
pub mod compacted_log; // a topic read to its end and followed: configs, offsets, status, schemas

pub use acknowledged::Acknowledged;
pub use admin::{Admin, TopicSpec};
pub use compacted_log::{CompactedLog, LogRecord};
pub use consumer::{Consumer, ConsumerEvent};
pub use error::Error;
pub use message::{Message, MessageHeaders};
pub use producer::{HeaderTemplate, OpenRound, Outgoing, Parts, Place, Producer, Topic};
pub use settings::{ClientKind, ClientSettings};
pub use topic_reader::TopicReader;
