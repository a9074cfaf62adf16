//! Names of semantic types, Connect's own and Debezium's, and the schemas of Connect's.

use crate::schema::{Schema, SchemaBuilder};

pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
pub const DATE: &str = "org.apache.kafka.connect.data.Date";
pub const TIME: &str = "org.apache.kafka.connect.data.Time";
pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
/// Parameter of [`DECIMAL`].
pub const SCALE: &str = "scale";
/// Second parameter that Debezium gives to [`DECIMAL`].
pub const PRECISION: &str = "connect.decimal.precision";

/// Semantic types of Debezium (spec: debezium.md §2).
pub mod debezium {
    pub const DATE: &str = "io.debezium.time.Date";
    pub const TIME: &str = "io.debezium.time.Time";
    pub const MICRO_TIME: &str = "io.debezium.time.MicroTime";
    pub const NANO_TIME: &str = "io.debezium.time.NanoTime";
    pub const TIMESTAMP: &str = "io.debezium.time.Timestamp";
    pub const MICRO_TIMESTAMP: &str = "io.debezium.time.MicroTimestamp";
    pub const NANO_TIMESTAMP: &str = "io.debezium.time.NanoTimestamp";
    pub const ZONED_TIMESTAMP: &str = "io.debezium.time.ZonedTimestamp";
    pub const ZONED_TIME: &str = "io.debezium.time.ZonedTime";
    pub const MICRO_DURATION: &str = "io.debezium.time.MicroDuration";
    pub const INTERVAL: &str = "io.debezium.time.Interval";
    pub const ISO_DATE: &str = "io.debezium.time.IsoDate";
    pub const ISO_TIME: &str = "io.debezium.time.IsoTime";
    pub const ISO_TIMESTAMP: &str = "io.debezium.time.IsoTimestamp";
    pub const BITS: &str = "io.debezium.data.Bits";
    pub const ENUM: &str = "io.debezium.data.Enum";
    pub const JSON: &str = "io.debezium.data.Json";
    pub const XML: &str = "io.debezium.data.Xml";
    pub const UUID: &str = "io.debezium.data.Uuid";
    pub const LTREE: &str = "io.debezium.data.Ltree";
    pub const TSVECTOR: &str = "io.debezium.data.Tsvector";
    pub const VARIABLE_SCALE_DECIMAL: &str = "io.debezium.data.VariableScaleDecimal";
    pub const POINT: &str = "io.debezium.data.geometry.Point";
    pub const GEOMETRY: &str = "io.debezium.data.geometry.Geometry";
    pub const GEOGRAPHY: &str = "io.debezium.data.geometry.Geography";
    pub const DOUBLE_VECTOR: &str = "io.debezium.data.DoubleVector";
    pub const FLOAT_VECTOR: &str = "io.debezium.data.FloatVector";
    pub const SPARSE_DOUBLE_VECTOR: &str = "io.debezium.data.SparseDoubleVector";
}

/// `Decimal` of a scale: unscaled two's complement bytes.
pub fn decimal(scale: i32) -> SchemaBuilder {
    SchemaBuilder::bytes().name(DECIMAL).version(1).parameter(SCALE, scale.to_string())
}

/// Days since the epoch.
pub fn date() -> SchemaBuilder {
    SchemaBuilder::int32().name(DATE).version(1)
}

/// Milliseconds of the day.
pub fn time() -> SchemaBuilder {
    SchemaBuilder::int32().name(TIME).version(1)
}

/// Milliseconds since the epoch.
pub fn timestamp() -> SchemaBuilder {
    SchemaBuilder::int64().name(TIMESTAMP).version(1)
}

/// The scale of a `Decimal` schema; `None` when it is another schema or the parameter is no number.
pub fn decimal_scale(schema: &Schema) -> Option<i32> {
    (schema.name() == Some(DECIMAL)).then(|| schema.parameter(SCALE)?.parse().ok()).flatten()
}
