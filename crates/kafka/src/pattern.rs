//! Topics by regular expression: looked up by us, because librdkafka's own expressions lack most of Java's.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use regex::Regex;

use crate::error::Error;

/// How often new topics are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long one look may take; without a broker it is tried again.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

pub struct PatternWatch {
    pattern: Regex,
    topics: Vec<String>,
    looked: Option<Instant>,
}

impl PatternWatch {
    /// # Errors
    /// Not a regular expression.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let pattern = Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| Error::Setting { key: "topics.regex".to_owned(), reason: error.to_string() })?;
        Ok(Self { pattern, topics: vec![], looked: None })
    }

    /// Subscribes to what matches now, when it is time to look and something changed.
    pub fn look(&mut self, client: &BaseConsumer<DefaultConsumerContext>) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_INTERVAL) {
            return;
        }
        self.looked = Some(Instant::now());
        let metadata = match client.fetch_metadata(None, LOOK_TIMEOUT) {
            Ok(metadata) => metadata,
            Err(error) => return tracing::warn!(%error, "topics could not be listed"),
        };
        let mut topics: Vec<String> = metadata
            .topics()
            .iter()
            .map(|topic| topic.name())
            .filter(|name| !name.starts_with("__consumer_offsets") && self.pattern.is_match(name))
            .map(str::to_owned)
            .collect();
        topics.sort();
        if topics == self.topics || topics.is_empty() {
            return;
        }
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        match client.subscribe(&names) {
            Ok(()) => self.topics = topics,
            Err(error) => tracing::warn!(%error, "topics could not be subscribed to"),
        }
    }
}
