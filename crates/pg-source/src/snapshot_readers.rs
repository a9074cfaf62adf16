//! The connections that read the snapshot, and the parts of tables that they read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use connect::{Buffer, TaskError};
use pg::wire::{Purpose, Wire};
use pg::{Session, quote};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::failure;
use crate::settings::Settings;
use crate::slot::Candidate;

/// A table is read in parts of this many pages (256 MiB) when there is more than one reader.
const PART_PAGES: i64 = 32_768;
const PAGE_BYTES: i64 = 8192;
/// Bytes of rows that may wait to be decoded.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Chunks are bounded by bytes; this bounds their number for the channel's own sake.
const CHUNKS_MAX: usize = 1024;

pub type Receiver = mpsc::Receiver<Result<Delivery, TaskError>>;

/// A part of a table to read.
pub struct Part {
    pub table: usize,
    pub sql: String,
}

pub enum Delivery {
    Chunk(Chunk),
    PartDone { table: usize },
}

pub struct Chunk {
    pub table: usize,
    pub bytes: Bytes,
    pub buffer: Buffer,
    _room: OwnedSemaphorePermit,
}

/// A session with the statements that every session runs first.
pub async fn open_session(settings: &Settings) -> Result<Session, TaskError> {
    let session = pg::connect(&settings.connect).await.map_err(failure::from_pg)?;
    for statement in &settings.initial_statements {
        session.batch_execute(statement).await.map_err(failure::from_client)?;
    }
    Ok(session)
}

pub async fn open_reader(settings: &Settings, begin: &str) -> Result<Wire, TaskError> {
    let connect = settings.connect.named("Debezium Initial Snapshot");
    let mut wire = Wire::connect(&connect, Purpose::Sql).await.map_err(failure::from_pg)?;
    for statement in &settings.initial_statements {
        wire.simple_query(statement).await.map_err(failure::from_pg)?;
    }
    // The decoder reads ISO dates and the rest whatever those statements say.
    let settings = "SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; \
                    SET extra_float_digits = 3; SET lc_monetary = 'C'";
    wire.simple_query(settings).await.map_err(failure::from_pg)?;
    wire.simple_query(begin).await.map_err(failure::from_pg)?;
    Ok(wire)
}

pub async fn lock(session: &Session, settings: &Settings, tables: &[&Candidate]) -> Result<(), TaskError> {
    let Some(timeout) = settings.snapshot_locks else { return Ok(()) };
    let mut sql = format!("SET LOCAL lock_timeout = {};", timeout.as_millis());
    for table in tables {
        sql.push_str(&format!("LOCK TABLE {} IN ACCESS SHARE MODE;", table.quoted()));
    }
    session.batch_execute(&sql).await.map_err(failure::from_client)
}

/// One COPY for the table, or one for each range of its pages.
pub fn part_sql(table: &Candidate, columns: &str, threads: usize) -> Vec<String> {
    let partitioned = table.kind == pg::catalog::RelationKind::PartitionedTable;
    // A partitioned table has its rows in its partitions, an inheritance parent has only its own.
    let only = if partitioned { "" } else { "ONLY " };
    let select =
        |filter: &str| format!("COPY (SELECT {columns} FROM {only}{}{filter}) TO STDOUT", table.quoted());
    let pages = table.bytes / PAGE_BYTES;
    if threads < 2 || pages <= PART_PAGES {
        return vec![select("")];
    }
    (0..pages)
        .step_by(PART_PAGES as usize)
        .map(|start| {
            let end = start + PART_PAGES;
            // The table may have grown: the last range has no end.
            let filter = if end >= pages {
                format!(" WHERE ctid >= '({start},0)'")
            } else {
                format!(" WHERE ctid >= '({start},0)' AND ctid < '({end},0)'")
            };
            select(&filter)
        })
        .collect()
}

/// One COPY of a statement of the user's own: the table's columns by their names, null where it has none of a name.
pub async fn select_sql(session: &Session, statement: &str, columns: &[&str]) -> Result<String, TaskError> {
    let prepared = session.prepare(statement).await.map_err(failure::from_client)?;
    let has = |name: &str| prepared.columns().iter().any(|column| column.name() == name);
    let listed: Vec<_> = columns
        .iter()
        .map(|name| if has(name) { quote::identifier(name).to_string() } else { "NULL".to_owned() })
        .collect();
    Ok(format!("COPY (SELECT {} FROM ({statement}) AS overridden) TO STDOUT", listed.join(", ")))
}

pub fn spawn_readers(wires: Vec<Wire>, parts: VecDeque<Part>) -> (Vec<JoinHandle<()>>, Receiver) {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let parts: Arc<Vec<Part>> = Arc::new(parts.into());
    let next = Arc::new(AtomicUsize::new(0));
    let room = Arc::new(Semaphore::new(QUEUE_BYTES));
    let readers = wires
        .into_iter()
        .map(|wire| {
            let reader = Reader {
                wire,
                parts: parts.clone(),
                next: next.clone(),
                room: room.clone(),
                sender: sender.clone(),
            };
            tokio::spawn(reader.run())
        })
        .collect();
    (readers, receiver)
}

struct Reader {
    wire: Wire,
    parts: Arc<Vec<Part>>,
    next: Arc<AtomicUsize>,
    room: Arc<Semaphore>,
    sender: mpsc::Sender<Result<Delivery, TaskError>>,
}

impl Reader {
    async fn run(mut self) {
        let parts = self.parts.clone();
        while let Some(part) = parts.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let result = self.read(part).await;
            let failed = result.is_err();
            let delivery = result.map(|()| Delivery::PartDone { table: part.table });
            if self.sender.send(delivery).await.is_err() || failed {
                return;
            }
        }
        self.wire.close().await;
    }

    async fn read(&mut self, part: &Part) -> Result<(), TaskError> {
        let started = self.wire.start_copy(&part.sql).await;
        started.map_err(|error| failure::from_pg(error.context("could not read a table of the snapshot")))?;
        while let Some(bytes) = self.wire.copy_chunk().await.map_err(failure::from_pg)? {
            let permits = u32::try_from(bytes.len().min(QUEUE_BYTES)).unwrap_or(u32::MAX);
            let room = self.room.clone().acquire_many_owned(permits).await;
            let Ok(room) = room else { return Ok(()) };
            let buffer = Buffer::new(bytes.clone());
            let chunk = Chunk { table: part.table, bytes, buffer, _room: room };
            if self.sender.send(Ok(Delivery::Chunk(chunk))).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
