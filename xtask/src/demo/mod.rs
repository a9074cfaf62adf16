//! The demo: PostgreSQL → Kafka → PostgreSQL with the connector JSON people already have, and a verdict.

mod load; // inserts, updates and deletes
mod apart; // names of its own in a Kafka that others use
mod view; // what is going on, once a second
mod verify; // every row and column

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use e2e::eventually::eventually;
use e2e::java_kafka::JavaKafka;
use e2e::ports;
use e2e::postgres::{self, Cluster, ClusterOptions};
use e2e::worker::{Worker, WorkerOptions};
use serde_json::Value;

pub const SOURCE_PORT: u16 = 5442;
pub const SINK_PORT: u16 = 5443;
const BROKER_PORT: u16 = 9092;
const REST_PORT: u16 = 8083;
const REGISTRY_PORT: u16 = 8085;
pub const SOURCE_DB: &str = "source_db";
pub const SINK_DB: &str = "sink_db";
pub const TABLES: [&str; 3] = ["users", "posts", "comments"];
/// How long the sink may take to catch up when writing has ended.
const CATCH_UP: Duration = Duration::from_secs(120);

#[derive(Args)]
pub struct Options {
    /// Write for so long.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// End after the verdict, with exit code 0 only when all is equal.
    #[arg(long)]
    once: bool,
    /// End what an earlier run left, and remove its data.
    #[arg(long)]
    clean: bool,
    /// Folder of all data.
    #[arg(long, default_value = "/var/tmp/tidegate-demo")]
    dir: PathBuf,
    /// A Kafka cluster to use instead of the embedded broker.
    #[arg(long)]
    bootstrap: Option<String>,
    /// Start an Apache Kafka from the jars in the folder KAFKA_LIBS, and use that.
    #[arg(long, conflicts_with = "bootstrap")]
    kafka: bool,
    /// Folder of the connectors' JSON and the SQL.
    #[arg(long, default_value = "demo.d")]
    files: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Equal,
    Different,
}

pub async fn run(options: &Options) -> Result<Verdict> {
    if options.clean {
        clean(&options.dir)?;
        println!("removed {}", options.dir.display());
        return Ok(Verdict::Equal);
    }
    check_free(options)?;
    let file = |name: &str| {
        let path = options.files.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let (schema, initial) = (file("schema.sql")?, file("initial.sql")?);
    let mut connectors: [Value; 2] =
        [serde_json::from_str(&file("source.json")?)?, serde_json::from_str(&file("sink.json")?)?];
    println!(
        "starting two PostgreSQL clusters (ports {SOURCE_PORT} and {SINK_PORT}) below {} ...",
        options.dir.display()
    );
    let cluster = |name: &'static str, port| async move {
        Cluster::create(&options.dir.join(name), &ClusterOptions { port, settings: &[] }).await
    };
    let source = cluster("source", SOURCE_PORT).await?;
    let sink = cluster("sink", SINK_PORT).await?;
    for (cluster, database) in [(&source, SOURCE_DB), (&sink, SINK_DB)] {
        cluster.database(database, "").await?;
        cluster.connect(database).await?.batch_execute(&schema).await?;
    }
    source.connect(SOURCE_DB).await?.batch_execute(&initial).await?;
    let kafka = if options.kafka {
        println!("starting Apache Kafka ...");
        Some(JavaKafka::start(&options.dir.join("kafka")).await?)
    } else {
        None
    };
    let bootstrap = kafka.as_ref().map(|kafka| kafka.bootstrap.clone()).or_else(|| options.bootstrap.clone());
    let broker =
        bootstrap.as_ref().map_or_else(|| format!("broker {BROKER_PORT}"), |at| format!("Kafka {at}"));
    println!("starting tidegate ({broker}, REST API {REST_PORT}, schema registry {REGISTRY_PORT}) ...");
    let mut settings = vec!["offset.flush.interval.ms=5000".to_owned()];
    if bootstrap.is_some() {
        settings.extend(apart::rename(&mut connectors)?);
    }
    let worker = WorkerOptions {
        bootstrap,
        broker_port: BROKER_PORT,
        rest_port: REST_PORT,
        registry_port: REGISTRY_PORT,
        settings,
        wrapper: None,
    };
    let mut worker = Worker::start(&options.dir.join("worker"), &worker).await?;
    for connector in &connectors {
        println!("creating connector {} ...", connector["name"]);
        worker.rest.create(connector).await?;
    }
    let verdict = watch(options, &worker).await?;
    if options.once || !std::io::stdout().is_terminal() {
        worker.terminate().await?;
        return Ok(verdict);
    }
    println!(
        "\nstill running, look around:\n  curl -s 127.0.0.1:{REST_PORT}/connectors?expand=status\n  \
         curl -s 127.0.0.1:{REST_PORT}/metrics\n  curl -s 127.0.0.1:{REGISTRY_PORT}/subjects\n  \
         psql postgresql://postgres:postgres@127.0.0.1:{SOURCE_PORT}/{SOURCE_DB}\n  \
         psql postgresql://postgres:postgres@127.0.0.1:{SINK_PORT}/{SINK_DB}\nCtrl-C ends it; ./demo --clean removes its data."
    );
    tokio::signal::ctrl_c().await?;
    worker.terminate().await?;
    Ok(verdict)
}

/// Writes, watches, waits and compares.
async fn watch(options: &Options, worker: &Worker) -> Result<Verdict> {
    let load = Arc::new(load::Load::default());
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let writing = tokio::spawn(load::write(load.clone(), deadline));
    let mut view = view::View::open(&worker.rest, load.clone()).await?;
    tokio::select! {
        () = view.run() => {}
        written = writing => written??,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
    view.line().await;
    println!("\nwriting has ended; waiting for the sink ...");
    let difference = eventually("the sink caught up", CATCH_UP, || async {
        Ok(verify::difference().await?.is_none().then_some(()))
    })
    .await;
    view.line().await;
    let dead_letters = view.dead_letters().await;
    match difference {
        Ok(()) if dead_letters == 0 => {
            println!("\nVERDICT: equal. {}", verify::summary().await?);
            Ok(Verdict::Equal)
        }
        Ok(()) => {
            println!("\nVERDICT: equal, but {dead_letters} records went to the dead letter queue.");
            Ok(Verdict::Different)
        }
        Err(_) => {
            let text = verify::difference().await?.unwrap_or_else(|| "nothing any more".to_owned());
            println!("\nVERDICT: DIFFERENT: {text}\nthe worker's log:\n{}", worker.log_text());
            Ok(Verdict::Different)
        }
    }
}

/// Ports and folder must be ours alone.
fn check_free(options: &Options) -> Result<()> {
    let wanted = [
        (SOURCE_PORT, "source PostgreSQL"),
        (SINK_PORT, "sink PostgreSQL"),
        (REST_PORT, "REST API"),
        (REGISTRY_PORT, "schema registry"),
        (BROKER_PORT, "broker"),
    ];
    let taken: Vec<String> = wanted
        .into_iter()
        .filter(|(port, _)| (*port != BROKER_PORT || options.bootstrap.is_none()) && ports::is_taken(*port))
        .map(|(port, what)| format!("{port} ({what})"))
        .collect();
    if !taken.is_empty() {
        bail!(
            "in use already: port {}. Is another demo running? `./demo --clean` ends what an earlier one left; \
             otherwise end the program that listens there",
            taken.join(", port ")
        );
    }
    if options.dir.exists() {
        println!("removing what an earlier run left in {} ...", options.dir.display());
        clean(&options.dir)?;
    }
    std::fs::create_dir_all(&options.dir).with_context(|| format!("make {}", options.dir.display()))?;
    postgres::programs().map(drop)
}

/// Ends servers that run on data below `dir`, and removes it.
fn clean(dir: &Path) -> Result<()> {
    for name in ["source", "sink"] {
        let pid_file = dir.join(name).join("postmaster.pid");
        let pid =
            std::fs::read_to_string(&pid_file).ok().and_then(|text| text.lines().next().map(str::to_owned));
        if let Some(pid) = pid {
            let _ = std::process::Command::new("kill").args(["-INT", pid.trim()]).status();
            let deadline = Instant::now() + Duration::from_secs(10);
            while pid_file.exists() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    let properties = dir.join("worker").join("worker.properties");
    if properties.exists() {
        let _ = std::process::Command::new("pkill").arg("-f").arg(&properties).status();
    }
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
