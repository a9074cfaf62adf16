//! Fields that change from run to run (golden/source/README.md). Positions and transaction ids are replaced by
//! their rank, so that equalities and order between them still count.

use std::collections::BTreeMap;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::case::Recorded;

/// Ranks of the numbers of one recording.
struct Ranks(BTreeMap<u64, usize>);

impl Ranks {
    fn of(texts: &[&str], pattern: &Regex) -> Self {
        let mut numbers: Vec<u64> = texts
            .iter()
            .flat_map(|text| pattern.captures_iter(text))
            .flat_map(|found| {
                found
                    .iter()
                    .skip(1)
                    .flatten()
                    .filter_map(|group| group.as_str().parse().ok())
                    .collect::<Vec<u64>>()
            })
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into_iter().enumerate().map(|(rank, number)| (number, rank)).collect())
    }

    fn shown(&self, number: &str) -> String {
        number
            .parse()
            .ok()
            .and_then(|number: u64| self.0.get(&number))
            .map_or_else(|| "#".to_owned(), |rank| format!("#{rank}"))
    }
}

pub fn masked(records: &[Recorded]) -> Vec<Recorded> {
    let lsn = regex(r#""lsn":(\d+)"#);
    // Whether a commit's end is the next change's position depends on what else the server wrote in between: of a
    // sequence only the nulls are compared.
    let sequence = regex(r#""sequence":"\[(\\"\d+\\"|null),\\"\d+\\"\]""#);
    let xid = regex(r#""txId":(\d+)"#);
    // A snapshot's position may be that of the first change after it, or not: only the stream's are ranked.
    // Where a message ends the next change begins, unless somebody else wrote in between.
    let is_message = |text: &str| text.contains("connector.postgresql.MessageValue");
    let is_streamed = |text: &str| text.contains(r#""snapshot":"false""#) && !is_message(text);
    let texts: Vec<&str> = records
        .iter()
        .filter_map(|record| record.value.as_deref())
        .filter(|text| is_streamed(text))
        .collect();
    // Heartbeats come when the clock says so, and what their query wrote is a transaction before the first change.
    let has_heartbeats = records.iter().any(crate::compare::is_heartbeat);
    let ranked: &[&str] = if has_heartbeats { &[] } else { &texts };
    let (positions, xids) = (Ranks::of(ranked, &lsn), Ranks::of(ranked, &xid));
    // Of a transaction that has an id by its own and by where its event lies, only that it has one is compared.
    let transaction = regex(r#""id":"\d+(:\d+)?""#);
    let notification = regex(r#""id":"[0-9a-f]{8}-[0-9a-f-]{27}""#);
    let window = regex(r#""[0-9a-f]{8}-[0-9a-f-]{27}-(open|close)""#);
    let window_data = regex(r#""data":"\{\\"openWindowTimestamp[^}]*\}""#);
    let stamp = regex(r#""timestamp":\d+"#);
    let message_id = regex(r#"io\.debezium[A-Za-z.]*\$LogicalDecodingMessageId@[0-9a-f]+"#);
    let times = regex(r#""((?:__source_|source_|_|__)?ts_(?:ms|us|ns)|__lsn)":\d+"#);
    let value = |text: &str| {
        let none = Ranks(BTreeMap::new());
        let (positions, xids) = if is_streamed(text) { (&positions, &xids) } else { (&none, &none) };
        let text = times.replace_all(text, r#""$1":0"#);
        let text = lsn
            .replace_all(&text, |found: &Captures<'_>| format!("\"lsn\":\"{}\"", positions.shown(&found[1])));
        let text =
            xid.replace_all(&text, |found: &Captures<'_>| format!("\"txId\":\"{}\"", xids.shown(&found[1])));
        let text = sequence.replace_all(&text, |found: &Captures<'_>| {
            let first = if &found[1] == "null" && !has_heartbeats { "null" } else { "#" };
            format!("\"sequence\":\"[{first},#]\"")
        });
        let text = transaction.replace_all(&text, |found: &Captures<'_>| {
            format!("\"id\":\"#{}\"", if found.get(1).is_some() { ":#" } else { "" })
        });
        let text = notification.replace_all(&text, r#""id":"<id>""#);
        let text = window.replace_all(&text, r#""<window>-$1""#);
        let text = window_data.replace_all(&text, r#""data":"<times>""#);
        let text = stamp.replace_all(&text, r#""timestamp":0"#);
        let text = message_id.replace_all(&text, "LOGICAL_DECODING_MESSAGE");
        sorted_collections(&regex(r#""xmin":\d+"#).replace_all(&text, r#""xmin":0"#))
    };
    records
        .iter()
        .map(|record| Recorded {
            headers: headers(&record.headers),
            key: record.key.as_deref().map(|key| {
                let key = &*window.replace_all(key, r#""<window>-$1""#);
                let is_made_up = ["TransactionMetadataKey", "NotificationKey"]
                    .iter()
                    .any(|name| key.contains(&format!("connector.common.{name}")));
                if is_made_up { value(key) } else { key.to_owned() }
            }),
            value: record.value.as_deref().map(value),
            ..record.clone()
        })
        .collect()
}

/// The messages' entry has its place by its hash in the reference: it comes last.
fn sorted_collections(text: &str) -> String {
    if !text.contains("LOGICAL_DECODING_MESSAGE") {
        return text.to_owned();
    }
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    if let Some(collections) = value["payload"]["data_collections"].as_array_mut() {
        collections.sort_by_key(|entry| entry["data_collection"] == "LOGICAL_DECODING_MESSAGE");
    }
    value.to_string()
}

fn headers(headers: &Value) -> Value {
    let mut headers = headers.clone();
    for header in headers.as_array_mut().into_iter().flatten() {
        if header[0] == "__debezium.context.runId" {
            header[1] = "<run>".into();
        } else if header[0] == "h.pos" || header[0].as_str().is_some_and(|name| name.ends_with("ts_ms")) {
            header[1] = "#".into();
        }
    }
    headers
}

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("the patterns are constant")
}
