//! An append-only, segmented event log in Apache Kafka's on-disk format.
//!
//! A [`vfs::Vfs`] is the only way to a disk, a [`Clock`] the only way to the time and an
//! [`Entropy`] the only source of chance, so that every run can be repeated.

pub mod clock;
pub mod entropy;
mod error;
mod ids;
#[allow(dead_code, unused_imports)] // until the store is there
mod log;
pub mod vfs;

pub use clock::{Clock, ClockObserver, SystemClock, TestClock};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use error::StorageError;
pub use ids::{
    InvalidTopicName, LeaderEpoch, LogId, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicId, TopicName,
};
pub use log::{
    CutTail, DurabilityTicket, FlushMode, LogConfig, LogError, LogOptions, LogRecovery, Maintenance,
};
