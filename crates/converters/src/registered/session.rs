//! What is asked of the registry, and what its errors mean for a record.

use connect::TaskError;
use futures::future::BoxFuture;
use registry_client::schemas::Document;
use registry_client::{Client, ClientError, Reference, RegisterRequest, SchemaType};

use super::settings::{Settings, Strict, Writing};
use super::subject::Strategy;
use crate::catalog::Role;

/// Deeper chains of references are refused.
const REFERENCE_DEPTH_MAX: usize = 50;

pub(super) struct Session {
    pub settings: Settings,
    pub role: Role,
    client: Client,
}

/// What a record is written with.
pub(super) struct WriteWith {
    pub id: i32,
    /// The registry's schema, where it is not the own one.
    pub theirs: Option<(Document, Strict)>,
}

/// What a record was written with.
pub(super) struct WrittenWith {
    pub document: Document,
    /// The schema's version under the subject, where it is known.
    pub version: Option<i32>,
}

impl Session {
    pub(super) fn new(role: Role, settings: Settings) -> Result<Self, TaskError> {
        let client =
            Client::new(settings.client.clone()).map_err(|error| TaskError::halt(error.to_string()))?;
        Ok(Self { settings, role, client })
    }

    /// Subject of a topic for a schema; `None` where a reader cannot know it yet.
    async fn subject(&self, topic: &str, record: Option<&str>) -> Result<String, TaskError> {
        if self.settings.strategy == Strategy::Associated
            && let Some(subject) = self.associated(topic).await?
        {
            return Ok(subject);
        }
        self.settings.strategy.subject(self.role, topic, record)
    }

    async fn associated(&self, topic: &str) -> Result<Option<String>, TaskError> {
        let failed = |error| registry_error("Failed to find the subject of topic", topic, error);
        let kind = match self.role {
            Role::Key => "key",
            Role::Value => "value",
        };
        self.client.associated_subject(topic, kind).await.map_err(failed)
    }

    pub(super) async fn write_with(
        &self,
        topic: &str,
        record: Option<&str>,
        request: &RegisterRequest,
    ) -> Result<WriteWith, TaskError> {
        let subject = self.subject(topic, record).await?;
        let word = request.schema_type.word();
        let what = format!("Failed to serialize {word} data for topic");
        let failed = |error| registry_error(&what, topic, error);
        let normalize = self.settings.normalize;
        let (id, found, strict) = match &self.settings.writing {
            Writing::Register => {
                let id = self.client.register(&subject, request, normalize).await.map_err(failed)?.id;
                return Ok(WriteWith { id, theirs: None });
            }
            Writing::LookUp => {
                let id = self.client.lookup(&subject, request, normalize).await.map_err(failed)?.id;
                return Ok(WriteWith { id, theirs: None });
            }
            Writing::Latest(strict) => {
                let latest = self.client.version(&subject, None).await.map_err(failed)?;
                (latest.id, (latest.schema_type, latest.schema, latest.references), *strict)
            }
            Writing::LatestWith(metadata, strict) => {
                let latest = self.client.latest_with_metadata(&subject, metadata).await.map_err(failed)?;
                (latest.id, (latest.schema_type, latest.schema, latest.references), *strict)
            }
            Writing::Id(id, strict) => {
                let found = self.client.schema_by_id(*id, Some(&subject)).await.map_err(failed)?;
                let id = i32::try_from(*id).unwrap_or(i32::MAX);
                (id, (found.schema_type, found.schema, found.references), *strict)
            }
        };
        let (schema_type, text, references) = found;
        check_type(id, schema_type, request.schema_type)?;
        let document = self.document(topic, text, &references, 0).await?;
        Ok(WriteWith { id, theirs: Some((document, strict)) })
    }

    /// The subject under which a reader looks first; two topics may share an id in different contexts.
    pub(super) fn reading_subject(&self, topic: &str) -> Option<String> {
        self.settings.strategy.reading_subject(self.role, topic)
    }

    pub(super) async fn written_with(
        &self,
        topic: &str,
        id: u32,
        expected: SchemaType,
    ) -> Result<WrittenWith, TaskError> {
        let subject = self.reading_subject(topic);
        let what = format!("Failed to deserialize {} data for topic", expected.word());
        let failed = |error| registry_error(&what, topic, error);
        let found = self.client.schema_by_id(id, subject.as_deref()).await.map_err(failed)?;
        check_type(id, found.schema_type, expected)?;
        let request = RegisterRequest {
            schema: found.schema,
            schema_type: found.schema_type,
            references: found.references,
            ..RegisterRequest::default()
        };
        let version = self.version_of(subject.as_deref(), &request).await;
        let document = self.document(topic, request.schema, &request.references, 0).await?;
        Ok(WrittenWith { document, version })
    }

    /// The schema's version under the subject. Data can be read without it.
    async fn version_of(&self, subject: Option<&str>, request: &RegisterRequest) -> Option<i32> {
        let found = self.client.lookup(subject?, request, self.settings.normalize).await;
        found.ok().map(|found| found.version)
    }

    /// A text with all that it refers to.
    fn document<'a>(
        &'a self,
        topic: &'a str,
        text: String,
        references: &'a [Reference],
        depth: usize,
    ) -> BoxFuture<'a, Result<Document, TaskError>> {
        Box::pin(async move {
            if depth > REFERENCE_DEPTH_MAX {
                return Err(TaskError::reject("schema references are nested too deeply"));
            }
            let mut documents = vec![];
            for reference in references {
                let failed = |error| registry_error("Failed to access the schemas of topic", topic, error);
                let version = (reference.version > 0).then_some(reference.version);
                let found = self.client.version(&reference.subject, version).await.map_err(failed)?;
                let inner = self.document(topic, found.schema, &found.references, depth + 1).await?;
                documents.push((reference.name.clone(), inner));
            }
            Ok(Document { text, references: documents })
        })
    }
}

fn check_type(id: impl std::fmt::Display, found: SchemaType, expected: SchemaType) -> Result<(), TaskError> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (found.word(), expected.word());
    Err(TaskError::reject(format!("the schema with id {id} is of type {found}, not {expected}")))
}

fn registry_error(what: &str, topic: &str, error: ClientError) -> TaskError {
    let message = format!("{what} {topic}: {error}");
    if error.is_transient() {
        return TaskError::retry(message).with_source(error);
    }
    TaskError::reject(message).with_source(error)
}
