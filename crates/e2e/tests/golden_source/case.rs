//! One case: its files, and its steps played against the worker.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::eventually::eventually;
use e2e::golden::Outcome;
use e2e::postgres::{PASSWORD, USER};
use kafka::consumer::{BatchLimits, Subscription};
use kafka::{ClientSettings, CompactedLog, Consumer, ConsumerEvent, LogRecord, Producer, TopicSpec};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

use crate::Rig;
use crate::catalogue::{self, Catalogue, Published};
use crate::compare;
use crate::states;

/// Silence that shows that there are no more records than were recorded.
const IDLE: Duration = Duration::from_millis(700);
/// How long the records may take that were recorded: they are durable when reading begins.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// How long nothing may come of a snapshot for it to be done.
const SNAPSHOT_IDLE: Duration = Duration::from_millis(1500);
/// How long an offset may take.
const OFFSET_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a task may take to show the state that it is in.
const STATE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connector may take to do what a step waits for.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

pub struct Case {
    pub name: String,
    pub dir: PathBuf,
    pub description: Value,
    /// Where WAL stood before the last statements.
    written_from: Cell<u64>,
    /// Tables whose rows the stream has under another name, at the beginning.
    elsewhere: OnceCell<Vec<String>>,
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
        Ok(Self {
            name,
            dir: dir.to_owned(),
            description: serde_json::from_str(&text)?,
            written_from: Cell::new(0),
            elsewhere: OnceCell::new(),
        })
    }

    /// Name of connector, prefix, slot and publication.
    fn id(&self) -> String {
        format!("g_{}", self.name)
    }

    /// The older version that was recorded.
    pub fn version(&self) -> Option<&'static str> {
        let older = [("v19_", "1.9"), ("v25_", "2.5"), ("v27_", "2.7"), ("v30_", "3.0")];
        older.into_iter().find(|(prefix, _)| self.name.starts_with(prefix)).map(|(_, version)| version)
    }

    /// Rows that were recorded.
    fn recorded_rows(&self) -> usize {
        compare::recorded(self).map_or(0, |records| records.len())
    }

    fn database(&self) -> String {
        format!("golden_{}", self.name)
    }

    async fn catalogue(&self, client: &Client) -> Result<Catalogue> {
        let by_root = self.option("publish.via.partition.root") == "true";
        let published = if by_root { Published::ByRoot } else { Published::ByPartition };
        let mut catalogue = catalogue::read(client, published).await?;
        catalogue::choose_keys(&mut catalogue, self.option("message.key.columns"));
        // A partition may be detached later.
        let elsewhere: Vec<String> =
            catalogue.iter().filter(|(_, table)| table.is_elsewhere).map(|(name, _)| name.clone()).collect();
        for name in self.elsewhere.get_or_init(|| elsewhere) {
            if let Some(table) = catalogue.get_mut(name) {
                table.is_elsewhere = true;
            }
        }
        Ok(catalogue)
    }

    /// What the case's configuration has; empty where it has none.
    pub fn option(&self, name: &str) -> &str {
        self.description["connector"][name].as_str().unwrap_or_default()
    }

    /// Plays the case and compares.
    pub async fn run(&self, rig: &Rig) -> Result<Outcome> {
        let options = self.description["create_database"].as_str().unwrap_or_default();
        let options = options.split_once(&self.database()).map_or(options, |(_, rest)| rest);
        let options = options.trim_start_matches('"').trim().trim_end_matches(';');
        rig.cluster.database(&self.database(), options).await?;
        let client = rig.cluster.connect(&self.database()).await?;
        self.sql(&client, "setup.sql").await?;
        let mut seen = Seen::default();
        let played = self.play(rig, &client, &mut seen).await;
        if played.is_ok() {
            seen.states = self.states(rig).await?;
            seen.records = self.records(rig, &client).await?;
            if self.has_offsets() {
                seen.offsets = offsets(rig, &self.id()).await?;
            }
        }
        rig.worker.rest.delete(&self.id()).await?;
        let catalogue = self.catalogue(&client).await?;
        self.tear_down(rig, &client).await;
        if let Err(error) = played {
            let is_refused = states::is_refused(&self.description["final_state"], &format!("{error:#}"));
            return if is_refused { Ok(Outcome::Decided(vec![states::REFUSED])) } else { Err(error) };
        }
        compare::outcome(self, &catalogue, &seen)
    }

    async fn play(&self, rig: &Rig, client: &Client, seen: &mut Seen) -> Result<()> {
        let steps = self.description["steps"].as_array().context("a case has steps")?;
        for (number, step) in steps.iter().enumerate() {
            self.step(rig, client, step, seen)
                .await
                .with_context(|| format!("step {} ({step})", number + 1))?;
        }
        self.wait_confirmed(rig, client).await
    }

    async fn step(&self, rig: &Rig, client: &Client, step: &Value, seen: &mut Seen) -> Result<()> {
        if let Some(word) = step.as_str() {
            return match word {
                "start" => self.start(rig, &Map::new()).await,
                "wait_streaming" => self.wait_streaming(rig).await,
                "idle" => self.wait_idle(rig, client).await,
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
            "sql" => self.sql(client, argument.as_str().context("a file")?).await,
            "sleep" => {
                // The recording slept: what happens meanwhile is bound to the clock (heartbeats).
                tokio::time::sleep(Duration::from_secs_f64(argument.as_f64().unwrap_or(1.0))).await;
                Ok(())
            }
            "start" => self.start(rig, argument.as_object().unwrap_or(&Map::new())).await,
            // How many offset records there are depends on the flush interval; what they say is compared at the end.
            "idle" => self.wait_idle(rig, client).await,
            "wait_offsets" | "mark" | "mark_offsets" => self.wait_confirmed(rig, client).await,
            "note_slot" | "note_publication" => {
                let mut noted = self.noted(client, word).await?;
                noted["mark"] = argument.clone();
                seen.marks.push(noted);
                Ok(())
            }
            other => bail!("unknown step {other}"),
        }
    }

    /// What the catalogue says now, in the recordings' form.
    async fn noted(&self, client: &Client, word: &str) -> Result<Value> {
        if word == "note_slot" {
            let query = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
            let count: i64 = client.query_one(query, &[]).await?.get(0);
            return Ok(json!({ "slots_in_database": count }));
        }
        let publications = "SELECT coalesce(json_agg(json_build_object('pubname', pubname, 'puballtables', puballtables, \
            'pubinsert', pubinsert, 'pubupdate', pubupdate, 'pubdelete', pubdelete, 'pubtruncate', pubtruncate, \
            'pubviaroot', pubviaroot) ORDER BY pubname), '[]')::text FROM pg_publication";
        let tables = "SELECT coalesce(json_agg(name ORDER BY name), '[]')::text \
            FROM (SELECT (schemaname || '.' || tablename) COLLATE \"C\" AS name FROM pg_publication_tables) t";
        let read = async |query: &str| -> Result<Value> {
            Ok(serde_json::from_str(client.query_one(query, &[]).await?.get(0))?)
        };
        Ok(
            json!({ "pg_publication": read(publications).await?, "pg_publication_tables": read(tables).await? }),
        )
    }

    pub fn has_offsets(&self) -> bool {
        self.dir.join("offsets.jsonl").exists()
    }

    /// A snapshot that was asked for goes on by itself: it is waited for until nothing more comes of it.
    async fn wait_idle(&self, rig: &Rig, client: &Client) -> Result<()> {
        self.wait_confirmed(rig, client).await?;
        if self.option("signal.data.collection").is_empty() {
            return Ok(());
        }
        let (deadline, mut last, mut since) = (Instant::now() + STEP_TIMEOUT, None, Instant::now());
        while since.elapsed() < SNAPSHOT_IDLE && Instant::now() < deadline {
            let query = "SELECT (SELECT count(*) FROM debezium_signal), (SELECT count(*) FROM pg_replication_slots \
                         WHERE slot_name = $1 AND active)";
            let row = client.query_one(query, &[&self.id()]).await?;
            let seen: (i64, i64) = (row.get(0), row.get(1));
            if last != Some(seen) || seen.1 == 0 {
                (last, since) = (Some(seen), Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.wait_confirmed(rig, client).await
    }

    /// Waits until everything that the server has written is durable in Kafka: the connector confirms no sooner. A
    /// connector that does not stream has nothing to confirm.
    async fn wait_confirmed(&self, rig: &Rig, client: &Client) -> Result<()> {
        if self.has_offsets() {
            return self.wait_offset(rig, client).await;
        }
        let now = "SELECT pg_current_wal_insert_lsn()::text";
        let lsn: String = client.query_one(now, &[]).await?.get(0);
        let (slot, id) = (self.id(), self.id());
        eventually("what was written is confirmed", STEP_TIMEOUT, || async {
            let query = "SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots \
                         WHERE slot_name = $1 AND active";
            let Some(row) = client.query_opt(query, &[&slot, &lsn]).await? else {
                return Ok(Some(()));
            };
            let (_, tasks) = rig.worker.rest.states(&id).await?;
            let is_done = row.get::<_, bool>(0) || tasks.iter().any(|task| task == "FAILED");
            Ok(is_done.then_some(()))
        })
        .await
    }

    /// Where offsets are compared, the position of the last event must be seen before that of an idle connector: waits
    /// until an offset of what was written last is durable.
    async fn wait_offset(&self, rig: &Rig, client: &Client) -> Result<()> {
        let (slot, path) = (self.id(), format!("/connectors/{}/offsets", self.id()));
        let since = self.written_from.get();
        let waited = eventually("an offset is written", OFFSET_TIMEOUT, || async {
            let query = "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND active";
            if client.query_opt(query, &[&slot]).await?.is_none() {
                return Ok(Some(()));
            }
            let body = rig.worker.rest.get(&path).await?.body;
            let lsn = body["offsets"][0]["offset"]["lsn"].as_u64();
            Ok(lsn.filter(|lsn| *lsn >= since).map(drop))
        });
        // Statements on tables that are not captured have no event.
        let _ = waited.await;
        Ok(())
    }

    /// The states at the end. A task that fails is not FAILED at once: what was recorded is waited for.
    async fn states(&self, rig: &Rig) -> Result<Value> {
        let deadline = Instant::now() + STATE_TIMEOUT;
        loop {
            let (connector, tasks) = rig.worker.rest.states(&self.id()).await?;
            let tasks: Vec<Value> = tasks.into_iter().map(|state| json!({ "state": state })).collect();
            let states = json!({ "connector": connector, "tasks": tasks });
            if Instant::now() > deadline || compare::are_states(&self.description["final_state"], &states) {
                return Ok(states);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
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
        if !self.has_offsets() {
            // What is idle is confirmed soon then.
            config.insert("status.update.interval.ms".to_owned(), json!("300"));
        }
        let tables = self.catalogue(&rig.cluster.connect(&self.database()).await?).await?;
        if tables.values().any(|table| table.identity_lacks_key) {
            // A delete without its key is an event that cannot be processed; the case goes on behind it.
            config.insert("event.processing.failure.handling.mode".to_owned(), json!("warn"));
        }
        if let Some(version) = self.version() {
            config.insert("compat.version".to_owned(), json!(version));
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
            // A task that cannot go on fails, and the recording tells whether it was to.
            let done = connector == wanted
                && tasks.iter().all(|task| task == wanted || (verb == "resume" && task == "FAILED"))
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
                let wanted = &self.description["final_state"];
                if states::has_failed(wanted) || states::decided(wanted, &json!({ "tasks": [{ "state": "FAILED" }] }), self.recorded_rows()).is_some() {
                    return Ok(Some(()));
                }
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
        let now = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text";
        self.written_from.set(client.query_one(now, &[]).await?.get::<_, &str>(0).parse()?);
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

/// What a case showed.
#[derive(Default)]
pub struct Seen {
    pub records: Vec<Recorded>,
    pub offsets: Vec<Value>,
    pub marks: Vec<Value>,
    pub states: Value,
}

impl Case {
    /// Everything that the connector wrote: topics in alphabetical order, each in offset order.
    async fn records(&self, rig: &Rig, client: &Client) -> Result<Vec<Recorded>> {
        let recorded = compare::recorded(self)?;
        let least = compare::least(&recorded, &self.catalogue(client).await?);
        let id = self.id();
        let settings = ClientSettings::new([
            ("bootstrap.servers", rig.worker.bootstrap.as_str()),
            ("group.id", &format!("golden-{id}")),
            ("metadata.max.age.ms", "200"),
            ("fetch.max.wait.ms", "50"),
        ]);
        // What bears the case's name, and the topics of the recording: a router may have made them of other names.
        let mut pattern = format!("(__debezium-heartbeat\\.)?{id}([.-].*)?");
        let others: BTreeSet<&str> = recorded.iter().map(|record| record.topic.as_str()).collect();
        for topic in others.into_iter().filter(|topic| !topic.contains(&id)) {
            pattern.push_str(&format!("|{}", topic.replace('.', "\\.")));
        }
        let limits = BatchLimits { messages_max: 10_000, bytes_max: 16 << 20 };
        let mut consumer = Consumer::new(&settings, &Subscription::Pattern(pattern), limits)?;
        let mut reading = Reading::default();
        let deadline = Instant::now() + READ_TIMEOUT;
        loop {
            let wait = if reading.count() < least { deadline - Instant::now() } else { IDLE };
            match tokio::time::timeout(wait, consumer.next()).await {
                Err(_) => break,
                Ok(None) => bail!("the consumer ended"),
                Ok(Some(ConsumerEvent::Failed { error, fatal: true })) => bail!("{error}"),
                Ok(Some(ConsumerEvent::Batch { messages, .. })) => {
                    messages.iter().for_each(|message| reading.enter(message));
                }
                Ok(Some(_)) => {}
            }
        }
        consumer.close().await;
        // Topics of other names may be those of other cases too: their keys name the case.
        let is_other = |record: &Recorded| {
            let key = record.key.as_deref().unwrap_or_default();
            !record.topic.contains(&id) && key.contains("\"name\":\"g_") && !key.contains(&format!("\"{id}."))
        };
        Ok(reading.seen.into_values().flatten().filter(|record| !is_other(record)).collect())
    }
}

#[derive(Default)]
struct Reading {
    seen: BTreeMap<(String, i32), Vec<Recorded>>,
    /// Next offset of each partition.
    next: BTreeMap<(String, i32), i64>,
}

impl Reading {
    fn count(&self) -> usize {
        self.seen.values().map(Vec::len).sum()
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
}

/// What the connector's offsets said, one after the other.
async fn offsets(rig: &Rig, id: &str) -> Result<Vec<Value>> {
    let settings = ClientSettings::new([("bootstrap.servers", rig.worker.bootstrap.as_str())]);
    let producer = Arc::new(Producer::new(&settings)?);
    let (sender, receiver) = std::sync::mpsc::channel();
    let tell = move |record: LogRecord| {
        let _ = sender.send(record);
    };
    // Opened anew: it is told from the beginning to what is its end now.
    let spec = TopicSpec::compacted("connect-offsets", 25, 1);
    drop(CompactedLog::open(&settings, producer, &spec, tell).await?);
    let mut found = vec![];
    for record in receiver {
        let key: Value =
            serde_json::from_slice(record.key.as_deref().unwrap_or_default()).unwrap_or_default();
        if key[0] == id
            && let Some(value) = &record.value
        {
            found.push(serde_json::from_slice(value)?);
        }
    }
    Ok(found)
}
