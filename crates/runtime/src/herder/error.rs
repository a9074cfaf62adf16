//! How a request to the herder may fail.

/// What kind of answer a failure deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    BadRequest,
    Forbidden,
    NotFound,
    Conflict,
    Internal,
}

/// A refused or failed request, with the text that the user reads.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct HerderError {
    pub kind: ErrorKind,
    pub message: String,
}

impl HerderError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadRequest, message)
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }
}

impl From<kafka::Error> for HerderError {
    fn from(error: kafka::Error) -> Self {
        Self::new(ErrorKind::Internal, error.to_string())
    }
}
