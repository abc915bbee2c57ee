//! A shard under any sequence of inputs, drawn from any bytes: a property test calls this, and
//! whoever fuzzes. Not part of the API.
//!
//! Members here need not be honest, as those of the tests' simulation are. Whatever they ask, in
//! whatever order, with stalls, jumps of the clock, a log that refuses and crashes in between:
//! nothing panics; a partition has one owner in each generation, by what was answered; nobody waits
//! past the timeouts that there are; everybody is answered once; what is counted is what there is;
//! and the records that were decided on make the same state again.

mod draw;

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_log::{Offset, Timestamp};
use ottla_protocol::{ErrorCode, StrBytes};

use self::draw::{Draw, Known};
use crate::group::{
    Answer, Decision, GroupConfig, GroupRequest, GroupResponse, GroupShard, MemberKey, Now, Record,
    Room, TimerKey, WaiterId,
};

/// The longest that anybody may have to wait: the longest rebalance timeout that is drawn, and a
/// wait for the first members.
const WAIT_MAX: Duration = Duration::from_secs(draw::REBALANCE_SECONDS_MAX + 10);
/// Steps of one run: a short input repeats nothing, a long one need not be slow.
const STEPS_MAX: usize = 2_000;

/// Runs a shard on inputs drawn from `bytes`.
///
/// # Panics
/// Where the shard breaks one of its promises.
pub fn groups(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if draw.is_spent() {
            break;
        }
        world.step(&mut draw);
        world.shard.check();
        world.check_waits();
    }
    world.end();
}

/// A shard and everything around it.
struct World {
    shard: GroupShard,
    known: Known,
    log: Vec<Record>,
    durable: usize,
    refuses: bool,
    now: Now,
    timers: BTreeMap<TimerKey, Duration>,
    next_waiter: u64,
    /// Who was not answered, and since when.
    waiting: BTreeMap<WaiterId, Duration>,
    /// What each waiter asked about: a group, and the generation that it named.
    asked: BTreeMap<WaiterId, (StrBytes, i32)>,
    /// Answers that wait until so much of the log is durable, with the life of their group.
    parked: Vec<(usize, usize, Answer)>,
    /// Who was told to own a partition: by group, its life, generation and partition.
    owners: BTreeMap<(StrBytes, usize, i32, u8), StrBytes>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            shard: GroupShard::new(config()),
            known: Known::default(),
            log: Vec::new(),
            durable: 0,
            refuses: false,
            now: Now {
                monotonic: Duration::from_secs(1),
                wall: Timestamp::new(1_000_000_000),
            },
            timers: BTreeMap::new(),
            next_waiter: 0,
            waiting: BTreeMap::new(),
            asked: BTreeMap::new(),
            parked: Vec::new(),
            owners: BTreeMap::new(),
        };
        world.load();
        world
    }

    fn step(&mut self, draw: &mut Draw<'_>) {
        match draw.below(24) {
            0..=15 => {
                let (group, request) = draw.request(&self.known, self.next_waiter);
                let waiter = WaiterId::new(self.next_waiter);
                self.next_waiter += 1;
                self.waiting.insert(waiter, self.now.monotonic);
                let generation = match &request {
                    GroupRequest::Sync(sync) => sync.identity.generation,
                    _ => -1,
                };
                self.asked.insert(waiter, (group, generation));
                let decision = self.shard.handle(self.now, waiter, request);
                self.carry_out(decision);
            }
            16 | 17 => self.sync(),
            18 => self.wait(Duration::from_millis(draw.below(200) * 50)),
            19 => self.wait(Duration::from_secs(draw.below(100))),
            20 => self.stall(Duration::from_secs(draw.below(100))),
            21 => {
                let jump = i64::try_from(draw.below(256)).unwrap_or_default() - 128;
                self.now.wall = Timestamp::new(self.now.wall.get() + jump * 10_000_000);
            }
            22 => self.crash(draw.below(4)),
            _ => self.change(draw),
        }
    }

    /// Something about the world changes.
    fn change(&mut self, draw: &mut Draw<'_>) {
        match draw.below(6) {
            0 => self.refuses = true,
            1 | 2 => {
                self.refuses = false;
                self.shard.allow(Room::UNLIMITED);
            }
            3 => {
                let bytes = usize::try_from(draw.below(64)).unwrap_or_default() * 256;
                self.shard.allow(Room {
                    for_new: bytes,
                    for_known: 2 * bytes,
                });
            }
            4 => {
                let decision = self.shard.topics_deleted(&[draw.topic()]);
                self.carry_out(decision);
            }
            _ => {
                let (name, id) = draw.topic();
                let found = |asked: &str| (*name != *asked).then_some(id);
                let decision = self.shard.topics_found(found);
                self.carry_out(decision);
            }
        }
    }

    fn carry_out(&mut self, mut decision: Decision) {
        if self.refuses && !decision.records.is_empty() {
            let error = ErrorCode::CoordinatorNotAvailable;
            decision = self.shard.refused(self.now, decision, error);
            assert_eq!(decision.records, [], "what is refused is not tried again");
        }
        let lives: Vec<usize> = decision.answers.iter().map(|a| self.life_of(a)).collect();
        for record in &decision.records {
            self.append(record);
        }
        for change in decision.timers {
            match change.at {
                Some(at) => self.timers.insert(change.key, at),
                None => self.timers.remove(&change.key),
            };
        }
        let seen = usize::try_from(decision.seen.get()).unwrap_or(usize::MAX);
        assert!(seen <= self.log.len(), "an answer waits for what never was");
        let until = match decision.records.is_empty() {
            true => seen,
            false => self.log.len(),
        };
        for (answer, life) in decision.answers.into_iter().zip(lives) {
            let waited = self.waiting.remove(&answer.waiter);
            assert!(waited.is_some(), "{answer:?} was not asked for, or twice");
            self.parked.push((until, life, answer));
        }
        self.deliver();
    }

    /// A record goes through its bytes.
    fn append(&mut self, record: &Record) {
        let (key, value) = record.encode().expect("what is decided can be written");
        let read = Record::decode(&key, value.as_ref());
        assert_eq!(read.as_ref(), Ok(record), "a record is what its bytes say");
        let offset = i64::try_from(self.log.len()).unwrap_or(i64::MAX);
        self.shard.replay(Offset::new(offset), record);
        self.log.push(record.clone());
    }

    /// How many times the group that an answer is about was deleted.
    fn life_of(&self, answer: &Answer) -> usize {
        let group = self.asked.get(&answer.waiter).map(|(group, _)| group);
        let deleted = |record: &&Record| match record {
            Record::Group {
                group: deleted,
                metadata: None,
            } => Some(deleted) == group,
            _ => false,
        };
        self.log.iter().filter(deleted).count()
    }

    fn sync(&mut self) {
        self.durable = self.log.len();
        self.deliver();
    }

    /// Hands out the answers that wait for nothing any more.
    fn deliver(&mut self) {
        let durable = self.durable;
        let all = std::mem::take(&mut self.parked).into_iter();
        let (ready, parked): (Vec<_>, Vec<_>) = all.partition(|(until, _, _)| *until <= durable);
        self.parked = parked;
        for (_, life, answer) in ready {
            if let Some(key) = &answer.session {
                self.shard.answered(self.now, key);
            }
            let asked = self.asked.remove(&answer.waiter);
            let (group, generation) = asked.expect("it is asked for once");
            self.known.hear(&group, &answer.response);
            if let (Some(key), GroupResponse::Sync(synced)) = (&answer.session, &answer.response) {
                for partition in &synced.assignment {
                    self.owns(key, life, generation, *partition);
                }
            }
        }
    }

    /// A member was told that a partition is its own.
    fn owns(&mut self, key: &MemberKey, life: usize, generation: i32, partition: u8) {
        let place = (key.group.clone(), life, generation, partition);
        let owner = draw::owner(&key.member);
        let known = self.owners.entry(place).or_insert_with(|| owner.clone());
        assert_eq!(
            *known, owner,
            "two own {partition} in {generation} of {key:?}"
        );
    }

    /// Lets time pass, and each timer come at its time.
    fn wait(&mut self, time: Duration) {
        let until = self.now.monotonic + time;
        while let Some((key, at)) = self.first_timer().filter(|(_, at)| *at <= until) {
            self.pass(at);
            self.timer(&key);
            self.check_waits();
        }
        self.pass(until);
    }

    /// Lets time pass in which nothing is done.
    fn stall(&mut self, time: Duration) {
        let until = self.now.monotonic + time;
        self.pass(until);
        let due = self.timers.iter().filter(|(_, at)| **at <= until);
        let due: Vec<TimerKey> = due.map(|(key, _)| key.clone()).collect();
        self.waiting.values_mut().for_each(|since| *since = until);
        due.iter().for_each(|key| self.timer(key));
    }

    fn first_timer(&self) -> Option<(TimerKey, Duration)> {
        let first = self.timers.iter().min_by_key(|(key, at)| (**at, *key))?;
        Some((first.0.clone(), *first.1))
    }

    fn timer(&mut self, key: &TimerKey) {
        self.timers.remove(key);
        let decision = self.shard.timer(self.now, key);
        self.carry_out(decision);
        self.shard.check();
    }

    fn pass(&mut self, until: Duration) {
        let passed = until.saturating_sub(self.now.monotonic);
        self.now.monotonic += passed;
        let millis = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        self.now.wall = Timestamp::new(self.now.wall.get() + millis);
    }

    /// The broker dies; so much of what was not durable is there all the same.
    fn crash(&mut self, kept: u64) {
        let kept = usize::try_from(kept).unwrap_or_default();
        self.log.truncate(self.durable.saturating_add(kept));
        self.durable = self.log.len();
        self.load();
    }

    /// Makes the shard from its log.
    fn load(&mut self) {
        self.parked.clear();
        self.waiting.clear();
        self.asked.clear();
        self.timers.clear();
        self.refuses = false;
        self.shard = self.replayed();
        let decision = self.shard.loaded(self.now);
        self.carry_out(decision);
    }

    fn replayed(&self) -> GroupShard {
        let mut shard = GroupShard::new(config());
        for (offset, record) in (0..).zip(&self.log) {
            shard.replay(Offset::new(offset), record);
        }
        shard
    }

    fn check_waits(&self) {
        for (waiter, since) in &self.waiting {
            let waited = self.now.monotonic.saturating_sub(*since);
            assert!(waited <= WAIT_MAX, "{waiter:?} waits for {waited:?}");
        }
    }

    /// What is left when nobody asks any more.
    fn end(&mut self) {
        self.refuses = false;
        self.shard.allow(Room::UNLIMITED);
        for _ in 0..8 {
            self.sync();
            self.wait(Duration::from_secs(draw::SESSION_SECONDS_MAX));
        }
        self.sync();
        assert_eq!(self.waiting.len(), 0, "somebody is never answered");
        assert!(self.shard.is_idle(), "somebody stays for ever");
        self.shard.assert_same_hard(&self.replayed());
    }
}

fn config() -> GroupConfig {
    GroupConfig {
        members_max: 5,
        ..GroupConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_sequence_of_inputs_is_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..1500),
        ) {
            groups(&bytes);
        }
    }
}
