//! Kafka Connect's vocabulary: what a record is, what a setting is, and the four contracts. Pure.

pub mod text; // strings and bytes: short ones in place, long ones slices of the row's buffer
pub mod value; // the data
pub mod schema; // what the data means
pub mod calendar; // Java's dates: Julian before 1582
pub mod logical; // names of Connect's and Debezium's semantic types
pub mod decimal; // Java's BigDecimal as text
pub mod java_number; // Java's other numbers as text
pub mod infer; // text -> value, as Connect's headers are read
pub mod headers; // what travels beside the data
pub mod record; // what travels
pub mod position; // how far a source has come
pub mod fate; // what may be done about an error
pub mod signal; // what people ask of a running source
pub mod contract; // SourceTask, Transform, Converter, SinkTask
pub mod settings; // tables of options: parsing, validation, documentation
pub mod preflight; // what is missing outside, before anything runs

pub use contract::{Converter, Decoder, Encoder, SinkTask, SourceTask, Transform, Verdict};
pub use fate::{Fate, TaskError};
pub use headers::{Header, Headers};
pub use position::SourcePosition;
pub use record::{Origin, RawMessage, Record, SourceBatch, TopicPartition};
pub use schema::{Field, Kind, Schema, SchemaBuilder};
pub use signal::{Signal, SignalChannels};
pub use text::{Blob, Buffer, Text};
pub use value::{Decimal, Value};
