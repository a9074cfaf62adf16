//! Where the broker listens and keeps its data, and how durable an acknowledgement is.

use std::path::PathBuf;

/// When data is forced to disk. A killed process loses nothing either way: what was written is in the system's
/// memory. A machine that loses power may lose what was not forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before each acknowledgement; requests that come meanwhile share one.
    Always,
    /// Once a second.
    Interval,
    /// When the system likes.
    Never,
}

#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// `host:port`; port 0 takes a free one.
    pub listener: String,
    pub data_dir: PathBuf,
    pub fsync: Fsync,
}

/// Largest request, in bytes (Kafka's `socket.request.max.bytes`).
pub const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Largest batch, in bytes (Kafka's `message.max.bytes` is 1 MiB; rows may have 32 MB).
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A segment is closed when it is this large.
pub const SEGMENT_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Partitions of a topic that is made without a word about them.
pub const PARTITIONS_DEFAULT: i32 = 1;
/// Partitions that one topic may have.
pub const PARTITIONS_MAX: i32 = 10_000;
/// Our node id.
pub const NODE_ID: i32 = 1;
