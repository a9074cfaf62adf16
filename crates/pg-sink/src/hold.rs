//! Changes that wait for a row of another table.
//!
//! Topics are read at different speed, so a child may come before its parent, and a parent's delete before its
//! children's. Such a change is kept here, the last one of its key, until the server takes it. Kafka offsets are
//! committed only up to the oldest of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use connect::record::KafkaOrigin;
use connect::{Origin, Record, TopicPartition};

use crate::batch::Kind;
use crate::columns::Plan;

/// What a change waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A row that it refers to.
    Parent,
    /// Rows that refer to it must go first.
    Child,
    /// Another row has its value of a unique index.
    Unique,
}

/// The last change of a key, waiting.
#[derive(Clone, Debug)]
pub struct Held {
    pub kind: Kind,
    /// Shares no buffer with its batch.
    pub record: Record,
    pub plan: Arc<Plan>,
    pub absent: Box<[u16]>,
    pub partition: TopicPartition,
    /// Offset of the first record whose effect is not at the target.
    pub oldest: i64,
    pub why: Why,
    /// What the server said, where it said something.
    pub said: Option<String>,
    /// How long it has waited while nothing that could help was left to read.
    pub waited: Duration,
}

/// A partition holds much when it holds this part of all.
const MUCH_DIVISOR: usize = 4;
/// So many times the limit is held at most.
const OVERDRAFT_MAX: usize = 4;
/// Overhead of an entry beside its data.
const ENTRY_BYTES: usize = 512;

impl Held {
    fn bytes(&self) -> usize {
        let raw = match &self.record.origin {
            Origin::Kafka(origin) => origin.raw.size_bytes(),
            Origin::Source => 0,
        };
        ENTRY_BYTES + raw + self.record.key.heap_bytes() + self.record.value.heap_bytes()
    }
}

/// A copy that keeps no batch alive.
pub fn detached(record: &Record) -> Record {
    Record { key: record.key.detached(), value: record.value.detached(), ..record.clone() }
}

/// A record's place in Kafka.
pub fn place(record: &Record) -> Option<(TopicPartition, &KafkaOrigin)> {
    let origin = record.kafka_origin()?;
    Some((TopicPartition { topic: origin.topic.clone(), partition: origin.partition }, origin))
}

pub type Key = Box<[u8]>;

/// All waiting changes of a task.
#[derive(Debug, Default)]
pub struct Hold {
    tables: BTreeMap<usize, HashMap<Key, Held>>,
    offsets: BTreeMap<TopicPartition, BTreeSet<(i64, usize, Key)>>,
    bytes: usize,
}

impl Hold {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub fn count(&self) -> usize {
        self.tables.values().map(HashMap::len).sum()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn get(&self, table: usize, key: &[u8]) -> Option<&Held> {
        self.tables.get(&table)?.get(key)
    }

    /// Whether any change of the table waits.
    pub fn has(&self, table: usize) -> bool {
        self.tables.contains_key(&table)
    }

    pub fn changes(&self) -> impl Iterator<Item = (usize, &Key, &Held)> {
        self.tables.iter().flat_map(|(table, changes)| changes.iter().map(|(key, held)| (*table, key, held)))
    }

    /// Keeps a change; one that waits already under the same key is replaced, its age stays.
    pub fn keep(&mut self, table: usize, key: Key, mut held: Held) {
        if let Some(earlier) = self.release(table, &key) {
            held.oldest = held.oldest.min(earlier.oldest);
            if earlier.kind == held.kind {
                held.waited = earlier.waited;
            }
        }
        self.bytes += held.bytes();
        self.offsets.entry(held.partition.clone()).or_default().insert((held.oldest, table, key.clone()));
        self.tables.entry(table).or_default().insert(key, held);
    }

    /// Forgets a change: it was written, or rejected.
    pub fn release(&mut self, table: usize, key: &[u8]) -> Option<Held> {
        let changes = self.tables.get_mut(&table)?;
        let (key, held) = changes.remove_entry(key)?;
        if changes.is_empty() {
            self.tables.remove(&table);
        }
        self.bytes -= held.bytes();
        if let Some(offsets) = self.offsets.get_mut(&held.partition) {
            offsets.remove(&(held.oldest, table, key));
            if offsets.is_empty() {
                self.offsets.remove(&held.partition);
            }
        }
        Some(held)
    }

    /// Forgets all changes that came from a partition.
    pub fn close(&mut self, partition: &TopicPartition) {
        for (_, table, key) in self.offsets.get(partition).cloned().unwrap_or_default() {
            self.release(table, &key);
        }
    }

    /// Forgets all changes of a table: it was emptied.
    pub fn clear(&mut self, table: usize) {
        let keys: Vec<Key> =
            self.tables.get(&table).into_iter().flat_map(|changes| changes.keys().cloned()).collect();
        for key in keys {
            self.release(table, &key);
        }
    }

    /// The oldest offset per partition that must not be committed.
    pub fn oldest(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.offsets.iter().filter_map(|(partition, offsets)| Some((partition, offsets.first()?.0)))
    }

    /// Partitions to read no more of while there is no room: those that hold much of it. One that holds little, or least,
    /// may be the one that what is held waits for (a topic of parents holds their deletes), and reading goes on there,
    /// until even that is too much.
    pub fn to_pause(&self, limit_bytes: usize) -> Vec<TopicPartition> {
        if self.bytes > limit_bytes.saturating_mul(OVERDRAFT_MAX) {
            return self.offsets.keys().cloned().collect();
        }
        let total: usize = self.offsets.values().map(BTreeSet::len).sum();
        let least = self.offsets.values().map(BTreeSet::len).min().unwrap_or(0);
        let spared = self.offsets.len() > 1;
        let much = |count: usize| count * MUCH_DIVISOR >= total && !(spared && count == least);
        self.offsets
            .iter()
            .filter(|(_, held)| much(held.len()))
            .map(|(partition, _)| partition.clone())
            .collect()
    }

    /// Adds waiting time to the changes that `counts`, and returns those that have waited long enough.
    pub fn age(
        &mut self,
        elapsed: Duration,
        limit: Duration,
        mut counts: impl FnMut(usize, Why) -> bool,
    ) -> Vec<(usize, Key)> {
        let mut over = vec![];
        for (table, changes) in &mut self.tables {
            let by_parent = counts(*table, Why::Parent);
            let by_child = counts(*table, Why::Child);
            let by_unique = counts(*table, Why::Unique);
            for (key, held) in changes {
                let counted = match held.why {
                    Why::Parent => by_parent,
                    Why::Child => by_child,
                    Why::Unique => by_unique,
                };
                if counted {
                    held.waited = held.waited.saturating_add(elapsed);
                }
                if held.waited > limit {
                    over.push((*table, key.clone()));
                }
            }
        }
        over
    }

    /// Gives the waiting changes of a table another plan: the table has changed.
    pub fn replan(&mut self, mut with: impl FnMut(&Record) -> Option<Arc<Plan>>) {
        for held in self.tables.values_mut().flat_map(HashMap::values_mut) {
            if let Some(plan) = with(&held.record) {
                held.plan = plan;
            }
        }
    }
}
