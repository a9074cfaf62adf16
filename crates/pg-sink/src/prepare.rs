//! Records to batches on a thread of its own, while the batch before is written.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::{Record, Schema, TaskError, Value};

use crate::batch::{Batch, Folding, Kind};
use crate::columns::{Body, NO_KEY_SCHEMA, Plan, body_of};
use crate::routing::{dynamic_name, is_dynamic};
use crate::settings::{Deletes, InsertMode, KeyMode, Settings, Truncates};

/// What a plan depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlanKey {
    pub topic: Arc<str>,
    pub key: Option<Schema>,
    pub value: Option<Schema>,
    /// The table's name, where it comes from the record.
    pub route: Option<Arc<str>>,
}

/// What is done with the records of a plan key.
#[derive(Clone, Debug)]
pub enum Planned {
    Ready(Arc<Plan>),
    /// Nothing: a tombstone for a table that is not there; it is looked for again then.
    Skip {
        until: Instant,
    },
    /// Nothing can be done with them; the table is looked at again then.
    Refused {
        why: Arc<str>,
        until: Instant,
    },
}

/// How long a refusal by schema is remembered: somebody may repair the table by hand.
pub const REFUSAL_REMEMBERED: Duration = Duration::from_secs(5);
/// Above this many plans something makes a new schema for each record; then they are not kept.
const PLANS_MAX: usize = 4_096;

/// Records of one call of `put`.
#[derive(Debug)]
pub struct Delivery {
    pub records: Vec<Record>,
    pub bytes: usize,
    /// Order of the call among opens and closes of partitions.
    pub stamp: u64,
}

/// A batch, and what stopped it.
#[derive(Debug)]
pub struct Prepared {
    pub batch: Batch,
    pub bytes: usize,
    /// Records behind the end of the batch, in order.
    pub rest: VecDeque<Delivery>,
    /// The first of them needs this plan.
    pub needs: Option<PlanKey>,
}

/// Builds batches; owns the plans.
#[derive(Debug)]
pub struct Preparer {
    settings: Arc<Settings>,
    plans: HashMap<PlanKey, Planned>,
    dynamic: bool,
    last: Option<(PlanKey, Planned)>,
}

/// What a record asks for.
enum Action {
    Change(Kind),
    Truncate,
    Nothing,
    Refuse(TaskError),
}

impl Preparer {
    pub fn new(settings: Arc<Settings>) -> Self {
        let dynamic = is_dynamic(&settings);
        Self { settings, plans: HashMap::new(), dynamic, last: None }
    }

    pub fn learn(&mut self, key: PlanKey, planned: Planned) {
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        if matches!(planned, Planned::Ready(_)) {
            // The table may have come into being with this plan.
            self.plans.retain(|_, planned| !matches!(planned, Planned::Skip { .. }));
        }
        self.plans.insert(key, planned);
        self.last = None;
    }

    /// Forgets all plans: a table has changed.
    pub fn forget(&mut self) {
        self.plans.clear();
        self.last = None;
    }

    /// Builds a batch from the deliveries, up to the first record whose plan is not known, or before which the
    /// table must be emptied.
    pub fn prepare(&mut self, mut deliveries: VecDeque<Delivery>) -> Prepared {
        let mut prepared = Prepared { batch: Batch::default(), bytes: 0, rest: VecDeque::new(), needs: None };
        while let Some(mut delivery) = deliveries.pop_front() {
            let (count, bytes) = (delivery.records.len().max(1), delivery.bytes);
            let mut records = std::mem::take(&mut delivery.records).into_iter();
            let mut stopped = false;
            while let Some(record) = records.as_slice().first() {
                match self.planned_or_skipped(record) {
                    Err(needs) => {
                        prepared.needs = Some(needs);
                        stopped = true;
                    }
                    Ok(planned) => {
                        stopped = self.enter(&mut prepared.batch, &mut records, planned, delivery.stamp)
                    }
                }
                if stopped {
                    break;
                }
            }
            delivery.bytes = bytes / count * records.len();
            prepared.bytes += bytes - delivery.bytes;
            if stopped {
                delivery.records = records.collect();
                if !delivery.records.is_empty() {
                    prepared.rest.push_back(delivery);
                }
                prepared.rest.append(&mut deliveries);
                break;
            }
        }
        prepared.batch.encode();
        prepared
    }

    /// Takes the next record into the batch; `true` where the batch must end before or behind it.
    fn enter(
        &self,
        batch: &mut Batch,
        records: &mut std::vec::IntoIter<Record>,
        planned: Planned,
        stamp: u64,
    ) -> bool {
        let record = &records.as_slice()[0];
        let (action, plan) = match planned {
            Planned::Ready(plan) => (self.action(record, &plan), Some(plan)),
            Planned::Skip { .. } => (Action::Nothing, None),
            Planned::Refused { why, .. } => (Action::Refuse(TaskError::reject(&*why)), None),
        };
        let truncates = matches!(action, Action::Truncate);
        if truncates && !batch.is_empty() {
            return true;
        }
        let record = records.next().expect("the slice has a first record");
        let offset = match record.kafka_origin() {
            Some(origin) => {
                batch.reaches(&origin.topic, origin.partition, origin.offset, stamp);
                origin.offset
            }
            None => 0,
        };
        let index = batch.records.len() as u32;
        batch.records.push(record);
        match (action, plan) {
            (Action::Refuse(error), _) => batch.refuse(index, error),
            (Action::Change(kind), Some(plan)) => batch.enter(kind, index, &plan, offset, self.folding()),
            (Action::Truncate, plan) => batch.truncate = plan,
            _ => {}
        }
        truncates
    }

    fn folding(&self) -> Folding {
        match self.settings.insert_mode {
            InsertMode::Insert => Folding::Inserts,
            InsertMode::Upsert | InsertMode::Update => Folding::LastWins,
        }
    }

    /// A tombstone that does nothing needs no plan. Where the table's name comes from the event, a tombstone has
    /// none, and the delete event before it has done its work.
    fn planned_or_skipped(&mut self, record: &Record) -> Result<Planned, PlanKey> {
        if record.value.is_null() && (self.dynamic || self.settings.deletes == Deletes::Skip) {
            return Ok(Planned::Skip { until: Instant::now() });
        }
        self.planned(record)
    }

    /// The plan for a record, or the key under which it must be made.
    fn planned(&mut self, record: &Record) -> Result<Planned, PlanKey> {
        if !self.dynamic
            && let Some((key, planned)) = &self.last
            && same_topic(&key.topic, &record.topic)
            && same_schema(key.key.as_ref(), record.key_schema.as_ref())
            && same_schema(key.value.as_ref(), record.value_schema.as_ref())
        {
            return Ok(planned.clone());
        }
        let key = match self.key(record) {
            Ok(key) => key,
            Err(why) => return Ok(Planned::Refused { why: why.into(), until: Instant::now() }),
        };
        match self.plans.get(&key) {
            Some(Planned::Refused { until, .. } | Planned::Skip { until }) if *until < Instant::now() => {
                Err(key)
            }
            Some(planned) => {
                let planned = planned.clone();
                if matches!(planned, Planned::Ready(_)) {
                    self.last = Some((key, planned.clone()));
                }
                Ok(planned)
            }
            None => Err(key),
        }
    }

    fn key(&self, record: &Record) -> Result<PlanKey, String> {
        let route = if self.dynamic {
            let body = body_of(&self.settings, record)?;
            Some(Arc::from(dynamic_name(&self.settings, record, &body)?))
        } else {
            None
        };
        Ok(PlanKey {
            topic: record.topic.clone(),
            key: record.key_schema.clone(),
            value: record.value_schema.clone(),
            route,
        })
    }

    fn action(&self, record: &Record, plan: &Plan) -> Action {
        if record.value.is_null() {
            return self.delete(record);
        }
        let Body::Envelope { op, .. } = &plan.body else { return Action::Change(Kind::Write) };
        let event = record.value.as_struct().unwrap_or(&[]);
        match event.get(*op).and_then(Value::as_str) {
            Some("c" | "u" | "r") if plan.row(record).is_empty() => {
                Action::Refuse(TaskError::reject("the change event has no row in \"after\""))
            }
            // The plan was made for a truncate event, which has no key.
            Some("c" | "u" | "r" | "d")
                if plan.key().is_empty() && self.settings.key_mode != KeyMode::None =>
            {
                Action::Refuse(TaskError::reject(NO_KEY_SCHEMA))
            }
            Some("c" | "u" | "r") => Action::Change(Kind::Write),
            Some("d") => match self.settings.deletes {
                Deletes::Apply => Action::Change(Kind::Delete),
                Deletes::Skip | Deletes::Reject => Action::Nothing,
            },
            Some("t") => match self.settings.truncates {
                Truncates::Apply => Action::Truncate,
                Truncates::Skip => Action::Nothing,
            },
            Some("m") => Action::Nothing,
            other => Action::Refuse(TaskError::reject(format!(
                "the change event's operation is {}, which is not known",
                other.map_or_else(|| "missing".to_owned(), |op| format!("\"{op}\""))
            ))),
        }
    }

    fn delete(&self, record: &Record) -> Action {
        match self.settings.deletes {
            Deletes::Skip => Action::Nothing,
            Deletes::Reject => Action::Refuse(
                TaskError::new(
                    connect::Fate::Reject,
                    connect::fate::CONNECT_EXCEPTION,
                    "the record has no value, and deletes are not enabled".to_owned(),
                )
                .with_hint(
                    "set delete.enabled=true with pk.mode=record_key, or drop tombstones with a transform",
                ),
            ),
            Deletes::Apply if self.settings.key_mode == KeyMode::RecordKey && !record.key.is_null() => {
                Action::Change(Kind::Delete)
            }
            Deletes::Apply => Action::Refuse(TaskError::reject("the record has neither a key nor a value")),
        }
    }
}

fn same_topic(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

fn same_schema(a: Option<&Schema>, b: Option<&Schema>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.ptr_eq(b),
        (None, None) => true,
        _ => false,
    }
}
