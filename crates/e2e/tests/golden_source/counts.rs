//! Incremental snapshots beside changes: what was read when is left to the clock, what it adds up to is not.

use std::collections::{BTreeMap, BTreeSet};

use e2e::golden::Outcome;
use serde_json::Value;

use crate::case::{Case, Recorded};

const STOPPED: &str = "stop-snapshot while paused has no effect and blocks later signals";
/// Changes as they are counted in the recording's summary.
const CHANGES: [&str; 3] = ["c", "u", "d"];

/// What the records of one topic add up to.
#[derive(Debug, Default)]
struct Counts {
    ops: BTreeMap<String, u64>,
    read: BTreeSet<String>,
    read_twice: u64,
    left: BTreeSet<String>,
}

/// Whether a case is judged so.
pub fn is_counted(case: &Case) -> bool {
    case.description["summary"].is_object()
}

pub fn outcome(case: &Case, found: &[Recorded]) -> Outcome {
    let mut topics: BTreeMap<&str, Counts> = BTreeMap::new();
    for record in found {
        enter(topics.entry(&record.topic).or_default(), record);
    }
    let stops = case.name.ends_with("incremental_stop");
    let pauses = stops || case.name.ends_with("incremental_pause_stop");
    for (topic, wanted) in case.description["summary"].as_object().into_iter().flatten() {
        let empty = Counts::default();
        let counts = topics.get(topic.as_str()).unwrap_or(&empty);
        if counts.read_twice > 0 {
            return Outcome::Different(format!("{topic}: {} rows were read twice", counts.read_twice));
        }
        if topic.ends_with(".notes") || topic.ends_with(".debezium_signal") {
            continue;
        }
        for op in CHANGES {
            let (wanted, got) =
                (wanted["ops"][op].as_u64().unwrap_or(0), counts.ops.get(op).copied().unwrap_or(0));
            if wanted != got {
                return Outcome::Different(format!("{topic}: {got} of {op} instead of {wanted}"));
            }
        }
        let (wanted, got) = (wanted["rows_at_the_end"].as_u64().unwrap_or(0), counts.left.len() as u64);
        if !pauses && wanted != got {
            return Outcome::Different(format!("{topic}: {got} rows at the end instead of {wanted}"));
        }
    }
    let told = kinds(found);
    let wanted: &[&str] = match (stops, pauses) {
        (true, _) => &["STARTED", "PAUSED", "ABORTED", "STARTED", "TABLE_SCAN_COMPLETED", "COMPLETED"],
        (_, true) => &["STARTED", "PAUSED", "RESUMED", "ABORTED"],
        _ => &[],
    };
    if !told.iter().take(wanted.len()).eq(wanted) {
        return Outcome::Different(format!("notifications {told:?} instead of {wanted:?}"));
    }
    if !stops {
        return Outcome::Equal;
    }
    // The second snapshot is one of its own, and complete.
    let second =
        topics.iter().find(|(topic, _)| topic.ends_with(".big_b")).map_or(0, |(_, counts)| counts.read.len());
    match second {
        2500 => Outcome::Decided(vec![STOPPED]),
        other => Outcome::Different(format!("{other} rows of big_b were read")),
    }
}

fn enter(counts: &mut Counts, record: &Recorded) {
    let key = record.key.clone().unwrap_or_default();
    let value = record.value.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(value) = value else { return };
    let Some(op) = value["payload"]["op"].as_str() else { return };
    *counts.ops.entry(op.to_owned()).or_default() += 1;
    if op == "r" && !counts.read.insert(key.clone()) {
        counts.read_twice += 1;
    }
    match op {
        "d" => counts.left.remove(&key),
        _ => counts.left.insert(key),
    };
}

/// What the notifications tell of incremental snapshots, but for their progress.
fn kinds(found: &[Recorded]) -> Vec<String> {
    let read = found.iter().filter(|record| record.topic.ends_with(".notes"));
    let values = read.filter_map(|record| serde_json::from_str::<Value>(record.value.as_deref()?).ok());
    values
        .map(|value| value["payload"].clone())
        .filter(|payload| payload["aggregate_type"] == "Incremental Snapshot")
        .filter_map(|payload| payload["type"].as_str().map(str::to_owned))
        .filter(|kind| kind != "IN_PROGRESS")
        .collect()
}
