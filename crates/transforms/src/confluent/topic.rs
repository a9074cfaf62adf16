//! `ExtractTopic`: the topic from data or a header. `TopicRegexRouter` and `ChangeTopicCase`: another name for it.

use std::sync::Arc;

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Record, TaskError, Transform, Value, Verdict};

use super::filter::check_path;
use crate::json_path::JsonPath;
use crate::options;
use crate::part::Part;
use crate::regex_router::RegexRouter;

/// Where a topic's name is taken from: the three classes of ExtractTopic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicSource {
    Part(Part),
    Header,
}

pub(crate) struct ExtractTopic {
    from: TopicSource,
    field: String,
    path: JsonPath,
    missing: Missing,
    /// The last topic, shared by the records that go there.
    last: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Skipped,
    Error,
}

pub(crate) fn extract_definition() -> Definition {
    Definition::new(vec![
        row("field").default("").importance(Importance::Medium).check(Validator::Check(check_field)).doc(
            "Field with the topic's name; empty: the key or value itself. For headers the header's name.",
        ),
        row("field.format")
            .default("PLAIN")
            .importance(Importance::Medium)
            .check(Validator::OneOfIgnoreCase(&["PLAIN", "JSON_PATH"]))
            .doc("Whether field names a field (PLAIN) or is a path (JSON_PATH)."),
        row("skip.missing.or.null")
            .boolean()
            .default("false")
            .importance(Importance::Low)
            .doc("What a missing or null name means: true keeps the record's topic, false is an error."),
    ])
}

fn is_path(properties: &Properties) -> bool {
    properties.get("field.format").is_some_and(|format| format.trim().eq_ignore_ascii_case("JSON_PATH"))
}

fn check_field(value: Option<&str>, properties: &Properties) -> Result<(), String> {
    if is_path(properties) { check_path("field", value) } else { Ok(()) }
}

impl ExtractTopic {
    pub(crate) fn new(from: TopicSource, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&extract_definition(), properties)?;
        let field = resolved.text("field").unwrap_or_default().to_owned();
        let path = match (is_path(properties), field.as_str()) {
            (true, path) => JsonPath::new(path),
            (false, "") => JsonPath::new("$"),
            (false, name) => Ok(JsonPath::of_name(name)),
        };
        let skips = resolved.boolean("skip.missing.or.null");
        Ok(Self {
            from,
            field,
            path: path.map_err(|error| vec![error])?,
            missing: if skips { Missing::Skipped } else { Missing::Error },
            last: None,
        })
    }
}

impl Transform for ExtractTopic {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let found = match self.from {
            TopicSource::Header => record.headers.last(&self.field).map(|header| &header.value),
            TopicSource::Part(part) => self.path.find(part.of(record))?.first().map(|(_, value)| *value),
        };
        let name = match found {
            Some(Value::String(text)) if !text.is_empty() => text,
            None | Some(Value::Null | Value::String(_)) if self.missing == Missing::Skipped => {
                return Ok(Verdict::Keep);
            }
            Some(Value::Null) | None => {
                return Err(TaskError::reject(format!("'{}' is missing or null: no topic", self.field)));
            }
            Some(_) => {
                return Err(TaskError::reject(format!("'{}' is no text: no topic", self.field)));
            }
        };
        let topic = match &self.last {
            Some(topic) if **topic == **name => Arc::clone(topic),
            _ => Arc::from(&**name),
        };
        self.last = Some(Arc::clone(&topic));
        record.topic = topic;
        Ok(Verdict::Keep)
    }
}

/// Confluent Cloud's router: Kafka's, under other names of its options.
pub(crate) struct TopicRegexRouter(RegexRouter);

pub(crate) fn regex_definition() -> Definition {
    Definition::new(vec![
        row("topic.regex")
            .required()
            .aliases(&["regex"])
            .importance(Importance::High)
            .check(options::checked!(options::pattern, "topic.regex"))
            .doc("Pattern that the topic's whole name must match."),
        row("topic.replacement")
            .required()
            .aliases(&["replacement"])
            .importance(Importance::High)
            .doc("New name; $1 and the like stand for groups of the pattern."),
    ])
}

impl TopicRegexRouter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&regex_definition(), properties)?;
        let text = |option: &str| resolved.text(option).unwrap_or_default().to_owned();
        let kafka = [("regex", text("topic.regex")), ("replacement", text("topic.replacement"))];
        RegexRouter::new(&kafka.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()).map(Self)
    }
}

impl Transform for TopicRegexRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        self.0.apply(record)
    }
}

const CASES: [&str; 5] =
    ["LOWER_CAMEL", "LOWER_HYPHEN", "LOWER_UNDERSCORE", "UPPER_CAMEL", "UPPER_UNDERSCORE"];

pub(crate) struct ChangeTopicCase {
    from: String,
    to: String,
    last: Option<(Arc<str>, Arc<str>)>,
}

pub(crate) fn case_definition() -> Definition {
    Definition::new(vec![
        row("from")
            .required()
            .importance(Importance::High)
            .check(Validator::OneOf(&CASES))
            .doc("Case in which the topic's name is written now."),
        row("to")
            .required()
            .importance(Importance::High)
            .check(Validator::OneOf(&CASES))
            .doc("Case in which it is to be written."),
    ])
}

impl ChangeTopicCase {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&case_definition(), properties)?;
        let text = |option: &str| resolved.text(option).unwrap_or_default().to_owned();
        Ok(Self { from: text("from"), to: text("to"), last: None })
    }
}

impl Transform for ChangeTopicCase {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let known = self.last.as_ref().filter(|(topic, _)| Arc::ptr_eq(topic, &record.topic));
        let renamed = match known {
            Some((_, renamed)) => Arc::clone(renamed),
            None => Arc::from(joined(&words(&record.topic, &self.from), &self.to)),
        };
        let topic = std::mem::replace(&mut record.topic, Arc::clone(&renamed));
        self.last = Some((topic, renamed));
        Ok(Verdict::Keep)
    }
}

fn words(name: &str, case: &str) -> Vec<String> {
    match case {
        "LOWER_HYPHEN" => name.split('-').map(str::to_lowercase).collect(),
        "LOWER_UNDERSCORE" | "UPPER_UNDERSCORE" => name.split('_').map(str::to_lowercase).collect(),
        _ => {
            let mut words: Vec<String> = vec![];
            for character in name.chars() {
                match words.last_mut() {
                    Some(word) if !character.is_uppercase() => word.push(character),
                    _ => words.push(character.to_lowercase().collect()),
                }
            }
            words
        }
    }
}

fn joined(words: &[String], case: &str) -> String {
    let capitalised = |word: &String| {
        let mut rest = word.chars();
        rest.next().map(|first| first.to_uppercase().chain(rest).collect::<String>()).unwrap_or_default()
    };
    match case {
        "LOWER_HYPHEN" => words.join("-"),
        "LOWER_UNDERSCORE" => words.join("_"),
        "UPPER_UNDERSCORE" => words.join("_").to_uppercase(),
        "UPPER_CAMEL" => words.iter().map(capitalised).collect(),
        _ => {
            let rest: String = words.iter().skip(1).map(capitalised).collect();
            words.first().cloned().unwrap_or_default() + &rest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::Header;

    fn given(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn record() -> Record {
        let inner = Value::Map(Box::new([(Value::text("b"), Value::text("deep"))]));
        let value =
            Value::Map(Box::new([(Value::text("a"), inner), (Value::text("t"), Value::text("plain"))]));
        let mut record = Record::source("order_events".into(), (None, Value::text("whole")), (None, value));
        record.headers.push(Header { key: "h".into(), schema: None, value: Value::text("header") });
        record
    }

    fn run(mut transform: impl Transform) -> Option<String> {
        let mut record = record();
        transform.apply(&mut record).ok().map(|_| record.topic.to_string())
    }

    #[test]
    fn topics_from_data() {
        let value = |pairs: &[(&str, &str)]| {
            run(ExtractTopic::new(TopicSource::Part(Part::Value), &given(pairs)).unwrap())
        };
        assert_eq!(value(&[("field", "t")]).as_deref(), Some("plain"));
        assert_eq!(value(&[("field", "$.a.b"), ("field.format", "JSON_PATH")]).as_deref(), Some("deep"));
        assert_eq!(value(&[("field", "nothing")]), None);
        assert_eq!(
            value(&[("field", "nothing"), ("skip.missing.or.null", "true")]).as_deref(),
            Some("order_events")
        );
        let key = ExtractTopic::new(TopicSource::Part(Part::Key), &given(&[])).unwrap();
        assert_eq!(run(key).as_deref(), Some("whole"));
        let header = ExtractTopic::new(TopicSource::Header, &given(&[("field", "h")])).unwrap();
        assert_eq!(run(header).as_deref(), Some("header"));
    }

    #[test]
    fn other_names() {
        let router =
            TopicRegexRouter::new(&given(&[("topic.regex", "(.*)_(.*)"), ("topic.replacement", "$2.$1")]));
        assert_eq!(run(router.unwrap()).as_deref(), Some("events.order"));
        let case = |to: &str| {
            run(ChangeTopicCase::new(&given(&[("from", "LOWER_UNDERSCORE"), ("to", to)])).unwrap()).unwrap()
        };
        assert_eq!(case("UPPER_CAMEL"), "OrderEvents");
        assert_eq!(case("LOWER_CAMEL"), "orderEvents");
        assert_eq!(case("LOWER_HYPHEN"), "order-events");
        assert_eq!(words("orderEvents", "LOWER_CAMEL"), ["order", "events"]);
        assert!(ChangeTopicCase::new(&given(&[("from", "x"), ("to", "y")])).is_err());
    }
}
