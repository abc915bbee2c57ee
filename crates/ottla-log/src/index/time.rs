//! From a timestamp to an offset: entries of the largest timestamp so far and a relative offset.
//!
//! An entry says: no record up to the batch that ends with this offset is younger. The offset is
//! the last one of the batch that holds the timestamp.

use super::{IndexError, partition_point, relative};
use crate::vfs::Mapping;
use crate::{Offset, Timestamp};

/// The size of an entry: a 64-bit timestamp and a relative offset of 32 bits.
const ENTRY_LEN: usize = 12;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// The largest timestamp so far.
    pub(crate) timestamp: Timestamp,
    /// The last offset of the batch that holds it.
    pub(crate) offset: Offset,
}

/// The time index of the active segment, in memory.
#[derive(Clone, Debug)]
pub(crate) struct TimeIndex {
    base: Offset,
    /// Timestamps, rising, and relative offsets.
    entries: Vec<(i64, i32)>,
    entries_max: usize,
}

impl TimeIndex {
    /// An empty index of the segment at `base`, of at most `bytes_max` bytes
    /// (`segment.index.bytes`).
    pub(crate) const fn new(base: Offset, bytes_max: u32) -> Self {
        Self {
            base,
            entries: Vec::new(),
            entries_max: bytes_max as usize / ENTRY_LEN,
        }
    }

    /// Whether the segment has to be rolled because of this index. One place is kept for the
    /// entry that [`TimeIndex::push_final`] adds.
    pub(crate) const fn is_full(&self) -> bool {
        self.entries.len() + 1 >= self.entries_max
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds the largest timestamp so far. Not added, and `false`, when the index is full, when
    /// the timestamp is not above the last entry's (or is "none"), or when the offset lies below
    /// the last entry's or out of the segment's reach.
    pub(crate) fn push(&mut self, timestamp: Timestamp, offset: Offset) -> bool {
        !self.is_full() && self.push_unless_lower(timestamp, offset)
    }

    /// As [`TimeIndex::push`], into the last place if need be: when the segment is sealed.
    pub(crate) fn push_final(&mut self, timestamp: Timestamp, offset: Offset) -> bool {
        self.entries.len() < self.entries_max && self.push_unless_lower(timestamp, offset)
    }

    fn push_unless_lower(&mut self, timestamp: Timestamp, offset: Offset) -> bool {
        let Some(relative) = relative(self.base, offset) else {
            return false;
        };
        let none = (Timestamp::NONE.get(), 0);
        let last = self.entries.last().copied().unwrap_or(none);
        if timestamp.get() <= last.0 || relative < last.1 {
            return false;
        }
        self.entries.push((timestamp.get(), relative));
        true
    }

    /// The last entry whose timestamp is at or below `target`; "none" at the segment's start
    /// where there is none. No record before its offset is younger than `target`.
    pub(crate) fn lookup(&self, target: Timestamp) -> TimeEntry {
        let below = self.entries.partition_point(|&(t, _)| t <= target.get());
        self.entry(below)
    }

    /// The last entry, which has the largest timestamp; "none" at the segment's start where there
    /// is none.
    pub(crate) fn last(&self) -> TimeEntry {
        self.entry(self.entries.len())
    }

    /// Drops all entries of batches at or above `to`.
    pub(crate) fn truncate(&mut self, to: Offset) {
        let keep = to.get().saturating_sub(self.base.get());
        let kept = self.entries.partition_point(|&(_, r)| i64::from(r) < keep);
        self.entries.truncate(kept);
    }

    /// The complete file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_LEN);
        for (timestamp, relative) in &self.entries {
            bytes.extend(timestamp.to_be_bytes());
            bytes.extend(relative.to_be_bytes());
        }
        bytes
    }

    /// The entry before number `index`.
    fn entry(&self, index: usize) -> TimeEntry {
        let entry = index.checked_sub(1).and_then(|i| self.entries.get(i));
        make(self.base, entry.copied())
    }
}

/// The time index of a sealed segment, over its file.
#[derive(Clone, Debug)]
pub(crate) struct SealedTimeIndex {
    base: Offset,
    file: Mapping,
}

impl SealedTimeIndex {
    /// The index in `file`, of the segment at `base` that ends before `next_offset`. Looks at the
    /// first and the last entry only.
    pub(crate) fn open(
        base: Offset,
        file: Mapping,
        next_offset: Offset,
    ) -> Result<Self, IndexError> {
        let len = file.bytes().len();
        if !len.is_multiple_of(ENTRY_LEN) {
            return Err(IndexError::Length {
                len,
                entry: ENTRY_LEN,
            });
        }
        let index = Self { base, file };
        let last = index.len().saturating_sub(1);
        for entry in [0, last] {
            index.check_entry(entry, next_offset)?;
        }
        if index.raw(0).map(|e| e.0) > index.raw(last).map(|e| e.0) {
            return Err(IndexError::Order { entry: last });
        }
        Ok(index)
    }

    /// Checks every entry.
    pub(crate) fn check_all(&self, next_offset: Offset) -> Result<(), IndexError> {
        let mut previous: Option<(i64, i32)> = None;
        for index in 0..self.len() {
            self.check_entry(index, next_offset)?;
            let entry = self.raw(index);
            if previous.is_some_and(|(t, r)| entry.is_none_or(|e| e.0 <= t || e.1 < r)) {
                return Err(IndexError::Order { entry: index });
            }
            previous = entry;
        }
        Ok(())
    }

    /// How many bytes the file has.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.bytes().len() as u64
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.file.bytes().len() / ENTRY_LEN
    }

    /// As [`TimeIndex::lookup`].
    pub(crate) fn lookup(&self, target: Timestamp) -> TimeEntry {
        let below = partition_point(self.len(), |i| {
            self.raw(i).is_some_and(|(t, _)| t <= target.get())
        });
        self.entry(below)
    }

    /// As [`TimeIndex::last`].
    pub(crate) fn last(&self) -> TimeEntry {
        self.entry(self.len())
    }

    /// The same entries in the form that grows, of at most `bytes_max` bytes.
    pub(crate) fn to_active(&self, bytes_max: u32) -> TimeIndex {
        let mut active = TimeIndex::new(self.base, bytes_max);
        for index in 0..self.len() {
            if let Some((timestamp, relative)) = self.raw(index) {
                active.push(timestamp.into(), self.base.plus(i64::from(relative)));
            }
        }
        active
    }

    fn check_entry(&self, entry: usize, next_offset: Offset) -> Result<(), IndexError> {
        let Some((_, relative)) = self.raw(entry) else {
            return Ok(());
        };
        let inside = relative >= 0 && self.base.plus(i64::from(relative)) < next_offset;
        inside.then_some(()).ok_or(IndexError::Outside { entry })
    }

    fn raw(&self, index: usize) -> Option<(i64, i32)> {
        let bytes = self.file.bytes().get(index * ENTRY_LEN..)?;
        let (timestamp, rest) = bytes.split_first_chunk()?;
        let relative = rest.first_chunk()?;
        Some((
            i64::from_be_bytes(*timestamp),
            i32::from_be_bytes(*relative),
        ))
    }

    fn entry(&self, index: usize) -> TimeEntry {
        make(self.base, index.checked_sub(1).and_then(|i| self.raw(i)))
    }
}

fn make(base: Offset, entry: Option<(i64, i32)>) -> TimeEntry {
    let (timestamp, relative) = entry.unwrap_or((Timestamp::NONE.get(), 0));
    TimeEntry {
        timestamp: timestamp.into(),
        offset: base.plus(i64::from(relative)),
    }
}
