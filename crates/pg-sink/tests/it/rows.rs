//! Records as a source without envelopes sends them: a key struct, and a row or nothing.

use std::sync::Arc;

use connect::{Schema, SchemaBuilder, Value};

use crate::feed::Draft;

/// A topic with its schemas, made once.
#[derive(Clone)]
pub struct Topic {
    pub name: Arc<str>,
    key: Schema,
    row: Schema,
}

pub fn int() -> Schema {
    SchemaBuilder::int32().build()
}

pub fn optional_int() -> Schema {
    SchemaBuilder::int32().optional().build()
}

pub fn text() -> Schema {
    SchemaBuilder::string().optional().build()
}

impl Topic {
    /// The first column is the key.
    pub fn new(name: &str, columns: &[(&str, Schema)]) -> Self {
        let structure = |columns: &[(&str, Schema)]| {
            columns
                .iter()
                .fold(SchemaBuilder::structure(), |builder, (name, schema)| {
                    builder.field(*name, schema.clone())
                })
                .build()
        };
        Self { name: name.into(), key: structure(&columns[..1]), row: structure(columns) }
    }

    pub fn upsert(&self, values: Vec<Value>) -> Draft {
        Draft {
            topic: self.name.clone(),
            partition: 0,
            key: (Some(self.key.clone()), Value::Struct([values[0].clone()].into())),
            value: (Some(self.row.clone()), Value::Struct(values.into())),
            headers: vec![],
        }
    }

    pub fn delete(&self, key: impl Into<Value>) -> Draft {
        Draft {
            topic: self.name.clone(),
            partition: 0,
            key: (Some(self.key.clone()), Value::Struct([key.into()].into())),
            value: (None, Value::Null),
            headers: vec![],
        }
    }
}

impl Draft {
    pub fn in_partition(mut self, partition: i32) -> Self {
        self.partition = partition;
        self
    }
}
