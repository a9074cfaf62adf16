//! One record, by the plan of its schema.

use std::collections::HashSet;
use std::sync::Arc;

use connect::settings::Properties;
use connect::{Record, Schema, TaskError, Text, Transform, Value, Verdict};

use super::settings::{Selection, Settings};
use super::shift::Time;
use crate::envelope::{AFTER, BEFORE, SOURCE, is_envelope};
use crate::schema_cache::SchemaCache;

/// Fields of the source block that are instants without saying so.
const EPOCHS: [(&str, i64); 3] = [("ts_ms", 1000), ("ts_us", 1_000_000), ("ts_ns", 1_000_000_000)];

pub(crate) struct TimezoneConverter {
    settings: Settings,
    plans: SchemaCache<Option<Plan>>,
    selected: Option<Selected>,
}

struct Plan {
    schema: Schema,
    /// Where the table's name is.
    table: Option<(usize, usize)>,
    fields: Vec<TimeField>,
}

struct TimeField {
    outer: usize,
    outer_name: &'static str,
    index: usize,
    name: Arc<str>,
    time: Time,
}

/// The fields that are converted for a topic and table: those of the last record.
struct Selected {
    schema: Schema,
    topic: Arc<str>,
    table: Option<Text>,
    fields: Vec<(usize, usize, Time)>,
}

impl TimezoneConverter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        Ok(Self { settings: Settings::new(properties)?, plans: SchemaCache::default(), selected: None })
    }
}

impl Transform for TimezoneConverter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { settings, plans, selected } = self;
        let (Some(schema), Value::Struct(envelope)) = (&record.value_schema, &mut record.value) else {
            return Ok(Verdict::Keep);
        };
        let Some(plan) = plans.get_or_compile(schema, Plan::new) else { return Ok(Verdict::Keep) };
        let table = plan.table.and_then(|(source, table)| match envelope[source].as_struct()?.get(table) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        });
        let fits = |last: &Selected| {
            last.schema.ptr_eq(&plan.schema)
                && (Arc::ptr_eq(&last.topic, &record.topic) || last.topic == record.topic)
                && last.table.as_ref() == table
        };
        if !selected.as_ref().is_some_and(fits) {
            let selection = settings.selection(&record.topic, table.map(Text::as_str));
            let fields = plan.fields.iter().filter(|field| field.is_in(selection));
            *selected = Some(Selected {
                schema: plan.schema.clone(),
                topic: Arc::clone(&record.topic),
                table: table.map(Text::detached),
                fields: fields.map(|field| (field.outer, field.index, field.time)).collect(),
            });
        }
        for (outer, index, time) in selected.iter().flat_map(|selected| &selected.fields) {
            if let Value::Struct(fields) = &mut envelope[*outer] {
                time.convert(&settings.zone, &mut fields[*index]);
            }
        }
        Ok(Verdict::Keep)
    }
}

impl Plan {
    fn new(schema: &Schema) -> Option<Self> {
        if !is_envelope(schema) {
            return None;
        }
        let mut fields = vec![];
        for outer_name in [BEFORE, AFTER, SOURCE] {
            let Some(outer) = schema.field_index(outer_name) else { continue };
            for (index, field) in schema.fields()[outer].schema.fields().iter().enumerate() {
                let epoch = EPOCHS.iter().find(|(name, _)| outer_name == SOURCE && *name == &*field.name);
                let epoch = epoch.map(|(_, per_second)| Time::Instant { per_second: *per_second });
                if let Some(time) = Time::of(&field.schema).or(epoch) {
                    fields.push(TimeField { outer, outer_name, index, name: field.name.clone(), time });
                }
            }
        }
        let table = schema
            .field_index(SOURCE)
            .and_then(|source| Some((source, schema.fields()[source].schema.field_index("table")?)));
        Some(Self { schema: schema.clone(), table, fields })
    }
}

impl TimeField {
    fn is_in(&self, selection: Selection<'_>) -> bool {
        let is_source = self.outer_name == SOURCE;
        match selection {
            Selection::Nothing => false,
            Selection::All => !is_source,
            Selection::Include(names) => self.is_named(names),
            // Of the source block nothing is converted unless the rules speak of it.
            Selection::Exclude(names) if is_source => {
                names.iter().any(|name| name.starts_with("source.")) && !self.is_named(names)
            }
            Selection::Exclude(names) => !self.is_named(names),
        }
    }

    /// A name without a prefix means the row before and after.
    fn is_named(&self, names: &HashSet<String>) -> bool {
        let qualified = names.contains(&format!("{}.{}", self.outer_name, self.name));
        qualified || (self.outer_name != SOURCE && names.contains(&*self.name))
    }
}
