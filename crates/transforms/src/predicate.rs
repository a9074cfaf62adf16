//! Predicates: which records a transform is for.

use std::collections::HashMap;
use std::sync::Arc;

use connect::Record;
use connect::settings::{Definition, Importance, Properties, Validator, row};

use crate::java_regex::Pattern;
use crate::options;

/// Topics of a task are few; a router that invents names must not fill the memory.
const TOPICS_MAX: usize = 10_000;

/// Decides about one record. One instance belongs to one thread.
pub trait Predicate: Send {
    fn test(&mut self, record: &Record) -> bool;
}

pub(crate) struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn test(&mut self, record: &Record) -> bool {
        record.value.is_null()
    }
}

pub(crate) struct HasHeaderKey {
    name: String,
}

pub(crate) fn has_header_key_definition() -> Definition {
    Definition::new(vec![
        row("name")
            .required()
            .importance(Importance::Medium)
            .check(Validator::NonEmpty)
            .doc("Header that a record must have."),
    ])
}

impl HasHeaderKey {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&has_header_key_definition(), properties)?;
        Ok(Self { name: resolved.text("name").unwrap_or_default().to_owned() })
    }
}

impl Predicate for HasHeaderKey {
    fn test(&mut self, record: &Record) -> bool {
        record.headers.iter().any(|header| *header.key == *self.name)
    }
}

pub(crate) struct TopicNameMatches {
    pattern: Pattern,
    known: HashMap<Arc<str>, bool>,
}

pub(crate) fn topic_name_matches_definition() -> Definition {
    Definition::new(vec![
        row("pattern")
            .required()
            .importance(Importance::Medium)
            .check(Validator::NonEmpty)
            .check(Validator::Check(check_pattern))
            .doc("Pattern that the whole name of a record's topic must match."),
    ])
}

fn check_pattern(value: Option<&str>, _: &Properties) -> Result<(), String> {
    let text = value.unwrap_or_default();
    Pattern::new(text).map(drop).map_err(|error| {
        format!(
            "Invalid value {text} for configuration pattern: entry must be a Java-compatible regular expression: {error}"
        )
    })
}

impl TopicNameMatches {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&topic_name_matches_definition(), properties)?;
        let pattern =
            Pattern::new(resolved.text("pattern").unwrap_or_default()).map_err(|error| vec![error])?;
        Ok(Self { pattern, known: HashMap::new() })
    }
}

impl Predicate for TopicNameMatches {
    fn test(&mut self, record: &Record) -> bool {
        if let Some(matches) = self.known.get(&record.topic) {
            return *matches;
        }
        let matches = self.pattern.matches(&record.topic);
        if self.known.len() >= TOPICS_MAX {
            self.known.clear();
        }
        self.known.insert(Arc::clone(&record.topic), matches);
        matches
    }
}
