//! The invariants of ARCHITECTURE.md, as a test: who may import whom, sizes, and what must not stand in the tree.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of one file without its tests.
const FILE_LINES_MAX: usize = 800;
/// Names that say nothing of what is in them.
const FORBIDDEN_NAMES: [&str; 6] = ["util", "utils", "common", "helpers", "misc", "base"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// The table in ARCHITECTURE.md: a crate and what it may import.
fn allowed() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let table = text.split("<!-- imports -->").nth(1).expect("the table is between two marks");
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let names =
                |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
            (names(cells[1]).remove(0), names(cells[2]))
        })
        .collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    let mut found = vec![];
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        let dir = entry.expect("an entry").path().join("src");
        if dir.is_dir() {
            walk(&dir, &mut found);
        }
    }
    found
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let allowed = allowed();
    let mut wrong = vec![];
    for (name, may) in &allowed {
        let manifest = root().join("crates").join(name).join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .unwrap_or_else(|_| panic!("{} is in the table", manifest.display()));
        let own = text.split("[dependencies]").nth(1).unwrap_or_default();
        let own = own.split("\n[").next().unwrap_or_default();
        for line in own.lines() {
            let import = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if allowed.contains_key(import) && !may.iter().any(|name| name == import) {
                wrong.push(format!("{name} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_is_in_the_table() {
    let allowed = allowed();
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(allowed.contains_key(&name), "{name} is not in ARCHITECTURE.md's table");
    }
}

#[test]
fn transforms_converters_and_avro_wait_for_nothing_of_their_own() {
    for (path, text) in sources() {
        let pure = ["/connect/src", "/transforms/src", "/avro/src"];
        if pure.iter().any(|part| path.to_string_lossy().contains(part)) {
            for word in ["tokio::", "std::net", "std::fs", "std::process"] {
                assert!(!without_tests(&text).contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn only_rest_knows_the_rest_api() {
    for (path, text) in sources() {
        let place = path.to_string_lossy().into_owned();
        if ["/rest/src", "/worker/src", "/e2e/src", "/registry/src", "/registry-client/src"]
            .iter()
            .any(|part| place.contains(part))
        {
            continue;
        }
        for word in ["axum::", "StatusCode"] {
            assert!(!text.contains(word), "{place} knows HTTP: {word}");
        }
    }
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut wrong = vec![];
    for (path, text) in sources() {
        let lines = without_tests(&text).lines().count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!("{} has {lines} lines", path.display()));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{} does not open with a sentence", path.display()));
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if FORBIDDEN_NAMES.contains(&stem) {
            wrong.push(format!("{} has a name that says nothing", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_is_left_unfinished() {
    for (path, text) in sources() {
        for word in ["TODO", "FIXME", "todo!(", "unimplemented!(", "#[ignore"] {
            assert!(!text.contains(word), "{} contains {word}", path.display());
        }
    }
}

/// Licences that a dependency may have, alone or as a choice.
const LICENCES: [&str; 12] = [
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
];

#[test]
fn dependencies_have_free_licences_and_come_from_the_registry() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let mut wrong = vec![];
    for package in metadata["packages"].as_array().expect("a list of packages") {
        let name = package["name"].as_str().unwrap_or_default();
        if let Some(source) = package["source"].as_str()
            && !source.starts_with("registry+")
        {
            wrong.push(format!("{name} comes from {source}"));
        }
        let licence = package["license"].as_str().unwrap_or_default();
        // All parts joined by AND must be free, one of those joined by OR.
        let free = |choice: &str| {
            LICENCES
                .contains(&choice.trim().trim_matches(['(', ')']).split(" WITH ").next().unwrap_or_default())
        };
        let is_free =
            licence.split(" AND ").all(|part| part.split(" OR ").flat_map(|part| part.split('/')).any(free));
        if !is_free {
            wrong.push(format!("{name}: {licence}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}
