//! `MessageTimestampRouter`: a time of the message in the name of its topic.

use std::sync::Arc;

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Record, TaskError, Transform, Value, Verdict};

use crate::java_date_format::DateFormat;
use crate::{options, shape};

pub(crate) struct MessageTimestampRouter {
    topic_format: String,
    written: DateFormat,
    read: DateFormat,
    /// The first one that the message has is taken.
    keys: Vec<String>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("topic.format")
            .default("${topic}-${timestamp}")
            .importance(Importance::High)
            .doc("The new topic's name; ${topic} stands for the old one, ${timestamp} for the time."),
        row("topic.timestamp.format")
            .default("yyyyMMdd")
            .importance(Importance::High)
            .check(Validator::Check(|value, _| check_format("topic.timestamp.format", value)))
            .doc("How the time is written, in the letters of Java's SimpleDateFormat."),
        row("message.timestamp.format")
            .default("yyyy-MM-dd")
            .importance(Importance::High)
            .check(Validator::Check(|value, _| check_format("message.timestamp.format", value)))
            .doc("How a time that is text is read, in the same letters."),
        row("message.timestamp.keys")
            .list()
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::names, "message.timestamp.keys"))
            .doc("Fields that may bear the time; the first one that is there counts."),
    ])
}

fn check_format(option: &str, value: Option<&str>) -> Result<(), String> {
    let text = value.unwrap_or_default();
    DateFormat::new(text)
        .map(drop)
        .map_err(|error| format!("Invalid value {text} for configuration {option}: {error}"))
}

impl MessageTimestampRouter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let format = |option: &str| {
            DateFormat::new(resolved.text(option).unwrap_or_default()).map_err(|error| vec![error])
        };
        Ok(Self {
            topic_format: resolved.text("topic.format").unwrap_or_default().to_owned(),
            written: format("topic.timestamp.format")?,
            read: format("message.timestamp.format")?,
            keys: resolved.list("message.timestamp.keys").to_vec(),
        })
    }
}

impl Transform for MessageTimestampRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let found = match (&record.value, &record.value_schema) {
            (Value::Map(entries), _) => self.keys.iter().find_map(|key| shape::entry(entries, key)),
            (Value::Struct(fields), Some(schema)) => {
                self.keys.iter().find_map(|key| Some(&fields[schema.field_index(key)?]))
            }
            _ => None,
        };
        let keys = || self.keys.join(", ");
        let millis = match found {
            Some(Value::Int64(millis) | Value::Date(millis)) => *millis,
            Some(Value::String(text)) => self.read.parse(text).ok_or_else(|| {
                TaskError::reject(format!("the timestamp {text} of the message is not of the format"))
            })?,
            _ => {
                return Err(TaskError::reject(format!("the message has no timestamp in any of: {}", keys())));
            }
        };
        let topic = self.topic_format.replace("${topic}", &record.topic);
        record.topic = Arc::from(topic.replace("${timestamp}", &self.written.format(millis)));
        Ok(Verdict::Keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_that_is_there() {
        let pairs = [("message.timestamp.keys", "a,b"), ("topic.timestamp.format", "yyyy.MM")];
        let properties = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut router = MessageTimestampRouter::new(&properties).unwrap();
        let value = Value::Map(Box::new([(Value::text("b"), Value::text("2020-03-04"))]));
        let mut record = Record::source("t".into(), (None, Value::Null), (None, value));
        router.apply(&mut record).unwrap();
        assert_eq!(&*record.topic, "t-2020.03");
        record.value = Value::Null;
        assert!(router.apply(&mut record).is_err());
    }
}
