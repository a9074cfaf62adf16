//! Structs, maps and arrays as JSON, for columns of type `json` and `jsonb`.

use connect::{Kind, Schema, Value};

use super::convert::mismatch;
use super::meaning::Meaning;
use super::{ValueError, numeric};

pub fn put(out: &mut Vec<u8>, schema: &Schema, value: &Value) -> Result<(), ValueError> {
    match (schema.kind(), value) {
        (_, Value::Null) => out.extend_from_slice(b"null"),
        (Kind::Struct(fields), Value::Struct(values)) => {
            if let Meaning::VariableDecimal { scale, value: place } = Meaning::of(schema) {
                let (scale, unscaled) = super::convert::variable_decimal(value, scale, place)?;
                numeric::put_text(out, unscaled, scale);
                return Ok(());
            }
            let pairs = fields.iter().zip(values);
            list(out, b'{', b'}', pairs, |out, (field, value)| {
                string(out, &field.name)?;
                out.push(b':');
                put(out, &field.schema, value)
            })?;
        }
        (Kind::Array(items), Value::Array(values)) => {
            list(out, b'[', b']', values.iter(), |out, value| put(out, items, value))?;
        }
        (Kind::Map { key, value: values }, Value::Map(entries)) => {
            list(out, b'{', b'}', entries.iter(), |out, (name, value)| {
                match name {
                    Value::String(name) => string(out, name)?,
                    other => {
                        let mut text = vec![];
                        put(&mut text, key, other)?;
                        string(out, &String::from_utf8_lossy(&text))?;
                    }
                }
                out.push(b':');
                put(out, values, value)
            })?;
        }
        (_, Value::Bytes(bytes)) => match Meaning::of(schema) {
            Meaning::Decimal { scale } => numeric::put_text(out, bytes, scale),
            _ => {
                out.extend_from_slice(b"\"\\\\x");
                out.extend(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
                out.push(b'"');
            }
        },
        (_, Value::String(text)) => string(out, text)?,
        (_, Value::Boolean(flag)) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        (_, Value::Float32(number)) if number.is_finite() => {
            out.extend_from_slice(ryu::Buffer::new().format_finite(*number).as_bytes());
        }
        (_, Value::Float64(number)) if number.is_finite() => {
            out.extend_from_slice(ryu::Buffer::new().format_finite(*number).as_bytes());
        }
        (_, Value::Float32(number)) => string(out, &number.to_string())?,
        (_, Value::Float64(number)) => string(out, &number.to_string())?,
        (_, other) => {
            let number = other.as_i64().ok_or_else(|| mismatch("what can be written as JSON"))?;
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
    }
    Ok(())
}

fn list<T>(
    out: &mut Vec<u8>,
    open: u8,
    close: u8,
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(&mut Vec<u8>, T) -> Result<(), ValueError>,
) -> Result<(), ValueError> {
    out.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        each(out, item)?;
    }
    out.push(close);
    Ok(())
}

fn string(out: &mut Vec<u8>, text: &str) -> Result<(), ValueError> {
    serde_json::to_writer(out, text).map_err(|error| ValueError::new(error.to_string()))
}
