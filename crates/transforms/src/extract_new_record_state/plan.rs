//! What depends on the envelope's schema only: indexes, output schemas, where added values come from.

use connect::{Field, Kind, Schema, SchemaBuilder, Value};

use super::fields::Source;
use super::settings::{DeleteAction, Settings};
use crate::envelope::is_envelope;

const DELETED_FIELD: &str = "__deleted";

/// `None` in the cache: the record is no change event and passes unchanged.
pub(super) struct Plan {
    pub before: usize,
    pub after: usize,
    /// The row's schema as the envelope has it: optional.
    pub row: Schema,
    /// The row's schema as an unwrapped record has it.
    pub required_row: Schema,
    /// `None`: rows are passed on as they are. `Some(Err)`: only records that need the new schema fail.
    pub copied: Option<Result<Copy, String>>,
    pub headers: Result<Vec<Source>, String>,
    /// Index of the routing field in the row; an error where it is missing or no string.
    pub route: Option<Result<usize, String>>,
}

/// How a row is copied into a struct of another schema.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub schema: Schema,
    /// For each field of the row that stays: its index, and what a null becomes.
    kept: Vec<(usize, Option<Value>)>,
    marks_deletes: bool,
    added: Vec<Source>,
}

impl Plan {
    pub(super) fn new(envelope: &Schema, settings: &Settings) -> Option<Self> {
        if !is_envelope(envelope) {
            return None;
        }
        let (before, after) = (envelope.field_index("before")?, envelope.field_index("after")?);
        let row = envelope.fields()[after].schema.clone();
        let copies = settings.deletes == DeleteAction::Rewrite || !settings.add_fields.is_empty();
        let sources = |list: &[super::fields::FieldReference]| {
            let found: Result<Vec<_>, String> = list.iter().map(|it| it.find(envelope)).collect();
            found.map(|sources| sources.into_iter().flatten().collect::<Vec<_>>())
        };
        let copied = copies.then(|| Copy::new(&row, &[], sources(&settings.add_fields)?, settings));
        let route = settings.route_by_field.as_deref().map(|name| match row.field(name) {
            None => Err(format!("{name} is not a valid field name")),
            Some(field) if !matches!(field.schema.kind(), Kind::String) => {
                Err(format!("Field '{name}' is not of type STRING"))
            }
            Some(_) => Ok(row.field_index(name).unwrap_or_default()),
        });
        Some(Self {
            before,
            after,
            required_row: row.to_builder().required().build(),
            row,
            copied,
            headers: sources(&settings.add_headers),
            route,
        })
    }
}

impl Copy {
    /// A copy of rows of `row` without the fields in `dropped`.
    pub(super) fn new(
        row: &Schema,
        dropped: &[usize],
        added: Vec<Source>,
        settings: &Settings,
    ) -> Result<Self, String> {
        let mut kept = vec![];
        let mut fields: Vec<Field> = vec![];
        for (index, field) in row.fields().iter().enumerate().filter(|(index, _)| !dropped.contains(index)) {
            let default = settings.nulls.default_of(&field.schema);
            kept.push((index, default.cloned()));
            fields.push(field.clone());
        }
        let marks_deletes = settings.deletes == DeleteAction::Rewrite;
        let mut extra = vec![];
        if marks_deletes {
            extra.push((DELETED_FIELD, SchemaBuilder::string().optional().build()));
        }
        extra.extend(added.iter().map(|source| (source.new_name.as_str(), source.schema.clone())));
        for (name, schema) in extra {
            if fields.iter().any(|field| &*field.name == name) {
                return Err(format!("Cannot create field because of field name duplication {name}"));
            }
            fields.push(Field { name: name.into(), schema });
        }
        let schema = row.to_builder().required().fields(fields).build();
        Ok(Self { schema, kept, marks_deletes, added })
    }

    /// As a plain copy that adds and marks nothing.
    pub(super) fn without_additions(schema: &Schema, dropped: &[usize]) -> Self {
        let kept = (0..schema.fields().len()).filter(|index| !dropped.contains(index));
        let fields = kept.clone().map(|index| schema.fields()[index].clone()).collect();
        Self {
            schema: schema.to_builder().fields(fields).build(),
            kept: kept.map(|index| (index, None)).collect(),
            marks_deletes: false,
            added: vec![],
        }
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        self.added.clone()
    }

    /// Values to add; read before the row is moved out of the envelope.
    pub(super) fn added_values(&self, envelope: &[Value]) -> Result<Vec<Value>, String> {
        let value = |source: &Source| {
            let value = source.value(envelope);
            if source.mismatched_struct && !value.is_null() {
                return Err("Struct schemas do not match.".to_owned());
            }
            Ok(value)
        };
        self.added.iter().map(value).collect()
    }

    pub(super) fn apply(&self, row: &mut [Value], deleted: &str, added: Vec<Value>) -> Value {
        let mut fields = Vec::with_capacity(self.schema.fields().len());
        for (index, default) in &self.kept {
            let value = std::mem::take(&mut row[*index]);
            fields.push(match default {
                Some(default) if value.is_null() => default.clone(),
                _ => value,
            });
        }
        if self.marks_deletes {
            fields.push(Value::text(deleted));
        }
        fields.extend(added);
        Value::Struct(fields.into_boxed_slice())
    }
}
