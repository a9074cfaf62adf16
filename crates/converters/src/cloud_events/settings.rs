//! Options of the CloudEvents converter; those of JSON and Avro come under the prefixes `json.` and `avro.`.

use connect::TaskError;
use connect::settings::{Definition, Importance, Properties, Validator, row};

use crate::catalog::configuration_error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serializer {
    Json,
    Avro,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extensions {
    /// Operation, source and transaction are attributes of the event.
    Included,
    Left,
}

/// What is done about names that Avro does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adjustment {
    None,
    Avro,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub event: Serializer,
    pub data: Serializer,
    pub extensions: Extensions,
    pub adjustment: Adjustment,
    /// Name of the event's schema, where it is not made of server and database.
    pub schema_name: Option<String>,
    pub json: Properties,
    pub avro: Properties,
    /// For the attribute that says where the data's schema is.
    pub registry_urls: String,
}

/// The only source of metadata that a converter can see here: it is not given the headers.
const METADATA_FROM_VALUE: &str = "value,id:generate,type:generate";

pub(crate) fn definition() -> Definition {
    let kind = |name| {
        row(name)
            .default("json")
            .importance(Importance::High)
            .check(Validator::OneOfIgnoreCase(&["json", "avro"]))
    };
    Definition::new(vec![
        kind("serializer.type").doc("How events are written: json or avro."),
        kind("data.serializer.type").doc("How the data within events are written: json or avro."),
        row("extension.attributes.enable")
            .boolean()
            .default("true")
            .importance(Importance::High)
            .doc("Whether operation, source and transaction are attributes of the event."),
        row("schema.name.adjustment.mode")
            .default("avro")
            .importance(Importance::Low)
            .check(Validator::OneOf(&["none", "avro"]))
            .doc("Whether characters that Avro does not accept in the event's schema name are replaced."),
        row("schema.cloudevents.name").importance(Importance::Low).doc("Name of the event's schema."),
        row("metadata.source")
            .default(METADATA_FROM_VALUE)
            .importance(Importance::High)
            .check(Validator::Check(|value, _| match value.map(|text| text.replace(' ', "")).as_deref() {
                None | Some("value" | METADATA_FROM_VALUE) => Ok(()),
                Some(_) => Err(format!("metadata.source: only {METADATA_FROM_VALUE} is available")),
            }))
            .doc("Where metadata come from: the value; id and type are generated."),
    ])
}

impl Settings {
    pub(super) fn parse(properties: &Properties) -> Result<Self, TaskError> {
        let resolved = definition().resolve(properties);
        let mut errors = resolved.errors();
        let kind = |name: &str| match resolved.text(name) {
            Some(text) if text.eq_ignore_ascii_case("avro") => Serializer::Avro,
            _ => Serializer::Json,
        };
        let (event, data) = (kind("serializer.type"), kind("data.serializer.type"));
        if (event, data) == (Serializer::Avro, Serializer::Json) {
            errors.push("Cannot use 'application/json' data content type within Avro events".to_owned());
        }
        let avro = subset(properties, "avro.");
        let urls = avro.get("schema.registry.url").or_else(|| avro.get("apicurio.registry.url")).cloned();
        if data == Serializer::Avro && urls.is_none() {
            errors.push(
                "Need URL(s) for schema registry instances for CloudEvents when using Apache Avro \
                 (avro.schema.registry.url)"
                    .to_owned(),
            );
        }
        if !errors.is_empty() {
            return Err(configuration_error(&errors));
        }
        Ok(Self {
            event,
            data,
            extensions: if resolved.boolean("extension.attributes.enable") {
                Extensions::Included
            } else {
                Extensions::Left
            },
            adjustment: match resolved.text("schema.name.adjustment.mode") {
                Some("none") => Adjustment::None,
                _ => Adjustment::Avro,
            },
            schema_name: resolved.text("schema.cloudevents.name").map(str::to_owned),
            json: subset(properties, "json."),
            avro,
            registry_urls: urls.unwrap_or_default(),
        })
    }
}

fn subset(properties: &Properties, prefix: &str) -> Properties {
    let own = properties.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
    own.map(|(key, value)| (key.to_owned(), value.clone())).collect()
}
