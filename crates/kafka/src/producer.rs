//! Messages out: an idempotent producer whose messages are numbered, and which says up to which number all are
//! durable.
//!
//! Messages go straight to `rd_kafka_producev`, and delivery reports come straight off the main queue: the safe
//! wrapper allocates a topic string, a header list and a message object per record, which is a third of the cost.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{IsError as _, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use rdkafka_sys as sys;

use tokio::sync::Notify;

use crate::acknowledged::Acknowledged;
use crate::error::Error;
use crate::settings::{ClientKind, ClientSettings};

/// librdkafka's RD_KAFKA_PARTITION_UA: the partitioner decides.
const ANY_PARTITION: i32 = -1;
/// How long the reporting thread sleeps at most when nothing is delivered: only stopping waits for it.
const REPORT_WAIT_MS: i32 = 100;

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
}

/// A list of headers that is built once and copied natively for each message that carries it.
pub struct HeaderTemplate(NonNull<sys::rd_kafka_headers_t>);

// SAFETY: after it is built the list is only read (copied).
unsafe impl Send for HeaderTemplate {}
unsafe impl Sync for HeaderTemplate {}

impl HeaderTemplate {
    pub fn new<'a>(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Self {
        let headers: Vec<_> = headers.into_iter().collect();
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
            Self(native)
        }
    }
}

impl Drop for HeaderTemplate {
    fn drop(&mut self) {
        // SAFETY: ours, and messages got copies.
        unsafe { sys::rd_kafka_headers_destroy(self.0.as_ptr()) }
    }
}

/// One message to send; its bytes are copied.
pub struct Outgoing<'a> {
    pub topic: &'a Topic,
    /// `None`: murmur2 of the key, as Java does; any partition without a key.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Option<&'a HeaderTemplate>,
    /// Milliseconds since the epoch; `None`: now.
    pub timestamp: Option<i64>,
}

/// A message that could not be delivered, and why.
#[derive(Debug)]
pub struct Undelivered {
    pub number: u64,
    pub error: Error,
}

struct Context;
impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = false;
}
impl ProducerContext for Context {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

struct Shared {
    client: BaseProducer<Context>,
    acknowledged: Mutex<Acknowledged>,
    undelivered: Mutex<Vec<Undelivered>>,
    /// Wakes the one task that owns the producer when the prefix grew or a message failed.
    news: Notify,
    /// Wakes everybody who waits for a flush: several may share a producer.
    flushed: Notify,
    stopping: AtomicBool,
}

/// An idempotent producer. Sending does not wait; [`Producer::acknowledged`] says how far it is durable.
pub struct Producer {
    shared: Arc<Shared>,
    sent: AtomicU64,
    topics: Mutex<HashMap<Arc<str>, Topic>>,
    reporter: Option<JoinHandle<()>>,
}

impl Producer {
    /// Does not connect: a broker that is away shows in the first messages' delay.
    ///
    /// # Errors
    /// A setting that is refused.
    pub fn new(settings: &ClientSettings) -> Result<Self, Error> {
        let config = settings.native(ClientKind::Producer)?;
        let client = BaseProducer::from_config_and_context(&config, Context)
            .map_err(|error| Error::new("create producer", &error))?;
        let shared = Arc::new(Shared {
            client,
            acknowledged: Mutex::default(),
            undelivered: Mutex::default(),
            news: Notify::new(),
            flushed: Notify::new(),
            stopping: AtomicBool::new(false),
        });
        let for_thread = shared.clone();
        let reporter = std::thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn(move || report(&for_thread))
            .map_err(|error| Error::Setting { key: "thread".to_owned(), reason: error.to_string() })?;
        Ok(Self { shared, sent: AtomicU64::new(0), topics: Mutex::default(), reporter: Some(reporter) })
    }

    /// A handle to a topic, kept for the producer's life.
    ///
    /// # Errors
    /// A name that Kafka does not allow.
    pub fn topic(&self, name: &str) -> Result<Topic, Error> {
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.get(name) {
            return Ok(topic.clone());
        }
        let invalid = |reason: String| Error::Setting { key: format!("topic {name}"), reason };
        let text = CString::new(name).map_err(|error| invalid(error.to_string()))?;
        // SAFETY: the client lives in `shared`; a null configuration means the client's defaults.
        let native = unsafe {
            sys::rd_kafka_topic_new(self.shared.client.client().native_ptr(), text.as_ptr(), ptr::null_mut())
        };
        let native = NonNull::new(native).ok_or_else(|| invalid("not a topic name".to_owned()))?;
        let name: Arc<str> = name.into();
        let topic = Topic(Arc::new(NativeTopic { name: name.clone(), native, _client: self.shared.clone() }));
        topics.insert(name, topic.clone());
        Ok(topic)
    }

    /// Hands one message over. Returns its number; numbers start at 1 and have no gaps.
    ///
    /// # Errors
    /// `QueueFull`: nothing was taken, wait with [`Producer::changed`] and try again. Anything else is final for
    /// this message, and it has no number.
    pub fn send(&self, message: &Outgoing<'_>) -> Result<u64, Error> {
        let number = self.sent.load(Ordering::Relaxed) + 1;
        let (key, key_len) = parts(message.key);
        let (value, value_len) = parts(message.value);
        // SAFETY: all pointers live for the call, which copies them; the headers' copy becomes librdkafka's own
        // when the call succeeds and is destroyed here when it does not.
        let code = unsafe {
            let headers = message
                .headers
                .map_or(ptr::null_mut(), |headers| sys::rd_kafka_headers_copy(headers.0.as_ptr()));
            let code = sys::rd_kafka_producev(
                self.shared.client.client().native_ptr(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                message.topic.0.native.as_ptr(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                message.partition.unwrap_or(ANY_PARTITION),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                value,
                value_len,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key,
                key_len,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                number as *mut c_void,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                message.timestamp.unwrap_or(0),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
                headers,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            );
            if code.is_error() && !headers.is_null() {
                sys::rd_kafka_headers_destroy(headers);
            }
            code
        };
        if code.is_error() {
            return Err(Error::Kafka {
                what: format!("produce to {}", message.topic.name()),
                code: code.into(),
            });
        }
        self.sent.store(number, Ordering::Relaxed);
        Ok(number)
    }

    /// Number of the last message that was sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Everything up to and including this number is durable (or was reported undelivered and taken).
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.lock().prefix()
    }

    /// Messages that will never arrive, since the last call. They count as acknowledged from now on: whoever does
    /// not tolerate them must not use the prefix any more.
    pub fn take_undelivered(&self) -> Vec<Undelivered> {
        let undelivered = std::mem::take(&mut *self.shared.undelivered.lock());
        let mut acknowledged = self.shared.acknowledged.lock();
        for message in &undelivered {
            acknowledged.acknowledge(message.number);
        }
        undelivered
    }

    /// Resolves when the prefix grew or a message failed since the last call. For one waiter.
    pub async fn changed(&self) {
        self.shared.news.notified().await;
    }

    /// Waits until everything sent so far is durable.
    ///
    /// # Errors
    /// The first message that failed, or the time is over.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let target = self.sent();
        let deadline = Instant::now() + timeout;
        loop {
            // Registered before the look, or what happens in between would wake nobody.
            let news = self.shared.flushed.notified();
            if let Some(failed) = self.take_undelivered().into_iter().next() {
                return Err(failed.error);
            }
            if self.acknowledged() >= target {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, news).await.is_err() {
                return Err(Error::Timeout {
                    what: "flush producer".to_owned(),
                    millis: timeout.as_millis(),
                });
            }
        }
    }

    /// Drops what is queued and in flight; its messages are reported undelivered.
    pub fn purge(&self) {
        self.shared.client.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.topics.lock().clear();
        if let Some(reporter) = self.reporter.take() {
            let _ = reporter.join();
        }
    }
}

fn parts(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    match bytes {
        None => (ptr::null_mut(), 0),
        Some(bytes) => (bytes.as_ptr() as *mut c_void, bytes.len()),
    }
}

/// Takes delivery reports off librdkafka's queue until the producer stops.
fn report(shared: &Shared) {
    // SAFETY: the client lives in `shared`, which this thread holds; the queue is destroyed at the end.
    unsafe {
        let queue = sys::rd_kafka_queue_get_main(shared.client.client().native_ptr());
        while !shared.stopping.load(Ordering::Acquire) {
            let event = sys::rd_kafka_queue_poll(queue, REPORT_WAIT_MS);
            if event.is_null() {
                continue;
            }
            match sys::rd_kafka_event_type(event) {
                sys::RD_KAFKA_EVENT_DR => delivered(shared, event),
                sys::RD_KAFKA_EVENT_ERROR => {
                    let text = std::ffi::CStr::from_ptr(sys::rd_kafka_event_error_string(event));
                    tracing::warn!(error = %text.to_string_lossy(), "kafka producer");
                }
                _ => {}
            }
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
    }
}

/// # Safety
/// `event` is a live delivery report event.
unsafe fn delivered(shared: &Shared, event: *mut sys::rd_kafka_event_t) {
    let mut grew = false;
    let mut failed = vec![];
    {
        let mut acknowledged = shared.acknowledged.lock();
        loop {
            // SAFETY: the event lives; messages belong to it.
            let message = unsafe { sys::rd_kafka_event_message_next(event) };
            if message.is_null() {
                break;
            }
            // SAFETY: `_private` is the number given to `send`.
            let (number, code) = unsafe { ((*message)._private as u64, (*message).err) };
            if code.is_error() {
                let code: RDKafkaErrorCode = code.into();
                failed.push(Undelivered {
                    number,
                    error: Error::Kafka { what: "deliver message".to_owned(), code },
                });
            } else {
                grew |= acknowledged.acknowledge(number);
            }
        }
    }
    if grew || !failed.is_empty() {
        shared.undelivered.lock().extend(failed);
        shared.news.notify_one();
        shared.flushed.notify_waiters();
    }
}
