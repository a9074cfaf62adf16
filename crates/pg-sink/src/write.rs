//! One batch, one transaction: deletes with children first, then writes with parents first, then the deletes that
//! were refused again. Where a row is bad, the transaction is done once more in parts until that row is alone.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use connect::contract::Tolerance;
use pg::{Error, sqlstate};

use crate::batch::{Batch, Kind, Refusal};
use crate::hold::Why;
use crate::jobs::{self, Job, Left, first_failure};
use crate::load;
use crate::registry::Registry;
use crate::settings::{ForeignKeys, Settings};
use crate::statement::{self, Sql, Watch};
use crate::table_shape::TableShape;
use crate::target::{Checks, Op, Prepared, Step, Target};
use crate::verdict::{Failure, failure, is_about_rows, rejected};

/// What became of a batch that was committed.
#[derive(Debug, Default)]
pub struct Outcome {
    pub left: Vec<Left>,
    pub refusals: Vec<Refusal>,
}

/// What a row that fails does to its transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failing {
    Ends,
    /// It is left for later.
    Waits,
}

/// Rounds in which refused rows are tried again within the transaction; each must bring at least one row further.
const ROUNDS_MAX: usize = 1_000;

pub const BEGIN_DEFERRED: &str = "BEGIN; SET CONSTRAINTS ALL DEFERRED";
/// A row is known to be bad by the statement that writes it, not by the end of all.
const BEGIN_IMMEDIATE: &str = "BEGIN; SET CONSTRAINTS ALL IMMEDIATE";
const COMMIT_DEFERRED: &str = "SET CONSTRAINTS ALL IMMEDIATE; COMMIT";

/// Applies batches to one target.
pub struct Writer<'a> {
    pub settings: &'a Settings,
    pub registry: &'a Registry,
    pub target: &'a mut Target,
    pub tolerance: Tolerance,
}

impl Writer<'_> {
    /// Writes a batch; on success it is committed.
    pub async fn apply(&mut self, batch: &mut Batch) -> Result<Outcome, Failure> {
        if self.tolerance == Tolerance::None && !batch.refusals.is_empty() {
            return Err(Failure::Rejected(std::mem::take(&mut batch.refusals)));
        }
        let jobs = jobs::jobs(self.registry, batch);
        if jobs.is_empty() {
            return Ok(Outcome { left: vec![], refusals: std::mem::take(&mut batch.refusals) });
        }
        let left = match self.with_copies(batch, jobs).await {
            Ok(left) => left,
            Err(error) if is_about_rows(&error) => {
                tracing::debug!(%error, "batch is written in parts");
                let jobs = jobs::jobs(self.registry, batch);
                self.in_parts(batch, jobs).await?
            }
            Err(error) => return Err(failure(error)),
        };
        Ok(Outcome { left, refusals: std::mem::take(&mut batch.refusals) })
    }

    /// The whole batch, with rows copied into tables that are loaded; without, where that fails.
    async fn with_copies(&mut self, batch: &mut Batch, mut jobs: Vec<Job>) -> Result<Vec<Left>, Error> {
        let mut loaded = vec![];
        for job in &mut jobs {
            if jobs::may_copy(self.settings, self.registry, batch, job) {
                job.op = Op::Copy;
                loaded.push(job.signature.table);
            }
        }
        match self.together(batch, jobs).await {
            Err(error) if !loaded.is_empty() && error.code().is_some() && !error.class().is_transient() => {
                tracing::debug!(%error, "rows are no longer copied in");
                loaded.into_iter().for_each(|table| self.registry.end_load(table));
                let jobs = jobs::jobs(self.registry, batch);
                self.together(batch, jobs).await
            }
            written => written,
        }
    }

    /// The whole batch without stopping for any row.
    async fn together(&mut self, batch: &Batch, mut jobs: Vec<Job>) -> Result<Vec<Left>, Error> {
        let checks = jobs::checks(batch, &jobs);
        let (begin, commit) = match checks {
            Checks::AtEnd => (BEGIN_DEFERRED, COMMIT_DEFERRED),
            Checks::AtOnce => ("BEGIN", "COMMIT"),
        };
        let prepared = self.prepare_all(batch, &jobs, checks).await?;
        let may_go_on = jobs.iter().zip(&prepared).any(|(job, prepared)| {
            prepared.as_ref().is_some_and(|prepared| prepared.returns_refused)
                && (job.op == Op::Delete || self.registry.refers_ahead(job.signature.table))
        });
        let mut steps = vec![Step::Text(begin.into())];
        steps.extend(jobs::steps(batch, &mut jobs, &prepared));
        if !may_go_on {
            steps.push(Step::Text(commit.into()));
        }
        let answers = first_failure(self.target.pipeline(steps).await);
        let mut left = vec![];
        let result = match answers {
            Err(error) => Err(error),
            Ok(answers) => {
                let mut answers = answers.into_iter().skip(1);
                for (job, _) in jobs.iter().zip(&prepared).filter(|(_, prepared)| prepared.is_some()) {
                    left.extend(job.left(answers.next().unwrap_or_default()));
                }
                if may_go_on { self.go_on(batch, left, checks, commit).await } else { Ok(left) }
            }
        };
        if result.is_err() {
            // A check at the end that fails leaves the transaction open too, though the commit was sent along.
            rollback(self.target).await;
        }
        result
    }

    async fn go_on(
        &mut self,
        batch: &Batch,
        left: Vec<Left>,
        checks: Checks,
        commit: &'static str,
    ) -> Result<Vec<Left>, Error> {
        let left = self.rounds(batch, left, checks, Failing::Ends).await?;
        self.run_text(commit).await?;
        Ok(left)
    }

    /// Tries refused rows again for as long as that brings any of them further.
    async fn rounds(
        &mut self,
        batch: &Batch,
        mut left: Vec<Left>,
        checks: Checks,
        failing: Failing,
    ) -> Result<Vec<Left>, Error> {
        for _ in 0..ROUNDS_MAX {
            let registry = self.registry;
            let again = |left: &Left| {
                left.why == Why::Child || registry.refers_ahead(batch.tables[left.table_at].table)
            };
            let (retried, mut rest): (Vec<Left>, Vec<Left>) = left.into_iter().partition(again);
            let before = retried.len();
            // Writes first: they may take a child away from the parent that is to be deleted.
            for job in self.regroup(batch, &retried) {
                let prepared = self.prepare_all(batch, std::slice::from_ref(&job), checks).await?.pop();
                let Some(prepared) = prepared.flatten() else { continue };
                let params = job.encoded(batch);
                let answer = match failing {
                    Failing::Ends => self.run_rows(prepared, params).await,
                    Failing::Waits => self.run_saved(prepared, params).await,
                };
                match answer {
                    Ok(places) => rest.extend(job.left(places)),
                    Err(error) if failing == Failing::Waits && is_about_rows(&error) => {
                        rest.extend(job.left((1..=job.rows.len() as i64).collect()));
                    }
                    Err(error) => return Err(error),
                }
            }
            let after = rest.iter().filter(|left| again(left)).count();
            left = rest;
            if after == 0 || after == before {
                break;
            }
        }
        Ok(left)
    }

    /// Jobs for rows that are left, in the order of a round.
    fn regroup(&self, batch: &Batch, left: &[Left]) -> Vec<Job> {
        let mut jobs: Vec<Job> = vec![];
        for left in left {
            let change = &batch.tables[left.table_at].changes[left.row as usize];
            let (op, signature, absent) = match left.why {
                Why::Child => (Op::Delete, &change.plan.key_signature, &[][..]),
                Why::Parent | Why::Unique => (Op::Write, &change.plan.signature, &*change.absent),
            };
            let fits = |job: &&mut Job| {
                job.op == op
                    && job.table_at == left.table_at
                    && Arc::ptr_eq(&job.signature, signature)
                    && *job.absent == *absent
            };
            match jobs.iter_mut().find(fits) {
                Some(job) => job.rows.push(left.row),
                None => jobs.push(Job {
                    table_at: left.table_at,
                    op,
                    signature: signature.clone(),
                    absent: absent.into(),
                    rows: vec![left.row],
                    params: vec![],
                }),
            }
        }
        let rank = |job: &Job| self.registry.rank(job.signature.table) as isize;
        jobs.sort_by_key(|job| if job.op == Op::Write { (0, rank(job)) } else { (1, -rank(job)) });
        jobs
    }

    /// Every statement under a savepoint; one that fails for a row is halved until the row is alone.
    async fn in_parts(&mut self, batch: &mut Batch, jobs: Vec<Job>) -> Result<Vec<Left>, Failure> {
        self.run_text(BEGIN_IMMEDIATE).await.map_err(failure)?;
        let mut left = vec![];
        let result = self.parts(batch, jobs, &mut left).await;
        let result = match result {
            Ok(()) => {
                match self.rounds(batch, std::mem::take(&mut left), Checks::AtOnce, Failing::Waits).await {
                    Ok(rows) => self.run_text("COMMIT").await.map_err(failure).map(|()| rows),
                    Err(error) => Err(failure(error)),
                }
            }
            Err(failure) => Err(failure),
        };
        if result.is_err() {
            rollback(self.target).await;
        }
        result
    }

    async fn parts(
        &mut self,
        batch: &mut Batch,
        jobs: Vec<Job>,
        left: &mut Vec<Left>,
    ) -> Result<(), Failure> {
        let mut work: VecDeque<Job> = jobs.into();
        while let Some(job) = work.pop_front() {
            let prepared =
                self.prepare_all(batch, std::slice::from_ref(&job), Checks::AtOnce).await.map_err(failure)?;
            let Some(Some(prepared)) = prepared.into_iter().next() else { continue };
            match self.run_saved(prepared, job.encoded(batch)).await {
                Ok(places) => left.extend(job.left(places)),
                Err(error) if !is_about_rows(&error) => return Err(failure(error)),
                Err(_) if job.rows.len() > 1 => {
                    let (first, second) = job.rows.split_at(job.rows.len() / 2);
                    for rows in [second, first] {
                        work.push_front(Job {
                            rows: rows.to_vec(),
                            params: vec![],
                            signature: job.signature.clone(),
                            absent: job.absent.clone(),
                            ..job
                        });
                    }
                }
                Err(error) => match self.waits(batch, &job, &error) {
                    Some(why) => left.push(Left {
                        table_at: job.table_at,
                        row: job.rows[0],
                        why,
                        said: Some(error.to_string()),
                    }),
                    None => work.extend(self.refuse(batch, &job, error)?),
                },
            }
        }
        Ok(())
    }

    /// Whether the only row of a job may succeed later: a foreign key, or a unique index other than the key's.
    fn waits(&self, batch: &Batch, job: &Job, error: &Error) -> Option<Why> {
        match error.code() {
            Some(sqlstate::FOREIGN_KEY_VIOLATION) => {
                Some(if job.op == Op::Delete { Why::Child } else { Why::Parent })
            }
            Some(sqlstate::UNIQUE_VIOLATION) => {
                let change = &batch.tables[job.table_at].changes[job.rows[0] as usize];
                let keys: Vec<usize> = change.plan.key().iter().map(|slot| slot.column).collect();
                let by_key = error
                    .constraint()
                    .is_none_or(|constraint| change.plan.shape.is_key_constraint(constraint, &keys));
                (!by_key && !keys.is_empty()).then_some(Why::Unique)
            }
            _ => None,
        }
    }

    /// Rejects the only row of a job. What it had replaced is tried in its place.
    fn refuse(&self, batch: &mut Batch, job: &Job, error: Error) -> Result<Option<Job>, Failure> {
        let row = job.rows[0];
        let mut error = rejected(error);
        loop {
            batch.refuse_change(job.table_at, row, error);
            if self.tolerance == Tolerance::None {
                return Err(Failure::Rejected(std::mem::take(&mut batch.refusals)));
            }
            let change = &batch.tables[job.table_at].changes[row as usize];
            let (op, signature, absent) = match change.kind {
                Kind::Gone => return Ok(None),
                Kind::Delete => (Op::Delete, &change.plan.key_signature, Box::default()),
                Kind::Write | Kind::Replace => (Op::Write, &change.plan.signature, change.absent.clone()),
            };
            let earlier = Job {
                table_at: job.table_at,
                op,
                signature: signature.clone(),
                absent,
                rows: vec![row],
                params: vec![],
            };
            match earlier.encode(batch) {
                Ok(_) => return Ok(Some(earlier)),
                Err(why) => error = why,
            }
        }
    }

    async fn prepare_all(
        &mut self,
        batch: &Batch,
        jobs: &[Job],
        checks: Checks,
    ) -> Result<Vec<Option<Prepared>>, Error> {
        let mut all = Vec::with_capacity(jobs.len());
        for job in jobs {
            let known = self.target.known(&job.signature, &job.absent, job.op, checks);
            all.push(match known {
                Some(prepared) => prepared,
                None => {
                    let sql = self.sql(job, job.shape(batch), checks);
                    self.target.prepare(&job.signature, &job.absent, job.op, checks, sql).await?
                }
            });
        }
        Ok(all)
    }

    fn sql(&self, job: &Job, shape: &TableShape, checks: Checks) -> Option<Sql> {
        let later = match checks {
            Checks::AtEnd => self.registry.later(job.signature.table),
            Checks::AtOnce => HashSet::new(),
        };
        let watch = match self.settings.foreign_keys {
            ForeignKeys::Hold => Watch::Keys { written: &self.registry.written, later: &later },
            ForeignKeys::Replica => Watch::Nothing,
        };
        match job.op {
            Op::Write => {
                statement::write(shape, &job.signature, &job.absent, self.settings.insert_mode, watch)
            }
            Op::Copy => {
                let text = load::statement(shape, &job.signature);
                Some(Sql { text, returns_refused: false })
            }
            Op::Delete => Some(statement::delete(shape, &job.signature, watch)),
        }
    }

    async fn run_text(&self, text: &'static str) -> Result<(), Error> {
        self.target.pipeline(vec![Step::Text(text.into())]).await.pop().unwrap_or(Ok(vec![])).map(drop)
    }

    async fn run_rows(&self, prepared: Prepared, params: Vec<Vec<u8>>) -> Result<Vec<i64>, Error> {
        self.target.pipeline(vec![Step::Rows(prepared, params)]).await.pop().unwrap_or(Ok(vec![]))
    }

    async fn run_saved(&self, prepared: Prepared, params: Vec<Vec<u8>>) -> Result<Vec<i64>, Error> {
        let steps = vec![
            Step::Text("SAVEPOINT row".into()),
            Step::Rows(prepared, params),
            Step::Text("RELEASE row".into()),
        ];
        let mut answers = self.target.pipeline(steps).await.into_iter();
        answers.next().unwrap_or(Ok(vec![]))?;
        match answers.next().unwrap_or(Ok(vec![])) {
            Ok(places) => answers.next().unwrap_or(Ok(vec![])).map(|_| places),
            Err(error) => {
                self.run_text("ROLLBACK TO row; RELEASE row").await?;
                Err(error)
            }
        }
    }
}

/// Ends a transaction that failed; where there is none, the server only warns.
pub async fn rollback(target: &Target) {
    let _ = target.pipeline(vec![Step::Text("ROLLBACK".into())]).await;
}
