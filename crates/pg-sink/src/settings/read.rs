//! Properties to settings.

use std::time::Duration;

use connect::settings::{Properties, Resolved};
use pg::ConnectSettings;
use regex::Regex;
use tracing::warn;

use super::{
    Deletes, FieldFilter, Flavour, ForeignKeys, InsertMode, KeyMode, Names, Quoting, Settings, Switch,
    TimestampFields, Truncates, url, zone,
};

/// Prefix of parameters for the driver.
const DRIVER: &str = "connection.";

pub fn settings(flavour: Flavour, properties: &Properties) -> Result<Settings, Vec<String>> {
    let resolved = super::resolve(flavour, properties);
    let errors = resolved.errors();
    if !errors.is_empty() {
        return Err(errors);
    }
    let one = |why: String| vec![why];
    let connect = connection(flavour, &resolved, properties).map_err(one)?;
    let mut settings = match flavour {
        Flavour::Confluent => confluent(&resolved, connect),
        Flavour::Aiven => aiven(&resolved, connect),
        Flavour::Debezium => debezium(&resolved, connect),
    }
    .map_err(one)?;
    settings.hold_timeout = settings.hold_timeout.max(retry_timeout(properties));
    settings.topics =
        list(properties.get("topics").map_or("", String::as_str)).into_iter().map(Into::into).collect();
    Ok(settings)
}

/// `errors.retry.timeout` of Connect; -1 is for ever.
fn retry_timeout(properties: &Properties) -> Duration {
    match properties.get("errors.retry.timeout").and_then(|text| text.trim().parse::<i64>().ok()) {
        None => Duration::ZERO,
        Some(millis) => u64::try_from(millis).map_or(Duration::MAX, Duration::from_millis),
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn insert_mode(resolved: &Resolved) -> InsertMode {
    match resolved.text("insert.mode").unwrap_or("").to_ascii_lowercase().as_str() {
        "upsert" => InsertMode::Upsert,
        "update" => InsertMode::Update,
        _ => InsertMode::Insert,
    }
}

fn key_mode(text: Option<&str>) -> KeyMode {
    match text.unwrap_or("").to_ascii_lowercase().as_str() {
        "kafka" => KeyMode::Kafka,
        "record_key" => KeyMode::RecordKey,
        "record_value" => KeyMode::RecordValue,
        "record_header" => KeyMode::RecordHeader,
        _ => KeyMode::None,
    }
}

fn not_empty(items: &[String]) -> Vec<String> {
    items.iter().filter(|item| !item.is_empty()).cloned().collect()
}

/// What both connectors read in the same way; the rest has Debezium's defaults.
fn common(flavour: Flavour, resolved: &Resolved, connect: ConnectSettings) -> Settings {
    Settings {
        flavour,
        connect,
        insert_mode: insert_mode(resolved),
        deletes: Deletes::Skip,
        truncates: Truncates::Skip,
        key_mode: KeyMode::None,
        key_fields: vec![],
        name_format: String::new(),
        tables: vec![],
        names: Names::AsGiven,
        create: Switch::Off,
        evolve: Switch::Off,
        quoting: Quoting::Always,
        fields: FieldFilter::All,
        null_becomes_default: Switch::Off,
        zone: None,
        date_zone: None,
        timestamp_fields: TimestampFields::default(),
        binary_text: resolved.text("binary.handling.mode").and_then(crate::values::BinaryText::of),
        string_column: None,
        foreign_keys: match resolved.text("foreign.key.handling") {
            Some(text) if text.eq_ignore_ascii_case("replica") => ForeignKeys::Replica,
            _ => ForeignKeys::Hold,
        },
        hold_timeout: Duration::from_millis(
            u64::try_from(resolved.long("foreign.key.hold.timeout.ms")).unwrap_or(0),
        ),
        hold_bytes_max: usize::try_from(resolved.long("foreign.key.hold.max.bytes")).unwrap_or(0),
        topics: vec![],
    }
}

fn confluent(resolved: &Resolved, connect: ConnectSettings) -> Result<Settings, String> {
    let zone = zone(resolved.text("db.timezone").unwrap_or("UTC"))?;
    let date_in_utc = resolved.text("date.timezone").is_some_and(|text| text.eq_ignore_ascii_case("UTC"));
    let fields = not_empty(resolved.list("fields.whitelist"));
    let never = resolved.text("quote.sql.identifiers").is_some_and(|text| text.eq_ignore_ascii_case("never"));
    Ok(Settings {
        deletes: if resolved.boolean("delete.enabled") { Deletes::Apply } else { Deletes::Reject },
        key_mode: key_mode(resolved.text("pk.mode")),
        key_fields: not_empty(resolved.list("pk.fields")),
        name_format: resolved.text("table.name.format").unwrap_or("${topic}").to_owned(),
        create: Switch::of(resolved.boolean("auto.create")),
        evolve: Switch::of(resolved.boolean("auto.evolve")),
        quoting: if never { Quoting::Never } else { Quoting::Always },
        fields: if fields.is_empty() { FieldFilter::All } else { FieldFilter::Listed(fields) },
        null_becomes_default: Switch::of(resolved.boolean("replace.null.with.default")),
        date_zone: if date_in_utc { None } else { zone.clone() },
        zone,
        timestamp_fields: TimestampFields {
            names: not_empty(resolved.list("timestamp.fields.list")),
            nanoseconds: resolved
                .text("timestamp.precision.mode")
                .is_some_and(|text| text.eq_ignore_ascii_case("nanoseconds")),
        },
        string_column: resolved.text("string.output.value.column.name").map(str::to_owned),
        ..common(Flavour::Confluent, resolved, connect)
    })
}

fn aiven(resolved: &Resolved, connect: ConnectSettings) -> Result<Settings, String> {
    let pair = |text: &String| {
        text.split_once(':').map(|(topic, table)| (topic.trim().to_owned(), table.trim().to_owned()))
    };
    let quoted = resolved.boolean("sql.quote.identifiers");
    let normalized = resolved.boolean("table.name.normalize");
    Ok(Settings {
        quoting: if quoted { Quoting::Always } else { Quoting::Never },
        tables: resolved.list("topics.to.tables.mapping").iter().filter_map(pair).collect(),
        names: if normalized { Names::Normalized } else { Names::AsGiven },
        ..confluent(resolved, connect)?
    })
}

fn debezium(resolved: &Resolved, connect: ConnectSettings) -> Result<Settings, String> {
    let patterns = |name: &str| -> Result<Vec<Regex>, String> {
        not_empty(resolved.list(name))
            .iter()
            .map(|pattern| Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string()))
            .collect()
    };
    let (include, exclude) = (patterns("field.include.list")?, patterns("field.exclude.list")?);
    let evolution = resolved.text("schema.evolution").is_some_and(|text| text.eq_ignore_ascii_case("basic"));
    Ok(Settings {
        deletes: if resolved.boolean("delete.enabled") { Deletes::Apply } else { Deletes::Skip },
        truncates: if resolved.boolean("truncate.enabled") { Truncates::Apply } else { Truncates::Skip },
        key_mode: key_mode(resolved.text("primary.key.mode")),
        key_fields: list(resolved.text("primary.key.fields").unwrap_or("")),
        name_format: resolved.text("collection.name.format").unwrap_or("${topic}").to_owned(),
        create: Switch::of(evolution),
        evolve: Switch::of(evolution),
        quoting: if resolved.boolean("quote.identifiers") { Quoting::Always } else { Quoting::WhereNeeded },
        fields: match (include.is_empty(), exclude.is_empty()) {
            (false, _) => FieldFilter::Include(include),
            (true, false) => FieldFilter::Exclude(exclude),
            (true, true) => FieldFilter::All,
        },
        ..common(Flavour::Debezium, resolved, connect)
    })
}

/// Where the target is: the URL, the driver's parameters among the options, user and password.
pub fn connection(
    flavour: Flavour,
    resolved: &Resolved,
    properties: &Properties,
) -> Result<ConnectSettings, String> {
    let url = url::parse(resolved.text("connection.url").unwrap_or(""))?;
    let mut connect = ConnectSettings { hosts: url.hosts, ..ConnectSettings::default() };
    let known = flavour.definition();
    let driver = properties
        .iter()
        .filter(|(key, _)| key.starts_with(DRIVER) && !known.knows(key))
        .map(|(key, value)| (key[DRIVER.len()..].to_owned(), value.clone()));
    for (name, value) in url.parameters.into_iter().chain(driver) {
        if url::apply(&mut connect, &name, &value)? == url::Taken::Unknown {
            warn!(parameter = %name, "parameter of the JDBC driver is not known and has no effect");
        }
    }
    let user = match flavour {
        Flavour::Confluent | Flavour::Aiven => "connection.user",
        Flavour::Debezium => "connection.username",
    };
    if let Some(user) = resolved.text(user) {
        connect.user = user.to_owned();
    }
    if let Some(password) = resolved.text("connection.password").filter(|text| !text.is_empty()) {
        connect.password = Some(password.to_owned());
    }
    connect.dbname = url.dbname.unwrap_or_else(|| connect.user.clone());
    Ok(connect)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flavour: Flavour, properties: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::read(flavour, &properties)
    }

    #[test]
    fn the_configuration_that_people_have() {
        let settings = read(
            Flavour::Confluent,
            &[
                ("connection.url", "jdbc:postgresql://h:5433/sink_db?user=u&password=p"),
                ("topics", "users,posts, comments"),
                ("insert.mode", "upsert"),
                ("pk.mode", "record_key"),
                ("delete.enabled", "true"),
                ("auto.create", "false"),
                ("auto.evolve", "true"),
                ("task.max", "1"),
            ],
        )
        .unwrap();
        assert_eq!(settings.connect.target(), "h:5433/sink_db");
        assert_eq!((&*settings.connect.user, settings.connect.password.as_deref()), ("u", Some("p")));
        assert_eq!((settings.insert_mode, settings.key_mode), (InsertMode::Upsert, KeyMode::RecordKey));
        assert_eq!(
            (settings.deletes, settings.create, settings.evolve),
            (Deletes::Apply, Switch::Off, Switch::On)
        );
        assert_eq!(settings.topics.len(), 3);
    }

    #[test]
    fn older_name_of_the_table_format_and_schema_evolution() {
        let settings = read(
            Flavour::Debezium,
            &[
                ("connection.url", "jdbc:postgresql://h/d"),
                ("connection.username", "postgres"),
                ("primary.key.mode", "record_key"),
                ("delete.enabled", "true"),
                ("schema.evolution", "basic"),
                ("table.name.format", "fixed"),
                ("auto.create", "true"),
            ],
        )
        .unwrap();
        assert_eq!(settings.name_format, "fixed");
        assert_eq!((settings.create, settings.quoting), (Switch::On, Quoting::WhereNeeded));
    }

    #[test]
    fn refused_together() {
        let url = ("connection.url", "jdbc:postgresql://h/d");
        let user = ("connection.username", "u");
        let errors = |flavour, more: &[(&str, &str)]| {
            let mut properties = vec![url, user];
            properties.extend(more);
            read(flavour, &properties).unwrap_err()
        };
        assert_eq!(errors(Flavour::Debezium, &[("insert.mode", "bogus")]).len(), 1);
        assert_eq!(errors(Flavour::Debezium, &[("insert.mode", "upsert")]).len(), 1);
        assert_eq!(
            errors(Flavour::Confluent, &[("delete.enabled", "true"), ("insert.mode", "upsert")]).len(),
            2
        );
        assert_eq!(errors(Flavour::Debezium, &[("column.naming.strategy", "x.Y")]).len(), 1);
        assert_eq!(
            errors(Flavour::Debezium, &[("field.include.list", "a"), ("field.exclude.list", "b")]).len(),
            2
        );
    }
}
