//! What the group coordinator costs, for loading, many members joining, and a rebalance: by itself,
//! without sockets and disk, then on a broker that has both.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod broker;

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use ottla_benches::conditions;
use ottla_benches::process::own_resident_bytes;
use ottla_benches::stats::{line, mib, repeat, summary, timed};
use ottla_coordinator::group::request::{Identity, JoinGroup, Protocol, SyncGroup};
use ottla_coordinator::group::{
    CommittedOffset, GroupConfig, GroupRequest, GroupShard, Now, Record, WaiterId,
};
use ottla_log::{Offset, Timestamp};
use ottla_protocol::StrBytes;

/// How often each figure is measured.
pub(crate) const RUNS: usize = 10;
/// How many records are replayed, and of how many partitions' offsets.
const RECORDS: i64 = 1_000_000;
const KEYS: i64 = 10_000;

fn main() -> io::Result<()> {
    println!("{}", conditions::line());
    memory();
    let log = log(KEYS);
    let times = run(|| timed(|| load(&log)).0);
    let name = "1,000,000 offset records replayed";
    println!("{}", line(name, summary(&times), "<= 1,500 ms"));
    let times = run(|| timed(|| Members::new(500, 100, 10).form()).0);
    println!("{}", line("500 members join and sync", summary(&times), ""));
    let times = run(|| {
        let mut members = Members::new(100, 1_000, 40);
        members.form();
        timed(|| members.rebalance()).0
    });
    let name = "100 members over 1,000 partitions";
    println!("{}", line(name, summary(&times), "<= 50 ms"));
    broker::measure()
}

/// What a shard holds that has replayed so many records of a few keys, and of many.
fn memory() {
    for keys in [100, KEYS, 100_000] {
        let log = log(keys);
        let before = own_resident_bytes();
        let shard = load(&log);
        let more = own_resident_bytes().saturating_sub(before);
        let name = format!("1,000,000 records of {keys} keys hold");
        let counted = mib(shard.bytes_held() as u64);
        let figure = format!("{:.1} MiB resident, {counted:.1} counted", mib(more));
        println!("{}", line(&name, figure, "in proportion to keys"));
    }
}

fn run(mut measure: impl FnMut() -> Duration) -> Vec<Duration> {
    let Ok(times) = repeat::<Infallible>(RUNS, || Ok(measure()));
    times
}

fn text(text: String) -> StrBytes {
    StrBytes::from_string(text)
}

/// A log of commits as it is read: groups of a thousand partitions each, one after another, `keys`
/// partitions in all.
fn log(keys: i64) -> Vec<(Bytes, Bytes)> {
    let records = (0..RECORDS).map(|n| Record::Offset {
        group: text(format!("orders-service-{}", n % keys / 1_000)),
        topic: text(format!("orders.events-{}", n % 10)),
        partition: i32::try_from(n % keys).unwrap_or_default(),
        committed: Some(CommittedOffset {
            offset: Offset::new(n),
            leader_epoch: None,
            metadata: StrBytes::new(),
            committed_at: Timestamp::new(n),
            expires_at: None,
            topic_id: None,
        }),
    });
    let bytes = records.filter_map(|record| record.encode().ok());
    bytes
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

fn load(log: &[(Bytes, Bytes)]) -> GroupShard {
    let mut shard = GroupShard::new(GroupConfig::default());
    for (offset, (key, value)) in (0..).zip(log) {
        if let Ok(record) = Record::decode(key, Some(value)) {
            shard.replay(Offset::new(offset), &record);
        }
    }
    shard
}

/// A group's members, which do as they are told.
struct Members {
    shard: GroupShard,
    end: Offset,
    members: usize,
    subscription: Bytes,
    assignment: Bytes,
    generation: i32,
}

impl Members {
    /// Each says `says` bytes to the leader and is assigned its share of `partitions`.
    fn new(members: usize, partitions: usize, says: usize) -> Self {
        let config = GroupConfig {
            initial_rebalance_delay: Duration::ZERO,
            ..GroupConfig::default()
        };
        Self {
            shard: GroupShard::new(config),
            end: Offset::ZERO,
            members,
            subscription: Bytes::from(vec![0; says]),
            assignment: Bytes::from(vec![0; 20 + 4 * partitions / members]),
            generation: 1,
        }
    }

    fn id(member: usize) -> StrBytes {
        text(format!("consumer-orders-service-{member}-{member:036}"))
    }

    fn ask(&mut self, member: usize, request: GroupRequest) {
        let waiter = WaiterId::new(member as u64);
        let decision = self.shard.handle(Now::default(), waiter, request);
        for record in &decision.records {
            self.shard.replay(self.end, record);
            self.end = self.end.plus(1);
        }
    }

    fn join(&mut self, member: usize, id: StrBytes) {
        let request = GroupRequest::Join(JoinGroup {
            group: "orders-service".into(),
            member_id: id,
            instance_id: None,
            client_id: text(format!("consumer-orders-service-{member}")),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            protocol_type: "consumer".into(),
            protocols: ["range", "cooperative-sticky"]
                .map(|name| Protocol {
                    name: name.into(),
                    metadata: self.subscription.clone(),
                })
                .into(),
            entropy: text(format!("{member:036}")),
            requires_member_id: true,
            can_skip_assignment: true,
        });
        self.ask(member, request);
    }

    /// All join and sync. The first one has a generation of its own before the others come.
    fn form(&mut self) {
        for member in 0..self.members {
            self.join(member, StrBytes::new());
        }
        self.rebalance();
    }

    /// All join again, the leader last, and sync.
    fn rebalance(&mut self) {
        for member in 0..self.members {
            self.join(member, Self::id(member));
        }
        self.join(0, Self::id(0));
        self.generation += 1;
        let recorded = self.end;
        for member in (0..self.members).rev() {
            let leads = if member == 0 { self.members } else { 0 };
            let assignments = (0..leads).map(|m| (Self::id(m), self.assignment.clone()));
            let request = GroupRequest::Sync(SyncGroup {
                group: "orders-service".into(),
                identity: Identity {
                    member_id: Self::id(member),
                    instance_id: None,
                    generation: self.generation,
                },
                assignments: assignments.collect(),
                ..SyncGroup::default()
            });
            self.ask(member, request);
        }
        assert_eq!(self.end, recorded.plus(1), "the generation is recorded");
    }
}
