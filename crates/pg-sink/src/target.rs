//! The session with the target: how it is set up, its prepared statements, and how a transaction is sent in one go.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt, join_all, ready};
use futures::{SinkExt, StreamExt, TryStreamExt, poll};
use pg::tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use pg::tokio_postgres::{Client, Statement};
use pg::{Error, Session};

use crate::columns::Signature;
use crate::settings::{ForeignKeys, Settings};
use crate::statement::Sql;

/// Statements that are sent before an answer is read. More would not be faster, and their order of first polling is
/// known only for a few.
const PIPELINE_STATEMENTS_MAX: usize = 24;

/// What our statements rely on. Sub-queries and joins are to probe indexes, also while a table is empty; a plan is
/// made once; a text without a zone is UTC.
const SESSION: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
     SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; SET TimeZone = 'UTC'; \
     SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET client_min_messages = 'warning'; \
     SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed'";

const REPLICA: &str = "SET session_replication_role = replica";

/// What a statement does; together with its columns it names the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Write,
    /// A write of rows that are new.
    Copy,
    Delete,
}

/// When foreign keys that can be deferred are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checks {
    AtEnd,
    AtOnce,
}

#[derive(PartialEq, Eq, Hash)]
struct StatementKey {
    /// Address of the signature, which the prepared statement keeps alive.
    signature: usize,
    absent: Box<[u16]>,
    op: Op,
    checks: Checks,
}

impl StatementKey {
    fn new(signature: &Arc<Signature>, absent: &[u16], op: Op, checks: Checks) -> Self {
        Self { signature: Arc::as_ptr(signature) as usize, absent: absent.into(), op, checks }
    }
}

/// A statement that the server knows.
#[derive(Clone)]
pub struct Prepared {
    pub statement: Statement,
    pub returns_refused: bool,
}

/// Places of the rows that each step left out, or why it failed.
pub type Answers = Vec<Result<Vec<i64>, Error>>;

/// One session.
pub struct Target {
    session: Arc<Session>,
    statements: HashMap<StatementKey, (Arc<Signature>, Option<Prepared>)>,
    /// Where tables without a schema belong.
    pub current_schema: String,
}

impl Target {
    pub async fn open(settings: &Settings) -> Result<Self, Error> {
        let session = pg::connect(&settings.connect).await?;
        session.batch_execute(SESSION).await?;
        if settings.foreign_keys == ForeignKeys::Replica {
            session.batch_execute(REPLICA).await.map_err(|error| {
                Error::from(error).with_hint(
                    "grant the role SET ON PARAMETER session_replication_role (PostgreSQL 15), or set \
                     foreign.key.handling to hold",
                )
            })?;
        }
        let row = session.query_one("SELECT pg_catalog.current_schema()::text", &[]).await?;
        let current_schema = row.try_get::<_, Option<String>>(0)?.unwrap_or_else(|| "public".to_owned());
        Ok(Self { session: Arc::new(session), statements: HashMap::new(), current_schema })
    }

    pub fn client(&self) -> &Client {
        &self.session
    }

    /// Statements are made anew: another table is known, or one has changed.
    pub fn forget_statements(&mut self) {
        self.statements.clear();
    }

    /// The statement for these columns, where it was prepared before; the inner `None`: there is nothing to do.
    pub fn known(
        &self,
        signature: &Arc<Signature>,
        absent: &[u16],
        op: Op,
        checks: Checks,
    ) -> Option<Option<Prepared>> {
        self.statements.get(&StatementKey::new(signature, absent, op, checks)).map(|(_, known)| known.clone())
    }

    pub async fn prepare(
        &mut self,
        signature: &Arc<Signature>,
        absent: &[u16],
        op: Op,
        checks: Checks,
        sql: Option<Sql>,
    ) -> Result<Option<Prepared>, Error> {
        let prepared = match sql {
            None => None,
            Some(sql) => {
                tracing::debug!(sql = %sql.text, "preparing");
                let statement = self.session.prepare(&sql.text).await?;
                Some(Prepared { statement, returns_refused: sql.returns_refused })
            }
        };
        let key = StatementKey::new(signature, absent, op, checks);
        // The signature stays alive with the entry: its address means it.
        self.statements.insert(key, (signature.clone(), prepared.clone()));
        Ok(prepared)
    }

    /// Sends all steps without waiting in between, and returns their answers in order.
    pub async fn pipeline(&self, steps: Vec<Step>) -> Answers {
        let mut answers = Vec::with_capacity(steps.len());
        let mut steps = steps.into_iter();
        loop {
            let chunk: Vec<_> =
                steps.by_ref().take(PIPELINE_STATEMENTS_MAX).map(|step| step.run(&self.session)).collect();
            if chunk.is_empty() {
                return answers;
            }
            answers.extend(join_all(chunk).await);
        }
    }

    /// Sends all steps, and returns at once; `None`, and nothing is sent, where they are too many for that.
    pub async fn send(&self, steps: Vec<Step>) -> Option<BoxFuture<'static, Answers>> {
        if steps.len() > PIPELINE_STATEMENTS_MAX {
            return None;
        }
        let mut answers = join_all(steps.into_iter().map(|step| step.run(&self.session))).boxed();
        Some(match poll!(&mut answers) {
            Poll::Pending => answers,
            Poll::Ready(answers) => ready(answers).boxed(),
        })
    }
}

/// One message to the server.
pub enum Step {
    Text(Cow<'static, str>),
    Rows(Prepared, Vec<Vec<u8>>),
    /// Rows in COPY's form.
    Copy(Prepared, Bytes),
    /// Another step has done it.
    Nothing,
}

impl Step {
    fn run(self, session: &Arc<Session>) -> BoxFuture<'static, Result<Vec<i64>, Error>> {
        let client = session.clone();
        async move {
            match self {
                Self::Text(text) => client.batch_execute(&text).await.map(|()| vec![]).map_err(Error::from),
                Self::Rows(prepared, params) => {
                    let params = params.iter().map(|param| Encoded(param));
                    if !prepared.returns_refused {
                        client.execute_raw(&prepared.statement, params).await?;
                        return Ok(vec![]);
                    }
                    let rows = client.query_raw(&prepared.statement, params).await?;
                    let places = rows.map(|row| row.and_then(|row| row.try_get::<_, i64>(0)));
                    places.try_collect().await.map_err(Error::from)
                }
                Self::Nothing => Ok(vec![]),
                Self::Copy(prepared, rows) => {
                    let mut sink = pin!(client.copy_in::<_, Bytes>(&prepared.statement).await?);
                    sink.send(rows).await?;
                    sink.finish().await?;
                    Ok(vec![])
                }
            }
        }
        .boxed()
    }
}

/// A parameter that is already in the wire's form.
#[derive(Debug)]
struct Encoded<'a>(&'a [u8]);

impl ToSql for Encoded<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
