//! Transforms and predicates against what Kafka Connect's and Debezium's own made of the same records (golden/transforms).

// A test without the standard harness, which clippy does not take for one.
#![allow(clippy::unwrap_used)]

#[path = "../../converters/tests/vectors/mod.rs"]
mod vectors;

use connect::record::{KafkaOrigin, Origin, RawMessage, TimestampType};
use connect::settings::Properties;
use connect::{Header, Headers, Record, Verdict};
use serde_json::{Map, Value as Json, json};
use transforms::{create, create_predicate, predicate_classes};
use vectors::{Checked, Tally, Types, difference, schema_from, schema_to, types_of, value_from, value_to};

fn main() {
    let folder = vectors::folder().join("transforms");
    let text = std::fs::read_to_string(folder.join("schemas.json")).unwrap_or_else(|_| "{}".to_owned());
    let shared: Map<String, Json> = serde_json::from_str(&text).unwrap();
    let mut tally = Tally::new("transforms", PINNED);
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).collect();
    files.sort();
    for file in files {
        for case in vectors::read(&file) {
            tally.check(&case, |case| check(case, &shared));
        }
    }
    tally.finish();
}

const PINNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deviations.jsonl");
const NULL: &str = "a null value in a configuration passes and fails later";
const OLD_OPTIONS: &str =
    "`drop.tombstones` and `delete.handling.mode` of ExtractNewRecordState are ignored since 3.2";
const ZONE: &str = "Cast prints times in the process's time zone with a literal Z";
const LATE: &str = "options that can never work are accepted, and every record fails";
const BOOLEAN: &str = "a boolean option that is neither true nor false is taken for its default";
const JSON_TEXT: &str = "JSON that no schema fits is left as text, or fails";
const FRACTION: &str = "TimestampConverter reads micro- and nanoseconds as milliseconds";

/// A class, a row of docs/compatibility.md, and which cases are of it.
type Row = (&'static str, &'static str, fn(&Json) -> bool);

/// Rows of docs/compatibility.md that the recordings show, by class and what a case must be for them.
const ROWS: [Row; 15] = [
    ("Cast", ZONE, |case| case.get("jvm_timezone").is_some()),
    ("InsertField", "a record without a topic", |case| case["input"]["topic"].is_null()),
    (
        "InsertHeader",
        "header inference changes the value, or gives lists of mixed types a schema without an item type",
        |case| INFERENCES.contains(&case["config"]["value.literal"].as_str().unwrap_or_default()),
    ),
    ("MaskField", "MaskField gives a decimal another scale than its schema has", |case| {
        case["config"]["fields"] == "dec"
    }),
    ("ReplaceField", "`whitelist` and `blacklist` of ReplaceField are ignored since 4.0", |case| {
        let given = |name| case["config"].get(name).is_some();
        given("whitelist") || given("blacklist")
    }),
    ("SetSchemaMetadata", "SetSchemaMetadata fails on every schema but a struct's", |case| {
        case["output"]["error"]["message"] == "Cannot list fields on non-struct type"
    }),
    ("TimestampConverter", FRACTION, has_long_fraction),
    (
        "DecodeLogicalDecodingMessageContent",
        "DecodeLogicalDecodingMessageContent fails on tombstones",
        |case| case["input"]["value_schema"].is_null(),
    ),
    ("DecodeLogicalDecodingMessageContent", JSON_TEXT, |case| case["output"].get("error").is_some()),
    ("EventRouter", "EventRouter keeps an expanded array as text under an array's schema", |case| {
        case["config"]["table.expand.json.payload"] == "true"
            && case["input"]["value"]["after"]["payload"].as_str().is_some_and(|text| text.starts_with('['))
    }),
    ("EventRouter", JSON_TEXT, |case| case["config"]["table.expand.json.payload"] == "true"),
    ("HeaderToValue", "HeaderToValue fails where a path's struct is missing beside other structs", |case| {
        case["config"]["fields"] == "nope.x"
    }),
    (
        "SwapGeometryCoordinates",
        "SwapGeometryCoordinates fails on ISO's types with a third dimension",
        |case| case["output"].get("error").is_some(),
    ),
    ("TimezoneConverter", "TimezoneConverter accepts `EST` and fails on every record", |case| {
        case["config"]["converted.timezone"] == "EST"
    }),
    ("EnforceRecordSize", "EnforceRecordSize fails on decimals", |case| {
        case["output"]["error"]["message"].as_str().unwrap_or_default().contains("BigDecimal")
    }),
];

/// Literals that Connect reads as another value than they say.
const INFERENCES: [&str; 6] =
    ["[1,\"a\"]", "{}", "1.1234567890123456789", "12:13:14", "3.40282346638528870e+38", "4.9e-324"];

fn check(case: &Json, shared: &Map<String, Json>) -> Checked {
    let class = case["class"].as_str().unwrap();
    let config = case["config"].as_object().unwrap();
    if config.values().any(Json::is_null) {
        // It is refused before it reaches a transform.
        return Ok(Some((NULL, Json::Null)));
    }
    let properties: Properties =
        config.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
    let error = case["output"].get("error").map(|error| error["message"].as_str().unwrap_or_default());
    let mut record = record_from(&case["input"], shared);
    if predicate_classes().any(|known| known == class) {
        return check_predicate(case, class, &properties, &record, error.is_some());
    }
    let mut transform = match (create(class, &properties), error) {
        (Ok(_), Some(message)) if case["phase"] == "configure" => {
            return Err(format!("accepted, but expected: {message}"));
        }
        (Ok(transform), _) => transform,
        (Err(_), Some(_)) if case["phase"] == "configure" => return Ok(None),
        (Err(_), Some(_)) => return Ok(Some((LATE, Json::Null))),
        (Err(errors), None) if errors.iter().any(|error| error.contains("either true or false")) => {
            return Ok(Some((BOOLEAN, Json::Null)));
        }
        (Err(errors), _) => return Err(format!("configuration refused: {}", errors.join("; "))),
    };
    let found = match transform.apply(&mut record) {
        Ok(Verdict::Keep) => Ok(Some(&record)),
        Ok(Verdict::Drop) => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    let shown = match &found {
        Ok(Some(record)) => shown(record).0,
        Ok(None) => Json::Null,
        Err(error) => json!({"error": error}),
    };
    if case["note"] == "options of 3.1 and before" {
        return Ok(Some((OLD_OPTIONS, shown)));
    }
    let difference = match (found, error) {
        (Err(_), Some(_)) => None,
        (Err(error), None) => Some(format!("failed: {error}")),
        (Ok(_), Some(message)) => Some(format!("accepted, but expected: {message}")),
        (Ok(None), None) => (!case["output"].is_null()).then(|| "dropped".to_owned()),
        (Ok(Some(_)), None) if case["output"].is_null() => Some("kept".to_owned()),
        (Ok(Some(record)), None) => compare(&case["output"], record, shared),
    };
    let Some(difference) = difference else { return Ok(None) };
    let simple = class.rsplit('.').next().unwrap().split('$').next().unwrap();
    match ROWS.iter().find(|(of, _, fits)| *of == simple && fits(case)) {
        Some((_, row, _)) => Ok(Some((row, shown))),
        None => Err(difference),
    }
}

/// More than three S are a fraction of a second.
fn has_long_fraction(case: &Json) -> bool {
    case["config"]["format"].as_str().unwrap_or_default().contains("SSSS")
}

fn check_predicate(
    case: &Json,
    class: &str,
    properties: &Properties,
    record: &Record,
    expects_error: bool,
) -> Checked {
    match (create_predicate(class, properties), expects_error) {
        (Ok(mut predicate), false) => {
            let found = predicate.test(record);
            if case["output"]["test"] == found { Ok(None) } else { Err(format!("/test: found {found}")) }
        }
        (Err(_), true) => Ok(None),
        (Err(errors), false) => Err(format!("configuration refused: {}", errors.join("; "))),
        (Ok(_), true) => Err("accepted, but an error was expected".to_owned()),
    }
}

fn record_from(json: &Json, shared: &Map<String, Json>) -> Record {
    let part = |name: &str| {
        let schema = schema_from(&json[format!("{name}_schema")], shared);
        let types = types_of(json.get(format!("{name}_types")));
        let value = value_from(schema.as_ref(), &json[name], "", &types);
        (schema, value)
    };
    let topic = json["topic"].as_str().unwrap_or_default().into();
    let mut record = Record::source(topic, part("key"), part("value"));
    record.partition = json["partition"].as_i64().map(|number| number as i32);
    record.timestamp = json["timestamp"].as_i64();
    let headers = json["headers"].as_array().into_iter().flatten().map(|header| {
        let schema = schema_from(&header["schema"], shared);
        let value = value_from(schema.as_ref(), &header["value"], "", &types_of(header.get("types")));
        Header { key: header["key"].as_str().unwrap().into(), schema, value }
    });
    record.headers = Headers::new(headers.collect());
    if json["kind"] == "sink" {
        record.origin = Origin::Kafka(KafkaOrigin {
            topic: record.topic.clone(),
            partition: record.partition.unwrap_or_default(),
            offset: json["offset"].as_i64().unwrap_or_default(),
            timestamp: record.timestamp,
            timestamp_type: TimestampType::CreateTime,
            raw: RawMessage::default(),
        });
    }
    record
}

/// A record in the vectors' form, and the types of its schemaless value and key.
fn shown(record: &Record) -> (Json, Types, Types) {
    let headers: Json = record
        .headers
        .iter()
        .map(|header| {
            json!({"key": &*header.key, "schema": schema_to(header.schema.as_ref()),
                "value": value_to(header.schema.as_ref(), &header.value, "", &mut Types::new())})
        })
        .collect();
    let (mut key_types, mut types) = (Types::new(), Types::new());
    let found = json!({
        "topic": &*record.topic,
        "partition": record.partition,
        "timestamp": record.timestamp,
        "key_schema": schema_to(record.key_schema.as_ref()),
        "key": value_to(record.key_schema.as_ref(), &record.key, "", &mut key_types),
        "value_schema": schema_to(record.value_schema.as_ref()),
        "value": value_to(record.value_schema.as_ref(), &record.value, "", &mut types),
        "headers": headers,
    });
    (found, types, key_types)
}

fn compare(expected: &Json, record: &Record, shared: &Map<String, Json>) -> Option<String> {
    let resolved = |schema: &Json| match schema.get("$ref").and_then(Json::as_str) {
        Some(id) => shared[id].clone(),
        None => schema.clone(),
    };
    let (found, types, key_types) = shown(record);
    let wanted_headers: Json = expected["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|header| {
            json!({"key": header["key"], "schema": resolved(&header["schema"]), "value": header["value"]})
        })
        .collect();
    let wanted = json!({
        "topic": expected["topic"],
        "partition": expected["partition"],
        "timestamp": expected["timestamp"],
        "key_schema": resolved(&expected["key_schema"]),
        "key": expected["key"],
        "value_schema": resolved(&expected["value_schema"]),
        "value": expected["value"],
        "headers": wanted_headers,
    });
    difference(&wanted, &found, "").or_else(|| {
        let differs = |found: &Types, name: &str| {
            let wanted = types_of(expected.get(name));
            (wanted != *found && !wanted.values().any(|it| it.starts_with('!')))
                .then(|| format!("/{name}: expected {wanted:?}, found {found:?}"))
        };
        differs(&types, "value_types").or_else(|| differs(&key_types, "key_types"))
    })
}
