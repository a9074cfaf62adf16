//! Batches sent behind one another: while the server works on one, the next is already on its way to it.
//!
//! Order holds. A transaction sets `tidegate.batch` to its number, and the one behind it begins by asking for that
//! number: where the first was rolled back, by whatever, its setting was too, and the second fails with it. All are
//! then done again, one after the other. A constraint that is checked at the end is checked before COMMIT, so that it
//! leaves a failed transaction open, in which nothing that follows can succeed.

use std::collections::VecDeque;
use std::time::Instant;

use connect::contract::Tolerance;
use futures::future::BoxFuture;

use crate::batch::Batch;
use crate::engine::{End, Engine, Stop};
use crate::jobs::{self, first_failure};
use crate::prepare::Prepared;
use crate::target::{Answers, Checks, Step};
use crate::write::{BEGIN_DEFERRED, Outcome, Writer, rollback};

/// A batch whose answers are still to come.
pub struct Flight {
    prepared: Prepared,
    answers: BoxFuture<'static, Answers>,
    started: Instant,
    number: u64,
}

impl Writer<'_> {
    /// Sends a batch as transaction `number`, behind another one that may be on its way. `None`: it has to be applied
    /// in the ordinary way, when nothing is on its way any more; a statement is new, may leave rows out, or is a COPY.
    async fn send(
        &mut self,
        batch: &mut Batch,
        behind: Option<u64>,
        number: u64,
    ) -> Option<BoxFuture<'static, Answers>> {
        if self.tolerance == Tolerance::None && !batch.refusals.is_empty() {
            return None;
        }
        let mut jobs = jobs::jobs(self.registry, batch);
        let checks = jobs::checks(batch, &jobs);
        let known = |job: &jobs::Job| {
            let known = self.target.known(&job.signature, &job.absent, job.op, checks)?;
            let waits = known.as_ref().is_some_and(|prepared| prepared.returns_refused)
                || jobs::may_copy(self.settings, self.registry, batch, job);
            (!waits).then_some(known)
        };
        let Some(prepared) = jobs.iter().map(known).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())
        else {
            jobs::put_back(batch, jobs);
            return None;
        };
        let begin = if checks == Checks::AtEnd { BEGIN_DEFERRED } else { "BEGIN" };
        let begin = match behind {
            None => begin.into(),
            Some(first) => {
                format!("{begin}; SELECT 1 / (current_setting('tidegate.batch', true) = '{first}')::int4")
            }
        };
        let mut steps = vec![Step::Text(begin.into())];
        steps.extend(jobs::steps(batch, &mut jobs, &prepared));
        let commit = format!("SET CONSTRAINTS ALL IMMEDIATE; SET tidegate.batch = '{number}'; COMMIT");
        steps.push(Step::Text(commit.into()));
        self.target.send(steps).await
    }
}

impl Engine {
    /// Waits for what was sent.
    pub(crate) async fn settle(&mut self) -> Result<Option<Prepared>, End> {
        match self.land(0).await {
            Ok(()) => {}
            Err(stop) => self.replan(stop, None).await?,
        }
        Ok(None)
    }

    /// Sends a batch behind the one that is on its way, and waits for that; or waits for it first, and then writes.
    /// Returns the batch where it was written.
    pub(crate) async fn send_or_write(&mut self, current: Prepared) -> Result<Option<Prepared>, Stop> {
        let mut current = match self.launch(current).await {
            Ok(()) => return self.land(1).await.map(|()| None),
            Err(current) => current,
        };
        let written = match self.land(0).await {
            Ok(()) => self.write_batch(&mut current.batch).await,
            Err(stop) => Err(stop),
        };
        match written {
            Ok(()) => Ok(Some(current)),
            Err(stop) => Err(stop.with([current])),
        }
    }

    /// Sends a batch, where nothing hinders that.
    ///
    /// # Errors
    /// The batch, where something does.
    async fn launch(&mut self, mut prepared: Prepared) -> Result<(), Prepared> {
        let is_plain = prepared.rest.is_empty()
            && prepared.needs.is_none()
            && !prepared.batch.is_empty()
            && prepared.batch.truncate.is_none();
        if !is_plain || !self.hold.is_empty() || !self.topics_are_known() {
            return Err(prepared);
        }
        let Some(target) = self.target.as_mut() else { return Err(prepared) };
        let behind = self.flights.back().map(|flight| flight.number);
        self.launched += 1;
        let started = Instant::now();
        let mut writer =
            Writer { settings: &self.settings, registry: &self.registry, target, tolerance: self.tolerance };
        match writer.send(&mut prepared.batch, behind, self.launched).await {
            Some(answers) => {
                self.flights.push_back(Flight { prepared, answers, started, number: self.launched });
                Ok(())
            }
            None => Err(prepared),
        }
    }

    /// Waits for the batches that were sent, but for the last `but`.
    ///
    /// # Errors
    /// What stops the loop; all batches that were not written are in it, in order.
    pub(crate) async fn land(&mut self, but: usize) -> Result<(), Stop> {
        while self.flights.len() > but {
            let Some(flight) = self.flights.front_mut() else { break };
            let answers = (&mut flight.answers).await;
            let Some(mut flight) = self.flights.pop_front() else { break };
            match first_failure(answers) {
                Ok(_) => {
                    let batch = &mut flight.prepared.batch;
                    let refusals = std::mem::take(&mut batch.refusals);
                    let outcome = Outcome { refusals, ..Outcome::default() };
                    self.written(batch, outcome, flight.started).map_err(Stop::End)?;
                }
                Err(error) => {
                    tracing::debug!(%error, "batches in flight are written again");
                    return self.again(flight.prepared).await;
                }
            }
        }
        Ok(())
    }

    /// Writes what was sent once more, in the ordinary way.
    async fn again(&mut self, first: Prepared) -> Result<(), Stop> {
        let mut unwritten = VecDeque::from([first]);
        for flight in std::mem::take(&mut self.flights) {
            flight.answers.await;
            unwritten.push_back(flight.prepared);
        }
        if let Some(target) = &self.target {
            rollback(target).await;
        }
        while let Some(mut prepared) = unwritten.pop_front() {
            if let Err(stop) = self.write_batch(&mut prepared.batch).await {
                return Err(stop.with([prepared]).with(unwritten));
            }
        }
        Ok(())
    }
}
