//! Messages out: an idempotent producer whose messages are numbered, and which says up to which number all are
//! durable.
//!
//! Messages go straight to `rd_kafka_producev`, and delivery reports come straight off the main queue: the safe
//! wrapper allocates a topic string, a header list and a message object per record, which is a third of the cost.

mod rounds; // messages that wait for their turn
mod native; // librdkafka's topic handles, header lists, and the call that takes a message
mod pacer; // the thread that hands rounds over
mod reports; // the thread that hears what was delivered

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};
use rdkafka_sys as sys;
use tokio::sync::Notify;

use crate::acknowledged::Acknowledged;
use crate::error::Error;
use crate::settings::{ClientKind, ClientSettings, PRODUCER_WAITING_BYTES_MAX};
pub use native::{HeaderTemplate, Topic};
use rounds::{Limits, Round, Rounds};

/// Smallest round: below it, a round trip for each would be the limit.
const ROUND_BYTES_MIN: usize = 256 * 1024;
/// How long librdkafka waits for the rest of a round while it is handed over, in milliseconds: longer than that takes.
const NATIVE_LINGER_MS: &str = "100";

/// One message to send; its bytes are copied.
pub struct Outgoing<'a> {
    pub topic: &'a Topic,
    /// `None`: murmur2 of the key, as Java does; any partition without a key.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Option<&'a Arc<HeaderTemplate>>,
    /// Milliseconds since the epoch; `None`: now.
    pub timestamp: Option<i64>,
}

impl Outgoing<'_> {
    fn place(&self) -> Place<'_> {
        Place {
            topic: self.topic,
            partition: self.partition,
            headers: self.headers,
            timestamp: self.timestamp,
        }
    }

    fn parts(&self) -> Parts {
        Parts { key: self.key.map(<[u8]>::len), value: self.value.map(<[u8]>::len) }
    }
}

/// Where a message goes, and what it bears beside key and value.
pub struct Place<'a> {
    pub topic: &'a Topic,
    /// As in [`Outgoing`].
    pub partition: Option<i32>,
    pub headers: Option<&'a Arc<HeaderTemplate>>,
    pub timestamp: Option<i64>,
}

/// Lengths of a key and a value; `None` is null.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    pub key: Option<usize>,
    pub value: Option<usize>,
}

impl Parts {
    pub fn bytes(self) -> usize {
        self.key.unwrap_or(0) + self.value.unwrap_or(0)
    }
}

/// Messages that are being made, lent by the producer: their bytes are written where they stay.
#[derive(Default)]
pub struct OpenRound(Round);

impl OpenRound {
    /// Append the key's bytes, then the value's, then [`Producer::enter`] the message; or truncate to where they began.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.0.buffer()
    }
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
    /// The main queue, where delivery reports come.
    queue: NonNull<sys::rd_kafka_queue_t>,
    rounds: Mutex<Rounds>,
    /// What was under way when the producer stopped: the client refers to its bytes, and is dropped first.
    last_round: Mutex<Option<Round>>,
    acknowledged: Mutex<Acknowledged>,
    undelivered: Mutex<Vec<Undelivered>>,
    /// Wakes the one task that owns the producer when the prefix grew or a message failed.
    news: Notify,
    /// Wakes everybody who waits for a flush: several may share a producer.
    flushed: Notify,
    stopping: AtomicBool,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and the client lives until after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

impl Shared {
    fn native(&self) -> *mut sys::rd_kafka_t {
        self.client.client().native_ptr()
    }

    fn tell(&self) {
        self.news.notify_one();
        self.flushed.notify_waiters();
    }
}

/// An idempotent producer. Sending does not wait; [`Producer::acknowledged`] says how far it is durable.
pub struct Producer {
    shared: Arc<Shared>,
    message_bytes_max: usize,
    topics: Mutex<HashMap<Arc<str>, Topic>>,
    pacer: Option<JoinHandle<()>>,
    reporter: Option<JoinHandle<()>>,
}

impl Producer {
    /// Does not connect: a broker that is away shows in the first messages' delay.
    ///
    /// # Errors
    /// A setting that is refused.
    pub fn new(settings: &ClientSettings) -> Result<Self, Error> {
        let mut config = settings.native(ClientKind::Producer)?;
        let limits = limits(&config, settings)?;
        let message_bytes_max = number(&config, "message.max.bytes", 1_000_000)?;
        // What may wait is counted here; librdkafka holds one round and needs no limit of its own.
        config
            .set("queue.buffering.max.kbytes", "2147483647")
            .set("queue.buffering.max.messages", "0")
            .set("linger.ms", NATIVE_LINGER_MS);
        let client = BaseProducer::from_config_and_context(&config, Context)
            .map_err(|error| Error::new("create producer", &error))?;
        // SAFETY: the client lives; the reference is given back when `Shared` is dropped.
        let queue = unsafe { sys::rd_kafka_queue_get_main(client.client().native_ptr()) };
        let shared = Arc::new(Shared {
            client,
            queue: NonNull::new(queue).expect("every client has a main queue"),
            rounds: Mutex::new(Rounds::new(limits)),
            last_round: Mutex::default(),
            acknowledged: Mutex::default(),
            undelivered: Mutex::default(),
            news: Notify::new(),
            flushed: Notify::new(),
            stopping: AtomicBool::new(false),
        });
        let pacer = Some(spawn("kafka-rounds", &shared, pacer::run)?);
        let reporter = Some(spawn("kafka-reports", &shared, reports::run)?);
        Ok(Self { shared, message_bytes_max, topics: Mutex::default(), pacer, reporter })
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
        let topic = Topic::new(&self.shared, name)?;
        topics.insert(topic.name().clone(), topic.clone());
        Ok(topic)
    }

    /// Takes one message; it goes with the next [`Producer::submit`] at the latest. Returns its number; numbers start
    /// at 1 and have no gaps.
    ///
    /// # Errors
    /// `QueueFull`: nothing was taken, wait with [`Producer::changed`] and try again. `MessageSizeTooLarge` is final
    /// for this message, and it has no number.
    pub fn send(&self, message: &Outgoing<'_>) -> Result<u64, Error> {
        let refused = |code| Error::Kafka { what: format!("produce to {}", message.topic.name()), code };
        if self.is_too_large(message.parts()) {
            return Err(refused(RDKafkaErrorCode::MessageSizeTooLarge));
        }
        let (number, has_full) = {
            let mut rounds = self.shared.rounds.lock();
            (rounds.push(message), rounds.has_full())
        };
        if has_full || number.is_none() {
            self.submit();
        }
        number.ok_or_else(|| refused(RDKafkaErrorCode::QueueFull))
    }

    /// Lends the round that is being filled. It must be given back with [`Producer::close`], whatever happens: its
    /// messages have numbers.
    pub fn open(&mut self) -> OpenRound {
        OpenRound(self.shared.rounds.lock().lend())
    }

    /// Whether another message may be made; else close the round, wait with [`Producer::changed`] and try again.
    pub fn has_room(&self, round: &OpenRound) -> bool {
        self.shared.rounds.lock().has_room(&round.0)
    }

    /// Whether librdkafka would refuse a message of this size.
    pub fn is_too_large(&self, parts: Parts) -> bool {
        parts.bytes() > self.message_bytes_max
    }

    /// Enters a message whose key and value are the last bytes of the round's buffer, and which is not too large.
    /// Returns its number.
    pub fn enter(&mut self, round: &mut OpenRound, place: &Place<'_>, parts: Parts) -> u64 {
        let (number, is_full) = self.shared.rounds.lock().enter(&mut round.0, place, parts);
        if is_full {
            self.submit();
        }
        number
    }

    /// Takes the round back; everything that was entered may go now.
    pub fn close(&mut self, round: OpenRound) {
        self.shared.rounds.lock().give_back(round.0);
        self.submit();
    }

    /// Everything that was taken may go now.
    pub fn submit(&self) {
        if let Some(pacer) = &self.pacer {
            pacer.thread().unpark();
        }
    }

    /// Number of the last message that was taken.
    pub fn sent(&self) -> u64 {
        self.shared.rounds.lock().last()
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
        let target = {
            let mut rounds = self.shared.rounds.lock();
            rounds.hurry();
            rounds.last()
        };
        self.submit();
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
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.topics.lock().clear();
        self.submit();
        for thread in [self.pacer.take(), self.reporter.take()].into_iter().flatten() {
            let _ = thread.join();
        }
        // Messages that wait keep their topics, and those the client.
        self.shared.rounds.lock().clear();
        if let Some(round) = &mut *self.shared.last_round.lock() {
            round.forget_topics();
        }
    }
}

fn spawn(name: &str, shared: &Arc<Shared>, run: fn(&Shared)) -> Result<JoinHandle<()>, Error> {
    let shared = shared.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(&shared))
        .map_err(|error| Error::Setting { key: "thread".to_owned(), reason: error.to_string() })
}

/// What rounds look like under these settings.
fn limits(config: &ClientConfig, settings: &ClientSettings) -> Result<Limits, Error> {
    let given = |key: &str| settings.get(key).map(|value| value.trim().parse::<usize>()).and_then(Result::ok);
    Ok(Limits {
        round_bytes: number(config, "batch.size", 1_000_000)?.max(ROUND_BYTES_MIN),
        round_messages: number(config, "batch.num.messages", 10_000)?,
        waiting_bytes: given("buffer.memory").unwrap_or(usize::MAX).min(PRODUCER_WAITING_BYTES_MAX),
        linger: Duration::from_millis(given("linger.ms").unwrap_or(0) as u64),
    })
}

fn number(config: &ClientConfig, key: &str, default: usize) -> Result<usize, Error> {
    let Some(value) = config.get(key) else { return Ok(default) };
    value.trim().parse().map_err(|_| Error::Setting {
        key: key.to_owned(),
        reason: format!("`{value}` is no whole number that is not negative"),
    })
}
