//! What every connector has beside its own options: class, converters, transforms, errors, topics.

use std::time::Duration;

use connect::contract::Tolerance;
use connect::settings::{Definition, Importance, Properties, Row, Validator, Width, row};

use crate::settings::WorkerSettings;

/// Version of Kafka Connect whose behaviour this is; built-in converters and transforms bear it too.
pub const CONNECT_VERSION: &str = "4.3.0";

/// How a connector deals with errors (spec: connect.md §6).
#[derive(Clone, Debug)]
pub struct ErrorSettings {
    /// `None`: for ever.
    pub retry_timeout: Option<Duration>,
    pub retry_delay_max: Duration,
    pub tolerance: Tolerance,
    pub log: bool,
    pub log_messages: bool,
    /// `None`: no queue.
    pub dead_letter: Option<DeadLetterSettings>,
}

#[derive(Clone, Debug)]
pub struct DeadLetterSettings {
    pub topic: String,
    pub replication_factor: i32,
    pub context_headers: bool,
}

/// A class and its options without their prefix.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassSettings {
    pub class: String,
    pub properties: Properties,
}

/// Key, value and header converter of a connector.
#[derive(Clone, Debug, PartialEq)]
pub struct ConverterSettings {
    pub key: ClassSettings,
    pub value: ClassSettings,
    pub header: ClassSettings,
}

/// The framework's part of a connector's table; `sink` and `source` differ in the end of it.
pub fn source_definition() -> Definition {
    let mut rows = common_rows();
    rows.push(
        row("topic.creation.groups")
            .list()
            .default("")
            .importance(Importance::Low)
            .group("Topic Creation", 1)
            .width(Width::Long)
            .display("Topic Creation Groups")
            .doc("Names of the groups by which topics are created."),
    );
    rows.push(
        row("exactly.once.support")
            .default("requested")
            .check(Validator::OneOfIgnoreCase(&["requested", "required"]))
            .group("Exactly Once Support", 2)
            .width(Width::Short)
            .display("Exactly once support")
            .doc("Whether the connector must be able to write each record exactly once."),
    );
    rows.push(
        row("transaction.boundary")
            .default("poll")
            .check(Validator::OneOfIgnoreCase(&["poll", "interval", "connector"]))
            .group("Exactly Once Support", 3)
            .width(Width::Short)
            .display("Transaction Boundary")
            .doc("What ends a transaction of the producer."),
    );
    rows.push(
        row("transaction.boundary.interval.ms")
            .long()
            .importance(Importance::Low)
            .group("Exactly Once Support", 4)
            .width(Width::Short)
            .display("Transaction boundary interval")
            .doc("Time after which a transaction of the producer ends."),
    );
    rows.push(
        row("offsets.storage.topic")
            .importance(Importance::Low)
            .group("offsets.topic", 1)
            .width(Width::Long)
            .display("Offsets topic")
            .doc("A topic of the connector's own for its offsets."),
    );
    Definition::new(rows)
}

pub fn sink_definition() -> Definition {
    let mut rows = common_rows();
    let at = rows.iter().position(|row| row.name == "transforms").unwrap_or(rows.len());
    let topics = [
        row("topics")
            .list()
            .default("")
            .importance(Importance::High)
            .group("Common", 4)
            .width(Width::Long)
            .display("Topics")
            .doc("Topics to read."),
        row("topics.regex")
            .default("")
            .importance(Importance::High)
            .group("Common", 4)
            .width(Width::Long)
            .display("Topics regex")
            .doc("Regular expression of the topics to read."),
    ];
    rows.splice(at..at, topics);
    rows.push(
        row("errors.deadletterqueue.topic.name")
            .default("")
            .group("Error Handling", 6)
            .width(Width::Medium)
            .display("Dead Letter Queue Topic Name")
            .doc("Topic to which records go that cannot be handled; empty is none."),
    );
    rows.push(
        row("errors.deadletterqueue.topic.replication.factor")
            .kind(connect::settings::Kind::Short)
            .default("3")
            .group("Error Handling", 7)
            .width(Width::Medium)
            .display("Dead Letter Queue Topic Replication Factor")
            .doc("Replicas of that topic where it is created."),
    );
    rows.push(
        row("errors.deadletterqueue.context.headers.enable")
            .boolean()
            .default("false")
            .group("Error Handling", 8)
            .width(Width::Medium)
            .display("Enable Error Context Headers")
            .doc("Whether headers say what went wrong."),
    );
    Definition::new(rows)
}

fn common_rows() -> Vec<Row> {
    let common = |name: &'static str, order: i32, width: Width, display: &'static str| {
        row(name).group("Common", order).width(width).display(display)
    };
    let errors = |name: &'static str, order: i32, width: Width, display: &'static str| {
        row(name).group("Error Handling", order).width(width).display(display)
    };
    vec![
        common("name", 1, Width::Medium, "Connector name")
            .required()
            .importance(Importance::High)
            .check(Validator::NonEmpty)
            .doc("Name of the connector, unique in its cluster."),
        common("connector.class", 2, Width::Long, "Connector class")
            .required()
            .importance(Importance::High)
            .doc("Class of the connector: its full name, its simple name, or that without Connector."),
        common("connector.plugin.version", 3, Width::Medium, "Connector version")
            .doc("Version of the connector's class."),
        common("tasks.max", 4, Width::Short, "Tasks max")
            .int()
            .default("1")
            .importance(Importance::High)
            .check(Validator::AtLeast(1))
            .doc("Most tasks that the connector may have."),
        common("tasks.max.enforce", 5, Width::Short, "Enforce tasks max")
            .boolean()
            .default("true")
            .importance(Importance::Low)
            .doc("Whether more tasks than that are an error."),
        common("key.converter", 6, Width::Short, "Key converter class")
            .class()
            .importance(Importance::Low)
            .doc("Converter of keys; the worker's when absent."),
        common("key.converter.plugin.version", 7, Width::Short, "Key converter version")
            .importance(Importance::Low)
            .doc("Version of that class."),
        common("value.converter", 8, Width::Short, "Value converter class")
            .class()
            .importance(Importance::Low)
            .doc("Converter of values; the worker's when absent."),
        common("value.converter.plugin.version", 9, Width::Short, "Value converter version")
            .importance(Importance::Low)
            .doc("Version of that class."),
        common("header.converter", 10, Width::Short, "Header converter class")
            .class()
            .importance(Importance::Low)
            .doc("Converter of headers; the worker's when absent."),
        common("header.converter.plugin.version", 11, Width::Short, "Header converter version")
            .importance(Importance::Low)
            .doc("Version of that class."),
        row("transforms")
            .list()
            .default("")
            .importance(Importance::Low)
            .group("Transforms", 12)
            .width(Width::Long)
            .display("Transforms")
            .doc("Names of the transforms, in their order."),
        row("predicates")
            .list()
            .default("")
            .importance(Importance::Low)
            .group("Predicates", 13)
            .width(Width::Long)
            .display("Predicates")
            .doc("Names of the predicates that transforms may use."),
        common("config.action.reload", 14, Width::Medium, "Reload Action")
            .default("restart")
            .importance(Importance::Low)
            .check(Validator::OneOf(&["none", "restart"]))
            .doc("What happens when a secret that the configuration names changes."),
        errors("errors.retry.timeout", 1, Width::Medium, "Retry Timeout for Errors")
            .long()
            .default("0")
            .doc("How long a failing step is tried again, in ms; -1 is for ever."),
        errors("errors.retry.delay.max.ms", 2, Width::Medium, "Maximum Delay Between Retries for Errors")
            .long()
            .default("60000")
            .doc("Longest wait between two tries."),
        errors("errors.tolerance", 3, Width::Short, "Error Tolerance")
            .default("none")
            .check(Validator::OneOfIgnoreCase(&["none", "all"]))
            .doc("Whether records that cannot be handled are skipped."),
        errors("errors.log.enable", 4, Width::Short, "Log Errors")
            .boolean()
            .default("false")
            .doc("Whether each error is logged."),
        errors("errors.log.include.messages", 5, Width::Short, "Log Error Details")
            .boolean()
            .default("false")
            .doc("Whether the record's coordinates are logged with it."),
    ]
}

impl ErrorSettings {
    /// Tolerance for what the sink itself refuses: there is none where nobody would hear of the record.
    pub fn put_tolerance(&self) -> Tolerance {
        if self.dead_letter.is_some() || self.log { self.tolerance } else { Tolerance::None }
    }

    /// From a configuration that passed validation.
    pub fn new(properties: &Properties) -> Self {
        let values = sink_definition().resolve(properties);
        let timeout = values.long("errors.retry.timeout");
        let topic = values.text("errors.deadletterqueue.topic.name").unwrap_or_default();
        let all = values.text("errors.tolerance").is_some_and(|text| text.eq_ignore_ascii_case("all"));
        Self {
            retry_timeout: u64::try_from(timeout).ok().map(Duration::from_millis),
            retry_delay_max: Duration::from_millis(
                values.long("errors.retry.delay.max.ms").max(0).unsigned_abs(),
            ),
            tolerance: if all { Tolerance::All } else { Tolerance::None },
            log: values.boolean("errors.log.enable"),
            log_messages: values.boolean("errors.log.include.messages"),
            dead_letter: (!topic.is_empty()).then(|| DeadLetterSettings {
                topic: topic.to_owned(),
                replication_factor: values.long("errors.deadletterqueue.topic.replication.factor") as i32,
                context_headers: values.boolean("errors.deadletterqueue.context.headers.enable"),
            }),
        }
    }
}

impl ConverterSettings {
    pub fn new(worker: &WorkerSettings, connector: &Properties) -> Self {
        let one = |name: &str, default: &str| {
            // Only the connector's own options count when it names a class, only the worker's when it does not.
            let from = if connector.contains_key(name) { connector } else { &worker.all };
            ClassSettings {
                class: from.get(name).map_or(default, String::as_str).to_owned(),
                properties: with_prefix(from, &format!("{name}.")),
            }
        };
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let mut settings = Self {
            key: one("key.converter", json),
            value: one("value.converter", json),
            header: one("header.converter", "org.apache.kafka.connect.storage.SimpleHeaderConverter"),
        };
        // With the registry built in and nothing said, converters find it.
        if let Some(listener) = &worker.registry_listener {
            for class in [&mut settings.key, &mut settings.value] {
                if !class.properties.contains_key("schema.registry.url") {
                    class.properties.insert("schema.registry.url".to_owned(), format!("http://{listener}"));
                }
            }
        }
        settings
    }
}

/// Options under a prefix, without it.
pub fn with_prefix(properties: &Properties, prefix: &str) -> Properties {
    properties
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
        .collect()
}
