//! `org.apache.kafka.connect.transforms.TimestampRouter`: the record's time in the name of its topic.

use std::sync::Arc;

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Record, TaskError, Transform, Verdict};

use crate::java_date_format::DateFormat;
use crate::options;

pub(crate) struct TimestampRouter {
    topic_format: String,
    timestamp_format: DateFormat,
    /// Topic and timestamp of the last record, and where it went.
    last: Option<(Arc<str>, String, Arc<str>)>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("topic.format").default("${topic}-${timestamp}").importance(Importance::High).doc(
            "The new topic's name; ${topic} stands for the old one, ${timestamp} for the record's time.",
        ),
        row("timestamp.format")
            .default("yyyyMMdd")
            .importance(Importance::High)
            .check(Validator::Check(check_format))
            .doc("How the time is written, in the letters of Java's SimpleDateFormat."),
    ])
}

fn check_format(value: Option<&str>, _: &Properties) -> Result<(), String> {
    let text = value.unwrap_or_default();
    DateFormat::new(text)
        .map(drop)
        .map_err(|error| format!("Invalid value {text} for configuration timestamp.format: {error}"))
}

impl TimestampRouter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let format = DateFormat::new(resolved.text("timestamp.format").unwrap_or_default());
        Ok(Self {
            topic_format: resolved.text("topic.format").unwrap_or_default().to_owned(),
            timestamp_format: format.map_err(|error| vec![error])?,
            last: None,
        })
    }
}

impl Transform for TimestampRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Some(millis) = record.timestamp else {
            return Err(TaskError::reject(format!("Timestamp missing on record of topic {}", record.topic)));
        };
        let timestamp = self.timestamp_format.format(millis);
        if let Some((topic, known, routed)) = &self.last
            && Arc::ptr_eq(topic, &record.topic)
            && *known == timestamp
        {
            record.topic = Arc::clone(routed);
            return Ok(Verdict::Keep);
        }
        let routed = self.topic_format.replace("${topic}", &record.topic).replace("${timestamp}", &timestamp);
        let routed = Arc::<str>::from(routed);
        let topic = std::mem::replace(&mut record.topic, Arc::clone(&routed));
        self.last = Some((topic, timestamp, routed));
        Ok(Verdict::Keep)
    }
}
