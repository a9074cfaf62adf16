//! `replace.null.with.default`: what a null becomes in a field that has a default.

use connect::settings::{Importance, Resolved, Row, row};
use connect::{Schema, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nulls {
    ReplacedByDefault,
    Kept,
}

/// Indexes of fields, and what a null becomes there.
pub(crate) type Defaults = Box<[(usize, Value)]>;

const OPTION: &str = "replace.null.with.default";

impl Nulls {
    pub(crate) fn row() -> Row {
        row(OPTION)
            .boolean()
            .default("true")
            .importance(Importance::Medium)
            .doc("Whether a null in a field with a default becomes that default.")
    }

    pub(crate) fn of(resolved: &Resolved) -> Self {
        if resolved.boolean(OPTION) { Self::ReplacedByDefault } else { Self::Kept }
    }

    /// What a null under this schema becomes.
    pub(crate) fn default_of(self, schema: &Schema) -> Option<&Value> {
        schema.default().filter(|_| self == Self::ReplacedByDefault)
    }

    pub(crate) fn defaults_of(self, schema: &Schema) -> Defaults {
        let fields = schema.fields().iter().enumerate();
        fields.filter_map(|(index, field)| Some((index, self.default_of(&field.schema)?.clone()))).collect()
    }
}

pub(crate) fn fill(fields: &mut [Value], defaults: &Defaults) {
    for (index, default) in defaults {
        if fields[*index].is_null() {
            fields[*index] = default.clone();
        }
    }
}
