//! Whatever bytes lie in a topic, a converter answers with a value or an error.

#![allow(clippy::unwrap_used)]

use connect::settings::Properties;
use connect::{Buffer, Converter, Decoder, SchemaBuilder, Value, logical};
use converters::{Role, create, create_header};
use futures::executor::block_on;
use proptest::prelude::*;
use tokio::runtime::Runtime;

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
const SIMPLE_HEADER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

fn json(schemas: &str) -> Box<dyn Decoder> {
    let properties = Properties::from_iter([("schemas.enable".to_owned(), schemas.to_owned())]);
    let converter = create(JSON, Role::Value, &properties).unwrap();
    block_on(converter.decoder("t", 0)).unwrap()
}

/// Text that is nearly JSON: the parser gets further than with random bytes.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(
            "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"field\":\"a\"}]},\"payload\":{\"a\":1}}"
        ),
        Just("{\"schema\":null,\"payload\":"),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("\\u12"),
        Just("\\ud83d\\ude00"),
        Just("\\ud800"),
        Just("é"),
        Just("😀"),
        Just("null"),
        Just("true"),
        Just("-0"),
        Just("1e999999999"),
        Just("1.5"),
        Just("007"),
        Just(" "),
        Just("\u{feff}"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// An envelope with one of everything, as our converter writes it.
fn sample() -> (Box<dyn Converter>, Vec<u8>, Runtime, registry::Registry) {
    let runtime = Runtime::new().unwrap();
    let settings = registry::Settings::in_memory("127.0.0.1:0");
    let registry = runtime.block_on(registry::serve(&settings)).unwrap();
    let url = format!("http://{}", registry.address());
    let properties = Properties::from_iter([("schema.registry.url".to_owned(), url)]);
    let converter = create(AVRO, Role::Value, &properties).unwrap();
    let strings = SchemaBuilder::string().build();
    let schema = SchemaBuilder::structure()
        .name("a.B")
        .field("s", strings.clone())
        .field("d", logical::decimal(2).optional().build())
        .field("l", SchemaBuilder::array(SchemaBuilder::int64().build()).build())
        .field("m", SchemaBuilder::map(strings.clone(), strings.to_optional()).build())
        .field("p", SchemaBuilder::map(SchemaBuilder::int32().build(), strings).build())
        .build();
    let value = Value::Struct(Box::new([
        Value::text("text"),
        Value::Bytes(connect::Blob::from(&[1_u8][..])),
        Value::Array(Box::new([Value::Int64(1), Value::Int64(-1)])),
        Value::Map(Box::new([(Value::text("k"), Value::Null)])),
        Value::Map(Box::new([(Value::Int32(1), Value::text("v"))])),
    ]));
    let mut bytes = vec![];
    let mut encoder = runtime.block_on(converter.encoder("t", Some(&schema))).unwrap();
    assert!(encoder.encode(&value, &mut bytes).unwrap());
    (converter, bytes, runtime, registry)
}

proptest! {
    #[test]
    fn json_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = json("true").decode(Some(&Buffer::from(bytes.clone())));
        let _ = json("false").decode(Some(&Buffer::from(bytes)));
    }

    #[test]
    fn json_texts(text in nearly_json()) {
        let buffer = Buffer::from(text.into_bytes());
        let _ = json("true").decode(Some(&buffer));
        let _ = json("false").decode(Some(&buffer));
    }

    #[test]
    fn json_strings_come_back(text in "\\PC*") {
        let properties = Properties::from_iter([("schemas.enable".to_owned(), "false".to_owned())]);
        let converter = create(JSON, Role::Value, &properties).unwrap();
        let mut out = vec![];
        block_on(converter.encoder("t", None)).unwrap().encode(&Value::text(&text), &mut out).unwrap();
        let read = json("false").decode(Some(&Buffer::from(out))).unwrap();
        prop_assert_eq!(read.1, Value::text(&text));
    }

    #[test]
    fn headers(text in "[0-9a-z\\[\\]{}:,\"\\\\ .+eE-]{0,24}") {
        let converter = create_header(SIMPLE_HEADER, &Properties::default()).unwrap();
        let _ = converter.decode("t", "h", Some(text.as_bytes()));
    }
}

#[test]
fn json_nested_too_deeply() {
    let text = "[".repeat(1_000_000);
    assert!(json("false").decode(Some(&Buffer::from(text.into_bytes()))).is_err());
}

#[test]
fn avro_with_changed_and_missing_bytes() {
    let (converter, bytes, runtime, _registry) = sample();
    let id = converter.writer_id(&bytes).unwrap();
    let mut decoder = runtime.block_on(converter.decoder("t", id)).unwrap();
    assert!(decoder.decode(Some(&Buffer::from(bytes.clone()))).is_ok());
    for length in 0..bytes.len() {
        let _ = decoder.decode(Some(&Buffer::from(bytes[..length].to_vec())));
    }
    for place in 5..bytes.len() {
        for value in 0..=255 {
            let mut changed = bytes.clone();
            changed[place] = value;
            let _ = decoder.decode(Some(&Buffer::from(changed)));
        }
    }
    // A count that no memory could hold.
    let mut endless = bytes[..5].to_vec();
    endless.extend([0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    assert!(decoder.decode(Some(&Buffer::from(endless))).is_err());
}

#[test]
fn a_null_registers_nothing() {
    let (converter, _, runtime, registry) = sample();
    let client = registry_client::Client::new(registry_client::Settings::new(vec![format!(
        "http://{}",
        registry.address()
    )]));
    let client = client.unwrap();
    let row =
        SchemaBuilder::structure().name("r.V").field("a", SchemaBuilder::int32().build()).optional().build();
    for schema in [None, Some(&row)] {
        let mut encoder = runtime.block_on(converter.encoder("deleted", schema)).unwrap();
        assert!(!encoder.encode(&Value::Null, &mut vec![]).unwrap());
    }
    let error = runtime.block_on(client.version("deleted-value", None)).unwrap_err();
    assert_eq!(error.code(), Some(40401));
    let mut encoder = runtime.block_on(converter.encoder("deleted", Some(&row))).unwrap();
    let mut out = vec![];
    assert!(encoder.encode(&Value::Struct(Box::new([Value::Int32(1)])), &mut out).unwrap());
    assert!(runtime.block_on(client.version("deleted-value", None)).is_ok());
}
