//! Peers that mean harm, on real sockets: what they send ends their connection or is answered
//! with an error, nobody else notices, and memory stays within the limits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod answers;
#[path = "../../src/cost.rs"]
mod cost;
mod heap;
mod peer;
mod wide;

use parking_lot::{Mutex, MutexGuard};

/// The tests take turns: they count what the whole process allocates.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock()
}
