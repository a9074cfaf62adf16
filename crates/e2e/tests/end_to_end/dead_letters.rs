//! Records that a sink cannot take: what is written about them, and sending them again, once.

use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::eventually::eventually;
use e2e::postgres::{PASSWORD, USER};
use kafka::{ClientSettings, HeaderTemplate, Outgoing, Producer, TopicReader};
use reqwest::Method;
use serde_json::{Value, json};

use crate::setup::{Kind, Parts, Rig, bootstrap, on_both_brokers};

on_both_brokers!(sent_again_once, without_a_queue, too_large_for_the_queue);

const WAIT: Duration = Duration::from_secs(60);

/// Every write is counted: rows alone do not show that one was written twice.
const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, qty int CHECK (qty < 100));
    CREATE TABLE writes (id int);
    CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO writes VALUES (NEW.id); RETURN NEW; END $$;
    CREATE TRIGGER count_it AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_it();";

async fn rig(name: &str, kind: Kind) -> Result<Rig> {
    let parts = Parts { bootstrap: bootstrap(kind).await?, ..Parts::default() };
    let rig = Rig::without_tables(name, parts).await?;
    rig.sink.batch_execute(TABLES).await?;
    Ok(rig)
}

fn sink(rig: &Rig, more: Value) -> Value {
    let mut config = json!({
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
        "topics": rig.topic("t"),
        "table.name.format": "t",
        "connection.url": format!("jdbc:postgresql://127.0.0.1:{}/sink_db", rig.target().port),
        "connection.user": USER,
        "connection.password": PASSWORD,
        "insert.mode": "upsert",
        "pk.mode": "record_value",
        "pk.fields": "id",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "errors.tolerance": "all",
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    json!({"name": rig.sink_name(), "config": config})
}

fn row(id: i32, qty: i32) -> Vec<u8> {
    let field = |name: &str| json!({"field": name, "type": "int32", "optional": false});
    let schema = json!({"type": "struct", "optional": false, "fields": [field("id"), field("qty")]});
    json!({"schema": schema, "payload": {"id": id, "qty": qty}}).to_string().into_bytes()
}

async fn produce(rig: &Rig, values: &[Vec<u8>]) -> Result<()> {
    let settings = ClientSettings::new([("bootstrap.servers", rig.worker.bootstrap.as_str())]);
    let producer = Producer::new(&settings)?;
    let topic = producer.topic(&rig.topic("t"))?;
    let headers = Arc::new(HeaderTemplate::new([("trace", Some(&b"x1"[..])), ("none", None)]));
    for value in values {
        producer.send(&Outgoing {
            topic: &topic,
            partition: Some(0),
            key: Some(b"k"),
            value: Some(value),
            headers: Some(&headers),
            timestamp: Some(1_700_000_000_123),
        })?;
    }
    producer.flush(WAIT).await?;
    Ok(())
}

/// What lies in a topic.
async fn read(rig: &Rig, topic: String) -> Result<Vec<kafka::Message>> {
    let settings = ClientSettings::new([("bootstrap.servers", rig.worker.bootstrap.as_str())]);
    tokio::task::spawn_blocking(move || {
        let reader = TopicReader::new(&settings, &topic)?;
        let mut messages = vec![];
        for extent in reader.extents()? {
            let _ = reader.read(extent, |message| {
                messages.push(message);
                std::ops::ControlFlow::Continue(())
            })?;
        }
        Ok(messages)
    })
    .await?
}

fn path(rig: &Rig, rest: &str) -> String {
    format!("/tidegate/connectors/{}/dead-letters{rest}", rig.sink_name())
}

async fn groups(rig: &Rig) -> Result<Vec<Value>> {
    let answer = rig.worker.rest.get(&path(rig, "")).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    Ok(answer.body["groups"].as_array().context("groups")?.clone())
}

async fn replay(rig: &Rig, body: Value) -> Result<Value> {
    let answer = rig.worker.rest.call(Method::POST, &path(rig, "/replay"), Some(&body)).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    Ok(answer.body)
}

async fn dlq(rig: &Rig, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = std::process::Command::new(e2e::worker::program()?);
    command.arg("dlq").args(arguments).args(["--url", rig.worker.rest.base()]);
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = [stdout, stderr].concat();
    Ok((status.code(), String::from_utf8(text)?))
}

async fn numbers(rig: &Rig, sql: &str) -> Result<Vec<i32>> {
    Ok(rig.sink.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

async fn sent_again_once(kind: Kind) -> Result<()> {
    let mut rig = rig("letters", kind).await?;
    let values = [row(1, 1), row(2, 500), b"no json".to_vec(), row(3, 700)];
    produce(&rig, &values).await?;
    let queue = json!({
        "errors.deadletterqueue.topic.name": rig.topic("dlq"),
        "errors.deadletterqueue.topic.replication.factor": "1",
        "errors.deadletterqueue.context.headers.enable": "true",
        "errors.log.enable": "true",
        "errors.log.include.messages": "true",
    });
    rig.worker.rest.create(&sink(&rig, queue)).await?;
    let found = eventually("three letters are there", WAIT, || async {
        let groups = groups(&rig).await?;
        let count: u64 = groups.iter().filter_map(|group| group["records"].as_u64()).sum();
        Ok((count == 3).then_some(groups))
    })
    .await?;
    let group = check_groups(&rig, &found)?;
    check_letters(&rig, &values, &group).await?;
    check_log(&rig)?;

    // Before anything is repaired they fail again, and may be sent once more.
    let refused = replay(&rig, json!({"group": group})).await?;
    ensure!(refused["counts"]["refused"] == 2 && refused["counts"]["applied"] == 0, "{refused}");
    let why = refused["records"][0]["error"].as_str().unwrap_or_default();
    ensure!(why.contains("t_qty_check"), "{refused}");

    rig.sink.batch_execute("ALTER TABLE t DROP CONSTRAINT t_qty_check; TRUNCATE writes").await?;
    let dry = replay(&rig, json!({"all": true, "dry_run": true})).await?;
    ensure!(dry["counts"]["chosen"] == 3, "{dry}");
    let name = rig.sink_name();
    let (code, text) = dlq(&rig, &["replay", &name, "--group", &group]).await?;
    ensure!(code == Some(0) && text.contains("2 applied"), "{code:?} {text}");
    ensure!(numbers(&rig, "SELECT id FROM t ORDER BY 1").await? == [1, 2, 3]);
    ensure!(numbers(&rig, "SELECT id FROM writes ORDER BY 1").await? == [2, 3]);

    // Once is once, also for a worker that was killed, and for a connector that is stopped.
    let (code, text) = dlq(&rig, &["replay", &name, "--all"]).await?;
    ensure!(code == Some(1) && text.contains("1 refused, 2 already"), "{code:?} {text}");
    rig.worker.kill()?;
    rig.worker.restart().await?;
    rig.worker.rest.call(Method::PUT, &format!("/connectors/{name}/stop"), None).await?;
    let again = replay(&rig, json!({"group": group})).await?;
    ensure!(again["counts"]["already"] == 2, "{again}");
    ensure!(numbers(&rig, "SELECT id FROM writes ORDER BY 1").await? == [2, 3]);
    let forced = replay(&rig, json!({"at": ["0:0-1"], "group": group, "force": true})).await?;
    ensure!(forced["counts"]["already"] == 0 && forced["counts"]["applied"] == 1, "{forced}");
    ensure!(numbers(&rig, "SELECT id FROM writes").await?.len() == 3);

    // Nobody else saw them again.
    ensure!(read(&rig, rig.topic("t")).await?.len() == values.len());
    ensure!(read(&rig, rig.topic("dlq")).await?.len() == 3);
    let (code, text) = dlq(&rig, &["list", &name]).await?;
    ensure!(code == Some(0) && text.contains("replayed: 2 applied"), "{text}");
    let (code, text) = dlq(&rig, &["list", "nobody"]).await?;
    ensure!(code == Some(2) && text.contains("Connector nobody not found"), "{text}");
    Ok(())
}

/// The two groups. Returns the id of the one with the rows.
fn check_groups(rig: &Rig, groups: &[Value]) -> Result<String> {
    let of = |stage: &str| groups.iter().find(|group| group["stage"] == stage).context(stage.to_owned());
    let (rows, text) = (of("TASK_PUT")?, of("VALUE_CONVERTER")?);
    ensure!(groups.len() == 2 && rows["records"] == 2 && text["records"] == 1, "{groups:?}");
    ensure!(rows["topic"] == rig.topic("t").as_str(), "{rows}");
    ensure!(rows["class"] == "org.apache.kafka.connect.sink.SinkTask", "{rows}");
    ensure!(text["class"] == "org.apache.kafka.connect.json.JsonConverter", "{text}");
    Ok(rows["id"].as_str().context("an id")?.to_owned())
}

/// In the topic: the records as they were, and Connect's headers behind their own. Shown: the same.
async fn check_letters(rig: &Rig, values: &[Vec<u8>], group: &str) -> Result<()> {
    let letters = read(rig, rig.topic("dlq")).await?;
    for letter in &letters {
        let header = |name: &str| {
            let found = letter.headers.iter().find(|(key, _)| **key == *name)?;
            found.1.as_ref().map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let offset: usize = header("__connect.errors.offset").context("an offset")?.parse()?;
        ensure!(letter.value.as_deref() == Some(&values[offset][..]) && letter.key.as_deref() == Some(b"k"));
        ensure!(letter.timestamp == Some(1_700_000_000_123), "{letter:?}");
        let names: Vec<&str> = letter.headers.iter().map(|(name, _)| &**name).collect();
        ensure!(names[..2] == ["trace", "none"] && names.len() == 12, "{names:?}");
        ensure!(header("trace").as_deref() == Some("x1") && letter.headers[1].1.is_none());
        ensure!(header("__connect.errors.topic") == Some(rig.topic("t")));
        ensure!(header("__connect.errors.partition").as_deref() == Some("0"));
        ensure!(header("__connect.errors.connector.name") == Some(rig.sink_name()));
        ensure!(header("__connect.errors.task.id").as_deref() == Some("0"));
    }
    let shown = rig.worker.rest.get(&path(rig, &format!("/records?group={group}"))).await?.body;
    let records = shown["records"].as_array().context("records")?;
    ensure!(records.len() == 2, "{shown}");
    let first = &records[0];
    ensure!(first["error"]["offset"] == 1 && first["value"]["decoded"]["qty"] == 500, "{first}");
    ensure!(first["headers"][0] == json!({"key": "trace", "value": {"text": "x1"}}), "{first}");
    ensure!(first["headers"][1] == json!({"key": "none", "value": null}), "{first}");
    let (code, text) = dlq(rig, &["show", &rig.sink_name(), "--stage", "value_converter", "--trace"]).await?;
    ensure!(
        code == Some(0) && text.contains("value: no json") && text.contains("header trace: x1"),
        "{text}"
    );
    Ok(())
}

fn check_log(rig: &Rig) -> Result<()> {
    let log = rig.worker.log_text();
    let line = format!(
        "Error encountered in task {}-0. Executing stage 'VALUE_CONVERTER' with class \
         'org.apache.kafka.connect.json.JsonConverter', where consumed record is {{topic='{}', partition=0, offset=2, \
         timestamp=1700000000123, timestampType=CreateTime}}.",
        rig.sink_name(),
        rig.topic("t")
    );
    ensure!(log.contains(&line), "no such line: {line}\n{log}");
    Ok(())
}

/// Where nobody would hear of a record, the task fails with it; a log is enough.
async fn without_a_queue(kind: Kind) -> Result<()> {
    let rig = rig("letters-lost", kind).await?;
    produce(&rig, &[row(1, 1), row(2, 500), row(3, 3)]).await?;
    rig.worker.rest.create(&sink(&rig, json!({}))).await?;
    rig.worker.rest.wait_for_state(&rig.sink_name(), "FAILED").await?;
    let status = rig.worker.rest.get(&format!("/connectors/{}/status", rig.sink_name())).await?.body;
    let trace = status["tasks"][0]["trace"].as_str().unwrap_or_default();
    ensure!(trace.contains("errors.deadletterqueue.topic.name or errors.log.enable"), "{trace}");
    let answer = rig.worker.rest.get(&path(&rig, "")).await?;
    ensure!(answer.status == 400, "{}", answer.body);
    let logged = sink(&rig, json!({"errors.log.enable": "true"}));
    let config = format!("/connectors/{}/config", rig.sink_name());
    rig.worker.rest.call(Method::PUT, &config, Some(&logged["config"])).await?;
    eventually("the others are written", WAIT, || async {
        Ok((numbers(&rig, "SELECT id FROM t ORDER BY 1").await? == [1, 3]).then_some(()))
    })
    .await?;
    let log = rig.worker.log_text();
    ensure!(
        log.contains("Executing stage 'TASK_PUT' with class 'org.apache.kafka.connect.sink.SinkTask'. "),
        "{log}"
    );
    Ok(())
}

/// A letter that the queue does not take is not lost: nothing behind it is committed.
async fn too_large_for_the_queue(kind: Kind) -> Result<()> {
    let rig = rig("letters-large", kind).await?;
    produce(&rig, &[row(1, 1), vec![b'x'; 5_000], row(3, 3)]).await?;
    let queue = json!({
        "errors.deadletterqueue.topic.name": rig.topic("dlq"),
        "errors.deadletterqueue.topic.replication.factor": "1",
        "producer.override.max.request.size": "2000",
    });
    rig.worker.rest.create(&sink(&rig, queue)).await?;
    rig.worker.rest.wait_for_state(&rig.sink_name(), "FAILED").await?;
    let offsets = rig.worker.rest.get(&format!("/connectors/{}/offsets", rig.sink_name())).await?.body;
    let committed = offsets["offsets"][0]["offset"]["kafka_offset"].as_i64().unwrap_or(0);
    ensure!(committed <= 1, "{offsets}");
    let metrics = rig.worker.rest.get("/metrics").await?.body;
    let metrics = metrics.as_str().context("metrics")?;
    let failures = format!(
        "kafka_connect_task_error_metrics_deadletterqueue_produce_failures{{connector=\"{}\",task=\"0\"}} ",
        rig.sink_name()
    );
    let count = metrics.lines().find_map(|line| line.strip_prefix(&failures));
    ensure!(count.is_some_and(|count| count != "0"), "{metrics}");
    Ok(())
}
