//! TLS towards the registry: PEM text in an option, or a PEM file.

use connect::settings::{Properties, Row, Standing, row};
use registry_client::Tls;

const PREFIXES: [&str; 2] = ["schema.registry.ssl.", "ssl."];

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("schema.registry.ssl.truststore.certificates")
            .aliases(&["ssl.truststore.certificates"])
            .doc("Certificates to trust beside the system's, as PEM text."),
        row("schema.registry.ssl.truststore.location")
            .aliases(&["ssl.truststore.location"])
            .doc("A PEM file of certificates to trust beside the system's."),
        row("schema.registry.ssl.truststore.type")
            .aliases(&["ssl.truststore.type"])
            .doc("PEM is what can be read."),
        row("schema.registry.ssl.truststore.password")
            .password()
            .aliases(&["ssl.truststore.password"])
            .standing(Standing::Accepted),
        row("schema.registry.ssl.keystore.certificate.chain")
            .aliases(&["ssl.keystore.certificate.chain"])
            .doc("Our own certificate with its chain, as PEM text."),
        row("schema.registry.ssl.keystore.key")
            .password()
            .aliases(&["ssl.keystore.key"])
            .doc("The key of our own certificate, as PEM text (PKCS#8, not encrypted)."),
        row("schema.registry.ssl.keystore.location")
            .aliases(&["ssl.keystore.location"])
            .doc("A PEM file with our own certificate, its chain and its key."),
        row("schema.registry.ssl.keystore.type")
            .aliases(&["ssl.keystore.type"])
            .doc("PEM is what can be read."),
        row("schema.registry.ssl.keystore.password")
            .password()
            .aliases(&["ssl.keystore.password"])
            .standing(Standing::Accepted),
    ]
}

/// Reads the files that the options name.
pub(super) fn parse(properties: &Properties) -> Result<Tls, String> {
    let given = |name: &str| {
        let mut found = PREFIXES.iter().filter_map(|prefix| properties.get(&format!("{prefix}{name}")));
        found.next().filter(|text| !text.is_empty()).cloned()
    };
    let file = |store: &str| -> Result<Option<String>, String> {
        let Some(path) = given(&format!("{store}.location")) else { return Ok(None) };
        let kind = given(&format!("{store}.type")).unwrap_or_else(|| "JKS".to_owned());
        let looks_like_pem = path.ends_with(".pem") || path.ends_with(".crt");
        if !kind.eq_ignore_ascii_case("PEM") && !looks_like_pem {
            return Err(format!(
                "ssl.{store}.location: stores of type {kind} cannot be read; export the store as PEM and set \
                 ssl.{store}.type=PEM"
            ));
        }
        std::fs::read_to_string(&path)
            .map(Some)
            .map_err(|error| format!("ssl.{store}.location {path}: {error}"))
    };
    let trusted = match given("truststore.certificates") {
        Some(text) => Some(text),
        None => file("truststore")?,
    };
    let identity = match (given("keystore.certificate.chain"), given("keystore.key")) {
        (Some(chain), Some(key)) => Some(format!("{chain}\n{key}\n")),
        (None, None) => file("keystore")?,
        _ => return Err("ssl.keystore.certificate.chain and ssl.keystore.key belong together".to_owned()),
    };
    Ok(Tls { trusted_certificates: trusted, identity })
}
