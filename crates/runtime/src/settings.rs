//! The worker's own settings: Kafka Connect's `worker.properties`, and ours.

use std::path::PathBuf;
use std::time::Duration;

use connect::settings::{Definition, Importance, Properties, Resolved, Validator, row};
use kafka::ClientSettings;

use crate::providers::Providers;

/// A worker's settings, ready for use.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// `None`: the embedded broker serves.
    pub bootstrap_servers: Option<String>,
    pub group_id: String,
    pub config_topic: InternalTopic,
    pub offset_topic: InternalTopic,
    pub status_topic: InternalTopic,
    pub offset_flush_interval: Duration,
    pub offset_flush_timeout: Duration,
    pub task_shutdown_timeout: Duration,
    /// `http://host:port`; an empty host is every address.
    pub listeners: Vec<String>,
    pub advertised_host: Option<String>,
    pub advertised_port: Option<u16>,
    pub topic_tracking: Tracking,
    pub broker_listener: String,
    pub broker_data_dir: PathBuf,
    pub broker_fsync: String,
    /// `None`: not started.
    pub registry_listener: Option<String>,
    pub allow_origin: Option<String>,
    /// Look up what configurations refer to.
    pub providers: Providers,
    /// Everything, with references looked up: converters' defaults and client settings are taken from it by prefix.
    pub all: Properties,
}

/// One of the three topics that hold a cluster's state.
#[derive(Clone, Debug)]
pub struct InternalTopic {
    pub name: String,
    pub partitions: i32,
    pub replication_factor: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    Disabled,
    WithoutReset,
    WithReset,
}

/// Where the embedded broker listens when nothing else is said.
pub const BROKER_LISTENER_DEFAULT: &str = "127.0.0.1:9092";
pub const REGISTRY_LISTENER_DEFAULT: &str = "127.0.0.1:8081";

/// The table of worker settings. Kafka's own first, ours last.
pub fn definition() -> Definition {
    let topic =
        |name: &'static str, default: &'static str| row(name).default(default).importance(Importance::High);
    let replication = |name: &'static str| {
        row(name)
            .int()
            .default("-1")
            .doc("Replicas of the topic where it is created; -1 is the broker's default.")
    };
    Definition::new(vec![
        row("bootstrap.servers").importance(Importance::High).doc("Kafka brokers. Absent: the embedded broker is started."),
        row("group.id").default("tidegate").importance(Importance::High).doc("Name of the Connect cluster."),
        topic("config.storage.topic", "connect-configs").doc("Topic of connector configurations; one partition, compacted."),
        replication("config.storage.replication.factor"),
        topic("offset.storage.topic", "connect-offsets").doc("Topic of source offsets; compacted."),
        row("offset.storage.partitions").int().default("25").check(Validator::AtLeast(1)).doc("Partitions of the topic where it is created."),
        replication("offset.storage.replication.factor"),
        topic("status.storage.topic", "connect-status").doc("Topic of states; compacted."),
        row("status.storage.partitions").int().default("5").check(Validator::AtLeast(1)).doc("Partitions of the topic where it is created."),
        replication("status.storage.replication.factor"),
        row("key.converter").class().default("org.apache.kafka.connect.json.JsonConverter").doc("Converter of keys for connectors that name none."),
        row("value.converter").class().default("org.apache.kafka.connect.json.JsonConverter").doc("Converter of values for connectors that name none."),
        row("header.converter").class().default("org.apache.kafka.connect.storage.SimpleHeaderConverter").doc("Converter of headers for connectors that name none."),
        row("offset.flush.interval.ms").long().default("60000").check(Validator::AtLeast(1)).doc("How often offsets are committed."),
        row("offset.flush.timeout.ms").long().default("5000").doc("How long a task that stops waits for its records."),
        row("task.shutdown.graceful.timeout.ms").long().default("5000").doc("How long all tasks together may take to stop."),
        row("listeners").list().default("http://127.0.0.1:8083").doc("Where the REST API listens."),
        row("rest.advertised.host.name").doc("Host that is shown as the worker's id."),
        row("rest.advertised.port").int().doc("Port that is shown as the worker's id."),
        row("topic.tracking.enable").boolean().default("true").doc("Whether the topics of a connector are recorded."),
        row("topic.tracking.allow.reset").boolean().default("true").doc("Whether that record may be reset."),
        row("access.control.allow.origin").default("").doc("CORS: the origin that may call the REST API."),
        row("config.providers").list().doc("Names of config providers, each with `config.providers.<name>.class` and `.param.*`: FileConfigProvider, DirectoryConfigProvider, EnvVarConfigProvider."),
        row("plugin.path").list().doc("Accepted; all plug-ins are built in."),
        row("broker.listener").default(BROKER_LISTENER_DEFAULT).doc("Where the embedded broker listens."),
        row("broker.data.dir").default("./tidegate-data").doc("Folder of the embedded broker's data."),
        row("broker.fsync").default("interval").check(Validator::OneOf(&["always", "interval", "never"])).doc("When the embedded broker forces data to disk: before each acknowledgement, once a second, or when the system likes. Data of a killed process is never lost; data of a machine that loses power is as old as this says."),
        row("schema.registry.listener").doc("Where the schema registry listens; started with the embedded broker at 127.0.0.1:8081, or when set."),
    ])
}

impl WorkerSettings {
    /// # Errors
    /// All errors together, one per line.
    pub fn new(properties: Properties) -> Result<Self, String> {
        let providers = Providers::new(&properties)?;
        let properties = providers.resolve(&properties);
        let values = definition().resolve(&properties);
        let errors = values.errors();
        if !errors.is_empty() {
            return Err(errors.join("\n"));
        }
        let text = |name: &str| values.text(name).unwrap_or_default().to_owned();
        let bootstrap_servers =
            values.text("bootstrap.servers").map(str::to_owned).filter(|text| !text.is_empty());
        let registry_listener = match values.text("schema.registry.listener") {
            Some(listener) => Some(address(listener).to_owned()),
            None => bootstrap_servers.is_none().then(|| REGISTRY_LISTENER_DEFAULT.to_owned()),
        };
        let millis = |name: &str| Duration::from_millis(values.long(name).max(0).unsigned_abs());
        Ok(Self {
            group_id: text("group.id"),
            config_topic: internal_topic(&values, "config", 1),
            offset_topic: internal_topic(&values, "offset", values.long("offset.storage.partitions") as i32),
            status_topic: internal_topic(&values, "status", values.long("status.storage.partitions") as i32),
            offset_flush_interval: millis("offset.flush.interval.ms"),
            offset_flush_timeout: millis("offset.flush.timeout.ms"),
            task_shutdown_timeout: millis("task.shutdown.graceful.timeout.ms"),
            listeners: values.list("listeners").to_vec(),
            advertised_host: values.text("rest.advertised.host.name").map(str::to_owned),
            advertised_port: u16::try_from(values.long("rest.advertised.port")).ok().filter(|port| *port > 0),
            topic_tracking: match (
                values.boolean("topic.tracking.enable"),
                values.boolean("topic.tracking.allow.reset"),
            ) {
                (false, _) => Tracking::Disabled,
                (true, false) => Tracking::WithoutReset,
                (true, true) => Tracking::WithReset,
            },
            broker_listener: address(&text("broker.listener")).to_owned(),
            broker_data_dir: text("broker.data.dir").into(),
            broker_fsync: text("broker.fsync"),
            registry_listener,
            allow_origin: values
                .text("access.control.allow.origin")
                .map(str::to_owned)
                .filter(|text| !text.is_empty()),
            bootstrap_servers,
            providers,
            all: properties,
        })
    }

    /// Host and port under which this worker is known, as `worker_id` shows it.
    pub fn worker_id(&self) -> String {
        let listener = self.listeners.first().map_or("", |listener| address(listener));
        let (host, port) = listener.rsplit_once(':').unwrap_or((listener, "8083"));
        let host = self.advertised_host.as_deref().unwrap_or(if host.is_empty() || host == "0.0.0.0" {
            "127.0.0.1"
        } else {
            host
        });
        match self.advertised_port {
            Some(port) => format!("{host}:{port}"),
            None => format!("{host}:{port}"),
        }
    }

    /// Settings of the worker's own clients: the internal topics and the admin calls.
    pub fn clients(&self) -> ClientSettings {
        let mut settings = ClientSettings::default();
        for (key, value) in &self.all {
            let security = ["security.", "ssl.", "sasl."].iter().any(|prefix| key.starts_with(prefix));
            if security || CLIENT_KEYS.contains(&key.as_str()) {
                settings.set(key, value);
            }
        }
        settings.set("bootstrap.servers", self.bootstrap());
        settings
    }

    /// Settings of a connector's client: the worker's settings under `prefix` (`producer.`, `consumer.`,
    /// `admin.`), then the connector's under `<prefix>override.`.
    pub fn connector_clients(&self, prefix: &str, connector: &Properties) -> ClientSettings {
        let mut settings = ClientSettings::default();
        settings.set("bootstrap.servers", self.bootstrap());
        // Connect's workers pass un-prefixed security settings to their own clients only, and their users repeat
        // them three times. A connector's client that has none of its own takes the worker's: it could not
        // connect otherwise.
        let own = self.all.keys().any(|key| key.starts_with(&format!("{prefix}security.")));
        if !own {
            let security = self
                .all
                .iter()
                .filter(|(key, _)| ["security.", "ssl.", "sasl."].iter().any(|p| key.starts_with(p)));
            for (key, value) in security {
                settings.set(key, value);
            }
        }
        for (key, value) in &self.all {
            if let Some(key) = key.strip_prefix(prefix) {
                settings.set(key, value);
            }
        }
        for (key, value) in connector {
            if let Some(key) = key.strip_prefix(prefix).and_then(|key| key.strip_prefix("override.")) {
                settings.set(key, value);
            }
        }
        settings
    }

    fn bootstrap(&self) -> &str {
        self.bootstrap_servers.as_deref().unwrap_or(&self.broker_listener)
    }
}

/// Client settings that may stand in a worker's file without a prefix.
const CLIENT_KEYS: &[&str] = &[
    "client.id",
    "client.dns.lookup",
    "connections.max.idle.ms",
    "metadata.max.age.ms",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retry.backoff.ms",
    "send.buffer.bytes",
];

/// Host and port of a listener, without its protocol.
pub fn address(listener: &str) -> &str {
    listener.split_once("://").map_or(listener, |(_, address)| address).trim_end_matches('/')
}

fn internal_topic(values: &Resolved, kind: &str, partitions: i32) -> InternalTopic {
    let name = values.text(&format!("{kind}.storage.topic")).unwrap_or_default().to_owned();
    let replication_factor = values.long(&format!("{kind}.storage.replication.factor")) as i32;
    InternalTopic { name, partitions, replication_factor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_whole_configuration() {
        let settings = WorkerSettings::new(Properties::new()).unwrap();
        assert_eq!(settings.worker_id(), "127.0.0.1:8083");
        assert_eq!(settings.registry_listener.as_deref(), Some("127.0.0.1:8081"));
        assert_eq!(settings.clients().get("bootstrap.servers"), Some("127.0.0.1:9092"));
    }

    #[test]
    fn a_real_cluster_starts_neither_broker_nor_registry() {
        let properties = [("bootstrap.servers".to_owned(), "k:9092".to_owned())].into_iter().collect();
        let settings = WorkerSettings::new(properties).unwrap();
        assert_eq!(
            (settings.registry_listener, settings.bootstrap_servers.as_deref()),
            (None, Some("k:9092"))
        );
    }
}
