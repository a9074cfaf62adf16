//! `org.apache.kafka.connect.transforms.RegexRouter`: another topic where the whole name matches.

use std::collections::HashMap;
use std::sync::Arc;

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Record, TaskError, Transform, Verdict};

use crate::java_regex::Pattern;

/// Topics of a task are few.
const TOPICS_MAX: usize = 10_000;

pub(crate) struct RegexRouter {
    pattern: Pattern,
    replacement: String,
    /// The new name of each topic that was seen, so that a record costs a look at a pointer.
    known: HashMap<Arc<str>, Arc<str>>,
    last: Option<(Arc<str>, Arc<str>)>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("regex")
            .required()
            .importance(Importance::High)
            .check(Validator::Check(check_pattern))
            .doc("Regular expression to use for matching."),
        row("replacement").required().importance(Importance::High).doc("Replacement string."),
    ])
}

fn check_pattern(value: Option<&str>, _: &Properties) -> Result<(), String> {
    let text = value.unwrap_or_default();
    Pattern::new(text)
        .map(drop)
        .map_err(|error| format!("Invalid value {text} for configuration regex: Invalid regex: {error}"))
}

impl RegexRouter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = definition().resolve(properties);
        let errors = resolved.errors();
        if !errors.is_empty() {
            return Err(errors);
        }
        let pattern =
            Pattern::new(resolved.text("regex").unwrap_or_default()).map_err(|error| vec![error])?;
        let replacement = resolved.text("replacement").unwrap_or_default().to_owned();
        Ok(Self { pattern, replacement, known: HashMap::new(), last: None })
    }

    fn route(&mut self, topic: &Arc<str>) -> Result<Arc<str>, TaskError> {
        if let Some(known) = self.known.get(topic) {
            return Ok(Arc::clone(known));
        }
        let routed = if self.pattern.matches(topic) {
            let routed = self.pattern.replace_first(topic, &self.replacement);
            Arc::from(routed.map_err(TaskError::halt)?)
        } else {
            Arc::clone(topic)
        };
        if self.known.len() >= TOPICS_MAX {
            self.known.clear();
        }
        self.known.insert(Arc::clone(topic), Arc::clone(&routed));
        Ok(routed)
    }
}

impl Transform for RegexRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        if let Some((topic, routed)) = &self.last
            && Arc::ptr_eq(topic, &record.topic)
        {
            record.topic = Arc::clone(routed);
            return Ok(Verdict::Keep);
        }
        let routed = self.route(&record.topic)?;
        self.last = Some((std::mem::replace(&mut record.topic, Arc::clone(&routed)), routed));
        Ok(Verdict::Keep)
    }
}
