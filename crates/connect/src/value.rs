//! The data of a record.

use crate::text::{Blob, Text};

/// One value, in Connect's types. A struct is positional: its field names are in the [`crate::Schema`] beside it.
///
/// Logical types travel as their base value (`Decimal` as unscaled big-endian bytes, `Timestamp` as `Int64`
/// milliseconds); the schema's name says which they are. [`Value::Date`] and [`Value::Decimal`] exist for data
/// without a schema only, where Connect knows them by their Java class.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Boolean(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(Text),
    Bytes(Blob),
    Array(Box<[Value]>),
    /// In the order of insertion (Java's `LinkedHashMap`).
    Map(Box<[(Value, Value)]>),
    Struct(Box<[Value]>),
    /// `java.util.Date` in schemaless data: milliseconds since the epoch.
    Date(i64),
    /// `BigDecimal` (or `BigInteger`, scale 0 and `integer`) in schemaless data.
    Decimal(Box<Decimal>),
}

/// An exact number without a schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// Two's complement, big-endian, shortest form.
    pub unscaled: Vec<u8>,
    pub scale: i32,
    /// Java's `BigInteger` rather than `BigDecimal`.
    pub integer: bool,
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::String(Text::from(text))
    }

    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub fn as_struct(&self) -> Option<&[Value]> {
        match self {
            Self::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// Any of the four integer types, widened.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int8(n) => Some(i64::from(*n)),
            Self::Int16(n) => Some(i64::from(*n)),
            Self::Int32(n) => Some(i64::from(*n)),
            Self::Int64(n) => Some(*n),
            _ => None,
        }
    }

    /// A copy that shares no buffer, for what outlives its batch (held changes, keys in flight).
    pub fn detached(&self) -> Self {
        match self {
            Self::String(text) => Self::String(text.detached()),
            Self::Bytes(bytes) => Self::Bytes(bytes.detached()),
            Self::Array(items) => Self::Array(items.iter().map(Self::detached).collect()),
            Self::Struct(fields) => Self::Struct(fields.iter().map(Self::detached).collect()),
            Self::Map(entries) => {
                Self::Map(entries.iter().map(|(key, value)| (key.detached(), value.detached())).collect())
            }
            other => other.clone(),
        }
    }

    /// Bytes on the heap that this value alone accounts for; a shared slice counts with its own length.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::String(text) if text.len() > crate::text::INLINE_LEN_MAX => text.len(),
            Self::Bytes(bytes) if bytes.len() > crate::text::INLINE_LEN_MAX => bytes.len(),
            Self::Array(items) | Self::Struct(items) => {
                items.iter().map(|item| size_of::<Self>() + item.heap_bytes()).sum()
            }
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| 2 * size_of::<Self>() + key.heap_bytes() + value.heap_bytes())
                .sum(),
            Self::Decimal(decimal) => size_of::<Decimal>() + decimal.unscaled.len(),
            _ => 0,
        }
    }
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),*) => {
        $(impl From<$from> for Value { fn from(value: $from) -> Self { Self::$variant(value.into()) } })*
    };
}
value_from!(bool => Boolean, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64, f32 => Float32, f64 => Float64,
    Text => String, &str => String, String => String, Blob => Bytes);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
