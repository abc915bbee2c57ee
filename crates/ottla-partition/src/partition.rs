//! One partition on one broker: what it may acknowledge, what it may show, whom it follows.
//!
//! [`Replica`] is the machine; the log it speaks for is the broker's business. Which records a
//! follower must cut off, and whether a fetcher's history still is the leader's, are pure
//! functions beside it.

mod follower;
mod history;
mod output;
mod replica;
mod waiters;

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod scripts;

pub use follower::FollowerFetch;
pub use history::{Divergence, LeaderHistory, Truncation, divergence, truncation};
pub use output::{Output, ReplicaError, Timer};
pub use replica::{Ends, Replica, ReplicaConfig, Role};
pub use waiters::{Acks, WaiterId};
