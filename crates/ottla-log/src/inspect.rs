//! Looking at the files of logs without opening them: for people, and for tests that check what was
//! written.
//!
//! Nothing is locked, written or repaired here, so a broker may run beside it. What it writes
//! meanwhile may be seen in part: [`verify_dir`] looks again, the others tell what they see.

mod checkpoints;
mod dir;
mod files;
mod indexes;
mod others;
mod segment;
mod told;
mod transactions;
mod verify;

pub use dir::{Note, Report, verify_dir};
pub use files::{InspectedFile, KeptTail, kept_tails, log_dirs};
pub use others::{Entry, Value, other_files, read_other};
pub use segment::{Damage, FoundBatch, Piece, read_segment};
pub use verify::{Finding, Verified, verify};

pub use checkpoints::{EpochStart, ProducerEntry, read_epochs, read_producers, read_topic_id};
pub use indexes::{
    OffsetIndexEntry, TimeIndexEntry, read_offset_index, read_time_index, read_txn_index,
};

#[cfg(test)]
mod tests;
