//! Notifications of how snapshots go: records on a topic of their own, lines in the log.

use std::sync::Arc;

use connect::{Record, Schema, SchemaBuilder, Value};

use crate::envelope::now_nanos;
use crate::settings::{Compat, Settings};

/// Where notifications go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// The topic of the channel `sink`.
    pub topic: Option<String>,
    pub log: bool,
}

/// Makes notifications; holds what is the same in all of them.
#[derive(Debug)]
pub struct Notifications {
    topic: Option<Arc<str>>,
    log: bool,
    compat: Compat,
    connector: String,
    key_schema: Schema,
    value_schema: Schema,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    Started,
    InProgress {
        table: &'a str,
        tables: &'a str,
    },
    Scanned {
        table: &'a str,
        tables: &'a str,
        rows: u64,
    },
    Completed,
    Aborted,
    /// There was nothing to read.
    Skipped,
}

/// What happened to an incremental snapshot.
#[derive(Clone, Copy, Debug)]
pub enum Incremental<'a> {
    Started,
    Paused,
    Resumed,
    Aborted,
    Completed,
    InProgress { table: &'a str, maximum: &'a str, last: &'a str },
    Scanned { table: &'a str, rows: u64, status: &'static str },
}

impl Incremental<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Paused => "PAUSED",
            Self::Resumed => "RESUMED",
            Self::Aborted => "ABORTED",
            Self::Completed => "COMPLETED",
            Self::InProgress { .. } => "IN_PROGRESS",
            Self::Scanned { .. } => "TABLE_SCAN_COMPLETED",
        }
    }
}

impl Event<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::InProgress { .. } => "IN_PROGRESS",
            Self::Scanned { .. } => "TABLE_SCAN_COMPLETED",
            Self::Completed => "COMPLETED",
            Self::Aborted => "ABORTED",
            Self::Skipped => "SKIPPED",
        }
    }
}

impl Notifications {
    /// `None` where none are wanted.
    pub fn new(settings: &Settings) -> Option<Self> {
        let Channels { topic, log } = &settings.notifications;
        if topic.is_none() && !log {
            return None;
        }
        let text = || SchemaBuilder::string().build();
        let structure = |name: &str| {
            SchemaBuilder::structure().name(format!("io.debezium.connector.common.{name}")).version(1)
        };
        Some(Self {
            topic: topic.as_deref().map(Into::into),
            log: *log,
            compat: settings.compat,
            connector: settings.topic_prefix.clone(),
            key_schema: structure("NotificationKey").field("id", text()).build(),
            value_schema: structure("Notification")
                .field("id", text())
                .field("type", text())
                .field("aggregate_type", text())
                .field("additional_data", SchemaBuilder::map(text(), text()).optional().build())
                .field("timestamp", SchemaBuilder::int64().build())
                .build(),
        })
    }

    /// Says it, and makes the record where there is a topic.
    pub fn tell(&self, event: Event<'_>) -> Option<Record> {
        let id = uuid::Uuid::new_v4().to_string();
        self.publish(&id, "Initial Snapshot", event.name(), self.data(event))
    }

    /// The same of an incremental snapshot: the signal's id, and the tables that are left.
    pub fn tell_incremental(&self, id: &str, tables: &str, event: Incremental<'_>) -> Option<Record> {
        self.publish(id, "Incremental Snapshot", event.name(), self.incremental_data(tables, event))
    }

    fn publish(&self, id: &str, about: &str, kind: &str, data: Vec<(&str, String)>) -> Option<Record> {
        if self.log {
            let data: Vec<_> = data.iter().map(|(name, value)| format!("{name}={value}")).collect();
            tracing::info!(about, kind, data = %data.join(" "), "notification");
        }
        let topic = self.topic.clone()?;
        let id = Value::text(id);
        let data = data.into_iter().map(|(name, value)| (Value::text(name), Value::String(value.into())));
        let value = Value::Struct(Box::new([
            id.clone(),
            Value::text(kind),
            Value::text(about),
            Value::Map(data.collect()),
            Value::Int64(now_nanos() / 1_000_000),
        ]));
        let key = (Some(self.key_schema.clone()), Value::Struct(Box::new([id])));
        Some(Record::source(topic, key, (Some(self.value_schema.clone()), value)))
    }

    /// In the order that the version's maps have.
    fn incremental_data(&self, tables: &str, event: Incremental<'_>) -> Vec<(&'static str, String)> {
        let connector = ("connector_name", self.connector.clone());
        let tables = ("data_collections", tables.to_owned());
        match event {
            Incremental::Completed => vec![connector],
            Incremental::InProgress { table, maximum, last } => {
                let mut end = [("last_processed_key", last.to_owned()), tables];
                if self.compat < Compat::V36 {
                    end.reverse();
                }
                let start = [
                    ("current_collection_in_progress", table.to_owned()),
                    connector,
                    ("maximum_key", maximum.to_owned()),
                ];
                start.into_iter().chain(end).collect()
            }
            Incremental::Scanned { table, rows, status } => {
                let mut end = [tables, ("status", status.to_owned())];
                if self.compat >= Compat::V30 {
                    end.reverse();
                }
                let start = [
                    ("scanned_collection", table.to_owned()),
                    connector,
                    ("total_rows_scanned", rows.to_string()),
                ];
                start.into_iter().chain(end).collect()
            }
            Incremental::Started | Incremental::Paused | Incremental::Resumed | Incremental::Aborted => {
                vec![connector, tables]
            }
        }
    }

    /// In the order that the version's maps have.
    fn data(&self, event: Event<'_>) -> Vec<(&'static str, String)> {
        let connector = ("connector_name", self.connector.clone());
        match event {
            Event::InProgress { table, tables } => vec![
                ("current_collection_in_progress", table.to_owned()),
                connector,
                ("data_collections", tables.to_owned()),
            ],
            Event::Scanned { table, tables, rows } => {
                let mut last = [("data_collections", tables.to_owned()), ("status", "SUCCEEDED".to_owned())];
                if self.compat >= Compat::V30 {
                    last.reverse();
                }
                let first = [
                    ("scanned_collection", table.to_owned()),
                    connector,
                    ("total_rows_scanned", rows.to_string()),
                ];
                first.into_iter().chain(last).collect()
            }
            Event::Started | Event::Completed | Event::Aborted | Event::Skipped => vec![connector],
        }
    }
}
