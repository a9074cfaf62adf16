//! Records into a sink task, in the way the runtime does it.

use std::collections::HashMap;
use std::sync::Arc;

use connect::contract::{Rejected, TaskId, Tolerance};
use connect::record::{KafkaOrigin, RawMessage, TimestampType};
use connect::settings::Properties;
use connect::{Fate, Header, Headers, Origin, Record, Schema, SinkTask, TaskError, TopicPartition, Value};
use pg_sink::Flavour;

/// A task that is fed by hand.
pub struct Feed {
    task: Box<dyn SinkTask>,
    offsets: HashMap<TopicPartition, i64>,
    pub rejected: Vec<Rejected>,
    pub committed: HashMap<TopicPartition, i64>,
    pub paused: Vec<TopicPartition>,
}

/// One record, without its place.
#[derive(Clone)]
pub struct Draft {
    pub topic: Arc<str>,
    pub partition: i32,
    pub key: (Option<Schema>, Value),
    pub value: (Option<Schema>, Value),
    pub headers: Vec<Header>,
}

pub fn properties(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn make(flavour: Flavour, properties: &Properties) -> Result<Box<dyn SinkTask>, TaskError> {
    let id = TaskId { connector: "test".into(), task: 0 };
    match flavour {
        Flavour::Confluent => pg_sink::confluent::task(properties, &id),
        Flavour::Aiven => pg_sink::aiven::task(properties, &id),
        Flavour::Debezium => pg_sink::debezium::task(properties, &id),
    }
}

impl Feed {
    pub async fn start(
        flavour: Flavour,
        properties: &Properties,
        tolerance: Tolerance,
    ) -> Result<Self, TaskError> {
        let mut task = make(flavour, properties)?;
        task.start(tolerance).await?;
        Ok(Self {
            task,
            offsets: HashMap::new(),
            rejected: vec![],
            committed: HashMap::new(),
            paused: vec![],
        })
    }

    /// Confluent's sink into the table `t`: upserts and deletes by the record's key.
    pub async fn upserting(url: &str, tolerance: Tolerance) -> Self {
        let options = properties(&[
            ("connection.url", url),
            ("connection.user", "postgres"),
            ("topics", "t"),
            ("insert.mode", "upsert"),
            ("pk.mode", "record_key"),
            ("delete.enabled", "true"),
        ]);
        Self::start(Flavour::Confluent, &options, tolerance).await.unwrap()
    }

    fn record(&mut self, draft: Draft) -> Record {
        let place = TopicPartition { topic: draft.topic.clone(), partition: draft.partition };
        if !self.offsets.contains_key(&place) {
            self.task.open(std::slice::from_ref(&place));
        }
        let next = self.offsets.entry(place).or_insert(0);
        let offset = *next;
        *next += 1;
        Record {
            topic: draft.topic.clone(),
            partition: Some(draft.partition),
            key_schema: draft.key.0,
            key: draft.key.1,
            value_schema: draft.value.0,
            value: draft.value.1,
            headers: Headers::new(draft.headers),
            timestamp: Some(0),
            origin: Origin::Kafka(KafkaOrigin {
                topic: draft.topic,
                partition: draft.partition,
                offset,
                timestamp: Some(0),
                timestamp_type: TimestampType::CreateTime,
                raw: RawMessage { key: None, value: Some(vec![0; 100].into()), headers: Arc::default() },
            }),
        }
    }

    pub fn open(&mut self, topic: &str) {
        let place = TopicPartition { topic: topic.into(), partition: 0 };
        self.task.open(std::slice::from_ref(&place));
        self.offsets.insert(place, 0);
    }

    pub fn close(&mut self, topic: &str) {
        let place = TopicPartition { topic: topic.into(), partition: 0 };
        self.task.close(std::slice::from_ref(&place));
        self.offsets.remove(&place);
        self.committed.remove(&place);
    }

    pub fn reached_end(&mut self, topic: &str) {
        self.task.reached_end(&TopicPartition { topic: topic.into(), partition: 0 });
    }

    pub async fn put(&mut self, drafts: Vec<Draft>) -> Result<(), TaskError> {
        let records = drafts.into_iter().map(|draft| self.record(draft)).collect();
        match self.task.put(records).await {
            Err(error) if error.fate == Fate::Retry => Ok(()),
            other => other,
        }
    }

    pub async fn flush(&mut self) -> Result<(), TaskError> {
        let result = self.task.flush().await;
        self.progress();
        result
    }

    pub fn progress(&mut self) {
        let progress = self.task.progress();
        self.rejected.extend(progress.rejected);
        self.committed.extend(progress.offsets);
        self.paused = progress.paused;
    }

    /// Whether everything that was put may be committed.
    pub fn all_committed(&self) -> bool {
        self.offsets.iter().all(|(place, next)| self.committed.get(place).copied().unwrap_or(0) == *next)
    }

    pub fn committed(&self, topic: &str) -> Option<i64> {
        self.committed.get(&TopicPartition { topic: topic.into(), partition: 0 }).copied()
    }

    /// Puts, flushes and expects no trouble.
    pub async fn write(&mut self, drafts: Vec<Draft>) {
        self.put(drafts).await.unwrap();
        self.flush().await.unwrap();
        assert!(self.rejected.is_empty(), "{:?}", self.rejected);
    }

    pub async fn stop(&mut self) {
        self.task.stop().await;
    }
}
