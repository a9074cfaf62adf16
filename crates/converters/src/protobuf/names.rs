//! Words that Confluent's converter reads and writes, and names that Protobuf accepts.

use std::borrow::Cow;

use connect::{Kind, Schema};

use super::settings::Scrub;
use crate::registered::scrubbed;

/// Parameter of a string or number that is an enum: its name; each symbol has a parameter behind it with its number.
pub(super) const ENUM: &str = "io.confluent.connect.protobuf.Enum";
/// A struct of this name is a union; the name goes on with a dot and the union's own.
pub(super) const UNION: &str = "io.confluent.connect.protobuf.Union";
/// Parameter: a field's number.
pub(super) const TAG: &str = "io.confluent.connect.protobuf.Tag";
/// Parameter: a Protobuf type of the same Connect type (`sint32` and so on).
pub(super) const TYPE: &str = "io.confluent.connect.protobuf.Type";
pub(super) const DEFAULT_NAME: &str = "ConnectDefault";

pub(super) const CONNECT_TYPE: &str = "connect.type";
pub(super) const PRECISION: &str = "precision";
pub(super) const SCALE: &str = "scale";

pub(super) const DECIMAL: &str = "confluent.type.Decimal";
pub(super) const DATE: &str = "google.type.Date";
pub(super) const TIME_OF_DAY: &str = "google.type.TimeOfDay";
pub(super) const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// A wrapper message of Google's, by the type that it wraps.
pub(super) const WRAPPERS: [(&str, &str); 9] = [
    ("double", "google.protobuf.DoubleValue"),
    ("float", "google.protobuf.FloatValue"),
    ("int64", "google.protobuf.Int64Value"),
    ("uint64", "google.protobuf.UInt64Value"),
    ("int32", "google.protobuf.Int32Value"),
    ("uint32", "google.protobuf.UInt32Value"),
    ("bool", "google.protobuf.BoolValue"),
    ("string", "google.protobuf.StringValue"),
    ("bytes", "google.protobuf.BytesValue"),
];

/// The wrapper of a type; types with the same values share one.
pub(super) fn wrapper_of(word: &str) -> Option<&'static str> {
    let word = match word {
        "sint32" | "sfixed32" => "int32",
        "fixed32" => "uint32",
        "sint64" | "sfixed64" => "int64",
        "fixed64" => "uint64",
        other => other,
    };
    WRAPPERS.iter().find(|(wrapped, _)| *wrapped == word).map(|(_, wrapper)| *wrapper)
}

pub(super) fn is_wrapper(full_name: &str) -> bool {
    WRAPPERS.iter().any(|(_, wrapper)| *wrapper == full_name)
}

pub(super) fn is_union(schema: &Schema) -> bool {
    matches!(schema.kind(), Kind::Struct(_)) && schema.name().is_some_and(|name| name.starts_with(UNION))
}

impl Scrub {
    /// Percent-encoded, an `x` before a digit or an underscore, and everything else an underscore.
    pub(super) fn name(self, name: &str) -> Cow<'_, str> {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if self == Self::No || name.is_empty() || (starts_well && name.chars().all(is_word)) {
            return Cow::Borrowed(name);
        }
        let starts_badly = name.starts_with(|first: char| first.is_ascii_digit() || first == '_');
        Cow::Owned(scrubbed(name, starts_badly.then_some('x')))
    }
}

/// Package and simple name.
pub(super) fn split(full_name: &str) -> (Option<&str>, &str) {
    match full_name.rsplit_once('.') {
        Some((package, name)) => (Some(package), name),
        None => (None, full_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrubbed_names() {
        assert_eq!(Scrub::Yes.name("a-b"), "a_b");
        assert_eq!(Scrub::Yes.name("1a"), "x1a");
        assert_eq!(Scrub::Yes.name("_a"), "x_a");
        assert_eq!(Scrub::No.name("a-b"), "a-b");
    }
}
