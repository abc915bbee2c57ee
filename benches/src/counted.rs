//! The real disk with its syncs counted and timed.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla_log::Timestamp;
use ottla_log::vfs::{
    DirEntry, File, FileLock, FileRange, Mapping, OpenMode, RealVfs, Space, Stat, Vfs,
};

/// The real disk with its syncs counted and timed. A clone counts together with its original.
#[derive(Clone, Debug, Default)]
pub struct CountedVfs {
    disk: RealVfs,
    syncs: Arc<Syncs>,
}

#[derive(Debug, Default)]
struct Syncs {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Syncs {
    fn count<T>(&self, sync: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = sync();
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        done
    }
}

impl CountedVfs {
    /// How many syncs there were so far, and what they took together.
    #[must_use]
    pub fn syncs(&self) -> (u64, Duration) {
        let nanos = self.syncs.nanos.load(Ordering::Relaxed);
        let count = self.syncs.count.load(Ordering::Relaxed);
        (count, Duration::from_nanos(nanos))
    }
}

impl Vfs for CountedVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = CountedFile {
            file: self.disk.open(path, mode)?,
            syncs: Arc::clone(&self.syncs),
        };
        Ok(Arc::new(file))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.disk.stat(path)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.syncs.count(|| self.disk.sync_dir(dir))
    }

    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        self.syncs.count(|| self.disk.sync_all(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.disk.lock(path)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.disk.space(dir)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn File>,
    syncs: Arc<Syncs>,
}

impl File for CountedFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buf, position)
    }

    fn read_at_nowait(&self, buf: &mut [u8], position: u64) -> io::Result<Option<usize>> {
        self.file.read_at_nowait(buf, position)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.file.write_at(bufs, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.syncs.count(|| self.file.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn map(&self) -> io::Result<Mapping> {
        self.file.map()
    }

    fn range(&self, position: u64, len: u64) -> io::Result<FileRange> {
        self.file.range(position, len)
    }

    fn set_modified(&self, time: Timestamp) -> io::Result<()> {
        self.file.set_modified(time)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }
}
