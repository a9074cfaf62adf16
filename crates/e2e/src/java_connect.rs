//! Kafka Connect from Maven Central with the Debezium connector: the reference, live.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::eventually::eventually;
use crate::rest::Rest;
use crate::{guard, ports};

/// A version of the Debezium connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debezium {
    V36,
    V19,
}

impl Debezium {
    fn folder(self) -> &'static str {
        match self {
            Self::V36 => "3.6.1.Final",
            Self::V19 => "1.9.7.Final",
        }
    }
}

/// A running worker; killed when dropped.
pub struct JavaConnect {
    child: Child,
    pub rest: Rest,
    dir: PathBuf,
}

fn folder(variable: &str) -> Result<PathBuf> {
    let dir = std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set: run ./test, which gets Kafka Connect"))?;
    let dir = PathBuf::from(dir);
    if !dir.is_dir() {
        bail!("{variable}={} is no folder", dir.display());
    }
    Ok(dir)
}

impl JavaConnect {
    /// Starts a distributed worker on a Kafka with more lines of `worker.properties`, and waits until it answers.
    ///
    /// # Errors
    /// Java or the jars are missing, or the worker does not start.
    pub async fn start(dir: &Path, bootstrap: &str, version: Debezium, settings: &[String]) -> Result<Self> {
        let (libs, plugins) = (folder("CONNECT_LIBS")?, folder("DEBEZIUM_PLUGINS")?.join(version.folder()));
        std::fs::create_dir_all(dir)?;
        let port = ports::free();
        let mut text = format!(
            "bootstrap.servers={bootstrap}\nlisteners=http://127.0.0.1:{port}\nplugin.path={}\n\
             config.storage.replication.factor=1\noffset.storage.replication.factor=1\n\
             status.storage.replication.factor=1\noffset.storage.partitions=5\n\
             key.converter=org.apache.kafka.connect.json.JsonConverter\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\n",
            plugins.display()
        );
        for line in settings {
            text.push_str(line);
            text.push('\n');
        }
        let properties = dir.join("connect.properties");
        std::fs::write(&properties, text)?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("connect.log"))?;
        let child = Command::new("java")
            .args(["-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC"])
            .args(["-Dlog4j2.level=WARN", "-cp"])
            .arg(format!("{}/*", libs.display()))
            .arg("org.apache.kafka.connect.cli.ConnectDistributed")
            .arg(&properties)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("run java")?;
        // The number may be another process's by then.
        let (pid, mark) = (child.id(), properties.display());
        guard::at_end(&format!("grep -q {mark} /proc/{pid}/cmdline && kill -9 {pid}"))?;
        let rest = Rest::new(format!("http://127.0.0.1:{port}"));
        let connect = Self { child, rest, dir: dir.to_owned() };
        let ready = eventually("Kafka Connect answers", Duration::from_secs(240), || async {
            let answer = connect.rest.get("/connectors").await?;
            Ok((answer.status == 200).then_some(()))
        });
        match ready.await {
            Ok(()) => Ok(connect),
            Err(error) => bail!("{error:#}; its log:\n{}", connect.log_text()),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.dir.join("connect.log")).unwrap_or_default()
    }

    /// Asks the process to end, and waits for it.
    ///
    /// # Errors
    /// It does not end.
    pub async fn terminate(&mut self) -> Result<()> {
        Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status()?;
        for _ in 0..1200 {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("Kafka Connect does not end after SIGTERM")
    }

    /// Ends the process as a crash would.
    ///
    /// # Errors
    /// The process cannot be signalled.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for JavaConnect {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
