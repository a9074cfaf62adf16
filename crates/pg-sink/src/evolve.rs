//! Tables and columns that a record asks for and the target does not have.

use connect::{Kind, logical::debezium};
use connect::{Schema, Value, logical};
use pg::quote;
use pg::tokio_postgres::Client;

use crate::columns::{Wanted, Wish};
use crate::routing::TableName;
use crate::settings::{Flavour, Settings};
use crate::table_shape::TableShape;
use crate::values::{self, Meaning, NumberColumn};

/// Creates the table for a record. `schema` is where a name without one belongs.
///
/// # Errors
/// The inner one: why the record's schema cannot be a table; the outer one is the server's.
pub async fn create(
    client: &Client,
    settings: &Settings,
    name: &TableName,
    schema: &str,
    wanted: &Wanted,
) -> Result<Result<(), String>, pg::Error> {
    match create_statement(settings, name, schema, wanted) {
        Err(why) => Ok(Err(why)),
        Ok(text) => {
            tracing::info!(table = %name, "creating table");
            client.batch_execute(&text).await?;
            Ok(Ok(()))
        }
    }
}

fn create_statement(
    settings: &Settings,
    name: &TableName,
    schema: &str,
    wanted: &Wanted,
) -> Result<String, String> {
    let mut columns = vec![];
    for wish in ordered(settings, wanted) {
        let key = wanted.key.iter().any(|key| std::ptr::eq(key, wish));
        columns.push(column(settings, wish, key)?);
    }
    if !wanted.key.is_empty() {
        let keys: Vec<_> = wanted.key.iter().map(|wish| quote::identifier(&wish.column)).collect();
        columns.push(format!("PRIMARY KEY ({})", keys.join(", ")));
    }
    let schema = name.schema.as_deref().unwrap_or(schema);
    Ok(format!("CREATE TABLE {} ({})", quote::qualified(schema, &name.name), columns.join(", ")))
}

/// Debezium: key, then values. Confluent: its own columns, then the value's order, then the rest by name.
fn ordered<'a>(settings: &Settings, wanted: &'a Wanted) -> Vec<&'a Wish> {
    let all = || wanted.key.iter().chain(&wanted.values);
    match settings.flavour {
        Flavour::Debezium => all().collect(),
        Flavour::Confluent | Flavour::Aiven => {
            let own = |wish: &&Wish| wish.column.starts_with("__connect_");
            let place = |wish: &Wish| match wish.source {
                crate::columns::Source::Row(at) => Some(at),
                _ => wanted.row_place(&wish.column),
            };
            let mut first: Vec<_> = all().filter(own).collect();
            let mut rest: Vec<_> = all().filter(|wish| !own(wish)).collect();
            rest.sort_by_key(|wish| (place(wish).unwrap_or(usize::MAX), wish.column.clone()));
            first.extend(rest);
            first
        }
    }
}

/// Adds the columns that the table lacks.
///
/// # Errors
/// As [`create`].
pub async fn add_columns(
    client: &Client,
    settings: &Settings,
    shape: &TableShape,
    missing: &[&Wish],
) -> Result<Result<(), String>, pg::Error> {
    let mut parts = vec![];
    for wish in missing {
        if !wish.schema.is_optional() && wish.schema.default().is_none() {
            return Ok(Err(format!(
                "column \"{}\" cannot be added to {}: the field is not optional and has no default",
                wish.column, shape.quoted
            )));
        }
        match column(settings, wish, false) {
            Ok(definition) => parts.push(format!("ADD COLUMN IF NOT EXISTS {definition}")),
            Err(why) => return Ok(Err(why)),
        }
    }
    tracing::info!(table = %shape.quoted, columns = missing.len(), "adding columns");
    client.batch_execute(&format!("ALTER TABLE {} {}", shape.quoted, parts.join(", "))).await?;
    Ok(Ok(()))
}

fn column(settings: &Settings, wish: &Wish, key: bool) -> Result<String, String> {
    let type_name = type_of(settings.flavour, &wish.schema, &wish.meaning).ok_or_else(|| {
        format!(
            "field \"{}\": no column type is known for {}{}",
            wish.column,
            wish.schema.kind().type_name(),
            wish.schema.name().map(|name| format!(" ({name})")).unwrap_or_default()
        )
    })?;
    let mut out = format!("{} {type_name}", quote::identifier(&wish.column));
    let default = wish.schema.default().filter(|value| !value.is_null());
    // Confluent's sink leaves a column with a default nullable.
    let not_null =
        key || !wish.schema.is_optional() && (settings.flavour == Flavour::Debezium || default.is_none());
    if not_null {
        out.push_str(" NOT NULL");
    }
    if let Some(default) = default {
        out.push_str(" DEFAULT ");
        out.push_str(&quote::literal(&default_text(wish, &type_name, default)?));
    }
    Ok(out)
}

fn default_text(wish: &Wish, type_name: &str, value: &Value) -> Result<String, String> {
    let number =
        if ["smallint", "int", "bigint"].contains(&type_name) { NumberColumn::Yes } else { NumberColumn::No };
    values::text_of(&wish.schema, &wish.meaning, number, value)
        .map_err(|why| format!("default of field \"{}\": {why}", wish.column))
}

/// The column type for a schema, as the connector chooses it.
fn type_of(flavour: Flavour, schema: &Schema, meaning: &Meaning) -> Option<String> {
    if let Kind::Array(items) = schema.kind() {
        let element = type_of(flavour, items, &Meaning::of(items))?;
        // PostgreSQL's arrays have any number of dimensions.
        return Some(if element.ends_with("[]") { element } else { format!("{element}[]") });
    }
    match flavour {
        Flavour::Confluent | Flavour::Aiven => confluent_type(schema, meaning),
        Flavour::Debezium => source_type(schema).or_else(|| debezium_type(schema, meaning)),
    }
}

fn confluent_type(schema: &Schema, meaning: &Meaning) -> Option<String> {
    let name = match (schema.kind(), schema.name()) {
        (_, Some(logical::DECIMAL)) => "decimal",
        (_, Some(logical::DATE)) => "date",
        (_, Some(logical::TIME)) => "time",
        (_, Some(logical::TIMESTAMP)) => "timestamp",
        (Kind::Int64, None) if matches!(meaning, Meaning::Timestamp(..)) => "timestamp",
        (Kind::Int8 | Kind::Int16, _) => "smallint",
        (Kind::Int32, _) => "int",
        (Kind::Int64, _) => "bigint",
        (Kind::Float32, _) => "real",
        (Kind::Float64, _) => "double precision",
        (Kind::Boolean, _) => "boolean",
        (Kind::String, _) => "text",
        (Kind::Bytes, _) => "bytea",
        (Kind::Struct(_), Some(debezium::VARIABLE_SCALE_DECIMAL)) => "numeric",
        _ => return None,
    };
    Some(name.to_owned())
}

fn debezium_type(schema: &Schema, meaning: &Meaning) -> Option<String> {
    let name = match meaning {
        Meaning::Boolean => "boolean",
        Meaning::Integer(8 | 16) => "smallint",
        Meaning::Integer(32) => "integer",
        Meaning::Integer(_) => "bigint",
        Meaning::Float32 => "real",
        Meaning::Float64 => "double precision",
        Meaning::Bytes => "bytea",
        Meaning::Date(_) | Meaning::IsoDate => "date",
        Meaning::Time(..) => "time(6)",
        Meaning::Timestamp(..) => "timestamp(6)",
        Meaning::ZonedTimestamp => "timestamp(6) with time zone",
        Meaning::ZonedTime => "time(6) with time zone",
        Meaning::Decimal { scale } => {
            let precision = schema.parameter(logical::PRECISION).unwrap_or("38");
            return Some(format!("decimal({precision},{scale})"));
        }
        Meaning::VariableDecimal { .. } => "numeric",
        Meaning::Duration => "interval",
        Meaning::Bits { length: Some(length) } if *length <= BIT_LENGTH_MAX => {
            return Some(format!("bit({length})"));
        }
        Meaning::Bits { .. } => "bit varying",
        Meaning::Json => "json",
        Meaning::Uuid => "uuid",
        Meaning::Xml => "xml",
        Meaning::Ltree => "ltree",
        Meaning::Tsvector => "tsvector",
        Meaning::Point { .. } => "point",
        Meaning::Geometry { .. } if schema.name() == Some(debezium::GEOGRAPHY) => "geography",
        Meaning::Geometry { .. } => "geometry",
        Meaning::Text | Meaning::Enum => match schema.name() {
            Some(debezium::ISO_TIME) => "time(6)",
            _ => "text",
        },
        Meaning::Map => match schema.kind() {
            Kind::Map { value, .. } if matches!(value.kind(), Kind::String) => "hstore",
            _ => return None,
        },
        Meaning::Array(_) | Meaning::Struct => return None,
    };
    Some(name.to_owned())
}

/// PostgreSQL's limit for `bit(n)`.
const BIT_LENGTH_MAX: usize = 83_886_080;
/// PostgreSQL's limit for `varchar(n)`; Debezium sends 2147483647 where there is none.
const CHAR_LENGTH_MAX: u32 = 10_485_760;

/// The type that the column has at the source, where the source connector propagates it.
fn source_type(schema: &Schema) -> Option<String> {
    let name = schema.parameter("__debezium.source.column.type")?.to_ascii_uppercase();
    let length = schema
        .parameter("__debezium.source.column.length")
        .and_then(|text| text.parse::<u32>().ok())
        .filter(|length| (1..=CHAR_LENGTH_MAX).contains(length));
    Some(match (&*name, length) {
        ("BPCHAR" | "CHAR" | "CHARACTER", Some(length)) => format!("char({length})"),
        ("VARCHAR", Some(length)) => format!("varchar({length})"),
        ("TEXT" | "VARCHAR" | "NAME", _) => "text".to_owned(),
        (
            "INET" | "CIDR" | "MACADDR" | "MACADDR8" | "OID" | "CITEXT" | "LTREE" | "TSVECTOR" | "TSQUERY"
            | "XML" | "JSON" | "JSONB" | "UUID" | "INTERVAL" | "MONEY" | "INT4RANGE" | "INT8RANGE"
            | "NUMRANGE" | "TSRANGE" | "TSTZRANGE" | "DATERANGE",
            _,
        ) => name.to_ascii_lowercase(),
        _ => return None,
    })
}
