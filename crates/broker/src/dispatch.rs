//! Which request, which version: decodes, calls, encodes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader, api_versions_response::ApiVersion,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use crate::api;
use crate::broker::State;
use crate::listener::Peer;

/// A request that closes its connection, and why.
#[derive(Debug)]
pub struct Refused(pub String);

/// What is served, with its oldest and newest version. Fetch and Produce stay below 13, where topics go by id.
/// Whatever stands here is exercised by a test at both ends of its range.
pub const SERVED: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 3, 9),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 1, 7),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::OffsetCommit, 2, 8),
    (ApiKey::OffsetFetch, 1, 8),
    (ApiKey::FindCoordinator, 0, 4),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 5),
    (ApiKey::ListGroups, 0, 4),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::InitProducerId, 0, 4),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::OffsetDelete, 0, 0),
    (ApiKey::DescribeCluster, 0, 0),
];

/// Answers one frame. `None`: the request wants no answer.
pub async fn answer(state: &State, peer: Peer, mut frame: Bytes) -> Result<Option<Bytes>, Refused> {
    let code = i16::from_be_bytes([frame[0], frame[1]]);
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    let key = ApiKey::try_from(code).map_err(|()| Refused(format!("unknown request {code}")))?;
    let served = SERVED.iter().find(|(served, _, _)| *served == key);
    let (_, oldest, newest) = served.ok_or_else(|| Refused(format!("request {key:?} is not served")))?;
    if !(*oldest..=*newest).contains(&version) {
        if key == ApiKey::ApiVersions {
            return too_new(frame);
        }
        return Err(Refused(format!("version {version} of {key:?} is not served")));
    }
    let header = RequestHeader::decode(&mut frame, key.request_header_version(version))
        .map_err(|error| Refused(format!("malformed header of {key:?}: {error}")))?;
    let call = Call { state, peer, key, version, header, body: frame };
    route(call).await
}

/// One request on its way to its handler.
struct Call<'a> {
    state: &'a State,
    peer: Peer,
    key: ApiKey,
    version: i16,
    header: RequestHeader,
    body: Bytes,
}

impl Call<'_> {
    fn decode<T: Decodable>(&mut self) -> Result<T, Refused> {
        T::decode(&mut self.body, self.version)
            .map_err(|error| Refused(format!("malformed {:?} version {}: {error}", self.key, self.version)))
    }

    fn encode<T: Encodable + HeaderVersion>(&self, response: &T) -> Result<Option<Bytes>, Refused> {
        let failed = |error| Refused(format!("answer to {:?} version {}: {error}", self.key, self.version));
        let header = ResponseHeader::default().with_correlation_id(self.header.correlation_id);
        let size = response.compute_size(self.version).map_err(failed)?;
        let mut out = BytesMut::with_capacity(size + 32);
        out.put_i32(0);
        header.encode(&mut out, T::header_version(self.version)).map_err(failed)?;
        response.encode(&mut out, self.version).map_err(failed)?;
        let len = (out.len() - 4) as i32;
        out[..4].copy_from_slice(&len.to_be_bytes());
        Ok(Some(out.freeze()))
    }
}

async fn route(mut call: Call<'_>) -> Result<Option<Bytes>, Refused> {
    let (state, peer, version) = (call.state, call.peer, call.version);
    let client = call.header.client_id.clone().unwrap_or_default();
    macro_rules! served {
        ($handler:expr) => {{
            let request = call.decode()?;
            let response = $handler(request);
            call.encode(&response)
        }};
    }
    macro_rules! awaited {
        ($handler:expr) => {{
            let request = call.decode()?;
            let response = $handler(request).await;
            call.encode(&response)
        }};
    }
    match call.key {
        ApiKey::ApiVersions => call.encode(&versions()),
        ApiKey::Produce => {
            let request: kafka_protocol::messages::ProduceRequest = call.decode()?;
            let wants_answer = request.acks != 0;
            let response = api::produce::produce(state, request).await;
            if wants_answer { call.encode(&response) } else { Ok(None) }
        }
        ApiKey::Fetch => awaited!(|request| api::fetch::fetch(state, version, request)),
        ApiKey::ListOffsets => served!(|request| api::fetch::list_offsets(state, request)),
        ApiKey::OffsetForLeaderEpoch => {
            served!(|request| api::fetch::offset_for_leader_epoch(state, request))
        }
        ApiKey::Metadata => served!(|request| api::topics::metadata(state, peer, version, request)),
        ApiKey::DescribeCluster => served!(|request| api::topics::describe_cluster(state, peer, request)),
        ApiKey::CreateTopics => served!(|request| api::topics::create(state, request)),
        ApiKey::DeleteTopics => served!(|request| api::topics::delete(state, version, request)),
        ApiKey::CreatePartitions => served!(|request| api::topics::create_partitions(state, request)),
        ApiKey::DescribeConfigs => served!(|request| api::configs::describe(state, request)),
        ApiKey::IncrementalAlterConfigs => served!(|request| api::configs::alter(state, request)),
        ApiKey::InitProducerId => served!(|request| api::produce::init_producer_id(state, request)),
        ApiKey::FindCoordinator => served!(|request| api::groups::find_coordinator(peer, version, request)),
        ApiKey::JoinGroup => awaited!(|request| api::groups::join(state, peer, version, client, request)),
        ApiKey::SyncGroup => awaited!(|request| api::groups::sync(state, request)),
        ApiKey::Heartbeat => served!(|request| api::groups::heartbeat(state, request)),
        ApiKey::LeaveGroup => served!(|request| api::groups::leave(state, version, request)),
        ApiKey::DescribeGroups => served!(|request| api::groups::describe(state, request)),
        ApiKey::ListGroups => served!(|request| api::groups::list(state, request)),
        ApiKey::DeleteGroups => served!(|request| api::groups::delete(state, request)),
        ApiKey::OffsetCommit => served!(|request| api::offsets::commit(state, request)),
        ApiKey::OffsetFetch => served!(|request| api::offsets::fetch(state, version, request)),
        ApiKey::OffsetDelete => served!(|request| api::offsets::delete(state, request)),
        other => Err(Refused(format!("request {other:?} is not served"))),
    }
}

fn versions() -> ApiVersionsResponse {
    let keys = SERVED.iter().map(|(key, oldest, newest)| {
        ApiVersion::default().with_api_key(*key as i16).with_min_version(*oldest).with_max_version(*newest)
    });
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}

/// A client that asks in a version we do not know is answered in version 0 with error 35, and asks again.
fn too_new(mut frame: Bytes) -> Result<Option<Bytes>, Refused> {
    frame.advance(4);
    let correlation_id = frame.get_i32();
    let mut out = BytesMut::new();
    out.put_i32(0);
    out.put_i32(correlation_id);
    versions()
        .with_error_code(kafka_protocol::ResponseError::UnsupportedVersion.code())
        .encode(&mut out, 0)
        .map_err(|error| Refused(format!("answer to ApiVersions: {error}")))?;
    let len = (out.len() - 4) as i32;
    out[..4].copy_from_slice(&len.to_be_bytes());
    Ok(Some(out.freeze()))
}
