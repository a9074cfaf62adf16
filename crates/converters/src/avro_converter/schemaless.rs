//! Data without a schema: Confluent's recursive record `Anything`, with one member set.

use avro::{decode::DecodeError, decode::Reader, encode as datum};
use connect::{Blob, Buffer, TaskError, Text, Value};

/// The schema of schemaless data, as it is registered.
pub(super) const ANYTHING: &str = concat!(
    r#"{"type":"record","name":"Anything","namespace":"io.confluent.connect.avro","fields":["#,
    r#"{"name":"boolean","type":["null","boolean"],"default":null},"#,
    r#"{"name":"bytes","type":["null","bytes"],"default":null},"#,
    r#"{"name":"double","type":["null","double"],"default":null},"#,
    r#"{"name":"float","type":["null","float"],"default":null},"#,
    r#"{"name":"int","type":["null","int"],"default":null},"#,
    r#"{"name":"long","type":["null","long"],"default":null},"#,
    r#"{"name":"string","type":["null","string"],"default":null},"#,
    r#"{"name":"array","type":["null",{"type":"array","items":"Anything"}],"default":null},"#,
    r#"{"name":"map","type":["null",{"type":"array","items":{"type":"record","name":"MapEntry","fields":["#,
    r#"{"name":"key","type":"Anything"},{"name":"value","type":"Anything"}]}}],"default":null}]}"#
);

pub(super) const FULL_NAME: &str = "io.confluent.connect.avro.Anything";

const MEMBERS: usize = 9;
/// Deeper data is refused: outside bytes must not exhaust the stack.
const DEPTH_MAX: usize = 200;

pub(super) fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
    // Index of the member of `Anything` that is set.
    let member = match value {
        Value::Null => None,
        Value::Boolean(_) => Some(0),
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) => Some(4),
        Value::Int64(_) => Some(5),
        Value::Float32(_) => Some(3),
        Value::Float64(_) => Some(2),
        Value::String(_) => Some(6),
        Value::Array(_) => Some(7),
        Value::Map(_) => Some(8),
        Value::Bytes(_) => return Err(unknown("[B")),
        Value::Struct(_) => return Err(unknown("org.apache.kafka.connect.data.Struct")),
        Value::Date(_) => return Err(unknown("java.util.Date")),
        Value::Decimal(number) if number.integer => return Err(unknown("java.math.BigInteger")),
        Value::Decimal(_) => return Err(unknown("java.math.BigDecimal")),
    };
    for index in 0..MEMBERS {
        let set = member == Some(index);
        datum::long(i64::from(set), out);
        if set {
            write_member(value, out)?;
        }
    }
    Ok(())
}

fn write_member(value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
    match value {
        Value::Boolean(flag) => datum::boolean(*flag, out),
        Value::Float32(number) => datum::float(*number, out),
        Value::Float64(number) => datum::double(*number, out),
        Value::String(text) => datum::bytes(text.as_bytes(), out),
        Value::Array(items) => {
            datum::block_start(items.len(), out);
            for item in items {
                write(item, out)?;
            }
            datum::block_end(out);
        }
        Value::Map(entries) => {
            datum::block_start(entries.len(), out);
            for (key, value) in entries {
                write(key, out)?;
                write(value, out)?;
            }
            datum::block_end(out);
        }
        other => datum::long(other.as_i64().unwrap_or_default(), out),
    }
    Ok(())
}

fn unknown(class: &str) -> TaskError {
    TaskError::reject(format!("Unknown Java type for schemaless data: class {class}"))
}

/// `offset` is where the datum begins in the buffer.
pub(super) fn read(
    reader: &mut Reader<'_>,
    buffer: &Buffer,
    offset: usize,
    depth: usize,
) -> Result<Value, DecodeError> {
    if depth > DEPTH_MAX {
        return Err(DecodeError::TooDeep);
    }
    let mut found = Value::Null;
    for index in 0..MEMBERS {
        if reader.index(2)? == 0 {
            continue;
        }
        let value = read_member(index, reader, buffer, offset, depth)?;
        if found.is_null() {
            found = value;
        }
    }
    Ok(found)
}

fn read_member(
    index: usize,
    reader: &mut Reader<'_>,
    buffer: &Buffer,
    offset: usize,
    depth: usize,
) -> Result<Value, DecodeError> {
    Ok(match index {
        0 => Value::Boolean(reader.boolean()?),
        1 => {
            let range = reader.bytes_range()?;
            Value::Bytes(Blob::slice(buffer, offset + range.start..offset + range.end))
        }
        2 => Value::Float64(reader.double()?),
        3 => Value::Float32(reader.float()?),
        4 => Value::Int32(reader.int()?),
        5 => Value::Int64(reader.long()?),
        6 => {
            let range = reader.bytes_range()?;
            let text = Text::slice(buffer, offset + range.start..offset + range.end);
            Value::String(text.map_err(|_| DecodeError::NotUtf8)?)
        }
        7 => {
            let mut items = vec![];
            read_blocks(reader, |reader| {
                items.push(read(reader, buffer, offset, depth + 1)?);
                Ok(())
            })?;
            Value::Array(items.into_boxed_slice())
        }
        _ => {
            let mut entries = vec![];
            read_blocks(reader, |reader| {
                let key = read(reader, buffer, offset, depth + 1)?;
                entries.push((key, read(reader, buffer, offset, depth + 1)?));
                Ok(())
            })?;
            Value::Map(entries.into_boxed_slice())
        }
    })
}

/// Items of all blocks. No item of ours is empty, so a count larger than what is left is a lie.
pub(super) fn read_blocks(
    reader: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    loop {
        let count = reader.block()?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..count {
            let before = reader.position();
            item(reader)?;
            if reader.position() == before && count > reader.remaining() + 1 {
                return Err(DecodeError::BadLength);
            }
        }
    }
}
