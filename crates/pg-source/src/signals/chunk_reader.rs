//! Reads chunks beside the stream, on connections of its own.
//!
//! A chunk lies between two rows in the signal table, so that the stream shows where it belongs. What was read is
//! handed over before the second one is written: whoever sees that row in the stream finds the chunk there. Where
//! the signal table cannot be written (`read.only`, a standby, no privilege) the chunk's position in the WAL does it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use connect::{Schema, TaskError};
use pg::wire::{TextRow, Wire};
use pg::{Lsn, Session, quote};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use super::chunk_plan::{Making, Plan, Unreadable};
use super::queue::{Entry, Key};
use super::window::{ChunkRow, Seen};
use crate::envelope::Envelopes;
use crate::failure;
use crate::settings::{Compat, Settings, Watermarks};
use crate::snapshot_readers::{open_reader, open_session};
use crate::tables::Table;

/// Bytes of one chunk: what is larger is cut, and the next ones have fewer rows.
const CHUNK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Tries of a chunk whose table changes while it is read.
const TRIES_MAX: usize = 5;

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names the rows in the signal table.
    pub id: String,
    pub tables: Vec<Entry>,
    pub last_key: Option<Key>,
    pub maximum_key: Option<Key>,
}

/// What became of a table that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Succeeded,
    Empty,
    NoKey,
    Unknown,
    Failed,
}

/// The next rows, and the tables that were done before them.
pub struct Outcome {
    pub done: Vec<Status>,
    pub chunk: Option<Chunk>,
    /// The first row is in the signal table, and the second one comes.
    pub watermarks: bool,
}

pub struct Chunk {
    pub oid: u32,
    pub table: Arc<Table>,
    pub rows: Vec<ChunkRow>,
    pub scanned: u64,
    pub last_key: Key,
    pub maximum_key: Key,
    pub seen: Seen,
    /// Everything that it sees lies before.
    pub lsn: u64,
}

/// A chunk that is being read; dropped, it is not.
pub struct Reading {
    pub outcome: oneshot::Receiver<Result<Outcome, TaskError>>,
    /// Whether the second row was written.
    pub closed: oneshot::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
pub struct Reader(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    source_schema: Schema,
    transaction_schema: Schema,
    /// The table that is being read: entered before the snapshot is taken in which it is.
    reading: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: Option<Connections>,
    plan: Option<Plan>,
    /// Fewer than the settings say where rows are large.
    rows_max: Option<usize>,
}

struct Connections {
    session: Session,
    wire: Wire,
}

impl Reader {
    pub fn new(settings: Arc<Settings>, envelopes: &Envelopes) -> Self {
        Self(Arc::new(Inner {
            settings,
            source_schema: envelopes.source_schema.clone(),
            transaction_schema: envelopes.transaction_schema.clone(),
            reading: AtomicU32::new(0),
            state: Mutex::default(),
        }))
    }

    /// The relation whose changes concern what is being read.
    pub fn relation(&self) -> u32 {
        self.0.reading.load(Ordering::SeqCst)
    }

    pub fn start(&self, request: Request) -> Reading {
        let (answer, outcome) = oneshot::channel();
        let (written, closed) = oneshot::channel();
        let inner = self.0.clone();
        inner.reading.store(0, Ordering::SeqCst);
        let task = tokio::spawn(async move { inner.run(request, answer, written).await });
        Reading { outcome, closed, task }
    }
}

impl Inner {
    async fn run(
        &self,
        request: Request,
        answer: oneshot::Sender<Result<Outcome, TaskError>>,
        written: oneshot::Sender<bool>,
    ) {
        let mut state = self.state.lock().await;
        // Whoever aborts this task in the middle leaves connections behind that nobody can use.
        let connections = state.connections.take();
        let result = async {
            let mut connections = match connections {
                Some(connections) if !connections.session.is_closed() => connections,
                _ => self.connect().await?,
            };
            let opened = self.open_window(&connections.session, &request.id).await;
            let watermarks = opened.is_some();
            let outcome = self.read(&mut state, &mut connections, &request).await?;
            Ok((connections, opened, Outcome { watermarks, ..outcome }))
        };
        let (connections, opened, outcome) = match result.await {
            Ok(done) => done,
            Err(error) => {
                let _ = answer.send(Err(error));
                return;
            }
        };
        // Dropped: nobody waits for it any more.
        if answer.send(Ok(outcome)).is_err() {
            return;
        }
        if let Some(opened) = opened {
            let result = self.close_window(&connections.session, &request.id, &opened).await;
            if let Err(error) = &result {
                tracing::warn!(error = %error, "the end of a chunk could not be written to the signal table");
            }
            let _ = written.send(result.is_ok());
        }
        state.connections = Some(connections);
    }

    async fn connect(&self) -> Result<Connections, TaskError> {
        let session = open_session(&self.settings).await?;
        Ok(Connections { session, wire: self.reader().await? })
    }

    async fn reader(&self) -> Result<Wire, TaskError> {
        open_reader(&self.settings, "SET default_transaction_read_only = on").await
    }

    /// The time that both rows bear; `None` where they are not written.
    async fn open_window(&self, session: &Session, id: &str) -> Option<String> {
        let table = self.settings.signals.watermark_table()?;
        let opened = now();
        let data = format!("{{\"openWindowTimestamp\": \"{opened}\"}}");
        let row = WindowRow { id: format!("{id}-open"), kind: "snapshot-window-open", data };
        match session.batch_execute(&self.insert(&table, &row)).await {
            Ok(()) => Some(opened),
            Err(error) => {
                let error = pg::Error::from(error);
                tracing::warn!(
                    error = %error,
                    repair = %format!("GRANT INSERT ON {table} TO {}", quote::identifier(&self.settings.connect.user)),
                    "the signal table cannot be written: the chunk's position in the WAL is used"
                );
                None
            }
        }
    }

    async fn close_window(&self, session: &Session, id: &str, opened: &str) -> Result<(), TaskError> {
        let Some(table) = self.settings.signals.watermark_table() else { return Ok(()) };
        let statement = match self.settings.signals.watermarks {
            Watermarks::InsertDelete => {
                format!("DELETE FROM {table} WHERE id = {}", quote::literal(&format!("{id}-open")))
            }
            Watermarks::InsertInsert => {
                let data = format!(
                    "{{\"openWindowTimestamp\": \"{opened}\", \"closeWindowTimestamp\": \"{}\"}}",
                    now()
                );
                let row = WindowRow { id: format!("{id}-close"), kind: "snapshot-window-close", data };
                self.insert(&table, &row)
            }
        };
        session.batch_execute(&statement).await.map_err(failure::from_client)
    }

    fn insert(&self, table: &str, row: &WindowRow) -> String {
        // Versions before wrote no data.
        let data = match self.settings.compat >= Compat::V27 {
            true => quote::literal(&row.data),
            false => "NULL".to_owned(),
        };
        format!(
            "INSERT INTO {table} VALUES ({}, {}, {data})",
            quote::literal(&row.id),
            quote::literal(row.kind)
        )
    }

    /// The next rows of the first table that has any.
    async fn read(
        &self,
        state: &mut State,
        connections: &mut Connections,
        request: &Request,
    ) -> Result<Outcome, TaskError> {
        let mut outcome = Outcome { done: vec![], chunk: None, watermarks: false };
        for (number, entry) in request.tables.iter().enumerate() {
            let keys = match number {
                0 => (request.last_key.clone(), request.maximum_key.clone()),
                _ => (None, None),
            };
            let status = match self.table(state, connections, entry, keys).await {
                Ok(Found::Chunk(chunk)) => {
                    outcome.chunk = Some(*chunk);
                    return Ok(outcome);
                }
                Ok(Found::Nothing(status)) => status,
                Err(Failed::Sql(error)) => {
                    tracing::error!(table = %entry.name, error = %error, "the table cannot be read by the incremental snapshot");
                    let rolled_back = connections.wire.simple_query("ROLLBACK").await;
                    rolled_back.map_err(failure::from_pg)?;
                    state.plan = None;
                    Status::Failed
                }
                Err(Failed::Task(error)) => return Err(error),
            };
            outcome.done.push(status);
        }
        Ok(outcome)
    }

    async fn table(
        &self,
        state: &mut State,
        connections: &mut Connections,
        entry: &Entry,
        (last_key, maximum_key): (Option<Key>, Option<Key>),
    ) -> Result<Found, Failed> {
        for _ in 0..TRIES_MAX {
            if state.plan.as_ref().is_none_or(|plan| plan.entry != *entry) {
                (state.plan, state.rows_max) = (None, None);
                match Plan::new(&connections.session, &self.making(), entry).await? {
                    Ok(plan) => state.plan = Some(plan),
                    Err(Unreadable::Unknown) => return Ok(Found::Nothing(Status::Unknown)),
                    Err(Unreadable::NoKey) => return Ok(Found::Nothing(Status::NoKey)),
                }
            }
            let Some(plan) = &state.plan else { continue };
            self.reading.store(plan.oid, Ordering::SeqCst);
            let rows_max = state.rows_max.unwrap_or(self.settings.signals.chunk_rows);
            // Without the end that it was read to, the beginning says nothing.
            let fits = maximum_key.as_ref().is_some_and(|key| plan.fits(key));
            let keys = if fits { (last_key.as_ref(), maximum_key.clone()) } else { (None, None) };
            let copied = copy(&mut connections.wire, plan, keys, rows_max).await;
            if let Ok(Some(Copied { is_cut: true, scanned, .. })) = &copied {
                // The rest of the COPY is not wanted.
                connections.wire = self.reader().await.map_err(Failed::Task)?;
                state.rows_max = Some((*scanned as usize).max(1));
            }
            if !plan.is_current(&connections.session).await? {
                connections.wire.simple_query("ROLLBACK").await?;
                state.plan = None;
                continue;
            }
            let Some(copied) = copied? else { return Ok(Found::Nothing(Status::Empty)) };
            if copied.scanned == 0 {
                return Ok(Found::Nothing(Status::Succeeded));
            }
            let (rows, last_key) = plan.rows(copied.chunks, &self.settings).map_err(Failed::Task)?;
            return Ok(Found::Chunk(Box::new(Chunk {
                oid: plan.oid,
                table: plan.table.clone(),
                rows,
                scanned: copied.scanned,
                last_key,
                maximum_key: copied.maximum,
                seen: copied.seen,
                lsn: copied.lsn,
            })));
        }
        Err(Failed::Task(TaskError::retry(format!("{} changes while it is read", entry.name))))
    }

    fn making(&self) -> Making<'_> {
        Making {
            settings: &self.settings,
            source_schema: &self.source_schema,
            transaction_schema: &self.transaction_schema,
        }
    }
}

struct WindowRow {
    id: String,
    kind: &'static str,
    data: String,
}

enum Found {
    Chunk(Box<Chunk>),
    Nothing(Status),
}

enum Failed {
    /// The server refused a statement: another table may work.
    Sql(pg::Error),
    Task(TaskError),
}

impl From<pg::Error> for Failed {
    fn from(error: pg::Error) -> Self {
        if error.code().is_some() && !error.class().is_transient() {
            Self::Sql(error)
        } else {
            Self::Task(failure::from_pg(error))
        }
    }
}

/// What a COPY gave.
struct Copied {
    chunks: VecDeque<bytes::Bytes>,
    scanned: u64,
    maximum: Key,
    seen: Seen,
    lsn: u64,
    /// There was more than may be: the connection is in the middle of it.
    is_cut: bool,
}

const WHERE: &str = "SELECT txid_current_snapshot()::text, (CASE WHEN pg_is_in_recovery() \
     THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text";

/// Reads a chunk in a snapshot of its own; `None` where the table has no rows. The transaction stays open where it
/// was refused.
async fn copy(
    wire: &mut Wire,
    plan: &Plan,
    (last_key, maximum_key): (Option<&Key>, Option<Key>),
    rows_max: usize,
) -> Result<Option<Copied>, pg::Error> {
    wire.simple_query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let (seen, lsn) = place(&wire.simple_query(WHERE).await?)
        .ok_or_else(|| pg::Error::protocol("the server did not say where it is"))?;
    let maximum = match maximum_key {
        Some(key) => key,
        None => match wire.simple_query(&plan.maximum_sql()).await?.pop() {
            Some(row) => plan.maximum(row),
            None => {
                wire.simple_query("COMMIT").await?;
                return Ok(None);
            }
        },
    };
    let version = wire.parameter("server_version").map_or(0, major);
    wire.start_copy(&plan.chunk_sql(last_key, &maximum, rows_max, version)).await?;
    let mut copied = Copied { chunks: VecDeque::new(), scanned: 0, maximum, seen, lsn, is_cut: false };
    let mut bytes = 0;
    while let Some(chunk) = wire.copy_chunk().await? {
        bytes += chunk.len();
        copied.scanned += pg::wire::Frames::new(&chunk).count() as u64;
        copied.chunks.push_back(chunk);
        // Rows of one key are never parted.
        if bytes > CHUNK_BYTES_MAX && !plan.has_ties {
            copied.is_cut = true;
            return Ok(Some(copied));
        }
    }
    wire.simple_query("COMMIT").await?;
    Ok(Some(copied))
}

fn place(rows: &[TextRow]) -> Option<(Seen, u64)> {
    let row = rows.first()?;
    let seen = Seen::parse(row.first()?.as_deref()?)?;
    let lsn: Lsn = row.get(1)?.as_deref()?.parse().ok()?;
    Some((seen, lsn.0))
}

fn major(version: &str) -> u32 {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// As Java's `Instant` is written.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let date = pg::temporal::civil_from_days(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
        date.year,
        date.month,
        date.day,
        time / 3600,
        time / 60 % 60,
        time % 60,
        since.subsec_nanos()
    )
}
