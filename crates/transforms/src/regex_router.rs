//! `org.apache.kafka.connect.transforms.RegexRouter`: another topic where the whole name matches.

use std::sync::Arc;

use connect::settings::{Definition, Importance, Properties, row};
use connect::{Record, TaskError, Transform, Verdict};

use crate::options;
use crate::route::Route;

pub(crate) struct RegexRouter {
    route: Route,
    /// The last record's topic before and after, so that a record costs a look at a pointer.
    last: Option<(Arc<str>, Arc<str>)>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("regex")
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::pattern, "regex"))
            .doc("Pattern that the topic's whole name must match."),
        row("replacement")
            .required()
            .importance(Importance::High)
            .doc("New name; $1 and the like stand for groups of the pattern."),
    ])
}

impl RegexRouter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let (regex, replacement) = (resolved.text("regex"), resolved.text("replacement"));
        let route = Route::new(regex.unwrap_or_default(), replacement.unwrap_or_default());
        Ok(Self { route: route.map_err(|error| vec![error])?, last: None })
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
        let routed = self.route.of(&record.topic)?.unwrap_or_else(|| Arc::clone(&record.topic));
        self.last = Some((std::mem::replace(&mut record.topic, Arc::clone(&routed)), routed));
        Ok(Verdict::Keep)
    }
}
