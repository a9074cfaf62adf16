//! Values as Java's `toString()` prints them.

use connect::calendar::{date_of, weekday};
use connect::logical::{DATE, TIME, TIMESTAMP, decimal_scale};
use connect::{Kind, Schema, Value};

use connect::decimal;

const MILLIS_PER_DAY: i64 = 86_400_000;
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends `String.valueOf(value)`. Byte arrays, which Java prints as an identity, are printed as `[B@` and their
/// length: there is nothing to be equal to.
pub(crate) fn write(schema: Option<&Schema>, value: &Value, out: &mut String) {
    match (value, schema.map(Schema::kind)) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Boolean(flag), _) => out.push_str(if *flag { "true" } else { "false" }),
        (Value::Int32(days), _) if is(schema, DATE) => write_date(i64::from(*days) * MILLIS_PER_DAY, out),
        (Value::Int32(millis), _) if is(schema, TIME) => write_date(i64::from(*millis), out),
        (Value::Int64(millis), _) if is(schema, TIMESTAMP) => write_date(*millis, out),
        (Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_), _) => {
            out.push_str(itoa::Buffer::new().format(value.as_i64().unwrap_or_default()));
        }
        (Value::Float32(number), _) => avro::write_float(*number, out),
        (Value::Float64(number), _) => avro::write_double(*number, out),
        (Value::String(text), _) => out.push_str(text),
        (Value::Bytes(bytes), _) => match schema.and_then(decimal_scale) {
            Some(scale) => write_decimal(bytes, scale, out),
            None => {
                out.push_str("[B@");
                out.push_str(&format!("{:x}", bytes.len()));
            }
        },
        (Value::Array(items), kind) => {
            let item_schema = if let Some(Kind::Array(items)) = kind { Some(items) } else { None };
            write_list(items, '[', ']', out, |item, out| write(item_schema, item, out));
        }
        (Value::Map(entries), kind) => {
            let (key_schema, value_schema) = match kind {
                Some(Kind::Map { key, value }) => (Some(key), Some(value)),
                _ => (None, None),
            };
            write_list(entries, '{', '}', out, |(key, value), out| {
                write(key_schema, key, out);
                out.push('=');
                write(value_schema, value, out);
            });
        }
        (Value::Struct(fields), _) => write_struct(schema, fields, out),
        (Value::Date(millis), _) => write_date(*millis, out),
        (Value::Decimal(number), _) => write_decimal(&number.unscaled, number.scale, out),
    }
}

fn is(schema: Option<&Schema>, name: &str) -> bool {
    schema.and_then(Schema::name) == Some(name)
}

pub(crate) fn write_decimal(unscaled: &[u8], scale: i32, out: &mut String) {
    let mut text = vec![];
    decimal::write(unscaled, scale, &mut text);
    out.push_str(std::str::from_utf8(&text).expect("a number's text is ASCII"));
}

fn write_list<T>(
    items: &[T],
    open: char,
    close: char,
    out: &mut String,
    mut each: impl FnMut(&T, &mut String),
) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        each(item, out);
    }
    out.push(close);
}

/// Null fields are left out.
fn write_struct(schema: Option<&Schema>, values: &[Value], out: &mut String) {
    out.push_str("Struct{");
    let mut first = true;
    for (field, value) in schema.map(Schema::fields).unwrap_or_default().iter().zip(values) {
        if value.is_null() {
            continue;
        }
        if !first {
            out.push(',');
        }
        first = false;
        out.push_str(&field.name);
        out.push('=');
        write(Some(&field.schema), value, out);
    }
    out.push('}');
}

/// `Date.toString()` in UTC.
fn write_date(millis: i64, out: &mut String) {
    let days = millis.div_euclid(MILLIS_PER_DAY);
    let seconds = millis.rem_euclid(MILLIS_PER_DAY) / 1000;
    let date = date_of(days);
    let month = MONTHS[usize::from(date.month) - 1];
    out.push_str(&format!(
        "{} {month} {:02} {:02}:{:02}:{:02} UTC {}",
        WEEKDAYS[weekday(days)],
        date.day,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        date.year
    ));
}
