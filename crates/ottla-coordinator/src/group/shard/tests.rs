//! The contract between a shard and its broker; the scripts have the rules of groups.

use ottla_protocol::ErrorCode;

use super::*;
use crate::group::request::{Heartbeat, Identity, JoinGroup, Protocol, SyncGroup};
use crate::group::response::GroupResponse;
use crate::group::{Answer, GroupConfig};

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
