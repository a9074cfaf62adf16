//! One case: its files, and its steps played against the worker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::eventually::eventually;
use e2e::golden::Outcome;
use e2e::postgres::{PASSWORD, USER};
use kafka::consumer::{BatchLimits, Subscription};
use kafka::{ClientSettings, Consumer, ConsumerEvent};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

use crate::Rig;
use crate::catalogue;
use crate::compare;

/// Silence after which nothing more is expected, where the case names no other.
const IDLE: Duration = Duration::from_millis(1_500);
/// How long a connector may take to do what a step waits for.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

pub struct Case {
    pub name: String,
    pub dir: PathBuf,
    description: Value,
}

/// A record as the recordings have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub topic: String,
    pub partition: i64,
    pub headers: Value,
    pub key: Option<String>,
    pub value: Option<String>,
}

impl Case {
    pub fn read(dir: &Path) -> Result<Self> {
        let file = dir.join("case.json");
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let name =
            dir.file_name().and_then(|name| name.to_str()).context("a case's folder has a name")?.to_owned();
        Ok(Self { name, dir: dir.to_owned(), description: serde_json::from_str(&text)? })
    }

    /// Name of connector, prefix, slot and publication.
    fn id(&self) -> String {
        format!("g_{}", self.name)
    }

    fn database(&self) -> String {
        format!("golden_{}", self.name)
    }

    /// Plays the case and compares.
    pub async fn run(&self, rig: &Rig) -> Result<Outcome> {
        let options = self.description["create_database"].as_str().unwrap_or_default();
        let options = options.split_once(&self.database()).map_or(options, |(_, rest)| rest);
        let options = options.trim_start_matches('"').trim().trim_end_matches(';');
        rig.cluster.database(&self.database(), options).await?;
        let client = rig.cluster.connect(&self.database()).await?;
        self.sql(&client, "setup.sql").await?;
        let mut records = Records::open(rig, &self.id(), &compare::topics(self)?)?;
        let played = self.play(rig, &mut records).await;
        let seen = match played {
            Ok(()) => records.read_all().await,
            Err(error) => Err(error),
        };
        let offsets = records.offsets(rig, &self.id()).await;
        rig.worker.rest.delete(&self.id()).await?;
        let catalogue = catalogue::read(&client).await?;
        self.tear_down(rig, &client).await;
        compare::outcome(self, &catalogue, &seen?, &offsets?)
    }

    async fn play(&self, rig: &Rig, records: &mut Records) -> Result<()> {
        let steps = self.description["steps"].as_array().context("a case has steps")?;
        for (number, step) in steps.iter().enumerate() {
            self.step(rig, records, step).await.with_context(|| format!("step {} ({step})", number + 1))?;
        }
        Ok(())
    }

    async fn step(&self, rig: &Rig, records: &mut Records, step: &Value) -> Result<()> {
        if let Some(word) = step.as_str() {
            return match word {
                "start" => self.start(rig, &Map::new()).await,
                "wait_streaming" => self.wait_streaming(rig).await,
                "idle" => records.wait_for_silence(IDLE).await,
                "pause" | "resume" | "stop" => self.put(rig, word).await,
                "restart" => {
                    let path = format!("/connectors/{}/restart?includeTasks=true", self.id());
                    rig.worker.rest.call(Method::POST, &path, None).await.map(drop)
                }
                other => bail!("unknown step {other}"),
            };
        }
        let (word, argument) =
            step.as_object().and_then(|step| step.iter().next()).context("a step is a word")?;
        match word.as_str() {
            "sql" => {
                let client = rig.cluster.connect(&self.database()).await?;
                self.sql(&client, argument.as_str().context("a file")?).await
            }
            "sleep" => {
                // The recording slept: what happens meanwhile is bound to the clock (heartbeats).
                tokio::time::sleep(Duration::from_secs_f64(argument.as_f64().unwrap_or(1.0))).await;
                Ok(())
            }
            "idle" => {
                records.wait_for_silence(Duration::from_secs_f64(argument.as_f64().unwrap_or(1.5))).await
            }
            "start" => self.start(rig, argument.as_object().unwrap_or(&Map::new())).await,
            // Counts of offset records depend on the flush interval; what they say is compared at the end.
            "wait_offsets" | "mark" | "mark_offsets" | "note_slot" | "note_publication" => {
                records.wait_for_silence(IDLE).await
            }
            other => bail!("unknown step {other}"),
        }
    }

    async fn start(&self, rig: &Rig, changes: &Map<String, Value>) -> Result<()> {
        let id = self.id();
        let mut config = Map::new();
        let own = [
            ("database.hostname", json!("127.0.0.1")),
            ("database.port", json!(rig.cluster.port.to_string())),
            ("database.user", json!(USER)),
            ("database.password", json!(PASSWORD)),
            ("database.dbname", json!(self.database())),
            ("topic.prefix", json!(id)),
            ("slot.name", json!(id)),
            ("publication.name", json!(id)),
            ("tasks.max", json!("1")),
        ];
        config.extend(own.map(|(key, value)| (key.to_owned(), value)));
        let tables = catalogue::read(&rig.cluster.connect(&self.database()).await?).await?;
        if tables.values().any(|table| table.identity_lacks_key) {
            // A delete without its key is an event that cannot be processed; the case goes on behind it.
            config.insert("event.processing.failure.handling.mode".to_owned(), json!("warn"));
        }
        let given = self.description["connector"].as_object().context("a case has a connector")?;
        for (key, value) in given.iter().chain(changes) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            config.insert(key.clone(), json!(text.replace("${id}", &id)));
        }
        let path = format!("/connectors/{id}/config");
        let answer = rig.worker.rest.call(Method::PUT, &path, Some(&Value::Object(config))).await?;
        if answer.status >= 300 {
            bail!("the configuration was answered with {}: {}", answer.status, answer.body["message"]);
        }
        Ok(())
    }

    async fn put(&self, rig: &Rig, verb: &str) -> Result<()> {
        let id = self.id();
        rig.worker.rest.call(Method::PUT, &format!("/connectors/{id}/{verb}"), None).await?;
        let wanted = match verb {
            "pause" => "PAUSED",
            "stop" => "STOPPED",
            _ => "RUNNING",
        };
        eventually(&format!("{id} is {wanted}"), STEP_TIMEOUT, || async {
            let (connector, tasks) = rig.worker.rest.states(&id).await?;
            let done = connector == wanted
                && tasks.iter().all(|task| task == wanted)
                && (verb == "stop") == tasks.is_empty();
            Ok(done.then_some(()))
        })
        .await
    }

    async fn wait_streaming(&self, rig: &Rig) -> Result<()> {
        let client = rig.cluster.connect(USER).await?;
        let slot = self.id();
        eventually("the slot streams", STEP_TIMEOUT, || async {
            let (_, tasks) = rig.worker.rest.states(&slot).await?;
            if tasks.iter().any(|task| task == "FAILED") {
                let answer = rig.worker.rest.get(&format!("/connectors/{slot}/status")).await?;
                bail!("the task failed: {}", answer.body["tasks"][0]["trace"]);
            }
            let query = "SELECT 1 FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid \
                         WHERE s.slot_name = $1 AND r.state = 'streaming'";
            Ok(client.query_opt(query, &[&slot]).await?.map(drop))
        })
        .await
    }

    /// Runs a file, statement by statement; what the recording was refused may be refused here.
    async fn sql(&self, client: &Client, file: &str) -> Result<()> {
        let text = std::fs::read_to_string(self.dir.join(file)).with_context(|| format!("read {file}"))?;
        let may_fail = !self.description["sql_errors"].is_null();
        for statement in statements(&text.replace("${id}", &self.id())) {
            if let Err(error) = client.batch_execute(&statement).await
                && !may_fail
            {
                bail!(
                    "{file}: {statement}: {}",
                    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
                );
            }
        }
        Ok(())
    }

    async fn tear_down(&self, rig: &Rig, client: &Client) {
        let slot = self.id();
        let free = eventually("the slot is free", STEP_TIMEOUT, || async {
            let query =
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1";
            Ok(client.query(query, &[&slot]).await.ok())
        });
        let _ = free.await;
        if let Some(sql) = self.description["teardown"].as_str() {
            let _ = client.batch_execute(sql).await;
        }
        if let Ok(admin) = rig.cluster.connect(USER).await {
            let _ = admin.batch_execute(&format!("DROP DATABASE \"{}\" WITH (FORCE)", self.database())).await;
        }
    }
}

/// A statement ends at a line that ends with `;`, outside `$$`.
fn statements(text: &str) -> Vec<String> {
    let (mut statements, mut current, mut quoted) = (vec![], String::new(), false);
    for line in text.lines() {
        if current.is_empty() && (line.trim().is_empty() || line.trim_start().starts_with("--")) {
            continue;
        }
        quoted ^= line.matches("$$").count() % 2 == 1;
        current.push_str(line);
        current.push('\n');
        if !quoted && line.trim_end().ends_with(';') {
            statements.push(std::mem::take(&mut current));
        }
    }
    if !current.trim().is_empty() {
        statements.push(current);
    }
    statements
}

/// Everything that the connector wrote.
struct Records {
    consumer: Consumer,
    seen: BTreeMap<(String, i32), Vec<Recorded>>,
    /// Next offset of each partition.
    next: BTreeMap<(String, i32), i64>,
    last: Instant,
}

impl Records {
    /// Reads what bears the case's name, and the topics of the recording: a router may have made them of other names.
    fn open(rig: &Rig, id: &str, recorded: &[String]) -> Result<Self> {
        let settings = ClientSettings::new([
            ("bootstrap.servers", rig.worker.bootstrap.as_str()),
            ("group.id", &format!("golden-{id}")),
            ("metadata.max.age.ms", "200"),
            ("fetch.max.wait.ms", "50"),
        ]);
        let mut pattern = format!("(__debezium-heartbeat\\.)?{id}([.-].*)?");
        for topic in recorded.iter().filter(|topic| !topic.contains(id)) {
            pattern.push_str(&format!("|{}", topic.replace('.', "\\.")));
        }
        let limits = BatchLimits { messages_max: 10_000, bytes_max: 16 << 20 };
        let consumer = Consumer::new(&settings, &Subscription::Pattern(pattern), limits)?;
        Ok(Self { consumer, seen: BTreeMap::new(), next: BTreeMap::new(), last: Instant::now() })
    }

    /// Reads until nothing has come for so long.
    async fn wait_for_silence(&mut self, silence: Duration) -> Result<()> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        self.last = Instant::now();
        while self.last.elapsed() < silence {
            if Instant::now() > deadline {
                return Ok(());
            }
            let left = silence.saturating_sub(self.last.elapsed());
            let Ok(event) = tokio::time::timeout(left, self.consumer.next()).await else { continue };
            match event.context("the consumer ended")? {
                ConsumerEvent::Batch { messages, .. } => {
                    if !messages.is_empty() {
                        self.last = Instant::now();
                    }
                    for message in messages {
                        self.enter(&message);
                    }
                }
                ConsumerEvent::Failed { error, fatal: true } => bail!("{error}"),
                _ => {}
            }
        }
        Ok(())
    }

    fn enter(&mut self, message: &kafka::Message) {
        let text = |bytes: &bytes::Bytes| match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => "base64:".to_owned(),
        };
        let headers = message.headers.iter().map(|(name, value)| json!([&**name, value.as_ref().map(text)]));
        let recorded = Recorded {
            topic: message.topic.to_string(),
            partition: i64::from(message.partition),
            headers: Value::Array(headers.collect()),
            key: message.key.as_ref().map(text),
            value: message.value.as_ref().map(text),
        };
        // A topic that is found later makes the group start over: what was seen is seen once.
        let partition = (message.topic.to_string(), message.partition);
        let next = self.next.entry(partition.clone()).or_insert(0);
        if message.offset >= *next {
            *next = message.offset + 1;
            self.seen.entry(partition).or_default().push(recorded);
        }
    }

    /// Topics in alphabetical order, each in offset order.
    async fn read_all(&mut self) -> Result<Vec<Recorded>> {
        // New topics are looked for every two seconds.
        self.wait_for_silence(Duration::from_millis(3_500)).await?;
        Ok(std::mem::take(&mut self.seen).into_values().flatten().collect())
    }

    /// What the connector's offsets said, one after the other.
    async fn offsets(&self, rig: &Rig, id: &str) -> Result<Vec<Value>> {
        let settings = ClientSettings::new([
            ("bootstrap.servers", rig.worker.bootstrap.as_str()),
            ("group.id", &format!("golden-offsets-{id}")),
            ("fetch.max.wait.ms", "50"),
        ]);
        let limits = BatchLimits { messages_max: 10_000, bytes_max: 16 << 20 };
        let topics = Subscription::Topics(vec!["connect-offsets".to_owned()]);
        let mut consumer = Consumer::new(&settings, &topics, limits)?;
        let mut found = vec![];
        let mut ends = 0;
        while ends < 25 {
            let event = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
            let Ok(Some(ConsumerEvent::Batch { messages, ends: at_end })) = event else {
                if event.is_err() {
                    break;
                }
                continue;
            };
            ends += at_end.len();
            for message in messages {
                let key: Value =
                    serde_json::from_slice(message.key.as_deref().unwrap_or_default()).unwrap_or_default();
                if key[0] == id
                    && let Some(value) = &message.value
                {
                    found.push(serde_json::from_slice(value)?);
                }
            }
        }
        consumer.close().await;
        Ok(found)
    }
}
