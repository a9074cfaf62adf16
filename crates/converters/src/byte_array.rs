//! `org.apache.kafka.connect.converters.ByteArrayConverter`: bytes as they are.

use connect::contract::HeaderConverter;
use connect::logical::decimal_scale;
use connect::settings::Definition;
use connect::{
    Blob, Buffer, Converter, Decoder, Encoder, Header, Kind, Schema, SchemaBuilder, TaskError, Value,
};
use futures::future::BoxFuture;

pub(crate) fn definition() -> Definition {
    Definition::default()
}

pub(crate) struct ByteArrayConverter;

struct ByteArrayEncoder;

struct ByteArrayDecoder {
    schema: Schema,
}

fn optional_bytes() -> Schema {
    SchemaBuilder::bytes().optional().build()
}

fn check(schema: Option<&Schema>) -> Result<(), TaskError> {
    match schema {
        Some(schema) if !matches!(schema.kind(), Kind::Bytes) => Err(TaskError::reject(format!(
            "Invalid schema type for ByteArrayConverter: {}",
            schema.kind().type_name().to_uppercase()
        ))),
        // In Java the value is a BigDecimal then, not bytes.
        Some(schema) if decimal_scale(schema).is_some() => Err(not_bytes("java.math.BigDecimal")),
        _ => Ok(()),
    }
}

fn not_bytes(class: &str) -> TaskError {
    TaskError::reject(format!("ByteArrayConverter is not compatible with objects of type class {class}"))
}

impl Converter for ByteArrayConverter {
    fn encoder<'a>(
        &'a self,
        _topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>> {
        let encoder = check(schema).map(|()| Box::new(ByteArrayEncoder) as Box<dyn Encoder>);
        Box::pin(std::future::ready(encoder))
    }

    fn writer_id(&self, _payload: &[u8]) -> Result<u32, TaskError> {
        Ok(0)
    }

    fn decoder<'a>(
        &'a self,
        _topic: &'a str,
        _writer_id: u32,
    ) -> BoxFuture<'a, Result<Box<dyn Decoder>, TaskError>> {
        let decoder = Box::new(ByteArrayDecoder { schema: optional_bytes() }) as Box<dyn Decoder>;
        Box::pin(std::future::ready(Ok(decoder)))
    }
}

impl Encoder for ByteArrayEncoder {
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        match value {
            Value::Null => Ok(false),
            Value::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                Ok(true)
            }
            Value::String(_) => Err(not_bytes("java.lang.String")),
            _ => Err(not_bytes("java.lang.Object")),
        }
    }
}

impl Decoder for ByteArrayDecoder {
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError> {
        let value = payload.map(|buffer| Blob::slice(buffer, 0..buffer.bytes().len()));
        Ok((Some(self.schema.clone()), Value::from(value)))
    }
}

impl HeaderConverter for ByteArrayConverter {
    fn encode(&self, _topic: &str, header: &Header) -> Result<Option<Vec<u8>>, TaskError> {
        check(header.schema.as_ref())?;
        let mut out = vec![];
        let written = ByteArrayEncoder.encode(&header.value, &mut out)?;
        Ok(written.then_some(out))
    }

    fn decode(
        &self,
        _topic: &str,
        _key: &str,
        value: Option<&[u8]>,
    ) -> Result<(Option<Schema>, Value), TaskError> {
        Ok((Some(optional_bytes()), Value::from(value.map(Blob::from))))
    }
}
