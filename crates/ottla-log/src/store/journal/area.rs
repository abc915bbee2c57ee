//! One of the journal's two files, as the writer sees it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::vfs::{File, OpenMode, Vfs};

/// A file that rounds fill from its start, again and again.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) path: PathBuf,
    /// Open from the first round on.
    pub(super) file: Option<Arc<dyn File>>,
    /// Whether the file may be there.
    pub(super) exists: bool,
    /// Whether its name is durable.
    pub(super) is_named: bool,
    /// Bytes that were written and synced once: overwriting them changes no metadata.
    pub(super) len: u64,
    /// Where the next round begins.
    pub(super) end: u64,
    /// The sequence of the first round that a recovery needs; `None` where it needs none and the
    /// area may be overwritten from its start.
    pub(super) first: Option<u64>,
    /// The device was full when the area was to grow.
    pub(super) capped: bool,
}

impl Area {
    /// The open file.
    pub(super) fn open(&mut self, vfs: &dyn Vfs) -> io::Result<Arc<dyn File>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = vfs.open(&self.path, OpenMode::Create)?;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// How many bytes rounds can take without growing the file.
    pub(super) const fn room(&self) -> u64 {
        self.len.saturating_sub(self.end)
    }
}
