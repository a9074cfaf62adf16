//! Rules that change columns on their way: masks, hashes, truncation, and the source's type beside the value.
//!
//! One rule applies to a column, the first that matches it, in Debezium's order of families. It is looked up when a
//! table is compiled, and becomes part of the column's decoder. Keys are not changed.

use connect::settings::Properties;
use connect::{Blob, TaskError, Text, Value};
use fancy_regex::Regex;
use md5::{Digest, Md5};
use pg::oid;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

use crate::filter;

/// What is done with a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// So many asterisks, whatever the value is.
    Mask(usize),
    Hash(Hash),
    /// At most so many characters or bytes.
    Truncate(usize),
    /// Type, length and scale become parameters of the field's schema.
    Propagate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash {
    algorithm: Algorithm,
    form: HashForm,
    salt: String,
}

/// What is hashed behind the salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HashForm {
    /// The value as Java serialises a string.
    Serialised,
    /// Its bytes.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512To224,
    Sha512To256,
}

/// Rules in the order in which they are asked.
#[derive(Debug, Default)]
pub struct ColumnMappers(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    patterns: Vec<Regex>,
    subject: Subject,
    mapping: Mapping,
}

/// What the patterns are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Column,
    Type,
}

/// What the rules know of a column.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub schema: &'a str,
    pub table: &'a str,
    pub column: &'a str,
    pub type_name: &'a str,
}

impl ColumnMappers {
    pub fn new(properties: &Properties) -> Result<Self, TaskError> {
        let mut ranked = vec![];
        for (name, value) in properties {
            if let Some(parsed) = parse(name) {
                let family = parsed.map_err(|error| TaskError::halt(format!("{name}: {error}")))?;
                let rule = Rule {
                    patterns: filter::compile(value)?,
                    subject: family.subject,
                    mapping: family.mapping,
                };
                ranked.push((family.rank, rule));
            }
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        Ok(Self(ranked.into_iter().map(|(_, rule)| rule).collect()))
    }

    pub fn of(&self, named: Named<'_>) -> Option<&Mapping> {
        if self.0.is_empty() {
            return None;
        }
        let Named { schema, table, column, type_name } = named;
        let name = format!("{schema}.{table}.{column}");
        // A type's name may stand by itself, or behind its table's.
        let types = [type_name.to_owned(), format!("{schema}.{table}.{type_name}")];
        let is_match = |pattern: &Regex, text: &str| pattern.is_match(text).unwrap_or(false);
        let rule = self.0.iter().find(|rule| {
            rule.patterns.iter().any(|pattern| match rule.subject {
                Subject::Column => is_match(pattern, &name),
                Subject::Type => types.iter().any(|text| is_match(pattern, text)),
            })
        });
        rule.map(|rule| &rule.mapping)
    }
}

/// What an option of one of the families means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    rank: u8,
    subject: Subject,
    mapping: Mapping,
}

/// Reads the name of an option; the error says what is wrong with it. `None`: it belongs to no family.
pub fn parse(name: &str) -> Option<Result<Family, String>> {
    let family = |rank, mapping| Ok(Family { rank, subject: Subject::Column, mapping });
    let length = |text: &str| text.strip_suffix(".chars").and_then(|digits| digits.parse::<usize>().ok());
    if let Some(rest) = name.strip_prefix("column.truncate.to.") {
        return Some(match length(rest).filter(|length| *length > 0) {
            Some(length) => family(0, Mapping::Truncate(length)),
            None => Err("the number of characters must be positive".to_owned()),
        });
    }
    if let Some(rest) = name.strip_prefix("column.mask.with.") {
        return Some(match length(rest) {
            Some(length) => family(1, Mapping::Mask(length)),
            None => Err("the number of characters is not a number".to_owned()),
        });
    }
    if let Some(rest) = name.strip_prefix("column.mask.hash.v2.") {
        return Some(hash(rest, HashForm::Plain).and_then(|hash| family(5, Mapping::Hash(hash))));
    }
    if let Some(rest) = name.strip_prefix("column.mask.hash.") {
        return Some(hash(rest, HashForm::Serialised).and_then(|hash| family(4, Mapping::Hash(hash))));
    }
    match name {
        "column.propagate.source.type" => Some(family(2, Mapping::Propagate)),
        "datatype.propagate.source.type" => {
            Some(Ok(Family { rank: 3, subject: Subject::Type, mapping: Mapping::Propagate }))
        }
        _ if name.starts_with("column.mask.") => Some(Err("no such form of column.mask".to_owned())),
        _ => None,
    }
}

/// `<algorithm>.with.salt.<salt>`.
fn hash(text: &str, form: HashForm) -> Result<Hash, String> {
    let (name, salt) = text.split_once(".with.salt.").ok_or("the form is <algorithm>.with.salt.<salt>")?;
    let algorithm = match name.to_ascii_uppercase().as_str() {
        "MD5" => Algorithm::Md5,
        "SHA-1" | "SHA1" | "SHA" => Algorithm::Sha1,
        "SHA-224" | "SHA224" => Algorithm::Sha224,
        "SHA-256" | "SHA256" => Algorithm::Sha256,
        "SHA-384" | "SHA384" => Algorithm::Sha384,
        "SHA-512" | "SHA512" => Algorithm::Sha512,
        "SHA-512/224" | "SHA512/224" => Algorithm::Sha512To224,
        "SHA-512/256" | "SHA512/256" => Algorithm::Sha512To256,
        _ => {
            return Err(format!(
                "{name} MessageDigest not available: there are MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, \
                 SHA-512/224 and SHA-512/256"
            ));
        }
    };
    Ok(Hash { algorithm, form, salt: salt.to_owned() })
}

/// The part of a rule that changes values, for one column.
#[derive(Clone, Debug)]
pub enum Change {
    Mask(Text),
    /// In hexadecimal digits, at most as many as the column takes.
    Hash(Hash, usize),
    Truncate(usize),
}

impl Change {
    /// `None`: the rule changes no value of such a column.
    pub fn new(mapping: &Mapping, base_oid: u32, is_enum: bool, length: i32) -> Option<Self> {
        // What Java's driver calls CHAR and VARCHAR.
        let is_text =
            is_enum || matches!(base_oid, oid::BPCHAR | oid::VARCHAR | oid::TEXT | oid::CHAR | oid::NAME);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match mapping {
            Mapping::Mask(count) if is_text => Some(Self::Mask("*".repeat(*count).into())),
            Mapping::Hash(hash) if is_text => Some(Self::Hash(hash.clone(), length)),
            Mapping::Truncate(max) if length > *max => Some(Self::Truncate(*max)),
            _ => None,
        }
    }

    /// The value in the place of this one.
    pub fn apply(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Mask(mask), _) => Value::String(mask.clone()),
            (Self::Hash(hash, length), Value::String(text)) => {
                let mut digits = hash.digits(&text);
                digits.truncate(*length);
                Value::String(digits.into())
            }
            (Self::Truncate(max), Value::String(text)) => Value::String(truncated(text, *max)),
            (Self::Truncate(max), Value::Bytes(bytes)) if bytes.len() > *max => {
                Value::Bytes(Blob::copy(&bytes[..*max]))
            }
            (_, value) => value,
        }
    }
}

/// Cut where a character ends: Java counts those beyond the basic plane as two, and would cut one in half.
fn truncated(text: Text, max: usize) -> Text {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > max {
            return Text::from(&text[..at]);
        }
    }
    text
}

impl Hash {
    fn digits(&self, text: &str) -> String {
        let bytes = match self.form {
            HashForm::Plain => text.as_bytes().to_vec(),
            HashForm::Serialised => serialised(text),
        };
        let parts = [self.salt.as_bytes(), bytes.as_slice()];
        match self.algorithm {
            Algorithm::Md5 => digest::<Md5>(parts),
            Algorithm::Sha1 => digest::<sha1::Sha1>(parts),
            Algorithm::Sha224 => digest::<Sha224>(parts),
            Algorithm::Sha256 => digest::<Sha256>(parts),
            Algorithm::Sha384 => digest::<Sha384>(parts),
            Algorithm::Sha512 => digest::<Sha512>(parts),
            Algorithm::Sha512To224 => digest::<Sha512_224>(parts),
            Algorithm::Sha512To256 => digest::<Sha512_256>(parts),
        }
    }
}

fn digest<D: Digest>(parts: [&[u8]; 2]) -> String {
    let mut hasher = D::new();
    parts.iter().for_each(|part| hasher.update(part));
    hex::encode(hasher.finalize())
}

/// A string as Java's ObjectOutputStream writes it: the stream's head, a tag, the length, modified UTF-8.
fn serialised(text: &str) -> Vec<u8> {
    let mut content = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match unit {
            0x01..=0x7f => content.push(unit as u8),
            0 | 0x80..=0x7ff => content.extend([0xc0 | (unit >> 6) as u8, 0x80 | (unit & 0x3f) as u8]),
            _ => content.extend([
                0xe0 | (unit >> 12) as u8,
                0x80 | (unit >> 6 & 0x3f) as u8,
                0x80 | (unit & 0x3f) as u8,
            ]),
        }
    }
    let mut out = vec![0xac, 0xed, 0x00, 0x05];
    match u16::try_from(content.len()) {
        Ok(length) => {
            out.push(0x74);
            out.extend(length.to_be_bytes());
        }
        Err(_) => {
            out.push(0x7c);
            out.extend((content.len() as u64).to_be_bytes());
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, length: i32) -> Change {
        let family = parse(name).expect("a family").expect("well formed");
        Change::new(&family.mapping, oid::VARCHAR, false, length).expect("changes text")
    }

    #[test]
    fn hashes_are_those_of_the_reference() {
        let older = change("column.mask.hash.SHA-256.with.salt.CzQMA0cB5K", 30);
        assert_eq!(older.apply(Value::text("Zoë")), Value::text("0d1bd5d4849ebff0fa32327ab1258b"));
        let newer = change("column.mask.hash.v2.SHA-256.with.salt.CzQMA0cB5K", 40);
        let expected = "9e879c617c3aa71f979146b734d47196771dbd91";
        assert_eq!(newer.apply(Value::text("s3cret")), Value::text(expected));
        assert_eq!(newer.apply(Value::Null), Value::Null);
    }

    #[test]
    fn masks_and_cuts() {
        assert_eq!(change("column.mask.with.3.chars", 9).apply(Value::Null), Value::text("***"));
        let cut = change("column.truncate.to.5.chars", 9);
        assert_eq!(cut.apply(Value::text("🙂🙂🙂")), Value::text("🙂🙂"));
        assert_eq!(cut.apply(Value::text("short")), Value::text("short"));
        assert_eq!(cut.apply(Value::Bytes(Blob::copy(b"123456"))), Value::Bytes(Blob::copy(b"12345")));
    }

    #[test]
    fn names_that_are_wrong() {
        for name in
            ["column.truncate.to.0.chars", "column.mask.with.x.chars", "column.mask.hash.NOPE.with.salt.x"]
        {
            assert!(parse(name).is_some_and(|family| family.is_err()), "{name}");
        }
        assert!(parse("column.include.list").is_none());
    }
}
