//! From an offset to a position in the segment: entries of a relative offset and a position.
//!
//! An entry's offset is the last offset of the batch that starts at its position.

use super::{IndexError, partition_point, relative};
use crate::Offset;
use crate::vfs::Mapping;

/// The size of an entry: a relative offset and a position, 32 bits each.
const ENTRY_LEN: usize = 8;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// The last offset of the batch.
    pub(crate) offset: Offset,
    /// Where in the segment the batch starts.
    pub(crate) position: u32,
}

/// The offset index of the active segment, in memory.
#[derive(Clone, Debug)]
pub(crate) struct OffsetIndex {
    base: Offset,
    /// Relative offsets and positions, both rising.
    entries: Vec<(i32, u32)>,
    entries_max: usize,
}

impl OffsetIndex {
    /// An empty index of the segment at `base`, of at most `bytes_max` bytes
    /// (`segment.index.bytes`).
    pub(crate) const fn new(base: Offset, bytes_max: u32) -> Self {
        Self {
            base,
            entries: Vec::new(),
            entries_max: bytes_max as usize / ENTRY_LEN,
        }
    }

    /// Whether the segment has to be rolled because of this index.
    pub(crate) const fn is_full(&self) -> bool {
        self.entries.len() >= self.entries_max
    }

    /// How many entries there are.
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds the batch that ends with `last_offset` and starts at `position`. Not added, and
    /// `false`, when the index is full, or when the entry is not above the last one, or when the
    /// offset is out of the segment's reach: the index is then merely sparser.
    pub(crate) fn push(&mut self, last_offset: Offset, position: u32) -> bool {
        let Some(relative) = relative(self.base, last_offset) else {
            return false;
        };
        let rises = self
            .entries
            .last()
            .is_none_or(|&(r, p)| relative > r && position > p);
        if self.is_full() || !rises || i32::try_from(position).is_err() {
            return false;
        }
        self.entries.push((relative, position));
        true
    }

    /// The last entry at or below `target`; the segment's start where there is none. A scan from
    /// there finds `target`.
    pub(crate) fn lookup(&self, target: Offset) -> OffsetEntry {
        let sought = target.get().saturating_sub(self.base.get());
        let below = self
            .entries
            .partition_point(|&(r, _)| i64::from(r) <= sought);
        self.entry(below)
    }

    /// The last entry whose batch starts at or before `position`; the segment's start where there
    /// is none.
    pub(crate) fn lookup_position(&self, position: u64) -> OffsetEntry {
        let below = self
            .entries
            .partition_point(|&(_, p)| u64::from(p) <= position);
        self.entry(below)
    }

    /// The last entry; the segment's start where there is none.
    pub(crate) fn last(&self) -> OffsetEntry {
        self.entry(self.entries.len())
    }

    /// Drops all entries of batches at or above `to`.
    pub(crate) fn truncate(&mut self, to: Offset) {
        let keep = to.get().saturating_sub(self.base.get());
        let kept = self.entries.partition_point(|&(r, _)| i64::from(r) < keep);
        self.entries.truncate(kept);
    }

    /// The complete file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_LEN);
        for (relative, position) in &self.entries {
            bytes.extend(relative.to_be_bytes());
            bytes.extend(position.to_be_bytes());
        }
        bytes
    }

    /// The entry before number `index`.
    fn entry(&self, index: usize) -> OffsetEntry {
        let entry = index.checked_sub(1).and_then(|i| self.entries.get(i));
        let (relative, position) = entry.copied().unwrap_or((0, 0));
        OffsetEntry {
            offset: self.base.plus(i64::from(relative)),
            position,
        }
    }
}

/// The offset index of a sealed segment, over its file.
#[derive(Clone, Debug)]
pub(crate) struct SealedOffsetIndex {
    base: Offset,
    file: Mapping,
}

impl SealedOffsetIndex {
    /// The index in `file`, of the segment at `base` that ends before `next_offset` and byte
    /// `segment_bytes`. Looks at the first and the last entry only.
    pub(crate) fn open(
        base: Offset,
        file: Mapping,
        next_offset: Offset,
        segment_bytes: u64,
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
            index.check_entry(entry, next_offset, segment_bytes)?;
        }
        // A preallocated file that was not cut ends with zeros.
        if index.raw(0).map(|e| e.0) > index.raw(last).map(|e| e.0) {
            return Err(IndexError::Order { entry: last });
        }
        Ok(index)
    }

    /// Checks every entry.
    pub(crate) fn check_all(
        &self,
        next_offset: Offset,
        segment_bytes: u64,
    ) -> Result<(), IndexError> {
        let mut previous = None;
        for index in 0..self.len() {
            self.check_entry(index, next_offset, segment_bytes)?;
            let entry = self.raw(index);
            if previous.is_some_and(|(r, p)| entry.is_none_or(|e| e.0 <= r || e.1 <= p)) {
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

    /// As [`OffsetIndex::lookup`].
    pub(crate) fn lookup(&self, target: Offset) -> OffsetEntry {
        let sought = target.get().saturating_sub(self.base.get());
        let below = partition_point(self.len(), |i| {
            self.raw(i).is_some_and(|(r, _)| i64::from(r) <= sought)
        });
        self.entry(below)
    }

    /// As [`OffsetIndex::lookup_position`].
    pub(crate) fn lookup_position(&self, position: u64) -> OffsetEntry {
        let below = partition_point(self.len(), |i| {
            self.raw(i).is_some_and(|(_, p)| u64::from(p) <= position)
        });
        self.entry(below)
    }

    /// As [`OffsetIndex::last`].
    pub(crate) fn last(&self) -> OffsetEntry {
        self.entry(self.len())
    }

    /// The same entries in the form that grows, of at most `bytes_max` bytes.
    pub(crate) fn to_active(&self, bytes_max: u32) -> OffsetIndex {
        let mut active = OffsetIndex::new(self.base, bytes_max);
        for index in 0..self.len() {
            if let Some((relative, position)) = self.raw(index) {
                active.push(self.base.plus(i64::from(relative)), position);
            }
        }
        active
    }

    fn check_entry(
        &self,
        entry: usize,
        next_offset: Offset,
        segment_bytes: u64,
    ) -> Result<(), IndexError> {
        let Some((relative, position)) = self.raw(entry) else {
            return Ok(());
        };
        let inside = relative >= 0
            && self.base.plus(i64::from(relative)) < next_offset
            && u64::from(position) < segment_bytes;
        inside.then_some(()).ok_or(IndexError::Outside { entry })
    }

    fn raw(&self, index: usize) -> Option<(i32, u32)> {
        let bytes: &[u8; ENTRY_LEN] = self.file.bytes().get(index * ENTRY_LEN..)?.first_chunk()?;
        let [a, b, c, d, e, f, g, h] = *bytes;
        let relative = i32::from_be_bytes([a, b, c, d]);
        Some((relative, u32::from_be_bytes([e, f, g, h])))
    }

    fn entry(&self, index: usize) -> OffsetEntry {
        let entry = index.checked_sub(1).and_then(|i| self.raw(i));
        let (relative, position) = entry.unwrap_or((0, 0));
        OffsetEntry {
            offset: self.base.plus(i64::from(relative)),
            position,
        }
    }
}
