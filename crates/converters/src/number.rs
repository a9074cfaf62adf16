//! `org.apache.kafka.connect.converters.{Short,Integer,Long,Float,Double,Boolean}Converter`: big-endian bytes of one value.

use connect::contract::HeaderConverter;
use connect::logical::{DATE, TIME, TIMESTAMP};
use connect::{Buffer, Converter, Decoder, Encoder, Header, Kind, Schema, SchemaBuilder, TaskError, Value};
use futures::future::BoxFuture;

/// Which of the six.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
}

#[derive(Clone)]
pub(crate) struct NumberConverter {
    number: Number,
    /// What it reads is always of this schema.
    schema: Schema,
}

impl Number {
    fn kind(self) -> Kind {
        match self {
            Self::Short => Kind::Int16,
            Self::Integer => Kind::Int32,
            Self::Long => Kind::Int64,
            Self::Float => Kind::Float32,
            Self::Double => Kind::Float64,
            Self::Boolean => Kind::Boolean,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Boolean => "boolean",
        }
    }

    /// The serialisers know values by their class: a date is none of them, whatever it is kept as.
    fn check(self, schema: Option<&Schema>) -> Result<(), TaskError> {
        let Some(schema) = schema else { return Ok(()) };
        let is_date = matches!(schema.name(), Some(DATE | TIME | TIMESTAMP));
        if *schema.kind() == self.kind() && !is_date {
            return Ok(());
        }
        let word = self.word();
        if self == Self::Boolean {
            let found = schema.kind().type_name().to_uppercase();
            return Err(TaskError::reject(format!("Invalid schema type for BooleanConverter: {found}")));
        }
        let found = if is_date { "java.util.Date" } else { schema.kind().type_name() };
        Err(TaskError::reject(format!("Failed to serialize to {word} (was {found}): ")))
    }

    fn write(self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        match (self, value) {
            (_, Value::Null) => return Ok(false),
            (Self::Short, Value::Int16(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (Self::Integer, Value::Int32(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (Self::Long, Value::Int64(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (Self::Float, Value::Float32(number)) => out.extend_from_slice(&number.to_bits().to_be_bytes()),
            (Self::Double, Value::Float64(number)) => out.extend_from_slice(&number.to_bits().to_be_bytes()),
            (Self::Boolean, Value::Boolean(flag)) => out.push(u8::from(*flag)),
            _ => {
                let word = self.word();
                return Err(TaskError::reject(format!(
                    "Failed to serialize to {word}: the value is another"
                )));
            }
        }
        Ok(true)
    }

    fn read(self, bytes: &[u8]) -> Result<Value, TaskError> {
        let value = match self {
            Self::Short => exact(bytes).map(|it| Value::Int16(i16::from_be_bytes(it))),
            Self::Integer => exact(bytes).map(|it| Value::Int32(i32::from_be_bytes(it))),
            Self::Long => exact(bytes).map(|it| Value::Int64(i64::from_be_bytes(it))),
            Self::Float => exact(bytes).map(|it| Value::Float32(f32::from_be_bytes(it))),
            Self::Double => exact(bytes).map(|it| Value::Float64(f64::from_be_bytes(it))),
            Self::Boolean => match bytes {
                [0] => Some(Value::Boolean(false)),
                [1] => Some(Value::Boolean(true)),
                _ => None,
            },
        };
        value.ok_or_else(|| {
            let (word, length) = (self.word(), bytes.len());
            TaskError::reject(format!("Failed to deserialize {word}: {length} bytes that are none"))
        })
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

impl NumberConverter {
    pub(crate) fn new(number: Number) -> Self {
        Self { number, schema: SchemaBuilder::new(number.kind()).optional().build() }
    }

    fn read(&self, bytes: Option<&[u8]>) -> Result<(Option<Schema>, Value), TaskError> {
        let value = bytes.map(|bytes| self.number.read(bytes)).transpose()?;
        Ok((Some(self.schema.clone()), value.unwrap_or_default()))
    }
}

impl Converter for NumberConverter {
    fn encoder<'a>(
        &'a self,
        _topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>> {
        // A null has no class, whatever its schema says: the check waits for a value.
        let refused = self.number.check(schema).err().map(|error| error.message);
        let encoder = NumberEncoder { number: self.number, refused };
        Box::pin(std::future::ready(Ok(Box::new(encoder) as Box<dyn Encoder>)))
    }

    fn writer_id(&self, _payload: &[u8]) -> Result<u32, TaskError> {
        Ok(0)
    }

    fn decoder<'a>(
        &'a self,
        _topic: &'a str,
        _writer_id: u32,
    ) -> BoxFuture<'a, Result<Box<dyn Decoder>, TaskError>> {
        Box::pin(std::future::ready(Ok(Box::new(self.clone()) as Box<dyn Decoder>)))
    }
}

struct NumberEncoder {
    number: Number,
    refused: Option<String>,
}

impl Encoder for NumberEncoder {
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        match &self.refused {
            Some(reason) if !value.is_null() || self.number == Number::Boolean => {
                Err(TaskError::reject(reason.clone()))
            }
            _ => self.number.write(value, out),
        }
    }
}

impl Decoder for NumberConverter {
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError> {
        self.read(payload.map(|buffer| &buffer.bytes()[..]))
    }
}

impl HeaderConverter for NumberConverter {
    fn encode(&self, _topic: &str, header: &Header) -> Result<Option<Vec<u8>>, TaskError> {
        if !header.value.is_null() {
            self.number.check(header.schema.as_ref())?;
        }
        let mut out = vec![];
        Ok(self.number.write(&header.value, &mut out)?.then_some(out))
    }

    fn decode(
        &self,
        _topic: &str,
        _key: &str,
        value: Option<&[u8]>,
    ) -> Result<(Option<Schema>, Value), TaskError> {
        self.read(value)
    }
}
