//! Metadata, and creating, deleting and growing topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, DescribeClusterRequest, DescribeClusterResponse,
    MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::produce::AUTO_PARTITIONS;
use crate::broker::State;
use crate::listener::Peer;
use crate::settings::NODE_ID;
use crate::topics::{Topic, TopicError};

/// "Not asked for", where operations could be listed.
const NO_OPERATIONS: i32 = i32::MIN;

pub fn metadata(state: &State, peer: Peer, version: i16, request: MetadataRequest) -> MetadataResponse {
    let topics = match request.topics {
        // Version 0 says "all" with an empty list, later ones with none.
        None => state.topics.all().iter().map(|topic| describe(topic, version)).collect(),
        Some(wanted) if wanted.is_empty() && version == 0 => {
            state.topics.all().iter().map(|topic| describe(topic, version)).collect()
        }
        Some(wanted) => wanted
            .into_iter()
            .map(|wanted| match wanted.name {
                Some(name) => by_name(state, name, version, request.allow_auto_topic_creation),
                None => match state.topics.by_id(wanted.topic_id) {
                    Some(topic) => describe(&topic, version),
                    None => MetadataResponseTopic::default()
                        .with_error_code(ResponseError::UnknownTopicId.code())
                        .with_name(None)
                        .with_topic_id(wanted.topic_id)
                        .with_topic_authorized_operations(NO_OPERATIONS),
                },
            })
            .collect(),
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(StrBytes::from_string(peer.local.ip().to_string()))
        .with_port(i32::from(peer.local.port()));
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_string(state.cluster_id.clone())))
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics)
}

fn by_name(state: &State, name: TopicName, version: i16, may_create: bool) -> MetadataResponseTopic {
    if let Some(topic) = state.topics.get(&name) {
        return describe(&topic, version);
    }
    let failed = |error: ResponseError| {
        MetadataResponseTopic::default().with_error_code(error.code()).with_name(Some(name.clone()))
    };
    // Before version 4 a client could not say that it wants none made.
    if !may_create && version >= 4 {
        return failed(ResponseError::UnknownTopicOrPartition);
    }
    match state.topics.create(&name, AUTO_PARTITIONS, -1, BTreeMap::new()) {
        Ok(topic) => describe(&topic, version),
        Err(TopicError::Exists(_)) => match state.topics.get(&name) {
            Some(topic) => describe(&topic, version),
            None => failed(ResponseError::UnknownTopicOrPartition),
        },
        Err(error) => failed(code_of(&error)),
    }
}

fn describe(topic: &Arc<Topic>, version: i16) -> MetadataResponseTopic {
    let partitions = (0..topic.partitions().len() as i32)
        .map(|index| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(BrokerId(NODE_ID))
                .with_leader_epoch(if version >= 7 { 0 } else { -1 })
                .with_replica_nodes(vec![BrokerId(NODE_ID)])
                .with_isr_nodes(vec![BrokerId(NODE_ID)])
        })
        .collect();
    let described =
        MetadataResponseTopic::default().with_name(Some(name_of(&topic.name))).with_partitions(partitions);
    if version >= 10 { described.with_topic_id(topic.id) } else { described }
}

pub fn describe_cluster(state: &State, peer: Peer, _: DescribeClusterRequest) -> DescribeClusterResponse {
    let broker = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(NODE_ID))
        .with_host(StrBytes::from_string(peer.local.ip().to_string()))
        .with_port(i32::from(peer.local.port()));
    DescribeClusterResponse::default()
        .with_cluster_id(StrBytes::from_string(state.cluster_id.clone()))
        .with_controller_id(BrokerId(NODE_ID))
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(NO_OPERATIONS)
}

pub fn create(state: &State, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let topics = request.topics.into_iter().map(|wanted| {
        let name = wanted.name.clone();
        let result = CreatableTopicResult::default().with_name(name);
        match create_one(state, wanted, request.validate_only) {
            Ok((id, partitions)) => result
                .with_topic_id(id)
                .with_num_partitions(partitions)
                .with_replication_factor(1)
                .with_configs(None),
            Err(error) => result
                .with_error_code(code_of(&error).code())
                .with_error_message(Some(StrBytes::from_string(error.to_string()))),
        }
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn create_one(
    state: &State,
    wanted: CreatableTopic,
    only_check: bool,
) -> Result<(uuid::Uuid, i32), TopicError> {
    let partitions = match wanted.num_partitions {
        -1 if wanted.assignments.is_empty() => AUTO_PARTITIONS,
        -1 => wanted.assignments.len() as i32,
        given => given,
    };
    let config = wanted
        .configs
        .into_iter()
        .filter_map(|entry| Some((entry.name.to_string(), entry.value?.to_string())))
        .collect();
    if only_check {
        state.topics.check(&wanted.name, partitions, wanted.replication_factor)?;
        return Ok((uuid::Uuid::nil(), partitions));
    }
    let topic = state.topics.create(&wanted.name, partitions, wanted.replication_factor, config)?;
    Ok((topic.id, partitions))
}

pub fn delete(state: &State, version: i16, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let mut wanted: Vec<DeleteTopicState> = request.topics;
    wanted.extend(
        request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name))),
    );
    let responses = wanted.into_iter().map(|wanted| {
        let name = match &wanted.name {
            Some(name) => Some(name.to_string()),
            None => state.topics.by_id(wanted.topic_id).map(|topic| topic.name.clone()),
        };
        let mut result = DeletableTopicResult::default().with_name(name.as_deref().map(name_of));
        if version >= 6 {
            result.topic_id = wanted.topic_id;
        }
        let outcome = match &name {
            Some(name) => state.topics.delete(name),
            None => return result.with_error_code(ResponseError::UnknownTopicId.code()),
        };
        match outcome {
            Ok(()) => {
                // A topic of the same name starts at offset 0 again: old positions would skip its records.
                state.groups.forget_topic(name.as_deref().unwrap_or_default());
                result
            }
            Err(error) => {
                result.error_code = code_of(&error).code();
                if version >= 5 {
                    result.error_message = Some(StrBytes::from_string(error.to_string()));
                }
                result
            }
        }
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

pub fn create_partitions(state: &State, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|wanted| {
        let result = CreatePartitionsTopicResult::default().with_name(wanted.name.clone());
        let outcome = match (request.validate_only, state.topics.get(&wanted.name)) {
            (true, Some(topic)) if topic.partitions().len() as i32 >= wanted.count => {
                Err(TopicError::Partitions(wanted.count))
            }
            (true, Some(_)) => Ok(()),
            (true, None) => Err(TopicError::Unknown(wanted.name.to_string())),
            (false, _) => state.topics.grow(&wanted.name, wanted.count),
        };
        match outcome {
            Ok(()) => result,
            Err(error) => result
                .with_error_code(code_of(&error).code())
                .with_error_message(Some(StrBytes::from_string(error.to_string()))),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

pub fn code_of(error: &TopicError) -> ResponseError {
    match error {
        TopicError::Exists(_) => ResponseError::TopicAlreadyExists,
        TopicError::Unknown(_) => ResponseError::UnknownTopicOrPartition,
        TopicError::Name(_) => ResponseError::InvalidTopicException,
        TopicError::Partitions(_) => ResponseError::InvalidPartitions,
        TopicError::Replicas(_) => ResponseError::InvalidReplicationFactor,
        TopicError::Io(error) => {
            tracing::error!(%error, "a topic cannot be written");
            ResponseError::KafkaStorageError
        }
    }
}

pub fn name_of(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
