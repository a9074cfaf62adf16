//! Debezium's envelope → a CloudEvent: its schema once, its values by index.

use connect::calendar::date_of;
use connect::{Field, Kind, Schema, SchemaBuilder, TaskError, Text, Value};

use super::settings::{Adjustment, Extensions, Serializer, Settings};

const MILLIS_PER_DAY: i64 = 86_400_000;
/// The only connector whose events are known here.
const CONNECTOR: &str = "postgresql";
const DATA_SCHEMA: &str = "io.debezium.connector.postgresql.Data";
/// Attributes of a transaction; they are there, and null, where there is none.
const TRANSACTION: [&str; 3] = ["id", "total_order", "data_collection_order"];

/// Where things lie in an envelope of one schema.
pub(super) struct Envelope {
    source: usize,
    op: usize,
    transaction: Option<usize>,
    /// Fields of the envelope that are the data.
    data: [usize; 2],
    pub data_schema: Schema,
    names: SourceFields,
    /// Fields of the source block, in its order.
    extensions: Vec<Field>,
    /// Index of each of [`TRANSACTION`] in the transaction block.
    transaction_fields: [Option<usize>; 3],
}

/// Indexes within the source block.
struct SourceFields {
    connector: usize,
    name: usize,
    db: usize,
    ts_ms: usize,
    lsn: Option<usize>,
    tx_id: Option<usize>,
    sequence: Option<usize>,
}

impl Envelope {
    /// `None`: not a change event.
    pub(super) fn new(schema: &Schema) -> Result<Option<Self>, TaskError> {
        if !schema.name().is_some_and(|name| name.ends_with(".Envelope")) {
            return Ok(None);
        }
        let missing = |name: &str| TaskError::reject(format!("the envelope has no field {name}"));
        let index = |name: &str| schema.field_index(name).ok_or_else(|| missing(name));
        let source = index("source")?;
        let block = &schema.fields()[source].schema;
        let own = |name: &str| block.field_index(name).ok_or_else(|| missing(name));
        let data = [index("before")?, index("after")?];
        let fields = data.iter().map(|index| schema.fields()[*index].clone()).collect();
        let transaction = schema.field_index("transaction");
        let transaction_fields = TRANSACTION
            .map(|name| transaction.and_then(|index| schema.fields()[index].schema.field_index(name)));
        Ok(Some(Self {
            source,
            op: index("op")?,
            transaction,
            data,
            data_schema: SchemaBuilder::structure().name(DATA_SCHEMA).fields(fields).build(),
            names: SourceFields {
                connector: own("connector")?,
                name: own("name")?,
                db: own("db")?,
                ts_ms: own("ts_ms")?,
                lsn: block.field_index("lsn"),
                tx_id: block.field_index("txId"),
                sequence: block.field_index("sequence"),
            },
            extensions: block.fields().to_vec(),
            transaction_fields,
        }))
    }

    pub(super) fn data(&self, envelope: &[Value]) -> Value {
        Value::Struct(self.data.iter().map(|index| envelope[*index].clone()).collect())
    }

    /// The name of the event's schema, which the first event tells: server and database are values.
    pub(super) fn schema_name(&self, envelope: &[Value], settings: &Settings) -> String {
        let source = self.source(envelope);
        let text = |index: usize| source.get(index).and_then(Value::as_str).unwrap_or_default();
        let name = match &settings.schema_name {
            Some(name) => name.clone(),
            None => format!("{}.{}.CloudEvents.Envelope", text(self.names.name), text(self.names.db)),
        };
        match settings.adjustment {
            Adjustment::None => name,
            Adjustment::Avro => adjusted(&name),
        }
    }

    /// The event's schema; `data` is the schema of its last field.
    pub(super) fn event_schema(
        &self,
        name: &str,
        data: Schema,
        settings: &Settings,
    ) -> Result<Schema, TaskError> {
        let text = SchemaBuilder::string().build();
        let mut names = vec!["id", "source", "specversion", "type", "time", "datacontenttype"];
        if settings.data == Serializer::Avro {
            names.push("dataschema");
        }
        let mut fields: Vec<Field> =
            names.into_iter().map(|name| Field { name: name.into(), schema: text.clone() }).collect();
        if settings.extensions == Extensions::Included {
            fields.push(Field { name: extension_name("op").into(), schema: text.clone() });
            for field in &self.extensions {
                let schema = extension_schema(&field.schema)?;
                fields.push(Field { name: extension_name(&field.name).into(), schema });
            }
            for name in TRANSACTION {
                let name = extension_name(&format!("tx{name}"));
                fields.push(Field { name: name.into(), schema: text.to_optional() });
            }
        }
        fields.push(Field { name: "data".into(), schema: data });
        Ok(SchemaBuilder::structure().name(name).fields(fields).build())
    }

    /// The event's values, in its schema's order.
    pub(super) fn event(
        &self,
        envelope: &[Value],
        data: Value,
        data_schema_id: Option<u32>,
        settings: &Settings,
    ) -> Result<Value, TaskError> {
        let source = self.source(envelope);
        let connector = source.get(self.names.connector).and_then(Value::as_str).unwrap_or_default();
        if connector != CONNECTOR {
            return Err(TaskError::reject(format!(
                "No usable CloudEvents converters for connector type \"{connector}\""
            )));
        }
        let shown = |index: Option<usize>| shown(index.and_then(|index| source.get(index)));
        let name = shown(Some(self.names.name));
        let (lsn, tx_id) = (shown(self.names.lsn), shown(self.names.tx_id));
        let id = format!("name:{name};lsn:{lsn};txId:{tx_id};sequence:{}", shown(self.names.sequence));
        let millis = source.get(self.names.ts_ms).and_then(Value::as_i64).unwrap_or_default();
        let content_type =
            if settings.data == Serializer::Avro { "application/avro" } else { "application/json" };
        let mut values = vec![
            Value::from(id),
            Value::from(format!("/debezium/{connector}/{name}")),
            Value::text("1.0"),
            Value::from(format!("io.debezium.connector.{connector}.DataChangeEvent")),
            Value::from(rfc3339(millis)),
            Value::text(content_type),
        ];
        if let Some(id) = data_schema_id {
            values.push(Value::from(format!("{}/schemas/ids/{id}", settings.registry_urls)));
        }
        if settings.extensions == Extensions::Included {
            values.push(envelope.get(self.op).cloned().unwrap_or_default());
            values.extend(source.iter().map(extension_value));
            let transaction = self.transaction.and_then(|index| envelope.get(index));
            let transaction = transaction.and_then(Value::as_struct).unwrap_or_default();
            for index in self.transaction_fields {
                values.push(
                    index.and_then(|index| transaction.get(index)).map_or(Value::Null, extension_value),
                );
            }
        }
        values.push(data);
        Ok(Value::Struct(values.into_boxed_slice()))
    }

    fn source<'a>(&self, envelope: &'a [Value]) -> &'a [Value] {
        envelope.get(self.source).and_then(Value::as_struct).unwrap_or_default()
    }
}

/// `iodebezium`, and of the name what the specification allows: letters and digits.
fn extension_name(name: &str) -> String {
    let allowed = name.chars().filter(char::is_ascii_alphanumeric);
    format!("iodebezium{}", allowed.collect::<String>())
}

/// The specification has no integers of 64 bits: they are text.
fn extension_schema(schema: &Schema) -> Result<Schema, TaskError> {
    let builder = match schema.kind() {
        Kind::Boolean => SchemaBuilder::boolean(),
        Kind::Int8 | Kind::Int16 | Kind::Int32 => SchemaBuilder::int32(),
        Kind::String | Kind::Int64 => SchemaBuilder::string(),
        other => {
            return Err(TaskError::reject(format!(
                "Source field of type {} cannot be converted into CloudEvents extension attribute.",
                other.type_name().to_uppercase()
            )));
        }
    };
    Ok(if schema.is_optional() { builder.optional().build() } else { builder.build() })
}

fn extension_value(value: &Value) -> Value {
    match value {
        Value::Int64(number) => Value::String(Text::from(itoa::Buffer::new().format(*number))),
        Value::Int8(number) => Value::Int32(i32::from(*number)),
        Value::Int16(number) => Value::Int32(i32::from(*number)),
        other => other.clone(),
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.to_string(),
        Some(value) => value.as_i64().map_or_else(|| "null".to_owned(), |number| number.to_string()),
        None => "null".to_owned(),
    }
}

fn rfc3339(millis: i64) -> String {
    let date = date_of(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let seconds = of_day / 1000;
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year,
        date.month,
        date.day,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        of_day % 1000
    )
}

/// What Avro does not accept becomes an underscore.
fn adjusted(name: &str) -> String {
    let first_allowed = |character: char| character.is_ascii_alphabetic() || character == '_';
    let characters = name.chars().enumerate().map(|(index, character)| match character {
        '.' => '.',
        _ if index == 0 && !first_allowed(character) => '_',
        _ if first_allowed(character) || character.is_ascii_digit() => character,
        _ => '_',
    });
    characters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times() {
        assert_eq!(extension_name("ts_ms"), "iodebeziumtsms");
        assert_eq!(extension_name("txId"), "iodebeziumtxId");
        assert_eq!(rfc3339(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(adjusted("my-server.db.CloudEvents.Envelope"), "my_server.db.CloudEvents.Envelope");
    }
}
