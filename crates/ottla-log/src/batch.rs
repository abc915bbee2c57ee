//! Record batches of format 2 (KIP-98): the header, checked runs of batches, records, encoding.
//!
//! Formats 0 and 1 are neither written nor read; no current client can produce or ask for them.

mod build;
mod control;
mod header;
mod rebuild;
mod records;
mod valid;

pub use build::{BatchOptions, BuildError, build_batch};
pub use control::{ControlType, EndTransactionMarker};
pub use header::{Attributes, BatchHeader, TimestampType};
pub(crate) use rebuild::{empty, rebuild};
pub use records::{Headers, OwnedRecords, RecordIter, RecordRef, Records};
pub use valid::{AssignedBatches, ValidBatches};

use crate::codec::CodecError;

/// What is wrong with the bytes of a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No batch at all.
    #[error("there is no record batch")]
    Empty,
    /// The bytes end before the batch does.
    #[error("the record batch at byte {position} has {needed} bytes, only {remaining} are there")]
    Truncated {
        /// Where the batch starts.
        position: usize,
        /// How long it says it is.
        needed: usize,
        /// What is there.
        remaining: usize,
    },
    /// The length field cannot be right.
    #[error(
        "the record batch at byte {position} says it is {length} bytes long; allowed are {allowed}"
    )]
    Length {
        /// Where the batch starts.
        position: usize,
        /// The length field: bytes after it.
        length: i32,
        /// What it may be.
        allowed: &'static str,
    },
    /// Not format 2.
    #[error("the record batch at byte {position} has magic {magic}; only 2 is supported")]
    Magic {
        /// Where the batch starts.
        position: usize,
        /// The format it names.
        magic: i8,
    },
    /// The bytes are not those that the checksum was made of.
    #[error(
        "the record batch at byte {position} is corrupt: its CRC-32C is {computed:#010x}, \
         stored is {stored:#010x}"
    )]
    Crc {
        /// Where the batch starts.
        position: usize,
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// More batches than [`crate::Limits::batches_max`].
    #[error("more than {0} record batches in one piece")]
    TooManyBatches(usize),
    /// More records or headers than the limits allow.
    #[error("the record batch has more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The attributes name no known codec.
    #[error("the record batch names compression codec {0}, which does not exist")]
    UnknownCodec(u8),
    /// Offsets or counts of the header contradict each other.
    #[error(
        "the record batch's base offset {base_offset}, last offset delta {last_offset_delta} and \
         record count {record_count} contradict each other"
    )]
    Counts {
        /// The header's base offset.
        base_offset: i64,
        /// The header's last offset delta.
        last_offset_delta: i32,
        /// The header's record count.
        record_count: i32,
    },
    /// A batch does not start after the one before it ends.
    #[error("a record batch starts at offset {base_offset}, the one before it ends at {previous}")]
    Order {
        /// Where the batch starts.
        base_offset: i64,
        /// The last offset before it.
        previous: i64,
    },
    /// A record is not encoded by the rules.
    #[error("record {index} of the batch is malformed: {why}")]
    Record {
        /// Which record, counted from 0.
        index: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// Bytes are left after the last record.
    #[error("{0} bytes are left after the last record of the batch")]
    TrailingBytes(usize),
    /// The compressed block cannot be decompressed.
    #[error("the records of the batch cannot be decompressed: {0}")]
    Decompress(#[from] CodecError),
}

#[cfg(test)]
mod tests;
