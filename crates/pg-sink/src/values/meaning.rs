//! What a schema says that a value is: the base type, refined by Connect's and Debezium's semantic names.

use connect::logical::{self, debezium};
use connect::{Kind, Schema};

use super::temporal::Unit;

/// Semantic types without a constant in the vocabulary.
const YEAR: &str = "io.debezium.time.Year";

#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    Boolean,
    /// Number of bits.
    Integer(u8),
    Float32,
    Float64,
    Text,
    Bytes,
    /// Connect's own or Debezium's: only the first kind is shifted by a zone.
    Date(Origin),
    Time(Unit, Origin),
    Timestamp(Unit, Origin),
    /// ISO text of a day.
    IsoDate,
    /// ISO text with an offset.
    ZonedTimestamp,
    ZonedTime,
    /// Unscaled bytes of this scale.
    Decimal {
        scale: i32,
    },
    /// A struct of scale and unscaled bytes, at these places.
    VariableDecimal {
        scale: usize,
        value: usize,
    },
    /// Microseconds.
    Duration,
    Bits {
        length: Option<usize>,
    },
    Json,
    Uuid,
    Xml,
    Enum,
    Ltree,
    Tsvector,
    /// A struct with x and y at these places.
    Point {
        x: usize,
        y: usize,
    },
    /// A struct with WKB bytes and perhaps a reference system at these places.
    Geometry {
        wkb: usize,
        srid: Option<usize>,
    },
    Array(Schema),
    Map,
    Struct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Connect,
    Debezium,
}

impl Meaning {
    /// A plain number that the settings call a timestamp.
    pub fn timestamp(unit: Unit) -> Self {
        Self::Timestamp(unit, Origin::Connect)
    }

    pub fn of(schema: &Schema) -> Self {
        match schema.kind() {
            Kind::Boolean => Self::Boolean,
            Kind::Int8 => Self::Integer(8),
            Kind::Int16 => Self::Integer(16),
            Kind::Int32 => integer32(schema),
            Kind::Int64 => integer64(schema),
            Kind::Float32 => Self::Float32,
            Kind::Float64 => Self::Float64,
            Kind::String => string(schema),
            Kind::Bytes => bytes(schema),
            Kind::Array(items) => Self::Array(items.clone()),
            Kind::Map { .. } => Self::Map,
            Kind::Struct(_) => structure(schema),
        }
    }
}

fn integer32(schema: &Schema) -> Meaning {
    match schema.name() {
        Some(logical::DATE) => Meaning::Date(Origin::Connect),
        Some(debezium::DATE) => Meaning::Date(Origin::Debezium),
        Some(logical::TIME) => Meaning::Time(Unit::Millis, Origin::Connect),
        Some(debezium::TIME) => Meaning::Time(Unit::Millis, Origin::Debezium),
        Some(YEAR) | None | Some(_) => Meaning::Integer(32),
    }
}

fn integer64(schema: &Schema) -> Meaning {
    match schema.name() {
        Some(logical::TIMESTAMP) => Meaning::Timestamp(Unit::Millis, Origin::Connect),
        Some(debezium::TIMESTAMP) => Meaning::Timestamp(Unit::Millis, Origin::Debezium),
        Some(debezium::MICRO_TIMESTAMP) => Meaning::Timestamp(Unit::Micros, Origin::Debezium),
        Some(debezium::NANO_TIMESTAMP) => Meaning::Timestamp(Unit::Nanos, Origin::Debezium),
        Some(debezium::MICRO_TIME) => Meaning::Time(Unit::Micros, Origin::Debezium),
        Some(debezium::NANO_TIME) => Meaning::Time(Unit::Nanos, Origin::Debezium),
        Some(debezium::MICRO_DURATION) => Meaning::Duration,
        _ => Meaning::Integer(64),
    }
}

fn string(schema: &Schema) -> Meaning {
    match schema.name() {
        Some(debezium::ZONED_TIMESTAMP | debezium::ISO_TIMESTAMP) => Meaning::ZonedTimestamp,
        Some(debezium::ISO_DATE) => Meaning::IsoDate,
        Some(debezium::ZONED_TIME) => Meaning::ZonedTime,
        Some(debezium::JSON) => Meaning::Json,
        Some(debezium::UUID) => Meaning::Uuid,
        Some(debezium::XML) => Meaning::Xml,
        Some(debezium::ENUM) => Meaning::Enum,
        Some(debezium::LTREE) => Meaning::Ltree,
        Some(debezium::TSVECTOR) => Meaning::Tsvector,
        _ => Meaning::Text,
    }
}

fn bytes(schema: &Schema) -> Meaning {
    match schema.name() {
        Some(logical::DECIMAL) => {
            logical::decimal_scale(schema).map_or(Meaning::Bytes, |scale| Meaning::Decimal { scale })
        }
        Some(debezium::BITS) => {
            Meaning::Bits { length: schema.parameter("length").and_then(|length| length.parse().ok()) }
        }
        _ => Meaning::Bytes,
    }
}

fn structure(schema: &Schema) -> Meaning {
    let at = |name: &str| schema.field_index(name);
    match schema.name() {
        Some(debezium::VARIABLE_SCALE_DECIMAL) => at("scale")
            .zip(at("value"))
            .map_or(Meaning::Struct, |(scale, value)| Meaning::VariableDecimal { scale, value }),
        Some(debezium::POINT) => {
            at("x").zip(at("y")).map_or(Meaning::Struct, |(x, y)| Meaning::Point { x, y })
        }
        Some(debezium::GEOMETRY | debezium::GEOGRAPHY) => {
            at("wkb").map_or(Meaning::Struct, |wkb| Meaning::Geometry { wkb, srid: at("srid") })
        }
        _ => Meaning::Struct,
    }
}
