//! Configurations of connectors as people wrote them for Debezium and Kafka Connect.

use serde_json::{Map, Value, json};

pub type Config = Map<String, Value>;

/// What a case calls its things.
pub struct Names {
    pub case: &'static str,
    pub port: u16,
    pub registry: String,
}

impl Names {
    pub fn tables(&self) -> [String; 3] {
        ["users", "posts", "comments"].map(|name| format!("{}_{name}", self.case))
    }

    pub fn source_db(&self) -> String {
        format!("{}_source_db", self.case)
    }

    pub fn sink_db(&self) -> String {
        format!("{}_sink_db", self.case)
    }

    fn url(&self, parameters: &str) -> String {
        format!("jdbc:postgresql://127.0.0.1:{}/{}{parameters}", self.port, self.sink_db())
    }

    pub fn dead_letters(&self) -> String {
        format!("{}-dlq", self.case)
    }
}

/// One source and the sinks that read it, by name.
pub struct Connectors {
    pub source: Config,
    pub sinks: Vec<(String, Config)>,
}

pub fn avro_of_the_issue(names: &Names) -> Connectors {
    let own = json!({
        "tasks.max": "1",
        "topic.prefix": "postgres_cdc",
        "database.server.name": "postgres_server",
        "schema.include.list": "public",
        "table.whitelist": "*",
        "heartbeat.interval.ms": "5000",
        "snapshot.mode": "initial",
        "tombstones.on.delete": "true",
        "timestamp.precision.mode": "connect",
    });
    let sink = confluent_sink(names, "").with(timestamps()).with(avro(names)).with(deletes_handled());
    Connectors {
        source: source(names).with(own).with(route()).with(avro(names)),
        sinks: vec![("avro-sink".to_owned(), sink)],
    }
}

pub fn json_of_the_worker(names: &Names) -> Connectors {
    let own = json!({
        "topic.prefix": "postgres_cdc", "schema.include.list": "public",
        "publication.autocreate.mode": "filtered", "time.precision.mode": "connect",
    });
    let parameters =
        "?sslmode=prefer&ApplicationName=kafka-connect&reWriteBatchedInserts=true&currentSchema=public";
    let sink = confluent_sink(names, parameters).with(timestamps()).with(deletes_handled());
    Connectors { source: source(names).with(own).with(route()), sinks: vec![("json-sink".to_owned(), sink)] }
}

/// Deletes come as envelopes only; user and password stand in the URL.
pub fn without_tombstones(names: &Names) -> Connectors {
    let own = json!({
        "topic.prefix": "postgres_cdc_2", "tombstones.on.delete": "false", "snapshot.mode": "initial",
        "table.include.list": names.tables().map(|table| format!("public.{table}")).join(","),
    });
    let mut sink =
        confluent_sink(names, "?user=postgres&password=postgres").with(timestamps()).with(deletes_handled());
    for key in ["connection.user", "connection.password"] {
        sink.remove(key);
    }
    Connectors {
        source: source(names).with(own).with(route()),
        sinks: vec![("no-tombstones-sink".to_owned(), sink)],
    }
}

/// Without `delete.handling.mode` deletes are dropped, and their tombstones do the work.
pub fn tombstones_only(names: &Names) -> Connectors {
    let own = json!({"topic.prefix": "postgres_cdc_3", "tombstones.on.delete": "true", "schema.include.list": "public"});
    let unwrap = json!({
        "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.drop.tombstones": "false",
    });
    Connectors {
        source: source(names).with(own).with(route()).with(avro(names)),
        sinks: vec![(
            "tombstones-only-sink".to_owned(),
            confluent_sink(names, "").with(unwrap).with(avro(names)),
        )],
    }
}

pub fn debezium_sink_avro(names: &Names) -> Connectors {
    let own = json!({
        "topic.prefix": "postgres_cdc_4", "schema.include.list": "public",
        "publication.autocreate.mode": "filtered", "heartbeat.interval.ms": "5000",
    });
    Connectors {
        source: source(names).with(own).with(route()).with(avro(names)),
        sinks: vec![("debezium-sink".to_owned(), debezium_sink(names).with(avro(names)))],
    }
}

pub fn debezium_sink_json(names: &Names) -> Connectors {
    let own = json!({"topic.prefix": "postgres_cdc_5", "schema.include.list": "public"});
    Connectors {
        source: source(names).with(own).with(route()),
        sinks: vec![("debezium-json-sink".to_owned(), debezium_sink(names))],
    }
}

/// Debezium 1.9: the server's name is the prefix, both sides unwrap and route, one sink for a table.
pub fn older_style(names: &Names) -> Connectors {
    let transforms = json!({
        "transforms": "unwrap,route",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.drop.tombstones": "false",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": "(.*)",
        "transforms.route.replacement": "$1",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "true",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
    });
    let own = json!({
        "database.server.name": "dbserver1",
        "table.include.list": names.tables().map(|table| format!("public.{table}")).join(","),
        "tombstones.on.delete": "true",
    });
    let sink = |table: &String| {
        let own = json!({
            "topics": format!("dbserver1.public.{table}"),
            "table.name.format": table,
            "tombstones.on.delete": "true",
            "batch.size": "1",
            "task.max": "1",
        });
        (format!("older-sink-{table}"), confluent_sink(names, "").with(own).with(transforms.clone()))
    };
    Connectors {
        source: source(names).with(own).with(transforms.clone()),
        sinks: names.tables().iter().map(sink).collect(),
    }
}

/// A configuration and what is said over it.
trait With {
    fn with(self, more: Value) -> Self;
}

impl With for Config {
    fn with(mut self, more: Value) -> Self {
        if let Value::Object(more) = more {
            self.extend(more);
        }
        self
    }
}

fn source(names: &Names) -> Config {
    Config::new().with(json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1",
        "database.port": names.port.to_string(),
        "database.user": "postgres",
        "database.password": "postgres",
        "database.dbname": names.source_db(),
        // A slot's name is the whole cluster's.
        "slot.name": format!("{}_dbz_replication_slot", names.case),
        "publication.name": "dbz_publication",
    }))
}

fn route() -> Value {
    json!({
        "transforms": "route",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": "([^.]+)\\.([^.]+)\\.([^.]+)",
        "transforms.route.replacement": "$3",
    })
}

fn avro(names: &Names) -> Value {
    json!({
        "key.converter": "io.confluent.connect.avro.AvroConverter",
        "key.converter.schema.registry.url": names.registry,
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": names.registry,
    })
}

fn confluent_sink(names: &Names, parameters: &str) -> Config {
    Config::new().with(json!({
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": names.tables().join(","),
        "connection.url": names.url(parameters),
        "connection.user": "postgres",
        "connection.password": "postgres",
        "insert.mode": "upsert",
        "pk.mode": "record_key",
        "delete.enabled": "true",
        "auto.create": "false",
        "auto.evolve": "true",
        "errors.tolerance": "all",
        "errors.retry.timeout": "60000",
        "errors.retry.delay.max.ms": "5000",
        "errors.log.enable": "true",
        "errors.log.include.messages": "true",
        "errors.deadletterqueue.topic.name": names.dead_letters(),
        "errors.deadletterqueue.topic.replication.factor": "1",
        "errors.deadletterqueue.context.headers.enable": "true",
    }))
}

fn timestamps() -> Value {
    json!({
        "transforms": "unwrap,timestampCreate,timestampUpdate",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.drop.tombstones": "false",
        "transforms.timestampCreate.type": "org.apache.kafka.connect.transforms.TimestampConverter$Value",
        "transforms.timestampCreate.field": "created_at",
        "transforms.timestampCreate.target.type": "Timestamp",
        "transforms.timestampUpdate.type": "org.apache.kafka.connect.transforms.TimestampConverter$Value",
        "transforms.timestampUpdate.field": "updated_at",
        "transforms.timestampUpdate.target.type": "Timestamp",
    })
}

fn deletes_handled() -> Value {
    json!({"transforms.unwrap.delete.handling.mode": "none"})
}

fn debezium_sink(names: &Names) -> Config {
    Config::new().with(json!({
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": names.tables().join(","),
        "connection.url": names.url(""),
        "connection.username": "postgres",
        "connection.password": "postgres",
        "insert.mode": "upsert",
        "primary.key.mode": "record_key",
        "delete.enabled": "true",
        "schema.evolution": "basic",
        "auto.create": "true",
        "auto.evolve": "true",
        "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": names.dead_letters(),
        "errors.deadletterqueue.topic.replication.factor": "1",
    }))
}
