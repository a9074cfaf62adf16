//! The door: reads the topic, listens, and closes in peace.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::log::{self, Shared};
use crate::registration::Core;
use crate::routes::router;
use crate::settings::{Settings, StartError};

/// A running registry.
pub struct Registry {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Reads everything that is stored, then listens. The port is taken first, so that one in use is said at once.
pub async fn serve(settings: &Settings) -> Result<Registry, StartError> {
    let listener = bind(&settings.listener).await?;
    let address = listener.local_addr().map_err(|source| listen_error(&settings.listener, source))?;
    let state = Shared::default();
    let log = log::open(&settings.store, &state).await?;
    let core = Core { state, log, writing: Mutex::new(()), default_level: settings.compatibility };
    let router = router(Arc::new(core));
    let (stop, mut stopped) = watch::channel(false);
    let task = tokio::spawn(async move {
        let until_stopped = async move {
            // An error means that the registry itself was dropped.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until_stopped).await {
            error!(%error, "schema registry ended");
        }
    });
    info!(%address, "schema registry is open");
    Ok(Registry { address, stop, task })
}

impl Registry {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening; open connections of idle clients do not hold it up.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(std::time::Duration::from_secs(1), self.task).await.is_err() {
            abort.abort();
        }
    }
}

async fn bind(listener: &str) -> Result<TcpListener, StartError> {
    let address = listener.strip_prefix("http://").unwrap_or(listener).trim_end_matches('/');
    let address = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() };
    TcpListener::bind(&address).await.map_err(|source| listen_error(&address, source))
}

fn listen_error(address: &str, source: std::io::Error) -> StartError {
    StartError::Listen { address: address.to_owned(), source }
}
