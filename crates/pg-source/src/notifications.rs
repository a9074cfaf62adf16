//! Notifications of how the snapshot goes: records on a topic of their own, lines in the log.

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
        let data = self.data(event);
        if self.log {
            let data: Vec<_> = data.iter().map(|(name, value)| format!("{name}={value}")).collect();
            tracing::info!(kind = event.name(), data = %data.join(" "), "notification of the initial snapshot");
        }
        let topic = self.topic.clone()?;
        let id = Value::String(uuid::Uuid::new_v4().to_string().into());
        let data = data.into_iter().map(|(name, value)| (Value::text(name), Value::String(value.into())));
        let value = Value::Struct(Box::new([
            id.clone(),
            Value::text(event.name()),
            Value::text("Initial Snapshot"),
            Value::Map(data.collect()),
            Value::Int64(now_nanos() / 1_000_000),
        ]));
        let key = (Some(self.key_schema.clone()), Value::Struct(Box::new([id])));
        Some(Record::source(topic, key, (Some(self.value_schema.clone()), value)))
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
