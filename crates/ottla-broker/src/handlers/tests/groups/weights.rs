//! What answers take that tell of a group's state is known before they are made.

use ottla_log::vfs::FaultVfs;

use crate::budget::Charge;
use crate::handlers::state_cost;

use super::*;

impl Alone {
    /// What is charged for telling the state's part of the answer, and how large that answer is.
    fn charged(&self, version: i16, request: impl Into<Request>) -> (u64, u64) {
        let (header, request) = over_the_wire(version, &request.into());
        let charged = state_cost::of(&self.context(version), &request);
        let response = self.ask(version, request).expect("it is answered");
        let encoded = encode_response(&header, &response).expect("it was encoded before");
        let bytes = encoded.segments.iter().map(|part| part.len() as u64);
        (charged, bytes.sum())
    }
}

fn all_of(groups: &[&str]) -> m::OffsetFetchRequest {
    let group = |name: &&str| m::OffsetFetchRequestGroup {
        group_id: text(name),
        topics: None,
        ..Default::default()
    };
    m::OffsetFetchRequest {
        groups: groups.iter().map(group).collect(),
        ..Default::default()
    }
}

#[test]
fn all_offsets_of_a_group_are_charged_once_and_in_every_version() {
    let alone = Alone::start();
    alone.find("group");
    let offsets: Vec<(i32, i64)> = (0..6).map(|p| (p, 7)).collect();
    alone.commit(&administrator("group"), &offsets);
    for version in 8..=9 {
        let (charged, answer) = alone.charged(version, all_of(&["group"]));
        assert!(
            charged >= answer && charged >= 6 * 512,
            "{charged} {answer}"
        );
        let (twice, _) = alone.charged(version, all_of(&["group", "group"]));
        assert_eq!(twice, charged);
        assert_eq!(alone.charged(version, all_of(&["nobody"])).0, 0);
    }
    for version in 2..=7 {
        let request = m::OffsetFetchRequest {
            group_id: text("group"),
            topics: None,
            ..Default::default()
        };
        let (charged, answer) = alone.charged(version, request);
        assert!(charged >= answer && charged > 0, "v{version}: {charged}");
    }
}

#[test]
fn members_and_groups_are_charged_by_what_they_say() {
    let alone = Alone::start();
    let member = alone.member("group");
    let describe = |names: &[&str]| m::DescribeGroupsRequest {
        groups: names.iter().map(|name| text(name)).collect(),
        ..Default::default()
    };
    for version in 0..=6 {
        let (charged, answer) = alone.charged(version, describe(&["group"]));
        let said = (member.id.len() + SUBSCRIPTION.len()) as u64;
        assert!(charged >= answer && charged >= 512 + said, "v{version}");
        assert_eq!(
            alone.charged(version, describe(&["group", "group"])).0,
            charged
        );
    }
    alone.commit(&administrator("another"), &[(0, 1)]);
    let (charged, answer) = alone.charged(5, m::ListGroupsRequest::default());
    assert!(charged >= answer && charged >= 2 * 512, "{charged}");
}

#[test]
fn producers_are_charged_by_the_partitions_that_know_them() {
    let alone = Alone::start();
    let describe = |numbers: &[i32]| m::DescribeProducersRequest {
        topics: [m::DescribeProducersTopic {
            name: text(TOPIC),
            partition_indexes: numbers.to_vec(),
        }]
        .into(),
    };
    // What a log knows is not known before it is open.
    let (unopened, _) = alone.charged(0, describe(&[0]));
    let (opened, answer) = alone.charged(0, describe(&[0]));
    assert!(unopened > opened && opened == 0 && answer > 0);
    let told = ask!(alone, 0, DescribeProducers, describe(&[0, 0]));
    let codes: Vec<i16> = told.topics[0]
        .partitions
        .iter()
        .map(|p| p.error_code)
        .collect();
    assert_eq!(codes, [0, ErrorCode::InvalidRequest.code()]);
}

/// The largest thing said in these tests.
const MUCH: usize = 5_000;

/// A group in which one leads and another who says much waits for the leader to join.
fn gathering(alone: &Alone) -> (Member, Parked) {
    let leader = alone.member("group");
    let says = m::JoinGroupRequestProtocol {
        name: text("range"),
        metadata: vec![7; MUCH].into(),
    };
    let other = m::JoinGroupRequest {
        protocols: [says].into(),
        ..join("group", &alone.new_member_id("group"))
    };
    (leader, alone.park(9, other))
}

/// All of the budget and more, held by somebody else.
fn spent(alone: &Alone) -> Charge {
    let budget = alone.broker.core.budget();
    let mut all = budget.charge();
    let bytes = alone.broker.core.limits().budget_bytes + 1;
    let held = alone.broker.core.runtime().block_on(async move {
        all.grow(bytes).await;
        all
    });
    held.expect("nobody else has the overdraft")
}

fn is_there(answer: &mut Parked) -> bool {
    let mut cx = std::task::Context::from_waker(Waker::noop());
    answer.as_mut().poll(&mut cx).is_ready()
}

#[test]
fn what_a_leader_is_told_waits_for_the_budget() {
    let alone = Alone::start();
    let (leader, other) = gathering(&alone);
    let others = spent(&alone);
    let parked = alone.park(9, join("group", &leader.id));
    drop(others);
    let joined = response!(alone.finish(parked), JoinGroup);
    let said = joined.members.iter().map(|member| member.metadata.len());
    assert_eq!(said.max(), Some(MUCH));
    assert_eq!(response!(alone.finish(other), JoinGroup).error_code, 0);
}

#[test]
fn what_a_member_is_assigned_waits_for_the_budget() {
    const ASSIGNMENT: &[u8] = &[7; MUCH];
    let alone = Alone::start();
    let member = alone.member("group");
    let leader = Member {
        generation: ask!(alone, 9, JoinGroup, join("group", &member.id)).generation_id,
        ..member
    };
    let synced = ask!(
        alone,
        5,
        SyncGroup,
        leader.sync(&[(&leader.id, ASSIGNMENT)])
    );
    assert_eq!(synced.error_code, 0);
    let others = spent(&alone);
    let parked = alone.park(5, leader.sync(&[]));
    drop(others);
    let synced = response!(alone.finish(parked), SyncGroup);
    assert_eq!(&*synced.assignment, ASSIGNMENT);
}

#[test]
fn answers_held_back_by_one_sync_do_not_leave_together_beyond_the_budget() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let storage = Storage::Vfs(Arc::new(vfs.clone()), "/ottla".into());
    let alone = Alone::with(BrokerOptions::new(storage));
    let (leader, other) = gathering(&alone);
    vfs.stall_syncs();
    let commit = alone.park(9, leader.commit(&[(0, 1)]));
    // The first one ends the wait for members, and the others are told the same.
    let parked = (0..3).map(|_| alone.park(9, join("group", &leader.id)));
    let mut parked: Vec<Parked> = parked.collect();
    let others = spent(&alone);
    vfs.go_on();
    alone.finish(commit);
    assert!(!parked.iter_mut().any(is_there));
    drop(others);
    for parked in parked {
        let joined = response!(alone.finish(parked), JoinGroup);
        assert_eq!((joined.error_code, joined.members.len()), (0, 2));
    }
    assert_eq!(response!(alone.finish(other), JoinGroup).error_code, 0);
}
