//! Signals for a source task: read from a topic and from a file, and taken out of them when their effect is durable.
//!
//! A signal is handed to the task between two polls. What it does is part of the next position that the task hands
//! over; when that one is committed the signal is forgotten here. After a crash in between it comes again.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect::signal::{SignalFile, SignalTopic};
use connect::{Signal, SignalChannels, TaskError};
use kafka::consumer::{BatchLimits, Subscription};
use kafka::{ClientSettings, Consumer, ConsumerEvent};
use serde_json::Value as Json;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Signals are few and small.
const LIMITS: BatchLimits = BatchLimits { messages_max: 100, bytes_max: 1024 * 1024 };
/// A file that is larger is no list of signals.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The channels of one task.
pub struct Channels {
    topic: Option<Topic>,
    file: Option<File>,
}

struct Topic {
    name: Arc<str>,
    key: String,
    consumer: Consumer,
}

struct File {
    path: PathBuf,
    clock: Interval,
    /// Bytes that were handed over and are still in the file.
    taken: u64,
}

/// Signals, and how far their channel has come with them.
pub struct Received {
    pub signals: Vec<Signal>,
    pub until: Until,
}

/// What is forgotten when the effect is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Next offset to read.
    Offset(i64),
    /// So much from the beginning of the file.
    Bytes(u64),
}

/// What waits for a position that is not committed yet: the number of the last message before that position.
#[derive(Debug, Default)]
pub struct Marks {
    /// Handed to the task, and no position since.
    open: Vec<Until>,
    waiting: VecDeque<(u64, Until)>,
}

impl Marks {
    pub fn handed(&mut self, until: Until) {
        self.open.push(until);
    }

    /// A position was handed over behind message `number`.
    pub fn position(&mut self, number: u64) {
        self.waiting.extend(self.open.drain(..).map(|until| (number, until)));
    }

    /// A position was committed when everything up to message `number` was durable.
    pub fn committed(&mut self, number: u64) -> Vec<Until> {
        let count = self.waiting.partition_point(|(last, _)| *last <= number);
        self.waiting.drain(..count).map(|(_, until)| until).collect()
    }
}

impl Channels {
    /// # Errors
    /// A setting of the consumer that is refused.
    pub fn open(channels: &SignalChannels) -> Result<Self, TaskError> {
        Ok(Self {
            topic: channels.topic.as_ref().map(Topic::open).transpose()?,
            file: channels.file.as_ref().map(File::open),
        })
    }

    /// The next signals. Cancel-safe.
    pub async fn next(&mut self) -> Received {
        let from_topic = async {
            match &mut self.topic {
                Some(topic) => topic.next().await,
                None => std::future::pending().await,
            }
        };
        let from_file = async {
            match &mut self.file {
                Some(file) => file.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            received = from_topic => received,
            received = from_file => received,
        }
    }

    /// Takes signals out of their channel.
    pub async fn forget(&mut self, until: Until) {
        match (until, &mut self.topic, &mut self.file) {
            (Until::Offset(offset), Some(topic), _) => topic.commit(offset).await,
            (Until::Bytes(bytes), _, Some(file)) => file.forget(bytes),
            _ => {}
        }
    }

    pub async fn close(self) {
        if let Some(topic) = self.topic {
            topic.consumer.close().await;
        }
    }
}

impl Topic {
    fn open(topic: &SignalTopic) -> Result<Self, TaskError> {
        let mut settings =
            ClientSettings::new(topic.consumer.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        settings.set("enable.auto.commit", "false");
        if settings.get("auto.offset.reset").is_none() {
            settings.set("auto.offset.reset", "earliest");
        }
        let subscription = Subscription::Partition(topic.name.clone(), 0);
        let consumer = Consumer::new(&settings, &subscription, LIMITS)
            .map_err(|error| TaskError::halt(format!("signals cannot be read: {error}")))?;
        tracing::info!(topic = %topic.name, "signals are read");
        Ok(Self { name: topic.name.as_str().into(), key: topic.key.clone(), consumer })
    }

    async fn next(&mut self) -> Received {
        loop {
            let Some(event) = self.consumer.next().await else { return std::future::pending().await };
            match event {
                ConsumerEvent::Batch { messages, .. } => {
                    let Some(last) = messages.last().map(|message| message.offset) else { continue };
                    let own =
                        messages.iter().filter(|message| message.key.as_deref() == Some(self.key.as_bytes()));
                    let signals = own.filter_map(|message| parse(message.value.as_deref()?)).collect();
                    return Received { signals, until: Until::Offset(last + 1) };
                }
                ConsumerEvent::Failed { error, .. } => {
                    tracing::warn!(topic = &*self.name, %error, "signals cannot be read for now");
                }
                ConsumerEvent::Assigned(_) | ConsumerEvent::Revoked { .. } => {}
            }
        }
    }

    async fn commit(&self, offset: i64) {
        let offsets = BTreeMap::from([((self.name.clone(), 0), offset)]);
        if let Err(error) = self.consumer.commit(&offsets).await {
            // They come again after a restart.
            tracing::warn!(topic = &*self.name, %error, "the place in the topic of signals could not be kept");
        }
    }
}

impl File {
    fn open(file: &SignalFile) -> Self {
        let mut clock = interval(file.poll_interval);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tracing::info!(path = %file.path, "signals are read");
        Self { path: file.path.clone().into(), clock, taken: 0 }
    }

    async fn next(&mut self) -> Received {
        loop {
            self.clock.tick().await;
            match read_behind(&self.path, self.taken) {
                Ok(Some(text)) => {
                    let bytes = text.len() as u64;
                    self.taken += bytes;
                    let signals = text.lines().filter(|line| !line.trim().is_empty());
                    let signals = signals.filter_map(|line| parse(line.as_bytes())).collect();
                    return Received { signals, until: Until::Bytes(bytes) };
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(path = %self.path.display(), %error, "signals cannot be read"),
            }
        }
    }

    /// Cuts the beginning off.
    fn forget(&mut self, bytes: u64) {
        let cut = || -> std::io::Result<()> {
            let content = std::fs::read(&self.path)?;
            let rest = usize::try_from(bytes).ok().and_then(|bytes| content.get(bytes..)).unwrap_or_default();
            std::fs::write(&self.path, rest)
        };
        match cut() {
            Ok(()) => self.taken = self.taken.saturating_sub(bytes),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the file of signals cannot be emptied")
            }
        }
    }
}

/// Whole lines behind what was taken; `None` where there are none. Without a line end the last one counts too: nobody
/// writes signals in halves.
fn read_behind(path: &Path, taken: u64) -> std::io::Result<Option<String>> {
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if length <= taken {
        return Ok(None);
    }
    if length > FILE_BYTES_MAX {
        return Err(std::io::Error::other("the file is too large"));
    }
    let content = std::fs::read(path)?;
    let rest = usize::try_from(taken).ok().and_then(|taken| content.get(taken..)).unwrap_or_default();
    Ok(Some(String::from_utf8_lossy(rest).into_owned()).filter(|text| !text.is_empty()))
}

/// `{"id": …, "type": …, "data": …}`; data is JSON, as it is or as text.
fn parse(bytes: &[u8]) -> Option<Signal> {
    let json: Json = match serde_json::from_slice(bytes) {
        Ok(json) => json,
        Err(error) => {
            tracing::warn!(%error, "signal is not JSON");
            return None;
        }
    };
    let Some(kind) = json["type"].as_str() else {
        tracing::warn!("signal without type");
        return None;
    };
    let data = match &json["data"] {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let id = match &json["id"] {
        Json::String(id) => id.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    };
    Some(Signal { id, kind: kind.to_owned(), data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_in_json() {
        let signal = parse(br#"{"id":"1","type":"log","data":{"message":"m"}}"#).unwrap();
        assert_eq!(signal.data.as_deref(), Some(r#"{"message":"m"}"#));
        let signal = parse(br#"{"type":"log","data":"{\"message\":\"m\"}"}"#).unwrap();
        assert_eq!((signal.id.as_str(), signal.data.as_deref()), ("", Some(r#"{"message":"m"}"#)));
        assert_eq!(parse(b"x"), None);
        assert_eq!(parse(b"{}"), None);
    }

    #[test]
    fn marks_wait_for_their_position() {
        let mut marks = Marks::default();
        marks.handed(Until::Offset(5));
        assert!(marks.committed(10).is_empty());
        marks.position(12);
        marks.handed(Until::Offset(6));
        assert!(marks.committed(11).is_empty());
        assert_eq!(marks.committed(12), [Until::Offset(5)]);
        marks.position(12);
        assert_eq!(marks.committed(12), [Until::Offset(6)]);
    }

    #[tokio::test]
    async fn a_file_is_emptied_when_its_signals_are_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signals.txt");
        let poll_interval = std::time::Duration::from_millis(5);
        let mut file = File::open(&SignalFile { path: path.display().to_string(), poll_interval });
        let first = "{\"id\":\"1\",\"type\":\"log\"}\n";
        std::fs::write(&path, first).unwrap();
        let received = file.next().await;
        assert_eq!(received.signals.len(), 1);
        let second = "{\"id\":\"2\",\"type\":\"log\"}\nnonsense\n";
        std::fs::write(&path, format!("{first}{second}")).unwrap();
        file.forget(first.len() as u64);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), second);
        let received = file.next().await;
        assert_eq!(received.signals.iter().map(|signal| signal.id.as_str()).collect::<Vec<_>>(), ["2"]);
        file.forget(second.len() as u64);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }
}
