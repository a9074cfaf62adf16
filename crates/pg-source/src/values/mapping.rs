//! Type of a column to Connect schema and decoder (spec: debezium.md §2).

use std::collections::HashMap;

use connect::logical::{self, debezium};
use connect::{Blob, Schema, SchemaBuilder, Text, Value};
use pg::catalog::{TypeInfo, TypeKind};
use pg::oid;

use super::decode::{Decoder, Unit};
use super::geometry;
use crate::settings::{BinaryMode, Compat, DecimalMode, HstoreMode, IntervalMode, TimeMode, ValueModes};

/// What became of a type.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// Required; the caller makes it optional.
    pub schema: SchemaBuilder,
    pub decoder: Decoder,
    /// Stands for NULL where the column is NOT NULL (old rows that have only their key).
    pub zero: Value,
    /// The type behind domains.
    pub base_oid: u32,
    pub typmod: i32,
}

/// Types by oid, as the catalogue has them.
pub type Types = HashMap<u32, TypeInfo>;

/// `None`: the type has no form in Connect, and the column is left out.
pub fn map_column(type_oid: u32, typmod: i32, types: &Types, modes: &ValueModes) -> Option<Mapped> {
    // Domains within domains end somewhere; the limit is for a catalogue that changes while it is read.
    const DOMAIN_DEPTH_MAX: usize = 32;
    let (mut base_oid, mut base_typmod) = (type_oid, typmod);
    for _ in 0..DOMAIN_DEPTH_MAX {
        let Some(TypeKind::Domain { base_oid: inner, typmod }) = types.get(&base_oid).map(|info| &info.kind)
        else {
            break;
        };
        base_oid = *inner;
        if *typmod != -1 {
            base_typmod = *typmod;
        }
    }
    let found = map_base(base_oid, base_typmod, types, modes);
    found
        .or_else(|| {
            let wanted = modes.unknown_types && !is_array_left_out(base_oid, types);
            wanted
                .then(|| if is_geometric(base_oid) { geometric(modes.binary) } else { unknown(modes.binary) })
        })
        .map(|(schema, decoder, zero)| Mapped { schema, decoder, zero, base_oid, typmod: base_typmod })
}

type Parts = (SchemaBuilder, Decoder, Value);

fn map_base(oid: u32, typmod: i32, types: &Types, modes: &ValueModes) -> Option<Parts> {
    if let Some(parts) = numbers(oid, typmod, modes).or_else(|| temporal(oid, typmod, modes)) {
        return Some(parts);
    }
    let named =
        |name: &'static str| (SchemaBuilder::string().name(name).version(1), Decoder::Text, EMPTY_TEXT);
    Some(match oid {
        oid::BOOL => (SchemaBuilder::boolean(), Decoder::Boolean, Value::Boolean(false)),
        oid::BPCHAR | oid::VARCHAR | oid::TEXT | oid::CHAR | oid::NAME => text(),
        oid::INET | oid::CIDR | oid::MACADDR | oid::MACADDR8 => text(),
        oid::INT4RANGE | oid::INT8RANGE | oid::NUMRANGE | oid::TSRANGE | oid::TSTZRANGE | oid::DATERANGE => {
            text()
        }
        oid::JSON | oid::JSONB => named(debezium::JSON),
        oid::XML => named(debezium::XML),
        oid::UUID => named(debezium::UUID),
        oid::TSVECTOR if modes.compat < Compat::V36 => return None,
        oid::TSVECTOR => named(debezium::TSVECTOR),
        oid::BYTEA => bytes(modes.binary),
        oid::POINT => (point_schema(), Decoder::Point, geometry::point_value(0.0, 0.0)),
        _ => return by_name(oid, typmod, types, modes),
    })
}

const EMPTY_TEXT: Value = Value::String(Text::EMPTY);

fn text() -> Parts {
    (SchemaBuilder::string(), Decoder::Text, EMPTY_TEXT)
}

fn bytes(mode: BinaryMode) -> Parts {
    match mode {
        BinaryMode::Bytes => (SchemaBuilder::bytes(), Decoder::Bytes(mode), Value::Bytes(Blob::EMPTY)),
        _ => (SchemaBuilder::string(), Decoder::Bytes(mode), EMPTY_TEXT),
    }
}

fn unknown(mode: BinaryMode) -> Parts {
    let (schema, _, zero) = bytes(mode);
    (schema, Decoder::Unknown(mode), zero)
}

/// Types that Java's driver parses and writes anew.
fn is_geometric(oid: u32) -> bool {
    matches!(oid, oid::LSEG | oid::PATH | oid::BOX | oid::POLYGON | oid::LINE | oid::CIRCLE)
}

fn geometric(mode: BinaryMode) -> Parts {
    let (schema, _, zero) = bytes(mode);
    (schema, Decoder::UnknownGeometry(mode), zero)
}

fn numbers(oid: u32, typmod: i32, modes: &ValueModes) -> Option<Parts> {
    Some(match oid {
        oid::INT2 => (SchemaBuilder::int16(), Decoder::Int16, Value::Int16(0)),
        oid::INT4 => (SchemaBuilder::int32(), Decoder::Int32, Value::Int32(0)),
        oid::INT8 | oid::OID => (SchemaBuilder::int64(), Decoder::Int64, Value::Int64(0)),
        oid::FLOAT4 => (SchemaBuilder::float32(), Decoder::Float32, Value::Float32(0.0)),
        oid::FLOAT8 => (SchemaBuilder::float64(), Decoder::Float64, Value::Float64(0.0)),
        oid::NUMERIC => numeric(typmod, modes.decimal),
        oid::MONEY => money(modes),
        oid::BIT | oid::VARBIT if typmod == 1 => {
            (SchemaBuilder::boolean(), Decoder::Bit, Value::Boolean(false))
        }
        oid::BIT | oid::VARBIT => {
            let length = if typmod < 0 { i32::MAX } else { typmod };
            let schema = SchemaBuilder::bytes()
                .name(debezium::BITS)
                .version(1)
                .parameter("length", length.to_string());
            (schema, Decoder::Bits, Value::Bytes(Blob::EMPTY))
        }
        _ => return None,
    })
}

/// Precision and scale of a `numeric`; the scale has 11 bits with a sign.
pub fn numeric_modifier(typmod: i32) -> Option<(i32, i32)> {
    let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
    Some((packed >> 16 & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024))
}

fn numeric(typmod: i32, mode: DecimalMode) -> Parts {
    match (mode, numeric_modifier(typmod)) {
        (DecimalMode::Double, _) => (SchemaBuilder::float64(), Decoder::DecimalDouble, Value::Float64(0.0)),
        (DecimalMode::String, Some((_, scale))) => {
            (SchemaBuilder::string(), Decoder::DecimalText, Value::String(zero_text(scale)))
        }
        (DecimalMode::String, None) => (SchemaBuilder::string(), Decoder::DecimalText, Value::text("0")),
        (DecimalMode::Precise, Some((precision, scale))) => (
            logical::decimal(scale).parameter(logical::PRECISION, precision.to_string()),
            Decoder::Decimal { scale },
            zero_bytes(),
        ),
        (DecimalMode::Precise, None) => (
            variable_decimal_schema(),
            Decoder::VariableDecimal,
            Value::Struct(Box::new([Value::Int32(0), zero_bytes()])),
        ),
    }
}

fn money(modes: &ValueModes) -> Parts {
    let scale = modes.money_digits;
    match modes.decimal {
        DecimalMode::Precise => (logical::decimal(scale), Decoder::Money { scale }, zero_bytes()),
        DecimalMode::Double => (SchemaBuilder::float64(), Decoder::MoneyDouble, Value::Float64(0.0)),
        DecimalMode::String => {
            (SchemaBuilder::string(), Decoder::MoneyText { scale }, Value::String(zero_text(scale)))
        }
    }
}

fn zero_bytes() -> Value {
    Value::Bytes(Blob::copy(&[0]))
}

fn zero_text(scale: i32) -> Text {
    pg::numeric::to_text(&[0], scale).into()
}

fn variable_decimal_schema() -> SchemaBuilder {
    SchemaBuilder::structure()
        .name(debezium::VARIABLE_SCALE_DECIMAL)
        .version(1)
        .doc("Variable scaled decimal")
        .field("scale", SchemaBuilder::int32().build())
        .field("value", SchemaBuilder::bytes().build())
}

fn point_schema() -> SchemaBuilder {
    SchemaBuilder::structure()
        .name(debezium::POINT)
        .version(1)
        .doc("Geometry (POINT)")
        .field("x", SchemaBuilder::float64().build())
        .field("y", SchemaBuilder::float64().build())
        .field("wkb", SchemaBuilder::bytes().optional().build())
        .field("srid", SchemaBuilder::int32().optional().build())
}

/// Digits of the fraction of a second that a type keeps.
pub fn fraction_digits(typmod: i32) -> u8 {
    u8::try_from(typmod).ok().filter(|digits| *digits <= 6).unwrap_or(6)
}

fn temporal(oid: u32, typmod: i32, modes: &ValueModes) -> Option<Parts> {
    let string = |name: &'static str, decoder, zero: &str| {
        (SchemaBuilder::string().name(name).version(1), decoder, Value::text(zero))
    };
    let int64 = |name: &'static str, decoder| {
        (SchemaBuilder::int64().name(name).version(1), decoder, Value::Int64(0))
    };
    let int32 = |name: &'static str, decoder| {
        (SchemaBuilder::int32().name(name).version(1), decoder, Value::Int32(0))
    };
    let coarse = fraction_digits(typmod) <= 3;
    Some(match (oid, modes.time) {
        (oid::DATE, TimeMode::Connect) => int32(logical::DATE, Decoder::Date),
        (oid::DATE, TimeMode::IsoString) => string(debezium::ISO_DATE, Decoder::DateIso, "1970-01-01Z"),
        (oid::DATE, _) => int32(debezium::DATE, Decoder::Date),
        (oid::TIME, TimeMode::Adaptive) if coarse => int32(debezium::TIME, Decoder::TimeMillis),
        (oid::TIME, TimeMode::Connect) => int32(logical::TIME, Decoder::TimeMillis),
        (oid::TIME, TimeMode::IsoString) => string(debezium::ISO_TIME, Decoder::TimeIso, "00:00:00Z"),
        (oid::TIME, TimeMode::Nanoseconds) => int64(debezium::NANO_TIME, Decoder::TimeNanos),
        (oid::TIME, _) => int64(debezium::MICRO_TIME, Decoder::TimeMicros),
        (oid::TIMESTAMP, TimeMode::Adaptive | TimeMode::AdaptiveTimeMicroseconds) if coarse => {
            int64(debezium::TIMESTAMP, Decoder::Timestamp(Unit::Millis))
        }
        (oid::TIMESTAMP, TimeMode::Connect) => int64(logical::TIMESTAMP, Decoder::Timestamp(Unit::Millis)),
        (oid::TIMESTAMP, TimeMode::IsoString) => {
            string(debezium::ISO_TIMESTAMP, Decoder::TimestampIso, "1970-01-01T00:00:00Z")
        }
        (oid::TIMESTAMP, TimeMode::Nanoseconds) => {
            int64(debezium::NANO_TIMESTAMP, Decoder::Timestamp(Unit::Nanos))
        }
        (oid::TIMESTAMP, _) => int64(debezium::MICRO_TIMESTAMP, Decoder::Timestamp(Unit::Micros)),
        (oid::TIMESTAMPTZ, _) if modes.compat == Compat::V19 => {
            string(debezium::ZONED_TIMESTAMP, Decoder::TimestampZonedShort, "1970-01-01T00:00:00Z")
        }
        (oid::TIMESTAMPTZ, _) => {
            let digits = fraction_digits(typmod);
            string(debezium::ZONED_TIMESTAMP, Decoder::TimestampZoned { digits }, "1970-01-01T00:00:00Z")
        }
        (oid::TIMETZ, _) => string(debezium::ZONED_TIME, Decoder::TimeZoned, "00:00:00Z"),
        (oid::INTERVAL, _) if modes.interval == IntervalMode::String => {
            string(debezium::INTERVAL, Decoder::IntervalIso, "P0Y0M0DT0H0M0S")
        }
        (oid::INTERVAL, _) => int64(debezium::MICRO_DURATION, Decoder::IntervalMicros),
        _ => return None,
    })
}

/// Types that have no fixed oid: enums, arrays, extensions.
fn by_name(oid: u32, typmod: i32, types: &Types, modes: &ValueModes) -> Option<Parts> {
    let info = types.get(&oid)?;
    let geometry = |name: &'static str, doc: &'static str| {
        let schema = SchemaBuilder::structure()
            .name(name)
            .version(1)
            .doc(doc)
            .field("wkb", SchemaBuilder::bytes().build())
            .field("srid", SchemaBuilder::int32().optional().build());
        // An empty GEOMETRYCOLLECTION.
        let empty = Blob::copy(&[1, 7, 0, 0, 0, 0, 0, 0, 0]);
        (schema, Decoder::Geometry, Value::Struct(Box::new([Value::Bytes(empty), Value::Null])))
    };
    let no_items = || Value::Array(Box::default());
    Some(match (&info.kind, info.name.as_str()) {
        (TypeKind::Enum(labels), _) => {
            let schema = SchemaBuilder::string()
                .name(debezium::ENUM)
                .version(1)
                .parameter("allowed", labels.join(","));
            (schema, Decoder::Text, EMPTY_TEXT)
        }
        (TypeKind::Array { element_oid }, _) => return array(*element_oid, typmod, types, modes),
        (TypeKind::Base, "citext" | "isbn") => text(),
        (TypeKind::Base, "ltree") => {
            (SchemaBuilder::string().name(debezium::LTREE).version(1), Decoder::Text, EMPTY_TEXT)
        }
        (TypeKind::Base, "hstore") => match modes.hstore {
            HstoreMode::Json => {
                let schema = SchemaBuilder::string().name(debezium::JSON).version(1);
                (schema, Decoder::HstoreJson, Value::text("{}"))
            }
            HstoreMode::Map => {
                let value = SchemaBuilder::string().optional().build();
                let schema = SchemaBuilder::map(SchemaBuilder::string().build(), value);
                (schema, Decoder::HstoreMap, Value::Map(Box::default()))
            }
        },
        (TypeKind::Base, "geometry") => geometry(debezium::GEOMETRY, "Geometry"),
        (TypeKind::Base, "geography") => geometry(debezium::GEOGRAPHY, "Geography"),
        (TypeKind::Base, "vector" | "halfvec" | "sparsevec") if modes.compat < Compat::V30 => return None,
        (TypeKind::Base, "vector") => {
            let schema = SchemaBuilder::array(SchemaBuilder::float64().build());
            (schema.name(debezium::DOUBLE_VECTOR).version(1), Decoder::Vector, no_items())
        }
        (TypeKind::Base, "halfvec") => {
            let schema = SchemaBuilder::array(SchemaBuilder::float32().build());
            (schema.name(debezium::FLOAT_VECTOR).version(1), Decoder::HalfVector, no_items())
        }
        (TypeKind::Base, "sparsevec") => {
            let map = SchemaBuilder::map(SchemaBuilder::int16().build(), SchemaBuilder::float64().build());
            let schema = SchemaBuilder::structure()
                .name(debezium::SPARSE_DOUBLE_VECTOR)
                .version(1)
                .doc("Sparse double vector")
                .field("dimensions", SchemaBuilder::int16().build())
                .field("vector", map.build());
            let zero = Value::Struct(Box::new([Value::Int16(0), Value::Map(Box::default())]));
            (schema, Decoder::SparseVector, zero)
        }
        _ => return None,
    })
}

/// Element types whose arrays Debezium leaves out although it knows the element.
const NO_ARRAYS: &[u32] =
    &[oid::MONEY, oid::NAME, oid::INTERVAL, oid::VARBIT, oid::XML, oid::POINT, oid::TSVECTOR];

fn is_array_left_out(oid: u32, types: &Types) -> bool {
    matches!(types.get(&oid).map(|info| &info.kind), Some(TypeKind::Array { element_oid }) if NO_ARRAYS.contains(element_oid))
}

fn array(element_oid: u32, typmod: i32, types: &Types, modes: &ValueModes) -> Option<Parts> {
    let info = types.get(&element_oid)?;
    if element_oid == oid::BYTEA && modes.compat == Compat::V19 {
        return None;
    }
    if modes.unknown_types && matches!(info.kind, TypeKind::Domain { .. }) {
        let (schema, decoder, _) = unknown(modes.binary);
        let decoder = Decoder::Array { element: Box::new(decoder), delimiter: info.delimiter };
        let schema = SchemaBuilder::array(schema.optional().build());
        return Some((schema, decoder, Value::Array(Box::default())));
    }
    if NO_ARRAYS.contains(&element_oid)
        || matches!(info.kind, TypeKind::Domain { .. } | TypeKind::Array { .. })
    {
        return None;
    }
    let (schema, decoder, _) = map_base(element_oid, typmod, types, modes)?;
    let items: Schema = schema.optional().build();
    let decoder = Decoder::Array { element: Box::new(decoder), delimiter: info.delimiter };
    Some((SchemaBuilder::array(items), decoder, Value::Array(Box::default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_modifiers() {
        assert_eq!(numeric_modifier(-1), None);
        assert_eq!(numeric_modifier((5 << 16 | 2) + 4), Some((5, 2)));
        assert_eq!(numeric_modifier((3 << 16 | (-2 & 0x7ff)) + 4), Some((3, -2)));
    }
}

/// Modes as they are when nothing is configured.
#[cfg(test)]
pub(super) mod tests_support {
    use crate::settings::ValueModes;

    pub fn modes() -> ValueModes {
        let properties = [
            ("topic.prefix", "p"),
            ("database.hostname", "h"),
            ("database.user", "u"),
            ("database.dbname", "d"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
        crate::settings::parse(&properties).expect("the defaults are valid").values
    }
}
