//! What depends on the outbox table's schema only: indexes of its columns, the event's schemas.

use std::sync::Arc;

use connect::logical::{TIMESTAMP, debezium};
use connect::{Field, Kind, Schema, SchemaBuilder, Value};

use super::settings::{Missing, Placement, Settings};
use crate::envelope::{AFTER, OPERATION, TS_MS, is_envelope};
use crate::shape;

/// A column: its index, schema, and what a null becomes.
#[derive(Clone)]
pub(super) struct Column {
    index: usize,
    pub schema: Schema,
}

/// A change event's schema: where its operation is, and the plan where its table is an outbox.
pub(super) struct Events {
    pub operation: usize,
    pub plan: Result<Plan, String>,
}

impl Events {
    /// `None`: not a change event of a table.
    pub(super) fn new(schema: &Schema, settings: &Settings) -> Option<Self> {
        if !is_envelope(schema) {
            return None;
        }
        let (operation, after) = (schema.field_index(OPERATION)?, schema.field_index(AFTER)?);
        let row = &schema.fields()[after].schema;
        Some(Self { operation, plan: Plan::of_table(schema, row, after, settings) })
    }
}

pub(super) struct Plan {
    pub after: usize,
    /// The time at which the event was processed, where the envelope has one.
    pub processed: Option<usize>,
    pub id: Column,
    pub key: Column,
    pub payload: Column,
    pub route_by: Column,
    pub timestamp: Option<(Column, Result<Unit, String>)>,
    pub schema_version: Option<Column>,
    pub headers: Vec<(Column, Arc<str>)>,
    pub partition: Option<Column>,
    /// Columns beside the payload in the value, by their new names.
    pub envelope: Vec<(Column, Arc<str>)>,
    row_name: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    pub(super) fn to_millis(self, number: i64) -> i64 {
        match self {
            Self::Millis => number,
            Self::Micros => number / 1000,
            Self::Nanos => number / 1_000_000,
        }
    }
}

impl Column {
    fn find(row: &Schema, name: &str) -> Result<Self, String> {
        let index = row.field_index(name).ok_or_else(|| format!("{name} is not a valid field name"))?;
        Ok(Self { index, schema: row.fields()[index].schema.clone() })
    }

    /// The value in a row; a null is the column's default.
    pub(super) fn of(&self, row: &[Value]) -> Value {
        match (&row[self.index], self.schema.default()) {
            (Value::Null, Some(default)) => default.clone(),
            (value, _) => value.clone(),
        }
    }
}

impl Plan {
    fn of_table(schema: &Schema, row: &Schema, after: usize, settings: &Settings) -> Result<Self, String> {
        let payload = Column::find(row, &settings.payload)
            .map_err(|_| format!("Unable to find payload field {} in event", settings.payload))?;
        let timestamp = settings.timestamp.as_deref().map(|name| {
            let column = Column::find(row, name)
                .map_err(|_| format!("Unable to find timestamp field {name} in event"))?;
            let unit = unit_of(&column.schema);
            Ok::<_, String>((column, unit))
        });
        let mut plan = Self {
            after,
            processed: schema.field_index(TS_MS),
            id: Column::find(row, &settings.id)?,
            key: Column::find(row, &settings.key)?,
            payload,
            route_by: Column::find(row, &settings.route_by)?,
            timestamp: timestamp.transpose()?,
            schema_version: match &settings.schema_version {
                Some(name) => Some(Column::find(row, name)?),
                None => None,
            },
            headers: vec![],
            partition: None,
            envelope: vec![],
            row_name: row.name().map(Box::from),
        };
        for additional in &settings.additional {
            let column = match Column::find(row, &additional.column) {
                Err(_) if settings.missing == Missing::Ignored => continue,
                found => found?,
            };
            let alias = Arc::from(&*additional.alias);
            match additional.placement {
                Placement::Header => plan.headers.push((column, alias)),
                Placement::Envelope => plan.envelope.push((column, alias)),
                Placement::Partition => plan.partition = Some(column),
            }
        }
        Ok(plan)
    }

    /// The schema of a value with more than the payload: named after the table and the aggregate.
    pub(super) fn envelope_schema(
        &self,
        routed_by: &str,
        version: Option<i32>,
        payload: &Schema,
    ) -> Result<Schema, String> {
        let mut fields = vec![Field { name: "payload".into(), schema: payload.clone() }];
        for (column, alias) in &self.envelope {
            fields.push(Field { name: Arc::clone(alias), schema: column.schema.clone() });
        }
        shape::check_unique(&fields)?;
        let mut builder = SchemaBuilder::structure().fields(fields);
        if let Some(version) = version {
            builder = builder.version(version);
        }
        if let Some(name) = &self.row_name {
            let name = match name.rsplit_once('.') {
                Some((table, suffix)) => format!("{table}.{routed_by}.{suffix}"),
                None => format!("{name}.{routed_by}"),
            };
            builder = builder.name(name);
        }
        Ok(builder.build())
    }
}

fn unit_of(schema: &Schema) -> Result<Unit, String> {
    match (schema.name(), schema.kind()) {
        (Some(TIMESTAMP | debezium::TIMESTAMP), Kind::Int64) => Ok(Unit::Millis),
        (Some(debezium::MICRO_TIMESTAMP), Kind::Int64) => Ok(Unit::Micros),
        (Some(debezium::NANO_TIMESTAMP), Kind::Int64) => Ok(Unit::Nanos),
        (Some(name), _) => Err(format!("Unsupported field type {name} for event timestamp")),
        (None, kind) => Err(format!(
            "Unsupported field type {} (without logical schema name) for event timestamp",
            kind.type_name().to_uppercase()
        )),
    }
}
