//! What happens to one failed record: counted, logged where wanted, put into the queue, and then skipped or the
//! end of the task.

use std::time::{Duration, Instant};

use connect::contract::TaskId;
use connect::record::KafkaOrigin;
use connect::{Fate, TaskError};

use super::tolerance::{Decision, decide};
use super::{Coordinates, DeadLetters};
use crate::connector_settings::ErrorSettings;
use crate::metrics::ErrorMetrics;

/// One task's way of dealing with failures.
pub struct Failures {
    pub settings: ErrorSettings,
    task: TaskId,
    metrics: ErrorMetrics,
    dead_letters: Option<DeadLetters>,
}

/// How often one step of one record was tried.
pub struct Attempts {
    first: Instant,
    count: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { first: Instant::now(), count: 0 }
    }
}

impl Failures {
    pub fn new(settings: ErrorSettings, task: &TaskId, dead_letters: Option<DeadLetters>) -> Self {
        Self { settings, task: task.clone(), metrics: ErrorMetrics::new(task), dead_letters }
    }

    /// Decides about a failed step. `Ok(Some(delay))`: try again after it. `Ok(None)`: the record was reported
    /// and is to be skipped. `Err`: it was reported and the task ends.
    pub async fn handle(
        &self,
        origin: Option<&KafkaOrigin>,
        at: &Coordinates<'_>,
        error: TaskError,
        attempts: &mut Attempts,
    ) -> Result<Option<Duration>, TaskError> {
        attempts.count += 1;
        self.metrics.failures.increment(1);
        let settings = &self.settings;
        let decision = decide(
            error.fate,
            settings.tolerance,
            settings.retry_timeout,
            settings.retry_delay_max,
            attempts.count,
            attempts.first.elapsed(),
        );
        if let Decision::RetryAfter(delay) = decision {
            self.metrics.retries.increment(1);
            return Ok(Some(delay));
        }
        self.metrics.errors.increment(1);
        self.log(origin, at, &error);
        // A record that failed for a transient reason is not bad: it will be read again, and the queue is for
        // what will never pass.
        if error.fate != Fate::Retry
            && let (Some(dead_letters), Some(origin)) = (&self.dead_letters, origin)
        {
            dead_letters.send(origin, at, &error).await?;
            self.metrics.dead_letters.increment(1);
        }
        if decision == Decision::Skip {
            self.metrics.skipped.increment(1);
            return Ok(None);
        }
        self.flush().await?;
        let mut fatal = TaskError::new(
            if error.fate == Fate::Retry { Fate::Retry } else { Fate::Halt },
            connect::fate::CONNECT_EXCEPTION,
            format!("Tolerance exceeded in error handler: {}: {}", at.stage.name(), error.message),
        );
        fatal.hint = error.hint.clone();
        fatal.source = Some(Box::new(error));
        Err(fatal)
    }

    /// Waits until all dead letters are durable.
    ///
    /// # Errors
    /// One of them was not delivered.
    pub async fn flush(&self) -> Result<(), TaskError> {
        match &self.dead_letters {
            Some(dead_letters) => dead_letters.flush().await,
            None => Ok(()),
        }
    }

    fn log(&self, origin: Option<&KafkaOrigin>, at: &Coordinates<'_>, error: &TaskError) {
        if !self.settings.log {
            return;
        }
        self.metrics.logged.increment(1);
        let (connector, task) = (&*self.task.connector, self.task.task);
        let (stage, class) = (at.stage.name(), at.class);
        match origin.filter(|_| self.settings.log_messages) {
            Some(origin) => tracing::error!(
                connector, task, stage, class, %error,
                topic = &*origin.topic, partition = origin.partition, offset = origin.offset,
                "record failed"
            ),
            None => tracing::error!(connector, task, stage, class, %error, "record failed"),
        }
    }
}
