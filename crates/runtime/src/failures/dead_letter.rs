//! The dead letter queue: original bytes, original headers, and Connect's headers that say what went wrong
//! (spec: connect.md §6.2).

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connect::TaskError;
use connect::contract::TaskId;
use connect::record::KafkaOrigin;
use kafka::{Admin, HeaderTemplate, Outgoing, Producer, Topic, TopicSpec};

use super::Stage;
use crate::connector_settings::DeadLetterSettings;
use crate::settings::WorkerSettings;
use connect::settings::Properties;

/// How long the queue's own acknowledgement may take before the task fails.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a record failed.
pub struct Coordinates<'a> {
    pub stage: Stage,
    /// Class of the converter, transform or task.
    pub class: &'a str,
}

/// One task's way to its dead letter topic.
pub struct DeadLetters {
    producer: Producer,
    topic: Topic,
    settings: DeadLetterSettings,
    task: TaskId,
    /// A record did not arrive. The producer counts it as done after that, so this must be remembered here.
    is_broken: AtomicBool,
}

impl DeadLetters {
    /// Creates the topic where it is missing.
    ///
    /// # Errors
    /// A transient one while no broker answers, else the broker's refusal.
    pub async fn open(
        settings: &DeadLetterSettings,
        worker: &WorkerSettings,
        connector: &Properties,
        task: &TaskId,
    ) -> Result<Self, TaskError> {
        let failed = |error: kafka::Error| {
            let message = format!("dead letter queue {}: {error}", settings.topic);
            if error.is_transient() { TaskError::retry(message) } else { TaskError::halt(message) }
        };
        let admin = Admin::new(&worker.connector_clients("admin.", connector)).map_err(failed)?;
        if !admin.partitions(Some(&settings.topic)).await.map_err(failed)?.contains_key(&settings.topic) {
            let spec = TopicSpec {
                name: settings.topic.clone(),
                partitions: 1,
                replication_factor: settings.replication_factor,
                config: vec![],
            };
            admin.create_topic(&spec).await.map_err(failed)?;
        }
        let clients = worker.connector_clients("producer.", connector);
        let client_id = format!("connector-dlq-producer-{}-{}", task.connector, task.task);
        let producer = Producer::new(&clients.with([("client.id", client_id.as_str())])).map_err(failed)?;
        let topic = producer.topic(&settings.topic).map_err(failed)?;
        Ok(Self {
            producer,
            topic,
            settings: settings.clone(),
            task: task.clone(),
            is_broken: AtomicBool::new(false),
        })
    }

    /// Hands one record over; [`DeadLetters::flush`] waits for it.
    ///
    /// # Errors
    /// The queue takes nothing more, or the record is too large for it.
    pub async fn send(
        &self,
        origin: &KafkaOrigin,
        at: &Coordinates<'_>,
        error: &TaskError,
    ) -> Result<(), TaskError> {
        let context = if self.settings.context_headers { self.context(origin, at, error) } else { vec![] };
        let original = origin.raw.headers.iter().map(|(name, value)| (&**name, value.as_deref()));
        let added = context.iter().map(|(name, value)| (*name, value.as_deref().map(str::as_bytes)));
        let headers = Arc::new(HeaderTemplate::new(original.chain(added)));
        let message = Outgoing {
            topic: &self.topic,
            partition: None,
            key: origin.raw.key.as_deref(),
            value: origin.raw.value.as_deref(),
            headers: Some(&headers),
            timestamp: origin.timestamp,
        };
        loop {
            match self.producer.send(&message) {
                Ok(_) => {
                    self.producer.submit();
                    return Ok(());
                }
                Err(error) if error.is_transient() => self.producer.changed().await,
                Err(error) => {
                    self.is_broken.store(true, Ordering::Release);
                    let hint = "raise producer.override.max.request.size, and max.message.bytes of the topic";
                    let message = format!("dead letter queue {}: {error}", self.settings.topic);
                    return Err(TaskError::halt(message).with_hint(hint));
                }
            }
        }
    }

    /// Waits until all dead letters are durable: offsets behind them may be committed only then.
    ///
    /// # Errors
    /// One of them was not delivered.
    pub async fn flush(&self) -> Result<(), TaskError> {
        let topic = &self.settings.topic;
        if self.is_broken.load(Ordering::Acquire) {
            return Err(TaskError::retry(format!("dead letter queue {topic}: a record was not delivered")));
        }
        self.producer.flush(FLUSH_TIMEOUT).await.map_err(|error| {
            self.is_broken.store(true, Ordering::Release);
            let message = format!("dead letter queue {topic}: {error}");
            if error.is_transient() { TaskError::retry(message) } else { TaskError::halt(message) }
        })
    }

    fn context(
        &self,
        origin: &KafkaOrigin,
        at: &Coordinates<'_>,
        error: &TaskError,
    ) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("__connect.errors.topic", Some(origin.topic.to_string())),
            ("__connect.errors.partition", Some(origin.partition.to_string())),
            ("__connect.errors.offset", Some(origin.offset.to_string())),
            ("__connect.errors.connector.name", Some(self.task.connector.to_string())),
            ("__connect.errors.task.id", Some(self.task.task.to_string())),
            ("__connect.errors.stage", Some(at.stage.name().to_owned())),
            ("__connect.errors.class.name", Some(at.class.to_owned())),
            ("__connect.errors.exception.class.name", Some(error.class.to_owned())),
            ("__connect.errors.exception.message", Some(error.message.clone())),
            ("__connect.errors.exception.stacktrace", Some(trace(error))),
        ]
    }
}

/// The error and its causes in the form of a Java trace, as status and headers show it.
pub fn trace(error: &TaskError) -> String {
    let mut text = format!("{}: {error}", error.class);
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, "\nCaused by: {error}");
        cause = error.source();
    }
    text
}
