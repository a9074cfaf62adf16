//! A default's JSON as a binary datum: what a writer puts where it has no value of its own.

use crate::encode;
use crate::schema::{Json, Kind, NodeId, Schema};

/// Appends the datum that `value`, a default of the type `id`, stands for; `None` where it does not fit.
pub fn encode_default(schema: &Schema, id: NodeId, value: &Json, out: &mut Vec<u8>) -> Option<()> {
    match schema.kind(id) {
        Kind::Null => value.as_null()?,
        Kind::Boolean => encode::boolean(value.as_bool()?, out),
        Kind::Int | Kind::Long => encode::long(number(value)?.parse().ok()?, out),
        Kind::Float => encode::float(number(value)?.parse().ok()?, out),
        Kind::Double => encode::double(number(value)?.parse().ok()?, out),
        Kind::String => encode::bytes(value.as_str()?.as_bytes(), out),
        Kind::Bytes => encode::bytes(&latin1(value.as_str()?)?, out),
        Kind::Fixed(fixed) => {
            let bytes = latin1(value.as_str()?)?;
            (bytes.len() == fixed.size).then(|| out.extend_from_slice(&bytes))?;
        }
        Kind::Enum(symbols) => {
            let index = symbols.symbols.iter().position(|symbol| Some(symbol.as_str()) == value.as_str())?;
            encode::long(index as i64, out);
        }
        Kind::Array(item) => {
            let items = value.as_array()?;
            encode::block_start(items.len(), out);
            for value in items {
                encode_default(schema, *item, value, out)?;
            }
            encode::block_end(out);
        }
        Kind::Map(item) => {
            let members = value.as_object()?;
            encode::block_start(members.len(), out);
            for (key, value) in members {
                encode::bytes(key.as_bytes(), out);
                encode_default(schema, *item, value, out)?;
            }
            encode::block_end(out);
        }
        Kind::Union(branches) => {
            let length = out.len();
            let fits = |(index, branch): (usize, &NodeId)| {
                out.truncate(length);
                encode::long(index as i64, out);
                encode_default(schema, *branch, value, out)
            };
            branches.iter().enumerate().find_map(fits)?;
        }
        Kind::Record(record) => {
            let members = value.as_object()?;
            for field in &record.fields {
                let member = members.get(&field.name).or(field.default.as_ref())?;
                encode_default(schema, field.node, member, out)?;
            }
        }
    }
    Some(())
}

fn number(value: &Json) -> Option<String> {
    value.is_number().then(|| value.to_string())
}

/// Avro writes bytes in JSON as one character per byte.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
