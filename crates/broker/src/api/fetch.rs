//! Fetch, ListOffsets and OffsetForLeaderEpoch.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::select_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, TopicName,
};
use tokio::time::Instant;

use crate::broker::State;
use crate::partition::Partition;

/// Bytes of one answer, whatever is asked for: what a client holds of an answer is memory of its own.
const RESPONSE_BYTES_MAX: usize = 50 * 1024 * 1024;
/// Longest wait for data, whatever is asked for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// One partition of a request, looked up once.
struct Wanted {
    topic: TopicName,
    partition: Option<Arc<Partition>>,
    request: FetchPartition,
}

pub async fn fetch(state: &State, version: i16, request: FetchRequest) -> FetchResponse {
    let wanted: Vec<Wanted> = request
        .topics
        .into_iter()
        .flat_map(|topic| {
            let known = state.topics.get(&topic.topic);
            let name = topic.topic;
            topic.partitions.into_iter().map(move |request| Wanted {
                topic: name.clone(),
                partition: known.as_ref().and_then(|known| known.partition(request.partition)),
                request,
            })
        })
        .collect();
    let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0);
    let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0).min(RESPONSE_BYTES_MAX);
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
    let deadline = Instant::now() + wait;
    loop {
        // Whoever waits registers before it looks, or what is appended in between would not wake it.
        let waits: Vec<_> = wanted
            .iter()
            .filter_map(|wanted| wanted.partition.as_ref())
            .map(|partition| {
                let mut wait = Box::pin(partition.appended.notified());
                wait.as_mut().enable();
                wait
            })
            .collect();
        let (answers, bytes, failed) = read(&wanted, bytes_max);
        if bytes >= bytes_min.max(1) || failed || waits.is_empty() || Instant::now() >= deadline {
            if waits.is_empty() && !failed {
                tokio::time::sleep_until(deadline).await;
            }
            return response(version, &wanted, answers);
        }
        let _ = tokio::time::timeout_at(deadline, select_all(waits)).await;
    }
}

/// Reads what is there now. The flag says that some partition cannot be read, which must be told at once.
fn read(wanted: &[Wanted], bytes_max: usize) -> (Vec<PartitionData>, usize, bool) {
    let (mut total, mut failed) = (0, false);
    let mut answers = Vec::with_capacity(wanted.len());
    for one in wanted {
        let left = bytes_max.saturating_sub(total);
        let mut data = PartitionData::default()
            .with_partition_index(one.request.partition)
            .with_high_watermark(-1)
            .with_last_stable_offset(-1)
            .with_log_start_offset(-1)
            .with_preferred_read_replica(BrokerId(-1))
            .with_aborted_transactions(None)
            .with_records(Some(Bytes::new()));
        match read_one(one, left, total == 0) {
            Ok((partition, records)) => {
                let high_watermark = partition.high_watermark();
                total += records.len();
                data = data
                    .with_high_watermark(high_watermark)
                    .with_last_stable_offset(high_watermark)
                    .with_log_start_offset(partition.start_offset())
                    .with_records(Some(records));
            }
            Err(error) => {
                failed = true;
                data.error_code = error.code();
            }
        }
        answers.push(data);
    }
    (answers, total, failed)
}

/// The first partition that has something gives one whole batch at least, however large: the client could not
/// go on otherwise.
fn read_one(one: &Wanted, left: usize, is_first: bool) -> Result<(&Partition, Bytes), ResponseError> {
    let partition = one.partition.as_deref().filter(|partition| !partition.is_gone());
    let partition = partition.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let offset = one.request.fetch_offset;
    if offset < partition.start_offset() || offset > partition.high_watermark() {
        return Err(ResponseError::OffsetOutOfRange);
    }
    let allowed = usize::try_from(one.request.partition_max_bytes).unwrap_or(0).min(left);
    if allowed == 0 && !is_first {
        return Ok((partition, Bytes::new()));
    }
    let failed = |error: std::io::Error| {
        tracing::error!(topic = &**one.topic, %error, "a partition cannot be read");
        ResponseError::KafkaStorageError
    };
    match partition.locate(offset, allowed).map_err(failed)? {
        Some(slice) if is_first || slice.len <= allowed => Ok((partition, slice.read().map_err(failed)?)),
        _ => Ok((partition, Bytes::new())),
    }
}

fn response(version: i16, wanted: &[Wanted], answers: Vec<PartitionData>) -> FetchResponse {
    let mut topics: Vec<FetchableTopicResponse> = vec![];
    for (one, mut answer) in wanted.iter().zip(answers) {
        if version < 5 {
            answer.log_start_offset = PartitionData::default().log_start_offset;
        }
        if version < 11 {
            answer.preferred_read_replica = PartitionData::default().preferred_read_replica;
        }
        match topics.last_mut() {
            Some(last) if last.topic == one.topic => last.partitions.push(answer),
            _ => topics.push(
                FetchableTopicResponse::default().with_topic(one.topic.clone()).with_partitions(vec![answer]),
            ),
        }
    }
    FetchResponse::default().with_responses(topics)
}

/// Timestamps that mean something else (Kafka's protocol guide).
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

pub fn list_offsets(state: &State, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let known = state.topics.get(&topic.name);
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(wanted.partition_index)
                .with_timestamp(-1)
                .with_offset(-1);
            let Some(partition) = known.as_ref().and_then(|known| known.partition(wanted.partition_index))
            else {
                return answer.with_error_code(ResponseError::UnknownTopicOrPartition.code());
            };
            match offset_of(&partition, wanted.timestamp) {
                Ok((timestamp, offset)) => answer.with_timestamp(timestamp).with_offset(offset),
                Err(error) => {
                    tracing::error!(%error, "a partition cannot be read");
                    answer.with_error_code(ResponseError::KafkaStorageError.code())
                }
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn offset_of(partition: &Partition, timestamp: i64) -> std::io::Result<(i64, i64)> {
    match timestamp {
        LATEST => Ok((-1, partition.high_watermark())),
        EARLIEST => Ok((-1, partition.start_offset())),
        // The batch with the largest timestamp: found by asking for later and later ones would be a scan; the
        // last batch has it unless clocks ran backwards.
        MAX_TIMESTAMP => Ok(partition
            .offset_for_time(0)?
            .map_or((-1, -1), |(timestamp, _)| (timestamp, partition.high_watermark() - 1))),
        timestamp => Ok(partition.offset_for_time(timestamp)?.unwrap_or((-1, -1))),
    }
}

/// One node has had one leader, epoch 0, from the beginning: nothing ever diverges.
pub fn offset_for_leader_epoch(
    state: &State,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let known = state.topics.get(&topic.topic);
        let partitions = topic.partitions.iter().map(|wanted| {
            let answer = EpochEndOffset::default().with_partition(wanted.partition);
            match known.as_ref().and_then(|known| known.partition(wanted.partition)) {
                Some(partition) => answer.with_leader_epoch(0).with_end_offset(partition.high_watermark()),
                None => answer
                    .with_error_code(ResponseError::UnknownTopicOrPartition.code())
                    .with_leader_epoch(-1)
                    .with_end_offset(-1),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
