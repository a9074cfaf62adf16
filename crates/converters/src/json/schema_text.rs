//! Schema ⇄ the JSON text in which an envelope carries it.

use connect::logical::DECIMAL;
use connect::{Field, Kind, Schema, SchemaBuilder, TaskError, Value};
use serde_json::Value as Json;

use super::parser::Parser;
use super::read::ReadPlan;
use super::settings::{Nulls, Style};
use super::text::{write_integer, write_string};
use super::write::Plan;

type Members = serde_json::Map<String, Json>;

/// Appends the schema's text: type, content, optional, name, version, doc, parameters, default, field.
pub(crate) fn write_schema(
    schema: &Schema,
    field: Option<&str>,
    style: Style,
    out: &mut Vec<u8>,
) -> Result<(), TaskError> {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(type_word(schema.kind()).as_bytes());
    out.push(b'"');
    match schema.kind() {
        Kind::Array(items) => {
            out.extend_from_slice(b",\"items\":");
            write_schema(items, None, style, out)?;
        }
        Kind::Map { key, value } => {
            out.extend_from_slice(b",\"keys\":");
            write_schema(key, None, style, out)?;
            out.extend_from_slice(b",\"values\":");
            write_schema(value, None, style, out)?;
        }
        Kind::Struct(fields) => {
            out.extend_from_slice(b",\"fields\":[");
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_schema(&field.schema, Some(&field.name), style, out)?;
            }
            out.push(b']');
        }
        _ => {}
    }
    write_attributes(schema, style, out)?;
    if let Some(field) = field {
        out.extend_from_slice(b",\"field\":");
        write_string(field, out);
    }
    out.push(b'}');
    Ok(())
}

fn write_attributes(schema: &Schema, style: Style, out: &mut Vec<u8>) -> Result<(), TaskError> {
    out.extend_from_slice(if schema.is_optional() { b",\"optional\":true" } else { b",\"optional\":false" });
    if let Some(name) = schema.name() {
        out.extend_from_slice(b",\"name\":");
        write_string(name, out);
    }
    if let Some(version) = schema.version() {
        out.extend_from_slice(b",\"version\":");
        write_integer(i64::from(version), out);
    }
    if let Some(doc) = schema.doc() {
        out.extend_from_slice(b",\"doc\":");
        write_string(doc, out);
    }
    if !schema.parameters().is_empty() {
        out.extend_from_slice(b",\"parameters\":{");
        for (index, (key, value)) in schema.parameters().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_string(key, out);
            out.push(b':');
            write_string(value, out);
        }
        out.push(b'}');
    }
    if let Some(default) = schema.default().filter(|default| !default.is_null()) {
        out.extend_from_slice(b",\"default\":");
        Plan::new(schema, Style { nulls: Nulls::ReplacedByDefault, ..style })?.write(default, out)?;
    }
    Ok(())
}

fn type_word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Float32 => "float",
        Kind::Float64 => "double",
        other => other.type_name(),
    }
}

/// Reads a schema's JSON; `null` is no schema.
pub(crate) fn parse_schema(text: &[u8]) -> Result<Option<Schema>, TaskError> {
    let json: Json = serde_json::from_slice(text).map_err(|error| {
        TaskError::reject("Converting byte[] to Kafka Connect data failed due to serialization error: ")
            .with_source(error)
    })?;
    if json.is_null() { Ok(None) } else { schema(&json).map(Some) }
}

fn schema(json: &Json) -> Result<Schema, TaskError> {
    let empty = Members::new();
    let members = json.as_object().unwrap_or(&empty);
    let Some(word) = members.get("type").and_then(Json::as_str) else {
        return Err(TaskError::reject("Schema must contain 'type' field"));
    };
    let mut builder = SchemaBuilder::new(kind(word, members)?);
    if members.get("optional").and_then(Json::as_bool) == Some(true) {
        builder = builder.optional();
    }
    if let Some(name) = members.get("name").and_then(Json::as_str) {
        builder = builder.name(name);
    }
    if let Some(version) = members.get("version").and_then(Json::as_i64) {
        builder = builder.version(version as i32);
    }
    if let Some(doc) = members.get("doc").and_then(Json::as_str) {
        builder = builder.doc(doc);
    }
    if let Some(parameters) = members.get("parameters").and_then(Json::as_object) {
        for (key, value) in parameters {
            let Some(value) = value.as_str() else {
                return Err(TaskError::reject("Schema parameters must have string values."));
            };
            builder = builder.parameter(key.as_str(), value);
        }
    }
    match members.get("default") {
        Some(default) => with_default(builder, default),
        None => Ok(builder.build()),
    }
}

fn kind(word: &str, members: &Members) -> Result<Kind, TaskError> {
    let child = |key: &str, missing: &str| match members.get(key) {
        Some(json) if !json.is_null() => schema(json),
        _ => Err(TaskError::reject(missing)),
    };
    Ok(match word {
        "boolean" => Kind::Boolean,
        "int8" => Kind::Int8,
        "int16" => Kind::Int16,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float" => Kind::Float32,
        "double" => Kind::Float64,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        "array" => Kind::Array(child("items", "Array schema did not specify the element type")?),
        "map" => Kind::Map {
            key: child("keys", "Map schema did not specify the key type")?,
            value: child("values", "Map schema did not specify the value type")?,
        },
        "struct" => Kind::Struct(fields(members)?),
        other => return Err(TaskError::reject(format!("Unknown schema type: {other}"))),
    })
}

fn fields(members: &Members) -> Result<Box<[Field]>, TaskError> {
    let Some(declared) = members.get("fields").and_then(Json::as_array) else {
        return Err(TaskError::reject("Struct schema's \"fields\" argument is not an array."));
    };
    let mut fields: Vec<Field> = Vec::with_capacity(declared.len());
    for json in declared {
        let Some(name) = json.get("field").and_then(Json::as_str) else {
            return Err(TaskError::reject("Struct schema's field name not specified properly"));
        };
        if fields.iter().any(|field| &*field.name == name) {
            return Err(TaskError::reject(format!(
                "Cannot create field because of field name duplication {name}"
            )));
        }
        fields.push(Field { name: name.into(), schema: schema(json)? });
    }
    Ok(fields.into_boxed_slice())
}

fn with_default(builder: SchemaBuilder, json: &Json) -> Result<Schema, TaskError> {
    let bare = builder.clone().build();
    let buffer = json.to_string().into_bytes().into();
    let value = ReadPlan::new(&bare, Style::PLAIN)?.read(&mut Parser::new(&buffer))?;
    match value {
        // Connect builds such a default with another schema than the one it is for, and refuses it.
        Value::Struct(_) => Err(invalid_default()),
        Value::Null if !bare.is_optional() => Err(invalid_default()),
        Value::Null => Ok(bare),
        value => Ok(builder.default(value).build()),
    }
}

fn invalid_default() -> TaskError {
    TaskError::new(
        connect::Fate::Reject,
        "org.apache.kafka.connect.errors.SchemaBuilderException",
        "Invalid default value",
    )
}

/// Whether values of this schema are exact numbers.
pub(crate) fn is_decimal(schema: &Schema) -> bool {
    matches!(schema.kind(), Kind::Bytes) && schema.name() == Some(DECIMAL)
}
