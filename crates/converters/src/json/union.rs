//! What Confluent's JSON Schema converter has beside Connect's JSON: unions, and maps as lists of objects.

use std::sync::Arc;

use connect::logical::{DATE, DECIMAL, TIME, TIMESTAMP};
use connect::{Kind, Schema, TaskError, Value};

use super::parser::{Parser, Token};
use super::read::{ReadPlan, insert};

/// Which JSON a branch of a union takes.
#[derive(Debug)]
pub(super) enum Branch {
    Integer,
    Number,
    Boolean,
    String,
    /// A string or a number: bytes and decimals.
    Bytes,
    Array,
    ObjectOrArray,
    /// An object with no other members than these.
    Struct(Box<[Arc<str>]>),
}

impl Branch {
    pub(super) fn new(schema: &Schema) -> Self {
        match (schema.kind(), schema.name()) {
            (_, Some(DATE | TIME | TIMESTAMP)) => Self::Integer,
            (Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64, _) => Self::Integer,
            (Kind::Float32 | Kind::Float64, _) => Self::Number,
            (Kind::Boolean, _) => Self::Boolean,
            (Kind::Bytes, Some(DECIMAL)) => Self::Bytes,
            (Kind::String | Kind::Bytes, _) => Self::String,
            (Kind::Array(_), _) => Self::Array,
            (Kind::Map { .. }, _) => Self::ObjectOrArray,
            (Kind::Struct(fields), _) => {
                Self::Struct(fields.iter().map(|field| Arc::clone(&field.name)).collect())
            }
        }
    }

    /// Whether the next value is of this branch. Takes nothing from the parser that it is given a copy of.
    fn takes(&self, token: Token, mut parser: Parser<'_>) -> Result<bool, TaskError> {
        Ok(match (self, token) {
            (Self::Integer, Token::Number) => !parser.number()?.contains(['.', 'e', 'E']),
            (Self::Number | Self::Bytes, Token::Number)
            | (Self::Boolean, Token::Boolean)
            | (Self::String | Self::Bytes, Token::String)
            | (Self::Array | Self::ObjectOrArray, Token::Array)
            | (Self::ObjectOrArray, Token::Object) => true,
            (Self::Struct(names), Token::Object) => {
                parser.open(b'{')?;
                let mut first = true;
                while parser.more(b'}', first)? {
                    first = false;
                    let name = parser.string_ref()?;
                    if !names.iter().any(|known| **known == *name) {
                        return Ok(false);
                    }
                    parser.colon()?;
                    parser.skip()?;
                }
                true
            }
            _ => false,
        })
    }
}

/// The first branch that takes the value; the other fields are null.
pub(super) fn read_union(
    branches: &[(Branch, ReadPlan)],
    token: Token,
    parser: &mut Parser<'_>,
) -> Result<Value, TaskError> {
    for (index, (branch, plan)) in branches.iter().enumerate() {
        if branch.takes(token, parser.clone())? {
            let mut fields = vec![Value::Null; branches.len()];
            fields[index] = plan.read(parser)?;
            return Ok(Value::Struct(fields.into_boxed_slice()));
        }
    }
    Err(TaskError::reject(format!("Did not find matching oneof field for data of type {}", token.name())))
}

/// `[{"key":…,"value":…}]`
pub(super) fn read_entries(
    plans: &(ReadPlan, ReadPlan),
    token: Token,
    parser: &mut Parser<'_>,
) -> Result<Value, TaskError> {
    if token != Token::Array {
        return Err(TaskError::reject(format!(
            "Maps with non-string fields should be encoded as JSON array of objects, but found {}",
            token.name()
        )));
    }
    let mut entries = vec![];
    parser.open(b'[')?;
    let mut first = true;
    while parser.more(b']', first)? {
        first = false;
        let found = parser.peek()?;
        if found != Token::Object {
            let name = found.name();
            return Err(TaskError::reject(format!("Found invalid map entry instead of object: {name}")));
        }
        let (key, value) = read_entry(plans, parser)?;
        insert(&mut entries, key, value);
    }
    Ok(Value::Map(entries.into_boxed_slice()))
}

fn read_entry(plans: &(ReadPlan, ReadPlan), parser: &mut Parser<'_>) -> Result<(Value, Value), TaskError> {
    let (mut key, mut value) = (None, None);
    let mut members = 0;
    parser.open(b'{')?;
    while parser.more(b'}', members == 0)? {
        members += 1;
        let name = parser.string_ref()?;
        parser.colon()?;
        match &*name {
            "key" => key = Some(plans.0.read(parser)?),
            "value" => value = Some(plans.1.read(parser)?),
            _ => parser.skip()?,
        }
    }
    if members != 2 {
        return Err(TaskError::reject(format!(
            "Found invalid map entry, expected length 2 but found :{members}"
        )));
    }
    Ok((key.unwrap_or_default(), value.unwrap_or_default()))
}
