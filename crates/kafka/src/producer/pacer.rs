//! The thread that hands rounds over, one after the other.
//!
//! librdkafka lingers for longer than a hand-over takes, so that it does not send the first half of a round while the
//! second is on its way; `rd_kafka_flush` then says that this was all, and returns when it is acknowledged.

use std::sync::atomic::Ordering;
use std::time::Instant;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::rounds::{Next, Round};
use super::{Shared, Undelivered, native};
use crate::error::Error;

/// How long one wait for the acknowledgements lasts: stopping is noticed this late at most.
const FLUSH_WAIT_MS: i32 = 100;

/// Runs until the producer stops; whoever has news unparks it.
pub(super) fn run(shared: &Shared) {
    while !shared.stopping.load(Ordering::Acquire) {
        // Not in the `match`: the lock would be held during the hand-over.
        let next = shared.rounds.lock().next();
        match next {
            Next::HandOver(round) => {
                hand_over(shared, &round);
                match until_acknowledged(shared) {
                    Wait::Acknowledged => shared.rounds.lock().recycle(round),
                    Wait::Stopped => *shared.last_round.lock() = Some(round),
                }
            }
            Next::At(due) => std::thread::park_timeout(due.saturating_duration_since(Instant::now())),
            Next::Nothing => std::thread::park(),
        }
    }
}

fn hand_over(shared: &Shared, round: &Round) {
    let mut failed = vec![];
    for message in round.messages() {
        // SAFETY: the round is kept until it is acknowledged, or as long as the client.
        if let Err(code) = unsafe { native::produce(shared, &message) } {
            let what = format!("produce to {}", message.topic.name());
            failed.push(Undelivered { number: message.number, error: Error::Kafka { what, code } });
        }
    }
    if !failed.is_empty() {
        shared.undelivered.lock().extend(failed);
        shared.tell();
    }
}

enum Wait {
    Acknowledged,
    /// The producer stops; messages may still be under way.
    Stopped,
}

fn until_acknowledged(shared: &Shared) -> Wait {
    loop {
        // SAFETY: the client lives in `shared`. Reports come as events, so this only waits.
        let code = unsafe { sys::rd_kafka_flush(shared.native(), FLUSH_WAIT_MS) };
        if RDKafkaErrorCode::from(code) != RDKafkaErrorCode::OperationTimedOut {
            return Wait::Acknowledged;
        }
        if shared.stopping.load(Ordering::Acquire) {
            return Wait::Stopped;
        }
    }
}
