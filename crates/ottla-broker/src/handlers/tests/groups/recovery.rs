//! What is left of groups after the end of their broker, whatever end it was, and after a reset.

use ottla_log::vfs::{CrashPlan, Fault, FaultVfs, Operation, Rule};

use super::*;

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
    let (core, stop) = (Arc::clone(&alone.broker.core), alone.broker.stopper.stop());
    let loaded = async move { core.groups().load_found(&core, stop).await };
    alone
        .broker
        .core
        .runtime()
        .block_on(loaded)
        .expect("it ends");
    let listed = ask!(alone, 5, ListGroups, m::ListGroupsRequest::default());
    assert_eq!(listed.error_code, 0);
    let names = listed.groups.iter().map(|g| g.group_id.to_string());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["admin", "g"]);
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
