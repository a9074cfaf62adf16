//! The calls that converters make, over several registries of one cluster, with retries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE as CONTENT_TYPE_HEADER};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use tracing::debug;

use crate::error::ClientError;
use crate::settings::{Credentials, Settings};
use crate::types::{
    Association, CONTENT_TYPE, CompatibilityResult, ErrorBody, RegisterRequest, Registered, SchemaById,
    SubjectVersion,
};

const IDENTITY_POOL: &str = "Confluent-Identity-Pool-Id";

/// A client of one registry cluster. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    settings: Settings,
    urls: Vec<Url>,
    /// Index of the URL that answered last.
    preferred: AtomicUsize,
}

struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a RegisterRequest>,
}

impl Client {
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        if settings.urls.is_empty() {
            return Err(ClientError::Settings("no URL is given".to_owned()));
        }
        let urls = settings.urls.iter().map(|text| parse_url(text)).collect::<Result<Vec<_>, _>>()?;
        let http = http_client(&settings)?;
        Ok(Self { http, settings, urls, preferred: AtomicUsize::new(0) })
    }

    /// Registers a schema, or finds it registered.
    pub async fn register(
        &self,
        subject: &str,
        schema: &RegisterRequest,
        normalize: Normalize,
    ) -> Result<Registered, ClientError> {
        let path = ["subjects", subject, "versions"];
        let query = normalize.query();
        self.call(&Call { method: Method::POST, path: &path, query, body: Some(schema) }).await
    }

    /// Finds a schema under a subject without registering it.
    pub async fn lookup(
        &self,
        subject: &str,
        schema: &RegisterRequest,
        normalize: Normalize,
    ) -> Result<SubjectVersion, ClientError> {
        let path = ["subjects", subject];
        let query = normalize.query();
        self.call(&Call { method: Method::POST, path: &path, query, body: Some(schema) }).await
    }

    /// A schema by id; the subject, where given, says in which context to look first.
    pub async fn schema_by_id(&self, id: u32, subject: Option<&str>) -> Result<SchemaById, ClientError> {
        let id = id.to_string();
        let query: Vec<_> = [("fetchMaxId", "false")]
            .into_iter()
            .chain(subject.map(|subject| ("subject", subject)))
            .collect();
        let path = ["schemas", "ids", &id];
        self.call(&Call { method: Method::GET, path: &path, query: &query, body: None }).await
    }

    /// A version of a subject; `None` is the latest.
    pub async fn version(&self, subject: &str, version: Option<i32>) -> Result<SubjectVersion, ClientError> {
        let version = version.map_or("latest".to_owned(), |version| version.to_string());
        let path = ["subjects", subject, "versions", &version];
        self.call(&Call { method: Method::GET, path: &path, query: &[], body: None }).await
    }

    /// The latest version of a subject whose metadata bear all of these properties.
    pub async fn latest_with_metadata(
        &self,
        subject: &str,
        properties: &[(String, String)],
    ) -> Result<SubjectVersion, ClientError> {
        let pairs = properties.iter().flat_map(|(key, value)| [("key", &**key), ("value", &**value)]);
        let query: Vec<_> = pairs.collect();
        let path = ["subjects", subject, "metadata"];
        self.call(&Call { method: Method::GET, path: &path, query: &query, body: None }).await
    }

    /// The subject that the registry associates with a topic's keys or values (`kind`); `None` where it associates
    /// none, or does not know of associations at all.
    pub async fn associated_subject(&self, topic: &str, kind: &str) -> Result<Option<String>, ClientError> {
        let path = ["associations", "resources", "-", topic];
        let query = [("resourceType", "topic"), ("associationType", kind)];
        let call = Call { method: Method::GET, path: &path, query: &query, body: None };
        match self.call::<Vec<Association>>(&call).await {
            Ok(found) => Ok(found.into_iter().next().map(|association| association.subject)),
            Err(ClientError::Refused { status: 404 | 405, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a schema could be registered after the subject's latest.
    pub async fn is_compatible(&self, subject: &str, schema: &RegisterRequest) -> Result<bool, ClientError> {
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        let call = Call { method: Method::POST, path: &path, query: &[], body: Some(schema) };
        self.call::<CompatibilityResult>(&call).await.map(|result| result.is_compatible)
    }

    async fn call<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, ClientError> {
        let mut wait = self.settings.retry_wait;
        let mut tries_left = self.settings.retries_max;
        loop {
            let error = match self.try_all(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if tries_left == 0 || !error.is_transient() {
                return Err(error);
            }
            debug!(%error, "schema registry call is tried again");
            tries_left -= 1;
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(self.settings.retry_wait_max).max(Duration::from_millis(1));
        }
    }

    /// One try at each registry, until one answers; one that is overloaded or has no leader has not answered.
    async fn try_all<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, ClientError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last_error = None;
        for step in 0..self.urls.len() {
            let index = (first + step) % self.urls.len();
            match self.try_one(&self.urls[index], call).await {
                Err(error) if error.is_transient() => last_error = Some(error),
                outcome => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return outcome;
                }
            }
        }
        Err(last_error.expect("there is at least one URL"))
    }

    async fn try_one<T: DeserializeOwned>(&self, base: &Url, call: &Call<'_>) -> Result<T, ClientError> {
        let shown = || shown_url(base);
        let response = self
            .request(base, call)
            .send()
            .await
            .map_err(|source| ClientError::Unreachable { url: shown(), source: source.without_url() })?;
        if response.status().is_success() {
            let unreadable = |source: reqwest::Error| ClientError::Unreadable {
                url: shown(),
                source: source.without_url(),
            };
            return response.json().await.map_err(unreadable);
        }
        Err(refused(response).await)
    }

    fn request(&self, base: &Url, call: &Call<'_>) -> RequestBuilder {
        let mut url = base.clone();
        // Subjects may hold any character: each segment is encoded by itself.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let mut request = self.http.request(call.method.clone(), url).header(ACCEPT, CONTENT_TYPE);
        request = match &self.settings.credentials {
            Credentials::Url => request,
            Credentials::Basic { user, password } => request.basic_auth(user, Some(password)),
            Credentials::Bearer { token, logical_cluster, identity_pool } => {
                let headers = [("target-sr-cluster", logical_cluster), (IDENTITY_POOL, identity_pool)];
                let given = headers.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
                given.fold(request.bearer_auth(token), |request, (name, value)| request.header(name, value))
            }
        };
        match call.body {
            Some(body) => request.header(CONTENT_TYPE_HEADER, CONTENT_TYPE).json(body),
            None => request,
        }
    }
}

/// Whether the registry should compare normalised texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalize {
    #[default]
    No,
    Yes,
}

impl Normalize {
    fn query(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::No => &[],
            Self::Yes => &[("normalize", "true")],
        }
    }
}

fn http_client(settings: &Settings) -> Result<reqwest::Client, ClientError> {
    // Whoever started the process has usually done this; reqwest panics without it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.request_timeout);
    let failed = |what: &str, error: reqwest::Error| ClientError::Settings(format!("{what}: {error}"));
    if let Some(pem) = &settings.tls.trusted_certificates {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|error| failed("certificates", error))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(pem) = &settings.tls.identity {
        let identity = reqwest::Identity::from_pem(pem.as_bytes())
            .map_err(|error| failed("certificate and key of the client", error))?;
        builder = builder.identity(identity);
    }
    if let Some((host, port)) = &settings.proxy {
        let proxy =
            reqwest::Proxy::all(format!("http://{host}:{port}")).map_err(|error| failed("proxy", error))?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| ClientError::Settings(error.to_string()))
}

fn parse_url(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text.trim()).map_err(|error| ClientError::Settings(format!("{text}: {error}")))?;
    if matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    Err(ClientError::Settings(format!("{text}: only http and https are known")))
}

/// Without the password that a URL may bear.
fn shown_url(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    shown.to_string()
}

async fn refused(response: Response) -> ClientError {
    let status = response.status().as_u16();
    match response.json::<ErrorBody>().await {
        Ok(body) => ClientError::Refused { status, code: body.error_code, message: body.message },
        Err(_) => ClientError::Refused { status, code: i32::from(status), message: format!("HTTP {status}") },
    }
}
