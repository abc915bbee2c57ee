//! A member of a consumer group: joins, beats, commits, leaves; one thread, one request at a time.
//!
//! It reads one topic and assigns by range, as Kafka's consumers do when they are told nothing, so
//! that it shares a group with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_protocol::ErrorCode;
use ottla_protocol::client::StrBytes;
use ottla_protocol::client::consumer::{self, Partitions};
use ottla_protocol::client::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::client::messages::leave_group_request::MemberIdentity;
use ottla_protocol::client::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::client::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::client::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest,
    SyncGroupRequest,
};

use crate::cli::client::{Client, ClientError, REQUEST_TIMEOUT, name_of};
use crate::cli::connection::{ConnectionError, Patience};
use crate::cli::groups::{NAMES_UP_TO, group_id};

/// Kafka's default of consumers. Beats come sooner and others wait less: a person waits for it.
const SESSION_TIMEOUT_MS: i32 = 45_000;
const REBALANCE_TIMEOUT_MS: i32 = 30_000;
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait before a coordinator that is moving or loading is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How long a rebalance is waited for: Kafka's consumers may take `max.poll.interval.ms` of 5
/// minutes to join again, and the others wait for them.
const JOIN_TIMEOUT: Duration = Duration::from_secs(6 * 60);

const PROTOCOL_TYPE: &str = "consumer";
const ASSIGNOR: &str = "range";

/// Whether a member is still one of the generation that it joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is.
    Joined,
    /// It has to join again.
    Lost,
}

/// A member, as far as it has joined.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) group: String,
    topic: String,
    pub(super) id: StrBytes,
    generation: i32,
    beat: Instant,
}

impl Member {
    /// One of `group` that is to read `topic`, and has not joined yet.
    pub(super) fn new(group: &str, topic: &str) -> Self {
        Self {
            group: group.to_owned(),
            topic: topic.to_owned(),
            id: StrBytes::default(),
            generation: -1,
            beat: Instant::now(),
        }
    }

    /// Whether it is of a generation, so that it may commit.
    pub(super) const fn has_joined(&self) -> bool {
        self.generation >= 0
    }

    /// Joins, and returns the partitions that it is assigned; [`ConnectionError::Stopped`] where
    /// `stop` was set before.
    pub(super) fn join(
        &mut self,
        client: &mut Client,
        stop: &AtomicBool,
    ) -> Result<Vec<i32>, ClientError> {
        let begun = Instant::now();
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(ConnectionError::Stopped.into());
            }
            match self.try_join(client, stop) {
                Ok(Some(partitions)) => {
                    self.beat = Instant::now();
                    return Ok(partitions);
                }
                Ok(None) if begun.elapsed() < JOIN_TIMEOUT => {}
                Ok(None) => {
                    let (group, minutes) = (&self.group, JOIN_TIMEOUT.as_secs() / 60);
                    return Err(ClientError::Input(format!(
                        "group {group:?} began anew for {minutes} minutes whenever it was joined"
                    )));
                }
                Err(ClientError::Refused { code, .. })
                    if is_passing(code) && begun.elapsed() < REQUEST_TIMEOUT => {}
                Err(error) => return Err(error),
            }
            thread::sleep(RETRY_AFTER);
        }
    }

    /// One round of Join and Sync; `None` where the group wants another one.
    fn try_join(
        &mut self,
        client: &mut Client,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<i32>>, ClientError> {
        let patience = Patience {
            timeout: JOIN_TIMEOUT,
            stop: Some(stop),
        };
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(ASSIGNOR))
            .with_metadata(consumer::subscription(&[&self.topic]));
        let request = JoinGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
            .with_member_id(self.id.clone())
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL_TYPE))
            .with_protocols(vec![protocol]);
        let coordinator = client.coordinator(&self.group)?;
        let mut joined = coordinator.call_patiently(patience, "JoinGroup", &request)?;
        if joined.error_code == ErrorCode::MemberIdRequired.code() {
            self.id = joined.member_id;
            let request = request.with_member_id(self.id.clone());
            joined = coordinator.call_patiently(patience, "JoinGroup", &request)?;
        }
        if self.stands(joined.error_code, "joining")? == Standing::Lost {
            return Ok(None);
        }
        self.id = joined.member_id.clone();
        self.generation = joined.generation_id;
        let assignments = match joined.leader == joined.member_id && !joined.skip_assignment {
            true => assign(client, &joined)?,
            false => Vec::new(),
        };
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_protocol_type(Some(StrBytes::from_static_str(PROTOCOL_TYPE)))
            .with_protocol_name(Some(StrBytes::from_static_str(ASSIGNOR)))
            .with_assignments(assignments);
        let coordinator = client.coordinator(&self.group)?;
        let synced = coordinator.call_patiently(patience, "SyncGroup", &request)?;
        if self.stands(synced.error_code, "being assigned partitions")? == Standing::Lost {
            return Ok(None);
        }
        let wrong = || {
            let text = format!("group {:?} assigns in a form that is not known", self.group);
            ClientError::Input(text)
        };
        let assigned = consumer::assigned(&synced.assignment).ok_or_else(wrong)?;
        let own = assigned
            .into_iter()
            .filter(|(topic, _)| *topic == self.topic);
        Ok(Some(own.flat_map(|(_, partitions)| partitions).collect()))
    }

    /// Shows that it is alive, when it is time to.
    pub(super) fn beat(&mut self, client: &mut Client) -> Result<Standing, ClientError> {
        if self.beat.elapsed() < HEARTBEAT_INTERVAL {
            return Ok(Standing::Joined);
        }
        self.beat = Instant::now();
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone());
        let answer = client
            .coordinator(&self.group)?
            .call("Heartbeat", &request)?;
        self.stands(answer.error_code, "staying")
    }

    /// Commits where its partitions are to be read on from.
    pub(super) fn commit(
        &mut self,
        client: &mut Client,
        offsets: &BTreeMap<i32, i64>,
    ) -> Result<Standing, ClientError> {
        let partition = |(number, offset): (&i32, &i64)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*number)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(StrBytes::default()))
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name_of(&self.topic))
            .with_partitions(offsets.iter().map(partition).collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.id.clone())
            .with_topics(vec![topic]);
        let coordinator = client.coordinator(&self.group)?;
        let answer = coordinator.call_up_to(NAMES_UP_TO, "OffsetCommit", &request)?;
        for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            if self.stands(partition.error_code, "committing")? == Standing::Lost {
                return Ok(Standing::Lost);
            }
        }
        Ok(Standing::Joined)
    }

    /// Leaves, so that others need not wait for its session to end.
    pub(super) fn leave(self, client: &mut Client) -> Result<(), ClientError> {
        if self.id.is_empty() {
            return Ok(());
        }
        let member = MemberIdentity::default().with_member_id(self.id.clone());
        let request = LeaveGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_members(vec![member]);
        let answer = client
            .coordinator(&self.group)?
            .call("LeaveGroup", &request)?;
        let doing = || format!("leaving group {:?}", self.group);
        ClientError::check(answer.error_code, None, doing)
    }

    /// What an error code says of this member; others than those are errors.
    fn stands(&mut self, code: i16, doing: &str) -> Result<Standing, ClientError> {
        match ErrorCode::from_code(code) {
            Some(ErrorCode::RebalanceInProgress) => return Ok(Standing::Lost),
            Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => {
                self.id = StrBytes::default();
                self.generation = -1;
                return Ok(Standing::Lost);
            }
            _ => {}
        }
        ClientError::check(code, None, || format!("{doing} in group {:?}", self.group))?;
        Ok(Standing::Joined)
    }
}

/// Whether a coordinator answers so while it moves or loads.
const fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
    )
}

/// What the leader assigns to the members of the generation `joined`.
fn assign(
    client: &mut Client,
    joined: &JoinGroupResponse,
) -> Result<Vec<SyncGroupRequestAssignment>, ClientError> {
    let mut subscribers: BTreeMap<String, BTreeSet<StrBytes>> = BTreeMap::new();
    for member in &joined.members {
        for topic in consumer::subscribed(&member.metadata).unwrap_or_default() {
            let of_topic = subscribers.entry(topic).or_default();
            of_topic.insert(member.member_id.clone());
        }
    }
    let mut counts = BTreeMap::new();
    for topic in subscribers.keys() {
        // What a member asks for and is not there is assigned once it is.
        let known = client.topic(topic, false);
        counts.insert(
            topic.clone(),
            known.map_or(0, |topic| topic.partitions.len()),
        );
    }
    let shares = range(&subscribers, &counts);
    let assignment = |id: &StrBytes| {
        let own = shares.get(id).cloned().unwrap_or_default();
        SyncGroupRequestAssignment::default()
            .with_member_id(id.clone())
            .with_assignment(consumer::assignment(&own))
    };
    let members = joined.members.iter();
    Ok(members
        .map(|member| assignment(&member.member_id))
        .collect())
}

/// Each topic's partitions in as many runs as it has subscribers, the first ones longer by one
/// where they do not divide.
fn range(
    subscribers: &BTreeMap<String, BTreeSet<StrBytes>>,
    counts: &BTreeMap<String, usize>,
) -> BTreeMap<StrBytes, Partitions> {
    let mut shares: BTreeMap<StrBytes, Partitions> = BTreeMap::new();
    for (topic, members) in subscribers {
        let count = counts.get(topic).copied().unwrap_or(0);
        let mut left = 0..i32::try_from(count).unwrap_or(i32::MAX);
        for (at, member) in members.iter().enumerate() {
            let len = count / members.len() + usize::from(at < count % members.len());
            let run: Vec<i32> = left.by_ref().take(len).collect();
            if !run.is_empty() {
                let share = shares.entry(member.clone()).or_default();
                share.push((topic.clone(), run));
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_assigned_in_ranges() {
        let id = |id: &'static str| StrBytes::from_static_str(id);
        let all = BTreeSet::from([id("a"), id("b"), id("c")]);
        let subscribers = BTreeMap::from([
            ("five".to_owned(), all.clone()),
            ("one".to_owned(), all),
            ("missing".to_owned(), BTreeSet::from([id("c")])),
        ]);
        let counts = BTreeMap::from([("five".to_owned(), 5), ("one".to_owned(), 1)]);
        let shares = range(&subscribers, &counts);
        let five = |run: &[i32]| ("five".to_owned(), run.to_vec());
        assert_eq!(
            shares[&id("a")],
            [five(&[0, 1]), ("one".to_owned(), vec![0])]
        );
        assert_eq!(shares[&id("b")], [five(&[2, 3])]);
        assert_eq!(shares[&id("c")], [five(&[4])]);
    }
}
