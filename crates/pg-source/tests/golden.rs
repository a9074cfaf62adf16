//! Recorded cases of the reference connector, replayed on the task itself and compared after masking.

#[allow(dead_code)] // each test binary uses a part of it
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use connect::Record;
use connect::settings::Properties;
use converters::Role;
use serde_json::Value as Json;
use support::{Connectors, Source, cluster};

/// Cases that the source must equal; the others of the folder need options or parts that are not there yet.
const CASES: &[&str] = &[
    "seed_users_posts_comments",
    "types_default_numbers",
    "types_default_text",
    "types_default_time",
    "types_default_user",
    "types_default_defaults",
    "types_decimal_double",
    "types_decimal_string",
    "types_time_adaptive_time_microseconds",
    "types_time_adaptive_time_microseconds_defaults",
    "types_time_connect",
    "types_time_connect_defaults",
    "replica_identity",
    "replica_identity_no_tombstones",
    "replica_identity_nothing",
    "toast",
    "truncate",
    "truncate_skipped",
    "key_types",
    "partitioned_leaves",
    "table_kinds",
    "filter_column_exclude",
    "filter_column_include",
    "filter_no_tables_publication",
    "filter_schema_exclude",
    "filter_table_include",
    "filter_table_include_filtered",
    "snapshot_mode_initial",
    "snapshot_mode_no_data",
    "snapshot_mode_initial_only",
    "names_ugly",
    "database_latin1",
    "server_settings",
    "schema_change",
    "replication_origin",
    "offsets_initial",
];

/// Differences that are decided: where the reference loses or changes data (case or `*`, part of the line, reason).
const DECIDED: &[(&str, &str, &str)] = &[
    ("*", "/nm:", "`name` columns have their value in the stream too"),
    ("*", "t_time_far record 0 /value/payload/after/d:", "infinite dates are one value in both phases"),
    ("*", "t_time_far record 1 /value/payload/after/d:", "infinite dates are one value in both phases"),
    ("*", "t_time_far record 2 /value/payload/after/d:", "dates before Christ stay there in the snapshot"),
    ("*", "t_time_far record 3 /value/payload/after/d:", "dates before Christ stay there in the snapshot"),
    ("*", "t_time_far record 6 /value/payload/after/d:", "dates before Christ stay there in the snapshot"),
    (
        "server_settings",
        "t_clock record 1 /value/payload/after/d:",
        "dates before Christ stay there in the snapshot",
    ),
    (
        "*",
        "/after/ts: expected -9223372036853775810 found null",
        "what does not fit is a failure, not a number",
    ),
    ("types_default_user", "/items/optional:", "an enum array may hold NULL"),
    ("types_default_user", "/ae:", "an enum array may hold NULL"),
    ("types_default_user", "abit", "an array of bit strings is one"),
    ("types_default_user", "/a2:", "an array of two dimensions cannot be converted"),
    ("*", "/atm/", "time[] has what time has"),
    ("types_default_defaults", "expected \"it\" found \"it's\"", "a quote in a default does not end it"),
    ("partitioned_leaves", "public.part record", "each row once: in its partition"),
    ("partitioned_leaves", "public.inh_parent record", "each row once: not in the parent too"),
    ("table_kinds", "k_unlogged", "unlogged tables are left out"),
    (
        "table_kinds",
        "k_typed record 0 /value/payload/source/snapshot",
        "the unlogged table is no longer the last",
    ),
    ("filter_column_exclude", "order_lines", "an excluded key column has its right key in both phases"),
    ("filter_column_include", "hr.people", "an excluded key column has its right key in both phases"),
    ("*", "public.ri_index record", "deletes whose old row lacks the key cannot be processed"),
];

fn decided(case: &str, line: &str) -> bool {
    DECIDED.iter().any(|(wanted, part, _)| (*wanted == "*" || *wanted == case) && line.contains(part))
}

fn folder() -> PathBuf {
    std::env::var_os("TIDEGATE_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden"), PathBuf::from)
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_cases() {
    let wanted = std::env::var("GOLDEN_CASES").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|name| !name.is_empty()).collect();
    let cases: Vec<&str> = if wanted.is_empty() { CASES.to_vec() } else { wanted };
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    }
    let mut differing = vec![];
    let mut running = vec![];
    for case in cases {
        let case = case.to_owned();
        running.push(tokio::spawn(async move {
            let result = run_case(&case).await;
            (case, result)
        }));
        if running.len() >= 8 {
            collect(running.remove(0).await.expect("a case ends"), &mut differing);
        }
    }
    for handle in running {
        collect(handle.await.expect("a case ends"), &mut differing);
    }
    assert!(differing.is_empty(), "{} cases differ: {}", differing.len(), differing.join(", "));
}

fn collect((case, result): (String, Result<(), String>), differing: &mut Vec<String>) {
    match result {
        Ok(()) => println!("{case}: equal"),
        Err(difference) => {
            println!("{case}: {difference}");
            differing.push(case);
        }
    }
}

async fn run_case(name: &str) -> Result<(), String> {
    let folder = folder().join("source").join(name);
    let read =
        |file: &str| std::fs::read_to_string(folder.join(file)).map_err(|error| format!("{file}: {error}"));
    let case: Json = serde_json::from_str(&read("case.json")?).map_err(|error| error.to_string())?;
    let id = format!("g_{name}");
    let database = format!("golden_{name}");
    let admin = cluster().session("postgres").await;
    let encoding = if name == "database_latin1" { " ENCODING 'LATIN1' LOCALE 'C'" } else { "" };
    admin
        .batch_execute(&format!("CREATE DATABASE {database} TEMPLATE template0{encoding}"))
        .await
        .map_err(|error| error.to_string())?;
    if name == "server_settings" {
        for setting in ["TimeZone='Asia/Tokyo'", "DateStyle='SQL,DMY'", "IntervalStyle='postgres_verbose'"] {
            let sql = format!("ALTER DATABASE {database} SET {setting}");
            admin.batch_execute(&sql).await.map_err(|error| error.to_string())?;
        }
    }
    let mut connect = cluster().connect_settings(&database);
    connect.options = vec![("TimeZone".into(), "UTC".into()), ("DateStyle".into(), "ISO, MDY".into())];
    let session = pg::connect(&connect).await.map_err(|error| error.to_string())?;
    execute(&session, &read("setup.sql")?).await;
    let mut properties = cluster().properties(&id, &database, &[]);
    for (key, value) in case["connector"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default().replace("${id}", &id);
        properties.insert(key.clone(), value);
    }
    if name.starts_with("replica_identity") {
        // One table of it has deletes that cannot be processed.
        properties.insert("event.processing.failure.handling.mode".to_owned(), "warn".to_owned());
    }
    let mut source = Source::new(properties.clone());
    let quiet = Duration::from_millis(900);
    for step in case["steps"].as_array().into_iter().flatten() {
        let failed = |error: connect::TaskError| format!("{step}: {error}");
        match step.as_str() {
            Some("start" | "resume") => source.start().await.map_err(failed)?,
            Some("stop") => {
                source.idle(quiet).await.map_err(failed)?;
                source.stop().await;
            }
            Some("idle") => source.idle(quiet).await.map_err(failed)?,
            Some("restart") => {
                source.idle(quiet).await.map_err(failed)?;
                source.stop().await;
                source.start().await.map_err(failed)?;
            }
            Some(_) => source.idle(quiet).await.map_err(failed)?,
            None => {
                if let Some(file) = step["sql"].as_str() {
                    source.idle(quiet).await.map_err(failed)?;
                    execute(&session, &read(file)?).await;
                }
                if step.get("sleep").is_some() {
                    source.idle(quiet).await.map_err(failed)?;
                }
            }
        }
    }
    if case["steps"].as_array().and_then(|steps| steps.last()) != Some(&Json::from("stop")) {
        source.idle(quiet).await.map_err(|error| error.to_string())?;
    }
    source.stop().await;
    compare(name, &source.records, &read("records.jsonl")?, &properties).await
}

/// Statements one at a time; what the server refuses is refused on purpose.
async fn execute(session: &pg::Session, text: &str) {
    let mut statement = String::new();
    let mut quoted = false;
    for line in text.lines() {
        statement.push_str(line);
        statement.push('\n');
        quoted ^= line.matches("$$").count() % 2 == 1;
        if !quoted && line.trim_end().ends_with(';') {
            let _ = session.batch_execute(&statement).await;
            statement.clear();
        }
    }
}

async fn compare(
    case: &str,
    records: &[Record],
    expected: &str,
    properties: &Properties,
) -> Result<(), String> {
    let class = |name: &str| {
        properties
            .get(name)
            .cloned()
            .unwrap_or_else(|| "org.apache.kafka.connect.json.JsonConverter".to_owned())
    };
    let options = Properties::default();
    let key = converters::create(&class("key.converter"), Role::Key, &options)
        .map_err(|error| error.to_string())?;
    let value = converters::create(&class("value.converter"), Role::Value, &options)
        .map_err(|error| error.to_string())?;
    let expected: Vec<Json> = expected
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    let mut found = vec![];
    for (topic, records) in support::by_topic(records) {
        for record in records {
            let mut json = serde_json::Map::new();
            json.insert("topic".to_owned(), topic.clone().into());
            json.insert("key".to_owned(), render(&*key, &topic, &record.key_schema, &record.key).await?);
            json.insert(
                "value".to_owned(),
                render(&*value, &topic, &record.value_schema, &record.value).await?,
            );
            let headers: Vec<Json> = record
                .headers
                .iter()
                .map(|header| {
                    Json::from(vec![header.key.to_string(), header.value.as_str().unwrap_or("{}").to_owned()])
                })
                .collect();
            json.insert("headers".to_owned(), headers.into());
            found.push(Json::Object(json));
        }
    }
    let mut lines = vec![];
    let topics: std::collections::BTreeSet<&str> =
        expected.iter().chain(&found).filter_map(|record| record["topic"].as_str()).collect();
    for topic in topics {
        let of = |list: &[Json]| -> Vec<Json> {
            list.iter().filter(|record| record["topic"] == topic).map(mask).collect()
        };
        let (want, have) = (of(&expected), of(&found));
        for index in 0..want.len().max(have.len()) {
            let (want, have) = (want.get(index), have.get(index));
            let mut paths = vec![];
            differences("", want.unwrap_or(&Json::Null), have.unwrap_or(&Json::Null), &mut paths);
            let paths = paths.iter().map(|path| format!("{topic} record {index} {path}"));
            lines.extend(paths.filter(|line| !decided(case, line)));
        }
    }
    if lines.is_empty() {
        Ok(())
    } else {
        Err(format!("{} differences\n  {}", lines.len(), lines.join("\n  ")))
    }
}

async fn render(
    converter: &dyn connect::Converter,
    topic: &str,
    schema: &Option<connect::Schema>,
    value: &connect::Value,
) -> Result<Json, String> {
    if schema.is_none() && value.is_null() {
        return Ok(Json::Null);
    }
    let mut encoder = converter.encoder(topic, schema.as_ref()).await.map_err(|error| error.to_string())?;
    let mut out = vec![];
    let some = encoder.encode(value, &mut out).map_err(|error| format!("{topic}: {error}"))?;
    if !some {
        return Ok(Json::Null);
    }
    Ok(Json::from(String::from_utf8(out).map_err(|error| error.to_string())?))
}

/// Hides what changes from run to run.
fn mask(record: &Json) -> Json {
    let mut record = record.clone();
    for part in ["key", "value"] {
        let Some(text) = record[part].as_str() else { continue };
        let Ok(mut json) = serde_json::from_str::<Json>(text) else { continue };
        let payload = if json.get("payload").is_some() { &mut json["payload"] } else { &mut json };
        for name in ["ts_ms", "ts_us", "ts_ns"] {
            hide(payload, name);
            if payload["source"].is_object() {
                hide(&mut payload["source"], name);
            }
        }
        if payload["source"].is_object() {
            for name in ["lsn", "txId"] {
                hide(&mut payload["source"], name);
            }
            if let Some(sequence) = payload["source"]["sequence"].as_str() {
                payload["source"]["sequence"] = sequence.starts_with("[null").to_string().into();
            }
        }
        record[part] = json;
    }
    let headers: Vec<Json> = record["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|header| {
            let name = header[0].as_str().unwrap_or_default();
            let hidden = name.ends_with(".runId") || name.ends_with("key");
            if hidden { Json::from(name) } else { header.clone() }
        })
        .collect();
    record["headers"] = headers.into();
    record.as_object_mut().expect("a record is an object").retain(|name, _| name != "partition");
    record
}

fn hide(object: &mut Json, name: &str) {
    if object.get(name).is_some_and(|value| !value.is_null()) {
        object[name] = "masked".into();
    }
}

/// Paths of all differences, with both sides.
fn differences(path: &str, want: &Json, have: &Json, out: &mut Vec<String>) {
    match (want, have) {
        (Json::Object(a), Json::Object(b))
            if a.len() == b.len() && a.keys().all(|name| b.contains_key(name)) =>
        {
            // The order of fields counts inside of keys and values.
            if !path.is_empty() && !a.keys().eq(b.keys()) {
                out.push(format!("{path}: order of fields"));
            }
            for (name, value) in a {
                differences(&format!("{path}/{name}"), value, &b[name], out);
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{index}"), a, b, out);
            }
        }
        (a, b) if a == b => {}
        (a, b) => {
            let short = |json: &Json| json.to_string().chars().take(200).collect::<String>();
            out.push(format!("{path}: expected {} found {}", short(a), short(b)));
        }
    }
}
