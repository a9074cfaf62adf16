//! The source task: one state, one loop, batches out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::contract::{StoredOffsets, TaskId};
use connect::settings::Properties;
use connect::{Fate, Signal, SignalChannels, SourceBatch, SourcePosition, SourceTask, TaskError};
use futures::FutureExt;
use futures::future::BoxFuture;
use pg::Session;
use pg::pgoutput::Relation;
use pg::replication::Confirm;
use serde_json::{Map, Value as Json};
use tokio::task::JoinHandle;

use crate::envelope::Envelopes;
use crate::heartbeat::Heartbeat;
use crate::lag::Lag;
use crate::metrics::{Connected, StreamMetrics};
use crate::notifications::{self, Notifications};
use crate::position::{self, Position, Stored};
use crate::server_identity::ServerIdentity;
use crate::settings::{self, AfterSnapshot, Settings};
use crate::signals::{Sent, Signals};
use crate::slot;
use crate::snapshot::{self, Extent, Progress, Snapshot};
use crate::snapshot_readers;
use crate::start::{self, Attempt, Opened, Past, Started};
use crate::stream::{self, Output, Pause, Stream};
use crate::tables_cache::TablesCache;

/// Makes a task of a connector's configuration.
pub fn task(properties: &Properties, id: &TaskId) -> Result<Box<dyn SourceTask>, TaskError> {
    Ok(Box::new(Task::new(settings::parse(properties)?, id)))
}

struct Task {
    settings: Arc<Settings>,
    task_number: String,
    partition: Arc<Map<String, Json>>,
    state: State,
    envelopes: Envelopes,
    tables: TablesCache,
    session: Option<Arc<Session>>,
    output: Output,
    /// What happened after the events in the output: it is returned when they are.
    failed: Option<TaskError>,
    relation: Option<Box<Relation>>,
    heartbeat: Option<Heartbeat>,
    confirm: Option<Confirm>,
    metrics: StreamMetrics,
    /// Where to go on after everything that was handed over.
    resume: Stored,
    /// Newest position that was handed over.
    handed: Option<Position>,
    handed_at: Instant,
    /// Has had a stream.
    streamed: bool,
    /// Tables that a snapshot of this task has read.
    read: Vec<u32>,
    /// A snapshot of this task came to its end.
    snapshot_done: bool,
    /// Whose positions are stored.
    server: Option<ServerIdentity>,
    /// Asks the server how far it is, for the lag.
    lag: Option<Lag>,
    /// `None` where nobody can send any.
    signals: Option<Box<Signals>>,
}

enum State {
    /// Nothing is open: the next call connects.
    Closed,
    Opening(JoinHandle<Result<Started, TaskError>>),
    CatchUp(Box<start::CatchUp>),
    Snapshot(Box<Snapshot>),
    /// The snapshot is done, and its records are handed over: open the stream.
    SnapshotDone,
    Stream(Box<Stream>),
    Rest,
}

/// Shortest time between two answers to a server that waits for one.
const REPLY_INTERVAL_MIN: Duration = Duration::from_millis(500);

impl Task {
    fn new(settings: Settings, id: &TaskId) -> Self {
        let settings = Arc::new(settings);
        let task_number = id.task.to_string();
        let mut partition = Map::new();
        partition.insert("server".to_owned(), settings.topic_prefix.clone().into());
        let mut task = Self {
            envelopes: Envelopes::new(&settings, &task_number),
            metrics: StreamMetrics::new(&settings.topic_prefix, settings.queue_bytes_max),
            task_number,
            partition: Arc::new(partition),
            state: State::Closed,
            tables: TablesCache::default(),
            session: None,
            output: Output::default(),
            failed: None,
            relation: None,
            heartbeat: None,
            confirm: None,
            resume: Stored::Nothing,
            handed: None,
            handed_at: Instant::now(),
            streamed: false,
            read: vec![],
            snapshot_done: false,
            server: None,
            lag: None,
            signals: None,
            settings,
        };
        task.set_signals(None);
        task
    }

    /// Signals, where somebody can send some or an offset says that one is not done.
    fn set_signals(&mut self, offset: Option<&Map<String, Json>>) {
        if self.settings.signals.are_wanted() || offset.is_some_and(Signals::are_stored) {
            let signals =
                self.signals.get_or_insert_with(|| Box::new(Signals::new(&self.settings, &self.envelopes)));
            if let Some(offset) = offset {
                signals.load(offset);
            }
        }
    }

    /// Opens in a task of its own: what it creates must not be left half-way when `poll` is cancelled.
    fn open(&self) -> JoinHandle<Result<Started, TaskError>> {
        let settings = self.settings.clone();
        let stored = self.resume.clone();
        let task_number = self.task_number.clone();
        let attempt = if self.streamed { Attempt::Again } else { Attempt::First };
        let request = self.signals.as_ref().and_then(|signals| signals.blocking().cloned());
        let (read, server) = (self.read.clone(), self.server.clone());
        let past = Past { attempt, read, snapshot_done: self.snapshot_done, server, request };
        tokio::spawn(async move {
            let envelopes = Envelopes::new(&settings, &task_number);
            start::start(&settings, &envelopes, stored, &past).await
        })
    }

    async fn opened(&mut self) -> Result<(), TaskError> {
        if matches!(self.state, State::Closed) {
            self.state = State::Opening(self.open());
        }
        let State::Opening(handle) = &mut self.state else { return Ok(()) };
        let result = handle.await;
        self.state = State::Closed;
        let started = result.map_err(|error| TaskError::retry(format!("start ended early: {error}")))??;
        self.session = Some(Arc::new(started.session));
        self.server = started.server;
        if let Some(signals) = self.signals.as_deref_mut().filter(|_| started.refused) {
            signals.blocking_done();
        }
        // The tables of the last connection stay: a new one defines each again before its first row, and takes over
        // what is equal.
        self.state = match started.opened {
            Opened::Snapshot(snapshot) => State::Snapshot(snapshot),
            Opened::CatchUp(catch_up) => State::CatchUp(catch_up),
            Opened::Stream(stream) => self.streaming(stream),
            Opened::Rest => State::Rest,
        };
        Ok(())
    }

    fn streaming(&mut self, stream: Box<Stream>) -> State {
        self.confirm = Some(stream.confirm());
        if !self.streamed
            && !self.snapshot_done
            && let Some(notifications) = Notifications::new(&self.settings)
        {
            self.output.records.extend(notifications.tell(notifications::Event::Skipped));
        }
        self.streamed = true;
        self.lag = self.session.as_ref().map(|session| Lag::follow(session.clone()));
        self.metrics.connected(Connected::Yes);
        if self.heartbeat.is_none() {
            self.heartbeat = Heartbeat::new(&self.settings);
        }
        State::Stream(stream)
    }

    /// Makes the next records. Returns when the output has something to hand over. Cancel-safe.
    async fn advance(&mut self) -> Result<(), TaskError> {
        match &self.state {
            State::Closed | State::Opening(_) => self.opened().await,
            State::CatchUp(_) => self.catch_up().await,
            State::Snapshot(snapshot) if snapshot.extent == Extent::Requested => self.read_requested().await,
            State::Snapshot(_) => self.read_snapshot().await,
            State::SnapshotDone => self.after_snapshot().await,
            State::Stream(_) => self.read_stream().await,
            State::Rest => self.rest().await,
        }
    }

    /// A blocking snapshot: what is wrong with it is said, and the stream goes on.
    async fn read_requested(&mut self) -> Result<(), TaskError> {
        match self.read_snapshot().await {
            Err(error) if error.fate == Fate::Halt => {
                tracing::error!(error = %error, "blocking snapshot ended before its end");
                if let State::Snapshot(snapshot) = &self.state {
                    snapshot.aborted(&mut self.output);
                }
                if let Some(signals) = &mut self.signals {
                    signals.blocking_done();
                }
                self.close();
                Ok(())
            }
            result => result,
        }
    }

    async fn read_snapshot(&mut self) -> Result<(), TaskError> {
        let State::Snapshot(snapshot) = &mut self.state else { return Ok(()) };
        loop {
            let mut context = snapshot::Context { settings: &self.settings, envelopes: &mut self.envelopes };
            let progress = snapshot.decode(&mut context, &mut self.output)?;
            let completed = progress == Progress::Finished;
            let told = snapshot.extent == Extent::AllTables && !self.output.records.is_empty();
            if completed && snapshot.extent == Extent::Requested {
                self.output.position = Some(snapshot.position());
                if let Some(signals) = &mut self.signals {
                    signals.blocking_done();
                }
            } else if completed || told {
                self.output.position = Some(Position::Snapshot {
                    lsn: snapshot.lsn,
                    transaction: snapshot.transaction,
                    time_micros: snapshot.time_micros,
                    completed,
                });
            }
            match progress {
                Progress::Finished => break,
                Progress::BatchFull => return Ok(()),
                Progress::NeedChunk => {
                    if snapshot.fetch_ready(&self.envelopes, &mut self.output)? {
                        continue;
                    }
                    if !self.output.records.is_empty() {
                        return Ok(());
                    }
                    snapshot.fetch(&self.envelopes, &mut self.output).await?;
                }
            }
        }
        self.snapshot_done |= snapshot.extent == Extent::AllTables;
        self.tables.seed_types(snapshot.take_types());
        for (oid, table) in snapshot.tables() {
            self.read.push(oid);
            self.tables.seed(oid, table.clone());
        }
        self.state = if self.settings.snapshot_mode.after == AfterSnapshot::Rest {
            State::Rest
        } else {
            State::SnapshotDone
        };
        Ok(())
    }

    async fn after_snapshot(&mut self) -> Result<(), TaskError> {
        tokio::time::sleep(self.settings.streaming_delay).await;
        // From the start again: the offset says that the snapshot is done, so this only opens the stream.
        self.state = State::Closed;
        self.opened().await
    }

    async fn catch_up(&mut self) -> Result<(), TaskError> {
        loop {
            self.define_relation().await?;
            let State::CatchUp(catch_up) = &mut self.state else { return Ok(()) };
            let mut context = stream::Context {
                settings: &self.settings,
                tables: &mut self.tables,
                envelopes: &mut self.envelopes,
                metrics: &mut self.metrics,
                signals: self.signals.as_deref_mut(),
            };
            let pause = catch_up.stream.decode(&mut context, &mut self.output)?;
            // Nothing is confirmed or stored before the snapshot is complete.
            self.output.position = None;
            match pause {
                Pause::NeedRelation(relation) => {
                    catch_up.stream.forget_table();
                    self.relation = Some(relation);
                }
                Pause::BatchFull => return Ok(()),
                Pause::Signal => {
                    // It waits until the stream goes on behind the snapshot.
                    if let Some(signals) = &mut self.signals {
                        signals.resumed();
                    }
                }
                Pause::Reached => break,
                Pause::NeedChunk => {
                    if catch_up.stream.fetch_ready()? {
                        continue;
                    }
                    if !self.output.records.is_empty() {
                        return Ok(());
                    }
                    catch_up.stream.fetch().await?;
                }
            }
        }
        if let State::CatchUp(catch_up) = std::mem::replace(&mut self.state, State::Closed) {
            self.state = State::Snapshot(catch_up.snapshot);
        }
        Ok(())
    }

    async fn read_stream(&mut self) -> Result<(), TaskError> {
        // Under load nobody waits, and heartbeats must come all the same.
        let beat = self.heartbeat.as_mut().and_then(|heartbeat| heartbeat.tick().now_or_never());
        if beat.is_some() {
            self.beat();
        }
        loop {
            self.define_relation().await?;
            if self.signals.is_some() && self.follow_signals().await? == Sent::BatchFull {
                return Ok(());
            }
            let State::Stream(stream) = &mut self.state else { return Ok(()) };
            let mut context = stream::Context {
                settings: &self.settings,
                tables: &mut self.tables,
                envelopes: &mut self.envelopes,
                metrics: &mut self.metrics,
                signals: self.signals.as_deref_mut(),
            };
            match stream.decode(&mut context, &mut self.output)? {
                Pause::NeedRelation(relation) => {
                    stream.forget_table();
                    self.relation = Some(relation);
                }
                Pause::BatchFull | Pause::Reached => return Ok(()),
                Pause::Signal => {}
                Pause::NeedChunk => {
                    if stream.fetch_ready()? {
                        continue;
                    }
                    if !self.output.records.is_empty() || self.tell_new() {
                        return Ok(());
                    }
                    self.metrics.publish();
                    self.metrics.queued(0);
                    if self.wait_for_stream().await? == Waited::Position {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Does what signals and chunks want between two events. `BatchFull`: what was made is handed over first.
    async fn follow_signals(&mut self) -> Result<Sent, TaskError> {
        if self.signals.as_ref().is_some_and(|signals| signals.has_inbox()) {
            self.act_on_signals().await?;
        }
        let Some(signals) = &mut self.signals else { return Ok(Sent::All) };
        let State::Stream(stream) = &self.state else { return Ok(Sent::All) };
        signals.resumed();
        signals.take_arrived(&mut self.output)?;
        signals.end_chunk(stream.between(), &mut self.tables, &mut self.output);
        let sent = signals.send(self.settings.batch_records_max, &mut self.envelopes, &mut self.output);
        if sent == Sent::BatchFull {
            return Ok(sent);
        }
        signals.go_on();
        if signals.blocking().is_none() {
            return Ok(Sent::All);
        }
        // What the stream said so far is handed over, and with it that a snapshot is wanted.
        if self.output.records.is_empty() && self.output.position.is_none() {
            let request = signals.blocking().map(|request| request.id.clone()).unwrap_or_default();
            tracing::info!(id = %request, "the stream pauses for a blocking snapshot");
            self.close();
        }
        Ok(Sent::BatchFull)
    }

    async fn act_on_signals(&mut self) -> Result<(), TaskError> {
        let session = self.session().await?;
        let offset =
            self.output.position.or(self.handed).map(|position| position.store(&self.partition).offset);
        let offset = offset.map_or_else(String::new, |offset| Json::Object((*offset).clone()).to_string());
        match &mut self.signals {
            Some(signals) => signals.act(&session, &offset, &mut self.output).await,
            None => Ok(()),
        }
    }

    /// What is new about signals is stored without waiting for a record: whether there is a position for it.
    fn tell_new(&mut self) -> bool {
        if self.signals.as_ref().is_some_and(|signals| signals.is_new()) {
            self.idle_position();
            if self.output.position.is_none() {
                self.output.position = self.handed;
            }
        }
        self.output.position.is_some()
    }

    /// Waits for frames, for the next heartbeat, or until a position without a record is due. Cancel-safe.
    async fn wait_for_stream(&mut self) -> Result<Waited, TaskError> {
        let due = self.idle_position_due();
        let State::Stream(stream) = &mut self.state else { return Ok(Waited::Frames) };
        let news = async {
            match &mut self.signals {
                Some(signals) => signals.news().await,
                None => std::future::pending().await,
            }
        };
        let beat = async {
            match &mut self.heartbeat {
                Some(heartbeat) => heartbeat.tick().await,
                None => std::future::pending().await,
            }
        };
        // Frames first: whoever waits for a heartbeat can wait a little longer.
        tokio::select! {
            biased;
            result = stream.fetch() => {
                self.envelopes.wake();
                result.map(|()| Waited::Frames)
            }
            _ = beat => {
                self.beat();
                Ok(Waited::Position)
            }
            () = news => Ok(Waited::Frames),
            () = sleep_until(due) => {
                self.idle_position();
                Ok(Waited::Position)
            }
        }
    }

    fn beat(&mut self) {
        if let Some(heartbeat) = &mut self.heartbeat {
            let record = heartbeat.beat();
            self.output.records.push(record);
        }
        if self.signals.as_ref().is_some_and(|signals| signals.is_sending()) {
            return;
        }
        if self.output.position.is_none() {
            self.idle_position();
        }
        if self.output.position.is_none() {
            self.output.position = self.handed;
        }
    }

    /// When a position must be handed over although there is no record; `None`: there is nothing new.
    fn idle_position_due(&self) -> Option<Instant> {
        let State::Stream(stream) = &self.state else { return None };
        let tail = stream.tail()?;
        if Some(Position::Stream(tail)) == self.handed {
            return None;
        }
        // A server that waits for an answer may be on its way down, and it will not go before it has one.
        let wait = if stream.reply_wanted { REPLY_INTERVAL_MIN } else { self.settings.status_interval };
        Some(self.handed_at + wait)
    }

    fn idle_position(&mut self) {
        let State::Stream(stream) = &mut self.state else { return };
        let Some(tail) = stream.tail() else { return };
        stream.handed_tail(&tail);
        self.metrics.caught_up();
        self.output.position = Some(Position::Stream(tail));
    }

    async fn define_relation(&mut self) -> Result<(), TaskError> {
        if self.relation.is_none() {
            return Ok(());
        }
        let session = self.session().await?;
        let Some(relation) = &self.relation else { return Ok(()) };
        self.tables.define(relation, &session, &self.settings, &self.envelopes).await?;
        self.relation = None;
        Ok(())
    }

    /// A session that is open.
    async fn session(&mut self) -> Result<Arc<Session>, TaskError> {
        if let Some(session) = self.session.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        let session = Arc::new(snapshot_readers::open_session(&self.settings).await?);
        self.session = Some(session.clone());
        Ok(session)
    }

    /// `initial_only` after its snapshot: heartbeats, and nothing else.
    async fn rest(&mut self) -> Result<(), TaskError> {
        std::future::pending::<()>().await;
        Ok(())
    }

    /// Hands over what was made.
    fn batch(&mut self) -> SourceBatch {
        // The next batch is about as large as this one.
        let room = Vec::with_capacity(self.output.records.len().min(self.settings.batch_records_max + 2));
        let next = Output { records: room, ..Output::default() };
        let mut output = std::mem::replace(&mut self.output, next);
        self.envelopes.complete(&mut output.records);
        self.metrics.publish();
        if let State::Stream(stream) = &self.state {
            self.metrics.queued(stream.queued_bytes());
        }
        if let Some(signals) = &mut self.signals {
            signals.handed_over(output.position);
        }
        if let Some(position) = output.position {
            self.handed = Some(position);
            self.handed_at = Instant::now();
            self.resume = match position {
                Position::Snapshot { completed: false, .. } => Stored::SnapshotInterrupted,
                position => Stored::Resume(position.resume()),
            };
            if let (Position::Stream(at), State::Stream(stream)) = (position, &self.state) {
                let server = self.lag.as_ref().map_or(0, Lag::server_lsn);
                self.metrics.position(at.lsn, stream.received().max(server));
            }
        }
        SourceBatch {
            records: output.records,
            bytes: output.bytes,
            position: output.position.map(|position| self.stored(position)),
        }
    }

    fn stored(&self, position: Position) -> SourcePosition {
        let mut stored = position.store(&self.partition);
        if let Some(server) = &self.server {
            server.store(Arc::make_mut(&mut stored.offset));
        }
        if let (Position::Stream(_), State::Stream(stream)) = (position, &self.state)
            && let Some(metadata) = stream.metadata()
        {
            metadata.store(Arc::make_mut(&mut stored.offset));
        }
        if let Some(signals) = &self.signals {
            signals.store(Arc::make_mut(&mut stored.offset));
        }
        stored
    }

    /// The connections are gone; the next call opens them again.
    fn close(&mut self) {
        self.metrics.connected(Connected::No);
        self.state = State::Closed;
        self.session = None;
        self.lag = None;
        self.confirm = None;
        self.relation = None;
        if let Some(signals) = &mut self.signals {
            signals.interrupted();
        }
        self.envelopes.forget();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Frames,
    Position,
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

impl SourceTask for Task {
    fn start<'a>(&'a mut self, stored: StoredOffsets) -> BoxFuture<'a, Result<(), TaskError>> {
        Box::pin(async move {
            let offset = stored.get(&self.partition);
            self.resume = offset.map_or(Stored::Nothing, position::load);
            self.server = offset.and_then(ServerIdentity::load);
            self.set_signals(offset);
            self.opened().await
        })
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<SourceBatch, TaskError>> {
        Box::pin(async move {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            self.envelopes.wake();
            loop {
                let result = self.advance().await;
                if let Err(error) = result {
                    if let State::Snapshot(snapshot) = &self.state {
                        snapshot.aborted(&mut self.output);
                    }
                    let unsent = !self.output.records.is_empty();
                    if unsent {
                        // What was read before the failure is right: it goes out first.
                        self.failed = Some(error);
                        let batch = self.batch();
                        self.close();
                        return Ok(batch);
                    }
                    if error.fate == Fate::Retry {
                        tracing::warn!(error = %error, "connection to PostgreSQL lost");
                    }
                    self.output = Output::default();
                    self.close();
                    return Err(error);
                }
                if !self.output.records.is_empty() || self.output.position.is_some() {
                    return Ok(self.batch());
                }
            }
        })
    }

    fn committed(&mut self, position: &SourcePosition) {
        if !self.settings.confirm_positions {
            return;
        }
        if let (Some(confirm), Some(lsn)) = (&self.confirm, position::confirmable(&position.offset)) {
            confirm.up_to(lsn);
        }
    }

    fn signal_channels(&self) -> SignalChannels {
        self.settings.signals.channels.clone()
    }

    fn signal(&mut self, signal: Signal) {
        let signals =
            self.signals.get_or_insert_with(|| Box::new(Signals::new(&self.settings, &self.envelopes)));
        signals.receive(signal);
    }

    fn stop(&mut self) -> BoxFuture<'_, Result<(), TaskError>> {
        Box::pin(async move {
            self.close();
            self.heartbeat = None;
            if self.settings.drop_slot_on_stop && self.settings.snapshot_mode.after != AfterSnapshot::Rest {
                slot::drop(&self.settings).await?;
            }
            Ok(())
        })
    }
}
