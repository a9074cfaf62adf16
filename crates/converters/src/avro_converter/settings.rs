//! Options of the Avro converter: those of the serialiser and those of the data.

use std::time::Duration;

use connect::TaskError;
use connect::settings::{Definition, Importance, Properties, Standing, row};
use registry_client::{Credentials, Normalize};

use super::names::Scrub;
use super::subject::Strategy;
use crate::catalog::{Role, configuration_error};

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub client: registry_client::Settings,
    pub writing: Writing,
    pub normalize: Normalize,
    pub strategy: Strategy,
    pub shape: Shape,
}

/// Where the id comes from that a record is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// The schema is registered.
    Register,
    /// The schema must be registered already.
    LookUp,
    /// The subject's latest schema is used; the own one must fit it where `checked`.
    Latest { checked: bool },
    /// This id, whatever it is.
    Id { id: u32, checked: bool },
}

/// How Connect's schemas and Avro's are translated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Whether enums and the full names of unions survive.
    pub enhanced: bool,
    /// Whether what Avro cannot express is kept in properties.
    pub meta_data: bool,
    pub scrub: Scrub,
    pub optional_map_keys: bool,
    pub flatten_singleton_unions: bool,
    pub discard_type_doc: bool,
    pub nulls: Nulls,
}

/// What a null in a field with a default is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nulls {
    Default,
    Null,
}

pub(crate) fn definition() -> Definition {
    let text = |name, default: &'static str, doc| row(name).default(default).doc(doc);
    let flag = |name, default: &'static str, doc| row(name).boolean().default(default).doc(doc);
    Definition::new(vec![
        row("schema.registry.url")
            .list()
            .required()
            .importance(Importance::High)
            .doc("Comma-separated URLs of the schema registry, tried in turn."),
        flag("auto.register.schemas", "true", "Whether schemas are registered."),
        flag("use.latest.version", "false", "Whether the latest version of the subject is used for writing."),
        flag(
            "latest.compatibility.strict",
            "true",
            "Whether the own schema must be compatible with the latest.",
        ),
        flag(
            "id.compatibility.strict",
            "true",
            "Whether the own schema must be compatible with use.schema.id.",
        ),
        row("use.schema.id").int().default("-1").doc("The id of the schema to write with."),
        flag("normalize.schemas", "false", "Whether the registry compares normalised schemas."),
        text("key.subject.name.strategy", TOPIC_NAME_STRATEGY, "How the subject of keys is named."),
        text("value.subject.name.strategy", TOPIC_NAME_STRATEGY, "How the subject of values is named."),
        text("basic.auth.credentials.source", "URL", "Where credentials come from: URL or USER_INFO."),
        row("basic.auth.user.info").password().default("").doc("User and password, as user:password."),
        row("schema.registry.basic.auth.user.info")
            .password()
            .default("")
            .doc("Older name of basic.auth.user.info."),
        text("bearer.auth.credentials.source", "STATIC_TOKEN", "Where the bearer token comes from."),
        row("bearer.auth.token").password().default("").doc("The bearer token."),
        row("http.connect.timeout.ms").int().default("60000").doc("Time to connect to the registry."),
        row("http.read.timeout.ms").int().default("60000").doc("Time for one answer of the registry."),
        row("max.retries").int().default("3").doc("Tries after the first one."),
        row("retries.wait.ms").int().default("1000").doc("Wait before the first repetition."),
        row("retries.max.wait.ms").int().default("20000").doc("Longest wait before a repetition."),
        row("schema.registry.ssl.truststore.certificates").doc("Certificates to trust, as PEM text."),
        flag("enhanced.avro.schema.support", "false", "Whether enums and names of unions are kept."),
        flag("connect.meta.data", "true", "Whether Connect's properties are added to schemas."),
        flag("scrub.invalid.names", "false", "Whether names that Avro does not accept are rewritten."),
        flag("allow.optional.map.keys", "false", "Whether maps with optional string keys are Avro maps."),
        flag("flatten.singleton.unions", "true", "Whether a union of one type is that type."),
        flag("discard.type.doc.default", "false", "Whether a type's doc is not used for its field."),
        flag("ignore.default.for.nullables", "false", "Whether a null stays null where there is a default."),
        row("schemas.cache.config").int().default("1000").standing(Standing::Accepted),
        row("max.schemas.per.subject").int().default("1000").standing(Standing::Accepted),
        flag("generalized.sum.type.support", "false", "Unions and enums under Connect's general names.")
            .standing(Standing::Refused),
    ])
}

const TOPIC_NAME_STRATEGY: &str = "io.confluent.kafka.serializers.subject.TopicNameStrategy";

impl Settings {
    pub(super) fn parse(role: Role, properties: &Properties) -> Result<Self, TaskError> {
        let resolved = definition().resolve(properties);
        let mut errors = resolved.errors();
        let strategy = match role {
            Role::Key => "key.subject.name.strategy",
            Role::Value => "value.subject.name.strategy",
        };
        let name = resolved.text(strategy).unwrap_or(TOPIC_NAME_STRATEGY);
        let Some(strategy_kind) = Strategy::parse(name) else {
            errors.push(format!("Invalid value {name} for configuration {strategy}: not a known strategy"));
            return Err(configuration_error(&errors));
        };
        let credentials = credentials(&resolved).unwrap_or_else(|error| {
            errors.push(error);
            Credentials::Url
        });
        if !errors.is_empty() {
            return Err(configuration_error(&errors));
        }
        let millis = |name: &str| Duration::from_millis(u64::try_from(resolved.long(name)).unwrap_or(0));
        let client = registry_client::Settings {
            credentials,
            trusted_certificates: resolved
                .text("schema.registry.ssl.truststore.certificates")
                .map(str::to_owned),
            connect_timeout: millis("http.connect.timeout.ms"),
            request_timeout: millis("http.read.timeout.ms"),
            retries_max: u32::try_from(resolved.long("max.retries")).unwrap_or(0),
            retry_wait: millis("retries.wait.ms"),
            retry_wait_max: millis("retries.max.wait.ms"),
            ..registry_client::Settings::new(resolved.list("schema.registry.url").to_vec())
        };
        Ok(Self {
            client,
            writing: writing(&resolved),
            normalize: if resolved.boolean("normalize.schemas") { Normalize::Yes } else { Normalize::No },
            strategy: strategy_kind,
            shape: Shape {
                enhanced: resolved.boolean("enhanced.avro.schema.support"),
                meta_data: resolved.boolean("connect.meta.data"),
                scrub: if resolved.boolean("scrub.invalid.names") { Scrub::Yes } else { Scrub::No },
                optional_map_keys: resolved.boolean("allow.optional.map.keys"),
                flatten_singleton_unions: resolved.boolean("flatten.singleton.unions"),
                discard_type_doc: resolved.boolean("discard.type.doc.default"),
                nulls: if resolved.boolean("ignore.default.for.nullables") {
                    Nulls::Null
                } else {
                    Nulls::Default
                },
            },
        })
    }
}

fn writing(resolved: &connect::settings::Resolved) -> Writing {
    if resolved.boolean("auto.register.schemas") {
        return Writing::Register;
    }
    if let Ok(id) = u32::try_from(resolved.long("use.schema.id")) {
        return Writing::Id { id, checked: resolved.boolean("id.compatibility.strict") };
    }
    if resolved.boolean("use.latest.version") {
        return Writing::Latest { checked: resolved.boolean("latest.compatibility.strict") };
    }
    Writing::LookUp
}

fn credentials(resolved: &connect::settings::Resolved) -> Result<Credentials, String> {
    let given = |name: &str| resolved.text(name).filter(|text| !text.is_empty());
    if let Some(token) = given("bearer.auth.token") {
        return Ok(Credentials::Bearer { token: token.to_owned() });
    }
    match resolved.text("basic.auth.credentials.source").unwrap_or("URL") {
        "URL" => Ok(Credentials::Url),
        "USER_INFO" => {
            let info = given("basic.auth.user.info").or(given("schema.registry.basic.auth.user.info"));
            let (user, password) = info
                .and_then(|info| info.split_once(':'))
                .ok_or("basic.auth.user.info must be user:password when the source is USER_INFO")?;
            Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
        }
        other => Err(format!(
            "Invalid value {other} for configuration basic.auth.credentials.source: URL and USER_INFO are available"
        )),
    }
}
