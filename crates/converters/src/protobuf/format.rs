//! Protobuf behind the registered converter: files compiled, messages found by their place, payloads by plans.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use connect::settings::Properties;
use connect::{Buffer, Kind, Schema, TaskError, Value};
use prost_reflect::{Cardinality, FieldDescriptor, FileDescriptor, Kind as ProtoKind, MessageDescriptor};
use registry_client::SchemaType;
use registry_client::schemas::{Document, compile};

use super::decode::Form;
use super::encode::{self, MessagePlan};
use super::file_out::to_proto;
use super::schema_in::to_connect;
use super::settings::{Shape, definition};
use super::wire::{Reader, malformed, unzigzag, varint, zigzag};
use crate::catalog::Role;
use crate::registered::{Format, PayloadReader, PayloadWriter, RegisteredConverter};

/// Messages nested deeper are refused.
const NESTING_MAX: usize = 100;

/// Confluent's `ProtobufConverter`.
pub(crate) fn converter(
    role: Role,
    properties: &Properties,
) -> Result<RegisteredConverter<ProtobufFormat>, TaskError> {
    let definition = definition();
    let shape = Shape::from_resolved(&definition.resolve(properties));
    RegisteredConverter::new(role, &definition, properties, ProtobufFormat { shape })
}

#[derive(Clone)]
pub(crate) struct ProtobufFormat {
    shape: Shape,
}

/// A compiled file, and the message in it that is meant.
pub(crate) struct ProtobufSchema {
    text: String,
    file: FileDescriptor,
    message: MessageDescriptor,
}

impl Format for ProtobufFormat {
    const TYPE: SchemaType = SchemaType::Protobuf;
    type Parsed = ProtobufSchema;

    fn own(&self, schema: Option<&Schema>) -> Result<ProtobufSchema, TaskError> {
        let schema = schema
            .ok_or_else(|| TaskError::reject("data without a schema has no Protobuf schema to register"))?;
        let (text, name) = to_proto(schema, self.shape)?;
        let file = compiled(&Document { text: text.clone(), references: vec![] })?;
        let message = file.parent_pool().get_message_by_name(&name);
        let message = message.ok_or_else(|| TaskError::reject(format!("the message {name} is missing")))?;
        Ok(ProtobufSchema { text, file, message })
    }

    fn parse(&self, document: &Document) -> Result<ProtobufSchema, TaskError> {
        let file = compiled(document)?;
        let message = file.messages().next();
        let message = message.ok_or_else(|| TaskError::reject("the Protobuf file has no message"))?;
        Ok(ProtobufSchema { text: document.text.clone(), file, message })
    }

    fn text(&self, parsed: &ProtobufSchema) -> String {
        parsed.text.clone()
    }

    fn record_name(&self, parsed: &ProtobufSchema) -> Option<String> {
        Some(parsed.message.full_name().to_owned())
    }

    fn fits(&self, own: &ProtobufSchema, theirs: &ProtobufSchema) -> bool {
        messages_fit(&own.message, &counterpart(&own.message, theirs), 0)
    }

    fn writer(
        &self,
        schema: Option<&Schema>,
        target: &ProtobufSchema,
    ) -> Result<Box<dyn PayloadWriter>, TaskError> {
        let schema = schema.ok_or_else(|| TaskError::reject("data without a schema cannot be written"))?;
        let own = self.own(Some(schema))?;
        let message = counterpart(&own.message, target);
        let is_raw = !matches!(schema.kind(), Kind::Struct(_));
        let plan = if is_raw {
            encode::compile_raw(schema, &message, self.shape)?
        } else {
            encode::compile(schema, &message, self.shape)?
        };
        Ok(Box::new(ProtobufWriter { indexes: indexes(&message), plan, is_raw }))
    }

    fn reader(
        &self,
        source: &ProtobufSchema,
        version: Option<i32>,
    ) -> Result<Box<dyn PayloadReader>, TaskError> {
        let first = Arc::new(to_connect(&source.message, self.shape, version));
        Ok(Box::new(ProtobufReader {
            file: source.file.clone(),
            shape: self.shape,
            version,
            first,
            others: Mutex::default(),
        }))
    }
}

fn compiled(document: &Document) -> Result<FileDescriptor, TaskError> {
    compile(document).map_err(|error| {
        TaskError::reject(format!("the Protobuf schema cannot be compiled: {error}"))
            .with_hint("names that Protobuf does not accept are rewritten with scrub.invalid.names=true")
    })
}

/// The message of another file that stands for ours: the same full name, else the same name, else the first.
fn counterpart(own: &MessageDescriptor, theirs: &ProtobufSchema) -> MessageDescriptor {
    let by_full_name = theirs.file.messages().find(|message| message.full_name() == own.full_name());
    let by_name = || theirs.file.messages().find(|message| message.name() == own.name());
    by_full_name.or_else(by_name).unwrap_or_else(|| theirs.message.clone())
}

/// Whether every field of ours has its place in theirs.
fn messages_fit(own: &MessageDescriptor, theirs: &MessageDescriptor, depth: usize) -> bool {
    let field_fits = |field: FieldDescriptor| {
        let Some(known) = theirs.get_field_by_name(field.name()) else { return false };
        let is_list = |field: &FieldDescriptor| field.cardinality() == Cardinality::Repeated;
        let kinds = match (field.kind(), known.kind()) {
            (ProtoKind::Message(own), ProtoKind::Message(theirs)) => {
                depth > NESTING_MAX || messages_fit(&own, &theirs, depth + 1)
            }
            (ProtoKind::Enum(own), ProtoKind::Enum(theirs)) => {
                own.values().all(|symbol| theirs.get_value_by_name(symbol.name()).is_some())
            }
            (own, theirs) => own == theirs,
        };
        kinds && is_list(&field) == is_list(&known)
    };
    own.fields().all(field_fits)
}

/// The message's place in its file: its index, and those of the messages around it. The first message is a single 0.
fn indexes(message: &MessageDescriptor) -> Box<[u8]> {
    // A descriptor's path alternates field numbers and indexes.
    let path: Vec<i32> = message.path().iter().skip(1).step_by(2).copied().collect();
    let mut out = vec![];
    if path == [0] {
        out.push(0);
    } else {
        varint(zigzag(path.len() as i64), &mut out);
        path.iter().for_each(|index| varint(zigzag(i64::from(*index)), &mut out));
    }
    out.into_boxed_slice()
}

struct ProtobufWriter {
    indexes: Box<[u8]>,
    plan: MessagePlan,
    is_raw: bool,
}

impl PayloadWriter for ProtobufWriter {
    fn write(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        out.extend_from_slice(&self.indexes);
        if self.is_raw { self.plan.write_raw(value, out) } else { self.plan.write(value, out) }
    }
}

/// What messages of one place are read as, or why they cannot be.
type Message = Arc<Result<(Schema, Form), TaskError>>;

struct ProtobufReader {
    file: FileDescriptor,
    shape: Shape,
    version: Option<i32>,
    /// The first message of the file, which nearly all payloads have.
    first: Message,
    others: Mutex<HashMap<Vec<usize>, Message>>,
}

/// More places than this are not kept: they come from outside.
const PLACES_MAX: usize = 1000;

impl PayloadReader for ProtobufReader {
    fn read(&self, buffer: &Buffer, start: usize) -> Result<(Option<Schema>, Value), TaskError> {
        let bytes: &[u8] = buffer.bytes();
        let mut reader = Reader::new(bytes, start..bytes.len());
        let message = match bytes.get(start) {
            Some(0) => {
                reader.varint()?;
                Arc::clone(&self.first)
            }
            _ => self.other(read_indexes(&mut reader)?)?,
        };
        match &*message {
            Ok((schema, form)) => Ok((Some(schema.clone()), form.read_root(buffer, reader.position())?)),
            Err(error) => Err(TaskError::reject(error.message.clone())),
        }
    }
}

impl ProtobufReader {
    fn other(&self, path: Vec<usize>) -> Result<Message, TaskError> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = others.get(&path) {
            return Ok(Arc::clone(known));
        }
        let missing = || malformed("the payload names a message that the schema does not have");
        let (first, rest) = path.split_first().ok_or_else(missing)?;
        let mut message = self.file.messages().nth(*first).ok_or_else(missing)?;
        for index in rest {
            let child = message.child_messages().nth(*index);
            message = child.ok_or_else(missing)?;
        }
        let read = Arc::new(to_connect(&message, self.shape, self.version));
        if others.len() >= PLACES_MAX {
            others.clear();
        }
        others.insert(path, Arc::clone(&read));
        Ok(read)
    }
}

/// A count, and as many indexes.
fn read_indexes(reader: &mut Reader<'_>) -> Result<Vec<usize>, TaskError> {
    let mut index = || {
        let number = unzigzag(reader.varint()?);
        usize::try_from(number).map_err(|_| malformed("an index of a message is negative"))
    };
    let count = index()?;
    if count > NESTING_MAX {
        return Err(malformed("a message is nested too deeply"));
    }
    (0..count).map(|_| index()).collect()
}
