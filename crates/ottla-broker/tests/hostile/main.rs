//! Peers that mean harm, on real sockets: what they send ends their connection or is answered
//! with an error, nobody else notices, and memory stays within the limits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod answers;
#[allow(dead_code, reason = "its other users are the tests of the wire")]
#[path = "../wire/client.rs"]
mod client;
#[path = "../../src/cost.rs"]
mod cost;
#[allow(dead_code, reason = "its other users are the protocol's own tests")]
#[path = "../../../ottla-protocol/src/tests/filler.rs"]
mod filler;
mod floods;
mod groups;
mod heap;
mod lengths;
mod peer;
mod records;
mod sessions;
mod slow;
mod spent;
mod strangers;
mod wide;

// Where the filler looks for it.
use ottla_protocol::shape;
use parking_lot::{Mutex, MutexGuard};

/// The tests take turns: they count what the whole process allocates.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock()
}
