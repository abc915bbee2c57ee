//! Members that come and go.

use std::time::Duration;

use ottla_log::vfs::FaultVfs;

use super::*;

#[test]
fn three_members_share_what_one_had() {
    let alone = Alone::start();
    let first = alone.member("g");
    let ids = [alone.new_member_id("g"), alone.new_member_id("g")];
    // Both wait for the first member, which learns of them by its heartbeat.
    let parked = ids.map(|id| alone.park(9, join("g", &id)));
    assert_eq!(
        alone.heartbeat(&first),
        ErrorCode::RebalanceInProgress.code()
    );
    assert_eq!(alone.state("g"), ("PreparingRebalance".to_owned(), 3));
    let led = ask!(alone, 9, JoinGroup, join("g", &first.id));
    assert_eq!(
        (led.error_code, led.generation_id, led.members.len()),
        (0, 2, 3)
    );
    assert_eq!(led.leader, first.id);
    let others = parked.map(|parked| response!(alone.finish(parked), JoinGroup));
    let members = others.map(|joined| {
        assert_eq!((joined.error_code, joined.generation_id), (0, 2));
        assert_eq!((&joined.leader, joined.members.len()), (&first.id, 0));
        Member {
            group: text("g"),
            id: joined.member_id,
            generation: 2,
        }
    });
    // Those who do not lead wait for the one who does.
    let parked: Vec<_> = members
        .iter()
        .map(|member| alone.park(5, member.sync(&[])))
        .collect();
    let leader = Member {
        generation: 2,
        ..first
    };
    let assignments: [(&StrBytes, &'static [u8]); 3] = [
        (&leader.id, b"0 1"),
        (&members[0].id, b"2 3"),
        (&members[1].id, b"4 5"),
    ];
    let synced = ask!(alone, 5, SyncGroup, leader.sync(&assignments));
    assert_eq!(&*synced.assignment, b"0 1");
    let told = parked
        .into_iter()
        .map(|parked| response!(alone.finish(parked), SyncGroup).assignment);
    assert_eq!(told.collect::<Vec<_>>(), [&b"2 3"[..], &b"4 5"[..]]);
    assert_eq!(alone.state("g"), ("Stable".to_owned(), 3));
    // A commit of the generation before is refused, one of this is not.
    let before = Member {
        generation: 1,
        ..members[0].clone()
    };
    let illegal = ErrorCode::IllegalGeneration.code();
    assert_eq!(alone.commit(&before, &[(2, 1)]), [illegal]);
    assert_eq!(alone.commit(&members[0], &[(2, 1)]), [0]);
}

#[test]
fn members_that_wait_for_others_hold_next_to_nothing_of_the_budget() {
    let alone = Alone::start();
    let held = || alone.broker.core.budget().used();
    let first = alone.member("g");
    let id = alone.new_member_id("g");
    assert_eq!(held(), 0);
    let joins = alone.park(9, join("g", &id));
    assert!((1..REQUEST_BYTES / 10).contains(&held()), "{}", held());
    ask!(alone, 9, JoinGroup, join("g", &first.id));
    let joined = response!(alone.finish(joins), JoinGroup);
    assert_eq!(held(), 0);
    let second = Member {
        group: text("g"),
        id: joined.member_id,
        generation: joined.generation_id,
    };
    let syncs = alone.park(5, second.sync(&[]));
    assert!((1..REQUEST_BYTES / 10).contains(&held()), "{}", held());
    drop(syncs);
    assert_eq!(held(), 0);
}

#[test]
fn a_silent_member_is_out_when_its_time_is_up() {
    let clock = TestClock::frozen();
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.clock = Arc::new(clock.clone());
    let alone = Alone::with(options);
    let member = alone.member("g");
    clock.advance(Duration::from_secs(9));
    assert_eq!(alone.heartbeat(&member), 0);
    clock.advance(Duration::from_secs(9));
    assert_eq!(alone.state("g"), ("Stable".to_owned(), 1));
    clock.advance(Duration::from_secs(1));
    assert_eq!(alone.state("g"), ("Empty".to_owned(), 0));
    assert_eq!(alone.heartbeat(&member), ErrorCode::UnknownMemberId.code());
}

/// A broker over a disk that does as it is told, by a clock that stands.
pub(super) fn over_a_disk() -> (FaultVfs, TestClock, Alone) {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let clock = TestClock::frozen();
    let mut options = BrokerOptions::new(Storage::Vfs(Arc::new(vfs.clone()), "/ottla".into()));
    options.clock = Arc::new(clock.clone());
    (vfs, clock, Alone::with(options))
}

#[test]
fn a_disk_that_stalls_costs_no_member_its_place() {
    let (vfs, clock, alone) = over_a_disk();
    let member = alone.member("g");
    vfs.stall_syncs();
    let parked = alone.park(9, member.commit(&[(0, 1)]));
    // The member waits for the answer, and does not know that it has to hurry.
    clock.advance(Duration::from_secs(60));
    vfs.go_on();
    let told = response!(alone.finish(parked), OffsetCommit);
    assert_eq!(told.topics[0].partitions[0].error_code, 0);
    clock.advance(Duration::from_secs(9));
    assert_eq!(alone.state("g"), ("Stable".to_owned(), 1));
    assert_eq!(alone.heartbeat(&member), 0);
    // From then on it is silent.
    clock.advance(Duration::from_secs(10));
    assert_eq!(alone.state("g"), ("Empty".to_owned(), 0));
}

#[test]
fn an_answer_to_nobody_keeps_no_member_for_ever() {
    let (vfs, clock, alone) = over_a_disk();
    let member = alone.member("g");
    vfs.stall_syncs();
    // Its connection goes while the answer waits for the disk.
    drop(alone.park(9, member.commit(&[(0, 1)])));
    vfs.go_on();
    clock.advance(Duration::from_secs(10));
    assert_eq!(alone.state("g"), ("Empty".to_owned(), 0));
}

#[test]
fn the_passing_of_time_alone_lets_those_who_wait_go_on() {
    let clock = TestClock::frozen();
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.clock = Arc::new(clock.clone());
    let alone = Alone::with(options);
    let silent = alone.member("g");
    let id = alone.new_member_id("g");
    let parked = alone.park(9, join("g", &id));
    // Nobody asks anything meanwhile: the clock itself has to wake the group.
    clock.advance(Duration::from_secs(10));
    let joined = response!(alone.finish(parked), JoinGroup);
    assert_eq!((joined.error_code, joined.generation_id), (0, 2));
    assert_eq!((&*joined.leader, joined.members.len()), (&*id, 1));
    assert_ne!(joined.leader, silent.id);
}

#[test]
fn a_first_member_waits_for_others_only_where_that_is_set() {
    for (given, waits) in [(&[][..], false), (&[INITIAL_DELAY][..], true)] {
        let clock = TestClock::frozen();
        let mut options = BrokerOptions::new(Storage::InMemory);
        options.clock = Arc::new(clock.clone());
        options.config = config(given);
        let alone = Alone::with(options);
        alone.find("g");
        let joins = join("g", &alone.new_member_id("g"));
        let joined = match waits {
            false => ask!(alone, 9, JoinGroup, joins),
            true => {
                let parked = alone.park(9, joins);
                clock.advance(Duration::from_secs(3));
                response!(alone.finish(parked), JoinGroup)
            }
        };
        assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    }
}

/// Kafka's default.
const INITIAL_DELAY: (&str, &str) = ("group.initial.rebalance.delay.ms", "3000");

#[test]
fn a_broker_that_ends_lets_nobody_wait() {
    let alone = Alone::start();
    let _first = alone.member("g");
    let id = alone.new_member_id("g");
    let parked = alone.park(9, join("g", &id));
    alone.session.hurry();
    let told = response!(alone.finish(parked), JoinGroup);
    assert_eq!(told.error_code, ErrorCode::NotCoordinator.code());
    assert!(!alone.broker.shutdown_blocking().abandoned);
}

#[test]
fn a_group_without_members_gives_up_its_offsets_in_time() {
    let clock = TestClock::frozen();
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.clock = Arc::new(clock.clone());
    options.config = config(&[("offsets.retention.minutes", "60")]);
    let alone = Alone::with(options);
    alone.find("g");
    assert_eq!(alone.commit(&administrator("g"), &[(0, 5)]), [0]);
    clock.advance(Duration::from_secs(59 * 60));
    assert_eq!(alone.committed("g"), [(0, 5)]);
    clock.advance(Duration::from_secs(11 * 60));
    assert_eq!(alone.committed("g"), []);
}
