//! `org.apache.kafka.connect.transforms.Cast`: values as another primitive type, by Java's rules.
//!
//! Times become text in UTC; Connect prints the process's time zone with a literal `Z` (docs/compatibility.md).

mod settings; // `spec`
mod convert; // one value

use connect::settings::Properties;
use connect::{Field, Kind, Record, Schema, TaskError, Transform, Value, Verdict};

use crate::nulls::{self, Defaults, Nulls};
use crate::part::Part;
use crate::schema_cache::SchemaCache;
use crate::shape;
use convert::{Reading, convert};
pub(crate) use settings::definition;
use settings::{Casts, Settings, Target};

const PURPOSE: &str = "cast types";

pub(crate) struct Cast {
    part: Part,
    settings: Settings,
    plans: SchemaCache<Result<Plan, String>>,
}

struct Plan {
    schema: Schema,
    step: Step,
}

enum Step {
    Whole(Reading, Target),
    Fields { casts: Vec<(usize, Reading, Target)>, defaults: Defaults },
}

impl Cast {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        Ok(Self { part, settings: Settings::new(properties)?, plans: SchemaCache::default() })
    }
}

impl Transform for Cast {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (schema, value) = self.part.of_mut(record);
        if value.is_null() {
            return Ok(Verdict::Keep);
        }
        let settings = &self.settings;
        let Some(input) = schema.as_ref() else {
            apply_schemaless(settings, value)?;
            return Ok(Verdict::Keep);
        };
        let plan = shape::planned(self.plans.get_or_compile(input, |input| Plan::new(input, settings)))?;
        match &plan.step {
            Step::Whole(reading, target) => *value = convert(value, *reading, *target)?,
            Step::Fields { casts, defaults } => {
                let fields = shape::fields_of(value, PURPOSE)?;
                nulls::fill(fields, defaults);
                for (index, reading, target) in casts {
                    fields[*index] = convert(&fields[*index], *reading, *target)?;
                }
            }
        }
        *schema = Some(plan.schema.clone());
        Ok(Verdict::Keep)
    }
}

fn apply_schemaless(settings: &Settings, value: &mut Value) -> Result<(), TaskError> {
    let casts = match &settings.casts {
        Casts::Whole(target) => {
            *value = convert(value, Reading::of_schemaless(value)?, *target)?;
            return Ok(());
        }
        Casts::Fields(casts) => casts,
    };
    let entries = shape::entries_of(value, PURPOSE)?;
    let mut missing = vec![];
    for (name, target) in casts {
        match entries.iter_mut().find(|(key, _)| key.as_str() == Some(name)) {
            Some((_, value)) => *value = convert(value, Reading::of_schemaless(value)?, *target)?,
            None => missing.push((Value::text(name), Value::Null)),
        }
    }
    if !missing.is_empty() {
        shape::put_entries(entries, missing);
    }
    Ok(())
}

impl Plan {
    fn new(input: &Schema, settings: &Settings) -> Result<Self, String> {
        let casts = match &settings.casts {
            Casts::Whole(target) => {
                let reading = Reading::of(input)?;
                let schema = outer(input, target.kind(), |default| cast_default(default, reading, *target))?;
                return Ok(Self { schema, step: Step::Whole(reading, *target) });
            }
            Casts::Fields(casts) => casts,
        };
        shape::require_struct(input, &Value::Null, PURPOSE)?;
        let mut fields = input.fields().to_vec();
        let mut steps = vec![];
        for (index, field) in fields.iter_mut().enumerate() {
            let Some((_, target)) = casts.iter().find(|(name, _)| **name == *field.name) else { continue };
            let reading = Reading::of(&field.schema)?;
            *field =
                Field { name: field.name.clone(), schema: cast_schema(&field.schema, reading, *target)? };
            steps.push((index, reading, *target));
        }
        let schema = outer(input, Kind::Struct(fields.into()), |default| Ok(default.clone()))?;
        let defaults = settings.nulls.defaults_of(input);
        Ok(Self { schema, step: Step::Fields { casts: steps, defaults } })
    }
}

/// A cast field loses its name, documentation and parameters, and keeps `optional` and its default.
fn cast_schema(input: &Schema, reading: Reading, target: Target) -> Result<Schema, String> {
    let mut builder = connect::SchemaBuilder::new(target.kind());
    if input.is_optional() {
        builder = builder.optional();
    }
    if let Some(default) = input.default() {
        builder = builder.default(cast_default(default, reading, target)?);
    }
    Ok(builder.build())
}

fn outer(
    input: &Schema,
    kind: Kind,
    default: impl FnOnce(&Value) -> Result<Value, String>,
) -> Result<Schema, String> {
    let mut builder = shape::basics(input, kind);
    if input.is_optional() {
        builder = builder.optional();
    }
    if let Some(value) = input.default() {
        builder = builder.default(default(value)?);
    }
    Ok(builder.build())
}

fn cast_default(default: &Value, reading: Reading, target: Target) -> Result<Value, String> {
    convert(default, reading, target).map_err(|error| error.message)
}

// Kept beside the plans that it decides about.
impl Settings {
    fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = crate::options::resolve(&definition(), properties)?;
        let casts = settings::parse(resolved.list("spec")).map_err(|error| vec![error])?;
        Ok(Self { casts, nulls: Nulls::of(&resolved) })
    }
}
