//! Messages that wait for their turn, in rounds: a round is handed to librdkafka when the one before is acknowledged.
//!
//! An idempotent librdkafka producer keeps one request of a partition in flight, and while a second one is ready its
//! broker thread asks the socket again and again until the first is acknowledged: measured, that was a third of the
//! worker's CPU. So it never gets a second one. Nothing is lost by it: what arrives during a round trip makes up the
//! next round, which is as large as the load demands, and at low load a message goes at once. `linger.ms` holds a
//! round that is not full back, as it does in Java.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::native::{ANY_PARTITION, HeaderTemplate};
use super::{Outgoing, Parts, Place, Topic};

/// Memory of a waiting message beside its bytes.
const ENTRY_BYTES: usize = std::mem::size_of::<Entry>();
/// librdkafka counts its own framing into a batch: a round stays below it.
const FRAMING_BYTES: usize = 32;
/// Emptied rounds that are kept for their memory.
const SPARE_MAX: usize = 2;

/// One message of a round.
pub(super) struct Message<'a> {
    pub number: u64,
    pub topic: &'a Topic,
    pub partition: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Option<&'a HeaderTemplate>,
    /// 0: now.
    pub timestamp: i64,
}

struct Entry {
    topic: u32,
    /// One more than the place of the headers; 0: none.
    headers: u32,
    partition: i32,
    key: Option<u32>,
    value: Option<u32>,
    timestamp: i64,
}

/// Messages with consecutive numbers, in one buffer that librdkafka refers to until they are acknowledged.
#[derive(Default)]
pub(super) struct Round {
    first: u64,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    topics: Vec<Topic>,
    headers: Vec<Arc<HeaderTemplate>>,
    since: Option<Instant>,
    /// Size as librdkafka's batch counts it.
    batch_bytes: usize,
}

impl Place<'_> {
    /// What a message adds to a batch.
    fn batch_bytes(&self, parts: Parts) -> usize {
        parts.bytes() + self.headers.map_or(0, |headers| headers.bytes()) + FRAMING_BYTES
    }
}

impl Round {
    fn push(&mut self, number: u64, message: &Outgoing<'_>) {
        let mut part = |bytes: Option<&[u8]>| {
            bytes.map(|bytes| {
                self.bytes.extend_from_slice(bytes);
                bytes.len()
            })
        };
        let (key, value) = (part(message.key), part(message.value));
        self.enter(number, &message.place(), Parts { key, value });
    }

    /// Enters a message whose key and value are the last bytes.
    fn enter(&mut self, number: u64, place: &Place<'_>, parts: Parts) {
        if self.entries.is_empty() {
            self.first = number;
        }
        // Messages of one topic usually follow each other.
        if self.topics.last().is_none_or(|last| !last.is(place.topic)) {
            self.topics.push(place.topic.clone());
        }
        let headers = match place.headers {
            None => 0,
            Some(headers) => {
                if self.headers.last().is_none_or(|last| !Arc::ptr_eq(last, headers)) {
                    self.headers.push(headers.clone());
                }
                self.headers.len() as u32
            }
        };
        self.batch_bytes += place.batch_bytes(parts);
        self.entries.push(Entry {
            topic: self.topics.len() as u32 - 1,
            headers,
            partition: place.partition.unwrap_or(ANY_PARTITION),
            key: parts.key.map(|len| len as u32),
            value: parts.value.map(|len| len as u32),
            timestamp: place.timestamp.unwrap_or(0),
        });
    }

    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let mut rest = &self.bytes[..];
        let mut part = move |len: Option<u32>| {
            len.map(|len| {
                let (part, after) = rest.split_at(len as usize);
                rest = after;
                part
            })
        };
        (self.first..).zip(&self.entries).map(move |(number, entry)| Message {
            number,
            topic: &self.topics[entry.topic as usize],
            partition: entry.partition,
            key: part(entry.key),
            value: part(entry.value),
            headers: entry.headers.checked_sub(1).map(|place| &*self.headers[place as usize]),
            timestamp: entry.timestamp,
        })
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where the next message's bytes go.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn memory(&self) -> usize {
        self.bytes.len() + self.entries.len() * ENTRY_BYTES
    }

    /// Lets the topics go, which keep the client; the bytes stay.
    pub fn forget_topics(&mut self) {
        self.entries.clear();
        self.topics.clear();
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.topics.clear();
        self.headers.clear();
        self.since = None;
        self.batch_bytes = 0;
    }
}

/// How large rounds are, and how much may wait.
pub(super) struct Limits {
    pub round_bytes: usize,
    pub round_messages: usize,
    pub waiting_bytes: usize,
    pub linger: Duration,
}

/// The rounds of a producer that wait.
pub(super) struct Rounds {
    limits: Limits,
    /// Number of the last message that was taken.
    last: u64,
    open: Round,
    full: VecDeque<Round>,
    /// Memory of what is full.
    full_bytes: usize,
    /// Messages up to this number do not linger.
    hurried: u64,
    spare: Vec<Round>,
}

/// What is to be done next.
pub(super) enum Next {
    HandOver(Round),
    /// A round lingers until then.
    At(Instant),
    Nothing,
}

impl Rounds {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            last: 0,
            open: Round::default(),
            full: VecDeque::new(),
            full_bytes: 0,
            hurried: 0,
            spare: vec![],
        }
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    /// Takes a message and gives its number; `None`: there is no room.
    pub fn push(&mut self, message: &Outgoing<'_>) -> Option<u64> {
        let waiting = self.full_bytes + self.open.memory();
        // One message always goes, however large.
        if waiting > 0 && waiting + message.parts().bytes() > self.limits.waiting_bytes {
            return None;
        }
        if self.open.len() >= self.limits.round_messages
            || (self.open.len() > 0
                && self.open.batch_bytes + message.place().batch_bytes(message.parts())
                    > self.limits.round_bytes)
        {
            self.close();
        }
        if self.open.len() == 0 && !self.limits.linger.is_zero() {
            self.open.since = Some(Instant::now());
        }
        self.last += 1;
        self.open.push(self.last, message);
        Some(self.last)
    }

    fn close(&mut self) {
        let round = std::mem::replace(&mut self.open, self.spare.pop().unwrap_or_default());
        self.full_bytes += round.memory();
        self.full.push_back(round);
    }

    /// Takes the open round out, to be filled without the lock. Nobody else may send before it is back.
    pub fn lend(&mut self) -> Round {
        std::mem::replace(&mut self.open, self.spare.pop().unwrap_or_default())
    }

    /// Takes it back.
    pub fn give_back(&mut self, round: Round) {
        let spare = std::mem::replace(&mut self.open, round);
        self.recycle(spare);
    }

    /// Whether a lent round may go on being filled.
    pub fn has_room(&self, lent: &Round) -> bool {
        self.full_bytes + lent.memory() < self.limits.waiting_bytes
    }

    /// Enters a message whose key and value are the last bytes of the lent round; gives its number, and whether a round
    /// became full.
    pub fn enter(&mut self, lent: &mut Round, place: &Place<'_>, parts: Parts) -> (u64, bool) {
        self.last += 1;
        let is_full = lent.len() > 0
            && (lent.len() >= self.limits.round_messages
                || lent.batch_bytes + place.batch_bytes(parts) > self.limits.round_bytes);
        if is_full {
            let mut next = self.spare.pop().unwrap_or_default();
            let start = lent.bytes.len() - parts.bytes();
            next.bytes.extend_from_slice(&lent.bytes[start..]);
            lent.bytes.truncate(start);
            let full = std::mem::replace(lent, next);
            self.full_bytes += full.memory();
            self.full.push_back(full);
        }
        if lent.len() == 0 && !self.limits.linger.is_zero() {
            lent.since = Some(Instant::now());
        }
        lent.enter(self.last, place, parts);
        (self.last, is_full)
    }

    /// A round is waiting that no other message fits into.
    pub fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Everything so far goes without lingering.
    pub fn hurry(&mut self) {
        self.hurried = self.last;
    }

    /// The next round, where it may go now.
    pub fn next(&mut self) -> Next {
        if let Some(round) = self.full.pop_front() {
            self.full_bytes -= round.memory();
            return Next::HandOver(round);
        }
        if self.open.len() == 0 {
            return Next::Nothing;
        }
        if let Some(since) = self.open.since
            && self.open.first > self.hurried
        {
            let due = since + self.limits.linger;
            if due > Instant::now() {
                return Next::At(due);
            }
        }
        Next::HandOver(std::mem::replace(&mut self.open, self.spare.pop().unwrap_or_default()))
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.open = Round::default();
        self.full.clear();
        self.full_bytes = 0;
        self.spare.clear();
    }

    /// Keeps an emptied round's memory.
    pub fn recycle(&mut self, mut round: Round) {
        if self.spare.len() < SPARE_MAX {
            round.clear();
            self.spare.push(round);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientSettings, Producer};

    fn rounds(linger: Duration) -> Rounds {
        Rounds::new(Limits { round_bytes: 400, round_messages: 5, waiting_bytes: 2_000, linger })
    }

    /// Number, key, value.
    type Seen = (u64, Option<Vec<u8>>, Option<Vec<u8>>);

    /// Messages as they are handed over, by round.
    fn handed_over(rounds: &mut Rounds) -> Vec<Vec<Seen>> {
        let mut all = vec![];
        while let Next::HandOver(round) = rounds.next() {
            let copy = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
            all.push(
                round.messages().map(|one| (one.number, copy(one.key), copy(one.value))).collect::<Vec<_>>(),
            );
            rounds.recycle(round);
        }
        all
    }

    #[test]
    fn messages_keep_order_and_bytes_over_rounds() {
        // Nothing listens there: a producer does not connect by being made.
        let producer = Producer::new(&ClientSettings::new([("bootstrap.servers", "127.0.0.1:1")])).unwrap();
        let topic = producer.topic("t").unwrap();
        let message = |key: Option<&'static [u8]>, value: Option<&'static [u8]>| Outgoing {
            topic: &topic,
            partition: Some(0),
            key,
            value,
            headers: None,
            timestamp: None,
        };
        let mut rounds = rounds(Duration::ZERO);
        assert_eq!(rounds.push(&message(Some(b"k"), None)), Some(1));
        let mut lent = rounds.lend();
        for number in 2..=13u64 {
            let value = vec![number as u8; 40];
            lent.buffer().extend_from_slice(&value);
            let parts = Parts { key: None, value: Some(40) };
            assert_eq!(rounds.enter(&mut lent, &message(None, None).place(), parts).0, number);
        }
        rounds.give_back(lent);
        assert_eq!(rounds.push(&message(Some(b""), Some(b"end"))), Some(14));
        let all = handed_over(&mut rounds);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 4]);
        let flat: Vec<_> = all.into_iter().flatten().collect();
        assert!(flat.iter().zip(1..).all(|(message, number)| message.0 == number));
        assert_eq!(flat[0].1.as_deref(), Some(&b"k"[..]));
        assert_eq!((&flat[0].2, &flat[1].1), (&None, &None));
        assert!(flat[1..13].iter().all(|(number, _, value)| value.as_deref() == Some(&[*number as u8; 40])));
        assert_eq!((flat[13].1.as_deref(), flat[13].2.as_deref()), (Some(&b""[..]), Some(&b"end"[..])));
    }

    #[test]
    fn what_waits_is_bounded_and_lingers() {
        let producer = Producer::new(&ClientSettings::new([("bootstrap.servers", "127.0.0.1:1")])).unwrap();
        let topic = producer.topic("t").unwrap();
        let large = [0; 900];
        let message = Outgoing {
            topic: &topic,
            partition: None,
            key: None,
            value: Some(&large),
            headers: None,
            timestamp: None,
        };
        let mut rounds = rounds(Duration::from_secs(3600));
        assert_eq!(
            [rounds.push(&message), rounds.push(&message), rounds.push(&message)],
            [Some(1), Some(2), None]
        );
        // The first is a full round; the second may still grow.
        assert!(matches!(rounds.next(), Next::HandOver(_)));
        assert!(matches!(rounds.next(), Next::At(_)));
        rounds.hurry();
        assert!(matches!(rounds.next(), Next::HandOver(_)));
        assert!(matches!(rounds.next(), Next::Nothing));
    }
}
