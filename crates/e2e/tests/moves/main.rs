//! A connector moves between the real Debezium and ours under write load: on one topic set, with one offsets topic and
//! one slot, back and forth, stopped in order and killed. No change may be lost or come out of its order.

mod load; // writers, and what they did
mod judge; // whether the topics have it

use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::eventually::eventually;
use e2e::golden::scratch;
use e2e::java_connect::{Debezium, JavaConnect};
use e2e::java_kafka;
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions, PASSWORD, USER};
use e2e::rest::Rest;
use e2e::topics::Topics;
use e2e::worker::{Worker, WorkerOptions};
use judge::{Stored, judge};
use load::Load;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

const STREAMS_WITHIN: Duration = Duration::from_secs(240);
/// How long each works on the load.
const STAY: Duration = Duration::from_secs(4);

/// How one gives the connector away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    InOrder,
    Killed,
}

#[tokio::test(flavor = "multi_thread")]
async fn from_debezium_3_6_and_back() -> Result<()> {
    moves("m36", Debezium::V36, &json!({ "topic.prefix": "m36" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_debezium_1_9_and_back() -> Result<()> {
    moves("m19", Debezium::V19, &json!({ "database.server.name": "m19", "compat.version": "1.9" })).await
}

async fn moves(name: &str, version: Debezium, options: &Value) -> Result<()> {
    let place = Place::make(name, version).await?;
    let mut stored = vec![];
    let mut load = None;
    for (turn, leaving) in
        [Leaving::InOrder, Leaving::InOrder, Leaving::Killed, Leaving::Killed].into_iter().enumerate()
    {
        let mut running = place.start(turn).await?;
        if turn == 0 {
            running.rest().create(&place.connector(options)).await?;
        }
        place.wait_streaming(running.rest()).await?;
        if load.is_none() {
            load = Some(Load::start(&place.cluster, name).await?);
        }
        tokio::time::sleep(STAY).await;
        running.leave(leaving).await?;
        stored.push(place.stored().await?);
        println!("{name}: turn {turn} left {leaving:?} at {:?}", stored.last());
    }
    let last = place.start(stored.len()).await?;
    place.wait_streaming(last.rest()).await?;
    let load = load.context("there was a turn")?;
    println!("{name}: {} transactions", load.transactions());
    load.end().await?;
    place.client.batch_execute("INSERT INTO marker VALUES (1)").await?;
    let marker = (format!("{name}.public.marker"), 0);
    let pattern = format!("{name}\\.public\\..*");
    let mut topics = Topics::follow(&place.bootstrap, &format!("reads-{name}"), &pattern)?;
    topics.until("the marker", STREAMS_WITHIN, |records| records.contains_key(&marker)).await?;
    topics.idle(Duration::from_secs(2)).await?;
    let history = load::history(&place.client).await?;
    let verdict = judge(name, &history, topics.seen(), &stored)?;
    println!("{name}: {} keys, {verdict:?}", history.len());
    Ok(())
}

/// What both share: database, Kafka, and the worker's settings.
struct Place {
    name: String,
    version: Debezium,
    cluster: Cluster,
    client: Client,
    bootstrap: String,
    dir: TempDir,
}

enum Running {
    Theirs(JavaConnect),
    Ours(Box<Worker>),
}

impl Running {
    fn rest(&self) -> &Rest {
        match self {
            Self::Theirs(connect) => &connect.rest,
            Self::Ours(worker) => &worker.rest,
        }
    }

    async fn leave(&mut self, leaving: Leaving) -> Result<()> {
        match (self, leaving) {
            (Self::Theirs(connect), Leaving::InOrder) => connect.terminate().await,
            (Self::Theirs(connect), Leaving::Killed) => connect.kill(),
            (Self::Ours(worker), Leaving::InOrder) => worker.terminate().await,
            (Self::Ours(worker), Leaving::Killed) => worker.kill(),
        }
    }
}

impl Place {
    async fn make(name: &str, version: Debezium) -> Result<Self> {
        let dir = scratch(name)?;
        let options = ClusterOptions { port: ports::free(), settings: &[] };
        let cluster = Cluster::create(&dir.path().join("postgres"), &options).await?;
        e2e::guard::at_end(&format!(
            "[ -d {0} ] && {{ kill -QUIT $(head -n 1 {0}/postgres/postmaster.pid); sleep 1; rm -rf {0}; }}",
            dir.path().display()
        ))?;
        cluster.database(name, "").await?;
        let client = cluster.connect(name).await?;
        client.batch_execute(load::SCHEMA).await?;
        let bootstrap = java_kafka::shared().await?.bootstrap.clone();
        Ok(Self { name: name.to_owned(), version, cluster, client, bootstrap, dir })
    }

    /// Debezium at even turns, ours at odd ones, with the same worker settings.
    async fn start(&self, turn: usize) -> Result<Running> {
        let name = &self.name;
        let mut settings = vec![
            format!("group.id={name}"),
            "offset.flush.interval.ms=1000".to_owned(),
            "key.converter=org.apache.kafka.connect.json.JsonConverter".to_owned(),
            "value.converter=org.apache.kafka.connect.json.JsonConverter".to_owned(),
        ];
        settings.extend(
            ["config", "offset", "status"].map(|topic| format!("{topic}.storage.topic={name}-{topic}")),
        );
        if turn.is_multiple_of(2) {
            settings.push("session.timeout.ms=6000\nheartbeat.interval.ms=1000".to_owned());
            let dir = self.dir.path().join(format!("connect{turn}"));
            let connect = JavaConnect::start(&dir, &self.bootstrap, self.version, &settings).await?;
            return Ok(Running::Theirs(connect));
        }
        let options =
            WorkerOptions { bootstrap: Some(self.bootstrap.clone()), settings, ..WorkerOptions::default() };
        let dir = self.dir.path().join(format!("worker{turn}"));
        Ok(Running::Ours(Box::new(Worker::start(&dir, &options).await?)))
    }

    fn connector(&self, options: &Value) -> Value {
        let name = &self.name;
        let mut config = json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "plugin.name": "pgoutput",
            "database.hostname": "127.0.0.1",
            "database.port": self.cluster.port.to_string(),
            "database.user": USER,
            "database.password": PASSWORD,
            "database.dbname": name,
            "table.exclude.list": "public.history",
            "slot.name": name,
            "publication.name": name,
            "poll.interval.ms": "50",
            "slot.retry.delay.ms": "1000",
            "tasks.max": "1",
        });
        if let (Some(config), Some(options)) = (config.as_object_mut(), options.as_object()) {
            config.extend(options.clone());
        }
        json!({ "name": name, "config": config })
    }

    async fn wait_streaming(&self, rest: &Rest) -> Result<()> {
        eventually(&format!("{} streams", self.name), STREAMS_WITHIN, || async {
            let status = rest.get(&format!("/connectors/{}/status", self.name)).await?.body;
            if status["tasks"][0]["state"] == "FAILED" {
                bail!("the task failed: {}", status["tasks"][0]["trace"]);
            }
            let query = "SELECT 1 FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid \
                         WHERE s.slot_name = $1 AND r.state = 'streaming'";
            Ok(self.client.query_opt(query, &[&self.name]).await?.map(drop))
        })
        .await
    }

    /// The last offset of the connector in the offsets topic.
    async fn stored(&self) -> Result<Stored> {
        let topic = format!("{}-offset", self.name);
        let group = format!("reads-{topic}-{}", std::process::id());
        let mut topics = Topics::follow(&self.bootstrap, &group, &topic)?;
        let is_ours = |record: &&e2e::topics::Recorded| {
            record.key.as_deref().is_some_and(|key| key.starts_with(&format!("[\"{}\",", self.name)))
        };
        let has = |records: &e2e::topics::Records| records.values().flatten().any(|record| is_ours(&record));
        topics.until("an offset", STREAMS_WITHIN, has).await?;
        topics.idle(Duration::from_millis(700)).await?;
        let last = topics.seen().values().flatten().rfind(is_ours).context("an offset")?;
        let offset: Value = serde_json::from_str(last.value.as_deref().unwrap_or("null"))?;
        println!("{}: stored {offset}", self.name);
        Ok(Stored { commit: offset["lsn_commit"].as_u64().unwrap_or(0) })
    }
}
