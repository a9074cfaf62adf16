//! The snapshot: tables read by COPY at one point, by several connections, into one stream of rows.
//!
//! Every reading connection imports the same exported snapshot, so that all rows are of one moment. A reader takes
//! the next part of a table (a whole table, or a range of its pages), and hands over chunks of whole rows, bounded
//! by bytes: when Kafka is slow, reading stops. The last row of each table is held back until it is known to be the
//! last, because it is marked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use connect::{Buffer, Record, TaskError, Text, Value};
use pg::catalog;
use pg::copy::{self, Row as CopyRow};
use pg::pgoutput::Datum;
use pg::wire::Frames;
use pg::{Session, quote};
use tokio::task::JoinHandle;

use crate::envelope::{self, Change, Envelopes, Marker, Op, Place};
use crate::failure;
use crate::metrics::SnapshotMetrics;
use crate::notifications::{self, Notifications};
use crate::position::{MessageType, Position, StreamPosition};
use crate::settings::{Compat, Settings};
use crate::signals::{self, Execute};
use crate::slot::Candidate;
use crate::snapshot_readers::{
    Chunk, Delivery, Part, Receiver, lock, open_reader, open_session, part_sql, select_sql, spawn_readers,
};
use crate::stream::{BATCH_BYTES_MAX, Output, RECORD_BYTES};
use crate::tables::{Compiler, Row, RowErrorKind, Table};
use crate::values::Types;

const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// When and where the snapshot is.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Name of the exported snapshot.
    pub exported: String,
    pub lsn: u64,
    /// The signal that asked for it.
    pub request: Option<Execute>,
}

/// What a snapshot reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything that is captured: interrupted, it is told by the stored position.
    AllTables,
    /// Tables that are new: interrupted, everything since the stored position comes again, and so does this.
    SomeTables,
    /// What a signal asked for: it is kept beside the position until it is done.
    Requested,
}

/// A snapshot that is being read.
pub struct Snapshot {
    pub extent: Extent,
    pub lsn: u64,
    pub transaction: i64,
    pub time_micros: i64,
    tables: Vec<TableState>,
    parts: Receiver,
    readers: Vec<JoinHandle<()>>,
    tuple: Vec<Datum>,
    current: Option<Chunk>,
    at: usize,
    /// The last row of a finished table: the last of all unless another comes.
    candidate: Option<(Record, Marker)>,
    tables_left: usize,
    place: Place,
    metrics: SnapshotMetrics,
    started: Instant,
    reported: Instant,
    types: Types,
    notifications: Option<Notifications>,
    /// Names of all tables, as notifications list them.
    labels: String,
    began: bool,
    _exporter: Session,
}

struct TableState {
    oid: u32,
    label: String,
    table: Arc<Table>,
    parts_left: usize,
    rows: u64,
    rows_estimated: f64,
    /// Its first part was read.
    began: bool,
    held: Option<Record>,
}

/// What the snapshot is made with.
pub struct Context<'a> {
    pub settings: &'a Settings,
    pub envelopes: &'a mut Envelopes,
}

/// Whether there is more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    NeedChunk,
    BatchFull,
    Finished,
}

impl Snapshot {
    /// Opens the readers, all at the moment of the exported snapshot, and plans the parts.
    pub async fn open(
        settings: &Settings,
        envelopes: &Envelopes,
        moment: &Moment,
        candidates: &[&Candidate],
    ) -> Result<Self, TaskError> {
        let exporter = open_session(settings).await?;
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            quote::literal(&moment.exported)
        );
        exporter.batch_execute(&begin).await.map_err(failure::from_client)?;
        lock(&exporter, settings, candidates).await?;
        let row = exporter
            .query_one(
                "SELECT (extract(epoch FROM now()) * 1000000)::bigint, \
                 txid_snapshot_xmax(txid_current_snapshot()) - 1",
                &[],
            )
            .await
            .map_err(failure::from_client)?;
        let (time_micros, transaction): (i64, i64) = (row.get(0), row.get(1));
        let (tables, parts, types) = plan(&exporter, settings, envelopes, moment, candidates).await?;
        let count = settings.snapshot_threads.min(parts.len());
        let mut wires = Vec::with_capacity(count);
        for _ in 0..count {
            wires.push(open_reader(settings, &begin).await?);
        }
        let (readers, parts) = spawn_readers(wires, parts);
        let mut place = Place {
            time_micros,
            marker: Marker::True,
            transaction: Some(transaction),
            lsn: moment.lsn,
            // A stream goes on behind it; versions before did not say so.
            commit: moment.request.as_ref().filter(|_| settings.compat >= Compat::V36).map(|_| moment.lsn),
            sequence: None,
            origin: None,
        };
        place.sequence = Some(Text::from(envelope::sequence(&place)));
        let metrics = SnapshotMetrics::new(&settings.topic_prefix);
        metrics.started(tables.len());
        tracing::info!(tables = tables.len(), lsn = %pg::Lsn(moment.lsn), "snapshot started");
        Ok(Self {
            extent: Extent::AllTables,
            lsn: moment.lsn,
            transaction,
            time_micros,
            notifications: Notifications::new(settings),
            labels: tables.iter().map(|table| table.label.as_str()).collect::<Vec<_>>().join(","),
            began: false,
            tables_left: tables.iter().filter(|table| table.parts_left > 0).count(),
            tables,
            parts,
            readers,
            tuple: vec![],
            current: None,
            at: 0,
            candidate: None,
            place,
            metrics,
            started: Instant::now(),
            reported: Instant::now(),
            types,
            _exporter: exporter,
        })
    }

    /// Waits for more rows. Cancel-safe.
    pub async fn fetch(&mut self, envelopes: &Envelopes, out: &mut Output) -> Result<(), TaskError> {
        match self.parts.recv().await {
            Some(delivery) => self.take(delivery?, envelopes, out),
            None if self.tables_left > 0 => {
                return Err(TaskError::retry("a reader of the snapshot ended before its work"));
            }
            None => {}
        }
        Ok(())
    }

    /// Takes what is there already; false when nothing is.
    pub fn fetch_ready(&mut self, envelopes: &Envelopes, out: &mut Output) -> Result<bool, TaskError> {
        match self.parts.try_recv() {
            Ok(delivery) => {
                self.take(delivery?, envelopes, out);
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    fn take(&mut self, delivery: Delivery, envelopes: &Envelopes, out: &mut Output) {
        let (Delivery::Chunk(Chunk { table, .. }) | Delivery::PartDone { table }) = &delivery;
        self.begin_table(*table, out);
        match delivery {
            Delivery::Chunk(chunk) => {
                self.current = Some(chunk);
                self.at = 0;
            }
            Delivery::PartDone { table } => self.part_done(table, envelopes, out),
        }
    }

    fn begin_table(&mut self, index: usize, out: &mut Output) {
        let Some(notifications) = &self.notifications else { return };
        let table = &mut self.tables[index];
        if !std::mem::replace(&mut table.began, true) {
            let event = notifications::Event::InProgress { table: &table.label, tables: &self.labels };
            out.records.extend(notifications.tell(event));
        }
    }

    fn part_done(&mut self, index: usize, envelopes: &Envelopes, out: &mut Output) {
        let table = &mut self.tables[index];
        table.parts_left -= 1;
        if table.parts_left > 0 {
            return;
        }
        self.tables_left -= 1;
        self.metrics.tables_left(self.tables_left);
        self.metrics.table(&table.label, table.rows, table.rows_estimated);
        tracing::info!(table = %table.label, rows = table.rows, "table of the snapshot done");
        if let Some(notifications) = &self.notifications {
            let (rows, tables) = (table.rows, &*self.labels);
            let event = notifications::Event::Scanned { table: &table.label, tables, rows };
            out.records.extend(notifications.tell(event));
        }
        if let Some(record) = table.held.take() {
            // The only row of the first table is its first.
            let only = index == 0 && table.rows == 1;
            let marker = if only { Marker::First } else { Marker::LastInCollection };
            self.send_candidate(envelopes, out);
            self.candidate = Some((record, marker));
        }
    }

    /// Another row follows: the one that was held back is only the last of its table.
    fn send_candidate(&mut self, envelopes: &Envelopes, out: &mut Output) {
        if let Some((mut record, marker)) = self.candidate.take() {
            envelopes.set_marker(&mut record, marker);
            out.records.push(record);
        }
    }

    /// Decodes rows until there is a reason to pause.
    pub fn decode(&mut self, context: &mut Context<'_>, out: &mut Output) -> Result<Progress, TaskError> {
        self.report();
        if !std::mem::replace(&mut self.began, true) {
            self.tell(notifications::Event::Started, out);
        }
        loop {
            if out.records.len() >= context.settings.batch_records_max || out.bytes >= BATCH_BYTES_MAX {
                return Ok(Progress::BatchFull);
            }
            let Some(chunk) = &self.current else {
                if self.tables_left > 0 {
                    return Ok(Progress::NeedChunk);
                }
                self.finish(context.envelopes, out);
                return Ok(Progress::Finished);
            };
            let (bytes, buffer, index) = (chunk.bytes.clone(), chunk.buffer.clone(), chunk.table);
            let mut frames = Frames::from(&bytes, self.at);
            while out.records.len() < context.settings.batch_records_max && out.bytes < BATCH_BYTES_MAX {
                let Some(range) = frames.next() else {
                    self.current = None;
                    break;
                };
                self.at = frames.position();
                out.bytes += range.len() + RECORD_BYTES;
                self.row(context, index, &bytes, range, &buffer, out)?;
            }
        }
    }

    #[inline]
    fn row(
        &mut self,
        context: &mut Context<'_>,
        index: usize,
        bytes: &Bytes,
        range: std::ops::Range<usize>,
        buffer: &Buffer,
        out: &mut Output,
    ) -> Result<(), TaskError> {
        let split = copy::split_row(bytes, range, &mut self.tuple).map_err(failure::from_pg)?;
        let unescaped;
        let buffer = match split {
            CopyRow::InPlace => buffer,
            CopyRow::Unescaped(copy) => {
                unescaped = Buffer::from(copy);
                &unescaped
            }
        };
        let table = self.tables[index].table.clone();
        let row = Row { tuple: &self.tuple, buffer };
        let made = table.values(row, None).and_then(|values| {
            let key = table.key_of(&values, row)?;
            Ok(Change { op: Op::Read, key, before: Value::Null, after: Value::Struct(values) })
        });
        let change = match made {
            Ok(change) => change,
            Err(error) => {
                let text = format!("row of {}.{} cannot be processed: {error}", table.schema, table.name);
                let mode = context.settings.processing_failure;
                if error.kind == RowErrorKind::Conversion || mode == crate::settings::ProcessingFailure::Fail
                {
                    return Err(TaskError::halt(text));
                }
                tracing::warn!(table = %table.topic, error = %error, "row of the snapshot skipped");
                return Ok(());
            }
        };
        self.send_candidate(context.envelopes, out);
        let state = &mut self.tables[index];
        state.rows += 1;
        self.place.marker = match (state.rows, index) {
            (1, 0) => Marker::First,
            (1, _) => Marker::FirstInCollection,
            _ => Marker::True,
        };
        // The row before is not the last of its table: it goes out as it is marked.
        let previous = state.held.take();
        out.records.extend(previous);
        context.envelopes.row(&table, change, &self.place, &mut out.records);
        self.tables[index].held = out.records.pop();
        Ok(())
    }

    fn finish(&mut self, envelopes: &Envelopes, out: &mut Output) {
        if let Some((mut record, _)) = self.candidate.take() {
            envelopes.set_marker(&mut record, Marker::Last);
            out.records.push(record);
        }
        self.tell(notifications::Event::Completed, out);
        self.metrics.finished();
        let rows: u64 = self.tables.iter().map(|table| table.rows).sum();
        tracing::info!(rows, seconds = self.started.elapsed().as_secs_f32(), "snapshot done");
    }

    fn tell(&self, event: notifications::Event<'_>, out: &mut Output) {
        if let Some(notifications) = &self.notifications {
            out.records.extend(notifications.tell(event));
        }
    }

    /// It ends before its end.
    pub fn aborted(&self, out: &mut Output) {
        self.tell(notifications::Event::Aborted, out);
    }

    fn report(&mut self) {
        if self.reported.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.reported = Instant::now();
        for table in self.tables.iter().filter(|table| table.parts_left > 0 && table.rows > 0) {
            self.metrics.table(&table.label, table.rows, table.rows_estimated);
            tracing::info!(
                table = %table.label,
                rows = table.rows,
                rows_estimated = table.rows_estimated as u64,
                "snapshot in progress"
            );
        }
    }

    /// Where the stream goes on behind it.
    pub fn position(&self) -> Position {
        Position::Stream(StreamPosition {
            commit: Some(self.lsn),
            lsn: self.lsn,
            processed: self.lsn.saturating_sub(1),
            message: MessageType::Commit,
            transaction: Some(self.transaction),
            time_micros: self.time_micros,
            event: None,
        })
    }

    /// The types as they were then.
    pub fn take_types(&mut self) -> Types {
        std::mem::take(&mut self.types)
    }

    /// The tables as they were read, for the stream that follows.
    pub fn tables(&self) -> impl Iterator<Item = (u32, &Arc<Table>)> {
        self.tables.iter().map(|state| (state.oid, &state.table))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

async fn plan(
    session: &Session,
    settings: &Settings,
    envelopes: &Envelopes,
    moment: &Moment,
    candidates: &[&Candidate],
) -> Result<(Vec<TableState>, VecDeque<Part>, Types), TaskError> {
    let oids: Vec<u32> = candidates.iter().map(|table| table.oid).collect();
    let found = catalog::tables(session, &oids).await.map_err(failure::from_pg)?;
    let mut type_oids: Vec<u32> =
        found.iter().flat_map(|table| &table.columns).map(|column| column.type_oid).collect();
    type_oids.sort_unstable();
    type_oids.dedup();
    let types = catalog::types(session, &type_oids).await.map_err(failure::from_pg)?;
    let compiler = Compiler {
        settings,
        types: &types,
        source_schema: &envelopes.source_schema,
        transaction_schema: &envelopes.transaction_schema,
    };
    let mut tables = vec![];
    let mut parts = VecDeque::new();
    for candidate in candidates {
        // Dropped between the two queries.
        let Some(table) = found.iter().find(|table| table.oid == candidate.oid) else { continue };
        let (compiled, columns) = compiler.catalogue(table);
        let name = format!("{}.{}", candidate.schema, candidate.name);
        let requested =
            moment.request.as_ref().and_then(|request| signals::condition_of(&request.conditions, &name));
        let statement = requested.map(|statement| statement.trim().trim_end_matches(';'));
        let sqls = match statement.or_else(|| settings.snapshot_select(&candidate.schema, &candidate.name)) {
            Some(statement) => vec![select_sql(session, statement, &columns).await?],
            None => {
                let columns: Vec<_> = columns.iter().map(|name| quote::identifier(name)).collect();
                part_sql(candidate, &columns.join(", "), settings.snapshot_threads)
            }
        };
        tables.push(TableState {
            oid: candidate.oid,
            label: name,
            table: Arc::new(compiled),
            parts_left: sqls.len(),
            rows: 0,
            rows_estimated: f64::from(candidate.rows_estimated.max(0.0)),
            began: false,
            held: None,
        });
        let index = tables.len() - 1;
        parts.extend(sqls.into_iter().map(|sql| Part { table: index, sql }));
    }
    Ok((tables, parts, types))
}
