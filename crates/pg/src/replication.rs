//! The replication protocol: slots, and a stream of WAL that is read and answered by a task of its own.
//!
//! The task reads the socket as long as there is room for what it reads, and sends feedback by its own clock, so
//! that neither a slow consumer nor a long silence lets the server time out. What it hands over are chunks of
//! whole frames ([`crate::wire`]), bounded by bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::connect::ConnectSettings;
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::quote;
use crate::wire::{Frames, Purpose, TextRow, Wire};

/// Microseconds from the Unix epoch to PostgreSQL's (2000-01-01).
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A walsender that waits for commands.
pub struct ReplicationConnection {
    wire: Wire,
}

/// Answer to IDENTIFY_SYSTEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemIdentity {
    pub system_id: String,
    pub timeline: u32,
    /// Where the WAL ends.
    pub position: Lsn,
    pub database: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    Permanent,
    /// Gone with this connection.
    Temporary,
}

/// A slot that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedSlot {
    /// Everything that commits from here on will be streamed; the snapshot shows all before.
    pub consistent_point: Lsn,
    /// Usable in `SET TRANSACTION SNAPSHOT` until this connection runs its next command.
    pub snapshot: Option<String>,
}

/// What to make.
#[derive(Clone, Debug)]
pub struct NewSlot<'a> {
    pub name: &'a str,
    pub lifetime: Lifetime,
    pub plugin: &'a str,
    pub failover: Failover,
}

/// Whether a slot is kept on standbys too (PostgreSQL 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    Yes,
    No,
}

impl ReplicationConnection {
    pub async fn connect(settings: &ConnectSettings) -> Result<Self> {
        Ok(Self { wire: Wire::connect(settings, Purpose::Replication).await? })
    }

    /// A setting that the server reports.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.wire.parameter(name)
    }

    /// The walsender's process.
    pub fn process_id(&self) -> i32 {
        self.wire.process_id()
    }

    /// Any command or statement; a walsender that is connected to a database takes SQL too.
    pub async fn simple_query(&mut self, sql: &str) -> Result<Vec<TextRow>> {
        self.wire.simple_query(sql).await
    }

    pub async fn identify_system(&mut self) -> Result<SystemIdentity> {
        let rows = self.wire.simple_query("IDENTIFY_SYSTEM").await?;
        let field = |index: usize| rows.first()?.get(index)?.clone();
        let parse = || {
            Some(SystemIdentity {
                system_id: field(0)?,
                timeline: field(1)?.parse().ok()?,
                position: field(2)?.parse().ok()?,
                database: field(3),
            })
        };
        parse().ok_or_else(|| Error::protocol("unexpected answer to IDENTIFY_SYSTEM"))
    }

    /// Makes a logical slot, and exports the snapshot that belongs to it.
    pub async fn create_slot(&mut self, slot: &NewSlot<'_>) -> Result<CreatedSlot> {
        let sql = format!(
            "CREATE_REPLICATION_SLOT {}{} LOGICAL {}{}",
            quote::identifier(slot.name),
            if slot.lifetime == Lifetime::Temporary { " TEMPORARY" } else { "" },
            quote::identifier(slot.plugin),
            // Exporting is the default in every version, and the syntax of saying so changed in 15.
            if slot.failover == Failover::Yes { " (FAILOVER)" } else { "" },
        );
        let rows = self.wire.simple_query(&sql).await?;
        let field = |index: usize| rows.first()?.get(index)?.clone();
        let parse = || Some(CreatedSlot { consistent_point: field(1)?.parse().ok()?, snapshot: field(2) });
        parse().ok_or_else(|| Error::protocol("unexpected answer to CREATE_REPLICATION_SLOT"))
    }

    /// Removes a slot, waiting until nobody uses it.
    pub async fn drop_slot(&mut self, name: &str) -> Result<()> {
        self.wire.simple_query(&format!("DROP_REPLICATION_SLOT {} WAIT", quote::identifier(name))).await?;
        Ok(())
    }

    /// Starts streaming; from here on a task owns the connection.
    pub async fn start(mut self, start: &StartReplication<'_>) -> Result<ReplicationStream> {
        let options: Vec<_> = start
            .options
            .iter()
            .map(|(name, value)| format!("{} {}", quote::identifier(name), option_value(value)))
            .collect();
        let sql = format!(
            "START_REPLICATION SLOT {} LOGICAL {} ({})",
            quote::identifier(start.slot),
            start.from,
            options.join(", ")
        );
        self.wire.start_copy(&sql).await?;
        Ok(ReplicationStream::spawn(self.wire, start))
    }

    pub async fn close(self) {
        self.wire.close().await;
    }
}

/// The replication grammar knows `'` doubled and nothing else.
fn option_value(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// How to stream.
#[derive(Clone, Debug)]
pub struct StartReplication<'a> {
    pub slot: &'a str,
    /// The server begins at the slot's confirmed position where that is later.
    pub from: Lsn,
    /// Options of the output plugin.
    pub options: &'a [(String, String)],
    /// Longest silence towards the server.
    pub feedback_interval: Duration,
    /// Bytes that may wait for the consumer.
    pub queue_bytes: usize,
}

/// Whole frames, and the room that they take until they are dropped.
pub struct Chunk {
    pub bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// A frame of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Wal {
        /// Position of the message; 0 for messages that have none (relations).
        start: Lsn,
        /// Range of the plugin's message within the chunk.
        content: std::ops::Range<usize>,
    },
    KeepAlive {
        // The documentation says "end of WAL", but it is the last position that was *sent*: everything before
        // it is in earlier frames.
        sent: Lsn,
        reply_requested: bool,
    },
}

impl Frame {
    /// Reads the frame whose content lies at `range` of `chunk`.
    pub fn parse(chunk: &[u8], range: std::ops::Range<usize>) -> Result<Self> {
        let content = chunk.get(range.clone()).ok_or_else(|| Error::protocol("frame outside its chunk"))?;
        match content.first() {
            Some(b'w') => {
                // Letter, start, end, clock.
                let start = be_u64(content, 1)?;
                if content.len() < 25 {
                    return Err(Error::protocol("short WAL frame"));
                }
                Ok(Self::Wal { start: Lsn(start), content: range.start + 25..range.end })
            }
            Some(b'k') => {
                let reply = *content.get(17).ok_or_else(|| Error::protocol("short keep-alive"))?;
                Ok(Self::KeepAlive { sent: Lsn(be_u64(content, 1)?), reply_requested: reply == 1 })
            }
            other => Err(Error::protocol(format!("unknown frame {other:?} in the replication stream"))),
        }
    }
}

fn be_u64(bytes: &[u8], at: usize) -> Result<u64> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    field.map(|field| u64::from_be_bytes(*field)).ok_or_else(|| Error::protocol("short frame"))
}

/// The walsender sends message by message, and a reader that keeps up would pay a system call and two wake-ups for
/// each. When this many reads come within [`REST`] it rests that long before the next: what the socket has collected
/// meanwhile comes in one piece. At moderate rates nothing rests, and nothing is late.
const READS_BEFORE_REST: u32 = 8;
/// Resting goes on as long as a rest was worth so many frames.
const FRAMES_WORTH_A_REST: usize = 16;
const REST: Duration = Duration::from_millis(1);

/// Whether the reader rests.
struct Pace {
    reads: u32,
    since: Instant,
    resting: Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Yes,
    No,
}

impl Pace {
    /// Called with what one read gave; says whether to rest before the next.
    fn after_read(&mut self, frames: usize) -> Rest {
        if self.resting == Rest::Yes {
            if frames < FRAMES_WORTH_A_REST {
                *self = Self { reads: 0, since: Instant::now(), resting: Rest::No };
            }
            return self.resting;
        }
        self.reads += 1;
        if self.reads >= READS_BEFORE_REST {
            let now = Instant::now();
            let resting = if now - self.since < REST { Rest::Yes } else { Rest::No };
            *self = Self { reads: 0, since: now, resting };
        }
        self.resting
    }
}

/// What the consumer and the reading task share.
#[derive(Default)]
struct Shared {
    /// What the server may forget.
    confirmed: AtomicU64,
    /// Where the last frame that was read began, or the last keep-alive's position.
    received: AtomicU64,
    feedback_wanted: Notify,
}

/// A running stream. Dropping it ends the task and the connection.
pub struct ReplicationStream {
    chunks: mpsc::Receiver<Result<Chunk>>,
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    queue_bytes: usize,
    task: JoinHandle<()>,
    process_id: i32,
}

/// Confirms positions from anywhere.
#[derive(Clone)]
pub struct Confirm(Arc<Shared>);

impl Confirm {
    /// The server may forget everything before. Never goes back.
    pub fn up_to(&self, lsn: Lsn) {
        if self.0.confirmed.fetch_max(lsn.0, Ordering::AcqRel) < lsn.0 {
            self.0.feedback_wanted.notify_one();
        }
    }
}

/// Chunks are bounded by bytes; this bounds their number for the channel's own sake.
const CHUNKS_MAX: usize = 4096;

impl ReplicationStream {
    fn spawn(wire: Wire, start: &StartReplication<'_>) -> Self {
        let shared = Arc::new(Shared::default());
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        let process_id = wire.process_id();
        let room = Arc::new(Semaphore::new(start.queue_bytes));
        let queue_bytes = start.queue_bytes;
        let reader = Reader {
            wire,
            sender,
            shared: shared.clone(),
            room: room.clone(),
            queue_bytes,
            interval: start.feedback_interval,
        };
        Self { chunks, shared, room, queue_bytes, task: tokio::spawn(reader.run()), process_id }
    }

    /// The next chunk; `None` when the server ended the stream. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        self.chunks.recv().await.transpose()
    }

    /// A chunk that is already there.
    pub fn try_next(&mut self) -> Result<Option<Chunk>> {
        self.chunks.try_recv().ok().transpose()
    }

    pub fn confirm(&self) -> Confirm {
        Confirm(self.shared.clone())
    }

    /// Newest position that came over the wire.
    pub fn received(&self) -> Lsn {
        Lsn(self.shared.received.load(Ordering::Acquire))
    }

    /// Bytes that wait for the consumer.
    pub fn queued_bytes(&self) -> usize {
        self.queue_bytes - self.room.available_permits()
    }

    /// The walsender's process.
    pub fn process_id(&self) -> i32 {
        self.process_id
    }
}

impl Drop for ReplicationStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// State of the reading task.
struct Reader {
    wire: Wire,
    sender: mpsc::Sender<Result<Chunk>>,
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    queue_bytes: usize,
    interval: Duration,
}

impl Reader {
    async fn run(mut self) {
        let result = self.pump().await;
        if let Err(error) = result {
            // The consumer may be gone already.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    async fn pump(&mut self) -> Result<()> {
        let mut clock = tokio::time::interval(self.interval);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut waiting: Option<Bytes> = None;
        let mut pace = Pace { reads: 0, since: Instant::now(), resting: Rest::No };
        let mut rest = Rest::No;
        loop {
            let room = waiting.as_ref().map(|bytes| self.permits(bytes.len()));
            // Feedback first: it is rare and must not starve; then room for what was read; then reading.
            tokio::select! {
                biased;
                _ = clock.tick() => self.feedback().await?,
                () = self.shared.feedback_wanted.notified() => self.feedback().await?,
                permit = acquire(&self.room, room), if room.is_some() => {
                    let Some(bytes) = waiting.take() else { continue };
                    let chunk = Chunk { bytes, _room: permit? };
                    if self.sender.send(Ok(chunk)).await.is_err() {
                        return Ok(());
                    }
                    if rest == Rest::Yes {
                        tokio::time::sleep(REST).await;
                    }
                }
                chunk = self.wire.copy_chunk(), if waiting.is_none() => {
                    let Some(bytes) = chunk? else { return Ok(()) };
                    let (frames, reply) = self.look(&bytes)?;
                    rest = pace.after_read(frames);
                    if reply == Reply::Wanted {
                        self.feedback().await?;
                    }
                    waiting = Some(bytes);
                }
            }
        }
    }

    /// A chunk larger than the queue takes all of it. A small one takes so much that the channel is never full before
    /// the queue is: waiting for the channel would keep feedback waiting.
    fn permits(&self, bytes: usize) -> u32 {
        let least = self.queue_bytes.div_ceil(CHUNKS_MAX);
        u32::try_from(bytes.max(least).min(self.queue_bytes)).unwrap_or(u32::MAX)
    }

    /// Counts the frames, notes how far the chunk goes and whether the server wants an answer.
    fn look(&self, bytes: &Bytes) -> Result<(usize, Reply)> {
        let mut frames = 0;
        let mut reply = Reply::NotWanted;
        let mut received = 0;
        for range in Frames::new(bytes) {
            frames += 1;
            match Frame::parse(bytes, range)? {
                Frame::Wal { start, .. } => received = received.max(start.0),
                Frame::KeepAlive { sent, reply_requested } => {
                    received = received.max(sent.0);
                    if reply_requested {
                        reply = Reply::Wanted;
                    }
                }
            }
        }
        self.shared.received.fetch_max(received, Ordering::AcqRel);
        Ok((frames, reply))
    }

    /// Standby status update: written, flushed, applied, clock, no reply wanted.
    async fn feedback(&mut self) -> Result<()> {
        let confirmed = self.shared.confirmed.load(Ordering::Acquire);
        let received = self.shared.received.load(Ordering::Acquire).max(confirmed);
        let mut message = [0_u8; 34];
        message[0] = b'r';
        message[1..9].copy_from_slice(&received.to_be_bytes());
        message[9..17].copy_from_slice(&confirmed.to_be_bytes());
        message[17..25].copy_from_slice(&confirmed.to_be_bytes());
        message[25..33].copy_from_slice(&postgres_now().to_be_bytes());
        self.wire.send_copy_data(&message).await
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Wanted,
    NotWanted,
}

async fn acquire(room: &Arc<Semaphore>, permits: Option<u32>) -> Result<OwnedSemaphorePermit> {
    let permit = room.clone().acquire_many_owned(permits.unwrap_or(0)).await;
    permit.map_err(|_| Error::protocol("the queue was closed"))
}

/// PostgreSQL's clock: microseconds since 2000.
fn postgres_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    i64::try_from(now).unwrap_or(i64::MAX) - POSTGRES_EPOCH_MICROS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let mut wal = vec![b'w'];
        wal.extend(7_u64.to_be_bytes());
        wal.extend([0; 16]);
        wal.extend(b"B...");
        let expected = Frame::Wal { start: Lsn(7), content: 25..29 };
        assert_eq!(Frame::parse(&wal, 0..wal.len()).unwrap(), expected);
        let mut alive = vec![b'k'];
        alive.extend(9_u64.to_be_bytes());
        alive.extend([0; 8]);
        alive.push(1);
        let expected = Frame::KeepAlive { sent: Lsn(9), reply_requested: true };
        assert_eq!(Frame::parse(&alive, 0..alive.len()).unwrap(), expected);
        for length in 0..wal.len() - 4 {
            assert!(Frame::parse(&wal, 0..length).is_err());
        }
        assert!(Frame::parse(b"x", 0..1).is_err());
    }
}
