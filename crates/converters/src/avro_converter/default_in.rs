//! The JSON of a default in an Avro schema as a Connect value.

use avro::Json;
use connect::{Blob, Kind, Schema, Value};

/// `None` where the JSON does not fit the schema.
pub(super) fn from_json(schema: &Schema, json: &Json) -> Option<Value> {
    if json.is_null() {
        return Some(Value::Null);
    }
    Some(match schema.kind() {
        Kind::Int8 => Value::Int8(i8::try_from(integer(json)?).ok()?),
        Kind::Int16 => Value::Int16(i16::try_from(integer(json)?).ok()?),
        Kind::Int32 => Value::Int32(i32::try_from(integer(json)?).ok()?),
        Kind::Int64 => Value::Int64(integer(json)?),
        Kind::Float32 => Value::Float32(float(json)? as f32),
        Kind::Float64 => Value::Float64(float(json)?),
        Kind::Boolean => Value::Boolean(json.as_bool()?),
        Kind::String => Value::text(json.as_str()?),
        Kind::Bytes => {
            let byte = |character: char| u8::try_from(u32::from(character)).ok();
            Value::Bytes(Blob::from(json.as_str()?.chars().map(byte).collect::<Option<Vec<u8>>>()?))
        }
        Kind::Array(items) => {
            Value::Array(json.as_array()?.iter().map(|item| from_json(items, item)).collect::<Option<_>>()?)
        }
        Kind::Map { key, value } => Value::Map(match json {
            Json::Object(members) => members
                .iter()
                .map(|(name, item)| Some((Value::text(name), from_json(value, item)?)))
                .collect::<Option<_>>()?,
            pairs => pairs
                .as_array()?
                .iter()
                .map(|pair| Some((from_json(key, pair.get(0)?)?, from_json(value, pair.get(1)?)?)))
                .collect::<Option<_>>()?,
        }),
        Kind::Struct(fields) => {
            let members = json.as_object()?;
            let field = |field: &connect::Field| match members.get(&*field.name) {
                Some(member) => from_json(&field.schema, member),
                None => field.schema.default().cloned().or(Some(Value::Null)),
            };
            Value::Struct(fields.iter().map(field).collect::<Option<_>>()?)
        }
    })
}

fn integer(json: &Json) -> Option<i64> {
    json.as_number()?.to_string().parse().ok()
}

fn float(json: &Json) -> Option<f64> {
    match json {
        Json::String(text) => text.replace("Infinity", "inf").parse().ok(),
        number => number.as_number()?.to_string().parse().ok(),
    }
}
