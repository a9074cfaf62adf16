//! Words that Confluent's converter reads and writes, and names that Avro accepts.

use std::borrow::Cow;

use crate::registered::scrubbed;

pub(super) const NAMESPACE: &str = "io.confluent.connect.avro";
pub(super) const DEFAULT_NAME: &str = "ConnectDefault";
pub(super) const DEFAULT_FULL_NAME: &str = "io.confluent.connect.avro.ConnectDefault";
pub(super) const MAP_ENTRY: &str = "MapEntry";
pub(super) const KEY: &str = "key";
pub(super) const VALUE: &str = "value";
/// A struct of this name is a union; each field is a branch.
pub(super) const UNION: &str = "io.confluent.connect.avro.Union";

pub(super) const CONNECT_DOC: &str = "connect.doc";
pub(super) const CONNECT_VERSION: &str = "connect.version";
pub(super) const CONNECT_PARAMETERS: &str = "connect.parameters";
pub(super) const CONNECT_DEFAULT: &str = "connect.default";
pub(super) const CONNECT_NAME: &str = "connect.name";
pub(super) const CONNECT_TYPE: &str = "connect.type";
pub(super) const CONNECT_INTERNAL_TYPE: &str = "connect.internal.type";
pub(super) const CONNECT_FIXED_SIZE: &str = "connect.fixed.size";
pub(super) const LOGICAL_TYPE: &str = "logicalType";
pub(super) const PRECISION: &str = "precision";
pub(super) const SCALE: &str = "scale";
/// Precision of a decimal whose schema names none.
pub(super) const PRECISION_DEFAULT: i32 = 64;

/// Parameters of this prefix are copied to the Avro schema as they are.
pub(super) const AVRO_PREFIX: &str = "avro";
pub(super) const ENUM: &str = "io.confluent.connect.avro.Enum";
pub(super) const RECORD_DOC: &str = "io.confluent.connect.avro.record.doc";
pub(super) const FIELD_DOC: &str = "io.confluent.connect.avro.field.doc.";
pub(super) const ENUM_DOC: &str = "io.confluent.connect.avro.enum.doc.";
pub(super) const ENUM_DEFAULT: &str = "io.confluent.connect.avro.enum.default.";
/// Marks a default that stood in the Avro field only.
pub(super) const FIELD_DEFAULT: &str = "io.confluent.connect.avro.field.default";

/// What is done about names that Avro does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scrub {
    /// They are an error.
    No,
    /// They are rewritten.
    Yes,
}

pub(super) fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Scrub {
    /// A single name: percent-encoded, an `x` before a digit, and everything else an underscore.
    pub(super) fn name(self, name: &str) -> Cow<'_, str> {
        if self == Self::No || is_valid(name) || name.is_empty() {
            return Cow::Borrowed(name);
        }
        Cow::Owned(scrubbed(name, name.starts_with(|first: char| first.is_ascii_digit()).then_some('x')))
    }

    /// A name with dots: each part by itself.
    pub(super) fn full_name(self, name: &str) -> Cow<'_, str> {
        if self == Self::No || name.split('.').all(is_valid) {
            return Cow::Borrowed(name);
        }
        Cow::Owned(name.split('.').map(|part| self.name(part)).collect::<Vec<_>>().join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrubbed_names() {
        assert_eq!(Scrub::Yes.full_name("my-server.public.t"), "my_server.public.t");
        assert_eq!(Scrub::Yes.name("1c"), "x1c");
        assert_eq!(Scrub::Yes.name("a b"), "a_b");
        assert_eq!(Scrub::Yes.name("é"), "_C3_A9");
        assert_eq!(Scrub::No.name("a-b"), "a-b");
    }
}
