//! JSON text to a value with a schema that is made for it: payloads of outbox events and of logical messages.
//!
//! Where Debezium gives up on a text (an array of mixed types, a number that no type holds), only that place stays
//! JSON text here, and the rest is expanded (docs/compatibility.md).

use connect::logical::debezium;
use connect::{Field, Kind, Schema, SchemaBuilder, Value};
use serde_json::{Map, Value as Json};

/// What becomes of a member that is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NullMembers {
    LeftOut,
    OptionalBytes,
}

/// An object or array; `None` for any other text.
pub(crate) fn parse(text: &str) -> Option<Json> {
    if text.starts_with(['{', '[']) { serde_json::from_str(text).ok() } else { None }
}

/// The schema of a document; `None` where nothing is in it (null, an empty array). `name` is the outermost struct's,
/// and the beginning of all others'.
pub(crate) fn schema_of(json: &Json, name: &str, nulls: NullMembers) -> Option<Schema> {
    match json {
        Json::Null if nulls == NullMembers::LeftOut => None,
        Json::Null => Some(SchemaBuilder::bytes().optional().build()),
        Json::Bool(_) => Some(SchemaBuilder::boolean().optional().build()),
        Json::String(_) => Some(SchemaBuilder::string().optional().build()),
        Json::Number(number) => Some(number_schema(number)),
        Json::Object(members) => Some(struct_schema([members], name, nulls).optional().build()),
        Json::Array(items) => array_schema(items, name, nulls),
    }
}

fn number_schema(number: &serde_json::Number) -> Schema {
    let text = number.as_str();
    let builder = if text.parse::<i32>().is_ok() {
        SchemaBuilder::int32()
    } else if text.parse::<i64>().is_ok() {
        SchemaBuilder::int64()
    } else if text.contains(['.', 'e', 'E']) {
        SchemaBuilder::float64()
    } else {
        return json_text();
    };
    builder.optional().build()
}

fn json_text() -> Schema {
    SchemaBuilder::string().name(debezium::JSON).version(1).optional().build()
}

fn struct_schema<'a>(
    objects: impl IntoIterator<Item = &'a Map<String, Json>>,
    name: &str,
    nulls: NullMembers,
) -> SchemaBuilder {
    let mut fields: Vec<Field> = vec![];
    for (member, value) in objects.into_iter().flatten() {
        let inner = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
        let Some(schema) = schema_of(value, &inner, nulls) else { continue };
        match fields.iter_mut().find(|field| *field.name == **member) {
            Some(field) => field.schema = common(&field.schema, &schema),
            None => fields.push(Field { name: member.as_str().into(), schema }),
        }
    }
    let builder = SchemaBuilder::structure().fields(fields);
    if name.is_empty() { builder } else { builder.name(name) }
}

fn array_schema(items: &[Json], name: &str, nulls: NullMembers) -> Option<Schema> {
    let objects: Vec<_> = items.iter().filter_map(Json::as_object).collect();
    let present: Vec<_> = items.iter().filter(|item| !item.is_null()).collect();
    if !present.is_empty() && objects.len() == present.len() {
        let merged = struct_schema(objects.iter().copied(), name, nulls);
        // Debezium's merged structs are required ones.
        let is_required = objects.len() > 1 && present.len() == items.len();
        let item = if is_required { merged } else { merged.optional() }.build();
        return Some(SchemaBuilder::array(item).optional().build());
    }
    if present.is_empty() && !items.is_empty() {
        // Nothing but nulls.
        return schema_of(&Json::Null, name, nulls).map(|item| SchemaBuilder::array(item).optional().build());
    }
    let mut schemas = present.iter().filter_map(|item| schema_of(item, name, nulls));
    let first = schemas.next()?;
    let item = schemas.fold(first, |schema, other| common(&schema, &other));
    Some(match item.name() {
        // Mixed items: the array as a whole stays text.
        Some(debezium::JSON) => json_text(),
        _ => SchemaBuilder::array(item).optional().build(),
    })
}

/// The schema that holds both; JSON text where there is none.
fn common(a: &Schema, b: &Schema) -> Schema {
    match (a.kind(), b.kind()) {
        _ if a == b => a.clone(),
        (Kind::Bytes, _) => b.clone(),
        (_, Kind::Bytes) => a.clone(),
        (Kind::Int32, Kind::Int64 | Kind::Float64) => b.clone(),
        (Kind::Int64 | Kind::Float64, Kind::Int32) => a.clone(),
        (Kind::Struct(_), Kind::Struct(_)) => {
            let mut fields = a.fields().to_vec();
            for field in b.fields() {
                match fields.iter_mut().find(|known| known.name == field.name) {
                    Some(known) => known.schema = common(&known.schema, &field.schema),
                    None => fields.push(field.clone()),
                }
            }
            a.to_builder().fields(fields).optional().build()
        }
        (Kind::Array(x), Kind::Array(y)) => SchemaBuilder::array(common(x, y)).optional().build(),
        _ => json_text(),
    }
}

/// The value under a schema that [`schema_of`] made for it.
pub(crate) fn value_of(json: &Json, schema: &Schema) -> Value {
    match (json, schema.kind()) {
        (Json::Null, _) => Value::Null,
        (_, Kind::String) if schema.name() == Some(debezium::JSON) => Value::from(json.to_string()),
        (Json::Bool(flag), _) => Value::Boolean(*flag),
        (Json::String(text), _) => Value::text(text),
        (Json::Number(number), Kind::Int32) => number.as_str().parse::<i32>().ok().into(),
        (Json::Number(number), Kind::Int64) => number.as_str().parse::<i64>().ok().into(),
        (Json::Number(number), _) => number.as_str().parse::<f64>().ok().into(),
        (Json::Array(items), Kind::Array(schema)) => {
            Value::Array(items.iter().map(|item| value_of(item, schema)).collect())
        }
        (Json::Object(members), Kind::Struct(fields)) => {
            let field = |field: &Field| match members.get(&*field.name) {
                Some(member) => value_of(member, &field.schema),
                None => Value::Null,
            };
            Value::Struct(fields.iter().map(field).collect())
        }
        (other, _) => Value::from(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let json = parse(text).unwrap();
        let schema = schema_of(&json, "p", NullMembers::LeftOut).unwrap();
        assert_eq!(format!("{:?}", value_of(&json, &schema)), expected, "{schema:?}");
    }

    #[test]
    fn documents() {
        check(r#"{"a":1,"b":null,"c":[1,2.5]}"#, "Struct([Int32(1), Array([Float64(1.0), Float64(2.5)])])");
        check(r#"{"a":[true,null,1.5]}"#, r#"Struct([String("[true,null,1.5]")])"#);
        check(r#"[{"a":1},{"b":"x"}]"#, r#"Array([Struct([Int32(1), Null]), Struct([Null, String("x")])])"#);
        check(r#"{"n":12345678901234567890}"#, r#"Struct([String("12345678901234567890")])"#);
        assert_eq!(parse("plain"), None);
        assert_eq!(schema_of(&parse("[]").unwrap(), "p", NullMembers::OptionalBytes), None);
    }
}
