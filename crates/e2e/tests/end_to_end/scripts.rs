//! What users type and what their scripts do.

use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::setup::{Kind, Rig, TABLES, clients, on_both_brokers, python};

on_both_brokers!(
    connectors_are_created_refused_restarted_and_deleted,
    everything_is_resumed_after_a_restart_in_peace,
    deleted_and_created_again_in_a_loop,
    a_script_starts_everything_anew_ten_times,
    the_same_script_with_a_filtered_publication,
    a_bad_row_goes_to_the_dead_letter_queue_alone,
);

const EQUAL_WITHIN: Duration = Duration::from_secs(60);

async fn connectors_are_created_refused_restarted_and_deleted(kind: Kind) -> Result<()> {
    let rig = Rig::start("scripts-manage", kind).await?;
    let rest = &rig.worker.rest;
    let source = format!("/connectors/{}", rig.source_name());
    let call = |method: Method, path: &str, body: Option<Value>| {
        let path = path.replace("{source}", &source);
        async move { rest.call(method, &path, body.as_ref()).await.map(|answer| answer.status) }
    };
    assert_eq!(call(Method::POST, "/connectors", Some(rig.source_connector())).await?, 201);
    assert_eq!(call(Method::POST, "/connectors", Some(rig.source_connector())).await?, 409);
    rest.wait_for_state(&rig.source_name(), "RUNNING").await?;
    assert_eq!(call(Method::POST, "{source}/restart", None).await?, 204);
    assert_eq!(call(Method::PUT, "{source}/pause", None).await?, 202);
    rest.wait_for_state(&rig.source_name(), "PAUSED").await?;
    assert_eq!(call(Method::PUT, "{source}/resume", None).await?, 202);
    rest.wait_for_state(&rig.source_name(), "RUNNING").await?;
    assert_eq!(call(Method::DELETE, "{source}", None).await?, 204);
    assert_eq!(call(Method::DELETE, "{source}", None).await?, 404);
    let mut wrong = rig.source_connector();
    wrong["config"]["database.password"] = json!("wrong");
    let answer = rest.call(Method::POST, "/connectors", Some(&wrong)).await?;
    assert_eq!(answer.status, 400, "{}", answer.body);
    Ok(())
}

async fn everything_is_resumed_after_a_restart_in_peace(kind: Kind) -> Result<()> {
    let mut rig = Rig::start("scripts-resume", kind).await?;
    rig.worker.rest.create(&rig.source_connector()).await?;
    rig.worker.rest.create(&rig.sink_connector()).await?;
    rig.source
        .batch_execute("INSERT INTO users (name) SELECT 'u' || n FROM generate_series(1, 500) n")
        .await?;
    rig.wait_until_equal(EQUAL_WITHIN).await?;
    rig.worker.terminate().await?;
    rig.source
        .batch_execute("DELETE FROM users WHERE id % 3 = 0; UPDATE users SET name = 'later' WHERE id < 50")
        .await?;
    rig.worker.restart().await?;
    rig.wait_until_equal(EQUAL_WITHIN).await
}

async fn deleted_and_created_again_in_a_loop(kind: Kind) -> Result<()> {
    let rig = Rig::start("scripts-loop", kind).await?;
    for round in 0..3 {
        rig.worker.rest.create(&rig.source_connector()).await?;
        rig.worker.rest.create(&rig.sink_connector()).await?;
        rig.source.batch_execute(&format!("INSERT INTO users (name) VALUES ('round {round}')")).await?;
        rig.wait_until_equal(EQUAL_WITHIN).await?;
        assert_eq!(rig.worker.rest.delete(&rig.source_name()).await?, 204);
        assert_eq!(rig.worker.rest.delete(&rig.sink_name()).await?, 204);
        rig.source.batch_execute("UPDATE users SET name = name || ' while away'").await?;
    }
    rig.worker.rest.create(&rig.source_connector()).await?;
    rig.worker.rest.create(&rig.sink_connector()).await?;
    rig.wait_until_equal(EQUAL_WITHIN).await
}

#[derive(Clone, Copy)]
enum Publication {
    AllTables,
    Filtered,
}

async fn a_script_starts_everything_anew_ten_times(kind: Kind) -> Result<()> {
    run_script("script", kind, Publication::AllTables).await
}

/// A new table is not in the publication before the connector is there, and its first rows are in no stream.
async fn the_same_script_with_a_filtered_publication(kind: Kind) -> Result<()> {
    run_script("script-filtered", kind, Publication::Filtered).await
}

async fn run_script(name: &str, kind: Kind, publication: Publication) -> Result<()> {
    let rig = Rig::start(name, kind).await?;
    let connectors = [rig.source_connector(), rig.sink_connector()].map(|mut connector| {
        for converter in ["key.converter", "value.converter"] {
            connector["config"][converter] = json!("io.confluent.connect.avro.AvroConverter");
            connector["config"][format!("{converter}.schema.registry.url")] = json!(rig.worker.registry);
        }
        if let Publication::AllTables = publication
            && let Some(config) = connector["config"].as_object_mut()
        {
            config.remove("publication.autocreate.mode");
        }
        connector
    });
    let database = |name| format!("postgresql://postgres:postgres@127.0.0.1:{}/{name}", rig.cluster.port);
    let settings = json!({
        "bootstrap": rig.worker.bootstrap,
        "connect": rig.worker.rest.base(),
        "registry": rig.worker.registry,
        "source": database("source_db"),
        "sink": database("sink_db"),
        "connectors": connectors,
        "topics": TABLES.map(|table| rig.topic(table)),
        "rounds": 10,
    });
    let file = rig.dir.path().join("manage.json");
    std::fs::write(&file, settings.to_string())?;
    let mut command = tokio::process::Command::new(python()?);
    let output = command.arg(clients().join("manage.py")).arg(file).kill_on_drop(true).output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let log = rig.worker.log_text();
    ensure!(output.status.success(), "{}{}\n{log}", text(&output.stdout), text(&output.stderr));
    rig.nothing_was_rejected().await
}

/// A row that the target refuses goes to the queue alone, and its neighbours arrive.
async fn a_bad_row_goes_to_the_dead_letter_queue_alone(kind: Kind) -> Result<()> {
    let rig = Rig::start("scripts-dlq", kind).await?;
    rig.sink.batch_execute("ALTER TABLE users ADD CONSTRAINT no_bad CHECK (name <> 'bad')").await?;
    rig.worker.rest.create(&rig.source_connector()).await?;
    rig.worker.rest.create(&rig.sink_connector()).await?;
    rig.source
        .batch_execute(
            "INSERT INTO users (name) SELECT CASE WHEN n = 137 THEN 'bad' ELSE 'u' || n END FROM generate_series(1, 300) n",
        )
        .await?;
    e2e::eventually::eventually("the neighbours arrive", EQUAL_WITHIN, || async {
        let row = rig.sink.query_one("SELECT count(*) FROM users", &[]).await?;
        Ok((row.get::<_, i64>(0) == 299).then_some(()))
    })
    .await?;
    let settings = kafka::ClientSettings::new([
        ("bootstrap.servers", rig.worker.bootstrap.as_str()),
        ("group.id", "dlq-reader"),
    ]);
    let topics = kafka::consumer::Subscription::Topics(vec![rig.topic("dlq")]);
    let limits = kafka::consumer::BatchLimits { messages_max: 10, bytes_max: 1 << 20 };
    let mut consumer = kafka::Consumer::new(&settings, &topics, limits)?;
    let letter = loop {
        let event = tokio::time::timeout(EQUAL_WITHIN, consumer.next()).await?;
        if let Some(kafka::ConsumerEvent::Batch { mut messages, .. }) = event
            && !messages.is_empty()
        {
            break messages.remove(0);
        }
    };
    let names: Vec<&str> = letter.headers.iter().map(|(name, _)| &**name).collect();
    let position = names.iter().position(|name| *name == "__connect.errors.topic").unwrap_or(usize::MAX);
    let connect = [
        "__connect.errors.topic",
        "__connect.errors.partition",
        "__connect.errors.offset",
        "__connect.errors.connector.name",
        "__connect.errors.task.id",
        "__connect.errors.stage",
        "__connect.errors.class.name",
        "__connect.errors.exception.class.name",
        "__connect.errors.exception.message",
        "__connect.errors.exception.stacktrace",
    ];
    assert_eq!(names.get(position..), Some(&connect[..]));
    consumer.close().await;
    Ok(())
}
