//! The aborted transactions of a segment: in memory while it grows and until their file is written,
//! in the file afterwards. There is no file where there are none.
//!
//! A file is replaced and never changed, and goes only where another state of the segment is in
//! memory: who was about to read it reads what was right at that time.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Extent, Segment};
use crate::index::{AbortedTransaction, SealedTxnIndex, TxnIndex};
use crate::inspect::Finding;
use crate::log::{Way, dir};
use crate::seal::FileSum;
use crate::vfs::OpenMode;
use crate::{Offset, StorageError};

/// Where a segment's aborted transactions are.
#[derive(Debug)]
pub(super) enum Aborted {
    /// In memory.
    Memory {
        index: TxnIndex,
        /// There is a file of an earlier state.
        has_file: bool,
    },
    /// In the file; there were none where it is missing.
    File,
    /// Nowhere: the file is not right.
    Unknown {
        error: StorageError,
        /// The segment is too damaged to make them anew, or its seal says that they were others.
        is_final: bool,
    },
}

impl Aborted {
    /// Those in memory; no file is there.
    pub(super) const fn new(index: TxnIndex) -> Self {
        let has_file = false;
        Self::Memory { index, has_file }
    }

    pub(super) const fn is_full(&self) -> bool {
        matches!(self, Self::Memory { index, .. } if index.is_full())
    }

    /// Drops those whose marker lies at or above `to`.
    pub(super) fn truncate(&mut self, to: Offset) {
        if let Self::Memory { index, .. } = self {
            index.truncate(to);
        }
    }
}

impl Segment {
    /// An index without entries.
    pub(crate) const fn no_aborted(&self) -> TxnIndex {
        TxnIndex::new(self.rules.bytes_max)
    }

    /// Notes a transaction whose marker was just added.
    pub(crate) fn add_aborted(&self, aborted: AbortedTransaction) {
        let state = &mut self.state.lock();
        let grows = matches!(state.aborted, Aborted::Memory { .. });
        assert!(grows, "{aborted:?} added to {:?}", state.aborted);
        if let Aborted::Memory { index, .. } = &mut state.aborted {
            index.push(aborted);
        }
    }

    /// Adds the aborted transactions to `into` that concern readers from `from` up to `until`, and
    /// whose marker is in this segment. Whether no marker of a later segment can concern them.
    pub(crate) fn collect_aborted(
        &self,
        from: Offset,
        until: Offset,
        into: &mut Vec<AbortedTransaction>,
    ) -> Result<bool, StorageError> {
        match &self.state.lock().aborted {
            Aborted::Memory { index, .. } => return Ok(index.collect(from, until, into)),
            Aborted::Unknown { error, .. } => return Err(error.clone()),
            Aborted::File => {}
        }
        Ok(self.sealed_aborted()?.collect(from, until, into))
    }

    /// Whether they are in memory already.
    pub(crate) fn knows_aborted(&self) -> bool {
        matches!(self.state.lock().aborted, Aborted::Memory { .. })
    }

    /// Whether they are unknown, so that the next open has to make them anew.
    pub(crate) fn lacks_aborted(&self) -> bool {
        matches!(self.state.lock().aborted, Aborted::Unknown { .. })
    }

    /// Whether they are unknown, and nobody tried to make them anew yet.
    pub(crate) fn may_restore_aborted(&self) -> bool {
        let aborted = &self.state.lock().aborted;
        matches!(
            aborted,
            Aborted::Unknown {
                is_final: false,
                ..
            }
        ) && !self.is_active()
    }

    /// Takes over those that were `found` in the batches while the segment was `extent`, in place
    /// of the file, which was found bad; whether they are known now. A seal, or what was written,
    /// tells how the right file was: what differs from it does not count.
    pub(crate) fn restore_aborted(
        &self,
        found: Result<TxnIndex, StorageError>,
        extent: Extent,
    ) -> bool {
        self.load_seal();
        let sum = |index: &TxnIndex| FileSum::of(index.encode().as_deref().unwrap_or_default());
        let mut state = self.state.lock();
        let is_same = state.extent == extent && !self.is_active();
        let sealed = state.seal.seal().filter(|seal| seal.size == extent.size);
        let known = sealed.map(|seal| seal.txn_index).or(state.aborted_sum);
        let found = found
            .ok()
            .filter(|found| known.is_none_or(|known| known == sum(found)));
        match (&mut state.aborted, found) {
            (Aborted::Unknown { .. }, _) if !is_same => false,
            (Aborted::Unknown { .. }, Some(index)) => {
                let has_file = true;
                state.aborted = Aborted::Memory { index, has_file };
                true
            }
            (Aborted::Unknown { is_final, .. }, None) => {
                *is_final = true;
                false
            }
            // Somebody else was first.
            _ => true,
        }
    }

    /// Whether the file, or that it is missing, fits the segment: for one that was found.
    pub(crate) fn has_sound_aborted(&self) -> Result<bool, StorageError> {
        match self.sealed_aborted() {
            Ok(_) => Ok(true),
            Err(StorageError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What was found does not count: these are the segment's aborted transactions.
    pub(crate) fn replace_aborted(&self, found: Result<TxnIndex, StorageError>) {
        let has_file = true;
        self.state.lock().aborted = match found {
            Ok(index) => Aborted::Memory { index, has_file },
            Err(error) => Aborted::Unknown {
                error,
                is_final: true,
            },
        };
    }

    /// The file, checked once for as long as it is held.
    fn sealed_aborted(&self) -> Result<Arc<SealedTxnIndex>, StorageError> {
        self.used.store(true, Ordering::Relaxed);
        if let Some(index) = &self.files.lock().txn_index {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(match self.open(dir::TXN_INDEX, OpenMode::Read) {
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                SealedTxnIndex::default()
            }
            Err(error) => return Err(error),
            Ok(file) => {
                let path = self.path_of(dir::TXN_INDEX);
                let mapping = file.map().map_err(|e| StorageError::io("map", &path, e))?;
                let is_sealed = self.is_aborted_as_sealed(mapping.bytes());
                let opened = SealedTxnIndex::open(self.base, self.extent().next, mapping);
                let opened = opened.map_err(|e| e.to_string());
                let opened = opened.and_then(|index| match is_sealed {
                    true => Ok(index),
                    false => Err("it does not match its seal".to_owned()),
                });
                opened.map_err(|why| self.aborted_are_bad(path, &why))?
            }
        });
        Ok(self.keep(|files| Arc::clone(files.txn_index.get_or_insert(index))))
    }

    /// Whether the file's bytes are what the seal says, if it says something of them.
    fn is_aborted_as_sealed(&self, bytes: &[u8]) -> bool {
        self.load_seal();
        let state = self.state.lock();
        let sealed = state.seal.seal();
        // Of a segment that has grown since it speaks no more.
        let sealed = sealed.filter(|seal| seal.size == state.extent.size);
        sealed.is_none_or(|seal| seal.txn_index == FileSum::of(bytes))
    }

    fn aborted_are_bad(&self, path: PathBuf, why: &str) -> StorageError {
        let what = format!("{why}; it is made anew where the segment is good");
        self.shared.findings.note(Finding {
            path: path.clone(),
            position: None,
            what: what.clone(),
        });
        let error = StorageError::Corrupt {
            path,
            position: 0,
            why: what,
        };
        let mut state = self.state.lock();
        // Not where they have come into memory meanwhile.
        if matches!(state.aborted, Aborted::File) {
            state.aborted = Aborted::Unknown {
                error: error.clone(),
                is_final: false,
            };
        }
        drop(state);
        error
    }

    /// The sum of the file; `None` where they are not in it, or it is not right.
    pub(crate) fn aborted_sum(&self) -> Option<FileSum> {
        {
            let state = self.state.lock();
            match &state.aborted {
                Aborted::Memory { .. } | Aborted::Unknown { .. } => return None,
                Aborted::File if state.aborted_sum.is_some() => return state.aborted_sum,
                Aborted::File => {}
            }
        }
        // It was found so.
        let index = self.sealed_aborted().ok()?;
        Some(FileSum::of(index.bytes()))
    }

    /// Reads the file again, where they are in it. Answers how many bytes it has.
    pub(crate) fn recheck_aborted(&self) -> u64 {
        if !matches!(self.state.lock().aborted, Aborted::File) {
            return 0;
        }
        self.files.lock().txn_index = None;
        let index = self.sealed_aborted();
        index.map_or(0, |index| index.bytes().len() as u64)
    }

    /// Gets them into memory, so that more can be added. The file stays for who is about to read
    /// it, and is replaced when the segment is sealed again.
    pub(super) fn resume_aborted(&self) -> Result<(), StorageError> {
        match &self.state.lock().aborted {
            Aborted::Memory { .. } => return Ok(()),
            // To begin with none would pass what was aborted for committed.
            Aborted::Unknown { error, .. } => return Err(error.clone()),
            Aborted::File => {}
        }
        let sealed = self.sealed_aborted()?;
        let index = sealed.to_active(self.rules.bytes_max);
        let has_file = !sealed.is_empty();
        self.state.lock().aborted = Aborted::Memory { index, has_file };
        Ok(())
    }

    /// Writes the file of a sealed segment; whether it was behind. `None` where they are unknown.
    pub(super) fn write_aborted(&self, way: &mut Way) -> Result<Option<bool>, StorageError> {
        let (bytes, has_file) = match &self.state.lock().aborted {
            Aborted::Memory { index, has_file } => (index.encode(), *has_file),
            Aborted::File => return Ok(Some(false)),
            Aborted::Unknown { .. } => return Ok(None),
        };
        let path = self.path_of(dir::TXN_INDEX);
        match &bytes {
            Some(bytes) => way.write(&*self.shared.vfs, &path, bytes)?,
            None if has_file => dir::remove_if_there(&*self.shared.vfs, &path)?,
            None => {}
        }
        self.files.lock().txn_index = None;
        let mut state = self.state.lock();
        if !self.is_active() {
            state.aborted = Aborted::File;
            // Of what was written: the file may get its name later.
            let bytes = bytes.as_deref().unwrap_or_default();
            state.aborted_sum = Some(FileSum::of(bytes));
        } else if let Aborted::Memory { has_file, .. } = &mut state.aborted {
            // An append got in between; what was written is behind already.
            *has_file = bytes.is_some();
        }
        Ok(Some(bytes.is_some() || has_file))
    }
}
