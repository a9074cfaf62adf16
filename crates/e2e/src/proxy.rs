//! A TCP proxy that can be cut: the network between two servers.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Up,
    /// Nothing passes and nothing is closed, as when a cable is pulled; new connections hang.
    Silent,
    /// Every connection is reset, and new ones are at once.
    Reset,
}

pub struct Proxy {
    pub port: u16,
    network: watch::Sender<Network>,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// Listens at a free port and passes everything on to `target` of the loopback address.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (network, _) = watch::channel(Network::Up);
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, ([127, 0, 0, 1], target).into(), network.clone()));
        Ok(Self { port, network, _serving: serving })
    }

    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, network: watch::Sender<Network>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(client, target, network.subscribe()));
    }
}

async fn serve(client: TcpStream, target: SocketAddr, mut network: watch::Receiver<Network>) {
    let client = Arc::new(client);
    if network.wait_for(|network| *network != Network::Silent).await.is_err() {
        return;
    }
    let server =
        if *network.borrow() == Network::Reset { None } else { TcpStream::connect(target).await.ok() };
    let Some(server) = server.map(Arc::new) else { return reset(&client) };
    let gone = async {
        let mut network = network.clone();
        let _ = network.wait_for(|network| *network == Network::Reset).await;
    };
    let up = pass(client.clone(), server.clone(), network.clone());
    let down = pass(server.clone(), client.clone(), network.clone());
    tokio::select! {
        () = gone => {
            reset(&client);
            reset(&server);
        }
        () = up => {}
        () = down => {}
    }
}

/// Dropping the socket now sends a reset instead of an end.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

async fn pass(from: Arc<TcpStream>, to: Arc<TcpStream>, mut network: watch::Receiver<Network>) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let _ = network.wait_for(|network| *network != Network::Silent).await;
        let Ok(()) = from.readable().await else { return };
        // What came while the network was silent waits in the socket, as on the wire.
        if *network.borrow() == Network::Silent {
            continue;
        }
        let count = match from.try_read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        let mut rest = &chunk[..count];
        while !rest.is_empty() {
            let Ok(()) = to.writable().await else { return };
            match to.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
