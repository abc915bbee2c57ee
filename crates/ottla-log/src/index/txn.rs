//! Aborted transactions, in the order of their markers.
//!
//! A reader of committed records is told which transactions in its range were aborted, and drops
//! their records. An entry stands in the segment of its marker, which may lie far behind the
//! transaction's records; so who reads collects from the segment of its range and those behind it,
//! until an entry says that nothing further can concern the range.

use super::{IndexError, partition_point};
use crate::cursor::{Cursor, Malformed};
use crate::vfs::Mapping;
use crate::{Offset, ProducerId};

/// The size of an entry: a version of 16 bits and four numbers of 64.
pub(crate) const ENTRY_LEN: usize = 34;

/// The only version.
const VERSION: i16 = 0;

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: ProducerId,
    /// Its first record.
    pub first_offset: Offset,
    /// Its marker.
    pub last_offset: Offset,
    /// When the marker was appended, every transaction that began below was over.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(self.producer_id.get().to_be_bytes());
        for offset in [self.first_offset, self.last_offset, self.last_stable_offset] {
            bytes.extend(offset.get().to_be_bytes());
        }
    }

    /// Reads an entry, whatever it says; an error where it is too short or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        if cursor.i16()? != VERSION {
            return Err(Malformed("its version is not 0"));
        }
        Ok(Self {
            producer_id: ProducerId::new(cursor.i64()?),
            first_offset: Offset::new(cursor.i64()?),
            last_offset: Offset::new(cursor.i64()?),
            last_stable_offset: Offset::new(cursor.i64()?),
        })
    }

    /// Whether a segment from `base` up to `next` can have the entry.
    pub(crate) fn is_possible(&self, base: Offset, next: Offset) -> bool {
        self.producer_id.get() >= 0
            && Offset::ZERO <= self.first_offset
            && self.first_offset < self.last_offset
            && (base..next).contains(&self.last_offset)
            && Offset::ZERO <= self.last_stable_offset
            && self.last_stable_offset <= self.last_offset.plus(1)
    }
}

/// The aborted transactions of a segment that grows, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TxnIndex {
    /// By rising marker.
    entries: Vec<AbortedTransaction>,
    entries_max: usize,
}

impl TxnIndex {
    /// An empty index of at most `bytes_max` bytes (`segment.index.bytes`).
    pub(crate) const fn new(bytes_max: u32) -> Self {
        Self {
            entries: Vec::new(),
            entries_max: bytes_max as usize / ENTRY_LEN,
        }
    }

    /// Whether the segment has to be rolled because of this index. Kafka's has no bound; this one
    /// is in memory.
    pub(crate) const fn is_full(&self) -> bool {
        self.entries.len() >= self.entries_max
    }

    /// Adds an aborted transaction, whose marker is behind those of all others. Where it is full
    /// too: nothing may be left out.
    pub(crate) fn push(&mut self, aborted: AbortedTransaction) {
        let last = self.entries.last().map(|last| last.last_offset);
        assert!(
            last.is_none_or(|last| last < aborted.last_offset),
            "{aborted:?} is not behind {last:?}"
        );
        self.entries.push(aborted);
    }

    /// Drops those whose marker lies at or above `to`.
    pub(crate) fn truncate(&mut self, to: Offset) {
        let kept = self.entries.partition_point(|e| e.last_offset < to);
        self.entries.truncate(kept);
    }

    /// As [`SealedTxnIndex::collect`].
    pub(crate) fn collect(
        &self,
        from: Offset,
        until: Offset,
        into: &mut Vec<AbortedTransaction>,
    ) -> bool {
        let len = self.entries.len();
        collect(len, |n| self.entries.get(n).copied(), from, until, into)
    }

    /// The complete file; there is none where this is empty.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        if self.entries.is_empty() {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_LEN);
        for entry in &self.entries {
            entry.encode(&mut bytes);
        }
        Some(bytes)
    }
}

/// The aborted transactions of a sealed segment, over their file.
#[derive(Clone, Debug, Default)]
pub(crate) struct SealedTxnIndex {
    /// Without one, nothing was aborted.
    file: Option<Mapping>,
}

impl SealedTxnIndex {
    /// The index in `file`, of the segment at `base` that ends before `next`. Looks at every
    /// entry: no checksum tells whether they are right.
    pub(crate) fn open(base: Offset, next: Offset, file: Mapping) -> Result<Self, IndexError> {
        let bytes = file.bytes();
        let len = bytes.len();
        if !len.is_multiple_of(ENTRY_LEN) {
            let entry = ENTRY_LEN;
            return Err(IndexError::Length { len, entry });
        }
        let mut above = base;
        for (entry, bytes) in bytes.chunks_exact(ENTRY_LEN).enumerate() {
            let found = AbortedTransaction::decode(bytes).ok();
            match found.filter(|found| found.is_possible(base, next)) {
                None => return Err(IndexError::Outside { entry }),
                Some(found) if found.last_offset < above => {
                    return Err(IndexError::Order { entry });
                }
                Some(found) => above = found.last_offset.plus(1),
            }
        }
        Ok(Self { file: Some(file) })
    }

    /// Adds those to `into` that concern readers from `from` up to `until`: whose marker is not
    /// below, and whose first record is not above. Whether no later marker can concern them.
    pub(crate) fn collect(
        &self,
        from: Offset,
        until: Offset,
        into: &mut Vec<AbortedTransaction>,
    ) -> bool {
        collect(self.len(), |n| self.entry(n), from, until, into)
    }

    /// The index that grows on from here.
    pub(crate) fn to_active(&self, bytes_max: u32) -> TxnIndex {
        let entries = (0..self.len()).filter_map(|number| self.entry(number));
        TxnIndex {
            entries: entries.collect(),
            ..TxnIndex::new(bytes_max)
        }
    }

    /// Whether there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.bytes().len() / ENTRY_LEN
    }

    fn entry(&self, number: usize) -> Option<AbortedTransaction> {
        let at = number * ENTRY_LEN;
        let bytes = self.bytes().get(at..at + ENTRY_LEN)?;
        AbortedTransaction::decode(bytes).ok()
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.file.as_ref().map_or(&[], |file| file.bytes())
    }
}

/// Kafka's rule, from the first entry on that can concern the range.
fn collect(
    len: usize,
    entry: impl Fn(usize) -> Option<AbortedTransaction>,
    from: Offset,
    until: Offset,
    into: &mut Vec<AbortedTransaction>,
) -> bool {
    let is_below = |n| entry(n).is_some_and(|entry| entry.last_offset < from);
    let first = partition_point(len, is_below);
    for entry in (first..len).map_while(&entry) {
        if entry.first_offset < until {
            into.push(entry);
        }
        if entry.last_stable_offset >= until {
            return true;
        }
    }
    false
}
