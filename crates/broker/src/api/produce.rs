//! Produce and InitProducerId.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId,
};

use crate::broker::State;
use crate::log::BatchError;
use crate::partition::{AppendError, Partition};
use crate::settings::{Fsync, PARTITIONS_DEFAULT};

pub async fn produce(state: &State, request: ProduceRequest) -> ProduceResponse {
    let mut written = vec![];
    let mut topics = vec![];
    for topic in request.topic_data {
        let mut partitions = vec![];
        for data in topic.partition_data {
            let partition = state.topics.get(&topic.name).and_then(|topic| topic.partition(data.index));
            let mut response =
                PartitionProduceResponse::default().with_index(data.index).with_log_append_time_ms(-1);
            match append(partition.as_ref(), data.records.as_deref().unwrap_or_default()) {
                Ok(base_offset) => {
                    response = response.with_base_offset(base_offset).with_log_start_offset(0);
                    written.extend(partition);
                }
                Err(error) => {
                    response =
                        response.with_error_code(error.code()).with_base_offset(-1).with_log_start_offset(-1);
                }
            }
            partitions.push(response);
        }
        topics
            .push(TopicProduceResponse::default().with_name(topic.name).with_partition_responses(partitions));
    }
    let mut response = ProduceResponse::default().with_responses(topics);
    if state.fsync == Fsync::Always
        && let Err(error) = force(written).await
    {
        tracing::error!(%error, "data could not be forced to disk");
        for partition in response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
            partition.error_code = ResponseError::KafkaStorageError.code();
        }
    }
    response
}

fn append(partition: Option<&Arc<Partition>>, batches: &[u8]) -> Result<i64, ResponseError> {
    let partition = partition.ok_or(ResponseError::UnknownTopicOrPartition)?;
    partition.append(batches).map_err(|error| match error {
        AppendError::Batch(BatchError::Magic(_)) => ResponseError::UnsupportedForMessageFormat,
        AppendError::Batch(_) => ResponseError::CorruptMessage,
        AppendError::TooLarge(_) => ResponseError::MessageTooLarge,
        AppendError::OutOfOrder => ResponseError::OutOfOrderSequenceNumber,
        AppendError::Fenced => ResponseError::InvalidProducerEpoch,
        AppendError::Gone => ResponseError::UnknownTopicOrPartition,
        AppendError::Io(error) => {
            tracing::error!(%error, "a partition cannot be written");
            ResponseError::KafkaStorageError
        }
    })
}

async fn force(written: Vec<Arc<Partition>>) -> std::io::Result<()> {
    tokio::task::spawn_blocking(move || written.iter().try_for_each(|partition| partition.sync()))
        .await
        .map_err(std::io::Error::other)?
}

pub fn init_producer_id(state: &State, request: InitProducerIdRequest) -> InitProducerIdResponse {
    if request.transactional_id.is_some() {
        return InitProducerIdResponse::default()
            .with_error_code(ResponseError::UnsupportedVersion.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
    }
    match state.next_producer_id() {
        Ok(id) => InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(error) => {
            tracing::error!(%error, "producer ids cannot be written");
            InitProducerIdResponse::default()
                .with_error_code(ResponseError::KafkaStorageError.code())
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1)
        }
    }
}

/// Partitions of a topic that is made because somebody writes to it.
pub const AUTO_PARTITIONS: i32 = PARTITIONS_DEFAULT;
