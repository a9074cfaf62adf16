//! What the task and its writing loop share: the queue between them, and how far the loop is.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use connect::contract::Rejected;
use connect::{Fate, TaskError, TopicPartition};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::batch::Part;
use crate::prepare::Delivery;

/// Bytes of messages that may wait before `put` waits.
pub const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One partition that the task owns.
#[derive(Debug)]
pub struct Owned {
    /// Records that were put before it was opened are not its own.
    pub opened_at: u64,
    pub at_end: bool,
    /// Next offset behind what was written or rejected.
    pub done: Option<i64>,
}

#[derive(Debug, Default)]
pub struct State {
    pub queue: VecDeque<Delivery>,
    pub queue_bytes: usize,
    /// Counts puts, opens and closes.
    pub stamp: u64,
    pub owned: HashMap<TopicPartition, Owned>,
    /// Partitions that were given up since the loop looked.
    pub closed: Vec<TopicPartition>,
    pub rejected: Vec<Rejected>,
    /// Oldest offset per partition that is held back.
    pub held: BTreeMap<TopicPartition, i64>,
    /// Partitions that hold more than there is memory for.
    pub full: Vec<TopicPartition>,
    /// What ended the loop.
    pub failure: Option<TaskError>,
    /// The last failure of an attempt that goes on.
    pub retrying: Option<String>,
    pub flushes: Vec<oneshot::Sender<Result<(), TaskError>>>,
    pub stopping: bool,
    /// The loop will look at nothing any more.
    pub ended: bool,
}

impl State {
    /// Whether `put` may return.
    pub fn has_room(&self) -> bool {
        self.ended || self.queue_bytes <= QUEUE_BYTES_MAX
    }
}

/// The state under its lock, which is never held while anything is waited for.
#[derive(Debug, Default)]
pub struct Shared {
    pub state: Mutex<State>,
    /// There is work for the loop.
    pub work: Notify,
    /// There is room in the queue, or a reason not to wait for it.
    pub room: Notify,
    /// There is news for the runtime.
    pub news: Notify,
}

impl Shared {
    /// Takes deliveries for one batch, at least one where there is any.
    pub fn take(&self, records_max: usize) -> VecDeque<Delivery> {
        let mut state = self.state.lock();
        let mut taken = VecDeque::new();
        let mut count = 0;
        while let Some(delivery) = state.queue.front() {
            if count > 0 && count + delivery.records.len() > records_max {
                break;
            }
            count += delivery.records.len();
            state.queue_bytes -= delivery.bytes;
            taken.extend(state.queue.pop_front());
        }
        if state.queue_bytes < QUEUE_BYTES_MAX {
            self.room.notify_waiters();
        }
        taken
    }

    /// Puts deliveries back in front of all others, in their order.
    pub fn put_back(&self, deliveries: VecDeque<Delivery>) {
        let mut state = self.state.lock();
        for delivery in deliveries.into_iter().rev() {
            state.queue_bytes += delivery.bytes;
            state.queue.push_front(delivery);
        }
    }

    pub fn queued_records(&self) -> usize {
        self.state.lock().queue.iter().map(|delivery| delivery.records.len()).sum()
    }

    /// Whether a part of a batch still belongs to the task.
    pub fn is_current(state: &State, part: &Part) -> bool {
        state.owned.get(&part.partition).is_some_and(|owned| owned.opened_at <= part.stamp)
    }

    /// An attempt failed and will be repeated.
    pub fn retrying(&self, message: &str) {
        let mut state = self.state.lock();
        for flush in state.flushes.drain(..) {
            let _ = flush.send(Err(TaskError::retry(message)));
        }
        state.retrying = Some(message.to_owned());
        drop(state);
        self.room.notify_waiters();
        self.news.notify_one();
    }

    /// The loop ends.
    pub fn failed(&self, error: TaskError) {
        let mut state = self.state.lock();
        for flush in state.flushes.drain(..) {
            let _ = flush.send(Err(copied(&error)));
        }
        state.failure = Some(error);
        drop(state);
        self.room.notify_waiters();
        self.news.notify_one();
    }
}

/// An error for each of several callers; the cause stays with the first.
pub fn copied(error: &TaskError) -> TaskError {
    TaskError {
        fate: error.fate,
        message: error.message.clone(),
        hint: error.hint.clone(),
        class: error.class,
        source: None,
    }
}

/// Says that the loop has ended, however it ended: nobody waits for it any more.
pub struct LoopGuard(pub Arc<Shared>);

impl Drop for LoopGuard {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if !state.ended {
            let text = "the writing loop of the sink ended unexpectedly";
            state.failure = Some(TaskError::new(Fate::Retry, connect::fate::CONNECT_EXCEPTION, text));
            state.ended = true;
        }
        state.flushes.clear();
        drop(state);
        self.0.room.notify_waiters();
        self.0.news.notify_one();
    }
}
