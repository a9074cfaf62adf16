//! Signals by file and by topic: tables are read while the source runs, and each signal is taken out of its channel.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::eventually::eventually;
use kafka::producer::Outgoing;
use kafka::{ClientSettings, Producer};
use serde_json::json;

use crate::setup::{Kind, Rig, on_both_brokers};

on_both_brokers!(tables_are_read_when_a_file_or_a_topic_says_so);

async fn tables_are_read_when_a_file_or_a_topic_says_so(kind: Kind) -> Result<()> {
    let rig = Rig::start("signals", kind).await?;
    let rows = "INSERT INTO users (name) SELECT 'user ' || n FROM generate_series(1, 3000) n; \
                INSERT INTO posts (user_id, title, price) SELECT 1 + n % 3000, 'post ' || n, n FROM generate_series(1, 3000) n";
    rig.source.batch_execute(rows).await?;
    let file = rig.dir.path().join("signals.txt");
    let mut source = rig.source_connector();
    let config = &mut source["config"];
    config["snapshot.mode"] = json!("no_data");
    config["read.only"] = json!("true");
    config["signal.enabled.channels"] = json!("file,kafka");
    config["signal.file"] = json!(file.display().to_string());
    config["signal.poll.interval.ms"] = json!("100");
    config["signal.kafka.bootstrap.servers"] = json!(rig.worker.bootstrap);
    config["signal.kafka.topic"] = json!("signals-of-all");
    let prefix = config["topic.prefix"].as_str().unwrap_or_default().to_owned();
    rig.worker.rest.create(&source).await?;
    rig.worker.rest.create(&rig.sink_connector()).await?;
    rig.wait_until_running().await?;

    let execute = |kind: &str, table: &str| {
        json!({ "id": table, "type": "execute-snapshot", "data": { "type": kind, "data-collections": [format!("public.{table}")] } })
            .to_string()
    };
    std::fs::write(&file, format!("{}\n", execute("incremental", "users")))?;
    let producer =
        Producer::new(&ClientSettings::new([("bootstrap.servers", rig.worker.bootstrap.as_str())]))?;
    let topic = producer.topic("signals-of-all")?;
    // Somebody else's signal is not ours.
    for (key, value) in
        [("another", execute("blocking", "comments")), (prefix.as_str(), execute("blocking", "posts"))]
    {
        producer.send(&Outgoing {
            topic: &topic,
            partition: Some(0),
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: None,
            timestamp: None,
        })?;
    }
    producer.flush(Duration::from_secs(10)).await?;
    rig.wait_until_equal(Duration::from_secs(60)).await?;
    eventually("the file is emptied", Duration::from_secs(30), || async {
        let left = std::fs::read_to_string(&file)?;
        ensure!(left.is_empty(), "{left}");
        Ok(Some(()))
    })
    .await?;
    rig.nothing_was_rejected().await
}
