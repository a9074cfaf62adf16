//! One group: members, generation and state. Pure but for the channels by which members wait.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use super::coordinator::Joined;

pub type JoinAnswer = Result<Joined, (ResponseError, String)>;
pub type SyncAnswer = Result<Bytes, ResponseError>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Empty,
    /// Members are joining; ends at the deadline, or when all have.
    Preparing {
        since: Instant,
    },
    /// The leader is to say who gets what.
    Completing,
    Stable,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing { .. } => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

pub struct Member {
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
    pub heard: Instant,
    pub joining: Option<oneshot::Sender<JoinAnswer>>,
    pub syncing: Option<oneshot::Sender<SyncAnswer>>,
}

pub struct Group {
    pub state: State,
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    pub leader: Option<String>,
    pub members: BTreeMap<String, Member>,
}

/// A group that was empty waits so long for more members, so that those which start together share one
/// generation. Kafka's default of three seconds is made for fleets.
const FIRST_JOIN_DELAY: Duration = Duration::from_millis(50);

impl Default for Group {
    fn default() -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: String::new(),
            leader: None,
            members: BTreeMap::new(),
        }
    }
}

impl Group {
    /// A protocol that all members and these protocols have in common, if any.
    pub fn is_compatible(&self, protocol_type: &str, protocols: &[(String, Bytes)]) -> bool {
        if self.members.is_empty() {
            return !protocols.is_empty();
        }
        protocol_type == self.protocol_type
            && protocols.iter().any(|(name, _)| self.members.values().all(|member| member.supports(name)))
    }

    /// Begins a rebalance, unless one is under way.
    pub fn prepare(&mut self) {
        if matches!(self.state, State::Preparing { .. }) {
            return;
        }
        for member in self.members.values_mut() {
            if let Some(waiting) = member.syncing.take() {
                let _ = waiting.send(Err(ResponseError::RebalanceInProgress));
            }
        }
        self.state = State::Preparing { since: Instant::now() };
    }

    /// Ends the joining when it is over; members that did not come are out.
    pub fn complete_join_when_due(&mut self, now: Instant) {
        let State::Preparing { since } = self.state else { return };
        let timeout = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        let all_here = self.members.values().all(|member| member.joining.is_some());
        let is_first = self.generation == 0 || self.leader.is_none();
        let rested = !is_first || now >= since + FIRST_JOIN_DELAY;
        if !(all_here && rested) && now < since + timeout {
            return;
        }
        self.members.retain(|_, member| member.joining.is_some());
        if self.members.is_empty() {
            self.become_empty();
            return;
        }
        self.generation += 1;
        self.protocol = self.elect_protocol();
        if self.leader.as_ref().is_none_or(|leader| !self.members.contains_key(leader)) {
            self.leader = self.members.keys().next().cloned();
        }
        self.state = State::Completing;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let answer = self.joined(&id);
            let member = self.members.get_mut(&id).expect("ids are of members");
            member.heard = now;
            member.assignment = Bytes::new();
            if let Some(waiting) = member.joining.take() {
                let _ = waiting.send(Ok(answer));
            }
        }
    }

    /// What a member learns of the generation; the leader learns who is in it.
    pub fn joined(&self, id: &str) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let members = if leader == id {
            self.members
                .iter()
                .map(|(id, member)| (id.clone(), member.instance.clone(), member.metadata(&self.protocol)))
                .collect()
        } else {
            vec![]
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader,
            member: id.to_owned(),
            members,
        }
    }

    /// The protocol that most members prefer among those that all have.
    fn elect_protocol(&self) -> String {
        let common = |name: &str| self.members.values().all(|member| member.supports(name));
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| common(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    /// The leader's word: everybody who waits gets what is his.
    pub fn assign(&mut self, mut assignments: BTreeMap<String, Bytes>) {
        self.state = State::Stable;
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
            if let Some(waiting) = member.syncing.take() {
                member.heard = Instant::now();
                let _ = waiting.send(Ok(member.assignment.clone()));
            }
        }
    }

    /// A member is gone: the others share its work.
    pub fn remove(&mut self, id: &str) {
        let Some(mut member) = self.members.remove(id) else { return };
        if let Some(waiting) = member.joining.take() {
            let _ = waiting.send(Err((ResponseError::UnknownMemberId, id.to_owned())));
        }
        if let Some(waiting) = member.syncing.take() {
            let _ = waiting.send(Err(ResponseError::UnknownMemberId));
        }
        if self.members.is_empty() {
            self.become_empty();
        } else {
            self.prepare();
        }
    }

    fn become_empty(&mut self) {
        self.state = State::Empty;
        self.leader = None;
        self.generation += 1;
    }

    /// Removes members that were silent for too long, and ends a joining that is over.
    pub fn sweep(&mut self, now: Instant) {
        let silent: Vec<String> = self
            .members
            .iter()
            // Who waits for the others' joining cannot send heartbeats.
            .filter(|(_, member)| member.joining.is_none() && now > member.heard + member.session_timeout)
            .map(|(id, _)| id.clone())
            .collect();
        for id in silent {
            tracing::info!(member = id, "a group member was silent for too long and is out");
            self.remove(&id);
        }
        self.complete_join_when_due(now);
    }
}

impl Member {
    pub fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    pub fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map(|(_, data)| data.clone())
            .unwrap_or_default()
    }
}
