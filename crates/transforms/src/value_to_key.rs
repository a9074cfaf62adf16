//! `org.apache.kafka.connect.transforms.ValueToKey`: a key of fields of the value.

use std::collections::HashSet;

use connect::settings::{Definition, Importance, Properties, row};
use connect::{Field, Record, Schema, SchemaBuilder, TaskError, Transform, Value, Verdict};

use crate::nulls::Nulls;
use crate::schema_cache::SchemaCache;
use crate::{options, shape};

const PURPOSE: &str = "copying fields from value to key";

pub(crate) struct ValueToKey {
    fields: Vec<String>,
    nulls: Nulls,
    plans: SchemaCache<Result<Plan, String>>,
}

struct Plan {
    schema: Schema,
    /// Index of each field of the key in the value, and what a null becomes.
    sources: Vec<(usize, Option<Value>)>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("fields")
            .list()
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::names, "fields"))
            .doc("Fields of the value that make up the key."),
        Nulls::row(),
    ])
}

impl ValueToKey {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let mut fields = resolved.list("fields").to_vec();
        // Kafka's lists of names hold each one once.
        let mut seen = HashSet::new();
        fields.retain(|name| seen.insert(name.clone()));
        Ok(Self { fields, nulls: Nulls::of(&resolved), plans: SchemaCache::default() })
    }
}

impl Transform for ValueToKey {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { fields: names, nulls, plans } = self;
        let Some(schema) = &record.value_schema else {
            let entries = shape::entries_of(&mut record.value, PURPOSE)?;
            let field =
                |name: &String| (Value::text(name), shape::entry(entries, name).cloned().unwrap_or_default());
            let mut key = shape::Entries::default();
            shape::put_entries(&mut key, names.iter().map(field));
            record.key = Value::Map(key);
            record.key_schema = None;
            return Ok(Verdict::Keep);
        };
        let fields = shape::fields_of(&mut record.value, PURPOSE)?;
        let plan = plans.get_or_compile(schema, |schema| Plan::new(schema, names, *nulls));
        let plan = shape::planned(plan)?;
        let key = plan.sources.iter().map(|(index, default)| match (&fields[*index], default) {
            (Value::Null, Some(default)) => default.clone(),
            (value, _) => value.clone(),
        });
        record.key = Value::Struct(key.collect());
        record.key_schema = Some(plan.schema.clone());
        Ok(Verdict::Keep)
    }
}

impl Plan {
    fn new(value: &Schema, names: &[String], nulls: Nulls) -> Result<Self, String> {
        let mut fields: Vec<Field> = vec![];
        let mut sources = vec![];
        for name in names {
            let index = value.field_index(name).ok_or_else(|| format!("Field does not exist: {name}"))?;
            let field = &value.fields()[index];
            fields.push(field.clone());
            sources.push((index, nulls.default_of(&field.schema).cloned()));
        }
        shape::check_unique(&fields)?;
        Ok(Self { schema: SchemaBuilder::structure().fields(fields).build(), sources })
    }
}
