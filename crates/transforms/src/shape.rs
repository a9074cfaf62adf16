//! What most transforms ask of a value and do to a schema: Connect's `Requirements` and `SchemaUtil`.

use connect::{Field, Kind, Schema, SchemaBuilder, TaskError, Value};

/// The entries of schemaless data.
pub(crate) type Entries = Box<[(Value, Value)]>;

/// The fields of a struct, for data with a schema.
pub(crate) fn fields_of<'a>(value: &'a mut Value, purpose: &str) -> Result<&'a mut Box<[Value]>, TaskError> {
    match value {
        Value::Struct(fields) => Ok(fields),
        other => Err(TaskError::reject(format!(
            "Only Struct objects supported for [{purpose}], found: {}",
            java_class(other)
        ))),
    }
}

/// The entries of a map, for data without a schema.
pub(crate) fn entries_of<'a>(value: &'a mut Value, purpose: &str) -> Result<&'a mut Entries, TaskError> {
    match value {
        Value::Map(entries) => Ok(entries),
        other => Err(TaskError::reject(format!(
            "Only Map objects supported in absence of schema for [{purpose}], found: {}",
            java_class(other)
        ))),
    }
}

pub(crate) fn entry<'a>(entries: &'a [(Value, Value)], name: &str) -> Option<&'a Value> {
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// Sets entries of a map; those that are new stand at its end, in their order.
pub(crate) fn put_entries(entries: &mut Entries, new: impl IntoIterator<Item = (Value, Value)>) {
    let mut list = std::mem::take(entries).into_vec();
    for (key, value) in new {
        match list.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => list.push((key, value)),
        }
    }
    *entries = list.into_boxed_slice();
}

/// Name, version, documentation and parameters of a schema, without `optional` and default: what Connect copies.
pub(crate) fn basics(schema: &Schema, kind: Kind) -> SchemaBuilder {
    let mut builder = SchemaBuilder::new(kind);
    if let Some(name) = schema.name() {
        builder = builder.name(name);
    }
    if let Some(version) = schema.version() {
        builder = builder.version(version);
    }
    if let Some(doc) = schema.doc() {
        builder = builder.doc(doc);
    }
    for (name, value) in schema.parameters() {
        builder = builder.parameter(name.clone(), value.clone());
    }
    builder
}

/// A struct's schema with other fields.
pub(crate) fn with_fields(schema: &Schema, fields: Vec<Field>) -> Result<Schema, String> {
    check_unique(&fields)?;
    Ok(basics(schema, Kind::Struct(fields.into_boxed_slice())).build())
}

pub(crate) fn check_unique(fields: &[Field]) -> Result<(), String> {
    let twice = fields
        .iter()
        .enumerate()
        .find(|(index, field)| fields[..*index].iter().any(|other| other.name == field.name));
    match twice {
        Some((_, field)) => {
            Err(format!("Cannot create field because of field name duplication {}", field.name))
        }
        None => Ok(()),
    }
}

/// The schema must be a struct's.
pub(crate) fn require_struct(schema: &Schema, value: &Value, purpose: &str) -> Result<(), String> {
    match schema.kind() {
        Kind::Struct(_) => Ok(()),
        _ => Err(format!("Only Struct objects supported for [{purpose}], found: {}", java_class(value))),
    }
}

/// The class that Connect's users know for it.
pub(crate) fn java_class(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "java.lang.Boolean",
        Value::Int8(_) => "java.lang.Byte",
        Value::Int16(_) => "java.lang.Short",
        Value::Int32(_) => "java.lang.Integer",
        Value::Int64(_) => "java.lang.Long",
        Value::Float32(_) => "java.lang.Float",
        Value::Float64(_) => "java.lang.Double",
        Value::String(_) => "java.lang.String",
        Value::Bytes(_) => "[B",
        Value::Array(_) => "java.util.ArrayList",
        Value::Map(_) => "java.util.HashMap",
        Value::Struct(_) => "org.apache.kafka.connect.data.Struct",
        Value::Date(_) => "java.util.Date",
        Value::Decimal(number) if number.integer => "java.math.BigInteger",
        Value::Decimal(_) => "java.math.BigDecimal",
    }
}

/// A plan's error is every record's error.
pub(crate) fn planned<P>(plan: &Result<P, String>) -> Result<&P, TaskError> {
    plan.as_ref().map_err(|error| TaskError::reject(error.clone()))
}
