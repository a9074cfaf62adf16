//! `…postgresql.transforms.DecodeLogicalDecodingMessageContent`: the JSON of a logical message as a row of an envelope.

use connect::settings::{Definition, Importance, Properties, row};
use connect::{Field, Kind, Record, Schema, SchemaBuilder, TaskError, Transform, Value, Verdict};

use crate::envelope::{AFTER, OPERATION};
use crate::json_content::{NullMembers, parse, schema_of, value_of};
use crate::options;
use crate::schema_cache::{SchemaCache, SchemaSet};

const MESSAGE_VALUE: &str = "io.debezium.connector.postgresql.MessageValue";
const MESSAGE: &str = "message";
const CREATE: &str = "c";

pub(crate) struct DecodeLogicalDecodingMessageContent {
    nulls: NullMembers,
    plans: SchemaCache<Option<Plan>>,
    schemas: SchemaSet,
}

/// Where the message lies in the value.
struct Plan {
    operation: usize,
    message: usize,
    content: usize,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("fields.null.include")
            .boolean()
            .default("false")
            .importance(Importance::Medium)
            .doc("Whether fields that are null in the message's JSON become fields of the record."),
    ])
}

impl DecodeLogicalDecodingMessageContent {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let nulls = if resolved.boolean("fields.null.include") {
            NullMembers::OptionalBytes
        } else {
            NullMembers::LeftOut
        };
        Ok(Self { nulls, plans: SchemaCache::default(), schemas: SchemaSet::default() })
    }
}

impl Plan {
    fn new(schema: &Schema) -> Option<Self> {
        if schema.name() != Some(MESSAGE_VALUE) {
            return None;
        }
        let message = schema.field_index(MESSAGE)?;
        Some(Self {
            operation: schema.field_index(OPERATION)?,
            message,
            content: schema.fields()[message].schema.field_index("content")?,
        })
    }
}

impl Transform for DecodeLogicalDecodingMessageContent {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Some(schema) = &record.value_schema else { return Ok(Verdict::Keep) };
        let Some(plan) = self.plans.get_or_compile(schema, Plan::new) else { return Ok(Verdict::Keep) };
        let Value::Struct(fields) = &mut record.value else { return Ok(Verdict::Keep) };
        let content = match fields[plan.message].as_struct().map(|message| &message[plan.content]) {
            Some(Value::Bytes(bytes)) => std::str::from_utf8(bytes).unwrap_or_default(),
            _ => "",
        };
        let refused =
            || TaskError::reject("Unable to parse logical decoding message content: it is not a JSON object");
        let json = parse(content).filter(|json| json.is_object()).ok_or_else(refused)?;
        let row = schema_of(&json, "", self.nulls).ok_or_else(refused)?;
        fields[plan.operation] = Value::text(CREATE);
        fields[plan.message] = value_of(&json, &row);
        move_to_end(fields, plan.message);
        let mut list = schema.fields().to_vec();
        list.remove(plan.message);
        list.push(Field { name: AFTER.into(), schema: row });
        let envelope = SchemaBuilder::new(Kind::Struct(list.into_boxed_slice()));
        let envelope = envelope.name(format!("{MESSAGE_VALUE}.Envelope")).build();
        record.value_schema = Some(self.schemas.intern(envelope));
        record.key = Value::Null;
        record.key_schema = None;
        Ok(Verdict::Keep)
    }
}

fn move_to_end(fields: &mut [Value], index: usize) {
    fields[index..].rotate_left(1);
}
