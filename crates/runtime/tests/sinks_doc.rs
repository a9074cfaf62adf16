//! The tables of docs/sinks.md are made of those that parse and validate: `UPDATE_EXPECT=1 cargo test --workspace --test
//! sinks_doc` writes them.

use std::fmt::Write as _;

use connect::settings::{Definition, Row, Standing};
use runtime::plugins::{self, PluginKind};

const MARK: &str = "<!-- options -->\n";

#[test]
fn the_page_of_sinks_has_the_options_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sinks.md");
    let page = std::fs::read_to_string(path).expect("docs/sinks.md is there");
    let (text, _) = page.split_once(MARK).expect("the page has the mark");
    expect_test::expect_file!["../../../docs/sinks.md"].assert_eq(&format!("{text}{MARK}{}", tables()));
}

/// What all have in common once, then what each has of its own.
fn tables() -> String {
    let sinks: Vec<(&str, Definition)> = plugins::CONNECTORS
        .iter()
        .filter(|connector| connector.kind() == PluginKind::Sink)
        .map(|connector| (connector.class, connector.definition()))
        .collect();
    let everywhere = |row: &Row| {
        sinks.iter().all(|(_, definition)| {
            definition.row(row.name).is_some_and(|other| other.default == row.default && other.doc == row.doc)
        })
    };
    let mut out = String::new();
    if let Some((_, first)) = sinks.first() {
        table(&mut out, "All of them", first.rows.iter().filter(|row| everywhere(row)));
    }
    for (class, definition) in &sinks {
        table(&mut out, &format!("`{class}`"), definition.rows.iter().filter(|row| !everywhere(row)));
    }
    out
}

fn table<'a>(out: &mut String, title: &str, rows: impl Iterator<Item = &'a Row>) {
    let _ =
        write!(out, "\n### {title}\n\n| option | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for row in rows.filter(|row| row.standing != Standing::Internal) {
        let standing = match row.standing {
            Standing::Refused => "**Not done.** ",
            Standing::Accepted if !row.doc.starts_with("Accepted") => "**Accepted.** ",
            _ => "",
        };
        let default = match (&row.default, row.required) {
            (_, true) => "required",
            (None, false) => "",
            (Some(text), false) => text,
        };
        let names: Vec<_> = row.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let older = if names.is_empty() { String::new() } else { format!(" (older: {})", names.join(", ")) };
        let (kind, doc) = (row.kind.name().to_lowercase(), row.doc.replace('|', "\\|").replace('\n', " "));
        let _ = writeln!(out, "| `{}`{older} | {kind} | {default} | {standing}{} |", row.name, doc.trim());
    }
}
