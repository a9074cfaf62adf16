//! Bytes → events.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect::{Buffer, Decoder, Kind, Schema, SchemaBuilder, TaskError, Value};

use super::converter::Shared;
use super::settings::Serializer;

/// What a CloudEvent must have.
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];
const DATA: &str = "data";
/// More writers' schemas than this are not kept: their ids come from outside.
const WRITERS_MAX: usize = 1000;

pub(super) struct EventDecoder {
    pub shared: Shared,
    pub topic: String,
    /// Of the event itself.
    pub event: Box<dyn Decoder>,
    /// Of Avro data, by their writer's id.
    pub data: HashMap<u32, Box<dyn Decoder>>,
    /// The last event's schema, and the one with the data's in it: equal contents must be one pointer.
    pub last: Option<(Schema, Schema, Schema)>,
}

impl Decoder for EventDecoder {
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError> {
        if payload.is_none() {
            return Ok((None, Value::Null));
        }
        let (schema, event) = self.event.decode(payload)?;
        match (schema, event) {
            (None, Value::Map(members)) => Ok((None, self.plain_event(members)?)),
            (Some(schema), Value::Struct(fields)) => self.avro_event(schema, fields),
            _ => Err(no_event()),
        }
    }
}

impl EventDecoder {
    /// A JSON event; data with a schema of their own are their payload.
    fn plain_event(&mut self, mut members: Box<[(Value, Value)]>) -> Result<Value, TaskError> {
        let has = |name: &str| members.iter().any(|(key, _)| key.as_str() == Some(name));
        if !REQUIRED.iter().all(|name| has(name)) {
            return Err(no_event());
        }
        let data = members.iter_mut().find(|(key, _)| key.as_str() == Some(DATA));
        let Some((_, data)) = data else { return Err(no_event()) };
        let taken = std::mem::take(data);
        *data = match (self.shared.settings.data, taken) {
            (Serializer::Json, Value::Map(envelope)) if is_enveloped(&envelope) => payload_of(envelope),
            (Serializer::Json, value) => value,
            (Serializer::Avro, Value::String(text)) => {
                let bytes = STANDARD.decode(text.as_bytes());
                let bytes =
                    bytes.map_err(|error| TaskError::reject("Invalid bytes field").with_source(error))?;
                let (schema, value) = self.avro_data(&Buffer::from(bytes))?;
                plain(schema.as_ref(), value)
            }
            (Serializer::Avro, _) => return Err(no_event()),
        };
        Ok(Value::Map(members))
    }

    fn avro_event(
        &mut self,
        schema: Schema,
        mut fields: Box<[Value]>,
    ) -> Result<(Option<Schema>, Value), TaskError> {
        let place =
            schema.field_index(DATA).filter(|_| REQUIRED.iter().all(|name| schema.field(name).is_some()));
        let place =
            place.filter(|_| schema.name().is_some_and(|name| name.ends_with(".CloudEvents.Envelope")));
        let Some(place) = place else { return Err(no_event()) };
        let Value::Bytes(bytes) = std::mem::take(&mut fields[place]) else { return Err(no_event()) };
        let (data_schema, data) = self.avro_data(&Buffer::from(bytes.to_vec()))?;
        fields[place] = data;
        let data_schema = data_schema.unwrap_or_else(|| SchemaBuilder::bytes().optional().build());
        let known = self.last.as_ref().filter(|(event, data, _)| *event == schema && *data == data_schema);
        let whole = match known {
            Some((_, _, whole)) => whole.clone(),
            None => {
                let mut list = schema.fields().to_vec();
                list[place].schema = data_schema.clone();
                let whole = schema.to_builder().fields(list).build();
                self.last = Some((schema, data_schema, whole.clone()));
                whole
            }
        };
        Ok((Some(whole), Value::Struct(fields)))
    }

    fn avro_data(&mut self, payload: &Buffer) -> Result<(Option<Schema>, Value), TaskError> {
        let id = self.shared.writer_id(payload.bytes())?;
        if self.data.len() >= WRITERS_MAX {
            self.data.clear();
        }
        let decoder = match self.data.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.shared.data_decoder(&self.topic, id)?),
        };
        decoder.decode(Some(payload))
    }
}

fn is_enveloped(members: &[(Value, Value)]) -> bool {
    let has = |name: &str| members.iter().any(|(key, _)| key.as_str() == Some(name));
    members.len() == 2 && has("schema") && has("payload")
}

fn payload_of(members: Box<[(Value, Value)]>) -> Value {
    let mut members = members.into_vec().into_iter();
    members.find(|(key, _)| key.as_str() == Some("payload")).map(|(_, value)| value).unwrap_or_default()
}

/// The value without its schema: structs are maps.
fn plain(schema: Option<&Schema>, value: Value) -> Value {
    match (schema.map(Schema::kind), value) {
        (Some(Kind::Struct(fields)), Value::Struct(values)) => {
            let members = fields.iter().zip(values.into_vec());
            let member = |(field, value): (&connect::Field, Value)| {
                (Value::text(&field.name), plain(Some(&field.schema), value))
            };
            Value::Map(members.map(member).collect())
        }
        (Some(Kind::Array(items)), Value::Array(values)) => {
            Value::Array(values.into_vec().into_iter().map(|value| plain(Some(items), value)).collect())
        }
        (Some(Kind::Map { value: schema, .. }), Value::Map(entries)) => {
            let entries = entries.into_vec().into_iter();
            Value::Map(entries.map(|(key, value)| (key, plain(Some(schema), value))).collect())
        }
        (_, value) => value,
    }
}

fn no_event() -> TaskError {
    TaskError::reject("A deserialized record's value is not a CloudEvent")
}
