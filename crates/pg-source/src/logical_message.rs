//! Messages that an application wrote into the WAL with `pg_logical_emit_message`.

use connect::{Blob, Record, SchemaBuilder, Value};

use crate::envelope::{Envelopes, Place, now_nanos};
use crate::settings::{BinaryMode, Settings};
use crate::values;

/// The record of the topic `<prefix>.message`.
pub fn record(
    settings: &Settings,
    envelopes: &mut Envelopes,
    prefix: &str,
    content: &[u8],
    place: &Place,
) -> Record {
    let mode = settings.values.binary;
    let content_schema = if mode == BinaryMode::Bytes {
        SchemaBuilder::bytes().optional().build()
    } else {
        SchemaBuilder::string().optional().build()
    };
    let optional_text = || SchemaBuilder::string().optional().build();
    let key_schema = SchemaBuilder::structure()
        .name("io.debezium.connector.postgresql.MessageKey")
        .version(1)
        .field("prefix", optional_text())
        .build();
    let message_schema = SchemaBuilder::structure()
        .name("io.debezium.connector.postgresql.Message")
        .version(1)
        .field("prefix", optional_text())
        .field("content", content_schema)
        .build();
    let value_schema = SchemaBuilder::structure()
        .name("io.debezium.connector.postgresql.MessageValue")
        .version(1)
        .field("op", SchemaBuilder::string().build())
        .field("ts_ms", SchemaBuilder::int64().optional().build())
        .field("source", envelopes.source_schema.clone())
        .field("transaction", envelopes.transaction_schema.clone())
        .field("message", message_schema)
        .build();
    let content = if mode == BinaryMode::Bytes {
        Value::Bytes(Blob::copy(content))
    } else {
        values::binary(content.to_vec(), mode)
    };
    let value = Value::Struct(Box::new([
        Value::text("m"),
        Value::Int64(now_nanos() / 1_000_000),
        envelopes.source_block(place),
        Value::Null,
        Value::Struct(Box::new([Value::text(prefix), content])),
    ]));
    let key = Value::Struct(Box::new([Value::text(prefix)]));
    let topic = format!("{}.message", settings.topic_prefix);
    Record::source(topic.into(), (Some(key_schema), key), (Some(value_schema), value))
}
