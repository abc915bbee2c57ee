//! The indexes of a segment: in memory while it grows and until their files are written, in the
//! files afterwards. An index file is complete or absent, and can always be made anew.

use super::files::IndexFile;
use super::{Extent, Segment, Wait, WalkError};
use crate::batch::BatchHeader;
use crate::index::{
    OffsetEntry, OffsetIndex, SealedOffsetIndex, SealedTimeIndex, TimeEntry, TimeIndex,
};
use crate::log::{Way, dir};
use crate::seal::FileSum;
use crate::{Offset, StorageError, Timestamp};

/// How dense and how large the indexes of a segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexRules {
    /// `index.interval.bytes`.
    pub(crate) interval_bytes: u32,
    /// `segment.index.bytes`.
    pub(crate) bytes_max: u32,
}

/// The largest timestamp so far, and the last offset of the batch that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Largest {
    /// The timestamp; -1 where no batch has one.
    pub(crate) timestamp: Timestamp,
    /// The last offset of the first batch with it.
    pub(crate) offset: Offset,
}

/// Indexes that grow batch by batch, by Kafka's rule: an entry once more than an interval's bytes
/// were added since the last one.
#[derive(Clone, Debug)]
pub(crate) struct IndexBuilder {
    interval_bytes: u32,
    offsets: OffsetIndex,
    times: TimeIndex,
    /// Bytes since the batch of the last entry, that batch included.
    unindexed: u64,
    largest: Largest,
}

impl IndexBuilder {
    /// The indexes of an empty segment at `base`.
    pub(crate) const fn new(base: Offset, rules: IndexRules) -> Self {
        Self {
            interval_bytes: rules.interval_bytes,
            offsets: OffsetIndex::new(base, rules.bytes_max),
            times: TimeIndex::new(base, rules.bytes_max),
            unindexed: 0,
            largest: Largest {
                timestamp: Timestamp::NONE,
                offset: base,
            },
        }
    }

    /// Goes on with the indexes of a segment that was sealed.
    pub(super) fn resume(sealed: &SealedIndexes, rules: IndexRules, extent: Extent) -> Self {
        let offsets = sealed.offsets.to_active(rules.bytes_max);
        let last = sealed.times.last();
        Self {
            interval_bytes: rules.interval_bytes,
            unindexed: extent
                .size
                .saturating_sub(u64::from(offsets.last().position)),
            offsets,
            times: sealed.times.to_active(rules.bytes_max),
            largest: Largest {
                timestamp: last.timestamp,
                offset: last.offset,
            },
        }
    }

    /// Adds the next batch, which begins at `position`.
    pub(crate) fn add(&mut self, header: &BatchHeader, position: u64) {
        // An empty batch still has the timestamp that its records had. An entry for it would name
        // a record that is not there.
        if header.record_count > 0 && header.max_timestamp > self.largest.timestamp {
            self.largest = Largest {
                timestamp: header.max_timestamp,
                offset: header.last_offset(),
            };
        }
        if self.unindexed > u64::from(self.interval_bytes) {
            if let Ok(position) = u32::try_from(position) {
                self.offsets.push(header.last_offset(), position);
            }
            self.times.push(self.largest.timestamp, self.largest.offset);
            self.unindexed = 0;
        }
        self.unindexed += header.size_bytes() as u64;
    }

    /// Drops what lies at or above `to`, and answers a position: the batches from there up to `to`
    /// must be added again.
    pub(super) fn truncate(&mut self, to: Offset) -> u64 {
        self.offsets.truncate(to);
        self.times.truncate(to);
        let last = self.times.last();
        self.largest = Largest {
            timestamp: last.timestamp,
            offset: last.offset,
        };
        // The batch of the last entry is the first to be added again, and starts the count anew.
        self.unindexed = 0;
        u64::from(self.offsets.last().position)
    }

    /// The last entry that a sealed segment's time index has.
    pub(super) fn finish(&mut self) {
        self.times
            .push_final(self.largest.timestamp, self.largest.offset);
    }

    /// Whether no entry fits any more, so that the segment has to end.
    pub(crate) const fn is_full(&self) -> bool {
        self.offsets.is_full() || self.times.is_full()
    }

    /// The largest timestamp so far.
    pub(super) const fn largest(&self) -> Largest {
        self.largest
    }

    /// The two complete files.
    pub(super) fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        (self.offsets.encode(), self.times.encode())
    }
}

/// Both indexes of a sealed segment, mapped.
#[derive(Debug)]
pub(super) struct SealedIndexes {
    pub(super) offsets: SealedOffsetIndex,
    pub(super) times: SealedTimeIndex,
}

impl SealedIndexes {
    /// Whether each entry lies within `extent` and behind the one before it.
    fn is_whole(&self, extent: Extent) -> bool {
        let offsets = self.offsets.check_all(extent.next, extent.size);
        offsets.is_ok() && self.times.check_all(extent.next).is_ok()
    }

    fn bytes(&self) -> u64 {
        self.offsets.bytes() + self.times.bytes()
    }
}

/// Where the indexes of a segment are.
#[derive(Debug)]
pub(super) enum Index {
    /// In memory; the files are absent.
    Memory(IndexBuilder),
    /// In their files.
    Files,
}

impl Index {
    /// Whether the files are there.
    pub(super) const fn is_in_files(&self) -> bool {
        matches!(self, Self::Files)
    }
}

impl Segment {
    /// The last index entry at or below `target`: a batch begins at its position, at or before
    /// the one that holds `target`.
    pub(super) fn floor(&self, target: Offset) -> Result<OffsetEntry, StorageError> {
        self.look(
            |builder| builder.offsets.lookup(target),
            |sealed| sealed.offsets.lookup(target),
        )
    }

    /// The last index entry whose batch begins at or before `position`.
    pub(crate) fn floor_position(&self, position: u64) -> Result<OffsetEntry, StorageError> {
        self.look(
            |builder| builder.offsets.lookup_position(position),
            |sealed| sealed.offsets.lookup_position(position),
        )
    }

    /// The position of the last index entry: a batch begins there, unless the index is damaged.
    pub(crate) fn last_entry(&self) -> Result<u64, StorageError> {
        // Without a look at the seal, so that a clean open reads no more than it has to: where this
        // leads to is compared with the checkpoint.
        if let Some(sealed) = self.mapped() {
            return Ok(sealed.offsets.last().position.into());
        }
        self.look(
            |builder| builder.offsets.last().position.into(),
            |sealed| sealed.offsets.last().position.into(),
        )
    }

    /// The last time index entry at or below `target`: no record before its offset is younger.
    pub(crate) fn floor_time(&self, target: Timestamp) -> Result<TimeEntry, StorageError> {
        self.look(
            |builder| builder.times.lookup(target),
            |sealed| sealed.times.lookup(target),
        )
    }

    /// The largest timestamp of the segment.
    pub(crate) fn largest(&self) -> Result<Largest, StorageError> {
        self.look(IndexBuilder::largest, |sealed| {
            let last = sealed.times.last();
            Largest {
                timestamp: last.timestamp,
                offset: last.offset,
            }
        })
    }

    fn look<T>(
        &self,
        in_memory: impl Fn(&IndexBuilder) -> T,
        in_files: impl FnOnce(&SealedIndexes) -> T,
    ) -> Result<T, StorageError> {
        if let Index::Memory(builder) = &self.state.lock().index {
            return Ok(in_memory(builder));
        }
        if let Some(sealed) = self.sealed() {
            return Ok(in_files(&sealed));
        }
        // Missing or damaged: nothing is lost, the segment has it all. The files are written with
        // the next sync of the log's files.
        let rebuilt = self.rebuild()?;
        let mut state = self.state.lock();
        if matches!(state.index, Index::Files) {
            state.index = Index::Memory(rebuilt.clone());
        }
        Ok(in_memory(&rebuilt))
    }

    /// The index files, mapped; `None` where one is missing, does not fit the segment or is not
    /// what its seal says.
    fn sealed(&self) -> Option<SealedIndexes> {
        let offsets = self.map(IndexFile::Offset).ok()?;
        let times = self.map(IndexFile::Time).ok()?;
        if !self.are_indexes_as_sealed(offsets.bytes(), times.bytes()) {
            self.unmap();
            return None;
        }
        self.mapped()
    }

    /// How many bytes the index files have, which are compared with the seal; 0 where there is
    /// none that is right.
    pub(super) fn index_bytes(&self) -> u64 {
        if !self.state.lock().index.is_in_files() {
            return 0;
        }
        self.unmap();
        let Some(sealed) = self.sealed() else {
            return 0;
        };
        sealed.bytes()
    }

    /// Makes the indexes anew from the batches, and says whether the files are to be written. Where
    /// the files are what they should be, they are taken for right from now on.
    pub(crate) fn renew_indexes(&self) -> Result<bool, StorageError> {
        if !self.state.lock().index.is_in_files() {
            return Ok(true);
        }
        let mut builder = self.rebuild()?;
        builder.finish();
        let (offsets, times) = builder.encode();
        let in_files = |which, bytes: &[u8]| {
            let mapped = self.map(which);
            mapped.is_ok_and(|mapped| mapped.bytes() == bytes)
        };
        let is_right = in_files(IndexFile::Offset, &offsets) && in_files(IndexFile::Time, &times);
        let mut state = self.state.lock();
        if is_right && state.index.is_in_files() {
            state.index_sums = Some((FileSum::of(&offsets), FileSum::of(&times)));
            return Ok(false);
        }
        state.index = Index::Memory(builder);
        drop(state);
        self.unmap();
        Ok(true)
    }

    /// The index files, mapped; `None` where one is missing or does not fit the segment.
    fn mapped(&self) -> Option<SealedIndexes> {
        if !self.state.lock().index.is_in_files() {
            return None;
        }
        let Extent { size, next } = self.extent();
        let offsets = self.map(IndexFile::Offset).ok()?;
        let times = self.map(IndexFile::Time).ok()?;
        let sealed = SealedIndexes {
            offsets: SealedOffsetIndex::open(self.base, offsets, next, size).ok()?,
            times: SealedTimeIndex::open(self.base, times, next).ok()?,
        };
        Some(sealed)
    }

    /// Walks the whole segment and builds its indexes anew.
    fn rebuild(&self) -> Result<IndexBuilder, StorageError> {
        let built = self.settled(|| {
            let mut builder = IndexBuilder::new(self.base, self.rules);
            self.add_from(&mut builder, 0)?;
            Ok(builder)
        });
        built.map_err(|e| self.walk_error(e))
    }

    /// Adds the batches from `position` on, where one begins.
    fn add_from(&self, builder: &mut IndexBuilder, position: u64) -> Result<(), WalkError> {
        let file = self.file().map_err(WalkError::Storage)?;
        let (size, bad) = {
            let state = self.state.lock();
            (state.extent.size, state.bad.clone())
        };
        let starts = std::iter::once(position).chain(bad.iter().map(|bad| bad.to));
        let ends = bad.iter().map(|bad| bad.from).chain([size]);
        for (start, end) in starts.zip(ends) {
            let mut walk = self.walk(&*file, Wait::Allowed, start.max(position)..end);
            while let Some(step) = walk.next()? {
                builder.add(&step.header, step.position);
            }
        }
        Ok(())
    }

    /// Gets the indexes into memory, so that batches can be added; their files go.
    pub(super) fn resume(&self) -> Result<(), StorageError> {
        self.resume_aborted()?;
        if matches!(self.state.lock().index, Index::Memory(_)) {
            return Ok(());
        }
        let extent = self.extent();
        // Every entry goes on to be used; of an unsealed index only the ends were looked at.
        let sealed = self.sealed().filter(|sealed| sealed.is_whole(extent));
        let builder = match sealed {
            Some(sealed) => IndexBuilder::resume(&sealed, self.rules, extent),
            None => self.rebuild()?,
        };
        self.remove_index_files()?;
        self.state.lock().index = Index::Memory(builder);
        Ok(())
    }

    /// Whether the indexes have room for one more entry each.
    pub(crate) fn is_index_full(&self) -> bool {
        let state = self.state.lock();
        let is_full = matches!(&state.index, Index::Memory(builder) if builder.is_full());
        is_full || state.aborted.is_full()
    }

    /// Writes the index files of a segment to which no batch is added any more: complete, synced,
    /// and only then under their names. `false` where they are there already.
    ///
    /// The transaction index goes first: that it is missing beside the others says that nothing
    /// was aborted.
    pub(crate) fn write_indexes(&self, way: &mut Way) -> Result<bool, StorageError> {
        let Some(wrote) = self.write_aborted(way)? else {
            return Ok(false);
        };
        let (offsets, times) = {
            let mut state = self.state.lock();
            let Index::Memory(builder) = &mut state.index else {
                return Ok(wrote);
            };
            builder.finish();
            builder.encode()
        };
        let sums = (FileSum::of(&offsets), FileSum::of(&times));
        for (which, bytes) in [(IndexFile::Offset, offsets), (IndexFile::Time, times)] {
            way.write(&*self.shared.vfs, &self.path_of(which.suffix()), &bytes)?;
        }
        let mut state = self.state.lock();
        if self.is_active() {
            // An append got in between; what was written is behind already.
            drop(state);
            self.remove_index_files()?;
            return Ok(true);
        }
        state.index = Index::Files;
        state.index_sums = Some(sums);
        Ok(true)
    }

    /// Drops from the indexes what lies at or above `to`, where the segment ends now.
    pub(super) fn truncate_indexes(&self, to: Offset) -> Result<(), StorageError> {
        let mut builder = match &self.state.lock().index {
            Index::Memory(builder) => builder.clone(),
            Index::Files => return Err(self.corrupt(0, "cut while sealed".to_owned())),
        };
        let position = builder.truncate(to);
        self.add_from(&mut builder, position)
            .map_err(|e| self.walk_error(e))?;
        let mut state = self.state.lock();
        state.index = Index::Memory(builder);
        state.aborted.truncate(to);
        Ok(())
    }

    fn remove_index_files(&self) -> Result<(), StorageError> {
        self.unmap();
        for which in [IndexFile::Offset, IndexFile::Time] {
            dir::remove_if_there(&*self.shared.vfs, &self.path_of(which.suffix()))?;
        }
        Ok(())
    }

    /// A walk's failure as a failure of this segment's file. A walk that may wait never answers
    /// that it would have to.
    pub(crate) fn walk_error(&self, error: WalkError) -> StorageError {
        match error {
            WalkError::Io(e) => StorageError::io("read", &self.path(), e),
            WalkError::Bad { position, why } => self.corrupt(position, why),
            WalkError::Storage(e) => e,
            WalkError::WouldBlock => {
                StorageError::io("read", &self.path(), std::io::ErrorKind::WouldBlock.into())
            }
        }
    }

    /// This segment's file is corrupt at `position`.
    pub(crate) fn corrupt(&self, position: u64, why: String) -> StorageError {
        StorageError::Corrupt {
            path: self.path(),
            position,
            why,
        }
    }
}
