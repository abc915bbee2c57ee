//! The contract between a shard and its broker; the scripts have the rules of groups.

use ottla_protocol::ErrorCode;

use super::*;
use crate::group::request::{
    CommitPartition, CommitTopic, Heartbeat, Identity, JoinGroup, OffsetCommit, Protocol, SyncGroup,
};
use crate::group::response::GroupResponse;
use crate::group::{Answer, CommittedOffset, GroupConfig, GroupMetadata, MemberMetadata};

const NOW: Now = Now {
    monotonic: std::time::Duration::ZERO,
    wall: ottla_log::Timestamp::new(0),
};

fn shard() -> GroupShard {
    let mut shard = GroupShard::new(GroupConfig {
        initial_rebalance_delay: std::time::Duration::ZERO,
        ..GroupConfig::default()
    });
    let _ = shard.loaded(NOW);
    shard
}

fn join(member: &str) -> GroupRequest {
    GroupRequest::Join(JoinGroup {
        group: "g".into(),
        member_id: StrBytes::from_string(member.to_owned()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: bytes::Bytes::new(),
        }],
        entropy: "1".into(),
        requires_member_id: true,
        ..JoinGroup::default()
    })
}

fn key(member: &'static str) -> MemberKey {
    MemberKey {
        group: "g".into(),
        member: member.into(),
    }
}

fn carry_out(shard: &mut GroupShard, end: &mut Offset, decision: &Decision) {
    for record in &decision.records {
        shard.replay(*end, record);
        *end = end.plus(1);
    }
}

#[test]
fn a_generation_survives_a_crash_once_it_is_recorded() {
    let (mut shard, mut end) = (shard(), Offset::new(5));
    let waiter = WaiterId::new(1);
    let decision = shard.handle(NOW, waiter, join(""));
    assert_eq!(
        decision.records,
        [],
        "an id that is handed out is not recorded"
    );
    let _ = shard.handle(NOW, waiter, join("c-1"));
    let sync = SyncGroup {
        group: "g".into(),
        identity: Identity {
            member_id: "c-1".into(),
            instance_id: None,
            generation: 1,
        },
        assignments: vec![("c-1".into(), "all".into())],
        ..SyncGroup::default()
    };
    let heartbeat = GroupRequest::Heartbeat(Heartbeat {
        group: "g".into(),
        identity: sync.identity.clone(),
    });

    let mut lost = shard.clone();
    let decision = shard.handle(NOW, waiter, GroupRequest::Sync(sync));
    assert_eq!(decision.records.len(), 1);
    carry_out(&mut shard, &mut end, &decision);
    let mut loaded = shard.clone();
    let _ = loaded.loaded(NOW);
    let answer = |error| {
        vec![Answer {
            waiter,
            session: (error == ErrorCode::None).then(|| key("c-1")),
            response: GroupResponse::Heartbeat(error),
        }]
    };
    let decision = loaded.handle(NOW, waiter, heartbeat.clone());
    assert_eq!(decision.answers, answer(ErrorCode::None));
    assert_eq!(decision.seen, Offset::new(6));

    // Nobody was given anything in a generation that is lost.
    let _ = lost.loaded(NOW);
    let decision = lost.handle(NOW, waiter, heartbeat);
    assert_eq!(decision.answers, answer(ErrorCode::UnknownMemberId));
}

fn carried_out(
    shard: &mut GroupShard,
    end: &mut Offset,
    waiter: u64,
    request: GroupRequest,
) -> Decision {
    let decision = shard.handle(NOW, WaiterId::new(waiter), request);
    carry_out(shard, end, &decision);
    decision
}

/// What a decision gives its broker to do, by and large.
fn work(decision: &Decision) -> usize {
    let told = decision
        .answers
        .iter()
        .map(|answer| match &answer.response {
            GroupResponse::Join(joined) => 1 + joined.members.len(),
            _ => 1,
        });
    let recorded = decision.records.iter().map(|record| match record {
        Record::Group {
            metadata: Some(metadata),
            ..
        } => 1 + metadata.members.len(),
        _ => 1,
    });
    told.sum::<usize>() + recorded.sum::<usize>() + decision.timers.len()
}

#[test]
fn many_members_cost_as_much_each_as_a_few() {
    let costs = [50, 500].map(|members: usize| {
        let (mut shard, mut end, mut cost) = (shard(), Offset::ZERO, 0);
        let mut ask = |waiter: usize, request| {
            let waiter = u64::try_from(waiter).unwrap();
            let decision = carried_out(&mut shard, &mut end, waiter, request);
            cost += work(&decision);
            decision
        };
        let id = |member: usize| format!("c-{member}");
        let join = |member: usize, id: &str| {
            let GroupRequest::Join(mut request) = join(id) else {
                panic!("a join is one")
            };
            request.entropy = StrBytes::from_string(member.to_string());
            GroupRequest::Join(request)
        };
        for member in 0..members {
            ask(member, join(member, ""));
        }
        for member in 0..members {
            ask(member, join(member, &id(member)));
        }
        // The first one had a generation of its own.
        let joined = ask(members, join(0, &id(0)));
        assert_eq!(joined.answers.len(), members);
        for member in (0..members).rev() {
            let assignments = if member == 0 { members } else { 0 };
            let all = (0..assignments).map(|m| (StrBytes::from_string(id(m)), "x".into()));
            let sync = SyncGroup {
                group: "g".into(),
                identity: Identity {
                    member_id: StrBytes::from_string(id(member)),
                    instance_id: None,
                    generation: 2,
                },
                assignments: all.collect(),
                ..SyncGroup::default()
            };
            ask(member, GroupRequest::Sync(sync));
        }
        cost / members
    });
    assert_eq!(
        costs[0], costs[1],
        "the cost of a member depends on how many there are"
    );
}

/// A record in the midst of a batch, as a reader of the log has it.
fn in_a_batch(record: &Record) -> (bytes::Bytes, Record) {
    let (key, value) = record.encode().unwrap();
    let value = value.unwrap();
    let batch = bytes::Bytes::from([&key[..], &value[..], &[0; 100_000]].concat());
    let (key, value) = (
        batch.slice(..key.len()),
        batch.slice(key.len()..key.len() + value.len()),
    );
    let read = Record::decode(&key, Some(&value)).unwrap();
    (batch, read)
}

#[test]
fn what_is_kept_holds_no_batch_and_no_request_in_memory() {
    let mut shard = shard();
    let committed = CommittedOffset {
        offset: Offset::new(5),
        leader_epoch: None,
        metadata: "note".into(),
        committed_at: NOW.wall,
        expires_at: None,
        topic_id: None,
    };
    let member = MemberMetadata {
        member_id: "m".into(),
        instance_id: Some("i".into()),
        client_id: "c".into(),
        client_host: "h".into(),
        rebalance_timeout_ms: 1,
        session_timeout_ms: 1,
        subscription: "says".into(),
        assignment: "has".into(),
    };
    let records = [
        Record::Offset {
            group: "g".into(),
            topic: "t".into(),
            partition: 0,
            committed: Some(committed),
        },
        Record::Group {
            group: "g".into(),
            metadata: Some(GroupMetadata {
                protocol_type: Some("consumer".into()),
                generation: 1,
                protocol_name: Some("range".into()),
                leader: Some("m".into()),
                state_since: None,
                members: vec![member],
            }),
        },
    ];
    for record in &records {
        let (batch, read) = in_a_batch(record);
        assert_eq!(read, *record);
        shard.replay(Offset::ZERO, &read);
        drop(read);
        assert!(batch.is_unique(), "{record:?} is kept with its batch");
    }

    let frame = bytes::Bytes::from("group-member-consumer-range-says".as_bytes().to_vec());
    let text = |at: std::ops::Range<usize>| StrBytes::from_utf8(frame.slice(at)).unwrap();
    let request = JoinGroup {
        group: text(0..5),
        client_id: text(6..12),
        client_host: text(6..12),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: text(13..21),
        protocols: vec![Protocol {
            name: text(22..27),
            metadata: frame.slice(28..),
        }],
        entropy: "1".into(),
        ..JoinGroup::default()
    };
    let decision = shard.handle(NOW, WaiterId::new(1), GroupRequest::Join(request));
    assert_eq!(decision.answers.len(), 1);
    drop(decision);
    assert!(frame.is_unique(), "a member is kept with its request");
}

#[test]
fn memory_goes_by_what_lives_not_by_what_was() {
    let mut shard = shard();
    for offset in 0..100_000 {
        let record = Record::Offset {
            group: StrBytes::from_string(format!("group-{}", offset % 10)),
            topic: "t".into(),
            partition: i32::try_from(offset % 100).unwrap(),
            committed: (offset < 90_000 || offset % 2 == 0).then(|| CommittedOffset {
                offset: Offset::new(offset),
                leader_epoch: None,
                metadata: StrBytes::new(),
                committed_at: NOW.wall,
                expires_at: None,
                topic_id: None,
            }),
        };
        shard.replay(Offset::new(offset), &record);
    }
    let live = shard
        .hard
        .groups()
        .flat_map(|(_, group)| group.offsets.values());
    assert_eq!(live.map(BTreeMap::len).sum::<usize>(), 50);
    assert_eq!(
        shard.hard.groups().count(),
        5,
        "groups that have nothing are no more"
    );
}

#[test]
fn a_commit_of_many_partitions_needs_room_for_its_group_and_topic_once() {
    let partition = |partition| CommitPartition {
        partition,
        ..CommitPartition::default()
    };
    let commit = OffsetCommit {
        group: "g".into(),
        identity: Identity {
            generation: -1,
            ..Identity::default()
        },
        topics: vec![CommitTopic {
            topic: "t".into(),
            topic_id: None,
            partitions: (0..1000).map(partition).collect(),
        }],
        ..OffsetCommit::default()
    };
    let accepted = |room: usize| {
        let mut shard = shard();
        shard.allow(Room {
            for_new: room,
            for_known: room,
        });
        let request = GroupRequest::OffsetCommit(commit.clone());
        let decision = shard.handle(NOW, WaiterId::new(0), request);
        for (offset, record) in (0..).zip(&decision.records) {
            shard.replay(Offset::new(offset), record);
        }
        (decision.records.len(), shard.bytes_held())
    };
    let (all, held) = accepted(usize::MAX);
    assert_eq!(all, 1000);
    assert_eq!(
        accepted(held),
        (1000, held),
        "as much as it takes is enough"
    );
    let (most, _) = accepted(held / 2);
    assert!((400..600).contains(&most), "{most}");
}

#[test]
fn offsets_of_another_topic_of_the_same_name_stay() {
    let (mut shard, mut end) = (shard(), Offset::ZERO);
    let id = |n: u8| TopicId::from_bytes([n; 16]);
    for (partition, topic_id) in [(0, Some(id(1))), (1, Some(id(2))), (2, None)] {
        let commit = OffsetCommit {
            group: "g".into(),
            identity: Identity {
                generation: -1,
                ..Identity::default()
            },
            topics: vec![CommitTopic {
                topic: "t".into(),
                topic_id,
                partitions: vec![CommitPartition {
                    partition,
                    ..CommitPartition::default()
                }],
            }],
            ..OffsetCommit::default()
        };
        carried_out(&mut shard, &mut end, 0, GroupRequest::OffsetCommit(commit));
    }
    let decision = shard.topics_deleted(&[("t".into(), id(1))]);
    let forgotten = decision.records.iter().map(|record| match record {
        Record::Offset {
            partition,
            committed: None,
            ..
        } => *partition,
        other => panic!("{other:?}"),
    });
    assert_eq!(forgotten.collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn only_offsets_of_the_topics_that_are_found_are_kept() {
    let mut shard = shard();
    let id = |n| TopicId::from_bytes([n; 16]);
    let committed = [
        ("anew", Some(id(1))),
        ("gone", Some(id(2))),
        ("gone", None),
        ("here", Some(id(3))),
        ("here", None),
    ];
    for (next, (topic, topic_id)) in (0..).zip(committed) {
        let record = Record::Offset {
            group: "g".into(),
            topic: topic.into(),
            partition: next,
            committed: Some(CommittedOffset {
                offset: Offset::ZERO,
                leader_epoch: None,
                metadata: StrBytes::new(),
                committed_at: NOW.wall,
                expires_at: None,
                topic_id,
            }),
        };
        shard.replay(Offset::new(next.into()), &record);
    }
    let _ = shard.loaded(NOW);
    let decision = shard.topics_found(|name| match name {
        "anew" => Some(id(9)),
        "here" => Some(id(3)),
        _ => None,
    });
    let forgotten = decision.records.iter().map(|record| match record {
        Record::Offset {
            partition,
            committed: None,
            ..
        } => *partition,
        other => panic!("{other:?}"),
    });
    assert_eq!(forgotten.collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn timers_that_come_early_or_late_do_no_harm() {
    let (mut shard, mut end) = (shard(), Offset::ZERO);
    carried_out(&mut shard, &mut end, 0, join(""));
    carried_out(&mut shard, &mut end, 0, join("c-1"));
    let group: StrBytes = "g".into();
    let keys = [
        TimerKey::Join {
            group: group.clone(),
        },
        TimerKey::Sync { group },
        TimerKey::Session(key("c-1")),
        TimerKey::Session(key("nobody")),
        TimerKey::Join {
            group: "nobody".into(),
        },
    ];
    for key in &keys {
        let decision = shard.timer(NOW, key);
        assert_eq!(
            (decision.records, decision.answers),
            (vec![], vec![]),
            "{key:?}"
        );
        let again = decision.timers.iter().all(|timer| timer.key == *key);
        assert!(again, "{key:?} is set again, or nothing is");
    }
    shard.check();
}

#[test]
fn an_id_that_is_drawn_again_is_another_one() {
    let (mut shard, mut end) = (shard(), Offset::ZERO);
    let ids = [0, 1, 2].map(|waiter| {
        let decision = carried_out(&mut shard, &mut end, waiter, join(""));
        match &decision.answers[..] {
            [Answer { response, .. }] => match response {
                GroupResponse::Join(joined) => joined.member_id.to_string(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(ids, ["c-1", "c-1+", "c-1++"]);
}
