//! Events → bytes.

use connect::{Encoder, Schema, SchemaBuilder, TaskError, Value};

use super::converter::Shared;
use super::event::Envelope;
use super::settings::Serializer;

/// Encodes envelopes of one schema.
pub(super) struct EventEncoder {
    pub shared: Shared,
    pub topic: String,
    pub envelope: Envelope,
    /// Of the data, where they are Avro, or JSON with a schema of their own.
    pub data: Option<Box<dyn Encoder>>,
    /// Of the event: made with the first one, whose values name its schema.
    pub event: Option<(String, Box<dyn Encoder>)>,
}

/// What messages are that are no change events: nothing.
pub(super) struct NothingEncoder;

impl Encoder for NothingEncoder {
    fn encode(&mut self, _value: &Value, _out: &mut Vec<u8>) -> Result<bool, TaskError> {
        Ok(false)
    }
}

impl Encoder for EventEncoder {
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        if value.is_null() {
            return Ok(false);
        }
        let envelope = value.as_struct().ok_or_else(|| TaskError::reject("Mismatching schema"))?;
        let data = self.envelope.data(envelope);
        match (self.shared.settings.data, &mut self.data) {
            (Serializer::Avro, Some(encoder)) => {
                let mut bytes = vec![];
                encoder.encode(&data, &mut bytes)?;
                let id = bytes.get(1..5).and_then(|id| id.try_into().ok()).map_or(0, u32::from_be_bytes);
                let data = Value::Bytes(connect::Blob::from(bytes));
                self.write_event(envelope, data, Some(id), out)?;
            }
            (_, Some(encoder)) => {
                // The data bear a schema, the event does not: they take the place of an empty object at its end.
                let mut text = vec![];
                encoder.encode(&data, &mut text)?;
                self.write_event(envelope, Value::Struct(Box::default()), None, out)?;
                out.truncate(out.len() - EMPTY_DATA_END.len());
                out.extend_from_slice(&text);
                out.push(b'}');
            }
            (_, None) => self.write_event(envelope, data, None, out)?,
        }
        Ok(true)
    }
}

/// How the JSON of an event ends whose data are an empty object: those two characters, and the event's own last one.
const EMPTY_DATA_END: &[u8] = b"{}}";

impl EventEncoder {
    fn write_event(
        &mut self,
        envelope: &[Value],
        data: Value,
        data_schema_id: Option<u32>,
        out: &mut Vec<u8>,
    ) -> Result<(), TaskError> {
        let settings = &self.shared.settings;
        let event = self.envelope.event(envelope, data, data_schema_id, settings)?;
        let name = self.envelope.schema_name(envelope, settings);
        if self.event.as_ref().is_none_or(|(known, _)| *known != name) {
            let schema = self.envelope.event_schema(&name, self.data_field(), settings)?;
            let encoder = self.shared.event_encoder(&self.topic, &schema)?;
            self.event = Some((name, encoder));
        }
        if let Some((_, encoder)) = &mut self.event {
            encoder.encode(&event, out)?;
        }
        Ok(())
    }

    /// The schema of the event's field `data`.
    fn data_field(&self) -> Schema {
        match (self.shared.settings.data, &self.data) {
            (Serializer::Avro, _) => SchemaBuilder::bytes().build(),
            (Serializer::Json, Some(_)) => SchemaBuilder::structure().build(),
            (Serializer::Json, None) => self.envelope.data_schema.clone(),
        }
    }
}
