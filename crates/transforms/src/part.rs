//! The two halves of a record that a transform class can be for: `…$Key` and `…$Value`.

use connect::{Record, Schema, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
}

impl Part {
    pub(crate) fn of(self, record: &Record) -> (Option<&Schema>, &Value) {
        match self {
            Self::Key => (record.key_schema.as_ref(), &record.key),
            Self::Value => (record.value_schema.as_ref(), &record.value),
        }
    }

    pub(crate) fn of_mut(self, record: &mut Record) -> (&mut Option<Schema>, &mut Value) {
        match self {
            Self::Key => (&mut record.key_schema, &mut record.key),
            Self::Value => (&mut record.value_schema, &mut record.value),
        }
    }
}
