//! Records that the reference writes and we do not, by decision: they are taken out of what is expected, before
//! positions are ranked.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::case::Recorded;
use crate::catalogue::{Catalogue, Table};
use crate::decided::{CUT, IDENTITY, NAMES, ONCE};

/// What is expected instead of a recording.
pub struct Expected {
    pub records: Vec<Recorded>,
    /// Rows of docs/compatibility.md that were needed.
    pub rows: BTreeSet<&'static str>,
}

/// One record with its value as JSON; `Null` where there is none.
struct Read {
    record: Recorded,
    payload: Value,
}

impl Read {
    fn of(record: Recorded) -> Self {
        let value = record.value.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let payload = value.map_or(Value::Null, |mut value| value["payload"].take());
        Self { record, payload }
    }

    fn table_name(&self) -> String {
        let source = &self.payload["source"];
        let part = |name: &str| source[name].as_str().unwrap_or_default();
        format!("{}.{}", part("schema"), part("table"))
    }

    fn is(&self, op: &str) -> bool {
        self.payload["op"] == op
    }
}

pub fn expected(recorded: Vec<Recorded>, catalogue: &Catalogue) -> Expected {
    let mut rows = BTreeSet::new();
    let recorded =
        recorded.into_iter().map(|record| without_halves(with_names(record, &mut rows), &mut rows));
    let read: Vec<Read> = recorded.map(Read::of).collect();
    let doubled: Vec<bool> = read.iter().map(|record| is_doubled(record, &read, catalogue)).collect();
    if doubled.contains(&true) {
        rows.insert(ONCE);
    }
    let mut doubled = doubled.into_iter();
    let kept: Vec<Read> = read.into_iter().filter(|_| !doubled.next().unwrap_or_default()).collect();
    let records = without_wrong_deletes(kept, catalogue, &mut rows);
    Expected { records, rows }
}

/// Each byte of a character outside ASCII became a character of its own, U+FF00 and the byte.
fn with_names(mut record: Recorded, rows: &mut BTreeSet<&'static str>) -> Recorded {
    let is_byte = |c: char| ('\u{ff80}'..='\u{ffff}').contains(&c);
    let repair = |text: &str| {
        let bytes = text.chars().flat_map(|c| {
            let byte = is_byte(c).then_some(u32::from(c) as u8);
            let mut buffer = [0; 4];
            let whole = c.encode_utf8(&mut buffer).as_bytes().to_vec();
            byte.map_or(whole, |byte| vec![byte])
        });
        String::from_utf8(bytes.collect()).unwrap_or_else(|_| text.to_owned())
    };
    for text in [&mut record.key, &mut record.value].into_iter().flatten() {
        if text.contains(is_byte) {
            *text = repair(text);
            rows.insert(NAMES);
        }
    }
    with_topic(record)
}

/// A key that is not compared: the recording lost it.
pub const ANY: &str = "<any>";

/// A table of such a name had the topic of the characters that it was taken for, and no key.
fn with_topic(mut record: Recorded) -> Recorded {
    let value = record.value.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let source = value.map_or(Value::Null, |value| value["payload"]["source"].clone());
    let part = |name: &str| source[name].as_str().unwrap_or_default();
    if part("table").is_ascii() {
        return record;
    }
    let name = format!("{}.{}.{}", part("name"), part("schema"), part("table"));
    let underscore = |c: char| if c.is_ascii() { c.to_string() } else { "_".repeat(c.len_utf16()) };
    let topic: String = name.chars().map(underscore).collect();
    if topic != record.topic {
        record.value = record.value.map(|text| text.replace(&record.topic, &topic));
        record.topic = topic;
        record.key = Some(ANY.to_owned());
    }
    record
}

/// Characters that were cut in half are not there at all.
fn without_halves(mut record: Recorded, rows: &mut BTreeSet<&'static str>) -> Recorded {
    let half =
        regex::Regex::new(r#"\\u[dD][89abAB][0-9a-fA-F]{2}("|[^\\"])"#).expect("the pattern is constant");
    if let Some(value) = &mut record.value
        && half.is_match(value)
    {
        *value = half.replace_all(value, "$1").into_owned();
        rows.insert(CUT);
    }
    record
}

/// A row of the snapshot that the stream would never send on this topic.
fn is_doubled(record: &Read, all: &[Read], catalogue: &Catalogue) -> bool {
    let Some(table) = catalogue.get(&record.table_name()).filter(|_| record.is("r")) else { return false };
    table.is_elsewhere || table.is_unlogged || is_inherited(record, table, all)
}

fn is_inherited(record: &Read, table: &Table, all: &[Read]) -> bool {
    let Some(row) = record.payload["after"].as_object() else { return false };
    all.iter().filter(|other| other.is("r") && table.children.contains(&other.table_name())).any(|child| {
        let own = &child.payload["after"];
        row.iter().all(|(name, value)| own.get(name) == Some(value))
    })
}

/// Where the identity lacks a column of the key, a delete carries a wrong key: such an event is not written. What the
/// reference takes for a change of the key by it is a plain update.
fn without_wrong_deletes(
    records: Vec<Read>,
    catalogue: &Catalogue,
    rows: &mut BTreeSet<&'static str>,
) -> Vec<Recorded> {
    let mut kept = vec![];
    let mut rest = records.into_iter().peekable();
    while let Some(read) = rest.next() {
        let lacks = catalogue.get(&read.table_name()).is_some_and(|table| table.identity_lacks_key);
        if !(lacks && read.is("d")) {
            kept.push(read.record);
            continue;
        }
        rows.insert(IDENTITY);
        rest.next_if(|next| next.record.value.is_none() && next.record.key == read.record.key);
        let lsn = &read.payload["source"]["lsn"];
        if let Some(created) = rest.next_if(|next| next.is("c") && next.payload["source"]["lsn"] == *lsn) {
            kept.push(updated(created.record, &read.payload["before"]));
        }
    }
    kept
}

fn updated(mut record: Recorded, before: &Value) -> Recorded {
    let value = record.value.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(mut value) = value {
        value["payload"]["op"] = "u".into();
        value["payload"]["before"] = before.clone();
        record.value = Some(value.to_string());
    }
    if let Some(headers) = record.headers.as_array_mut() {
        headers.retain(|header| header[0] != "__debezium.oldkey");
    }
    record
}
