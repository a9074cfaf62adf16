//! Where the registry is, as whom we ask, and how patiently.

use std::time::Duration;

#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// None, or those in the URL.
    #[default]
    Url,
    Basic {
        user: String,
        password: String,
    },
    Bearer {
        token: String,
    },
}

impl std::fmt::Debug for Credentials {
    /// Secrets do not reach a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Url => "Url",
            Self::Basic { .. } => "Basic",
            Self::Bearer { .. } => "Bearer",
        })
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Tried in turn; the one that answered last is tried first.
    pub urls: Vec<String>,
    pub credentials: Credentials,
    /// Certificates to trust beside the system's, as PEM text.
    pub trusted_certificates: Option<String>,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
    /// Tries after the first one, over all URLs.
    pub retries_max: u32,
    pub retry_wait: Duration,
    pub retry_wait_max: Duration,
}

impl Settings {
    /// Confluent's own defaults.
    pub fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            credentials: Credentials::default(),
            trusted_certificates: None,
            connect_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            retries_max: 3,
            retry_wait: Duration::from_secs(1),
            retry_wait_max: Duration::from_secs(20),
        }
    }
}
