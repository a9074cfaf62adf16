//! The table of options against what the reference's `validate` answers.
#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use connect::settings::{Properties, Standing};
use serde_json::Value as Json;

fn folder() -> std::path::PathBuf {
    std::env::var_os("TIDEGATE_GOLDEN").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden"),
        std::path::PathBuf::from,
    )
}

fn recorded() -> Vec<Json> {
    let text = std::fs::read_to_string(folder().join("rest/validate_debezium.json"));
    serde_json::from_str(&text.expect("the recording")).expect("JSON")
}

#[test]
fn definitions_are_those_of_the_reference() {
    let recorded = recorded();
    let configs = recorded[0]["response"]["body"]["configs"].as_array().unwrap();
    let definition = pg_source::definition();
    let ours: Vec<_> = definition.rows.iter().filter(|row| row.group.is_some()).collect();
    let theirs: Vec<&Json> = configs
        .iter()
        .map(|config| &config["definition"])
        .filter(|definition| {
            matches!(definition["group"].as_str(), Some("Postgres" | "Connector" | "Events"))
        })
        .collect();
    assert_eq!(ours.len(), theirs.len());
    for (row, json) in ours.iter().zip(theirs) {
        let group = row.group.unwrap();
        let found = serde_json::json!({
            "name": row.name,
            "type": row.kind.name(),
            "required": row.required,
            "default_value": row.default,
            "importance": row.importance.name(),
            "group": group.name,
            "order_in_group": group.order,
            "width": row.width.name(),
            "display_name": row.display_name,
            "dependents": row.dependents,
        });
        for (key, value) in found.as_object().unwrap() {
            assert_eq!(*value, json[key], "{} of {}", key, row.name);
        }
    }
}

#[tokio::test]
async fn errors_are_those_of_the_reference() {
    for step in recorded() {
        let properties: Properties = step["request"]["body"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        // What needs the recorder's server is not asked here.
        let expected: Vec<(String, Vec<String>)> = step["response"]["body"]["configs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|config| &config["value"])
            .filter(|value| value["errors"].as_array().is_some_and(|errors| !errors.is_empty()))
            .map(|value| {
                let errors = value["errors"].as_array().unwrap();
                let errors = errors.iter().map(|error| error.as_str().unwrap().to_owned()).collect();
                (value["name"].as_str().unwrap().to_owned(), errors)
            })
            .collect();
        let needs_server =
            properties.get("database.port").is_some_and(|port| port == "5442") && expected.len() < 2;
        if needs_server {
            continue;
        }
        let resolved = pg_source::validate(&properties).await;
        let found: Vec<(String, Vec<String>)> = resolved
            .answers()
            .iter()
            .filter(|answer| !answer.errors.is_empty())
            .map(|answer| (answer.name.clone(), answer.errors.clone()))
            .collect();
        assert_eq!(found, expected);
    }
}

/// Wrong configurations whose answer is decided to be another (docs/compatibility.md, docs/source.md).
const OTHERWISE: &[&str] = &[
    "database.server.name in place of topic.prefix",
    "snapshot.mode=never",
    "snapshot.mode=exported",
    "snapshot.mode=custom without name",
    "plugin.name=wal2json",
];

#[tokio::test]
async fn wrong_configurations_are_answered_as_recorded() {
    let text = std::fs::read_to_string(folder().join("source/errors.json")).expect("the recording");
    let cases: Json = serde_json::from_str(&text).expect("JSON");
    let mut asked = 0;
    for case in cases.as_array().unwrap() {
        let Some(wanted) = case["validate_errors"].as_object().filter(|errors| !errors.is_empty()) else {
            continue;
        };
        let name = case["case"].as_str().unwrap();
        let needs_server =
            wanted.values().any(|texts| texts.to_string().contains("Error while validating connector"));
        if needs_server || OTHERWISE.contains(&name) {
            continue;
        }
        let mut properties = valid();
        for (key, value) in case["changed"].as_object().unwrap() {
            match value.as_str() {
                Some(text) => properties.insert(key.clone(), text.to_owned()),
                None => properties.shift_remove(key),
            };
        }
        let resolved = pg_source::validate(&properties).await;
        let answers = resolved.answers().iter().filter(|answer| !answer.errors.is_empty());
        let found: Vec<(&str, Vec<String>)> =
            answers.map(|answer| (answer.name.as_str(), answer.errors.clone())).collect();
        let wanted: Vec<(&str, Vec<String>)> = wanted
            .iter()
            .map(|(option, texts)| {
                let texts = texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
                (option.as_str(), texts.collect())
            })
            .collect();
        // What is wrong with a pattern is said in other words than Java's.
        let comparable = |answers: &[(&str, Vec<String>)]| -> Vec<String> {
            let line = |option: &str, text: &String| {
                let text = text.split("regular expressions is expected").next().unwrap_or_default();
                format!("{option}: {text}")
            };
            let mut lines: Vec<String> = answers
                .iter()
                .flat_map(|(option, texts)| texts.iter().map(|text| line(option, text)))
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(comparable(&found), comparable(&wanted), "{name}");
        asked += 1;
    }
    assert!(asked > 25, "{asked} cases");
}

fn valid() -> Properties {
    [
        ("topic.prefix", "p"),
        ("database.hostname", "127.0.0.1"),
        ("database.port", "1"),
        ("database.user", "u"),
        ("database.dbname", "d"),
        ("plugin.name", "pgoutput"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into_iter()
    .collect()
}

async fn check(changed: &[(&str, &str)], option: &str, expected: &str) {
    let mut properties = valid();
    for (key, value) in changed {
        properties.insert((*key).to_owned(), (*value).to_owned());
    }
    let resolved = pg_source::validate(&properties).await;
    let errors: Vec<_> = resolved
        .answers()
        .iter()
        .filter(|answer| answer.name == option)
        .flat_map(|answer| answer.errors.clone())
        .collect();
    assert!(errors.iter().any(|error| error.contains(expected)), "{option}: {errors:?}");
}

#[tokio::test]
async fn what_would_send_wrong_data_is_refused_by_name() {
    check(&[("post.processors", "p")], "post.processors", "not available").await;
    check(&[("converters", "c")], "converters", "not available").await;
    check(
        &[("signal.enabled.channels", "source,jmx")],
        "signal.enabled.channels",
        "use source, kafka or file",
    )
    .await;
    let servers = "signal.kafka.bootstrap.servers";
    check(&[("signal.enabled.channels", "kafka")], servers, "A value is required").await;
    check(&[("signal.data.collection", "signals")], "signal.data.collection", "schema.table").await;
    check(&[("snapshot.mode", "custom")], "snapshot.mode", "names a Java class").await;
    let own = "com.example.Naming";
    check(&[("topic.naming.strategy", own)], "topic.naming.strategy", "RegexRouter").await;
    check(
        &[("column.mask.hash.NOPE.with.salt.x", "public.t.c")],
        "column.mask.hash.NOPE.with.salt.x",
        "SHA-256",
    )
    .await;
    check(
        &[("column.truncate.to.-1.chars", "public.t.c")],
        "column.truncate.to.-1.chars",
        "must be positive",
    )
    .await;
    check(&[("compat.version", "3.1")], "compat.version", "1.9, 2.5, 2.7, 3.0, 3.6").await;
}

#[tokio::test]
async fn families_are_checked() {
    check(
        &[("message.key.columns", "public.t")],
        "message.key.columns",
        r"public.t has an invalid format (expecting '^\s*([^:]+):([^:,]+(,[^:,]+)*)\s*$')",
    )
    .await;
    check(
        &[("replica.identity.autoset.values", "public.t")],
        "replica.identity.autoset.values",
        "public.t has an invalid format",
    )
    .await;
    check(
        &[("snapshot.select.statement.overrides", "public.t")],
        "snapshot.select.statement.overrides.public.t",
        "A value is required",
    )
    .await;
    check(
        &[("topic.naming.strategy", "io.debezium.schema.SchemaRegexTopicNamingStrategy")],
        "topic.regex",
        "A value is required",
    )
    .await;
    check(&[("column.mask.with.5.chars", "public.(t")], "column.mask.with.5.chars", "regular expressions")
        .await;
}

#[tokio::test]
async fn values_are_checked() {
    check(&[("slot.name", "Bad-Slot")], "slot.name", "Valid replication slot name must contain").await;
    check(
        &[("tombstones.on.delete", "maybe")],
        "tombstones.on.delete",
        "Either 'true' or 'false' is expected",
    )
    .await;
    check(
        &[("table.include.list", "public.t"), ("table.exclude.list", "public.u")],
        "table.exclude.list",
        "\"table.include.list\" is already specified",
    )
    .await;
    check(
        &[("table.include.list", "public.(t")],
        "table.include.list",
        "valid regular expressions is expected",
    )
    .await;
    check(
        &[("max.queue.size", "10"), ("max.batch.size", "2048")],
        "max.queue.size",
        "Must be larger than the maximum batch size",
    )
    .await;
}

/// What docs/source.md says about the options, from the table that parses them.
#[test]
fn the_documentation_has_every_option() {
    const BEGIN: &str = "<!-- options -->\n";
    const END: &str = "<!-- options end -->";
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/source.md");
    let text = std::fs::read_to_string(&file).expect("the page");
    let (head, rest) = text.split_once(BEGIN).expect("a place for the options");
    let (_, tail) = rest.split_once(END).expect("its end");
    let expected = format!("{head}{BEGIN}{}{END}{tail}", options_table());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &expected).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&file).expect("the page");
    assert!(written == expected, "docs/source.md is not what the options are: run with UPDATE_EXPECT=1");
}

fn options_table() -> String {
    let definition = pg_source::definition();
    let mut used = String::from("| option | type | default | meaning |\n| --- | --- | --- | --- |\n");
    let (mut accepted, mut refused) = (vec![], vec![]);
    for row in &definition.rows {
        let name = format!("`{}`", row.name);
        match row.standing {
            Standing::Accepted => accepted.push(name),
            Standing::Refused => refused.push(name),
            Standing::Internal if row.doc.is_empty() => {}
            Standing::Honoured | Standing::Internal => {
                let older: Vec<_> = row.aliases.iter().map(|alias| format!("`{alias}`")).collect();
                let older =
                    if older.is_empty() { String::new() } else { format!(" (older: {})", older.join(", ")) };
                let default = row.default.as_deref().unwrap_or_default().replace('|', "\\|");
                let kind = row.kind.name().to_ascii_lowercase();
                used.push_str(&format!("| {name}{older} | {kind} | {default} | {} |\n", row.doc));
            }
        }
    }
    format!(
        "\n{used}\nAccepted, and without effect here: {}.\n\nRefused: {}.\n\n",
        accepted.join(", "),
        refused.join(", ")
    )
}
