//! Heartbeats: a record at fixed intervals, and a statement that the user wants to be run with each.

use std::sync::Arc;
use std::time::Duration;

use connect::{Record, SchemaBuilder, TaskError, Value};
use pg::{ConnectSettings, Session};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::envelope::now_nanos;
use crate::failure;
use crate::settings::{Compat, Settings};

/// The clock of the heartbeats, and the record that each sends.
pub struct Heartbeat {
    clock: tokio::time::Interval,
    topic: Arc<str>,
    prefix: String,
    compat: Compat,
    action: Option<Action>,
}

/// Runs the statement on a connection of its own: a failure never stops the stream.
struct Action {
    beats: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Drop for Action {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Heartbeat {
    /// `None` when no heartbeats are wanted. The first one comes at once.
    pub fn new(settings: &Settings) -> Option<Self> {
        let interval = settings.heartbeat_interval?;
        let mut clock = tokio::time::interval(interval);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let action = settings.heartbeat_query.clone().map(|query| {
            // One beat may wait while the statement runs; more would only pile up.
            let (beats, receiver) = mpsc::channel(1);
            let connect = settings.connect.named("Debezium Heartbeat");
            Action { beats, task: tokio::spawn(act(connect, query, receiver)) }
        });
        Some(Self {
            clock,
            topic: settings.heartbeat_topic.as_str().into(),
            prefix: settings.topic_prefix.clone(),
            compat: settings.compat,
            action,
        })
    }

    /// Resolves at the next beat. Cancel-safe.
    pub async fn tick(&mut self) -> Instant {
        self.clock.tick().await
    }

    /// The record of one beat; runs the statement.
    pub fn beat(&mut self) -> Record {
        if let Some(action) = &self.action {
            // Full: the statement of the last beat still runs.
            let _ = action.beats.try_send(());
        }
        // Schemas have versions since 2.0.
        let structure = |name: &str| {
            let schema = SchemaBuilder::structure().name(format!("io.debezium.connector.common.{name}"));
            if self.compat == Compat::V19 { schema } else { schema.version(1) }
        };
        let key_schema =
            structure("ServerNameKey").field("serverName", SchemaBuilder::string().build()).build();
        let value_schema = structure("Heartbeat").field("ts_ms", SchemaBuilder::int64().build()).build();
        let key = Value::Struct(Box::new([Value::text(&self.prefix)]));
        let value = Value::Struct(Box::new([Value::Int64(now_nanos() / 1_000_000)]));
        let mut record =
            Record::source(self.topic.clone(), (Some(key_schema), key), (Some(value_schema), value));
        record.partition = Some(0);
        record
    }
}

/// Longest run of a statement.
const ACTION_TIMEOUT: Duration = Duration::from_secs(30);

async fn act(connect: ConnectSettings, query: String, mut beats: mpsc::Receiver<()>) {
    let mut session = None;
    let mut last_failure = None;
    while beats.recv().await.is_some() {
        let run = tokio::time::timeout(ACTION_TIMEOUT, run(&mut session, &connect, &query));
        let failed = match run.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no end within {} s", ACTION_TIMEOUT.as_secs())),
        };
        if failed.is_some() {
            session = None;
        }
        // Said once, not with every beat.
        if let Some(error) = failed.as_ref().filter(|_| failed != last_failure) {
            tracing::error!(error = %error, "heartbeat.action.query failed; streaming goes on");
        }
        last_failure = failed;
    }
}

async fn run(session: &mut Option<Session>, connect: &ConnectSettings, query: &str) -> Result<(), TaskError> {
    let client = match session {
        Some(client) => client,
        None => session.insert(pg::connect(connect).await.map_err(failure::from_pg)?),
    };
    client.batch_execute(query).await.map_err(failure::from_client)
}
