//! Options that decide together: the snapshot's mode, the names of topics, and what a version had as its default.

use connect::TaskError;
use connect::settings::{Properties, Resolved};

use super::NameAdjustment;
use super::compat::Compat;
use crate::filter;
use crate::naming::{Characters, KeyField, Parts, Reroute, TopicNaming};
use crate::notifications::Channels;

/// What is read before streaming, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMode {
    pub data: SnapshotData,
    pub after: AfterSnapshot,
    pub lost: LostPosition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotData {
    Never,
    /// As long as none was completed.
    Initial,
    EveryStart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSnapshot {
    Stream,
    /// No slot, no stream.
    Rest,
}

/// What to do where the slot does not have the stored position any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostPosition {
    Halt,
    SnapshotAgain,
}

pub fn snapshot_mode(resolved: &Resolved) -> SnapshotMode {
    let mode = |data, after, lost| SnapshotMode { data, after, lost };
    let flag = |name: &str| resolved.boolean(&format!("snapshot.mode.configuration.based.{name}"));
    match resolved.text("snapshot.mode").unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "no_data" | "never" => mode(SnapshotData::Never, AfterSnapshot::Stream, LostPosition::Halt),
        "initial_only" => mode(SnapshotData::Initial, AfterSnapshot::Rest, LostPosition::Halt),
        "always" => mode(SnapshotData::EveryStart, AfterSnapshot::Stream, LostPosition::Halt),
        "when_needed" => mode(SnapshotData::Initial, AfterSnapshot::Stream, LostPosition::SnapshotAgain),
        "configuration_based" => mode(
            if flag("snapshot.data") { SnapshotData::EveryStart } else { SnapshotData::Never },
            if flag("start.stream") { AfterSnapshot::Stream } else { AfterSnapshot::Rest },
            if flag("snapshot.on.data.error") { LostPosition::SnapshotAgain } else { LostPosition::Halt },
        ),
        _ => mode(SnapshotData::Initial, AfterSnapshot::Stream, LostPosition::Halt),
    }
}

/// What we have of the classes that come with Debezium: parts, characters, and whether a pattern applies.
pub fn naming_strategy(class: &str) -> Option<(Parts, Characters, bool)> {
    Some(match class.trim().strip_prefix("io.debezium.schema.")? {
        "SchemaTopicNamingStrategy" => (Parts::SchemaAndTable, Characters::Underscore, false),
        "DefaultTopicNamingStrategy" => (Parts::Table, Characters::Underscore, false),
        "SchemaUnicodeTopicNamingStrategy" => (Parts::SchemaAndTable, Characters::Unicode, false),
        "DefaultUnicodeTopicNamingStrategy" => (Parts::Table, Characters::Unicode, false),
        "SchemaRegexTopicNamingStrategy" => (Parts::SchemaAndTable, Characters::Underscore, true),
        "DefaultRegexTopicNamingStrategy" => (Parts::Table, Characters::Underscore, true),
        _ => return None,
    })
}

pub fn topic_naming(resolved: &Resolved) -> Result<TopicNaming, TaskError> {
    let text = |name: &str| resolved.text(name).filter(|text| !text.is_empty());
    let class = text("topic.naming.strategy").unwrap_or_default();
    let (parts, characters, by_pattern) =
        naming_strategy(class).ok_or_else(|| TaskError::halt(format!("no naming strategy {class}")))?;
    let key_rule = match (text("topic.key.field.regex"), text("topic.key.field.replacement")) {
        (Some(pattern), Some(replacement)) => Some((filter::whole(pattern)?, replacement.to_owned())),
        _ => None,
    };
    let key_field =
        KeyField { name: text("topic.key.field.name").unwrap_or_default().to_owned(), rule: key_rule };
    let reroute = match (text("topic.regex"), text("topic.replacement")) {
        (Some(pattern), Some(replacement)) if by_pattern => Some(Reroute {
            pattern: filter::whole(pattern)?,
            replacement: replacement.to_owned(),
            key_field: resolved.boolean("topic.key.enforce.uniqueness").then_some(key_field),
        }),
        _ => None,
    };
    Ok(TopicNaming {
        prefix: text("topic.prefix").unwrap_or_default().to_owned(),
        delimiter: text("topic.delimiter").unwrap_or(".").to_owned(),
        parts,
        characters,
        reroute,
    })
}

/// The topic of transactions, where one is wanted.
pub fn transaction_topic(resolved: &Resolved, topics: &TopicNaming) -> Option<String> {
    let text = |name: &str| resolved.text(name).filter(|text| !text.is_empty());
    if !resolved.boolean("provide.transaction.metadata") {
        return None;
    }
    let TopicNaming { prefix, delimiter, .. } = topics;
    if let Some(older) = text("transaction.topic") {
        return Some(older.replace("${database.server.name}", prefix));
    }
    Some(format!("{prefix}{delimiter}{}", text("topic.transaction").unwrap_or("transaction")))
}

pub fn adjustment(mode: &str) -> NameAdjustment {
    match mode.trim().to_ascii_lowercase().as_str() {
        "avro" => NameAdjustment::Avro,
        "avro_unicode" => NameAdjustment::AvroUnicode,
        _ => NameAdjustment::None,
    }
}

/// Unset, names of schemas were made valid for Avro by 1.9, and are left alone since.
pub fn schema_names(properties: &Properties, compat: Compat) -> NameAdjustment {
    match properties.get("schema.name.adjustment.mode") {
        Some(given) => adjustment(given),
        None if compat == Compat::V19 => NameAdjustment::Avro,
        None => NameAdjustment::None,
    }
}

/// Unset, the mode follows the converters: Avro has no other names.
pub fn field_names(properties: &Properties, resolved: &Resolved) -> NameAdjustment {
    if let Some(mode) = resolved.text("field.name.adjustment.mode") {
        return adjustment(mode);
    }
    if let Some(sanitize) = properties.get("sanitize.field.names") {
        let wanted = sanitize.trim().eq_ignore_ascii_case("true");
        return if wanted { NameAdjustment::Avro } else { NameAdjustment::None };
    }
    let avro = ["key.converter", "value.converter"]
        .iter()
        .any(|key| properties.get(*key).is_some_and(|class| class.trim().ends_with("AvroConverter")));
    if avro { NameAdjustment::Avro } else { NameAdjustment::None }
}

/// Given, or as the version had it: the headers are there since 3.3.
pub fn extended_headers(properties: &Properties, resolved: &Resolved, compat: Compat) -> bool {
    match properties.contains_key("extended.headers.enabled") {
        true => resolved.boolean("extended.headers.enabled"),
        false => compat >= Compat::V36,
    }
}

/// Statements by `schema.table` that the snapshot reads instead of the table.
pub fn snapshot_selects(properties: &Properties) -> Vec<(String, String)> {
    let Some(tables) = properties.get("snapshot.select.statement.overrides") else { return vec![] };
    let statement = |table: String| {
        let given = properties.get(&format!("snapshot.select.statement.overrides.{table}"))?;
        Some((table, given.trim().trim_end_matches(';').to_owned()))
    };
    filter::split_list(tables).into_iter().filter_map(statement).collect()
}

/// What to do where more tables are captured than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guardrail {
    Warn,
    Fail,
}

pub fn guardrail(resolved: &Resolved) -> Option<(usize, Guardrail)> {
    let max = usize::try_from(resolved.long("guardrail.collections.max")).ok().filter(|max| *max > 0)?;
    let action = resolved.text("guardrail.collections.limit.action").unwrap_or_default();
    Some((max, if action.trim().eq_ignore_ascii_case("fail") { Guardrail::Fail } else { Guardrail::Warn }))
}

pub fn notifications(resolved: &Resolved) -> Channels {
    let has = |name: &str| {
        resolved
            .list("notification.enabled.channels")
            .iter()
            .any(|channel| channel.eq_ignore_ascii_case(name))
    };
    let topic = resolved.text("notification.sink.topic.name").filter(|topic| !topic.trim().is_empty());
    Channels { topic: topic.filter(|_| has("sink")).map(|topic| topic.trim().to_owned()), log: has("log") }
}
