//! What counts of an answer: status, headers, keys and their order, types, states.

use std::collections::BTreeSet;

use e2e::golden::Outcome;
use serde_json::Value;

use crate::step::Answer;

const IDLE: &str = "the offset of an idle database stays where the last change was";

pub fn outcome(recorded: &Value, answer: &Answer) -> Outcome {
    let mut rows = BTreeSet::new();
    match differs(recorded, answer, &mut rows) {
        Some(difference) => Outcome::Different(difference),
        None if rows.is_empty() => Outcome::Equal,
        None => Outcome::Decided(rows.into_iter().collect()),
    }
}

fn differs(recorded: &Value, answer: &Answer, rows: &mut BTreeSet<&'static str>) -> Option<String> {
    let Answer { status, headers, body } = answer;
    if recorded["status"] != *status {
        return Some(format!("status {status} instead of {}; {body}", recorded["status"]));
    }
    for name in ["content-type", "location"] {
        let (wanted, got) = (recorded["headers"].get(name).is_some(), headers.contains_key(name));
        if wanted != got {
            return Some(format!("header {name}: {got} instead of {wanted}"));
        }
    }
    if recorded["body"].get("text").is_some() {
        return None;
    }
    shape("", &recorded["body"], body, rows)
}

/// Members whose text counts; of all others only the type does.
const EXACT: [&str; 8] = ["state", "type", "name", "connector", "error_code", "task", "id", "status"];

fn shape(path: &str, recorded: &Value, seen: &Value, rows: &mut BTreeSet<&'static str>) -> Option<String> {
    match (recorded, seen) {
        (Value::Object(recorded), Value::Object(seen)) => {
            // A version is part of the classes' jars, a trace of the failure's kind.
            // Keys of a task's configuration that share a bucket of Java's map stand in the order of a map that is
            // not shown anywhere.
            let keys = |map: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = map.keys().cloned().collect();
                if map.contains_key("task.class") {
                    keys.sort();
                }
                keys
            };
            // An idle database's position follows keep-alives, so the offset is the stream's sooner.
            let is_offset = path.ends_with("/offset") && recorded.contains_key("lsn");
            if is_offset && seen.contains_key("lsn") && keys(recorded) != keys(seen) {
                rows.insert(IDLE);
                return None;
            }
            if keys(recorded) != keys(seen) {
                return Some(format!("{path}: members {:?} instead of {:?}", keys(seen), keys(recorded)));
            }
            recorded.iter().find_map(|(key, value)| {
                let member = &seen[key];
                if EXACT.contains(&key.as_str()) && !value.is_object() && value != member {
                    return Some(format!("{path}/{key}: {member} instead of {value}"));
                }
                shape(&format!("{path}/{key}"), value, member, rows)
            })
        }
        (Value::Array(recorded), Value::Array(seen)) => {
            // The list of plug-ins depends on what is built in.
            let plugins = recorded.first().is_some_and(|first| first.get("class").is_some());
            if recorded.len() != seen.len() && !plugins {
                return Some(format!("{path}: {} entries instead of {}", seen.len(), recorded.len()));
            }
            let shown = if plugins { 1 } else { recorded.len() };
            (0..shown.min(seen.len())).find_map(|at| {
                let (mut recorded, mut seen) = (recorded[at].clone(), seen[at].clone());
                if plugins {
                    for one in [&mut recorded, &mut seen] {
                        one["type"] = Value::Null;
                    }
                }
                shape(&format!("{path}/{at}"), &recorded, &seen, rows)
            })
        }
        (recorded, seen) => {
            let same = std::mem::discriminant(recorded) == std::mem::discriminant(seen);
            (!same).then(|| format!("{path}: {seen} instead of {recorded}"))
        }
    }
}
