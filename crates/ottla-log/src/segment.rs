//! One segment: a `.log` file of batches, its indexes, and what is known of them.
//!
//! A segment is shared by its log's appender and any number of readers. What is known of it is
//! behind a mutex that is never held during IO. It knows nothing of roles, bounds or durability.

mod aborted;
mod files;
mod index;
mod read;
mod sealed;
mod search;
mod verified;
mod walk;

use std::fmt;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

pub(crate) use index::{IndexBuilder, IndexRules};
pub(crate) use sealed::seal_dir;
pub(crate) use search::{BadRange, BatchRange};
pub(crate) use walk::{Step, Wait, Walk, WalkError};

use crate::batch::BatchHeader;
use crate::index::TxnIndex;
use crate::log::LogShared;
use crate::log::dir;
use crate::seal::FileSum;
use crate::vfs::File;
use crate::{Offset, StorageError};
use aborted::Aborted;
use files::{Naming, OpenFiles};
use index::Index;
use sealed::SealState;
use verified::Verified;

/// Where a segment ends: bytes and offset belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The size of its batches in bytes.
    pub(crate) size: u64,
    /// The offset after its last batch; the base offset where it has none.
    pub(crate) next: Offset,
}

/// One segment of a log.
pub(crate) struct Segment {
    shared: Arc<LogShared>,
    dir: Arc<Path>,
    base: Offset,
    rules: IndexRules,
    me: Weak<Self>,
    /// The file is there.
    created: AtomicBool,
    /// Batches may still be added: the file is opened for writing.
    active: AtomicBool,
    /// By which names its files are known; only goes forward. A [`Naming`].
    naming: AtomicU8,
    /// Written to since the last sync.
    dirty: AtomicBool,
    /// Used since the last look of the handles' clock.
    used: AtomicBool,
    files: Mutex<OpenFiles>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    extent: Extent,
    index: Index,
    aborted: Aborted,
    verified: Verified,
    /// Found when the segment was checked, or since; in order.
    bad: Vec<BadRange>,
    /// How often a bad range was noted.
    noted: u64,
    seal: SealState,
    /// Of the index files that were written, or found to be right.
    index_sums: Option<(FileSum, FileSum)>,
    /// The sum of the transaction index as it was written.
    aborted_sum: Option<FileSum>,
}

/// Where a segment comes from, and what is known of it at the start.
#[derive(Debug)]
pub(crate) enum Origin {
    /// New: the file is made with the first batch.
    Fresh,
    /// A file that is taken as it is; its index files may be there.
    Found(Extent),
    /// A file that was read and checked from start to end, the indexes made of it, and where it
    /// is bad.
    Checked {
        extent: Extent,
        index: IndexBuilder,
        aborted: TxnIndex,
        bad: Vec<BadRange>,
    },
}

impl Segment {
    /// The segment of the log in `dir` whose first offset is `base`.
    pub(crate) fn new(
        shared: &Arc<LogShared>,
        dir: &Arc<Path>,
        base: Offset,
        rules: IndexRules,
        origin: Origin,
    ) -> Arc<Self> {
        let created = !matches!(origin, Origin::Fresh);
        let mut verified = Verified::default();
        let (extent, index, aborted, bad) = match origin {
            Origin::Fresh => {
                let extent = Extent {
                    size: 0,
                    next: base,
                };
                let index = Index::Memory(IndexBuilder::new(base, rules));
                let aborted = Aborted::new(TxnIndex::new(rules.bytes_max));
                (extent, index, aborted, Vec::new())
            }
            Origin::Found(extent) => (extent, Index::Files, Aborted::File, Vec::new()),
            Origin::Checked {
                extent,
                index,
                aborted,
                bad,
            } => {
                // No read goes into or over a bad range.
                verified.add(0, extent.size);
                (extent, Index::Memory(index), Aborted::new(aborted), bad)
            }
        };
        Arc::new_cyclic(|me| Self {
            shared: Arc::clone(shared),
            dir: Arc::clone(dir),
            base,
            rules,
            me: Weak::clone(me),
            created: AtomicBool::new(created),
            active: AtomicBool::new(false),
            naming: AtomicU8::default(),
            dirty: AtomicBool::new(false),
            used: AtomicBool::new(false),
            files: Mutex::new(OpenFiles::default()),
            state: Mutex::new(State {
                extent,
                index,
                aborted,
                verified,
                bad,
                noted: 0,
                seal: SealState::Unknown,
                index_sums: None,
                aborted_sum: None,
            }),
        })
    }

    /// The base offset, which names the files.
    pub(crate) const fn base(&self) -> Offset {
        self.base
    }

    /// Where it ends now.
    pub(crate) fn extent(&self) -> Extent {
        self.state.lock().extent
    }

    /// The path of the `.log` file.
    pub(crate) fn path(&self) -> PathBuf {
        self.path_of(dir::LOG)
    }

    /// Whether the `.log` file is there.
    pub(crate) fn is_created(&self) -> bool {
        self.created.load(Ordering::Acquire)
    }

    /// The log found out where the segment ends.
    pub(crate) fn learn_end(&self, next: Offset) {
        self.state.lock().extent.next = next;
    }

    /// From now on batches are added: the indexes come into memory, the file is opened for
    /// writing.
    pub(crate) fn activate(&self) -> Result<(), StorageError> {
        let in_memory = {
            // With the state locked, so that `write_indexes` sees either that or the files' use.
            let state = self.state.lock();
            if self.active.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
            let knows_aborted = matches!(state.aborted, Aborted::Memory { .. });
            matches!(state.index, Index::Memory(_)) && knows_aborted
        };
        self.drop_void_seal().inspect_err(|_| self.seal())?;
        if !self.dirty.load(Ordering::Acquire) {
            // It may be open for reading only. A dirty one is not: it was written to.
            self.forget_file();
        }
        if in_memory {
            return Ok(());
        }
        self.resume().inspect_err(|_| self.seal())
    }

    /// No batch is added any more.
    pub(crate) fn seal(&self) {
        self.active.store(false, Ordering::Release);
    }

    /// Whether batches may still be added.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// The file for [`Segment::write`]; made where it is missing.
    pub(crate) fn open_for_append(&self) -> Result<Arc<dyn File>, StorageError> {
        assert!(self.is_active(), "{self:?} is sealed");
        // Before the file is asked for, so that nobody closes it until it is synced.
        self.dirty.store(true, Ordering::Release);
        self.file_or_new()
    }

    /// Writes `bytes` at the end. Nothing of them is part of the segment until
    /// [`Segment::added`]; after an error some of them may be in the file.
    pub(crate) fn write(&self, file: &Arc<dyn File>, bytes: &Bytes) -> Result<(), StorageError> {
        let written = file.write_all_at(&mut [IoSlice::new(bytes)], self.extent().size);
        // Once more: a sync that ran beside the write took the mark and may have missed the bytes.
        self.dirty.store(true, Ordering::Release);
        written.map_err(|e| StorageError::io("append to", &self.path(), e))
    }

    /// Takes the batches with these headers, just written at the end, into the segment.
    pub(crate) fn added(&self, headers: &[BatchHeader]) {
        let mut state = self.state.lock();
        let from = state.extent.size;
        for header in headers {
            assert!(
                header.base_offset >= state.extent.next,
                "batch {} added at {:?}",
                header.base_offset,
                state.extent
            );
            let position = state.extent.size;
            match &mut state.index {
                Index::Memory(builder) => builder.add(header, position),
                Index::Files => assert!(self.active.load(Ordering::Relaxed), "segment is sealed"),
            }
            state.extent.size += header.size_bytes() as u64;
            state.extent.next = header.next_offset();
        }
        let to = state.extent.size;
        state.verified.add(from, to);
    }

    /// Cuts the file back to what is part of the segment, after a failed write.
    pub(crate) fn cut_back(&self) -> Result<(), StorageError> {
        if !self.is_created() {
            return Ok(());
        }
        self.file()?
            .set_len(self.extent().size)
            .map_err(|e| StorageError::io("cut back", &self.path(), e))
    }

    /// Cuts off the batch at `position`, which begins the cut part, and everything after it; the
    /// segment must be active. `next` is the offset after the last batch that stays.
    pub(crate) fn truncate(&self, position: u64, next: Offset) -> Result<(), StorageError> {
        self.dirty.store(true, Ordering::Release);
        let file = self.file()?;
        {
            let mut state = self.state.lock();
            state.extent = Extent {
                size: position,
                next,
            };
            state.verified.truncate(position);
            state.bad.retain(|bad| bad.to <= position);
        }
        let cut = file.set_len(position);
        // Once more, as in [`Segment::write`].
        self.dirty.store(true, Ordering::Release);
        cut.map_err(|e| StorageError::io("cut", &self.path(), e))?;
        self.truncate_indexes(next)
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        if !self.dirty.load(Ordering::Acquire) || !self.is_created() {
            return Ok(());
        }
        // The very file that was written to, held before it may be closed: only it is told of a
        // failed write-back.
        let file = self.file()?;
        self.dirty.store(false, Ordering::Release);
        file.sync_data()
            .map_err(|e| StorageError::io("sync", &self.path(), e))
    }

    /// Whether everything that was written is durable.
    pub(crate) fn is_synced(&self) -> bool {
        !self.dirty.load(Ordering::Acquire)
    }

    /// Takes the segment out of its log: its files get the suffix of deleted ones. Who reads it
    /// reads on.
    pub(crate) fn remove(&self) -> Result<(), StorageError> {
        self.rename_files(&dir::SEGMENT_SUFFIXES)
    }

    /// As [`Segment::remove`], for a segment whose place another one takes: what was known of
    /// producers at its base offset stays.
    pub(crate) fn give_way(&self) -> Result<(), StorageError> {
        self.rename_files(&[dir::LOG, dir::INDEX, dir::TIME_INDEX, dir::TXN_INDEX])
    }

    fn rename_files(&self, suffixes: &[&str]) -> Result<(), StorageError> {
        self.rename_to(Naming::Leaving);
        for suffix in suffixes {
            let path = dir::file_in(&self.dir, self.base, suffix);
            dir::mark_deleted(&*self.shared.vfs, &path)?;
        }
        self.rename_to(Naming::Removed);
        Ok(())
    }

    /// Deletes the files of a segment that was removed.
    pub(crate) fn delete_files(&self) -> Result<(), StorageError> {
        assert!(self.naming() == Naming::Removed, "{self:?} is in use");
        for suffix in dir::SEGMENT_SUFFIXES {
            dir::remove_if_there(&*self.shared.vfs, &self.path_of(suffix))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("path", &self.path())
            .field("extent", &self.extent())
            .finish_non_exhaustive()
    }
}
