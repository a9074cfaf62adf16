//! One value as another type: integers wrap, fractions are cut, booleans are 0 and 1, texts must be numbers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect::logical::{self, DATE, DECIMAL, TIME, TIMESTAMP};
use connect::{Kind, Schema, TaskError, Text, Value, decimal, java_number};

use super::settings::Target;
use crate::java_date_format::{DateFormat, MILLIS_PER_DAY};
use crate::shape::java_class;

/// What a value is beside its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Plain,
    /// Milliseconds, or days of a `Date`.
    Instant {
        millis_per_unit: i64,
    },
    Decimal {
        scale: i32,
    },
}

impl Reading {
    pub(super) fn of(schema: &Schema) -> Result<Self, String> {
        match (schema.name(), schema.kind()) {
            (_, Kind::Struct(_) | Kind::Map { .. } | Kind::Array(_)) => Err(format!(
                "Cast transformation does not support casting from {}; supported types are [INT8, INT16, INT32, \
                 INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]",
                schema.kind().type_name().to_uppercase()
            )),
            (Some(DATE), Kind::Int32) => Ok(Self::Instant { millis_per_unit: MILLIS_PER_DAY }),
            (Some(TIME), Kind::Int32) | (Some(TIMESTAMP), Kind::Int64) => {
                Ok(Self::Instant { millis_per_unit: 1 })
            }
            (Some(DECIMAL), Kind::Bytes) => Ok(Self::Decimal {
                scale: logical::decimal_scale(schema)
                    .ok_or_else(|| "Invalid Decimal schema: scale parameter not found.".to_owned())?,
            }),
            _ => Ok(Self::Plain),
        }
    }

    pub(super) fn of_schemaless(value: &Value) -> Result<Self, TaskError> {
        match value {
            Value::Date(_) | Value::Decimal(_) => Err(TaskError::reject(format!(
                "Cast transformation was passed a value of type class {} which is not supported by Connect's data API",
                java_class(value)
            ))),
            Value::Struct(_) | Value::Map(_) | Value::Array(_) => Err(TaskError::reject(format!(
                "Cast transformation does not support casting from {}; supported types are [INT8, INT16, INT32, \
                     INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]",
                java_class(value)
            ))),
            _ => Ok(Self::Plain),
        }
    }
}

pub(super) fn convert(value: &Value, reading: Reading, target: Target) -> Result<Value, TaskError> {
    match (target, value) {
        (_, Value::Null) => Ok(Value::Null),
        (Target::Text, _) => text(value, reading),
        (Target::Boolean, Value::Boolean(_)) => Ok(value.clone()),
        (Target::Boolean, Value::String(text)) => Ok(Value::Boolean(text.eq_ignore_ascii_case("true"))),
        (_, Value::String(text)) => parsed(text, target).ok_or_else(|| {
            TaskError::reject(format!("Value ({text}) was out of range for requested data type"))
        }),
        (_, Value::Bytes(unscaled)) => match reading {
            Reading::Decimal { scale } => Ok(of_decimal(unscaled, scale, target)),
            _ => Err(unexpected(value)),
        },
        (_, Value::Boolean(flag)) => Ok(of_integer(i64::from(*flag), target)),
        (_, Value::Float32(number)) => Ok(of_float(f64::from(*number), target)),
        (_, Value::Float64(number)) => Ok(of_float(*number, target)),
        _ => value.as_i64().map(|number| of_integer(number, target)).ok_or_else(|| unexpected(value)),
    }
}

fn unexpected(value: &Value) -> TaskError {
    TaskError::reject(format!("Unexpected type in Cast transformation: class {}", java_class(value)))
}

fn of_integer(number: i64, target: Target) -> Value {
    match target {
        Target::Int8 => Value::Int8(number as i8),
        Target::Int16 => Value::Int16(number as i16),
        Target::Int32 => Value::Int32(number as i32),
        Target::Int64 => Value::Int64(number),
        Target::Float32 => Value::Float32(number as f32),
        Target::Float64 => Value::Float64(number as f64),
        Target::Boolean => Value::Boolean(number != 0),
        Target::Text => Value::String(integer_text(number)),
    }
}

/// Java's narrow integers go over `int`: saturated there, wrapped then.
fn of_float(number: f64, target: Target) -> Value {
    match target {
        Target::Int8 => Value::Int8(number as i32 as i8),
        Target::Int16 => Value::Int16(number as i32 as i16),
        Target::Int32 => Value::Int32(number as i32),
        Target::Float32 => Value::Float32(number as f32),
        Target::Float64 => Value::Float64(number),
        other => of_integer(number as i64, other),
    }
}

fn of_decimal(unscaled: &[u8], scale: i32, target: Target) -> Value {
    match target {
        Target::Float32 => Value::Float32(java_number::decimal_to_double(unscaled, scale) as f32),
        Target::Float64 => Value::Float64(java_number::decimal_to_double(unscaled, scale)),
        other => {
            let whole = java_number::whole_part(unscaled, scale);
            of_integer(java_number::low_bits(&whole.to_signed_bytes_be()), other)
        }
    }
}

fn parsed(text: &str, target: Target) -> Option<Value> {
    Some(match target {
        Target::Int8 => Value::Int8(text.parse().ok()?),
        Target::Int16 => Value::Int16(text.parse().ok()?),
        Target::Int32 => Value::Int32(text.parse().ok()?),
        Target::Int64 => Value::Int64(text.parse().ok()?),
        Target::Float32 => Value::Float32(java_number::parse_float(text)?),
        Target::Float64 => Value::Float64(java_number::parse_double(text)?),
        Target::Boolean | Target::Text => return None,
    })
}

fn text(value: &Value, reading: Reading) -> Result<Value, TaskError> {
    let mut out = String::new();
    match (value, reading) {
        (Value::String(text), _) => return Ok(Value::String(text.clone())),
        (Value::Boolean(flag), _) => out.push_str(if *flag { "true" } else { "false" }),
        (Value::Float32(number), _) => java_number::write_float(*number, &mut out),
        (Value::Float64(number), _) => java_number::write_double(*number, &mut out),
        (Value::Bytes(unscaled), Reading::Decimal { scale }) => {
            let mut bytes = vec![];
            decimal::write(unscaled, scale, &mut bytes);
            return Ok(Value::String(Text::from(&*String::from_utf8_lossy(&bytes))));
        }
        (Value::Bytes(bytes), _) => STANDARD.encode_string(bytes.as_slice(), &mut out),
        (_, Reading::Instant { millis_per_unit }) => {
            let number = value.as_i64().ok_or_else(|| unexpected(value))?;
            let millis = number.checked_mul(millis_per_unit).ok_or_else(|| unexpected(value))?;
            return Ok(Value::String(Text::from(instant(millis))));
        }
        _ => {
            let number = value.as_i64().ok_or_else(|| unexpected(value))?;
            return Ok(Value::String(integer_text(number)));
        }
    }
    Ok(Value::String(Text::from(out)))
}

fn integer_text(number: i64) -> Text {
    Text::from(itoa::Buffer::new().format(number))
}

/// `Values.dateFormatFor`: everything before 1970-01-02 is taken for a time.
fn instant(millis: i64) -> String {
    let pattern = if millis < MILLIS_PER_DAY {
        "HH:mm:ss.SSS'Z'"
    } else if millis % MILLIS_PER_DAY == 0 {
        "yyyy-MM-dd"
    } else {
        "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"
    };
    DateFormat::new(pattern).expect("the three patterns are valid").format(millis)
}
