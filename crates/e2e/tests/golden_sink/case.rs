//! One case: a database, topics of its own and a connector on them.
//!
//! The cases write to topics of the same names. So each has its own ones here, and a RegexRouter of the connector gives
//! their records the recorded names back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::eventually::eventually;
use e2e::postgres::{PASSWORD, USER};
use kafka::producer::{HeaderTemplate, Outgoing};
use kafka::{Admin, TopicSpec};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::Rig;
use crate::ending::{self, Ending};

/// How long a connector may take for one put: a row whose parent is missing is held for a minute before it is rejected.
const PUT_TIMEOUT: Duration = Duration::from_secs(100);
/// A database is used again: making one takes longer than a case.
const EMPTY: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', name);
        END LOOP;
        CREATE SCHEMA public;
    END $$";
const JSON_CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";

pub struct Case {
    pub recorded: Value,
    name: String,
}

impl Case {
    /// # Errors
    /// It is no case.
    pub fn parse(line: &str) -> Result<Self> {
        let recorded: Value = serde_json::from_str(line)?;
        let name = recorded["id"].as_str().context("a case has an id")?.to_owned();
        Ok(Self { recorded, name })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was recorded: the error is its SQLSTATE.
    pub fn expected(&self) -> Ending {
        let errors = self.recorded["result"]["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let state = errors.iter().find_map(|error| error["sqlstate"].as_str()).unwrap_or_default();
        Ending {
            error: (!errors.is_empty()).then(|| state.to_owned()),
            before: Value::Null,
            tables: self.recorded["result"]["tables"].clone(),
        }
    }

    /// Plays the case.
    ///
    /// # Errors
    /// The case could not be played; that the connector fails is an ending.
    pub async fn run(&self, rig: &Rig) -> Result<Ending> {
        let database = rig.databases.lock().await.pop().context("as many databases as cases at once")?;
        let client = rig.cluster.connect(&database).await?;
        client.batch_execute(EMPTY).await?;
        for sql in list(&self.recorded["pre_sql"]) {
            client.batch_execute(sql.as_str().context("a statement")?).await?;
        }
        let before = ending::tables(&client).await?;
        let topics = self.topics();
        for topic in topics.values() {
            let spec =
                TopicSpec { name: topic.clone(), partitions: 1, replication_factor: 1, config: vec![] };
            rig.admin.create_topic(&spec).await?;
        }
        let error = self.play(rig, &database, &topics).await?;
        rig.worker.rest.delete(&self.name).await?;
        let tables = ending::tables(&client).await?;
        rig.databases.lock().await.push(database);
        Ok(Ending { error, before, tables: recorded_names(tables, &topics) })
    }

    /// Puts one after the other; returns the error that ended it.
    async fn play(
        &self,
        rig: &Rig,
        database: &str,
        topics: &BTreeMap<String, String>,
    ) -> Result<Option<String>> {
        let connector = json!({ "name": self.name, "config": self.config(rig, database, topics)? });
        let mut sent = BTreeMap::new();
        for (number, records) in list(&self.recorded["batches"]).iter().enumerate() {
            for record in list(records) {
                let topic = &topics[record["topic"].as_str().context("a topic")?];
                send(rig, topic, record)?;
                *sent.entry(topic.clone()).or_insert(0) += 1;
            }
            rig.producer.flush(PUT_TIMEOUT).await?;
            if number == 0 {
                let answer = rig.worker.rest.call(Method::POST, "/connectors", Some(&connector)).await?;
                if answer.status == 400 {
                    return Ok(Some(answer.body["message"].to_string()));
                }
                if answer.status != 201 {
                    bail!("creating the connector was answered with {}: {}", answer.status, answer.body);
                }
            }
            if let Some(error) = self.applied(rig, &sent).await? {
                return Ok(Some(error));
            }
        }
        Ok(None)
    }

    /// Waits until what was sent is committed, or the task failed: with this error.
    async fn applied(&self, rig: &Rig, sent: &BTreeMap<String, i64>) -> Result<Option<String>> {
        eventually("the records are applied", PUT_TIMEOUT, || async {
            let status = rig.worker.rest.get(&format!("/connectors/{}/status", self.name)).await?.body;
            if let Some(failed) = list(&status["tasks"]).iter().find(|task| task["state"] == "FAILED") {
                return Ok(Some(Some(failed["trace"].as_str().unwrap_or_default().to_owned())));
            }
            let committed = committed(&rig.admin, &self.name).await?;
            let all = sent.iter().all(|(topic, count)| committed.get(topic) == Some(count));
            Ok(all.then_some(None))
        })
        .await
    }

    /// Recorded name and name here of each topic.
    fn topics(&self) -> BTreeMap<String, String> {
        let records = list(&self.recorded["batches"]).iter().flat_map(list);
        let mut names: Vec<&str> = records.filter_map(|record| record["topic"].as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let named = names.iter().enumerate();
        named.map(|(at, name)| ((*name).to_owned(), format!("{}.{at}", self.name))).collect()
    }

    fn config(&self, rig: &Rig, database: &str, topics: &BTreeMap<String, String>) -> Result<Value> {
        let url = format!("jdbc:postgresql://127.0.0.1:{}/{database}", rig.cluster.port);
        let names: Vec<&str> = topics.values().map(String::as_str).collect();
        let mut config = Map::new();
        let mut set = |key: &str, value: &str| config.insert(key.to_owned(), value.into());
        set("connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector");
        set("topics", &names.join(","));
        set("connection.url", &url);
        set("connection.username", USER);
        set("connection.password", PASSWORD);
        set("flush.max.retries", "0");
        for role in ["key.converter", "value.converter", "header.converter"] {
            set(role, JSON_CONVERTER);
            set(&format!("{role}.schemas.enable"), "true");
        }
        let routers: Vec<String> = (0..topics.len()).map(|at| format!("name{at}")).collect();
        set("transforms", &routers.join(","));
        for (router, (recorded, own)) in routers.iter().zip(topics) {
            set(&format!("transforms.{router}.type"), "org.apache.kafka.connect.transforms.RegexRouter");
            set(&format!("transforms.{router}.regex"), &own.replace('.', "\\."));
            set(&format!("transforms.{router}.replacement"), &recorded.replace('$', "\\$"));
        }
        for (key, value) in self.recorded["config"].as_object().context("a case has a config")? {
            config.insert(key.clone(), value.clone());
        }
        Ok(Value::Object(config))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn send(rig: &Rig, topic: &str, record: &Value) -> Result<()> {
    let bytes = |part: &Value| (!part.is_null()).then(|| part.to_string().into_bytes());
    let (key, value) = (bytes(&record["key"]), bytes(&record["value"]));
    let headers: Vec<(String, Vec<u8>)> = list(&record["headers"])
        .iter()
        .map(|header| {
            let envelope = json!({ "schema": header["schema"], "payload": header["value"] });
            (header["key"].as_str().unwrap_or_default().to_owned(), envelope.to_string().into_bytes())
        })
        .collect();
    let template = Arc::new(HeaderTemplate::new(
        headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))),
    ));
    rig.producer.send(&Outgoing {
        topic: &rig.producer.topic(topic)?,
        partition: Some(0),
        key: key.as_deref(),
        value: value.as_deref(),
        headers: (!headers.is_empty()).then_some(&template),
        timestamp: None,
    })?;
    Ok(())
}

/// Committed offsets of a connector by topic.
async fn committed(admin: &Admin, connector: &str) -> Result<BTreeMap<String, i64>> {
    let offsets = admin.all_group_offsets(&format!("connect-{connector}")).await?;
    Ok(offsets.into_iter().map(|((topic, _), offset)| (topic.to_string(), offset)).collect())
}

/// With `primary.key.mode=kafka` a topic's name is part of the row.
fn recorded_names(tables: Value, topics: &BTreeMap<String, String>) -> Value {
    match tables {
        Value::String(text) => {
            let name = topics.iter().find(|(_, own)| **own == text).map(|(recorded, _)| recorded.clone());
            Value::String(name.unwrap_or(text))
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| recorded_names(item, topics)).collect())
        }
        Value::Object(members) => {
            let named = members.into_iter().map(|(key, value)| (key, recorded_names(value, topics)));
            Value::Object(named.collect())
        }
        other => other,
    }
}
