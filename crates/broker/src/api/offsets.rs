//! OffsetCommit, OffsetFetch and OffsetDelete.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::broker::State;
use crate::groups::{Commit, CommittedOffset};

use super::topics::name_of;

pub fn commit(state: &State, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let mut offsets = vec![];
    let mut topics = vec![];
    for topic in request.topics {
        let known = state.topics.get(&topic.name);
        let mut partitions = vec![];
        for partition in topic.partitions {
            let exists =
                known.as_ref().is_some_and(|known| known.partition(partition.partition_index).is_some());
            if exists {
                let committed = CommittedOffset {
                    offset: partition.committed_offset,
                    metadata: partition.committed_metadata.map(|text| text.to_string()).unwrap_or_default(),
                };
                offsets.push((topic.name.to_string(), partition.partition_index, committed));
            }
            let code = if exists { 0 } else { ResponseError::UnknownTopicOrPartition.code() };
            partitions.push(
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code),
            );
        }
        topics.push(OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions));
    }
    let commit = Commit {
        group: &request.group_id,
        member: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
    };
    if let Err(error) = state.groups.commit(&commit, offsets) {
        for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.error_code = error.code();
        }
    }
    OffsetCommitResponse::default().with_topics(topics)
}

/// One partition's committed offset, or that there is none.
type Fetched = (String, Vec<(i32, Option<CommittedOffset>)>);

pub fn fetch(state: &State, version: i16, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if version < 8 {
        let wanted = request.topics.map(|topics| {
            topics.into_iter().map(|topic| (topic.name.to_string(), topic.partition_indexes)).collect()
        });
        let topics = fetched(state, &request.group_id, wanted).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(index, committed)| {
                let (offset, metadata) = parts(committed);
                let answer = OffsetFetchResponsePartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(offset)
                    .with_metadata(metadata);
                if version >= 5 { answer.with_committed_leader_epoch(-1) } else { answer }
            });
            OffsetFetchResponseTopic::default()
                .with_name(name_of(&topic))
                .with_partitions(partitions.collect())
        });
        return OffsetFetchResponse::default().with_topics(topics.collect());
    }
    let groups = request.groups.into_iter().map(|group| {
        let wanted = group.topics.map(|topics| {
            topics.into_iter().map(|topic| (topic.name.to_string(), topic.partition_indexes)).collect()
        });
        let topics = fetched(state, &group.group_id, wanted).into_iter().map(|(topic, partitions)| {
            let partitions = partitions.into_iter().map(|(index, committed)| {
                let (offset, metadata) = parts(committed);
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(index)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(-1)
                    .with_metadata(metadata)
            });
            OffsetFetchResponseTopics::default()
                .with_name(name_of(&topic))
                .with_partitions(partitions.collect())
        });
        OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics.collect())
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

fn fetched(state: &State, group: &str, wanted: Option<Vec<(String, Vec<i32>)>>) -> Vec<Fetched> {
    match wanted {
        Some(wanted) => wanted
            .into_iter()
            .map(|(topic, partitions)| {
                let partitions = partitions
                    .into_iter()
                    .map(|index| (index, state.groups.offset(group, &topic, index)))
                    .collect();
                (topic, partitions)
            })
            .collect(),
        None => {
            let mut all: Vec<Fetched> = vec![];
            for (topic, index, committed) in state.groups.offsets(group) {
                match all.last_mut() {
                    Some((last, partitions)) if *last == topic => partitions.push((index, Some(committed))),
                    _ => all.push((topic, vec![(index, Some(committed))])),
                }
            }
            all
        }
    }
}

fn parts(committed: Option<CommittedOffset>) -> (i64, Option<StrBytes>) {
    committed.map_or((-1, Some(StrBytes::default())), |committed| {
        (committed.offset, Some(StrBytes::from_string(committed.metadata)))
    })
}

pub fn delete(state: &State, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let mut gone = vec![];
    let topics = request.topics.into_iter().map(|topic| {
        let name: TopicName = topic.name;
        let partitions = topic.partitions.into_iter().map(|partition| {
            gone.push((name.to_string(), partition.partition_index));
            OffsetDeleteResponsePartition::default().with_partition_index(partition.partition_index)
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default().with_name(name.clone()).with_partitions(partitions)
    });
    let topics = topics.collect();
    match state.groups.delete_offsets(&request.group_id, &gone) {
        Ok(()) => OffsetDeleteResponse::default().with_topics(topics),
        Err(error) => OffsetDeleteResponse::default().with_error_code(error.code()),
    }
}
