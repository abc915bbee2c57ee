//! The disk, injected: what the log asks of a file system, and nothing more.
//!
//! Every path handed to a [`Vfs`] is absolute or relative to where the process started; the log
//! builds them from a data directory, fixed names, numbers and checked topic names only.

#[cfg(test)]
mod conformance;
mod crash_points;
mod fault;
mod fault_points;
mod mem;
mod real;

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use self::crash_points::{Crash, CrashPoints};
pub use self::fault::{Call, Fault, FaultVfs, Operation, Rule};
pub use self::fault_points::{Failure, FaultPoints};
pub use self::mem::{CrashPlan, Keep, MemVfs};
pub use self::real::RealVfs;
use crate::Timestamp;

/// A file system.
///
/// # Durability
/// Data written is durable after [`File::sync_data`] returned `Ok`; a file's name, its removal and
/// a rename after [`Vfs::sync_dir`] of the directory (both directories of a rename) did.
///
/// # Places
/// Each call knows the place in the source that it is made from, so that a [`FaultVfs`] can let
/// each of them fail.
pub trait Vfs: fmt::Debug + Send + Sync {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// `NotFound` where it must exist, `AlreadyExists` where it must not, `IsADirectory`; else what
    /// the device or the process's limits answer.
    #[track_caller]
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// The entries of `dir`, sorted by name, without `.` and `..`.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`; else what the device answers.
    #[track_caller]
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// What is at `path`; `None` where nothing is.
    ///
    /// # Errors
    /// What the device answers. A missing name is `None`, a file where a directory is needed is
    /// `NotADirectory`.
    #[track_caller]
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;

    /// Makes one directory; its parent must exist.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` without a parent; `StorageFull`; else what the device answers.
    #[track_caller]
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file or directory, replacing a file at `to` in one step.
    ///
    /// # Errors
    /// `NotFound`; `IsADirectory`, `NotADirectory`, `DirectoryNotEmpty` where `to` is of another
    /// kind or a directory in use; else what the device answers.
    #[track_caller]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`; an error where it is a directory; else what the device answers.
    #[track_caller]
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `DirectoryNotEmpty`; else what the device answers.
    #[track_caller]
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable.
    ///
    /// # Errors
    /// What the device answers. As with [`File::sync_data`], nobody may ask again then.
    #[track_caller]
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes all data and names of the file system that holds `dir` durable, at once: cheaper than
    /// one sync per file where there are many. `false` where the platform has no such thing, and
    /// nothing was synced.
    ///
    /// # Errors
    /// What the device answers, for any file: nobody may ask again then, as with
    /// [`File::sync_data`].
    #[track_caller]
    fn sync_all(&self, dir: &Path) -> io::Result<bool>;

    /// Takes the advisory lock of the file at `path`, which is made where it is missing. Held
    /// until the guard is dropped.
    ///
    /// # Errors
    /// `WouldBlock` where another holder has it, in this process or another; else as
    /// [`Vfs::open`].
    #[track_caller]
    fn lock(&self, path: &Path) -> io::Result<FileLock>;

    /// The space of the file system that holds `dir`.
    ///
    /// # Errors
    /// `NotFound`; else what the device answers.
    #[track_caller]
    fn space(&self, dir: &Path) -> io::Result<Space>;
}

/// A held advisory lock; dropping it gives it back.
pub type FileLock = Box<dyn fmt::Debug + Send + Sync>;

/// An open file. Positions are bytes from its start.
pub trait File: fmt::Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes at `position`; 0 only at or past the end.
    ///
    /// # Errors
    /// What the device answers; `Interrupted` may be tried again.
    #[track_caller]
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;

    /// As [`File::read_at`], but `None` where the bytes would have to come from the device first,
    /// or nobody can tell. May read less than asked before the end.
    ///
    /// # Errors
    /// As [`File::read_at`].
    #[track_caller]
    fn read_at_nowait(&self, buf: &mut [u8], position: u64) -> io::Result<Option<usize>>;

    /// Writes the slices one after the other at `position`; may write less than asked, never 0
    /// without an error.
    ///
    /// # Errors
    /// `StorageFull`; `PermissionDenied` on a file opened for reading; else what the device
    /// answers. `Interrupted` may be tried again.
    #[track_caller]
    fn write_at(&self, bufs: &[IoSlice<'_>], position: u64) -> io::Result<usize>;

    /// Makes the data and the length durable.
    ///
    /// # Errors
    /// What the device answers. Nobody may ask again then: what was not written may by then count
    /// as clean.
    #[track_caller]
    fn sync_data(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the device answers.
    #[track_caller]
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no byte.
    ///
    /// # Errors
    /// As [`File::len`].
    #[track_caller]
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or grows (with zeros) the file to `len` bytes.
    ///
    /// # Errors
    /// As [`File::write_at`].
    #[track_caller]
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The whole file, read-only, as it is now. Only for files that nobody writes or cuts while
    /// they are mapped.
    ///
    /// # Errors
    /// What the device answers, or the process's limit of mappings.
    #[track_caller]
    fn map(&self) -> io::Result<Mapping>;

    /// The bytes `position..position + len` in the form that is cheapest to send to a socket.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before; else what the device answers.
    #[track_caller]
    fn range(&self, position: u64, len: u64) -> io::Result<FileRange>;

    /// Forgets cached pages, so that the next read is answered by the device, where the platform
    /// can. Only after [`File::sync_data`]; dirty pages stay.
    ///
    /// # Errors
    /// What the device answers.
    #[track_caller]
    fn drop_cache(&self) -> io::Result<()>;

    /// Has the file count as last written at `time`. Nothing that is durable depends on it.
    ///
    /// # Errors
    /// What the device answers; `InvalidInput` where the platform cannot tell such a time.
    #[track_caller]
    fn set_modified(&self, time: Timestamp) -> io::Result<()>;
}

impl dyn File + '_ {
    /// Fills `buf` from `position` on; `UnexpectedEof` where the file ends before.
    ///
    /// # Errors
    /// What [`File::read_at`] answers.
    #[track_caller]
    pub fn read_exact_at(&self, mut buf: &mut [u8], mut position: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, position) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buf = buf.get_mut(n..).unwrap_or_default();
                    position += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Writes all of `bufs` at `position`.
    ///
    /// # Errors
    /// What [`File::write_at`] answers; some bytes may have been written.
    #[track_caller]
    pub fn write_all_at(&self, bufs: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
        let mut rest = bufs;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match self.write_at(rest, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    IoSlice::advance_slices(&mut rest, n);
                    position += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    Write,
    /// For reading and writing; made empty where it is missing.
    Create,
    /// For reading and writing; must be missing, is made empty.
    CreateNew,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the directory. Names that are not UTF-8 are listed with replacement
    /// characters, so that a caller sees a stranger rather than nothing.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Whether it is a directory.
    pub is_dir: bool,
    /// A file's length in bytes.
    pub len: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What this process may still use.
    pub usable: u64,
}

/// Bytes of a file on their way to a socket.
#[derive(Clone, Debug)]
pub enum FileRange {
    /// A real file: send with `sendfile`.
    Fd {
        /// The open file.
        file: Arc<std::fs::File>,
        /// The first byte.
        position: u64,
        /// How many bytes.
        len: u64,
    },
    /// Bytes already in memory, in order.
    Chunks(Vec<Bytes>),
}

impl FileRange {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Fd { len, .. } => *len,
            Self::Chunks(chunks) => chunks.iter().map(|c| c.len() as u64).sum(),
        }
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A whole file in memory.
pub trait Mapped: fmt::Debug + Send + Sync {
    /// The bytes.
    fn bytes(&self) -> &[u8];
}

/// A shared [`Mapped`] file.
pub type Mapping = Arc<dyn Mapped>;
