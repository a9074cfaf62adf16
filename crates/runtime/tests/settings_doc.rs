//! docs/settings.md is made of the tables that parse and validate: `UPDATE_EXPECT=1 cargo test -p runtime --test
//! settings_doc` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use connect::settings::{Definition, Row, Standing};
use runtime::plugins::{self, PluginKind};
use runtime::{connector_settings, settings};

#[test]
fn the_page_of_settings_is_what_the_tables_say() {
    expect_test::expect_file!["../../../docs/settings.md"].assert_eq(&page());
}

fn page() -> String {
    let mut out = String::from(
        "# Settings\n\nMade from the tables that parse and validate (`crates/runtime/tests/settings_doc.rs`); the same is \
         served at `/connector-plugins/{class}/config`.\n\n- **Accepted**: has no meaning here and does no harm.\n- \
         **Not done**: another value than the default is refused with 400, because ignoring it would change data or \
         delivery.\n- A key that nobody knows is accepted, with one warning.\n",
    );
    section(&mut out, "## The worker", "`tidegate run worker.properties`.", &settings::definition());
    section(
        &mut out,
        "## Every source",
        "What Kafka Connect itself reads from a source's configuration.",
        &connector_settings::source_definition(),
    );
    section(
        &mut out,
        "## Every sink",
        "What Kafka Connect itself reads from a sink's configuration.",
        &connector_settings::sink_definition(),
    );
    for connector in plugins::CONNECTORS {
        section(&mut out, &format!("## `{}`", connector.class), "", &connector.definition());
    }
    let kinds = [
        ("Converters", PluginKind::Converter, "key.converter.` and `value.converter."),
        ("Transforms", PluginKind::Transformation, "transforms.<name>."),
        ("Predicates", PluginKind::Predicate, "predicates.<name>."),
    ];
    for (title, kind, prefix) in kinds {
        let _ = write!(out, "\n## {title}\n\nTheir options stand behind `{prefix}`.\n");
        let mut seen = BTreeSet::new();
        for plugin in plugins::all().into_iter().filter(|plugin| plugin.kind == kind) {
            // Of a transform that is for keys or values, once.
            let class = plugin.class.trim_end_matches("$Key").trim_end_matches("$Value");
            if seen.insert(class) {
                let definition = plugins::definition_of(plugin.class).unwrap_or_default();
                let parts = if class == plugin.class { "" } else { " (`$Key`, `$Value`)" };
                section(&mut out, &format!("### `{class}`{parts}"), "", &definition);
            }
        }
    }
    out
}

fn section(out: &mut String, title: &str, text: &str, definition: &Definition) {
    let _ = write!(out, "\n{title}\n");
    if !text.is_empty() {
        let _ = write!(out, "\n{text}\n");
    }
    let shown: Vec<&Row> = definition.rows.iter().filter(|row| row.standing != Standing::Internal).collect();
    if shown.is_empty() {
        out.push_str("\nNo options.\n");
        return;
    }
    out.push_str("\n| option | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for row in shown {
        let default = match (&row.default, row.required) {
            (_, true) => "required".to_owned(),
            (None, false) => "null".to_owned(),
            (Some(text), false) if text.is_empty() => "empty".to_owned(),
            (Some(text), false) => format!("`{}`", cell(text)),
        };
        let mut meaning = match row.standing {
            Standing::Refused => format!("**Not done.** {}", row.doc),
            Standing::Accepted if !row.doc.starts_with("Accepted") => format!("**Accepted.** {}", row.doc),
            _ => row.doc.to_owned(),
        };
        if !row.aliases.is_empty() {
            let names: Vec<_> = row.aliases.iter().map(|alias| format!("`{alias}`")).collect();
            let _ = write!(meaning, " Older names: {}.", names.join(", "));
        }
        let (name, kind) = (row.name, row.kind.name().to_lowercase());
        let _ = writeln!(out, "| `{name}` | {kind} | {default} | {} |", cell(meaning.trim()));
    }
}

/// Text within a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
