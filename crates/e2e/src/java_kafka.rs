//! Apache Kafka from Maven Central, one node in KRaft mode.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use tokio::sync::OnceCell;

use crate::eventually::eventually;
use crate::{guard, ports};

/// A running broker; killed when dropped.
pub struct JavaKafka {
    child: Child,
    pub bootstrap: String,
    libs: PathBuf,
    properties: PathBuf,
    dir: PathBuf,
}

/// Where the test script put Kafka's jars: `KAFKA_LIBS`.
///
/// # Errors
/// The variable is not set, or the folder is empty.
pub fn libs() -> Result<PathBuf> {
    let dir: PathBuf =
        std::env::var_os("KAFKA_LIBS").context("KAFKA_LIBS is not set: run ./test, which gets Kafka")?.into();
    if !dir.is_dir() {
        bail!("KAFKA_LIBS={} is no folder", dir.display());
    }
    Ok(dir)
}

/// The one that all tests of a binary share; ended and removed with the process.
///
/// # Errors
/// Java or the jars are missing, or the broker does not start.
pub async fn shared() -> Result<&'static JavaKafka> {
    static SHARED: OnceCell<JavaKafka> = OnceCell::const_new();
    let start = || async {
        let dir = PathBuf::from(format!("/var/tmp/tidegate-test-kafka-{}", std::process::id()));
        let kafka = JavaKafka::start(&dir).await?;
        guard::at_end(&format!("kill -9 {}; sleep 0.2; rm -rf {}", kafka.pid(), dir.display()))?;
        Ok(kafka)
    };
    SHARED.get_or_try_init(start).await
}

impl JavaKafka {
    /// # Errors
    /// Java or the jars are missing, or the broker does not start.
    pub async fn start(dir: &Path) -> Result<Self> {
        let libs = libs()?;
        std::fs::create_dir_all(dir)?;
        let (port, controller) = (ports::free(), ports::free());
        let properties = dir.join("server.properties");
        std::fs::write(
            &properties,
            format!(
                "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
                 controller.quorum.voters=1@127.0.0.1:{controller}\nlog.dirs={}\n\
                 offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
                 transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nmessage.max.bytes=33554432\n",
                dir.join("data").display()
            ),
        )?;
        let java = |class: &str| {
            let mut command = Command::new("java");
            command.arg("-Xmx1g").arg("-cp").arg(format!("{}/*", libs.display())).arg(class);
            command
        };
        let formatted = java("kafka.tools.StorageTool")
            .args(["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"])
            .arg(&properties)
            .output()
            .context("run java")?;
        if !formatted.status.success() {
            bail!("format storage: {}", String::from_utf8_lossy(&formatted.stderr));
        }
        let child = run(&libs, &properties, dir)?;
        let kafka =
            Self { child, bootstrap: format!("127.0.0.1:{port}"), libs, properties, dir: dir.to_owned() };
        kafka.wait().await?;
        Ok(kafka)
    }

    async fn wait(&self) -> Result<()> {
        let settings = kafka::ClientSettings::new([("bootstrap.servers", self.bootstrap.as_str())]);
        let admin = kafka::Admin::new(&settings)?;
        eventually("Kafka answers", Duration::from_secs(180), || async {
            Ok(admin.cluster_id(Duration::from_secs(1)).await)
        })
        .await
        .map(drop)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// The process cannot be signalled.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// # Errors
    /// The broker does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = run(&self.libs, &self.properties, &self.dir)?;
        self.wait().await
    }
}

impl Drop for JavaKafka {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn run(libs: &Path, properties: &Path, dir: &Path) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("kafka.log"))?;
    Command::new("java")
        .args(["-Xmx1g", "-cp"])
        .arg(format!("{}/*", libs.display()))
        .arg("kafka.Kafka")
        .arg(properties)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("run java")
}
