//! Class names that a configuration may name, and what each of them is.

use connect::Transform;
use connect::settings::{Definition, Properties};

use crate::extract_new_record_state::{self, ExtractNewRecordState};
use crate::part::Part;
use crate::predicate::{self, HasHeaderKey, Predicate, RecordIsTombstone, TopicNameMatches};
use crate::regex_router::{self, RegexRouter};
use crate::timestamp_converter::{self, TimestampConverter};

const EXTRACT_NEW_RECORD_STATE: &str = "io.debezium.transforms.ExtractNewRecordState";
const REGEX_ROUTER: &str = "org.apache.kafka.connect.transforms.RegexRouter";
const TIMESTAMP_CONVERTER_KEY: &str = "org.apache.kafka.connect.transforms.TimestampConverter$Key";
const TIMESTAMP_CONVERTER_VALUE: &str = "org.apache.kafka.connect.transforms.TimestampConverter$Value";

const CLASSES: [&str; 4] =
    [EXTRACT_NEW_RECORD_STATE, REGEX_ROUTER, TIMESTAMP_CONVERTER_KEY, TIMESTAMP_CONVERTER_VALUE];

const HAS_HEADER_KEY: &str = "org.apache.kafka.connect.transforms.predicates.HasHeaderKey";
const RECORD_IS_TOMBSTONE: &str = "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone";
const TOPIC_NAME_MATCHES: &str = "org.apache.kafka.connect.transforms.predicates.TopicNameMatches";

const PREDICATES: [&str; 3] = [HAS_HEADER_KEY, RECORD_IS_TOMBSTONE, TOPIC_NAME_MATCHES];

/// Full class names of the transforms, for the list of plugins.
pub fn transform_classes() -> impl Iterator<Item = &'static str> {
    CLASSES.into_iter()
}

/// Full class names of the predicates.
pub fn predicate_classes() -> impl Iterator<Item = &'static str> {
    PREDICATES.into_iter()
}

/// Connect accepts the full name or the simple one.
fn find(names: &[&'static str], class: &str) -> Option<&'static str> {
    names.iter().copied().find(|name| *name == class || name.rsplit('.').next() == Some(class))
}

/// The options of a transform or predicate class; `None` for an unknown one.
pub fn definition(class: &str) -> Option<Definition> {
    let name = find(&CLASSES, class).or_else(|| find(&PREDICATES, class))?;
    Some(match name {
        EXTRACT_NEW_RECORD_STATE => extract_new_record_state::definition(),
        REGEX_ROUTER => regex_router::definition(),
        HAS_HEADER_KEY => predicate::has_header_key_definition(),
        TOPIC_NAME_MATCHES => predicate::topic_name_matches_definition(),
        RECORD_IS_TOMBSTONE => Definition::default(),
        _ => timestamp_converter::definition(),
    })
}

/// Makes a transform; `properties` bear no prefix. All errors are reported together.
pub fn create(class: &str, properties: &Properties) -> Result<Box<dyn Transform>, Vec<String>> {
    Ok(match find(&CLASSES, class) {
        Some(EXTRACT_NEW_RECORD_STATE) => Box::new(ExtractNewRecordState::new(properties)?),
        Some(REGEX_ROUTER) => Box::new(RegexRouter::new(properties)?),
        Some(TIMESTAMP_CONVERTER_KEY) => Box::new(TimestampConverter::new(Part::Key, properties)?),
        Some(TIMESTAMP_CONVERTER_VALUE) => Box::new(TimestampConverter::new(Part::Value, properties)?),
        _ => return Err(vec![unknown("transformation", class, &CLASSES)]),
    })
}

/// Makes a predicate.
pub fn create_predicate(class: &str, properties: &Properties) -> Result<Box<dyn Predicate>, Vec<String>> {
    Ok(match find(&PREDICATES, class) {
        Some(HAS_HEADER_KEY) => Box::new(HasHeaderKey::new(properties)?),
        Some(TOPIC_NAME_MATCHES) => Box::new(TopicNameMatches::new(properties)?),
        Some(_) => Box::new(RecordIsTombstone),
        None => return Err(vec![unknown("predicate", class, &PREDICATES)]),
    })
}

fn unknown(what: &str, class: &str, available: &[&str]) -> String {
    format!(
        "Class {class} could not be found: this {what} is not available here. Available: {}",
        available.join(", ")
    )
}
