//! Topics, groups and their offsets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;

use crate::consumer::{Partition, offset_list};
use crate::error::Error;
use crate::group_offsets;
use crate::settings::{ClientKind, ClientSettings};

const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic to be created.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    pub name: String,
    /// -1: the broker's default.
    pub partitions: i32,
    /// -1: the broker's default.
    pub replication_factor: i32,
    pub config: Vec<(String, String)>,
}

impl TopicSpec {
    /// A topic that keeps the last record of each key.
    pub fn compacted(name: &str, partitions: i32, replication_factor: i32) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            replication_factor,
            config: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
        }
    }
}

/// What became of a request to create a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    New,
    Existed,
}

/// An admin client.
pub struct Admin {
    client: Arc<AdminClient<DefaultClientContext>>,
    settings: ClientSettings,
}

impl Admin {
    /// # Errors
    /// A setting that is refused.
    pub fn new(settings: &ClientSettings) -> Result<Self, Error> {
        let config = settings.native(ClientKind::Admin)?;
        let client =
            AdminClient::from_config(&config).map_err(|error| Error::new("create admin client", &error))?;
        Ok(Self { client: Arc::new(client), settings: settings.clone() })
    }

    /// Creates a topic where it does not exist.
    ///
    /// # Errors
    /// The broker's refusal, or no answer.
    pub async fn create_topic(&self, spec: &TopicSpec) -> Result<Created, Error> {
        let mut topic =
            NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication_factor));
        for (key, value) in &spec.config {
            topic = topic.set(key, value);
        }
        let options =
            AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT)).operation_timeout(Some(ADMIN_TIMEOUT));
        let what = || format!("create topic {}", spec.name);
        let results = self
            .client
            .create_topics([&topic], &options)
            .await
            .map_err(|error| Error::new(what(), &error))?;
        match results.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(Created::Existed),
            Some(Err((_, code))) => Err(Error::Kafka { what: what(), code }),
            _ => Ok(Created::New),
        }
    }

    /// # Errors
    /// The broker's refusal, or no answer.
    pub async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let options = AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT));
        let what = || format!("delete topic {name}");
        let results =
            self.client.delete_topics(&[name], &options).await.map_err(|error| Error::new(what(), &error))?;
        match results.into_iter().next() {
            Some(Err((_, code))) => Err(Error::Kafka { what: what(), code }),
            _ => Ok(()),
        }
    }

    /// Partition counts by topic: of one topic, or of all. A topic that does not exist is left out.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn partitions(&self, topic: Option<&str>) -> Result<BTreeMap<String, i32>, Error> {
        let client = self.client.clone();
        let topic = topic.map(str::to_owned);
        blocking("fetch metadata", move || {
            let metadata = client
                .inner()
                .fetch_metadata(topic.as_deref(), ADMIN_TIMEOUT)
                .map_err(|error| Error::new("fetch metadata", &error))?;
            Ok(metadata
                .topics()
                .iter()
                .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty())
                .map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32))
                .collect())
        })
        .await
    }

    /// The cluster's id; `None` when no broker answers within `timeout`.
    pub async fn cluster_id(&self, timeout: Duration) -> Option<String> {
        let client = self.client.clone();
        tokio::task::spawn_blocking(move || client.inner().fetch_cluster_id(timeout)).await.ok().flatten()
    }

    /// All committed offsets of a group; none for a group that does not exist.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn all_group_offsets(&self, group: &str) -> Result<BTreeMap<Partition, i64>, Error> {
        let client = self.client.clone();
        let group = group.to_owned();
        blocking("read group offsets", move || {
            // SAFETY: the client lives until the closure ends.
            unsafe { group_offsets::read(client.inner().native_ptr(), &group, ADMIN_TIMEOUT) }
        })
        .await
    }

    /// Sets committed offsets of a group that has no members.
    ///
    /// # Errors
    /// The coordinator's refusal: the group has members.
    pub async fn set_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<Partition, i64>,
    ) -> Result<(), Error> {
        let list = offset_list(offsets)?;
        let consumer = self.group_client(group)?;
        blocking("set group offsets", move || {
            consumer.commit(&list, CommitMode::Sync).map_err(|error| Error::new("set group offsets", &error))
        })
        .await
    }

    /// Deletes a group with its offsets; a group that does not exist is deleted.
    ///
    /// # Errors
    /// The coordinator's refusal: the group has members.
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let options = AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT));
        let what = || format!("delete group {group}");
        let results = self
            .client
            .delete_groups(&[group], &options)
            .await
            .map_err(|error| Error::new(what(), &error))?;
        match results.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::GroupIdNotFound => {
                Err(Error::Kafka { what: what(), code })
            }
            _ => Ok(()),
        }
    }

    /// A client that speaks for a group without joining it.
    fn group_client(&self, group: &str) -> Result<BaseConsumer, Error> {
        let config = self.settings.with([("group.id", group)]).native(ClientKind::Consumer)?;
        BaseConsumer::from_config(&config).map_err(|error| Error::new("create consumer", &error))
    }
}

async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed { what: what.to_owned() })?
}
