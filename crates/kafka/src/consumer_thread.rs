//! The loop that takes messages off librdkafka: one thread per consumer, because librdkafka's calls wait, and
//! because it must be polled even while the task is busy for minutes, or the group would expel the member.

use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext, RebalanceProtocol};
use rdkafka::error::IsError as _;
use rdkafka_sys as sys;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use crate::consumer::{self, BatchLimits, ConsumerEvent, Partition, Paused};
use crate::error::Error;
use crate::message::{Message, MessageHeaders, TimestampType};
use crate::pattern::PatternWatch;

type Client = BaseConsumer<DefaultConsumerContext>;

/// How long one poll waits: stopping and a full queue are noticed this late at most.
const POLL_WAIT_MS: i32 = 100;
/// How long a batch may wait for the task before the partitions are paused and polling goes on without messages.
const HAND_OVER_WAIT: Duration = Duration::from_millis(200);
/// How long a rebalance waits for the task to write and commit what it has.
const REVOKE_WAIT: Duration = Duration::from_secs(30);

/// What the thread shares with the consumer.
pub struct Shared {
    pub stopping: Arc<AtomicBool>,
    pub paused: Arc<Paused>,
}

pub fn spawn(
    client: Arc<Client>,
    events: Sender<ConsumerEvent>,
    limits: BatchLimits,
    mut watch: Option<PatternWatch>,
    shared: Shared,
) -> Result<JoinHandle<()>, Error> {
    let runtime = Handle::current();
    std::thread::Builder::new()
        .name("kafka-consumer".to_owned())
        .spawn(move || {
            let queue = Queue::of(&client);
            let Shared { stopping, paused } = shared;
            let no_headers: MessageHeaders = Arc::from([]);
            let last_headers = no_headers.clone();
            let mut reader =
                Reader { client, events, limits, runtime, topics: vec![], no_headers, last_headers, paused };
            while !stopping.load(Ordering::Acquire) && !reader.events.is_closed() {
                if let Some(watch) = &mut watch {
                    watch.look(&reader.client);
                }
                reader.turn(&queue, &stopping);
            }
        })
        .map_err(|error| Error::Setting { key: "thread".to_owned(), reason: error.to_string() })
}

/// The consumer's queue; destroyed before the client.
struct Queue(*mut sys::rd_kafka_queue_t);

impl Queue {
    fn of(client: &Client) -> Self {
        // SAFETY: the client lives longer: the thread holds it.
        Self(unsafe { sys::rd_kafka_queue_get_consumer(client.client().native_ptr()) })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}

/// A message whose bytes still lie in the arena.
struct Pending {
    topic: usize,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    timestamp_type: TimestampType,
    key: Option<std::ops::Range<usize>>,
    value: Option<std::ops::Range<usize>>,
    headers: MessageHeaders,
}

#[derive(Default)]
struct Batch {
    arena: Vec<u8>,
    messages: Vec<Pending>,
    ends: Vec<Partition>,
}

struct Reader {
    client: Arc<Client>,
    events: Sender<ConsumerEvent>,
    limits: BatchLimits,
    runtime: Handle,
    /// Names by native handle: one shared name per topic.
    topics: Vec<(*mut sys::rd_kafka_topic_t, Arc<str>)>,
    no_headers: MessageHeaders,
    last_headers: MessageHeaders,
    paused: Arc<Paused>,
}

impl Reader {
    /// One batch: waits for its first event, then takes what is there already.
    fn turn(&mut self, queue: &Queue, stopping: &AtomicBool) {
        let mut batch = Batch::default();
        let mut wait = POLL_WAIT_MS;
        while batch.messages.len() < self.limits.messages_max && batch.arena.len() < self.limits.bytes_max {
            // SAFETY: the queue lives.
            let event = unsafe { sys::rd_kafka_queue_poll(queue.0, wait) };
            if event.is_null() {
                break;
            }
            // SAFETY: a live event, destroyed once.
            unsafe {
                self.take(event, &mut batch, stopping);
                sys::rd_kafka_event_destroy(event);
            }
            wait = 0;
        }
        self.hand_over(batch, queue, stopping);
    }

    /// # Safety
    /// `event` is live.
    unsafe fn take(&mut self, event: *mut sys::rd_kafka_event_t, batch: &mut Batch, stopping: &AtomicBool) {
        // SAFETY: as above.
        unsafe {
            match sys::rd_kafka_event_type(event) {
                sys::RD_KAFKA_EVENT_FETCH => loop {
                    let message = sys::rd_kafka_event_message_next(event);
                    if message.is_null() {
                        break;
                    }
                    self.copy(&*message, batch);
                },
                sys::RD_KAFKA_EVENT_REBALANCE => {
                    // What was read before belongs to the old assignment and goes first.
                    let before = std::mem::take(batch);
                    self.send_batch(before);
                    self.rebalance(event, stopping);
                }
                sys::RD_KAFKA_EVENT_ERROR => self.failed(event, batch),
                _ => {}
            }
        }
    }

    fn copy(&mut self, message: &sys::rd_kafka_message_t, batch: &mut Batch) {
        if message.err.is_error() {
            return;
        }
        let topic = self.topic(message.rkt);
        let mut timestamp_type = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: a live message.
        let timestamp = unsafe { sys::rd_kafka_message_timestamp(message, &mut timestamp_type) };
        let timestamp_type = match timestamp_type {
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimestampType::CreateTime,
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => {
                TimestampType::LogAppendTime
            }
            _ => TimestampType::None,
        };
        // SAFETY: pointers and lengths of a live message.
        let (key, value, headers) = unsafe {
            (
                append(&mut batch.arena, message.key.cast(), message.key_len),
                append(&mut batch.arena, message.payload.cast(), message.len),
                self.headers(message),
            )
        };
        batch.messages.push(Pending {
            topic,
            partition: message.partition,
            offset: message.offset,
            timestamp: (timestamp >= 0).then_some(timestamp),
            timestamp_type,
            key,
            value,
            headers,
        });
    }

    fn topic(&mut self, native: *mut sys::rd_kafka_topic_t) -> usize {
        if let Some(place) = self.topics.iter().position(|(known, _)| *known == native) {
            return place;
        }
        // SAFETY: the handle lives as long as the message.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(native)) };
        self.topics.push((native, name.to_string_lossy().into()));
        self.topics.len() - 1
    }

    /// Most messages carry the same headers as the one before: those share one list, by which whoever decodes them
    /// knows them again.
    ///
    /// # Safety
    /// `message` is live.
    unsafe fn headers(&mut self, message: &sys::rd_kafka_message_t) -> MessageHeaders {
        let mut native = std::ptr::null_mut();
        // SAFETY: the list belongs to the message.
        unsafe {
            if sys::rd_kafka_message_headers(message, &mut native).is_error() || native.is_null() {
                return self.no_headers.clone();
            }
            let count = sys::rd_kafka_header_cnt(native);
            let same = count == self.last_headers.len()
                && self.last_headers.iter().enumerate().all(|(place, (name, value))| {
                    header(native, place).is_some_and(|found| {
                        found == (name.as_bytes(), value.as_ref().map(|value| &value[..]))
                    })
                });
            if !same {
                self.last_headers = (0..count)
                    .map_while(|place| header(native, place))
                    .map(|(name, value)| {
                        (String::from_utf8_lossy(name).into(), value.map(Bytes::copy_from_slice))
                    })
                    .collect();
            }
        }
        self.last_headers.clone()
    }

    /// # Safety
    /// `event` is a live error event.
    unsafe fn failed(&self, event: *mut sys::rd_kafka_event_t, batch: &mut Batch) {
        // SAFETY: as above; the partition is ours to destroy.
        unsafe {
            let code = sys::rd_kafka_event_error(event);
            if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF {
                let partition = sys::rd_kafka_event_topic_partition(event);
                let topic = CStr::from_ptr((*partition).topic).to_string_lossy().into();
                batch.ends.push((topic, (*partition).partition));
                sys::rd_kafka_topic_partition_destroy(partition);
                return;
            }
            let text = CStr::from_ptr(sys::rd_kafka_event_error_string(event)).to_string_lossy().into_owned();
            let fatal = sys::rd_kafka_event_error_is_fatal(event) != 0;
            let error = Error::Kafka { what: format!("consume: {text}"), code: code.into() };
            let _ = self.events.blocking_send(ConsumerEvent::Failed { error, fatal });
        }
    }

    /// # Safety
    /// `event` is a live rebalance event.
    unsafe fn rebalance(&self, event: *mut sys::rd_kafka_event_t, stopping: &AtomicBool) {
        let native = self.client.client().native_ptr();
        // SAFETY: the list belongs to the event, which the caller destroys.
        unsafe {
            let list = sys::rd_kafka_event_topic_partition_list(event);
            let partitions = partitions_of(list);
            let cooperative = matches!(self.client.rebalance_protocol(), RebalanceProtocol::Cooperative);
            if sys::rd_kafka_event_error(event)
                == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
            {
                let _ = self.events.blocking_send(ConsumerEvent::Assigned(partitions));
                if cooperative {
                    sys::rd_kafka_error_destroy(sys::rd_kafka_incremental_assign(native, list));
                } else {
                    sys::rd_kafka_assign(native, list);
                }
                return;
            }
            let revoked = partitions.clone();
            let lost = sys::rd_kafka_assignment_lost(native) != 0;
            if !stopping.load(Ordering::Acquire) && !partitions.is_empty() {
                let (done, wait) = oneshot::channel();
                let event = ConsumerEvent::Revoked { partitions, lost, done };
                if self.events.blocking_send(event).is_ok() {
                    let _ = self.runtime.block_on(async { tokio::time::timeout(REVOKE_WAIT, wait).await });
                }
            }
            // librdkafka would remember the pause and never read the partition when it comes back.
            self.paused.lock().retain(|paused| !revoked.contains(paused));
            let _ = self.client.resume(&consumer::list(&revoked));
            if cooperative {
                sys::rd_kafka_error_destroy(sys::rd_kafka_incremental_unassign(native, list));
            } else {
                sys::rd_kafka_assign(native, std::ptr::null());
            }
        }
    }

    /// Gives the batch to the task. A task that is busy for long must not cost the group membership: the
    /// partitions are paused then, and polling goes on for the group's sake.
    fn hand_over(&mut self, batch: Batch, queue: &Queue, stopping: &AtomicBool) {
        if batch.messages.is_empty() && batch.ends.is_empty() {
            return;
        }
        // Timers are made inside the runtime.
        let reserved = self
            .runtime
            .block_on(async { tokio::time::timeout(HAND_OVER_WAIT, self.events.reserve()).await.is_ok() });
        if reserved {
            return self.send_batch(batch);
        }
        let Ok(assigned) = self.client.assignment() else { return self.send_batch(batch) };
        let _ = self.client.pause(&assigned);
        let mut late = Batch::default();
        while self.events.capacity() == 0 && !self.events.is_closed() && !stopping.load(Ordering::Acquire) {
            // SAFETY: the queue lives, and each event is destroyed once.
            unsafe {
                let event = sys::rd_kafka_queue_poll(queue.0, POLL_WAIT_MS);
                if event.is_null() {
                    continue;
                }
                if sys::rd_kafka_event_type(event) == sys::RD_KAFKA_EVENT_REBALANCE {
                    self.send_batch(batch);
                    self.send_batch(late);
                    self.rebalance(event, stopping);
                    sys::rd_kafka_event_destroy(event);
                    return self.go_on();
                }
                self.take(event, &mut late, stopping);
                sys::rd_kafka_event_destroy(event);
            }
        }
        self.send_batch(batch);
        self.send_batch(late);
        self.go_on();
    }

    /// Reads on from all partitions but those that the task wants nothing of.
    fn go_on(&self) {
        let Ok(assigned) = self.client.assignment() else { return };
        let paused = self.paused.lock().clone();
        let wanted: Vec<Partition> = assigned
            .elements()
            .iter()
            .map(|element| (element.topic().into(), element.partition()))
            .filter(|partition| !paused.contains(partition))
            .collect();
        let _ = self.client.resume(&consumer::list(&wanted));
    }

    fn send_batch(&self, batch: Batch) {
        if batch.messages.is_empty() && batch.ends.is_empty() {
            return;
        }
        let arena = Bytes::from(batch.arena);
        let part = |range: Option<std::ops::Range<usize>>| range.map(|range| arena.slice(range));
        let messages = batch
            .messages
            .into_iter()
            .map(|pending| Message {
                topic: self.topics[pending.topic].1.clone(),
                partition: pending.partition,
                offset: pending.offset,
                timestamp: pending.timestamp,
                timestamp_type: pending.timestamp_type,
                key: part(pending.key),
                value: part(pending.value),
                headers: pending.headers,
            })
            .collect();
        let _ = self.events.blocking_send(ConsumerEvent::Batch { messages, ends: batch.ends });
    }
}

/// Name and value of a header.
///
/// # Safety
/// `native` is live, and longer than what is returned.
unsafe fn header<'a>(
    native: *mut sys::rd_kafka_headers_t,
    place: usize,
) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let (mut name, mut value, mut len) = (std::ptr::null(), std::ptr::null(), 0);
    // SAFETY: as above; name and value belong to the list.
    unsafe {
        if sys::rd_kafka_header_get_all(native, place, &mut name, &mut value, &mut len).is_error() {
            return None;
        }
        let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), len));
        Some((CStr::from_ptr(name).to_bytes(), value))
    }
}

/// # Safety
/// `data` is null or points to `len` bytes.
unsafe fn append(arena: &mut Vec<u8>, data: *const u8, len: usize) -> Option<std::ops::Range<usize>> {
    if data.is_null() {
        return None;
    }
    let start = arena.len();
    // SAFETY: as above.
    arena.extend_from_slice(unsafe { std::slice::from_raw_parts(data, len) });
    Some(start..arena.len())
}

/// # Safety
/// `list` is null or live.
unsafe fn partitions_of(list: *mut sys::rd_kafka_topic_partition_list_t) -> Vec<Partition> {
    if list.is_null() {
        return vec![];
    }
    // SAFETY: as above.
    unsafe {
        let elements = std::slice::from_raw_parts((*list).elems, (*list).cnt as usize);
        elements
            .iter()
            .map(|element| (CStr::from_ptr(element.topic).to_string_lossy().into(), element.partition))
            .collect()
    }
}

/// The high watermark that the last fetch brought; asks nobody.
pub fn cached_high_watermark(client: &Client, partition: &Partition) -> Option<i64> {
    let topic = CString::new(&*partition.0).ok()?;
    let (mut low, mut high) = (0, 0);
    // SAFETY: a local look-up with pointers that live for the call.
    let code = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            client.client().native_ptr(),
            topic.as_ptr(),
            partition.1,
            &mut low,
            &mut high,
        )
    };
    (!code.is_error() && high >= 0).then_some(high)
}
