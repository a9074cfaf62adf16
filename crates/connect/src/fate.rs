//! What may be done about an error: the runtime can do three things, so every error answers one question.

use std::error::Error;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Transient: try again with back-off.
    Retry,
    /// This record is bad: tolerance and the dead letter queue decide.
    Reject,
    /// The task cannot go on until somebody acts.
    Halt,
}

/// An error as it crosses a contract. Stations have their own enums inside and turn into this at the border.
#[derive(Debug)]
pub struct TaskError {
    pub fate: Fate,
    /// What failed, on what; lower case, no full stop.
    pub message: String,
    /// What an operator can do about it.
    pub hint: Option<String>,
    /// Java's name of the exception that Connect's users know for it; goes to traces and dead letter headers.
    pub class: &'static str,
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// The class that a [`TaskError`] bears when its author names none.
pub const CONNECT_EXCEPTION: &str = "org.apache.kafka.connect.errors.ConnectException";
pub const DATA_EXCEPTION: &str = "org.apache.kafka.connect.errors.DataException";
pub const RETRIABLE_EXCEPTION: &str = "org.apache.kafka.connect.errors.RetriableException";

impl TaskError {
    pub fn retry(message: impl Into<String>) -> Self {
        Self::new(Fate::Retry, RETRIABLE_EXCEPTION, message)
    }
    pub fn reject(message: impl Into<String>) -> Self {
        Self::new(Fate::Reject, DATA_EXCEPTION, message)
    }
    pub fn halt(message: impl Into<String>) -> Self {
        Self::new(Fate::Halt, CONNECT_EXCEPTION, message)
    }
    pub fn new(fate: Fate, class: &'static str, message: impl Into<String>) -> Self {
        Self { fate, message: message.into(), hint: None, class, source: None }
    }
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|error| &**error as &(dyn Error + 'static))
    }
}
