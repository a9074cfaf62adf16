//! A PostgreSQL cluster of the test's own, and a source task that is driven by hand.

use std::time::Duration;

use connect::contract::{StoredOffsets, TaskId};
use connect::settings::Properties;
use connect::{Record, SourceBatch, SourcePosition, SourceTask, TaskError};
use tokio::time::timeout;

#[path = "../../../pg/tests/cluster/mod.rs"]
mod cluster;

pub use cluster::{Cluster, cluster};

/// Configurations of connectors on the cluster.
pub trait Connectors {
    fn properties(&self, name: &str, database: &str, more: &[(&str, &str)]) -> Properties;
}

impl Connectors for Cluster {
    /// Configuration of a connector named `g_<case>` on its database.
    fn properties(&self, name: &str, database: &str, more: &[(&str, &str)]) -> Properties {
        let port = self.port.to_string();
        let mut properties: Properties = [
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("plugin.name", "pgoutput"),
            ("database.hostname", "127.0.0.1"),
            ("database.port", &port),
            ("database.user", "postgres"),
            ("database.dbname", database),
            ("topic.prefix", name),
            ("slot.name", name),
            ("publication.name", name),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
        for (key, value) in more {
            properties.insert((*key).to_owned(), (*value).to_owned());
        }
        properties
    }
}

/// A connector: its task, what it sent, and its stored offset.
pub struct Source {
    properties: Properties,
    task: Option<Box<dyn SourceTask>>,
    pub records: Vec<Record>,
    pub offset: Option<SourcePosition>,
    pub offsets: Vec<SourcePosition>,
}

impl Source {
    pub fn new(properties: Properties) -> Self {
        Self { properties, task: None, records: vec![], offset: None, offsets: vec![] }
    }

    pub fn configure(&mut self, key: &str, value: &str) {
        self.properties.insert(key.to_owned(), value.to_owned());
    }

    pub async fn start(&mut self) -> Result<(), TaskError> {
        let name = self.properties["topic.prefix"].as_str().into();
        let mut task = pg_source::task(&self.properties, &TaskId { connector: name, task: 0 })?;
        task.start(StoredOffsets(self.offset.iter().cloned().collect())).await?;
        self.task = Some(task);
        Ok(())
    }

    fn task(&mut self) -> &mut dyn SourceTask {
        self.task.as_deref_mut().expect("the task is started")
    }

    /// One poll, stored and confirmed at once, as if Kafka had it.
    pub async fn poll(&mut self) -> Result<(), TaskError> {
        let batch = self.task().poll().await?;
        self.take(batch);
        Ok(())
    }

    fn take(&mut self, batch: SourceBatch) {
        self.records.extend(batch.records);
        if let Some(position) = batch.position {
            self.task().committed(&position);
            self.offsets.push(position.clone());
            self.offset = Some(position);
        }
    }

    /// A poll whose result is lost, as when the process is killed.
    pub async fn poll_and_lose(&mut self) -> Result<Vec<Record>, TaskError> {
        Ok(self.task().poll().await?.records)
    }

    /// One poll that is kept and not confirmed, so that the slot stays where it is.
    pub async fn poll_unconfirmed(&mut self) -> Result<(), TaskError> {
        let batch = self.task().poll().await?;
        self.records.extend(batch.records);
        if let Some(position) = batch.position {
            self.offsets.push(position.clone());
            self.offset = Some(position);
        }
        Ok(())
    }

    /// Until nothing came for so long.
    pub async fn idle(&mut self, quiet: Duration) -> Result<(), TaskError> {
        while self.task.is_some() {
            match timeout(quiet, self.poll()).await {
                Err(_) => return Ok(()),
                Ok(result) => result?,
            }
        }
        Ok(())
    }

    /// Until so many records were seen in all.
    pub async fn until(&mut self, count: usize) -> Result<(), TaskError> {
        let wait = Duration::from_secs(20);
        while self.records.len() < count {
            timeout(wait, self.poll())
                .await
                .unwrap_or_else(|_| panic!("{} of {count} records", self.records.len()))?;
        }
        Ok(())
    }

    pub async fn stop(&mut self) {
        if let Some(mut task) = self.task.take() {
            task.stop().await.expect("stops");
        }
    }

    pub fn signal(&mut self, signal: connect::Signal) {
        self.task().signal(signal);
    }

    /// Killed: nothing is stopped in order.
    pub fn kill(&mut self) {
        self.task = None;
    }
}

/// A killed process leaves its walsender for a moment.
pub async fn wait_for_free_slot(session: &pg::Session, slot: &str) -> Result<(), pg::tokio_postgres::Error> {
    loop {
        let row = session
            .query_opt("SELECT active FROM pg_replication_slots WHERE slot_name = $1", &[&slot])
            .await?;
        if row.is_none_or(|row| !row.get::<_, bool>(0)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
