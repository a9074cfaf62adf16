//! What `/validate` says about an option, in Debezium's words.

use connect::settings::{Definition, Properties, Resolved};
use fancy_regex::Regex;

use super::compat::Compat;
use super::modes;
use super::value_lists::{self, OneOf};
use crate::{column_mappers, identities, key_columns};

/// What a value must be.
#[derive(Clone, Copy)]
enum Rule {
    Required,
    /// Letters, digits, `_`, `-` and `.`.
    Name,
    Integer,
    /// Debezium checks some integers twice, and says so twice.
    IntegerTwice,
    Positive,
    NonNegative,
    Boolean,
    BooleanTwice,
    Regexes,
    /// Excludes the option of the other name.
    Instead(&'static str),
    SlotName,
    OneOf(&'static OneOf),
    Operations,
    KeyColumns,
    Identities,
    NamingStrategy,
    Compat,
}

const RULES: &[(&str, Rule)] = &[
    ("topic.prefix", Rule::Required),
    ("topic.prefix", Rule::Name),
    ("database.hostname", Rule::Required),
    ("database.hostname", Rule::Name),
    ("database.port", Rule::IntegerTwice),
    ("database.user", Rule::Required),
    ("database.dbname", Rule::Required),
    ("plugin.name", Rule::OneOf(&value_lists::PLUGIN)),
    ("slot.name", Rule::SlotName),
    ("publication.autocreate.mode", Rule::OneOf(&value_lists::AUTOCREATE)),
    ("database.sslmode", Rule::OneOf(&value_lists::SSL_MODE)),
    ("slot.max.retries", Rule::Integer),
    ("slot.retry.delay.ms", Rule::Integer),
    ("status.update.interval.ms", Rule::Positive),
    ("skipped.operations", Rule::Operations),
    ("lsn.flush.mode", Rule::OneOf(&value_lists::FLUSH_MODE)),
    ("event.processing.failure.handling.mode", Rule::OneOf(&value_lists::PROCESSING_FAILURE)),
    ("event.converting.failure.handling.mode", Rule::OneOf(&value_lists::CONVERTING_FAILURE)),
    ("max.batch.size", Rule::Positive),
    ("max.queue.size", Rule::Positive),
    ("poll.interval.ms", Rule::Positive),
    ("max.queue.size.in.bytes", Rule::NonNegative),
    ("snapshot.delay.ms", Rule::NonNegative),
    ("streaming.delay.ms", Rule::NonNegative),
    ("snapshot.include.collection.list", Rule::Regexes),
    ("snapshot.max.threads", Rule::Positive),
    ("decimal.handling.mode", Rule::OneOf(&value_lists::DECIMAL)),
    ("time.precision.mode", Rule::OneOf(&value_lists::TIME)),
    ("snapshot.mode", Rule::OneOf(&value_lists::SNAPSHOT)),
    ("snapshot.locking.mode", Rule::OneOf(&value_lists::LOCKING)),
    ("hstore.handling.mode", Rule::OneOf(&value_lists::HSTORE)),
    ("binary.handling.mode", Rule::OneOf(&value_lists::BINARY)),
    ("schema.name.adjustment.mode", Rule::OneOf(&value_lists::ADJUSTMENT)),
    ("field.name.adjustment.mode", Rule::OneOf(&value_lists::ADJUSTMENT)),
    ("interval.handling.mode", Rule::OneOf(&value_lists::INTERVAL)),
    ("tombstones.on.delete", Rule::BooleanTwice),
    ("slot.drop.on.stop", Rule::Boolean),
    ("slot.failover", Rule::Boolean),
    ("extended.headers.enabled", Rule::Boolean),
    ("heartbeat.interval.ms", Rule::NonNegative),
    ("column.include.list", Rule::Regexes),
    ("column.exclude.list", Rule::Regexes),
    ("column.exclude.list", Rule::Instead("column.include.list")),
    ("table.include.list", Rule::Regexes),
    ("table.exclude.list", Rule::Regexes),
    ("table.exclude.list", Rule::Instead("table.include.list")),
    ("schema.include.list", Rule::Regexes),
    ("schema.exclude.list", Rule::Regexes),
    ("schema.exclude.list", Rule::Instead("schema.include.list")),
    ("message.prefix.include.list", Rule::Regexes),
    ("message.prefix.exclude.list", Rule::Regexes),
    ("message.prefix.exclude.list", Rule::Instead("message.prefix.include.list")),
    ("column.propagate.source.type", Rule::Regexes),
    ("datatype.propagate.source.type", Rule::Regexes),
    ("incremental.snapshot.chunk.size", Rule::Positive),
    ("incremental.snapshot.watermarking.strategy", Rule::OneOf(&value_lists::WATERMARKS)),
    ("signal.poll.interval.ms", Rule::Positive),
    ("read.only", Rule::Boolean),
    ("guardrail.collections.max", Rule::NonNegative),
    ("guardrail.collections.limit.action", Rule::OneOf(&value_lists::GUARDRAIL)),
    ("message.key.columns", Rule::KeyColumns),
    ("replica.identity.autoset.values", Rule::Identities),
    ("provide.transaction.metadata", Rule::Boolean),
    ("skip.messages.without.change", Rule::Boolean),
    ("topic.naming.strategy", Rule::NamingStrategy),
    ("topic.regex", Rule::Regexes),
    ("topic.key.field.regex", Rule::Regexes),
    ("transaction.metadata.factory", Rule::OneOf(&value_lists::FACTORY)),
    ("sourceinfo.struct.maker", Rule::OneOf(&value_lists::SOURCE_INFO)),
    ("truncate.handling.mode", Rule::OneOf(&value_lists::TRUNCATE)),
    ("offset.mismatch.strategy", Rule::OneOf(&value_lists::MISMATCH)),
    ("compat.version", Rule::Compat),
];

/// Options that are not in Debezium's published table, change data, and are not there yet.
const REFUSED_UNPUBLISHED: &[(&str, &str)] = &[
    ("snapshot.custom.class", ""),
    ("database.connection.factory.class", ""),
    ("source.struct.version", "v2"),
];

/// Parses and checks everything that needs no database.
pub fn resolve(definition: &Definition, properties: &Properties) -> Resolved {
    let mut resolved = definition.resolve(properties);
    for answer in resolved.answers_mut() {
        // Kafka's own texts for values that do not parse; Debezium says it in its own way below.
        answer.errors.retain(|error| !error.starts_with("Invalid value "));
    }
    for (name, rule) in RULES {
        let given = super::lookup(definition, properties, name);
        for error in check(name, *rule, given, properties) {
            let text = format!("The '{name}' value is invalid: {error}");
            resolved.error(name, text);
        }
    }
    queue_holds_a_batch(definition, properties, &mut resolved);
    refuse(properties, &mut resolved);
    families(properties, &mut resolved);
    channels(&mut resolved);
    signal_channels(properties, &mut resolved);
    naming(properties, &mut resolved);
    resolved
}

fn check(name: &str, rule: Rule, given: Option<&str>, properties: &Properties) -> Vec<String> {
    let value = given.map(str::trim).filter(|text| !text.is_empty());
    let Some(value) = value else {
        return match rule {
            Rule::Required => vec!["A value is required".to_owned()],
            _ => vec![],
        };
    };
    let integer = value.parse::<i64>();
    let unless = |fine: bool, text: &str| if fine { vec![] } else { vec![text.to_owned()] };
    const INTEGER: &str = "An integer is expected";
    match rule {
        Rule::Required => vec![],
        Rule::Name => {
            let fine = value.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
            let hosts = name == "database.hostname" && value.split(',').all(|host| !host.trim().is_empty());
            // Older versions passed lists of hosts and IPv6 addresses on to the driver.
            let fine = fine || (hosts && value.contains([',', ':']) && !value.contains(char::is_whitespace));
            unless(
                fine,
                &format!(
                    "{value} has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)"
                ),
            )
        }
        Rule::Integer => unless(integer.is_ok(), INTEGER),
        Rule::IntegerTwice if integer.is_err() => vec![INTEGER.to_owned(); 2],
        Rule::IntegerTwice => vec![],
        Rule::Positive => {
            unless(integer.is_ok_and(|number| number > 0), "A positive, non-zero integer value is expected")
        }
        Rule::NonNegative => match integer {
            Err(_) => vec![INTEGER.to_owned(), "An non-negative integer is expected".to_owned()],
            Ok(number) => unless(number >= 0, "An non-negative integer is expected"),
        },
        Rule::Boolean | Rule::BooleanTwice => {
            let fine = value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
            let count = if matches!(rule, Rule::BooleanTwice) { 2 } else { 1 };
            if fine { vec![] } else { vec!["Either 'true' or 'false' is expected".to_owned(); count] }
        }
        Rule::Regexes => regex_error(value).into_iter().collect(),
        Rule::Instead(other) => {
            let other_given = properties.get(other).is_some_and(|text| !text.trim().is_empty());
            unless(!other_given, &format!("\"{other}\" is already specified"))
        }
        Rule::SlotName => unless(
            value.len() <= 63
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "Valid replication slot name must contain only digits, lowercase characters and underscores with length <= 63",
        ),
        Rule::OneOf(list) => {
            unless(list.allows(value), &format!("Value must be one of {}", list.published.join(", ")))
        }
        Rule::Operations => {
            let fine = value == "none"
                || value.split(',').all(|one| matches!(one.trim(), "c" | "u" | "d" | "t" | "r" | "none"));
            unless(fine, "Invalid operation")
        }
        Rule::KeyColumns => match key_columns::split(value) {
            Err(part) => vec![format!("{part} has an invalid format (expecting '{}')", key_columns::FORM)],
            Ok(rules) => rules.iter().find_map(|(table, _)| regex_error(table)).into_iter().collect(),
        },
        Rule::Identities => {
            let text = |part| format!("{part} has an invalid format (expecting '{}')", identities::FORM);
            identities::wrong_part(value).map(text).into_iter().collect()
        }
        Rule::NamingStrategy => unless(
            modes::naming_strategy(value).is_some(),
            &format!(
                "{value} is not available: use one of the strategies that come with Debezium (io.debezium.schema.\
                 SchemaTopicNamingStrategy, DefaultTopicNamingStrategy, and their Unicode and Regex forms), or a \
                 RegexRouter among the transforms"
            ),
        ),
        Rule::Compat => {
            unless(Compat::parse(value).is_some(), "Value must be one of 1.9, 2.5, 2.7, 3.0, 3.6")
        }
    }
}

fn regex_error(value: &str) -> Option<String> {
    crate::filter::split_list(value).into_iter().find_map(|pattern| {
        let error = Regex::new(&pattern).err()?;
        Some(format!(
            "A comma-separated list of valid regular expressions is expected, but {error}\n{pattern}"
        ))
    })
}

fn queue_holds_a_batch(definition: &Definition, properties: &Properties, resolved: &mut Resolved) {
    let number = |name: &str| super::lookup(definition, properties, name)?.trim().parse::<i64>().ok();
    if let (Some(batch), Some(queue)) = (number("max.batch.size"), number("max.queue.size"))
        && batch > 0
        && queue > 0
        && queue <= batch
    {
        let text = "The 'max.queue.size' value is invalid: Must be larger than the maximum batch size";
        resolved.error("max.queue.size", text);
    }
}

fn refuse(properties: &Properties, resolved: &mut Resolved) {
    let text = |name: &str| {
        format!(
            "The option \"{name}\" changes data or delivery and is not available in this version: remove it, or keep \
             this connector where it is."
        )
    };
    for (name, harmless) in REFUSED_UNPUBLISHED {
        if properties.get(*name).is_some_and(|value| !value.trim().eq_ignore_ascii_case(harmless)) {
            resolved.error(name, text(name));
        }
    }
    if properties.get("snapshot.mode").is_some_and(|mode| mode.trim().eq_ignore_ascii_case("custom")) {
        resolved.error(
            "snapshot.mode",
            "The 'snapshot.mode' value is invalid: \"custom\" names a Java class, which cannot be run here: use \
             configuration_based",
        );
    }
}

/// Options whose names hold a parameter: names and values.
fn families(properties: &Properties, resolved: &mut Resolved) {
    for (name, value) in properties {
        match column_mappers::parse(name) {
            Some(Err(error)) => resolved.error(name, format!("The option \"{name}\" is invalid: {error}")),
            Some(Ok(_)) => {
                if let Some(error) = regex_error(value) {
                    resolved.error(name, format!("The '{name}' value is invalid: {error}"));
                }
            }
            None => {}
        }
    }
    let Some(tables) = properties.get("snapshot.select.statement.overrides") else { return };
    for table in crate::filter::split_list(tables) {
        let name = format!("snapshot.select.statement.overrides.{table}");
        if properties.get(&name).is_none_or(|statement| statement.trim().is_empty()) {
            resolved.error(&name, format!("The '{name}' value is invalid: A value is required"));
        }
    }
}

/// Channels of notifications that are there, and what they need.
fn channels(resolved: &mut Resolved) {
    let channels: Vec<String> = resolved.list("notification.enabled.channels").to_vec();
    let has = |name: &str| channels.iter().any(|channel| channel.trim().eq_ignore_ascii_case(name));
    for channel in &channels {
        if !["sink", "log"].iter().any(|name| channel.trim().eq_ignore_ascii_case(name)) {
            let text = format!(
                "The 'notification.enabled.channels' value is invalid: there is no channel {channel} here: use sink or log"
            );
            resolved.error("notification.enabled.channels", text);
        }
    }
    if has("sink")
        && resolved.text("notification.sink.topic.name").is_none_or(|topic| topic.trim().is_empty())
    {
        let text = "The 'notification.sink.topic.name' value is invalid: Notification topic name must be provided when \
                    kafka notification channel is enabled";
        resolved.error("notification.sink.topic.name", text);
    }
}

/// Channels of signals that are there, and what they need.
fn signal_channels(properties: &Properties, resolved: &mut Resolved) {
    let channels: Vec<String> = resolved.list("signal.enabled.channels").to_vec();
    let given = |name: &str| properties.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    for channel in &channels {
        if !["source", "kafka", "file"].iter().any(|name| channel.trim().eq_ignore_ascii_case(name)) {
            let text = format!(
                "The 'signal.enabled.channels' value is invalid: there is no channel {channel} here: use source, kafka or \
                 file"
            );
            resolved.error("signal.enabled.channels", text);
        }
    }
    let by_topic = channels.iter().any(|channel| channel.trim().eq_ignore_ascii_case("kafka"));
    if by_topic && given("signal.kafka.bootstrap.servers").is_none() {
        let text = "The 'signal.kafka.bootstrap.servers' value is invalid: A value is required with the signal channel kafka";
        resolved.error("signal.kafka.bootstrap.servers", text);
    }
    let tables = given("signal.data.collection").unwrap_or_default();
    if let Some(name) = tables.split(',').find(|name| !name.trim().is_empty() && !name.contains('.')) {
        let text =
            format!("The 'signal.data.collection' value is invalid: {name} is not of the form schema.table");
        resolved.error("signal.data.collection", text);
    }
}

/// A strategy by pattern needs its pattern.
fn naming(properties: &Properties, resolved: &mut Resolved) {
    let class = properties.get("topic.naming.strategy").map(String::as_str).unwrap_or_default();
    if !matches!(modes::naming_strategy(class), Some((_, _, true))) {
        return;
    }
    let given = |name: &str| properties.get(name).is_some_and(|text| !text.trim().is_empty());
    for name in ["topic.regex", "topic.replacement"] {
        if !given(name) {
            resolved.error(name, format!("The '{name}' value is invalid: A value is required"));
        }
    }
    if given("topic.key.field.regex") && !given("topic.key.field.replacement") {
        let text = "topic.key.field.replacement must be non-empty if topic.key.field.regex is set.";
        resolved.error("topic.key.field.replacement", text);
    }
}
