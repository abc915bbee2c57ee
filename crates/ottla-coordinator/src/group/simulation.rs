//! What must hold of a group whatever happens to it, in whatever order.
//!
//! Clients join, sync, commit, leave and die; the log becomes durable now and then, or refuses
//! what it is given; the broker stalls, crashes and loses what was not durable; clocks pass and
//! jump. Whatever comes of it:
//! - a partition has one owner in each generation, judged by what clients were told;
//! - what is committed for a partition never goes back;
//! - nobody waits for an answer longer than the rebalance timeout, stalls of the broker apart;
//! - no session ends while an answer to its member is not durable;
//! - a load makes the same hard state that was, and soft state agrees with itself;
//! - once the chaos ends, the clients that are there share all partitions;
//! - once they are gone, nothing is left of them but what is recorded;
//! - the same inputs have the same outputs, byte for byte.

mod client;
mod world;

use proptest::prelude::*;

use self::world::{CLIENTS, PARTITIONS, World};

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A client does what comes next.
    Step(usize),
    /// A client loses its connection and asks again.
    Retry(usize),
    /// A client commits what it read of a partition.
    Commit(usize, i32),
    /// A client leaves.
    Leave(usize),
    /// A client dies without a word; a new process takes its place.
    Die(usize),
    /// A client subscribes to something else.
    Change(usize),
    /// The log becomes durable.
    Sync,
    /// So many milliseconds pass.
    Wait(u64),
    /// So many milliseconds pass while the broker does nothing.
    Stall(u64),
    /// The log takes nothing from now on, or everything again.
    Refuse(bool),
    /// The wall clock jumps by so many seconds.
    Jump(i64),
    /// The broker dies; so much of what was not durable is there all the same.
    Crash(usize),
    /// An administrator removes whoever a client is.
    Remove(usize),
    /// An administrator sets an offset.
    Reset(i32),
    /// An administrator deletes the group.
    Delete,
    /// Somebody looks at everything.
    Look,
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    let partition = 0..PARTITIONS;
    prop_oneof![
        40 => client.clone().prop_map(Op::Step),
        4 => client.clone().prop_map(Op::Retry),
        12 => (client.clone(), partition.clone()).prop_map(|(c, p)| Op::Commit(c, p)),
        2 => client.clone().prop_map(Op::Leave),
        3 => client.clone().prop_map(Op::Die),
        3 => client.clone().prop_map(Op::Change),
        20 => Just(Op::Sync),
        6 => (0_u64..3_000).prop_map(Op::Wait),
        3 => (3_000_u64..70_000).prop_map(Op::Wait),
        1 => (500_u64..70_000).prop_map(Op::Stall),
        1 => Just(Op::Refuse(true)),
        2 => Just(Op::Refuse(false)),
        1 => (-100_000_i64..2_000_000).prop_map(Op::Jump),
        2 => (0_usize..6).prop_map(Op::Crash),
        1 => client.prop_map(Op::Remove),
        1 => partition.prop_map(Op::Reset),
        1 => Just(Op::Delete),
        1 => Just(Op::Look),
    ]
}

/// Runs `ops` and what follows the chaos; gives everything that was decided.
fn run(delay_ms: u64, ops: &[Op]) -> String {
    let mut world = World::new(delay_ms);
    for op in ops {
        world.run(*op);
    }
    world.heal();
    world.end();
    world.transcript
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn groups_hold_whatever_happens(
        delay_ms in prop_oneof![Just(0_u64), Just(3_000)],
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let first = run(delay_ms, &ops);
        prop_assert_eq!(first, run(delay_ms, &ops), "the same inputs, other outputs");
    }
}
