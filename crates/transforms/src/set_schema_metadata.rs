//! `org.apache.kafka.connect.transforms.SetSchemaMetadata`: another name or version for a schema.
//!
//! Connect fails on every schema but a struct's since 4.x; ours does not (docs/compatibility.md).

use connect::settings::{Definition, Importance, Properties, row};
use connect::{Record, Schema, TaskError, Transform, Value, Verdict};

use crate::nulls::{self, Defaults, Nulls};
use crate::options;
use crate::part::Part;
use crate::schema_cache::SchemaCache;

pub(crate) struct SetSchemaMetadata {
    part: Part,
    name: Option<String>,
    version: Option<i32>,
    nulls: Nulls,
    plans: SchemaCache<(Schema, Defaults)>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("schema.name").importance(Importance::High).doc("New name of the schema."),
        row("schema.version").int().importance(Importance::High).doc("New version of the schema."),
        Nulls::row(),
    ])
}

impl SetSchemaMetadata {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let name = resolved.text("schema.name").map(str::to_owned);
        let version = properties.get("schema.version").and_then(|text| text.trim().parse().ok());
        if name.is_none() && version.is_none() {
            return Err(vec!["Neither schema name nor version configured".to_owned()]);
        }
        Ok(Self { part, name, version, nulls: Nulls::of(&resolved), plans: SchemaCache::default() })
    }
}

impl Transform for SetSchemaMetadata {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { part, name, version, nulls, plans } = self;
        let (schema, value) = part.of_mut(record);
        let Some(input) = schema.as_ref() else {
            return match value {
                Value::Null => Ok(Verdict::Keep),
                _ => Err(TaskError::reject("Schema required for [updating schema metadata]")),
            };
        };
        let (updated, defaults) = plans.get_or_compile(input, |input| {
            let mut builder = input.to_builder();
            if let Some(name) = name {
                builder = builder.name(name.as_str());
            }
            if let Some(version) = version {
                builder = builder.version(*version);
            }
            (builder.build(), nulls.defaults_of(input))
        });
        if let Value::Struct(fields) = value {
            nulls::fill(fields, defaults);
        }
        *schema = Some(updated.clone());
        Ok(Verdict::Keep)
    }
}
