//! One record, by the plan of its schema.

use std::sync::Arc;

use connect::settings::Properties;
use connect::{Header, Record, Schema, TaskError, Transform, Value, Verdict};

use super::plan::{Events, Plan};
use super::settings::{EmptyPayload, Settings, Updates};
use crate::json_content::{NullMembers, parse, schema_of, value_of};
use crate::route::Route;
use crate::schema_cache::{SchemaCache, SchemaSet};
use crate::shape;

const EXPANDED_NAME: &str = "payload";

pub(crate) struct EventRouter {
    settings: Settings,
    id_header: Arc<str>,
    route: Route,
    plans: SchemaCache<Option<Events>>,
    schemas: SchemaSet,
}

impl EventRouter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let (settings, resolved) = Settings::new(properties)?;
        let text = |option: &str| resolved.text(option).unwrap_or_default();
        let route = Route::new(text("route.topic.regex"), text("route.topic.replacement"));
        Ok(Self {
            settings,
            id_header: "id".into(),
            route: route.map_err(|error| vec![error])?,
            plans: SchemaCache::default(),
            schemas: SchemaSet::default(),
        })
    }
}

impl Transform for EventRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        if record.value.is_null() {
            return Ok(Verdict::Drop);
        }
        let Some(schema) = &record.value_schema else { return Ok(Verdict::Keep) };
        let settings = &self.settings;
        let Some(events) = self.plans.get_or_compile(schema, |schema| Events::new(schema, settings)) else {
            return Ok(Verdict::Keep);
        };
        let Value::Struct(envelope) = std::mem::take(&mut record.value) else {
            return Err(TaskError::reject("a value that is no struct stands under an envelope's schema"));
        };
        match envelope[events.operation].as_str() {
            Some("d") => return Ok(Verdict::Drop),
            Some("u") => return updated(settings.updates),
            _ => {}
        }
        let plan = shape::planned(&events.plan)?;
        let Some(row) = envelope[plan.after].as_struct() else {
            return Err(TaskError::reject(
                "Only Struct objects supported for [Read Outbox Event], found: null",
            ));
        };
        let routed_by = match plan.route_by.of(row) {
            Value::String(text) => text,
            _ => return Err(TaskError::reject("the column that events are routed by is null, or no string")),
        };
        record.timestamp = timestamp(plan, &envelope, row)?.or(record.timestamp);
        if let Some(column) = &plan.partition {
            record.partition = column.of(row).as_i64().and_then(|number| i32::try_from(number).ok());
        }
        let id = plan.id.of(row);
        record.headers.push(Header {
            key: Arc::clone(&self.id_header),
            schema: Some(plan.id.schema.clone()),
            value: id,
        });
        for (column, alias) in &plan.headers {
            let schema = Some(column.schema.clone());
            record.headers.push(Header { key: Arc::clone(alias), schema, value: column.of(row) });
        }
        let (schema, value) = value_of_event(plan, settings, &mut self.schemas, row, &routed_by)?;
        record.key = plan.key.of(row);
        record.key_schema = Some(plan.key.schema.clone());
        record.topic = match self.route.of(&routed_by)? {
            Some(topic) => topic,
            None => Arc::from(&*routed_by),
        };
        record.value_schema = schema;
        record.value = value;
        Ok(Verdict::Keep)
    }
}

/// Rows of an outbox are written once; an update of one is no event.
fn updated(updates: Updates) -> Result<Verdict, TaskError> {
    match updates {
        Updates::Skipped => Ok(Verdict::Drop),
        Updates::Fatal => Err(TaskError::halt("Unexpected update message received from the outbox table")),
    }
}

fn timestamp(plan: &Plan, envelope: &[Value], row: &[Value]) -> Result<Option<i64>, TaskError> {
    if let Some((column, unit)) = &plan.timestamp
        && let Some(number) = column.of(row).as_i64()
    {
        return Ok(Some(shape::planned(unit)?.to_millis(number)));
    }
    Ok(plan.processed.and_then(|index| envelope[index].as_i64()))
}

fn value_of_event(
    plan: &Plan,
    settings: &Settings,
    schemas: &mut SchemaSet,
    row: &[Value],
    routed_by: &str,
) -> Result<(Option<Schema>, Value), TaskError> {
    let payload = plan.payload.of(row);
    let is_empty = match &payload {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    };
    if is_empty && settings.empty_payload == EmptyPayload::Tombstone {
        return Ok((None, Value::Null));
    }
    let expanded = match (&payload, settings.expand_json) {
        (Value::String(text), Some(nulls)) => expand(text, nulls),
        _ => None,
    };
    let (schema, payload) = match expanded {
        Some((schema, value)) => (schemas.intern(schema), value),
        None => (plan.payload.schema.clone(), payload),
    };
    if plan.envelope.is_empty() {
        return Ok((Some(schema), payload));
    }
    let version = plan.schema_version.as_ref().and_then(|column| column.of(row).as_i64());
    let version = version.and_then(|number| i32::try_from(number).ok());
    let outer = plan.envelope_schema(routed_by, version, &schema).map_err(TaskError::reject)?;
    let mut fields = Vec::with_capacity(1 + plan.envelope.len());
    fields.push(payload);
    fields.extend(plan.envelope.iter().map(|(column, _)| column.of(row)));
    Ok((Some(schemas.intern(outer)), Value::Struct(fields.into_boxed_slice())))
}

/// A payload that is no JSON object or array stays as it is.
fn expand(text: &str, nulls: NullMembers) -> Option<(Schema, Value)> {
    let json = parse(text)?;
    let schema = schema_of(&json, EXPANDED_NAME, nulls)?;
    let value = value_of(&json, &schema);
    Some((schema, value))
}
