//! Groups without number, with as much in them as anybody may say: what they take of memory has
//! its bound, and what was there before goes on.

use std::path::Path;

use bytes::Bytes;
use ottla_broker::{BrokerOptions, RunningBroker, Storage};
use ottla_log::FlushMode;
use ottla_partition::metadata::config::BrokerConfig;
use ottla_protocol::ErrorCode;
use ottla_protocol::client::StrBytes;
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
use ottla_protocol::client::messages::{FindCoordinatorRequest, GroupId, TopicName};

use crate::alone;
use crate::answers::create_named;
use crate::client::{Client, start_with};
use crate::heap::Heap;

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
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from(vec![7; says]));
    let request = JoinGroupRequest::default()
        .with_group_id(id(group))
        .with_session_timeout_ms(1_800_000)
        .with_rebalance_timeout_ms(1_800_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let joined = client.call(&request, version);
    match joined.error_code {
        0 => Ok(joined.member_id),
        code => Err(code),
    }
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
    let mut options = BrokerOptions::new(Storage::Dir(dir.to_path_buf()));
    options.flush = FlushMode::Os;
    options.limits.groups_bytes_max = MOST as u64;
    let given = [
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.num.partitions", "4"),
    ];
    let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
    options.config = BrokerConfig::new(given).unwrap().0;
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
