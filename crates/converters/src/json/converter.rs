//! The JSON converter behind the contract: encoders and decoders, and what they keep per schema.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use connect::contract::HeaderConverter;
use connect::settings::Properties;
use connect::{Buffer, Converter, Decoder, Encoder, Header, Schema, TaskError, Value};
use futures::future::BoxFuture;

use super::parser::{Parser, Token};
use super::read::{ReadPlan, read_schemaless};
use super::schema_text::{parse_schema, write_schema};
use super::settings::{Envelope, Settings};
use super::write::{Plan, write_schemaless};

pub(crate) struct JsonConverter {
    settings: Settings,
    /// Schema of payloads without an envelope.
    content: Option<Schema>,
}

impl JsonConverter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, TaskError> {
        let settings = Settings::parse(properties)?;
        let content = match &settings.schema_content {
            Some(text) => parse_schema(text.as_bytes()).map_err(|error| {
                TaskError::halt(format!("Failed to parse schema in converter config: {error}"))
            })?,
            None => None,
        };
        Ok(Self { settings, content })
    }

    fn new_encoder(&self, schema: Option<&Schema>) -> Result<JsonEncoder, TaskError> {
        let mut head = vec![];
        if self.settings.envelope == Envelope::Enabled {
            head.extend_from_slice(b"{\"schema\":");
            match schema {
                Some(schema) => write_schema(schema, None, self.settings.style, &mut head)?,
                None => head.extend_from_slice(b"null"),
            }
            head.extend_from_slice(b",\"payload\":");
        }
        let plan = schema.map(|schema| Plan::new(schema, self.settings.style));
        Ok(JsonEncoder { head: head.into_boxed_slice(), plan: plan.transpose()? })
    }

    fn new_decoder(&self) -> Result<JsonDecoder, TaskError> {
        let content = self.content.as_ref().map(|schema| self.compile(schema)).transpose()?;
        Ok(JsonDecoder { settings: self.settings.clone(), content, last: None, schemas: HashMap::default() })
    }

    fn compile(&self, schema: &Schema) -> Result<Compiled, TaskError> {
        Ok(Compiled { plan: ReadPlan::new(schema, self.settings.style)?, schema: schema.clone() })
    }
}

impl Converter for JsonConverter {
    fn encoder<'a>(
        &'a self,
        _topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>> {
        let encoder = self.new_encoder(schema).map(|encoder| Box::new(encoder) as Box<dyn Encoder>);
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
        let decoder = self.new_decoder().map(|decoder| Box::new(decoder) as Box<dyn Decoder>);
        Box::pin(std::future::ready(decoder))
    }
}

impl HeaderConverter for JsonConverter {
    fn encode(&self, _topic: &str, header: &Header) -> Result<Option<Vec<u8>>, TaskError> {
        let mut out = vec![];
        let written = self.new_encoder(header.schema.as_ref())?.encode(&header.value, &mut out)?;
        Ok(written.then_some(out))
    }

    fn decode(
        &self,
        _topic: &str,
        _key: &str,
        value: Option<&[u8]>,
    ) -> Result<(Option<Schema>, Value), TaskError> {
        let buffer = value.map(|bytes| Buffer::from(bytes.to_vec()));
        self.new_decoder()?.decode(buffer.as_ref())
    }
}

struct JsonEncoder {
    /// `{"schema":…,"payload":`, or empty without envelopes.
    head: Box<[u8]>,
    plan: Option<Plan>,
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        if value.is_null() && self.plan.is_none() {
            return Ok(false);
        }
        out.extend_from_slice(&self.head);
        match &self.plan {
            Some(plan) => plan.write(value, out)?,
            None => write_schemaless(value, out)?,
        }
        if !self.head.is_empty() {
            out.push(b'}');
        }
        Ok(true)
    }
}

struct Compiled {
    schema: Schema,
    plan: ReadPlan,
}

/// A schema that was seen in a message; `None` is the message's own `null`.
type Known = Option<Arc<Compiled>>;

struct JsonDecoder {
    settings: Settings,
    content: Option<Compiled>,
    /// The start of the last message up to its payload, and what its schema was.
    last: Option<(Box<[u8]>, Known)>,
    /// By the schema's text, as it stood in a message.
    schemas: HashMap<Box<[u8]>, Known, foldhash::fast::RandomState>,
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError> {
        let Some(buffer) = payload else { return Ok((None, Value::Null)) };
        let mut parser = Parser::new(buffer);
        if self.settings.envelope == Envelope::Disabled {
            if parser.is_at_end() {
                return Ok((None, Value::Null));
            }
            return Ok((None, read_schemaless(&mut parser)?));
        }
        if let Some(content) = &self.content {
            return Ok((Some(content.schema.clone()), content.plan.read(&mut parser)?));
        }
        if let Some((head, compiled)) = &self.last
            && buffer.bytes().starts_with(head)
        {
            let mut parser = Parser::at(buffer, head.len());
            let result = read_payload(compiled.as_deref(), &mut parser)?;
            return if parser.next_byte() == Some(b'}') { Ok(result) } else { Err(no_envelope()) };
        }
        self.decode_envelope(buffer)
    }
}

impl JsonDecoder {
    fn decode_envelope(&mut self, buffer: &Buffer) -> Result<(Option<Schema>, Value), TaskError> {
        let (schema, payload) = envelope(buffer)?;
        let text = &buffer.bytes()[schema.clone()];
        let compiled = match self.schemas.get(text) {
            Some(compiled) => compiled.clone(),
            None => {
                let compile = |schema: Schema| {
                    let plan = ReadPlan::new(&schema, self.settings.style)?;
                    Ok::<_, TaskError>(Arc::new(Compiled { plan, schema }))
                };
                let compiled = parse_schema(text)?.map(compile).transpose()?;
                if self.schemas.len() >= self.settings.schemas_cached_max {
                    self.schemas.clear();
                }
                self.schemas.insert(Box::from(text), compiled.clone());
                compiled
            }
        };
        let result = read_payload(compiled.as_deref(), &mut Parser::at(buffer, payload.start))?;
        if schema.end <= payload.start {
            self.last = Some((Box::from(&buffer.bytes()[..payload.start]), compiled));
        }
        Ok(result)
    }
}

fn read_payload(
    compiled: Option<&Compiled>,
    parser: &mut Parser<'_>,
) -> Result<(Option<Schema>, Value), TaskError> {
    match compiled {
        Some(compiled) => Ok((Some(compiled.schema.clone()), compiled.plan.read(parser)?)),
        None => Ok((None, read_schemaless(parser)?)),
    }
}

/// Where the schema and the payload lie; they must be the only members.
fn envelope(buffer: &Buffer) -> Result<(Range<usize>, Range<usize>), TaskError> {
    let mut parser = Parser::new(buffer);
    if parser.is_at_end() {
        return Err(no_envelope());
    }
    if parser.peek()? != Token::Object {
        parser.skip()?;
        return Err(no_envelope());
    }
    let (mut schema, mut payload) = (None, None);
    parser.open(b'{')?;
    let mut first = true;
    while parser.more(b'}', first)? {
        first = false;
        let key = parser.string_ref()?;
        parser.colon()?;
        parser.next_byte();
        let start = parser.position();
        parser.skip()?;
        match &*key {
            "schema" => schema = Some(start..parser.position()),
            "payload" => payload = Some(start..parser.position()),
            _ => return Err(no_envelope()),
        }
    }
    schema.zip(payload).ok_or_else(no_envelope)
}

fn no_envelope() -> TaskError {
    TaskError::reject(
        "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional \
         fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter \
         configuration.",
    )
}
