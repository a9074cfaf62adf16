//! Values → JSON text, by a plan that is compiled once per schema.

use connect::logical::{DECIMAL, decimal_scale};
use connect::{Kind, Schema, TaskError, Value};

use super::settings::{DecimalFormat, Dialect, Nulls, Style};
use super::text::{write_base64, write_double, write_float, write_integer, write_string};
use connect::decimal;

/// How a value of one schema is written.
#[derive(Debug)]
pub(crate) struct Plan {
    form: Form,
    /// Text of a null: `null`, or the default; `None` where a null is an error.
    null: Option<Box<[u8]>>,
}

#[derive(Debug)]
enum Form {
    /// Integers, booleans, strings and floats say themselves what they are; the kind is there to check.
    Scalar(ScalarKind),
    Bytes,
    Decimal {
        scale: i32,
    },
    Array(Box<Plan>),
    /// String keys: an object.
    Object(Box<Plan>),
    /// Other keys: a list of pairs.
    Pairs(Box<(Plan, Plan)>),
    /// A list of objects with `key` and `value`.
    Entries(Box<(Plan, Plan)>),
    /// The first field that is set, without its name.
    Union(Box<[Plan]>),
    Struct(Box<[(Head, Plan)]>),
}

/// Longest text that is copied with a fixed length: two registers instead of a call.
const SHORT_MAX: usize = 32;

/// What stands before a field's value: comma, name, colon.
#[derive(Debug)]
struct Head {
    text: Box<[u8]>,
    /// The text once more, padded.
    short: Option<[u8; SHORT_MAX]>,
}

impl Head {
    fn new(name: &str, index: usize) -> Self {
        let mut text = if index == 0 { vec![] } else { vec![b','] };
        write_string(name, &mut text);
        text.push(b':');
        let short = (text.len() <= SHORT_MAX).then(|| {
            let mut short = [0; SHORT_MAX];
            short[..text.len()].copy_from_slice(&text);
            short
        });
        Self { text: text.into_boxed_slice(), short }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        match &self.short {
            Some(short) => {
                let end = out.len() + self.text.len();
                out.extend_from_slice(short);
                out.truncate(end);
            }
            None => out.extend_from_slice(&self.text),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ScalarKind {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
}

impl Plan {
    pub(crate) fn new(schema: &Schema, style: Style) -> Result<Self, TaskError> {
        let form = Form::new(schema, style)?;
        let null = match schema.default() {
            Some(default) if style.nulls == Nulls::ReplacedByDefault && !default.is_null() => {
                let mut text = vec![];
                form.write(default, &mut text)?;
                Some(text.into_boxed_slice())
            }
            _ => schema.is_optional().then(|| Box::from(*b"null")),
        };
        Ok(Self { form, null })
    }

    #[inline]
    pub(crate) fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        if !value.is_null() {
            return self.form.write(value, out);
        }
        match &self.null {
            Some(text) => out.extend_from_slice(text),
            None => {
                return Err(TaskError::reject(
                    "Conversion error: null value for field that is required and has no default value",
                ));
            }
        }
        Ok(())
    }
}

impl Form {
    fn new(schema: &Schema, style: Style) -> Result<Self, TaskError> {
        let plan = |schema: &Schema| Plan::new(schema, style);
        Ok(match schema.kind() {
            Kind::Int8 => Self::Scalar(ScalarKind::Int8),
            Kind::Int16 => Self::Scalar(ScalarKind::Int16),
            Kind::Int32 => Self::Scalar(ScalarKind::Int32),
            Kind::Int64 => Self::Scalar(ScalarKind::Int64),
            Kind::Float32 => Self::Scalar(ScalarKind::Float32),
            Kind::Float64 => Self::Scalar(ScalarKind::Float64),
            Kind::Boolean => Self::Scalar(ScalarKind::Boolean),
            Kind::String => Self::Scalar(ScalarKind::String),
            Kind::Bytes if schema.name() == Some(DECIMAL) && style.decimals == DecimalFormat::Numeric => {
                let scale = decimal_scale(schema)
                    .ok_or_else(|| TaskError::reject("Invalid Decimal schema: scale parameter not found"))?;
                Self::Decimal { scale }
            }
            Kind::Bytes => Self::Bytes,
            Kind::Array(items) => Self::Array(Box::new(plan(items)?)),
            Kind::Map { key, value } if style.dialect.is_object(key) => Self::Object(Box::new(plan(value)?)),
            Kind::Map { key, value } if style.dialect == Dialect::JsonSchema => {
                Self::Entries(Box::new((plan(key)?, plan(value)?)))
            }
            Kind::Map { key, value } => Self::Pairs(Box::new((plan(key)?, plan(value)?))),
            Kind::Struct(fields) if style.dialect.is_union(schema) => {
                Self::Union(fields.iter().map(|field| plan(&field.schema)).collect::<Result<_, _>>()?)
            }
            Kind::Struct(fields) => Self::Struct(
                fields
                    .iter()
                    .enumerate()
                    .map(|(index, field)| Ok((Head::new(&field.name, index), plan(&field.schema)?)))
                    .collect::<Result<_, TaskError>>()?,
            ),
        })
    }

    #[inline]
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        match (self, value) {
            (Self::Scalar(kind), value) => return kind.write(value, out),
            (Self::Struct(plans), Value::Struct(fields)) if plans.len() == fields.len() => {
                out.push(b'{');
                for ((head, plan), field) in plans.iter().zip(fields) {
                    head.write(out);
                    plan.write(field, out)?;
                }
                out.push(b'}');
            }
            (Self::Bytes, Value::Bytes(bytes)) => write_base64(bytes, out),
            (Self::Decimal { scale }, Value::Bytes(bytes)) => decimal::write(bytes, *scale, out),
            (Self::Array(plan), Value::Array(items)) => {
                write_list(items, b'[', b']', out, |item, out| plan.write(item, out))?;
            }
            (Self::Object(plan), Value::Map(entries)) => {
                write_list(entries, b'{', b'}', out, |(key, value), out| {
                    write_key(key, out)?;
                    plan.write(value, out)
                })?;
            }
            (Self::Pairs(plans), Value::Map(entries)) => {
                write_list(entries, b'[', b']', out, |(key, value), out| {
                    out.push(b'[');
                    plans.0.write(key, out)?;
                    out.push(b',');
                    plans.1.write(value, out)?;
                    out.push(b']');
                    Ok(())
                })?;
            }
            (Self::Entries(plans), Value::Map(entries)) => {
                write_list(entries, b'[', b']', out, |(key, value), out| {
                    out.extend_from_slice(b"{\"key\":");
                    plans.0.write(key, out)?;
                    out.extend_from_slice(b",\"value\":");
                    plans.1.write(value, out)?;
                    out.push(b'}');
                    Ok(())
                })?;
            }
            (Self::Union(plans), Value::Struct(fields)) => {
                match plans.iter().zip(fields).find(|(_, field)| !field.is_null()) {
                    Some((plan, field)) => plan.write(field, out)?,
                    None => out.extend_from_slice(b"null"),
                }
            }
            (_, value) => return Err(mismatch(value)),
        }
        Ok(())
    }
}

impl ScalarKind {
    #[inline]
    fn write(self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        match (self, value) {
            (Self::Int32, Value::Int32(number)) => write_integer(i64::from(*number), out),
            (Self::Int64, Value::Int64(number)) => write_integer(*number, out),
            (Self::String, Value::String(text)) => write_string(text, out),
            (Self::Boolean, Value::Boolean(flag)) => {
                out.extend_from_slice(if *flag { b"true" } else { b"false" });
            }
            (Self::Int16, Value::Int16(number)) => write_integer(i64::from(*number), out),
            (Self::Int8, Value::Int8(number)) => write_integer(i64::from(*number), out),
            (Self::Float32, Value::Float32(number)) => write_float(*number, out),
            (Self::Float64, Value::Float64(number)) => write_double(*number, out),
            (_, value) => return Err(mismatch(value)),
        }
        Ok(())
    }
}

/// Writes data without a schema: every value says itself what it is.
pub(crate) fn write_schemaless(value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Int8(number) => write_integer(i64::from(*number), out),
        Value::Int16(number) => write_integer(i64::from(*number), out),
        Value::Int32(number) => write_integer(i64::from(*number), out),
        Value::Int64(number) => write_integer(*number, out),
        Value::Float32(number) => write_float(*number, out),
        Value::Float64(number) => write_double(*number, out),
        Value::String(text) => write_string(text, out),
        Value::Bytes(bytes) => write_base64(bytes, out),
        Value::Array(items) => write_list(items, b'[', b']', out, write_schemaless)?,
        Value::Map(entries) if entries.iter().all(|(key, _)| matches!(key, Value::String(_))) => {
            write_list(entries, b'{', b'}', out, |(key, value), out| {
                write_key(key, out)?;
                write_schemaless(value, out)
            })?;
        }
        Value::Map(entries) => write_list(entries, b'[', b']', out, |(key, value), out| {
            out.push(b'[');
            write_schemaless(key, out)?;
            out.push(b',');
            write_schemaless(value, out)?;
            out.push(b']');
            Ok(())
        })?,
        Value::Struct(_) => return Err(TaskError::reject("a struct without a schema has no field names")),
        Value::Date(_) => return Err(no_schema_type("java.util.Date")),
        Value::Decimal(number) if number.integer => return Err(no_schema_type("java.math.BigInteger")),
        Value::Decimal(_) => return Err(no_schema_type("java.math.BigDecimal")),
    }
    Ok(())
}

fn write_list<T>(
    items: &[T],
    open: u8,
    close: u8,
    out: &mut Vec<u8>,
    mut each: impl FnMut(&T, &mut Vec<u8>) -> Result<(), TaskError>,
) -> Result<(), TaskError> {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        each(item, out)?;
    }
    out.push(close);
    Ok(())
}

fn write_key(key: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
    // Java's field name of a null key is the word.
    let text = if key.is_null() { Some("null") } else { key.as_str() };
    write_string(text.ok_or_else(|| mismatch(key))?, out);
    out.push(b':');
    Ok(())
}

fn mismatch(value: &Value) -> TaskError {
    // The value itself may be secret: only its type is named.
    let kind = match value {
        Value::Null => "a null",
        Value::Boolean(_) => "a boolean",
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_) => "an integer",
        Value::Float32(_) | Value::Float64(_) => "a float",
        Value::String(_) => "a string",
        Value::Bytes(_) => "bytes",
        Value::Array(_) => "an array",
        Value::Map(_) => "a map",
        Value::Struct(_) => "a struct",
        Value::Date(_) => "a date",
        Value::Decimal(_) => "a decimal",
    };
    TaskError::reject(format!("Mismatching schema: {kind} does not fit the type that the schema gives"))
}

fn no_schema_type(class: &str) -> TaskError {
    TaskError::reject(format!("Java class class {class} does not have corresponding schema type."))
}
