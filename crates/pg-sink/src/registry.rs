//! The tables that a task knows: their shapes, the topics that feed them, and the order in which they are written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::columns::{Parameter, Signature};
use crate::routing::TableName;
use crate::table_shape::TableShape;

/// One table; its index in the registry never changes.
#[derive(Debug)]
pub struct Entry {
    pub name: TableName,
    pub shape: Arc<TableShape>,
    /// Topics, as they are called in Kafka, whose records were written here.
    pub topics: HashSet<Arc<str>>,
    /// Parents have lower ranks than their children.
    rank: usize,
    /// Whether the table was there when it was last looked for.
    present: bool,
    /// Whether its rows are copied in: it was empty, and no copy failed since.
    loading: AtomicBool,
}

#[derive(Debug, Default)]
pub struct Registry {
    entries: Vec<Entry>,
    signatures: HashMap<(usize, usize, Vec<Parameter>), Arc<Signature>>,
    /// Oids of the tables.
    pub written: HashSet<u32>,
}

impl Registry {
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn shape(&self, table: usize) -> &Arc<TableShape> {
        &self.entries[table].shape
    }

    pub fn rank(&self, table: usize) -> usize {
        self.entries[table].rank
    }

    pub fn by_name(&self, name: &TableName) -> Option<usize> {
        self.entries.iter().position(|entry| entry.present && entry.name == *name)
    }

    pub fn by_oid(&self, oid: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.shape.oid == oid)
    }

    /// Enters a table, or its new shape.
    pub fn enter(&mut self, name: &TableName, shape: Arc<TableShape>) -> usize {
        let same = |entry: &Entry| entry.name == *name || entry.shape.oid == shape.oid;
        let table = match self.entries.iter().position(same) {
            Some(table) => {
                self.entries[table].shape = shape;
                self.entries[table].present = true;
                table
            }
            None => {
                self.entries.push(Entry {
                    name: name.clone(),
                    shape,
                    topics: HashSet::new(),
                    rank: 0,
                    present: true,
                    loading: AtomicBool::new(false),
                });
                self.entries.len() - 1
            }
        };
        self.signatures.retain(|(of, _, _), _| *of != table);
        self.written = self.entries.iter().map(|entry| entry.shape.oid).collect();
        self.order();
        table
    }

    /// The table was found empty.
    pub fn begin_load(&self, table: usize) {
        self.entries[table].loading.store(true, Ordering::Relaxed);
    }

    /// A row was there already, or cannot be copied.
    pub fn end_load(&self, table: usize) {
        self.entries[table].loading.store(false, Ordering::Relaxed);
    }

    pub fn is_loading(&self, table: usize) -> bool {
        self.entries[table].loading.load(Ordering::Relaxed)
    }

    /// The table is no longer there; its index stays taken.
    pub fn lost(&mut self, name: &TableName) {
        for entry in self.entries.iter_mut().filter(|entry| entry.name == *name) {
            entry.present = false;
        }
    }

    pub fn feeds(&mut self, table: usize, topic: &Arc<str>) {
        self.entries[table].topics.insert(topic.clone());
    }

    /// Equal signatures are one object, so that they can be told apart by address.
    pub fn intern(&mut self, signature: Signature) -> Arc<Signature> {
        let key = (signature.table, signature.key_count, signature.columns.clone());
        self.signatures.entry(key).or_insert_with(|| Arc::new(signature)).clone()
    }

    /// Ranks parents before children; a cycle is cut where it is first met.
    fn order(&mut self) {
        let mut ranks = vec![None; self.entries.len()];
        let mut next = 0;
        for table in 0..self.entries.len() {
            self.visit(table, &mut ranks, &mut vec![], &mut next);
        }
        for (entry, rank) in self.entries.iter_mut().zip(ranks) {
            entry.rank = rank.unwrap_or(0);
        }
    }

    fn visit(&self, table: usize, ranks: &mut [Option<usize>], path: &mut Vec<usize>, next: &mut usize) {
        if ranks[table].is_some() || path.contains(&table) {
            return;
        }
        path.push(table);
        for link in &self.entries[table].shape.parents {
            if let Some(parent) = self.by_oid(link.parent_oid) {
                self.visit(parent, ranks, path, next);
            }
        }
        path.pop();
        ranks[table] = Some(*next);
        *next += 1;
    }

    /// Oids of tables that are written after this one although it refers to them.
    pub fn later(&self, table: usize) -> HashSet<u32> {
        let rank = self.entries[table].rank;
        self.entries.iter().filter(|entry| entry.rank > rank).map(|entry| entry.shape.oid).collect()
    }

    /// Whether rows of this table may wait for rows of the same statement or of a later one.
    pub fn refers_ahead(&self, table: usize) -> bool {
        let entry = &self.entries[table];
        entry.shape.parents.iter().any(|link| {
            self.by_oid(link.parent_oid).is_some_and(|parent| self.entries[parent].rank >= entry.rank)
        })
    }

    /// Tables whose rows this table's rows refer to, as far as they are known.
    pub fn parents(&self, table: usize) -> impl Iterator<Item = usize> + '_ {
        self.entries[table].shape.parents.iter().filter_map(|link| self.by_oid(link.parent_oid))
    }

    pub fn children(&self, table: usize) -> impl Iterator<Item = usize> + '_ {
        self.entries[table].shape.children.iter().filter_map(|link| self.by_oid(link.child_oid))
    }
}
