//! Classic consumer groups: who is a member, who owns what, and what was committed.
//!
//! [`GroupShard`] is the machine. It speaks in the structs of [`request`] and [`response`], and
//! remembers in [`Record`]s.

mod config;
mod decision;
mod live;
mod record;
pub mod request;
pub mod response;
mod room;
#[cfg(test)]
mod scripts;
mod shard;
#[cfg(test)]
mod simulation;
mod state;
mod text;

pub use config::{GroupConfig, Limits};
pub use decision::{Answer, Decision, MemberKey, Now, TimerChange, TimerKey, WaiterId};
pub use record::{
    CommittedOffset, GroupMetadata, MemberMetadata, Record, RecordError, UnknownRecord,
};
pub use request::GroupRequest;
pub use response::GroupResponse;
pub use room::Room;
pub use shard::{GroupShard, Weight};
