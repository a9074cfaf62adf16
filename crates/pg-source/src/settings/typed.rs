//! Options as typed values.

use std::time::Duration;

use connect::TaskError;
use connect::settings::{Properties, Resolved};
use pg::{ConnectSettings, SslMode};

use super::compat::Compat;
use super::modes::{self, Guardrail, SnapshotMode};
use super::signals::SignalSettings;
use crate::column_mappers::ColumnMappers;
use crate::filter::Filters;
use crate::identities::{self, Identity};
use crate::key_columns::KeyColumns;
use crate::naming::TopicNaming;
use crate::notifications::Channels;

/// All options that the source acts on.
#[derive(Debug)]
pub struct Settings {
    pub compat: Compat,
    pub topic_prefix: String,
    pub topics: TopicNaming,
    pub heartbeat_topic: String,
    /// Where beginnings and ends of transactions are written.
    pub transaction_topic: Option<String>,
    pub connect: ConnectSettings,
    pub initial_statements: Vec<String>,
    pub slot_name: String,
    pub slot_failover: pg::replication::Failover,
    pub drop_slot_on_stop: bool,
    pub slot_retries_max: u32,
    pub slot_retry_delay: Duration,
    pub stream_params: Vec<(String, String)>,
    pub publication_name: String,
    pub autocreate_mode: AutocreateMode,
    pub publish_via_root: bool,
    pub status_interval: Duration,
    pub confirm_positions: bool,
    pub mismatch: Mismatch,
    pub snapshot_mode: SnapshotMode,
    pub snapshot_threads: usize,
    pub snapshot_locks: Option<Duration>,
    /// Statements by `schema.table` that the snapshot reads instead of the table.
    pub snapshot_selects: Vec<(String, String)>,
    pub snapshot_delay: Duration,
    pub streaming_delay: Duration,
    pub skipped: Operations,
    pub skipped_given: bool,
    /// Updates that change no captured column are not sent.
    pub skip_unchanged: bool,
    pub tombstones: bool,
    pub extended_headers: bool,
    pub heartbeat_interval: Option<Duration>,
    pub heartbeat_query: Option<String>,
    pub batch_records_max: usize,
    pub queue_bytes_max: usize,
    pub processing_failure: ProcessingFailure,
    pub schema_names: NameAdjustment,
    pub field_names: NameAdjustment,
    pub values: ValueModes,
    pub filters: Filters,
    pub mappers: ColumnMappers,
    pub key_columns: KeyColumns,
    pub identities: Vec<Identity>,
    pub notifications: Channels,
    pub signals: SignalSettings,
    /// Most tables that may be captured, and whether more end the start.
    pub guardrail: Option<(usize, Guardrail)>,
}

/// How values are written.
#[derive(Clone, Debug)]
pub struct ValueModes {
    pub compat: Compat,
    pub decimal: DecimalMode,
    pub time: TimeMode,
    pub interval: IntervalMode,
    pub hstore: HstoreMode,
    pub binary: BinaryMode,
    pub money_digits: i32,
    pub placeholder: Vec<u8>,
    pub unknown_types: bool,
    pub on_failure: ConvertingFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutocreateMode {
    AllTables,
    Disabled,
    Filtered,
    NoTables,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalMode {
    Precise,
    Double,
    String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeMode {
    Adaptive,
    AdaptiveTimeMicroseconds,
    Connect,
    IsoString,
    Microseconds,
    Nanoseconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalMode {
    Numeric,
    String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HstoreMode {
    Json,
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryMode {
    Bytes,
    Base64,
    Base64UrlSafe,
    Hex,
}

/// `event.converting.failure.handling.mode`: null and a warning, null, or the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConvertingFailure {
    Fail,
    Warn,
    Skip,
}

/// `event.processing.failure.handling.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessingFailure {
    Fail,
    Warn,
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameAdjustment {
    None,
    Avro,
    AvroUnicode,
}

/// What is done where stored offset and slot differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    Refused,
    /// The stream begins where the slot is.
    TrustSlot,
    TrustGreater,
}

impl Mismatch {
    pub fn is_checked(self) -> bool {
        self == Self::Refused
    }
}

/// Operations that are not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    pub create: bool,
    pub update: bool,
    pub delete: bool,
    pub truncate: bool,
}

/// Queue for bytes from the socket where nothing else is said.
const QUEUE_BYTES_DEFAULT: usize = 4 * 1024 * 1024;
const QUEUE_BYTES_MIN: usize = 64 * 1024;

impl Settings {
    pub fn new(properties: &Properties, resolved: &Resolved) -> Result<Self, TaskError> {
        let text = |name: &str| resolved.text(name).filter(|text| !text.is_empty());
        let lower = |name: &str| text(name).unwrap_or_default().to_ascii_lowercase();
        let millis = |name: &str| Duration::from_millis(resolved.long(name).max(0).unsigned_abs());
        let compat = text("compat.version").and_then(Compat::parse).unwrap_or(Compat::V36);
        let topics = modes::topic_naming(resolved)?;
        let skipped = resolved.list("skipped.operations");
        let skips = |letter: &str| skipped.iter().any(|one| one == letter);
        let heartbeat_interval = millis("heartbeat.interval.ms");
        let signals = SignalSettings::new(properties, resolved);
        let plugin = lower("plugin.name");
        if plugin != "pgoutput" {
            tracing::warn!(plugin = %plugin, "pgoutput is used in place of the decoder that is configured or the default");
        }
        Ok(Self {
            compat,
            heartbeat_topic: heartbeat_topic(resolved, &topics),
            transaction_topic: modes::transaction_topic(resolved, &topics),
            connect: connect_settings(properties, resolved)?,
            initial_statements: statements(text("database.initial.statements").unwrap_or_default()),
            slot_name: text("slot.name").unwrap_or("debezium").to_owned(),
            slot_failover: if resolved.boolean("slot.failover") {
                pg::replication::Failover::Yes
            } else {
                pg::replication::Failover::No
            },
            drop_slot_on_stop: resolved.boolean("slot.drop.on.stop"),
            slot_retries_max: u32::try_from(resolved.long("slot.max.retries")).unwrap_or(0),
            slot_retry_delay: millis("slot.retry.delay.ms"),
            stream_params: pairs(text("slot.stream.params").unwrap_or_default()),
            publication_name: text("publication.name").unwrap_or("dbz_publication").to_owned(),
            autocreate_mode: autocreate_mode(&lower("publication.autocreate.mode")),
            publish_via_root: resolved.boolean("publish.via.partition.root"),
            status_interval: millis("status.update.interval.ms").max(Duration::from_millis(10)),
            confirm_positions: lower("lsn.flush.mode") != "manual"
                && (text("lsn.flush.mode").is_some() || resolved.boolean("flush.lsn.source")),
            mismatch: match &*lower("offset.mismatch.strategy") {
                "trust_slot" => Mismatch::TrustSlot,
                "trust_greater_lsn" => Mismatch::TrustGreater,
                _ => Mismatch::Refused,
            },
            snapshot_mode: modes::snapshot_mode(resolved),
            snapshot_threads: usize::try_from(resolved.long("snapshot.max.threads")).unwrap_or(1).max(1),
            snapshot_locks: (lower("snapshot.locking.mode") == "shared")
                .then(|| millis("snapshot.lock.timeout.ms")),
            snapshot_selects: modes::snapshot_selects(properties),
            snapshot_delay: millis("snapshot.delay.ms"),
            streaming_delay: millis("streaming.delay.ms"),
            skipped: Operations {
                create: skips("c"),
                update: skips("u"),
                delete: skips("d"),
                truncate: match compat {
                    // Its own option decided there.
                    Compat::V19 => lower("truncate.handling.mode") != "include",
                    _ => skips("t"),
                },
            },
            // Older versions made their publications for all operations.
            skipped_given: compat == Compat::V36 && properties.contains_key("skipped.operations"),
            skip_unchanged: resolved.boolean("skip.messages.without.change"),
            tombstones: resolved.boolean("tombstones.on.delete"),
            extended_headers: modes::extended_headers(properties, resolved, compat),
            heartbeat_interval: (!heartbeat_interval.is_zero()).then_some(heartbeat_interval),
            heartbeat_query: text("heartbeat.action.query").map(str::to_owned),
            batch_records_max: usize::try_from(resolved.long("max.batch.size")).unwrap_or(2048).max(1),
            queue_bytes_max: queue_bytes(resolved.long("max.queue.size.in.bytes")),
            processing_failure: processing_failure(&lower("event.processing.failure.handling.mode")),
            schema_names: modes::schema_names(properties, compat),
            field_names: modes::field_names(properties, resolved),
            values: value_modes(resolved, compat),
            filters: Filters::new(properties, resolved)?.with_always(signals.tables()),
            mappers: ColumnMappers::new(properties)?,
            key_columns: KeyColumns::new(text("message.key.columns").unwrap_or_default())?,
            identities: identities::parse(text("replica.identity.autoset.values").unwrap_or_default())?,
            notifications: modes::notifications(resolved),
            signals,
            guardrail: modes::guardrail(resolved),
            topic_prefix: topics.prefix.clone(),
            topics,
        })
    }
}

impl Settings {
    /// The user's own statement for a table of the snapshot.
    pub fn snapshot_select(&self, schema: &str, table: &str) -> Option<&str> {
        let name = format!("{schema}.{table}");
        self.snapshot_selects.iter().find(|(of, _)| *of == name).map(|(_, statement)| statement.as_str())
    }
}

fn heartbeat_topic(resolved: &Resolved, topics: &TopicNaming) -> String {
    let text = |name: &str| resolved.text(name).filter(|text| !text.is_empty());
    if let Some(name) = text("topic.heartbeat.name") {
        return name.to_owned();
    }
    let prefix =
        text("topic.heartbeat.prefix").or(text("heartbeat.topics.prefix")).unwrap_or("__debezium-heartbeat");
    format!("{prefix}{}{}", topics.delimiter, topics.prefix)
}

fn autocreate_mode(text: &str) -> AutocreateMode {
    match text {
        "disabled" => AutocreateMode::Disabled,
        "filtered" => AutocreateMode::Filtered,
        "no_tables" => AutocreateMode::NoTables,
        _ => AutocreateMode::AllTables,
    }
}

fn processing_failure(text: &str) -> ProcessingFailure {
    match text {
        "warn" => ProcessingFailure::Warn,
        "skip" | "ignore" => ProcessingFailure::Skip,
        _ => ProcessingFailure::Fail,
    }
}

/// 0 means no limit to Debezium; here everything has one.
fn queue_bytes(given: i64) -> usize {
    match usize::try_from(given) {
        Ok(0) | Err(_) => QUEUE_BYTES_DEFAULT,
        Ok(bytes) => bytes.clamp(QUEUE_BYTES_MIN, QUEUE_BYTES_DEFAULT),
    }
}

fn value_modes(resolved: &Resolved, compat: Compat) -> ValueModes {
    let text = |name: &str| resolved.text(name).filter(|text| !text.is_empty());
    let lower = |name: &str| text(name).unwrap_or_default().to_ascii_lowercase();
    let placeholder = resolved.text("toasted.value.placeholder").map_or_else(
        || resolved.text("unavailable.value.placeholder").unwrap_or_default(),
        |older| {
            let newer = resolved.text("unavailable.value.placeholder").unwrap_or_default();
            if newer == "__debezium_unavailable_value" { older } else { newer }
        },
    );
    ValueModes {
        compat,
        decimal: match &*lower("decimal.handling.mode") {
            "double" => DecimalMode::Double,
            "string" => DecimalMode::String,
            _ => DecimalMode::Precise,
        },
        time: match &*lower("time.precision.mode") {
            "adaptive_time_microseconds" => TimeMode::AdaptiveTimeMicroseconds,
            "connect" => TimeMode::Connect,
            "isostring" => TimeMode::IsoString,
            "microseconds" => TimeMode::Microseconds,
            "nanoseconds" => TimeMode::Nanoseconds,
            _ => TimeMode::Adaptive,
        },
        interval: match &*lower("interval.handling.mode") {
            "string" => IntervalMode::String,
            _ => IntervalMode::Numeric,
        },
        hstore: match &*lower("hstore.handling.mode") {
            "map" => HstoreMode::Map,
            _ => HstoreMode::Json,
        },
        binary: match &*lower("binary.handling.mode") {
            "base64" => BinaryMode::Base64,
            "base64-url-safe" => BinaryMode::Base64UrlSafe,
            "hex" => BinaryMode::Hex,
            _ => BinaryMode::Bytes,
        },
        money_digits: i32::try_from(resolved.long("money.fraction.digits")).unwrap_or(2),
        placeholder: placeholder
            .strip_prefix("hex:")
            .and_then(|digits| pg::text::bytea(format!("\\x{digits}").as_bytes()).ok())
            .unwrap_or_else(|| placeholder.as_bytes().to_vec()),
        unknown_types: resolved.boolean("include.unknown.datatypes"),
        on_failure: match &*lower("event.converting.failure.handling.mode") {
            // Versions before had it, and sent null all the same.
            "fail" if compat == Compat::V36 => ConvertingFailure::Fail,
            "skip" => ConvertingFailure::Skip,
            _ => ConvertingFailure::Warn,
        },
    }
}

fn connect_settings(properties: &Properties, resolved: &Resolved) -> Result<ConnectSettings, TaskError> {
    let text = |name: &str| resolved.text(name).filter(|text| !text.is_empty());
    let given = |name: &str| properties.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let port = u16::try_from(resolved.long("database.port"))
        .map_err(|_| TaskError::halt("database.port is not a port number"))?;
    let seconds =
        |name: &str| given(name)?.parse::<u64>().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let connect_timeout = given("database.connection.timeout.ms")
        .and_then(|text| text.parse().ok())
        .map(Duration::from_millis)
        .or_else(|| seconds("database.connectTimeout"))
        .or_else(|| seconds("database.loginTimeout"))
        .unwrap_or(ConnectSettings::default().connect_timeout);
    let mode = text("database.sslmode").unwrap_or("prefer").replace('_', "-");
    let mut options = session_options();
    options.extend(server_options(given("database.options").unwrap_or_default()));
    Ok(ConnectSettings {
        role: pg::ServerRole::Any,
        hosts: hosts(text("database.hostname").unwrap_or_default(), port),
        user: text("database.user").unwrap_or_default().to_owned(),
        password: resolved.text("database.password").map(str::to_owned),
        dbname: text("database.dbname").unwrap_or_default().to_owned(),
        application_name: "Debezium General".to_owned(),
        ssl_mode: if text("database.sslfactory").is_some_and(|class| class.ends_with("NonValidatingFactory"))
        {
            SslMode::Require
        } else {
            SslMode::parse(&mode).unwrap_or_default()
        },
        ssl_root_cert: text("database.sslrootcert").map(Into::into),
        ssl_cert: text("database.sslcert").map(Into::into),
        ssl_key: text("database.sslkey").map(Into::into),
        ssl_password: text("database.sslpassword").map(str::to_owned),
        connect_timeout,
        keepalives: resolved.boolean("database.tcpKeepAlive").then_some(Duration::from_secs(30)),
        unacknowledged_max: Some(UNACKNOWLEDGED_MAX),
        options,
        passfile: None,
    })
}

/// A cut connection is noticed when the next status message is not acknowledged for so long. The longer a cut lasts the
/// later the system tries again; a new connection is there at once.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// What the text of values depends on, so that snapshot and stream read the same.
fn session_options() -> Vec<(String, String)> {
    [
        ("DateStyle", "ISO"),
        ("IntervalStyle", "postgres"),
        ("TimeZone", "UTC"),
        ("extra_float_digits", "3"),
        ("bytea_output", "hex"),
        ("lc_monetary", "C"),
        ("xmloption", "content"),
        // Long scans and waits belong to this work; a limit meant for applications must not end them.
        ("statement_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// `-c name=value` as in libpq's `options`.
fn server_options(text: &str) -> Vec<(String, String)> {
    let words = text.split_whitespace().filter(|word| *word != "-c");
    words
        .filter_map(|word| word.trim_start_matches("-c").trim_start_matches("--").split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// `h1,h2:5433,[::1]:5432`: a port of its own wins over the common one.
fn hosts(list: &str, port: u16) -> Vec<(String, u16)> {
    list.split(',')
        .map(|host| {
            let host = host.trim();
            if let Some((name, own)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                let own = own.strip_prefix(':').and_then(|own| own.parse().ok());
                return (name.to_owned(), own.unwrap_or(port));
            }
            match host.split_once(':') {
                Some((name, own)) if !own.contains(':') => (name.to_owned(), own.parse().unwrap_or(port)),
                _ => (host.to_owned(), port),
            }
        })
        .collect()
}

/// Split at `;`; `;;` is a `;`.
fn statements(text: &str) -> Vec<String> {
    let mut list = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != ';' {
            list.last_mut().expect("the list starts with one").push(c);
        } else if chars.peek() == Some(&';') {
            chars.next();
            list.last_mut().expect("the list starts with one").push(';');
        } else {
            list.push(String::new());
        }
    }
    list.retain(|statement| !statement.trim().is_empty());
    list
}

fn pairs(text: &str) -> Vec<(String, String)> {
    text.split(';')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_lists() {
        assert_eq!(hosts("a, b:1", 2), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(hosts("::1", 2), [("::1".to_owned(), 2)]);
        assert_eq!(hosts("[::1]:3", 2), [("::1".to_owned(), 3)]);
    }

    #[test]
    fn statement_lists() {
        assert_eq!(statements("SET a = 1; SET b = 'x;;y';"), ["SET a = 1", " SET b = 'x;y'"]);
    }
}
