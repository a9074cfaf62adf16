//! A message that was read.

use std::sync::Arc;

use bytes::Bytes;

/// Header names and raw values, in order.
pub type MessageHeaders = Arc<[(Arc<str>, Option<Bytes>)]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    None,
    CreateTime,
    LogAppendTime,
}

/// Key and value are slices of one buffer that all messages of a batch share.
#[derive(Clone, Debug)]
pub struct Message {
    /// The same pointer for all messages of a topic.
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    pub timestamp_type: TimestampType,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// Empty list shared when there are none.
    pub headers: MessageHeaders,
}
