//! Values of records in the form that a column of the target takes.
//!
//! What a value *means* comes from its schema, what it *becomes* from the target's catalogue. The two are matched
//! once per schema ([`choose`]); after that a value is appended to the column's parameter without asking again.
//! Common types travel in PostgreSQL's binary form; for all others the parameter is `text[]` and the server casts
//! each element, so that whatever the type's input function accepts is accepted.

mod numeric; // exact numbers
mod temporal; // days, times, instants
mod meaning; // what a schema says that a value is
mod wire; // parameter types
mod binary_text; // bytes that travel as text
mod text; // the text of a value
mod json; // containers as JSON
mod convert; // meaning + column -> conversion

pub use binary_text::BinaryText;
pub use convert::{Conversion, Reading, Target, choose};
pub use meaning::Meaning;
pub use temporal::Unit;
pub use wire::Wire;

use std::fmt;

use connect::{Schema, Value};

/// A value that its column cannot take.
#[derive(Debug)]
pub struct ValueError(String);

impl ValueError {
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What Debezium writes for a column whose value PostgreSQL did not log.
pub const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// The same in the form that Debezium gives it for `hstore` as JSON, and for arrays of `uuid`.
const UNAVAILABLE_HSTORE: &str = r#"{"__debezium_unavailable_value":"__debezium_unavailable_value"}"#;
const UNAVAILABLE_UUID: &str = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";

/// Whether the value says that the column was not changed and not sent.
pub fn is_unavailable(value: &Value) -> bool {
    match value {
        Value::String(text) => match text.len() {
            length if length == UNAVAILABLE.len() => text.as_str() == UNAVAILABLE,
            length if length == UNAVAILABLE_HSTORE.len() => text.as_str() == UNAVAILABLE_HSTORE,
            _ => false,
        },
        Value::Bytes(bytes) => bytes.as_slice() == UNAVAILABLE.as_bytes(),
        Value::Array(items) => match &**items {
            [Value::String(text)] => matches!(text.as_str(), UNAVAILABLE | UNAVAILABLE_UUID),
            [only] => is_unavailable(only),
            // Of numbers: one for each byte.
            many if many.len() == UNAVAILABLE.len() => many
                .iter()
                .zip(UNAVAILABLE.bytes())
                .all(|(item, byte)| item.as_i64() == Some(i64::from(byte))),
            _ => false,
        },
        Value::Map(entries) => matches!(&**entries, [(key, _)] if is_unavailable(key)),
        _ => false,
    }
}

/// The text of a value that is not null, for a column of its own kind.
pub fn text_of(
    schema: &Schema,
    meaning: &Meaning,
    number: NumberColumn,
    value: &Value,
) -> Result<String, ValueError> {
    let type_oid = match number {
        NumberColumn::Yes => pg::oid::INT8,
        NumberColumn::No => pg::oid::TEXT,
    };
    let target =
        Target { type_oid, type_name: String::new(), typmod: -1, element_oid: None, delimiter: b',' };
    let form = text::TextForm::of(schema, meaning, &target, &Reading::default())
        .ok_or_else(|| ValueError::new("it has no text"))?;
    let mut out = vec![];
    form.put(value, &mut out)?;
    String::from_utf8(out).map_err(|_| ValueError::new("it has no text"))
}

/// Whether a column holds plain numbers, so that a day or a time is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberColumn {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known_in_all_forms() {
        let one = |value: Value| Value::Array(Box::new([value]));
        let numbers = |make: fn(u8) -> Value| Value::Array(UNAVAILABLE.bytes().map(make).collect());
        for value in [
            Value::text(UNAVAILABLE),
            Value::text(UNAVAILABLE_HSTORE),
            Value::Bytes(UNAVAILABLE.as_bytes().to_vec().into()),
            one(Value::text(UNAVAILABLE)),
            one(Value::text(UNAVAILABLE_UUID)),
            one(Value::Bytes(UNAVAILABLE.as_bytes().to_vec().into())),
            numbers(|byte| Value::Int32(i32::from(byte))),
            numbers(|byte| Value::Int64(i64::from(byte))),
            Value::Map(Box::new([(Value::text(UNAVAILABLE), Value::text(UNAVAILABLE))])),
        ] {
            assert!(is_unavailable(&value), "{value:?}");
        }
        for value in [
            Value::Null,
            Value::text(UNAVAILABLE_UUID),
            one(Value::Int32(95)),
            Value::Array((0..28).map(Value::Int32).collect()),
            Value::Array(Box::new([])),
        ] {
            assert!(!is_unavailable(&value), "{value:?}");
        }
    }
}
