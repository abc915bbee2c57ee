//! A log that takes nothing for a while: what is asked of it is refused, and no group is lost.

use ottla_log::vfs::{Fault, FaultVfs, Operation, Rule};

use super::*;

/// A broker whose groups all lie in one partition.
fn together(storage: Storage) -> Alone {
    let mut options = BrokerOptions::new(storage);
    options.config = config(&[
        ("offsets.topic.num.partitions", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
    ]);
    Alone::with(options)
}

#[test]
fn a_full_disk_refuses_what_is_to_be_remembered_and_nothing_else() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let alone = together(Storage::Vfs(Arc::new(vfs.clone()), "/ottla".into()));
    // As Kafka tells of a disk that fails.
    let code = ErrorCode::NotCoordinator;
    let member = alone.member("g");
    assert_eq!(alone.commit(&member, &[(0, 1)]), [0]);
    // Somebody else waits for a group of its own: only a shard that stays can answer.
    let first = alone.member("other");
    let waits = alone.park(9, join("other", &alone.new_member_id("other")));

    let full = Rule::new(Fault::NoSpace).on(Operation::Write);
    vfs.inject(full.at("*/__consumer_offsets-*.log"));
    assert_eq!(alone.commit(&member, &[(0, 2)]), [code.code()]);
    assert_eq!(alone.heartbeat(&member), 0);
    assert_eq!(alone.committed("g"), [(0, 1)]);
    let again = ask!(alone, 9, JoinGroup, join("g", &member.id));
    let again = Member {
        generation: again.generation_id,
        ..member
    };
    let synced = ask!(alone, 5, SyncGroup, again.sync(&[(&again.id, b"all")]));
    assert_eq!(synced.error_code, code.code());
    let rebalances = ErrorCode::RebalanceInProgress.code();
    assert_eq!(alone.heartbeat(&again), rebalances);

    vfs.heal();
    let third = ask!(alone, 9, JoinGroup, join("g", &again.id));
    let third = Member {
        generation: third.generation_id,
        ..again
    };
    let synced = ask!(alone, 5, SyncGroup, third.sync(&[(&third.id, b"all")]));
    assert_eq!((synced.error_code, &*synced.assignment), (0, &b"all"[..]));
    assert_eq!(alone.commit(&third, &[(0, 2)]), [0]);
    let led = ask!(alone, 9, JoinGroup, join("other", &first.id));
    assert_eq!((led.error_code, led.generation_id), (0, 2));
    let joined = response!(alone.finish(waits), JoinGroup);
    assert_eq!((joined.error_code, joined.generation_id), (0, 2));
}

#[test]
fn offsets_of_a_topic_that_goes_while_the_disk_is_full_go_later() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let alone = together(Storage::Vfs(Arc::new(vfs.clone()), "/ottla".into()));
    alone.create("stays", 1);
    let member = alone.member("g");
    alone.find("admin");
    assert_eq!(alone.commit(&administrator("admin"), &[(5, 1)]), [0]);
    let full = Rule::new(Fault::NoSpace).on(Operation::Write);
    vfs.inject(full.at("*/__consumer_offsets-*.log"));
    alone.delete(TOPIC);
    assert_eq!(alone.listed(), ["admin", "g"]);
    vfs.heal();
    // Nobody names the topic or the group again: the next record of any group is enough.
    let stays = of_topic(member.commit(&[(0, 7)]), "stays", Uuid::nil());
    let told = ask!(alone, 9, OffsetCommit, stays);
    assert_eq!(told.topics[0].partitions[0].error_code, 0);
    assert_eq!(alone.listed(), ["g"]);
}
