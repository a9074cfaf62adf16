//! Whether topics have every change of every key in its order, and what came twice.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use e2e::topics::{Recorded, Records};
use serde_json::Value;

use crate::load::{History, TABLES};

/// A change as a topic has it.
struct Change {
    text: String,
    lsn: u64,
    transaction: i64,
}

/// How far a stored offset says that everything is in Kafka.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    pub commit: u64,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verdict {
    pub changes: usize,
    pub repeated: usize,
}

/// # Errors
/// A change is missing, out of order, or came again although it lies before the position that was stored.
pub fn judge(prefix: &str, history: &History, records: &Records, stored: &[Stored]) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let (mut wrong, mut early) = (vec![], vec![]);
    for table in TABLES {
        let topic = (format!("{prefix}.public.{table}"), 0);
        let changes = by_key(records.get(&topic).with_context(|| format!("no topic {}", topic.0))?)?;
        let ends = ends(changes.values().flatten());
        let keys = history.keys().filter(|(of, _)| of == table).map(|(_, id)| *id);
        for id in keys.chain(changes.keys().copied()).collect::<std::collections::BTreeSet<_>>() {
            let none = vec![];
            let expected = history.get(&(table.to_owned(), id)).unwrap_or(&none);
            let seen = changes.get(&id).map(Vec::as_slice).unwrap_or_default();
            match walk(expected, seen) {
                Err(text) => wrong.push(format!("{table} {id}: {text}")),
                Ok(repeated) => {
                    verdict.changes += seen.len();
                    verdict.repeated += repeated.len();
                    let is_early = |change: &&&Change| {
                        let end = ends[&change.transaction];
                        !stored.iter().any(|stored| end >= stored.commit)
                    };
                    early.extend(
                        repeated
                            .iter()
                            .filter(is_early)
                            .map(|change| format!("{table} {id} {}", change.text)),
                    );
                }
            }
        }
    }
    if !wrong.is_empty() {
        let shown: Vec<_> = wrong.iter().take(8).collect();
        bail!("{} keys have not every change in its order: {shown:#?}", wrong.len());
    }
    if !early.is_empty() {
        bail!("came twice although the stored position is behind them: {early:?}");
    }
    Ok(verdict)
}

/// The last position of each transaction that was seen.
fn ends<'a>(changes: impl Iterator<Item = &'a Change>) -> BTreeMap<i64, u64> {
    let mut ends = BTreeMap::new();
    for change in changes {
        let end = ends.entry(change.transaction).or_insert(0);
        *end = change.lsn.max(*end);
    }
    ends
}

/// Changes that came again; a change may only be followed by the next one, or by an earlier one.
fn walk<'a>(expected: &[String], seen: &'a [Change]) -> Result<Vec<&'a Change>, String> {
    let (mut at, mut done, mut repeated) = (0, 0, vec![]);
    for change in seen {
        if expected.get(at) == Some(&change.text) {
            at += 1;
        } else {
            let earlier = expected[..at].iter().rposition(|text| *text == change.text);
            at = 1 + earlier.ok_or_else(|| {
                let texts: Vec<_> = seen.iter().map(|change| change.text.as_str()).collect();
                format!(
                    "{} comes where {:?} should; expected {expected:?}, seen {texts:?}",
                    change.text,
                    expected.get(at)
                )
            })?;
        }
        if at <= done {
            repeated.push(change);
        }
        done = done.max(at);
    }
    if at < expected.len() {
        return Err(format!(
            "ends with {} of {} changes; the next one: {}",
            at,
            expected.len(),
            expected[at]
        ));
    }
    Ok(repeated)
}

fn by_key(records: &[Recorded]) -> Result<BTreeMap<i64, Vec<Change>>> {
    let mut changes: BTreeMap<i64, Vec<Change>> = BTreeMap::new();
    for record in records {
        let Some(value) = &record.value else { continue };
        let key: Value = serde_json::from_str(record.key.as_deref().unwrap_or("null"))?;
        let value: Value = serde_json::from_str(value)?;
        let (id, value) = (key["payload"]["id"].as_i64().context("a key")?, &value["payload"]);
        let version = &value["after"]["version"];
        let text = match value["op"].as_str() {
            // Rows were there before the load began; their trigger was too.
            Some("r" | "c") => format!("c{version}"),
            Some("u") => format!("u{version}"),
            Some("d") => "d".to_owned(),
            other => bail!("operation {other:?}"),
        };
        let source = &value["source"];
        changes.entry(id).or_default().push(Change {
            text,
            lsn: source["lsn"].as_u64().unwrap_or(0),
            transaction: source["txId"].as_i64().unwrap_or(0),
        });
    }
    Ok(changes)
}
