//! Messages that an application wrote into the WAL with `pg_logical_emit_message`.

use connect::{Blob, Record, SchemaBuilder, Value};

use crate::envelope::{Envelopes, Place, now_nanos};
use crate::settings::{BinaryMode, Compat, Settings};
use crate::values;

/// The record of the topic `<prefix>.message`.
pub fn record(
    settings: &Settings,
    envelopes: &mut Envelopes,
    prefix: &str,
    content: &[u8],
    place: &Place,
    transaction: Value,
) -> Record {
    let mode = settings.values.binary;
    let content_schema = if mode == BinaryMode::Bytes {
        SchemaBuilder::bytes().optional().build()
    } else {
        SchemaBuilder::string().optional().build()
    };
    let compat = settings.compat;
    let optional_text = || SchemaBuilder::string().optional().build();
    // Schemas have versions since 2.0.
    let structure = |name: &str| {
        let schema = SchemaBuilder::structure().name(format!("io.debezium.connector.postgresql.{name}"));
        if compat == Compat::V19 { schema } else { schema.version(1) }
    };
    let key_schema = structure("MessageKey").field("prefix", optional_text()).build();
    let message_schema =
        structure("Message").field("prefix", optional_text()).field("content", content_schema).build();
    let mut value_schema = structure("MessageValue")
        .field("op", SchemaBuilder::string().build())
        .field("ts_ms", SchemaBuilder::int64().optional().build())
        .field("source", envelopes.source_schema.clone());
    if compat >= Compat::V30 {
        value_schema = value_schema.field("transaction", envelopes.transaction_schema.clone());
    }
    let value_schema = value_schema.field("message", message_schema).build();
    let content = if mode == BinaryMode::Bytes {
        Value::Bytes(Blob::copy(content))
    } else {
        values::binary(content.to_vec(), mode)
    };
    let message = Value::Struct(Box::new([Value::text(prefix), content]));
    let source = envelopes.source_block(place);
    let (op, millis) = (Value::text("m"), Value::Int64(now_nanos() / 1_000_000));
    let value = if compat >= Compat::V30 {
        Value::Struct(Box::new([op, millis, source, transaction, message]))
    } else {
        Value::Struct(Box::new([op, millis, source, message]))
    };
    let key = Value::Struct(Box::new([Value::text(prefix)]));
    let topic = format!("{}.message", settings.topic_prefix);
    Record::source(topic.into(), (Some(key_schema), key), (Some(value_schema), value))
}
