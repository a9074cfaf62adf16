//! Options of `io.aiven.connect.jdbc.JdbcSinkConnector`: a fork of an early Confluent connector, whose options these are
//! but for a few of its own (spec/connect.md §8.2).

use connect::settings::{Definition, Importance, Row, Standing, Validator, Width, row};

use super::{confluent, shared};

/// Options of Confluent's that the fork does not have: they keep their defaults, and are not shown.
const NOT_SHOWN: &[&str] = &[
    "connection.attempts",
    "connection.backoff.ms",
    "table.types",
    "date.timezone",
    "timestamp.fields.list",
    "timestamp.precision.mode",
    "date.calendar.system",
    "replace.null.with.default",
    "string.output.value.column.name",
    "mssql.use.merge.holdlock",
    "trim.sensitive.log",
    "jdbc.credentials.provider.class",
    "quote.sql.identifiers",
];
const INSERT_MODES: &[&str] = &["insert", "multi", "upsert", "update"];

pub fn definition() -> Definition {
    let mut rows: Vec<Row> = confluent::rows()
        .into_iter()
        .map(|row| match row.name {
            "insert.mode" => insert_mode(),
            name if NOT_SHOWN.contains(&name) => row.standing(Standing::Internal),
            _ => row,
        })
        .collect();
    rows.push(quoting());
    rows.extend(names());
    rows.extend(shared::rows());
    Definition::new(rows)
}

fn insert_mode() -> Row {
    row("insert.mode")
        .default("insert")
        .check(Validator::OneOfIgnoreCase(INSERT_MODES))
        .importance(Importance::High)
        .group(confluent::WRITES, 1)
        .width(Width::Medium)
        .display("Insert Mode")
        .recommended(INSERT_MODES)
        .doc(
            "insert and multi: plain INSERT of many rows. upsert: rows that exist are updated, others inserted. update: UPDATE of rows \
             that exist.",
        )
}

fn quoting() -> Row {
    row("sql.quote.identifiers")
        .boolean()
        .default("true")
        .importance(Importance::Medium)
        .group(confluent::DDL, 3)
        .width(Width::Short)
        .display("Quote SQL Identifiers")
        .doc("true: names as they are. false: as PostgreSQL reads unquoted names, in lower case.")
}

fn names() -> Vec<Row> {
    vec![
        row("table.name.normalize")
            .boolean()
            .default("false")
            .importance(Importance::Medium)
            .group(confluent::MAPPING, 20)
            .width(Width::Short)
            .display("Table Name Normalize")
            .doc("Whether each character of a table's name but letters, digits and _ becomes _."),
        row("topics.to.tables.mapping")
            .list()
            .default("")
            .check(Validator::Check(check_mapping))
            .importance(Importance::Medium)
            .group(confluent::MAPPING, 21)
            .width(Width::Long)
            .display("Topics To Tables Mapping")
            .doc("Tables by topic, topic:table, in a list; wins over table.name.format."),
    ]
}

fn check_mapping(text: Option<&str>, _: &connect::settings::Properties) -> Result<(), String> {
    for pair in text.unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        if !matches!(pair.split_once(':'), Some((topic, table)) if !topic.is_empty() && !table.is_empty()) {
            return Err(format!("\"{pair}\" in topics.to.tables.mapping is not of the form topic:table"));
        }
    }
    Ok(())
}
