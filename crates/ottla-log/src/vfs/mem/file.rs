//! Open files and locks of a [`MemVfs`](super::MemVfs).

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Shared;
use super::names::FileNode;
use crate::Timestamp;
use crate::vfs::{File, FileRange, Mapped, Mapping};

/// An open file in memory.
pub(super) struct MemFile {
    shared: Arc<Shared>,
    node: Arc<FileNode>,
    writable: bool,
}

/// A held advisory lock; dropping it gives it back.
pub(super) struct Locked(Arc<FileNode>);

impl MemFile {
    pub(super) fn new(shared: Arc<Shared>, node: Arc<FileNode>, writable: bool) -> Self {
        Self {
            shared,
            node,
            writable,
        }
    }

    /// Makes the file `len` bytes long as far as the space goes; an error changes nothing.
    fn charge(&self, old: u64, new: u64, unlinked: bool) -> io::Result<()> {
        let used = &self.shared.used;
        if unlinked || new == old {
            return Ok(());
        }
        if new < old {
            used.fetch_sub(old - new, Ordering::Relaxed);
            return Ok(());
        }
        let space = self.shared.settings.space;
        let grow = |now: u64| {
            let after = now.checked_add(new - old)?;
            (after <= space).then_some(after)
        };
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow)
            .map(drop)
            .map_err(|_| io::ErrorKind::StorageFull.into())
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the file is open for reading only",
        ))
    }
}

impl fmt::Debug for MemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemFile")
            .field("id", &self.node.id)
            .field("len", &self.node.state.read().live().len())
            .field("writable", &self.writable)
            .finish_non_exhaustive()
    }
}

impl File for MemFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        Ok(self.node.state.read().live().read(position, buf))
    }

    fn read_at_nowait(&self, buf: &mut [u8], position: u64) -> io::Result<Option<usize>> {
        self.read_at(buf, position).map(Some)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.check_writable()?;
        let size: usize = bufs.iter().map(|buf| buf.len()).sum();
        if size == 0 {
            return Ok(0);
        }
        let end = position
            .checked_add(size as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let _gate = self.shared.gate.read();
        let mut state = self.node.state.write();
        let len = state.live().len();
        self.charge(len, len.max(end), state.unlinked)?;
        if let Err(stopped) = self.shared.operations.count() {
            self.charge(len.max(end), len, state.unlinked)?;
            return Err(stopped);
        }
        state.write(bufs.iter().map(|buf| &**buf), position);
        state.modified = self.shared.settings.now();
        if !self.shared.settings.track {
            state.sync();
        }
        Ok(size)
    }

    fn sync_data(&self) -> io::Result<()> {
        let _gate = self.shared.gate.read();
        let mut state = self.node.state.write();
        self.shared.operations.count()?;
        state.sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.node.state.read().live().len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let _gate = self.shared.gate.read();
        let mut state = self.node.state.write();
        let old = state.live().len();
        self.charge(old, len, state.unlinked)?;
        if let Err(stopped) = self.shared.operations.count() {
            self.charge(len, old, state.unlinked)?;
            return Err(stopped);
        }
        state.set_len(len);
        state.modified = self.shared.settings.now();
        if !self.shared.settings.track {
            state.sync();
        }
        Ok(())
    }

    fn map(&self) -> io::Result<Mapping> {
        let state = self.node.state.read();
        let mut chunks = state.live().chunks(0, state.live().len());
        let whole = match chunks.len() {
            0 | 1 => chunks.pop().unwrap_or_default(),
            _ => chunks.concat().into(),
        };
        Ok(Arc::new(MemMapping(whole)))
    }

    fn range(&self, position: u64, len: u64) -> io::Result<FileRange> {
        let state = self.node.state.read();
        let end = position.checked_add(len);
        let end = end.filter(|end| *end <= state.live().len());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(FileRange::Chunks(state.live().chunks(position, end)))
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_modified(&self, time: Timestamp) -> io::Result<()> {
        self.node.state.write().modified = time;
        Ok(())
    }
}

impl Locked {
    /// Takes the lock unless someone holds it.
    pub(super) fn take(file: Arc<FileNode>) -> Option<Self> {
        let free = !file.locked.swap(true, Ordering::SeqCst);
        free.then(|| Self(file))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::SeqCst);
    }
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Locked").field(&self.0.id).finish()
    }
}

/// A file's bytes as they were.
#[derive(Debug)]
struct MemMapping(Bytes);

impl Mapped for MemMapping {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}
