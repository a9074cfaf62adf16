//! Records to a batch: grouped by table, folded to the last change of each key, encoded column by column.
//!
//! Nothing here waits. A record whose plan is not known yet ends the batch; the caller has it compiled and goes on
//! behind it.

use std::hash::BuildHasher;
use std::sync::Arc;

use connect::{Record, TaskError, TopicPartition, Value};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::columns::{Plan, Signature};
use crate::encode;
use crate::values::is_unavailable;

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Written by the insert mode.
    Write,
    Delete,
    /// Deleted, and written again: only where writing is a plain INSERT.
    Replace,
    /// Refused, and there was no earlier change of the key.
    Gone,
}

/// The last change of a key (or, without a key, one record).
#[derive(Clone, Debug)]
pub struct Change {
    pub kind: Kind,
    /// Index of the record.
    pub record: u32,
    pub plan: Arc<Plan>,
    /// The key's elements, in the table's arena.
    pub key: std::ops::Range<u32>,
    /// Offset of the first record of this key in the batch.
    pub first_offset: i64,
    /// Slots whose value was not sent, ascending.
    pub absent: Box<[u16]>,
    /// The change of the same key that this one replaces, in [`TableBatch::superseded`]: it counts again where
    /// this one is refused.
    pub earlier: Option<u32>,
}

/// Changes of one table.
#[derive(Debug)]
pub struct TableBatch {
    pub table: usize,
    pub changes: Vec<Change>,
    pub superseded: Vec<Change>,
    pub keys: Vec<u8>,
    index: HashTable<u32>,
    /// Statements' rows, with parameters; filled by [`Batch::encode`].
    pub writes: Vec<Group>,
    pub deletes: Vec<Group>,
}

/// Message bytes of one statement's rows. The server keeps the rows of `unnest` in `work_mem` (4 MiB) as long as
/// they fit.
const STATEMENT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A batch has several statements: the server works on the first while the others are on their way to it. With fewer rows
/// a statement costs more for itself than for them.
const WRITE_ROWS_MAX: usize = 512;
/// A delete may read all of a table that refers to it, whatever the number of rows.
const DELETE_ROWS_MAX: usize = 10_000;

/// Rows of one statement.
#[derive(Debug)]
pub struct Group {
    pub signature: Arc<Signature>,
    pub absent: Box<[u16]>,
    /// Indexes of changes.
    pub rows: Vec<u32>,
    /// What the rows' messages weigh.
    bytes: usize,
    /// One array per parameter.
    pub params: Vec<Vec<u8>>,
}

/// How far a batch brings one partition.
#[derive(Clone, Debug)]
pub struct Part {
    pub partition: TopicPartition,
    pub next: i64,
    pub stamp: u64,
}

/// A record that was refused before it came to a statement, or by one.
#[derive(Debug)]
pub struct Refusal {
    pub record: u32,
    pub error: TaskError,
}

#[derive(Debug, Default)]
pub struct Batch {
    pub records: Vec<Record>,
    pub tables: Vec<TableBatch>,
    pub parts: Vec<Part>,
    pub refusals: Vec<Refusal>,
    /// This table is emptied, and nothing else.
    pub truncate: Option<Arc<Plan>>,
}

const HASHER: FixedState = FixedState::with_seed(0x7469_6465);

impl TableBatch {
    fn new(table: usize) -> Self {
        Self {
            table,
            changes: vec![],
            superseded: vec![],
            keys: vec![],
            index: HashTable::new(),
            writes: vec![],
            deletes: vec![],
        }
    }

    pub fn key(&self, change: &Change) -> &[u8] {
        &self.keys[change.key.start as usize..change.key.end as usize]
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        self.index.find(HASHER.hash_one(key), |at| self.key(&self.changes[*at as usize]) == key).copied()
    }

    fn insert(&mut self, change: Change) {
        let hash = HASHER.hash_one(self.key(&change));
        let at = self.changes.len() as u32;
        self.changes.push(change);
        let (keys, changes) = (&self.keys, &self.changes);
        let key_of = |at: &u32| {
            let range = &changes[*at as usize].key;
            &keys[range.start as usize..range.end as usize]
        };
        match self.index.entry(
            hash,
            |other| key_of(other) == key_of(&at),
            |other| HASHER.hash_one(key_of(other)),
        ) {
            hashbrown::hash_table::Entry::Occupied(mut entry) => *entry.get_mut() = at,
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert(at);
            }
        }
    }
}

/// Whether two writes of one key may become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folding {
    /// The later row replaces the earlier one.
    LastWins,
    /// Each write is an INSERT of its own; only deletes are folded.
    Inserts,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.truncate.is_none()
    }

    fn table(&mut self, table: usize) -> &mut TableBatch {
        let at = match self.tables.iter().position(|batch| batch.table == table) {
            Some(at) => at,
            None => {
                self.tables.push(TableBatch::new(table));
                self.tables.len() - 1
            }
        };
        &mut self.tables[at]
    }

    /// Notes that the record at `offset` is part of the batch, whatever becomes of it.
    pub fn reaches(&mut self, topic: &Arc<str>, partition: i32, offset: i64, stamp: u64) {
        let same = |part: &Part| {
            part.partition.partition == partition
                && (Arc::ptr_eq(&part.partition.topic, topic) || part.partition.topic == *topic)
        };
        // Records come in runs of one partition.
        let known = match self.parts.last_mut() {
            Some(last) if same(last) => Some(last),
            _ => self.parts.iter_mut().find(|part| same(part)),
        };
        match known {
            Some(part) => {
                part.next = part.next.max(offset + 1);
                part.stamp = part.stamp.min(stamp);
            }
            None => self.parts.push(Part {
                partition: TopicPartition { topic: topic.clone(), partition },
                next: offset + 1,
                stamp,
            }),
        }
    }

    pub fn refuse(&mut self, record: u32, error: TaskError) {
        self.refusals.push(Refusal { record, error });
    }

    /// Enters a change; `offset` is its record's.
    pub fn enter(&mut self, kind: Kind, record: u32, plan: &Arc<Plan>, offset: i64, folding: Folding) {
        let start;
        let keyed = !plan.key().is_empty();
        {
            let source = &self.records[record as usize];
            let row = plan.row(source);
            let table = match self.tables.iter().position(|batch| batch.table == plan.signature.table) {
                Some(at) => &mut self.tables[at],
                None => {
                    self.tables.push(TableBatch::new(plan.signature.table));
                    self.tables.last_mut().expect("one was pushed")
                }
            };
            start = table.keys.len();
            for slot in plan.key() {
                if let Err(why) = slot.append(source, row, &mut table.keys) {
                    table.keys.truncate(start);
                    let error = encode::refused(&plan.shape, slot.column, &why);
                    self.refuse(record, error);
                    return;
                }
            }
        }
        let absent =
            if kind == Kind::Write { absent(plan, &self.records[record as usize]) } else { Box::default() };
        let change = Change {
            kind,
            record,
            plan: plan.clone(),
            key: start as u32..self.table(plan.signature.table).keys.len() as u32,
            first_offset: offset,
            absent,
            earlier: None,
        };
        if keyed {
            self.fold(change, folding);
        } else {
            self.table(plan.signature.table).changes.push(change);
        }
    }

    /// Enters a change that was held back; its key is encoded already.
    pub fn enter_held(&mut self, table: usize, key: &[u8], mut change: Change) {
        let batch = self.table(table);
        let start = batch.keys.len() as u32;
        batch.keys.extend_from_slice(key);
        change.key = start..batch.keys.len() as u32;
        batch.changes.push(change);
    }

    fn fold(&mut self, mut change: Change, folding: Folding) {
        let table = change.plan.signature.table;
        let batch = self.table(table);
        let Some(at) = batch.find(batch.key(&change)) else {
            batch.insert(change);
            return;
        };
        let earlier = &mut batch.changes[at as usize];
        match (folding, earlier.kind, change.kind) {
            (Folding::Inserts, Kind::Write | Kind::Replace, Kind::Write) => {
                // The server says that the key is there already.
                batch.insert(change);
                return;
            }
            (Folding::Inserts, Kind::Delete, Kind::Write) => change.kind = Kind::Replace,
            _ => {}
        }
        // The key's bytes are in the arena already.
        batch.keys.truncate(change.key.start as usize);
        let earlier = &mut batch.changes[at as usize];
        change.key = earlier.key.clone();
        change.first_offset = earlier.first_offset;
        if !change.absent.is_empty() && earlier.kind != Kind::Delete {
            let (from, to) = (earlier.clone(), &mut change);
            let values = sent_values(&self.records[from.record as usize], &from, to);
            fill_absent(&mut self.records[to.record as usize], to, values);
        }
        let batch = self.table(table);
        change.earlier = Some(batch.superseded.len() as u32);
        let earlier = std::mem::replace(&mut batch.changes[at as usize], change);
        batch.superseded.push(earlier);
    }

    /// Encodes what is written and what is deleted.
    pub fn encode(&mut self) {
        for at in 0..self.tables.len() {
            self.encode_table(at);
        }
    }

    /// Groups the table's changes by statement and encodes them, as often as a row turns out to be bad.
    pub fn encode_table(&mut self, at: usize) {
        loop {
            let batch = &self.tables[at];
            let (mut writes, mut deletes) = batch.groups(&self.records);
            let mut bad = vec![];
            for group in &mut writes {
                match encode::writes(&self.records, batch, &group.signature, &group.absent, &group.rows) {
                    Ok(params) => group.params = params,
                    Err(rows) => bad.extend(rows.into_iter().map(|(row, error)| (group.rows[row], error))),
                }
            }
            for group in &mut deletes {
                group.params = encode::keys(batch, &group.signature, &group.rows);
            }
            if bad.is_empty() {
                let batch = &mut self.tables[at];
                (batch.writes, batch.deletes) = (writes, deletes);
                return;
            }
            for (change, error) in bad {
                self.refuse_change(at, change, error);
            }
        }
    }

    /// Refuses the record of a change; the change that it replaced, if any, takes its place.
    pub fn refuse_change(&mut self, at: usize, change: u32, error: TaskError) {
        let batch = &mut self.tables[at];
        let change = &mut batch.changes[change as usize];
        let record = change.record;
        match change.earlier {
            Some(earlier) => *change = batch.superseded[earlier as usize].clone(),
            None => change.kind = Kind::Gone,
        }
        self.refuse(record, error);
    }
}

impl TableBatch {
    /// Rows by statement.
    fn groups(&self, records: &[Record]) -> (Vec<Group>, Vec<Group>) {
        let (mut writes, mut deletes) = (vec![], vec![]);
        for (row, change) in self.changes.iter().enumerate() {
            let row = row as u32;
            if matches!(change.kind, Kind::Delete | Kind::Replace) {
                push_row(&mut deletes, &change.plan.key_signature, &[], (row, 0), DELETE_ROWS_MAX);
            }
            if matches!(change.kind, Kind::Write | Kind::Replace) {
                let origin = records[change.record as usize].kafka_origin();
                let bytes = origin.map_or(0, |origin| origin.raw.size_bytes());
                push_row(&mut writes, &change.plan.signature, &change.absent, (row, bytes), WRITE_ROWS_MAX);
            }
        }
        (writes, deletes)
    }
}

/// Adds a row, with what it weighs, to the last group of its kind that is not full.
fn push_row(
    groups: &mut Vec<Group>,
    signature: &Arc<Signature>,
    absent: &[u16],
    (row, bytes): (u32, usize),
    rows_max: usize,
) {
    let fits = |group: &&mut Group| {
        Arc::ptr_eq(&group.signature, signature)
            && *group.absent == *absent
            && group.rows.len() < rows_max
            && group.bytes < STATEMENT_BYTES_MAX
    };
    match groups.iter_mut().rev().find(fits) {
        Some(group) => {
            group.rows.push(row);
            group.bytes += bytes;
        }
        None => groups.push(Group {
            signature: signature.clone(),
            absent: absent.into(),
            rows: vec![row],
            bytes,
            params: vec![],
        }),
    }
}

/// Slots whose value the source did not send.
fn absent(plan: &Plan, record: &Record) -> Box<[u16]> {
    let row = plan.row(record);
    let is_absent = |place: usize| match plan.slots[place].source {
        crate::columns::Source::Row(at) => row.get(at).is_some_and(is_unavailable),
        _ => false,
    };
    if !plan.toastable.iter().any(|place| is_absent(*place)) {
        return Box::default();
    }
    plan.toastable.iter().filter(|place| is_absent(**place)).map(|place| *place as u16).collect()
}

/// What an earlier change of the same key knows of the values that a later one did not send: slot and value.
pub fn sent_values(record: &Record, from: &Change, to: &Change) -> Vec<(u16, Value)> {
    let row = from.plan.row(record);
    let value_of = |column: usize| {
        from.plan.slots.iter().enumerate().find_map(|(at, slot)| match slot.source {
            crate::columns::Source::Row(place)
                if slot.column == column && !from.absent.contains(&(at as u16)) =>
            {
                Some(row.get(place).cloned().unwrap_or(Value::Null))
            }
            _ => None,
        })
    };
    to.absent
        .iter()
        .filter_map(|place| Some((*place, value_of(to.plan.slots[usize::from(*place)].column)?)))
        .collect()
}

/// Puts such values into the later change's record.
pub fn fill_absent(record: &mut Record, to: &mut Change, values: Vec<(u16, Value)>) {
    to.absent =
        to.absent.iter().copied().filter(|place| values.iter().all(|(known, _)| known != place)).collect();
    for (place, value) in values {
        if let crate::columns::Source::Row(at) = to.plan.slots[usize::from(place)].source {
            set_row_value(&to.plan, record, at, value);
        }
    }
}

/// Replaces one value of a record's row.
fn set_row_value(plan: &Plan, record: &mut Record, place: usize, value: Value) {
    let row = match (&plan.body, &mut record.value) {
        (crate::columns::Body::Envelope { after: Some(after), .. }, Value::Struct(event)) => {
            event.get_mut(*after)
        }
        (_, value) => Some(value),
    };
    if let Some(Value::Struct(row)) = row
        && let Some(old) = row.get_mut(place)
    {
        *old = value;
    }
}
