//! The first difference between a recording and what was seen.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::Rig;
use crate::case::{Case, Recorded};
use crate::mask::masked;

/// Characters shown on either side of a difference.
const SHOWN: usize = 160;
/// Heartbeats that every recording has; how many more there are depends on the clock.
const HEARTBEATS: usize = 3;

pub fn difference(
    case: &Case,
    rig: &Rig,
    seen: Vec<Recorded>,
    offsets: Vec<Value>,
) -> Result<Option<String>> {
    let own = rig.deviations.join(&case.name).join("records.jsonl");
    if std::env::var_os("UPDATE_EXPECT").is_some() && own.exists() {
        write(&own, &seen)?;
    }
    let file = if own.exists() { own } else { case.dir.join("records.jsonl") };
    let recorded = read(&file)?;
    let (mut expected, mut seen) = (masked(&recorded), masked(&seen));
    trim_heartbeats(&mut expected, &mut seen);
    if let Some(text) = first_of_records(&expected, &seen) {
        return Ok(Some(text));
    }
    let file = case.dir.join("offsets.jsonl");
    if !file.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&file)?;
    let expected: Vec<Value> = text
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            Ok(serde_json::from_str(line["value"].as_str().unwrap_or("null"))?)
        })
        .collect::<Result<_>>()?;
    Ok(first_of_offsets(&expected, &offsets))
}

/// Topics of the recording.
pub fn topics(case: &Case) -> Result<Vec<String>> {
    let mut topics: Vec<String> =
        read(&case.dir.join("records.jsonl"))?.into_iter().map(|record| record.topic).collect();
    topics.dedup();
    Ok(topics)
}

fn read(file: &std::path::Path) -> Result<Vec<Recorded>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            let text = |name: &str| line[name].as_str().map(str::to_owned);
            Ok(Recorded {
                topic: text("topic").unwrap_or_default(),
                partition: line["partition"].as_i64().unwrap_or(0),
                headers: line["headers"].clone(),
                key: text("key"),
                value: text("value"),
            })
        })
        .collect()
}

fn write(file: &std::path::Path, records: &[Recorded]) -> Result<()> {
    let mut text = String::new();
    for record in records {
        let line = serde_json::json!({
            "topic": record.topic, "partition": record.partition, "headers": record.headers,
            "key": record.key, "value": record.value,
        });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    Ok(std::fs::write(file, text)?)
}

/// How many heartbeats there are is left to the clock, and so is what the heartbeat's own query wrote.
fn trim_heartbeats(expected: &mut Vec<Recorded>, seen: &mut Vec<Recorded>) {
    let is_heartbeat = |record: &Recorded| record.topic.starts_with("__debezium-heartbeat");
    if !expected.iter().any(is_heartbeat) {
        return;
    }
    for records in [&mut *expected, &mut *seen] {
        let mut heartbeats = 0;
        records.retain(|record| {
            heartbeats += usize::from(is_heartbeat(record));
            !is_heartbeat(record) || heartbeats <= HEARTBEATS
        });
    }
    let counts =
        |records: &[Recorded], topic: &str| records.iter().filter(|record| record.topic == topic).count();
    let topics: Vec<String> = expected.iter().map(|record| record.topic.clone()).collect();
    for topic in topics {
        let least = counts(expected, &topic).min(counts(seen, &topic));
        for records in [&mut *expected, &mut *seen] {
            let mut count = 0;
            records.retain(|record| {
                count += usize::from(record.topic == topic);
                record.topic != topic || count <= least
            });
        }
    }
}

fn first_of_records(expected: &[Recorded], seen: &[Recorded]) -> Option<String> {
    for (number, pair) in expected.iter().zip(seen).enumerate() {
        let (wanted, got) = pair;
        let at = |what: &str| format!("record {} ({}): {what}", number + 1, wanted.topic);
        if wanted.topic != got.topic {
            return Some(at(&format!("topic {} instead", got.topic)));
        }
        if wanted.partition != got.partition {
            return Some(at(&format!("partition {} instead of {}", got.partition, wanted.partition)));
        }
        if wanted.headers != got.headers {
            return Some(at(&format!("headers {} instead of {}", got.headers, wanted.headers)));
        }
        for (part, wanted, got) in [("key", &wanted.key, &got.key), ("value", &wanted.value, &got.value)] {
            if wanted != got {
                return Some(at(&format!("{part} {}", text_difference(wanted.as_deref(), got.as_deref()))));
            }
        }
    }
    (expected.len() != seen.len()).then(|| {
        let next = expected.get(seen.len()).or_else(|| seen.get(expected.len()));
        let next = next.map_or_else(String::new, |record| {
            format!("; the next one: {} {:?}", record.topic, record.value)
        });
        let next: String = next.chars().take(600).collect();
        format!("{} records instead of {}{next}", seen.len(), expected.len())
    })
}

fn text_difference(wanted: Option<&str>, got: Option<&str>) -> String {
    let (Some(wanted), Some(got)) = (wanted, got) else {
        let shown = |text: Option<&str>| {
            text.map_or_else(|| "null".to_owned(), |text| text.chars().take(SHOWN).collect())
        };
        return format!("is {} instead of {}", shown(got), shown(wanted));
    };
    let common = wanted.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
    let part = |text: &str| {
        let from = common.saturating_sub(SHOWN / 2);
        String::from_utf8_lossy(&text.as_bytes()[from..text.len().min(common + SHOWN)]).into_owned()
    };
    format!("differs at {common}:\n    expected …{}\n    seen     …{}", part(wanted), part(got))
}

/// Offsets are compared by their members and those members' types; how often one was written is left to the clock.
fn first_of_offsets(expected: &[Value], seen: &[Value]) -> Option<String> {
    let (expected, seen) = (forms(expected), forms(seen));
    let missing = expected.iter().find(|form| !seen.contains(form));
    missing.map(|form| format!("no offset of the form {form}; seen: {seen:?}"))
}

fn forms(offsets: &[Value]) -> Vec<String> {
    let mut forms: Vec<String> = offsets
        .iter()
        .filter_map(Value::as_object)
        .map(|offset| {
            let mut members: Vec<String> = offset
                .iter()
                .filter(|(name, _)| !name.starts_with("tidegate"))
                .map(|(name, value)| match value {
                    Value::Number(_) => format!("{name}:number"),
                    other => format!("{name}:{other}"),
                })
                .collect();
            members.sort();
            members.join(",")
        })
        .collect();
    forms.dedup();
    forms
}
