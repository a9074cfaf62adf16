//! The writing loop: takes what is queued, writes it, and keeps what must wait.
//!
//! One batch is written while the next one is prepared on another thread and sent behind it. What was held back is tried again when a
//! batch may have helped it, for at most a tenth of the time, and once a second.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::contract::{Rejected, TaskId, Tolerance};
use connect::{Record, TaskError};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::batch::{Batch, Refusal};
use crate::flight::Flight;
use crate::held_rows;
use crate::hold::Hold;
use crate::metrics::Metrics;
use crate::prepare::{Delivery, PlanKey, Planned, Prepared, Preparer};
use crate::registry::Registry;
use crate::resolve;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::target::Target;
use crate::truncate;
use crate::verdict::{Failure, failure, halted};
use crate::waiting::RetryClock;
use crate::write::{Outcome, Writer};

/// Records of one batch: enough for statements of full size, little enough to be held twice.
const BATCH_RECORDS_MAX: usize = 2_048;
/// Fewer records are prepared faster than a thread is woken.
const OVERLAP_RECORDS_MIN: usize = 256;
/// With fewer records a batch is not sent behind another one.
const BEHIND_RECORDS_MIN: usize = 1_024;
/// Pause between attempts; doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Why the loop ends.
pub enum End {
    /// The runtime wants it.
    Stopped,
    /// A record was rejected, and none may be.
    Rejected,
    Failed(TaskError),
}

/// The loop's state.
pub struct Engine {
    pub(crate) settings: Arc<Settings>,
    pub(crate) shared: Arc<Shared>,
    id: TaskId,
    pub(crate) tolerance: Tolerance,
    pub(crate) target: Option<Target>,
    pub(crate) registry: Registry,
    pub(crate) preparer: Option<Preparer>,
    pub(crate) hold: Hold,
    pub(crate) metrics: Metrics,
    pub(crate) retry: RetryClock,
    /// Batches that were sent, in order, and how many ever were.
    pub(crate) flights: VecDeque<Flight>,
    pub(crate) launched: u64,
    pause: Duration,
    /// Replans without a batch written in between.
    replans: u32,
    /// Topics whose tables were looked for.
    expected: Vec<Arc<str>>,
}

impl Engine {
    /// Opens the first session, so that what cannot work fails at once.
    pub async fn start(
        settings: Arc<Settings>,
        shared: Arc<Shared>,
        id: TaskId,
        tolerance: Tolerance,
    ) -> Result<Self, TaskError> {
        let mut target = Target::open(&settings).await.map_err(start_failed)?;
        let mut registry = Registry::default();
        resolve::expect(&settings, &mut target, &mut registry, &settings.topics)
            .await
            .map_err(start_failed)?;
        info!(connector = %id.connector, task = id.task, target = %settings.connect.target(), "sink connected");
        Ok(Self {
            preparer: Some(Preparer::new(settings.clone())),
            metrics: Metrics::new(&id),
            settings,
            shared,
            id,
            tolerance,
            target: Some(target),
            registry,
            hold: Hold::default(),
            retry: RetryClock::new(),
            flights: VecDeque::new(),
            launched: 0,
            pause: PAUSE_MIN,
            replans: 0,
            expected: vec![],
        })
    }

    /// Runs until the task is stopped, or cannot go on.
    pub async fn run(mut self) {
        match self.turns().await {
            End::Stopped | End::Rejected => {}
            End::Failed(error) => {
                warn!(connector = %self.id.connector, task = self.id.task, error = %error, "sink failed");
                self.shared.failed(error);
            }
        }
        self.shared.state.lock().ended = true;
    }

    async fn turns(&mut self) -> End {
        let mut next: Option<Prepared> = None;
        loop {
            if self.shared.state.lock().stopping {
                let _ = self.land(0).await;
                return End::Stopped;
            }
            self.forget_closed();
            if next.is_none() && !self.waits_for_more() {
                next = self.prepare_now();
            }
            let turn = match next.take() {
                Some(prepared) => self.write(prepared).await,
                None if !self.flights.is_empty() => self.settle().await,
                None => self.idle().await.map(|()| None),
            };
            match turn {
                Ok(prepared) => next = prepared,
                Err(end) => return end,
            }
        }
    }

    /// Whether what is queued is better written together with what comes while a batch is under way: many small
    /// transactions would cost the server more than one.
    fn waits_for_more(&self) -> bool {
        !self.flights.is_empty() && self.shared.queued_records() < BEHIND_RECORDS_MIN
    }

    /// Drops what is held of partitions that were given up.
    pub(crate) fn forget_closed(&mut self) {
        let closed = std::mem::take(&mut self.shared.state.lock().closed);
        for partition in &closed {
            self.hold.close(partition);
        }
        if !closed.is_empty() {
            self.publish_hold();
        }
    }

    fn prepare_now(&mut self) -> Option<Prepared> {
        let deliveries = self.shared.take(BATCH_RECORDS_MAX);
        if deliveries.is_empty() {
            return None;
        }
        Some(
            self.preparer
                .as_mut()
                .expect("the preparer is away only while a batch is written")
                .prepare(deliveries),
        )
    }

    /// Starts preparing the next batch on another thread, where enough is queued and nothing must come first.
    fn prepare_ahead(&mut self, current: &Prepared) -> Option<JoinHandle<(Preparer, Prepared)>> {
        if !current.rest.is_empty() || self.shared.queued_records() < OVERLAP_RECORDS_MIN {
            return None;
        }
        let deliveries = self.shared.take(BATCH_RECORDS_MAX);
        let mut preparer = self.preparer.take()?;
        Some(tokio::task::spawn_blocking(move || {
            let prepared = preparer.prepare(deliveries);
            (preparer, prepared)
        }))
    }

    /// Writes a batch while the next one is prepared; then has the plan made that stopped the batch.
    async fn write(&mut self, current: Prepared) -> Result<Option<Prepared>, End> {
        let ahead = self.prepare_ahead(&current);
        let written = self.send_or_write(current).await;
        let mut next = None;
        if let Some(ahead) = ahead {
            let (preparer, prepared) = ahead.await.map_err(|error| {
                End::Failed(TaskError::halt(format!("preparing a batch failed: {error}")))
            })?;
            self.preparer = Some(preparer);
            next = Some(prepared);
        }
        match written {
            Ok(None) => {}
            Ok(Some(current)) => {
                if let Some(key) = current.needs {
                    self.resolve(key, &current.rest).await?;
                }
                if !current.rest.is_empty() {
                    self.shared.put_back(current.rest);
                }
            }
            Err(stop) => {
                self.replan(stop, next).await?;
                return Ok(None);
            }
        }
        self.retry_held_when_due().await?;
        Ok(next)
    }

    /// All plans are made anew: what was prepared with the old ones goes back, in order.
    pub(crate) async fn replan(&mut self, stop: Stop, next: Option<Prepared>) -> Result<(), End> {
        let unwritten = match stop {
            Stop::End(end) => return Err(end),
            Stop::Replan(unwritten) => unwritten,
        };
        self.preparer.as_mut().expect("the preparer is back").forget();
        for prepared in unwritten.into_iter().chain(next).rev() {
            self.put_back(prepared);
        }
        self.replan_held().await
    }

    /// A prepared batch becomes a delivery again.
    fn put_back(&self, prepared: Prepared) {
        let stamp = prepared.batch.parts.iter().map(|part| part.stamp).min().unwrap_or(0);
        let mut deliveries = VecDeque::new();
        deliveries.push_back(Delivery { records: prepared.batch.records, bytes: prepared.bytes, stamp });
        deliveries.extend(prepared.rest);
        self.shared.put_back(deliveries);
    }

    /// Repeats a batch until it is committed, or cannot be.
    pub(crate) async fn write_batch(&mut self, batch: &mut Batch) -> Result<(), Stop> {
        if batch.is_empty() {
            return Ok(());
        }
        loop {
            if self.shared.state.lock().stopping {
                return Err(Stop::End(End::Stopped));
            }
            self.forget_closed();
            let started = Instant::now();
            match self.attempt(batch).await {
                Ok(outcome) => return self.written(batch, outcome, started).map_err(Stop::End),
                Err(Failure::Rejected(refusals)) => {
                    self.reject(&batch.records, refusals);
                    return Err(Stop::End(End::Rejected));
                }
                Err(failure) => self.failed(failure).await?,
            }
        }
    }

    async fn attempt(&mut self, batch: &mut Batch) -> Result<Outcome, Failure> {
        self.connected().await?;
        let target = self.target.as_mut().expect("it was just connected");
        if let Some(plan) = &batch.truncate {
            return truncate::run(
                &self.settings,
                &mut self.registry,
                target,
                &mut self.hold,
                plan,
                &batch.records,
            )
            .await;
        }
        if !self.hold.is_empty() {
            held_rows::complete(&self.hold, batch, &self.settings);
        }
        let mut writer =
            Writer { settings: &self.settings, registry: &self.registry, target, tolerance: self.tolerance };
        writer.apply(batch).await
    }

    /// The topics of the task's partitions, sorted.
    fn topics(&self) -> Vec<Arc<str>> {
        let mut topics: Vec<Arc<str>> = {
            let state = self.shared.state.lock();
            state.owned.keys().map(|partition| partition.topic.clone()).collect()
        };
        topics.sort();
        topics.dedup();
        topics
    }

    /// Whether no topic is new since tables were looked for.
    pub(crate) fn topics_are_known(&self) -> bool {
        self.topics() == self.expected
    }

    /// Opens a session where there is none, and looks for tables of topics that are new.
    pub(crate) async fn connected(&mut self) -> Result<(), Failure> {
        if self.target.is_none() {
            let target = Target::open(&self.settings).await.map_err(failure)?;
            info!(connector = %self.id.connector, task = self.id.task, "sink reconnected");
            self.metrics.reconnected();
            self.target = Some(target);
        }
        let topics = self.topics();
        if topics != self.expected {
            let target = self.target.as_mut().expect("it was just connected");
            resolve::expect(&self.settings, target, &mut self.registry, &topics).await.map_err(failure)?;
            self.expected = topics;
        }
        Ok(())
    }

    /// Decides what follows a failed attempt; `Ok` is another one.
    pub(crate) async fn failed(&mut self, failure: Failure) -> Result<(), Stop> {
        match failure {
            Failure::Halt(error) => Err(Stop::End(End::Failed(error))),
            Failure::Rejected(_) => Err(Stop::End(End::Rejected)),
            Failure::Replan(error) => {
                self.replans += 1;
                if self.replans > 1 {
                    return Err(Stop::End(End::Failed(halted(error))));
                }
                warn!(connector = %self.id.connector, error = %error, "a table has changed, it is read again");
                let target = self.target.as_mut().expect("a statement failed, so there is a session");
                match resolve::refresh(&self.settings, target, &mut self.registry).await {
                    Ok(()) => Err(Stop::Replan(VecDeque::new())),
                    Err(error) if error.class().is_transient() => {
                        // The statement will fail again, and then the catalogue is asked again.
                        self.replans = 0;
                        self.pause_after(&error).await;
                        Ok(())
                    }
                    Err(error) => Err(Stop::End(End::Failed(halted(error)))),
                }
            }
            Failure::Retry(error) => {
                self.pause_after(&error).await;
                Ok(())
            }
        }
    }

    /// Waits before the next attempt; a session that may be broken is given up.
    async fn pause_after(&mut self, error: &pg::Error) {
        warn!(connector = %self.id.connector, task = self.id.task, error = %error, "sink will try again");
        self.metrics.retried();
        self.shared.retrying(&error.to_string());
        if matches!(
            error.class(),
            pg::ErrorClass::Connection | pg::ErrorClass::Shutdown | pg::ErrorClass::ReadOnly
        ) || self.target.as_ref().is_some_and(|target| target.client().is_closed())
        {
            self.target = None;
        }
        let shared = self.shared.clone();
        let stopped = async {
            while !shared.state.lock().stopping {
                shared.work.notified().await;
            }
        };
        let _ = tokio::time::timeout(self.pause, stopped).await;
        // What came meanwhile was noticed here and not acted upon: the next wait must not wait for it.
        self.shared.work.notify_one();
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    pub(crate) fn healed(&mut self) {
        self.pause = PAUSE_MIN;
        self.shared.state.lock().retrying = None;
    }

    /// Enters what a committed batch did.
    pub(crate) fn written(
        &mut self,
        batch: &mut Batch,
        outcome: Outcome,
        started: Instant,
    ) -> Result<(), End> {
        self.metrics.batch(batch, &outcome, started.elapsed());
        self.healed();
        self.replans = 0;
        if !self.hold.is_empty() || !outcome.left.is_empty() {
            if self.hold.is_empty() {
                self.retry.ticked = Instant::now();
            }
            let state = self.shared.state.lock();
            let current = |part: &crate::batch::Part| Shared::is_current(&state, part);
            held_rows::settle(&mut self.hold, batch, &outcome.left, current);
            drop(state);
            self.retry.helped = true;
        }
        self.reject(&batch.records, outcome.refusals);
        let mut state = self.shared.state.lock();
        for part in &batch.parts {
            if Shared::is_current(&state, part)
                && let Some(owned) = state.owned.get_mut(&part.partition)
            {
                owned.done = Some(owned.done.map_or(part.next, |done| done.max(part.next)));
            }
        }
        drop(state);
        self.publish_hold();
        self.shared.news.notify_one();
        Ok(())
    }

    pub(crate) fn reject(&mut self, records: &[Record], refusals: Vec<Refusal>) {
        if refusals.is_empty() {
            return;
        }
        self.metrics.rejected(refusals.len());
        let mut state = self.shared.state.lock();
        state.rejected.extend(refusals.into_iter().map(|refusal| Rejected {
            origin: records[refusal.record as usize].origin.clone(),
            error: refusal.error,
        }));
    }

    /// Makes the plan that the first of these records needs.
    async fn resolve(&mut self, key: PlanKey, rest: &VecDeque<Delivery>) -> Result<(), End> {
        let Some(record) = rest.front().and_then(|delivery| delivery.records.first()).cloned() else {
            return Ok(());
        };
        let planned = self.plan(&key, &record).await?;
        if let Some(preparer) = &mut self.preparer {
            preparer.learn(key, planned);
        }
        Ok(())
    }

    /// A plan, as often as the server must be asked for it.
    pub(crate) async fn plan(&mut self, key: &PlanKey, record: &Record) -> Result<Planned, End> {
        loop {
            if self.shared.state.lock().stopping {
                return Err(End::Stopped);
            }
            let failure = match self.connected().await {
                Ok(()) => {
                    let target = self.target.as_mut().expect("it was just connected");
                    match resolve::plan(&self.settings, target, &mut self.registry, key, record).await {
                        Ok(planned) => {
                            self.healed();
                            return Ok(planned);
                        }
                        Err(resolve::Failure::Halt(error)) => return Err(End::Failed(error)),
                        Err(resolve::Failure::Server(error)) => failure(error),
                    }
                }
                Err(failure) => failure,
            };
            match failure {
                Failure::Retry(error) => self.pause_after(&error).await,
                Failure::Halt(error) => return Err(End::Failed(error)),
                Failure::Replan(error) => return Err(End::Failed(halted(error))),
                Failure::Rejected(_) => return Err(End::Rejected),
            }
        }
    }

    /// Nothing is queued: whoever waits for that is told, held changes are looked at, and then there is waiting.
    async fn idle(&mut self) -> Result<(), End> {
        let flushes = {
            let mut state = self.shared.state.lock();
            if !state.queue.is_empty() {
                // A flush that was asked for behind these records must not be answered before them.
                return Ok(());
            }
            std::mem::take(&mut state.flushes)
        };
        if !flushes.is_empty() && !self.hold.is_empty() {
            self.retry_held().await?;
        }
        for flush in flushes {
            let _ = flush.send(Ok(()));
        }
        self.retry_held_when_due().await?;
        let wait = if self.hold.is_empty() { None } else { Some(self.until_due()) };
        let work = self.shared.work.notified();
        match wait {
            None => work.await,
            Some(wait) => {
                let _ = tokio::time::timeout(wait, work).await;
            }
        }
        Ok(())
    }
}

/// Why a batch is not repeated.
pub enum Stop {
    End(End),
    /// What was not written, in order.
    Replan(VecDeque<Prepared>),
}

impl Stop {
    /// The same, with batches behind those that were not written.
    pub(crate) fn with(mut self, more: impl IntoIterator<Item = Prepared>) -> Self {
        if let Self::Replan(unwritten) = &mut self {
            unwritten.extend(more);
        }
        self
    }
}

fn start_failed(error: pg::Error) -> TaskError {
    match failure(error) {
        Failure::Retry(error) => {
            let retry = TaskError::retry(error.to_string());
            match error.hint() {
                Some(hint) => retry.with_hint(hint.to_owned()),
                None => retry,
            }
        }
        Failure::Replan(error) => halted(error),
        Failure::Halt(error) => error,
        Failure::Rejected(_) => TaskError::halt("the target refused to start"),
    }
}
