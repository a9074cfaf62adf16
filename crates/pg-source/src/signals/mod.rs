//! Signals, and the snapshots that they start while the stream goes on.
//!
//! A signal comes as a row of the signal table in the stream, or from the runtime, and waits in the inbox until the
//! task acts on it between two events; the inbox, and what the signal changed, are part of every stored position. An
//! incremental snapshot is read chunk by chunk beside the stream (`chunk_reader`); its rows are sent where the stream
//! has come behind everything that the chunk shows, without those that were changed meanwhile (`window`).
//! The stream never waits for a chunk. While one is being read, signals about snapshots wait for it.

mod action; // what a signal asks for
mod queue; // how far the snapshot is
mod java; // keys as Debezium stores them
mod chunk_sql; // between two keys
mod chunk_plan; // how a table is read
mod chunk_reader; // beside the stream
mod window; // which rows are the newest
mod work; // the chunk on its way

pub use action::{Execute, SnapshotKind};

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::{Record, Signal, TaskError, Value};
use pg::Session;
use serde_json::{Map, Value as Json};

use crate::envelope::{Envelopes, Op};
use crate::filter;
use crate::notifications::{Incremental, Notifications};
use crate::position::Position;
use crate::settings::Settings;
use crate::slot::{self, Candidate};
use crate::stream::Output;
use crate::tables::Table;
use action::{Action, Condition};
use chunk_reader::{NotRead, Reader, Request, Status};
use queue::{Entry, Key, Queue};
use window::Recent;
use work::Work;
pub use work::{ClosedAt, Sent};

/// Signals that wait; a row that finds it full is a mistake of somebody's script.
const INBOX_MAX: usize = 1000;
/// Waits after a chunk that could not be read: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);

pub struct Signals {
    settings: Arc<Settings>,
    notifications: Option<Notifications>,
    reader: Reader,
    queue: Queue,
    blocking: VecDeque<Execute>,
    inbox: VecDeque<Signal>,
    work: Work,
    recent: Recent,
    /// Changes of this transaction may not be in the chunk.
    follows: bool,
    /// The stream stops decoding: there is something to do.
    pauses: bool,
    /// What must be stored is not handed over yet.
    is_new: bool,
    failures: u32,
}

impl Signals {
    pub fn new(settings: &Arc<Settings>, envelopes: &Envelopes) -> Self {
        Self {
            notifications: Notifications::new(settings),
            reader: Reader::new(settings.clone(), envelopes),
            settings: settings.clone(),
            queue: Queue::default(),
            blocking: VecDeque::new(),
            inbox: VecDeque::new(),
            work: Work::Idle,
            recent: Recent::new(),
            follows: false,
            pauses: false,
            is_new: false,
            failures: 0,
        }
    }

    /// What an offset says about unfinished snapshots.
    pub fn load(&mut self, offset: &Map<String, Json>) {
        self.queue = Queue::load(offset);
        self.blocking = queue::load_blocking(offset);
        self.inbox = queue::load_signals(offset);
        self.pauses = !self.inbox.is_empty();
        if let Some(first) = self.queue.tables.front() {
            tracing::info!(table = %first.name, left = self.queue.tables.len(), "incremental snapshot goes on");
        }
    }

    /// Whether an offset says anything.
    pub fn are_stored(offset: &Map<String, Json>) -> bool {
        Queue::load(offset).is_running()
            || !queue::load_blocking(offset).is_empty()
            || !queue::load_signals(offset).is_empty()
    }

    pub fn store(&self, offset: &mut Map<String, Json>) {
        self.queue.store(offset);
        queue::store_blocking(&self.blocking, offset);
        queue::store_signals(&self.inbox, offset);
    }

    /// Takes a signal, of the stream or of the runtime. Until it is acted on it is a part of what is stored.
    pub fn receive(&mut self, signal: Signal) {
        if self.inbox.len() >= INBOX_MAX {
            tracing::error!(id = %signal.id, "too many signals wait: this one is dropped");
            return;
        }
        // After a lost connection the stream may say it again.
        if !self.inbox.contains(&signal) {
            self.inbox.push_back(signal);
        }
        self.pauses = true;
        self.is_new = true;
    }

    /// The connection was lost: what was read is read again.
    pub fn interrupted(&mut self) {
        self.work = Work::Idle;
        self.follows = false;
    }

    /// A chunk is sent in part: positions wait for its end.
    pub fn is_sending(&self) -> bool {
        matches!(self.work, Work::Sending(_))
    }

    /// There is something to store without a record.
    pub fn is_new(&self) -> bool {
        self.is_new && !self.is_sending()
    }

    pub fn handed_over(&mut self, position: Option<Position>) {
        self.is_new &= position.is_none();
    }

    /// The next blocking snapshot.
    pub fn blocking(&self) -> Option<&Execute> {
        // What is sent in part goes first.
        self.blocking.front().filter(|_| !self.is_sending())
    }

    pub fn blocking_done(&mut self) {
        self.blocking.pop_front();
        self.is_new = true;
    }

    pub fn has_inbox(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// The stream shall stop decoding.
    pub fn pauses(&self) -> bool {
        self.pauses
    }

    /// What it paused for is looked at now.
    pub fn resumed(&mut self) {
        self.pauses = false;
    }

    fn tell(&self, event: Incremental<'_>, out: &mut Output) {
        self.tell_about(&self.queue.names(), event, out);
    }

    fn tell_about(&self, tables: &str, event: Incremental<'_>, out: &mut Output) {
        if let Some(notifications) = &self.notifications {
            out.records.extend(notifications.tell_incremental(&self.queue.id, tables, event));
        }
    }
}

/// What the stream tells.
impl Signals {
    /// A transaction begins.
    pub fn begin(&mut self, xid: i64) {
        let xid = xid as u32;
        if let Work::Reading(reading) = &mut self.work {
            reading.tracks(self.reader.relation(), self.recent.mark());
        }
        self.recent.push(xid);
        self.follows = match &self.work {
            Work::Reading(_) => true,
            Work::Open(open) => !open.sees(xid),
            _ => false,
        };
    }

    /// Records of one change of a table.
    pub fn changed(&mut self, op: Op, relation: u32, table: &Table, records: &[Record], at: ClosedAt) {
        if table.is_signals && matches!(op, Op::Create | Op::Delete) {
            for record in records {
                self.signal_row(record, at);
            }
        }
        if !self.follows {
            return;
        }
        let surrogate = self.queue.surrogate_of(&table.schema, &table.name);
        let field = surrogate.and_then(|name| table.columns.iter().position(|column| *column.name == *name));
        let identities = records.iter().flat_map(|record| work::identities(record, field));
        match &mut self.work {
            Work::Reading(reading) if relation == self.reader.relation() => {
                identities.for_each(|identity| reading.touched.add(relation, identity));
            }
            Work::Open(open) if open.oid == relation => {
                identities.for_each(|identity| open.window.remove(&identity))
            }
            _ => {}
        }
    }

    pub fn truncated(&mut self, relation: u32) {
        match &mut self.work {
            Work::Reading(reading) if self.follows && relation == self.reader.relation() => {
                reading.touched.truncate(relation);
            }
            Work::Open(open) if self.follows && open.oid == relation => open.window.clear(),
            _ => {}
        }
    }

    /// Everything that committed before was streamed.
    pub fn reached(&mut self, lsn: u64) {
        if matches!(&self.work, Work::Open(open) if open.ends_before(lsn)) {
            self.pauses = true;
        }
    }

    fn signal_row(&mut self, record: &Record, at: ClosedAt) {
        let Some(fields) = record.value.as_struct() else { return };
        let text = |row: &Value, at: usize| {
            let field = row.as_struct().and_then(|row| row.get(at));
            field.and_then(Value::as_str).map(str::to_owned)
        };
        let (before, after) = (&fields[0], &fields[1]);
        let row = if after.is_null() { before } else { after };
        let Some(id) = text(row, 0) else { return };
        if self.work.is_closed_by(&id, after.is_null()) {
            self.work.close(at);
            self.pauses = true;
            return;
        }
        if !after.is_null() && self.settings.signals.by_table {
            let signal = Signal { id, kind: text(after, 1).unwrap_or_default(), data: text(after, 2) };
            if !signal.kind.starts_with("snapshot-window-") {
                self.receive(signal);
            }
        }
    }
}

/// What the task does between two events.
impl Signals {
    /// Acts on what waits. Cancel-safe: a signal is taken out when all that it needs is there.
    pub async fn act(&mut self, session: &Session, offset: &str, out: &mut Output) -> Result<(), TaskError> {
        while let Some(signal) = self.inbox.front() {
            let action = match action::parse(signal) {
                Ok(action) => action,
                Err(error) => {
                    tracing::warn!(id = %signal.id, kind = %signal.kind, error = %error, "signal is not understood");
                    self.inbox.pop_front();
                    continue;
                }
            };
            let about_snapshots = !matches!(action, Action::Log(_) | Action::Nothing);
            if about_snapshots && matches!(self.work, Work::Reading(_)) {
                return Ok(());
            }
            let candidates = match &action {
                Action::Execute(execute) if execute.kind == SnapshotKind::Incremental => {
                    slot::candidates(session, &self.settings).await.map_err(crate::failure::from_pg)?
                }
                _ => vec![],
            };
            self.inbox.pop_front();
            self.is_new |= about_snapshots;
            match action {
                Action::Log(message) => tracing::info!("{}", message.replace("{}", offset)),
                Action::Execute(execute) => self.execute(execute, &candidates, out),
                Action::Stop(tables) => self.stop(&tables, out),
                Action::Pause => self.pause(out),
                Action::Resume => self.resume(out),
                Action::Nothing => {}
            }
        }
        Ok(())
    }

    fn execute(&mut self, execute: Execute, candidates: &[Candidate], out: &mut Output) {
        if execute.kind == SnapshotKind::Blocking {
            tracing::info!(id = %execute.id, tables = %execute.tables.join(", "), "blocking snapshot asked for");
            self.blocking.push_back(execute);
            return;
        }
        let entries = entries(&execute, candidates);
        tracing::info!(id = %execute.id, tables = %queue::names(entries.iter()), "incremental snapshot asked for");
        let was_running = self.queue.is_running();
        self.queue.id = execute.id;
        for entry in entries {
            if !self.queue.tables.iter().skip(1).any(|waiting| *waiting == entry) {
                self.queue.tables.push_back(entry);
            }
        }
        if !was_running {
            self.queue.paused = false;
            self.tell(Incremental::Started, out);
        }
    }

    fn stop(&mut self, patterns: &[String], out: &mut Output) {
        let matches = |name: &String| patterns.is_empty() || patterns.iter().any(|one| matches(one, name));
        let names: Vec<String> =
            self.queue.tables.iter().map(|entry| entry.name.clone()).filter(matches).collect();
        if names.is_empty() {
            tracing::warn!("there is no incremental snapshot to stop");
            return;
        }
        if self.queue.remove(&names) {
            self.work = Work::Idle;
        }
        tracing::info!(tables = %names.join(", "), "incremental snapshot stopped");
        self.tell_about(&names.join(","), Incremental::Aborted, out);
    }

    fn pause(&mut self, out: &mut Output) {
        if self.queue.is_running() && !self.queue.paused {
            self.queue.paused = true;
            self.tell(Incremental::Paused, out);
        }
    }

    fn resume(&mut self, out: &mut Output) {
        if self.queue.is_running() && self.queue.paused {
            self.queue.paused = false;
            self.tell(Incremental::Resumed, out);
        }
    }

    /// Starts the next chunk, where there is one and nothing else to do.
    pub fn go_on(&mut self) {
        let may_start = match &self.work {
            Work::Idle => true,
            Work::After(at) => *at <= Instant::now(),
            _ => false,
        };
        if !may_start || !self.queue.is_running() || self.queue.paused || !self.blocking.is_empty() {
            return;
        }
        let request = Request {
            id: uuid::Uuid::new_v4().to_string(),
            tables: self.queue.tables.iter().cloned().collect(),
            last_key: self.queue.last_key.clone(),
            maximum_key: self.queue.maximum_key.clone(),
        };
        self.work = Work::reading(&self.reader, request);
        self.follows = true;
    }

    /// Takes a chunk that has come.
    pub fn take_arrived(&mut self, out: &mut Output) -> Result<(), TaskError> {
        let Some((reading, outcome)) = self.work.take_arrived() else { return Ok(()) };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(NotRead::Row(error)) => return Err(error),
            Err(NotRead::Source(error)) => {
                let wait = (RETRY_FIRST * 2_u32.pow(self.failures.min(7))).min(RETRY_MAX);
                self.failures += 1;
                tracing::warn!(error = %error, wait_ms = wait.as_millis() as u64, "a chunk could not be read: it is tried again");
                self.work = Work::After(Instant::now() + wait);
                return Ok(());
            }
        };
        self.failures = 0;
        for status in &outcome.done {
            self.table_done(*status, out);
        }
        let Some(chunk) = outcome.chunk else {
            reading.let_finish();
            self.reader.rest();
            return Ok(());
        };
        self.queue.rows += chunk.scanned;
        self.queue.maximum_key = Some(chunk.maximum_key.clone());
        let mark = reading.mark(chunk.oid, self.recent.mark());
        if reading.touched.overflowed(chunk.oid) || self.recent.misses(&chunk.seen, mark) {
            // Shortly after, whoever was not seen will be.
            self.queue.rows -= chunk.scanned;
            reading.let_finish();
            self.work = Work::After(Instant::now() + RETRY_FIRST / 10);
            return Ok(());
        }
        let (maximum, last) = (self.shown(&chunk.maximum_key), self.shown(&chunk.last_key));
        let table = self.queue.tables.front().map(|entry| entry.name.clone()).unwrap_or_default();
        self.tell(Incremental::InProgress { table: &table, maximum: &maximum, last: &last }, out);
        self.work = Work::open(reading, chunk, outcome.watermarks);
        Ok(())
    }

    fn table_done(&mut self, status: Status, out: &mut Output) {
        let Some(table) = self.queue.tables.front().map(|entry| entry.name.clone()) else { return };
        let status = match status {
            Status::Succeeded => "SUCCEEDED",
            Status::Empty => "EMPTY",
            Status::NoKey => "NO_PRIMARY_KEY",
            Status::Unknown => "UNKNOWN_SCHEMA",
            Status::Failed => "SQL_EXCEPTION",
        };
        let rows = self.queue.rows;
        match status {
            "SUCCEEDED" | "EMPTY" => {
                tracing::info!(table = %table, rows, "incremental snapshot of a table done")
            }
            _ => tracing::warn!(table = %table, status, "table left out of the incremental snapshot"),
        }
        self.tell(Incremental::Scanned { table: &table, rows, status }, out);
        self.queue.next_table();
        self.is_new = true;
        if !self.queue.is_running() {
            tracing::info!(id = %self.queue.id, "incremental snapshot done");
            self.tell(Incremental::Completed, out);
        }
    }

    /// A key as notifications show it.
    fn shown(&self, key: &Key) -> String {
        let texts = key.iter().map(|part| part.text.as_deref().unwrap_or("null"));
        // Versions before showed the first column only.
        let count = if self.settings.compat < crate::settings::Compat::V36 { 1 } else { key.len() };
        texts.take(count).collect::<Vec<_>>().join(",")
    }
}

/// The tables that a signal names: those that are captured and match, and as it names them where none does.
fn entries(execute: &Execute, candidates: &[Candidate]) -> Vec<Entry> {
    let mut names: Vec<String> = vec![];
    for pattern in &execute.tables {
        let known = candidates.iter().map(|table| format!("{}.{}", table.schema, table.name));
        let mut found: Vec<String> = known.filter(|name| matches(pattern, name)).collect();
        if found.is_empty() {
            found.push(pattern.clone());
        }
        names.extend(found);
    }
    let mut entries: Vec<Entry> = vec![];
    for name in names {
        if entries.iter().all(|entry| entry.name != name) {
            let condition = condition_of(&execute.conditions, &name).map(str::to_owned);
            entries.push(Entry { name, condition, surrogate: execute.surrogate.clone() });
        }
    }
    entries
}

/// The filter that a signal has for a table.
pub fn condition_of<'a>(conditions: &'a [Condition], name: &str) -> Option<&'a str> {
    let found = conditions.iter().find(|condition| matches(&condition.tables, name));
    found.map(|condition| condition.filter.as_str())
}

/// A pattern of the whole name, or the name itself.
pub fn matches(pattern: &str, name: &str) -> bool {
    let unquoted = pattern.replace('"', "");
    unquoted == name || filter::whole(pattern).is_ok_and(|regex| regex.is_match(name).unwrap_or(false))
}
