//! Datum → values, by a plan over the writer's schema.

use avro::decode::{DecodeError, Reader};
use connect::{Blob, Buffer, Text, Value};

use super::schemaless::{self, read_blocks};

/// How a datum of one type is read.
#[derive(Debug)]
pub(super) enum Plan {
    Boolean,
    Int8,
    Int16,
    Int,
    Long,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    Enum(Box<[Text]>),
    Array(Box<Plan>),
    Map(Box<Plan>),
    /// A list of records of key and value.
    Entries(Box<(Plan, Plan)>),
    Record(Box<[Plan]>),
    /// A union of one type, and perhaps null.
    Branch {
        value: usize,
        branches: usize,
        plan: Box<Plan>,
    },
    /// Any other union: a struct with a field per branch; `None` is null.
    Union {
        fields: usize,
        branches: Box<[Option<(usize, Plan)>]>,
    },
    /// Data without a schema.
    Anything,
}

/// Where the datum lies: strings become slices of its buffer.
pub(super) struct Source<'a> {
    pub buffer: &'a Buffer,
    /// Where the datum begins.
    pub offset: usize,
}

impl Plan {
    pub(super) fn read(&self, reader: &mut Reader<'_>, source: &Source<'_>) -> Result<Value, DecodeError> {
        Ok(match self {
            Self::String => Value::String(text(reader, source)?),
            Self::Long => Value::Int64(reader.long()?),
            Self::Int => Value::Int32(reader.int()?),
            Self::Branch { value, branches, plan } => {
                let index = reader.index(*branches)?;
                if index != *value {
                    return Ok(Value::Null);
                }
                plan.read(reader, source)?
            }
            Self::Record(plans) => {
                let mut fields = Vec::with_capacity(plans.len());
                for plan in plans {
                    fields.push(plan.read(reader, source)?);
                }
                Value::Struct(fields.into_boxed_slice())
            }
            Self::Boolean => Value::Boolean(reader.boolean()?),
            Self::Int8 => Value::Int8(reader.int()? as i8),
            Self::Int16 => Value::Int16(reader.int()? as i16),
            Self::Float => Value::Float32(reader.float()?),
            Self::Double => Value::Float64(reader.double()?),
            Self::Bytes => {
                let range = reader.bytes_range()?;
                Value::Bytes(Blob::slice(
                    source.buffer,
                    source.offset + range.start..source.offset + range.end,
                ))
            }
            Self::Fixed(size) => Value::Bytes(Blob::from(reader.fixed(*size)?)),
            Self::Enum(symbols) => Value::String(symbols[reader.index(symbols.len())?].clone()),
            Self::Array(plan) => {
                let mut items = vec![];
                read_blocks(reader, |reader| {
                    items.push(plan.read(reader, source)?);
                    Ok(())
                })?;
                Value::Array(items.into_boxed_slice())
            }
            Self::Map(plan) => {
                let mut entries = vec![];
                read_blocks(reader, |reader| {
                    let key = Value::String(text(reader, source)?);
                    entries.push((key, plan.read(reader, source)?));
                    Ok(())
                })?;
                Value::Map(entries.into_boxed_slice())
            }
            Self::Entries(plans) => {
                let mut entries = vec![];
                read_blocks(reader, |reader| {
                    let key = plans.0.read(reader, source)?;
                    entries.push((key, plans.1.read(reader, source)?));
                    Ok(())
                })?;
                Value::Map(entries.into_boxed_slice())
            }
            Self::Union { fields, branches } => {
                let Some((field, plan)) = &branches[reader.index(branches.len())?] else {
                    return Ok(Value::Null);
                };
                let mut values = vec![Value::Null; *fields];
                values[*field] = plan.read(reader, source)?;
                Value::Struct(values.into_boxed_slice())
            }
            Self::Anything => schemaless::read(reader, source.buffer, source.offset, 0)?,
        })
    }
}

fn text(reader: &mut Reader<'_>, source: &Source<'_>) -> Result<Text, DecodeError> {
    let range = reader.bytes_range()?;
    let range = source.offset + range.start..source.offset + range.end;
    Text::slice(source.buffer, range).map_err(|_| DecodeError::NotUtf8)
}
