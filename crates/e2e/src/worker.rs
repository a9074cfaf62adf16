//! The binary under test as a process.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::eventually::eventually;
use crate::ports;
use crate::rest::Rest;

/// A running worker; killed when dropped.
pub struct Worker {
    child: Child,
    pub rest: Rest,
    pub rest_port: u16,
    /// The embedded broker's, or the cluster's.
    pub bootstrap: String,
    pub registry: String,
    program: Vec<PathBuf>,
    properties: PathBuf,
    log: PathBuf,
}

/// How a worker is to be started.
#[derive(Default)]
pub struct WorkerOptions {
    /// `None`: the embedded broker.
    pub bootstrap: Option<String>,
    /// 0 takes free ports.
    pub broker_port: u16,
    pub rest_port: u16,
    pub registry_port: u16,
    /// More lines of `worker.properties`.
    pub settings: Vec<String>,
    /// A program that runs what it is given as arguments: the worker's own surroundings.
    pub wrapper: Option<PathBuf>,
}

/// The binary: `TIDEGATE_BIN`, or the one beside this program; run by cargo, it is built first, so that what is tested
/// is what was written.
///
/// # Errors
/// There is none, or it does not compile.
pub fn program() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    if let Some(given) = std::env::var_os("TIDEGATE_BIN") {
        return Ok(given.into());
    }
    let own = std::env::current_exe().context("where this program is")?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        BUILT.get_or_init(|| build(&cargo, &own)).as_ref().map_err(|text| anyhow!("{text}"))?;
    }
    let built = own.ancestors().map(|dir| dir.join("tidegate")).find(|path| path.is_file());
    built.context(
        "no tidegate binary beside this program: run `cargo build -p worker` first, or set TIDEGATE_BIN",
    )
}

fn build(cargo: &OsStr, own: &Path) -> Result<(), String> {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "worker"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if own.ancestors().any(|dir| dir.ends_with("release")) {
        command.arg("--release");
    }
    // What cargo says of this package would make build scripts of others run again, and all behind them.
    for (name, _) in std::env::vars_os() {
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
        if name.to_str().is_some_and(|name| of_package.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    let output = command.output().map_err(|error| format!("run cargo: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("the worker was not built: {}", String::from_utf8_lossy(&output.stderr)))
}

impl Worker {
    /// Starts a worker with its files in `dir` and waits until it answers.
    ///
    /// # Errors
    /// It does not start; its log says why.
    pub async fn start(dir: &Path, options: &WorkerOptions) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let port = |given: u16| if given == 0 { ports::free() } else { given };
        let (broker, rest_port, registry) =
            (port(options.broker_port), port(options.rest_port), port(options.registry_port));
        let bootstrap = options.bootstrap.clone().unwrap_or_else(|| format!("127.0.0.1:{broker}"));
        let mut text = format!(
            "listeners=http://127.0.0.1:{rest_port}\nbroker.listener=127.0.0.1:{broker}\nbroker.data.dir={}\n\
             schema.registry.listener=127.0.0.1:{registry}\n",
            dir.join("broker").display()
        );
        if let Some(servers) = &options.bootstrap {
            text.push_str(&format!("bootstrap.servers={servers}\n"));
        }
        for line in &options.settings {
            text.push_str(line);
            text.push('\n');
        }
        let properties = dir.join("worker.properties");
        std::fs::write(&properties, text)?;
        let program: Vec<PathBuf> = options.wrapper.iter().cloned().chain([program()?]).collect();
        let log = dir.join("worker.log");
        let child = spawn(&program, &properties, &log)?;
        let rest = Rest::new(format!("http://127.0.0.1:{rest_port}"));
        let registry = format!("http://127.0.0.1:{registry}");
        let mut worker = Self { child, rest, rest_port, bootstrap, registry, program, properties, log };
        worker.wait_until_ready().await?;
        Ok(worker)
    }

    /// Waits until the REST API answers.
    ///
    /// # Errors
    /// The process ended, or does not answer in time.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let rest = self.rest.clone();
        let ready = eventually("the worker answers", Duration::from_secs(30), || async {
            Ok(rest.get("/connectors").await.ok())
        });
        let ended = async {
            loop {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let failed = tokio::select! {
            ready = ready => match ready { Ok(_) => return Ok(()), Err(error) => error.to_string() },
            status = ended => format!("the worker ended with {status}"),
        };
        bail!("{failed}; its log:\n{}", self.log_text())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
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

    /// Asks the process to end, and waits for it.
    ///
    /// # Errors
    /// It ends with another code than 0, or not at all.
    pub async fn terminate(&mut self) -> Result<()> {
        Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status()?;
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the worker ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the worker does not end after SIGTERM; its log:\n{}", self.log_text())
    }

    /// Starts the process again with the same files.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.program, &self.properties, &self.log)?;
        self.wait_until_ready().await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &[PathBuf], properties: &Path, log: &Path) -> Result<Child> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let (first, rest) = program.split_first().context("there is a program")?;
    Command::new(first)
        .args(rest)
        .arg("run")
        .arg(properties)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .with_context(|| format!("start {}", first.display()))
}
