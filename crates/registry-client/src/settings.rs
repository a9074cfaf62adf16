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
        /// Sent beside the token where the registry is one of several behind a gateway.
        logical_cluster: Option<String>,
        identity_pool: Option<String>,
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

/// As PEM text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates to trust beside the system's.
    pub trusted_certificates: Option<String>,
    /// Our own certificate with its chain, and its key.
    pub identity: Option<String>,
}

impl std::fmt::Debug for Tls {
    /// The key does not reach a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("trusts", &self.trusted_certificates.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Tried in turn; the one that answered last is tried first.
    pub urls: Vec<String>,
    pub credentials: Credentials,
    pub tls: Tls,
    /// Host and port of an HTTP proxy.
    pub proxy: Option<(String, u16)>,
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
            tls: Tls::default(),
            proxy: None,
            connect_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            retries_max: 3,
            retry_wait: Duration::from_secs(1),
            retry_wait_max: Duration::from_secs(20),
        }
    }
}
