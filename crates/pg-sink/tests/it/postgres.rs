//! One PostgreSQL cluster for all tests of this binary, and a fresh database for each.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pg::tokio_postgres::{self, Client, NoTls};

pub struct Cluster {
    pub port: u16,
    bin: PathBuf,
    data: PathBuf,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

pub fn cluster() -> &'static Cluster {
    CLUSTER.get_or_init(|| Cluster::create(&["fsync = off"]))
}

fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL's server programs are installed")
}

/// The server refuses to run as root.
fn as_server(program: &Path) -> Command {
    let mut command = Command::new("id");
    let root = command.arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
    command
}

impl Cluster {
    /// Makes a cluster and starts it; it goes when this process goes, however that happens.
    pub fn create(settings: &[&str]) -> Self {
        let bin = programs();
        let root = tempfile::Builder::new().prefix("pg-sink-").tempdir().unwrap().keep();
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o777)).unwrap();
        let data = root.join("data");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut initdb = as_server(&bin.join("initdb"));
        let done = initdb
            .args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let conf = data.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&conf).unwrap();
        text.push_str(&format!(
            "\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\n\
             timezone = 'UTC'\n"
        ));
        for line in settings {
            text.push_str(line);
            text.push('\n');
        }
        std::fs::write(conf, text).unwrap();
        let cluster = Self { port, bin, data };
        cluster.start();
        cluster.stop_with_us(&root);
        cluster
    }

    pub fn start(&self) {
        self.control(&["-w", "-t", "60", "start"]);
    }

    pub fn stop(&self, mode: &str) {
        self.control(&["-w", "-m", mode, "stop"]);
    }

    fn control(&self, arguments: &[&str]) {
        let mut command = as_server(&self.bin.join("pg_ctl"));
        command.arg("-D").arg(&self.data).arg("-l").arg(self.data.join("server.log")).args(arguments);
        let status =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "pg_ctl {arguments:?}");
    }

    /// A shell waits for the end of a pipe that only we hold open.
    fn stop_with_us(&self, root: &Path) {
        let stop = as_server(&self.bin.join("pg_ctl"));
        let words: Vec<_> = std::iter::once(stop.get_program()).chain(stop.get_args()).collect();
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let script = format!(
            "cat > /dev/null; {} -D {} -m immediate stop; rm -rf {}",
            words.join(" "),
            self.data.display(),
            root.display()
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = shell.spawn().unwrap();
        // Not waited for, and its pipe stays open until this process ends.
        std::mem::forget(child);
    }

    pub async fn connect(&self, database: &str) -> Client {
        let config = format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port);
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A fresh database.
    pub async fn database(&self) -> Database {
        let name = format!("d{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let admin = self.connect("postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
        Database { client: self.connect(&name).await, url: self.url(&name), name }
    }

    pub fn url(&self, database: &str) -> String {
        format!("jdbc:postgresql://127.0.0.1:{}/{database}", self.port)
    }
}

/// A database of one test.
pub struct Database {
    pub client: Client,
    pub url: String,
    pub name: String,
}

impl Database {
    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Rows as text, sorted; a null is `None`.
    pub async fn rows(&self, table: &str) -> Vec<Vec<Option<String>>> {
        let sql = format!("SELECT * FROM {table}");
        let statement = self.client.prepare(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let columns: Vec<String> = statement
            .columns()
            .iter()
            .map(|column| format!("t.{}::text", pg::quote::identifier(column.name())))
            .collect();
        if columns.is_empty() {
            return vec![];
        }
        let sql = format!("SELECT {} FROM {table} AS t", columns.join(", "));
        let mut rows: Vec<Vec<Option<String>>> = self
            .client
            .query(&sql, &[])
            .await
            .unwrap()
            .iter()
            .map(|row| (0..row.len()).map(|at| row.get(at)).collect())
            .collect();
        rows.sort();
        rows
    }

    pub async fn count(&self, table: &str) -> i64 {
        self.client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
    }
}
