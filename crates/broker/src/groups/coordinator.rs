//! Joins, syncs, heartbeats, commits: what members ask for.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::group::{Group, JoinAnswer, Member, State};
use super::offsets::{CommittedOffset, Offsets};

/// Members of one group.
const MEMBERS_MAX: usize = 1_000;

/// A request to join.
pub struct Join {
    pub group: String,
    /// Empty: not a member yet.
    pub member: String,
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: String,
    pub protocols: Vec<(String, Bytes)>,
    /// From version 4 on a new member is told its id and joins again with it, so that a lost answer leaves no
    /// member behind that nobody knows.
    pub knows_its_id_first: bool,
}

/// The generation that a member is in.
#[derive(Debug)]
pub struct Joined {
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    pub leader: String,
    pub member: String,
    /// Id, instance and metadata of all members; for the leader only.
    pub members: Vec<(String, Option<String>, Bytes)>,
}

pub struct Sync {
    pub group: String,
    pub member: String,
    pub instance: Option<String>,
    pub generation: i32,
    /// From the leader only.
    pub assignments: BTreeMap<String, Bytes>,
}

pub struct Commit<'a> {
    pub group: &'a str,
    pub member: &'a str,
    pub instance: Option<&'a str>,
    /// Negative: not as a member.
    pub generation: i32,
}

pub struct DescribedMember {
    pub id: String,
    pub client_id: String,
    pub client_host: String,
    pub metadata: Bytes,
    pub assignment: Bytes,
}

pub struct Described {
    pub state: &'static str,
    pub protocol_type: String,
    pub protocol: String,
    pub members: Vec<DescribedMember>,
}

pub struct Groups {
    groups: Mutex<BTreeMap<String, Group>>,
    offsets: Mutex<Offsets>,
}

impl Groups {
    pub fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { groups: Mutex::default(), offsets: Mutex::new(Offsets::open(dir)?) })
    }

    pub async fn join(&self, join: Join) -> JoinAnswer {
        let member = join.member.clone();
        let waiting = self.enter(join)?;
        waiting.await.unwrap_or(Err((ResponseError::UnknownMemberId, member)))
    }

    fn enter(&self, join: Join) -> Result<oneshot::Receiver<JoinAnswer>, (ResponseError, String)> {
        let refuse = |error: ResponseError| Err((error, join.member.clone()));
        if join.group.is_empty() {
            return refuse(ResponseError::InvalidGroupId);
        }
        if join.session_timeout_ms <= 0 {
            return refuse(ResponseError::InvalidSessionTimeout);
        }
        let mut groups = self.groups.lock();
        let group = groups.entry(join.group.clone()).or_default();
        let known_instance = join.instance.as_ref().and_then(|instance| {
            group
                .members
                .iter()
                .find(|(_, member)| member.instance.as_ref() == Some(instance))
                .map(|(id, _)| id.clone())
        });
        let id = match (&*join.member, known_instance) {
            ("", None) if join.instance.is_none() && join.knows_its_id_first => {
                let id = format!("{}-{}", join.client_id, Uuid::new_v4());
                return Err((ResponseError::MemberIdRequired, id));
            }
            ("", known) => {
                // A static member that starts again takes its own place; its former self is fenced.
                let id =
                    format!("{}-{}", join.instance.as_deref().unwrap_or(&join.client_id), Uuid::new_v4());
                if let Some(known) = known
                    && let Some(mut former) = group.members.remove(&known)
                {
                    fence(&mut former, &known);
                    if group.leader.as_deref() == Some(&known) {
                        group.leader = Some(id.clone());
                    }
                }
                id
            }
            (given, Some(known)) if given != known => return refuse(ResponseError::FencedInstanceId),
            // A first join with the id that this broker gave: not a member yet, but no stranger.
            (given, _)
                if group.members.contains_key(given)
                    || given.starts_with(&format!("{}-", join.client_id)) =>
            {
                given.to_owned()
            }
            _ => return refuse(ResponseError::UnknownMemberId),
        };
        if !group.members.contains_key(&id) && group.members.len() >= MEMBERS_MAX {
            return refuse(ResponseError::GroupMaxSizeReached);
        }
        if !compatible_without(group, &id, &join) {
            return refuse(ResponseError::InconsistentGroupProtocol);
        }
        Ok(admit(group, id, join))
    }

    pub async fn sync_member(&self, sync: Sync) -> Result<Bytes, ResponseError> {
        let waiting = {
            let mut groups = self.groups.lock();
            let group =
                member_of(&mut groups, &sync.group, &sync.member, sync.instance.as_deref(), sync.generation)?;
            let is_leader = group.leader.as_deref() == Some(&sync.member);
            let member = group.members.get_mut(&sync.member).expect("just checked");
            member.heard = Instant::now();
            match group.state {
                State::Empty => return Err(ResponseError::UnknownMemberId),
                State::Preparing { .. } => return Err(ResponseError::RebalanceInProgress),
                State::Stable => return Ok(member.assignment.clone()),
                State::Completing => {
                    let (sender, waiting) = oneshot::channel();
                    member.syncing = Some(sender);
                    if is_leader {
                        group.assign(sync.assignments);
                    }
                    waiting
                }
            }
        };
        waiting.await.unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    pub fn heartbeat(
        &self,
        id: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let group = member_of(&mut groups, id, member, instance, generation)?;
        group.members.get_mut(member).expect("just checked").heard = Instant::now();
        match group.state {
            State::Preparing { .. } => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    pub fn leave(&self, id: &str, member: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let group = groups.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
        let member = match instance {
            Some(instance) => group
                .members
                .iter()
                .find(|(_, known)| known.instance.as_deref() == Some(instance))
                .map(|(id, _)| id.clone())
                .ok_or(ResponseError::UnknownMemberId)?,
            None if group.members.contains_key(member) => member.to_owned(),
            None => return Err(ResponseError::UnknownMemberId),
        };
        group.remove(&member);
        group.complete_join_when_due(Instant::now());
        Ok(())
    }

    pub fn commit(
        &self,
        commit: &Commit<'_>,
        offsets: Vec<(String, i32, CommittedOffset)>,
    ) -> Result<(), ResponseError> {
        {
            let mut groups = self.groups.lock();
            if commit.generation >= 0 || !commit.member.is_empty() {
                let group =
                    member_of(&mut groups, commit.group, commit.member, commit.instance, commit.generation)?;
                group.members.get_mut(commit.member).expect("just checked").heard = Instant::now();
                // A member commits what it read before it joins again; while the leader assigns, it may not.
                if group.state == State::Completing {
                    return Err(ResponseError::RebalanceInProgress);
                }
            } else if groups.get(commit.group).is_some_and(|group| !group.members.is_empty()) {
                return Err(ResponseError::UnknownMemberId);
            }
        }
        self.offsets.lock().commit(commit.group, offsets).map_err(storage)
    }

    pub fn offset(&self, group: &str, topic: &str, partition: i32) -> Option<CommittedOffset> {
        self.offsets.lock().get(group, topic, partition)
    }

    /// All committed offsets of a group, in the order of topics.
    pub fn offsets(&self, group: &str) -> Vec<(String, i32, CommittedOffset)> {
        self.offsets.lock().of(group)
    }

    pub fn delete_offsets(&self, group: &str, gone: &[(String, i32)]) -> Result<(), ResponseError> {
        self.offsets.lock().delete(group, gone).map_err(storage)
    }

    /// A deleted topic takes all groups' offsets for it along.
    pub fn forget_topic(&self, topic: &str) {
        if let Err(error) = self.offsets.lock().delete_topic(topic) {
            tracing::error!(topic, %error, "offsets of a deleted topic could not be removed");
        }
    }

    pub fn delete(&self, id: &str) -> Result<(), ResponseError> {
        let mut groups = self.groups.lock();
        let mut offsets = self.offsets.lock();
        match groups.get(id) {
            Some(group) if !group.members.is_empty() => return Err(ResponseError::NonEmptyGroup),
            None if !offsets.knows(id) => return Err(ResponseError::GroupIdNotFound),
            _ => {}
        }
        groups.remove(id);
        offsets.delete_group(id).map_err(storage)
    }

    pub fn describe(&self, id: &str) -> Option<Described> {
        let groups = self.groups.lock();
        let Some(group) = groups.get(id) else {
            return self.offsets.lock().knows(id).then(|| Described {
                state: State::Empty.name(),
                protocol_type: "consumer".to_owned(),
                protocol: String::new(),
                members: vec![],
            });
        };
        let members = group.members.iter().map(|(id, member)| DescribedMember {
            id: id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(&group.protocol),
            assignment: member.assignment.clone(),
        });
        Some(Described {
            state: group.state.name(),
            protocol_type: group.protocol_type.clone(),
            protocol: group.protocol.clone(),
            members: members.collect(),
        })
    }

    /// Id, protocol type and state of all groups.
    pub fn list(&self) -> Vec<(String, String, &'static str)> {
        let groups = self.groups.lock();
        let mut all: Vec<_> = groups
            .iter()
            .map(|(id, group)| (id.clone(), group.protocol_type.clone(), group.state.name()))
            .collect();
        for id in self.offsets.lock().groups() {
            if !groups.contains_key(&id) {
                all.push((id, "consumer".to_owned(), State::Empty.name()));
            }
        }
        all
    }

    pub fn sweep(&self) {
        let now = Instant::now();
        let mut groups = self.groups.lock();
        for group in groups.values_mut() {
            group.sweep(now);
        }
        groups.retain(|_, group| group.state != State::Empty || !group.members.is_empty());
    }

    pub fn sync(&self) -> io::Result<()> {
        self.offsets.lock().sync()
    }

    pub fn close(&self) -> io::Result<()> {
        self.offsets.lock().close()
    }
}

fn storage(error: io::Error) -> ResponseError {
    tracing::error!(%error, "offsets cannot be written");
    ResponseError::KafkaStorageError
}

fn fence(former: &mut Member, id: &str) {
    if let Some(waiting) = former.joining.take() {
        let _ = waiting.send(Err((ResponseError::FencedInstanceId, id.to_owned())));
    }
    if let Some(waiting) = former.syncing.take() {
        let _ = waiting.send(Err(ResponseError::FencedInstanceId));
    }
}

/// Whether the joining member has a protocol in common with all others.
fn compatible_without(group: &mut Group, id: &str, join: &Join) -> bool {
    let own = group.members.remove(id);
    let compatible = group.is_compatible(&join.protocol_type, &join.protocols);
    if let Some(own) = own {
        group.members.insert(id.to_owned(), own);
    }
    compatible
}

/// Enters the member and begins a rebalance, unless nothing changes for a member that only asks again.
fn admit(group: &mut Group, id: String, join: Join) -> oneshot::Receiver<JoinAnswer> {
    let (sender, waiting) = oneshot::channel();
    let now = Instant::now();
    if let Some(member) = group.members.get_mut(&id)
        && group.state == State::Stable
        && group.leader.as_deref() != Some(&id)
        && member.protocols == join.protocols
    {
        member.heard = now;
        let _ = sender.send(Ok(group.joined(&id)));
        return waiting;
    }
    let millis = |n: i32| Duration::from_millis(u64::try_from(n).unwrap_or(0));
    let assignment = group.members.get(&id).map(|member| member.assignment.clone()).unwrap_or_default();
    group.protocol_type = join.protocol_type;
    let member = Member {
        instance: join.instance,
        client_id: join.client_id,
        client_host: join.client_host,
        session_timeout: millis(join.session_timeout_ms),
        rebalance_timeout: millis(join.rebalance_timeout_ms),
        protocols: join.protocols,
        assignment,
        heard: now,
        joining: Some(sender),
        syncing: None,
    };
    group.members.insert(id, member);
    group.prepare();
    group.complete_join_when_due(now);
    waiting
}

fn member_of<'a>(
    groups: &'a mut BTreeMap<String, Group>,
    id: &str,
    member: &str,
    instance: Option<&str>,
    generation: i32,
) -> Result<&'a mut Group, ResponseError> {
    let group = groups.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
    if let Some(instance) = instance
        && group.members.iter().any(|(id, known)| known.instance.as_deref() == Some(instance) && id != member)
    {
        return Err(ResponseError::FencedInstanceId);
    }
    if !group.members.contains_key(member) {
        return Err(ResponseError::UnknownMemberId);
    }
    if group.generation != generation {
        return Err(ResponseError::IllegalGeneration);
    }
    Ok(group)
}
