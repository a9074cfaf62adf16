//! Where the registry listens and where it keeps its schemas.

use kafka::ClientSettings;

use crate::level::Level;

/// Confluent's name of the topic.
pub const TOPIC: &str = "_schemas";

#[derive(Clone)]
pub struct Settings {
    /// `host:port`, with or without `http://`.
    pub listener: String,
    pub store: Store,
    /// The level of subjects that have none, while none is set globally.
    pub compatibility: Level,
}

#[derive(Clone)]
pub enum Store {
    /// A compacted topic of one partition; created where it is missing.
    Topic { kafka: ClientSettings, topic: String, replication_factor: i32 },
    /// Nothing outlives the process: for tests of clients.
    Memory,
}

impl Settings {
    /// The registry of a worker: on the worker's own cluster, under Confluent's topic name.
    pub fn new(listener: &str, kafka: ClientSettings) -> Self {
        Self {
            listener: listener.to_owned(),
            store: Store::Topic { kafka, topic: TOPIC.to_owned(), replication_factor: -1 },
            compatibility: Level::Backward,
        }
    }

    pub fn in_memory(listener: &str) -> Self {
        Self { listener: listener.to_owned(), store: Store::Memory, compatibility: Level::Backward }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the schema registry cannot listen on {address}")]
    Listen { address: String, source: std::io::Error },
    #[error("the schema registry's topic cannot be read")]
    Topic(#[from] kafka::Error),
}
