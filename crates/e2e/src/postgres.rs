//! PostgreSQL clusters of our own, made with the system's own programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio_postgres::{Client, NoTls};

use crate::eventually::eventually;

/// User and password of every cluster here.
pub const USER: &str = "postgres";
pub const PASSWORD: &str = "postgres";

/// A running cluster; stopped when dropped.
pub struct Cluster {
    bin: PathBuf,
    data: PathBuf,
    pub port: u16,
}

/// How a cluster is to be made.
pub struct ClusterOptions<'a> {
    pub port: u16,
    /// Lines for `postgresql.conf`.
    pub settings: &'a [&'a str],
}

/// Folder of PostgreSQL's programs: the newest that is installed.
///
/// # Errors
/// None is.
pub fn programs() -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    found.sort();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    found.into_iter().rev().find(|dir| dir.join("initdb").exists()).ok_or_else(|| {
        anyhow!("no PostgreSQL server programs (initdb) on this machine: install the postgresql package")
    })
}

/// The server refuses to run as root: its programs are run as the system's postgres user then.
fn as_server(program: &Path) -> Command {
    // SAFETY-free way to learn who we are: the owner of our own process folder.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn check(output: Output, what: &str) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    bail!("{what}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Cluster {
    /// Makes a cluster in `dir` (which must not exist) and starts it.
    ///
    /// # Errors
    /// No programs, no permission, or the port is taken.
    pub async fn create(dir: &Path, options: &ClusterOptions<'_>) -> Result<Self> {
        Self::create_with(&programs()?, dir, options).await
    }

    /// The same with the programs in `bin`, which the server's user can reach.
    ///
    /// # Errors
    /// No programs, no permission, or the port is taken.
    pub async fn create_with(bin: &Path, dir: &Path, options: &ClusterOptions<'_>) -> Result<Self> {
        let parent = dir.parent().context("a cluster's folder has a parent")?;
        std::fs::create_dir_all(parent)?;
        hand_over(parent)?;
        let password = parent.join(format!("password-{}", options.port));
        std::fs::write(&password, PASSWORD)?;
        hand_over(&password)?;
        let mut initdb = as_server(&bin.join("initdb"));
        initdb
            .arg("-D")
            .arg(dir)
            .args(["-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync"])
            .arg(format!("--pwfile={}", password.display()))
            .current_dir("/");
        check(initdb.output().context("run initdb")?, "initdb")?;
        std::fs::remove_file(password)?;
        let mut settings = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nwal_level = logical\n\
             max_wal_senders = 60\nmax_replication_slots = 60\nmax_connections = 200\ntimezone = 'UTC'\n\
             fsync = off\nmax_wal_size = 4GB\n",
            options.port
        );
        for line in options.settings {
            settings.push_str(line);
            settings.push('\n');
        }
        let file = dir.join("tidegate.conf");
        std::fs::write(&file, settings)?;
        hand_over(&file)?;
        let main = dir.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&main)?;
        text.push_str("\ninclude 'tidegate.conf'\n");
        std::fs::write(&main, text)?;
        let cluster = Self { bin: bin.to_owned(), data: dir.to_owned(), port: options.port };
        cluster.start().await?;
        Ok(cluster)
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// It does not start; its log says why.
    pub async fn start(&self) -> Result<()> {
        let log = self.data.join("server.log");
        let mut command = as_server(&self.bin.join("pg_ctl"));
        command
            .arg("-D")
            .arg(&self.data)
            .arg("-l")
            .arg(&log)
            .args(["-w", "-t", "60", "start"])
            .current_dir("/");
        // The server keeps what it inherits open: nobody may wait for its output.
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if !status.success() {
            bail!(
                "PostgreSQL at port {} did not start: {}",
                self.port,
                std::fs::read_to_string(&log).unwrap_or_default()
            );
        }
        eventually("PostgreSQL answers", Duration::from_secs(30), || async {
            self.connect(USER).await.map(Some)
        })
        .await
        .map(drop)
    }

    /// Stops the server: `fast` ends connections in peace, `immediate` is a crash.
    ///
    /// # Errors
    /// It does not stop.
    pub fn stop(&self, mode: &str) -> Result<()> {
        let mut command = as_server(&self.bin.join("pg_ctl"));
        command.arg("-D").arg(&self.data).args(["-w", "-m", mode, "stop"]).current_dir("/");
        check(command.output()?, "pg_ctl stop")
    }

    /// A connection to a database.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        connect(self.port, database).await
    }

    /// Makes a database, anew where it exists.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn database(&self, name: &str, options: &str) -> Result<()> {
        let client = self.connect(USER).await?;
        client.batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await?;
        client.batch_execute(&format!("CREATE DATABASE \"{name}\" {options}")).await?;
        Ok(())
    }

    /// A standby of this cluster in `dir`: a copy of its files, taken while it is stopped for a moment.
    ///
    /// # Errors
    /// One of them does not start, or the files cannot be copied.
    pub async fn standby(&self, dir: &Path, port: u16) -> Result<Self> {
        self.stop("fast")?;
        let copied = Command::new("cp").arg("-a").arg(&self.data).arg(dir).output().context("run cp");
        self.start().await?;
        check(copied?, "cp")?;
        let settings = format!(
            "\nport = {port}\nhot_standby_feedback = on\nprimary_conninfo = 'host=127.0.0.1 port={} user={USER} \
             password={PASSWORD}'\n",
            self.port
        );
        let file = dir.join("tidegate.conf");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text + &settings)?;
        let signal = dir.join("standby.signal");
        std::fs::write(&signal, "")?;
        hand_over(&signal)?;
        let standby = Self { bin: self.bin.clone(), data: dir.to_owned(), port };
        standby.start().await?;
        Ok(standby)
    }

    /// Makes a standby a primary of its own.
    ///
    /// # Errors
    /// It is none.
    pub fn promote(&self) -> Result<()> {
        let mut command = as_server(&self.bin.join("pg_ctl"));
        command.arg("-D").arg(&self.data).args(["-w", "promote"]).current_dir("/");
        check(command.output()?, "pg_ctl promote")
    }

    /// A program of the server's version (`pgbench`, `psql`).
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.stop("immediate");
    }
}

/// A connection as the superuser of our clusters.
///
/// # Errors
/// The server refuses it.
pub async fn connect(port: u16, database: &str) -> Result<Client> {
    let text = format!(
        "host=127.0.0.1 port={port} user={USER} password={PASSWORD} dbname={database} connect_timeout=5"
    );
    let (client, connection) = tokio_postgres::connect(&text, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Gives a path to the server's user where the server cannot run as us.
fn hand_over(path: &Path) -> Result<()> {
    if as_server(Path::new("true")).get_program() == "runuser" {
        let status = Command::new("chown").arg("postgres").arg(path).status()?;
        if !status.success() {
            bail!("chown postgres {}", path.display());
        }
    }
    Ok(())
}
