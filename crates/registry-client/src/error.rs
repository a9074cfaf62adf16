//! What a registry, or the way to it, can answer instead of a schema.

/// An error of one call, after all retries.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The registry answered with an error of its own.
    #[error("schema registry: {message}; error code: {code}")]
    Refused { status: u16, code: i32, message: String },
    /// No registry could be reached, or none answered in time.
    #[error("no schema registry could be reached ({url})")]
    Unreachable { url: String, source: reqwest::Error },
    /// The answer was not what the API defines.
    #[error("the schema registry's answer from {url} could not be read")]
    Unreadable { url: String, source: reqwest::Error },
    #[error("invalid schema registry settings: {0}")]
    Settings(String),
}

/// HTTP statuses that another try may heal.
const TRANSIENT: [u16; 5] = [408, 429, 502, 503, 504];

impl ClientError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => TRANSIENT.contains(status),
            Self::Unreachable { .. } => true,
            Self::Unreadable { .. } | Self::Settings(_) => false,
        }
    }

    /// The registry's own code (40401 and so on), where it answered.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}
