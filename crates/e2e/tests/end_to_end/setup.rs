//! Two databases, a worker, two connectors; on the embedded broker or on Apache Kafka.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::eventually::eventually;
use e2e::java_kafka;
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions, PASSWORD, USER};
use e2e::worker::{Worker, WorkerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

/// What carries the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Embedded,
    /// One Apache Kafka for all tests of this binary.
    Kafka,
}

/// The same tests on both kinds of broker.
macro_rules! on_both_brokers {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() -> anyhow::Result<()> {
                super::$test(crate::setup::Kind::Embedded).await
            })*
        }
        mod apache_kafka {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() -> anyhow::Result<()> {
                super::$test(crate::setup::Kind::Kafka).await
            })*
        }
    };
}
pub(crate) use on_both_brokers;

/// A rig of its own for each test. Whatever has a name in Kafka carries the rig's: others use that Kafka as well.
pub struct Rig {
    pub name: String,
    pub cluster: Cluster,
    /// Where the sink's database is, if not there.
    pub target: Option<Cluster>,
    pub worker: Worker,
    pub source: Client,
    pub sink: Client,
    pub dir: TempDir,
}

/// What a rig is made of.
#[derive(Default)]
pub struct Parts {
    /// `None`: the embedded broker.
    pub bootstrap: Option<String>,
    pub broker_port: u16,
    /// More lines of `worker.properties`.
    pub settings: Vec<String>,
    /// More lines of `postgresql.conf`.
    pub postgres: &'static [&'static str],
    pub target: Target,
    /// See `WorkerOptions`.
    pub wrapper: Option<PathBuf>,
}

/// Where the sink's database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    #[default]
    SameCluster,
    OwnCluster,
}

/// Looking is work for the servers that are being waited for.
const LOOK_PAUSE: Duration = Duration::from_millis(80);

pub const TABLES: [&str; 3] = ["users", "posts", "comments"];

const SCHEMA: &str = "
    CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, updated_at timestamp(3));
    CREATE TABLE posts (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users (id) ON DELETE CASCADE,
                        title text NOT NULL, price numeric(12, 2));
    CREATE INDEX ON posts (user_id);
    CREATE TABLE comments (id serial PRIMARY KEY, post_id int NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
                           user_id int NOT NULL REFERENCES users (id) ON DELETE CASCADE, body text);
    CREATE INDEX ON comments (post_id);
    CREATE INDEX ON comments (user_id);";

/// Where a worker finds its broker; `None`: within itself.
pub async fn bootstrap(kind: Kind) -> Result<Option<String>> {
    Ok(match kind {
        Kind::Embedded => None,
        Kind::Kafka => Some(java_kafka::shared().await?.bootstrap.clone()),
    })
}

/// A folder that the server's user can reach.
pub fn folder(name: &str) -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::Builder::new().prefix(name).tempdir_in("/var/tmp")?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}

impl Rig {
    /// Source and sink are databases of one cluster; tables are made on both.
    pub async fn start(name: &str, kind: Kind) -> Result<Self> {
        Self::with(name, Parts { bootstrap: bootstrap(kind).await?, ..Parts::default() }).await
    }

    pub async fn with(name: &str, parts: Parts) -> Result<Self> {
        let rig = Self::without_tables(name, parts).await?;
        for client in [&rig.source, &rig.sink] {
            client.batch_execute(SCHEMA).await?;
        }
        Ok(rig)
    }

    pub async fn without_tables(name: &str, parts: Parts) -> Result<Self> {
        let dir = folder(name)?;
        let options = ClusterOptions { port: ports::free(), settings: parts.postgres };
        let cluster = Cluster::create(&dir.path().join("postgres"), &options).await?;
        let target = match parts.target {
            Target::SameCluster => None,
            Target::OwnCluster => {
                let options = ClusterOptions { port: ports::free(), settings: &[] };
                Some(Cluster::create(&dir.path().join("target"), &options).await?)
            }
        };
        let mut settings = vec!["offset.flush.interval.ms=500".to_owned(), format!("group.id={name}")];
        for topic in ["config", "offset", "status"] {
            settings.push(format!("{topic}.storage.topic={name}-{topic}"));
        }
        settings.extend(parts.settings);
        let Parts { bootstrap, broker_port, wrapper, .. } = parts;
        let options = WorkerOptions { bootstrap, broker_port, wrapper, settings, ..WorkerOptions::default() };
        let worker = Worker::start(&dir.path().join("worker"), &options).await?;
        let at_target = target.as_ref().unwrap_or(&cluster);
        cluster.database("source_db", "").await?;
        at_target.database("sink_db", "").await?;
        let (source, sink) = (cluster.connect("source_db").await?, at_target.connect("sink_db").await?);
        Ok(Self { name: name.to_owned(), cluster, target, worker, source, sink, dir })
    }

    /// The cluster of the sink's database.
    pub fn target(&self) -> &Cluster {
        self.target.as_ref().unwrap_or(&self.cluster)
    }

    pub fn source_name(&self) -> String {
        format!("{}-source", self.name)
    }

    pub fn sink_name(&self) -> String {
        format!("{}-sink", self.name)
    }

    pub fn topic(&self, table: &str) -> String {
        format!("{}-{table}", self.name)
    }

    pub fn source_connector(&self) -> Value {
        json!({"name": self.source_name(), "config": {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "plugin.name": "pgoutput",
            "database.hostname": "127.0.0.1",
            "database.port": self.cluster.port.to_string(),
            "database.user": USER,
            "database.password": PASSWORD,
            "database.dbname": "source_db",
            "topic.prefix": "cdc",
            "schema.include.list": "public",
            "slot.name": "dbz_replication_slot",
            "publication.name": "dbz_publication",
            "publication.autocreate.mode": "filtered",
            "transforms": "route",
            "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
            "transforms.route.regex": "([^.]+)\\.([^.]+)\\.([^.]+)",
            "transforms.route.replacement": self.topic("$3"),
        }})
    }

    pub fn sink_connector(&self) -> Value {
        let topics = TABLES.map(|table| self.topic(table)).join(",");
        json!({"name": self.sink_name(), "config": {
            "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
            "topics": topics,
            "connection.url": format!("jdbc:postgresql://127.0.0.1:{}/sink_db", self.target().port),
            "connection.user": USER,
            "connection.password": PASSWORD,
            "insert.mode": "upsert",
            "pk.mode": "record_key",
            "delete.enabled": "true",
            "transforms": "unwrap,table",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.unwrap.drop.tombstones": "false",
            "transforms.unwrap.delete.handling.mode": "none",
            "transforms.table.type": "org.apache.kafka.connect.transforms.RegexRouter",
            "transforms.table.regex": format!("{}-(.*)", self.name),
            "transforms.table.replacement": "$1",
            "errors.tolerance": "all",
            "errors.deadletterqueue.topic.name": self.topic("dlq"),
            "errors.deadletterqueue.topic.replication.factor": "1",
            "errors.deadletterqueue.context.headers.enable": "true",
        }})
    }

    /// Creates both connectors and waits until they run.
    pub async fn create_connectors(&self) -> Result<()> {
        self.worker.rest.create(&self.source_connector()).await?;
        self.worker.rest.create(&self.sink_connector()).await?;
        self.wait_until_running().await
    }

    pub async fn wait_until_running(&self) -> Result<()> {
        self.worker.rest.wait_for_state(&self.source_name(), "RUNNING").await?;
        self.worker.rest.wait_for_state(&self.sink_name(), "RUNNING").await
    }

    /// Waits until both sides are the same in every row and column.
    pub async fn wait_until_equal(&self, timeout: Duration) -> Result<()> {
        let tables = TABLES.map(|table| (table, table));
        wait_until_equal(&self.source, &self.sink, &tables, timeout).await
    }

    /// No record of any connector went to a dead letter queue or was skipped.
    pub async fn nothing_was_rejected(&self) -> Result<()> {
        let metrics = self.worker.rest.get("/metrics").await?.body;
        let metrics = metrics.as_str().context("the metrics are text")?.to_owned();
        let names = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        for name in names {
            ensure!(metrics.contains(&format!("# HELP {name} ")), "nobody says what {name} is");
        }
        let counted = |name: &str| {
            metrics.lines().any(|line| line.contains(name) && !line.starts_with('#') && !line.ends_with(" 0"))
        };
        for name in ["deadletterqueue_produce_requests", "total_records_skipped"] {
            ensure!(!counted(name), "{name} is not 0; the worker's log:\n{}", self.worker.log_text());
        }
        Ok(())
    }
}

/// Waits until each pair of tables (of the source, of the sink) has the same rows, column by column.
pub async fn wait_until_equal(
    source: &Client,
    sink: &Client,
    tables: &[(&str, &str)],
    timeout: Duration,
) -> Result<()> {
    let look = || async {
        for (from, to) in tables {
            if summary(source, from).await? != summary(sink, to).await? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    };
    let equal = eventually("source and sink are equal", timeout, || async {
        tokio::time::sleep(LOOK_PAUSE).await;
        look().await
    })
    .await;
    let Err(error) = equal else { return Ok(()) };
    for (from, to) in tables {
        let (source, sink) = (rows(source, from).await?, rows(sink, to).await?);
        let at = (0..source.len().max(sink.len())).find(|at| source.get(*at) != sink.get(*at));
        let row = |rows: &[String]| at.and_then(|at| rows.get(at).cloned());
        if at.is_some() {
            let (of_source, of_sink) = (row(&source), row(&sink));
            let (had, has) = (source.len(), sink.len());
            bail!(
                "{error:#}: {from} has {had} rows and {to} {has}; first difference: {of_source:?} and {of_sink:?}"
            );
        }
    }
    Err(error)
}

/// Number of rows and a number that changes with any of them.
async fn summary(client: &Client, table: &str) -> Result<(i64, String)> {
    let sql = format!("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {table} t");
    let row = client.query_one(&sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

async fn rows(client: &Client, table: &str) -> Result<Vec<String>> {
    let rows = client.query(&format!("SELECT t::text FROM {table} t ORDER BY 1"), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Folder of the scripts that run other people's clients.
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The Python that has the clients' packages.
pub fn python() -> Result<PathBuf> {
    Ok(std::env::var_os("TIDEGATE_PYTHON").context("TIDEGATE_PYTHON is not set: run ./test")?.into())
}
