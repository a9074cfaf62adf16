//! One batch, one transaction: deletes with children first, then writes with parents first, then the deletes that
//! were refused again. Where a row is bad, the transaction is done once more in parts until that row is alone.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use connect::TaskError;
use connect::contract::Tolerance;
use pg::{Error, sqlstate};

use crate::batch::{Batch, Kind, Refusal};
use crate::columns::Signature;
use crate::encode;
use crate::hold::Why;
use crate::load;
use crate::registry::Registry;
use crate::settings::{ForeignKeys, Settings};
use crate::statement::{self, Sql, Watch};
use crate::table_shape::TableShape;
use crate::target::{Checks, Op, Prepared, Step, Target};
use crate::verdict::{Failure, failure, is_about_rows, rejected};

/// A row that the server did not take yet.
#[derive(Debug)]
pub struct Left {
    /// Index of the table in the batch, and of the change in it.
    pub table_at: usize,
    pub row: u32,
    pub why: Why,
    pub said: Option<String>,
}

/// What became of a batch that was committed.
#[derive(Debug, Default)]
pub struct Outcome {
    pub left: Vec<Left>,
    pub refusals: Vec<Refusal>,
}

/// Rows of one statement.
#[derive(Debug)]
struct Job {
    table_at: usize,
    op: Op,
    signature: Arc<Signature>,
    absent: Box<[u16]>,
    rows: Vec<u32>,
    /// Empty: to be encoded when it runs.
    params: Vec<Vec<u8>>,
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

const BEGIN_DEFERRED: &str = "BEGIN; SET CONSTRAINTS ALL DEFERRED";
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
        let jobs = self.jobs(batch);
        if jobs.is_empty() {
            return Ok(Outcome { left: vec![], refusals: std::mem::take(&mut batch.refusals) });
        }
        let left = match self.with_copies(batch, jobs).await {
            Ok(left) => left,
            Err(error) if is_about_rows(&error) => {
                tracing::debug!(%error, "batch is written in parts");
                let jobs = self.jobs(batch);
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
            let shape = &batch.tables[job.table_at].changes[job.rows[0] as usize].plan.shape;
            if job.op == Op::Write
                && job.rows.len() >= load::ROWS_MIN
                && job.absent.is_empty()
                && self.registry.is_loading(job.signature.table)
                && load::is_possible(self.settings, shape, &job.signature)
            {
                job.op = Op::Copy;
                loaded.push(job.signature.table);
            }
        }
        match self.together(batch, jobs).await {
            Err(error) if !loaded.is_empty() && error.code().is_some() && !error.class().is_transient() => {
                tracing::debug!(%error, "rows are no longer copied in");
                loaded.into_iter().for_each(|table| self.registry.end_load(table));
                let jobs = self.jobs(batch);
                self.together(batch, jobs).await
            }
            written => written,
        }
    }

    /// The statements in their order; takes the encoded parameters out of the batch where they are still there.
    fn jobs(&self, batch: &mut Batch) -> Vec<Job> {
        let mut order: Vec<usize> = (0..batch.tables.len()).collect();
        order.sort_by_key(|at| self.registry.rank(batch.tables[*at].table));
        let mut jobs = vec![];
        for (op, order) in
            [(Op::Delete, order.iter().rev().collect::<Vec<_>>()), (Op::Write, order.iter().collect())]
        {
            for table_at in order {
                let table = &mut batch.tables[*table_at];
                let groups = if op == Op::Delete { &mut table.deletes } else { &mut table.writes };
                jobs.extend(groups.iter_mut().filter(|group| !group.rows.is_empty()).map(|group| Job {
                    table_at: *table_at,
                    op,
                    signature: group.signature.clone(),
                    absent: group.absent.clone(),
                    rows: group.rows.clone(),
                    params: std::mem::take(&mut group.params),
                }));
            }
        }
        jobs
    }

    /// The whole batch without stopping for any row.
    async fn together(&mut self, batch: &Batch, jobs: Vec<Job>) -> Result<Vec<Left>, Error> {
        let deferred = jobs
            .iter()
            .any(|job| batch.tables[job.table_at].changes[job.rows[0] as usize].plan.shape.deferrable);
        let checks = if deferred { Checks::AtEnd } else { Checks::AtOnce };
        let (begin, commit) = match checks {
            Checks::AtEnd => (BEGIN_DEFERRED, COMMIT_DEFERRED),
            Checks::AtOnce => ("BEGIN", "COMMIT"),
        };
        let prepared = self.prepare_all(batch, &jobs, checks).await?;
        let may_go_on = jobs.iter().zip(&prepared).any(|(job, prepared)| {
            prepared.as_ref().is_some_and(|prepared| prepared.returns_refused)
                && (job.op == Op::Delete || self.registry.refers_ahead(job.signature.table))
        });
        let mut steps = vec![Step::Text(begin)];
        let mut encoded: Vec<Vec<Vec<u8>>> = vec![];
        for job in &jobs {
            encoded.push(if job.params.is_empty() { params(batch, job) } else { vec![] });
        }
        let params = |at: usize| if jobs[at].params.is_empty() { &encoded[at] } else { &jobs[at].params };
        let mut copied = 0;
        for (at, prepared) in prepared.iter().enumerate() {
            let Some(prepared) = prepared else { continue };
            steps.push(match jobs[at].op {
                Op::Write | Op::Delete => Step::Rows(prepared, params(at)),
                Op::Copy if at < copied => Step::Nothing,
                Op::Copy => {
                    // One COPY for all rows of the same columns: each waits for the server's word before its rows.
                    let same =
                        |job: &&Job| job.op == Op::Copy && Arc::ptr_eq(&job.signature, &jobs[at].signature);
                    copied = at + jobs[at..].iter().take_while(same).count();
                    let parts: Vec<_> =
                        (at..copied).map(|at| (params(at).as_slice(), jobs[at].rows.len())).collect();
                    Step::Copy(prepared, load::rows(&parts))
                }
            });
        }
        if !may_go_on {
            steps.push(Step::Text(commit));
        }
        let answers = first_failure(self.target.pipeline(steps).await);
        let mut left = vec![];
        let result = match answers {
            Err(error) => Err(error),
            Ok(answers) => {
                let mut answers = answers.into_iter().skip(1);
                for (job, _) in jobs.iter().zip(&prepared).filter(|(_, prepared)| prepared.is_some()) {
                    left.extend(refused(job, answers.next().unwrap_or_default()));
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
        commit: &str,
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
                let params = params(batch, &job);
                let answer = match failing {
                    Failing::Ends => self.run_rows(&prepared, &params).await,
                    Failing::Waits => self.run_saved(&prepared, &params).await,
                };
                match answer {
                    Ok(places) => rest.extend(refused(&job, places)),
                    Err(error) if failing == Failing::Waits && is_about_rows(&error) => {
                        rest.extend(refused(&job, (1..=job.rows.len() as i64).collect()));
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
        self.run_text("BEGIN").await.map_err(failure)?;
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
            match self.run_saved(&prepared, &params(batch, &job)).await {
                Ok(places) => left.extend(refused(&job, places)),
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
            match encoded(batch, &earlier) {
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
            let shape = &batch.tables[job.table_at].changes[job.rows[0] as usize].plan.shape;
            let known = self.target.known(&job.signature, &job.absent, job.op, checks);
            all.push(match known {
                Some(prepared) => prepared,
                None => {
                    let sql = self.sql(job, shape, checks);
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

    async fn run_text(&self, text: &str) -> Result<(), Error> {
        self.target.pipeline(vec![Step::Text(text)]).await.pop().unwrap_or(Ok(vec![])).map(drop)
    }

    async fn run_rows(&self, prepared: &Prepared, params: &[Vec<u8>]) -> Result<Vec<i64>, Error> {
        self.target.pipeline(vec![Step::Rows(prepared, params)]).await.pop().unwrap_or(Ok(vec![]))
    }

    async fn run_saved(&self, prepared: &Prepared, params: &[Vec<u8>]) -> Result<Vec<i64>, Error> {
        let steps =
            vec![Step::Text("SAVEPOINT row"), Step::Rows(prepared, params), Step::Text("RELEASE row")];
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

/// All answers, or the first failure: those behind it only say that the transaction has ended.
fn first_failure(answers: Vec<Result<Vec<i64>, Error>>) -> Result<Vec<Vec<i64>>, Error> {
    answers.into_iter().collect()
}

/// Ends a transaction that failed; where there is none, the server only warns.
async fn rollback(target: &Target) {
    let _ = target.pipeline(vec![Step::Text("ROLLBACK")]).await;
}

/// The parameters of a job whose rows were encoded before.
fn params(batch: &Batch, job: &Job) -> Vec<Vec<u8>> {
    encoded(batch, job).expect("rows that cannot be encoded were refused when they were entered")
}

fn encoded(batch: &Batch, job: &Job) -> Result<Vec<Vec<u8>>, TaskError> {
    let table = &batch.tables[job.table_at];
    match job.op {
        Op::Delete => Ok(encode::keys(table, &job.signature, &job.rows)),
        Op::Write | Op::Copy => encode::writes(&batch.records, table, &job.signature, &job.absent, &job.rows)
            .map_err(|mut bad| bad.swap_remove(0).1),
    }
}

fn refused(job: &Job, places: Vec<i64>) -> impl Iterator<Item = Left> + '_ {
    let why = if job.op == Op::Delete { Why::Child } else { Why::Parent };
    places.into_iter().filter_map(move |place| {
        let row = *job.rows.get(usize::try_from(place).ok()?.checked_sub(1)?)?;
        Some(Left { table_at: job.table_at, row, why, said: None })
    })
}
