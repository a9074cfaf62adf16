//! Transforms and predicates against what Kafka Connect's and Debezium's own made of the same records (golden/transforms).

// A test without the standard harness, which clippy does not take for one.
#![allow(clippy::unwrap_used)]

#[path = "../../converters/tests/vectors/mod.rs"]
mod vectors;

use connect::record::{KafkaOrigin, Origin, RawMessage, TimestampType};
use connect::settings::Properties;
use connect::{Header, Headers, Record, Verdict};
use serde_json::{Map, Value as Json, json};
use transforms::{create, create_predicate, predicate_classes, transform_classes};
use vectors::{Tally, Types, difference, schema_from, schema_to, types_of, value_from, value_to};

fn main() {
    let folder = vectors::folder().join("transforms");
    let chosen = vectors::chosen();
    let text = std::fs::read_to_string(folder.join("schemas.json")).unwrap();
    let shared: Map<String, Json> = serde_json::from_str(&text).unwrap();
    let mut tally = Tally::default();
    let mut files: Vec<String> = transform_classes()
        .chain(predicate_classes())
        .map(|class| class.rsplit('.').next().unwrap().split('$').next().unwrap().to_owned())
        .collect();
    files.sort();
    files.dedup();
    for file in files {
        for case in vectors::read(&folder.join(format!("{file}.jsonl"))) {
            let id = case["id"].as_str().unwrap();
            if chosen.as_ref().is_some_and(|chosen| !chosen.contains(id)) {
                continue;
            }
            match check(&case, &shared) {
                Ok(Some(reason)) => tally.skip(id, reason),
                Ok(None) => tally.report(id, Ok(())),
                Err(difference) => tally.report(id, Err(difference)),
            }
        }
    }
    tally.finish("transforms");
}

/// `Ok(Some(reason))`: differs, as docs/compatibility.md says it must.
fn check(case: &Json, shared: &Map<String, Json>) -> Result<Option<&'static str>, String> {
    let class = case["class"].as_str().unwrap();
    let config = case["config"].as_object().unwrap();
    if config.values().any(Json::is_null) {
        return Ok(Some("a null configuration value is refused before it reaches a transform"));
    }
    if case["note"] == "options of 3.1 and before" {
        return Ok(Some("the options of 3.1 and before have their old meaning"));
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
        (Err(errors), _) => return Err(format!("configuration refused: {}", errors.join("; "))),
    };
    match (transform.apply(&mut record), error) {
        (Err(_), Some(_)) => Ok(None),
        (Err(error), None) => Err(format!("failed: {error}")),
        (Ok(_), Some(message)) => Err(format!("accepted, but expected: {message}")),
        (Ok(Verdict::Drop), None) if case["output"].is_null() => Ok(None),
        (Ok(Verdict::Drop), None) => Err("dropped".to_owned()),
        (Ok(Verdict::Keep), None) if case["output"].is_null() => Err("kept".to_owned()),
        (Ok(Verdict::Keep), None) => match compare(&case["output"], &record, shared) {
            None => Ok(None),
            Some(difference) => deviation(case).map(Some).ok_or(difference),
        },
    }
}

/// The row of docs/compatibility.md that a vector falls under.
fn deviation(case: &Json) -> Option<&'static str> {
    let format = case["config"]["format"].as_str().unwrap_or_default();
    format.contains("SSSS").then_some("more than three S are a fraction of a second")
}

fn check_predicate(
    case: &Json,
    class: &str,
    properties: &Properties,
    record: &Record,
    expects_error: bool,
) -> Result<Option<&'static str>, String> {
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

fn compare(expected: &Json, record: &Record, shared: &Map<String, Json>) -> Option<String> {
    let resolved = |schema: &Json| match schema.get("$ref").and_then(Json::as_str) {
        Some(id) => shared[id].clone(),
        None => schema.clone(),
    };
    let found_headers: Json = record
        .headers
        .iter()
        .map(|header| {
            json!({"key": &*header.key, "schema": schema_to(header.schema.as_ref()),
                "value": value_to(header.schema.as_ref(), &header.value, "", &mut Types::new())})
        })
        .collect();
    let wanted_headers: Json = expected["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|header| {
            json!({"key": header["key"], "schema": resolved(&header["schema"]), "value": header["value"]})
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
        "headers": found_headers,
    });
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
