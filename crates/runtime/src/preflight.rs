//! A connector's configuration against the outside: its database, and Kafka where a cluster is configured.

use connect::preflight::{Finding, Severity};
use connect::settings::Properties;
use kafka::Admin;

use crate::plugins::{self, PluginKind};
use crate::settings::WorkerSettings;

/// What was found, and for which class.
pub struct Preflight {
    pub class: &'static str,
    pub findings: Vec<Finding>,
}

impl Preflight {
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Looks, and changes nothing.
///
/// # Errors
/// No class is named, or one that is not built in.
pub async fn preflight(worker: &WorkerSettings, config: &Properties) -> Result<Preflight, String> {
    let class = config.get("connector.class").map(|class| class.trim()).unwrap_or_default();
    let connector = plugins::find(class).ok_or_else(|| {
        let known: Vec<_> = plugins::CONNECTORS.iter().map(|connector| connector.class).collect();
        format!("connector.class is \"{class}\"; built in are {}", known.join(", "))
    })?;
    let config = worker.providers.resolve(config);
    let mut findings = vec![];
    let topics = match connector.kind() {
        PluginKind::Sink if worker.bootstrap_servers.is_some() => topics(worker, &mut findings).await,
        _ => None,
    };
    findings.extend(connector.preflight(&config, topics.as_deref()).await);
    Ok(Preflight { class: connector.class, findings })
}

async fn topics(worker: &WorkerSettings, findings: &mut Vec<Finding>) -> Option<Vec<String>> {
    let listed = match Admin::new(&worker.clients()) {
        Ok(admin) => admin.partitions(None).await,
        Err(error) => Err(error),
    };
    match listed {
        Ok(topics) => Some(topics.into_keys().collect()),
        Err(error) => {
            let text = format!("the topics cannot be listed: {error}");
            findings.push(Finding::missing(text, "correct bootstrap.servers and the security settings"));
            None
        }
    }
}
