//! Converters against what Kafka Connect's own wrote and read (golden/converters).

// A test without the standard harness, which clippy does not take for one.
#![allow(clippy::unwrap_used)]

mod avro_cases;
#[path = "../vectors/mod.rs"]
mod vectors;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect::contract::HeaderConverter;
use connect::settings::Properties;
use connect::{Buffer, Converter, Header, Schema, Value};
use converters::{Role, create, create_header};
use futures::executor::block_on;
use num_bigint::BigInt;
use serde_json::{Map, Value as Json, json};
use vectors::{Checked, Tally, Types, difference, schema_from, schema_to, types_of, value_from, value_to};

const FILES: [&str; 14] = [
    "JsonConverter",
    "JsonConverter_read",
    "StringConverter",
    "ByteArrayConverter",
    "BooleanConverter",
    "DoubleConverter",
    "FloatConverter",
    "IntegerConverter",
    "LongConverter",
    "ShortConverter",
    "DebeziumBinaryDataConverter",
    "DebeziumByteArrayConverter",
    "SimpleHeaderConverter",
    "ApicurioAvroConverter",
];
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";
const SIMPLE_HEADER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

enum Subject {
    Converter(Box<dyn Converter>),
    Header(Box<dyn HeaderConverter>),
}

type Decoded = Result<(Option<Schema>, Value), String>;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = registry::Settings::in_memory("127.0.0.1:0");
    let registry = runtime.block_on(registry::serve(&settings)).unwrap();
    let registry = avro_cases::Registry::new(&runtime, registry.address());
    let folder = vectors::folder().join("converters");
    let mut tally = Tally::new("converters", PINNED);
    for file in FILES {
        for case in vectors::read(&folder.join(format!("{file}.jsonl"))) {
            if file == "ApicurioAvroConverter" {
                tally.check(&case, |case| registry.check(case));
            } else {
                tally.check(&case, check);
            }
        }
    }
    tally.finish();
}

const PINNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deviations.jsonl");
const NAN: &str = "JsonConverter reads back the `NaN` and infinities that it wrote as 0.0";
const INFERENCE: &str = "header inference turns `12:34:56Z` into 12, long decimals into float32";
const IDENTITY: &str = "StringConverter prints the identity of bytes";

fn check(case: &Json) -> Checked {
    let class = case["class"].as_str().unwrap();
    let properties: Properties = case["config"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let created = if class == SIMPLE_HEADER {
        create_header(class, &properties).map(Subject::Header)
    } else {
        create(class, Role::Value, &properties).map(Subject::Converter)
    };
    let expects_error = case["output"].get("error").is_some();
    let subject = match created {
        Ok(subject) => subject,
        Err(_) if expects_error && case["phase"] == "configure" => return Ok(None),
        Err(error) => return Err(format!("configuration refused: {error}")),
    };
    if case.get("bytes_text").is_some() || case.get("bytes_hex").is_some() {
        return check_read(class, &subject, &case["output"], bytes_of(case));
    }
    let none = Map::new();
    let schema = schema_from(&case["schema"], &none);
    let value = value_from(schema.as_ref(), &case["value"], "", &types_of(case.get("value_types")));
    match (encode(&subject, schema.as_ref(), &value), expects_error) {
        (Err(_), true) => Ok(None),
        (Err(error), false) => Err(format!("not written: {error}")),
        (Ok(_), true) => Err("written, but an error was expected".to_owned()),
        (Ok(bytes), false) => {
            if class == STRING && prints_identity(case) {
                return Ok(Some((IDENTITY, json!(String::from_utf8_lossy(&bytes.unwrap_or_default())))));
            }
            check_bytes(case, class, bytes.as_deref())?;
            match case.get("back") {
                // What Connect wrote is read, so that one difference is not counted twice.
                Some(back) => check_read(class, &subject, back, bytes_of(&case["output"])),
                None => Ok(None),
            }
        }
    }
}

fn prints_identity(case: &Json) -> bool {
    let text = case["output"]["bytes_text"].as_str().unwrap_or_default();
    text.contains("[B@") || text.contains("java.nio.HeapByteBuffer")
}

fn float_schema(case: &Json) -> bool {
    case["schema"]["type"] == "float"
}

fn check_bytes(case: &Json, class: &str, found: Option<&[u8]>) -> Result<(), String> {
    let expected = bytes_of(&case["output"]);
    if expected.as_deref() == found {
        return Ok(());
    }
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let (a, b) = (text(expected.as_deref()), text(found));
    // Java 17 and 19 print some doubles with other last digits: JSON is then compared as JSON.
    if class == JSON
        && let (Some(a), Some(b)) = (&a, &b)
        && let (Ok(a), Ok(b)) = (serde_json::from_str::<Json>(a), serde_json::from_str::<Json>(b))
        && difference(&a, &b, "").is_none()
    {
        return Ok(());
    }
    // Such a double stands alone in text.
    if let (Some(a), Some(b)) = (&a, &b)
        && let (Ok(x), Ok(y)) = (a.parse::<f64>(), b.parse::<f64>())
        && (x == y || x as f32 == y as f32 && float_schema(case))
    {
        return Ok(());
    }
    Err(format!("bytes: expected {a:?}, found {b:?}"))
}

fn check_read(class: &str, subject: &Subject, expected: &Json, bytes: Option<Vec<u8>>) -> Checked {
    let result = decode(subject, bytes.as_deref());
    let (schema, value) = match (result, expected.get("error").is_some()) {
        (Err(_), true) => return Ok(None),
        (Err(error), false) => return Err(format!("not read: {error}")),
        (Ok(_), true) => return Err("read, but an error was expected".to_owned()),
        (Ok(read), false) => read,
    };
    let mut types = Types::new();
    let found_value = value_to(schema.as_ref(), &value, "", &mut types);
    let found = json!({"schema": schema_to(schema.as_ref()), "value": found_value});
    let wanted = json!({"schema": expected["schema"], "value": expected["value"]});
    let wanted = rescaled(expected, wanted);
    let Some(difference) = difference(&wanted, &found, "") else { return Ok(None) };
    if let (Some(a), Some(b)) = (expected["value"].as_str(), value.as_str())
        && let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>())
        && a == b
    {
        return Ok(None);
    }
    let text = bytes.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    if class == JSON && (text.contains("\"NaN\"") || text.contains("Infinity\"")) {
        return Ok(Some((NAN, found)));
    }
    if class == SIMPLE_HEADER {
        if value.as_str() == Some(&*text) && inferred_a_number(expected) {
            return Ok(Some((INFERENCE, found)));
        }
        // Our schemas have no lists and maps of unknown content: such a value comes without a schema.
        if schema.is_none() && lacks_content(&expected["schema"]) {
            let same = vectors::difference(&expected["value"], &found_value_loose(&value), "/value");
            return same.map_or(Ok(None), Err);
        }
    }
    Err(format!("read back: {difference}"))
}

fn inferred_a_number(expected: &Json) -> bool {
    expected["value"].is_number()
}

fn lacks_content(schema: &Json) -> bool {
    let lacks =
        |key: &str| schema.get(key).is_some_and(|content| content.is_null() || lacks_content(content));
    lacks("items") || lacks("keys") || lacks("values")
}

/// A decimal whose Java value has a scale of its own, at the scale of its schema.
fn rescaled(expected: &Json, mut wanted: Json) -> Json {
    let types = types_of(expected.get("value_types"));
    let Some(own) = types.get("").and_then(|name| name.strip_prefix("BigDecimal scale ")) else {
        return wanted;
    };
    let scale: i32 = expected["schema"]["parameters"]["scale"].as_str().unwrap().parse().unwrap();
    let unscaled =
        BigInt::from_signed_bytes_be(&STANDARD.decode(expected["value"].as_str().unwrap()).unwrap());
    let places = u32::try_from(scale - own.parse::<i32>().unwrap()).unwrap();
    wanted["value"] = json!(STANDARD.encode((unscaled * BigInt::from(10).pow(places)).to_signed_bytes_be()));
    wanted
}

/// The value as the vector prints it where its schema says nothing: an empty map is an empty list of pairs.
fn found_value_loose(value: &Value) -> Json {
    match value {
        Value::Map(entries) if entries.is_empty() => json!([]),
        other => value_to(None, other, "", &mut Types::new()),
    }
}

fn encode(subject: &Subject, schema: Option<&Schema>, value: &Value) -> Result<Option<Vec<u8>>, String> {
    match subject {
        Subject::Converter(converter) => {
            let mut encoder = block_on(converter.encoder("t", schema)).map_err(|error| error.to_string())?;
            let mut out = vec![];
            let written = encoder.encode(value, &mut out).map_err(|error| error.to_string())?;
            Ok(written.then_some(out))
        }
        Subject::Header(converter) => {
            let header = Header { key: "h".into(), schema: schema.cloned(), value: value.clone() };
            converter.encode("t", &header).map_err(|error| error.to_string())
        }
    }
}

fn decode(subject: &Subject, bytes: Option<&[u8]>) -> Decoded {
    match subject {
        Subject::Converter(converter) => {
            let id =
                bytes.map_or(Ok(0), |bytes| converter.writer_id(bytes)).map_err(|error| error.to_string())?;
            let mut decoder = block_on(converter.decoder("t", id)).map_err(|error| error.to_string())?;
            let buffer = bytes.map(|bytes| Buffer::from(bytes.to_vec()));
            let first = decoder.decode(buffer.as_ref()).map_err(|error| error.to_string())?;
            // The second time what was learnt from the first is used.
            let second = decoder.decode(buffer.as_ref()).map_err(|error| error.to_string())?;
            let shown = |read: &(Option<Schema>, Value)| format!("{read:?}");
            assert_eq!(shown(&first), shown(&second));
            Ok(second)
        }
        Subject::Header(converter) => converter.decode("t", "h", bytes).map_err(|error| error.to_string()),
    }
}

fn bytes_of(json: &Json) -> Option<Vec<u8>> {
    match json.get("bytes_text").and_then(Json::as_str) {
        Some(text) => Some(text.as_bytes().to_vec()),
        None => json.get("bytes_hex").and_then(Json::as_str).map(|hex| hex::decode(hex).unwrap()),
    }
}
