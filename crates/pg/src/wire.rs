//! A connection whose frames we see: login, simple queries, and the stream of a COPY as chunks of whole frames.
//!
//! tokio-postgres knows no replication, and hands COPY out row by row. Here a chunk is what one read of the
//! socket gave, cut where a frame ends: who decodes it walks over hundreds of rows in one buffer, and values
//! are slices of it.

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{self, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connect::{self, ConnectSettings, Encryption};
use crate::error::{Error, Report, Result};
use crate::socket::{self, Socket};
use crate::sqlstate::ErrorClass;

/// Room for one read of the socket: large enough to take a full receive window, small enough that a single
/// record which is kept does not pin much.
const READ_BYTES: usize = 128 * 1024;
/// Less room than this is not worth a system call.
const ROOM_BYTES_MIN: usize = 16 * 1024;
/// Start of a frame: one letter and its length.
const HEADER_BYTES: usize = 5;
/// PostgreSQL's own limit for one message.
const FRAME_BYTES_MAX: usize = 0x3fff_ffff + HEADER_BYTES;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Sql,
    /// A walsender connected to the database.
    Replication,
}

/// One connection, used by one owner, one call after the other.
pub struct Wire {
    socket: Socket,
    buffer: BytesMut,
    out: BytesMut,
    parameters: Vec<(String, String)>,
    process_id: i32,
    target: String,
}

/// A row of a simple query: every value as text.
pub type TextRow = Vec<Option<String>>;

impl Wire {
    /// Connects to the first host that answers, and logs in.
    pub async fn connect(settings: &ConnectSettings, purpose: Purpose) -> Result<Self> {
        let mut failure = None;
        for (host, port) in &settings.hosts {
            for encryption in connect::attempts(settings.ssl_mode) {
                let attempt = Self::connect_once(settings, purpose, host, *port, *encryption);
                match tokio::time::timeout(settings.connect_timeout, attempt).await {
                    Ok(Ok(wire)) => return Ok(wire),
                    Ok(Err(error)) => failure = failure.or(Some(error)),
                    Err(_) => failure = failure.or_else(|| Some(connect::timed_out(settings))),
                }
            }
        }
        let error = failure.unwrap_or_else(|| Error::new(ErrorClass::Settings, "no host given"));
        Err(connect::explain(error, settings))
    }

    async fn connect_once(
        settings: &ConnectSettings,
        purpose: Purpose,
        host: &str,
        port: u16,
        encryption: Encryption,
    ) -> Result<Self> {
        let socket = socket::open(settings, host, port, encryption).await?;
        let mut wire = Self {
            socket,
            buffer: BytesMut::with_capacity(READ_BYTES),
            out: BytesMut::with_capacity(256),
            parameters: vec![],
            process_id: 0,
            target: settings.target(),
        };
        let mut parameters = vec![
            ("user", settings.user.as_str()),
            ("database", &settings.dbname),
            ("client_encoding", "UTF8"),
            ("application_name", &settings.application_name),
        ];
        if purpose == Purpose::Replication {
            parameters.push(("replication", "database"));
        }
        parameters.extend(settings.options.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        frontend::startup_message(parameters, &mut wire.out)?;
        wire.flush().await?;
        wire.log_in(&settings.user, settings.password_for(host, port).as_deref()).await?;
        Ok(wire)
    }

    async fn log_in(&mut self, user: &str, password: Option<&str>) -> Result<()> {
        let need = |password: Option<&str>| {
            password.map(str::to_owned).ok_or_else(|| {
                Error::new(ErrorClass::Authentication, "the server asks for a password and none was given")
            })
        };
        loop {
            match self.message().await? {
                Message::AuthenticationOk => {}
                Message::AuthenticationCleartextPassword => {
                    frontend::password_message(need(password)?.as_bytes(), &mut self.out)?;
                    self.flush().await?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(user.as_bytes(), need(password)?.as_bytes(), body.salt());
                    frontend::password_message(hash.as_bytes(), &mut self.out)?;
                    self.flush().await?;
                }
                Message::AuthenticationSasl(body) => {
                    let offered: Vec<String> = body.mechanisms().map(|name| Ok(name.to_owned())).collect()?;
                    self.scram(&offered, &need(password)?).await?;
                }
                Message::ParameterStatus(body) => {
                    let (name, value) = (body.name()?.to_owned(), body.value()?.to_owned());
                    self.parameters.push((name, value));
                }
                Message::BackendKeyData(body) => self.process_id = body.process_id(),
                Message::NoticeResponse(_) => {}
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => return Err(server_error(&body)),
                _ => {
                    return Err(Error::new(
                        ErrorClass::NotSupported,
                        "the server asks for a way to log in that is not supported",
                    )
                    .with_hint("use scram-sha-256, md5, password, cert or trust in pg_hba.conf"));
                }
            }
        }
    }

    async fn scram(&mut self, offered: &[String], password: &str) -> Result<()> {
        if !offered.iter().any(|name| name == sasl::SCRAM_SHA_256) {
            return Err(Error::new(
                ErrorClass::NotSupported,
                format!("the server offers only {} to log in", offered.join(", ")),
            ));
        }
        let mut scram = sasl::ScramSha256::new(password.as_bytes(), sasl::ChannelBinding::unsupported());
        frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), &mut self.out)?;
        self.flush().await?;
        let Message::AuthenticationSaslContinue(body) = self.answer().await? else {
            return Err(Error::protocol("unexpected message while logging in"));
        };
        scram.update(body.data()).map_err(refused)?;
        frontend::sasl_response(scram.message(), &mut self.out)?;
        self.flush().await?;
        let Message::AuthenticationSaslFinal(body) = self.answer().await? else {
            return Err(Error::protocol("unexpected message while logging in"));
        };
        scram.finish(body.data()).map_err(refused)
    }

    /// A setting that the server reports (`server_version`, `server_encoding` …).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        // The newest report is the last one.
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The server's process for this connection.
    pub fn process_id(&self) -> i32 {
        self.process_id
    }

    /// `host:port/database`, for messages.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Runs statements and returns the rows of all of them.
    pub async fn simple_query(&mut self, sql: &str) -> Result<Vec<TextRow>> {
        frontend::query(sql, &mut self.out)?;
        self.flush().await?;
        let mut rows = vec![];
        let mut failure = None;
        loop {
            match self.message().await? {
                Message::DataRow(row) => {
                    let mut values = vec![];
                    let mut ranges = row.ranges();
                    while let Some(range) = ranges.next()? {
                        values.push(
                            range
                                .and_then(|range| row.buffer().get(range))
                                .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
                        );
                    }
                    rows.push(values);
                }
                Message::ErrorResponse(body) => failure = Some(server_error(&body)),
                Message::ReadyForQuery(_) => return failure.map_or(Ok(rows), Err),
                Message::CopyInResponse(_) | Message::CopyOutResponse(_) => {
                    return Err(Error::protocol("unexpected start of COPY"));
                }
                _ => {}
            }
        }
    }

    /// Sends a statement that starts a COPY (`COPY … TO STDOUT`, `START_REPLICATION …`).
    pub async fn start_copy(&mut self, sql: &str) -> Result<()> {
        frontend::query(sql, &mut self.out)?;
        self.flush().await?;
        loop {
            match self.message().await? {
                Message::CopyOutResponse(_) => return Ok(()),
                // What follows is for another parser: `Message::parse` does not know CopyBothResponse.
                Message::ErrorResponse(body) => {
                    let error = server_error(&body);
                    while !matches!(self.message().await?, Message::ReadyForQuery(_)) {}
                    return Err(error);
                }
                Message::ReadyForQuery(_) => {
                    return Err(Error::protocol("the statement did not start a COPY"));
                }
                _ => {}
            }
        }
    }

    /// The next frames of a COPY: at least one, as many as are there. `None` after the end of the COPY.
    /// Cancel-safe.
    pub async fn copy_chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match scan(&self.buffer)? {
                Scan { complete: 0, end: Some(_), .. } => return self.end_of_copy().await,
                Scan { complete: 0, needed, .. } => self.fill(needed).await?,
                Scan { complete, .. } => return Ok(Some(self.buffer.split_to(complete).freeze())),
            }
        }
    }

    /// What comes behind the last CopyData frame.
    async fn end_of_copy(&mut self) -> Result<Option<Bytes>> {
        match self.message().await? {
            Message::CopyDone => {
                // Ready for the next statement only after these.
                loop {
                    match self.message().await? {
                        Message::ReadyForQuery(_) => return Ok(None),
                        Message::ErrorResponse(body) => return Err(server_error(&body)),
                        _ => {}
                    }
                }
            }
            Message::ErrorResponse(body) => Err(server_error(&body)),
            // The walsender may send notices and changed parameters between frames.
            Message::NoticeResponse(_) | Message::ParameterStatus(_) => Box::pin(self.copy_chunk()).await,
            Message::CommandComplete(_) | Message::ReadyForQuery(_) => Ok(None),
            _ => Err(Error::protocol("unexpected message within a COPY")),
        }
    }

    /// Sends one CopyData frame.
    pub async fn send_copy_data(&mut self, data: &[u8]) -> Result<()> {
        frontend::CopyData::new(data)?.write(&mut self.out);
        self.flush().await
    }

    /// Says good-bye, so that the server does not log a broken connection.
    pub async fn close(mut self) {
        frontend::terminate(&mut self.out);
        // Nobody is left to tell when this fails.
        let _ = self.flush().await;
        let _ = self.socket.shutdown().await;
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        self.socket.write_all(&self.out).await?;
        self.out.clear();
        self.socket.flush().await?;
        Ok(())
    }

    /// The next message, errors as errors.
    async fn answer(&mut self) -> Result<Message> {
        match self.message().await? {
            Message::ErrorResponse(body) => Err(server_error(&body)),
            message => Ok(message),
        }
    }

    async fn message(&mut self) -> Result<Message> {
        loop {
            let mut needed = 1;
            if let Some(length) = frame_bytes(&self.buffer)? {
                if self.buffer.len() >= length {
                    if self.buffer[0] == COPY_BOTH_RESPONSE {
                        // The same content under another letter, which postgres-protocol knows.
                        self.buffer[0] = backend::COPY_OUT_RESPONSE_TAG;
                    }
                    let message = Message::parse(&mut self.buffer)?;
                    return message.ok_or_else(|| Error::protocol("incomplete message"));
                }
                needed = length - self.buffer.len();
            }
            self.fill(needed).await?;
        }
    }

    /// Reads once; `needed` is what is known to be missing.
    async fn fill(&mut self, needed: usize) -> Result<()> {
        // Small chunks share one allocation: a new one only when little is left of it.
        if self.buffer.capacity() - self.buffer.len() < needed.max(ROOM_BYTES_MIN) {
            self.buffer.reserve(needed.max(READ_BYTES));
        }
        if self.socket.read_buf(&mut self.buffer).await? == 0 {
            return Err(Error::new(ErrorClass::Connection, "the server closed the connection")
                .context(self.target.clone()));
        }
        Ok(())
    }
}

const COPY_BOTH_RESPONSE: u8 = b'W';

/// Whole CopyData frames at the start of a buffer.
struct Scan {
    /// Bytes of whole CopyData frames.
    complete: usize,
    /// Letter of the whole frame that follows them, when it is not CopyData.
    end: Option<u8>,
    /// Bytes that are missing of the frame that follows them.
    needed: usize,
}

fn scan(buffer: &[u8]) -> Result<Scan> {
    let mut complete = 0;
    loop {
        let rest = &buffer[complete..];
        let Some(length) = frame_bytes(rest)? else {
            return Ok(Scan { complete, end: None, needed: HEADER_BYTES });
        };
        if rest[0] != backend::COPY_DATA_TAG {
            return Ok(Scan { complete, end: Some(rest[0]), needed: 0 });
        }
        if rest.len() < length {
            return Ok(Scan { complete, end: None, needed: length - rest.len() });
        }
        complete += length;
    }
}

/// Length of the frame at the start of a buffer, with its letter; `None` when the header is not whole.
fn frame_bytes(buffer: &[u8]) -> Result<Option<usize>> {
    let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if !(4..FRAME_BYTES_MAX).contains(&length) {
        return Err(Error::protocol(format!("a frame of {length} bytes")));
    }
    Ok(Some(length + 1))
}

/// Walks over the CopyData frames of a chunk: the range of each frame's content.
pub struct Frames<'a> {
    chunk: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    pub fn new(chunk: &'a [u8]) -> Self {
        Self { chunk, at: 0 }
    }

    /// Starts at a frame's first byte, where an earlier walk ended.
    pub fn from(chunk: &'a [u8], at: usize) -> Self {
        Self { chunk, at }
    }

    /// Where the next frame starts.
    pub fn position(&self) -> usize {
        self.at
    }
}

impl Iterator for Frames<'_> {
    type Item = std::ops::Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = frame_bytes(self.chunk.get(self.at..)?).ok()??;
        let range = self.at + HEADER_BYTES..self.at + length;
        self.at = range.end;
        (range.end <= self.chunk.len()).then_some(range)
    }
}

fn refused(error: std::io::Error) -> Error {
    Error::new(ErrorClass::Authentication, error.to_string())
}

/// The fields of an ErrorResponse.
fn server_error(body: &backend::ErrorResponseBody) -> Error {
    let mut report = Report::default();
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'V' => report.severity = value,
            b'S' if report.severity.is_empty() => report.severity = value,
            b'C' => report.code = value,
            b'M' => report.message = value,
            b'D' => report.detail = Some(value),
            b'H' => report.hint = Some(value),
            b'P' => report.position = Some(value),
            b'W' => report.context = Some(value),
            b's' => report.schema = Some(value),
            b't' => report.table = Some(value),
            b'c' => report.column = Some(value),
            b'd' => report.data_type = Some(value),
            b'n' => report.constraint = Some(value),
            _ => {}
        }
    }
    Error::from_report(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(letter: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![letter];
        out.extend((content.len() as u32 + 4).to_be_bytes());
        out.extend(content);
        out
    }

    #[test]
    fn whole_frames_are_cut_off() {
        let mut bytes = [frame(b'd', b"one"), frame(b'd', b"")].concat();
        let complete = bytes.len();
        bytes.extend(&frame(b'd', b"three")[..7]);
        let scan = scan(&bytes).unwrap();
        assert_eq!((scan.complete, scan.end, scan.needed), (complete, None, 3));
        let contents: Vec<_> = Frames::new(&bytes[..complete]).map(|range| &bytes[range]).collect();
        assert_eq!(contents, [&b"one"[..], b""]);
    }

    #[test]
    fn another_letter_ends_the_chunk_and_nonsense_is_an_error() {
        let bytes = [frame(b'd', b"x"), frame(b'c', b"")].concat();
        let found = scan(&bytes).unwrap();
        assert_eq!((found.complete, found.end), (6, Some(b'c')));
        assert!(scan(&[b'd', 0, 0, 0, 3]).is_err());
        assert!(scan(&[b'd', 0xff, 0, 0, 0]).is_err());
    }
}
