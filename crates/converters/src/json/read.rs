//! JSON text → values, by a plan that is compiled once per schema, with Connect's leniency about the kinds of nodes.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect::logical::{DATE, TIME, TIMESTAMP, decimal_scale};
use connect::{Blob, Kind, Schema, TaskError, Value};
use num_bigint::BigInt;

use super::parser::{Parser, Token};
use super::schema_text::is_decimal;
use super::settings::{Dialect, Nulls, Style};
use super::text::write_string;
use super::union::{Branch, read_entries, read_union};
use connect::decimal;

/// How values of one schema are read.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    form: Form,
    /// What a null becomes; `None` where a null is an error.
    null: Option<Value>,
    missing: Missing,
    type_name: &'static str,
}

/// What a field becomes that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// What a null becomes.
    AsNull,
    /// The same, but null where a null would be an error.
    Null,
}

#[derive(Debug)]
enum Form {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    /// `None`: the schema has no scale, and no value can be read.
    Decimal(Option<i32>),
    /// Connect checks the node's kind for these, unlike for other numbers.
    Logical {
        name: &'static str,
        word: &'static str,
        wide: bool,
    },
    Array(Box<ReadPlan>),
    Object(Box<ReadPlan>),
    Pairs(Box<(ReadPlan, ReadPlan)>),
    Entries(Box<(ReadPlan, ReadPlan)>),
    Union(Box<[(Branch, ReadPlan)]>),
    Struct(Box<[FieldPlan]>),
}

#[derive(Debug)]
struct FieldPlan {
    name: Arc<str>,
    /// `"name":`, as the writer puts it.
    head: Box<[u8]>,
    plan: ReadPlan,
}

impl ReadPlan {
    pub(crate) fn new(schema: &Schema, style: Style) -> Result<Self, TaskError> {
        let default = schema.default().filter(|_| style.nulls == Nulls::ReplacedByDefault).cloned();
        Ok(Self {
            form: Form::new(schema, style)?,
            null: default.or_else(|| schema.is_optional().then_some(Value::Null)),
            missing: if style.dialect == Dialect::JsonSchema { Missing::Null } else { Missing::AsNull },
            type_name: schema.kind().type_name(),
        })
    }

    pub(crate) fn read(&self, parser: &mut Parser<'_>) -> Result<Value, TaskError> {
        let token = parser.peek()?;
        if token == Token::Null {
            parser.null()?;
            return self.null();
        }
        self.form.read(token, parser)
    }

    fn missing(&self) -> Result<Value, TaskError> {
        match (&self.null, self.missing) {
            (None, Missing::Null) => Ok(Value::Null),
            _ => self.null(),
        }
    }

    fn null(&self) -> Result<Value, TaskError> {
        self.null.clone().ok_or_else(|| {
            let name = self.type_name.to_uppercase();
            TaskError::reject(format!("Invalid null value for required {name} field"))
        })
    }
}

impl Form {
    fn new(schema: &Schema, style: Style) -> Result<Self, TaskError> {
        let plan = |schema: &Schema| ReadPlan::new(schema, style);
        if is_decimal(schema) {
            return Ok(Self::Decimal(decimal_scale(schema)));
        }
        let logical = |name, word, wide| Self::Logical { name, word, wide };
        Ok(match (schema.kind(), schema.name()) {
            (Kind::Int32, Some(DATE)) => logical("Date", "integer", false),
            (Kind::Int32, Some(TIME)) => logical("Time", "integer", false),
            (Kind::Int64, Some(TIMESTAMP)) => logical("Timestamp", "integral", true),
            (Kind::Int8, _) => Self::Int8,
            (Kind::Int16, _) => Self::Int16,
            (Kind::Int32, _) => Self::Int32,
            (Kind::Int64, _) => Self::Int64,
            (Kind::Float32, _) => Self::Float32,
            (Kind::Float64, _) => Self::Float64,
            (Kind::Boolean, _) => Self::Boolean,
            (Kind::String, _) => Self::String,
            (Kind::Bytes, _) => Self::Bytes,
            (Kind::Array(items), _) => Self::Array(Box::new(plan(items)?)),
            (Kind::Map { key, value }, _) if style.dialect.is_object(key) => {
                Self::Object(Box::new(plan(value)?))
            }
            (Kind::Map { key, value }, _) if style.dialect == Dialect::JsonSchema => {
                Self::Entries(Box::new((plan(key)?, plan(value)?)))
            }
            (Kind::Map { key, value }, _) => Self::Pairs(Box::new((plan(key)?, plan(value)?))),
            (Kind::Struct(fields), _) if style.dialect.is_union(schema) => {
                let branch = |field: &connect::Field| Ok((Branch::new(&field.schema), plan(&field.schema)?));
                Self::Union(fields.iter().map(branch).collect::<Result<_, TaskError>>()?)
            }
            (Kind::Struct(fields), _) => {
                let field = |field: &connect::Field| {
                    let mut head = vec![];
                    write_string(&field.name, &mut head);
                    head.push(b':');
                    let plan = plan(&field.schema)?;
                    Ok(FieldPlan { name: Arc::clone(&field.name), head: head.into_boxed_slice(), plan })
                };
                Self::Struct(fields.iter().map(field).collect::<Result<_, TaskError>>()?)
            }
        })
    }

    fn read(&self, token: Token, parser: &mut Parser<'_>) -> Result<Value, TaskError> {
        Ok(match self {
            Self::Int8 => Value::Int8(integer(token, parser)? as i8),
            Self::Int16 => Value::Int16(integer(token, parser)? as i16),
            Self::Int32 => Value::Int32(integer(token, parser)? as i32),
            Self::Int64 => Value::Int64(integer(token, parser)?),
            Self::Float32 => Value::Float32(float(token, parser)? as f32),
            Self::Float64 => Value::Float64(float(token, parser)?),
            Self::Boolean if token == Token::Boolean => Value::Boolean(parser.boolean()?),
            Self::Boolean => {
                parser.skip()?;
                Value::Boolean(false)
            }
            Self::String if token == Token::String => Value::String(parser.string()?),
            Self::Bytes if token == Token::String => Value::Bytes(base64(parser, "Invalid bytes field")?),
            Self::String | Self::Bytes => {
                parser.skip()?;
                Value::Null
            }
            Self::Decimal(scale) => read_decimal(*scale, token, parser)?,
            Self::Logical { name, word, wide } => read_logical(name, word, *wide, token, parser)?,
            Self::Array(plan) => read_array(plan, token, parser)?,
            Self::Object(plan) => read_object(plan, token, parser)?,
            Self::Pairs(plans) => read_pairs(plans, token, parser)?,
            Self::Entries(plans) => read_entries(plans, token, parser)?,
            Self::Union(branches) => read_union(branches, token, parser)?,
            Self::Struct(plans) => read_struct(plans, token, parser)?,
        })
    }
}

/// Jackson's `longValue()`: fractions are cut, big numbers wrap, anything else is 0.
fn integer(token: Token, parser: &mut Parser<'_>) -> Result<i64, TaskError> {
    if token != Token::Number {
        parser.skip()?;
        return Ok(0);
    }
    let text = parser.number()?;
    Ok(text.parse().unwrap_or_else(|_| wrapping_integer(text)))
}

fn wrapping_integer(text: &str) -> i64 {
    let Some((number, scale)) = decimal::parse(text) else { return 0 };
    let whole = if scale > 0 {
        // More places than digits: the number is below one.
        if i64::from(scale) > text.len() as i64 {
            return 0;
        }
        number / BigInt::from(10).pow(scale.unsigned_abs())
    } else {
        match decimal::rescale(&number, scale, 0) {
            Some(whole) => whole,
            None => return 0,
        }
    };
    let bytes = whole.to_signed_bytes_le();
    let mut low = [if whole.sign() == num_bigint::Sign::Minus { 0xff } else { 0 }; 8];
    let count = bytes.len().min(8);
    low[..count].copy_from_slice(&bytes[..count]);
    i64::from_le_bytes(low)
}

/// Jackson's `doubleValue()`, and the texts that the writer uses for what JSON has no number for.
fn float(token: Token, parser: &mut Parser<'_>) -> Result<f64, TaskError> {
    match token {
        Token::Number => parser.number()?.parse().map_err(|_| parser.error("number expected")),
        Token::String => Ok(match &*parser.string_ref()? {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => 0.0,
        }),
        _ => {
            parser.skip()?;
            Ok(0.0)
        }
    }
}

fn base64(parser: &mut Parser<'_>, complaint: &str) -> Result<Blob, TaskError> {
    let text = parser.string_ref()?;
    let bytes =
        STANDARD.decode(text.as_bytes()).map_err(|error| TaskError::reject(complaint).with_source(error))?;
    Ok(Blob::from(bytes))
}

fn read_decimal(scale: Option<i32>, token: Token, parser: &mut Parser<'_>) -> Result<Value, TaskError> {
    match token {
        Token::String => {
            let bytes = base64(parser, "Invalid bytes for Decimal field")?;
            if scale.is_none() || bytes.is_empty() {
                return Err(TaskError::reject("Invalid bytes for Decimal field"));
            }
            Ok(Value::Bytes(bytes))
        }
        Token::Number => {
            let text = parser.number()?;
            let number = decimal::parse(text).zip(scale);
            // Connect keeps a scale of its own in the value; bytes cannot, so digits behind the scale are refused.
            let exact = number.and_then(|((number, from), to)| decimal::rescale(&number, from, to));
            exact
                .map(|number| Value::Bytes(Blob::from(number.to_signed_bytes_be())))
                .ok_or_else(|| TaskError::reject("number does not fit the scale of its Decimal field"))
        }
        other => Err(TaskError::reject(format!(
            "Invalid type for Decimal, underlying representation should be numeric or bytes but was {}",
            other.name()
        ))),
    }
}

fn read_logical(
    name: &str,
    word: &str,
    wide: bool,
    token: Token,
    parser: &mut Parser<'_>,
) -> Result<Value, TaskError> {
    let wrong = || {
        TaskError::reject(format!(
            "Invalid type for {name}, underlying representation should be {word} but was {}",
            token.name()
        ))
    };
    if token != Token::Number {
        return Err(wrong());
    }
    let text = parser.number()?;
    let number = text.parse::<i64>().map_err(|_| wrong())?;
    if wide {
        return Ok(Value::Int64(number));
    }
    i32::try_from(number).map(Value::Int32).map_err(|_| wrong())
}

fn read_array(plan: &ReadPlan, token: Token, parser: &mut Parser<'_>) -> Result<Value, TaskError> {
    let mut items = vec![];
    match token {
        Token::Array => {
            parser.open(b'[')?;
            while parser.more(b']', items.is_empty())? {
                items.push(plan.read(parser)?);
            }
        }
        // Jackson iterates over an object's values, and finds nothing in a scalar.
        Token::Object => {
            parser.open(b'{')?;
            while parser.more(b'}', items.is_empty())? {
                parser.string_ref()?;
                parser.colon()?;
                items.push(plan.read(parser)?);
            }
        }
        _ => parser.skip()?,
    }
    Ok(Value::Array(items.into_boxed_slice()))
}

fn read_object(plan: &ReadPlan, token: Token, parser: &mut Parser<'_>) -> Result<Value, TaskError> {
    if token != Token::Object {
        return Err(TaskError::reject(format!(
            "Maps with string fields should be encoded as JSON objects, but found {}",
            token.name()
        )));
    }
    let mut entries = vec![];
    parser.open(b'{')?;
    while parser.more(b'}', entries.is_empty())? {
        let key = Value::String(parser.string()?);
        parser.colon()?;
        insert(&mut entries, key, plan.read(parser)?);
    }
    Ok(Value::Map(entries.into_boxed_slice()))
}

fn read_pairs(
    plans: &(ReadPlan, ReadPlan),
    token: Token,
    parser: &mut Parser<'_>,
) -> Result<Value, TaskError> {
    if token != Token::Array {
        return Err(TaskError::reject(format!(
            "Maps with non-string fields should be encoded as JSON array of tuples, but found {}",
            token.name()
        )));
    }
    let mut entries = vec![];
    parser.open(b'[')?;
    let mut first = true;
    while parser.more(b']', first)? {
        first = false;
        let found = parser.peek()?;
        if found != Token::Array {
            return Err(TaskError::reject(format!(
                "Found invalid map entry instead of array tuple: {}",
                found.name()
            )));
        }
        parser.open(b'[')?;
        let mut pair = vec![];
        while parser.more(b']', pair.is_empty())? {
            pair.push(match pair.len() {
                0 => plans.0.read(parser)?,
                1 => plans.1.read(parser)?,
                _ => {
                    parser.skip()?;
                    Value::Null
                }
            });
        }
        let length = pair.len();
        let [key, value] = <[Value; 2]>::try_from(pair).map_err(|_| {
            TaskError::reject(format!("Found invalid map entry, expected length 2 but found :{length}"))
        })?;
        insert(&mut entries, key, value);
    }
    Ok(Value::Map(entries.into_boxed_slice()))
}

/// The last of equal keys wins, as in a Java map.
pub(super) fn insert(entries: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match entries.iter_mut().find(|(other, _)| *other == key) {
        Some(entry) => entry.1 = value,
        None => entries.push((key, value)),
    }
}

fn read_struct(plans: &[FieldPlan], token: Token, parser: &mut Parser<'_>) -> Result<Value, TaskError> {
    if token != Token::Object {
        return Err(TaskError::reject(format!(
            "Structs should be encoded as JSON objects, but found {}",
            token.name()
        )));
    }
    parser.open(b'{')?;
    let mut values: Vec<Option<Value>> = Vec::with_capacity(plans.len());
    values.resize_with(plans.len(), || None);
    let mut next = 0;
    let mut first = true;
    while parser.more(b'}', first)? {
        first = false;
        // Fields nearly always come in the schema's order, as the writer put them.
        let index = if plans.get(next).is_some_and(|plan| parser.take(&plan.head)) {
            Some(next)
        } else {
            let name = parser.string_ref()?;
            parser.colon()?;
            plans.iter().position(|plan| *plan.name == *name)
        };
        let Some(index) = index else {
            parser.skip()?;
            continue;
        };
        values[index] = Some(plans[index].plan.read(parser)?);
        next = index + 1;
    }
    let fields = plans.iter().zip(values).map(|(field, value)| match value {
        // A string or bytes field read from another kind of node is null in Java, and put() refuses it then.
        Some(Value::Null) if field.plan.null.is_none() => {
            Err(TaskError::reject(format!("Invalid value: null used for required field: \"{}\"", field.name)))
        }
        Some(value) => Ok(value),
        None => field.plan.missing(),
    });
    Ok(Value::Struct(fields.collect::<Result<_, _>>()?))
}

/// Reads data without a schema: whole numbers are int64, others float64, objects maps.
pub(crate) fn read_schemaless(parser: &mut Parser<'_>) -> Result<Value, TaskError> {
    Ok(match parser.peek()? {
        Token::Null => {
            parser.null()?;
            Value::Null
        }
        Token::Boolean => Value::Boolean(parser.boolean()?),
        Token::String => Value::String(parser.string()?),
        Token::Number => {
            let text = parser.number()?;
            if text.contains(['.', 'e', 'E']) {
                Value::Float64(text.parse().map_err(|_| parser.error("number expected"))?)
            } else {
                Value::Int64(text.parse().unwrap_or_else(|_| wrapping_integer(text)))
            }
        }
        Token::Array => {
            let mut items = vec![];
            parser.open(b'[')?;
            while parser.more(b']', items.is_empty())? {
                items.push(read_schemaless(parser)?);
            }
            Value::Array(items.into_boxed_slice())
        }
        Token::Object => {
            let mut entries = vec![];
            parser.open(b'{')?;
            while parser.more(b'}', entries.is_empty())? {
                let key = Value::String(parser.string()?);
                parser.colon()?;
                insert(&mut entries, key, read_schemaless(parser)?);
            }
            Value::Map(entries.into_boxed_slice())
        }
    })
}
