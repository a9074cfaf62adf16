//! `io.debezium.transforms.ExtractChangedRecordState`: which fields an update changed, as headers.

use std::sync::Arc;

use connect::settings::{Definition, Importance, Properties, Resolved, row};
use connect::{Header, Record, Schema, SchemaBuilder, TaskError, Transform, Value, Verdict};

use crate::envelope::{AFTER, BEFORE, is_envelope};
use crate::options;
use crate::schema_cache::SchemaCache;

pub(crate) struct ExtractChangedRecordState {
    changed: Option<Names>,
    unchanged: Option<Names>,
    plans: SchemaCache<Option<Plan>>,
}

/// A header with names of fields.
struct Names {
    header: Arc<str>,
    schema: Schema,
}

struct Plan {
    before: usize,
    after: usize,
    /// Names of the row's fields.
    names: Vec<Value>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("header.changed.name")
            .importance(Importance::Low)
            .doc("Header that names the columns an update changed; without it they are not named."),
        row("header.unchanged.name")
            .importance(Importance::Low)
            .doc("Header that names the columns an update left as they were; without it they are not named."),
    ])
}

impl ExtractChangedRecordState {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        Ok(Self {
            changed: Names::new(&resolved, "header.changed.name"),
            unchanged: Names::new(&resolved, "header.unchanged.name"),
            plans: SchemaCache::default(),
        })
    }
}

impl Names {
    fn new(resolved: &Resolved, option: &str) -> Option<Self> {
        let header = options::given(resolved, option)?;
        let item = SchemaBuilder::string().optional().build();
        let schema = SchemaBuilder::array(item).optional().name(&*header).build();
        Some(Self { header: Arc::from(header), schema })
    }
}

impl Plan {
    fn new(schema: &Schema) -> Option<Self> {
        if !is_envelope(schema) {
            return None;
        }
        let after = schema.field_index(AFTER)?;
        let names = schema.fields()[after].schema.fields().iter().map(|field| Value::text(&field.name));
        Some(Self { before: schema.field_index(BEFORE)?, after, names: names.collect() })
    }
}

impl Transform for ExtractChangedRecordState {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Some(schema) = &record.value_schema else { return Ok(Verdict::Keep) };
        let Some(plan) = self.plans.get_or_compile(schema, Plan::new) else { return Ok(Verdict::Keep) };
        let Value::Struct(envelope) = &record.value else { return Ok(Verdict::Keep) };
        let (mut changed, mut unchanged) = (vec![], vec![]);
        if let (Some(before), Some(after)) =
            (envelope[plan.before].as_struct(), envelope[plan.after].as_struct())
        {
            for ((name, old), new) in plan.names.iter().zip(before).zip(after) {
                let list = if same(old, new) { &mut unchanged } else { &mut changed };
                list.push(name.clone());
            }
        }
        for (names, list) in [(&self.changed, changed), (&self.unchanged, unchanged)] {
            if let Some(names) = names {
                record.headers.push(Header {
                    key: Arc::clone(&names.header),
                    schema: Some(names.schema.clone()),
                    value: Value::Array(list.into_boxed_slice()),
                });
            }
        }
        Ok(Verdict::Keep)
    }
}

/// As Java's `equals`: NaN is NaN, and 0.0 is not -0.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float32(a), Value::Float32(b)) => a.to_bits() == b.to_bits(),
        (Value::Float64(a), Value::Float64(b)) => a.to_bits() == b.to_bits(),
        (Value::Array(a), Value::Array(b)) | (Value::Struct(a), Value::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        _ => a == b,
    }
}
