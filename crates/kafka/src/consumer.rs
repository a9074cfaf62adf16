//! Messages in, as a member of a consumer group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, DefaultConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};

use crate::consumer_thread;
use crate::error::Error;
use crate::message::Message;
use crate::pattern::PatternWatch;
use crate::settings::{ClientKind, ClientSettings};

/// Batches that wait between the reading thread and the task: one is being taken while the next one fills.
const BATCHES_WAITING_MAX: usize = 1;

/// A partition of a topic.
pub type Partition = (Arc<str>, i32);

/// What the consumer has to say, in order.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// Messages, in offset order per partition, and the partitions that are read to their end after them.
    Batch { messages: Vec<Message>, ends: Vec<Partition> },
    /// These partitions are now ours.
    Assigned(Vec<Partition>),
    /// These partitions are being taken away. They are given up when `done` is dropped or sent: write and commit
    /// first. `lost` means that somebody else may own them already.
    Revoked { partitions: Vec<Partition>, lost: bool, done: oneshot::Sender<()> },
    /// A failure that does not end the consumer (it goes on by itself), or does (`fatal`).
    Failed { error: Error, fatal: bool },
}

/// What is subscribed to.
#[derive(Clone, Debug)]
pub enum Subscription {
    Topics(Vec<String>),
    /// A regular expression over whole topic names, in Java's syntax as far as the `regex` crate has it:
    /// librdkafka's own expressions know less.
    Pattern(String),
    /// One partition, read alone: the group only keeps the place, and nobody is assigned anything.
    Partition(String, i32),
}

/// Limits of one batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    pub messages_max: usize,
    pub bytes_max: usize,
}

/// A group member. Dropping it leaves the group.
pub struct Consumer {
    client: Arc<BaseConsumer<DefaultConsumerContext>>,
    events: mpsc::Receiver<ConsumerEvent>,
    stopping: Arc<AtomicBool>,
    paused: Arc<Paused>,
    thread: Option<JoinHandle<()>>,
}

/// Partitions that the task paused, until it resumes them or they are revoked: the thread, which pauses for its own
/// reasons, leaves them alone.
pub(crate) type Paused = Mutex<BTreeSet<Partition>>;

impl Consumer {
    /// Joins the group in the background.
    ///
    /// # Errors
    /// A setting that is refused (`group.id` must be given).
    pub fn new(
        settings: &ClientSettings,
        subscription: &Subscription,
        limits: BatchLimits,
    ) -> Result<Self, Error> {
        let config = settings.native(ClientKind::Consumer)?;
        let client = BaseConsumer::from_config_and_context(&config, DefaultConsumerContext)
            .map_err(|error| Error::new("create consumer", &error))?;
        let client = Arc::new(client);
        let watch = match subscription {
            Subscription::Topics(topics) => {
                let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
                client.subscribe(&topics).map_err(|error| Error::new("subscribe", &error))?;
                None
            }
            Subscription::Pattern(pattern) => Some(PatternWatch::new(pattern)?),
            Subscription::Partition(topic, partition) => {
                let mut list = TopicPartitionList::with_capacity(1);
                list.add_partition_offset(topic, *partition, Offset::Stored)
                    .and_then(|()| client.assign(&list))
                    .map_err(|error| Error::new("assign partition", &error))?;
                None
            }
        };
        let (sender, events) = mpsc::channel(BATCHES_WAITING_MAX);
        let stopping = Arc::new(AtomicBool::new(false));
        let paused = Arc::new(Paused::default());
        let shared = consumer_thread::Shared { stopping: stopping.clone(), paused: paused.clone() };
        let thread = consumer_thread::spawn(client.clone(), sender, limits, watch, shared)?;
        Ok(Self { client, events, stopping, paused, thread: Some(thread) })
    }

    /// The next event. `None` after the thread ended, which only happens with the process. Cancel-safe.
    pub async fn next(&mut self) -> Option<ConsumerEvent> {
        self.events.recv().await
    }

    /// Commits the next offsets to read, and waits for the broker's word.
    ///
    /// # Errors
    /// The coordinator's refusal (the group went on without us), or no answer.
    pub async fn commit(&self, offsets: &BTreeMap<Partition, i64>) -> Result<(), Error> {
        let list = offset_list(offsets)?;
        let client = self.client.clone();
        tokio::task::spawn_blocking(move || client.commit(&list, CommitMode::Sync))
            .await
            .map_err(|_| Error::Closed { what: "commit offsets".to_owned() })?
            .map_err(|error| Error::new("commit offsets", &error))
    }

    /// Stops fetching from these partitions, until they are resumed or revoked; what was fetched already still arrives.
    ///
    /// # Errors
    /// A partition that is not ours.
    pub fn pause(&self, partitions: &[Partition]) -> Result<(), Error> {
        self.paused.lock().extend(partitions.iter().cloned());
        self.client.pause(&list(partitions)).map_err(|error| Error::new("pause partitions", &error))
    }

    /// # Errors
    /// A partition that is not ours.
    pub fn resume(&self, partitions: &[Partition]) -> Result<(), Error> {
        self.paused.lock().retain(|paused| !partitions.contains(paused));
        self.client.resume(&list(partitions)).map_err(|error| Error::new("resume partitions", &error))
    }

    /// Reads a partition again from an offset.
    ///
    /// # Errors
    /// A partition that is not ours, or no answer from the client in time.
    pub async fn seek(&self, partition: &Partition, offset: i64) -> Result<(), Error> {
        let client = self.client.clone();
        let (topic, number) = (partition.0.clone(), partition.1);
        tokio::task::spawn_blocking(move || {
            client.seek(&topic, number, Offset::Offset(offset), Duration::from_secs(10))
        })
        .await
        .map_err(|_| Error::Closed { what: "seek".to_owned() })?
        .map_err(|error| Error::new("seek", &error))
    }

    /// High watermark of a partition as of the last fetch; `None` before the first one. Asks nobody.
    pub fn high_watermark(&self, partition: &Partition) -> Option<i64> {
        consumer_thread::cached_high_watermark(&self.client, partition)
    }

    /// Leaves the group and ends the thread; waits for both.
    pub async fn close(mut self) {
        self.stopping.store(true, Ordering::Release);
        // The thread may be waiting to hand over an event: nobody will take it any more.
        self.events.close();
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        let client = self.client.clone();
        drop(self);
        // Leaving the group talks to the broker, so it must not happen on an async thread.
        let _ = tokio::task::spawn_blocking(move || drop(client)).await;
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
    }
}

pub(crate) fn list(partitions: &[Partition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

pub(crate) fn offset_list(offsets: &BTreeMap<Partition, i64>) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for ((topic, partition), offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
            .map_err(|error| Error::new("offset", &error))?;
    }
    Ok(list)
}
