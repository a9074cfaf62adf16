//! A Connect default as the JSON that stands in an Avro schema.

use avro::{Json, write_double, write_float};
use connect::{Kind, Schema, Value};

use super::schema_out::has_plain_keys;

/// Bytes are one character per byte, maps with other keys than strings are lists of pairs.
pub(super) fn to_json(schema: &Schema, value: &Value) -> Json {
    match (schema.kind(), value) {
        (Kind::Array(items), Value::Array(values)) => {
            values.iter().map(|value| to_json(items, value)).collect()
        }
        (Kind::Map { value: item, .. }, Value::Map(entries)) if has_plain_keys(schema) => {
            let member = |(key, value): &(Value, Value)| {
                (key.as_str().unwrap_or_default().to_owned(), to_json(item, value))
            };
            Json::Object(entries.iter().map(member).collect())
        }
        (Kind::Map { key, value: item }, Value::Map(entries)) => {
            entries.iter().map(|(k, v)| Json::Array(vec![to_json(key, k), to_json(item, v)])).collect()
        }
        (Kind::Struct(fields), Value::Struct(values)) => {
            let members = fields.iter().zip(values);
            Json::Object(
                members
                    .map(|(field, value)| (field.name.to_string(), to_json(&field.schema, value)))
                    .collect(),
            )
        }
        (_, value) => scalar(value),
    }
}

fn scalar(value: &Value) -> Json {
    match value {
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::Float32(number) => {
            let mut text = String::new();
            write_float(*number, &mut text);
            float(text)
        }
        Value::Float64(number) => {
            let mut text = String::new();
            write_double(*number, &mut text);
            float(text)
        }
        Value::String(text) => Json::String(text.to_string()),
        Value::Bytes(bytes) => Json::String(bytes.iter().map(|byte| char::from(*byte)).collect()),
        other => other.as_i64().map_or(Json::Null, Json::from),
    }
}

/// NaN and the infinities have no JSON number.
fn float(text: String) -> Json {
    serde_json::from_str(&text).unwrap_or(Json::String(text))
}
