//! A batch as statements in the order in which they are to run: deletes with children first, then writes with parents
//! first.

use std::sync::Arc;

use connect::TaskError;
use pg::Error;

use crate::batch::Batch;
use crate::columns::Signature;
use crate::encode;
use crate::hold::Why;
use crate::load;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::table_shape::TableShape;
use crate::target::{Answers, Checks, Op, Prepared, Step};

/// A row that the server did not take yet.
#[derive(Debug)]
pub struct Left {
    /// Index of the table in the batch, and of the change in it.
    pub table_at: usize,
    pub row: u32,
    pub why: Why,
    pub said: Option<String>,
}

/// Rows of one statement.
#[derive(Debug)]
pub struct Job {
    pub table_at: usize,
    pub op: Op,
    pub signature: Arc<Signature>,
    pub absent: Box<[u16]>,
    /// Indexes of the table's changes.
    pub rows: Vec<u32>,
    /// Empty: to be encoded when it runs.
    pub params: Vec<Vec<u8>>,
}

impl Job {
    pub fn shape<'b>(&self, batch: &'b Batch) -> &'b TableShape {
        &batch.tables[self.table_at].changes[self.rows[0] as usize].plan.shape
    }

    /// The rows that the statement left out, by the places that it returned.
    pub fn left(&self, places: Vec<i64>) -> impl Iterator<Item = Left> + '_ {
        let why = if self.op == Op::Delete { Why::Child } else { Why::Parent };
        places.into_iter().filter_map(move |place| {
            let row = *self.rows.get(usize::try_from(place).ok()?.checked_sub(1)?)?;
            Some(Left { table_at: self.table_at, row, why, said: None })
        })
    }

    /// The parameters of rows that were encoded before.
    pub fn encoded(&self, batch: &Batch) -> Vec<Vec<u8>> {
        self.encode(batch).expect("rows that cannot be encoded were refused when they were entered")
    }

    pub fn encode(&self, batch: &Batch) -> Result<Vec<Vec<u8>>, TaskError> {
        let table = &batch.tables[self.table_at];
        match self.op {
            Op::Delete => Ok(encode::keys(table, &self.signature, &self.rows)),
            Op::Write | Op::Copy => {
                encode::writes(&batch.records, table, &self.signature, &self.absent, &self.rows)
                    .map_err(|mut bad| bad.swap_remove(0).1)
            }
        }
    }
}

/// The statements of a batch; takes the encoded parameters out of it where they are still there.
pub fn jobs(registry: &Registry, batch: &mut Batch) -> Vec<Job> {
    let mut order: Vec<usize> = (0..batch.tables.len()).collect();
    order.sort_by_key(|at| registry.rank(batch.tables[*at].table));
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

/// Gives the parameters back.
pub fn put_back(batch: &mut Batch, jobs: Vec<Job>) {
    for job in jobs {
        let table = &mut batch.tables[job.table_at];
        let groups = if job.op == Op::Delete { &mut table.deletes } else { &mut table.writes };
        if let Some(group) = groups.iter_mut().find(|group| group.rows == job.rows) {
            group.params = job.params;
        }
    }
}

/// Whether a job's rows may be copied into their table.
pub fn may_copy(settings: &Settings, registry: &Registry, batch: &Batch, job: &Job) -> bool {
    job.op == Op::Write
        && job.rows.len() >= load::ROWS_MIN
        && job.absent.is_empty()
        && registry.is_loading(job.signature.table)
        && load::is_possible(settings, job.shape(batch), &job.signature)
}

/// When the constraints of these jobs' tables are checked.
pub fn checks(batch: &Batch, jobs: &[Job]) -> Checks {
    let deferred = jobs.iter().any(|job| job.shape(batch).deferrable);
    if deferred { Checks::AtEnd } else { Checks::AtOnce }
}

/// The steps of these jobs, one for each that has a statement.
pub fn steps(batch: &Batch, jobs: &mut [Job], prepared: &[Option<Prepared>]) -> Vec<Step> {
    for job in jobs.iter_mut().filter(|job| job.params.is_empty()) {
        job.params = job.encoded(batch);
    }
    let mut steps = vec![];
    let mut copied = 0;
    for (at, prepared) in prepared.iter().enumerate() {
        let Some(prepared) = prepared else { continue };
        steps.push(match jobs[at].op {
            Op::Write | Op::Delete => Step::Rows(prepared.clone(), std::mem::take(&mut jobs[at].params)),
            Op::Copy if at < copied => Step::Nothing,
            Op::Copy => {
                // One COPY for all rows of the same columns: each waits for the server's word before its rows.
                let same =
                    |job: &&Job| job.op == Op::Copy && Arc::ptr_eq(&job.signature, &jobs[at].signature);
                copied = at + jobs[at..].iter().take_while(same).count();
                let parts: Vec<_> =
                    jobs[at..copied].iter().map(|job| (job.params.as_slice(), job.rows.len())).collect();
                Step::Copy(prepared.clone(), load::rows(&parts))
            }
        });
    }
    steps
}

/// All answers, or the first failure: those behind it only say that the transaction has ended.
pub fn first_failure(answers: Answers) -> Result<Vec<Vec<i64>>, Error> {
    answers.into_iter().collect()
}
