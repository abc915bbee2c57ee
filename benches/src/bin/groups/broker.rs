//! Groups on a broker with its disk, through sockets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use ottla_benches::process::BrokerProcess;
use ottla_benches::stats::{line, mib, repeat, summary, timed};
use ottla_benches::wire::Wire;
use ottla_protocol::StrBytes;
use ottla_protocol::client::messages::create_topics_request::CreatableTopic;
use ottla_protocol::client::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use ottla_protocol::client::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::client::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::client::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use ottla_protocol::client::messages::{
    CreateTopicsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId,
    OffsetCommitRequest, OffsetFetchRequest, TopicName,
};

use crate::RUNS;

const GROUP: &str = "orders-service";
const TOPIC: &str = "orders.events";
/// The partitions that offsets are committed of, by how many groups, and how often each.
const PARTITIONS: i32 = 1_000;
const GROUPS: i64 = 10;
const COMMITS: i64 = 100;
/// COORDINATOR_LOAD_IN_PROGRESS.
const LOADING: i16 = 14;

/// Prints what joining, a rebalance and the load at a start take.
pub(crate) fn measure() -> io::Result<()> {
    let times = repeat(RUNS, || joining(500))?;
    let name = "500 members join through sockets";
    println!("{}", line(name, summary(&times), "<= 1,000 ms"));
    rebalancing(100, 1_000)?;
    loading()
}

/// So many members connect to a fresh broker, join one group and sync, all at once.
fn joining(members: usize) -> io::Result<Duration> {
    let dir = tempfile::tempdir()?;
    let broker = ready_for_groups(dir.path())?;
    let (time, formed) = timed(|| Group::form(broker.address(), members, 40));
    formed?;
    broker.terminate()?;
    Ok(time)
}

/// A fresh broker that has its topic of groups.
fn ready_for_groups(data: &std::path::Path) -> io::Result<BrokerProcess> {
    let broker = BrokerProcess::start(data, &[])?;
    let find = FindCoordinatorRequest::default().with_key(GROUP.into());
    Wire::connect(broker.address())?.call(3, &find)?;
    Ok(broker)
}

/// A group of `members` over `partitions` rebalances, again and again.
fn rebalancing(members: usize, partitions: usize) -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = ready_for_groups(dir.path())?;
    // What the consumer protocol makes of an assignment of one topic.
    let assigned = 20 + 4 * partitions / members;
    let mut group = Group::form(broker.address(), members, assigned)?;
    group.rebalance()?;
    let before = broker.cpu();
    let times = repeat(RUNS, || {
        let (time, done) = timed(|| group.rebalance());
        done.map(|()| time)
    })?;
    let cpu = broker.cpu().saturating_sub(before) / u32::try_from(RUNS).unwrap_or(1);
    let name = "a broker's 100 members over 1,000";
    println!("{}", line(name, summary(&times), ""));
    let figure = format!("{} ms of its CPU each", cpu.as_millis());
    println!("{}", line(name, figure, "<= 50 ms"));
    broker.terminate()
}

/// A broker starts, stopped in good order before, with a million commits of ten thousand offsets.
fn loading() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let broker = ready_for_groups(dir.path())?;
    commit_all(broker.address())?;
    broker.terminate()?;
    let mut resident = 0;
    let times = repeat(RUNS, || {
        let (time, broker) = timed(|| {
            let broker = BrokerProcess::start(dir.path(), &[])?;
            wait_for_all(broker.address())?;
            io::Result::Ok(broker)
        });
        let broker = broker?;
        resident = broker.resident_bytes().max(resident);
        broker.terminate()?;
        io::Result::Ok(time)
    })?;
    let name = "start until 1,000,000 commits are there";
    println!("{}", line(name, summary(&times), "<= 1,500 ms"));
    let figure = format!("{:.1} MiB resident at most", mib(resident));
    println!("{}", line(name, figure, ""));
    Ok(())
}

fn group_id(number: i64) -> GroupId {
    GroupId(StrBytes::from_string(format!("{GROUP}-{number}")))
}

fn commit_all(address: SocketAddr) -> io::Result<()> {
    let mut wire = Wire::connect(address)?;
    let topic = CreatableTopic::default()
        .with_name(TopicName(TOPIC.into()))
        .with_num_partitions(PARTITIONS)
        .with_replication_factor(1);
    let create = CreateTopicsRequest::default().with_topics(vec![topic]);
    wire.call(7, &create.with_timeout_ms(30_000))?;
    for round in 0..COMMITS {
        for group in 0..GROUPS {
            let offset = |number| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(number)
                    .with_committed_offset(round)
            };
            let topic = OffsetCommitRequestTopic::default()
                .with_name(TopicName(TOPIC.into()))
                .with_partitions((0..PARTITIONS).map(offset).collect());
            let commit = OffsetCommitRequest::default()
                .with_group_id(group_id(group))
                .with_generation_id_or_member_epoch(-1)
                .with_topics(vec![topic]);
            let answer = wire.call(8, &commit)?;
            let codes = answer.topics.iter().flat_map(|topic| &topic.partitions);
            if codes.clone().count() != 1_000 || codes.clone().any(|one| one.error_code != 0) {
                return Err(io::Error::other(format!("a commit got {answer:?}")));
            }
        }
    }
    Ok(())
}

/// Returns once every group answers with its last offsets.
fn wait_for_all(address: SocketAddr) -> io::Result<()> {
    let mut wire = Wire::connect(address)?;
    for group in 0..GROUPS {
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(group_id(group))
            .with_topics(None);
        let fetch = OffsetFetchRequest::default().with_groups(vec![asked]);
        loop {
            let answer = wire.call(8, &fetch)?;
            let told = &answer.groups[0];
            if told.error_code == LOADING {
                continue;
            }
            let offsets = told.topics.iter().flat_map(|topic| &topic.partitions);
            let last = offsets.filter(|one| one.committed_offset == COMMITS - 1);
            if last.count() != 1_000 {
                return Err(io::Error::other(format!("group {group} has {told:?}")));
            }
            break;
        }
    }
    Ok(())
}

/// A group whose members are a connection each; the first one leads.
struct Group {
    wires: Vec<Wire>,
    ids: Vec<StrBytes>,
    /// What each is assigned, in bytes.
    assigned: usize,
    look: Wire,
}

impl Group {
    /// So many members connect and join, all at once, and sync.
    fn form(address: SocketAddr, members: usize, assigned: usize) -> io::Result<Self> {
        let connect = |_| Wire::connect(address);
        let mut group = Self {
            wires: (0..members).map(connect).collect::<io::Result<_>>()?,
            ids: vec![StrBytes::new(); members],
            assigned,
            look: Wire::connect(address)?,
        };
        group.send_joins(0..members)?;
        let mut ids = Vec::with_capacity(members);
        for wire in &mut group.wires {
            ids.push(wire.receive::<JoinGroupRequest>(9)?.member_id);
        }
        group.ids = ids;
        // The first one learns of the others once it has joined.
        group.send_joins(0..1)?;
        group.wires[0].receive::<JoinGroupRequest>(9)?;
        group.send_joins(1..members)?;
        // Who joins later than the first one does again would make it join once more.
        while group.described()?.members.len() < members {}
        group.send_joins(0..1)?;
        group.sync()?;
        Ok(group)
    }

    /// The leader joins again, so all do, and sync.
    fn rebalance(&mut self) -> io::Result<()> {
        self.send_joins(0..1)?;
        // Who joins again before there is a rebalance is told that there is none.
        while self.described()?.group_state.as_str() != "PreparingRebalance" {}
        self.send_joins(1..self.wires.len())?;
        self.sync()
    }

    fn described(
        &mut self,
    ) -> io::Result<ottla_protocol::client::messages::describe_groups_response::DescribedGroup>
    {
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(GROUP.into())]);
        let mut answer = self.look.call(5, &request)?;
        let nothing = || io::Error::other("no group is described");
        answer.groups.pop().ok_or_else(nothing)
    }

    fn send_joins(&mut self, members: std::ops::Range<usize>) -> io::Result<()> {
        for member in members {
            let request = join_request(&self.ids[member]);
            self.wires[member].send(9, &request)?;
        }
        Ok(())
    }

    /// All are told their generation, and what they are assigned, the leader's word last.
    fn sync(&mut self) -> io::Result<()> {
        let mut generation = -1;
        for wire in &mut self.wires {
            generation = wire.receive::<JoinGroupRequest>(9)?.generation_id;
        }
        for member in (0..self.wires.len()).rev() {
            let assigns = if member == 0 { &self.ids[..] } else { &[] };
            let request = sync_request(generation, &self.ids[member], assigns, self.assigned);
            self.wires[member].send(5, &request)?;
        }
        for wire in &mut self.wires {
            let synced = wire.receive::<SyncGroupRequest>(5)?;
            if synced.error_code != 0 || synced.assignment.len() != self.assigned {
                return Err(io::Error::other(format!("a member has {synced:?}")));
            }
        }
        Ok(())
    }
}

fn join_request(id: &StrBytes) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name("range".into())
        .with_metadata(Bytes::from_static(&[0; 40]));
    JoinGroupRequest::default()
        .with_group_id(GroupId(GROUP.into()))
        .with_session_timeout_ms(45_000)
        .with_rebalance_timeout_ms(300_000)
        .with_member_id(id.clone())
        .with_protocol_type("consumer".into())
        .with_protocols(vec![protocol])
}

fn sync_request(
    generation: i32,
    id: &StrBytes,
    members: &[StrBytes],
    assigned: usize,
) -> SyncGroupRequest {
    let assignment = |id: &StrBytes| {
        SyncGroupRequestAssignment::default()
            .with_member_id(id.clone())
            .with_assignment(Bytes::from(vec![0; assigned]))
    };
    SyncGroupRequest::default()
        .with_group_id(GroupId(GROUP.into()))
        .with_generation_id(generation)
        .with_member_id(id.clone())
        .with_protocol_type(Some("consumer".into()))
        .with_protocol_name(Some("range".into()))
        .with_assignments(members.iter().map(assignment).collect())
}
