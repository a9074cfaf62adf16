//! How far the source has come, and how that is written so that Debezium and we can both go on from it.
//!
//! The position is the commit LSN of a transaction (BEGIN's `final_lsn`, where its commit record starts) and the
//! ordinal of the last event in it that was sent. Debezium stores COMMIT's end LSN in `lsn_commit`: transactions
//! whose commit record starts before it are done, one that starts exactly there is the next. What it stores of an
//! unfinished transaction is the position of the last event, which is not unique: COPY gives many rows one. Hence
//! one more key, which Debezium passes over, with commit LSN and ordinal.
//!
//! A connector goes back to Debezium without a loss because `lsn_proc`, at which Debezium looks for what it did last and
//! goes on behind, never names an event that others share their LSN with, nor the end of a transaction, where an event
//! of another one may begin: it is the LSN before, or one that no record has.

use std::sync::Arc;

use connect::SourcePosition;
use pg::Lsn;
use serde_json::{Map, Value as Json};

/// Our key: `<commit LSN>:<ordinal>` of the transaction that is sent in part.
const EVENT: &str = "tidegate_event";

/// What the last message was, under Debezium's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    Insert,
    Update,
    Delete,
    Truncate,
    Message,
    Commit,
}

impl MessageType {
    fn name(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
            Self::Message => "MESSAGE",
            Self::Commit => "COMMIT",
        }
    }
}

/// A position as it is taken on the path of records; text is made of it once a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    Snapshot { lsn: u64, transaction: i64, time_micros: i64, completed: bool },
    Stream(StreamPosition),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    /// End of the last transaction that is done; `None` before the first.
    pub commit: Option<u64>,
    pub lsn: u64,
    /// What Debezium goes on behind.
    pub processed: u64,
    pub message: MessageType,
    pub transaction: Option<i64>,
    pub time_micros: i64,
    /// Commit LSN and ordinal of the transaction that is sent in part.
    pub event: Option<(u64, u64)>,
}

impl Position {
    /// Connect's form.
    pub fn store(&self, partition: &Arc<Map<String, Json>>) -> SourcePosition {
        let mut offset = Map::new();
        match *self {
            Self::Snapshot { lsn, transaction, time_micros, completed } => {
                offset.insert("last_snapshot_record".to_owned(), completed.into());
                offset.insert("lsn".to_owned(), lsn.into());
                offset.insert("txId".to_owned(), transaction.into());
                offset.insert("ts_usec".to_owned(), time_micros.into());
                offset.insert("snapshot".to_owned(), "INITIAL".into());
                offset.insert("snapshot_completed".to_owned(), completed.into());
            }
            Self::Stream(position) => {
                offset.insert("lsn_proc".to_owned(), position.processed.into());
                offset.insert("messageType".to_owned(), position.message.name().into());
                if let Some(commit) = position.commit {
                    offset.insert("lsn_commit".to_owned(), commit.into());
                }
                offset.insert("lsn".to_owned(), position.lsn.into());
                if let Some(transaction) = position.transaction {
                    offset.insert("txId".to_owned(), transaction.into());
                }
                offset.insert("ts_usec".to_owned(), position.time_micros.into());
                if let Some((commit, ordinal)) = position.event {
                    offset.insert(EVENT.to_owned(), format!("{commit}:{ordinal}").into());
                }
            }
        }
        SourcePosition { partition: partition.clone(), offset: Arc::new(offset) }
    }

    /// Where to go on after everything up to here was sent.
    pub fn resume(&self) -> Resume {
        match *self {
            Self::Snapshot { lsn, .. } => Resume { done_before: lsn, ..Resume::default() },
            Self::Stream(position) => Resume {
                done_before: position.commit.unwrap_or(0),
                partial: position.event.map(|(commit, ordinal)| Partial::Ordinal { commit, ordinal }),
                commit: position.commit,
            },
        }
    }
}

/// The position up to which the server may forget, of a stored offset.
pub fn confirmable(offset: &Map<String, Json>) -> Option<Lsn> {
    let number = |name: &str| offset.get(name).and_then(Json::as_u64);
    if offset.contains_key("snapshot") && !is_completed(offset) {
        return None;
    }
    let fallback = if offset.contains_key("snapshot") { number("lsn") } else { None };
    number("lsn_commit").or(fallback).map(Lsn)
}

/// What was stored last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    Nothing,
    /// A snapshot that did not come to its end.
    SnapshotInterrupted,
    Resume(Resume),
}

/// Where the stream goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Transactions whose commit record starts before are done.
    pub done_before: u64,
    /// How much of the next transaction is done.
    pub partial: Option<Partial>,
    /// What `sequence` names as the transaction before.
    pub commit: Option<u64>,
}

/// How far the transaction is that was sent in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// Events up to this ordinal of the transaction with this commit LSN are done.
    Ordinal { commit: u64, ordinal: u64 },
    /// Debezium's form: of the first transaction that comes, events before this LSN are done, and so many at it.
    EventLsn { lsn: u64, at_lsn: u64 },
}

/// Reads the offset of any version, ours included.
pub fn load(offset: &Map<String, Json>) -> Stored {
    let number = |name: &str| offset.get(name).and_then(Json::as_u64);
    if is_snapshot(offset) {
        if !is_completed(offset) {
            return Stored::SnapshotInterrupted;
        }
        let done_before = number("lsn").unwrap_or(0);
        return Stored::Resume(Resume { done_before, ..Resume::default() });
    }
    let Some(lsn) = number("lsn_proc").or_else(|| number("lsn")) else { return Stored::Nothing };
    let commit = number("lsn_commit");
    let message = offset.get("messageType").and_then(Json::as_str);
    let own = offset.get(EVENT).and_then(Json::as_str).and_then(|text| {
        let (commit, ordinal) = text.split_once(':')?;
        Some(Partial::Ordinal { commit: commit.parse().ok()?, ordinal: ordinal.parse().ok()? })
    });
    let within_transaction = match message {
        Some("COMMIT" | "BEGIN" | "NOOP") => false,
        // Messages do not move the position: where they are first in their transaction, it is the end of the one before.
        Some("MESSAGE") if commit == Some(lsn) => false,
        Some(_) => true,
        // 1.9 does not say; at the end of a transaction both positions are equal.
        None => commit != Some(lsn),
    };
    let partial = own.or_else(|| {
        within_transaction
            .then(|| Partial::EventLsn { lsn, at_lsn: number("lsn_events_processed").unwrap_or(1).max(1) })
    });
    Stored::Resume(Resume { done_before: commit.unwrap_or(0), partial, commit })
}

fn is_snapshot(offset: &Map<String, Json>) -> bool {
    match offset.get("snapshot") {
        Some(Json::Bool(flag)) => *flag,
        // Blocking and incremental snapshots run beside a stream that has its own position.
        Some(Json::String(kind)) => kind == "INITIAL" || kind.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

fn is_completed(offset: &Map<String, Json>) -> bool {
    ["snapshot_completed", "last_snapshot_record"]
        .iter()
        .any(|name| offset.get(*name).and_then(Json::as_bool).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &Stored) {
        let offset: Map<String, Json> = serde_json::from_str(json).unwrap();
        assert_eq!(load(&offset), *expected, "{json}");
    }

    fn resume(done_before: u64, partial: Option<Partial>, commit: Option<u64>) -> Stored {
        Stored::Resume(Resume { done_before, partial, commit })
    }

    #[test]
    fn offsets_of_all_versions() {
        check(
            r#"{"last_snapshot_record":false,"lsn":5,"txId":7,"ts_usec":1,"snapshot":true}"#,
            &Stored::SnapshotInterrupted,
        );
        check(r#"{"last_snapshot_record":true,"lsn":5,"snapshot":true}"#, &resume(5, None, None));
        check(
            r#"{"last_snapshot_record":true,"lsn":5,"snapshot":"INITIAL","snapshot_completed":true}"#,
            &resume(5, None, None),
        );
        check(
            r#"{"lsn_proc":9,"messageType":"INSERT","lsn_commit":8,"lsn":9}"#,
            &resume(8, Some(Partial::EventLsn { lsn: 9, at_lsn: 1 }), Some(8)),
        );
        check(
            r#"{"lsn_proc":9,"messageType":"INSERT","lsn_commit":9,"lsn":9,"lsn_events_processed":3}"#,
            &resume(9, Some(Partial::EventLsn { lsn: 9, at_lsn: 3 }), Some(9)),
        );
        check(r#"{"lsn_proc":9,"messageType":"COMMIT","lsn_commit":9,"lsn":9}"#, &resume(9, None, Some(9)));
        check(r#"{"lsn_proc":9,"messageType":"MESSAGE","lsn_commit":9,"lsn":12}"#, &resume(9, None, Some(9)));
        check(r#"{"transaction_id":null,"lsn_proc":9,"lsn_commit":9,"lsn":9}"#, &resume(9, None, Some(9)));
        check(r"{}", &Stored::Nothing);
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let partition = Arc::new(Map::new());
        let position = Position::Stream(StreamPosition {
            commit: Some(8),
            lsn: 9,
            processed: 7,
            message: MessageType::Insert,
            transaction: Some(1),
            time_micros: 2,
            event: Some((10, 3)),
        });
        let stored = position.store(&partition);
        let expected = position.resume();
        assert_eq!(load(&stored.offset), Stored::Resume(expected));
        assert_eq!(confirmable(&stored.offset), Some(Lsn(8)));
        assert_eq!(stored.offset["lsn_proc"], 7);
    }
}
