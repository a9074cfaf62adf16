//! How far an incremental snapshot is: the tables that are left, and the keys between which the current one is read.
//!
//! It is part of every stored offset while it runs, under Debezium's names, so that both can go on from it.

use std::collections::VecDeque;

use connect::Signal;
use serde_json::{Map, Value as Json};

use super::action::Execute;
use super::java::{self, Part};

const LAST_KEY: &str = "incremental_snapshot_primary_key";
const MAXIMUM_KEY: &str = "incremental_snapshot_maximum_key";
const TABLES: &str = "incremental_snapshot_collections";
const ID: &str = "incremental_snapshot_correlation_id";
/// Our keys, which Debezium passes over.
const PAUSED: &str = "tidegate_incremental_paused";
const BLOCKING: &str = "tidegate_blocking_snapshots";
const SIGNALS: &str = "tidegate_signals";

pub type Key = Vec<Part>;

/// A table that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `schema.table`.
    pub name: String,
    pub condition: Option<String>,
    pub surrogate: Option<String>,
}

/// What is left to do. Of the first table the rows up to `last_key` are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// The signal's.
    pub id: String,
    pub tables: VecDeque<Entry>,
    pub last_key: Option<Key>,
    pub maximum_key: Option<Key>,
    pub paused: bool,
    /// Rows of the first table that were read.
    pub rows: u64,
}

impl Queue {
    pub fn is_running(&self) -> bool {
        !self.tables.is_empty()
    }

    /// `schema.table,schema.table`.
    pub fn names(&self) -> String {
        names(self.tables.iter())
    }

    /// The first table is done.
    pub fn next_table(&mut self) {
        self.tables.pop_front();
        (self.last_key, self.maximum_key, self.rows) = (None, None, 0);
    }

    /// Takes tables out; whether the first one is among them.
    pub fn remove(&mut self, names: &[String]) -> bool {
        let is_first = self.tables.front().is_some_and(|first| names.contains(&first.name));
        self.tables.retain(|entry| !names.contains(&entry.name));
        if is_first {
            (self.last_key, self.maximum_key, self.rows) = (None, None, 0);
        }
        if self.tables.is_empty() {
            self.paused = false;
        }
        is_first
    }

    pub fn surrogate_of(&self, schema: &str, table: &str) -> Option<&str> {
        let is =
            |name: &str| name.strip_prefix(schema).and_then(|rest| rest.strip_prefix('.')) == Some(table);
        self.tables.iter().find(|entry| is(&entry.name))?.surrogate.as_deref()
    }

    pub fn store(&self, offset: &mut Map<String, Json>) {
        if !self.is_running() {
            return;
        }
        let mut put = |name: &str, text: String| offset.insert(name.to_owned(), text.into());
        put(LAST_KEY, java::write(self.last_key.as_deref()));
        put(MAXIMUM_KEY, java::write(self.maximum_key.as_deref()));
        let tables: Vec<Json> = self
            .tables
            .iter()
            .map(|entry| {
                serde_json::json!({
                    "incremental_snapshot_collections_id": entry.name,
                    "incremental_snapshot_collections_additional_condition": entry.condition,
                    "incremental_snapshot_collections_surrogate_key": entry.surrogate,
                })
            })
            .collect();
        put(TABLES, Json::Array(tables).to_string());
        put(ID, self.id.clone());
        if self.paused {
            offset.insert(PAUSED.to_owned(), true.into());
        }
    }

    /// Of a stored offset. A key that cannot be read begins its table again.
    pub fn load(offset: &Map<String, Json>) -> Self {
        let text = |name: &str| offset.get(name).and_then(Json::as_str);
        let listed: Vec<Json> =
            text(TABLES).and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
        let entry = |one: &Json| {
            let part = |name: &str| {
                let text = one[&format!("incremental_snapshot_collections_{name}")].as_str();
                text.filter(|text| !text.is_empty()).map(str::to_owned)
            };
            Some(Entry {
                name: part("id")?,
                condition: part("additional_condition"),
                surrogate: part("surrogate_key"),
            })
        };
        let tables: VecDeque<Entry> = listed.iter().filter_map(entry).collect();
        if tables.is_empty() {
            return Self::default();
        }
        let key = |name: &str| {
            java::read(text(name)?).unwrap_or_else(|error| {
                tracing::warn!(
                    table = %tables[0].name,
                    error = %error,
                    "progress of the incremental snapshot cannot be read: the table is read from its beginning"
                );
                None
            })
        };
        let (last_key, maximum_key) = (key(LAST_KEY), key(MAXIMUM_KEY));
        Self {
            id: text(ID).unwrap_or_default().to_owned(),
            // Without its end the beginning is worth nothing.
            last_key: last_key.filter(|_| maximum_key.is_some()),
            maximum_key,
            paused: offset.get(PAUSED).and_then(Json::as_bool).unwrap_or(false),
            rows: 0,
            tables,
        }
    }
}

pub fn names<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    entries.map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(",")
}

/// Blocking snapshots that were asked for and are not done.
pub fn store_blocking(requests: &VecDeque<Execute>, offset: &mut Map<String, Json>) {
    if !requests.is_empty() {
        let list: Vec<Json> = requests.iter().map(Execute::store).collect();
        offset.insert(BLOCKING.to_owned(), Json::Array(list).to_string().into());
    }
}

pub fn load_blocking(offset: &Map<String, Json>) -> VecDeque<Execute> {
    let text = offset.get(BLOCKING).and_then(Json::as_str);
    let list: Vec<Json> = text.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
    list.iter().filter_map(Execute::load).collect()
}

/// Signals that nobody has acted on yet.
pub fn store_signals(signals: &VecDeque<Signal>, offset: &mut Map<String, Json>) {
    if !signals.is_empty() {
        let list = signals.iter().map(|one| serde_json::json!([one.id, one.kind, one.data]));
        offset.insert(SIGNALS.to_owned(), Json::Array(list.collect()).to_string().into());
    }
}

pub fn load_signals(offset: &Map<String, Json>) -> VecDeque<Signal> {
    let text = offset.get(SIGNALS).and_then(Json::as_str);
    let list: Vec<(String, String, Option<String>)> =
        text.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
    list.into_iter().map(|(id, kind, data)| Signal { id, kind, data }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back() {
        let part = |type_oid, text: &str| Part { type_oid, text: Some(text.to_owned()) };
        let entry = |name: &str, condition: Option<&str>| Entry {
            name: name.to_owned(),
            condition: condition.map(str::to_owned),
            surrogate: None,
        };
        let queue = Queue {
            id: "s-1".to_owned(),
            tables: [entry("public.a", Some("v = 'x'")), entry("public.b", None)].into(),
            last_key: Some(vec![part(23, "5"), part(25, "k")]),
            maximum_key: Some(vec![part(23, "9"), part(25, "z")]),
            paused: true,
            rows: 0,
        };
        let mut offset = Map::new();
        queue.store(&mut offset);
        assert_eq!(
            offset[TABLES],
            r#"[{"incremental_snapshot_collections_id":"public.a","incremental_snapshot_collections_additional_condition":"v = 'x'","incremental_snapshot_collections_surrogate_key":null},{"incremental_snapshot_collections_id":"public.b","incremental_snapshot_collections_additional_condition":null,"incremental_snapshot_collections_surrogate_key":null}]"#
        );
        assert_eq!(Queue::load(&offset), queue);
    }

    #[test]
    fn unreadable_keys_begin_the_table_again() {
        let mut offset = Map::new();
        offset.insert(LAST_KEY.to_owned(), "zz".into());
        offset.insert(MAXIMUM_KEY.to_owned(), "aced000570".into());
        offset.insert(TABLES.to_owned(), r#"[{"incremental_snapshot_collections_id":"s.t"}]"#.into());
        let queue = Queue::load(&offset);
        assert_eq!((queue.tables.len(), queue.last_key, queue.maximum_key), (1, None, None));
        assert_eq!(Queue::load(&Map::new()), Queue::default());
    }

    #[test]
    fn tables_are_taken_out() {
        let entry = |name: &str| Entry { name: name.to_owned(), condition: None, surrogate: None };
        let mut queue = Queue { tables: [entry("s.a"), entry("s.b")].into(), ..Queue::default() };
        assert!(!queue.remove(&["s.b".to_owned()]));
        assert_eq!(queue.names(), "s.a");
        assert!(queue.remove(&["s.a".to_owned()]));
        assert!(!queue.is_running());
    }
}
