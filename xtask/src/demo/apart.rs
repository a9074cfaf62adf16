//! Names of the demo's own in a Kafka that others use, and that may still hold what an earlier demo wrote.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::TABLES;

/// Changes the names of topics in both connectors; returns the worker's settings for its own topics.
pub fn rename(connectors: &mut [Value; 2]) -> Result<Vec<String>> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let run = format!("tidegate-demo-{seconds}");
    let [source, sink] = connectors;
    source["config"]["transforms.route.replacement"] = json!(format!("{run}.$3"));
    let config = sink["config"].as_object_mut().context("the sink has a config")?;
    config.insert("topics".to_owned(), json!(TABLES.map(|table| format!("{run}.{table}")).join(",")));
    let transforms = config.get("transforms").and_then(Value::as_str).context("the sink has transforms")?;
    let more = json!({
        "transforms": format!("{transforms},table"),
        "transforms.table.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.table.regex": format!("{run}\\.(.*)"),
        "transforms.table.replacement": "$1",
        "errors.deadletterqueue.topic.name": format!("{run}.dead-letters"),
    });
    config.extend(more.as_object().cloned().unwrap_or_default());
    for connector in [source, sink] {
        let name = connector["name"].as_str().context("a connector has a name")?;
        connector["name"] = json!(format!("{run}-{name}"));
    }
    let mut settings = vec![format!("group.id={run}")];
    settings
        .extend(["config", "offset", "status"].map(|topic| format!("{topic}.storage.topic={run}-{topic}")));
    Ok(settings)
}
