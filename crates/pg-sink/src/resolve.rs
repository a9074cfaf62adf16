//! Plans: what the target's catalogue makes of a record's schemas, after the table was created or extended.

use std::sync::Arc;
use std::time::Instant;

use connect::{Record, TaskError};

use crate::columns::{Body, Plan, Wanted, Wish, body_of, find_column};
use crate::evolve;
use crate::load;
use crate::prepare::{PlanKey, Planned, REFUSAL_REMEMBERED};
use crate::registry::Registry;
use crate::routing::{self, TableName};
use crate::settings::{InsertMode, Settings};
use crate::table_shape::{self, TableShape};
use crate::target::Target;

/// Why there is no plan.
#[derive(Debug)]
pub enum Failure {
    /// The server failed; its class says what to do.
    Server(pg::Error),
    /// The task cannot go on until somebody acts.
    Halt(TaskError),
}

impl From<pg::Error> for Failure {
    fn from(error: pg::Error) -> Self {
        Self::Server(error)
    }
}

/// What it means for a record that its table is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// It only takes rows away.
    Skips,
    Matters,
}

/// Makes the plan for the records that are like `record`.
pub async fn plan(
    settings: &Settings,
    target: &mut Target,
    registry: &mut Registry,
    key: &PlanKey,
    record: &Record,
) -> Result<Planned, Failure> {
    let wanted = match body_of(settings, record).and_then(|body| Wanted::of(settings, record, body)) {
        Ok(wanted) => wanted,
        Err(why) => return Ok(refused(why)),
    };
    let name = match &key.route {
        Some(route) => routing::parse(settings, route),
        None => routing::table_of_topic(settings, &key.topic),
    };
    let name = match name {
        Ok(name) => name,
        Err(why) => return Ok(refused(why)),
    };
    let missing = match wanted.body == Body::None || wanted.body.is_truncate(record) {
        true => Missing::Skips,
        false => Missing::Matters,
    };
    let Some(table) = table(settings, target, registry, &name, &wanted, missing).await? else {
        return Ok(Planned::Skip { until: Instant::now() + REFUSAL_REMEMBERED });
    };
    let table = match table {
        Ok(table) => table,
        Err(why) => return Ok(refused(why)),
    };
    if let Err(why) = extend(settings, target, registry, table, &name, &wanted).await? {
        return Ok(refused(why));
    }
    if let Some(origin) = record.kafka_origin() {
        registry.feeds(table, &origin.topic);
    }
    let shape = registry.shape(table).clone();
    if settings.insert_mode == InsertMode::Update && wanted.key.is_empty() && wanted.body != Body::None {
        tracing::warn!(table = %shape.quoted, "updates without a key match no row: nothing is written");
    }
    Ok(match Plan::of(settings, table, &shape, &wanted, &mut |signature| registry.intern(signature)) {
        Ok(plan) => Planned::Ready(Arc::new(plan)),
        Err(why) => refused(why),
    })
}

fn refused(why: String) -> Planned {
    Planned::Refused { why: why.into(), until: Instant::now() + REFUSAL_REMEMBERED }
}

/// The table's index; created where it is missing and may be. `None`: there is no table, and the record needs none.
async fn table(
    settings: &Settings,
    target: &mut Target,
    registry: &mut Registry,
    name: &TableName,
    wanted: &Wanted,
    if_missing: Missing,
) -> Result<Option<Result<usize, String>>, Failure> {
    if let Some(table) = registry.by_name(name) {
        return Ok(Some(Ok(table)));
    }
    if let Some(shape) = read(target, name).await? {
        return Ok(Some(Ok(enter(settings, target, registry, name, shape).await?)));
    }
    if if_missing == Missing::Skips {
        return Ok(None);
    }
    if !settings.create.is_on() {
        return Err(Failure::Halt(
            TaskError::halt(format!("table \"{name}\" is missing in {}", settings.connect.target())).with_hint(
                "create the table, correct the format of its name, or allow it to be created (auto.create, \
                 schema.evolution)",
            ),
        ));
    }
    let schema = target.current_schema.clone();
    match evolve::create(target.client(), settings, name, &schema, wanted).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Ok(Some(Err(why))),
        // Another task may have been faster.
        Err(error)
            if matches!(error.class(), pg::ErrorClass::DuplicateObject | pg::ErrorClass::Integrity) => {}
        Err(error) => return Err(error.context(format!("could not create table {name}")).into()),
    }
    match read(target, name).await? {
        Some(shape) => Ok(Some(Ok(enter(settings, target, registry, name, shape).await?))),
        None => Err(Failure::Halt(TaskError::halt(format!(
            "table \"{name}\" cannot be found after it was created"
        )))),
    }
}

/// Adds the columns that the record has and the table lacks.
async fn extend(
    settings: &Settings,
    target: &mut Target,
    registry: &mut Registry,
    table: usize,
    name: &TableName,
    wanted: &Wanted,
) -> Result<Result<(), String>, Failure> {
    if lacking(settings, registry.shape(table), wanted).is_empty() {
        return Ok(Ok(()));
    }
    // Somebody may have added them since the catalogue was read.
    if let Some(shape) = read(target, name).await? {
        enter(settings, target, registry, name, shape).await?;
    }
    let shape = registry.shape(table).clone();
    let missing = lacking(settings, &shape, wanted);
    if missing.is_empty() {
        return Ok(Ok(()));
    }
    if !settings.evolve.is_on() {
        let names: Vec<_> = missing.iter().map(|wish| format!("\"{}\"", wish.column)).collect();
        return Ok(Err(format!(
            "the table {} has no column {}, and columns may not be added (auto.evolve, schema.evolution)",
            shape.quoted,
            names.join(", ")
        )));
    }
    match evolve::add_columns(target.client(), settings, &shape, &missing).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Ok(Err(why)),
        Err(error) if error.class() == pg::ErrorClass::DuplicateObject => {}
        Err(error) => return Err(error.context(format!("could not add columns to {}", shape.quoted)).into()),
    }
    if let Some(shape) = read(target, name).await? {
        enter(settings, target, registry, name, shape).await?;
    }
    Ok(Ok(()))
}

fn lacking<'a>(settings: &Settings, shape: &TableShape, wanted: &'a Wanted) -> Vec<&'a Wish> {
    // A delete needs the key's columns only, and never adds any.
    let values = if wanted.body == Body::None { &[][..] } else { &wanted.values };
    wanted.key.iter().chain(values).filter(|wish| find_column(settings, shape, wish).is_none()).collect()
}

/// The table as the catalogue has it now.
async fn read(target: &Target, name: &TableName) -> Result<Option<Arc<TableShape>>, pg::Error> {
    let schema = name.schema.as_deref().unwrap_or(&target.current_schema);
    table_shape::load(target.client(), schema, &name.name).await
}

/// Enters a table that is new, or its new shape.
async fn enter(
    settings: &Settings,
    target: &mut Target,
    registry: &mut Registry,
    name: &TableName,
    shape: Arc<TableShape>,
) -> Result<usize, pg::Error> {
    let first = registry.by_oid(shape.oid).is_none();
    let empty =
        first && load::is_candidate(settings, &shape) && load::is_empty(target.client(), &shape).await?;
    target.forget_statements();
    let table = registry.enter(name, shape);
    if empty {
        registry.begin_load(table);
    }
    Ok(table)
}

/// Reads all known tables again.
pub async fn refresh(
    settings: &Settings,
    target: &mut Target,
    registry: &mut Registry,
) -> Result<(), pg::Error> {
    let names: Vec<TableName> = registry.entries().iter().map(|entry| entry.name.clone()).collect();
    for name in names {
        match read(target, &name).await? {
            Some(shape) => {
                enter(settings, target, registry, &name, shape).await?;
            }
            None => registry.lost(&name),
        }
    }
    target.forget_statements();
    Ok(())
}

/// Enters the tables of the topics that the task will read, as far as they are there: what is written together must
/// be known before the first record of it comes.
pub async fn expect(
    settings: &Settings,
    target: &mut Target,
    registry: &mut Registry,
    topics: &[Arc<str>],
) -> Result<(), pg::Error> {
    for topic in topics {
        let Ok(name) = routing::table_of_topic(settings, topic) else { continue };
        if registry.by_name(&name).is_some() {
            continue;
        }
        if let Some(shape) = read(target, &name).await? {
            let table = enter(settings, target, registry, &name, shape).await?;
            registry.feeds(table, topic);
        }
    }
    Ok(())
}
