//! Connections and frames. One connection's requests are answered one after the other, in their order, as Kafka
//! does. What is not a request closes its own connection and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::State;
use crate::dispatch::{self, Refused};
use crate::settings::REQUEST_BYTES_MAX;

/// Connections that may be open at once.
const CONNECTIONS_MAX: usize = 2_000;
/// Read at once; a frame that claims to be large gets its memory as its bytes arrive.
const READ_BYTES: usize = 64 * 1024;

/// Who asks: for advertised addresses and group members.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub remote: SocketAddr,
    /// The address at which the client reached us: the one it can reach again.
    pub local: SocketAddr,
}

pub async fn accept(listener: TcpListener, state: Arc<State>, mut stopping: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopping.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, remote)) => drop(connections.spawn(connection(stream, remote, state.clone()))),
                Err(error) => {
                    // Out of file handles: the next try would fail at once as well.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
        }
    }
    connections.shutdown().await;
}

async fn connection(mut stream: TcpStream, remote: SocketAddr, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let peer = Peer { remote, local };
    let mut buffer = BytesMut::new();
    loop {
        let frame = match read_frame(&mut stream, &mut buffer).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%remote, %error, "connection closed");
                return;
            }
        };
        match dispatch::answer(&state, peer, frame).await {
            Ok(Some(response)) => {
                if stream.write_all(&response).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(Refused(reason)) => {
                tracing::info!(%remote, reason, "connection refused");
                return;
            }
        }
    }
}

/// One frame without its length; `None` when the peer closed between frames.
async fn read_frame(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
    while buffer.len() < 4 {
        if read_some(stream, buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
    let len = i32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
    let len = usize::try_from(len).ok().filter(|len| (8..=REQUEST_BYTES_MAX).contains(len));
    let len =
        len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a request of an allowed size"))?;
    while buffer.len() < 4 + len {
        if read_some(stream, buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut frame = buffer.split_to(4 + len);
    let _ = frame.split_to(4);
    Ok(Some(frame.freeze()))
}

async fn read_some(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.reserve(READ_BYTES);
    stream.read_buf(buffer).await
}
