//! What the REST API asks for, in the runtime's words.

use connect::contract::TaskId;
use connect::settings::Properties;

use super::reconcile::Command;
use super::{ConnectorConfig, ErrorKind, Herder, HerderError, TargetState};
use crate::connector_settings::CONNECT_VERSION;
use crate::plugins::{self, Connector, PluginKind};
use crate::properties::java_order;
use crate::settings::{Tracking, WorkerSettings};
use crate::status::{State, Status};

/// Answer to `GET /`.
#[derive(Clone, Debug)]
pub struct WorkerInfo {
    pub version: &'static str,
    /// Of this program.
    pub commit: &'static str,
    pub kafka_cluster_id: Option<String>,
}

/// A connector as `GET /connectors/{name}` shows it.
#[derive(Clone, Debug)]
pub struct ConnectorInfo {
    pub name: String,
    pub config: Properties,
    pub tasks: u32,
    /// `None`: a class that is not built in.
    pub kind: Option<PluginKind>,
}

/// The state of a connector, those of its tasks by number, and what it is.
pub type ConnectorStatus = (Status, Vec<(u32, Status)>, Option<PluginKind>);

/// The state in which a connector is created.
pub type InitialState = TargetState;

/// What a restart is about to do: states as they will be shown.
#[derive(Clone, Debug)]
pub struct RestartPlan {
    pub connector: Status,
    pub tasks: Vec<(u32, Status)>,
}

impl Herder {
    pub fn settings(&self) -> &WorkerSettings {
        &self.0.context.settings
    }

    pub fn info(&self) -> WorkerInfo {
        WorkerInfo {
            version: CONNECT_VERSION,
            commit: env!("CARGO_PKG_VERSION"),
            kafka_cluster_id: self.0.cluster_id.clone(),
        }
    }

    /// Names, in the order in which Connect lists them.
    pub fn connectors(&self) -> Vec<String> {
        let names: Properties =
            self.0.configs.names().into_iter().map(|name| (name, String::new())).collect();
        java_order(&names).into_keys().collect()
    }

    /// # Errors
    /// Not found.
    pub fn connector(&self, name: &str) -> Result<ConnectorInfo, HerderError> {
        let config = self.config(name)?;
        let properties = java_order(&config.properties);
        Ok(ConnectorInfo {
            name: name.to_owned(),
            kind: kind_of(&properties),
            config: properties,
            tasks: config.tasks.len() as u32,
        })
    }

    /// Configurations of a connector's tasks.
    ///
    /// # Errors
    /// Not found.
    pub fn tasks(&self, name: &str) -> Result<Vec<Properties>, HerderError> {
        Ok(self.config(name)?.tasks.iter().map(java_order).collect())
    }

    /// State of a connector, of its tasks, and what it is.
    ///
    /// # Errors
    /// Not found.
    pub fn status(&self, name: &str) -> Result<ConnectorStatus, HerderError> {
        let status = self.0.context.status.connector(name);
        let status =
            status.ok_or_else(|| HerderError::not_found(format!("No status found for connector {name}")))?;
        let kind = self.0.configs.get(name).and_then(|config| kind_of(&config.properties));
        Ok((status, self.0.context.status.tasks(name), kind))
    }

    /// # Errors
    /// Not found.
    pub fn task_status(&self, name: &str, task: u32) -> Result<Status, HerderError> {
        let tasks = self.0.context.status.tasks(name);
        let status = tasks.into_iter().find(|(number, _)| *number == task).map(|(_, status)| status);
        status.ok_or_else(|| HerderError::not_found(format!("No status found for task {name}-{task}")))
    }

    /// Creates a connector.
    ///
    /// # Errors
    /// Exists already, or its configuration is invalid.
    pub async fn create(
        &self,
        name: &str,
        config: Properties,
        initial: Option<InitialState>,
    ) -> Result<ConnectorInfo, HerderError> {
        self.check(name, &config).await?;
        let _change = self.0.changes.lock().await;
        if self.0.configs.get(name).is_some() {
            return Err(HerderError::new(ErrorKind::Conflict, format!("Connector {name} already exists")));
        }
        self.0.configs.put(name, &config, initial).await?;
        self.changed();
        Ok(ConnectorInfo { name: name.to_owned(), kind: kind_of(&config), config, tasks: 0 })
    }

    /// Creates a connector or gives it another configuration. The flag says whether it is new.
    ///
    /// # Errors
    /// The configuration is invalid.
    pub async fn put_config(
        &self,
        name: &str,
        config: Properties,
    ) -> Result<(ConnectorInfo, bool), HerderError> {
        self.check(name, &config).await?;
        let _change = self.0.changes.lock().await;
        let known = self.0.configs.get(name);
        self.0.configs.put(name, &config, None).await?;
        self.changed();
        let tasks = known.as_ref().map_or(0, |known| known.tasks.len() as u32);
        Ok((ConnectorInfo { name: name.to_owned(), kind: kind_of(&config), config, tasks }, known.is_none()))
    }

    /// Changes some keys of a configuration; `None` removes one.
    ///
    /// # Errors
    /// Not found, or the result is invalid.
    pub async fn patch_config(
        &self,
        name: &str,
        patch: Vec<(String, Option<String>)>,
    ) -> Result<ConnectorInfo, HerderError> {
        let mut config = self.config(name)?.properties;
        for (key, value) in patch {
            match value {
                Some(value) => drop(config.insert(key, value)),
                None => drop(config.shift_remove(&key)),
            }
        }
        if config.get("name").is_some_and(|given| given != name) {
            return Err(HerderError::bad_request("the name of a connector cannot be changed"));
        }
        Ok(self.put_config(name, config).await?.0)
    }

    /// Deletes a connector. Its offsets, slot and consumer group stay.
    ///
    /// # Errors
    /// Not found.
    pub async fn delete(&self, name: &str) -> Result<(), HerderError> {
        let _change = self.0.changes.lock().await;
        self.config(name)?;
        self.0.configs.delete(name).await?;
        self.settled().await;
        Ok(())
    }

    /// Pauses, resumes or stops a connector.
    ///
    /// # Errors
    /// Not found.
    pub async fn set_target(&self, name: &str, target: TargetState) -> Result<(), HerderError> {
        let _change = self.0.changes.lock().await;
        if self.0.configs.get(name).is_none() {
            return Err(HerderError::not_found(format!("Unknown connector {name}")));
        }
        self.0.configs.put_target(name, target).await?;
        self.changed();
        Ok(())
    }

    /// Restarts a connector, and with it its tasks where that is asked for.
    ///
    /// # Errors
    /// Not found.
    pub async fn restart(&self, name: &str, scope: RestartScope) -> Result<RestartPlan, HerderError> {
        let unknown = || HerderError::not_found(format!("Unknown connector: {name}"));
        if self.0.configs.get(name).is_none() {
            return Err(unknown());
        }
        let status = &self.0.context.status;
        let mut connector = status
            .connector(name)
            .ok_or_else(|| HerderError::not_found(format!("Status for connector {name} not found")))?;
        let wanted = |state: State| scope.failed == OnlyFailed::No || state == State::Failed;
        if wanted(connector.state) {
            connector.state = State::Restarting;
        }
        let mut tasks = status.tasks(name);
        let mut restarted = vec![];
        if scope.tasks == IncludeTasks::Yes {
            for (task, task_status) in tasks.iter_mut().filter(|(_, task_status)| wanted(task_status.state)) {
                task_status.state = State::Restarting;
                restarted.push(*task);
            }
        }
        self.send(Command::Restart { connector: name.to_owned(), tasks: restarted }).await;
        Ok(RestartPlan { connector, tasks })
    }

    /// Restarts one task.
    ///
    /// # Errors
    /// Not found.
    pub async fn restart_task(&self, name: &str, task: u32) -> Result<(), HerderError> {
        let Some(config) = self.0.configs.get(name) else {
            return Err(HerderError::not_found(format!("Unknown connector: {name}")));
        };
        if task as usize >= config.tasks.len() {
            return Err(HerderError::not_found(format!("Unknown task: {name}-{task}")));
        }
        self.send(Command::Restart { connector: name.to_owned(), tasks: vec![task] }).await;
        Ok(())
    }

    /// Topics that a connector has read or written.
    ///
    /// # Errors
    /// Tracking is off.
    pub fn topics(&self, name: &str) -> Result<Vec<String>, HerderError> {
        match self.0.context.status.tracking() {
            Tracking::Disabled => Err(HerderError::new(ErrorKind::Forbidden, "Topic tracking is disabled.")),
            _ => Ok(self.0.context.status.topics(name)),
        }
    }

    /// # Errors
    /// Tracking, or resetting it, is off.
    pub fn reset_topics(&self, name: &str) -> Result<(), HerderError> {
        let forbidden = |text: &str| Err(HerderError::new(ErrorKind::Forbidden, text));
        match self.0.context.status.tracking() {
            Tracking::Disabled => forbidden("Topic tracking is disabled."),
            Tracking::WithoutReset => forbidden("Topic tracking reset is disabled."),
            Tracking::WithReset => {
                self.0.context.status.forget_topics(name);
                Ok(())
            }
        }
    }

    /// Stops all tasks and ends the loop.
    pub async fn shutdown(&self) {
        self.send(Command::Shutdown).await;
    }

    pub(super) fn config(&self, name: &str) -> Result<ConnectorConfig, HerderError> {
        self.0.configs.get(name).ok_or_else(|| HerderError::not_found(format!("Connector {name} not found")))
    }

    /// Tells the loop that the topic says something new. A full queue already holds such a message.
    fn changed(&self) {
        let _ = self.0.commands.try_send(Command::Changed);
    }

    /// Waits until the loop has made what the topic says.
    pub(super) async fn settled(&self) {
        let (done, wait) = tokio::sync::oneshot::channel();
        self.send(Command::Settled(done)).await;
        let _ = wait.await;
    }

    async fn send(&self, command: Command) {
        let _ = self.0.commands.send(command).await;
    }
}

/// What a restart covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartScope {
    pub tasks: IncludeTasks,
    pub failed: OnlyFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeTasks {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnlyFailed {
    Yes,
    No,
}

fn kind_of(properties: &Properties) -> Option<PluginKind> {
    properties.get("connector.class").and_then(|class| plugins::find(class.trim())).map(Connector::kind)
}

/// A task's identity.
pub(super) fn task_id(name: &str, task: u32) -> TaskId {
    TaskId { connector: name.into(), task }
}
