//! `Drop`: a key or value becomes null. `TombstoneHandler`: records with a null value are dropped or refused.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Record, Schema, TaskError, Transform, Value, Verdict};

use crate::options;
use crate::part::Part;
use crate::schema_cache::SchemaCache;

/// What becomes of the schema of a dropped value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SchemaBehavior {
    Nullify,
    Retain,
    Validate,
    ForceOptional,
}

pub(crate) struct Drop {
    part: Part,
    behavior: SchemaBehavior,
    optional: SchemaCache<Schema>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("schema.behavior")
            .default("nullify")
            .importance(Importance::Medium)
            .check(Validator::OneOfIgnoreCase(&["nullify", "retain", "validate", "force_optional"]))
            .doc("What becomes of a schema: nullify removes it, retain leaves it, validate is an error where it is not optional, force_optional makes it optional."),
    ])
}

impl Drop {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let behavior = match resolved.text("schema.behavior").unwrap_or_default().to_lowercase().as_str() {
            "retain" => SchemaBehavior::Retain,
            "validate" => SchemaBehavior::Validate,
            "force_optional" => SchemaBehavior::ForceOptional,
            _ => SchemaBehavior::Nullify,
        };
        Ok(Self { part, behavior, optional: SchemaCache::default() })
    }
}

impl Transform for Drop {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (schema, value) = self.part.of_mut(record);
        match (self.behavior, &mut *schema) {
            (SchemaBehavior::Nullify, schema) => *schema = None,
            (SchemaBehavior::Validate, Some(schema)) if !schema.is_optional() => {
                return Err(TaskError::reject("the schema of a value to be dropped is not optional"));
            }
            (SchemaBehavior::ForceOptional, Some(schema)) => {
                *schema = self.optional.get_or_compile(schema, Schema::to_optional).clone();
            }
            _ => {}
        }
        *value = Value::Null;
        Ok(Verdict::Keep)
    }
}

pub(crate) struct TombstoneHandler {
    fails: bool,
}

pub(crate) fn tombstone_definition() -> Definition {
    Definition::new(vec![
        row("behavior")
            .default("warn")
            .importance(Importance::Medium)
            .check(Validator::OneOfIgnoreCase(&["warn", "ignore", "fail"]))
            .doc("What becomes of tombstones: warn and ignore drop them, fail makes them errors."),
    ])
}

impl TombstoneHandler {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&tombstone_definition(), properties)?;
        Ok(Self { fails: resolved.text("behavior").is_some_and(|text| text.eq_ignore_ascii_case("fail")) })
    }
}

impl Transform for TombstoneHandler {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        match record.value {
            Value::Null if self.fails => {
                Err(TaskError::reject(format!("a tombstone came on topic {}", record.topic)))
            }
            Value::Null => Ok(Verdict::Drop),
            _ => Ok(Verdict::Keep),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::SchemaBuilder;

    fn record() -> Record {
        let schema = Some(SchemaBuilder::string().build());
        Record::source("t".into(), (schema.clone(), Value::text("k")), (schema, Value::text("v")))
    }

    fn given(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn dropping() {
        let run = |behavior: &str| {
            let mut record = record();
            let mut drop = Drop::new(Part::Key, &given(&[("schema.behavior", behavior)])).unwrap();
            drop.apply(&mut record)
                .map(|_| (record.key, record.key_schema.map(|schema| schema.is_optional())))
        };
        assert_eq!(run("nullify").unwrap(), (Value::Null, None));
        assert_eq!(run("retain").unwrap(), (Value::Null, Some(false)));
        assert_eq!(run("force_optional").unwrap(), (Value::Null, Some(true)));
        assert!(run("validate").is_err());
    }

    #[test]
    fn tombstones() {
        let run = |behavior: &str, value: Value| {
            let mut handler = TombstoneHandler::new(&given(&[("behavior", behavior)])).unwrap();
            handler.apply(&mut Record { value, ..record() })
        };
        assert_eq!(run("warn", Value::Null).unwrap(), Verdict::Drop);
        assert_eq!(run("ignore", Value::Boolean(true)).unwrap(), Verdict::Keep);
        assert!(run("fail", Value::Null).is_err());
    }
}
