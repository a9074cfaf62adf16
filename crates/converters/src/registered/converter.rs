//! The contract for every format: ids and schemas are asked of the registry in *prepare*, and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use connect::settings::{Definition, Properties};
use connect::{Buffer, Converter, Decoder, Encoder, Schema, TaskError, Value};
use futures::future::BoxFuture;
use registry_client::schemas::Document;
use registry_client::{RegisterRequest, SchemaType};
use tokio::runtime::Builder;

use super::session::Session;
use super::settings::{Settings, Strict};
use crate::catalog::{Role, configuration_error};

/// First byte of a payload; the writer's id follows in big-endian order.
const MAGIC: u8 = 0;
const HEADER_LENGTH: usize = 5;

/// How schemas and payloads of one kind look: Avro, JSON Schema, Protobuf.
pub(crate) trait Format: Clone + Send + Sync + 'static {
    const TYPE: SchemaType;
    /// A schema of this kind, ready for plans.
    type Parsed: Send + Sync;

    /// The schema that a Connect schema is registered as; `None` is data without a schema.
    fn own(&self, schema: Option<&Schema>) -> Result<Self::Parsed, TaskError>;

    /// A schema as the registry has it.
    fn parse(&self, document: &Document) -> Result<Self::Parsed, TaskError>;

    /// The text to register.
    fn text(&self, parsed: &Self::Parsed) -> String;

    /// The full name of a record, for subjects that are named after it.
    fn record_name(&self, parsed: &Self::Parsed) -> Option<String>;

    /// Whether what `own` describes can be read as `theirs`.
    fn fits(&self, own: &Self::Parsed, theirs: &Self::Parsed) -> bool;

    /// Compiles the plan that writes values of `schema` as `target` has them.
    fn writer(
        &self,
        schema: Option<&Schema>,
        target: &Self::Parsed,
    ) -> Result<Box<dyn PayloadWriter>, TaskError>;

    /// Compiles the plan that reads what was written as `source`; `version` is the schema's under its subject.
    fn reader(
        &self,
        source: &Self::Parsed,
        version: Option<i32>,
    ) -> Result<Box<dyn PayloadReader>, TaskError>;
}

/// Writes what follows the id. One instance belongs to one thread.
pub(crate) trait PayloadWriter: Send {
    /// `value` is never null.
    fn write(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError>;
}

/// Reads what follows the id, which begins at `start`. Shared by all decoders of a writer's schema.
pub(crate) trait PayloadReader: Send + Sync {
    fn read(&self, buffer: &Buffer, start: usize) -> Result<(Option<Schema>, Value), TaskError>;
}

pub(crate) struct RegisteredConverter<F: Format>(Arc<Inner<F>>);

struct Inner<F> {
    format: F,
    session: Session,
    /// By subject and writer's id: decoders of several partitions share schema and plan.
    writers: Mutex<Writers>,
}

type Writers = HashMap<(Option<String>, u32), Arc<dyn PayloadReader>>;

impl<F: Format> RegisteredConverter<F> {
    pub(crate) fn new(
        role: Role,
        definition: &Definition,
        properties: &Properties,
        format: F,
    ) -> Result<Self, TaskError> {
        let resolved = definition.resolve(properties);
        let mut errors = resolved.errors();
        let settings = Settings::from_resolved(role, &resolved, properties, &mut errors);
        if !errors.is_empty() {
            return Err(configuration_error(&errors));
        }
        Ok(Self(Arc::new(Inner::new(role, settings, format)?)))
    }
}

impl<F: Format> Inner<F> {
    fn new(role: Role, settings: Settings, format: F) -> Result<Self, TaskError> {
        Ok(Self { format, session: Session::new(role, settings)?, writers: Mutex::default() })
    }

    async fn prepare_encoder(&self, topic: &str, schema: Option<&Schema>) -> Result<Prepared, TaskError> {
        let own = self.format.own(schema)?;
        let request = RegisterRequest {
            schema: self.format.text(&own),
            schema_type: F::TYPE,
            ..RegisterRequest::default()
        };
        let name = self.format.record_name(&own);
        let with = self.session.write_with(topic, name.as_deref(), &request).await?;
        let writer = match with.theirs {
            None => self.format.writer(schema, &own)?,
            Some((document, strict)) => {
                let theirs = self.format.parse(&document)?;
                if strict == Strict::Yes && !self.format.fits(&own, &theirs) {
                    return Err(TaskError::reject(format!(
                        "Incompatible schema {} for topic {topic}: set latest.compatibility.strict (or, with \
                         use.schema.id, id.compatibility.strict) to false to disable this check",
                        document.text
                    )));
                }
                self.format.writer(schema, &theirs)?
            }
        };
        let mut head = [MAGIC; HEADER_LENGTH];
        head[1..].copy_from_slice(&with.id.to_be_bytes());
        Ok(Prepared { head, writer })
    }

    async fn prepare_decoder(&self, topic: &str, id: u32) -> Result<Arc<dyn PayloadReader>, TaskError> {
        let key = (self.session.reading_subject(topic), id);
        let lock = || self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = lock().get(&key) {
            return Ok(Arc::clone(reader));
        }
        let found = self.session.written_with(topic, id, F::TYPE).await?;
        let parsed = self.format.parse(&found.document)?;
        let reader: Arc<dyn PayloadReader> = Arc::from(self.format.reader(&parsed, found.version)?);
        let mut writers = lock();
        if writers.len() >= self.session.settings.schemas_cached_max {
            writers.clear();
        }
        // Another decoder may have been quicker: all must hand out the same schema.
        Ok(Arc::clone(writers.entry(key).or_insert(reader)))
    }
}

impl<F: Format> Converter for RegisteredConverter<F> {
    fn encoder<'a>(
        &'a self,
        topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>> {
        Box::pin(async move {
            // A null has no bytes and registers nothing. Where a schema allows nulls at the top (tombstones and deletes
            // do), it is asked for when the first other value comes.
            let encoder = if schema.is_none_or(Schema::is_optional) {
                RegisteredEncoder::Deferred(Deferred {
                    converter: Arc::clone(&self.0),
                    topic: topic.to_owned(),
                    schema: schema.cloned(),
                })
            } else {
                RegisteredEncoder::Prepared(self.0.prepare_encoder(topic, schema).await?)
            };
            Ok(Box::new(encoder) as Box<dyn Encoder>)
        })
    }

    fn writer_id(&self, payload: &[u8]) -> Result<u32, TaskError> {
        match payload {
            [MAGIC, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => Err(unknown_magic(F::TYPE)),
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
            let reader = self.0.prepare_decoder(topic, writer_id).await?;
            Ok(Box::new(RegisteredDecoder { reader, kind: F::TYPE }) as Box<dyn Decoder>)
        })
    }
}

fn unknown_magic(kind: SchemaType) -> TaskError {
    TaskError::reject(format!("failed to deserialize data to {}: unknown magic byte", kind.word()))
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

enum RegisteredEncoder<F: Format> {
    Prepared(Prepared),
    Deferred(Deferred<F>),
}

struct Prepared {
    head: [u8; HEADER_LENGTH],
    writer: Box<dyn PayloadWriter>,
}

struct Deferred<F> {
    converter: Arc<Inner<F>>,
    topic: String,
    schema: Option<Schema>,
}

impl<F: Format> Deferred<F> {
    /// Waits for the registry, once per topic and schema. With a runtime and connections of its own: the thread that
    /// waits here may be the only one that the process's runtime has.
    fn prepare(&self) -> Result<Prepared, TaskError> {
        let prepare = || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime
                .map_err(|error| TaskError::retry(format!("cannot ask the schema registry: {error}")))?;
            let session = &self.converter.session;
            let converter =
                Inner::new(session.role, session.settings.clone(), self.converter.format.clone())?;
            runtime.block_on(converter.prepare_encoder(&self.topic, self.schema.as_ref()))
        };
        std::thread::scope(|scope| scope.spawn(prepare).join())
            .unwrap_or_else(|_| Err(TaskError::halt("preparing a registered schema failed")))
    }
}

impl<F: Format> Encoder for RegisteredEncoder<F> {
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        if value.is_null() {
            return Ok(false);
        }
        if let Self::Deferred(deferred) = self {
            *self = Self::Prepared(deferred.prepare()?);
        }
        if let Self::Prepared(prepared) = self {
            out.extend_from_slice(&prepared.head);
            prepared.writer.write(value, out)?;
        }
        Ok(true)
    }
}

struct RegisteredDecoder {
    reader: Arc<dyn PayloadReader>,
    kind: SchemaType,
}

impl Decoder for RegisteredDecoder {
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError> {
        let Some(buffer) = payload else { return Ok((None, Value::Null)) };
        if buffer.bytes().len() < HEADER_LENGTH {
            return Err(unknown_magic(self.kind));
        }
        self.reader.read(buffer, HEADER_LENGTH)
    }
}
