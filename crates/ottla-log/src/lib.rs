//! An append-only, segmented event log in Apache Kafka's on-disk format.
//!
//! A [`vfs::Vfs`] is the only way to a disk, a [`Clock`] the only way to the time and an
//! [`Entropy`] the only source of chance, so that every run can be repeated.

pub mod batch;
mod checkpoint;
pub mod clock;
pub mod codec;
pub mod crc;
mod cursor;
mod derived;
pub mod entropy;
mod epoch_cache;
mod error;
#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod golden_tests;
mod ids;
mod index;
pub mod inspect;
pub mod limits;
mod log;
mod producer_state;
pub mod record;
mod seal;
mod segment;
mod store;
pub mod validate;
pub mod vfs;

pub use batch::{
    AssignedBatches, BatchError, BatchHeader, BatchOptions, BuildError, Records, TimestampType,
    ValidBatches, build_batch,
};
pub use checkpoint::{read as read_file, write_atomically};
pub use clock::{Clock, ClockObserver, SystemClock, TestClock};
pub use codec::Codec;
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use error::StorageError;
pub use ids::{
    InvalidTopicName, LeaderEpoch, LogId, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicId, TopicName,
};
pub use index::AbortedTransaction;
pub use limits::Limits;
pub use log::{
    AppendError, AppendOptions, Appended, BatchSlice, Bound, CommittedSlice, Condition, CutTail,
    Durability, DurabilityTicket, Ends, FlushMode, LeaderAppend, Log, LogConfig, LogError,
    LogObserver, LogOptions, LogRecords, LogRecovery, Maintenance, ReadError, Room, TimedOffset,
    TruncateError,
};
pub use producer_state::{Origin, ProducerError};
pub use record::{Header, OwnedRecord, Record};
pub use store::{
    CloseReport, FoundLog, MaintenanceAlarm, OpenError, Opened, RecoveryReport, ScrubOptions,
    ScrubReport, Store, StoreOptions, World,
};
pub use validate::{
    Compression, ProduceError, ProduceErrorKind, ProduceLimits, ProduceRules, RecordError,
    Validated, parse_produce, validate_produce,
};
