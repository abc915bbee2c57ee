//! A segment file, batch by batch, over damage and on.

use std::path::Path;

use bytes::Bytes;

use crate::batch::{BatchError, BatchHeader, Records};
use crate::log::Checker;
use crate::vfs::{OpenMode, Vfs};
use crate::{Limits, Offset, StorageError};

/// What comes next in a segment file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Piece {
    /// A batch whose header and checksum are right.
    Batch(FoundBatch),
    /// Bytes that are no such batch.
    Damage(Damage),
}

/// A batch in its file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundBatch {
    /// Where it begins.
    pub position: u64,
    /// Its header.
    pub header: BatchHeader,
    bytes: Bytes,
}

impl FoundBatch {
    /// Its records, decompressed within `limits`.
    ///
    /// # Errors
    /// [`BatchError`] where they cannot be.
    pub fn records(&self, limits: &Limits) -> Result<Records, BatchError> {
        Records::open(&self.header, &self.bytes, limits)
    }

    pub(super) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Bytes of a segment file that are no good batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Where it begins.
    pub position: u64,
    /// What is wrong there.
    pub why: String,
    /// Where good batches go on; `None` where none follows.
    pub resumes: Option<u64>,
    /// How many bytes the file had when it was opened.
    pub file_len: u64,
}

/// Reads the segment file at `path`, whose first offset is `base`, and hands each piece to `sink`.
/// Returns the offset after the last good batch.
///
/// # Errors
/// [`StorageError::Io`] where the file cannot be opened. What cannot be read in it is damage.
pub fn read_segment(
    vfs: &dyn Vfs,
    path: &Path,
    base: Offset,
    limits: &Limits,
    sink: &mut dyn FnMut(Piece),
) -> Result<Offset, StorageError> {
    let io = |doing| move |e| StorageError::io(doing, path, e);
    let file = vfs.open(path, OpenMode::Read).map_err(io("open"))?;
    let file_len = file.len().map_err(io("look at"))?;
    let mut checker = Checker::new(&*file, base, file_len, limits);
    let (mut position, mut next) = (0, base);
    loop {
        let stop = checker.run(position, next, |header, bytes, position| {
            next = header.next_offset();
            sink(Piece::Batch(FoundBatch {
                position,
                header: *header,
                bytes: bytes.clone(),
            }));
        });
        let Some(stop) = stop else {
            return Ok(next);
        };
        let resumes = checker.next_good(stop.position + 1, next);
        sink(Piece::Damage(Damage {
            position: stop.position,
            why: stop.why,
            resumes,
            file_len,
        }));
        match resumes {
            Some(at) => position = at,
            None => return Ok(next),
        }
    }
}
