//! What is left of groups after the end of their broker, whatever end it was, and after a reset.

use bytes::Bytes;
use ottla_log::vfs::{CrashPlan, Fault, FaultVfs, Operation, Rule};
use ottla_log::{BatchOptions, Limits, Origin, Record, ValidBatches, build_batch};
use ottla_partition::partition::Acks;

use super::*;
use crate::groups::{OFFSETS_TOPIC, partition_of};

/// Everything that a group can hold: a member of a generation, and offsets.
fn fill(alone: &Alone) -> Member {
    let member = alone.member("g");
    assert_eq!(alone.commit(&member, &[(0, 10), (3, 13)]), [0, 0]);
    alone.find("admin");
    assert_eq!(alone.commit(&administrator("admin"), &[(5, 1)]), [0]);
    member
}

fn expect_all(alone: &Alone, member: &Member) {
    alone.find("g");
    alone.find("admin");
    assert_eq!(alone.state("g"), ("Stable".to_owned(), 1));
    // The member goes on as if nothing had happened.
    assert_eq!(alone.heartbeat(member), 0);
    assert_eq!(alone.commit(member, &[(4, 14)]), [0]);
    assert_eq!(alone.committed("g"), [(0, 10), (3, 13), (4, 14)]);
    assert_eq!(alone.committed("admin"), [(5, 1)]);
    let synced = ask!(alone, 5, SyncGroup, member.sync(&[]));
    assert_eq!((synced.error_code, &*synced.assignment), (0, &b"all"[..]));
}

#[test]
fn a_restart_keeps_generations_members_and_offsets() {
    let vfs = MemVfs::new();
    let alone = Alone::on(&vfs);
    let member = fill(&alone);
    assert!(alone.broker.shutdown_blocking().clean);
    expect_all(&Alone::on(&vfs), &member);
}

#[test]
fn a_power_cut_takes_nothing_that_was_answered() {
    let vfs = MemVfs::new();
    let alone = Alone::on(&vfs);
    let member = fill(&alone);
    for plan in [CrashPlan::SYNCED_ONLY, CrashPlan::EVERYTHING] {
        expect_all(&Alone::on(&vfs.crash(&plan)), &member);
    }
    for seed in 0..8 {
        expect_all(&Alone::on(&vfs.crash(&CrashPlan::torn(seed))), &member);
    }
}

#[test]
fn groups_on_the_disk_are_loaded_without_being_asked_for() {
    let vfs = MemVfs::new();
    let alone = Alone::on(&vfs);
    fill(&alone);
    assert!(alone.broker.shutdown_blocking().clean);
    let alone = Alone::on(&vfs);
    alone.load_found();
    assert_eq!(alone.listed(), ["admin", "g"]);
}

#[test]
fn offsets_do_not_outlive_a_topic_that_goes_before_they_are_loaded() {
    for anew in [true, false] {
        let vfs = MemVfs::new();
        let alone = Alone::on(&vfs);
        let member = fill(&alone);
        alone.create("stays", 1);
        let stays = of_topic(member.commit(&[(0, 7)]), "stays", Uuid::nil());
        let told = ask!(alone, 9, OffsetCommit, stays);
        assert_eq!(told.topics[0].partitions[0].error_code, 0);
        assert!(alone.broker.shutdown_blocking().clean);

        let alone = Alone::on(&vfs);
        alone.delete(TOPIC);
        if anew {
            alone.create(TOPIC, 6);
        }
        alone.load_found();
        assert_eq!(alone.committed("g"), [(0, 7)]);
        assert_eq!(alone.committed("admin"), []);
        // Not only is it not told: nothing of it is kept.
        assert_eq!(alone.heartbeat(&member), 0);
        assert_eq!(alone.listed(), ["g"]);
        assert!(alone.broker.shutdown_blocking().clean);

        let alone = Alone::on(&vfs);
        alone.load_found();
        assert_eq!(alone.committed("g"), [(0, 7)]);
        assert_eq!(alone.listed(), ["g"]);
    }
}

#[test]
fn groups_that_cannot_be_read_do_not_hide_the_others() {
    let vfs = MemVfs::new();
    let alone = Alone::on(&vfs);
    let member = fill(&alone);
    // A key that is too short for what keys begin with.
    let mut unknown = Record::new(Bytes::new());
    unknown.key = Some(Bytes::from_static(b"\0"));
    let unknown = build_batch(&[unknown], &BatchOptions::default()).unwrap();
    let unknown = ValidBatches::parse(unknown, &Limits::default()).unwrap();
    let (core, image) = (Arc::clone(&alone.broker.core), alone.image());
    let appended = async move {
        let topic = image.topic(OFFSETS_TOPIC).unwrap();
        let number = partition_of("admin", topic).unwrap();
        assert_ne!(partition_of("g", topic), Some(number));
        let partition = core.open_partition(topic, number).await.unwrap();
        partition
            .append(Origin::Coordinator, unknown, Acks::All)
            .unwrap();
    };
    let runtime = alone.broker.core.runtime();
    runtime.block_on(appended).expect("it is appended");
    assert!(alone.broker.shutdown_blocking().clean);

    let alone = Alone::on(&vfs);
    alone.load_found();
    let not_here = ErrorCode::NotCoordinator.code();
    assert_eq!(alone.commit(&administrator("admin"), &[(5, 2)]), [not_here]);
    assert_eq!(alone.heartbeat(&member), 0);
    assert_eq!(alone.listed(), ["g"]);
}

/// What the leader assigns, and what its group does about it.
fn assign(alone: &Alone, member: &Member, bytes: usize) -> i16 {
    let mut request = member.sync(&[]);
    request.assignments = [m::SyncGroupRequestAssignment {
        member_id: member.id.clone(),
        assignment: vec![7; bytes].into(),
    }]
    .into();
    ask!(alone, 5, SyncGroup, request).error_code
}

/// A member that has joined and did not sync yet.
fn joined(alone: &Alone, group: &str, id: &str) -> Member {
    let joined = ask!(alone, 9, JoinGroup, join(group, id));
    assert_eq!(joined.error_code, 0);
    Member {
        group: text(group),
        id: joined.member_id,
        generation: joined.generation_id,
    }
}

#[test]
fn a_generation_as_large_as_it_may_be_costs_no_other_group_anything() {
    const MOST: usize = 1024 * 1024;
    let vfs = MemVfs::new();
    let alone = Alone::on(&vfs);
    let name = "g".repeat(30_000);
    alone.find(&name);
    let member = joined(&alone, &name, &alone.new_member_id(&name));
    // With its key it is larger than a client's batch may be.
    assert_eq!(assign(&alone, &member, MOST - 1000), 0);
    assert_eq!(alone.heartbeat(&member), 0);
    // What is larger is refused, and nothing but that.
    let member = joined(&alone, &name, &member.id);
    let refused = ErrorCode::UnknownServerError.code();
    assert_eq!(assign(&alone, &member, MOST), refused);
    let rebalances = ErrorCode::RebalanceInProgress.code();
    assert_eq!(alone.heartbeat(&member), rebalances);
    let member = joined(&alone, &name, &member.id);
    assert_eq!(assign(&alone, &member, MOST - 1000), 0);
    assert!(alone.broker.shutdown_blocking().clean);

    let alone = Alone::on(&vfs);
    alone.find(&name);
    let synced = ask!(alone, 5, SyncGroup, member.sync(&[]));
    assert_eq!(
        (synced.error_code, synced.assignment.len()),
        (0, MOST - 1000)
    );
}

#[test]
fn what_clients_may_send_does_not_bind_groups() {
    let start = |vfs: &MemVfs| {
        let storage = Storage::Vfs(Arc::new(vfs.clone()), "/ottla".into());
        let mut options = BrokerOptions::new(storage);
        options.config = config(&[
            ("message.max.bytes", "100"),
            ("log.message.timestamp.after.max.ms", "0"),
            ("log.message.timestamp.before.max.ms", "0"),
        ]);
        Alone::with(options)
    };
    let vfs = MemVfs::new();
    let alone = start(&vfs);
    let member = fill(&alone);
    assert!(alone.broker.shutdown_blocking().clean);
    expect_all(&start(&vfs), &member);
}

#[test]
fn a_full_disk_refuses_a_commit_and_forgets_nothing() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let storage = Storage::Vfs(Arc::new(vfs.clone()), "/ottla".into());
    let alone = Alone::with(BrokerOptions::new(storage));
    let member = fill(&alone);
    let full = Rule::new(Fault::NoSpace).on(Operation::Write);
    vfs.inject(full.at("*/__consumer_offsets-*.log"));
    let refused = alone.commit(&member, &[(0, 99)]);
    assert_eq!(refused, [ErrorCode::NotCoordinator.code()]);
    vfs.heal();
    expect_all(&alone, &member);
}

#[test]
fn a_reset_takes_groups_and_offsets_and_tells_members_to_join_anew() {
    let vfs = MemVfs::new();
    let alone = Alone::on(&vfs);
    let member = fill(&alone);
    alone.member("g2");
    // Waits for the member that is there to join again.
    let second = alone.new_member_id("g2");
    let waits = alone.park(9, join("g2", &second));
    alone.broker.reset_blocking().expect("it is reset");
    let told = alone.broker.core.runtime().block_on(waits);
    let told = told.expect("whoever waited is answered");
    let Response::JoinGroup(told) = told else {
        panic!("{told:?}");
    };
    assert_ne!(told.error_code, 0);
    assert_ne!(alone.heartbeat(&member), 0);
    assert!(alone.image().topics().next().is_none());

    // As good as new, here and after the next start.
    let expect_new = |alone: &Alone| {
        let listed = ask!(alone, 5, ListGroups, m::ListGroupsRequest::default());
        assert_eq!((listed.error_code, listed.groups.len()), (0, 0));
        alone.find("g");
        assert_eq!(alone.committed("g"), []);
    };
    alone.create(TOPIC, 6);
    expect_new(&alone);
    assert!(alone.broker.shutdown_blocking().clean);
    let alone = Alone::on(&vfs);
    expect_new(&alone);
    expect_all(&alone, &fill(&alone));
}
