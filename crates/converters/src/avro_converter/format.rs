//! Avro behind the registered converter: schemas parsed and compiled, payloads by plans.

use avro::{Strictness, compatibility, decode::Reader};
use connect::settings::Properties;
use connect::{Blob, Buffer, Schema, TaskError, Value};
use registry_client::SchemaType;
use registry_client::schemas::Document;

use super::decode::{Plan as ReadPlan, Source};
use super::encode::{Plan, compile};
use super::schema_in::to_connect;
use super::schema_out::to_avro;
use super::schemaless;
use super::settings::{Shape, definition};
use crate::catalog::Role;
use crate::registered::{Format, PayloadReader, PayloadWriter, RegisteredConverter};

/// Connect's converter says so of whatever its deserializer throws.
const NOT_AVRO: &str = "failed to deserialize data to Avro";

/// Confluent's `AvroConverter`.
pub(crate) fn converter(
    role: Role,
    properties: &Properties,
) -> Result<RegisteredConverter<AvroFormat>, TaskError> {
    let definition = definition();
    let shape = Shape::from_resolved(&definition.resolve(properties));
    RegisteredConverter::new(role, &definition, properties, AvroFormat { shape })
}

#[derive(Clone)]
pub(crate) struct AvroFormat {
    shape: Shape,
}

impl Format for AvroFormat {
    const TYPE: SchemaType = SchemaType::Avro;
    type Parsed = avro::Schema;

    fn own(&self, schema: Option<&Schema>) -> Result<avro::Schema, TaskError> {
        match schema {
            Some(schema) => to_avro(schema, self.shape),
            None => parse(schemaless::ANYTHING, &[]),
        }
    }

    fn parse(&self, document: &Document) -> Result<avro::Schema, TaskError> {
        let references = document.references.iter().map(|(_, reference)| self.parse(reference));
        parse(&document.text, &references.collect::<Result<Vec<_>, _>>()?)
    }

    fn text(&self, parsed: &avro::Schema) -> String {
        parsed.to_string()
    }

    fn record_name(&self, parsed: &avro::Schema) -> Option<String> {
        match parsed.kind(parsed.root()) {
            avro::Kind::Record(record) => Some(record.name.full()),
            _ => None,
        }
    }

    fn fits(&self, own: &avro::Schema, theirs: &avro::Schema) -> bool {
        compatibility::can_read(theirs, own)
    }

    fn writer(
        &self,
        schema: Option<&Schema>,
        target: &avro::Schema,
    ) -> Result<Box<dyn PayloadWriter>, TaskError> {
        let Some(schema) = schema else { return Ok(Box::new(AnythingWriter)) };
        let plan = compile(schema, target, self.shape)?;
        Ok(Box::new(AvroWriter { plan, is_raw: is_raw(target) }))
    }

    fn reader(
        &self,
        source: &avro::Schema,
        version: Option<i32>,
    ) -> Result<Box<dyn PayloadReader>, TaskError> {
        let (schema, plan) = to_connect(source, self.shape, version)?;
        Ok(Box::new(AvroReader { schema, plan, is_raw: is_raw(source) }))
    }
}

fn parse(text: &str, references: &[avro::Schema]) -> Result<avro::Schema, TaskError> {
    avro::parse_with_references(text, references, Strictness::Lenient)
        .map_err(|error| TaskError::reject(format!("the registry's schema cannot be read: {error}")))
}

/// Payloads of the schema `bytes` are the bytes themselves, without Avro's length.
fn is_raw(avro: &avro::Schema) -> bool {
    matches!(avro.kind(avro.root()), avro::Kind::Bytes)
}

struct AvroWriter {
    plan: Plan,
    is_raw: bool,
}

impl PayloadWriter for AvroWriter {
    fn write(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        match value {
            Value::Bytes(bytes) if self.is_raw => out.extend_from_slice(bytes),
            value => self.plan.write(value, out)?,
        }
        Ok(())
    }
}

struct AnythingWriter;

impl PayloadWriter for AnythingWriter {
    fn write(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        schemaless::write(value, out)
    }
}

struct AvroReader {
    schema: Option<Schema>,
    plan: ReadPlan,
    is_raw: bool,
}

impl PayloadReader for AvroReader {
    fn read(&self, buffer: &Buffer, start: usize) -> Result<(Option<Schema>, Value), TaskError> {
        let schema = self.schema.clone();
        let bytes = buffer.bytes();
        if self.is_raw {
            return Ok((schema, Value::Bytes(Blob::slice(buffer, start..bytes.len()))));
        }
        let source = Source { buffer, offset: start };
        let value = self
            .plan
            .read(&mut Reader::new(&bytes[start..]), &source)
            .map_err(|error| TaskError::reject(format!("{NOT_AVRO}: {error}")).with_source(error))?;
        Ok((schema, value))
    }
}
