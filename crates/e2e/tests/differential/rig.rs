//! Debezium in Kafka Connect on Apache Kafka, and ours on its own broker, both reading one database.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use e2e::eventually::eventually;
use e2e::golden::{clean_up, scratch};
use e2e::java_connect::{Debezium, JavaConnect};
use e2e::java_kafka::{self, JavaKafka};
use e2e::ports;
use e2e::postgres::{Cluster, ClusterOptions, USER};
use e2e::rest::Rest;
use e2e::topics::{Recorded, Records, Topics};
use e2e::worker::{Worker, WorkerOptions};
use futures::SinkExt as _;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::options;
use crate::workload::{Action, Range, Workload};

/// How long a marker may take, on a machine that does other things as well.
const MARKER_WITHIN: Duration = Duration::from_secs(90);
/// Partitions are written side by side: records of others may come behind the last marker.
const SETTLED_AFTER: Duration = Duration::from_millis(700);

pub struct Rig {
    pub cluster: Cluster,
    pub kafka: &'static JavaKafka,
    pub connect: JavaConnect,
    pub worker: Worker,
    _dir: TempDir,
}

impl Rig {
    pub async fn start() -> Result<Self> {
        let dir = scratch("differential")?;
        let settings = ["max_prepared_transactions = 10"];
        let options = ClusterOptions { port: ports::free(), settings: &settings };
        let cluster = Cluster::create(&dir.path().join("postgres"), &options).await?;
        let kafka = java_kafka::shared().await?;
        let names =
            ["config", "offset", "status"].map(|topic| format!("{topic}.storage.topic=connect-{topic}"));
        let mut settings = vec!["group.id=reference".to_owned(), "offset.flush.interval.ms=1000".to_owned()];
        settings.extend(names);
        let connect =
            JavaConnect::start(&dir.path().join("connect"), &kafka.bootstrap, Debezium::V36, &settings)
                .await?;
        let options = WorkerOptions {
            settings: vec!["offset.flush.interval.ms=100".to_owned()],
            ..WorkerOptions::default()
        };
        let worker = Worker::start(&dir.path().join("worker"), &options).await?;
        clean_up(&dir, &worker)?;
        Ok(Self { cluster, kafka, connect, worker, _dir: dir })
    }
}

/// One database, one workload, one connector of each kind.
pub struct Round<'a> {
    pub rig: &'a mut Rig,
    seed: u64,
    name: String,
    workload: Workload,
    sessions: [Client; 2],
    reference: Topics,
    ours: Topics,
    markers: usize,
    statements: Vec<String>,
    refused: usize,
    schema: String,
    sink: Option<Client>,
}

impl<'a> Round<'a> {
    pub async fn open(rig: &'a mut Rig, seed: u64, range: Range) -> Result<Self> {
        let name = format!("d{seed}");
        rig.cluster.database(&name, "").await?;
        let sessions = [rig.cluster.connect(&name).await?, rig.cluster.connect(&name).await?];
        let mut workload = Workload::new(seed, range);
        let (text, scalars) = workload.named_columns();
        let chosen = match range {
            Range::Everything => options::chosen(workload.random(), &text, &scalars),
            Range::Rows => options::for_sink(),
        };
        // The topics bear the round's name as well.
        let follow = |bootstrap: &str| {
            Topics::follow(bootstrap, &format!("reads-{name}"), &format!("{name}\\.public\\.marker"))
        };
        let (reference, ours) = (follow(&rig.kafka.bootstrap)?, follow(&rig.worker.bootstrap)?);
        let mut round = Self {
            seed,
            name: name.clone(),
            workload,
            sessions,
            reference,
            ours,
            markers: 0,
            statements: vec![format!("-- options: {}", serde_json::Value::Object(chosen.clone()))],
            refused: 0,
            schema: String::new(),
            sink: None,
            rig,
        };
        round.schema = round.workload.schema();
        for statement in round.schema.clone().split('\n') {
            round.run(0, &Action::Sql(statement.to_owned())).await?;
        }
        for action in round.workload.first_rows() {
            round.run(0, &action).await?;
        }
        let port = round.rig.cluster.port;
        for (side, rest) in [("r", &round.rig.connect.rest), ("o", &round.rig.worker.rest)] {
            let mut connector = options::connector(&format!("{name}{side}"), port, &name, &chosen);
            connector["config"]["topic.prefix"] = name.as_str().into();
            rest.create(&connector).await?;
        }
        for side in ["r", "o"] {
            round.wait_streaming(side).await?;
        }
        Ok(round)
    }

    fn rest(&self, side: &str) -> &Rest {
        if side == "r" { &self.rig.connect.rest } else { &self.rig.worker.rest }
    }

    async fn wait_streaming(&self, side: &str) -> Result<()> {
        let name = format!("{}{side}", self.name);
        eventually(&format!("{name} streams"), MARKER_WITHIN, || async {
            self.check_running(side).await?;
            let query = "SELECT 1 FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid \
                         WHERE s.slot_name = $1 AND r.state = 'streaming'";
            Ok(self.sessions[0].query_opt(query, &[&name]).await?.map(drop))
        })
        .await
    }

    async fn check_running(&self, side: &str) -> Result<()> {
        let path = format!("/connectors/{}{side}/status", self.name);
        let status = self.rest(side).get(&path).await?.body;
        if status["tasks"][0]["state"] == "FAILED" {
            bail!("the task of {path} failed: {}", status["tasks"][0]["trace"]);
        }
        Ok(())
    }

    /// Changes of schemas, then transactions; both sides have come so far at the end: the reference looks at the
    /// catalogue of its own time.
    pub async fn step(&mut self) -> Result<()> {
        self.changes().await?;
        self.transactions().await?;
        self.mark().await
    }

    async fn changes(&mut self) -> Result<()> {
        for _ in 0..self.workload.random().below(4) {
            let sql = self.workload.change();
            for statement in sql.split('\n') {
                self.run(0, &Action::Sql(statement.to_owned())).await?;
            }
        }
        Ok(())
    }

    /// The worker is killed in the middle of transactions, and comes back in the middle of others.
    pub async fn step_with_kill(&mut self) -> Result<()> {
        self.transactions().await?;
        // Anything from nothing at all to all of it is in Kafka, and any part of that in the offsets.
        tokio::time::sleep(Duration::from_millis(self.workload.random().below(150) as u64)).await;
        self.rig.worker.kill()?;
        self.transactions().await?;
        self.rig.worker.restart().await?;
        self.transactions().await
    }

    /// The sink of ours, into a database with the same tables.
    pub async fn open_sink(&mut self) -> Result<()> {
        let name = format!("{}s", self.name);
        self.rig.cluster.database(&name, "").await?;
        let sink = self.rig.cluster.connect(&name).await?;
        sink.batch_execute(&self.schema).await?;
        self.rig.worker.rest.create(&options::sink(&self.name, self.rig.cluster.port)).await?;
        self.sink = Some(sink);
        Ok(())
    }

    /// Waits until the sink's tables have the source's rows.
    pub async fn wait_sink_equal(&self) -> Result<()> {
        let sink = self.sink.as_ref().context("the sink is open")?;
        let name = format!("{}s", self.name);
        for table in self.workload.tables() {
            let sql = format!("SELECT t::text FROM {} t ORDER BY 1", table.name);
            eventually(&format!("{} is equal", table.name), MARKER_WITHIN, || async {
                let status = self.rig.worker.rest.get(&format!("/connectors/{name}/status")).await?.body;
                if status["tasks"][0]["state"] == "FAILED" {
                    bail!("the sink failed: {}", status["tasks"][0]["trace"]);
                }
                let rows = async |client: &Client| -> Result<Vec<String>> {
                    Ok(client.query(&sql, &[]).await?.iter().map(|row| row.get(0)).collect())
                };
                let (from, to) = (rows(&self.sessions[0]).await?, rows(sink).await?);
                let at = (0..from.len().max(to.len())).find(|at| from.get(*at) != to.get(*at));
                match at {
                    None => Ok(Some(())),
                    Some(at) => {
                        let [from_row, to_row] = [&from, &to].map(|rows| rows.get(at).cloned().unwrap_or_default());
                        let (from_part, to_part) = different_part(&from_row, &to_row);
                        bail!(
                            "{} and {} rows; row {at} has {from_part} at the source and {to_part} at the sink",
                            from.len(),
                            to.len(),
                        )
                    }
                }
            })
            .await?;
        }
        Ok(())
    }

    pub async fn transactions(&mut self) -> Result<()> {
        for _ in 0..4 + self.workload.random().below(8) {
            let mut waiting = self.workload.two_transactions().map(std::collections::VecDeque::from);
            // Both are open at once, and the one that began first may commit last.
            while waiting.iter().any(|actions| !actions.is_empty()) {
                let side = self.workload.random().below(2);
                if let Some(action) = waiting[side].pop_front() {
                    self.run(side, &action).await?;
                }
            }
        }
        Ok(())
    }

    async fn run(&mut self, side: usize, action: &Action) -> Result<()> {
        let session = &self.sessions[side];
        let (text, done) = match action {
            Action::Sql(sql) => (sql.clone(), session.batch_execute(sql).await),
            Action::Copy { statement, lines } => {
                let copy = async {
                    let mut sink = std::pin::pin!(session.copy_in::<_, Bytes>(statement.as_str()).await?);
                    sink.send(Bytes::from(lines.clone())).await?;
                    sink.finish().await.map(drop)
                };
                (format!("{statement}; -- {lines:?}"), copy.await)
            }
        };
        // A row that breaks a rule, or what follows it in its transaction, is refused: that is part of life.
        let refused = match &done {
            Ok(()) => String::new(),
            Err(error) => {
                self.refused += 1;
                let error = error.as_db_error().with_context(|| format!("{text}: {error}"))?;
                format!(" -- refused: {}", error.message())
            }
        };
        self.statements.push(format!("/* {side} */ {text};{refused}"));
        Ok(())
    }

    /// A row that both sides must come to.
    pub async fn mark(&mut self) -> Result<()> {
        self.markers += 1;
        let n = self.markers;
        self.run(0, &Action::Sql(format!("INSERT INTO marker VALUES ({n})"))).await?;
        let name = self.name.clone();
        for side in ["r", "o"] {
            let topics = if side == "r" { &mut self.reference } else { &mut self.ours };
            if let Err(error) = topics
                .until(&format!("marker {n} of {side}"), MARKER_WITHIN, |records| {
                    has_marker(records, &name, n)
                })
                .await
            {
                let kept = self.keep()?;
                self.check_running(side).await.context(kept.clone())?;
                return Err(error.context(kept));
            }
        }
        Ok(())
    }

    /// All that both sides wrote.
    pub async fn records(&mut self) -> Result<[Records; 2]> {
        // Topics are written side by side: others may come behind the last marker.
        tokio::time::sleep(SETTLED_AFTER).await;
        let pattern = format!("{}\\..*", self.name);
        let group = format!("judges-{}", self.name);
        let mut all = vec![];
        for bootstrap in [&self.rig.kafka.bootstrap, &self.rig.worker.bootstrap] {
            let topics = Topics::follow(bootstrap, &group, &pattern)?;
            all.push(topics.all("the last marker", SETTLED_AFTER, |records| self.has_marker(records)).await?);
        }
        all.try_into().map_err(|_| anyhow::anyhow!("there are two sides"))
    }

    fn has_marker(&self, records: &Records) -> bool {
        has_marker(records, &self.name, self.markers)
    }

    pub fn summary(&self, records: &[Records; 2]) -> String {
        let count = |records: &Records| records.values().map(Vec::len).sum::<usize>();
        format!(
            "  {} statements ({} refused), {} topics, {} records; {}",
            self.statements.len(),
            self.refused,
            records[0].len(),
            count(&records[1]),
            self.statements[0]
        )
    }

    /// Writes the statements down; says where.
    pub fn keep(&self) -> Result<String> {
        let path = std::env::temp_dir().join(format!("tidegate-differential-{}.sql", self.seed));
        std::fs::write(&path, self.statements.join("\n"))?;
        Ok(path.display().to_string())
    }

    pub async fn close(self) -> Result<()> {
        if self.sink.is_some() {
            self.rig.worker.rest.delete(&format!("{}s", self.name)).await?;
        }
        for side in ["r", "o"] {
            self.rest(side).delete(&format!("{}{side}", self.name)).await?;
        }
        let admin = self.rig.cluster.connect(USER).await?;
        for side in ["r", "o"] {
            let slot = format!("{}{side}", self.name);
            eventually("the slot is free", Duration::from_secs(30), || async {
                let query = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1";
                Ok(admin.query(query, &[&slot]).await.ok())
            })
            .await?;
        }
        drop(self.sessions);
        admin.batch_execute(&format!("DROP DATABASE \"{}\" WITH (FORCE)", self.name)).await?;
        Ok(())
    }
}

fn has_marker(records: &Records, name: &str, number: usize) -> bool {
    let topic = (format!("{name}.public.marker"), 0);
    let key = format!(r#""payload":{{"n":{number}}}"#);
    let is_it = |record: &Recorded| record.key.as_deref().is_some_and(|text| text.contains(&key));
    records.get(&topic).is_some_and(|records| records.iter().rev().any(is_it))
}

/// What is around the first character that differs.
fn different_part(one: &str, other: &str) -> (String, String) {
    let common = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let part = |text: &str| text.chars().skip(common.saturating_sub(40)).take(80).collect();
    (part(one), part(other))
}
