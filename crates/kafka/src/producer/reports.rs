//! The thread that takes delivery reports off librdkafka's queue.

use std::sync::atomic::Ordering;

use rdkafka::error::{IsError as _, RDKafkaErrorCode};
use rdkafka_sys as sys;

use super::{Shared, Undelivered};
use crate::error::Error;

/// How long the thread sleeps at most when nothing is delivered: only stopping waits for it.
const WAIT_MS: i32 = 100;

/// Runs until the producer stops.
pub(super) fn run(shared: &Shared) {
    while !shared.stopping.load(Ordering::Acquire) {
        // SAFETY: the queue lives as long as `shared`; the event is destroyed once.
        unsafe {
            let event = sys::rd_kafka_queue_poll(shared.queue.as_ptr(), WAIT_MS);
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
            // SAFETY: `_private` is the number that the message was handed over with.
            let (number, code) = unsafe { ((*message)._private as u64, (*message).err) };
            if code.is_error() {
                let code: RDKafkaErrorCode = code.into();
                let error = Error::Kafka { what: "deliver message".to_owned(), code };
                failed.push(Undelivered { number, error });
            } else {
                grew |= acknowledged.acknowledge(number);
            }
        }
    }
    if grew || !failed.is_empty() {
        shared.undelivered.lock().extend(failed);
        shared.tell();
    }
}
