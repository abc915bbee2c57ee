//! The machine's file systems.
//!
//! Where Linux has a faster way than the standard library, [`RealVfs::new`] takes it and
//! [`RealVfs::portable`] does not; elsewhere both are the same. The only unsafe code of the crate
//! is in `real/map.rs`.

#[cfg(target_os = "linux")]
mod linux;
mod map;
mod portable;

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{DirEntry, File, FileLock, FileRange, Mapping, OpenMode, Space, Stat, Vfs};
use crate::Timestamp;

/// The machine's file systems.
#[derive(Clone, Copy, Debug)]
pub struct RealVfs {
    fast: bool,
}

impl RealVfs {
    /// With all that this platform offers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            fast: cfg!(target_os = "linux"),
        }
    }

    /// With the means that every Unix has, so that they are tested where better ones exist.
    #[must_use]
    pub const fn portable() -> Self {
        Self { fast: false }
    }

    /// Raises the number of files that this process may have open as far as it may go by itself;
    /// answers that number, `None` where there is no limit.
    #[must_use]
    pub fn raise_open_files_limit() -> Option<u64> {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => raised.current,
            // Some platforms cap it below the limit they state; the old one still holds.
            Err(_) => limit.current,
        }
    }
}

impl Default for RealVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl Vfs for RealVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = open(path, mode)?;
        // The other modes cannot open a directory.
        if mode == OpenMode::Read && file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Arc::new(RealFile {
            file: Arc::new(file),
            fast: self.fast,
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let mut kind = entry.file_type()?;
            if kind.is_symlink() {
                // What it leads to counts; one that leads nowhere is listed as a file.
                kind = fs::metadata(entry.path()).map_or(kind, |target| target.file_type());
            }
            Ok(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: kind.is_dir(),
            })
        };
        let mut list = fs::read_dir(dir)?
            .map(entry)
            .collect::<io::Result<Vec<_>>>()?;
        list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
        let modified = modified.unwrap_or_default().as_millis();
        Ok(Some(Stat {
            is_dir: metadata.is_dir(),
            len: if metadata.is_dir() { 0 } else { metadata.len() },
            modified: Timestamp::new(i64::try_from(modified).unwrap_or(i64::MAX)),
        }))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        #[cfg(target_os = "linux")]
        if self.fast {
            linux::sync_all(dir)?;
            return Ok(true);
        }
        let _ = dir;
        Ok(false)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let file = open(path, OpenMode::Create)?;
        match file.try_lock() {
            // The lock is the open file's: closing the file gives it back, also after a kill.
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            usable: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }
}

fn open(path: &Path, mode: OpenMode) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.read(true);
    match mode {
        OpenMode::Read => {}
        OpenMode::Write => {
            options.write(true);
        }
        OpenMode::Create => {
            options.write(true).create(true).truncate(false);
        }
        OpenMode::CreateNew => {
            options.write(true).create_new(true);
        }
    }
    options.open(path)
}

/// An open file of the machine.
#[derive(Debug)]
struct RealFile {
    /// Shared with the ranges on their way to a socket.
    file: Arc<fs::File>,
    fast: bool,
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buf, position)
    }

    fn read_at_nowait(&self, buf: &mut [u8], position: u64) -> io::Result<Option<usize>> {
        #[cfg(target_os = "linux")]
        if self.fast {
            return linux::read_at_nowait(&self.file, buf, position);
        }
        portable::read_at_nowait(&self.file, buf, position)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        if self.fast {
            return linux::write_at(&self.file, bufs, position);
        }
        portable::write_at(&self.file, bufs, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn map(&self) -> io::Result<Mapping> {
        if self.fast {
            return map::map(&self.file);
        }
        portable::map(&self.file)
    }

    fn range(&self, position: u64, len: u64) -> io::Result<FileRange> {
        let end = position
            .checked_add(len)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.len()? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(FileRange::Fd {
            file: Arc::clone(&self.file),
            position,
            len,
        })
    }

    fn drop_cache(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self.fast {
            linux::drop_cache(&self.file)?;
        }
        Ok(())
    }

    fn set_modified(&self, time: Timestamp) -> io::Result<()> {
        let since = u64::try_from(time.get()).ok().map(Duration::from_millis);
        let time = since.and_then(|since| UNIX_EPOCH.checked_add(since));
        self.file
            .set_modified(time.ok_or(io::ErrorKind::InvalidInput)?)
    }
}

#[cfg(test)]
mod tests;
