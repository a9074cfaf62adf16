//! Options of the JDBC sinks, read once into one form.

mod confluent; // the Confluent connector's table
mod aiven; // its fork's
mod debezium; // the Debezium connector's table
mod read; // properties -> settings
mod shared; // our own options, checks across options
mod url; // JDBC URLs

use std::sync::Arc;
use std::time::Duration;

use connect::settings::{Definition, Properties, Resolved};
use jiff::tz::TimeZone;
use pg::ConnectSettings;
use regex::Regex;

use crate::values::BinaryText;

/// Which connector's options apply, and its habits: Aiven's are Confluent's, and settings that were read know only two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Confluent,
    Aiven,
    Debezium,
}

impl Flavour {
    pub const ALL: [Self; 3] = [Self::Confluent, Self::Aiven, Self::Debezium];

    /// The `connector.class`.
    pub fn class(self) -> &'static str {
        match self {
            Self::Confluent => "io.confluent.connect.jdbc.JdbcSinkConnector",
            Self::Aiven => "io.aiven.connect.jdbc.JdbcSinkConnector",
            Self::Debezium => "io.debezium.connector.jdbc.JdbcSinkConnector",
        }
    }

    pub fn definition(self) -> Definition {
        match self {
            Self::Confluent => confluent::definition(),
            Self::Aiven => aiven::definition(),
            Self::Debezium => debezium::definition(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertMode {
    Insert,
    Upsert,
    Update,
}

/// Where a row's key columns come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMode {
    None,
    Kafka,
    RecordKey,
    RecordValue,
    RecordHeader,
}

/// What a tombstone (or a delete event) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletes {
    Apply,
    /// Passed over, as Debezium's sink does.
    Skip,
    /// An error of the record, as Confluent's sink has it.
    Reject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncates {
    Apply,
    Skip,
}

/// How names of tables and columns are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    Always,
    /// In lower case, as PostgreSQL reads names without quotes.
    Never,
    /// In lower case where the name can be written without quotes.
    WhereNeeded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

impl Switch {
    pub fn of(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeys {
    Hold,
    /// The session is `session_replication_role=replica`.
    Replica,
}

/// What becomes of characters in the names of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    AsGiven,
    /// All but letters, digits and `_` become `_`.
    Normalized,
}

/// Which fields of a value are written.
#[derive(Clone, Debug, Default)]
pub enum FieldFilter {
    #[default]
    All,
    /// Names of value fields; the key's are always written.
    Listed(Vec<String>),
    /// Patterns for `topic:field` or `field`.
    Include(Vec<Regex>),
    Exclude(Vec<Regex>),
}

impl FieldFilter {
    pub fn keeps_value(&self, topic: &str, field: &str) -> bool {
        match self {
            Self::Listed(names) => names.iter().any(|name| name == field),
            _ => self.keeps_key(topic, field),
        }
    }

    pub fn keeps_key(&self, topic: &str, field: &str) -> bool {
        let full = format!("{topic}:{field}");
        let matches = |patterns: &[Regex]| patterns.iter().any(|p| p.is_match(&full) || p.is_match(field));
        match self {
            Self::All | Self::Listed(_) => true,
            Self::Include(patterns) => matches(patterns),
            Self::Exclude(patterns) => !matches(patterns),
        }
    }
}

/// Fields that are timestamps though their schema does not say so.
#[derive(Clone, Debug, Default)]
pub struct TimestampFields {
    pub names: Vec<String>,
    pub nanoseconds: bool,
}

/// All options of a task.
#[derive(Clone, Debug)]
pub struct Settings {
    pub flavour: Flavour,
    pub connect: ConnectSettings,
    pub insert_mode: InsertMode,
    pub deletes: Deletes,
    pub truncates: Truncates,
    pub key_mode: KeyMode,
    pub key_fields: Vec<String>,
    pub name_format: String,
    /// Tables by topic, before the format.
    pub tables: Vec<(String, String)>,
    pub names: Names,
    pub create: Switch,
    pub evolve: Switch,
    pub quoting: Quoting,
    pub fields: FieldFilter,
    pub null_becomes_default: Switch,
    /// Zone for values without one; `None` is UTC.
    pub zone: Option<TimeZone>,
    /// The same for dates.
    pub date_zone: Option<TimeZone>,
    pub timestamp_fields: TimestampFields,
    /// The form of texts for columns of bytes; `None` leaves them to the server.
    pub binary_text: Option<BinaryText>,
    /// Column for values that are a string; `None`: such values are errors.
    pub string_column: Option<String>,
    pub foreign_keys: ForeignKeys,
    pub hold_timeout: Duration,
    pub hold_bytes_max: usize,
    /// The topics that the connector reads, where it names them.
    pub topics: Vec<Arc<str>>,
}

/// Reads a configuration; the errors are `/validate`'s.
pub fn resolve(flavour: Flavour, properties: &Properties) -> Resolved {
    let mut resolved = flavour.definition().resolve(properties);
    if resolved.errors().is_empty()
        && let Err(why) = read::connection(flavour, &resolved, properties)
    {
        resolved.error("connection.url", why);
    }
    resolved
}

impl Settings {
    /// All errors at once, one text each.
    pub fn read(flavour: Flavour, properties: &Properties) -> Result<Self, Vec<String>> {
        read::settings(flavour, properties)
    }
}

/// A zone by name; `None` is UTC, for which nothing needs to be computed.
pub fn zone(name: &str) -> Result<Option<TimeZone>, String> {
    let name = name.trim();
    if matches!(name, "UTC" | "Z" | "GMT" | "Etc/UTC") {
        return Ok(None);
    }
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).map(Some).map_err(|error| error.to_string())
}
