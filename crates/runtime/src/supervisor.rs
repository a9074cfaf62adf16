//! Starts a task, watches it, and starts it again where that helps.
//!
//! A task that ends with `Fate::Retry` is started again by itself, with back-off; one that ends otherwise is
//! FAILED until somebody restarts it.

use std::sync::Arc;
use std::time::Duration;

use connect::contract::TaskId;
use connect::settings::Properties;
use connect::{Fate, TaskError};
use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::failures::trace;
use crate::herder::TaskContext;
use crate::plugins::{Connector, Role};
use crate::status::State;
use crate::{sink_task, source_task};

/// First wait before a task is started again, or its source polled again.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait: a server that is back is used again within this time.
const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// What a task is told, and how it tells how it is.
pub struct Control {
    wanted: watch::Receiver<Wanted>,
    report: Report,
    failures: u32,
}

/// What the herder wants of a running task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Run,
    Pause,
    Stop,
}

/// What changed for a running task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Stop,
    /// To pause or to go on.
    Target,
}

/// Writes a task's state, but only when it changes.
struct Report {
    context: Arc<TaskContext>,
    id: TaskId,
    version: &'static str,
    last: Option<State>,
}

impl Report {
    fn set(&mut self, state: State, trace: Option<String>) {
        if self.last == Some(state) && trace.is_none() {
            return;
        }
        self.last = Some(state);
        self.context.status.set_task(&self.id, state, trace, self.version);
    }
}

impl Control {
    /// Resolves when the task must stop. Cancel-safe.
    pub async fn stopped(&mut self) {
        if self.wanted.wait_for(|wanted| *wanted == Wanted::Stop).await.is_err() {
            // The herder is gone: the process ends.
        }
    }

    pub fn is_stopped(&self) -> bool {
        *self.wanted.borrow() == Wanted::Stop || self.wanted.has_changed().is_err()
    }

    pub fn is_paused(&self) -> bool {
        *self.wanted.borrow() == Wanted::Pause
    }

    /// Resolves when the task must stop, or is to pause or to go on; the new state is reported. Cancel-safe.
    pub async fn changed(&mut self) -> Change {
        if self.is_stopped() || self.wanted.changed().await.is_err() || self.is_stopped() {
            return Change::Stop;
        }
        self.report_target();
        Change::Target
    }

    /// The task has started.
    pub fn started(&mut self) {
        self.report_target();
    }

    /// The task moved records: earlier failures are over.
    pub fn works(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            self.report_target();
        }
    }

    /// The task lost a server and will try again by itself; returns how long to wait before.
    pub fn failed_transiently(&mut self, error: &TaskError) -> Duration {
        self.failures += 1;
        let connector = &*self.report.id.connector;
        if self.failures == 1 {
            tracing::warn!(connector, task = self.report.id.task, %error, "task lost its server and tries again");
        }
        self.report.set(State::Restarting, Some(trace(error)));
        back_off(self.failures)
    }

    fn report_target(&mut self) {
        let state = match *self.wanted.borrow() {
            Wanted::Pause => State::Paused,
            Wanted::Run | Wanted::Stop => State::Running,
        };
        self.report.set(state, None);
    }
}

fn back_off(failures: u32) -> Duration {
    BACK_OFF_MIN.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(BACK_OFF_MAX)
}

/// A task that runs, or waits to be started again, or has failed.
pub struct Supervised {
    pub properties: Properties,
    wanted: watch::Sender<Wanted>,
    handle: JoinHandle<()>,
}

impl Supervised {
    pub fn start(
        context: Arc<TaskContext>,
        connector: &'static Connector,
        id: TaskId,
        properties: Properties,
        wanted: Wanted,
    ) -> Self {
        let (sender, receiver) = watch::channel(wanted);
        let task = supervise(context, connector, id, properties.clone(), receiver);
        Self { properties, wanted: sender, handle: tokio::spawn(task) }
    }

    pub fn set(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
    }

    /// Asks the task to stop and waits; a task that does not within `timeout` is dropped where it stands.
    pub async fn stop(mut self, timeout: Duration) {
        self.set(Wanted::Stop);
        if tokio::time::timeout(timeout, &mut self.handle).await.is_err() {
            tracing::warn!("a task did not stop in time and was cut off");
            self.handle.abort();
            let _ = self.handle.await;
        }
    }
}

async fn supervise(
    context: Arc<TaskContext>,
    connector: &'static Connector,
    id: TaskId,
    properties: Properties,
    wanted: watch::Receiver<Wanted>,
) {
    let mut failures = 0;
    let mut last = None;
    loop {
        let report = Report { context: context.clone(), id: id.clone(), version: connector.version, last };
        let mut control = Control { wanted: wanted.clone(), report, failures: 0 };
        control.wanted.mark_unchanged();
        let began = tokio::time::Instant::now();
        let run = run_once(&context, connector, &id, &properties, control);
        let outcome = std::panic::AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
            Err(TaskError::halt(format!("the task panicked: {text}"))
                .with_hint("this is a bug, please report it"))
        });
        if *wanted.borrow() == Wanted::Stop || wanted.has_changed().is_err() {
            if let Err(error) = outcome {
                tracing::warn!(connector = &*id.connector, task = id.task, %error, "while stopping");
            }
            return;
        }
        let Err(error) = outcome else { return };
        if error.fate != Fate::Retry {
            tracing::error!(connector = &*id.connector, task = id.task, %error, "task failed");
            context.status.set_task(&id, State::Failed, Some(trace(&error)), connector.version);
            return;
        }
        // A task that worked for a while failed for a new reason.
        failures = if began.elapsed() > BACK_OFF_MAX * 5 { 1 } else { failures + 1 };
        if failures == 1 {
            tracing::warn!(connector = &*id.connector, task = id.task, %error, "task is started again");
        }
        context.status.set_task(&id, State::Restarting, Some(trace(&error)), connector.version);
        last = Some(State::Restarting);
        let mut stop = wanted.clone();
        tokio::select! {
            _ = stop.wait_for(|wanted| *wanted == Wanted::Stop) => return,
            () = tokio::time::sleep(back_off(failures)) => {}
        }
    }
}

async fn run_once(
    context: &Arc<TaskContext>,
    connector: &'static Connector,
    id: &TaskId,
    properties: &Properties,
    control: Control,
) -> Result<(), TaskError> {
    // At each start: a secret may have changed.
    let properties = context.settings.providers.resolve(properties);
    match connector.role {
        Role::Source(plugin) => {
            let task = (plugin.task)(&properties, id)?;
            source_task::run(context.clone(), id.clone(), properties, task, control).await
        }
        Role::Sink(plugin) => {
            let task = (plugin.task)(&properties, id)?;
            sink_task::run(context.clone(), id.clone(), properties, task, control).await
        }
    }
}
