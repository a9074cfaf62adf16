//! Class names that a configuration may name, and what each of them is.

use connect::Transform;
use connect::settings::{Definition, Properties};

use crate::cast::{self, Cast};
use crate::changed_record_state::{self, ExtractChangedRecordState};
use crate::confluent;
use crate::decode_message_content::{self, DecodeLogicalDecodingMessageContent};
use crate::enforce_record_size::{self, EnforceRecordSize};
use crate::expression::{self, ContentBasedRouter};
use crate::extract_field::{self, ExtractField};
use crate::extract_new_record_state::{self, ExtractNewRecordState};
use crate::filter::Filter;
use crate::flatten::{self, Flatten};
use crate::geometry::{self, GeometryFormatTransformer, SwapGeometryCoordinates};
use crate::header_to_value::{self, HeaderToValue};
use crate::headers::{self, DropHeaders, HeaderFrom, InsertHeader};
use crate::hoist_field::{self, HoistField};
use crate::insert_field::{self, InsertField};
use crate::logical_table_router::{self, ByLogicalTableRouter};
use crate::mask_field::{self, MaskField};
use crate::outbox_event_router::{self, EventRouter};
use crate::part::Part;
use crate::partition_routing::{self, PartitionRouting};
use crate::predicate::{self, HasHeaderKey, Predicate, RecordIsTombstone, TopicNameMatches};
use crate::regex_router::{self, RegexRouter};
use crate::replace_field::{self, ReplaceField};
use crate::schema_change_event_filter::{self, SchemaChangeEventFilter};
use crate::schema_to_new_record::{self, ExtractSchemaToNewRecord};
use crate::set_schema_metadata::{self, SetSchemaMetadata};
use crate::timestamp_converter::{self, TimestampConverter};
use crate::timestamp_router::{self, TimestampRouter};
use crate::timezone_converter::{self, TimezoneConverter};
use crate::value_to_key::{self, ValueToKey};
use crate::vector_to_json::VectorToJsonConverter;

/// One class: its name, its options and what makes one.
struct Class<T: ?Sized + 'static> {
    name: &'static str,
    definition: fn() -> Definition,
    create: fn(&Properties) -> Result<Box<T>, Vec<String>>,
}

macro_rules! class {
    ($name:expr, $definition:expr, $create:expr) => {
        Class {
            name: $name,
            definition: $definition,
            create: |properties| Ok(Box::new($create(properties)?)),
        }
    };
}

/// The two classes of a transform that is for keys or for values.
macro_rules! parts {
    ($name:literal, $definition:expr, $create:path) => {
        [
            class!(concat!($name, "$Key"), $definition, |properties| $create(Part::Key, properties)),
            class!(concat!($name, "$Value"), $definition, |properties| $create(Part::Value, properties)),
        ]
    };
}

const KAFKA: &[Class<dyn Transform>] = &[
    class!(
        "org.apache.kafka.connect.transforms.DropHeaders",
        headers::drop_headers_definition,
        DropHeaders::new
    ),
    class!("org.apache.kafka.connect.transforms.Filter", Definition::default, |_| nothing_wrong(Filter)),
    class!(
        "org.apache.kafka.connect.transforms.InsertHeader",
        headers::insert_header_definition,
        InsertHeader::new
    ),
    class!("org.apache.kafka.connect.transforms.RegexRouter", regex_router::definition, RegexRouter::new),
    class!(
        "org.apache.kafka.connect.transforms.TimestampRouter",
        timestamp_router::definition,
        TimestampRouter::new
    ),
    class!("org.apache.kafka.connect.transforms.ValueToKey", value_to_key::definition, ValueToKey::new),
];

const KAFKA_PARTS: &[[Class<dyn Transform>; 2]] = &[
    parts!("org.apache.kafka.connect.transforms.Cast", cast::definition, Cast::new),
    parts!("org.apache.kafka.connect.transforms.ExtractField", extract_field::definition, ExtractField::new),
    parts!("org.apache.kafka.connect.transforms.Flatten", flatten::definition, Flatten::new),
    parts!(
        "org.apache.kafka.connect.transforms.HeaderFrom",
        headers::header_from_definition,
        HeaderFrom::new
    ),
    parts!("org.apache.kafka.connect.transforms.HoistField", hoist_field::definition, HoistField::new),
    parts!("org.apache.kafka.connect.transforms.InsertField", insert_field::definition, InsertField::new),
    parts!("org.apache.kafka.connect.transforms.MaskField", mask_field::definition, MaskField::new),
    parts!("org.apache.kafka.connect.transforms.ReplaceField", replace_field::definition, ReplaceField::new),
    parts!(
        "org.apache.kafka.connect.transforms.SetSchemaMetadata",
        set_schema_metadata::definition,
        SetSchemaMetadata::new
    ),
    parts!(
        "org.apache.kafka.connect.transforms.TimestampConverter",
        timestamp_converter::definition,
        TimestampConverter::new
    ),
];

const DEBEZIUM: &[Class<dyn Transform>] = &[
    class!(
        "io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent",
        decode_message_content::definition,
        DecodeLogicalDecodingMessageContent::new
    ),
    class!(
        "io.debezium.transforms.ByLogicalTableRouter",
        logical_table_router::definition,
        ByLogicalTableRouter::new
    ),
    class!(
        "io.debezium.transforms.ExtractNewRecordState",
        extract_new_record_state::definition,
        ExtractNewRecordState::new
    ),
    class!(
        "io.debezium.transforms.ContentBasedRouter",
        expression::router_definition,
        ContentBasedRouter::new
    ),
    class!(
        "io.debezium.transforms.EnforceRecordSize",
        enforce_record_size::definition,
        EnforceRecordSize::new
    ),
    class!(
        "io.debezium.transforms.ExtractChangedRecordState",
        changed_record_state::definition,
        ExtractChangedRecordState::new
    ),
    class!(
        "io.debezium.transforms.ExtractSchemaToNewRecord",
        schema_to_new_record::definition,
        ExtractSchemaToNewRecord::new
    ),
    class!("io.debezium.transforms.Filter", expression::filter_definition, expression::Filter::new),
    class!(
        "io.debezium.transforms.GeometryFormatTransformer",
        geometry::format_definition,
        GeometryFormatTransformer::new
    ),
    class!("io.debezium.transforms.HeaderToValue", header_to_value::definition, HeaderToValue::new),
    class!(
        "io.debezium.transforms.SchemaChangeEventFilter",
        schema_change_event_filter::definition,
        SchemaChangeEventFilter::new
    ),
    class!(
        "io.debezium.transforms.SwapGeometryCoordinates",
        geometry::swap_definition,
        SwapGeometryCoordinates::new
    ),
    class!(
        "io.debezium.transforms.TimezoneConverter",
        timezone_converter::definition,
        TimezoneConverter::new
    ),
    class!("io.debezium.transforms.VectorToJsonConverter", Definition::default, |_| nothing_wrong(
        VectorToJsonConverter::default()
    )),
    class!("io.debezium.transforms.outbox.EventRouter", outbox_event_router::definition, EventRouter::new),
    class!(
        "io.debezium.transforms.partitions.PartitionRouting",
        partition_routing::definition,
        PartitionRouting::new
    ),
];

const CONFLUENT: &[Class<dyn Transform>] = &[
    class!(
        "io.confluent.connect.transforms.ChangeTopicCase",
        confluent::case_definition,
        confluent::ChangeTopicCase::new
    ),
    class!(
        "io.confluent.connect.transforms.ExtractTopic$Header",
        confluent::extract_definition,
        |properties| { confluent::ExtractTopic::new(confluent::TopicSource::Header, properties) }
    ),
    class!("io.confluent.connect.transforms.ExtractTopic$Key", confluent::extract_definition, |properties| {
        confluent::ExtractTopic::new(confluent::TopicSource::Part(Part::Key), properties)
    }),
    class!(
        "io.confluent.connect.transforms.ExtractTopic$Value",
        confluent::extract_definition,
        |properties| { confluent::ExtractTopic::new(confluent::TopicSource::Part(Part::Value), properties) }
    ),
    class!(
        "io.confluent.connect.transforms.MessageTimestampRouter",
        confluent::timestamp_definition,
        confluent::MessageTimestampRouter::new
    ),
    class!(
        "io.confluent.connect.transforms.TombstoneHandler",
        confluent::tombstone_definition,
        confluent::TombstoneHandler::new
    ),
    class!(
        "io.confluent.connect.transforms.TopicRegexRouter",
        confluent::regex_definition,
        confluent::TopicRegexRouter::new
    ),
    class!(
        "io.confluent.connect.cloud.transforms.TopicRegexRouter",
        confluent::regex_definition,
        confluent::TopicRegexRouter::new
    ),
];

const CONFLUENT_PARTS: &[[Class<dyn Transform>; 2]] = &[
    parts!(
        "io.confluent.connect.transforms.BytesToString",
        confluent::bytes_definition,
        confluent::BytesToString::new
    ),
    parts!("io.confluent.connect.transforms.Drop", confluent::drop_definition, confluent::Drop::new),
    parts!("io.confluent.connect.transforms.Filter", confluent::filter_definition, confluent::Filter::new),
];

const PREDICATES: &[Class<dyn Predicate>] = &[
    class!(
        "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
        predicate::has_header_key_definition,
        HasHeaderKey::new
    ),
    class!("org.apache.kafka.connect.transforms.predicates.RecordIsTombstone", Definition::default, |_| {
        nothing_wrong(RecordIsTombstone)
    }),
    class!(
        "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        predicate::topic_name_matches_definition,
        TopicNameMatches::new
    ),
];

/// A class without options.
fn nothing_wrong<T>(made: T) -> Result<T, Vec<String>> {
    Ok(made)
}

fn classes() -> impl Iterator<Item = &'static Class<dyn Transform>> + Clone {
    let parts = |classes: &'static [[Class<dyn Transform>; 2]]| classes.iter().flatten();
    KAFKA.iter().chain(parts(KAFKA_PARTS)).chain(DEBEZIUM).chain(CONFLUENT).chain(parts(CONFLUENT_PARTS))
}

/// Full class names of the transforms, for the list of plugins.
pub fn transform_classes() -> impl Iterator<Item = &'static str> {
    classes().map(|class| class.name)
}

/// Full class names of the predicates.
pub fn predicate_classes() -> impl Iterator<Item = &'static str> {
    PREDICATES.iter().map(|class| class.name)
}

/// Connect accepts the full name or the simple one; of two classes with one simple name the first has it.
fn find<T: ?Sized>(
    mut classes: impl Iterator<Item = &'static Class<T>> + Clone,
    wanted: &str,
) -> Option<&'static Class<T>> {
    let mut simple = classes.clone().filter(|class| class.name.rsplit('.').next() == Some(wanted));
    classes.find(|class| class.name == wanted).or_else(|| simple.next())
}

/// The options of a transform or predicate class; `None` for an unknown one.
pub fn definition(class: &str) -> Option<Definition> {
    let transform = find(classes(), class);
    let options = transform.map(|class| class.definition);
    let options = options.or_else(|| find(PREDICATES.iter(), class).map(|class| class.definition))?;
    Some(options())
}

/// Makes a transform; `properties` bear no prefix. All errors are reported together.
pub fn create(class: &str, properties: &Properties) -> Result<Box<dyn Transform>, Vec<String>> {
    match find(classes(), class) {
        Some(found) => (found.create)(properties),
        None => Err(vec![unknown("transformation", class, transform_classes())]),
    }
}

/// Makes a predicate.
pub fn create_predicate(class: &str, properties: &Properties) -> Result<Box<dyn Predicate>, Vec<String>> {
    match find(PREDICATES.iter(), class) {
        Some(found) => (found.create)(properties),
        None => Err(vec![unknown("predicate", class, predicate_classes())]),
    }
}

fn unknown(what: &str, class: &str, available: impl Iterator<Item = &'static str>) -> String {
    format!(
        "Class {class} could not be found: this {what} is not available here. Available: {}",
        available.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_sound_table() {
        for name in transform_classes().chain(predicate_classes()) {
            let options = definition(name).unwrap();
            let mut names: Vec<_> = options.rows.iter().map(|row| row.name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {names:?}");
            assert!(options.rows.iter().all(|row| !row.doc.is_empty()), "{name}");
        }
    }

    #[test]
    fn what_is_required_is_asked_for() {
        for class in classes() {
            let required: Vec<_> =
                (class.definition)().rows.iter().filter(|row| row.required).map(|row| row.name).collect();
            match (class.create)(&Properties::default()) {
                // `InsertField` and `SetSchemaMetadata` want one of several.
                Ok(_) => assert!(required.is_empty(), "{}", class.name),
                Err(errors) => {
                    let text = errors.join("; ");
                    assert!(required.iter().all(|name| text.contains(name)), "{}: {text}", class.name);
                }
            }
        }
    }

    #[test]
    fn simple_names_are_kafkas_first() {
        let found = find(classes(), "Filter").unwrap();
        assert_eq!(found.name, "org.apache.kafka.connect.transforms.Filter");
        assert_eq!(find(classes(), "EventRouter").unwrap().name, "io.debezium.transforms.outbox.EventRouter");
        assert!(find(classes(), "Nope").is_none());
    }
}
