//! JDBC URLs of PostgreSQL's driver, and what its parameters mean to us.

use std::path::PathBuf;
use std::time::Duration;

use pg::{ConnectSettings, ServerRole, SslMode};

/// Server and database of a URL, and its parameters in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Url {
    pub hosts: Vec<(String, u16)>,
    pub dbname: Option<String>,
    pub parameters: Vec<(String, String)>,
}

const PORT: u16 = 5432;

/// `jdbc:postgresql://host[:port][,host2[:port2]]/database?name=value&…`; host and database may be left out.
pub fn parse(text: &str) -> Result<Url, String> {
    let rest = text.trim().strip_prefix("jdbc:postgresql:").ok_or_else(|| {
        format!(
            "not a URL of PostgreSQL: {}; expected jdbc:postgresql://host:port/database",
            without_secrets(text)
        )
    })?;
    let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, query)| (place, query));
    let (hosts, dbname) = match place.strip_prefix("//") {
        Some(place) => place.split_once('/').unwrap_or((place, "")),
        None => ("", place.trim_start_matches('/')),
    };
    let hosts = if hosts.is_empty() {
        vec![("localhost".to_owned(), PORT)]
    } else {
        hosts.split(',').map(host).collect::<Result<_, _>>()?
    };
    let parameters = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect::<Result<_, String>>()?;
    let dbname = decode(dbname)?;
    Ok(Url { hosts, dbname: (!dbname.is_empty()).then_some(dbname), parameters })
}

/// The part of a URL that may be shown.
fn without_secrets(text: &str) -> &str {
    text.split(['?', '@']).next().unwrap_or("")
}

fn host(text: &str) -> Result<(String, u16), String> {
    let (name, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    if name.contains('@') {
        return Err(
            "a role before the host is not understood: use the parameters user and password".to_owned()
        );
    }
    let port = match port {
        None | Some("") => PORT,
        Some(port) => port.parse().map_err(|_| format!("{port} is not a port"))?,
    };
    Ok((if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }, port))
}

/// `%41` and `+`, as `URLDecoder` reads them.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = vec![];
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err("a % without two hexadecimal digits behind it".to_owned());
                };
                bytes.push((high * 16 + low) as u8);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 behind %".to_owned())
}

/// Parameters of the driver that say how it works inside, which we do differently, or not at all.
const WITHOUT_MEANING: &[&str] = &[
    "stringtype",
    "reWriteBatchedInserts",
    "prepareThreshold",
    "preparedStatementCacheQueries",
    "preparedStatementCacheSizeMiB",
    "preferQueryMode",
    "binaryTransfer",
    "binaryTransferEnable",
    "binaryTransferDisable",
    "defaultRowFetchSize",
    "socketTimeout",
    "loadBalanceHosts",
    "hostRecheckSeconds",
    "autosave",
    "cleanupSavepoints",
    "loggerLevel",
    "loggerFile",
    "logUnclosedConnections",
    "disableColumnSanitiser",
    "assumeMinServerVersion",
    "allowEncodingChanges",
    "unknownLength",
    "receiveBufferSize",
    "sendBufferSize",
    "readOnly",
    "readOnlyMode",
    "sslfactory",
    "sslfactoryarg",
    "sslhostnameverifier",
    "sslpasswordcallback",
    "sslResponseTimeout",
    "gssEncMode",
    "gsslib",
    "escapeSyntaxCallMode",
    "logServerErrorDetail",
    "maxResultBuffer",
    "adaptiveFetch",
    "tcpNoDelay",
    "socketFactory",
    "socketFactoryArg",
    "quoteReturningIdentifiers",
    "cancelSignalTimeout",
    "databaseMetadataCacheFields",
    "databaseMetadataCacheFieldsMiB",
];

/// What became of a parameter.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    Honoured,
    /// Known, and without meaning here.
    Ignored,
    Unknown,
}

/// Applies one of the driver's parameters.
pub fn apply(settings: &mut ConnectSettings, name: &str, value: &str) -> Result<Taken, String> {
    let seconds = || {
        value.parse::<f64>().ok().filter(|n| *n >= 0.0).ok_or_else(|| format!("{name}={value}: not seconds"))
    };
    match name {
        "user" => settings.user = value.to_owned(),
        "password" => settings.password = Some(value.to_owned()),
        "ssl" if matches!(value, "" | "true") => settings.ssl_mode = SslMode::VerifyFull,
        "ssl" => settings.ssl_mode = SslMode::Disable,
        "sslmode" => {
            settings.ssl_mode =
                SslMode::parse(value).ok_or_else(|| format!("sslmode={value}: no such mode"))?;
        }
        "targetServerType" => {
            settings.role =
                ServerRole::parse(value).ok_or_else(|| format!("targetServerType={value}: no such type"))?;
        }
        "sslrootcert" => settings.ssl_root_cert = Some(PathBuf::from(value)),
        "sslcert" => settings.ssl_cert = Some(PathBuf::from(value)),
        "sslkey" => settings.ssl_key = Some(PathBuf::from(value)),
        "sslpassword" => settings.ssl_password = Some(value.to_owned()),
        "ApplicationName" => settings.application_name = value.to_owned(),
        "connectTimeout" | "loginTimeout" => {
            let seconds = seconds()?;
            // Zero is the driver's "for ever": our own limit stays.
            if seconds > 0.0 {
                settings.connect_timeout = Duration::from_secs_f64(seconds.min(3600.0));
            }
        }
        "tcpKeepAlive" => settings.keepalives = (value == "true").then(|| Duration::from_secs(30)),
        "currentSchema" => settings.options.push(("search_path".to_owned(), value.to_owned())),
        "options" => settings.options.extend(command_line(value)),
        "PGPASSFILE" | "passfile" => settings.passfile = Some(PathBuf::from(value)),
        name if WITHOUT_MEANING.contains(&name) => return Ok(Taken::Ignored),
        _ => return Ok(Taken::Unknown),
    }
    Ok(Taken::Honoured)
}

/// `-c name=value --name=value`: what can be read of the server's own command line.
fn command_line(text: &str) -> Vec<(String, String)> {
    text.split_ascii_whitespace()
        .filter_map(|word| word.trim_start_matches("-c").trim_start_matches("--").split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, hosts: &[(&str, u16)], dbname: Option<&str>, parameters: &[(&str, &str)]) {
        let url = parse(text).unwrap();
        let expected: Vec<_> = hosts.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
        assert_eq!(url.hosts, expected);
        assert_eq!(url.dbname.as_deref(), dbname);
        let found: Vec<_> = url.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(found, parameters);
    }

    #[test]
    fn urls() {
        check("jdbc:postgresql://db:5433/sink_db", &[("db", 5433)], Some("sink_db"), &[]);
        check(
            "jdbc:postgresql://a,b:1/d?user=u&password=p%26%20+&sslmode=require",
            &[("a", 5432), ("b", 1)],
            Some("d"),
            &[("user", "u"), ("password", "p&  "), ("sslmode", "require")],
        );
        check("jdbc:postgresql://[::1]:7/", &[("::1", 7)], None, &[]);
        check("jdbc:postgresql:d", &[("localhost", 5432)], Some("d"), &[]);
    }

    #[test]
    fn the_wanted_server() {
        let applied = |value: &str| {
            let mut settings = ConnectSettings::default();
            apply(&mut settings, "targetServerType", value).map(|_| settings.role)
        };
        assert_eq!(applied("primary"), Ok(ServerRole::Primary));
        assert_eq!(applied("master"), Ok(ServerRole::Primary));
        assert_eq!(applied("preferSecondary"), Ok(ServerRole::PreferSecondary));
        assert_eq!(applied("any"), Ok(ServerRole::Any));
        assert!(applied("leader").is_err());
    }

    #[test]
    fn refused() {
        for text in [
            "jdbc:mysql://h/d",
            "jdbc:postgresql://h:x/d",
            "jdbc:postgresql://u:p@h/d",
            "jdbc:postgresql://h/%4",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(!parse("jdbc:mysql://h/d?password=secret").unwrap_err().contains("secret"));
    }
}
