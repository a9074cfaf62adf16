//! Options of Confluent's serialisers: where the registry is, and what is asked of it.

use std::time::Duration;

use connect::settings::{Importance, Properties, Resolved, Row, Standing, row};
use registry_client::{Credentials, Normalize};

use super::subject::Strategy;
use super::tls;
use crate::catalog::Role;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub client: registry_client::Settings,
    pub writing: Writing,
    pub normalize: Normalize,
    pub strategy: Strategy,
    /// Prepared schemas of writers that are kept; the oldest make room.
    pub schemas_cached_max: usize,
}

/// Where the id comes from that a record is written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// The schema is registered.
    Register,
    /// The schema must be registered already.
    LookUp,
    /// The subject's latest schema is used; the own one must fit it where that is strict.
    Latest(Strict),
    /// The latest schema that bears these metadata.
    LatestWith(Vec<(String, String)>, Strict),
    /// This id, whatever it is.
    Id(u32, Strict),
}

/// Whether the own schema must fit the registry's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strict {
    Yes,
    No,
}

const TOPIC_NAME_STRATEGY: &str = "io.confluent.kafka.serializers.subject.TopicNameStrategy";

/// The rows that every format's table begins with.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("schema.registry.url")
            .list()
            .required()
            .importance(Importance::High)
            .doc("Comma-separated URLs of the schema registry, tried in turn."),
        flag("auto.register.schemas", "true", "Whether schemas are registered."),
        flag("use.latest.version", "false", "Whether the latest version of the subject is used for writing."),
        row("use.latest.with.metadata")
            .list()
            .default("")
            .doc("Write with the latest version that has these metadata, as key=value pairs."),
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
        row("schemas.cache.config").int().default("1000").doc("How many converted schemas are kept."),
        row("max.schemas.per.subject").int().default("1000").standing(Standing::Accepted),
    ];
    rows.extend(connection_rows());
    rows.extend(tls::rows());
    rows
}

fn text(name: &'static str, default: &'static str, doc: &'static str) -> Row {
    row(name).default(default).doc(doc)
}

fn flag(name: &'static str, default: &'static str, doc: &'static str) -> Row {
    row(name).boolean().default(default).doc(doc)
}

fn connection_rows() -> Vec<Row> {
    vec![
        text(
            "basic.auth.credentials.source",
            "URL",
            "Where credentials come from: URL, USER_INFO or SASL_INHERIT.",
        )
        .aliases(&["schema.registry.basic.auth.credentials.source"]),
        row("basic.auth.user.info")
            .password()
            .default("")
            .aliases(&["schema.registry.basic.auth.user.info"])
            .doc("User and password, as user:password."),
        row("sasl.jaas.config")
            .password()
            .default("")
            .doc("Holds the user name and password for the source SASL_INHERIT."),
        text(
            "bearer.auth.credentials.source",
            "STATIC_TOKEN",
            "Where the bearer token comes from: STATIC_TOKEN.",
        )
        .aliases(&["schema.registry.bearer.auth.credentials.source"]),
        row("bearer.auth.token")
            .password()
            .default("")
            .aliases(&["schema.registry.bearer.auth.token"])
            .doc("The bearer token."),
        text(
            "bearer.auth.logical.cluster",
            "",
            "Sent as the header target-sr-cluster beside a bearer token.",
        ),
        text(
            "bearer.auth.identity.pool.id",
            "",
            "Sent as the header Confluent-Identity-Pool-Id beside a bearer token.",
        ),
        text("proxy.host", "", "Host of the HTTP proxy between us and the registry."),
        row("proxy.port").int().default("-1").doc("Port of the HTTP proxy."),
        row("http.connect.timeout.ms").int().default("60000").doc("Time to connect to the registry."),
        row("http.read.timeout.ms").int().default("60000").doc("Time for one answer of the registry."),
        row("max.retries").int().default("3").doc("Tries after the first one."),
        row("retries.wait.ms").int().default("1000").doc("Wait before the first repetition."),
        row("retries.max.wait.ms").int().default("20000").doc("Longest wait before a repetition."),
    ]
}

impl Settings {
    /// Adds to `errors` what is wrong; the result means nothing then.
    pub(super) fn from_resolved(
        role: Role,
        resolved: &Resolved,
        properties: &Properties,
        errors: &mut Vec<String>,
    ) -> Self {
        let mut keep = |error: String| errors.push(error);
        let strategy = strategy(role, resolved).unwrap_or_else(|error| {
            keep(error);
            Strategy::Topic
        });
        let credentials = credentials(resolved).unwrap_or_else(|error| {
            keep(error);
            Credentials::Url
        });
        let writing = writing(resolved).unwrap_or_else(|error| {
            keep(error);
            Writing::Register
        });
        let tls = tls::parse(properties).unwrap_or_else(|error| {
            keep(error);
            registry_client::Tls::default()
        });
        let millis = |name: &str| Duration::from_millis(u64::try_from(resolved.long(name)).unwrap_or(0));
        let given = |name: &str| resolved.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let proxy_port = u16::try_from(resolved.long("proxy.port")).ok();
        let client = registry_client::Settings {
            credentials,
            tls,
            proxy: given("proxy.host").zip(proxy_port),
            connect_timeout: millis("http.connect.timeout.ms"),
            request_timeout: millis("http.read.timeout.ms"),
            retries_max: u32::try_from(resolved.long("max.retries")).unwrap_or(0),
            retry_wait: millis("retries.wait.ms"),
            retry_wait_max: millis("retries.max.wait.ms"),
            ..registry_client::Settings::new(resolved.list("schema.registry.url").to_vec())
        };
        Self {
            client,
            writing,
            normalize: if resolved.boolean("normalize.schemas") { Normalize::Yes } else { Normalize::No },
            strategy,
            schemas_cached_max: usize::try_from(resolved.long("schemas.cache.config")).unwrap_or(0).max(1),
        }
    }
}

fn strategy(role: Role, resolved: &Resolved) -> Result<Strategy, String> {
    let option = match role {
        Role::Key => "key.subject.name.strategy",
        Role::Value => "value.subject.name.strategy",
    };
    let name = resolved.text(option).unwrap_or(TOPIC_NAME_STRATEGY);
    Strategy::parse(name)
        .ok_or_else(|| format!("Invalid value {name} for configuration {option}: not a known strategy"))
}

/// In the order in which Confluent's serialiser looks at them.
fn writing(resolved: &Resolved) -> Result<Writing, String> {
    let strict = |name: &str| if resolved.boolean(name) { Strict::Yes } else { Strict::No };
    if resolved.boolean("auto.register.schemas") {
        return Ok(Writing::Register);
    }
    if let Ok(id) = u32::try_from(resolved.long("use.schema.id")) {
        return Ok(Writing::Id(id, strict("id.compatibility.strict")));
    }
    let pair = |text: &String| {
        let (key, value) = text.split_once(['=', ':'])?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    let metadata = resolved.list("use.latest.with.metadata").iter().filter(|it| !it.is_empty());
    let metadata: Option<Vec<_>> = metadata.map(pair).collect();
    let metadata = metadata.ok_or("use.latest.with.metadata must be a list of key=value")?;
    if !metadata.is_empty() {
        return Ok(Writing::LatestWith(metadata, strict("latest.compatibility.strict")));
    }
    if resolved.boolean("use.latest.version") {
        return Ok(Writing::Latest(strict("latest.compatibility.strict")));
    }
    Ok(Writing::LookUp)
}

fn credentials(resolved: &Resolved) -> Result<Credentials, String> {
    let given = |name: &str| resolved.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let bearer = resolved.text("bearer.auth.credentials.source").unwrap_or("STATIC_TOKEN");
    if bearer != "STATIC_TOKEN" {
        return Err(format!(
            "Invalid value {bearer} for configuration bearer.auth.credentials.source: STATIC_TOKEN is available"
        ));
    }
    if let Some(token) = given("bearer.auth.token") {
        return Ok(Credentials::Bearer {
            token,
            logical_cluster: given("bearer.auth.logical.cluster"),
            identity_pool: given("bearer.auth.identity.pool.id"),
        });
    }
    match resolved.text("basic.auth.credentials.source").unwrap_or("URL") {
        "URL" => Ok(Credentials::Url),
        "USER_INFO" => {
            let info = given("basic.auth.user.info");
            let (user, password) = info
                .as_deref()
                .and_then(|info| info.split_once(':'))
                .ok_or("basic.auth.user.info must be user:password when the source is USER_INFO")?;
            Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
        }
        "SASL_INHERIT" => {
            let jaas = given("sasl.jaas.config").unwrap_or_default();
            let (user, password) = jaas_option(&jaas, "username")
                .zip(jaas_option(&jaas, "password"))
                .ok_or("sasl.jaas.config must hold username and password when the source is SASL_INHERIT")?;
            Ok(Credentials::Basic { user, password })
        }
        other => Err(format!(
            "Invalid value {other} for configuration basic.auth.credentials.source: URL, USER_INFO and SASL_INHERIT \
             are available"
        )),
    }
}

/// `username="me"` in a login module's line; quotes and what they protect as JAAS has it.
fn jaas_option(line: &str, name: &str) -> Option<String> {
    let mut rest = line;
    loop {
        let place = rest.find(name)?;
        let is_word = rest[..place].ends_with(|before: char| before.is_whitespace());
        rest = &rest[place + name.len()..];
        if let Some(value) = rest.trim_start().strip_prefix('=').filter(|_| is_word) {
            let value = value.trim_start();
            let Some(quoted) = value.strip_prefix('"') else {
                let end = value.find([' ', ';']).unwrap_or(value.len());
                return Some(value[..end].to_owned());
            };
            let mut text = String::new();
            let mut characters = quoted.chars();
            while let Some(character) = characters.next() {
                match character {
                    '"' => return Some(text),
                    '\\' => text.extend(characters.next()),
                    other => text.push(other),
                }
            }
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_a_login_module() {
        let line = r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="me" password="a\"b;c";"#;
        assert_eq!(jaas_option(line, "username").as_deref(), Some("me"));
        assert_eq!(jaas_option(line, "password").as_deref(), Some("a\"b;c"));
        assert_eq!(jaas_option(line, "token"), None);
        assert_eq!(jaas_option("x required username=me password=p;", "password").as_deref(), Some("p"));
    }
}
