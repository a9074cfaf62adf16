//! Options of `io.confluent.connect.jdbc.JdbcSinkConnector`, in the order in which it publishes them.

use connect::settings::{Definition, Importance, Kind, Standing, Validator, Width, row};

use super::shared;

const CONNECTION: &str = "Connection";
pub const WRITES: &str = "Writes";
pub const MAPPING: &str = "Data Mapping";
pub const DDL: &str = "DDL Support";
const DML: &str = "DML Support";
const RETRIES: &str = "Retries";

pub const INSERT_MODES: &[&str] = &["insert", "upsert", "update"];
pub const KEY_MODES: &[&str] = &["none", "kafka", "record_key", "record_value"];

pub fn definition() -> Definition {
    let mut rows = rows();
    rows.extend(shared::rows());
    Definition::new(rows)
}

pub fn rows() -> Vec<connect::settings::Row> {
    let mut rows = connection();
    rows.extend(writes());
    rows.extend(mapping());
    rows.extend(structure());
    rows
}

fn connection() -> Vec<connect::settings::Row> {
    vec![
        row("connection.url")
            .required()
            .check(Validator::Check(shared::check_url))
            .importance(Importance::High)
            .group(CONNECTION, 1)
            .width(Width::Long)
            .display("JDBC URL")
            .doc("Where the target is: jdbc:postgresql://host:port/database?parameter=value."),
        row("connection.user")
            .importance(Importance::High)
            .group(CONNECTION, 2)
            .width(Width::Medium)
            .display("JDBC User")
            .doc("Role to log in as; wins over the one in the URL."),
        row("connection.password")
            .password()
            .importance(Importance::High)
            .group(CONNECTION, 3)
            .width(Width::Medium)
            .display("JDBC Password")
            .doc("Password of that role; wins over the one in the URL."),
        row("dialect.name")
            .default("")
            .check(Validator::OneOf(&["", "PostgreSqlDatabaseDialect"]))
            .importance(Importance::Low)
            .group(CONNECTION, 4)
            .width(Width::Long)
            .display("Database Dialect")
            .recommended(&["PostgreSqlDatabaseDialect"])
            .doc("Kind of database; only PostgreSQL is known here."),
        row("connection.attempts")
            .int()
            .default("3")
            .check(Validator::AtLeast(1))
            .importance(Importance::Low)
            .group(CONNECTION, 5)
            .width(Width::Short)
            .display("JDBC connection attempts")
            .standing(Standing::Accepted)
            .doc("Accepted. A lost connection is opened again for as long as the task runs."),
        row("connection.backoff.ms")
            .long()
            .default("10000")
            .importance(Importance::Low)
            .group(CONNECTION, 6)
            .width(Width::Short)
            .display("JDBC connection backoff in milliseconds")
            .standing(Standing::Accepted)
            .doc("Accepted. The pause between attempts grows from 50 ms to 1 s."),
    ]
}

fn writes() -> Vec<connect::settings::Row> {
    vec![
        row("insert.mode")
            .default("insert")
            .check(Validator::OneOfIgnoreCase(INSERT_MODES))
            .importance(Importance::High)
            .group(WRITES, 1)
            .width(Width::Medium)
            .display("Insert Mode")
            .recommended(INSERT_MODES)
            .doc("insert: plain INSERT. upsert: rows that exist are updated, others inserted. update: UPDATE of rows that exist."),
        row("batch.size")
            .int()
            .default("3000")
            .check(Validator::AtLeast(0))
            .importance(Importance::Medium)
            .group(WRITES, 2)
            .width(Width::Short)
            .display("Batch Size")
            .standing(Standing::Accepted)
            .doc("Accepted. Rows are written in sets whose size is chosen for the server."),
        row("delete.enabled")
            .boolean()
            .default("false")
            .check(Validator::Check(shared::check_delete_confluent))
            .importance(Importance::Medium)
            .group(WRITES, 3)
            .width(Width::Short)
            .display("Enable deletes")
            .doc("Whether a record without a value deletes the row of its key. Needs pk.mode=record_key."),
        row("table.types")
            .list()
            .default("TABLE")
            .importance(Importance::Low)
            .group(WRITES, 4)
            .width(Width::Medium)
            .display("Table Types")
            .recommended(&["TABLE", "PARTITIONED TABLE", "VIEW"])
            .standing(Standing::Accepted)
            .doc("Accepted. Tables, partitioned tables and updatable views can be written to."),
    ]
}

fn mapping() -> Vec<connect::settings::Row> {
    vec![
        row("table.name.format")
            .default("${topic}")
            .check(Validator::NonEmpty)
            .importance(Importance::Medium)
            .group(MAPPING, 1)
            .width(Width::Long)
            .display("Table Name Format")
            .doc("Name of the target table; ${topic} stands for the topic, a dot parts schema from table."),
        row("pk.mode")
            .default("none")
            .check(Validator::OneOfIgnoreCase(KEY_MODES))
            .check(Validator::Check(shared::check_key_confluent))
            .importance(Importance::High)
            .group(MAPPING, 2)
            .width(Width::Medium)
            .display("Primary Key Mode")
            .recommended(KEY_MODES)
            .doc("Where the key columns come from: none, kafka (topic, partition, offset), record_key or record_value."),
        row("pk.fields")
            .list()
            .default("")
            .importance(Importance::Medium)
            .group(MAPPING, 3)
            .width(Width::Long)
            .display("Primary Key Fields")
            .doc("Fields of the key; all when empty. Names the column where the record's key is a primitive."),
        row("fields.whitelist")
            .list()
            .default("")
            .importance(Importance::Medium)
            .group(MAPPING, 4)
            .width(Width::Long)
            .display("Fields Whitelist")
            .doc("Fields of the value to write; all when empty. The key's fields are always written."),
        row("db.timezone")
            .default("UTC")
            .check(Validator::Check(shared::check_zone))
            .importance(Importance::Medium)
            .group(MAPPING, 5)
            .width(Width::Medium)
            .display("DB Time Zone")
            .doc("Zone in which Connect's Timestamp and Time values are written to columns without a zone."),
        row("date.timezone")
            .default("DB_TIMEZONE")
            .check(Validator::OneOfIgnoreCase(&["DB_TIMEZONE", "UTC"]))
            .importance(Importance::Medium)
            .group(MAPPING, 6)
            .width(Width::Medium)
            .display("Date Time Zone")
            .doc("Zone in which Connect's Date values are written: db.timezone's, or UTC."),
        row("timestamp.fields.list")
            .list()
            .default("")
            .importance(Importance::Medium)
            .group(MAPPING, 7)
            .width(Width::Long)
            .display("Timestamp Fields List")
            .doc("Fields of type int64 that are timestamps since the epoch, in the unit of timestamp.precision.mode."),
        row("timestamp.precision.mode")
            .default("microseconds")
            .check(Validator::OneOfIgnoreCase(&["microseconds", "nanoseconds"]))
            .importance(Importance::Medium)
            .group(MAPPING, 8)
            .width(Width::Medium)
            .display("Timestamp Precision Mode")
            .doc("Unit of the fields in timestamp.fields.list."),
        row("date.calendar.system")
            .default("LEGACY")
            .check(Validator::OneOfIgnoreCase(&["LEGACY", "PROLEPTIC_GREGORIAN"]))
            .importance(Importance::Low)
            .group(MAPPING, 9)
            .width(Width::Medium)
            .display("Date Calendar System")
            .standing(Standing::Accepted)
            .doc("Accepted. Days and milliseconds mean PostgreSQL's own calendar (proleptic Gregorian)."),
        row("replace.null.with.default")
            .boolean()
            .default("true")
            .importance(Importance::Low)
            .group(MAPPING, 10)
            .width(Width::Short)
            .display("Replace Null With Default")
            .doc("Whether a null in a field with a default becomes that default."),
        row("string.output.value.column.name")
            .default("record_value")
            .check(Validator::NonEmpty)
            .importance(Importance::Low)
            .group(MAPPING, 11)
            .width(Width::Medium)
            .display("String Output Value Column Name")
            .doc("Column for records whose value is a string."),
    ]
}

fn structure() -> Vec<connect::settings::Row> {
    vec![
        row("auto.create")
            .boolean()
            .default("false")
            .importance(Importance::Medium)
            .group(DDL, 1)
            .width(Width::Short)
            .display("Auto-Create")
            .doc("Whether a missing table is created from the record's schema."),
        row("auto.evolve")
            .boolean()
            .default("false")
            .importance(Importance::Medium)
            .group(DDL, 2)
            .width(Width::Short)
            .display("Auto-Evolve")
            .doc("Whether missing columns are added."),
        row("quote.sql.identifiers")
            .default("ALWAYS")
            .check(Validator::OneOfIgnoreCase(&["always", "never"]))
            .importance(Importance::Medium)
            .group(DDL, 3)
            .width(Width::Medium)
            .display("Quote Identifiers")
            .recommended(&["ALWAYS", "NEVER"])
            .doc("ALWAYS: names as they are. NEVER: as PostgreSQL reads unquoted names, in lower case."),
        row("mssql.use.merge.holdlock")
            .boolean()
            .default("true")
            .importance(Importance::Low)
            .group(DML, 1)
            .width(Width::Medium)
            .display("SQL Server - Use HOLDLOCK in MERGE")
            .standing(Standing::Accepted)
            .doc("Accepted. Has no meaning for PostgreSQL."),
        row("max.retries")
            .int()
            .default("10")
            .check(Validator::AtLeast(0))
            .importance(Importance::Medium)
            .group(RETRIES, 1)
            .width(Width::Short)
            .display("Maximum Retries")
            .standing(Standing::Accepted)
            .doc("Accepted. What can heal by itself is tried for as long as the task runs; what cannot is not retried."),
        row("retry.backoff.ms")
            .int()
            .default("3000")
            .check(Validator::AtLeast(0))
            .importance(Importance::Medium)
            .group(RETRIES, 2)
            .width(Width::Short)
            .display("Retry Backoff (millis)")
            .standing(Standing::Accepted)
            .doc("Accepted. The pause between attempts grows from 50 ms to 1 s."),
        row("trim.sensitive.log").boolean().default("false").importance(Importance::Low).standing(Standing::Internal),
        row("jdbc.credentials.provider.class")
            .kind(Kind::Class)
            .default("io.confluent.connect.jdbc.util.DefaultJdbcCredentialsProvider")
            .importance(Importance::Low)
            .standing(Standing::Refused),
    ]
}
