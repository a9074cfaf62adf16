//! Java's client settings, in librdkafka's words. One table; Connect's defaults, not librdkafka's.

use std::collections::BTreeMap;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use crate::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    Producer,
    Consumer,
    Admin,
}

/// Settings of one client under their Java names, and where they came from does not matter any more.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    java: BTreeMap<String, String>,
}

/// Bytes that wait in one producer for their turn; a smaller `buffer.memory` lowers it. More does not make it faster: it
/// hides a few round trips, and what waits longer is better left in PostgreSQL.
pub(crate) const PRODUCER_WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that one consumer fetches ahead, over all its partitions together as far as librdkafka can.
const CONSUMER_QUEUE_KBYTES: u32 = 4 * 1024;
/// Messages that one consumer fetches ahead per partition before it stops asking.
const CONSUMER_QUEUE_MESSAGES_MIN: u32 = 10_000;

/// Bytes that one fetch may bring.
const FETCH_BYTES_MAX: i64 = 2 * 1024 * 1024;

/// Java name, librdkafka name; the value passes as it is.
const SAME: &[(&str, &str)] = &[
    ("bootstrap.servers", "bootstrap.servers"),
    ("client.id", "client.id"),
    ("client.rack", "client.rack"),
    ("client.dns.lookup", "client.dns.lookup"),
    ("connections.max.idle.ms", "connections.max.idle.ms"),
    ("metadata.max.age.ms", "topic.metadata.refresh.interval.ms"),
    ("reconnect.backoff.ms", "reconnect.backoff.ms"),
    ("reconnect.backoff.max.ms", "reconnect.backoff.max.ms"),
    ("retry.backoff.ms", "retry.backoff.ms"),
    ("retry.backoff.max.ms", "retry.backoff.max.ms"),
    ("socket.connection.setup.timeout.ms", "socket.connection.setup.timeout.ms"),
    ("security.protocol", "security.protocol"),
    ("sasl.mechanism", "sasl.mechanism"),
    ("sasl.kerberos.service.name", "sasl.kerberos.service.name"),
    ("sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.token.endpoint.url"),
    ("ssl.cipher.suites", "ssl.cipher.suites"),
    ("ssl.key.password", "ssl.key.password"),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
    ("acks", "acks"),
    ("batch.size", "batch.size"),
    ("compression.type", "compression.type"),
    ("compression.gzip.level", "compression.level"),
    ("compression.lz4.level", "compression.level"),
    ("compression.zstd.level", "compression.level"),
    ("enable.idempotence", "enable.idempotence"),
    ("max.in.flight.requests.per.connection", "max.in.flight.requests.per.connection"),
    ("max.request.size", "message.max.bytes"),
    ("retries", "retries"),
    ("transactional.id", "transactional.id"),
    ("transaction.timeout.ms", "transaction.timeout.ms"),
    ("group.id", "group.id"),
    ("group.instance.id", "group.instance.id"),
    ("auto.offset.reset", "auto.offset.reset"),
    ("check.crcs", "check.crcs"),
    ("fetch.min.bytes", "fetch.min.bytes"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("heartbeat.interval.ms", "heartbeat.interval.ms"),
    ("isolation.level", "isolation.level"),
    ("max.poll.interval.ms", "max.poll.interval.ms"),
    ("session.timeout.ms", "session.timeout.ms"),
    ("allow.auto.create.topics", "allow.auto.create.topics"),
];

/// Java settings that have no meaning here and do no harm.
const WITHOUT_MEANING: &[&str] = &[
    "auto.include.jmx.reporter",
    "default.api.timeout.ms",
    "enable.auto.commit",
    "enable.metrics.push",
    "exclude.internal.topics",
    "interceptor.classes",
    "key.deserializer",
    "key.serializer",
    "max.block.ms",
    "max.poll.records",
    "metadata.recovery.strategy",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "sasl.client.callback.handler.class",
    "sasl.login.class",
    "security.providers",
    "ssl.engine.factory.class",
    "ssl.keymanager.algorithm",
    "ssl.protocol",
    "ssl.enabled.protocols",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "value.deserializer",
    "value.serializer",
];

const PRODUCER_ONLY: &[&str] = &[
    "acks",
    "batch.size",
    "compression.type",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "max.request.size",
    "retries",
    "transactional.id",
    "transaction.timeout.ms",
    "buffer.memory",
    "delivery.timeout.ms",
    "partitioner.class",
];
const CONSUMER_ONLY: &[&str] = &[
    "group.id",
    "group.instance.id",
    "auto.offset.reset",
    "check.crcs",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.max.wait.ms",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "session.timeout.ms",
    "allow.auto.create.topics",
    "partition.assignment.strategy",
];

impl ClientSettings {
    pub fn new<'a>(java: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self { java: java.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect() }
    }

    /// Sets one Java setting; the last one wins.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> &mut Self {
        self.java.insert(key.to_owned(), value.into());
        self
    }

    /// A copy with some settings on top.
    pub fn with<'a>(&self, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut settings = self.clone();
        for (key, value) in more {
            settings.set(key, value);
        }
        settings
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.java.get(key).map(String::as_str)
    }

    /// librdkafka's configuration for a client of this kind.
    ///
    /// # Errors
    /// A setting that cannot be had here, with what to use instead (JKS stores, login modules of other kinds).
    pub(crate) fn native(&self, kind: ClientKind) -> Result<ClientConfig, Error> {
        let mut config = defaults(kind);
        for (key, value) in &self.java {
            if (kind != ClientKind::Producer && PRODUCER_ONLY.contains(&key.as_str()))
                || (kind != ClientKind::Consumer && CONSUMER_ONLY.contains(&key.as_str()))
            {
                continue;
            }
            if let Some((_, native)) = SAME.iter().find(|(java, _)| java == key) {
                config.set(*native, value);
            } else if !translate(key, value, kind, self, &mut config)?
                && !WITHOUT_MEANING.contains(&key.as_str())
            {
                tracing::warn!(key, "kafka client setting is not known here and is ignored");
            }
        }
        Ok(config)
    }
}

fn defaults(kind: ClientKind) -> ClientConfig {
    let mut config = ClientConfig::new();
    // A broker that went away comes back within a second on one machine: do not sit out a long back-off.
    config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
    config.set("log.connection.close", "false");
    config.set_log_level(RDKafkaLogLevel::Warning);
    match kind {
        ClientKind::Producer => {
            config
                .set("acks", "all")
                .set("enable.idempotence", "true")
                // Java's default partitioner: another one breaks the order per key when a cluster is taken over.
                .set("partitioner", "murmur2_random")
                .set("message.timeout.ms", "0");
        }
        ClientKind::Consumer => {
            config
                .set("enable.auto.commit", "false")
                .set("enable.auto.offset.store", "false")
                .set("auto.offset.reset", "earliest")
                // Java's default: a sink may be created before its topics.
                .set("allow.auto.create.topics", "true")
                // Topics and partitions that are made later are read within a second.
                .set("topic.metadata.refresh.interval.ms", "1000")
                .set("enable.partition.eof", "true")
                // librdkafka's second between a full queue and the next fetch costs a second of latency.
                .set("fetch.queue.backoff.ms", "5")
                .set("fetch.wait.max.ms", "500")
                .set("fetch.max.bytes", FETCH_BYTES_MAX.to_string())
                .set("queued.max.messages.kbytes", CONSUMER_QUEUE_KBYTES.to_string())
                .set("queued.min.messages", CONSUMER_QUEUE_MESSAGES_MIN.to_string());
        }
        ClientKind::Admin => {}
    }
    config
}

/// Settings whose value needs work. `Ok(false)`: not one of them.
fn translate(
    key: &str,
    value: &str,
    kind: ClientKind,
    all: &ClientSettings,
    config: &mut ClientConfig,
) -> Result<bool, Error> {
    match key {
        // One answer of a broker lies in memory as a whole. A message that is larger comes all the same.
        "fetch.max.bytes" | "max.partition.fetch.bytes" => {
            config.set(key, number(key, value)?.min(FETCH_BYTES_MAX).to_string());
        }
        // The producer's own: see `producer::rounds`.
        "buffer.memory" | "linger.ms" => {
            number(key, value)?;
        }
        "delivery.timeout.ms" => {
            // Java's largest int means "for ever" in Connect's defaults; librdkafka says 0.
            let millis = number(key, value)?;
            config.set(
                "message.timeout.ms",
                if millis >= 2_147_483_647 { "0".to_owned() } else { millis.to_string() },
            );
        }
        "request.timeout.ms" => {
            let name = if kind == ClientKind::Producer { "request.timeout.ms" } else { "socket.timeout.ms" };
            config.set(name, value);
        }
        "send.buffer.bytes" if number(key, value)? > 0 => {
            config.set("socket.send.buffer.bytes", value);
        }
        "receive.buffer.bytes" if number(key, value)? > 0 => {
            config.set("socket.receive.buffer.bytes", value);
        }
        // -1 is Java's "leave it to the system".
        "send.buffer.bytes" | "receive.buffer.bytes" => {}
        "partitioner.class" => {
            config.set(
                "partitioner",
                if value.ends_with("RoundRobinPartitioner") { "random" } else { "murmur2_random" },
            );
        }
        "partition.assignment.strategy" => {
            config.set("partition.assignment.strategy", assignors(value));
        }
        "ssl.endpoint.identification.algorithm" => {
            config
                .set("ssl.endpoint.identification.algorithm", if value.is_empty() { "none" } else { value });
        }
        "sasl.jaas.config" => jaas(value, config)?,
        _ => return stores(key, value, all, config),
    }
    Ok(true)
}

/// Trust stores and key stores. `Ok(false)`: not one of their settings.
fn stores(key: &str, value: &str, all: &ClientSettings, config: &mut ClientConfig) -> Result<bool, Error> {
    let refuse = |reason: &str| Err(Error::Setting { key: key.to_owned(), reason: reason.to_owned() });
    match key {
        "ssl.truststore.location" => match all.get("ssl.truststore.type") {
            Some(kind) if kind.eq_ignore_ascii_case("PEM") => {
                config.set("ssl.ca.location", value);
            }
            _ if value.ends_with(".pem") || value.ends_with(".crt") => {
                config.set("ssl.ca.location", value);
            }
            _ => {
                return refuse(
                    "only PEM trust stores can be read; export it with `keytool -exportcert -rfc` and set ssl.truststore.type=PEM",
                );
            }
        },
        "ssl.keystore.location" => match all.get("ssl.keystore.type").map(str::to_ascii_uppercase).as_deref()
        {
            Some("PEM") => {
                config.set("ssl.certificate.location", value).set("ssl.key.location", value);
            }
            Some("PKCS12") => {
                config.set("ssl.keystore.location", value);
            }
            _ => {
                return refuse(
                    "only PEM and PKCS12 key stores can be read; convert it with `keytool -importkeystore -deststoretype PKCS12` and set ssl.keystore.type=PKCS12",
                );
            }
        },
        "ssl.keystore.password" => {
            if all.get("ssl.keystore.type").is_some_and(|kind| kind.eq_ignore_ascii_case("PKCS12")) {
                config.set("ssl.keystore.password", value);
            }
        }
        "ssl.truststore.password" | "ssl.truststore.type" | "ssl.keystore.type" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn number(key: &str, value: &str) -> Result<i64, Error> {
    value
        .trim()
        .parse()
        .map_err(|_| Error::Setting { key: key.to_owned(), reason: format!("\"{value}\" is not a number") })
}

fn assignors(value: &str) -> String {
    let names: Vec<&str> = value
        .split(',')
        .map(|class| class.trim().rsplit('.').next().unwrap_or_default())
        .filter_map(|class| match class {
            "RangeAssignor" | "range" => Some("range"),
            "RoundRobinAssignor" | "roundrobin" => Some("roundrobin"),
            "CooperativeStickyAssignor" | "cooperative-sticky" => Some("cooperative-sticky"),
            _ => None,
        })
        .collect();
    // librdkafka cannot mix eager and cooperative assignors in one member, Java can.
    match names.iter().any(|name| *name != "cooperative-sticky") {
        true => names.into_iter().filter(|name| *name != "cooperative-sticky").collect::<Vec<_>>().join(","),
        false if names.is_empty() => "range,roundrobin".to_owned(),
        false => "cooperative-sticky".to_owned(),
    }
}

/// Takes user name and password out of a JAAS line (`PlainLoginModule required username="u" password="p";`).
fn jaas(value: &str, config: &mut ClientConfig) -> Result<(), Error> {
    let option = |name: &str| {
        let rest = &value[value.find(&format!("{name}="))? + name.len() + 1..];
        let rest = rest.strip_prefix('"')?;
        let mut text = String::new();
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => return Some(text),
                '\\' => text.push(chars.next()?),
                c => text.push(c),
            }
        }
        None
    };
    match (option("username"), option("password")) {
        (Some(username), Some(password)) => {
            config.set("sasl.username", username).set("sasl.password", password);
            Ok(())
        }
        _ => Err(Error::Setting {
            key: "sasl.jaas.config".to_owned(),
            reason: "only login modules with username=\"…\" and password=\"…\" (PLAIN, SCRAM) can be read"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ClientKind, java: &[(&str, &str)], native: &[(&str, &str)]) {
        let config = ClientSettings::new(java.iter().copied()).native(kind).unwrap();
        for (key, value) in native {
            assert_eq!(config.get(key), Some(*value), "{key}");
        }
    }

    #[test]
    fn java_names_become_native_ones() {
        check(
            ClientKind::Producer,
            &[
                ("bootstrap.servers", "a:1"),
                ("max.request.size", "2000000"),
                ("delivery.timeout.ms", "2147483647"),
            ],
            &[("bootstrap.servers", "a:1"), ("message.max.bytes", "2000000"), ("message.timeout.ms", "0")],
        );
        check(
            ClientKind::Consumer,
            &[("fetch.max.wait.ms", "10"), ("acks", "1")],
            &[("fetch.wait.max.ms", "10"), ("auto.offset.reset", "earliest")],
        );
    }

    #[test]
    fn jaas_gives_name_and_password() {
        let line = r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p\"q";"#;
        check(
            ClientKind::Admin,
            &[("sasl.jaas.config", line)],
            &[("sasl.username", "u"), ("sasl.password", "p\"q")],
        );
    }

    #[test]
    fn jks_is_refused_with_a_remedy() {
        let settings = ClientSettings::new([("ssl.truststore.location", "/etc/kafka/trust.jks")]);
        assert!(settings.native(ClientKind::Admin).unwrap_err().to_string().contains("PEM"));
    }
}
