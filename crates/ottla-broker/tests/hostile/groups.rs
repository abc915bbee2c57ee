//! Groups without number, with as much in them as anybody may say: what they take of memory has
//! its bound, and what was there before goes on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use ottla_broker::{BrokerOptions, RunningBroker, Storage};
use ottla_log::FlushMode;
use ottla_partition::metadata::config::BrokerConfig;
use ottla_protocol::ErrorCode;
use ottla_protocol::client::messages::delete_groups_request::DeleteGroupsRequest;
use ottla_protocol::client::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use ottla_protocol::client::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::client::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use ottla_protocol::client::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, TopicName,
};
use ottla_protocol::client::{StrBytes, encode_request};

use crate::alone;
use crate::answers::create_named;
use crate::client::{Client, start_with};
use crate::heap::Heap;
use crate::peer::{End, Peer, broker_in};

/// What groups may take.
const MOST: usize = 8 * 1024 * 1024;
/// What else is held: files that are open, records on their way to the disk, buffers that grew.
const OTHERS: usize = 2 * 1024 * 1024;

const TOPIC: &str = "t";

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn id(group: &str) -> GroupId {
    GroupId(text(group))
}

/// Commits one offset for a group without members.
fn commit(client: &mut Client, group: &str, note: &str) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(1)
        .with_committed_metadata(Some(text(note)));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text(TOPIC)))
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    client.call(&request, 8).topics[0].partitions[0].error_code
}

/// Joins as the only member, in a version that asks for no id first; the id, or the code.
fn join(client: &mut Client, group: &str, version: i16, says: usize) -> Result<StrBytes, i16> {
    let joined = client.call(&joins(group, says), version);
    match joined.error_code {
        0 => Ok(joined.member_id),
        code => Err(code),
    }
}

/// The request of a new member that `says` so many bytes.
fn joins(group: &str, says: usize) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from(vec![7; says]));
    JoinGroupRequest::default()
        .with_group_id(id(group))
        .with_session_timeout_ms(1_800_000)
        .with_rebalance_timeout_ms(1_800_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn assign(client: &mut Client, group: &str, member: StrBytes, bytes: usize) -> i16 {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(member.clone())
        .with_assignment(Bytes::from(vec![7; bytes]));
    let request = SyncGroupRequest::default()
        .with_group_id(id(group))
        .with_generation_id(1)
        .with_member_id(member)
        .with_assignments(vec![assignment]);
    client.call(&request, 3).error_code
}

/// What a flood is made of. Each makes one more group and gives the code of its answer.
type Flood = fn(&mut Client, &str) -> i16;

const FLOODS: [(&str, ErrorCode, Flood); 5] = [
    (
        "offsets",
        ErrorCode::InvalidCommitOffsetSize,
        |client, group| commit(client, group, ""),
    ),
    (
        "offsets with long names and notes",
        ErrorCode::InvalidCommitOffsetSize,
        |client, group| {
            commit(
                client,
                &format!("{group}{}", "x".repeat(30_000)),
                &"n".repeat(4096),
            )
        },
    ),
    (
        "members that say little",
        ErrorCode::GroupMaxSizeReached,
        |client, group| join(client, group, 3, 1).err().unwrap_or(0),
    ),
    (
        "members that say much",
        ErrorCode::GroupMaxSizeReached,
        |client, group| join(client, group, 3, 200_000).err().unwrap_or(0),
    ),
    (
        "ids that nobody comes back with",
        ErrorCode::GroupMaxSizeReached,
        |client, group| match join(client, group, 4, 1) {
            Err(code) if code == ErrorCode::MemberIdRequired.code() => 0,
            Err(code) => code,
            Ok(member) => panic!("{member} joined without an id"),
        },
    ),
];

/// A broker that has room for few groups, with some old ones, and a client of it.
fn small(dir: &Path) -> (RunningBroker, Client) {
    let mut options = options_of_few_groups(dir);
    options.limits.groups_bytes_max = MOST as u64;
    let (broker, address) = start_with(options);
    let mut client = Client::connect(address);
    assert_eq!(create_named(&mut client, TOPIC), 0);
    let find = FindCoordinatorRequest::default().with_key(text("old"));
    assert_eq!(client.call(&find, 3).error_code, 0);
    for number in 0..4 {
        assert_eq!(commit(&mut client, &format!("old-{number}"), "note"), 0);
    }
    (broker, client)
}

/// A generation is formed at once, and there are few partitions to keep groups in.
fn options_of_few_groups(dir: &Path) -> BrokerOptions {
    let mut options = BrokerOptions::new(Storage::Dir(dir.to_path_buf()));
    options.flush = FlushMode::Os;
    let given = [
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.num.partitions", "4"),
    ];
    let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
    options.config = BrokerConfig::new(given).unwrap().0;
    options
}

#[test]
fn groups_take_no_more_memory_than_they_may() {
    let _turn = alone();
    for (what, refusal, flood) in FLOODS {
        let dir = tempfile::tempdir().unwrap();
        let (broker, mut client) = small(dir.path());
        let heap = Heap::watch();
        let (mut made, mut refused) = (0, 0);
        while refused < 100 {
            match flood(&mut client, &format!("group-{made}-{refused}")) {
                0 => made += 1,
                code => {
                    assert_eq!(code, refusal.code(), "{what}, after {made}");
                    refused += 1;
                }
            }
            assert!(made < 20_000, "{what}: there is no end to it");
        }
        let held = heap.live();
        let most = MOST + MOST / 8 + OTHERS;
        assert!(held <= most, "{what}: {made} groups take {held} bytes");
        // Nor is much less held than is counted: what is allowed can be had.
        assert!(held >= MOST / 4, "{what}: {made} groups take {held} bytes");

        // Who was there before goes on.
        assert_eq!(commit(&mut client, "old-0", "note"), 0, "{what}");
        if what == "offsets" {
            // So does whoever comes when others are gone.
            assert_eq!(commit(&mut client, "new", ""), refusal.code());
            let gone = (0..made).map(|number| id(&format!("group-{number}-0")));
            let delete = DeleteGroupsRequest::default().with_groups_names(gone.collect());
            let deleted = client.call(&delete, 1);
            assert!(deleted.results.iter().all(|group| group.error_code == 0));
            assert_eq!(commit(&mut client, "new", ""), 0);
        }
        drop(broker);
    }
}

#[test]
fn assignments_take_no_more_memory_than_they_may() {
    const BYTES: usize = 300_000;
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let (broker, mut client) = small(dir.path());
    let groups: Vec<String> = (0..60).map(|number| format!("group-{number}")).collect();
    let members = groups
        .iter()
        .map(|group| join(&mut client, group, 3, 1).unwrap());
    let members: Vec<StrBytes> = members.collect();
    let heap = Heap::watch();
    let mut made = 0;
    for (group, member) in groups.iter().zip(members) {
        match assign(&mut client, group, member, BYTES) {
            0 => made += 1,
            code => assert_eq!(code, ErrorCode::UnknownServerError.code()),
        }
    }
    let held = heap.live();
    assert!(held <= MOST + MOST / 8 + OTHERS, "{made} take {held} bytes");
    assert!(made >= MOST / BYTES - 1, "{made} take {held} bytes");
    assert_eq!(commit(&mut client, "old-0", "note"), 0);
    drop(broker);
}

/// A leader whose follower says much hears all of it, as often as it asks.
fn asks_what_another_said(client: &mut Client, address: SocketAddr) -> Bytes {
    let leader = join(client, "told", 3, 1).unwrap();
    let mut follower = Client::connect(address);
    follower.send(&joins("told", MUCH), 3);
    let beat = HeartbeatRequest::default()
        .with_group_id(id("told"))
        .with_generation_id(1)
        .with_member_id(leader.clone());
    let rebalances = ErrorCode::RebalanceInProgress.code();
    while client.call(&beat, 3).error_code != rebalances {}
    let again = joins("told", 1).with_member_id(leader);
    let joined = client.call(&again, 3);
    assert_eq!((joined.error_code, joined.members.len()), (0, 2));
    encode_request(&again, 3, 1, "hostile").unwrap()
}

/// A member hears its assignment, as often as it asks.
fn asks_for_its_assignment(client: &mut Client, _: SocketAddr) -> Bytes {
    let member = join(client, "assigned", 3, 1).unwrap();
    assert_eq!(assign(client, "assigned", member.clone(), MUCH), 0);
    let again = SyncGroupRequest::default()
        .with_group_id(id("assigned"))
        .with_generation_id(1)
        .with_member_id(member);
    encode_request(&again, 3, 1, "hostile").unwrap()
}

/// Nearly as much as one member may say.
const MUCH: usize = 1_000_000;

type Asks = fn(&mut Client, SocketAddr) -> Bytes;

/// Peers who ask in few bytes for what members said, and read no answer.
#[test]
fn what_members_are_told_stays_within_the_budget() {
    const BUDGET: u64 = 8 << 20;
    const WINDOW: u64 = 4 << 20;
    let _turn = alone();
    let ways: [(&str, Asks); 2] = [
        ("JoinGroup", asks_what_another_said),
        ("SyncGroup", asks_for_its_assignment),
    ];
    for (what, asks) in ways {
        let dir = tempfile::tempdir().unwrap();
        let (broker, address) = broker_in(Storage::Dir(dir.path().to_path_buf()), |options| {
            *options = options_of_few_groups(dir.path());
            options.limits.groups_bytes_max = 16 << 20;
            options.limits.budget_bytes = BUDGET;
            options.limits.window_bytes_max = WINDOW;
            options.limits.pressed_grace = Duration::from_millis(200);
        });
        let mut client = Client::connect(address);
        let find = FindCoordinatorRequest::default().with_key(text("told"));
        assert_eq!(client.call(&find, 3).error_code, 0);
        let ask = asks(&mut client, address);
        // More answers than a socket and the window hold.
        let asks = ask.repeat(20);
        let heap = Heap::watch();
        let mut peers: Vec<Peer> = (0..16).map(|_| Peer::connect(address)).collect();
        for peer in &mut peers {
            peer.send(&asks);
        }
        // Each is told, or gives way to who waits.
        let told = peers
            .iter_mut()
            .filter_map(Peer::begins)
            .collect::<Vec<_>>();
        let peak = heap.peak() as u64;
        // What everybody holds, in buffers that are up to twice as large, and the making of one
        // answer beyond it.
        let allowed = 2 * (BUDGET + WINDOW) + 4 * MUCH as u64 + OTHERS as u64;
        assert!(peak <= allowed, "{what}: {peak} bytes of {allowed}");
        assert!(!told.is_empty(), "{what}: nobody is told");
        assert!(told.iter().all(|len| *len > MUCH), "{what}: {told:?}");
        drop(peers);
        assert!(matches!(
            Peer::connect(address).ask_last(&ask),
            End::Answered(MUCH..)
        ));
        drop(broker);
    }
}
