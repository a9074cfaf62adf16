//! Two databases, a worker, two connectors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use e2e::eventually::eventually;
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions, PASSWORD, USER};
use e2e::worker::{Worker, WorkerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

/// A rig of its own for each test that kills something.
pub struct Rig {
    pub cluster: Cluster,
    pub worker: Worker,
    pub source: Client,
    pub sink: Client,
    _dir: TempDir,
}

const SCHEMA: &str = "
    CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, updated_at timestamp(3));
    CREATE TABLE posts (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users (id) ON DELETE CASCADE,
                        title text NOT NULL, price numeric(12, 2));
    CREATE TABLE comments (id serial PRIMARY KEY, post_id int NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
                           user_id int NOT NULL REFERENCES users (id) ON DELETE CASCADE, body text);";

/// A folder that the server's user can reach.
pub fn folder(name: &str) -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::Builder::new().prefix(name).tempdir_in("/var/tmp")?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}

impl Rig {
    /// Source and sink are databases of one cluster; tables are made on both.
    pub async fn start(name: &str) -> Result<Self> {
        let dir = folder(name)?;
        let options = ClusterOptions { port: ports::free(), settings: &[] };
        let cluster = Cluster::create(&dir.path().join("postgres"), &options).await?;
        let settings = vec!["offset.flush.interval.ms=500".to_owned()];
        let worker = Worker::start(
            &dir.path().join("worker"),
            &WorkerOptions { settings, ..WorkerOptions::default() },
        )
        .await?;
        for database in ["source_db", "sink_db"] {
            cluster.database(database, "").await?;
            cluster.connect(database).await?.batch_execute(SCHEMA).await?;
        }
        let (source, sink) = (cluster.connect("source_db").await?, cluster.connect("sink_db").await?);
        Ok(Self { cluster, worker, source, sink, _dir: dir })
    }

    pub fn source_connector(&self) -> Value {
        json!({"name": "source", "config": {
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
            "transforms.route.replacement": "$3",
        }})
    }

    pub fn sink_connector(&self) -> Value {
        json!({"name": "sink", "config": {
            "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
            "topics": "users,posts,comments",
            "connection.url": format!("jdbc:postgresql://127.0.0.1:{}/sink_db", self.cluster.port),
            "connection.user": USER,
            "connection.password": PASSWORD,
            "insert.mode": "upsert",
            "pk.mode": "record_key",
            "delete.enabled": "true",
            "transforms": "unwrap",
            "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
            "transforms.unwrap.drop.tombstones": "false",
            "transforms.unwrap.delete.handling.mode": "none",
            "errors.tolerance": "all",
            "errors.deadletterqueue.topic.name": "dlq",
            "errors.deadletterqueue.topic.replication.factor": "1",
            "errors.deadletterqueue.context.headers.enable": "true",
        }})
    }

    /// Waits until both sides are the same in every row and column.
    pub async fn wait_until_equal(&self, timeout: Duration) -> Result<()> {
        eventually("source and sink are equal", timeout, || async {
            for table in ["users", "posts", "comments"] {
                let (source, sink) = (rows(&self.source, table).await?, rows(&self.sink, table).await?);
                if source != sink {
                    let first = source.iter().zip(&sink).find(|(a, b)| a != b);
                    bail!(
                        "{table}: {} rows and {} rows, first difference {first:?}",
                        source.len(),
                        sink.len()
                    );
                }
            }
            Ok(Some(()))
        })
        .await
    }
}

async fn rows(client: &Client, table: &str) -> Result<Vec<String>> {
    let rows = client.query(&format!("SELECT t::text FROM {table} t ORDER BY id"), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Folder of the scripts that run other people's clients.
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}
