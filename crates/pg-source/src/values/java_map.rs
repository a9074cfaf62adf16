//! `hstore` in the order in which Java's `HashMap` walks over it, because that is what consumers see.

use std::borrow::Cow;
use std::fmt::Write;

use connect::{Text, Value};

use super::ConversionFailure;

type Pair<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// `{"key":"value","other":null}`.
pub fn hstore_json(text: &[u8]) -> Result<Value, ConversionFailure> {
    let mut out = String::with_capacity(text.len());
    out.push('{');
    for (index, (key, value)) in pairs(text)?.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_json(&mut out, &key);
        out.push(':');
        match value {
            Some(value) => push_json(&mut out, &value),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(Value::String(out.into()))
}

pub fn hstore_map(text: &[u8]) -> Result<Value, ConversionFailure> {
    let entries = pairs(text)?.into_iter().map(|(key, value)| {
        let value = value.map_or(Value::Null, |value| Value::String(Text::from(&*value)));
        (Value::String(Text::from(&*key)), value)
    });
    Ok(Value::Map(entries.collect()))
}

fn pairs(text: &[u8]) -> Result<Vec<Pair<'_>>, ConversionFailure> {
    let pairs = pg::text::hstore(text).map_err(|_| ConversionFailure("malformed hstore"))?;
    let mut pairs = pairs
        .into_iter()
        .map(|(key, value)| Some((utf8(key)?, value.map(|value| utf8(value).ok_or(())).transpose().ok()?)))
        .collect::<Option<Vec<_>>>()
        .ok_or(ConversionFailure("text is not UTF-8"))?;
    let count = pairs.len();
    pairs.sort_by_key(|(key, _)| walk_order(key, count));
    Ok(pairs)
}

/// Place of a key in the walk over a map of so many. A table starts with 16 buckets and doubles when it is more than
/// three quarters full; walking goes by bucket, and within one by insertion.
pub fn walk_order(key: &str, count: usize) -> usize {
    let mut buckets = 16_usize;
    while count * 4 > buckets * 3 {
        buckets *= 2;
    }
    spread(key) as usize & (buckets - 1)
}

fn utf8(bytes: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    Some(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
    })
}

/// `String.hashCode`, with its upper half mixed into the lower as `HashMap` does.
fn spread(key: &str) -> u32 {
    let hash =
        key.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    hash ^ (hash >> 16)
}

fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_the_map() {
        let text = br#""key1"=>"val1", "key2"=>"val2", "key3"=>"val3", "key4"=>"val4", "key5"=>NULL, "quo\"te"=>"x=>""#;
        let expected =
            r#"{"key1":"val1","key2":"val2","key5":null,"key3":"val3","key4":"val4","quo\"te":"x=>"}"#;
        assert_eq!(hstore_json(text), Ok(Value::text(expected)));
    }
}
