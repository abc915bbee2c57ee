//! Sans-IO state machines of cluster metadata, partitions and replication.
//!
//! [`metadata`] holds what the whole cluster agrees on: an immutable [`metadata::Image`], the
//! records that change it, and the controller's decisions as pure functions over it.
//! [`partition::Replica`] decides what one broker may acknowledge and show to readers.
//!
//! Nothing here does IO, locks, spawns, reads a clock or draws chance: time and entropy are
//! arguments, and the broker carries the outputs out.

#[doc(hidden)]
pub mod fuzz;
mod ids;
pub mod metadata;
pub mod partition;

pub use ids::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, PartitionEpoch};
