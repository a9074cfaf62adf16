//! The Avro converter behind the contract: ids and schemas are asked of the registry in *prepare*, and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use avro::{Strictness, compatibility, decode::Reader};
use connect::settings::Properties;
use connect::{Buffer, Converter, Decoder, Encoder, Schema, TaskError, Value};
use futures::future::BoxFuture;
use registry_client::{Client, ClientError, Reference, RegisterRequest, SchemaType};
use tokio::runtime::Builder;

use super::decode::{Plan as ReadPlan, Source};
use super::encode::{Plan, compile};
use super::schema_in::to_connect;
use super::schema_out::to_avro;
use super::schemaless;
use super::settings::{Settings, Writing};
use crate::catalog::Role;

/// First byte of a payload; the writer's id follows in big-endian order.
const MAGIC: u8 = 0;
const HEADER_LENGTH: usize = 5;
/// Deeper chains of references are refused.
const REFERENCE_DEPTH_MAX: usize = 50;
/// Connect's converter says so of whatever its deserializer throws.
const NOT_AVRO: &str = "failed to deserialize data to Avro";

pub(crate) struct AvroConverter(Arc<Inner>);

struct Inner {
    settings: Settings,
    role: Role,
    client: Client,
    /// By subject and writer's id: decoders of several partitions share schema and plan.
    writers: Mutex<Writers>,
}

type Writers = HashMap<(Option<String>, u32), Arc<Writer>>;

/// What payloads of one id are read as.
struct Writer {
    schema: Option<Schema>,
    plan: ReadPlan,
    /// Such payloads are the bytes themselves, without Avro's length.
    is_raw: bool,
}

impl AvroConverter {
    pub(crate) fn new(role: Role, properties: &Properties) -> Result<Self, TaskError> {
        Ok(Self(Arc::new(Inner::new(role, Settings::parse(role, properties)?)?)))
    }
}

impl Inner {
    fn new(role: Role, settings: Settings) -> Result<Self, TaskError> {
        let client =
            Client::new(settings.client.clone()).map_err(|error| TaskError::halt(error.to_string()))?;
        Ok(Self { settings, role, client, writers: Mutex::default() })
    }

    async fn prepare_encoder(&self, topic: &str, schema: Option<&Schema>) -> Result<Prepared, TaskError> {
        let own = match schema {
            Some(schema) => to_avro(schema, self.settings.shape)?,
            None => parse(schemaless::ANYTHING, &[])?,
        };
        let subject = self.settings.strategy.subject(self.role, topic, &own)?;
        let request = RegisterRequest { schema: own.to_string(), ..RegisterRequest::default() };
        let failed = |error| registry_error("Failed to serialize Avro data from topic", topic, error);
        let normalize = self.settings.normalize;
        let (id, schema_to_write) = match self.settings.writing {
            Writing::Register => {
                (self.client.register(&subject, &request, normalize).await.map_err(failed)?.id, None)
            }
            Writing::LookUp => {
                (self.client.lookup(&subject, &request, normalize).await.map_err(failed)?.id, None)
            }
            Writing::Latest { checked } => {
                let latest = self.client.version(&subject, None).await.map_err(failed)?;
                let theirs = self.parse_with_references(topic, &latest.schema, &latest.references).await?;
                (latest.id, Some(fitting(theirs, &own, checked, topic)?))
            }
            Writing::Id { id, checked } => {
                let found = self.client.schema_by_id(id, Some(&subject)).await.map_err(failed)?;
                let theirs = self.parse_with_references(topic, &found.schema, &found.references).await?;
                (i32::try_from(id).unwrap_or(i32::MAX), Some(fitting(theirs, &own, checked, topic)?))
            }
        };
        let avro = schema_to_write.unwrap_or(own);
        let plan = schema.map(|schema| compile(schema, &avro, self.settings.shape)).transpose()?;
        let mut head = [MAGIC; HEADER_LENGTH];
        head[1..].copy_from_slice(&id.to_be_bytes());
        let is_raw = matches!(avro.kind(avro.root()), avro::Kind::Bytes);
        Ok(Prepared { head, plan, is_raw })
    }

    async fn prepare_decoder(&self, topic: &str, id: u32) -> Result<AvroDecoder, TaskError> {
        let subject = self.settings.strategy.reading_subject(self.role, topic);
        let key = (subject.clone(), id);
        let lock = || self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = lock().get(&key) {
            return Ok(AvroDecoder { writer: Arc::clone(writer) });
        }
        let failed = |error| registry_error("Failed to deserialize data to Avro for topic", topic, error);
        let found = self.client.schema_by_id(id, subject.as_deref()).await.map_err(failed)?;
        if found.schema_type != SchemaType::Avro {
            let word = found.schema_type.word();
            return Err(TaskError::reject(format!("the schema with id {id} is of type {word}, not AVRO")));
        }
        let avro = self.parse_with_references(topic, &found.schema, &found.references).await?;
        let version = self.version_of(subject.as_deref(), &found.schema, &found.references).await;
        let (schema, plan) = to_connect(&avro, self.settings.shape, version)?;
        let is_raw = matches!(avro.kind(avro.root()), avro::Kind::Bytes);
        let writer = Arc::new(Writer { schema, plan, is_raw });
        // Another decoder may have been quicker: all must hand out the same schema.
        let writer = Arc::clone(lock().entry(key).or_insert(writer));
        Ok(AvroDecoder { writer })
    }

    /// The schema's version under the subject. Data can be read without it.
    async fn version_of(&self, subject: Option<&str>, text: &str, references: &[Reference]) -> Option<i32> {
        let request = RegisterRequest {
            schema: text.to_owned(),
            references: references.to_vec(),
            ..Default::default()
        };
        let found = self.client.lookup(subject?, &request, self.settings.normalize).await;
        found.ok().map(|found| found.version)
    }

    async fn parse_with_references(
        &self,
        topic: &str,
        text: &str,
        references: &[Reference],
    ) -> Result<avro::Schema, TaskError> {
        let schemas = self.fetch(topic, references, 0).await?;
        parse(text, &schemas)
    }

    /// Referenced schemas, each with its own references resolved.
    fn fetch<'a>(
        &'a self,
        topic: &'a str,
        references: &'a [Reference],
        depth: usize,
    ) -> BoxFuture<'a, Result<Vec<avro::Schema>, TaskError>> {
        Box::pin(async move {
            if depth > REFERENCE_DEPTH_MAX {
                return Err(TaskError::reject("schema references are nested too deeply"));
            }
            let mut schemas = vec![];
            for reference in references {
                let failed = |error| registry_error("Failed to access Avro data from topic", topic, error);
                let version = (reference.version > 0).then_some(reference.version);
                let found = self.client.version(&reference.subject, version).await.map_err(failed)?;
                let inner = self.fetch(topic, &found.references, depth + 1).await?;
                schemas.push(parse(&found.schema, &inner)?);
            }
            Ok(schemas)
        })
    }
}

impl Converter for AvroConverter {
    fn encoder<'a>(
        &'a self,
        topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>> {
        Box::pin(async move {
            // A null has no bytes and registers nothing. Where a schema allows nulls at the top (tombstones and deletes
            // do), it is asked for when the first other value comes.
            let encoder = if schema.is_none_or(Schema::is_optional) {
                AvroEncoder::Deferred(Deferred {
                    converter: Arc::clone(&self.0),
                    topic: topic.to_owned(),
                    schema: schema.cloned(),
                })
            } else {
                AvroEncoder::Prepared(self.0.prepare_encoder(topic, schema).await?)
            };
            Ok(Box::new(encoder) as Box<dyn Encoder>)
        })
    }

    fn writer_id(&self, payload: &[u8]) -> Result<u32, TaskError> {
        match payload {
            [MAGIC, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => Err(TaskError::reject(format!("{NOT_AVRO}: unknown magic byte"))),
        }
    }

    fn decoder<'a>(
        &'a self,
        topic: &'a str,
        writer_id: u32,
    ) -> BoxFuture<'a, Result<Box<dyn Decoder>, TaskError>> {
        Box::pin(async move {
            // Ids start at 1: 0 is asked for where there is no payload to take one from.
            if writer_id == 0 {
                return Ok(Box::new(NullDecoder) as Box<dyn Decoder>);
            }
            let decoder = self.0.prepare_decoder(topic, writer_id).await?;
            Ok(Box::new(decoder) as Box<dyn Decoder>)
        })
    }
}

/// Kafka's null, which needs no schema.
struct NullDecoder;

impl Decoder for NullDecoder {
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError> {
        match payload {
            None => Ok((None, Value::Null)),
            Some(_) => Err(TaskError::reject("the payload names schema 0, which no registry has")),
        }
    }
}

enum AvroEncoder {
    Prepared(Prepared),
    Deferred(Deferred),
}

struct Prepared {
    head: [u8; HEADER_LENGTH],
    plan: Option<Plan>,
    is_raw: bool,
}

struct Deferred {
    converter: Arc<Inner>,
    topic: String,
    schema: Option<Schema>,
}

impl Deferred {
    /// Waits for the registry, once per topic and schema. With a runtime and connections of its own: the thread that
    /// waits here may be the only one that the process's runtime has.
    fn prepare(&self) -> Result<Prepared, TaskError> {
        let prepare = || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime
                .map_err(|error| TaskError::retry(format!("cannot ask the schema registry: {error}")))?;
            let converter = Inner::new(self.converter.role, self.converter.settings.clone())?;
            runtime.block_on(converter.prepare_encoder(&self.topic, self.schema.as_ref()))
        };
        std::thread::scope(|scope| scope.spawn(prepare).join())
            .unwrap_or_else(|_| Err(TaskError::halt("preparing an Avro schema failed")))
    }
}

impl Encoder for AvroEncoder {
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        if value.is_null() {
            return Ok(false);
        }
        if let Self::Deferred(deferred) = self {
            *self = Self::Prepared(deferred.prepare()?);
        }
        if let Self::Prepared(prepared) = self {
            prepared.encode(value, out)?;
        }
        Ok(true)
    }
}

impl Prepared {
    fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        out.extend_from_slice(&self.head);
        match (&self.plan, value) {
            (Some(_), Value::Bytes(bytes)) if self.is_raw => out.extend_from_slice(bytes),
            (Some(plan), value) => plan.write(value, out)?,
            (None, value) => schemaless::write(value, out)?,
        }
        Ok(())
    }
}

struct AvroDecoder {
    writer: Arc<Writer>,
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError> {
        let Some(buffer) = payload else { return Ok((None, Value::Null)) };
        let bytes = buffer.bytes();
        let Some(datum) = bytes.get(HEADER_LENGTH..) else {
            return Err(TaskError::reject(format!("{NOT_AVRO}: unknown magic byte")));
        };
        let schema = self.writer.schema.clone();
        if self.writer.is_raw {
            return Ok((schema, Value::Bytes(connect::Blob::slice(buffer, HEADER_LENGTH..bytes.len()))));
        }
        let source = Source { buffer, offset: HEADER_LENGTH };
        let value = self
            .writer
            .plan
            .read(&mut Reader::new(datum), &source)
            .map_err(|error| TaskError::reject(format!("{NOT_AVRO}: {error}")).with_source(error))?;
        Ok((schema, value))
    }
}

fn parse(text: &str, references: &[avro::Schema]) -> Result<avro::Schema, TaskError> {
    avro::parse_with_references(text, references, Strictness::Lenient)
        .map_err(|error| TaskError::reject(format!("the registry's schema cannot be read: {error}")))
}

/// The registry's schema, where the own one may be replaced by it.
fn fitting(
    theirs: avro::Schema,
    own: &avro::Schema,
    checked: bool,
    topic: &str,
) -> Result<avro::Schema, TaskError> {
    if checked && !compatibility::can_read(&theirs, own) {
        return Err(TaskError::reject(format!(
            "Incompatible schema {theirs} for topic {topic}: set latest.compatibility.strict to false to disable this check"
        )));
    }
    Ok(theirs)
}

fn registry_error(what: &str, topic: &str, error: ClientError) -> TaskError {
    let message = format!("{what} {topic}: {error}");
    if error.is_transient() {
        return TaskError::retry(message).with_source(error);
    }
    TaskError::reject(message).with_source(error)
}
