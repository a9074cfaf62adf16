//! Configurations: what a connector has to have, and what a seed decides.

use e2e::postgres::{PASSWORD, USER};
use serde_json::{Map, Value, json};

use crate::random::Random;

/// Options, and the values from which a seed takes one; the first is the default.
const CHOICES: &[(&str, &[&str])] = &[
    ("decimal.handling.mode", &["precise", "string"]),
    (
        "time.precision.mode",
        &["adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds"],
    ),
    ("binary.handling.mode", &["bytes", "base64", "hex"]),
    ("interval.handling.mode", &["numeric", "string"]),
    ("tombstones.on.delete", &["true", "false"]),
    ("provide.transaction.metadata", &["false", "true"]),
    ("skipped.operations", &["t", "none", "u", "d,t"]),
    ("include.unknown.datatypes", &["false", "true"]),
    ("skip.messages.without.change", &["false", "true"]),
    ("unavailable.value.placeholder", &["__debezium_unavailable_value", "gone"]),
    ("schema.name.adjustment.mode", &["none", "avro"]),
];

/// Every option has its default in most rounds.
pub fn chosen(r: &mut Random, text_column: &str, scalar_columns: &str) -> Map<String, Value> {
    let mut options = Map::new();
    for (name, values) in CHOICES {
        if r.percent(35) {
            let value = r.pick(values);
            if !value.is_empty() {
                options.insert((*name).to_owned(), json!(value));
            }
        }
    }
    let mappers =
        ["column.truncate.to.7.chars", "column.mask.with.5.chars", "column.mask.hash.v2.SHA-256.with.salt.S"];
    if r.percent(30) {
        options.insert((*r.pick(&mappers)).to_owned(), json!(text_column));
    }
    if r.percent(20) {
        options.insert("column.propagate.source.type".to_owned(), json!(scalar_columns));
    }
    options
}

/// A connector of this name, which is its slot's as well.
pub fn connector(name: &str, port: u16, database: &str, chosen: &Map<String, Value>) -> Value {
    let mut config = chosen.clone();
    let own = json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1",
        "database.port": port.to_string(),
        "database.user": USER,
        "database.password": PASSWORD,
        "database.dbname": database,
        "topic.prefix": "d",
        "slot.name": name,
        "publication.name": name,
        "poll.interval.ms": "10",
        "tasks.max": "1",
    });
    config.extend(own.as_object().cloned().unwrap_or_default());
    json!({ "name": name, "config": config })
}

/// Values that a sink can bring back as they were.
pub fn for_sink() -> Map<String, Value> {
    let options = json!({
        "interval.handling.mode": "string",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        // A NULL would be the column's default.
        "value.converter.replace.null.with.default": "false",
    });
    options.as_object().cloned().unwrap_or_default()
}

/// The sink of a round: its topics into tables of their names, in the database of its name and an `s`.
pub fn sink(name: &str, port: u16) -> Value {
    json!({ "name": format!("{name}s"), "config": {
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
        "topics.regex": format!("{name}\\.public\\.t.*"),
        "connection.url": format!("jdbc:postgresql://127.0.0.1:{port}/{name}s"),
        "connection.user": USER,
        "connection.password": PASSWORD,
        "insert.mode": "upsert",
        "pk.mode": "record_key",
        "replace.null.with.default": "false",
        "delete.enabled": "true",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.replace.null.with.default": "false",
        "transforms": "unwrap,table",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.drop.tombstones": "false",
        "transforms.unwrap.replace.null.with.default": "false",
        "transforms.table.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.table.regex": format!("{name}\\.public\\.(.*)"),
        "transforms.table.replacement": "$1",
    }})
}
