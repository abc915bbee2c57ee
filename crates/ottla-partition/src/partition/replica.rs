//! The replica machine.

mod isr;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ottla_log::{FlushMode, LeaderEpoch, Offset};

use super::follower::{Follower, FollowerFetch};
use super::output::{Output, ReplicaError, Timer};
use super::waiters::{Acks, WaiterId, Waiters};
use crate::metadata::Partition;
use crate::{BrokerId, PartitionEpoch};

/// One replica of a partition: the one on this broker.
///
/// Inputs are facts: what the cluster registered, what was appended, what is durable, what a
/// follower fetched, that a time came. Each may leave outputs, which
/// [`poll_output`](Self::poll_output) hands out in order and which the caller carries out before
/// the next input. All inputs of one replica come one at a time, with a monotonic `now`.
///
/// The high watermark is the offset below which records are committed. On a leader it is the
/// least of the ends of the replicas in sync, its own counting only as far as it is durable where
/// the mode is sync; it stands still while fewer replicas are in sync than `min.insync.replicas`
/// asks for, and never goes back. On a follower it is what the leader says, as far as the
/// follower holds it itself.
///
/// A producer that asked for acks=all is answered once the high watermark reaches the end of its
/// records, not before; a duplicate waits for the end of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    me: BrokerId,
    config: ReplicaConfig,
    role: Role,
    leader: Option<BrokerId>,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    replicas: Vec<BrokerId>,
    isr: isr::Isr,
    followers: BTreeMap<BrokerId, Follower>,
    ends: Ends,
    high_watermark: Offset,
    /// The high watermark that the leader last told, on a follower.
    leader_high_watermark: Offset,
    /// Where the log ended when this term began.
    epoch_start: Offset,
    waiters: Waiters,
    outputs: VecDeque<Output>,
}

/// What a replica goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// When a record counts as held by this broker.
    pub flush: FlushMode,
    /// How many replicas must be in sync; never more than there are.
    pub min_insync_replicas: u32,
    /// How long a replica in the ISR may lag.
    pub lag_max: Duration,
}

/// What a replica is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not registered here, or not yet.
    Idle,
    /// It takes appends.
    Leader,
    /// It fetches from the leader, where there is one.
    Follower,
    /// Its disk failed. Nothing brings it back but a restart of the broker.
    Offline,
}

/// Where a log starts, where it ends, and up to where it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The first offset.
    pub start: Offset,
    /// The offset behind the last record.
    pub end: Offset,
    /// The offset behind the last record that survives a power cut; never beyond `end`.
    pub durable: Offset,
}

impl Replica {
    /// The replica of a partition on the broker `me`, idle. `ends` are its log's, and
    /// `high_watermark` what is known to be committed from before: the log's start if nothing is.
    #[must_use]
    pub fn new(me: BrokerId, config: ReplicaConfig, ends: Ends, high_watermark: Offset) -> Self {
        let mut replica = Self {
            me,
            config,
            role: Role::Idle,
            leader: None,
            leader_epoch: LeaderEpoch::NONE,
            partition_epoch: PartitionEpoch::new(-1),
            replicas: Vec::new(),
            isr: isr::Isr::default(),
            followers: BTreeMap::new(),
            ends,
            high_watermark: Offset::ZERO,
            leader_high_watermark: Offset::ZERO,
            epoch_start: ends.end,
            waiters: Waiters::default(),
            outputs: VecDeque::new(),
        };
        replica.high_watermark = high_watermark.max(ends.start).min(replica.own_end());
        replica
    }

    /// The next thing to do; `None` once all is done that follows from the inputs so far.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    // What it is.

    /// The role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The leader, as far as is known.
    #[must_use]
    pub const fn leader(&self) -> Option<BrokerId> {
        self.leader
    }

    /// The leader's term.
    #[must_use]
    pub const fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The offset below which records are committed.
    #[must_use]
    pub const fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The offset below which no transaction is open: where a reader of committed records stops.
    /// `first_unstable` is the first offset of the oldest open transaction.
    #[must_use]
    pub fn last_stable(&self, first_unstable: Option<Offset>) -> Offset {
        first_unstable.map_or(self.high_watermark, |first| first.min(self.high_watermark))
    }

    /// The log's ends as the replica knows them.
    #[must_use]
    pub const fn ends(&self) -> Ends {
        self.ends
    }

    /// Whether the high watermark has reached this term. Until then nobody can say what the
    /// latest committed offset is (KIP-207).
    #[must_use]
    pub fn knows_latest(&self) -> bool {
        self.role != Role::Leader || self.epoch_start <= self.high_watermark
    }

    /// The least offset that some replica still has, for the answer to a deletion of records.
    #[must_use]
    pub fn low_watermark(&self) -> Offset {
        let starts = self.followers.values().filter(|f| f.is_eligible);
        starts
            .filter_map(|follower| follower.log_start)
            .fold(self.ends.start, Offset::min)
    }

    // What it refuses.

    /// Refuses an asker that names a term other than this one; `None` names none.
    ///
    /// # Errors
    /// [`ReplicaError`] says whether the asker or this broker is behind.
    pub fn check_epoch(&self, asked: Option<LeaderEpoch>) -> Result<(), ReplicaError> {
        let current = self.leader_epoch;
        match asked {
            Some(asked) if asked < current => {
                Err(ReplicaError::FencedLeaderEpoch { asked, current })
            }
            Some(asked) if asked > current => {
                Err(ReplicaError::UnknownLeaderEpoch { asked, current })
            }
            _ => Ok(()),
        }
    }

    /// Refuses where this broker does not lead, or its disk failed.
    ///
    /// # Errors
    /// [`ReplicaError`] names the leader, as far as is known.
    pub const fn check_leader(&self) -> Result<(), ReplicaError> {
        match self.role {
            Role::Leader => Ok(()),
            Role::Offline => Err(ReplicaError::Offline),
            Role::Idle | Role::Follower => Err(ReplicaError::NotLeader {
                leader: self.leader,
                epoch: self.leader_epoch,
            }),
        }
    }

    /// Says in which term to append, or refuses to, before anything is written.
    ///
    /// # Errors
    /// [`ReplicaError`] where this broker does not lead, or with acks=all too few are in sync.
    pub fn check_append(&self, acks: Acks) -> Result<LeaderEpoch, ReplicaError> {
        self.check_leader()?;
        let (isr, min_isr) = (self.isr.committed().len(), self.min_isr());
        if acks == Acks::All && isr < min_isr {
            return Err(ReplicaError::NotEnoughReplicas { isr, min_isr });
        }
        Ok(self.leader_epoch)
    }

    /// Where a follower continues to fetch; `None` while its log is not durable that far: the
    /// offset of a fetch acknowledges all below it.
    #[must_use]
    pub fn next_fetch(&self) -> Option<Offset> {
        let may_tell = self.role == Role::Follower && self.own_end() == self.ends.end;
        may_tell.then_some(self.ends.end)
    }

    // What happens to it.

    /// The cluster registered the partition so. A registration that is not newer than the last is
    /// passed over. With a new term of this broker's, everything the log has is its own from here
    /// on.
    pub fn registered(&mut self, now: Duration, partition: &Partition) {
        if self.role == Role::Offline || partition.partition_epoch <= self.partition_epoch {
            return;
        }
        let is_new_term = partition.leader_epoch > self.leader_epoch;
        self.leader = partition.leader;
        self.leader_epoch = partition.leader_epoch;
        self.partition_epoch = partition.partition_epoch;
        self.replicas.clone_from(&partition.replicas);
        if partition.leader == Some(self.me) {
            self.lead(now, partition, is_new_term);
        } else {
            self.follow();
        }
    }

    fn lead(&mut self, now: Duration, partition: &Partition, is_new_term: bool) {
        self.role = Role::Leader;
        self.isr = isr::Isr::committed_as(&partition.isr);
        if is_new_term {
            self.epoch_start = self.ends.end;
            self.followers.clear();
            self.outputs.push_back(Output::EpochStarts {
                epoch: self.leader_epoch,
                start: self.epoch_start,
            });
        }
        let others: BTreeSet<BrokerId> = self.replicas.iter().copied().collect();
        self.followers.retain(|id, _| others.contains(id));
        for id in others.into_iter().filter(|id| *id != self.me) {
            let in_isr = self.isr.committed().contains(&id);
            self.followers
                .entry(id)
                .or_insert_with(|| Follower::new(now, in_isr));
        }
        if is_new_term && !self.followers.is_empty() {
            self.arm_isr_timer(now);
        }
        self.advance(now);
    }

    fn follow(&mut self) {
        self.role = Role::Follower;
        // The new leader has not told its own yet.
        self.leader_high_watermark = self.high_watermark;
        self.isr = isr::Isr::default();
        self.followers.clear();
        let error = ReplicaError::NotLeader {
            leader: self.leader,
            epoch: self.leader_epoch,
        };
        self.give_up(&error);
    }

    /// The settings changed.
    pub fn configure(&mut self, now: Duration, config: ReplicaConfig) {
        self.config = config;
        if self.role == Role::Leader {
            self.advance(now);
        }
    }

    /// The log ends at `end` now: records were appended that are written, not yet durable.
    ///
    /// This and [`Self::durable`] may come in any order, whoever learned of it first: news that is
    /// older than the last is passed over.
    pub fn appended(&mut self, now: Duration, end: Offset) {
        self.ends.end = self.ends.end.max(end);
        if self.role == Role::Leader {
            self.advance(now);
        }
    }

    /// All below `durable` survives a power cut.
    pub fn durable(&mut self, now: Duration, durable: Offset) {
        self.ends.durable = self.ends.durable.max(durable);
        self.ends.end = self.ends.end.max(durable);
        match self.role {
            Role::Leader => self.advance(now),
            Role::Follower => self.advance_as_follower(),
            Role::Idle | Role::Offline => {}
        }
    }

    /// The log starts at `start` now: records before it were deleted. They were committed.
    pub fn start_moved(&mut self, start: Offset) {
        self.ends.start = self.ends.start.max(start);
    }

    /// A follower's log ends at `end` now, and the leader told its high watermark.
    pub fn replicated(&mut self, end: Offset, leader_high_watermark: Offset) {
        self.ends.end = self.ends.end.max(end);
        self.leader_high_watermark = leader_high_watermark;
        self.advance_as_follower();
    }

    /// A follower cut its log off at `to`. Only after an unclean election can that be below the
    /// high watermark, which then goes back with it.
    pub fn truncated(&mut self, to: Offset) {
        assert!(self.role != Role::Leader, "a leader's log is never cut");
        self.ends.end = self.ends.end.min(to);
        self.ends.durable = self.ends.durable.min(to);
        self.leader_high_watermark = self.leader_high_watermark.min(to);
        if self.high_watermark > to {
            self.high_watermark = to;
            self.outputs.push_back(Output::HighWatermark(to));
        }
    }

    /// The disk failed. Who waits is told, and whoever comes is refused until the broker restarts.
    pub fn failed(&mut self) {
        self.role = Role::Offline;
        self.give_up(&ReplicaError::Offline);
    }

    /// A producer's records end at `end` (a duplicate's original ended there); it waits until
    /// `deadline`. What it asked for may hold already.
    pub fn produced(&mut self, waiter: WaiterId, acks: Acks, end: Offset, deadline: Duration) {
        match acks {
            Acks::None => {}
            Acks::Leader => self.answer(waiter, Ok(())),
            Acks::All => match self.check_leader() {
                Err(error) => self.answer(waiter, Err(error)),
                Ok(()) if end <= self.high_watermark => self.answer_committed(waiter),
                Ok(()) => {
                    self.waiters.add(waiter, end);
                    self.outputs.push_back(Output::Timer {
                        key: Timer::Waiter(waiter),
                        at: deadline,
                    });
                }
            },
        }
    }

    /// Nobody waits for this answer any more.
    pub fn forget(&mut self, waiter: WaiterId) {
        self.waiters.remove(waiter);
    }

    /// A follower fetched. Its position was found to be on this log's history before.
    ///
    /// # Errors
    /// [`ReplicaError`] where this broker does not lead, or knows of no replica there.
    pub fn fetched(&mut self, now: Duration, fetch: &FollowerFetch) -> Result<(), ReplicaError> {
        self.check_leader()?;
        let leader_end = self.ends.end;
        let follower = self
            .followers
            .get_mut(&fetch.broker)
            .ok_or(ReplicaError::NotReplica(fetch.broker))?;
        follower.fetched(now, fetch, leader_end);
        self.maybe_expand_isr(fetch.broker);
        self.advance(now);
        Ok(())
    }

    /// The time of a timer came.
    pub fn timer(&mut self, now: Duration, key: Timer) {
        match key {
            Timer::Waiter(waiter) => {
                if self.waiters.remove(waiter) {
                    self.answer(waiter, Err(ReplicaError::TimedOut));
                }
            }
            Timer::Isr => self.check_isr(now),
        }
    }

    // What follows.

    /// How far this broker holds its own log, as far as a promise goes.
    fn own_end(&self) -> Offset {
        match self.config.flush {
            FlushMode::Sync => self.ends.durable,
            FlushMode::Os => self.ends.end,
        }
    }

    /// Raises a leader's high watermark as far as the replicas in sync allow, and answers who
    /// waited for that.
    fn advance(&mut self, now: Duration) {
        if self.isr.committed().len() < self.min_isr() {
            return;
        }
        let (leader_end, lag_max) = (self.ends.end, self.config.lag_max);
        let holds_back = |id: &BrokerId, follower: &Follower| {
            // A follower about to join the ISR is waited for: it could never catch up with a
            // high watermark that runs away from it.
            self.isr.maximal_contains(*id)
                || follower.is_eligible && follower.keeps_up(now, leader_end, lag_max)
        };
        let least = self
            .followers
            .iter()
            .filter(|(id, follower)| holds_back(id, follower))
            .map(|(_, follower)| follower.end.unwrap_or(self.high_watermark))
            .fold(self.own_end(), Offset::min);
        self.raise_high_watermark(least);
    }

    /// Raises a follower's high watermark to the leader's, as far as its own log holds it.
    fn advance_as_follower(&mut self) {
        if self.role == Role::Follower {
            self.raise_high_watermark(self.leader_high_watermark.min(self.own_end()));
        }
    }

    fn raise_high_watermark(&mut self, to: Offset) {
        if to <= self.high_watermark {
            return;
        }
        self.high_watermark = to;
        self.outputs.push_back(Output::HighWatermark(to));
        for (_, waiter) in self.waiters.take_up_to(to) {
            self.answer_committed(waiter);
        }
    }

    /// Answers a waiter whose records are committed; by now too few may be in sync.
    fn answer_committed(&mut self, waiter: WaiterId) {
        let result = if self.isr.maximal_len() < self.min_isr() {
            Err(ReplicaError::NotEnoughReplicasAfterAppend)
        } else {
            Ok(())
        };
        self.answer(waiter, result);
    }

    fn answer(&mut self, waiter: WaiterId, result: Result<(), ReplicaError>) {
        self.outputs.push_back(Output::Answer { waiter, result });
    }

    fn give_up(&mut self, error: &ReplicaError) {
        for (_, waiter) in self.waiters.take_all() {
            self.answer(waiter, Err(error.clone()));
        }
    }

    /// How many replicas must be in sync: what is asked for, but never more than there are.
    fn min_isr(&self) -> usize {
        let asked = usize::try_from(self.config.min_insync_replicas).unwrap_or(usize::MAX);
        asked.min(self.replicas.len())
    }
}
