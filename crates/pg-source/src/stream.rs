//! The stream: frames in, events out, each at its place in its transaction.

use std::sync::Arc;

use bytes::Bytes;
use connect::{Buffer, Record, TaskError, Text};
use pg::pgoutput::{self, Message, Relation, Tuples};
use pg::replication::{Chunk, Frame, ReplicationStream};
use pg::wire::Frames;

use crate::envelope::{Envelopes, Marker, Op, Place};
use crate::failure;
use crate::logical_message;
use crate::metrics::StreamMetrics;
use crate::position::{MessageType, Position, StreamPosition};
use crate::row_event::{Event, count_records, row_event, unprocessable};
use crate::settings::{Compat, Operations, Settings};
use crate::signals::{ClosedAt, Signals};
use crate::tables::Table;
use crate::tables_cache::{Entry, TablesCache};
use crate::transaction::{Filter, Transaction};
use crate::transaction_metadata::{self, TransactionMetadata};

/// Records that were made and not handed over yet.
#[derive(Default)]
pub struct Output {
    pub records: Vec<Record>,
    pub bytes: usize,
    /// After the last record.
    pub position: Option<Position>,
}

/// Why decoding paused.
pub enum Pause {
    /// All that was read is decoded.
    NeedChunk,
    /// The catalogue must be asked before the next event.
    NeedRelation(Box<Relation>),
    BatchFull,
    /// A signal came, or a chunk of an incremental snapshot has its place here.
    Signal,
    /// Only while catching up: everything before the wanted position was sent.
    Reached,
}

/// State of decoding one stream.
pub struct Stream {
    frames: ReplicationStream,
    current: Option<Current>,
    tuples: Tuples,
    transaction: Option<Transaction>,
    filter: Filter,
    origin: Option<(Text, u64)>,
    /// End of the last transaction.
    commit: Option<u64>,
    /// Positions that are stored do not go back behind this one: it was handed over while nothing happened, and the
    /// slot may be there already.
    floor: u64,
    /// Where the source is although no record says so: a commit, or a keep-alive.
    tail: Option<StreamPosition>,
    /// The server waits for an answer that says more than the last one.
    pub reply_wanted: bool,
    /// Stop before the transactions that commit from here on.
    until: Option<u64>,
    last: Option<(u32, Arc<Table>)>,
    metadata: Option<Box<TransactionMetadata>>,
}

struct Current {
    chunk: Chunk,
    buffer: Buffer,
    at: usize,
}

/// What the events are made with.
pub struct Context<'a> {
    pub settings: &'a Settings,
    pub tables: &'a mut TablesCache,
    pub envelopes: &'a mut Envelopes,
    pub metrics: &'a mut StreamMetrics,
    /// `None` where nobody can send any.
    pub signals: Option<&'a mut Signals>,
}

impl Stream {
    pub fn new(frames: ReplicationStream, filter: Filter, commit: Option<u64>, until: Option<u64>) -> Self {
        Self {
            frames,
            current: None,
            tuples: Tuples::default(),
            transaction: None,
            filter,
            origin: None,
            commit,
            floor: 0,
            tail: None,
            reply_wanted: false,
            until,
            last: None,
            metadata: None,
        }
    }

    pub fn with_metadata(mut self, metadata: Option<TransactionMetadata>) -> Self {
        self.metadata = metadata.map(Box::new);
        self
    }

    pub fn metadata(&self) -> Option<&TransactionMetadata> {
        self.metadata.as_deref()
    }

    pub fn confirm(&self) -> pg::replication::Confirm {
        self.frames.confirm()
    }

    /// Bytes that were read from the server and wait to be decoded.
    pub fn queued_bytes(&self) -> usize {
        self.frames.queued_bytes()
    }

    pub fn received(&self) -> u64 {
        self.frames.received().0
    }

    /// Waits for more to decode. Cancel-safe.
    pub async fn fetch(&mut self) -> Result<(), TaskError> {
        let chunk = self.frames.next().await.map_err(failure::from_pg)?;
        let chunk = chunk.ok_or_else(|| TaskError::retry("the server ended the replication stream"))?;
        self.take(chunk);
        Ok(())
    }

    /// Takes what is there already; false when nothing is.
    pub fn fetch_ready(&mut self) -> Result<bool, TaskError> {
        match self.frames.try_next().map_err(failure::from_pg)? {
            Some(chunk) => {
                self.take(chunk);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn take(&mut self, chunk: Chunk) {
        let buffer = Buffer::new(Bytes::clone(&chunk.bytes));
        self.current = Some(Current { chunk, buffer, at: 0 });
    }

    /// Position of the source where it is beyond its last record and between two transactions.
    pub fn tail(&self) -> Option<StreamPosition> {
        if self.transaction.is_some() { None } else { self.tail }
    }

    /// Where the stream is between two transactions.
    pub fn between(&self) -> Option<ClosedAt> {
        if self.transaction.is_some() {
            return None;
        }
        self.tail.map(|tail| ClosedAt { lsn: tail.lsn, commit: tail.commit })
    }

    /// The tail was handed over.
    pub fn handed_tail(&mut self, tail: &StreamPosition) {
        self.reply_wanted = false;
        self.floor = self.floor.max(tail.commit.unwrap_or(0));
    }

    /// Decodes until there is a reason to pause. Events are never cut.
    pub fn decode(&mut self, context: &mut Context<'_>, out: &mut Output) -> Result<Pause, TaskError> {
        loop {
            let Some(current) = &self.current else { return Ok(Pause::NeedChunk) };
            // One count of references for the chunk, not for every frame.
            let (chunk, buffer, at) = (current.chunk.bytes.clone(), current.buffer.clone(), current.at);
            let mut frames = Frames::from(&chunk, at);
            match self.decode_chunk(&chunk, &buffer, &mut frames, context, out)? {
                Some(pause) => {
                    if let Some(current) = &mut self.current {
                        current.at = frames.position();
                    }
                    return Ok(pause);
                }
                None => self.current = None,
            }
        }
    }

    /// `None` at the end of the chunk. `frames` stands behind what was taken.
    fn decode_chunk<'c>(
        &mut self,
        chunk: &'c [u8],
        buffer: &Buffer,
        frames: &mut Frames<'c>,
        context: &mut Context<'_>,
        out: &mut Output,
    ) -> Result<Option<Pause>, TaskError> {
        let batch_max = context.settings.batch_records_max;
        loop {
            if out.records.len() >= batch_max || out.bytes >= BATCH_BYTES_MAX {
                return Ok(Some(Pause::BatchFull));
            }
            let before_frame = Frames::position(frames);
            let Some(range) = frames.next() else { return Ok(None) };
            let (lsn, content) = match Frame::parse(chunk, range).map_err(failure::from_pg)? {
                Frame::KeepAlive { sent, reply_requested } => {
                    if self.keep_alive(sent.0, reply_requested) {
                        return Ok(Some(Pause::Reached));
                    }
                    if self.reached(sent.0, context) {
                        return Ok(Some(Pause::Signal));
                    }
                    continue;
                }
                Frame::Wal { start, content } => (start.0, content),
            };
            let size = content.len();
            let message = pgoutput::decode(chunk, content, &mut self.tuples).map_err(failure::from_pg)?;
            if let Message::Begin { final_lsn, .. } = &message
                && self.until.is_some_and(|until| final_lsn.0 >= until)
            {
                *frames = Frames::from(chunk, before_frame);
                return Ok(Some(Pause::Reached));
            }
            let before = out.records.len();
            if let Some(relation) = self.message(message, lsn, buffer, context, out)? {
                return Ok(Some(Pause::NeedRelation(relation)));
            }
            if out.records.len() > before {
                out.bytes += size + (out.records.len() - before) * RECORD_BYTES;
            }
            if context.signals.as_ref().is_some_and(|signals| signals.pauses()) {
                return Ok(Some(Pause::Signal));
            }
        }
    }

    /// Tells the signals that everything before was streamed; true where they have something to do then.
    #[inline]
    fn reached(&self, lsn: u64, context: &mut Context<'_>) -> bool {
        let Some(signals) = context.signals.as_deref_mut() else { return false };
        if self.transaction.is_none() {
            signals.reached(lsn);
        }
        signals.pauses()
    }

    /// True when catching up has come to its end.
    fn keep_alive(&mut self, sent: u64, reply_requested: bool) -> bool {
        self.reply_wanted |= reply_requested;
        if self.transaction.is_some() {
            return false;
        }
        if self.until.is_some_and(|until| sent >= until) {
            return true;
        }
        // Everything that committed before was sent: the source is at least here.
        if self.commit.is_none_or(|commit| sent > commit) && self.tail.is_none_or(|tail| sent > tail.lsn) {
            let (transaction, time_micros) =
                self.tail.map_or((None, crate::envelope::now_nanos() / 1000), |tail| {
                    (tail.transaction, tail.time_micros)
                });
            self.tail = Some(StreamPosition {
                commit: Some(sent),
                lsn: sent,
                processed: sent.saturating_sub(1),
                message: MessageType::Commit,
                transaction,
                time_micros,
                event: None,
            });
        }
        false
    }

    #[inline]
    fn message(
        &mut self,
        message: Message<'_>,
        lsn: u64,
        buffer: &Buffer,
        context: &mut Context<'_>,
        out: &mut Output,
    ) -> Result<Option<Box<Relation>>, TaskError> {
        let (relation, op, kind, old) = match message {
            Message::Insert { relation } => (relation, Op::Create, MessageType::Insert, None),
            Message::Update { relation, old } => (relation, Op::Update, MessageType::Update, old),
            Message::Delete { relation, old } => (relation, Op::Delete, MessageType::Delete, Some(old)),
            Message::Relation(relation) => return Ok(Some(relation)),
            other => {
                self.rare(other, lsn, context, out)?;
                return Ok(None);
            }
        };
        let wanted = self.count_event(lsn)?;
        let skipped = context.settings.skipped;
        let skip = match op {
            Op::Create => skipped.create,
            // With the old row the key may have changed: that is a delete and a create.
            Op::Update => skipped.update && old.is_none(),
            _ => skipped.delete,
        };
        // What was sent before is made again only to be counted.
        if skip || (!wanted && self.metadata.is_none()) {
            if wanted && context.signals.is_some() {
                self.skipped_signal(relation, (op, old, lsn), buffer, context)?;
            }
            return Ok(None);
        }
        let Some(table) = self.table(relation, context)? else {
            context.metrics.filtered += 1;
            return Ok(None);
        };
        let place = self.place(lsn);
        let event = Event { op, old, buffer, place: &place, skipped };
        let start = out.records.len();
        let made = row_event(&table, &self.tuples, &event, context.envelopes, &mut out.records);
        if let Some(metadata) = &mut self.metadata {
            count_records(metadata, &table, lsn, context.envelopes, &mut out.records[start..]);
            if !wanted {
                out.records.truncate(start);
                context.envelopes.take_back(start);
                self.last = Some((relation, table));
                return Ok(None);
            }
        }
        match made {
            Ok(()) => {
                context.metrics.seen(op, place.time_micros);
                out.position = Some(Position::Stream(self.event_position(lsn, kind)));
                if let Some(signals) = context.signals.as_deref_mut() {
                    let at = ClosedAt { lsn, commit: self.commit };
                    signals.changed(relation, &table, &out.records[start..], at);
                }
            }
            Err(error) => unprocessable(&table, &error, lsn, context)?,
        }
        self.last = Some((relation, table));
        Ok(None)
    }

    /// Operations that are not sent are signals all the same.
    #[cold]
    fn skipped_signal(
        &mut self,
        relation: u32,
        (op, old, lsn): (Op, Option<pgoutput::OldRow>, u64),
        buffer: &Buffer,
        context: &mut Context<'_>,
    ) -> Result<(), TaskError> {
        let Some(table) = self.table(relation, context)?.filter(|table| table.is_signals) else {
            return Ok(());
        };
        let place = self.place(lsn);
        let event = Event { op, old, buffer, place: &place, skipped: Operations::default() };
        let mut records = vec![];
        // In an envelope of its own: its records are not a part of the batch.
        let mut envelopes = Envelopes::new(context.settings, "0");
        let made = row_event(&table, &self.tuples, &event, &mut envelopes, &mut records);
        if let (Ok(()), Some(signals)) = (made, context.signals.as_deref_mut()) {
            signals.changed(relation, &table, &records, ClosedAt { lsn, commit: self.commit });
        }
        Ok(())
    }

    fn rare(
        &mut self,
        message: Message<'_>,
        lsn: u64,
        context: &mut Context<'_>,
        out: &mut Output,
    ) -> Result<(), TaskError> {
        match message {
            Message::Begin { final_lsn, commit_time, xid } => {
                self.origin = None;
                let transaction = self.filter.begin(final_lsn.0, i64::from(xid), commit_time);
                if let Some(signals) = context.signals.as_deref_mut() {
                    signals.begin(transaction.xid);
                }
                if let Some(metadata) = &mut self.metadata {
                    let record = metadata.begin(transaction.xid, lsn, commit_time);
                    out.records.extend(Some(record).filter(|_| transaction.is_new()));
                }
                self.transaction = Some(transaction);
            }
            Message::Commit { end_lsn, commit_time, .. } => {
                let ended = self.transaction.take();
                let transaction = ended.as_ref().map(|transaction| transaction.xid);
                self.commit = Some(end_lsn.0);
                self.origin = None;
                context.metrics.committed += 1;
                self.tail = Some(StreamPosition {
                    commit: self.commit,
                    lsn: end_lsn.0,
                    processed: end_lsn.0.saturating_sub(1),
                    message: MessageType::Commit,
                    transaction,
                    time_micros: commit_time,
                    event: None,
                });
                if let Some(signals) = context.signals.as_deref_mut() {
                    signals.reached(end_lsn.0);
                }
                if let Some(metadata) = &mut self.metadata
                    && ended.is_some_and(|transaction| !transaction.is_done())
                {
                    out.records.push(metadata.end(lsn, commit_time));
                    out.position = self.tail.map(Position::Stream);
                }
            }
            Message::Origin { lsn, name } => self.origin = Some((name.into(), lsn.0)),
            Message::Truncate { relations, .. } => self.truncated(relations, lsn, context, out)?,
            Message::Logical { transactional, lsn: message_lsn, prefix, content } => {
                let known = if transactional {
                    !self.count_event(lsn)?
                } else {
                    message_lsn.0 < self.filter.done_before()
                };
                self.logical(Logical { transactional, known, prefix, content }, lsn, context, out);
            }
            // Types are looked up in the catalogue when a relation needs them.
            _ => {}
        }
        Ok(())
    }

    fn truncated(
        &mut self,
        relations: Vec<u32>,
        lsn: u64,
        context: &mut Context<'_>,
        out: &mut Output,
    ) -> Result<(), TaskError> {
        let wanted = self.count_event(lsn)?;
        if let Some(signals) = context.signals.as_deref_mut() {
            relations.iter().for_each(|relation| signals.truncated(*relation));
        }
        if context.settings.skipped.truncate || (!wanted && self.metadata.is_none()) {
            return Ok(());
        }
        let place = self.place(lsn);
        for relation in relations {
            if let Some(table) = self.table(relation, context)? {
                let start = out.records.len();
                context.envelopes.truncate(&table, &place, &mut out.records);
                if let Some(metadata) = &mut self.metadata {
                    count_records(metadata, &table, lsn, context.envelopes, &mut out.records[start..]);
                    if !wanted {
                        out.records.truncate(start);
                        context.envelopes.take_back(start);
                        continue;
                    }
                }
                context.metrics.seen(Op::Truncate, place.time_micros);
                out.position = Some(Position::Stream(self.event_position(lsn, MessageType::Truncate)));
            }
        }
        Ok(())
    }

    fn logical(&mut self, message: Logical<'_>, lsn: u64, context: &mut Context<'_>, out: &mut Output) {
        let Logical { transactional, known, prefix, content } = message;
        if !context.settings.filters.takes_message(prefix) {
            return;
        }
        let block = match &mut self.metadata {
            Some(metadata) if transactional && context.settings.compat >= Compat::V30 => {
                metadata.count(transaction_metadata::MESSAGES, lsn)
            }
            _ => connect::Value::Null,
        };
        if known {
            return;
        }
        let mut place = self.place(lsn);
        if !transactional {
            place.transaction = None;
            place.time_micros = self.tail.map_or(place.time_micros, |tail| tail.time_micros);
            // It comes when it was written: whatever committed before was sent before.
            self.commit = self.commit.max(Some(lsn));
            place.commit = self.commit;
        }
        let record =
            logical_message::record(context.settings, context.envelopes, prefix, content, &place, block);
        out.records.push(record);
        if transactional {
            out.position = Some(Position::Stream(self.event_position(lsn, MessageType::Message)));
        }
    }

    /// Counts an event of the transaction; false where it was sent before.
    #[inline]
    fn count_event(&mut self, lsn: u64) -> Result<bool, TaskError> {
        match &mut self.transaction {
            Some(transaction) => Ok(transaction.count(lsn)),
            None => Err(TaskError::halt("the server sent a change outside a transaction")),
        }
    }

    #[inline]
    fn table(&mut self, relation: u32, context: &mut Context<'_>) -> Result<Option<Arc<Table>>, TaskError> {
        // The caller gives it back: rows of one table usually follow each other.
        if let Some((oid, table)) = self.last.take()
            && oid == relation
        {
            return Ok(Some(table));
        }
        match context.tables.get(relation) {
            Some(Entry::Captured(table)) => Ok(Some(table.clone())),
            Some(Entry::Ignored) => Ok(None),
            None => Err(TaskError::halt(format!("the server sent a row of the unknown relation {relation}"))),
        }
    }

    /// A relation was defined anew.
    pub fn forget_table(&mut self) {
        self.last = None;
    }

    #[inline]
    fn place(&self, lsn: u64) -> Place {
        let (time_micros, transaction) = match &self.transaction {
            Some(transaction) => (transaction.commit_time, Some(transaction.xid)),
            None => (crate::envelope::now_nanos() / 1000, None),
        };
        Place {
            time_micros,
            marker: Marker::Streaming,
            transaction,
            lsn,
            commit: self.commit,
            sequence: None,
            origin: self.origin.clone(),
        }
    }

    fn event_position(&self, lsn: u64, message: MessageType) -> StreamPosition {
        let transaction = self.transaction.as_ref();
        let commit = if self.floor > self.commit.unwrap_or(0) { Some(self.floor) } else { self.commit };
        // Rows of one WAL record are inserted rows.
        let shares = message == MessageType::Insert;
        let before = transaction.filter(|_| shares).map(|transaction| {
            transaction.lsn_before().unwrap_or_else(|| commit.unwrap_or(lsn).saturating_sub(1))
        });
        StreamPosition {
            commit,
            lsn,
            processed: before.unwrap_or(lsn),
            message,
            transaction: transaction.map(|transaction| transaction.xid),
            time_micros: transaction.map_or(0, |transaction| transaction.commit_time),
            event: transaction.map(Transaction::event),
        }
    }
}

/// Memory of a record beside the bytes that it was read from.
pub const RECORD_BYTES: usize = 1500;
/// A batch of large rows is cut earlier than by their number: memory is bounded by bytes, and what fits into a core's
/// cache is converted faster.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;

/// A message of an application.
struct Logical<'a> {
    transactional: bool,
    /// It was sent before.
    known: bool,
    prefix: &'a str,
    content: &'a [u8],
}
