//! `io.debezium.converters.BinaryDataConverter`, which was `ByteArrayConverter` and `ByteBufferConverter` before: bytes
//! as they are, and anything else (heartbeats, transaction markers) through another converter.

use connect::contract::HeaderConverter;
use connect::settings::{Definition, Properties, row};
use connect::{Converter, Decoder, Encoder, Header, Kind, Schema, TaskError, Value};
use futures::future::BoxFuture;

use crate::byte_array::ByteArrayConverter;
use crate::catalog::{Role, create, create_header};

/// Names the delegate, and is the prefix of its options.
const DELEGATE: &str = "delegate.converter.type";

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row(DELEGATE)
            .class()
            .doc("Specifies the delegate converter class: it converts whatever is not bytes."),
    ])
}

pub(crate) struct BinaryDataConverter {
    delegate: Option<Box<dyn Converter>>,
}

/// The same for headers.
pub(crate) struct BinaryDataHeaderConverter {
    delegate: Option<Box<dyn HeaderConverter>>,
}

impl BinaryDataConverter {
    pub(crate) fn new(role: Role, properties: &Properties) -> Result<Self, TaskError> {
        let Some((class, own)) = delegate(properties)? else { return Ok(Self { delegate: None }) };
        Ok(Self { delegate: Some(create(class, role, &own)?) })
    }
}

impl BinaryDataHeaderConverter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, TaskError> {
        let Some((class, own)) = delegate(properties)? else { return Ok(Self { delegate: None }) };
        Ok(Self { delegate: Some(create_header(class, &own)?) })
    }
}

/// The delegate's class and its options, without their prefix.
fn delegate(properties: &Properties) -> Result<Option<(&str, Properties)>, TaskError> {
    let Some(class) = properties.get(DELEGATE) else { return Ok(None) };
    if is_own(class) {
        return Err(TaskError::halt(format!("{DELEGATE} must be another converter than {class}")));
    }
    let prefix = format!("{DELEGATE}.");
    let own = properties.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
    let own = own.map(|(key, value)| (key.to_owned(), value.clone())).collect();
    Ok(Some((class, own)))
}

/// A delegate of a delegate would never end where its own options are missing.
fn is_own(class: &str) -> bool {
    class.starts_with("io.debezium.converters.B")
}

fn is_bytes(schema: Option<&Schema>) -> bool {
    match schema {
        None => true,
        Some(schema) => {
            matches!(schema.kind(), Kind::Bytes) && schema.name() != Some(connect::logical::DECIMAL)
        }
    }
}

fn no_delegate(schema: Option<&Schema>) -> TaskError {
    let kind = schema.map_or("schemaless", |schema| schema.kind().type_name());
    TaskError::reject(format!("A value of type {kind} requires a {DELEGATE} to be configured"))
}

impl Converter for BinaryDataConverter {
    fn encoder<'a>(
        &'a self,
        topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>> {
        match &self.delegate {
            _ if is_bytes(schema) => ByteArrayConverter.encoder(topic, schema),
            Some(delegate) => delegate.encoder(topic, schema),
            None => Box::pin(std::future::ready(Err(no_delegate(schema)))),
        }
    }

    fn writer_id(&self, _payload: &[u8]) -> Result<u32, TaskError> {
        Ok(0)
    }

    /// Everything is read as bytes: nothing in a message says who wrote it.
    fn decoder<'a>(
        &'a self,
        topic: &'a str,
        writer_id: u32,
    ) -> BoxFuture<'a, Result<Box<dyn Decoder>, TaskError>> {
        ByteArrayConverter.decoder(topic, writer_id)
    }
}

impl HeaderConverter for BinaryDataHeaderConverter {
    fn encode(&self, topic: &str, header: &Header) -> Result<Option<Vec<u8>>, TaskError> {
        match &self.delegate {
            _ if is_bytes(header.schema.as_ref()) => ByteArrayConverter.encode(topic, header),
            Some(delegate) => delegate.encode(topic, header),
            None => Err(no_delegate(header.schema.as_ref())),
        }
    }

    fn decode(
        &self,
        topic: &str,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(Option<Schema>, Value), TaskError> {
        ByteArrayConverter.decode(topic, key, value)
    }
}
