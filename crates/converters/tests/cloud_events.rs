//! Debezium's envelopes as CloudEvents and back, in its three combinations of formats.

#![allow(clippy::unwrap_used)]

mod rig;

use connect::settings::Properties;
use connect::{Buffer, Converter, Schema, SchemaBuilder, Value};
use converters::{Role, create};
use futures::executor::block_on;
use rig::Rig;
use serde_json::{Value as Json, json};

const CLASS: &str = "io.debezium.converters.CloudEventsConverter";

fn converter(options: &[(&str, &str)]) -> Box<dyn Converter> {
    let properties: Properties =
        options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    create(CLASS, Role::Value, &properties).unwrap()
}

fn envelope() -> (Schema, Value) {
    let text = || SchemaBuilder::string();
    let row = SchemaBuilder::structure()
        .name("srv.public.t.Value")
        .field("id", SchemaBuilder::int32().build())
        .field("v", text().optional().build())
        .optional()
        .build();
    let source = SchemaBuilder::structure()
        .field("version", text().build())
        .field("connector", text().build())
        .field("name", text().build())
        .field("ts_ms", SchemaBuilder::int64().build())
        .field("snapshot", text().optional().default("false").build())
        .field("db", text().build())
        .field("sequence", text().optional().build())
        .field("schema", text().build())
        .field("table", text().build())
        .field("txId", SchemaBuilder::int64().optional().build())
        .field("lsn", SchemaBuilder::int64().optional().build())
        .field("xmin", SchemaBuilder::int64().optional().build())
        .build();
    let transaction = SchemaBuilder::structure()
        .field("id", text().build())
        .field("total_order", SchemaBuilder::int64().build())
        .field("data_collection_order", SchemaBuilder::int64().build())
        .optional()
        .build();
    let schema = SchemaBuilder::structure()
        .name("srv.public.t.Envelope")
        .field("before", row.clone())
        .field("after", row)
        .field("source", source)
        .field("op", text().build())
        .field("ts_ms", SchemaBuilder::int64().optional().build())
        .field("transaction", transaction)
        .build();
    let source = vec![
        Value::text("3.6.1.Final"),
        Value::text("postgresql"),
        Value::text("srv"),
        Value::Int64(1_700_000_000_123),
        Value::Null,
        Value::text("db"),
        Value::text("[\"1\",\"2\"]"),
        Value::text("public"),
        Value::text("t"),
        Value::Int64(555),
        Value::Int64(4242),
        Value::Null,
    ];
    let after = Value::Struct(Box::new([Value::Int32(7), Value::text("x")]));
    let value = Value::Struct(Box::new([
        Value::Null,
        after,
        Value::Struct(source.into()),
        Value::text("u"),
        Value::Int64(1),
        Value::Null,
    ]));
    (schema, value)
}

fn attributes() -> Json {
    json!({
        "id": "name:srv;lsn:4242;txId:555;sequence:[\"1\",\"2\"]",
        "source": "/debezium/postgresql/srv",
        "specversion": "1.0",
        "type": "io.debezium.connector.postgresql.DataChangeEvent",
        "time": "2023-11-14T22:13:20.123Z",
        "datacontenttype": "application/json",
        "iodebeziumop": "u",
        "iodebeziumversion": "3.6.1.Final",
        "iodebeziumconnector": "postgresql",
        "iodebeziumname": "srv",
        "iodebeziumtsms": "1700000000123",
        "iodebeziumsnapshot": null,
        "iodebeziumdb": "db",
        "iodebeziumsequence": "[\"1\",\"2\"]",
        "iodebeziumschema": "public",
        "iodebeziumtable": "t",
        "iodebeziumtxId": "555",
        "iodebeziumlsn": "4242",
        "iodebeziumxmin": null,
        "iodebeziumtxid": null,
        "iodebeziumtxtotalorder": null,
        "iodebeziumtxdatacollectionorder": null,
    })
}

fn write(converter: &dyn Converter, schema: &Schema, value: &Value) -> Option<Vec<u8>> {
    let mut out = vec![];
    let mut encoder = block_on(converter.encoder("t", Some(schema))).unwrap();
    encoder.encode(value, &mut out).unwrap().then_some(out)
}

#[test]
fn json_in_json() {
    let (schema, value) = envelope();
    let plain = converter(&[("json.schemas.enable", "false")]);
    let bytes = write(&*plain, &schema, &value).unwrap();
    let mut expected = attributes();
    expected["data"] = json!({"before": null, "after": {"id": 7, "v": "x"}});
    let found: Json = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(found, expected);
    let keys = |json: &Json| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&found), keys(&expected));
    let mut decoder = block_on(plain.decoder("t", 0)).unwrap();
    let (none, read) = decoder.decode(Some(&Buffer::from(bytes))).unwrap();
    assert!(none.is_none());
    let Value::Map(members) = read else { panic!("{read:?}") };
    assert_eq!(members.last().unwrap().0, Value::text("data"));

    // With a schema, which is the data's alone.
    let bytes = write(&*converter(&[]), &schema, &value).unwrap();
    let found: Json = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(found["data"]["payload"], expected["data"]);
    assert_eq!(found["data"]["schema"]["name"], json!("io.debezium.connector.postgresql.Data"));
    assert_eq!(found["id"], expected["id"]);

    let bare = converter(&[("json.schemas.enable", "false"), ("extension.attributes.enable", "false")]);
    let found: Json = serde_json::from_slice(&write(&*bare, &schema, &value).unwrap()).unwrap();
    assert_eq!(found.as_object().unwrap().len(), 7);
}

#[test]
fn what_is_no_change_event_has_no_bytes() {
    let heartbeat = SchemaBuilder::structure()
        .name("io.debezium.connector.common.Heartbeat")
        .field("ts_ms", SchemaBuilder::int64().build())
        .build();
    let value = Value::Struct(Box::new([Value::Int64(1)]));
    assert_eq!(write(&*converter(&[]), &heartbeat, &value), None);
    let (schema, _) = envelope();
    assert_eq!(write(&*converter(&[]), &schema, &Value::Null), None);
}

#[test]
fn avro_in_json_and_in_avro() {
    let rig = Rig::new();
    let url = rig.url();
    let (schema, value) = envelope();
    let data = |value: &Value| match value {
        Value::Struct(fields) => fields.last().unwrap().clone(),
        Value::Map(members) => members.last().unwrap().1.clone(),
        other => panic!("{other:?}"),
    };
    let base = [("data.serializer.type", "avro"), ("avro.schema.registry.url", url.as_str())];
    let in_json = converter(&base);
    let bytes = rig.encode(&*in_json, "t", &schema, &value).unwrap();
    let found: Json = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(found["datacontenttype"], json!("application/avro"));
    assert_eq!(found["dataschema"], json!(format!("{url}/schemas/ids/1")));
    let mut decoder = rig.runtime.block_on(in_json.decoder("t", 0)).unwrap();
    let (_, read) = decoder.decode(Some(&Buffer::from(bytes))).unwrap();
    let member = |key: &str, value: Value| (Value::text(key), value);
    let after = Value::Map(Box::new([member("id", Value::Int32(7)), member("v", Value::text("x"))]));
    assert_eq!(data(&read), Value::Map(Box::new([member("before", Value::Null), member("after", after)])));

    let in_avro = converter(&[base[0], base[1], ("serializer.type", "avro")]);
    let bytes = rig.encode(&*in_avro, "e", &schema, &value).unwrap();
    let version = |subject: &str| rig.runtime.block_on(rig.client().version(subject, None)).unwrap();
    assert!(version("e-value").schema.contains("\"namespace\":\"srv.db.CloudEvents\""));
    assert!(version("e-data-value").schema.contains("io.debezium.connector.postgresql"));
    let (read_schema, read) = rig.decode(&*in_avro, "e", bytes).unwrap();
    let after = Value::Struct(Box::new([Value::Int32(7), Value::text("x")]));
    assert_eq!(data(&read), Value::Struct(Box::new([Value::Null, after])));
    let read_schema = read_schema.unwrap();
    assert_eq!(read_schema.name(), Some("srv.db.CloudEvents.Envelope"));
    assert!(read_schema.field("data").unwrap().schema.field("after").is_some());
}

#[test]
fn options_that_do_not_go_together() {
    let refused = |options: &[(&str, &str)]| {
        let properties: Properties =
            options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        create(CLASS, Role::Value, &properties).err().unwrap().message
    };
    assert!(refused(&[("serializer.type", "avro")]).contains("application/json"));
    assert!(refused(&[("data.serializer.type", "avro")]).contains("URL"));
    assert!(refused(&[("metadata.source", "header")]).contains("metadata.source"));
    assert!(refused(&[("serializer.type", "xml")]).contains("serializer.type"));
}
