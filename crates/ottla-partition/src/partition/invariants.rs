//! What must hold of a replica whatever happens to it, in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_log::{FlushMode, LeaderEpoch, Offset};
use proptest::prelude::*;

use super::*;
use crate::metadata::Partition;
use crate::{BrokerId, PartitionEpoch};

const ME: BrokerId = BrokerId::new(1);

#[derive(Clone, Debug)]
enum Op {
    /// The log grows by so many records.
    Append(i64),
    /// All but so many records are durable.
    Durable(i64),
    /// A producer asks for records that end so many before the end.
    Produce(i64),
    /// A follower fetches from so many records before the leader's end.
    Fetch(i32, i64, bool),
    /// The controller commits this ISR (and this broker).
    Isr(Vec<i32>, bool),
    /// The controller elects another broker, and then this one again.
    LoseAndRegain(Vec<i32>),
    IsrRefused,
    MinIsr(u32),
    Wait(u64),
    Fail,
}

fn op(replicas: i32) -> impl Strategy<Value = Op> {
    let ids = prop::collection::vec(2..=replicas.max(2), 0..3);
    prop_oneof![
        6 => (0i64..5).prop_map(Op::Append),
        6 => (0i64..6).prop_map(Op::Durable),
        6 => (0i64..5).prop_map(Op::Produce),
        8 => (2..=replicas.max(2), 0i64..6, prop::bool::weighted(0.8))
            .prop_map(|(id, behind, eligible)| Op::Fetch(id, behind, eligible)),
        3 => (ids.clone(), any::<bool>()).prop_map(|(ids, new)| Op::Isr(ids, new)),
        1 => ids.prop_map(Op::LoseAndRegain),
        1 => Just(Op::IsrRefused),
        1 => (1u32..4).prop_map(Op::MinIsr),
        3 => (0u64..20).prop_map(Op::Wait),
        1 => Just(Op::Fail),
    ]
}

/// A replica and what an observer from outside knows of it.
struct Model {
    replica: Replica,
    config: ReplicaConfig,
    replicas: Vec<BrokerId>,
    now: Duration,
    leader_epoch: i32,
    partition_epoch: i32,
    isr: BTreeSet<BrokerId>,
    /// How far each follower acknowledged in this term.
    acked: BTreeMap<BrokerId, Offset>,
    /// Who waits for which end, not answered yet.
    waiting: BTreeMap<WaiterId, Offset>,
    next_waiter: u64,
    timers: BTreeSet<(Duration, Timer)>,
    high_watermark: Offset,
    is_isr_proposed: bool,
}

impl Model {
    fn new(flush: FlushMode, replicas: i32, min_isr: u32) -> Self {
        let config = ReplicaConfig {
            flush,
            min_insync_replicas: min_isr,
            lag_max: Duration::from_secs(10),
        };
        let ids: Vec<BrokerId> = (1..=replicas).map(BrokerId::new).collect();
        let mut model = Self {
            replica: Replica::new(ME, config, Ends::default(), Offset::ZERO),
            config,
            isr: ids.iter().copied().collect(),
            replicas: ids,
            now: Duration::ZERO,
            leader_epoch: 0,
            partition_epoch: 0,
            acked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_waiter: 0,
            timers: BTreeSet::new(),
            high_watermark: Offset::ZERO,
            is_isr_proposed: false,
        };
        model.register(Some(ME));
        model
    }

    fn register(&mut self, leader: Option<BrokerId>) {
        self.partition_epoch += 1;
        self.is_isr_proposed = false;
        let partition = Partition {
            replicas: self.replicas.clone(),
            directories: Vec::new(),
            isr: self.isr.iter().copied().collect(),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader,
            recovering: false,
            leader_epoch: LeaderEpoch::new(self.leader_epoch),
            partition_epoch: PartitionEpoch::new(self.partition_epoch),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        };
        self.replica.registered(self.now, &partition);
        self.settle();
    }

    fn set_isr(&mut self, ids: &[i32]) {
        let others = ids.iter().map(|id| BrokerId::new(*id));
        self.isr = others
            .filter(|id| self.replicas.contains(id))
            .chain([ME])
            .collect();
    }

    fn apply(&mut self, op: &Op) {
        let ends = self.replica.ends();
        match op {
            Op::Append(n) => self.replica.appended(self.now, ends.end.plus(*n)),
            Op::Durable(behind) => {
                let durable = Offset::new((ends.end.get() - behind).max(0));
                self.replica.durable(self.now, durable);
            }
            Op::Produce(behind) => self.produce(Offset::new((ends.end.get() - behind).max(0))),
            Op::Fetch(id, behind, is_eligible) => {
                let fetch = FollowerFetch {
                    broker: BrokerId::new(*id),
                    offset: Offset::new((ends.end.get() - behind).max(0)),
                    log_start: Offset::ZERO,
                    is_eligible: *is_eligible,
                };
                if self.replica.fetched(self.now, &fetch).is_ok() {
                    self.acked.insert(fetch.broker, fetch.offset);
                }
            }
            Op::Isr(ids, is_new_term) => {
                self.set_isr(ids);
                if *is_new_term {
                    self.leader_epoch += 1;
                    self.acked.clear();
                }
                self.register(Some(ME));
            }
            Op::LoseAndRegain(ids) => {
                self.leader_epoch += 1;
                self.acked.clear();
                self.register(Some(BrokerId::new(2)));
                assert!(
                    self.waiting.is_empty(),
                    "who waits is told of the new leader"
                );
                self.set_isr(ids);
                self.leader_epoch += 1;
                self.register(Some(ME));
            }
            Op::IsrRefused => {
                self.is_isr_proposed = false;
                self.replica.isr_refused();
            }
            Op::MinIsr(n) => {
                self.config.min_insync_replicas = *n;
                self.replica.configure(self.now, self.config);
            }
            Op::Wait(seconds) => self.wait(Duration::from_secs(*seconds)),
            Op::Fail => {
                self.replica.failed();
                self.settle();
                assert!(self.waiting.is_empty(), "who waits is told of the failure");
            }
        }
        self.settle();
    }

    fn produce(&mut self, end: Offset) {
        let waiter = WaiterId::new(self.next_waiter);
        self.next_waiter += 1;
        self.waiting.insert(waiter, end);
        let deadline = self.now + Duration::from_secs(15);
        self.replica.produced(waiter, Acks::All, end, deadline);
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((at, key)) = self.timers.first().copied().filter(|(at, _)| *at <= until) {
            self.timers.remove(&(at, key));
            self.now = at;
            self.replica.timer(at, key);
            self.settle();
        }
        self.now = until;
    }

    /// Takes the outputs in, and checks each.
    fn settle(&mut self) {
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::HighWatermark(offset) => {
                    assert!(offset > self.high_watermark, "it never goes back or stands");
                    self.high_watermark = offset;
                    self.check_high_watermark();
                }
                Output::Answer { waiter, result } => self.check_answer(waiter, &result),
                Output::ProposeIsr {
                    isr,
                    leader_epoch,
                    partition_epoch,
                } => {
                    assert!(!self.is_isr_proposed, "one change at a time");
                    self.is_isr_proposed = true;
                    assert!(isr.contains(&ME), "a leader never drops itself");
                    assert!(isr.iter().all(|id| self.replicas.contains(id)));
                    assert_ne!(isr, self.isr.iter().copied().collect::<Vec<_>>());
                    assert_eq!(leader_epoch.get(), self.leader_epoch);
                    assert_eq!(partition_epoch.get(), self.partition_epoch);
                }
                Output::Timer { key, at } => {
                    self.timers.retain(|(_, other)| *other != key);
                    self.timers.insert((at, key));
                }
                Output::EpochStarts { epoch, start } => {
                    assert_eq!(epoch.get(), self.leader_epoch);
                    assert_eq!(start, self.replica.ends().end);
                }
            }
        }
        assert_eq!(self.replica.high_watermark(), self.high_watermark);
    }

    fn check_high_watermark(&self) {
        let ends = self.replica.ends();
        assert!(self.high_watermark <= ends.end);
        if self.config.flush == FlushMode::Sync {
            assert!(
                self.high_watermark <= ends.durable,
                "shown, but not durable"
            );
        }
        for id in self.isr.iter().filter(|id| **id != ME) {
            let acked = self.acked.get(id);
            assert!(
                acked.is_some_and(|acked| *acked >= self.high_watermark),
                "{id} is in sync, but acknowledged {acked:?} of {}",
                self.high_watermark
            );
        }
        assert!(self.isr.len() >= self.min_isr(), "too few in sync");
    }

    fn min_isr(&self) -> usize {
        let asked = usize::try_from(self.config.min_insync_replicas).unwrap();
        asked.min(self.replicas.len())
    }

    fn check_answer(&mut self, waiter: WaiterId, result: &Result<(), ReplicaError>) {
        let end = self.waiting.remove(&waiter);
        let end = end.unwrap_or_else(|| panic!("{waiter:?} is answered twice"));
        match result {
            Ok(()) => {
                assert!(
                    end <= self.high_watermark,
                    "acknowledged, but not committed"
                );
                if self.config.flush == FlushMode::Sync {
                    assert!(
                        end <= self.replica.ends().durable,
                        "acknowledged, not durable"
                    );
                }
            }
            Err(ReplicaError::TimedOut) => assert!(end > self.high_watermark, "it was committed"),
            Err(ReplicaError::NotEnoughReplicasAfterAppend) => {
                assert!(end <= self.high_watermark);
                assert!(self.isr.len() < self.min_isr(), "enough are in sync");
            }
            Err(ReplicaError::NotLeader { .. }) => assert_ne!(self.replica.role(), Role::Leader),
            Err(ReplicaError::Offline) => assert_eq!(self.replica.role(), Role::Offline),
            Err(other) => panic!("no answer to a wait: {other:?}"),
        }
    }
}

fn flush() -> impl Strategy<Value = FlushMode> {
    prop_oneof![Just(FlushMode::Sync), Just(FlushMode::Os)]
}

/// Operations on a partition of one to three replicas.
fn run() -> impl Strategy<Value = (FlushMode, i32, u32, Vec<Op>)> {
    (1i32..=3).prop_flat_map(|replicas| {
        let ops = prop::collection::vec(op(replicas), 1..80);
        (flush(), Just(replicas), 1u32..4, ops)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_high_watermark_and_the_answers_keep_their_promises(
        (flush, replicas, min_isr, ops) in run(),
    ) {
        let mut model = Model::new(flush, replicas, min_isr);
        for op in &ops {
            model.apply(op);
        }
        // Nobody is forgotten: each waiter is answered in the end.
        model.wait(Duration::from_secs(60));
        prop_assert!(model.waiting.is_empty(), "left waiting: {:?}", model.waiting);
    }

    #[test]
    fn a_clone_goes_the_same_way((flush, replicas, min_isr, ops) in run()) {
        let mut one = Model::new(flush, replicas, min_isr);
        let half = ops.len() / 2;
        for op in &ops[..half] {
            one.apply(op);
        }
        let fork = one.replica.clone();
        prop_assert_eq!(&fork, &one.replica);
        for op in &ops[half..] {
            one.apply(op);
        }
        let mut two = Model::new(flush, replicas, min_isr);
        for op in &ops {
            two.apply(op);
        }
        prop_assert_eq!(one.replica, two.replica);
    }
}

#[test]
fn a_lone_replica_in_os_mode_commits_what_it_writes() {
    let mut model = Model::new(FlushMode::Os, 1, 1);
    model.apply(&Op::Append(3));
    assert_eq!(model.high_watermark, Offset::new(3));
    model.apply(&Op::Produce(0));
    assert!(model.waiting.is_empty());
}
