//! What both option sets have in common: our own options, and the checks across options.

use connect::settings::{Importance, Properties, Row, Validator, Width, row};

use super::url;

const FOREIGN_KEYS: &str = "Foreign Keys";

/// Options that neither of the two connectors has.
pub fn rows() -> Vec<Row> {
    vec![
        row("foreign.key.handling")
            .default("hold")
            .check(Validator::OneOfIgnoreCase(&["hold", "replica"]))
            .importance(Importance::Low)
            .group(FOREIGN_KEYS, 1)
            .width(Width::Short)
            .display("Foreign key handling")
            .recommended(&["hold", "replica"])
            .doc("hold: a row waits until the rows that it refers to are there. replica: the session sets \
                  session_replication_role, and the server checks no foreign keys and fires no triggers."),
        row("foreign.key.hold.timeout.ms")
            .long()
            .default("60000")
            .check(Validator::AtLeast(0))
            .importance(Importance::Low)
            .group(FOREIGN_KEYS, 2)
            .width(Width::Short)
            .display("Foreign key hold timeout (millis)")
            .doc("How long a change waits for another table's row after all that could bring it has been read. \
                  errors.retry.timeout is taken where it is longer."),
        row("foreign.key.hold.max.bytes")
            .long()
            .default("16777216")
            .check(Validator::AtLeast(65_536))
            .importance(Importance::Low)
            .group(FOREIGN_KEYS, 3)
            .width(Width::Short)
            .display("Foreign key hold memory (bytes)")
            .doc("Memory for waiting changes; above it the partitions that hold much of it are not read further, and \
                  above four times as much none that holds any."),
        row("binary.handling.mode")
            .default("bytes")
            .check(Validator::OneOfIgnoreCase(&["bytes", "hex", "base64", "base64-url-safe"]))
            .importance(Importance::Low)
            .group("Data Mapping", 100)
            .width(Width::Short)
            .display("Binary handling mode")
            .recommended(&["bytes", "hex", "base64", "base64-url-safe"])
            .doc("How texts for columns of type bytea are read: as the source connector's option of this name says that \
                  it wrote them. bytes leaves texts to the server's own forms."),
    ]
}

pub fn check_url(text: Option<&str>, _: &Properties) -> Result<(), String> {
    match text {
        None => Ok(()),
        Some(text) => url::parse(text)
            .map(drop)
            .map_err(|why| format!("Invalid value for configuration connection.url: {why}")),
    }
}

pub fn check_zone(text: Option<&str>, _: &Properties) -> Result<(), String> {
    let Some(name) = text else { return Ok(()) };
    super::zone(name).map(drop).map_err(|why| format!("Invalid value {name} for a time zone: {why}"))
}

pub fn check_delete_confluent(text: Option<&str>, properties: &Properties) -> Result<(), String> {
    check_delete(text, properties, "pk.mode")
}

pub fn check_delete_debezium(text: Option<&str>, properties: &Properties) -> Result<(), String> {
    check_delete(text, properties, "primary.key.mode")
}

fn check_delete(text: Option<&str>, properties: &Properties, key_mode: &str) -> Result<(), String> {
    let enabled = text.is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    let by_key = properties.get(key_mode).is_some_and(|mode| mode.trim().eq_ignore_ascii_case("record_key"));
    if enabled && !by_key {
        return Err(format!(
            "Deletes need a key: set \"{key_mode}\" to record_key, or \"delete.enabled\" to false"
        ));
    }
    Ok(())
}

pub fn check_key_confluent(text: Option<&str>, properties: &Properties) -> Result<(), String> {
    check_key(text, properties, "pk.mode")
}

pub fn check_key_debezium(text: Option<&str>, properties: &Properties) -> Result<(), String> {
    check_key(text, properties, "primary.key.mode")
}

fn check_key(text: Option<&str>, properties: &Properties, key_mode: &str) -> Result<(), String> {
    let none = text.is_none_or(|text| text.trim().eq_ignore_ascii_case("none"));
    let upsert = properties.get("insert.mode").is_some_and(|mode| mode.trim().eq_ignore_ascii_case("upsert"));
    if none && upsert {
        return Err(format!(
            "Upserts need a key: set \"{key_mode}\" to record_key, record_value or kafka, or \"insert.mode\" to insert"
        ));
    }
    Ok(())
}

/// Both lists at once are refused; each must be a list of regular expressions.
pub fn check_filters(text: Option<&str>, properties: &Properties) -> Result<(), String> {
    let given = |name: &str| properties.get(name).is_some_and(|list| !list.trim().is_empty());
    if given("field.include.list") && given("field.exclude.list") {
        return Err("Give \"field.include.list\" or \"field.exclude.list\", not both".to_owned());
    }
    for pattern in text.into_iter().flat_map(|text| text.split(',')) {
        regex::Regex::new(pattern.trim())
            .map_err(|error| format!("{pattern} is not a regular expression: {error}"))?;
    }
    Ok(())
}
