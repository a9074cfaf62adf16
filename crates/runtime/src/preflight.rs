//! A connector's configuration against the outside: its database, and Kafka where a cluster is configured.

use connect::preflight::{Finding, Severity};
use connect::settings::Properties;
use connect::{Record, Value};
use kafka::Admin;
use transforms::Chain;

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
    let mut config = worker.providers.resolve(config);
    let mut findings = vec![];
    if connector.kind() == PluginKind::Sink {
        if worker.bootstrap_servers.is_some() {
            look_at_topics(worker, &config, &mut findings).await;
        }
        config.insert("topics".to_owned(), routed(&config).join(","));
    }
    findings.extend(connector.preflight(&config).await);
    Ok(Preflight { class: connector.class, findings })
}

/// Names in `topics`.
fn topics(config: &Properties) -> Vec<String> {
    let names = config.get("topics").map(String::as_str).unwrap_or_default().split(',');
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

async fn look_at_topics(worker: &WorkerSettings, config: &Properties, findings: &mut Vec<Finding>) {
    let listed = match Admin::new(&worker.clients()) {
        Ok(admin) => admin.partitions(None).await,
        Err(error) => Err(error),
    };
    let there = match listed {
        Ok(there) => there,
        Err(error) => {
            let text = format!("the topics cannot be listed: {error}");
            findings.push(Finding::missing(text, "correct bootstrap.servers and the security settings"));
            return;
        }
    };
    findings.extend(topics(config).into_iter().map(|topic| match there.contains_key(&topic) {
        true => Finding::fine(format!("topic \"{topic}\" is there")),
        false => Finding::doubtful(
            format!("topic \"{topic}\" does not exist yet"),
            "start its source, or correct topics: the sink waits for it",
        ),
    }));
}

/// The topics as the sink sees them behind its routing transforms; none where the records' content decides.
fn routed(config: &Properties) -> Vec<String> {
    const BY_NAME: &str = "RegexRouter";
    const BY_CONTENT: &[&str] = &["Router", "ExtractTopic"];
    let names = config.get("transforms").map(String::as_str).unwrap_or_default();
    let mut routers = vec![];
    for name in names.split(',').map(str::trim) {
        let class = config.get(&format!("transforms.{name}.type")).map(String::as_str).unwrap_or_default();
        if class.ends_with(BY_NAME) {
            routers.push(name);
        } else if BY_CONTENT.iter().any(|part| class.contains(part)) {
            return vec![];
        }
    }
    let mut only_routers = config.clone();
    only_routers.insert("transforms".to_owned(), routers.join(","));
    let Ok(mut chain) = Chain::new(&only_routers) else { return topics(config) };
    let through = |topic: String| {
        let mut record = Record::source(topic.into(), (None, Value::Null), (None, Value::Null));
        chain.apply(&mut record).is_ok().then(|| record.topic.to_string())
    };
    topics(config).into_iter().filter_map(through).collect()
}
