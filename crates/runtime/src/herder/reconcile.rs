//! The loop that owns the running tasks and makes them what the config topic says.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::api::task_id;
use super::{ConnectorConfig, Herder, TargetState};
use crate::plugins::{self, Connector};
use crate::status::State;
use crate::supervisor::{Supervised, Wanted};

/// What the loop is asked to do.
pub enum Command {
    /// The topic says something new.
    Changed,
    /// Start these tasks anew, and show the connector as running.
    Restart {
        connector: String,
        tasks: Vec<u32>,
    },
    /// Answer when everything the topic said before has been done.
    Settled(oneshot::Sender<()>),
    Shutdown,
}

type Running = BTreeMap<(String, u32), Supervised>;

pub async fn run(herder: Herder, mut commands: mpsc::Receiver<Command>) {
    let mut running = Running::new();
    let mut known = BTreeSet::new();
    reconcile(&herder, &mut running, &mut known).await;
    let mut waiting = vec![];
    loop {
        waiting.clear();
        if commands.recv_many(&mut waiting, super::COMMANDS_WAITING_MAX).await == 0 {
            break;
        }
        let mut settled = vec![];
        let mut restarts = vec![];
        for command in waiting.drain(..) {
            match command {
                Command::Changed => {}
                Command::Settled(done) => settled.push(done),
                Command::Restart { connector, tasks } => {
                    let keys = tasks.into_iter().map(|task| (connector.clone(), task));
                    restarts.extend(keys);
                    known.remove(&connector);
                }
                Command::Shutdown => {
                    let all = running.keys().cloned().collect::<Vec<_>>();
                    stop(&herder, &mut running, &all).await;
                    return;
                }
            }
        }
        stop(&herder, &mut running, &restarts).await;
        reconcile(&herder, &mut running, &mut known).await;
        for done in settled {
            let _ = done.send(());
        }
    }
}

/// Stops these tasks, all at once.
async fn stop(herder: &Herder, running: &mut Running, keys: &[(String, u32)]) {
    let timeout = herder.settings().task_shutdown_timeout;
    let stopping: Vec<_> =
        keys.iter().filter_map(|key| running.remove(key)).map(|task| task.stop(timeout)).collect();
    join_all(stopping).await;
}

/// One round: what must not run is stopped first, because a slot has one reader; then the rest is started.
async fn reconcile(herder: &Herder, running: &mut Running, known: &mut BTreeSet<String>) {
    let configs: BTreeMap<String, ConnectorConfig> = herder
        .connectors()
        .into_iter()
        .filter_map(|name| Some((name.clone(), herder.0.configs.get(&name)?)))
        .collect();
    let mut wanted = BTreeMap::new();
    for (name, config) in &configs {
        match wanted_tasks(herder, name, config).await {
            Ok(tasks) => drop(wanted.insert(name.clone(), tasks)),
            Err(trace) => herder.0.context.status.set_connector(name, State::Failed, Some(trace), "unknown"),
        }
    }
    let gone: Vec<_> = running
        .iter()
        .filter(|((name, task), supervised)| {
            wanted.get(name).and_then(|tasks| tasks.get(*task as usize)) != Some(&supervised.properties)
        })
        .map(|(key, _)| key.clone())
        .collect();
    stop(herder, running, &gone).await;
    for name in known.iter().filter(|name| !configs.contains_key(*name)) {
        herder.0.context.status.delete_connector(name);
    }
    known.retain(|name| configs.contains_key(name));
    for (name, tasks) in wanted {
        let config = &configs[&name];
        let Some(connector) = class_of(config) else { continue };
        show(herder, &name, config.target, connector, tasks.len() as u32, known);
        let target = if config.target == TargetState::Paused { Wanted::Pause } else { Wanted::Run };
        for (task, properties) in tasks.into_iter().enumerate() {
            let key = (name.clone(), task as u32);
            if let Some(supervised) = running.get(&key) {
                supervised.set(target);
                continue;
            }
            let id = task_id(&name, task as u32);
            let supervised = Supervised::start(herder.0.context.clone(), connector, id, properties, target);
            running.insert(key, supervised);
        }
    }
}

fn class_of(config: &ConnectorConfig) -> Option<&'static Connector> {
    plugins::find(config.properties.get("connector.class")?.trim())
}

/// The task configurations that should run now; written to the topic where they changed.
async fn wanted_tasks(
    herder: &Herder,
    name: &str,
    config: &ConnectorConfig,
) -> Result<Vec<connect::settings::Properties>, String> {
    let class = config.properties.get("connector.class").map_or("", String::as_str);
    let connector = class_of(config).ok_or_else(|| {
        format!("org.apache.kafka.connect.errors.ConnectException: class {class} is not built in")
    })?;
    let tasks = match config.target {
        TargetState::Stopped => vec![],
        // A paused connector that had no tasks gets none before it is resumed, as in Connect.
        TargetState::Paused if config.tasks.is_empty() => vec![],
        TargetState::Started | TargetState::Paused => connector.task_configs(&config.properties),
    };
    if tasks != config.tasks
        && let Err(error) = herder.0.configs.put_tasks(name, &tasks).await
    {
        tracing::warn!(connector = name, %error, "task configurations could not be written");
    }
    Ok(tasks)
}

/// Shows the connector's own state. Its tasks show theirs.
fn show(
    herder: &Herder,
    name: &str,
    target: TargetState,
    connector: &Connector,
    tasks: u32,
    known: &mut BTreeSet<String>,
) {
    let state = match target {
        TargetState::Started => State::Running,
        TargetState::Paused => State::Paused,
        TargetState::Stopped => State::Stopped,
    };
    let status = &herder.0.context.status;
    let is_new = known.insert(name.to_owned());
    if is_new || status.connector(name).is_none_or(|shown| shown.state != state) {
        status.set_connector(name, state, None, connector.version);
    }
    status.delete_tasks(name, tasks);
}
