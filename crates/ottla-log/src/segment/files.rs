//! The open files of a segment: opened when asked for, closed by the handles' clock.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Segment;
use crate::index::SealedTxnIndex;
use crate::log::dir::{self, file_in};
use crate::log::handles::Held;
use crate::vfs::{File, Mapping, OpenMode};
use crate::{StorageError, Timestamp};

/// What a segment holds open.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    log: Option<Arc<dyn File>>,
    index: Option<Mapping>,
    time_index: Option<Mapping>,
    pub(super) txn_index: Option<Arc<SealedTxnIndex>>,
    /// In the handles' ring.
    counted: bool,
}

/// By which names a segment's files are known. Who opens one waits for nobody who renames them:
/// it looks again afterwards, as another segment's file may have got the old name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// Those of its log.
    InLog = 0,
    /// Each by that or with the suffix of deleted ones: it is about to leave its log. No file of
    /// another one has the old name yet.
    Leaving = 1,
    /// With that suffix.
    Removed = 2,
}

/// Which index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexFile {
    Offset,
    Time,
}

impl IndexFile {
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Offset => dir::INDEX,
            Self::Time => dir::TIME_INDEX,
        }
    }
}

impl OpenFiles {
    fn mapping(&mut self, which: IndexFile) -> &mut Option<Mapping> {
        match which {
            IndexFile::Offset => &mut self.index,
            IndexFile::Time => &mut self.time_index,
        }
    }
}

impl Segment {
    /// The path of the file of kind `suffix`; differs once the segment is no longer of the log.
    pub(super) fn path_of(&self, suffix: &str) -> PathBuf {
        let path = file_in(&self.dir, self.base, suffix);
        match self.naming() {
            Naming::InLog | Naming::Leaving => path,
            Naming::Removed => dir::with_suffix(&path, dir::DELETED),
        }
    }

    /// By which names its files are known now.
    pub(super) fn naming(&self) -> Naming {
        match self.naming.load(Ordering::Acquire) {
            0 => Naming::InLog,
            1 => Naming::Leaving,
            _ => Naming::Removed,
        }
    }

    /// Notes that the names are about to change, or have changed.
    pub(super) fn rename_to(&self, naming: Naming) {
        self.naming.fetch_max(naming as u8, Ordering::AcqRel);
    }

    /// When the `.log` file was last written; never, where it is not there.
    pub(crate) fn modified(&self) -> Result<Timestamp, StorageError> {
        let path = self.path_of(dir::LOG);
        let stat = self.shared.vfs.stat(&path);
        let stat = stat.map_err(|e| StorageError::io("look at", &path, e))?;
        Ok(stat.map_or(Timestamp::NONE, |stat| stat.modified))
    }

    /// The `.log` file. Who holds it reads on, whatever becomes of the file's name.
    pub(crate) fn file(&self) -> Result<Arc<dyn File>, StorageError> {
        let mode = if self.is_active() {
            OpenMode::Write
        } else {
            OpenMode::Read
        };
        self.file_in(mode)
    }

    /// The `.log` file, for the appender: made where it is missing.
    pub(super) fn file_or_new(&self) -> Result<Arc<dyn File>, StorageError> {
        if self.is_created() {
            return self.file();
        }
        let file = self.file_in(OpenMode::CreateNew)?;
        self.created.store(true, Ordering::Release);
        Ok(file)
    }

    fn file_in(&self, mode: OpenMode) -> Result<Arc<dyn File>, StorageError> {
        self.used.store(true, Ordering::Relaxed);
        if let Some(file) = &self.files.lock().log {
            return Ok(Arc::clone(file));
        }
        let file = self.open(dir::LOG, mode)?;
        Ok(self.keep(|files| {
            if mode == OpenMode::Read && self.is_active() {
                // Became active meanwhile, and needs a file that can be written to.
                return file;
            }
            Arc::clone(files.log.get_or_insert(file))
        }))
    }

    /// The whole index file, mapped.
    pub(super) fn map(&self, which: IndexFile) -> Result<Mapping, StorageError> {
        self.used.store(true, Ordering::Relaxed);
        if let Some(mapping) = self.files.lock().mapping(which) {
            return Ok(Arc::clone(mapping));
        }
        let file = self.open(which.suffix(), OpenMode::Read)?;
        let mapping = file
            .map()
            .map_err(|e| StorageError::io("map", &self.path_of(which.suffix()), e))?;
        Ok(self.keep(|files| Arc::clone(files.mapping(which).get_or_insert(mapping))))
    }

    /// Forgets the `.log` file, which is to be opened in another mode.
    pub(super) fn forget_file(&self) {
        self.files.lock().log = None;
    }

    /// Forgets the index files, which change or go.
    pub(super) fn unmap(&self) {
        let mut files = self.files.lock();
        files.index = None;
        files.time_index = None;
        files.txn_index = None;
    }

    pub(super) fn open(&self, suffix: &str, mode: OpenMode) -> Result<Arc<dyn File>, StorageError> {
        let vfs = &self.shared.vfs;
        loop {
            let before = self.naming();
            let mut path = self.path_of(suffix);
            let mut opened = vfs.open(&path, mode);
            if before == Naming::Leaving && is_missing(&opened) {
                let deleted = dir::with_suffix(&path, dir::DELETED);
                opened = vfs.open(&deleted, mode);
                path = deleted;
            }
            let after = self.naming();
            if before == after || (opened.is_ok() && after != Naming::Removed) {
                return opened.map_err(|e| StorageError::io("open", &path, e));
            }
        }
    }

    /// Puts a file in its place and counts this segment among the holders of open files.
    pub(super) fn keep<T>(&self, put: impl FnOnce(&mut OpenFiles) -> T) -> T {
        let mut files = self.files.lock();
        let kept = put(&mut files);
        let first = !std::mem::replace(&mut files.counted, true);
        drop(files);
        if first {
            self.shared.handles.opened(self.me.clone());
        }
        kept
    }
}

fn is_missing<T>(opened: &io::Result<T>) -> bool {
    matches!(opened, Err(e) if e.kind() == io::ErrorKind::NotFound)
}

impl Held for Segment {
    fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn release(&self) -> bool {
        let mut files = self.files.lock();
        if self.dirty.load(Ordering::Acquire) {
            return false;
        }
        *files = OpenFiles::default();
        true
    }
}
