//! Options of the connector: parsed once into one struct, checked before anything is created.

mod definition; // the table
mod value_lists; // closed lists of values
mod rules; // what a value must be
mod check_database; // what only the database can tell
mod compat; // whose records are written
mod modes; // options that decide together
mod signals; // who may ask for what, and how
mod typed; // the struct that everything else reads

pub use compat::Compat;
pub use definition::definition;
pub use modes::{AfterSnapshot, Guardrail, LostPosition, SnapshotData};
pub use signals::Watermarks;
pub use typed::{
    AutocreateMode, BinaryMode, ConvertingFailure, DecimalMode, HstoreMode, IntervalMode, Mismatch,
    NameAdjustment, Operations, ProcessingFailure, Settings, TimeMode, ValueModes,
};

use connect::TaskError;
use connect::settings::{Definition, Properties, Resolved};

/// Checks a configuration, with the database where the configuration itself is sound.
pub async fn validate(properties: &Properties) -> Resolved {
    let definition = definition();
    let mut resolved = rules::resolve(&definition, properties);
    if resolved.errors().is_empty()
        && let Ok(settings) = Settings::new(properties, &resolved)
    {
        check_database::check(&settings, &mut resolved).await;
    }
    resolved
}

/// Parses a configuration for a task; all errors are in the message.
pub fn parse(properties: &Properties) -> Result<Settings, TaskError> {
    let definition = definition();
    let resolved = rules::resolve(&definition, properties);
    let errors = resolved.errors();
    if !errors.is_empty() {
        return Err(TaskError::halt(format!("invalid configuration: {}", errors.join("; "))));
    }
    for key in resolved.unknown().iter().filter(|key| !is_framework(key) && !is_family(key)) {
        tracing::warn!(key = %key, "unknown option: accepted and not used");
    }
    Settings::new(properties, &resolved)
}

/// The text given for an option, under its own or an older name, or its default.
fn lookup<'a>(definition: &'a Definition, properties: &'a Properties, name: &str) -> Option<&'a str> {
    let row = definition.row(name)?;
    std::iter::once(&row.name)
        .chain(row.aliases)
        .find_map(|name| properties.get(*name))
        .map(String::as_str)
        .or(row.default.as_deref())
}

/// Keys of Kafka Connect itself, and of what else travels in a connector's configuration.
fn is_framework(key: &str) -> bool {
    const KEYS: &[&str] = &[
        "name",
        "connector.class",
        "task.class",
        "task.id",
        "connector.plugin.version",
        "header.converter",
        "config.action.reload",
        "exactly.once.support",
        "offsets.storage.topic",
    ];
    const PREFIXES: &[&str] = &[
        "tasks.max",
        "key.converter",
        "value.converter",
        "header.converter.",
        "transforms",
        "predicates",
        "errors.",
        "topic.creation.",
        "transaction.boundary",
        "producer.override.",
        "consumer.override.",
        "admin.override.",
        "internal.",
        // Read from the properties directly: old names of filters, and the driver's own.
        "database.server.name",
    ];
    KEYS.contains(&key) || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// Options whose names hold a parameter.
fn is_family(key: &str) -> bool {
    const PREFIXES: [&str; 2] = ["snapshot.select.statement.overrides.", "signal.consumer."];
    crate::column_mappers::parse(key).is_some() || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// [`validate`] in the form that the runtime's table of plugins holds.
pub fn validate_boxed(properties: &Properties) -> futures::future::BoxFuture<'_, Resolved> {
    Box::pin(validate(properties))
}
