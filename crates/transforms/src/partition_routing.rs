//! `io.debezium.transforms.partitions.PartitionRouting`: the partition from fields of the change event.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Record, Schema, TaskError, Transform, Value, Verdict};

use crate::envelope::{AFTER, BEFORE, OPERATION, is_envelope};
use crate::java_hash;
use crate::options;
use crate::schema_cache::SchemaCache;

/// Stands for the row: `before` of a delete, `after` of everything else.
const CHANGE: &str = "change";

pub(crate) struct PartitionRouting {
    fields: Vec<Vec<String>>,
    partitions: i32,
    hash: fn(&Schema, &Value) -> Option<i32>,
    plans: SchemaCache<Option<Plan>>,
}

struct Plan {
    operation: usize,
    /// Paths that exist, of deletes and of all other events.
    of_deletes: Vec<Path>,
    of_others: Vec<Path>,
}

struct Path {
    /// Structs on the way.
    outer: Vec<usize>,
    /// The field; `None`: it is not there, and not considered.
    last: Option<(usize, Schema)>,
}

pub(crate) fn definition() -> Definition {
    let positive = Validator::Check(|value, _| match value.map(|text| text.trim().parse::<i64>()) {
        Some(Ok(number)) if number > 0 => Ok(()),
        _ => Err(format!(
            "Invalid value {} for configuration partition.topic.num: A positive, non-zero integer value is expected",
            value.unwrap_or("null")
        )),
    });
    Definition::new(vec![
        row("partition.payload.fields")
            .list()
            .required()
            .group("partitions", 0)
            .importance(Importance::High)
            .check(options::checked!(options::names, "partition.payload.fields"))
            .doc("Fields whose values decide the partition, as paths with dots: after.name, before.name, source.table, or change.name for the row that the operation has. Fields that a record lacks do not count."),
        row("partition.topic.num")
            .int()
            .required()
            .group("partitions", 1)
            .importance(Importance::High)
            .check(positive)
            .doc("Partitions of the topic; a predicate limits the transform to one topic."),
        row("partition.hash.function")
            .default("java")
            .group("partitions", 2)
            .importance(Importance::Low)
            .doc("Hash over those values."),
    ])
}

impl PartitionRouting {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let split = |path: &String| path.split('.').map(|step| step.trim().to_owned()).collect();
        let is_murmur =
            resolved.text("partition.hash.function").is_some_and(|name| name.eq_ignore_ascii_case("murmur"));
        Ok(Self {
            fields: resolved.list("partition.payload.fields").iter().map(split).collect(),
            partitions: i32::try_from(resolved.long("partition.topic.num")).unwrap_or(i32::MAX),
            hash: if is_murmur { java_hash::murmur } else { java_hash::hash_code },
            plans: SchemaCache::default(),
        })
    }
}

impl Plan {
    fn new(schema: &Schema, fields: &[Vec<String>]) -> Option<Self> {
        if !is_envelope(schema) {
            return None;
        }
        let with = |row: &str| fields.iter().filter_map(|steps| Path::find(schema, steps, row)).collect();
        Some(Self {
            operation: schema.field_index(OPERATION)?,
            of_deletes: with(BEFORE),
            of_others: with(AFTER),
        })
    }
}

impl Path {
    /// `None`: there is no such struct.
    fn find(schema: &Schema, steps: &[String], row: &str) -> Option<Self> {
        let (last, outer) = steps.split_last()?;
        let mut path = Self { outer: vec![], last: None };
        let mut inside = schema;
        for step in outer {
            let place = inside.field_index(if step == CHANGE { row } else { step })?;
            path.outer.push(place);
            inside = &inside.fields()[place].schema;
        }
        path.last = inside.field_index(last).map(|place| (place, inside.fields()[place].schema.clone()));
        Some(path)
    }

    /// A null struct on the way is an error, a null in the field is not.
    fn value<'a>(&'a self, envelope: &'a [Value]) -> Result<Option<(&'a Schema, &'a Value)>, TaskError> {
        let mut fields = envelope;
        for step in &self.outer {
            fields = fields[*step].as_struct().ok_or_else(|| {
                TaskError::reject("Unprocessable message: a struct on the path to a field is null")
            })?;
        }
        let Some((place, schema)) = &self.last else { return Ok(None) };
        Ok(match (&fields[*place], schema.default()) {
            (Value::Null, Some(default)) => Some((schema, default)),
            (Value::Null, None) => None,
            (value, _) => Some((schema, value)),
        })
    }
}

impl Transform for PartitionRouting {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { fields, partitions, hash, plans } = self;
        let (Some(schema), Value::Struct(envelope)) = (&record.value_schema, &record.value) else {
            return Ok(Verdict::Keep);
        };
        let Some(plan) = plans.get_or_compile(schema, |schema| Plan::new(schema, fields)) else {
            return Ok(Verdict::Keep);
        };
        let paths = match envelope[plan.operation].as_str() {
            // Truncates and messages have no row.
            Some("t" | "m") => return Ok(Verdict::Keep),
            Some("d") => &plan.of_deletes,
            _ => &plan.of_others,
        };
        let mut total = None;
        for path in paths {
            if let Some((schema, value)) = path.value(envelope)? {
                let hash = hash(schema, value).ok_or_else(|| {
                    TaskError::reject("a struct or map cannot be hashed for a partition: name a field in it")
                })?;
                total = Some(total.unwrap_or(0_i32).wrapping_add(hash));
            }
        }
        if let Some(total) = total {
            let positive = total & i32::MAX;
            record.partition = Some(if positive == i32::MAX { 0 } else { positive % *partitions });
        }
        Ok(Verdict::Keep)
    }
}
