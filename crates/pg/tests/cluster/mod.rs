//! A PostgreSQL cluster of the test's own.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// One cluster for the test binary; its folder goes with the process.
pub struct Cluster {
    pub port: u16,
    pub folder: tempfile::TempDir,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

pub fn cluster() -> &'static Cluster {
    CLUSTER.get_or_init(Cluster::start)
}

extern "C" fn stop_at_exit() {
    if let Some(cluster) = CLUSTER.get() {
        let _ = pg_ctl(cluster.folder.path(), &["stop", "-m", "immediate"]);
        let _ = std::fs::remove_dir_all(cluster.folder.path());
    }
}

unsafe extern "C" {
    fn atexit(callback: extern "C" fn()) -> i32;
}

impl Cluster {
    fn start() -> Self {
        // SAFETY: the callback touches nothing that is gone at exit.
        unsafe { atexit(stop_at_exit) };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("the data folder");
        as_server_user(&format!("chown -R postgres {}", folder.path().display()), true);
        let port = free_port();
        let data = data.display();
        as_server_user(&format!("initdb -D {data} -U postgres -A trust --locale=C.UTF-8 -E UTF8 -N"), false);
        let settings = format!(
            "wal_level=logical\nport={port}\nmax_wal_senders=50\nmax_replication_slots=100\nmax_connections=200\n\
             fsync=off\nunix_socket_directories='{}'\nlisten_addresses='127.0.0.1'\nlog_min_messages=warning\n",
            folder.path().display()
        );
        as_server_user(&format!("printf '%s' \"{settings}\" >> {data}/postgresql.conf"), false);
        let cluster = Self { port, folder };
        assert!(cluster.ctl(&["start", "-w"]), "the cluster starts");
        cluster
    }

    pub fn ctl(&self, arguments: &[&str]) -> bool {
        pg_ctl(self.folder.path(), arguments)
    }

    pub fn connect_settings(&self, database: &str) -> pg::ConnectSettings {
        pg::ConnectSettings {
            hosts: vec![("127.0.0.1".to_owned(), self.port)],
            user: "postgres".to_owned(),
            dbname: database.to_owned(),
            ..pg::ConnectSettings::default()
        }
    }

    pub async fn session(&self, database: &str) -> pg::Session {
        pg::connect(&self.connect_settings(database)).await.expect("a session")
    }

    /// An empty database.
    pub async fn database(&self, name: &str) -> pg::Session {
        let admin = self.session("postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.expect("a database");
        self.session(name).await
    }
}

fn pg_ctl(folder: &Path, arguments: &[&str]) -> bool {
    let folder = folder.display();
    let command = format!("pg_ctl -D {folder}/data -l {folder}/log {}", arguments.join(" "));
    run(&command, false)
}

pub fn as_server_user(command: &str, as_root: bool) {
    assert!(run(command, as_root), "{command}");
}

/// The server refuses to run as root: there, the user `postgres` runs it.
fn run(command: &str, as_root: bool) -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if as_root && !root {
        return true;
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let binaries = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect::<Vec<_>>())
        .unwrap_or_default();
    let binaries: Vec<_> = binaries.iter().map(|path| path.display().to_string()).collect();
    let command = format!("PATH={path}:{}; {command}", binaries.join(":"));
    let mut process = if root && !as_root { Command::new("su") } else { Command::new("sh") };
    if root && !as_root {
        process.args(["postgres", "-s", "/bin/sh"]);
    }
    process
        .args(["-c", &command])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
