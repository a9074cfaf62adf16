//! `BytesToString`: bytes as the text that they are in a character set.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Field, Kind, Record, Schema, SchemaBuilder, TaskError, Text, Transform, Value, Verdict};

use crate::part::Part;
use crate::schema_cache::SchemaCache;
use crate::{options, shape};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin1,
    Utf16 { is_little: bool },
}

pub(crate) struct BytesToString {
    part: Part,
    charset: Charset,
    /// Empty: the whole key or value.
    fields: Vec<String>,
    plans: SchemaCache<Result<(Schema, Vec<usize>), String>>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("charset")
            .default("UTF-8")
            .importance(Importance::High)
            .check(Validator::Check(|value, _| charset(value.unwrap_or_default()).map(drop)))
            .doc("Character set of the bytes."),
        row("fields")
            .list()
            .default("")
            .importance(Importance::High)
            .doc("Fields that become strings; none: the whole key or value."),
    ])
}

fn charset(name: &str) -> Result<Charset, String> {
    match name.trim().to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" | "US-ASCII" => Ok(Charset::Utf8),
        "ISO-8859-1" | "LATIN1" => Ok(Charset::Latin1),
        "UTF-16" | "UTF-16BE" => Ok(Charset::Utf16 { is_little: false }),
        "UTF-16LE" => Ok(Charset::Utf16 { is_little: true }),
        _ => Err(format!(
            "Invalid value {name} for configuration charset: it must be one of UTF-8, US-ASCII, ISO-8859-1, UTF-16, \
             UTF-16BE, UTF-16LE"
        )),
    }
}

impl BytesToString {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let charset = charset(resolved.text("charset").unwrap_or_default()).map_err(|error| vec![error])?;
        Ok(Self { part, charset, fields: resolved.list("fields").to_vec(), plans: SchemaCache::default() })
    }
}

impl Transform for BytesToString {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { part, charset, fields: names, plans } = self;
        let (schema, value) = part.of_mut(record);
        if value.is_null() {
            return Ok(Verdict::Keep);
        }
        let Some(input) = schema.as_ref() else {
            if names.is_empty() {
                charset.decode(value)?;
                return Ok(Verdict::Keep);
            }
            let entries = shape::entries_of(value, "bytes to string")?;
            let named = |key: &Value| names.iter().any(|name| key.as_str() == Some(name));
            entries
                .iter_mut()
                .filter(|(key, _)| named(key))
                .try_for_each(|(_, value)| charset.decode(value))?;
            return Ok(Verdict::Keep);
        };
        let plan = shape::planned(plans.get_or_compile(input, |input| plan(input, names)))?;
        if names.is_empty() {
            charset.decode(value)?;
        } else {
            let fields = shape::fields_of(value, "bytes to string")?;
            plan.1.iter().try_for_each(|index| charset.decode(&mut fields[*index]))?;
        }
        *schema = Some(plan.0.clone());
        Ok(Verdict::Keep)
    }
}

/// The schema with texts, and the indexes of the fields that become them.
fn plan(input: &Schema, names: &[String]) -> Result<(Schema, Vec<usize>), String> {
    let text = |schema: &Schema| match schema.kind() {
        Kind::Bytes if schema.is_optional() => Ok(SchemaBuilder::string().optional().build()),
        Kind::Bytes => Ok(SchemaBuilder::string().build()),
        other => Err(format!("only bytes can be made a string, not {}", other.type_name())),
    };
    if names.is_empty() {
        return Ok((text(input)?, vec![]));
    }
    let mut fields = input.fields().to_vec();
    let mut indexes = vec![];
    for (index, field) in fields.iter_mut().enumerate() {
        if names.iter().any(|name| **name == *field.name) {
            *field = Field { name: field.name.clone(), schema: text(&field.schema)? };
            indexes.push(index);
        }
    }
    Ok((input.to_builder().fields(fields).build(), indexes))
}

impl Charset {
    fn decode(self, value: &mut Value) -> Result<(), TaskError> {
        let bytes = match &*value {
            Value::Null => return Ok(()),
            Value::Bytes(bytes) => bytes,
            other => {
                return Err(TaskError::reject(format!(
                    "only bytes can be made a string, found: {}",
                    shape::java_class(other)
                )));
            }
        };
        let text = match self {
            Self::Utf8 => match Text::from_blob(bytes.clone()) {
                Ok(text) => text,
                // As Java: what is no character becomes the replacement character.
                Err(_) => Text::from(&*String::from_utf8_lossy(bytes)),
            },
            Self::Latin1 => Text::from(bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
            Self::Utf16 { is_little } => {
                let unit = |pair: &[u8]| match pair {
                    [a, b] if is_little => u16::from_le_bytes([*a, *b]),
                    [a, b] => u16::from_be_bytes([*a, *b]),
                    // Half a character.
                    _ => 0xfffd,
                };
                let units: Vec<u16> = bytes.chunks(2).map(unit).collect();
                Text::from(String::from_utf16_lossy(&units))
            }
        };
        *value = Value::String(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::Blob;

    #[test]
    fn fields_of_a_struct() {
        let schema = SchemaBuilder::structure()
            .field("a", SchemaBuilder::bytes().optional().build())
            .field("b", SchemaBuilder::int32().build())
            .build();
        let pairs = [("charset", "ISO-8859-1"), ("fields", "a")];
        let properties = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut transform = BytesToString::new(Part::Value, &properties).unwrap();
        let value = Value::Struct(Box::new([Value::Bytes(Blob::copy(&[0xe9])), Value::Int32(1)]));
        let mut record = Record::source("t".into(), (None, Value::Null), (Some(schema), value));
        transform.apply(&mut record).unwrap();
        assert_eq!(record.value, Value::Struct(Box::new([Value::text("é"), Value::Int32(1)])));
        assert!(matches!(record.value_schema.unwrap().fields()[0].schema.kind(), Kind::String));
        assert!(charset("nope").is_err());
    }
}
