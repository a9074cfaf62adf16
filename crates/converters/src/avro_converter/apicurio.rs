//! `io.apicurio.registry.utils.converter.AvroConverter` in Confluent mode: Apicurio's options said in Confluent's words.
//!
//! What is written has Confluent's form (a zero byte and four bytes of content id), and the registry is asked through
//! Confluent's API, which Apicurio serves under `/apis/ccompat/v7`. Its own forms (eight bytes, or ids in record
//! headers) are refused: their ids mean nothing to that API.

use connect::TaskError;
use connect::settings::{Definition, Importance, Properties, Resolved, Standing, row};

use super::format::{AvroFormat, converter as confluent};
use crate::catalog::{Role, configuration_error};
use crate::registered::RegisteredConverter;

const URL: &str = "apicurio.registry.url";
const AUTO_REGISTER: &str = "apicurio.registry.auto-register";
const FIND_LATEST: &str = "apicurio.registry.find-latest";
const AS_CONFLUENT: &str = "apicurio.registry.as-confluent";
const HEADERS: &str = "apicurio.registry.headers.enabled";
const USE_ID: &str = "apicurio.registry.use-id";
const STRATEGY: &str = "apicurio.registry.artifact-resolver-strategy";
const USER: &str = "apicurio.auth.username";
const PASSWORD: &str = "apicurio.auth.password";

/// Apicurio's own API, and the one that we speak.
const NATIVE_PATHS: [&str; 2] = ["/apis/registry/v2", "/apis/registry/v3"];
const CONFLUENT_PATH: &str = "/apis/ccompat/v7";

pub(crate) fn definition() -> Definition {
    let mut rows = vec![
        row(URL).required().importance(Importance::High).doc("URL of the registry."),
        row(AUTO_REGISTER).boolean().default("false").doc("Whether schemas are registered."),
        row(FIND_LATEST).boolean().default("false").doc("Whether the latest version is used for writing."),
        row(AS_CONFLUENT).boolean().default("true").doc("Whether payloads have Confluent's form: they must."),
        row(HEADERS).boolean().default("false").doc("Whether ids travel in headers: they must not."),
        row(USE_ID).default("contentId").doc("Which id is written: contentId."),
        row(STRATEGY)
            .default("TopicIdStrategy")
            .doc("How artifacts are named: TopicIdStrategy, RecordIdStrategy or TopicRecordIdStrategy."),
        row("apicurio.registry.artifact.group-id").default("default").standing(Standing::Refused),
        row("apicurio.registry.converter.serializer").class().standing(Standing::Accepted),
        row("apicurio.registry.converter.deserializer").class().standing(Standing::Accepted),
        row(USER).doc("User name."),
        row(PASSWORD).password().doc("Password of the user."),
        row("apicurio.auth.service.token.endpoint").default("").standing(Standing::Refused),
    ];
    let own: Vec<_> = super::definition().rows.into_iter().filter(|row| SHARED.contains(&row.name)).collect();
    rows.extend(own);
    Definition::new(rows)
}

/// Options that both converters have.
const SHARED: [&str; 3] = ["connect.meta.data", "enhanced.avro.schema.support", "schemas.cache.config"];

pub(crate) fn converter(
    role: Role,
    properties: &Properties,
) -> Result<RegisteredConverter<AvroFormat>, TaskError> {
    let resolved = definition().resolve(properties);
    let mut errors = resolved.errors();
    let translated = translate(role, &resolved, properties, &mut errors);
    if !errors.is_empty() {
        return Err(configuration_error(&errors));
    }
    confluent(role, &translated)
}

fn translate(
    role: Role,
    resolved: &Resolved,
    properties: &Properties,
    errors: &mut Vec<String>,
) -> Properties {
    let kept = properties.iter().filter(|(key, _)| !key.starts_with("apicurio."));
    let mut to = Properties::from_iter(kept.map(|(key, value)| (key.clone(), value.clone())));
    let mut set = |key: &str, value: &str| {
        to.insert(key.to_owned(), value.to_owned());
    };
    set("schema.registry.url", &url(resolved.text(URL).unwrap_or_default()));
    let register = resolved.boolean(AUTO_REGISTER);
    set("auto.register.schemas", if register { "true" } else { "false" });
    set("use.latest.version", if resolved.boolean(FIND_LATEST) { "true" } else { "false" });
    if let Some((user, password)) = resolved.text(USER).zip(resolved.text(PASSWORD)) {
        set("basic.auth.credentials.source", "USER_INFO");
        set("basic.auth.user.info", &format!("{user}:{password}"));
    }
    let strategy = resolved.text(STRATEGY).unwrap_or_default();
    let name = match strategy.rsplit('.').next() {
        Some("TopicIdStrategy") => "TopicNameStrategy",
        Some("RecordIdStrategy") => "RecordNameStrategy",
        Some("TopicRecordIdStrategy") => "TopicRecordNameStrategy",
        _ => {
            errors.push(format!("Invalid value {strategy} for configuration {STRATEGY}: not available"));
            "TopicNameStrategy"
        }
    };
    set(
        match role {
            Role::Key => "key.subject.name.strategy",
            Role::Value => "value.subject.name.strategy",
        },
        name,
    );
    if !resolved.boolean(AS_CONFLUENT) {
        errors.push(format!("{AS_CONFLUENT} must be true: ids of eight bytes are not available"));
    }
    if resolved.boolean(HEADERS) {
        errors.push(format!("{HEADERS} must be false: ids in headers are not available"));
    }
    if !resolved.text(USE_ID).unwrap_or_default().eq_ignore_ascii_case("contentId") {
        errors.push(format!("{USE_ID} must be contentId: the registry's Confluent API knows no other"));
    }
    to
}

fn url(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    let native = NATIVE_PATHS.iter().find_map(|path| text.strip_suffix(path));
    native.map_or_else(|| text.to_owned(), |base| format!("{base}{CONFLUENT_PATH}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_urls_become_the_confluent_ones() {
        assert_eq!(url("http://r:8080/apis/registry/v2/"), "http://r:8080/apis/ccompat/v7");
        assert_eq!(url("http://r:8081"), "http://r:8081");
    }
}
