//! The chunk that is on its way: being read, waiting for its place in the stream, being sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::{Record, TaskError};
use tokio::sync::oneshot;

use super::Signals;
use super::chunk_reader::{self, Chunk, NotRead, Outcome, Reader, Request, Running};
use super::queue::Key;
use super::window::{self, ChunkRow, Seen, Touched, Window};
use crate::envelope::{self, Change, Envelopes, Marker, Op, Place};
use crate::position::Position;
use crate::stream::{BATCH_BYTES_MAX, Output, RECORD_BYTES};
use crate::tables::Table;
use crate::tables_cache::{Entry, TablesCache};

/// How long an idle stream may take to come by a chunk's position: the server does not say how far it is when there
/// is nothing to say.
const IDLE_WAIT: Duration = Duration::from_secs(1);

pub enum Work {
    Idle,
    /// Something failed: not before this time.
    After(Instant),
    Reading(Box<Reading>),
    Open(Box<Open>),
    Sending(Box<Sending>),
}

/// A chunk that is being read.
pub struct Reading {
    reading: chunk_reader::Reading,
    id: String,
    pub touched: Touched,
    /// The relation whose changes are noted in `touched`, and what was streamed before that began.
    tracked: (u32, usize),
    /// It came.
    arrived: Option<Result<Outcome, NotRead>>,
    closed: Option<ClosedAt>,
}

/// A chunk that waits for its place in the stream.
pub struct Open {
    /// Whether the second row was written, as long as that is not known.
    closing: Option<oneshot::Receiver<bool>>,
    _task: Running,
    id: String,
    pub oid: u32,
    table: Arc<Table>,
    pub window: Window,
    seen: Seen,
    lsn: u64,
    last_key: Key,
    /// The row in the signal table ends it; else its position does.
    by_row: bool,
    since: Instant,
    closed: Option<ClosedAt>,
}

/// Where the stream was.
#[derive(Clone, Copy, Debug)]
pub struct ClosedAt {
    pub lsn: u64,
    /// End of the transaction before.
    pub commit: Option<u64>,
}

/// The rows that are left, on their way out.
pub struct Sending {
    rows: Box<dyn Iterator<Item = ChunkRow> + Send>,
    table: Arc<Table>,
    place: Place,
    last_key: Key,
    /// Handed over behind the last row.
    position: Option<Position>,
}

/// Whether all rows are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    All,
    BatchFull,
}

impl Work {
    pub fn reading(reader: &Reader, request: Request) -> Self {
        let id = request.id.clone();
        let reading = reader.start(request);
        let touched = Touched::default();
        Self::Reading(Box::new(Reading {
            reading,
            id,
            touched,
            tracked: (0, 0),
            arrived: None,
            closed: None,
        }))
    }

    pub fn open(reading: Reading, chunk: Chunk, by_row: bool) -> Self {
        Self::Open(Box::new(Open {
            window: Window::new(chunk.rows, &reading.touched, chunk.oid),
            closing: Some(reading.reading.closed),
            _task: reading.reading.task,
            id: reading.id,
            oid: chunk.oid,
            table: chunk.table,
            seen: chunk.seen,
            lsn: chunk.lsn,
            last_key: chunk.last_key,
            by_row,
            since: Instant::now(),
            closed: reading.closed,
        }))
    }

    /// What was read, where it has come; `self` is idle then.
    pub fn take_arrived(&mut self) -> Option<(Reading, Result<Outcome, NotRead>)> {
        let Self::Reading(reading) = self else { return None };
        let arrived = reading.arrived.take().or_else(|| match reading.reading.outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(ended())),
        })?;
        match std::mem::replace(self, Self::Idle) {
            Self::Reading(reading) => Some((*reading, arrived)),
            _ => None,
        }
    }

    /// Whether a row of the signal table is the end of the chunk: a new row, or the deletion of the first one.
    pub fn is_closed_by(&self, id: &str, deleted: bool) -> bool {
        let own = match self {
            Self::Reading(reading) => &reading.id,
            Self::Open(open) => &open.id,
            _ => return false,
        };
        id.strip_prefix(own.as_str()) == Some(if deleted { "-open" } else { "-close" })
    }

    pub fn close(&mut self, at: ClosedAt) {
        match self {
            Self::Reading(reading) => reading.closed = Some(at),
            Self::Open(open) => open.closed = Some(at),
            _ => {}
        }
    }
}

fn ended() -> NotRead {
    NotRead::Source(TaskError::retry("reading a chunk ended early"))
}

impl Reading {
    /// A transaction begins: from here on changes of this relation are noted.
    pub fn tracks(&mut self, relation: u32, mark: usize) {
        if self.tracked.0 != relation {
            self.tracked = (relation, mark);
        }
    }

    /// Changes of the relation that were streamed before are not noted. `now` is the newest mark.
    pub fn mark(&self, relation: u32, now: usize) -> usize {
        if self.tracked.0 == relation { self.tracked.1 } else { now }
    }

    /// What was read is not wanted; the rows in the signal table are written all the same.
    pub fn let_finish(self) {
        self.reading.task.let_finish();
    }
}

impl Open {
    pub fn sees(&self, xid: u32) -> bool {
        self.seen.sees(xid)
    }

    /// Whether the stream is behind it.
    pub fn ends_before(&self, lsn: u64) -> bool {
        !self.by_row && self.lsn <= lsn
    }

    fn is_overdue(&self) -> bool {
        !self.by_row && self.since.elapsed() >= IDLE_WAIT
    }

    /// Whether the end could be written is known now.
    fn written(&mut self, written: bool) {
        self.closing = None;
        self.by_row &= written;
    }

    fn look_at_end(&mut self) {
        match self.closing.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Ok(written)) => self.written(written),
            Some(Err(oneshot::error::TryRecvError::Closed)) => self.written(false),
            Some(Err(oneshot::error::TryRecvError::Empty)) | None => {}
        }
    }
}

/// Of which row a record is: its key, or the surrogate's field before and after.
pub fn identities(record: &Record, field: Option<usize>) -> Vec<Vec<u8>> {
    if !record.key.is_null() {
        return vec![window::identity(&record.key)];
    }
    let (Some(field), Some(envelope)) = (field, record.value.as_struct()) else { return vec![] };
    let rows = envelope.iter().take(2).filter_map(|row| row.as_struct());
    rows.map(|row| window::identity_of(row, &[field])).collect()
}

impl Signals {
    /// Resolves when there is something to do although the stream is silent. Cancel-safe.
    pub async fn news(&mut self) {
        match &mut self.work {
            Work::Reading(reading) if reading.arrived.is_none() => {
                let outcome = (&mut reading.reading.outcome).await;
                reading.arrived = Some(outcome.unwrap_or_else(|_| Err(ended())));
            }
            Work::After(at) => tokio::time::sleep_until((*at).into()).await,
            Work::Open(open) if !open.by_row => {
                tokio::time::sleep_until((open.since + IDLE_WAIT).into()).await;
            }
            Work::Open(open) => {
                if let Some(closing) = &mut open.closing {
                    let written = closing.await.unwrap_or(false);
                    open.written(written);
                    if !written {
                        return;
                    }
                }
                // The end comes with the stream.
                std::future::pending().await
            }
            _ => std::future::pending().await,
        }
    }

    /// Begins to send the chunk where its place has come. `between` is where the stream is between two transactions.
    pub fn end_chunk(&mut self, between: Option<ClosedAt>, tables: &mut TablesCache, out: &mut Output) {
        let Work::Open(open) = &mut self.work else { return };
        open.look_at_end();
        let by_position = between.filter(|at| open.ends_before(at.lsn) || open.is_overdue());
        let Some(at) = open.closed.or(by_position) else { return };
        let Work::Open(open) = std::mem::replace(&mut self.work, Work::Idle) else { return };
        let table = shared(open.oid, open.table, tables);
        let place = Place {
            time_micros: envelope::now_nanos() / 1000,
            marker: Marker::Incremental,
            transaction: None,
            lsn: at.lsn,
            commit: at.commit,
            sequence: None,
            origin: None,
        };
        self.follows = false;
        self.work = Work::Sending(Box::new(Sending {
            rows: Box::new(open.window.into_rows()),
            table,
            place,
            last_key: open.last_key,
            position: out.position.take(),
        }));
    }

    /// Sends rows until the batch is full or none is left.
    pub fn send(&mut self, records_max: usize, envelopes: &mut Envelopes, out: &mut Output) -> Sent {
        let Work::Sending(sending) = &mut self.work else { return Sent::All };
        for row in sending.rows.by_ref() {
            let before = out.records.len();
            let after = connect::Value::Struct(row.values);
            let change = Change { op: Op::Read, key: row.key, before: connect::Value::Null, after };
            envelopes.row(&sending.table, change, &sending.place, &mut out.records);
            out.bytes += (out.records.len() - before) * RECORD_BYTES;
            if out.records.len() >= records_max || out.bytes >= BATCH_BYTES_MAX {
                return Sent::BatchFull;
            }
        }
        if let Work::Sending(sending) = std::mem::replace(&mut self.work, Work::Idle) {
            out.position = sending.position.or(out.position);
            self.queue.last_key = Some(sending.last_key);
            self.is_new = true;
        }
        Sent::All
    }
}

/// The table as the stream knows it where that is the same: its schemas are known to everybody behind.
fn shared(oid: u32, table: Arc<Table>, tables: &mut TablesCache) -> Arc<Table> {
    match tables.get(oid) {
        Some(Entry::Captured(known))
            if known.envelope == table.envelope
                && known.key_schema() == table.key_schema()
                && known.topic == table.topic =>
        {
            known.clone()
        }
        Some(_) => table,
        None => {
            tables.seed(oid, table.clone());
            table
        }
    }
}
