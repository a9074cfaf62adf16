//! `provide.transaction.metadata`: a topic of beginnings and ends of transactions, and the place of each change in its
//! transaction.
//!
//! Everything is counted from the transaction's beginning also when only its rest is sent: the server sends it whole
//! again after a restart, so that the numbers go on where they were.

use std::collections::HashMap;
use std::sync::Arc;

use connect::{Record, Schema, SchemaBuilder, Value};
use serde_json::{Map, Value as Json};

use crate::settings::{Compat, Settings};
use crate::values::walk_order;

/// Under this name the end of a transaction counts its messages.
pub const MESSAGES: &str = "LOGICAL_DECODING_MESSAGE";

pub struct TransactionMetadata {
    topic: Arc<str>,
    compat: Compat,
    key_schema: Schema,
    value_schema: Schema,
    xid: i64,
    total: i64,
    /// Changes by `schema.table`, with the order of their first ones.
    counts: HashMap<String, (usize, i64)>,
}

impl TransactionMetadata {
    /// `None` where none is wanted.
    pub fn new(settings: &Settings) -> Option<Self> {
        let topic = settings.transaction_topic.as_deref()?;
        let compat = settings.compat;
        Some(Self {
            topic: topic.into(),
            compat,
            key_schema: structure("TransactionMetadataKey", compat)
                .field("id", SchemaBuilder::string().build())
                .build(),
            value_schema: value_schema(compat),
            xid: 0,
            total: 0,
            counts: HashMap::new(),
        })
    }

    /// A transaction begins: its record.
    pub fn begin(&mut self, xid: i64, lsn: u64, commit_time: i64) -> Record {
        self.xid = xid;
        self.total = 0;
        self.counts.clear();
        self.record("BEGIN", lsn, commit_time, (Value::Null, Value::Null))
    }

    /// One change of the transaction: its block.
    pub fn count(&mut self, collection: &str, lsn: u64) -> Value {
        self.total += 1;
        let order = self.counts.len();
        let of_collection = match self.counts.get_mut(collection) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.counts.insert(collection.to_owned(), (order, 1));
                1
            }
        };
        Value::Struct(Box::new([
            Value::String(self.id(lsn).into()),
            Value::Int64(self.total),
            Value::Int64(of_collection),
        ]))
    }

    /// The transaction is complete: its record.
    pub fn end(&mut self, lsn: u64, commit_time: i64) -> Record {
        // As Java's map walks: that is what consumers see.
        let count = self.counts.len();
        let mut collections: Vec<_> = self.counts.iter().collect();
        collections.sort_by_key(|(name, (order, _))| (walk_order(name, count), *order));
        let collections = collections
            .into_iter()
            .map(|(name, (_, count))| Value::Struct(Box::new([Value::text(name), Value::Int64(*count)])));
        let counted = (Value::Int64(self.total), Value::Array(collections.collect()));
        self.record("END", lsn, commit_time, counted)
    }

    /// What the stored position has more.
    pub fn store(&self, offset: &mut Map<String, Json>) {
        offset.insert("transaction_id".to_owned(), self.xid.to_string().into());
        for (name, (_, count)) in self.counts.iter().filter(|(name, _)| *name != MESSAGES) {
            offset.insert(format!("transaction_data_collection_order_{name}"), (*count).into());
        }
    }

    fn id(&self, lsn: u64) -> String {
        match self.compat {
            Compat::V19 => self.xid.to_string(),
            _ => format!("{}:{lsn}", self.xid),
        }
    }

    fn record(&self, status: &str, lsn: u64, commit_time: i64, counted: (Value, Value)) -> Record {
        let id = Value::String(self.id(lsn).into());
        let key = (Some(self.key_schema.clone()), Value::Struct(Box::new([id.clone()])));
        let fields = [Value::text(status), id, counted.0, counted.1];
        let time = (self.compat > Compat::V19).then(|| Value::Int64(commit_time.div_euclid(1000)));
        let value = Value::Struct(fields.into_iter().chain(time).collect());
        Record::source(self.topic.clone(), key, (Some(self.value_schema.clone()), value))
    }
}

fn structure(name: &str, compat: Compat) -> SchemaBuilder {
    let schema = SchemaBuilder::structure().name(format!("io.debezium.connector.common.{name}"));
    if compat == Compat::V19 { schema } else { schema.version(1) }
}

fn value_schema(compat: Compat) -> Schema {
    let text = || SchemaBuilder::string().build();
    let long = || SchemaBuilder::int64().build();
    let mut collection = SchemaBuilder::structure();
    if compat > Compat::V19 {
        collection = collection.name("event.collection").version(1).optional();
    }
    let collection = collection.field("data_collection", text()).field("event_count", long()).build();
    let schema = structure("TransactionMetadataValue", compat)
        .field("status", text())
        .field("id", text())
        .field("event_count", SchemaBuilder::int64().optional().build())
        .field("data_collections", SchemaBuilder::array(collection).optional().build());
    if compat == Compat::V19 { schema.build() } else { schema.field("ts_ms", long()).build() }
}

/// The name under which the changes of a table are counted.
pub fn collection(schema: &str, table: &str) -> String {
    format!("{schema}.{table}")
}
