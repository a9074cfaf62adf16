//! One record, by the plan of its schema.

use std::sync::Arc;

use connect::settings::Properties;
use connect::{Header, Record, Schema, SchemaBuilder, TaskError, Text, Transform, Value, Verdict};

use super::drop_fields::{dropped, listed};
use super::plan::{Copy, Plan};
use super::settings::{DeleteAction, DropFields, Settings, TombstoneAction};
use crate::schema_cache::SchemaCache;

const DELETED: &str = "true";
const NOT_DELETED: &str = "false";
const OPERATION: &str = "op";
const DELETE: &str = "d";

pub(crate) struct ExtractNewRecordState {
    settings: Settings,
    plans: SchemaCache<Option<Plan>>,
    /// What the last list of fields to drop came to: the header rarely changes.
    dropping: Option<Dropping>,
    /// The last routed topic, shared by the records that go there.
    topic: Option<Arc<str>>,
}

struct Dropping {
    names: Vec<String>,
    row: Schema,
    copy: Result<Copy, String>,
}

impl ExtractNewRecordState {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let settings = Settings::new(properties)?;
        Ok(Self { settings, plans: SchemaCache::default(), dropping: None, topic: None })
    }
}

impl Transform for ExtractNewRecordState {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        if record.value.is_null() {
            return Ok(tombstone(&self.settings, record));
        }
        let Some(schema) = record.value_schema.clone() else { return Ok(Verdict::Keep) };
        let plan = self.plans.get_or_compile(&schema, |schema| Plan::new(schema, &self.settings));
        let (Some(plan), Value::Struct(envelope)) = (plan, &mut record.value) else {
            return Ok(Verdict::Keep);
        };
        let mut envelope = std::mem::take(envelope);
        let is_delete = envelope[plan.after].is_null();
        if is_delete && (envelope[plan.before].is_null() || self.settings.deletes == DeleteAction::Drop) {
            // Neither row is there: a truncate.
            return Ok(Verdict::Drop);
        }
        for source in plan.headers.as_ref().map_err(|error| TaskError::reject(error.clone()))? {
            let value = source.value(&envelope);
            let schema = Some(source.schema.clone());
            record.headers.push(Header { key: source.new_name.as_str().into(), schema, value });
        }
        let place = if is_delete { plan.before } else { plan.after };
        if let Some(route) = &plan.route {
            let index = *route.as_ref().map_err(|error| TaskError::reject(error.clone()))?;
            let name = envelope[place].as_struct().and_then(|row| row[index].as_str());
            if let Some(name) = name {
                record.topic = routed(&mut self.topic, name);
            }
        }
        if is_delete && self.settings.deletes != DeleteAction::Rewrite {
            record.value = Value::Null;
            let keep = self.settings.deletes == DeleteAction::NullValue;
            record.value_schema = keep.then(|| plan.row.clone());
            return Ok(Verdict::Keep);
        }
        let copy = match &self.settings.drop_fields {
            Some(drop) => drop_copy(drop, &self.settings, plan, &mut self.dropping, record)?,
            None => None,
        };
        let copy = match copy.or(plan.copied.as_ref()) {
            Some(copy) => Some(copy.as_ref().map_err(|error| TaskError::reject(error.clone()))?),
            None => None,
        };
        let added =
            copy.map_or(Ok(vec![]), |copy| copy.added_values(&envelope)).map_err(TaskError::reject)?;
        let row = std::mem::take(&mut envelope[place]);
        let (schema, value) = match (copy, row) {
            (Some(copy), Value::Struct(mut row)) => {
                let deleted = if is_delete { DELETED } else { NOT_DELETED };
                (&copy.schema, copy.apply(&mut row, deleted, added))
            }
            (_, row) => (&plan.required_row, row),
        };
        record.value_schema = Some(schema.clone());
        record.value = value;
        Ok(Verdict::Keep)
    }
}

/// The operation is the only thing that is known about a tombstone.
fn tombstone(settings: &Settings, record: &mut Record) -> Verdict {
    if settings.tombstones == TombstoneAction::Drop {
        return Verdict::Drop;
    }
    for reference in settings.add_headers.iter().filter(|reference| reference.field == OPERATION) {
        record.headers.push(Header {
            key: reference.new_name.as_str().into(),
            schema: Some(SchemaBuilder::string().optional().build()),
            value: Value::String(Text::from(DELETE)),
        });
    }
    Verdict::Keep
}

fn routed(last: &mut Option<Arc<str>>, name: &str) -> Arc<str> {
    match last {
        Some(topic) if **topic == *name => Arc::clone(topic),
        _ => Arc::clone(last.insert(Arc::from(name))),
    }
}

/// The copy without the fields that the record's header names; `None` without the header. Changes the key at once.
fn drop_copy<'a>(
    drop: &DropFields,
    settings: &Settings,
    plan: &Plan,
    cached: &'a mut Option<Dropping>,
    record: &mut Record,
) -> Result<Option<&'a Result<Copy, String>>, TaskError> {
    let Some(names) = listed(record, drop)? else { return Ok(None) };
    if drop.from_key
        && let (Some(schema), Value::Struct(key)) = (&record.key_schema, &mut record.key)
    {
        let indexes = dropped(schema, &names, drop.droppable);
        if !indexes.is_empty() {
            let copy = Copy::without_additions(schema, &indexes);
            record.key = copy.apply(key, NOT_DELETED, vec![]);
            record.key_schema = Some(copy.schema);
        }
    }
    let fits = |known: &Dropping| known.names == names && known.row.ptr_eq(&plan.row);
    if !cached.as_ref().is_some_and(fits) {
        let indexes = dropped(&plan.row, &names, drop.droppable);
        let added = match &plan.copied {
            Some(Ok(copy)) => copy.sources(),
            Some(Err(error)) => return Err(TaskError::reject(error.clone())),
            None => vec![],
        };
        let copy = Copy::new(&plan.row, &indexes, added, settings);
        *cached = Some(Dropping { names, row: plan.row.clone(), copy });
    }
    Ok(cached.as_ref().map(|known| &known.copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Schema {
        SchemaBuilder::structure()
            .name("s.t.Value")
            .field("id", SchemaBuilder::int32().build())
            .optional()
            .build()
    }

    fn envelope() -> Schema {
        SchemaBuilder::structure()
            .name("s.t.Envelope")
            .field("before", row())
            .field("after", row())
            .field("op", SchemaBuilder::string().build())
            .build()
    }

    fn record(before: Value, after: Value, op: &str) -> Record {
        let value = Value::Struct(Box::new([before, after, Value::text(op)]));
        Record::source("t".into(), (None, Value::Null), (Some(envelope()), value))
    }

    fn id(number: i32) -> Value {
        Value::Struct(Box::new([Value::Int32(number)]))
    }

    /// What a delete and its tombstone become under the given options.
    fn check(options: &[(&str, &str)], delete: Option<Value>, tombstone: Verdict) {
        let properties = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut transform = ExtractNewRecordState::new(&properties).unwrap();
        let mut deleted = record(id(1), Value::Null, "d");
        let verdict = transform.apply(&mut deleted).unwrap();
        assert_eq!((verdict == Verdict::Keep).then_some(deleted.value), delete, "{options:?}");
        let mut last = Record::source("t".into(), (None, Value::Null), (None, Value::Null));
        assert_eq!(transform.apply(&mut last).unwrap(), tombstone, "{options:?}");
        let mut created = record(Value::Null, id(1), "c");
        assert_eq!(transform.apply(&mut created).unwrap(), Verdict::Keep);
    }

    #[test]
    fn old_and_new_options() {
        let rewritten = || Some(Value::Struct(Box::new([Value::Int32(1), Value::text("true")])));
        check(&[], Some(Value::Null), Verdict::Drop);
        // One old option given: the other one has its old default.
        check(&[("drop.tombstones", "false")], None, Verdict::Keep);
        check(&[("delete.handling.mode", "none")], Some(Value::Null), Verdict::Drop);
        check(
            &[("delete.handling.mode", "none"), ("drop.tombstones", "false")],
            Some(Value::Null),
            Verdict::Keep,
        );
        check(&[("delete.handling.mode", "rewrite")], rewritten(), Verdict::Drop);
        // The new option wins over the old ones.
        check(
            &[("delete.tombstone.handling.mode", "rewrite-with-tombstone"), ("delete.handling.mode", "drop")],
            rewritten(),
            Verdict::Keep,
        );
    }

    #[test]
    fn unwrapped_records_pass() {
        let mut transform = ExtractNewRecordState::new(&Properties::default()).unwrap();
        let mut plain = Record::source("t".into(), (None, Value::Null), (Some(row()), id(7)));
        assert_eq!(transform.apply(&mut plain).unwrap(), Verdict::Keep);
        assert_eq!(plain.value, id(7));
    }
}
