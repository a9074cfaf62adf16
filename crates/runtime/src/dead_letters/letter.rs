//! One dead letter: the record as it was, and what Connect's context headers say about it.

use std::fmt;
use std::str::FromStr;

use kafka::Message;
use kafka::message::MessageHeaders;

/// The context headers, in the order in which they are appended.
const CONTEXT: [&str; 10] = [
    "__connect.errors.topic",
    "__connect.errors.partition",
    "__connect.errors.offset",
    "__connect.errors.connector.name",
    "__connect.errors.task.id",
    "__connect.errors.stage",
    "__connect.errors.class.name",
    "__connect.errors.exception.class.name",
    "__connect.errors.exception.message",
    "__connect.errors.exception.stacktrace",
];

/// A place in a dead letter topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl FromStr for At {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("\"{text}\" is no place in a topic: offset, or partition:offset");
        let (partition, offset) = text.split_once(':').unwrap_or(("0", text));
        let at = Self {
            partition: partition.parse().map_err(|_| bad())?,
            offset: offset.parse().map_err(|_| bad())?,
        };
        if at.partition < 0 || at.offset < 0 { Err(bad()) } else { Ok(at) }
    }
}

/// What the headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub connector: String,
    pub task: String,
    pub stage: String,
    /// Of the converter, transform or task.
    pub class: String,
    pub exception: String,
    pub message: Option<String>,
    pub trace: Option<String>,
}

/// The record that a letter is about: two letters may be about one record, which failed again after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: Option<i64>,
}

/// A record of a dead letter topic.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub at: At,
    /// `None`: it was written without context headers.
    pub context: Option<Context>,
    /// The headers that the record had before it failed.
    pub headers: MessageHeaders,
    pub message: Message,
}

impl DeadLetter {
    pub fn new(message: Message) -> Self {
        let at = At { partition: message.partition, offset: message.offset };
        let (context, original) = split(&message.headers);
        let headers = if original == message.headers.len() {
            message.headers.clone()
        } else {
            message.headers[..original].into()
        };
        Self { at, context, headers, message }
    }

    pub fn identity(&self) -> Identity {
        let (topic, partition, offset) = match &self.context {
            Some(context) => (context.topic.clone(), context.partition, context.offset),
            None => (self.message.topic.to_string(), self.at.partition, self.at.offset),
        };
        Identity { topic, partition, offset, timestamp: self.message.timestamp }
    }

    /// Bytes that it holds in memory, about.
    pub fn bytes(&self) -> usize {
        let part = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
        let headers =
            self.message.headers.iter().map(|(name, value)| name.len() + part(value)).sum::<usize>();
        part(&self.message.key) + part(&self.message.value) + 2 * headers
    }
}

/// The context, and how many headers come before it. Only the last ten can be this letter's: a record that went through
/// a queue before carries older ones.
fn split(headers: &MessageHeaders) -> (Option<Context>, usize) {
    let Some(start) = headers.len().checked_sub(CONTEXT.len()) else { return (None, headers.len()) };
    let own = &headers[start..];
    if !own.iter().zip(CONTEXT).all(|((name, _), wanted)| **name == *wanted) {
        return (None, headers.len());
    }
    let text = |place: usize| own[place].1.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let must = |place: usize| text(place).unwrap_or_default();
    let (Ok(partition), Ok(offset)) = (must(1).parse(), must(2).parse()) else {
        return (None, headers.len());
    };
    let context = Context {
        topic: must(0),
        partition,
        offset,
        connector: must(3),
        task: must(4),
        stage: must(5),
        class: must(6),
        exception: must(7),
        message: text(8),
        trace: text(9),
    };
    (Some(context), start)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use bytes::Bytes;
    use kafka::message::TimestampType;

    pub fn letter(offset: i64, headers: &[(&str, Option<&str>)]) -> DeadLetter {
        DeadLetter::new(Message {
            topic: "dlq".into(),
            partition: 0,
            offset,
            timestamp: Some(7),
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value: Some(Bytes::from_static(b"{}")),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    ((*name).into(), value.map(|text| Bytes::copy_from_slice(text.as_bytes())))
                })
                .collect(),
        })
    }

    pub fn context(values: [Option<&str>; 10]) -> Vec<(&'static str, Option<&str>)> {
        CONTEXT.into_iter().zip(values).collect()
    }

    #[test]
    fn the_last_ten_headers_are_the_context() {
        let values = ["t", "2", "40", "c", "0", "TASK_PUT", "S", "E", "no", "E: no"].map(Some);
        let mut headers = vec![("own", Some("1")), ("null", None)];
        headers.extend(context(["old", "1", "1", "x", "0", "TASK_PUT", "S", "E", "m", "t"].map(Some)));
        headers.extend(context(values));
        let letter = letter(3, &headers);
        let found = letter.context.clone().expect("there is a context");
        assert_eq!((&*found.topic, found.partition, found.offset), ("t", 2, 40));
        assert_eq!((&*found.connector, found.message.as_deref()), ("c", Some("no")));
        assert_eq!(letter.headers.len(), 12);
        let identity = Identity { topic: "t".into(), partition: 2, offset: 40, timestamp: Some(7) };
        assert_eq!(letter.identity(), identity);
    }

    #[test]
    fn a_null_message_is_none_and_other_headers_are_the_records() {
        let values = ["t", "0", "1", "c", "0", "TASK_PUT", "S", "E"].map(Some);
        let values: Vec<_> = values.into_iter().chain([None, None]).collect();
        let with_nulls = letter(0, &context(values.try_into().expect("ten values")));
        assert_eq!(with_nulls.context.expect("there is a context").message, None);
        let plain = letter(5, &[("__connect.errors.topic", Some("t"))]);
        assert_eq!(plain.context, None);
        assert_eq!(plain.headers.len(), 1);
        let own = Identity { topic: "dlq".into(), partition: 0, offset: 5, timestamp: Some(7) };
        assert_eq!(plain.identity(), own);
    }

    #[test]
    fn places_are_read_in_both_forms() {
        assert_eq!("12".parse(), Ok(At { partition: 0, offset: 12 }));
        assert_eq!("3:12".parse(), Ok(At { partition: 3, offset: 12 }));
        for text in ["", "-1", "a", "1:", "1:2:3", ":4"] {
            assert!(text.parse::<At>().is_err(), "{text}");
        }
    }
}
