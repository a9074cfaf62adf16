//! Debezium's change events, by the name of their schema.

use connect::{Schema, Value};

use crate::nulls::{self, Defaults, Nulls};

const SUFFIX: &str = ".Envelope";

pub(crate) const OPERATION: &str = "op";
pub(crate) const BEFORE: &str = "before";
pub(crate) const AFTER: &str = "after";
pub(crate) const SOURCE: &str = "source";
pub(crate) const TS_MS: &str = "ts_ms";

/// Whether the value is a change event; other records pass Debezium's transforms unchanged.
pub(crate) fn is_envelope(schema: &Schema) -> bool {
    schema.name().is_some_and(|name| name.ends_with(SUFFIX))
}

/// What surrounds the rows: where Debezium copies an event, nulls there become their defaults. In rows they stay nulls,
/// which Debezium's copies do not see to (docs/compatibility.md).
pub(crate) struct Surroundings(Vec<(usize, Defaults)>);

impl Surroundings {
    pub(crate) fn of(schema: &Schema) -> Self {
        let structs = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| is_envelope(schema) && ![BEFORE, AFTER].contains(&&*field.name));
        let defaults =
            structs.map(|(index, field)| (index, Nulls::ReplacedByDefault.defaults_of(&field.schema)));
        Self(defaults.filter(|(_, defaults)| !defaults.is_empty()).collect())
    }

    pub(crate) fn fill(&self, value: &mut Value) {
        let Value::Struct(fields) = value else { return };
        for (index, defaults) in &self.0 {
            if let Value::Struct(inner) = &mut fields[*index] {
                nulls::fill(inner, defaults);
            }
        }
    }
}
