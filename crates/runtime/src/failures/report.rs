//! What happens to one failed record: counted, logged where wanted, put into the queue, and then skipped or the
//! end of the task.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use connect::contract::TaskId;
use connect::record::{KafkaOrigin, TimestampType};
use connect::{Fate, Record, TaskError};

use super::tolerance::{Decision, decide};
use super::{Coordinates, DeadLetters, Stage, trace};
use crate::connector_settings::ErrorSettings;
use crate::metrics::ErrorMetrics;

/// One task's way of dealing with failures.
pub struct Failures {
    pub settings: ErrorSettings,
    task: TaskId,
    metrics: ErrorMetrics,
    dead_letters: Option<DeadLetters>,
    /// Seeds of the back-off's jitter.
    random: RandomState,
}

/// How often one step of one record was tried.
#[derive(Default)]
pub struct Attempts {
    first: Option<Instant>,
    count: u32,
}

/// The record that failed.
#[derive(Clone, Copy)]
pub enum Failed<'a> {
    /// As it lies in Kafka.
    Consumed(&'a KafkaOrigin),
    /// As the source made it.
    Source(&'a Record),
    /// It is gone already.
    Unknown,
}

impl Failures {
    pub fn new(settings: ErrorSettings, task: &TaskId, dead_letters: Option<DeadLetters>) -> Self {
        Self {
            settings,
            task: task.clone(),
            metrics: ErrorMetrics::new(task),
            dead_letters,
            random: RandomState::new(),
        }
    }

    /// Decides about a failed step. `Ok(Some(delay))`: try again after it. `Ok(None)`: the record was reported
    /// and is to be skipped. `Err`: it was reported and the task ends.
    pub async fn handle(
        &self,
        failed: Failed<'_>,
        at: &Coordinates<'_>,
        error: TaskError,
        attempts: &mut Attempts,
    ) -> Result<Option<Duration>, TaskError> {
        attempts.count += 1;
        self.metrics.failures.increment(1);
        let elapsed = attempts.first.get_or_insert_with(Instant::now).elapsed();
        let random = self.random.hash_one(attempts.count);
        let decision = decide(error.fate, at.stage, &self.settings, attempts.count, elapsed, random);
        if let Decision::RetryAfter(delay) = decision {
            self.metrics.retries.increment(1);
            return Ok(Some(delay));
        }
        self.metrics.errors.increment(1);
        self.metrics.last_error.set(now_ms());
        self.log(failed, at, &error);
        // A task that fails for a transient reason is started again and reads the record again: the queue is for what
        // is given up.
        if (decision == Decision::Skip || error.fate != Fate::Retry)
            && let (Some(dead_letters), Failed::Consumed(origin)) = (&self.dead_letters, failed)
        {
            self.metrics.dead_letters.increment(1);
            let sent = dead_letters.send(origin, at, &error).await;
            self.counted(sent)?;
        }
        if decision == Decision::Skip {
            self.metrics.skipped.increment(1);
            return Ok(None);
        }
        self.flush().await?;
        Err(self.fatal(at, error))
    }

    fn fatal(&self, at: &Coordinates<'_>, error: TaskError) -> TaskError {
        let mut fatal = TaskError::new(
            if error.fate == Fate::Retry { Fate::Retry } else { Fate::Halt },
            connect::fate::CONNECT_EXCEPTION,
            match at.stage {
                Stage::KafkaProduce => {
                    format!("Unrecoverable exception from producer send callback: {}", error.message)
                }
                stage => format!("Tolerance exceeded in error handler: {}: {}", stage.name(), error.message),
            },
        );
        fatal.hint = error.hint.clone();
        if at.stage == Stage::TaskPut && self.settings.put_tolerance() != self.settings.tolerance {
            let hint = "errors.tolerance=all skips what a sink refuses only where it is reported: set \
                        errors.deadletterqueue.topic.name or errors.log.enable";
            fatal.hint = Some(fatal.hint.map_or(hint.to_owned(), |own| format!("{own}; {hint}")));
        }
        fatal.source = Some(Box::new(error));
        fatal
    }

    /// Waits until all dead letters are durable.
    ///
    /// # Errors
    /// One of them was not delivered, now or earlier: no offset behind it may be committed any more.
    pub async fn flush(&self) -> Result<(), TaskError> {
        match &self.dead_letters {
            Some(dead_letters) => self.counted(dead_letters.flush().await),
            None => Ok(()),
        }
    }

    fn counted(&self, outcome: Result<(), TaskError>) -> Result<(), TaskError> {
        if let Err(error) = &outcome {
            self.metrics.dead_letter_failures.increment(1);
            tracing::error!(connector = &*self.task.connector, task = self.task.task, %error, "dead letter queue");
        }
        outcome
    }

    /// Whether a record of a source is wanted as it was before transforms and converters.
    pub fn shows_source_records(&self) -> bool {
        self.settings.log && self.settings.log_messages
    }

    fn log(&self, failed: Failed<'_>, at: &Coordinates<'_>, error: &TaskError) {
        if !self.settings.log {
            return;
        }
        self.metrics.logged.increment(1);
        let shown = if self.settings.log_messages { failed } else { Failed::Unknown };
        tracing::error!("{} {}", line(&self.task, at, shown), trace(error));
    }
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64)
}

/// What Connect writes into its log: people search for it.
fn line(task: &TaskId, at: &Coordinates<'_>, failed: Failed<'_>) -> String {
    let (connector, number, stage, class) = (&task.connector, task.task, at.stage.name(), at.class);
    let start = format!(
        "Error encountered in task {connector}-{number}. Executing stage '{stage}' with class '{class}'"
    );
    match failed {
        Failed::Unknown => format!("{start}."),
        Failed::Consumed(origin) => {
            let time = match (origin.timestamp_type, origin.timestamp) {
                (TimestampType::CreateTime, Some(at)) => {
                    format!(", timestamp={at}, timestampType=CreateTime")
                }
                (TimestampType::LogAppendTime, Some(at)) => {
                    format!(", timestamp={at}, timestampType=LogAppendTime")
                }
                _ => String::new(),
            };
            let (topic, partition, offset) = (&origin.topic, origin.partition, origin.offset);
            format!(
                "{start}, where consumed record is {{topic='{topic}', partition={partition}, offset={offset}{time}}}."
            )
        }
        Failed::Source(record) => {
            let schema = |schema: &Option<connect::Schema>| {
                schema.as_ref().map_or("null".to_owned(), |schema| {
                    format!("{}:{:?}", schema.name().unwrap_or("-"), schema.kind())
                })
            };
            format!(
                "{start}, where source record is = SourceRecord{{topic='{}', kafkaPartition={:?}, key={:?}, \
                 keySchema={}, value={:?}, valueSchema={}, timestamp={:?}, headers={:?}}}.",
                record.topic,
                record.partition,
                record.key,
                schema(&record.key_schema),
                record.value,
                schema(&record.value_schema),
                record.timestamp,
                record.headers.as_slice(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::{RawMessage, Value};

    fn at(stage: Stage) -> Coordinates<'static> {
        Coordinates { stage, class: "org.apache.kafka.connect.json.JsonConverter" }
    }

    fn check(failed: Failed<'_>, expected: &str) {
        let task = TaskId { connector: "c".into(), task: 3 };
        let start = "Error encountered in task c-3. Executing stage 'VALUE_CONVERTER' with class \
                     'org.apache.kafka.connect.json.JsonConverter'";
        assert_eq!(line(&task, &at(Stage::ValueConverter), failed), format!("{start}{expected}"));
    }

    #[test]
    fn lines_of_the_log_are_connects() {
        let origin = |timestamp_type, timestamp| KafkaOrigin {
            topic: "t".into(),
            partition: 0,
            offset: 1,
            timestamp_type,
            timestamp,
            raw: RawMessage::default(),
        };
        check(Failed::Unknown, ".");
        check(
            Failed::Consumed(&origin(TimestampType::CreateTime, Some(5))),
            ", where consumed record is {topic='t', partition=0, offset=1, timestamp=5, timestampType=CreateTime}.",
        );
        check(
            Failed::Consumed(&origin(TimestampType::None, None)),
            ", where consumed record is {topic='t', partition=0, offset=1}.",
        );
        let record = Record::source("t".into(), (None, Value::Null), (None, Value::Int64(7)));
        check(
            Failed::Source(&record),
            ", where source record is = SourceRecord{topic='t', kafkaPartition=None, key=Null, keySchema=null, \
             value=Int64(7), valueSchema=null, timestamp=None, headers=[]}.",
        );
    }
}
