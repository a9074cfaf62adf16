//! All committed offsets of a group, whatever topics they belong to: librdkafka can ask for them, its Rust binding
//! cannot.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::error::IsError as _;
use rdkafka_sys as sys;

use crate::consumer::Partition;
use crate::error::Error;

/// Waits for the coordinator's answer; must not be called on an async thread.
///
/// # Safety
/// `client` is a live client.
pub unsafe fn read(
    client: *mut sys::rd_kafka_t,
    group: &str,
    timeout: Duration,
) -> Result<BTreeMap<Partition, i64>, Error> {
    let what = || format!("read offsets of group {group}");
    let name =
        CString::new(group).map_err(|error| Error::Setting { key: what(), reason: error.to_string() })?;
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: everything created here is destroyed here; the result is read before its event is destroyed.
    unsafe {
        let queue = sys::rd_kafka_queue_new(client);
        let mut request = sys::rd_kafka_ListConsumerGroupOffsets_new(name.as_ptr(), std::ptr::null());
        sys::rd_kafka_ListConsumerGroupOffsets(client, &mut request, 1, std::ptr::null(), queue);
        let event = sys::rd_kafka_queue_poll(queue, millis);
        let result = if event.is_null() {
            Err(Error::Timeout { what: what(), millis: timeout.as_millis() })
        } else if sys::rd_kafka_event_error(event).is_error() {
            Err(Error::Kafka { what: what(), code: sys::rd_kafka_event_error(event).into() })
        } else {
            offsets(event, &what())
        };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_ListConsumerGroupOffsets_destroy(request);
        sys::rd_kafka_queue_destroy(queue);
        result
    }
}

/// # Safety
/// `event` is the live answer to a request for offsets.
unsafe fn offsets(event: *mut sys::rd_kafka_event_t, what: &str) -> Result<BTreeMap<Partition, i64>, Error> {
    let mut offsets = BTreeMap::new();
    // SAFETY: pointers belong to the event.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroupOffsets_result(event);
        let mut count = 0;
        let groups = sys::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count);
        if count == 0 {
            return Ok(offsets);
        }
        let error = sys::rd_kafka_group_result_error(*groups);
        if !error.is_null() {
            return Err(Error::Kafka { what: what.to_owned(), code: sys::rd_kafka_error_code(error).into() });
        }
        let list = sys::rd_kafka_group_result_partitions(*groups);
        if list.is_null() {
            return Ok(offsets);
        }
        for element in std::slice::from_raw_parts((*list).elems, (*list).cnt as usize) {
            if element.offset >= 0 {
                let topic = CStr::from_ptr(element.topic).to_string_lossy();
                offsets.insert((topic.into(), element.partition), element.offset);
            }
        }
    }
    Ok(offsets)
}
