//! The first difference between a recording and what was seen.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use e2e::golden::Outcome;
use serde_json::Value;

use crate::case::{Case, Recorded, Seen};
use crate::catalogue::Catalogue;
use crate::counts;
use crate::decided::{ALWAYS, OFFSETS, ONCE, Part, Place, settled};
use crate::mask::masked;
use crate::presence;
use crate::states;

/// Characters shown on either side of a difference.
const SHOWN: usize = 160;
/// Heartbeats that every recording has; how many more there are depends on the clock.
const HEARTBEATS: usize = 3;

pub fn outcome(case: &Case, catalogue: &Catalogue, found: &Seen) -> Result<Outcome> {
    let recorded = recorded(case)?;
    let wanted = &case.description["final_state"];
    let other_end = states::decided(wanted, &found.states, recorded.len());
    if other_end.is_none()
        && let Some(text) = first_of_states(case, found)
    {
        return Ok(Outcome::Different(text));
    }
    if counts::is_counted(case) {
        return Ok(counts::outcome(case, &found.records));
    }
    let presence::Expected { mut records, mut rows } = presence::expected(recorded, catalogue);
    // As ours are read.
    records.sort_by(|one, other| one.topic.cmp(&other.topic));
    rows.extend(other_end);
    let mut found_records = found.records.clone();
    if states::has_failed(wanted) || other_end.is_some() {
        keep_beginnings(&records, &mut found_records);
    }
    if ["always", "configuration_based"].contains(&case.option("snapshot.mode")) {
        let count = found_records.len();
        drop_streamed_while_stopped(&records, &mut found_records);
        rows.extend(Some(ALWAYS).filter(|_| found_records.len() < count));
    }
    let (mut expected, mut seen) = (masked(&records), masked(&found_records));
    trim_heartbeats(&mut expected, &mut seen);
    if let Some(text) = first_of_records(&expected, &seen, catalogue, &mut rows) {
        return Ok(Outcome::Different(text));
    }
    if let Some(text) = first_of_case_offsets(case, found, &mut rows)? {
        return Ok(Outcome::Different(text));
    }
    let rows: Vec<&'static str> = rows.into_iter().collect();
    Ok(if rows.is_empty() { Outcome::Equal } else { Outcome::Decided(rows) })
}

/// A reference that stops may have dropped the last events that it had read; ours may go on.
fn keep_beginnings(recorded: &[Recorded], seen: &mut Vec<Recorded>) {
    let mut left = BTreeMap::new();
    for record in recorded {
        *left.entry(record.topic.as_str()).or_insert(0) += 1;
    }
    seen.retain(|record| match left.get_mut(record.topic.as_str()) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    });
}

/// Changes before a snapshot that the reference does not have.
fn drop_streamed_while_stopped(recorded: &[Recorded], seen: &mut Vec<Recorded>) {
    let op = |record: &Recorded| -> Value {
        let value: Option<Value> = record.value.as_deref().and_then(|text| serde_json::from_str(text).ok());
        value.map_or(Value::Null, |value| value["payload"]["op"].clone())
    };
    let mut wanted = recorded.iter().peekable();
    seen.retain(|record| {
        let is_next = wanted.peek().is_some_and(|next| {
            next.topic == record.topic && next.key == record.key && op(next) == op(record)
        });
        if is_next {
            wanted.next();
        }
        is_next || op(record) == "r"
    });
}

fn first_of_case_offsets(
    case: &Case,
    found: &Seen,
    rows: &mut BTreeSet<&'static str>,
) -> Result<Option<String>> {
    let file = case.dir.join("offsets.jsonl");
    if !file.exists() {
        return Ok(None);
    }
    if case.version().is_some() {
        // What is written is the form of 3.x, whatever the records' form is.
        rows.insert(OFFSETS);
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
    Ok(first_of_offsets(&expected, &found.offsets))
}

/// What Debezium wrote.
pub fn recorded(case: &Case) -> Result<Vec<Recorded>> {
    read(&case.dir.join("records.jsonl"))
}

/// So many records there are at least: what depends on the clock may be less than was recorded.
pub fn least(recorded: &[Recorded], catalogue: &Catalogue) -> usize {
    let depends_on_clock = recorded.iter().any(is_heartbeat);
    if depends_on_clock { 1 } else { presence::expected(recorded.to_vec(), catalogue).records.len() }
}

pub fn is_heartbeat(record: &Recorded) -> bool {
    record.key.as_deref().is_some_and(|key| key.contains("connector.common.ServerNameKey"))
}

/// Whether these are the states that were recorded; nothing may have been recorded.
pub fn are_states(wanted: &Value, found: &Value) -> bool {
    let tasks = |states: &Value| -> Vec<Value> {
        states["tasks"].as_array().into_iter().flatten().map(|task| task["state"].clone()).collect()
    };
    wanted.is_null() || (wanted["connector"] == found["connector"] && tasks(wanted) == tasks(found))
}

/// States at the end, and what the catalogue said where the recording looked at it.
fn first_of_states(case: &Case, found: &Seen) -> Option<String> {
    let wanted = &case.description["final_state"];
    if !are_states(wanted, &found.states) {
        return Some(format!("ends as {} instead of {wanted}", found.states));
    }
    let marks = case.description["marks"].as_array().map(Vec::as_slice).unwrap_or_default();
    found.marks.iter().find_map(|mark| {
        let members: Vec<&String> = mark.as_object()?.keys().collect();
        let same = |wanted: &&Value| members.iter().all(|member| wanted.get(member.as_str()).is_some());
        let wanted = marks.iter().find(|wanted| wanted["mark"] == mark["mark"] && same(wanted))?;
        members.iter().find_map(|member| {
            let (wanted, got) = (&wanted[member.as_str()], &mark[member.as_str()]);
            (wanted != got).then(|| format!("{} {member}: {got} instead of {wanted}", mark["mark"]))
        })
    })
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

/// How many heartbeats there are is left to the clock, and so is what the heartbeat's own query wrote.
fn trim_heartbeats(expected: &mut Vec<Recorded>, seen: &mut Vec<Recorded>) {
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

fn first_of_records(
    expected: &[Recorded],
    seen: &[Recorded],
    catalogue: &Catalogue,
    rows: &mut BTreeSet<&'static str>,
) -> Option<String> {
    for (number, (wanted, got)) in expected.iter().zip(seen).enumerate() {
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
        let parts = [(Part::Key, &wanted.key, &got.key), (Part::Value, &wanted.value, &got.value)];
        for (part, wanted_text, got_text) in parts {
            let place = Asked { number, part, all: expected };
            let is_any = part == Part::Key && wanted_text.as_deref() == Some(presence::ANY);
            if wanted_text != got_text && !is_any && !place.is_decided(wanted_text, got_text, catalogue, rows)
            {
                let name = if part == Part::Key { "key" } else { "value" };
                let text = place
                    .first_path(wanted_text, got_text, catalogue)
                    .unwrap_or_else(|| text_difference(wanted_text.as_deref(), got_text.as_deref()));
                return Some(at(&format!("{name} {text}")));
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

/// A part of an expected record that was seen differently.
struct Asked<'a> {
    number: usize,
    part: Part,
    all: &'a [Recorded],
}

impl Asked<'_> {
    /// Whether rows of docs/compatibility.md say all of the difference; they are entered then.
    fn is_decided(
        &self,
        wanted: &Option<String>,
        got: &Option<String>,
        catalogue: &Catalogue,
        rows: &mut BTreeSet<&'static str>,
    ) -> bool {
        let Some((settled, got, needed)) = self.settled(wanted, got, catalogue, rows) else { return false };
        // Members and their order count as text does.
        let is_decided = is_same_text(&settled, &got);
        if is_decided {
            rows.extend(needed);
        }
        is_decided
    }

    /// Where in the JSON the first difference is that no row says.
    fn first_path(
        &self,
        wanted: &Option<String>,
        got: &Option<String>,
        catalogue: &Catalogue,
    ) -> Option<String> {
        let (settled, got, _) = self.settled(wanted, got, catalogue, &BTreeSet::new())?;
        path_of_difference("", &settled, &got)
    }

    fn settled(
        &self,
        wanted: &Option<String>,
        got: &Option<String>,
        catalogue: &Catalogue,
        rows: &BTreeSet<&'static str>,
    ) -> Option<(Value, Value, BTreeSet<&'static str>)> {
        let parsed = |text: &Option<String>| -> Option<Value> { serde_json::from_str(text.as_deref()?).ok() };
        let own = &self.all[self.number];
        let (wanted, got) = (parsed(wanted)?, parsed(got)?);
        let value = parsed(&own.value).unwrap_or_default();
        let is_row = |at: Option<usize>| {
            let beside = at.and_then(|at| self.all.get(at)).filter(|record| record.topic == own.topic);
            beside.and_then(|record| parsed(&record.value)).is_some_and(|value| value["payload"]["op"] == "r")
        };
        let mut place = Place::of(&value, self.part, catalogue);
        place.is_edge =
            rows.contains(ONCE) && !(is_row(self.number.checked_sub(1)) && is_row(Some(self.number + 1)));
        let mut needed = BTreeSet::new();
        let settled = settled(&place, &wanted, &got, &mut needed);
        Some((settled, got, needed))
    }
}

/// With members in the same order.
fn is_same_text(one: &Value, other: &Value) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    one == other
}

fn path_of_difference(path: &str, wanted: &Value, got: &Value) -> Option<String> {
    let shown = |value: &Value| value.to_string().chars().take(SHOWN).collect::<String>();
    match (wanted, got) {
        _ if is_same_text(wanted, got) => None,
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => one
            .iter()
            .find_map(|(name, value)| path_of_difference(&format!("{path}/{name}"), value, &other[name])),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).enumerate().find_map(|(at, (value, other))| {
                let name = value["field"].as_str().map_or_else(|| at.to_string(), str::to_owned);
                path_of_difference(&format!("{path}/{name}"), value, other)
            })
        }
        (Value::Array(one), Value::Array(other)) if one.iter().all(|item| item["field"].is_string()) => {
            let names =
                |items: &[Value]| -> Vec<Value> { items.iter().map(|item| item["field"].clone()).collect() };
            let (one, other) = (names(one), names(other));
            let missing: Vec<_> = one.iter().filter(|name| !other.contains(name)).collect();
            let more: Vec<_> = other.iter().filter(|name| !one.contains(name)).collect();
            Some(format!("has other fields at {path}: without {missing:?}, with {more:?}"))
        }
        _ => Some(format!("differs at {path}:\n    expected {}\n    seen     {}", shown(wanted), shown(got))),
    }
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
                    Value::String(_) if name == "transaction_id" => format!("{name}:string"),
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
