//! What is in topics, record by record.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kafka::consumer::{BatchLimits, Subscription};
use kafka::{ClientSettings, Consumer, ConsumerEvent};

/// A record as it lies in Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub headers: Vec<(String, Option<String>)>,
    pub key: Option<String>,
    pub value: Option<String>,
}

/// Records by topic, in offset order per partition (one partition after the other).
pub type Records = BTreeMap<(String, i32), Vec<Recorded>>;

/// Follows all topics whose names match.
pub struct Topics {
    consumer: Consumer,
    seen: Records,
    /// Next offset of each partition: a topic that is found later makes the group start over.
    next: BTreeMap<(String, i32), i64>,
}

impl Topics {
    /// # Errors
    /// The client cannot be made.
    pub fn follow(bootstrap: &str, group: &str, pattern: &str) -> Result<Self> {
        let settings = ClientSettings::new([
            ("bootstrap.servers", bootstrap),
            ("group.id", group),
            ("metadata.max.age.ms", "200"),
            ("fetch.max.wait.ms", "50"),
        ]);
        let limits = BatchLimits { messages_max: 10_000, bytes_max: 16 << 20 };
        let consumer = Consumer::new(&settings, &Subscription::Pattern(pattern.to_owned()), limits)?;
        Ok(Self { consumer, seen: Records::new(), next: BTreeMap::new() })
    }

    pub fn seen(&self) -> &Records {
        &self.seen
    }

    /// Reads until what was seen is enough.
    ///
    /// # Errors
    /// It is not in time; `what` names it.
    pub async fn until(
        &mut self,
        what: &str,
        timeout: Duration,
        is_enough: impl Fn(&Records) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout;
        while !is_enough(&self.seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let counts: Vec<_> =
                    self.seen.iter().map(|((topic, _), records)| (topic, records.len())).collect();
                bail!("{what} is not in the topics after {timeout:?}: {counts:?}");
            }
            self.read(left).await?;
        }
        Ok(())
    }

    /// All that is in the topics now, from `what` on read until nothing came for so long: a topic that is new is found
    /// late by a consumer that follows.
    ///
    /// # Errors
    /// What must be there is not.
    pub async fn all(
        mut self,
        what: &str,
        quiet: Duration,
        is_enough: impl Fn(&Records) -> bool,
    ) -> Result<Records> {
        self.until(what, Duration::from_secs(60), is_enough).await?;
        self.idle(quiet).await?;
        Ok(self.seen)
    }

    /// Reads until nothing came for so long.
    ///
    /// # Errors
    /// The consumer fails.
    pub async fn idle(&mut self, quiet: Duration) -> Result<()> {
        while self.read(quiet).await? {}
        Ok(())
    }

    /// False when nothing came.
    async fn read(&mut self, timeout: Duration) -> Result<bool> {
        match tokio::time::timeout(timeout, self.consumer.next()).await {
            Err(_) => return Ok(false),
            Ok(None) => bail!("the consumer ended"),
            Ok(Some(ConsumerEvent::Failed { error, fatal: true })) => bail!("{error}"),
            Ok(Some(ConsumerEvent::Batch { messages, .. })) => {
                for message in &messages {
                    self.enter(message);
                }
            }
            Ok(Some(_)) => {}
        }
        Ok(true)
    }

    fn enter(&mut self, message: &kafka::Message) {
        let partition = (message.topic.to_string(), message.partition);
        let next = self.next.entry(partition.clone()).or_insert(0);
        if message.offset < *next {
            return;
        }
        *next = message.offset + 1;
        let headers = message.headers.iter();
        let recorded = Recorded {
            headers: headers
                .map(|(name, value)| (name.to_string(), value.as_ref().map(|bytes| text(bytes))))
                .collect(),
            key: message.key.as_ref().map(|bytes| text(bytes)),
            value: message.value.as_ref().map(|bytes| text(bytes)),
        };
        self.seen.entry(partition).or_default().push(recorded);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
