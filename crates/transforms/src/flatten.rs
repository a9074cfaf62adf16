//! `org.apache.kafka.connect.transforms.Flatten`: the fields of nested structs and maps as fields of the outermost.

use connect::settings::{Definition, Importance, Properties, row};
use connect::{Field, Kind, Record, Schema, TaskError, Transform, Value, Verdict};

use crate::part::Part;
use crate::schema_cache::SchemaCache;
use crate::{options, shape};

const PURPOSE: &str = "flattening";

pub(crate) struct Flatten {
    part: Part,
    delimiter: String,
    plans: SchemaCache<Result<Plan, String>>,
}

struct Plan {
    schema: Schema,
    steps: Vec<Step>,
    /// Fields of the result.
    width: usize,
}

/// What becomes of a field, in the order of the fields.
enum Step {
    /// Passed on; a null becomes the default.
    Keep(Option<Value>),
    /// A struct whose fields follow; a null is `width` nulls.
    Open { steps: Vec<Step>, width: usize },
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("delimiter")
            .default(".")
            .importance(Importance::Medium)
            .doc("What stands between the parts of a flattened field's name."),
    ])
}

impl Flatten {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let delimiter = resolved.text("delimiter").unwrap_or_default().to_owned();
        Ok(Self { part, delimiter, plans: SchemaCache::default() })
    }
}

impl Transform for Flatten {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (schema, value) = self.part.of_mut(record);
        if value.is_null() {
            return Ok(Verdict::Keep);
        }
        let delimiter = &self.delimiter;
        let Some(input) = schema.as_ref() else {
            let mut flat = vec![];
            flatten_entries(std::mem::take(shape::entries_of(value, PURPOSE)?), "", delimiter, &mut flat)?;
            let mut entries = shape::Entries::default();
            shape::put_entries(&mut entries, flat);
            *value = Value::Map(entries);
            return Ok(Verdict::Keep);
        };
        shape::fields_of(value, PURPOSE)?;
        let plan = self.plans.get_or_compile(input, |input| Plan::new(input, delimiter));
        let plan = shape::planned(plan)?;
        let mut flat = Vec::with_capacity(plan.width);
        flatten_fields(shape::fields_of(value, PURPOSE)?, &plan.steps, &mut flat);
        *value = Value::Struct(flat.into_boxed_slice());
        *schema = Some(plan.schema.clone());
        Ok(Verdict::Keep)
    }
}

fn flatten_fields(fields: &mut [Value], steps: &[Step], flat: &mut Vec<Value>) {
    for (value, step) in fields.iter_mut().zip(steps) {
        match (step, value) {
            (Step::Keep(Some(default)), Value::Null) => flat.push(default.clone()),
            (Step::Keep(_), value) => flat.push(std::mem::take(value)),
            (Step::Open { steps, .. }, Value::Struct(inner)) => flatten_fields(inner, steps, flat),
            (Step::Open { width, .. }, _) => flat.extend(std::iter::repeat_n(Value::Null, *width)),
        }
    }
}

fn flatten_entries(
    entries: shape::Entries,
    prefix: &str,
    delimiter: &str,
    flat: &mut Vec<(Value, Value)>,
) -> Result<(), TaskError> {
    for (key, value) in entries {
        let Some(name) = key.as_str() else {
            return Err(TaskError::reject("the keys of a map must be strings for [flattening]"));
        };
        let name = joined(prefix, name, delimiter);
        match value {
            Value::Map(inner) => flatten_entries(inner, &name, delimiter, flat)?,
            Value::Date(_) | Value::Decimal(_) | Value::Struct(_) => {
                return Err(TaskError::reject(format!(
                    "Flatten transformation was passed a value of type class {} which is not supported by Connect's \
                     data API",
                    shape::java_class(&value)
                )));
            }
            value => flat.push((Value::from(name), value)),
        }
    }
    Ok(())
}

fn joined(prefix: &str, name: &str, delimiter: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{delimiter}{name}") }
}

#[derive(Clone, Copy)]
enum Ancestors {
    Required,
    Optional,
}

impl Plan {
    fn new(input: &Schema, delimiter: &str) -> Result<Self, String> {
        let mut fields = vec![];
        let ancestors = if input.is_optional() { Ancestors::Optional } else { Ancestors::Required };
        let steps = open(input, "", delimiter, ancestors, input.default(), &mut fields)?;
        let width = fields.len();
        Ok(Self { schema: shape::with_fields(input, fields)?, steps, width })
    }
}

fn open(
    schema: &Schema,
    prefix: &str,
    delimiter: &str,
    ancestors: Ancestors,
    default: Option<&Value>,
    flat: &mut Vec<Field>,
) -> Result<Vec<Step>, String> {
    let mut steps = vec![];
    for (index, field) in schema.fields().iter().enumerate() {
        let name = joined(prefix, &field.name, delimiter);
        let inherited =
            default.and_then(Value::as_struct).map(|fields| &fields[index]).filter(|it| !it.is_null());
        let default = field.schema.default().or(inherited);
        let ancestors = if field.schema.is_optional() { Ancestors::Optional } else { ancestors };
        match field.schema.kind() {
            Kind::Map { .. } => {
                return Err(format!(
                    "Flatten transformation does not support MAP for record with schemas (for field {name})."
                ));
            }
            Kind::Struct(_) => {
                let before = flat.len();
                let steps_inside = open(&field.schema, &name, delimiter, ancestors, default, flat)?;
                steps.push(Step::Open { steps: steps_inside, width: flat.len() - before });
            }
            kind => {
                let mut builder = shape::basics(&field.schema, kind.clone());
                if matches!(ancestors, Ancestors::Optional) {
                    builder = builder.optional();
                }
                if let Some(default) = default {
                    builder = builder.default(default.clone());
                }
                flat.push(Field { name: name.into(), schema: builder.build() });
                steps.push(Step::Keep(field.schema.default().cloned()));
            }
        }
    }
    Ok(steps)
}
