//! Ordinary SQL sessions: where the server is, how to log in, and who keeps the connection's task.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Result};
use crate::sqlstate::ErrorClass;
use crate::{socket, tls};

/// PostgreSQL's `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// Which of several hosts is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerRole {
    #[default]
    Any,
    Primary,
    Secondary,
    /// A primary where there is one, else any.
    PreferPrimary,
    PreferSecondary,
}

impl ServerRole {
    /// By the name that PostgreSQL's JDBC driver has for it.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::Any,
            "primary" | "master" => Self::Primary,
            "secondary" | "slave" => Self::Secondary,
            "preferPrimary" => Self::PreferPrimary,
            "preferSecondary" | "preferSlave" => Self::PreferSecondary,
            _ => return None,
        })
    }

    /// What is looked for, one after the other.
    fn rounds(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::Primary => &[Self::Primary],
            Self::Secondary => &[Self::Secondary],
            Self::PreferPrimary => &[Self::Primary, Self::Any],
            Self::PreferSecondary => &[Self::Secondary, Self::Any],
        }
    }
}

/// Where a server is and how to log in.
#[derive(Clone, Debug)]
pub struct ConnectSettings {
    /// Tried in order.
    pub hosts: Vec<(String, u16)>,
    /// Which of them is wanted.
    pub role: ServerRole,
    pub user: String,
    /// Without one, `passfile` is asked.
    pub password: Option<String>,
    pub dbname: String,
    pub application_name: String,
    pub ssl_mode: SslMode,
    pub ssl_root_cert: Option<PathBuf>,
    pub ssl_cert: Option<PathBuf>,
    pub ssl_key: Option<PathBuf>,
    pub ssl_password: Option<String>,
    /// For one host, from the first packet to the end of the login.
    pub connect_timeout: Duration,
    /// TCP keep-alives after this idle time; `None`: off.
    pub keepalives: Option<Duration>,
    /// How long what was sent may stay unacknowledged, or the server's window closed, before the connection counts as
    /// cut; `None`: the system's quarter of an hour. Only for sessions that send little: a server that works on a long
    /// statement closes the window to what is sent behind it.
    pub unacknowledged_max: Option<Duration>,
    /// Server settings for this session, sent at its start (`TimeZone`, `statement_timeout` …).
    pub options: Vec<(String, String)>,
    /// PostgreSQL's password file; by default `~/.pgpass`.
    pub passfile: Option<PathBuf>,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        Self {
            hosts: vec![("localhost".to_owned(), 5432)],
            role: ServerRole::default(),
            user: "postgres".to_owned(),
            password: None,
            dbname: "postgres".to_owned(),
            application_name: "tidegate".to_owned(),
            ssl_mode: SslMode::default(),
            ssl_root_cert: None,
            ssl_cert: None,
            ssl_key: None,
            ssl_password: None,
            connect_timeout: Duration::from_secs(10),
            keepalives: Some(Duration::from_secs(30)),
            unacknowledged_max: None,
            options: vec![],
            passfile: None,
        }
    }
}

impl ConnectSettings {
    /// The same server under another name in `pg_stat_activity`.
    pub fn named(&self, application_name: &str) -> Self {
        Self { application_name: application_name.to_owned(), ..self.clone() }
    }

    /// `host:port/database`, for messages.
    pub fn target(&self) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        format!("{}/{}", hosts.join(","), self.dbname)
    }

    /// The password that was given, or the password file's for this host.
    pub(crate) fn password_for(&self, host: &str, port: u16) -> Option<String> {
        self.password.clone().or_else(|| {
            let path = self.passfile.clone().or_else(|| {
                std::env::var_os("PGPASSFILE")
                    .map(PathBuf::from)
                    .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pgpass")))
            })?;
            let text = std::fs::read_to_string(path).ok()?;
            find_in_passfile(&text, [host, &port.to_string(), &self.dbname, &self.user])
        })
    }
}

/// Looks a password up in the text of a password file: `host:port:database:user:password`, `*` for any.
fn find_in_passfile(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![String::new()];
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => fields.last_mut()?.extend(chars.next()),
                ':' if fields.len() < 5 => fields.push(String::new()),
                c => fields.last_mut()?.push(c),
            }
        }
        let matches = fields.len() == 5
            && fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        matches.then(|| fields.swap_remove(4))
    })
}

/// One SQL session. Its connection lives as long as this value.
pub struct Session {
    client: tokio_postgres::Client,
    connection: JoinHandle<()>,
}

impl Deref for Session {
    type Target = tokio_postgres::Client;
    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Opens a session on the first host that answers and is what is wanted.
pub async fn connect(settings: &ConnectSettings) -> Result<Session> {
    let mut failure = None;
    for role in settings.role.rounds() {
        for (host, port) in &settings.hosts {
            match connect_to(settings, host, *port, *role).await {
                Ok(session) => return Ok(session),
                // The first failure is the one that the settings asked for; the fall-back's says less.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
    }
    let error = failure.unwrap_or_else(|| Error::new(ErrorClass::Settings, "no host given"));
    Err(explain(error, settings))
}

async fn connect_to(settings: &ConnectSettings, host: &str, port: u16, role: ServerRole) -> Result<Session> {
    let mut failure = None;
    for encryption in attempts(settings.ssl_mode) {
        match connect_once(settings, host, port, *encryption).await {
            Ok(session) => return as_wanted(session, role).await,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| Error::new(ErrorClass::Settings, "no way to connect")))
}

/// The session, if its server plays this role.
async fn as_wanted(session: Session, role: ServerRole) -> Result<Session> {
    if role == ServerRole::Any {
        return Ok(session);
    }
    let is_standby: bool = session.query_one("SELECT pg_is_in_recovery()", &[]).await?.get(0);
    if is_standby == (role == ServerRole::Secondary) {
        return Ok(session);
    }
    // After a fail-over the hosts change their roles: waiting helps.
    let (found, wanted) = if is_standby { ("standby", "primary") } else { ("primary", "standby") };
    Err(Error::new(ErrorClass::Connection, format!("the server is a {found}, and a {wanted} is wanted")))
}

/// How the socket is protected in one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    Plain,
    /// TLS where the server has it.
    Offered,
    Tls,
}

pub(crate) fn attempts(mode: SslMode) -> &'static [Encryption] {
    match mode {
        SslMode::Disable => &[Encryption::Plain],
        SslMode::Allow => &[Encryption::Plain, Encryption::Tls],
        SslMode::Prefer => &[Encryption::Offered, Encryption::Plain],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Encryption::Tls],
    }
}

async fn connect_once(
    settings: &ConnectSettings,
    host: &str,
    port: u16,
    encryption: Encryption,
) -> Result<Session> {
    let config = config(settings, host, port, encryption);
    let attempt = async {
        if encryption == Encryption::Plain {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
            return Ok(Session { client, connection: spawn(connection) });
        }
        let connector = MakeRustlsConnect::new(tls::client_config(settings)?);
        let (client, connection) = config.connect(connector).await?;
        Ok(Session { client, connection: spawn(connection) })
    };
    match tokio::time::timeout(settings.connect_timeout, attempt).await {
        Ok(result) => result,
        Err(_) => Err(timed_out(settings)),
    }
}

pub(crate) fn timed_out(settings: &ConnectSettings) -> Error {
    Error::new(
        ErrorClass::Connection,
        format!("no answer within {} ms", settings.connect_timeout.as_millis()),
    )
}

fn config(
    settings: &ConnectSettings,
    host: &str,
    port: u16,
    encryption: Encryption,
) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .host(host)
        .port(port)
        .user(&settings.user)
        .dbname(&settings.dbname)
        .application_name(&settings.application_name)
        .ssl_mode(match encryption {
            Encryption::Plain => tokio_postgres::config::SslMode::Disable,
            Encryption::Offered => tokio_postgres::config::SslMode::Prefer,
            Encryption::Tls => tokio_postgres::config::SslMode::Require,
        })
        .keepalives(settings.keepalives.is_some());
    if let Some(idle) = settings.keepalives {
        config.keepalives_idle(idle).keepalives_interval(socket::PROBE_INTERVAL);
    }
    if let Some(longest) = settings.unacknowledged_max {
        config.tcp_user_timeout(longest);
    }
    if let Some(password) = settings.password_for(host, port) {
        config.password(password);
    }
    if !settings.options.is_empty() {
        config.options(command_line(&settings.options));
    }
    config
}

/// The `options` of the start-up packet: `-c name=value`, blanks and backslashes escaped.
fn command_line(options: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in options {
        out.push_str("-c ");
        for c in name.chars().chain(['=']).chain(value.chars()) {
            if c == '\\' || c.is_ascii_whitespace() {
                out.push('\\');
            }
            out.push(c);
        }
        out.push(' ');
    }
    out
}

fn spawn<S, T>(connection: tokio_postgres::Connection<S, T>) -> JoinHandle<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        // The client's calls return the failure; here is nobody to tell.
        let _ = connection.await;
    })
}

/// Adds where the failure happened, and what an operator can do.
pub(crate) fn explain(error: Error, settings: &ConnectSettings) -> Error {
    let hint = match error.class() {
        ErrorClass::Authentication => Some(format!(
            "check user \"{}\", its password, and the line for it in pg_hba.conf",
            settings.user
        )),
        ErrorClass::Connection if error.hint().is_none() => {
            Some("check host and port, that PostgreSQL runs there, and that it listens for TCP/IP".to_owned())
        }
        ErrorClass::UndefinedObject => {
            Some(format!("create the database \"{}\", or correct its name", settings.dbname))
        }
        _ => None,
    };
    let error = error.context(format!("could not connect to {} as {}", settings.target(), settings.user));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passfile_lines() {
        let text = "# c\nh:5432:db:u:no\\:t\\\\it\n*:*:*:u:any:thing\n";
        assert_eq!(find_in_passfile(text, ["h", "5432", "db", "u"]).as_deref(), Some("no:t\\it"));
        assert_eq!(find_in_passfile(text, ["x", "1", "y", "u"]).as_deref(), Some("any:thing"));
        assert_eq!(find_in_passfile(text, ["x", "1", "y", "v"]), None);
    }

    #[test]
    fn options_are_escaped() {
        let options = [("a".to_owned(), "b c\\".to_owned())];
        assert_eq!(command_line(&options), "-c a=b\\ c\\\\ ");
    }
}
