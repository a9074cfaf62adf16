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
fn sample(class: &str) -> (Box<dyn Converter>, Vec<u8>, Runtime, registry::Registry) {
    let runtime = Runtime::new().unwrap();
    let settings = registry::Settings::in_memory("127.0.0.1:0");
    let registry = runtime.block_on(registry::serve(&settings)).unwrap();
    let url = format!("http://{}", registry.address());
    let properties = Properties::from_iter([("schema.registry.url".to_owned(), url)]);
    let converter = create(class, Role::Value, &properties).unwrap();
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

/// Every prefix, and every value of every byte; and random changes from a seed that is told.
fn check_changed_and_missing_bytes(class: &str) {
    let (converter, bytes, runtime, _registry) = sample(class);
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
    // A count or length that no memory could hold.
    let mut endless = bytes[..5].to_vec();
    endless.extend([0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    assert!(decoder.decode(Some(&Buffer::from(endless))).is_err());
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    println!("seed {seed}");
    let mut state = u64::from(seed) | 1;
    let mut random = || {
        // xorshift64: enough to hit places.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let mut changed = bytes.clone();
        for _ in 0..=random() % 6 {
            let place = 5 + random() as usize % (changed.len() - 5);
            match random() % 3 {
                0 => changed[place] = random() as u8,
                1 => changed.insert(place, random() as u8),
                _ if changed.len() > 8 => drop(changed.remove(place)),
                _ => {}
            }
        }
        if let Err(error) = decoder.decode(Some(&Buffer::from(changed))) {
            assert_eq!(error.fate, connect::Fate::Reject, "{error}");
        }
    }
}

#[test]
fn avro_with_changed_and_missing_bytes() {
    check_changed_and_missing_bytes(AVRO);
}

#[test]
fn json_schema_with_changed_and_missing_bytes() {
    check_changed_and_missing_bytes("io.confluent.connect.json.JsonSchemaConverter");
}

#[test]
fn protobuf_with_changed_and_missing_bytes() {
    check_changed_and_missing_bytes("io.confluent.connect.protobuf.ProtobufConverter");
}

#[test]
fn cloud_events_that_are_none() {
    let properties = Properties::from_iter([("json.schemas.enable".to_owned(), "false".to_owned())]);
    let converter = create("io.debezium.converters.CloudEventsConverter", Role::Value, &properties).unwrap();
    let mut decoder = block_on(converter.decoder("t", 0)).unwrap();
    for text in
        ["", "{}", "[]", "1", "null", "{\"id\":1}", "{\"id\":1,\"source\":2,\"specversion\":3,\"type\":4}"]
    {
        assert!(decoder.decode(Some(&Buffer::from(text.as_bytes().to_vec()))).is_err(), "{text}");
    }
}

#[test]
fn numbers_of_other_lengths() {
    for name in ["Short", "Integer", "Long", "Float", "Double", "Boolean"] {
        let class = format!("org.apache.kafka.connect.converters.{name}Converter");
        let converter = create(&class, Role::Value, &Properties::default()).unwrap();
        let mut decoder = block_on(converter.decoder("t", 0)).unwrap();
        let read = (0..12).filter(|length| decoder.decode(Some(&Buffer::from(vec![0; *length]))).is_ok());
        assert_eq!(read.count(), 1, "{name}");
    }
}

#[test]
fn a_null_registers_nothing() {
    let (converter, _, runtime, registry) = sample(AVRO);
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
