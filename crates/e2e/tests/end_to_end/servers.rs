//! Servers that go away under load and come back: every connector runs again by itself, soon, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::eventually::eventually;
use e2e::java_kafka::JavaKafka;
use e2e::ports;
use e2e::postgres::connect;
use e2e::proxy::{Network, Proxy};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::setup::{Kind, Parts, Rig, Target, bootstrap, folder, on_both_brokers};

on_both_brokers!(
    the_source_restarts,
    the_target_restarts,
    the_network_to_the_source_falls_silent,
    the_network_to_the_source_is_reset,
    the_walsender_is_terminated,
);

const EQUAL_WITHIN: Duration = Duration::from_secs(90);
/// How long a server stays away.
const AWAY: Duration = Duration::from_secs(3);
/// Promised are 5 seconds; machines that run tests are busy.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// Somebody who writes whatever happens, a few transactions a second.
struct Load {
    ended: Arc<AtomicBool>,
    writing: JoinHandle<Result<()>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let writing = tokio::spawn(write(port, ended.clone()));
        Self { ended, writing }
    }

    async fn stop(self) -> Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        self.writing.await?
    }
}

async fn write(port: u16, ended: Arc<AtomicBool>) -> Result<()> {
    let mut client = None;
    let mut written = 0;
    while !ended.load(Ordering::Relaxed) || written == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let connected = match client.take() {
            Some(connected) => Some(connected),
            None => connect(port, "source_db").await.ok(),
        };
        let Some(connected) = connected else { continue };
        let statements = format!(
            "BEGIN; INSERT INTO users (name) VALUES ('u{written}');
             INSERT INTO posts (user_id, title) SELECT max(id), 'p' FROM users;
             INSERT INTO comments (post_id, user_id, body) SELECT max(id), max(user_id), 'c' FROM posts; COMMIT;
             UPDATE users SET name = name || '!', updated_at = now() WHERE id = {written} / 2;
             DELETE FROM users WHERE id = {written} - 20;"
        );
        // A server on its way down refuses.
        if connected.batch_execute(&statements).await.is_ok() {
            written += 1;
            client = Some(connected);
        }
    }
    Ok(())
}

/// From now until all connectors run, and until a row that is written now arrives.
async fn recovery(rig: &mut Rig, what: &str) -> Result<()> {
    let back = Instant::now();
    if rig.source.is_closed() {
        rig.source = rig.cluster.connect("source_db").await?;
    }
    if rig.sink.is_closed() {
        rig.sink = rig.target().connect("sink_db").await?;
    }
    // A number that the load does not touch.
    let insert = "INSERT INTO users (id, name) SELECT least(min(id), 0) - 1, 'back' FROM users RETURNING id";
    let id: i32 = rig.source.query_one(insert, &[]).await?.get(0);
    let mut running = None;
    let arrived = eventually("a row written afterwards arrives", Duration::from_secs(60), || async {
        Ok(rig.sink.query_opt("SELECT FROM users WHERE id = $1", &[&id]).await?)
    });
    let runs = async {
        for name in [rig.source_name(), rig.sink_name()] {
            rig.worker.rest.wait_for_state(&name, "RUNNING").await?;
        }
        running = Some(back.elapsed());
        anyhow::Ok(())
    };
    let (arrived, runs) = tokio::join!(arrived, runs);
    let (arrived_after, log) = (back.elapsed(), || rig.worker.log_text());
    arrived.with_context(log)?;
    runs.with_context(log)?;
    println!("{what}: RUNNING after {running:?}, a row through after {arrived_after:?}");
    ensure!(arrived_after < BACK_WITHIN, "{what}: a row came after {arrived_after:?}\n{}", log());
    Ok(())
}

async fn rig(name: &str, kind: Kind, target: Target) -> Result<Rig> {
    Rig::with(name, Parts { bootstrap: bootstrap(kind).await?, target, ..Parts::default() }).await
}

async fn the_source_restarts(kind: Kind) -> Result<()> {
    let mut rig = rig("restart-source", kind, Target::OwnCluster).await?;
    rig.create_connectors().await?;
    let load = Load::start(rig.cluster.port);
    for mode in ["fast", "immediate"] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.cluster.stop(mode)?;
        tokio::time::sleep(AWAY).await;
        rig.cluster.start().await?;
        recovery(&mut rig, &format!("source restarted ({mode})")).await?;
    }
    load.stop().await?;
    rig.wait_until_equal(EQUAL_WITHIN).await?;
    rig.nothing_was_rejected().await
}

async fn the_target_restarts(kind: Kind) -> Result<()> {
    let mut rig = rig("restart-target", kind, Target::OwnCluster).await?;
    rig.create_connectors().await?;
    let load = Load::start(rig.cluster.port);
    for mode in ["fast", "immediate"] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.target().stop(mode)?;
        tokio::time::sleep(AWAY).await;
        rig.target().start().await?;
        recovery(&mut rig, &format!("target restarted ({mode})")).await?;
    }
    load.stop().await?;
    rig.wait_until_equal(EQUAL_WITHIN).await?;
    rig.nothing_was_rejected().await
}

/// Its own Kafka: others use the shared one.
#[tokio::test(flavor = "multi_thread")]
async fn kafka_restarts() -> Result<()> {
    let dir = folder("restart-kafka")?;
    let mut kafka = JavaKafka::start(&dir.path().join("kafka")).await?;
    let parts = Parts { bootstrap: Some(kafka.bootstrap.clone()), ..Parts::default() };
    let mut rig = Rig::with("restart-kafka", parts).await?;
    rig.create_connectors().await?;
    let load = Load::start(rig.cluster.port);
    tokio::time::sleep(Duration::from_secs(2)).await;
    kafka.kill()?;
    tokio::time::sleep(AWAY).await;
    kafka.restart().await?;
    recovery(&mut rig, "Kafka restarted").await?;
    load.stop().await?;
    rig.wait_until_equal(EQUAL_WITHIN).await?;
    rig.nothing_was_rejected().await
}

/// The embedded broker goes with its worker.
#[tokio::test(flavor = "multi_thread")]
async fn the_worker_with_the_broker_restarts() -> Result<()> {
    let mut rig = Rig::start("restart-worker", Kind::Embedded).await?;
    rig.create_connectors().await?;
    let load = Load::start(rig.cluster.port);
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.worker.kill()?;
    rig.worker.restart().await?;
    recovery(&mut rig, "worker killed").await?;
    rig.worker.terminate().await?;
    rig.worker.restart().await?;
    recovery(&mut rig, "worker restarted in peace").await?;
    load.stop().await?;
    rig.wait_until_equal(EQUAL_WITHIN).await?;
    rig.nothing_was_rejected().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_broker_elsewhere_restarts() -> Result<()> {
    let dir = folder("restart-broker")?;
    let options = e2e::worker::WorkerOptions { broker_port: ports::free(), ..Default::default() };
    let mut broker = e2e::worker::Worker::start(&dir.path().join("broker"), &options).await?;
    let parts = Parts { bootstrap: Some(broker.bootstrap.clone()), ..Parts::default() };
    let mut rig = Rig::with("restart-broker", parts).await?;
    rig.create_connectors().await?;
    let load = Load::start(rig.cluster.port);
    tokio::time::sleep(Duration::from_secs(1)).await;
    broker.kill()?;
    tokio::time::sleep(AWAY).await;
    broker.restart().await?;
    recovery(&mut rig, "embedded broker killed").await?;
    load.stop().await?;
    rig.wait_until_equal(EQUAL_WITHIN).await?;
    rig.nothing_was_rejected().await
}

async fn the_network_to_the_source_falls_silent(kind: Kind) -> Result<()> {
    the_network_is_cut("silent", Network::Silent, kind).await
}

async fn the_network_to_the_source_is_reset(kind: Kind) -> Result<()> {
    the_network_is_cut("reset", Network::Reset, kind).await
}

async fn the_network_is_cut(name: &str, cut: Network, kind: Kind) -> Result<()> {
    let mut rig = rig(&format!("network-{name}"), kind, Target::SameCluster).await?;
    let proxy = Proxy::start(rig.cluster.port).await?;
    let mut source = rig.source_connector();
    source["config"]["database.port"] = json!(proxy.port.to_string());
    rig.worker.rest.create(&source).await?;
    rig.worker.rest.create(&rig.sink_connector()).await?;
    rig.wait_until_running().await?;
    let load = Load::start(rig.cluster.port);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.set(cut);
        tokio::time::sleep(AWAY).await;
        proxy.set(Network::Up);
        recovery(&mut rig, &format!("network {name} for {AWAY:?}")).await?;
    }
    load.stop().await?;
    rig.wait_until_equal(EQUAL_WITHIN).await?;
    rig.nothing_was_rejected().await
}

async fn the_walsender_is_terminated(kind: Kind) -> Result<()> {
    let mut rig = rig("walsender", kind, Target::SameCluster).await?;
    rig.create_connectors().await?;
    let load = Load::start(rig.cluster.port);
    for _ in 0..5 {
        eventually("a walsender to terminate", Duration::from_secs(20), || async {
            let terminate = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active";
            Ok(rig.source.query_opt(terminate, &[]).await?)
        })
        .await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    recovery(&mut rig, "walsender terminated").await?;
    load.stop().await?;
    rig.wait_until_equal(EQUAL_WITHIN).await?;
    rig.nothing_was_rejected().await
}
