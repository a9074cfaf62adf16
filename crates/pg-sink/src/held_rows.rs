//! Between batches and what is held: what a batch must know of it, and what a batch leaves behind.

use std::collections::HashSet;

use connect::{Fate, TaskError, TopicPartition};

use crate::batch::{Batch, Change, Kind, Part, TableBatch, fill_absent, sent_values};
use crate::hold::{Held, Hold, Key, Why, detached, place};
use crate::jobs::Left;
use crate::registry::Registry;
use crate::settings::{InsertMode, Settings};
use crate::shared::{Owned, State};
use crate::verdict::SQL_EXCEPTION;

/// Completes changes whose key is held: what they did not send is in the held row, and after a held delete a plain
/// INSERT must delete first.
pub fn complete(hold: &Hold, batch: &mut Batch, settings: &Settings) {
    for at in 0..batch.tables.len() {
        let Batch { records, tables, .. } = batch;
        let table = &mut tables[at];
        if !hold.has(table.table) {
            continue;
        }
        let mut changed = false;
        for index in 0..table.changes.len() {
            let Some(held) = hold.get(table.table, table.key(&table.changes[index])) else { continue };
            let change = &mut table.changes[index];
            if held.kind == Kind::Delete
                && change.kind == Kind::Write
                && settings.insert_mode == InsertMode::Insert
            {
                change.kind = Kind::Replace;
                changed = true;
            }
            if held.kind != Kind::Delete && !change.absent.is_empty() {
                let values = sent_values(&held.record, &as_change(held), change);
                fill_absent(&mut records[change.record as usize], change, values);
                changed = true;
            }
        }
        if changed {
            batch.encode_table(at);
        }
    }
}

/// A held change in a batch's form; record and key are elsewhere.
fn as_change(held: &Held) -> Change {
    Change {
        kind: held.kind,
        record: 0,
        plan: held.plan.clone(),
        key: 0..0,
        first_offset: held.oldest,
        absent: held.absent.clone(),
        earlier: None,
    }
}

/// A batch of everything that is held.
pub fn batch(hold: &Hold) -> Batch {
    let mut batch = Batch::default();
    for (table, key, held) in hold.changes() {
        let record = batch.records.len() as u32;
        batch.records.push(held.record.clone());
        batch.enter_held(table, key, Change { record, ..as_change(held) });
    }
    batch.encode();
    batch
}

/// Keeps what a committed batch left, and releases what it wrote.
pub fn settle(hold: &mut Hold, batch: &Batch, left: &[Left], is_current: impl Fn(&Part) -> bool) {
    let refused: HashSet<(usize, u32)> = left.iter().map(|left| (left.table_at, left.row)).collect();
    for (at, table) in batch.tables.iter().enumerate() {
        if !hold.has(table.table) {
            continue;
        }
        for (row, change) in table.changes.iter().enumerate() {
            if !refused.contains(&(at, row as u32)) {
                hold.release(table.table, table.key(change));
            }
        }
    }
    for left in left {
        let table = &batch.tables[left.table_at];
        let change = &table.changes[left.row as usize];
        let record = &batch.records[change.record as usize];
        let Some((partition, origin)) = place(record) else { continue };
        let belongs = batch.parts.iter().find(|part| part.partition == partition).is_none_or(&is_current);
        if belongs {
            let key = key_of(table, change, &origin.topic, origin.partition, origin.offset);
            // A change that was held before has its own copy of the record already.
            let record = if hold.get(table.table, &key).is_some_and(|held| same_place(held, origin.offset)) {
                record.clone()
            } else {
                detached(record)
            };
            hold.keep(
                table.table,
                key,
                Held {
                    kind: change.kind,
                    record,
                    plan: change.plan.clone(),
                    absent: change.absent.clone(),
                    partition,
                    oldest: change.first_offset,
                    why: left.why,
                    said: left.said.clone(),
                    waited: std::time::Duration::ZERO,
                },
            );
        }
    }
}

fn same_place(held: &Held, offset: i64) -> bool {
    held.record.kafka_origin().is_some_and(|origin| origin.offset == offset)
}

/// Rows without a key are told apart by their place in Kafka.
fn key_of(table: &TableBatch, change: &Change, topic: &str, partition: i32, offset: i64) -> Key {
    let key = table.key(change);
    if !key.is_empty() {
        return key.into();
    }
    let mut place = topic.as_bytes().to_vec();
    place.extend_from_slice(&partition.to_be_bytes());
    place.extend_from_slice(&offset.to_be_bytes());
    place.into()
}

/// Whether everything has been read that could help a change of this table, so that its time runs. A partition that is
/// paused because it holds too much brings nothing either: that must end in an error, not in standing still.
pub fn nothing_can_help(registry: &Registry, state: &State, table: usize, why: Why) -> bool {
    let helpers: Vec<usize> = match why {
        Why::Parent => registry.parents(table).collect(),
        Why::Child => registry.children(table).collect(),
        Why::Unique => vec![table],
    };
    let entries = registry.entries();
    let comes =
        |(partition, owned): &(&TopicPartition, &Owned)| !owned.at_end && !state.full.contains(partition);
    state.owned.iter().filter(comes).all(|(partition, _)| {
        let feeds = |table: &usize| entries[*table].topics.contains(&partition.topic);
        let known = entries.iter().any(|entry| entry.topics.contains(&partition.topic));
        // A topic from which nothing has come yet may feed any table.
        known && !helpers.iter().any(feeds)
    })
}

/// The error of a change that has waited too long.
pub fn timed_out(registry: &Registry, state: &State, table: usize, held: &Held) -> TaskError {
    let shape = registry.shape(table);
    let names = |links: Vec<&String>| links.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let what = match held.why {
        Why::Parent => format!(
            "a row that it refers to did not come ({})",
            names(shape.parents.iter().map(|link| &link.parent).collect())
        ),
        Why::Child => format!(
            "rows that refer to it were not deleted ({})",
            names(shape.children.iter().map(|link| &link.child).collect())
        ),
        Why::Unique => "another row keeps its value of a unique index".to_owned(),
    };
    let said = held.said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    TaskError::new(
        Fate::Reject,
        SQL_EXCEPTION,
        format!("change of a row of {} was held back for too long: {what}{said}", shape.quoted),
    )
    .with_hint(match state.full.is_empty() {
        true => "see foreign.key.hold.timeout.ms",
        false => "reading has paused because so much is held: raise foreign.key.hold.max.bytes",
    })
}
