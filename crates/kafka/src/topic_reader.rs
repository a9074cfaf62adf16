//! A topic as it is now, read from one offset to another outside of any group.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::error::Error;
use crate::message::{Message, MessageHeaders, TimestampType};
use crate::settings::{ClientKind, ClientSettings};

/// How long the broker may say nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// One partition and what it holds: offsets from `first` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub partition: i32,
    pub first: i64,
    pub end: i64,
}

/// Reads a topic without leaving a trace. Its calls wait: not for async threads.
pub struct TopicReader {
    client: BaseConsumer<Quiet>,
    topic: Arc<str>,
}

/// Reaching the end of a partition is no error here.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "reading a topic");
        }
    }
}

impl ConsumerContext for Quiet {}

impl TopicReader {
    /// # Errors
    /// A setting that is refused.
    pub fn new(settings: &ClientSettings, topic: &str) -> Result<Self, Error> {
        let config = settings
            .with([
                ("group.id", "tidegate-reader"),
                ("fetch.max.wait.ms", "100"),
                ("allow.auto.create.topics", "false"),
            ])
            .native(ClientKind::Consumer)?;
        let client = BaseConsumer::from_config_and_context(&config, Quiet)
            .map_err(|error| Error::new("create consumer", &error))?;
        Ok(Self { client, topic: topic.into() })
    }

    /// What the topic's partitions hold now; nothing for a topic that does not exist.
    ///
    /// # Errors
    /// No broker answered.
    pub fn extents(&self) -> Result<Vec<Extent>, Error> {
        let metadata = self
            .client
            .fetch_metadata(Some(&self.topic), READ_TIMEOUT)
            .map_err(|error| Error::new("fetch metadata", &error))?;
        let partitions = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none())
            .flat_map(|topic| topic.partitions())
            .map(|partition| partition.id());
        let mut partitions: Vec<i32> = partitions.collect();
        partitions.sort_unstable();
        partitions
            .into_iter()
            .map(|partition| {
                let (first, end) = self
                    .client
                    .fetch_watermarks(&self.topic, partition, READ_TIMEOUT)
                    .map_err(|error| Error::new("read the end of a topic", &error))?;
                Ok(Extent { partition, first, end })
            })
            .collect()
    }

    /// Tells each message of the extent, in order, until the end or until `tell` has enough.
    ///
    /// # Errors
    /// The broker's refusal, or no answer.
    pub fn read(
        &self,
        extent: Extent,
        mut tell: impl FnMut(Message) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        if extent.first >= extent.end {
            return Ok(ControlFlow::Continue(()));
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, extent.partition, Offset::Offset(extent.first))
            .and_then(|()| self.client.assign(&list))
            .map_err(|error| Error::new("assign", &error))?;
        let mut heard = Instant::now();
        loop {
            match self.client.poll(Duration::from_millis(200)) {
                None if heard.elapsed() > READ_TIMEOUT => {
                    let what = format!("read {}", self.topic);
                    return Err(Error::Timeout { what, millis: READ_TIMEOUT.as_millis() });
                }
                None => {}
                // Offsets at the end may be empty: of transactions, or compacted away.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(ControlFlow::Continue(())),
                Some(Err(error)) => return Err(Error::new(format!("read {}", self.topic), &error)),
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let offset = message.offset();
                    if offset >= extent.end {
                        return Ok(ControlFlow::Continue(()));
                    }
                    if tell(self.owned(&message)).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    if offset + 1 >= extent.end {
                        return Ok(ControlFlow::Continue(()));
                    }
                }
            }
        }
    }

    fn owned(&self, message: &BorrowedMessage<'_>) -> Message {
        let headers: MessageHeaders = message
            .headers()
            .map(|headers| {
                headers
                    .iter()
                    .map(|header| (Arc::from(header.key), header.value.map(Bytes::copy_from_slice)))
                    .collect()
            })
            .unwrap_or_else(|| Arc::from([]));
        let (timestamp, timestamp_type) = match message.timestamp() {
            Timestamp::NotAvailable => (None, TimestampType::None),
            Timestamp::CreateTime(at) => (Some(at), TimestampType::CreateTime),
            Timestamp::LogAppendTime(at) => (Some(at), TimestampType::LogAppendTime),
        };
        Message {
            topic: self.topic.clone(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp,
            timestamp_type,
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers,
        }
    }
}
