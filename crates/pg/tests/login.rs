//! Ways to log in, with and without TLS, for sessions and for walsenders.
#![allow(clippy::unwrap_used)] // helpers of tests are tests too

#[allow(dead_code)] // each test binary uses a part of it
mod cluster;

use std::path::PathBuf;

use cluster::{as_server_user, cluster};
use pg::replication::ReplicationConnection;
use pg::{ConnectSettings, ErrorClass, SslMode};

/// Certificates, and a server that speaks TLS and asks for every kind of password.
async fn prepare() -> PathBuf {
    let folder = cluster().folder.path().to_owned();
    let (dir, data) = (folder.display(), folder.join("data"));
    let data = data.display();
    as_server_user(
        &format!(
            "cd {dir} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt \
             && openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout {data}/server.key -out server.csr \
             && printf 'subjectAltName=DNS:localhost' > san \
             && openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san \
                -out {data}/server.crt \
             && openssl req -newkey rsa:2048 -nodes -subj /CN=by_cert -keyout client.key -out client.csr \
             && openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out client.crt \
             && chmod 600 {data}/server.key && chmod 644 client.key && cp ca.crt {data}/root.crt"
        ),
        false,
    );
    as_server_user(
        &format!("printf \"ssl=on\\nssl_ca_file='root.crt'\\n\" >> {data}/postgresql.conf"),
        false,
    );
    let lines = [
        "hostssl all by_scram 127.0.0.1/32 scram-sha-256",
        "hostnossl all by_md5 127.0.0.1/32 md5",
        "hostssl all by_md5 127.0.0.1/32 reject",
        "host all by_password 127.0.0.1/32 password",
        "hostssl all by_cert 127.0.0.1/32 cert",
        "host all postgres 127.0.0.1/32 trust",
    ];
    as_server_user(&format!("printf '{}\\n' > {data}/pg_hba.conf", lines.join("\\n")), false);
    assert!(cluster().ctl(&["restart", "-m", "fast", "-w"]));
    let admin = cluster().session("postgres").await;
    admin
        .batch_execute(
            "CREATE ROLE by_scram LOGIN REPLICATION PASSWORD 'p:w\\x'; CREATE ROLE by_cert LOGIN REPLICATION; \
             SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN REPLICATION PASSWORD 'pw'; \
             CREATE ROLE by_password LOGIN REPLICATION PASSWORD 'pw'",
        )
        .await
        .unwrap();
    folder
}

fn settings(user: &str, password: Option<&str>, ssl_mode: SslMode) -> ConnectSettings {
    ConnectSettings {
        hosts: vec![("localhost".to_owned(), cluster().port)],
        user: user.to_owned(),
        password: password.map(str::to_owned),
        ssl_mode,
        ..cluster().connect_settings("postgres")
    }
}

/// Both kinds of connection log in, or fail alike.
async fn check(settings: &ConnectSettings, expected: Result<(), ErrorClass>) {
    let what = format!("{} with {:?}", settings.user, settings.ssl_mode);
    let session = pg::connect(settings).await;
    let found = match &session {
        Ok(session) => session.simple_query("SELECT 1").await.map(drop).map_err(|_| ErrorClass::Other),
        Err(error) => Err(error.class()),
    };
    assert_eq!(found, expected, "session of {what}: {:?}", session.err());
    let walsender = ReplicationConnection::connect(settings).await;
    let found = match walsender {
        Ok(mut connection) => connection.identify_system().await.map(drop).map_err(|error| error.class()),
        Err(error) => Err(error.class()),
    };
    assert_eq!(found, expected, "walsender of {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_log_in() {
    let folder = prepare().await;
    let root = |settings: ConnectSettings| ConnectSettings {
        ssl_root_cert: Some(folder.join("ca.crt")),
        ..settings
    };
    for mode in [SslMode::Require, SslMode::Prefer, SslMode::Allow] {
        check(&settings("by_scram", Some("p:w\\x"), mode), Ok(())).await;
    }
    check(&settings("by_scram", Some("wrong"), SslMode::Require), Err(ErrorClass::Authentication)).await;
    check(&settings("by_scram", None, SslMode::Require), Err(ErrorClass::Authentication)).await;
    check(&settings("by_scram", Some("p:w\\x"), SslMode::Disable), Err(ErrorClass::Authentication)).await;
    // Refused inside TLS: `prefer` tries again without.
    check(&settings("by_md5", Some("pw"), SslMode::Prefer), Ok(())).await;
    check(&settings("by_md5", Some("pw"), SslMode::Require), Err(ErrorClass::Authentication)).await;
    check(&settings("by_password", Some("pw"), SslMode::Disable), Ok(())).await;
    check(&root(settings("by_scram", Some("p:w\\x"), SslMode::VerifyCa)), Ok(())).await;
    check(&root(settings("by_scram", Some("p:w\\x"), SslMode::VerifyFull)), Ok(())).await;
    let mut other_name = root(settings("by_scram", Some("p:w\\x"), SslMode::VerifyFull));
    other_name.hosts[0].0 = "127.0.0.1".to_owned();
    check(&other_name, Err(ErrorClass::Connection)).await;
    other_name.ssl_mode = SslMode::VerifyCa;
    check(&other_name, Ok(())).await;
    let mut by_cert = root(settings("by_cert", None, SslMode::VerifyFull));
    by_cert.ssl_cert = Some(folder.join("client.crt"));
    by_cert.ssl_key = Some(folder.join("client.key"));
    check(&by_cert, Ok(())).await;
    let passfile = folder.join("passfile");
    std::fs::write(&passfile, "*:*:*:by_scram:p\\:w\\\\x\n").unwrap();
    let mut from_file = settings("by_scram", None, SslMode::Require);
    from_file.passfile = Some(passfile);
    check(&from_file, Ok(())).await;
    let mut second_host = settings("by_password", Some("pw"), SslMode::Disable);
    second_host.hosts.insert(0, ("localhost".to_owned(), 1));
    check(&second_host, Ok(())).await;
}

/// A cluster without standbys: its one server is no secondary.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_wanted_kind() {
    use pg::ServerRole;
    let with = |role| ConnectSettings {
        // Nobody listens at the first.
        hosts: vec![("127.0.0.1".to_owned(), 1), ("127.0.0.1".to_owned(), cluster().port)],
        role,
        ..cluster().connect_settings("postgres")
    };
    for role in [ServerRole::Any, ServerRole::Primary, ServerRole::PreferPrimary, ServerRole::PreferSecondary]
    {
        assert!(pg::connect(&with(role)).await.is_ok(), "{role:?}");
    }
    let mut alone = with(ServerRole::Secondary);
    alone.hosts.remove(0);
    let error = pg::connect(&alone).await.err().unwrap();
    assert_eq!(error.class(), ErrorClass::Connection);
    assert!(error.to_string().contains("the server is a primary"), "{error}");
}
