//! Open files of a [`FaultVfs`](super::FaultVfs).

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Operation, Script};
use crate::Timestamp;
use crate::vfs::{File, FileRange, Mapping};

/// An open file, and the script.
#[derive(Debug)]
pub(super) struct FaultFile {
    pub(super) inner: Arc<dyn File>,
    /// The path it was opened by; a rename does not change it.
    pub(super) path: PathBuf,
    pub(super) script: Arc<Script>,
}

impl FaultFile {
    #[track_caller]
    fn check(&self, operation: Operation) -> io::Result<usize> {
        self.script.check(operation, &self.path)
    }
}

impl File for FaultFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let len = self.check(Operation::Read)?.min(buf.len());
        self.inner.read_at(&mut buf[..len], position)
    }

    fn read_at_nowait(&self, buf: &mut [u8], position: u64) -> io::Result<Option<usize>> {
        let len = self.check(Operation::Read)?.min(buf.len());
        self.inner.read_at_nowait(&mut buf[..len], position)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let mut left = self.check(Operation::Write)?;
        let mut short = Vec::with_capacity(bufs.len());
        for buf in bufs {
            let len = left.min(buf.len());
            left -= len;
            short.push(IoSlice::new(&buf[..len]));
        }
        let written = self.inner.write_at(&short, position)?;
        self.script.wrote(&self.path, position, written as u64);
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check(Operation::SyncData)?;
        if self.script.is_clean(&self.path) {
            return Ok(());
        }
        self.inner.sync_data()?;
        self.script.synced(&self.path);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.check(Operation::Len)?;
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check(Operation::SetLen)?;
        self.inner.set_len(len)?;
        if len == 0 {
            self.script.emptied(&self.path);
        }
        Ok(())
    }

    fn map(&self) -> io::Result<Mapping> {
        self.check(Operation::Map)?;
        self.inner.map()
    }

    fn range(&self, position: u64, len: u64) -> io::Result<FileRange> {
        self.check(Operation::Range)?;
        match self.inner.range(position, len)? {
            chunks @ FileRange::Chunks(_) => Ok(chunks),
            FileRange::Fd { .. } => {
                let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
                let mut bytes = vec![0; len];
                self.inner.read_exact_at(&mut bytes, position)?;
                Ok(FileRange::Chunks(vec![bytes.into()]))
            }
        }
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.check(Operation::DropCache)?;
        // The cache had what a lost sync never brought to the device: the blocks were allocated
        // and read as zeros, as on ext4.
        let len = self.inner.len()?;
        for (position, written) in self.script.lost(&self.path) {
            let end = (position + written).min(len);
            let zeros = vec![0; usize::try_from(end.saturating_sub(position)).unwrap_or(0)];
            self.inner
                .write_all_at(&mut [IoSlice::new(&zeros)], position)?;
        }
        self.inner.drop_cache()
    }

    fn set_modified(&self, time: Timestamp) -> io::Result<()> {
        self.check(Operation::SetModified)?;
        self.inner.set_modified(time)
    }
}
