//! Debezium's change events, by the name of their schema.

use connect::Schema;

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
