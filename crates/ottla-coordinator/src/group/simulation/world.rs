//! The shard, its log, its clients, and what an observer knows of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use ottla_log::{Offset, Timestamp};
use ottla_protocol::{ErrorCode, StrBytes};

use super::Op;
use super::client::{Client, Phase, commit};
use crate::group::request::{
    DeleteGroup, DescribeGroup, GroupRequest, Identity, LeaveGroup, LeavingMember, ListGroups,
    OffsetFetch,
};
use crate::group::{
    Answer, Decision, GroupConfig, GroupShard, MemberKey, Now, Record, TimerKey, WaiterId,
};

pub(super) const CLIENTS: usize = 5;
pub(super) const PARTITIONS: i32 = 7;
pub(super) const GROUP: &str = "g";
pub(super) const TOPIC: &str = "t";
/// The longest rebalance timeout of a client: nobody waits longer for an answer.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(super) struct World {
    config: GroupConfig,
    shard: GroupShard,
    log: Vec<Record>,
    durable: usize,
    /// Whether the log takes nothing.
    refuses: bool,
    /// Whether it took nothing since the oldest answer that is parked: its member may be there
    /// again, as it was recorded.
    is_taken_back: bool,
    /// Answers that wait until the log is durable.
    parked: Vec<(usize, usize, Answer)>,
    now: Now,
    timers: BTreeMap<TimerKey, Duration>,
    clients: Vec<Client>,
    asked: u64,
    /// Which client each unanswered waiter is, and since when it waits.
    waiting: BTreeMap<WaiterId, Duration>,
    asker: BTreeMap<WaiterId, usize>,
    /// Who was told to own a partition: by life of the group, generation and partition.
    owners: BTreeMap<(usize, i32, i32), StrBytes>,
    pub(super) transcript: String,
}

impl World {
    pub(super) fn new(delay_ms: u64) -> Self {
        let config = GroupConfig {
            initial_rebalance_delay: Duration::from_millis(delay_ms),
            ..GroupConfig::default()
        };
        let mut world = Self {
            shard: GroupShard::new(config.clone()),
            config,
            log: Vec::new(),
            durable: 0,
            refuses: false,
            is_taken_back: false,
            parked: Vec::new(),
            now: Now {
                monotonic: Duration::from_secs(1),
                wall: Timestamp::new(1_000_000_000),
            },
            timers: BTreeMap::new(),
            clients: (0..CLIENTS).map(Client::new).collect(),
            asked: 0,
            waiting: BTreeMap::new(),
            asker: BTreeMap::new(),
            owners: BTreeMap::new(),
            transcript: String::new(),
        };
        world.load();
        world
    }

    pub(super) fn run(&mut self, op: Op) {
        match op {
            Op::Step(client) => self.step(client),
            Op::Retry(client) => {
                if let Phase::Joining(_) = self.clients[client].phase {
                    let join = self.clients[client].join(self.asked);
                    let waiter = self.ask(client, join);
                    self.now_waits(client, waiter);
                } else {
                    self.clients[client].disconnect();
                }
            }
            Op::Commit(client, partition) => {
                if let Some(request) = self.clients[client].commit(partition) {
                    self.ask(client, request);
                }
            }
            Op::Leave(client) => {
                self.remove(client);
                self.clients[client].restart();
            }
            Op::Remove(client) => self.remove(client),
            Op::Die(client) => self.clients[client].restart(),
            Op::Change(client) => {
                let client = &mut self.clients[client];
                client.subscription ^= 1;
                client.rejoin();
            }
            Op::Sync => self.sync(),
            Op::Wait(millis) => self.wait(Duration::from_millis(millis)),
            Op::Refuse(refuses) => self.refuses = refuses,
            Op::Stall(millis) => self.stall(Duration::from_millis(millis)),
            Op::Jump(seconds) => {
                let wall = self.now.wall.get() + seconds * 1000;
                self.now.wall = Timestamp::new(wall.max(0));
            }
            Op::Crash(kept) => self.crash(kept),
            Op::Reset(partition) => {
                let next = self.committed(partition).unwrap_or(0) + 1;
                let nobody = Identity {
                    generation: -1,
                    ..Identity::default()
                };
                self.ask(CLIENTS, commit(nobody, partition, next));
            }
            Op::Delete => {
                let group = GROUP.into();
                self.ask(CLIENTS, GroupRequest::Delete(DeleteGroup { group }));
            }
            Op::Look => self.look(),
        }
        self.check();
    }

    /// What the clients come to when nothing else happens.
    pub(super) fn heal(&mut self) {
        self.refuses = false;
        for _ in 0..150 {
            for client in 0..CLIENTS {
                self.run(Op::Step(client));
            }
            self.run(Op::Sync);
            self.run(Op::Wait(1_000));
        }
        let mut owned: Vec<i32> = Vec::new();
        for client in &self.clients {
            assert_eq!(client.phase, Phase::Owning, "{client:?}");
            assert_eq!(client.generation, self.clients[0].generation);
            owned.extend(client.positions.keys());
        }
        owned.sort_unstable();
        assert_eq!(owned, (0..PARTITIONS).collect::<Vec<_>>());
    }

    /// What is left when all clients are gone.
    pub(super) fn end(&mut self) {
        for client in 0..CLIENTS {
            self.run(Op::Die(client));
        }
        for _ in 0..10 {
            // Who is answered has a session from then on.
            self.sync();
            self.wait(Duration::from_secs(200));
        }
        assert_eq!(self.waiting.len(), 0);
        assert!(self.shard.is_idle(), "{:?}", self.shard);
        let left = self.timers.keys().filter(|key| **key != TimerKey::Expiry);
        assert_eq!(left.count(), 0, "{:?}", self.timers);
    }

    fn step(&mut self, client: usize) {
        if let Some(request) = self.clients[client].next(self.asked) {
            let waiter = self.ask(client, request);
            self.now_waits(client, waiter);
        }
    }

    /// The client waits for the answer, unless it was there at once.
    fn now_waits(&mut self, client: usize, waiter: WaiterId) {
        let client = &mut self.clients[client];
        client.phase = match client.phase {
            Phase::Out | Phase::Joining(_) => Phase::Joining(waiter),
            Phase::Joined(_) => Phase::Syncing(waiter),
            _ => return,
        };
        self.deliver();
    }

    fn remove(&mut self, client: usize) {
        let client_id = self.clients[client].id.clone();
        let member = LeavingMember {
            member_id: client_id,
            instance_id: self.clients[client].instance.clone(),
        };
        let leave = LeaveGroup {
            group: GROUP.into(),
            members: vec![member],
        };
        self.ask(CLIENTS, GroupRequest::Leave(leave));
    }

    fn look(&mut self) {
        let group: StrBytes = GROUP.into();
        let describe = DescribeGroup {
            group: group.clone(),
        };
        self.ask(CLIENTS, GroupRequest::Describe(describe));
        self.ask(CLIENTS, GroupRequest::List(ListGroups::default()));
        let fetch = OffsetFetch {
            group,
            ..OffsetFetch::default()
        };
        self.ask(CLIENTS, GroupRequest::OffsetFetch(fetch));
    }

    fn ask(&mut self, client: usize, request: GroupRequest) -> WaiterId {
        let waiter = WaiterId::new(self.asked);
        self.asked += 1;
        self.waiting.insert(waiter, self.now.monotonic);
        self.asker.insert(waiter, client);
        let decision = self.shard.handle(self.now, waiter, request);
        self.carry_out(decision);
        waiter
    }

    fn carry_out(&mut self, mut decision: Decision) {
        writeln!(self.transcript, "{:?} {decision:?}", self.now).unwrap();
        if self.refuses && !decision.records.is_empty() {
            let error = ErrorCode::CoordinatorNotAvailable;
            decision = self.shard.refused(self.now, decision, error);
            writeln!(self.transcript, "refused: {decision:?}").unwrap();
            assert_eq!(decision.records, [], "what is refused is not tried again");
            self.is_taken_back = true;
        }
        let life = self.life();
        for record in &decision.records {
            self.check_commit(record);
            let offset = Offset::new(i64::try_from(self.log.len()).unwrap());
            self.shard.replay(offset, record);
            self.log.push(record.clone());
        }
        for change in decision.timers {
            match change.at {
                Some(at) => self.timers.insert(change.key, at),
                None => self.timers.remove(&change.key),
            };
        }
        let until = match decision.records.is_empty() {
            true => usize::try_from(decision.seen.get()).unwrap(),
            false => self.log.len(),
        };
        assert!(
            until <= self.log.len(),
            "an answer waits for what never was"
        );
        for answer in decision.answers {
            let waited = self.waiting.remove(&answer.waiter);
            assert!(waited.is_some(), "{answer:?} was not asked for, or twice");
            self.parked.push((until, life, answer));
        }
    }

    /// How many times the group was deleted: generations begin anew then.
    fn life(&self) -> usize {
        let deleted = |record: &&Record| matches!(record, Record::Group { metadata: None, .. });
        self.log.iter().filter(deleted).count()
    }

    /// What is committed for a partition never goes back.
    fn check_commit(&self, record: &Record) {
        let Record::Offset {
            partition,
            committed: Some(new),
            ..
        } = record
        else {
            return;
        };
        let before = self.committed(*partition);
        let new = new.offset.get();
        assert!(
            before.is_none_or(|before| before < new),
            "partition {partition} goes from {before:?} to {new}"
        );
    }

    fn committed(&self, partition: i32) -> Option<i64> {
        let mut records = self.log.iter().rev();
        records.find_map(|record| match record {
            Record::Offset {
                partition: p,
                committed,
                ..
            } if *p == partition => Some(committed.as_ref().map(|c| c.offset.get())),
            _ => None,
        })?
    }

    fn sync(&mut self) {
        self.durable = self.log.len();
        self.deliver();
    }

    /// Hands out the answers that wait for nothing any more.
    fn deliver(&mut self) {
        loop {
            let mut parked = self.parked.iter();
            let ready = parked.position(|(until, _, _)| *until <= self.durable);
            let Some(ready) = ready else { break };
            let (_, life, answer) = self.parked.remove(ready);
            if let Some(key) = &answer.session {
                self.shard.answered(self.now, key);
            }
            let client = self.asker[&answer.waiter];
            if client < CLIENTS {
                self.hear(client, life, &answer);
            }
        }
        self.is_taken_back &= !self.parked.is_empty();
    }

    fn hear(&mut self, number: usize, life: usize, answer: &Answer) {
        let client = &mut self.clients[number];
        let synced = client.phase == Phase::Syncing(answer.waiter);
        client.hear(answer.waiter, &answer.response);
        if !synced || client.phase != Phase::Owning {
            return;
        }
        let owner = client.instance.as_ref().unwrap_or(&client.id).clone();
        for partition in client.positions.keys() {
            let place = (life, client.generation, *partition);
            let known = self.owners.entry(place).or_insert_with(|| owner.clone());
            assert_eq!(*known, owner, "two own partition {partition}: {place:?}");
        }
        let fetch = client.fetch();
        let waiter = WaiterId::new(self.asked);
        client.phase = Phase::Fetching(waiter);
        self.ask(number, fetch);
    }

    /// Lets time pass, and each timer come at its time.
    fn wait(&mut self, time: Duration) {
        let until = self.now.monotonic + time;
        loop {
            let due = self.timers.iter().min_by_key(|(key, at)| (**at, *key));
            match due.map(|(key, at)| (key.clone(), *at)) {
                Some((key, at)) if at <= until => {
                    self.pass(at);
                    self.timer(&key);
                }
                _ => break,
            }
        }
        self.pass(until);
    }

    /// Lets time pass in which nothing is done. What comes late takes nobody's time away.
    fn stall(&mut self, time: Duration) {
        self.pass(self.now.monotonic + time);
        let now = self.now.monotonic;
        for since in self.waiting.values_mut() {
            *since = now;
        }
        let due = self.timers.iter().filter(|(_, at)| **at <= now);
        let due: Vec<TimerKey> = due.map(|(key, _)| key.clone()).collect();
        for key in &due {
            self.timer(key);
        }
    }

    fn timer(&mut self, key: &TimerKey) {
        self.timers.remove(key);
        let answered = |key: &MemberKey| {
            let mut sessions = self.parked.iter().map(|(_, _, answer)| &answer.session);
            let is_parked = sessions.any(|session| session.as_ref() == Some(key));
            is_parked && !self.is_taken_back && self.shard.has(key)
        };
        let excused = match key {
            TimerKey::Session(member) => Some(member).filter(|member| answered(member)),
            _ => None,
        };
        let decision = self.shard.timer(self.now, key);
        if let Some(member) = excused {
            assert!(self.shard.has(member), "{member:?} could not know");
        }
        self.carry_out(decision);
        self.check();
    }

    fn pass(&mut self, until: Duration) {
        let passed = until.saturating_sub(self.now.monotonic);
        self.now.monotonic += passed;
        let millis = i64::try_from(passed.as_millis()).unwrap();
        self.now.wall = Timestamp::new(self.now.wall.get() + millis);
    }

    fn crash(&mut self, kept: usize) {
        let before = self.shard.clone();
        let whole = self.log.len();
        self.log.truncate(self.durable.saturating_add(kept));
        self.durable = self.log.len();
        self.load();
        if self.log.len() == whole {
            before.assert_same_hard(&self.shard);
        }
    }

    fn load(&mut self) {
        self.parked.clear();
        self.waiting.clear();
        self.timers.clear();
        for client in &mut self.clients {
            client.disconnect();
        }
        self.shard = GroupShard::new(self.config.clone());
        for (offset, record) in (0..).zip(&self.log) {
            self.shard.replay(Offset::new(offset), record);
        }
        let decision = self.shard.loaded(self.now);
        self.carry_out(decision);
    }

    fn check(&self) {
        self.shard.check();
        for (waiter, since) in &self.waiting {
            let waited = self.now.monotonic.saturating_sub(*since);
            assert!(waited <= WAIT_MAX, "{waiter:?} waits for {waited:?}");
        }
    }
}
