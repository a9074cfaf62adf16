//! The whole: opens the data, serves connections, forces data to disk, closes in peace.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::groups::Groups;
use crate::listener;
use crate::log::Shutdown;
use crate::settings::{BrokerSettings, Fsync};
use crate::topics::Topics;

/// How often `Fsync::Interval` forces data to disk.
const FSYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How often members without a heartbeat are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);
/// Producer ids that are taken from the file at once.
const PRODUCER_IDS: i64 = 1_000;
/// Lies in the data folder while nobody writes there.
const CLEAN_FILE: &str = "clean-shutdown";

/// What all connections share.
pub struct State {
    pub topics: Topics,
    pub groups: Groups,
    pub cluster_id: String,
    pub fsync: Fsync,
    producer_ids: Mutex<ProducerIds>,
}

struct ProducerIds {
    file: PathBuf,
    next: i64,
    reserved: i64,
}

/// A running broker.
pub struct Broker {
    state: Arc<State>,
    address: SocketAddr,
    data_dir: PathBuf,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Keeps a second broker out of the folder.
    _lock: fs::File,
}

impl Broker {
    /// Opens the data (repairing what an unclean end left) and listens.
    ///
    /// # Errors
    /// The address or the folder cannot be had; another broker uses the folder.
    pub async fn start(settings: &BrokerSettings) -> io::Result<Self> {
        let listener = TcpListener::bind(&settings.listener).await?;
        let address = listener.local_addr()?;
        let dir = settings.data_dir.clone();
        fs::create_dir_all(&dir)?;
        let lock = lock(&dir)?;
        let fsync = settings.fsync;
        let open_dir = dir.clone();
        let state =
            tokio::task::spawn_blocking(move || open(&open_dir, fsync)).await.map_err(io::Error::other)??;
        let state = Arc::new(state);
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(listener::accept(listener, state.clone(), stopping.clone()));
        tasks.spawn(sweep(state.clone(), stopping.clone()));
        if fsync == Fsync::Interval {
            tasks.spawn(force(state.clone(), stopping));
        }
        Ok(Self { state, address, data_dir: dir, stop, tasks, _lock: lock })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and forces everything to disk.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
        let (state, dir) = (self.state.clone(), self.data_dir.clone());
        let closed = tokio::task::spawn_blocking(move || {
            state.topics.close()?;
            state.groups.close()?;
            fs::write(dir.join(CLEAN_FILE), b"")?;
            fs::File::open(dir)?.sync_all()
        })
        .await;
        if let Ok(Err(error)) | Err(error) = closed.map_err(io::Error::other) {
            tracing::error!(%error, "the embedded broker's data could not be closed");
        }
    }
}

impl State {
    /// An id that no producer of this data folder ever had.
    pub fn next_producer_id(&self) -> io::Result<i64> {
        let mut ids = self.producer_ids.lock();
        if ids.next >= ids.reserved {
            // Written before use: after a crash the rest of the block is skipped, never given out again.
            ids.reserved = ids.next + PRODUCER_IDS;
            fs::write(&ids.file, ids.reserved.to_string())?;
        }
        ids.next += 1;
        Ok(ids.next - 1)
    }

    fn sync_all(&self) {
        for topic in self.topics.all() {
            for partition in topic.partitions() {
                if let Err(error) = partition.sync() {
                    tracing::error!(topic = topic.name, %error, "data could not be forced to disk");
                }
            }
        }
        if let Err(error) = self.groups.sync() {
            tracing::error!(%error, "offsets could not be forced to disk");
        }
    }
}

fn lock(dir: &Path) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    file.try_lock().map_err(|_| {
        let text = format!("another broker uses the data folder {}", dir.display());
        io::Error::new(io::ErrorKind::ResourceBusy, text)
    })?;
    Ok(file)
}

fn open(dir: &Path, fsync: Fsync) -> io::Result<State> {
    let clean = dir.join(CLEAN_FILE);
    let shutdown = if clean.exists() { Shutdown::Clean } else { Shutdown::Unclean };
    let topics = Topics::open(dir, shutdown)?;
    let groups = Groups::open(dir)?;
    if shutdown == Shutdown::Clean {
        fs::remove_file(clean)?;
    }
    let file = dir.join("producer-ids");
    let next = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let id_file = dir.join("cluster-id");
    let cluster_id = match fs::read_to_string(&id_file) {
        Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => {
            let id = Uuid::new_v4().simple().to_string()[..22].to_owned();
            fs::write(id_file, &id)?;
            id
        }
    };
    let producer_ids = Mutex::new(ProducerIds { file, next, reserved: next });
    Ok(State { topics, groups, cluster_id, fsync, producer_ids })
}

async fn sweep(state: Arc<State>, mut stopping: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            _ = tick.tick() => state.groups.sweep(),
        }
    }
}

async fn force(state: Arc<State>, mut stopping: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(FSYNC_INTERVAL);
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            _ = tick.tick() => {
                let state = state.clone();
                let _ = tokio::task::spawn_blocking(move || state.sync_all()).await;
            }
        }
    }
}
