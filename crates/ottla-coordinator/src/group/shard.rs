//! The machine: one partition of `__consumer_offsets` and the groups in it.

mod admin;
mod expiry;
mod members;
mod offsets;
mod refusal;
mod weight;

use std::collections::BTreeMap;

use ottla_log::{Offset, TopicId};
use ottla_protocol::StrBytes;

use super::config::GroupConfig;
use super::decision::{Decision, MemberKey, Now, TimerKey, WaiterId};
use super::live::{Live, Turn};
use super::record::Record;
use super::request::GroupRequest;
use super::room::Room;
use super::state::Hard;
use super::text::own;

pub use weight::Weight;

/// The groups whose records lie in one partition of `__consumer_offsets`.
///
/// Inputs come one at a time, with a `now` whose monotonic part never goes back. Each yields a
/// [`Decision`], which says what to do with it. The life of a shard:
/// 1. [`new`](Self::new), then [`replay`](Self::replay) with each record of the partition in
///    order: this alone makes and changes **hard state**, at load, on a follower and live;
/// 2. [`loaded`](Self::loaded) makes the **soft state** (who waits, whose session ends when, the
///    generation that is being formed) from it; from then on [`handle`](Self::handle) and
///    [`timer`](Self::timer) change the soft state and decide on records.
///    [`topics_found`](Self::topics_found) comes before the first of them, and
///    [`topics_deleted`](Self::topics_deleted) with each deletion after it;
/// 3. when this broker leads the partition no longer, or an append or sync of it failed, the
///    shard is dropped. Waiters of a dropped shard are told `NOT_COORDINATOR`; all that was
///    answered before is in the log.
///
/// A client that is gone is not told to the shard: its member stays until its session ends, as
/// in Kafka, and answers to its waiter may be dropped.
#[derive(Clone, Debug)]
pub struct GroupShard {
    config: GroupConfig,
    hard: Hard,
    soft: Soft,
    room: Room,
}

/// All soft state: the groups that have members, or handed ids out.
#[derive(Clone, Debug, Default)]
struct Soft {
    groups: BTreeMap<StrBytes, SoftGroup>,
    /// How many ids were handed out, over all groups, that nobody came back with.
    pending: usize,
    /// What all of it takes in memory, about.
    bytes: usize,
    /// Whether the timer for what is too old is set.
    looks_for_old: bool,
}

/// A live group and its id.
#[derive(Clone, Debug)]
struct SoftGroup {
    id: StrBytes,
    live: Live,
}

impl GroupShard {
    /// A shard that has seen no record yet.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            hard: Hard::default(),
            soft: Soft::default(),
            room: Room::UNLIMITED,
        }
    }

    /// Says how much more it may come to hold with the next input. What would take more is refused.
    pub fn allow(&mut self, room: Room) {
        self.room = room;
    }

    /// What it holds in memory, about.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.hard.bytes() + self.soft.bytes
    }

    /// Applies the record at `offset`: one that was just decided on and appended, or one that a
    /// load or a follower reads.
    pub fn replay(&mut self, offset: Offset, record: &Record) {
        self.hard.replay(offset, record);
    }

    /// All records were replayed: from now on this shard coordinates. Every member's session
    /// begins anew.
    #[must_use]
    pub fn loaded(&mut self, now: Now) -> Decision {
        let mut decision = self.decision();
        self.soft = Soft::default();
        let groups = self.hard.groups();
        let with_members = groups.filter(|(_, group)| {
            let metadata = group.metadata.as_ref();
            metadata.is_some_and(|m| !m.members.is_empty())
        });
        let ids: Vec<StrBytes> = with_members.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.with_live(now, &id, &mut decision, |live, turn| {
                live.begin_sessions(turn);
                if live.members().len() > turn.config.members_max {
                    // The limit was lowered: the last ones to join again are turned away.
                    live.prepare(turn);
                }
            });
        }
        self.schedule_expiry(now, &mut decision);
        decision
    }

    /// Handles a request. Its answer, to `waiter`, is in this decision or in a later one.
    #[must_use]
    pub fn handle(&mut self, now: Now, waiter: WaiterId, request: GroupRequest) -> Decision {
        let mut decision = self.decision();
        let out = &mut decision;
        match request {
            GroupRequest::Join(request) => self.join(now, waiter, request, out),
            GroupRequest::Sync(request) => self.sync(now, waiter, &request, out),
            GroupRequest::Heartbeat(request) => self.heartbeat(now, waiter, &request, out),
            GroupRequest::Leave(request) => self.leave(now, waiter, &request, out),
            GroupRequest::OffsetCommit(request) => self.commit(now, waiter, &request, out),
            GroupRequest::OffsetFetch(request) => self.fetch(waiter, &request, out),
            GroupRequest::OffsetDelete(request) => self.delete_offsets(waiter, &request, out),
            GroupRequest::Describe(request) => self.describe(waiter, &request, out),
            GroupRequest::List(request) => self.list(waiter, &request, out),
            GroupRequest::Delete(request) => self.delete_group(waiter, &request, out),
        }
        self.schedule_expiry(now, &mut decision);
        decision
    }

    /// A timer comes.
    #[must_use]
    pub fn timer(&mut self, now: Now, key: &TimerKey) -> Decision {
        let mut decision = self.decision();
        let out = &mut decision;
        match key {
            TimerKey::Session(MemberKey { group, member }) => {
                self.if_live(now, group, out, |live, turn| {
                    live.session_timer(turn, member);
                });
            }
            TimerKey::Join { group } => self.if_live(now, group, out, Live::join_timer),
            TimerKey::Sync { group } => self.if_live(now, group, out, Live::sync_timer),
            TimerKey::Expiry => self.expire(now, out),
        }
        self.schedule_expiry(now, &mut decision);
        decision
    }

    /// An answer left that begins the session of `key`, or nobody is there to get it.
    pub fn answered(&mut self, now: Now, key: &MemberKey) {
        if let Some(soft) = self.soft.groups.get_mut(&key.group) {
            soft.live.answered(now, &key.member);
        }
    }

    /// Topics were deleted, here with their names and ids: what was committed for them is
    /// forgotten.
    #[must_use]
    pub fn topics_deleted(&mut self, topics: &[(StrBytes, TopicId)]) -> Decision {
        let mut decision = self.decision();
        self.forget_topics(topics, &mut decision);
        decision
    }

    /// These are the topics that there are, by their names: what was committed for others is
    /// forgotten. Their deletion may have come when the shard was not loaded, or not there.
    #[must_use]
    pub fn topics_found(&mut self, topic_id: impl Fn(&str) -> Option<TopicId>) -> Decision {
        let mut decision = self.decision();
        self.forget_strangers(topic_id, &mut decision);
        decision
    }

    /// A decision that so far decides nothing.
    fn decision(&self) -> Decision {
        Decision {
            seen: self.hard.end(),
            ..Decision::default()
        }
    }

    /// Hands the live group to `then`, made from its records where there is none, and lets it go
    /// again where its records say all there is to say.
    fn with_live<R>(
        &mut self,
        now: Now,
        group: &StrBytes,
        decision: &mut Decision,
        then: impl FnOnce(&mut Live, &mut Turn<'_>) -> R,
    ) -> R {
        let recorded = self.hard.group(group).and_then(|g| g.metadata.as_ref());
        if !self.soft.groups.contains_key(group) {
            let id = own(group);
            let live = Live::of(recorded);
            self.soft.bytes += live.bytes_held() + id.len();
            self.soft.groups.insert(id.clone(), SoftGroup { id, live });
        }
        let soft = self.soft.groups.get_mut(group).expect("it was just made");
        let mut turn = Turn {
            now,
            config: &self.config,
            room: self.room,
            group: &soft.id,
            recorded,
            decision,
        };
        let pending_before = soft.live.pending_count();
        let bytes_before = soft.live.bytes_held();
        let result = then(&mut soft.live, &mut turn);
        self.soft.pending = self.soft.pending - pending_before + soft.live.pending_count();
        self.soft.bytes = self.soft.bytes - bytes_before + soft.live.bytes_held();
        if soft.live.is_idle() {
            self.let_go(group);
        }
        result
    }

    /// Lets a live group go, with all that is counted about it.
    fn let_go(&mut self, group: &StrBytes) -> Option<Live> {
        let SoftGroup { id, live } = self.soft.groups.remove(group)?;
        self.soft.pending -= live.pending_count();
        self.soft.bytes -= live.bytes_held() + id.len();
        Some(live)
    }

    /// The same, where there is a live group.
    fn if_live(
        &mut self,
        now: Now,
        group: &StrBytes,
        decision: &mut Decision,
        then: impl FnOnce(&mut Live, &mut Turn<'_>),
    ) {
        if self.soft.groups.contains_key(group) {
            decision.seen = self.hard.seen(group);
            self.with_live(now, group, decision, then);
        }
    }

    fn live(&self, group: &StrBytes) -> Option<&Live> {
        self.soft.groups.get(group).map(|soft| &soft.live)
    }
}

/// For tests: the interleavings here, and `fuzz`.
impl GroupShard {
    /// Checks what must be true between any two inputs.
    pub(crate) fn check(&self) {
        for (id, soft) in &self.soft.groups {
            let hard = self.hard.group(id);
            soft.live
                .check(hard.and_then(|hard| hard.metadata.as_ref()));
            assert!(!soft.live.is_idle(), "{id:?} is let go when it is idle");
        }
        let pending = self
            .soft
            .groups
            .values()
            .map(|soft| soft.live.pending_count());
        assert_eq!(self.soft.pending, pending.sum::<usize>());
        let held = self.soft.groups.iter();
        let held = held.map(|(id, soft)| id.len() + soft.live.bytes_held());
        assert_eq!(self.soft.bytes, held.sum::<usize>());
        self.hard.check();
    }

    /// Whether nothing is going on.
    pub(crate) fn is_idle(&self) -> bool {
        self.soft.groups.is_empty()
    }

    /// Checks that the records have made the same of both.
    pub(crate) fn assert_same_hard(&self, other: &Self) {
        assert_eq!(self.hard, other.hard);
    }
}

#[cfg(test)]
impl GroupShard {
    /// Whether the group has this member.
    pub(super) fn has(&self, key: &MemberKey) -> bool {
        let live = self.live(&key.group);
        live.is_some_and(|live| live.members().contains_key(&key.member))
    }
}

#[cfg(test)]
mod tests;
