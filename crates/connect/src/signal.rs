//! Signals: what people ask of a source that runs, and where they may ask it.

use std::time::Duration;

use crate::settings::Properties;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Names the request in whatever answers it.
    pub id: String,
    pub kind: String,
    /// JSON, where it was given.
    pub data: Option<String>,
}

/// Channels that the runtime reads for a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalChannels {
    pub file: Option<SignalFile>,
    pub topic: Option<SignalTopic>,
}

/// A file of JSON lines: a line is taken out of it when what it asked for is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalFile {
    pub path: String,
    pub poll_interval: Duration,
}

/// A topic of which partition 0 is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalTopic {
    pub name: String,
    /// Only records with this key are meant for the task.
    pub key: String,
    /// Settings of the consumer, under their Java names; `group.id` and `bootstrap.servers` are among them.
    pub consumer: Properties,
}
