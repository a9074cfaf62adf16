//! Who decides: configurations come in, tasks go out.
//!
//! The handle ([`Herder`]) answers readers from memory and writes to the config topic; the loop behind it
//! (`reconcile`) is the only owner of running tasks, and makes them what the topic says.

mod api; // what the REST API asks for
mod dead_letters_api; // what was refused, and sending it again
mod config_log; // configurations and target states, in Connect's topic
mod error; // how a request may fail
mod offsets_api; // reading and changing offsets of a stopped connector
mod reconcile; // makes running tasks what the topic says
mod validate; // a configuration's answers

use std::sync::Arc;
use std::time::Duration;

use kafka::{Admin, Producer, TopicSpec};
use tokio::sync::{Mutex, OnceCell, mpsc};

use crate::dead_letters::Ledger;
use crate::offsets::SourceOffsets;
use crate::settings::{InternalTopic, WorkerSettings};
use crate::status::StatusStore;
use config_log::ConfigLog;
use reconcile::Command;

pub use api::{ConnectorInfo, IncludeTasks, InitialState, OnlyFailed, RestartPlan, RestartScope, WorkerInfo};
pub use config_log::{ConnectorConfig, TargetState};
pub use dead_letters_api::{Force, ReplayRequest, Run, ShownLetter};
pub use error::{ErrorKind, HerderError};
pub use validate::{Answer, Validation};

/// What every task of the worker shares.
pub struct TaskContext {
    pub settings: WorkerSettings,
    pub offsets: Arc<SourceOffsets>,
    pub status: Arc<StatusStore>,
}

/// A handle to the worker's connectors. Cloning copies a pointer.
#[derive(Clone)]
pub struct Herder(Arc<Inner>);

struct Inner {
    context: Arc<TaskContext>,
    configs: ConfigLog,
    admin: Admin,
    cluster_id: Option<String>,
    commands: mpsc::Sender<Command>,
    /// One change at a time: what is checked before a write must hold when it is written.
    changes: Mutex<()>,
    producer: Arc<Producer>,
    /// What was replayed of dead letters; opened when somebody asks.
    ledger: OnceCell<Arc<Ledger>>,
    /// One replay at a time: what was not replayed when it was looked up must not be when it is sent.
    replaying: Mutex<()>,
}

/// Requests that wait for the loop; it takes them all at once.
const COMMANDS_WAITING_MAX: usize = 64;
/// How long the first answer of a broker may take when a worker starts.
const CLUSTER_ID_TIMEOUT: Duration = Duration::from_secs(10);

impl Herder {
    /// Reads the internal topics to their end (creating them where they are missing) and starts what they say.
    ///
    /// # Errors
    /// No broker answered, or it refused a topic.
    pub async fn start(settings: WorkerSettings) -> Result<(Self, HerderLoop), kafka::Error> {
        let clients = settings.clients();
        let admin = Admin::new(&clients)?;
        let producer = Arc::new(Producer::new(&clients)?);
        let spec = |topic: &InternalTopic| {
            TopicSpec::compacted(&topic.name, topic.partitions, topic.replication_factor)
        };
        let (configs_topic, offsets_topic, status_topic) =
            (spec(&settings.config_topic), spec(&settings.offset_topic), spec(&settings.status_topic));
        let (configs, offsets, status, cluster_id) = tokio::join!(
            ConfigLog::open(&clients, producer.clone(), &configs_topic),
            SourceOffsets::open(&clients, producer.clone(), &offsets_topic),
            StatusStore::open(
                &clients,
                producer.clone(),
                &status_topic,
                settings.worker_id(),
                settings.topic_tracking
            ),
            admin.cluster_id(CLUSTER_ID_TIMEOUT),
        );
        let context =
            Arc::new(TaskContext { settings, offsets: Arc::new(offsets?), status: Arc::new(status?) });
        let (commands, receiver) = mpsc::channel(COMMANDS_WAITING_MAX);
        let inner = Inner {
            context,
            configs: configs?,
            admin,
            cluster_id,
            commands,
            changes: Mutex::new(()),
            producer,
            ledger: OnceCell::new(),
            replaying: Mutex::new(()),
        };
        let herder = Self(Arc::new(inner));
        let handle = tokio::spawn(reconcile::run(herder.clone(), receiver));
        Ok((herder, HerderLoop(handle)))
    }
}

/// The loop that owns the tasks; ends after [`Herder::shutdown`].
pub struct HerderLoop(tokio::task::JoinHandle<()>);

impl HerderLoop {
    /// Waits until all tasks have stopped.
    pub async fn ended(self) {
        let _ = self.0.await;
    }
}
