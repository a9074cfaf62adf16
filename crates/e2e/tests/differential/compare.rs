//! Two topics record by record, after masking what the clock and the run decide.

use std::sync::LazyLock;

use e2e::topics::{Recorded, Records};
use regex::Regex;
use serde_json::Value;

/// Characters shown of a value.
const SHOWN: usize = 300;

/// What the options of a round choose from.
const PLACEHOLDERS: [&str; 2] = ["__debezium_unavailable_value", "gone"];

/// Whether records may come again, from an earlier one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    Refused,
    Allowed,
}

/// The first difference of any topic.
pub fn difference(expected: &Records, seen: &Records, repeats: Repeats) -> Option<String> {
    let mut topics: Vec<_> = expected.keys().chain(seen.keys()).collect();
    topics.sort();
    topics.dedup();
    let none = vec![];
    topics.into_iter().find_map(|topic| {
        let (expected, seen) = (expected.get(topic).unwrap_or(&none), seen.get(topic).unwrap_or(&none));
        of_topic(expected, seen, repeats).map(|text| format!("{}: {text}", topic.0))
    })
}

fn of_topic(expected: &[Recorded], seen: &[Recorded], repeats: Repeats) -> Option<String> {
    let masked = |record: &Recorded| masked(record, repeats);
    let (expected, seen): (Vec<_>, Vec<_>) =
        (expected.iter().map(masked).collect(), seen.iter().map(masked).collect());
    let mut at = 0;
    for (number, record) in seen.iter().enumerate() {
        if expected.get(at).is_some_and(|wanted| is_same(wanted, record)) {
            at += 1;
            continue;
        }
        // After a crash it goes on from somewhere before: the nearest such place.
        let earlier = (0..at.min(expected.len())).rev().find(|at| is_same(&expected[*at], record));
        match earlier {
            Some(earlier) if repeats == Repeats::Allowed => at = earlier + 1,
            _ => {
                let text = expected.get(at).map_or_else(
                    || format!("there is one more: {:.SHOWN$}", format!("{record:?}")),
                    |wanted| first_difference(wanted, record),
                );
                return Some(format!(
                    "record {number} (of {}, expected {at} of {}): {text}",
                    seen.len(),
                    expected.len()
                ));
            }
        }
    }
    expected.get(at).map(|next| {
        format!("ends after {at} of {}; the next one: {:.SHOWN$}", expected.len(), format!("{next:?}"))
    })
}

fn is_same(wanted: &Recorded, got: &Recorded) -> bool {
    wanted.key == got.key
        && wanted.headers == got.headers
        && (wanted.value == got.value
            || path(&parsed(&wanted.value), &parsed(&got.value), String::new()).is_none())
}

fn first_difference(wanted: &Recorded, got: &Recorded) -> String {
    if wanted.headers != got.headers {
        return format!("headers {:?} instead of {:?}", got.headers, wanted.headers);
    }
    if wanted.key != got.key {
        let at = path(&parsed(&wanted.key), &parsed(&got.key), "key".to_owned());
        return at.unwrap_or_else(|| format!("key {:?} instead of {:?}", got.key, wanted.key));
    }
    let payload = parsed(&got.value)["payload"].to_string();
    let at = path(&parsed(&wanted.value), &parsed(&got.value), String::new());
    format!("{}\n  in {payload:.2000}", at.unwrap_or_default())
}

fn parsed(text: &Option<String>) -> Value {
    text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Where two values differ. Members count in their order; doubles by their value: "doubles in JSON have the digits of
/// Java 17" is a row of docs/compatibility.md.
fn path(wanted: &Value, got: &Value, at: String) -> Option<String> {
    match (wanted, got) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            one.iter().find_map(|(name, value)| path(value, &other[name], format!("{at}/{name}")))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).enumerate().find_map(|(number, (one, other))| {
                let name = one["field"].as_str().map_or_else(|| number.to_string(), str::to_owned);
                path(one, other, format!("{at}/{name}"))
            })
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && one.as_f64() == other.as_f64() => None,
        _ if wanted == got => None,
        (Value::String(one), Value::String(other)) if is_changed_placeholder(one, other) => None,
        _ => Some(format!(
            "differs at {at}:\n  expected {:.SHOWN$}\n  seen     {:.SHOWN$}",
            wanted.to_string(),
            got.to_string()
        )),
    }
}

/// "the placeholder of a value that was not sent is cut and hashed as if it were the value" is a row of
/// docs/compatibility.md: ours stays.
fn is_changed_placeholder(wanted: &str, got: &str) -> bool {
    let is_hash = wanted.len() == 64 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    PLACEHOLDERS.contains(&got) && (is_hash || (wanted.len() == 7 && got.starts_with(wanted)))
}

/// When the connector worked on it, and the run.
fn masked(record: &Recorded, repeats: Repeats) -> Recorded {
    static TIMES: LazyLock<Regex> = LazyLock::new(|| regex(r#""ts_(ms|us|ns)":\d+"#));
    static LAST: LazyLock<Regex> =
        LazyLock::new(|| regex(r#"("op":"[a-z]"),"ts_ms":\d+(,"ts_us":\d+,"ts_ns":\d+)?"#));
    static POINT: LazyLock<Regex> =
        LazyLock::new(|| regex(r#""(txId|lsn|sequence)":(\d+|null|"[^"\\]*(\\.[^"\\]*)*")"#));
    static MESSAGES: LazyLock<Regex> =
        LazyLock::new(|| regex(r"[A-Za-z.]+\$LogicalDecodingMessageId@[0-9a-f]+"));
    // "truncation cuts a character in two" is a row of docs/compatibility.md: half of one is not there at all.
    static HALF: LazyLock<Regex> = LazyLock::new(|| regex(r#"\\u[dD][89abAB][0-9a-fA-F]{2}("|[^\\"])"#));
    static COMMIT: LazyLock<Regex> = LazyLock::new(|| regex(r#""sequence":"\[(null|\\"\d+\\"),"#));
    let mut record = record.clone();
    for (name, value) in &mut record.headers {
        if name == "__debezium.context.runId" {
            *value = None;
        }
    }
    if let Some(value) = &mut record.value {
        *value = LAST.replace(value, "$1").into_owned();
        // The snapshots are two, taken one after the other; a message outside a transaction has the reader's clock.
        let is_snapshot = value.contains(r#""op":"r""#);
        let is_outside = value.contains(r#""op":"m""#) && value.contains(r#""txId":null"#);
        if is_snapshot || is_outside {
            *value = TIMES.replace_all(value, "").into_owned();
        }
        if is_snapshot {
            *value = POINT.replace_all(value, "").into_owned();
        }
        // After a restart the commit before is the stored position, which of an idle database is a keep-alive's.
        if repeats == Repeats::Allowed {
            *value = COMMIT.replace(value, "\"sequence\":\"[#,").into_owned();
        }
        if HALF.is_match(value) {
            *value = HALF.replace_all(value, "$1").into_owned();
        }
        *value = MESSAGES.replace_all(value, "LOGICAL_DECODING_MESSAGE").into_owned();
        // In the reference that entry has its place by its hash.
        if value.contains("\"LOGICAL_DECODING_MESSAGE\"") {
            let mut parsed: Value = serde_json::from_str(value).unwrap_or_default();
            if let Some(entries) = parsed["payload"]["data_collections"].as_array_mut() {
                entries.sort_by_key(|entry| entry["data_collection"] == "LOGICAL_DECODING_MESSAGE");
                *value = parsed.to_string();
            }
        }
    }
    record
}

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("the patterns are constant")
}
