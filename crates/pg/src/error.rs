//! What went wrong, on which server, and what an operator can do about it.

use std::fmt;

use crate::sqlstate::ErrorClass;

/// A failure of a call to PostgreSQL. Small, because it sits in many results; what it knows is behind a box.
pub struct Error(Box<Inner>);

struct Inner {
    class: ErrorClass,
    /// What failed, on what; outermost last.
    context: Vec<String>,
    message: String,
    server: Option<Report>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the server said, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub severity: String,
    /// SQLSTATE.
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub position: Option<String>,
    pub context: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            class,
            context: vec![],
            message: message.into(),
            server: None,
            hint: None,
            source: None,
        }))
    }

    /// The peer sent what the protocol does not allow.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Protocol, message)
    }

    pub fn from_report(report: Report) -> Self {
        let mut error = Self::new(ErrorClass::of(&report.code), report.message.clone());
        error.0.server = Some(report);
        error
    }

    /// Says what was being done: `context: message`.
    pub fn context(mut self, what: impl Into<String>) -> Self {
        self.0.context.push(what.into());
        self
    }

    /// What an operator can do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn with_class(mut self, class: ErrorClass) -> Self {
        self.0.class = class;
        self
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// SQLSTATE, where the server answered at all.
    pub fn code(&self) -> Option<&str> {
        self.0.server.as_ref().map(|report| &*report.code)
    }

    pub fn report(&self) -> Option<&Report> {
        self.0.server.as_ref()
    }

    /// Name of the constraint that was violated.
    pub fn constraint(&self) -> Option<&str> {
        self.report()?.constraint.as_deref()
    }

    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref().or_else(|| self.0.server.as_ref()?.hint.as_deref())
    }

    /// The message without context.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(report) = &self.0.server {
            if let Some(detail) = &report.detail {
                write!(f, " ({detail})")?;
            }
            write!(f, " (SQLSTATE {})", report.code)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.class)?;
        match self.hint() {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return Self::from_report(report(db));
        }
        // Without an answer of the server there are only the socket, TLS and values that cannot be encoded.
        let text = with_causes(&error);
        let class = if error.is_closed() || has_io_cause(&error) {
            ErrorClass::Connection
        } else if text.starts_with("error serializing") || text.starts_with("error deserializing") {
            ErrorClass::Data
        } else if text.contains("authentication") || text.contains("password missing") {
            ErrorClass::Authentication
        } else if text.contains("TLS") || text.contains("connecting") {
            ErrorClass::Connection
        } else {
            ErrorClass::Other
        };
        Self::new(class, text).with_source(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorClass::Connection, with_causes(&error)).with_source(error)
    }
}

fn has_io_cause(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<std::io::Error>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// The message with those of its causes that it does not contain already.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

fn report(db: &tokio_postgres::error::DbError) -> Report {
    use tokio_postgres::error::ErrorPosition;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Report {
        severity: db.severity().to_owned(),
        code: db.code().code().to_owned(),
        message: db.message().to_owned(),
        detail: owned(db.detail()),
        hint: owned(db.hint()),
        position: db.position().map(|position| match position {
            ErrorPosition::Original(at) | ErrorPosition::Internal { position: at, .. } => at.to_string(),
        }),
        context: owned(db.where_()),
        schema: owned(db.schema()),
        table: owned(db.table()),
        column: owned(db.column()),
        data_type: owned(db.datatype()),
        constraint: owned(db.constraint()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_read_from_outside_in() {
        let error = Error::new(ErrorClass::Connection, "refused")
            .context("connect to h:1/db")
            .context("validate")
            .with_hint("start it");
        assert_eq!(error.to_string(), "validate: connect to h:1/db: refused");
        assert_eq!(error.hint(), Some("start it"));
    }
}
