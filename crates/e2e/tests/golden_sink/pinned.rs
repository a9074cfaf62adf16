//! Our own endings of cases in which the reference is wrong, a line each; a line holds as long as the case is the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use e2e::golden::project;
use serde_json::{Value, json};

use crate::case::Case;
use crate::ending::Ending;

pub struct Pinned {
    lines: BTreeMap<String, Value>,
    is_renewed: bool,
}

fn file() -> PathBuf {
    project().join("crates/e2e/tests/deviations/sink.jsonl")
}

impl Pinned {
    /// # Errors
    /// The file is not one of endings.
    pub fn read() -> Result<Self> {
        let text = std::fs::read_to_string(file()).unwrap_or_default();
        let mut lines = BTreeMap::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line)?;
            lines.insert(line["id"].as_str().unwrap_or_default().to_owned(), line);
        }
        Ok(Self { lines, is_renewed: std::env::var_os("UPDATE_EXPECT").is_some() })
    }

    /// The difference from what was pinned; other recordings of the same name have nothing pinned.
    pub fn check(&mut self, case: &Case, row: &str, found: Ending) -> Option<String> {
        let recording = format!("{:016x}", fingerprint(&case.recorded.to_string()));
        if self.is_renewed {
            let line = json!({
                "id": case.name(), "row": row, "recording": recording,
                "fails": found.error.is_some(), "tables": found.tables,
            });
            self.lines.insert(case.name().to_owned(), line);
            return None;
        }
        let line = self.lines.get(case.name()).filter(|line| line["recording"] == recording)?;
        let fails = line["fails"] == true;
        let error = fails.then(String::new);
        let wanted = Ending { error, before: Value::Null, tables: line["tables"].clone() };
        wanted.difference(&found)
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write_when_asked(&self) -> Result<()> {
        if self.is_renewed {
            let text: String = self.lines.values().map(|line| format!("{line}\n")).collect();
            std::fs::write(file(), text)?;
        }
        Ok(())
    }
}

/// FNV-1a: the same in every build.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
