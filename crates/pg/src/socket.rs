//! A byte stream to a server: TCP or a Unix socket, plain or inside TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::connect::{ConnectSettings, Encryption};
use crate::error::{Error, Result};
use crate::sqlstate::ErrorClass;
use crate::tls;

pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Between two probes of a silent connection.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Opens a stream to one host, encrypted as wanted.
pub(crate) async fn open(
    settings: &ConnectSettings,
    host: &str,
    port: u16,
    encryption: Encryption,
) -> Result<Socket> {
    #[cfg(unix)]
    if host.starts_with('/') {
        return Ok(Socket::Unix(UnixStream::connect(format!("{host}/.s.PGSQL.{port}")).await?));
    }
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    if let Some(idle) = settings.keepalives {
        let keepalive = socket2::TcpKeepalive::new().with_time(idle).with_interval(PROBE_INTERVAL);
        let socket = socket2::SockRef::from(&stream);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if let Some(longest) = settings.unacknowledged_max {
        socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(longest))?;
    }
    if encryption == Encryption::Plain {
        return Ok(Socket::Tcp(stream));
    }
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await?;
    match (stream.read_u8().await?, encryption) {
        (b'S', _) => {}
        (b'N', Encryption::Offered) => return Ok(Socket::Tcp(stream)),
        (b'N', _) => {
            return Err(Error::new(ErrorClass::Settings, "the server does not support TLS")
                .with_hint("set \"ssl = on\" in postgresql.conf, or sslmode to prefer"));
        }
        _ => return Err(Error::protocol("unexpected answer to the request for TLS")),
    }
    let connector = TlsConnector::from(Arc::new(tls::client_config(settings)?));
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Error::new(ErrorClass::Settings, format!("\"{host}\" cannot be a name in a certificate"))
    })?;
    let stream = connector.connect(name, stream).await.map_err(|error| {
        Error::new(ErrorClass::Connection, format!("TLS handshake failed: {error}")).with_source(error)
    })?;
    Ok(Socket::Tls(Box::new(stream)))
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
