//! The doors of a worker: broker, registry and REST API, opened in this order and closed in the other.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use broker::{Broker, BrokerSettings, Fsync};
use metrics_exporter_prometheus::PrometheusBuilder;
use runtime::settings::address;
use runtime::{Herder, HerderLoop, WorkerSettings, properties};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Runs a worker until a signal ends it.
///
/// # Errors
/// What could not be read, opened or reached, with its address.
pub async fn run(file: Option<&Path>) -> Result<()> {
    let settings = settings(file)?;
    // Before anything else is started: a port in use must not leave half a worker behind.
    let mut listeners = vec![];
    for listener in &settings.listeners {
        listeners.push(bind(address(listener)).await.with_context(|| format!("REST API at {listener}"))?);
    }
    let broker = start_broker(&settings).await?;
    let metrics = PrometheusBuilder::new().install_recorder().context("start metrics")?;
    runtime::describe_metrics();
    let (registry, (herder, herder_loop)) =
        tokio::try_join!(start_registry(&settings), start_herder(&settings))?;
    let (stop, stopping) = watch::channel(());
    let mut servers = vec![];
    for listener in listeners {
        tracing::info!(address = %listener.local_addr()?, "REST API is open");
        let server = rest::Server { herder: herder.clone(), metrics: metrics.clone() };
        let mut stopping = stopping.clone();
        servers.push(tokio::spawn(rest::serve(server, listener, async move {
            let _ = stopping.changed().await;
        })));
    }
    let signal = signal().await?;
    tracing::info!(signal, "stopping: tasks write and commit what they have");
    let _ = stop.send(());
    herder.shutdown().await;
    herder_loop.ended().await;
    for server in servers {
        // Open connections of idle clients do not hold the process up.
        server.abort();
        let _ = server.await;
    }
    // Its readers of internal topics go before the broker that they read from.
    drop(herder);
    if let Some(registry) = registry {
        registry.stop().await;
    }
    if let Some(broker) = broker {
        broker.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}

async fn start_herder(settings: &WorkerSettings) -> Result<(Herder, HerderLoop)> {
    Herder::start(settings.clone()).await.with_context(|| {
        let servers = settings.bootstrap_servers.as_deref().unwrap_or(&settings.broker_listener);
        format!("Kafka at {servers}")
    })
}

/// The schema registry, with the embedded broker or where it was asked for.
async fn start_registry(settings: &WorkerSettings) -> Result<Option<registry::Registry>> {
    let Some(listener) = &settings.registry_listener else { return Ok(None) };
    let started = registry::serve(&registry::Settings::new(listener, settings.clients())).await;
    Ok(Some(started.with_context(|| format!("schema registry at {listener}"))?))
}

/// The embedded broker, where no cluster is configured.
async fn start_broker(settings: &WorkerSettings) -> Result<Option<Broker>> {
    if settings.bootstrap_servers.is_some() {
        return Ok(None);
    }
    let broker = BrokerSettings {
        listener: settings.broker_listener.clone(),
        data_dir: settings.broker_data_dir.clone(),
        fsync: match &*settings.broker_fsync {
            "always" => Fsync::Always,
            "never" => Fsync::Never,
            _ => Fsync::Interval,
        },
    };
    let started = Broker::start(&broker).await.with_context(|| {
        format!("embedded broker at {} with data in {}", broker.listener, broker.data_dir.display())
    })?;
    tracing::info!(address = %started.address(), data = %broker.data_dir.display(), "embedded broker is open");
    Ok(Some(started))
}

pub fn settings(file: Option<&Path>) -> Result<WorkerSettings> {
    let properties = match file {
        None => properties::parse(""),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
            properties::parse(&text)
        }
    };
    let named = || file.map_or_else(String::new, |file| format!("{}: ", file.display()));
    let properties = properties.map_err(|error| anyhow!("{}{error}", named()))?;
    WorkerSettings::new(properties).map_err(|errors| anyhow!("{}{errors}", named()))
}

async fn bind(address: &str) -> Result<TcpListener> {
    let address = if let Some(port) = address.strip_prefix(':') {
        format!("0.0.0.0:{port}")
    } else {
        address.to_owned()
    };
    TcpListener::bind(&address).await.with_context(|| {
        format!("cannot listen at {address} (is another worker running? choose another address in the properties file)")
    })
}

async fn signal() -> Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| "SIGINT").context("listen for SIGINT"),
    }
}
