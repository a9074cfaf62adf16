//! The table of options against what the reference's `validate` answers.

use connect::settings::Properties;
use serde_json::Value as Json;

fn recorded() -> Vec<Json> {
    let folder = std::env::var_os("TIDEGATE_GOLDEN").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden"),
        std::path::PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join("rest/validate_debezium.json"));
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

async fn check(changed: &[(&str, &str)], option: &str, expected: &str) {
    let mut properties: Properties = [
        ("topic.prefix", "p"),
        ("database.hostname", "127.0.0.1"),
        ("database.port", "1"),
        ("database.user", "u"),
        ("database.dbname", "d"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into_iter()
    .collect();
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
    check(&[("column.mask.with.5.chars", "public.t.c")], "column.mask.with.5.chars", "not available").await;
    check(&[("message.key.columns", "public.t:a")], "message.key.columns", "not available").await;
    check(&[("snapshot.mode", "always")], "snapshot.mode", "not available").await;
    check(&[("skip.messages.without.change", "true")], "skip.messages.without.change", "not available").await;
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
