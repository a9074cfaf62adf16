//! Recorded behaviour of the Debezium JDBC sink: tables, rows and errors of each case.
//!
//! `TIDEGATE_GOLDEN` names another folder of recordings of the same form.

use std::path::PathBuf;
use std::sync::Arc;

use connect::contract::Tolerance;
use connect::settings::Properties;
use connect::{Buffer, Header, Schema, Value};
use converters::Role;
use futures::StreamExt;
use pg_sink::Flavour;
use serde_json::Value as Json;

use crate::feed::{Draft, Feed};
use crate::postgres::{Database, cluster};

fn folder() -> PathBuf {
    std::env::var_os("TIDEGATE_GOLDEN")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden")), PathBuf::from)
        .join("sink")
}

fn cases() -> Vec<Json> {
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Json>>()
        })
        .collect()
}

async fn decode(role: Role, topic: &str, json: &Json) -> (Option<Schema>, Value) {
    let properties = Properties::from_iter([("schemas.enable".to_owned(), "true".to_owned())]);
    let converter =
        converters::create("org.apache.kafka.connect.json.JsonConverter", role, &properties).unwrap();
    let bytes = (!json.is_null()).then(|| Buffer::from(json.to_string().into_bytes()));
    let mut decoder = converter.decoder(topic, 0).await.unwrap();
    decoder.decode(bytes.as_ref()).unwrap()
}

async fn draft(record: &Json) -> Draft {
    let topic = record["topic"].as_str().unwrap();
    let mut headers = vec![];
    for header in record["headers"].as_array().into_iter().flatten() {
        let envelope = serde_json::json!({"schema": header["schema"], "payload": header["value"]});
        let (schema, value) = decode(Role::Value, topic, &envelope).await;
        headers.push(Header { key: header["key"].as_str().unwrap().into(), schema, value });
    }
    Draft {
        topic: Arc::from(topic),
        partition: 0,
        key: decode(Role::Key, topic, &record["key"]).await,
        value: decode(Role::Value, topic, &record["value"]).await,
        headers,
    }
}

/// What a case ended with: its error, if any, and the database.
#[derive(Debug, PartialEq)]
struct Ending {
    error: Option<String>,
    tables: Json,
}

async fn run(case: &Json, database: &Database) -> Ending {
    for sql in case["pre_sql"].as_array().unwrap() {
        database.run(sql.as_str().unwrap()).await;
    }
    let mut properties = Properties::new();
    properties.insert("connection.url".into(), database.url.clone());
    properties.insert("connection.username".into(), "postgres".into());
    for (name, value) in case["config"].as_object().unwrap() {
        properties.insert(name.clone(), value.as_str().unwrap().to_owned());
    }
    let error = apply(case, &properties).await.err();
    Ending { error, tables: tables(database).await }
}

async fn apply(case: &Json, properties: &Properties) -> Result<(), String> {
    let mut feed = Feed::start(Flavour::Debezium, properties, Tolerance::None)
        .await
        .map_err(|error| format!("start: {error}"))?;
    for batch in case["batches"].as_array().unwrap() {
        let mut drafts = vec![];
        for record in batch.as_array().unwrap() {
            drafts.push(draft(record).await);
        }
        feed.put(drafts).await.map_err(|error| error.to_string())?;
        feed.flush().await.map_err(|error| error.to_string())?;
        if let Some(rejected) = feed.rejected.first() {
            return Err(rejected.error.to_string());
        }
    }
    feed.stop().await;
    Ok(())
}

/// The database in the recordings' form.
async fn tables(database: &Database) -> Json {
    let found = database
        .client
        .query(
            "SELECT c.oid, n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r','p') AND n.nspname NOT IN ('pg_catalog','information_schema') ORDER BY 2, 3",
            &[],
        )
        .await
        .unwrap();
    let mut tables = vec![];
    for row in found {
        let (oid, schema, name): (u32, String, String) = (row.get(0), row.get(1), row.get(2));
        let columns = database
            .client
            .query(
                "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                 pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a \
                 LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
                 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                &[&oid],
            )
            .await
            .unwrap();
        let columns: Vec<Json> = columns
            .iter()
            .map(|row| {
                serde_json::json!({
                    "name": row.get::<_, String>(0), "type": row.get::<_, String>(1),
                    "not_null": row.get::<_, bool>(2), "default": row.get::<_, Option<String>>(3),
                })
            })
            .collect();
        let constraints = database
            .client
            .query(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1 ORDER BY 1",
                &[&oid],
            )
            .await
            .unwrap();
        let constraints: Vec<String> = constraints.iter().map(|row| row.get(0)).collect();
        let rows = database.rows(&pg::quote::qualified(&schema, &name)).await;
        tables.push(serde_json::json!({
            "schema": schema, "name": name, "columns": columns, "constraints": constraints, "rows": rows,
        }));
    }
    Json::Array(tables)
}

fn expected(case: &Json) -> Ending {
    let errors = case["result"]["errors"].as_array().unwrap();
    let error = errors.last().map(|_| {
        let state = errors.iter().find_map(|error| error["sqlstate"].as_str());
        state.unwrap_or("").to_owned()
    });
    Ending { error, tables: case["result"]["tables"].clone() }
}

/// The first difference, in words.
fn difference(expected: &Ending, found: &Ending) -> Option<String> {
    match (&expected.error, &found.error) {
        (None, Some(error)) => return Some(format!("no error expected, found: {error}")),
        (Some(state), None) => return Some(format!("an error expected (SQLSTATE {state:?}), found none")),
        (Some(state), Some(error)) if !state.is_empty() && !error.contains(state.as_str()) => {
            return Some(format!("SQLSTATE {state} expected, found: {error}"));
        }
        _ => {}
    }
    let (left, right) = (expected.tables.as_array().unwrap(), found.tables.as_array().unwrap());
    let names = |tables: &[Json]| tables.iter().map(|table| table["name"].clone()).collect::<Vec<_>>();
    if names(left) != names(right) {
        return Some(format!("tables {:?} expected, found {:?}", names(left), names(right)));
    }
    for (left, right) in left.iter().zip(right) {
        for part in ["schema", "columns", "constraints", "rows"] {
            if left[part] != right[part] {
                return Some(format!(
                    "{} of {}: {} expected, found {}",
                    part, left["name"], left[part], right[part]
                ));
            }
        }
    }
    None
}

/// Why a case may differ, by the row of the decided deviations; by its nature and not by its name, so that the
/// rules hold for other recordings too.
fn decided(case: &Json, expected: &Ending, found: &Ending) -> Option<&'static str> {
    let said = case["result"]["errors"].to_string();
    let refused_before_creation = found.error.is_some() && found.tables != expected.tables;
    if found.error.is_none() {
        let accepted = [
            "Unable to find server array type",
            "but expression is of type",
            "st_geomfromwkb",
            "for NanoOfDay",
            "nested inside Object[]",
        ];
        if accepted.iter().any(|text| said.contains(text)) {
            return Some("any value that the target type's input accepts, by the target's catalogue");
        }
        if said.contains("cannot be cast to class org.apache.kafka.connect.data.Struct") {
            return Some("primitive keys work");
        }
        if said.contains("cannot affect row a second time") {
            return Some("unnest with a repeated key works");
        }
    } else if refused_before_creation {
        if said.contains("no key fields defined") {
            return Some("upsert without a key is refused before anything is created");
        }
        if said.contains("Failed to find table") {
            return Some("names over 63 bytes are refused before anything is created");
        }
        return None;
    }
    let (left, right) = (expected.tables.to_string(), found.tables.to_string());
    let records = case["batches"].to_string();
    let zeroed =
        ["\"NaN\"", "\"Infinity\"", "\"-Infinity\""].iter().fold(right.clone(), |t, n| t.replace(n, "\"0\""));
    if records.contains("\"NaN\"") && zeroed == left {
        return Some("NaN and infinities are read back as themselves");
    }
    if records.contains("VariableScaleDecimal")
        && left.contains("double precision")
        && right.contains("\"numeric\"")
    {
        return Some("VariableScaleDecimal is an exact numeric");
    }
    if left.contains("__debezium_unavailable_value") && !right.contains("__debezium_unavailable_value") {
        return Some("the unavailable-value placeholder leaves the column as it is");
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_cases() {
    let only = std::env::var("TIDEGATE_CASES").unwrap_or_default();
    let only: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    let wanted =
        cases().into_iter().filter(|case| only.is_empty() || only.iter().any(|id| case["id"] == **id));
    let verdicts: Vec<Verdict> = futures::stream::iter(wanted).map(judge).buffered(AT_ONCE).collect().await;
    let different: Vec<&String> = verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).collect();
    let decided = verdicts.iter().flatten().flatten().inspect(|line| println!("{line}")).count();
    println!(
        "{} equal, {decided} different by decision, {} different",
        verdicts.len() - decided - different.len(),
        different.len()
    );
    assert!(different.is_empty(), "\n{}", different.into_iter().cloned().collect::<Vec<_>>().join("\n"));
}

/// Cases that run at the same time.
const AT_ONCE: usize = 8;

/// A line about a difference that is decided, or about one that is not.
type Verdict = Result<Option<String>, String>;

async fn judge(case: Json) -> Verdict {
    let id = case["id"].as_str().unwrap();
    let database = cluster().database().await;
    let (expected, found) = (expected(&case), run(&case, &database).await);
    match difference(&expected, &found) {
        None => Ok(None),
        Some(text) => match decided(&case, &expected, &found) {
            Some(why) => Ok(Some(format!("{id}: by decision: {why}"))),
            None => Err(format!("{id}: {text}")),
        },
    }
}
