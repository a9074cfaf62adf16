//! The records of a dead letter queue: the original ones, and Connect's headers in their order.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::golden::folder;
use kafka::consumer::{BatchLimits, Subscription};
use kafka::{ClientSettings, Consumer, ConsumerEvent, Message};
use serde_json::Value;

const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The first difference.
pub async fn compare(bootstrap: &str) -> Result<Option<String>> {
    let text = std::fs::read_to_string(folder().join("rest/dead_letter_records.jsonl"))?;
    let recorded: Vec<Value> =
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect::<Result<_>>()?;
    let topic = recorded.first().context("a record")?["topic"].as_str().context("a topic")?;
    let seen = read(bootstrap, topic, recorded.len()).await?;
    Ok(recorded.iter().zip(&seen).enumerate().find_map(|(number, (recorded, seen))| {
        difference(recorded, seen).map(|text| format!("record {}: {text}", number + 1))
    }))
}

async fn read(bootstrap: &str, topic: &str, count: usize) -> Result<Vec<Message>> {
    let settings =
        ClientSettings::new([("bootstrap.servers", bootstrap), ("group.id", "golden-dead-letters")]);
    let limits = BatchLimits { messages_max: 1_000, bytes_max: 1 << 20 };
    let mut consumer = Consumer::new(&settings, &Subscription::Topics(vec![topic.to_owned()]), limits)?;
    let mut found = vec![];
    while found.len() < count {
        let event = tokio::time::timeout(READ_TIMEOUT, consumer.next()).await;
        match event.with_context(|| format!("{} records in {topic} instead of {count}", found.len()))? {
            Some(ConsumerEvent::Batch { messages, .. }) => found.extend(messages),
            Some(ConsumerEvent::Failed { error, fatal: true }) => bail!("{error}"),
            _ => {}
        }
    }
    consumer.close().await;
    Ok(found)
}

fn difference(recorded: &Value, seen: &Message) -> Option<String> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let parsed =
        |text: Option<&str>| -> Value { serde_json::from_str(text.unwrap_or_default()).unwrap_or_default() };
    if text(seen.key.as_deref()).as_deref() != recorded["key"].as_str() {
        return Some(format!("key {:?} instead of {}", text(seen.key.as_deref()), recorded["key"]));
    }
    let (wanted, got) = (parsed(recorded["value"].as_str()), parsed(text(seen.value.as_deref()).as_deref()));
    let schemas = (wanted["schema"].to_string(), got["schema"].to_string());
    if schemas.0 != schemas.1 || wanted["payload"]["after"] != got["payload"]["after"] {
        return Some(format!("value {got} instead of {wanted}"));
    }
    let headers: Vec<(String, String)> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_deref()).unwrap_or_default()))
        .collect();
    let wanted = recorded["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted: Vec<(&str, &str)> = wanted
        .iter()
        .map(|header| {
            (header["key"].as_str().unwrap_or_default(), header["value"].as_str().unwrap_or_default())
        })
        .collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    if !names.iter().eq(wanted.iter().map(|(name, _)| name)) {
        return Some(format!("headers {names:?} instead of {wanted:?}"));
    }
    headers.iter().zip(&wanted).find_map(|((name, got), (_, wanted))| {
        let same = match name.as_str() {
            "__debezium.context.runId" => !got.is_empty(),
            // Texts are not compared; the stack begins with what was thrown.
            "__connect.errors.exception.message" => !got.is_empty(),
            "__connect.errors.exception.stacktrace" => {
                got.split(':').next().is_some_and(|class| wanted.starts_with(class))
            }
            _ => got == wanted,
        };
        (!same).then(|| format!("header {name}: {got} instead of {wanted}"))
    })
}
