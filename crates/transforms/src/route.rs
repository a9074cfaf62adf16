//! Topics by a Java pattern and its replacement, each name matched once.

use std::collections::HashMap;
use std::sync::Arc;

use connect::TaskError;

use crate::java_regex::Pattern;

/// Topics of a task are few; a router that invents names must not fill the memory.
const TOPICS_MAX: usize = 10_000;

pub(crate) struct Route {
    pattern: Pattern,
    replacement: String,
    known: HashMap<Arc<str>, Option<Arc<str>>>,
}

impl Route {
    pub(crate) fn new(pattern: &str, replacement: &str) -> Result<Self, String> {
        Ok(Self {
            pattern: Pattern::new(pattern)?,
            replacement: replacement.to_owned(),
            known: HashMap::new(),
        })
    }

    /// The new name; `None` where the whole old one does not match.
    pub(crate) fn of(&mut self, topic: &str) -> Result<Option<Arc<str>>, TaskError> {
        if let Some(known) = self.known.get(topic) {
            return Ok(known.clone());
        }
        let routed = if self.pattern.matches(topic) {
            let routed = self.pattern.replace_first(topic, &self.replacement);
            Some(Arc::from(routed.map_err(TaskError::reject)?))
        } else {
            None
        };
        if self.known.len() >= TOPICS_MAX {
            self.known.clear();
        }
        self.known.insert(Arc::from(topic), routed.clone());
        Ok(routed)
    }
}
