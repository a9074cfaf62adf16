//! Class names to what runs them: the connectors that are built in.

use connect::contract::TaskId;
use connect::preflight::Finding;
use connect::settings::{ConfigValue, Definition, Properties, Resolved};
use connect::{SinkTask, SourceTask, TaskError};
use futures::future::BoxFuture;

use crate::connector_settings::{self, CONNECT_VERSION};

/// A connector class.
pub struct Connector {
    pub class: &'static str,
    pub version: &'static str,
    /// As the task configurations show it.
    pub task_class: &'static str,
    pub role: Role,
}

#[derive(Clone, Copy)]
pub enum Role {
    Source(&'static SourcePlugin),
    Sink(&'static SinkPlugin),
}

/// Makes a task of a configuration that passed validation.
pub type MakeTask<T> = fn(&Properties, &TaskId) -> Result<Box<T>, TaskError>;

/// Looks at the connector's database without changing it.
pub type Look = for<'a> fn(&'a Properties) -> BoxFuture<'a, Vec<Finding>>;

pub struct SourcePlugin {
    pub definition: fn() -> Definition,
    /// Parses and checks, with the database where it can be reached.
    pub validate: for<'a> fn(&'a Properties) -> BoxFuture<'a, Resolved>,
    pub task: MakeTask<dyn SourceTask>,
    pub preflight: Look,
}

pub struct SinkPlugin {
    pub definition: fn() -> Definition,
    pub validate: for<'a> fn(&'a Properties) -> BoxFuture<'a, Resolved>,
    pub task: MakeTask<dyn SinkTask>,
    /// Whether task configurations bear `task.id`, as Debezium's do.
    pub numbers_tasks: bool,
    pub preflight: Look,
}

static POSTGRES_SOURCE: SourcePlugin = SourcePlugin {
    definition: pg_source::definition,
    validate: pg_source::validate,
    task: pg_source::task,
    preflight: pg_source::preflight,
};
static CONFLUENT_SINK: SinkPlugin = SinkPlugin {
    definition: pg_sink::confluent::definition,
    validate: pg_sink::confluent::validate,
    task: pg_sink::confluent::task,
    numbers_tasks: false,
    preflight: pg_sink::confluent::preflight,
};
static AIVEN_SINK: SinkPlugin = SinkPlugin {
    definition: pg_sink::aiven::definition,
    validate: pg_sink::aiven::validate,
    task: pg_sink::aiven::task,
    numbers_tasks: false,
    preflight: pg_sink::aiven::preflight,
};
static DEBEZIUM_SINK: SinkPlugin = SinkPlugin {
    definition: pg_sink::debezium::definition,
    validate: pg_sink::debezium::validate,
    task: pg_sink::debezium::task,
    numbers_tasks: true,
    preflight: pg_sink::debezium::preflight,
};

/// All connectors, sinks first, as the list of plugins shows them.
pub static CONNECTORS: &[Connector] = &[
    Connector {
        class: "io.confluent.connect.jdbc.JdbcSinkConnector",
        version: "10.9.7",
        task_class: "io.confluent.connect.jdbc.sink.JdbcSinkTask",
        role: Role::Sink(&CONFLUENT_SINK),
    },
    Connector {
        class: "io.aiven.connect.jdbc.JdbcSinkConnector",
        version: "6.10.0",
        task_class: "io.aiven.connect.jdbc.sink.JdbcSinkTask",
        role: Role::Sink(&AIVEN_SINK),
    },
    Connector {
        class: "io.debezium.connector.jdbc.JdbcSinkConnector",
        version: "3.6.0.Final",
        task_class: "io.debezium.connector.jdbc.JdbcSinkConnectorTask",
        role: Role::Sink(&DEBEZIUM_SINK),
    },
    Connector {
        class: "io.debezium.connector.postgresql.PostgresConnector",
        version: "3.6.1.Final",
        task_class: "io.debezium.connector.postgresql.PostgresConnectorTask",
        role: Role::Source(&POSTGRES_SOURCE),
    },
];

/// What a class is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    Sink,
    Source,
    Transformation,
    Predicate,
    Converter,
    HeaderConverter,
}

impl PluginKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sink => "sink",
            Self::Source => "source",
            Self::Transformation => "transformation",
            Self::Predicate => "predicate",
            Self::Converter => "converter",
            Self::HeaderConverter => "header_converter",
        }
    }
}

/// A class that is built in.
pub struct PluginInfo {
    pub class: &'static str,
    pub kind: PluginKind,
    pub version: &'static str,
}

impl Connector {
    pub fn kind(&self) -> PluginKind {
        match self.role {
            Role::Source(_) => PluginKind::Source,
            Role::Sink(_) => PluginKind::Sink,
        }
    }

    pub fn definition(&self) -> Definition {
        match self.role {
            Role::Source(plugin) => (plugin.definition)(),
            Role::Sink(plugin) => (plugin.definition)(),
        }
    }

    /// The framework's part of the table.
    pub fn framework(&self) -> Definition {
        match self.role {
            Role::Source(_) => connector_settings::source_definition(),
            Role::Sink(_) => connector_settings::sink_definition(),
        }
    }

    pub async fn validate(&self, properties: &Properties) -> Resolved {
        match self.role {
            Role::Source(plugin) => (plugin.validate)(properties).await,
            Role::Sink(plugin) => (plugin.validate)(properties).await,
        }
    }

    /// What the connector would find at its database.
    pub async fn preflight(&self, properties: &Properties) -> Vec<Finding> {
        match self.role {
            Role::Source(plugin) => (plugin.preflight)(properties).await,
            Role::Sink(plugin) => (plugin.preflight)(properties).await,
        }
    }

    /// One configuration for each task.
    pub fn task_configs(&self, properties: &Properties) -> Vec<Properties> {
        let wanted = properties.get("tasks.max").and_then(|text| text.trim().parse().ok()).unwrap_or(1_u32);
        let (count, numbers) = match self.role {
            // One slot has one reader.
            Role::Source(_) => (1, false),
            Role::Sink(plugin) => (wanted.max(1), plugin.numbers_tasks),
        };
        (0..count)
            .map(|task| {
                let mut config = properties.clone();
                config.insert("task.class".to_owned(), self.task_class.to_owned());
                if numbers {
                    config.insert("task.id".to_owned(), task.to_string());
                }
                config
            })
            .collect()
    }
}

/// Finds a connector by its full name, its simple name, or that without `Connector`. Where two classes share a
/// simple name, the first of the list has it.
pub fn find(class: &str) -> Option<&'static Connector> {
    let simple = |connector: &Connector| connector.class.rsplit('.').next().unwrap_or_default();
    CONNECTORS.iter().find(|connector| connector.class == class).or_else(|| {
        CONNECTORS.iter().find(|connector| {
            let simple = simple(connector);
            class == simple || Some(class) == simple.strip_suffix("Connector")
        })
    })
}

/// All classes, in the order in which Connect lists their kinds.
pub fn all() -> Vec<PluginInfo> {
    let connectors = CONNECTORS.iter().map(|connector| PluginInfo {
        class: connector.class,
        kind: connector.kind(),
        version: connector.version,
    });
    let built_in = |kind| move |class| PluginInfo { class, kind, version: version_of(class) };
    connectors
        .chain(transforms::transform_classes().map(built_in(PluginKind::Transformation)))
        .chain(transforms::predicate_classes().map(built_in(PluginKind::Predicate)))
        .chain(converters::known_classes().map(built_in(PluginKind::Converter)))
        .chain(converters::known_header_classes().map(built_in(PluginKind::HeaderConverter)))
        .collect()
}

fn version_of(class: &str) -> &'static str {
    if class.starts_with("io.debezium.") { "3.6.1.Final" } else { CONNECT_VERSION }
}

/// The options of any class that is built in; `None` for another one.
pub fn definition_of(class: &str) -> Option<Definition> {
    find(class)
        .map(Connector::definition)
        .or_else(|| converters::definition(class))
        .or_else(|| transforms::definition(class))
}

/// Errors of a value that the table does not know how to check, in the table's form.
pub fn answer_with_error(name: &str, value: Option<&str>, error: String) -> ConfigValue {
    ConfigValue {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        recommended: vec![],
        errors: vec![error],
        visible: true,
    }
}
