//! librdkafka's own objects that messages are made of: topic handles and header lists, and the call that takes a
//! message.

use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::error::{IsError as _, RDKafkaErrorCode};
use rdkafka_sys as sys;

use super::Shared;
use super::rounds::Message;
use crate::error::Error;

/// librdkafka's RD_KAFKA_PARTITION_UA: the partitioner decides.
pub(super) const ANY_PARTITION: i32 = -1;

/// A topic to produce to; cloning copies a pointer.
#[derive(Clone)]
pub struct Topic(Arc<NativeTopic>);

struct NativeTopic {
    name: Arc<str>,
    native: NonNull<sys::rd_kafka_topic_t>,
    /// The client must outlive its topics.
    _client: Arc<Shared>,
}

// SAFETY: librdkafka's topic handles may be used from any thread.
unsafe impl Send for NativeTopic {}
unsafe impl Sync for NativeTopic {}

impl Drop for NativeTopic {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and the client lives.
        unsafe { sys::rd_kafka_topic_destroy(self.native.as_ptr()) }
    }
}

impl Topic {
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Whether both are handles of one producer to one topic.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// # Errors
    /// A name that Kafka does not allow.
    pub(super) fn new(client: &Arc<Shared>, name: &str) -> Result<Self, Error> {
        let invalid = |reason: String| Error::Setting { key: format!("topic {name}"), reason };
        let text = CString::new(name).map_err(|error| invalid(error.to_string()))?;
        // SAFETY: the topic keeps its client; a null configuration means the client's defaults.
        let native = unsafe { sys::rd_kafka_topic_new(client.native(), text.as_ptr(), ptr::null_mut()) };
        let native = NonNull::new(native).ok_or_else(|| invalid("not a topic name".to_owned()))?;
        Ok(Self(Arc::new(NativeTopic { name: name.into(), native, _client: client.clone() })))
    }
}

/// A list of headers that is built once and copied natively for each message that carries it.
pub struct HeaderTemplate {
    native: NonNull<sys::rd_kafka_headers_t>,
    /// What they take in a message.
    bytes: usize,
}

/// Lengths beside the name and the value of a header in a message, at most for lengths that occur.
const HEADER_FRAMING_BYTES: usize = 5;

// SAFETY: after it is built the list is only read (copied).
unsafe impl Send for HeaderTemplate {}
unsafe impl Sync for HeaderTemplate {}

impl HeaderTemplate {
    pub fn new<'a>(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Self {
        let headers: Vec<_> = headers.into_iter().collect();
        let bytes = headers
            .iter()
            .map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len) + HEADER_FRAMING_BYTES)
            .sum();
        // SAFETY: librdkafka copies names and values; a null value is its null header.
        unsafe {
            let native =
                NonNull::new(sys::rd_kafka_headers_new(headers.len())).expect("allocation of headers");
            for (name, value) in headers {
                let (data, len) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
                // An empty value is not a null one: any non-null pointer says so.
                let data = if value.is_some_and(<[u8]>::is_empty) { name.as_ptr() } else { data };
                sys::rd_kafka_header_add(
                    native.as_ptr(),
                    name.as_ptr().cast(),
                    name.len() as isize,
                    data.cast(),
                    len as isize,
                );
            }
            Self { native, bytes }
        }
    }

    /// What they take in a message, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for HeaderTemplate {
    fn drop(&mut self) {
        // SAFETY: ours, and messages got copies.
        unsafe { sys::rd_kafka_headers_destroy(self.native.as_ptr()) }
    }
}

/// Hands one message to librdkafka, which copies the key and refers to the value.
///
/// # Safety
/// The value's bytes must live until the message is acknowledged or the client is gone.
pub(super) unsafe fn produce(shared: &Shared, message: &Message<'_>) -> Result<(), RDKafkaErrorCode> {
    let (key, key_len) = parts(message.key);
    let (value, value_len) = parts(message.value);
    // SAFETY: all pointers live for the call, and the value for longer; the headers' copy becomes librdkafka's own when
    // the call succeeds and is destroyed here when it does not.
    let code = unsafe {
        let headers = message
            .headers
            .map_or(ptr::null_mut(), |headers| sys::rd_kafka_headers_copy(headers.native.as_ptr()));
        let code = sys::rd_kafka_producev(
            shared.native(),
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
            message.topic.0.native.as_ptr(),
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
            message.partition,
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
            0,
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
            value,
            value_len,
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
            key,
            key_len,
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
            message.number as *mut c_void,
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
            message.timestamp,
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
            headers,
            sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
        );
        if code.is_error() && !headers.is_null() {
            sys::rd_kafka_headers_destroy(headers);
        }
        code
    };
    if code.is_error() { Err(code.into()) } else { Ok(()) }
}

fn parts(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    match bytes {
        None => (ptr::null_mut(), 0),
        Some(bytes) => (bytes.as_ptr() as *mut c_void, bytes.len()),
    }
}
