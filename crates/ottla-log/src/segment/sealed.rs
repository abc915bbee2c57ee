//! A segment and its seal: each chunk is compared once per open, before the first of its bytes is
//! used, and what does not match is bad from then on.
//!
//! A seal speaks for the first bytes of a file, so that appends leave it true; whoever cuts or
//! replaces these bytes removes it first, durably. A missing seal says nothing: the batches'
//! own checksums are then all there is.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BadRange, Segment, Wait, Walk, WalkError};
use crate::checkpoint::{self, PartitionMetadata};
use crate::inspect::Finding;
use crate::log::{Checker, dir};
use crate::seal::{FileSum, SEAL_BYTES_MAX, Seal};
use crate::{StorageError, TopicId};

/// The longest `partition.metadata` that is read.
const METADATA_BYTES_MAX: usize = 4096;

/// What is known of a segment's seal.
#[derive(Debug, Default)]
pub(super) enum SealState {
    /// Nobody looked.
    #[default]
    Unknown,
    /// There is no file.
    Absent,
    /// There is a file that does not count.
    Void,
    /// The file counts.
    Present(Sealed),
}

/// A seal, and which of its chunks were found to be as it says, or bad and noted as such.
#[derive(Debug)]
pub(super) struct Sealed {
    seal: Arc<Seal>,
    checked: Vec<bool>,
    /// The index files were found to be as it says.
    indexes_checked: bool,
}

impl SealState {
    /// The seal, if it counts.
    pub(super) fn seal(&self) -> Option<&Seal> {
        match self {
            Self::Present(sealed) => Some(&sealed.seal),
            Self::Unknown | Self::Absent | Self::Void => None,
        }
    }

    /// How many bytes the seal speaks for.
    pub(super) fn size(&self) -> u64 {
        self.seal().map_or(0, |seal| seal.size)
    }
}

/// The directory of the seals of the log in `log_dir`.
pub(crate) fn seal_dir(seals: &Path, log_dir: &Path) -> PathBuf {
    seals.join(log_dir.file_name().unwrap_or_default())
}

/// Whose log is in `log_dir`; `None` where that cannot be told.
fn topic_of(vfs: &dyn crate::vfs::Vfs, log_dir: &Path) -> Option<TopicId> {
    let path = log_dir.join(dir::METADATA);
    let bytes = checkpoint::read(vfs, &path, METADATA_BYTES_MAX).ok()??;
    Some(PartitionMetadata::decode(&bytes).ok()?.topic_id)
}

impl Segment {
    /// Compares the bytes of `from..to` with the seal, where the segment has one and they were not
    /// compared yet. What does not match is noted: look for bad ranges afterwards.
    pub(crate) fn touch(&self, from: u64, to: u64, wait: Wait) -> Result<(), WalkError> {
        while let Some((seal, index)) = self.untouched(&(from..to), wait)? {
            let good = self.check_chunk(&seal, index, wait)?;
            self.note_chunk(&seal, index, good)?;
        }
        Ok(())
    }

    /// The first chunk of `range` that was not compared yet.
    fn untouched(
        &self,
        range: &Range<u64>,
        wait: Wait,
    ) -> Result<Option<(Arc<Seal>, usize)>, WalkError> {
        if matches!(self.state.lock().seal, SealState::Unknown) {
            if wait == Wait::Forbidden {
                return Err(WalkError::WouldBlock);
            }
            self.load_seal();
        }
        let state = self.state.lock();
        let SealState::Present(sealed) = &state.seal else {
            return Ok(None);
        };
        let mut chunks = sealed.seal.chunks_of(range);
        let first = chunks.find(|index| sealed.checked.get(*index) == Some(&false));
        Ok(first.map(|index| (Arc::clone(&sealed.seal), index)))
    }

    /// Whether a chunk is as its seal says.
    pub(crate) fn check_chunk(
        &self,
        seal: &Seal,
        index: usize,
        wait: Wait,
    ) -> Result<bool, WalkError> {
        let chunk = seal.chunk(index);
        let file = self.file().map_err(WalkError::Storage)?;
        match self.read(&*file, chunk.start, chunk.end - chunk.start, wait) {
            Ok(bytes) => Ok(seal.holds(index, &bytes)),
            // The file is shorter than it was.
            Err(WalkError::Bad { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Notes how a chunk was found. Does nothing where the seal was replaced meanwhile: what was
    /// read may be of another state of the file.
    pub(crate) fn note_chunk(
        &self,
        seal: &Arc<Seal>,
        index: usize,
        good: bool,
    ) -> Result<(), WalkError> {
        let bad = if good {
            Vec::new()
        } else {
            self.judge(&seal.chunk(index), true)?
        };
        let mut state = self.state.lock();
        let SealState::Present(sealed) = &mut state.seal else {
            return Ok(());
        };
        let known = sealed.checked.get_mut(index);
        match known.filter(|_| Arc::ptr_eq(&sealed.seal, seal)) {
            None => return Ok(()),
            Some(checked) => *checked = true,
        }
        for bad in bad {
            self.note_bad_in(&mut state, bad);
        }
        Ok(())
    }

    /// The batches of `range` that are bad: those whose own checksum or place is wrong or, where
    /// there is none and the bytes are known to be wrong, all of them.
    fn judge(&self, range: &Range<u64>, is_wrong: bool) -> Result<Vec<BadRange>, WalkError> {
        let file = self.file().map_err(WalkError::Storage)?;
        let end = self.extent();
        let len = file.len().map_err(WalkError::Io)?.min(end.size);
        // From the start, as nothing in between was checked yet. It is not done often.
        let (mut from, mut offset) = (0, self.base);
        let mut walk = Walk::new(&*file, Wait::Allowed, 0, range.start.min(len), self.base);
        loop {
            match walk.next() {
                Ok(Some(step)) => (from, offset) = (step.end(), step.next_offset()),
                // Into the range, or what is bad before it.
                Ok(None) | Err(WalkError::Bad { .. }) => break,
                Err(e) => return Err(e),
            }
        }
        let (mut position, first) = (from, offset);
        let mut checker = Checker::new(&*file, self.base, len, &self.shared.limits);
        let mut found = Vec::new();
        while position < range.end.min(end.size) {
            let stop = match checker.batch_at(position, offset) {
                Ok((header, batch)) => {
                    position += batch.len() as u64;
                    offset = header.next_offset();
                    continue;
                }
                Err(stop) => stop,
            };
            let good = checker.next_good(stop.position + 1, offset);
            let next = good.and_then(|good| checker.base_offset_at(good));
            let bad = BadRange {
                from: stop.position,
                to: good.unwrap_or(end.size),
                offset,
                next: next.unwrap_or(end.next),
                why: stop.why,
            };
            (position, offset) = (bad.to, bad.next);
            found.push(bad);
        }
        if found.is_empty() && is_wrong {
            found.push(BadRange {
                from,
                to: position,
                offset: first,
                next: offset,
                why: "the bytes do not match their seal".to_owned(),
            });
        }
        Ok(found)
    }

    /// Notes the batches from `from` on whose own checksum or place is wrong.
    pub(crate) fn condemn(&self, from: u64) -> Result<(), WalkError> {
        let range = from..self.extent().size;
        for bad in self.judge(&range, false)? {
            self.note_bad(bad);
        }
        Ok(())
    }

    /// The seal, if it counts.
    pub(crate) fn seal_on_disk(&self) -> Option<Arc<Seal>> {
        self.load_seal();
        match &self.state.lock().seal {
            SealState::Present(sealed) => Some(Arc::clone(&sealed.seal)),
            _ => None,
        }
    }

    /// Looks for the seal, where nobody did.
    pub(super) fn load_seal(&self) {
        if !matches!(self.state.lock().seal, SealState::Unknown) {
            return;
        }
        let path = self.seal_path();
        let read = checkpoint::read(&*self.shared.vfs, &path, SEAL_BYTES_MAX);
        let counts = |seal: &Seal| {
            seal.base == self.base
                && seal.size <= self.extent().size
                && topic_of(&*self.shared.vfs, &self.dir) == Some(seal.topic_id)
        };
        let found = match read {
            Ok(None) => SealState::Absent,
            Ok(Some(bytes)) => match Seal::decode(&bytes) {
                Ok(seal) if counts(&seal) => SealState::Present(Sealed::new(seal, false)),
                // A crash may have left a part of it.
                Ok(_) | Err(_) => SealState::Void,
            },
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a seal cannot be read");
                SealState::Void
            }
        };
        let mut state = self.state.lock();
        if matches!(state.seal, SealState::Unknown) {
            state.seal = found;
        }
    }

    /// Where its seal is.
    pub(crate) fn seal_path(&self) -> PathBuf {
        let name = dir::name_of(self.base, dir::SEAL);
        seal_dir(&self.shared.seal_dir, &self.dir).join(name)
    }

    /// Removes, durably, a seal that does not count, before anything is added to the segment: it
    /// may speak for bytes that a crash took, and would seem to speak for those that come there.
    pub(super) fn drop_void_seal(&self) -> Result<(), StorageError> {
        self.load_seal();
        if !matches!(self.state.lock().seal, SealState::Void) {
            return Ok(());
        }
        let path = self.seal_path();
        dir::remove_if_there(&*self.shared.vfs, &path)?;
        let dir = seal_dir(&self.shared.seal_dir, &self.dir);
        let synced = self.shared.vfs.sync_dir(&dir);
        synced.map_err(|e| StorageError::io("sync the directory", &dir, e))?;
        self.state.lock().seal = SealState::Absent;
        Ok(())
    }

    /// Takes over a seal that was just written, of bytes that were just read.
    pub(crate) fn sealed_as(&self, seal: Seal) {
        self.state.lock().seal = SealState::Present(Sealed::new(seal, true));
    }

    /// The seal file counts no longer. Answers whether there may be one.
    pub(crate) fn unsealed(&self) -> bool {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.seal, SealState::Absent);
        !matches!(before, SealState::Absent)
    }

    /// The sums of the index files, as they were written or found right; `None` where the indexes
    /// are in memory, or nobody knows whether the files are right.
    pub(crate) fn index_sums(&self) -> Option<(FileSum, FileSum)> {
        let state = self.state.lock();
        state.index_sums.filter(|_| state.index.is_in_files())
    }

    /// Whether the mapped index files are what the seal says, if it says something of them.
    pub(super) fn are_indexes_as_sealed(&self, offsets: &[u8], times: &[u8]) -> bool {
        self.load_seal();
        let mut state = self.state.lock();
        let size = state.extent.size;
        let SealState::Present(sealed) = &mut state.seal else {
            return true;
        };
        // A batch that was added since is in the indexes, too.
        if sealed.indexes_checked || sealed.seal.size != size {
            return true;
        }
        let found = (FileSum::of(offsets), FileSum::of(times));
        let is_right = found == (sealed.seal.index, sealed.seal.time_index);
        sealed.indexes_checked = is_right;
        let base = self.base;
        let differs = if found.0 == sealed.seal.index {
            dir::TIME_INDEX
        } else {
            dir::INDEX
        };
        drop(state);
        if is_right {
            self.state.lock().index_sums = Some(found);
        } else {
            self.shared.findings.note(Finding {
                path: dir::file_in(&self.dir, base, differs),
                position: None,
                what: "it does not match its seal; it is made anew".to_owned(),
            });
        }
        is_right
    }

    /// Reads the index files again, where they are and the seal speaks for them. Answers how many
    /// bytes they have. Those that do not match are made anew by who asks next.
    pub(crate) fn recheck_indexes(&self) -> u64 {
        {
            let mut state = self.state.lock();
            if let SealState::Present(sealed) = &mut state.seal {
                sealed.indexes_checked = false;
            }
        }
        self.index_bytes()
    }

    /// The bad range that has the byte at `position`.
    pub(super) fn check_place(&self, position: u64) -> Result<(), WalkError> {
        let state = self.state.lock();
        let mut bad = state.bad.iter();
        match bad.find(|bad| (bad.from..bad.to).contains(&position)) {
            None => Ok(()),
            Some(bad) => Err(WalkError::Bad {
                position: bad.from,
                why: bad.why.clone(),
            }),
        }
    }

    /// What is bad in it, if it is known to be.
    pub(crate) fn check_whole(&self) -> Result<(), StorageError> {
        let first = self.state.lock().bad.first().cloned();
        match first {
            None => Ok(()),
            Some(bad) => Err(self.corrupt(bad.from, bad.why)),
        }
    }

    /// How many ranges are known to be bad.
    pub(super) fn bad_count(&self) -> u64 {
        self.state.lock().noted
    }

    /// Notes a bad range, in order, unless it is known.
    pub(super) fn note_bad_in(&self, state: &mut super::State, bad: BadRange) {
        let is_known = |known: &BadRange| known.from <= bad.from && bad.to <= known.to;
        if bad.from < bad.to && state.bad.iter().any(is_known) {
            return;
        }
        self.shared.findings.note(Finding {
            path: self.path(),
            position: Some(bad.from),
            what: format!(
                "{}; offsets {} to {} cannot be read",
                bad.why,
                bad.offset,
                bad.next.get().saturating_sub(1)
            ),
        });
        let at = state.bad.partition_point(|known| known.from <= bad.from);
        state.bad.insert(at, bad);
        state.noted += 1;
    }

    /// Runs `find` again for as long as it stumbles over what was not known to be bad before.
    pub(super) fn settled<T>(
        &self,
        mut find: impl FnMut() -> Result<T, WalkError>,
    ) -> Result<T, WalkError> {
        loop {
            let known = self.bad_count();
            match find() {
                Err(WalkError::Bad { .. }) if self.bad_count() > known => {}
                done => return done,
            }
        }
    }
}

impl Sealed {
    fn new(seal: Seal, checked: bool) -> Self {
        Self {
            checked: vec![checked; seal.chunks.len()],
            indexes_checked: checked,
            seal: Arc::new(seal),
        }
    }
}
