//! Reading and changing a connector's offsets (spec: connect.md §1.4). Changing needs a stopped connector.

use std::collections::BTreeMap;
use std::sync::Arc;

use connect::SourcePosition;
use kafka::consumer::Partition;
use serde_json::{Map, Value as Json, json};

use super::{ErrorKind, Herder, HerderError, TargetState};
use crate::plugins::PluginKind;

/// One entry of a request: a partition and its offset, null to reset.
pub type OffsetEntry = (Option<Map<String, Json>>, Option<Map<String, Json>>);

impl Herder {
    /// Partition and offset, as the connector stored them; for a sink those of its consumer group.
    ///
    /// # Errors
    /// Not found, or no broker answered.
    pub async fn offsets(&self, name: &str) -> Result<Vec<(Json, Json)>, HerderError> {
        let info = self.connector(name)?;
        if info.kind != Some(PluginKind::Sink) {
            let stored = self.0.context.offsets.read(name).await?;
            return Ok(stored
                .into_iter()
                .map(|position| {
                    (Json::Object((*position.partition).clone()), Json::Object((*position.offset).clone()))
                })
                .collect());
        }
        let committed = self.0.admin.all_group_offsets(&group_of(&info.config, name)).await?;
        Ok(committed
            .into_iter()
            .map(|((topic, partition), offset)| {
                (
                    json!({"kafka_partition": partition, "kafka_topic": &*topic}),
                    json!({"kafka_offset": offset}),
                )
            })
            .collect())
    }

    /// Changes offsets of a stopped connector.
    ///
    /// # Errors
    /// Not found, not stopped, or a malformed request.
    pub async fn alter_offsets(&self, name: &str, entries: Vec<OffsetEntry>) -> Result<(), HerderError> {
        let _change = self.0.changes.lock().await;
        let info = self.connector(name)?;
        self.check_stopped(name).await?;
        if info.kind == Some(PluginKind::Sink) {
            return self.alter_sink(name, &group_of(&info.config, name), entries).await;
        }
        let mut positions = vec![];
        for (partition, offset) in entries {
            let partition = partition.unwrap_or_default();
            let offset = offset.unwrap_or_default();
            for map in [&partition, &offset] {
                check_primitive(map)?;
            }
            positions.push(SourcePosition { partition: Arc::new(partition), offset: Arc::new(offset) });
        }
        Ok(self.0.context.offsets.write(name, &positions).await?)
    }

    /// Forgets all offsets of a stopped connector.
    ///
    /// # Errors
    /// Not found, not stopped, or its group still has members.
    pub async fn reset_offsets(&self, name: &str) -> Result<(), HerderError> {
        let _change = self.0.changes.lock().await;
        let info = self.connector(name)?;
        self.check_stopped(name).await?;
        if info.kind == Some(PluginKind::Sink) {
            return self.0.admin.delete_group(&group_of(&info.config, name)).await.map_err(|error| {
                let text = format!("Failed to reset consumer group offsets for connector {name}: {error}");
                HerderError::new(ErrorKind::Internal, text)
            });
        }
        let stored = self.0.context.offsets.read(name).await?;
        let empty: Vec<_> = stored
            .into_iter()
            .map(|position| SourcePosition { partition: position.partition, offset: Arc::default() })
            .collect();
        Ok(self.0.context.offsets.write(name, &empty).await?)
    }

    async fn check_stopped(&self, name: &str) -> Result<(), HerderError> {
        let config = self.config(name)?;
        if config.target != TargetState::Stopped {
            return Err(HerderError::bad_request(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for \
                 the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        // The state is written before the tasks have ended.
        self.settled().await;
        Ok(())
    }

    async fn alter_sink(
        &self,
        name: &str,
        group: &str,
        entries: Vec<OffsetEntry>,
    ) -> Result<(), HerderError> {
        let mut wanted = BTreeMap::new();
        let mut resets = vec![];
        for (partition, offset) in entries {
            let partition = sink_partition(partition)?;
            match sink_offset(offset)? {
                Some(offset) => drop(wanted.insert(partition, offset)),
                None => resets.push(partition),
            }
        }
        for (topic, partition) in wanted.keys().chain(&resets) {
            let known = self.0.admin.partitions(Some(topic)).await?;
            if known.get(&**topic).is_none_or(|count| partition >= count) {
                let text = format!("partition {partition} of topic {topic} does not exist");
                return Err(HerderError::not_found(text));
            }
        }
        let failed = |error: kafka::Error| {
            let text = format!("Failed to alter consumer group offsets for connector {name}: {error}");
            HerderError::new(ErrorKind::Internal, text)
        };
        if !resets.is_empty() {
            // Kafka forgets offsets by partition only over an API that librdkafka's binding lacks: the rest is
            // written again after the group is gone.
            let mut kept = self.0.admin.all_group_offsets(group).await.map_err(failed)?;
            kept.retain(|partition, _| !resets.contains(partition));
            kept.extend(wanted);
            self.0.admin.delete_group(group).await.map_err(failed)?;
            wanted = kept;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.0.admin.set_group_offsets(group, &wanted).await.map_err(failed)
    }
}

fn group_of(config: &connect::settings::Properties, name: &str) -> String {
    config.get("consumer.override.group.id").cloned().unwrap_or_else(|| format!("connect-{name}"))
}

fn check_primitive(map: &Map<String, Json>) -> Result<(), HerderError> {
    match map.iter().find(|(_, value)| value.is_array() || value.is_object()) {
        None => Ok(()),
        Some((field, value)) => {
            let kind = if value.is_array() { "ARRAY" } else { "MAP" };
            let text = format!(
                "Offsets may only contain primitive types as values, but field {field} contains {kind}"
            );
            Err(HerderError::new(ErrorKind::Internal, text))
        }
    }
}

fn sink_partition(partition: Option<Map<String, Json>>) -> Result<Partition, HerderError> {
    let bad = |text: &str| HerderError::bad_request(text);
    let Some(partition) = partition else {
        return Err(bad("The partition for a sink connector offset cannot be null or missing"));
    };
    let (Some(topic), Some(number)) = (partition.get("kafka_topic"), partition.get("kafka_partition")) else {
        return Err(bad(
            "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'",
        ));
    };
    let Some(topic) = topic.as_str() else {
        return Err(bad("Kafka topic names must be valid strings and may not be null"));
    };
    let number =
        integer(number).ok_or_else(|| bad("Kafka partitions must be valid numbers and may not be null"))?;
    let number = number.and_then(|number| i32::try_from(number).ok().ok_or_else(|| number.to_string()));
    let number = number.map_err(|shown| {
        bad(&format!(
            "Failed to parse the following Kafka partition value in the provided offsets: '{shown}'. Partition values \
             for sink connectors need to be integers."
        ))
    })?;
    Ok((topic.into(), number))
}

fn sink_offset(offset: Option<Map<String, Json>>) -> Result<Option<i64>, HerderError> {
    let Some(offset) = offset else { return Ok(None) };
    let Some(value) = offset.get("kafka_offset") else {
        return Err(HerderError::bad_request(
            "The offset for a sink connector should either be null or contain the key 'kafka_offset'",
        ));
    };
    match integer(value) {
        Some(Ok(offset)) if offset >= 0 => Ok(Some(offset)),
        Some(Ok(offset)) => Err(HerderError::bad_request(format!("the offset {offset} is negative"))),
        Some(Err(shown)) => Err(HerderError::bad_request(format!(
            "Failed to parse the following Kafka offset value in the provided offsets: '{shown}'. Offset values for \
             sink connectors need to be integers."
        ))),
        None => Err(HerderError::bad_request("Kafka offsets must be valid numbers and may not be null")),
    }
}

/// A number, or a text that is one. `None`: null. `Some(Err)`: something else, as it was written.
fn integer(value: &Json) -> Option<Result<i64, String>> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.parse().map_err(|_| text.clone())),
        other => Some(other.as_i64().ok_or_else(|| other.to_string())),
    }
}
