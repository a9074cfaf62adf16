//! `org.apache.kafka.connect.transforms.InsertField`: topic, partition, offset, timestamp or a fixed text as new fields.

use connect::logical;
use connect::settings::{Definition, Importance, Properties, Resolved, Validator, row};
use connect::{Field, Record, Schema, SchemaBuilder, TaskError, Text, Transform, Value, Verdict};

use crate::nulls::{self, Defaults, Nulls};
use crate::part::Part;
use crate::schema_cache::SchemaCache;
use crate::{options, shape};

const PURPOSE: &str = "field insertion";

pub(crate) struct InsertField {
    part: Part,
    /// In the order in which Connect adds them.
    insertions: Vec<Insertion>,
    nulls: Nulls,
    plans: SchemaCache<Result<Plan, String>>,
}

struct Insertion {
    name: Text,
    is_required: bool,
    source: Source,
}

enum Source {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Fixed(Text),
}

struct Plan {
    schema: Schema,
    defaults: Defaults,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("topic.field").importance(Importance::Medium).doc(
            "Field for the topic's name. A ! behind the name makes a field required, a ? (or nothing) optional.",
        ),
        row("partition.field").importance(Importance::Medium).doc(
            "Field for the partition; ! and ? as above.",
        ),
        row("offset.field").importance(Importance::Medium).doc(
            "Field for the offset, which only a sink's records have; ! and ? as above.",
        ),
        row("timestamp.field").importance(Importance::Medium).doc(
            "Field for the record's timestamp; ! and ? as above.",
        ),
        row("static.field").importance(Importance::Medium).doc(
            "Field for a fixed value; ! and ? as above.",
        ),
        row("static.value").importance(Importance::Medium).check(Validator::Check(check_fixed)).doc(
            "The fixed value.",
        ),
        Nulls::row(),
    ])
}

fn check_fixed(value: Option<&str>, properties: &Properties) -> Result<(), String> {
    match (properties.get("static.field"), value) {
        (Some(field), None) => Err(format!(
            "Invalid value null for configuration static.value: No value specified for static field: {field}"
        )),
        _ => Ok(()),
    }
}

impl InsertField {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let fixed = Text::from(resolved.text("static.value").unwrap_or_default());
        let insertions: Vec<_> = [
            ("topic.field", Source::Topic),
            ("partition.field", Source::Partition),
            ("offset.field", Source::Offset),
            ("timestamp.field", Source::Timestamp),
            ("static.field", Source::Fixed(fixed)),
        ]
        .into_iter()
        .filter_map(|(option, source)| insertion(&resolved, option, source))
        .collect();
        if insertions.is_empty() {
            return Err(vec!["No field insertion configured".to_owned()]);
        }
        Ok(Self { part, insertions, nulls: Nulls::of(&resolved), plans: SchemaCache::default() })
    }
}

fn insertion(resolved: &Resolved, option: &str, source: Source) -> Option<Insertion> {
    let text = resolved.text(option)?;
    let name = text.strip_suffix(['!', '?']).unwrap_or(text);
    Some(Insertion { name: Text::from(name), is_required: text.ends_with('!'), source })
}

impl Transform for InsertField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (schema, value) = self.part.of(record);
        if value.is_null() {
            return Ok(Verdict::Keep);
        }
        let (insertions, nulls) = (&self.insertions, self.nulls);
        let Some(input) = schema else {
            return apply_schemaless(insertions, self.part, record);
        };
        let plan =
            shape::planned(self.plans.get_or_compile(input, |input| Plan::new(input, insertions, nulls)))?;
        let mut fields = match std::mem::take(self.part.of_mut(record).1) {
            Value::Struct(fields) => fields,
            mut other => std::mem::take(shape::fields_of(&mut other, PURPOSE)?),
        }
        .into_vec();
        nulls::fill(&mut fields, &plan.defaults);
        fields.reserve_exact(insertions.len());
        for insertion in insertions {
            fields.push(insertion.source.value(record)?);
        }
        let (schema, value) = self.part.of_mut(record);
        *value = Value::Struct(fields.into_boxed_slice());
        *schema = Some(plan.schema.clone());
        Ok(Verdict::Keep)
    }
}

/// A partition or a timestamp that is not known is left out.
fn apply_schemaless(insertions: &[Insertion], part: Part, record: &mut Record) -> Result<Verdict, TaskError> {
    shape::entries_of(part.of_mut(record).1, PURPOSE)?;
    let mut new = Vec::with_capacity(insertions.len());
    for insertion in insertions {
        let value = insertion.source.value(record)?;
        if !value.is_null() {
            new.push((Value::String(insertion.name.clone()), value));
        }
    }
    shape::put_entries(shape::entries_of(part.of_mut(record).1, PURPOSE)?, new);
    Ok(Verdict::Keep)
}

impl Source {
    fn value(&self, record: &Record) -> Result<Value, TaskError> {
        Ok(match self {
            Self::Topic => Value::text(&record.topic),
            Self::Partition => Value::from(record.partition),
            Self::Offset => match record.kafka_origin() {
                Some(origin) => Value::Int64(origin.offset),
                None => {
                    return Err(TaskError::reject(
                        "Only SinkRecord supported for [field insertion], found: \
                         org.apache.kafka.connect.source.SourceRecord",
                    ));
                }
            },
            Self::Timestamp => Value::from(record.timestamp),
            Self::Fixed(text) => Value::String(text.clone()),
        })
    }

    fn schema(&self) -> SchemaBuilder {
        match self {
            Self::Topic | Self::Fixed(_) => SchemaBuilder::string(),
            Self::Partition => SchemaBuilder::int32(),
            Self::Offset => SchemaBuilder::int64(),
            Self::Timestamp => logical::timestamp(),
        }
    }
}

impl Plan {
    fn new(input: &Schema, insertions: &[Insertion], nulls: Nulls) -> Result<Self, String> {
        shape::require_struct(input, &Value::Null, PURPOSE)?;
        let mut fields = input.fields().to_vec();
        for insertion in insertions {
            if insertion.name.is_empty() {
                return Err("fieldName cannot be null.".to_owned());
            }
            let schema = insertion.source.schema();
            let schema = if insertion.is_required { schema } else { schema.optional() }.build();
            fields.push(Field { name: (&*insertion.name).into(), schema });
        }
        Ok(Self { schema: shape::with_fields(input, fields)?, defaults: nulls.defaults_of(input) })
    }
}
