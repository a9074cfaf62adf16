//! Group membership requests, in the coordinator's words.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    BrokerId, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::broker::State;
use crate::groups::{Join, Sync};
use crate::listener::Peer;
use crate::settings::NODE_ID;

pub fn find_coordinator(
    peer: Peer,
    version: i16,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let host = StrBytes::from_string(peer.local.ip().to_string());
    let port = i32::from(peer.local.port());
    if version < 4 {
        return FindCoordinatorResponse::default()
            .with_node_id(BrokerId(NODE_ID))
            .with_host(host)
            .with_port(port)
            .with_error_message(None);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(BrokerId(NODE_ID))
            .with_host(host.clone())
            .with_port(port)
            .with_error_message(None)
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}

pub async fn join(
    state: &State,
    peer: Peer,
    version: i16,
    client: StrBytes,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let join = Join {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        instance: request.group_instance_id.map(|id| id.to_string()),
        client_id: client.to_string(),
        client_host: format!("/{}", peer.remote.ip()),
        session_timeout_ms: request.session_timeout_ms,
        // Version 0 has one timeout for both.
        rebalance_timeout_ms: if version == 0 {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        },
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.into_iter().map(|one| (one.name.to_string(), one.metadata)).collect(),
        knows_its_id_first: version >= 4,
    };
    let empty_name = if version >= 7 { None } else { Some(StrBytes::default()) };
    match state.groups.join(join).await {
        Ok(joined) => JoinGroupResponse::default()
            .with_generation_id(joined.generation)
            .with_protocol_type((version >= 7).then(|| StrBytes::from_string(joined.protocol_type)))
            .with_protocol_name(Some(StrBytes::from_string(joined.protocol)))
            .with_leader(StrBytes::from_string(joined.leader))
            .with_member_id(StrBytes::from_string(joined.member))
            .with_members(
                joined
                    .members
                    .into_iter()
                    .map(|(member, instance, metadata)| {
                        let entry = JoinGroupResponseMember::default()
                            .with_member_id(StrBytes::from_string(member))
                            .with_metadata(metadata);
                        if version >= 5 {
                            entry.with_group_instance_id(instance.map(StrBytes::from_string))
                        } else {
                            entry
                        }
                    })
                    .collect(),
            ),
        Err((error, member)) => JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_generation_id(-1)
            .with_protocol_name(empty_name)
            .with_member_id(StrBytes::from_string(member)),
    }
}

pub async fn sync(state: &State, request: SyncGroupRequest) -> SyncGroupResponse {
    let sync = Sync {
        group: request.group_id.to_string(),
        member: request.member_id.to_string(),
        instance: request.group_instance_id.map(|id| id.to_string()),
        generation: request.generation_id,
        assignments: request
            .assignments
            .into_iter()
            .map(|one| (one.member_id.to_string(), one.assignment))
            .collect(),
    };
    // Versions from 5 on repeat what the member said itself.
    let (protocol_type, protocol_name) = (request.protocol_type, request.protocol_name);
    let response =
        SyncGroupResponse::default().with_protocol_type(protocol_type).with_protocol_name(protocol_name);
    match state.groups.sync_member(sync).await {
        Ok(assignment) => response.with_assignment(assignment),
        Err(error) => response.with_error_code(error.code()).with_assignment(Bytes::new()),
    }
}

pub fn heartbeat(state: &State, request: HeartbeatRequest) -> HeartbeatResponse {
    let instance = request.group_instance_id.as_deref();
    match state.groups.heartbeat(&request.group_id, &request.member_id, instance, request.generation_id) {
        Ok(()) => HeartbeatResponse::default(),
        Err(error) => HeartbeatResponse::default().with_error_code(error.code()),
    }
}

pub fn leave(state: &State, version: i16, request: LeaveGroupRequest) -> LeaveGroupResponse {
    if version < 3 {
        let code = state
            .groups
            .leave(&request.group_id, &request.member_id, None)
            .err()
            .map_or(0, |error| error.code());
        return LeaveGroupResponse::default().with_error_code(code);
    }
    let members =
        request.members.into_iter().map(|MemberIdentity { member_id, group_instance_id, .. }| {
            let outcome = state.groups.leave(&request.group_id, &member_id, group_instance_id.as_deref());
            MemberResponse::default()
                .with_member_id(member_id)
                .with_group_instance_id(group_instance_id)
                .with_error_code(outcome.err().map_or(0, |error| error.code()))
        });
    LeaveGroupResponse::default().with_members(members.collect())
}

pub fn describe(state: &State, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|id| {
        let Some(group) = state.groups.describe(&id) else {
            return DescribedGroup::default()
                .with_group_id(id)
                .with_group_state(StrBytes::from_static_str("Dead"));
        };
        let members = group.members.into_iter().map(|member| {
            DescribedGroupMember::default()
                .with_member_id(StrBytes::from_string(member.id))
                .with_client_id(StrBytes::from_string(member.client_id))
                .with_client_host(StrBytes::from_string(member.client_host))
                .with_member_metadata(member.metadata)
                .with_member_assignment(member.assignment)
        });
        DescribedGroup::default()
            .with_group_id(id)
            .with_group_state(StrBytes::from_static_str(group.state))
            .with_protocol_type(StrBytes::from_string(group.protocol_type))
            .with_protocol_data(StrBytes::from_string(group.protocol))
            .with_members(members.collect())
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

pub fn list(state: &State, request: ListGroupsRequest) -> ListGroupsResponse {
    let wanted = |group_state: &str| {
        request.states_filter.is_empty()
            || request.states_filter.iter().any(|filter| filter.eq_ignore_ascii_case(group_state))
    };
    let groups = state.groups.list().into_iter().filter(|(_, _, group_state)| wanted(group_state)).map(
        |(id, protocol_type, group_state)| {
            ListedGroup::default()
                .with_group_id(GroupId(StrBytes::from_string(id)))
                .with_protocol_type(StrBytes::from_string(protocol_type))
                .with_group_state(StrBytes::from_static_str(group_state))
        },
    );
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub fn delete(state: &State, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|id| {
        let outcome = state.groups.delete(&id);
        let code = outcome.err().map_or(0, |error: ResponseError| error.code());
        DeletableGroupResult::default().with_group_id(id).with_error_code(code)
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
