//! Options of `io.debezium.connector.jdbc.JdbcSinkConnector`, in the order in which it publishes them.

use connect::settings::{Definition, Importance, Row, Standing, Validator, Width, row};

use super::shared;

const CONNECTION: &str = "Connection";
const CONNECTOR: &str = "Connector";
const ADVANCED: &str = "Connector - Advanced";
const FILTERS: &str = "Filters";

const INSERT_MODES: &[&str] = &["insert", "upsert", "update"];
const KEY_MODES: &[&str] = &["none", "kafka", "record_key", "record_value", "record_header"];

pub fn definition() -> Definition {
    let mut rows = connection();
    rows.extend(writes());
    rows.extend(naming());
    rows.extend(advanced());
    rows.extend(shared::rows());
    Definition::new(rows)
}

fn connection() -> Vec<Row> {
    vec![
        row("connection.url")
            .required()
            .check(Validator::Check(shared::check_url))
            .importance(Importance::High)
            .group(CONNECTION, 1)
            .width(Width::Long)
            .display("Hostname")
            .doc("Where the target is: jdbc:postgresql://host:port/database?parameter=value."),
        row("connection.username")
            .required()
            .importance(Importance::High)
            .group(CONNECTION, 2)
            .width(Width::Short)
            .display("User")
            .doc("Role to log in as."),
        row("connection.password")
            .password()
            .importance(Importance::High)
            .group(CONNECTION, 3)
            .width(Width::Short)
            .display("Password")
            .doc("Password of that role."),
        pool("connection.pool.min_size", "5", 4, "Connection pool minimum size").int(),
        pool("connection.pool.max_size", "32", 5, "Connection pool maximum size").int(),
        pool("connection.pool.acquire_increment", "32", 6, "Connection pool acquire increment").int(),
        pool("connection.pool.timeout", "1800", 7, "Connection pool timeout").long(),
    ]
}

fn pool(name: &'static str, default: &'static str, order: i32, display: &'static str) -> Row {
    row(name)
        .default(default)
        .importance(Importance::Low)
        .group(CONNECTION, order)
        .width(Width::Short)
        .display(display)
        .standing(Standing::Accepted)
        .doc("Accepted. A task has one connection.")
}

fn writes() -> Vec<Row> {
    vec![
        row("insert.mode")
            .default("insert")
            .check(Validator::OneOfIgnoreCase(INSERT_MODES))
            .importance(Importance::Low)
            .group(CONNECTOR, 1)
            .width(Width::Short)
            .display("The insertion mode to use")
            .recommended(INSERT_MODES)
            .doc("insert: plain INSERT. upsert: rows that exist are updated, others inserted. update: UPDATE of rows that exist."),
        row("delete.enabled")
            .boolean()
            .default("false")
            .check(Validator::Check(shared::check_delete_debezium))
            .importance(Importance::Low)
            .group(CONNECTOR, 2)
            .width(Width::Short)
            .display("Controls whether records can be deleted by the connector")
            .doc("Whether delete events and tombstones delete the row of their key. Needs primary.key.mode=record_key."),
        row("truncate.enabled")
            .boolean()
            .default("false")
            .importance(Importance::Low)
            .group(CONNECTOR, 2)
            .width(Width::Short)
            .display("Controls whether tables can be truncated by the connector")
            .doc("Whether truncate events empty the table."),
        row("collection.name.format")
            .aliases(&["table.name.format"])
            .default("${topic}")
            .importance(Importance::Medium)
            .group(CONNECTOR, 3)
            .width(Width::Medium)
            .display("A format string for the collection name")
            .doc("Name of the target table. ${topic} stands for the topic with dots as underscores, ${source.x} for a \
                  field of the event's source; a dot parts schema from table."),
        row("primary.key.mode")
            .default("none")
            .check(Validator::OneOfIgnoreCase(KEY_MODES))
            .check(Validator::Check(shared::check_key_debezium))
            .importance(Importance::High)
            .group(CONNECTOR, 4)
            .width(Width::Short)
            .display("Primary key mode")
            .recommended(KEY_MODES)
            .doc("Where the key columns come from: none, kafka (topic, partition, offset), record_key, record_value or \
                  record_header."),
        row("primary.key.fields")
            .importance(Importance::Low)
            .group(CONNECTOR, 5)
            .width(Width::Medium)
            .display("Comma-separated list of primary key field names")
            .doc("Fields of the key; all when empty. Names the column where the record's key is a primitive."),
        row("schema.evolution")
            .default("none")
            .check(Validator::OneOfIgnoreCase(&["none", "basic"]))
            .importance(Importance::Low)
            .group(CONNECTOR, 7)
            .width(Width::Short)
            .display("Controls how schema evolution is handled by the sink connector")
            .recommended(&["none", "basic"])
            .doc("basic: a missing table is created, missing columns are added. none: neither."),
        row("quote.identifiers")
            .boolean()
            .default("false")
            .importance(Importance::Low)
            .group(CONNECTOR, 8)
            .width(Width::Short)
            .display("Controls whether table, column, or other identifiers are quoted")
            .doc("true: names as they are. false: as PostgreSQL reads unquoted names, in lower case, where they can be \
                  written without quotes."),
    ]
}

fn naming() -> Vec<Row> {
    vec![
        row("collection.naming.strategy")
            .class()
            .aliases(&["table.naming.strategy"])
            .default("io.debezium.sink.naming.DefaultCollectionNamingStrategy")
            .importance(Importance::Low)
            .group(ADVANCED, 2)
            .width(Width::Long)
            .display("CollectionNamingStrategy class")
            .standing(Standing::Refused)
            .doc("Only the default: see collection.name.format."),
        row("column.naming.strategy")
            .class()
            .default("io.debezium.connector.jdbc.naming.DefaultColumnNamingStrategy")
            .importance(Importance::Low)
            .group(ADVANCED, 2)
            .width(Width::Long)
            .display("Name of the strategy class that implements the ColumnNamingStrategy interface")
            .standing(Standing::Refused)
            .doc("Only the default: a column has the name of its field."),
        row("collection.table.format")
            .default("${table}")
            .importance(Importance::Medium)
            .group(CONNECTOR, 3)
            .width(Width::Long)
            .display("collection.table.format")
            .standing(Standing::Refused)
            .doc("Only the default: see collection.name.format."),
        row("use.time.zone")
            .aliases(&["database.time_zone"])
            .default("UTC")
            .check(Validator::Check(shared::check_zone))
            .importance(Importance::Medium)
            .group(CONNECTOR, 6)
            .width(Width::Short)
            .display("The timezone used when inserting temporal values.")
            .standing(Standing::Accepted)
            .doc("Accepted. Values with a zone are instants, values without one are written as they are."),
    ]
}

fn advanced() -> Vec<Row> {
    vec![
        row("dialect.postgres.postgis.schema")
            .default("public")
            .importance(Importance::Low)
            .group(ADVANCED, 3)
            .width(Width::Long)
            .display("Name of the schema where postgis extension is installed")
            .standing(Standing::Accepted)
            .doc("Accepted. Geometries are written through the input function of the column's own type."),
        row("dialect.postgres.unnest.insert.enabled")
            .boolean()
            .default("false")
            .importance(Importance::Medium)
            .group(ADVANCED, 3)
            .width(Width::Short)
            .display("Enable UNNEST-based batch inserts for PostgreSQL")
            .standing(Standing::Accepted)
            .doc("Accepted. Rows are always written as sets."),
        row("dialect.sqlserver.identity.insert")
            .boolean()
            .default("false")
            .importance(Importance::Low)
            .group(ADVANCED, 4)
            .width(Width::Short)
            .display("Explicit values for identity columns of SQL Server")
            .standing(Standing::Accepted)
            .doc("Accepted. Identity columns of PostgreSQL take the record's value."),
        row("batch.size")
            .int()
            .default("500")
            .importance(Importance::Medium)
            .group(ADVANCED, 4)
            .width(Width::Short)
            .display("Specifies how many records to attempt to batch together into the destination table")
            .standing(Standing::Accepted)
            .doc("Accepted. Rows are written in sets whose size is chosen for the server."),
        row("use.reduction.buffer")
            .boolean()
            .default("false")
            .importance(Importance::Medium)
            .group(CONNECTOR, 2)
            .width(Width::Short)
            .display("Specifies whether to use the reduction buffer.")
            .standing(Standing::Accepted)
            .doc("Accepted. Within a batch only the last change of a key is written."),
        row("keyed.message.batch.mode")
            .default("deduplication")
            .importance(Importance::Low)
            .group(ADVANCED, 5)
            .standing(Standing::Accepted)
            .doc("Accepted. Within a batch only the last change of a key is written."),
        filter("field.include.list", 1, "Include Fields", "Fields to write, as topic:field or field; all when empty."),
        filter("field.exclude.list", 2, "Exclude Fields", "Fields not to write, as topic:field or field."),
        row("flush.max.retries")
            .int()
            .default("5")
            .importance(Importance::Low)
            .group(ADVANCED, 5)
            .width(Width::Short)
            .display("Max retry count")
            .standing(Standing::Accepted)
            .doc("Accepted. What can heal by itself is tried for as long as the task runs; what cannot is not retried."),
        row("flush.retry.delay.ms")
            .long()
            .default("1000")
            .importance(Importance::Low)
            .group(ADVANCED, 6)
            .width(Width::Short)
            .display("Delay to retry flush")
            .standing(Standing::Accepted)
            .doc("Accepted. The pause between attempts grows from 50 ms to 1 s."),
        row("connection.restart.on.errors")
            .boolean()
            .default("false")
            .importance(Importance::Low)
            .group(ADVANCED, 7)
            .width(Width::Short)
            .display("Restart connection on errors")
            .standing(Standing::Accepted)
            .doc("Accepted. A lost connection is always opened again."),
        row("cloud.events.schema.name.pattern")
            .default(".*CloudEvents\\.Envelope$")
            .importance(Importance::Low)
            .group(ADVANCED, 8)
            .width(Width::Long)
            .display("CloudEvents messages schema name pattern")
            .standing(Standing::Accepted)
            .doc("Accepted. CloudEvents are not unwrapped."),
        row("connection.provider").importance(Importance::Low).standing(Standing::Internal),
    ]
}

fn filter(name: &'static str, order: i32, display: &'static str, doc: &'static str) -> Row {
    row(name)
        .list()
        .check(Validator::Check(shared::check_filters))
        .importance(Importance::Medium)
        .group(FILTERS, order)
        .width(Width::Long)
        .display(display)
        .doc(doc)
}
