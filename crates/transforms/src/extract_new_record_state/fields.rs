//! `add.fields` and `add.headers`: where in the envelope a value lies, and under which name it is added.

use connect::{Kind, Schema, SchemaBuilder, Value};

const OF_TRANSACTION: [&str; 3] = ["id", "total_order", "data_collection_order"];
const OF_ENVELOPE: [&str; 8] = ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"];

/// One entry of the list: `op`, `source.table`, `transaction.id:tx`.
#[derive(Debug)]
pub(super) struct FieldReference {
    /// The struct within the envelope; `None` is the envelope itself.
    parent: Option<String>,
    pub(super) field: String,
    pub(super) new_name: String,
    valid: bool,
}

/// A reference, found in a schema.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub new_name: String,
    place: Place,
    /// The field's schema, optional and without a default.
    pub schema: Schema,
    /// The copied schema is not the one that a struct in that place has: Connect refuses it.
    pub mismatched_struct: bool,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Envelope(usize),
    Inside(usize, usize),
}

impl FieldReference {
    pub(super) fn parse(item: &str, prefix: &str) -> Self {
        let (path, alias) =
            item.split_once(':').map_or((item, ""), |(path, alias)| (path.trim(), alias.trim()));
        let parts: Vec<&str> = path.split('.').map(str::trim).collect();
        let (parent, field, default_name) = match parts[..] {
            [field] if OF_ENVELOPE.contains(&field) => (None, field, field.to_owned()),
            [field] if OF_TRANSACTION.contains(&field) => (Some("transaction"), field, field.to_owned()),
            [field] => (Some("source"), field, field.to_owned()),
            [parent, field, ..] => (Some(parent), field, format!("{parent}_{field}")),
            [] => (None, "", String::new()),
        };
        let name = if alias.is_empty() { &default_name } else { alias };
        Self {
            parent: parent.map(str::to_owned),
            field: field.to_owned(),
            new_name: format!("{prefix}{name}"),
            valid: parts.len() <= 2,
        }
    }

    /// `Ok(None)`: the envelope has no such field, nothing is added.
    pub(super) fn find(&self, envelope: &Schema) -> Result<Option<Source>, String> {
        let unknown = || format!("the envelope has no struct that field reference {} names", self.field);
        if !self.valid {
            return Err(unknown());
        }
        let (place, schema) = match &self.parent {
            None => match envelope.field_index(&self.field) {
                Some(index) => (Place::Envelope(index), &envelope.fields()[index].schema),
                None => return Ok(None),
            },
            Some(parent) => {
                let outer = envelope.field_index(parent).ok_or_else(unknown)?;
                let parent = &envelope.fields()[outer].schema;
                match parent.field_index(&self.field) {
                    Some(inner) => (Place::Inside(outer, inner), &parent.fields()[inner].schema),
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(Source {
            new_name: self.new_name.clone(),
            place,
            schema: optional_copy(schema),
            mismatched_struct: matches!(schema.kind(), Kind::Struct(_)) && !schema.is_optional(),
        }))
    }
}

impl Source {
    pub(super) fn value(&self, envelope: &[Value]) -> Value {
        match self.place {
            Place::Envelope(index) => envelope[index].clone(),
            Place::Inside(outer, inner) => {
                envelope[outer].as_struct().map_or(Value::Null, |fields| fields[inner].clone())
            }
        }
    }
}

fn optional_copy(schema: &Schema) -> Schema {
    let mut builder = SchemaBuilder::new(schema.kind().clone()).optional();
    if let Some(name) = schema.name() {
        builder = builder.name(name);
    }
    if let Some(version) = schema.version() {
        builder = builder.version(version);
    }
    if let Some(doc) = schema.doc() {
        builder = builder.doc(doc);
    }
    for (name, value) in schema.parameters() {
        builder = builder.parameter(name.clone(), value.clone());
    }
    builder.build()
}
