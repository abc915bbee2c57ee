//! The indexes of a segment, in Kafka's formats: where offsets and timestamps are, sparsely, and
//! which transactions were aborted.
//!
//! Each comes in two forms: one in memory that grows with the active segment and is written as a
//! complete file when the segment is sealed, and one over such a file. An index file is complete
//! or absent; Kafka's preallocated tail of zeros is never written and not read.
//!
//! An index of offsets or timestamps is a hint: the log checks the batch that it finds at a
//! position. The one of transactions is not: what it leaves out, a reader takes for committed.

mod offset;
mod time;
mod txn;

pub(crate) use offset::{OffsetEntry, OffsetIndex, SealedOffsetIndex};
pub(crate) use time::{SealedTimeIndex, TimeEntry, TimeIndex};
pub use txn::AbortedTransaction;
pub(crate) use txn::{ENTRY_LEN as TXN_ENTRY_LEN, SealedTxnIndex, TxnIndex};

use crate::Offset;

/// Why an index file cannot be used; it is then made anew from the segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("its {len} bytes are not a multiple of {entry}")]
    Length { len: usize, entry: usize },
    #[error("entry {entry} lies outside the segment")]
    Outside { entry: usize },
    #[error("entry {entry} is not above the one before it")]
    Order { entry: usize },
}

/// The offset as the index holds it; `None` where it is not expressible.
fn relative(base: Offset, offset: Offset) -> Option<i32> {
    let relative = offset.get().checked_sub(base.get())?;
    i32::try_from(relative).ok().filter(|r| *r >= 0)
}

/// How many of the first `len` entries are `before` the place sought, by bisection. Terminates
/// and stays within `len` for entries in any order.
fn partition_point(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests;
