//! Values as `Values.convertToString` prints them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect::calendar::date_of;
use connect::logical::{DATE, TIME, TIMESTAMP, decimal_scale};
use connect::{Kind, Schema, TaskError, Value};

use crate::java_text;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Strings are quoted inside lists, maps and structs only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    Inside,
}

pub(super) fn write(
    schema: Option<&Schema>,
    value: &Value,
    place: Place,
    out: &mut String,
) -> Result<(), TaskError> {
    let name = schema.and_then(Schema::name);
    match value {
        Value::String(text) => write_text(text, place, out),
        Value::Bytes(bytes) => match schema.and_then(decimal_scale) {
            Some(scale) => java_text::write_decimal(bytes, scale, out),
            None => write_text(&STANDARD.encode(bytes.as_slice()), place, out),
        },
        Value::Int32(days) if name == Some(DATE) => write_date(i64::from(*days) * MILLIS_PER_DAY, out),
        Value::Int32(millis) if name == Some(TIME) => write_date(i64::from(*millis), out),
        Value::Int64(millis) if name == Some(TIMESTAMP) => write_date(*millis, out),
        Value::Date(millis) => write_date(*millis, out),
        Value::Array(items) => {
            let item_schema = match schema.map(Schema::kind) {
                Some(Kind::Array(items)) => Some(items),
                _ => None,
            };
            write_list(items, ('[', ']'), out, |item, out| write(item_schema, item, Place::Inside, out))?;
        }
        Value::Map(entries) => {
            let (key_schema, value_schema) = match schema.map(Schema::kind) {
                Some(Kind::Map { key, value }) => (Some(key), Some(value)),
                _ => (None, None),
            };
            write_list(entries, ('{', '}'), out, |(key, value), out| {
                write(key_schema, key, Place::Inside, out)?;
                out.push(':');
                write(value_schema, value, Place::Inside, out)
            })?;
        }
        Value::Struct(values) => {
            let Some(schema) = schema else {
                return Err(TaskError::reject("a struct without a schema has no field names"));
            };
            let fields: Vec<_> = schema.fields().iter().zip(values).collect();
            write_list(&fields, ('{', '}'), out, |(field, value), out| {
                write_text(&field.name, Place::Inside, out);
                out.push(':');
                // Java asks the struct, which answers with the default.
                let default = field.schema.default().filter(|_| value.is_null());
                write(Some(&field.schema), default.unwrap_or(value), Place::Inside, out)
            })?;
        }
        Value::Decimal(_)
        | Value::Null
        | Value::Boolean(_)
        | Value::Int8(_)
        | Value::Int16(_)
        | Value::Int32(_)
        | Value::Int64(_)
        | Value::Float32(_)
        | Value::Float64(_) => java_text::write(None, value, out),
    }
    Ok(())
}

fn write_text(text: &str, place: Place, out: &mut String) {
    if place == Place::Top {
        return out.push_str(text);
    }
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

fn write_list<T>(
    items: &[T],
    (open, close): (char, char),
    out: &mut String,
    mut each: impl FnMut(&T, &mut String) -> Result<(), TaskError>,
) -> Result<(), TaskError> {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out)?;
    }
    out.push(close);
    Ok(())
}

/// A time below one day, a date at midnight, else a timestamp; negative instants are times, as in Java.
fn write_date(millis: i64, out: &mut String) {
    if millis >= MILLIS_PER_DAY {
        let date = date_of(millis.div_euclid(MILLIS_PER_DAY));
        out.push_str(&format!("{:04}-{:02}-{:02}", date.year, date.month, date.day));
        if millis % MILLIS_PER_DAY == 0 {
            return;
        }
        out.push('T');
    }
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    out.push_str(&format!("{hours:02}:{minutes:02}:{:02}.{millis:03}Z", seconds % 60));
}
