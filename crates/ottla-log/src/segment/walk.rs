//! Walks from batch to batch through a file by their headers, without reading the records.

use std::io;
use std::ops::Range;

use super::Segment;
use crate::batch::BatchHeader;
use crate::vfs::File;
use crate::{Offset, StorageError};

/// How much is read at once: small batches come many to a read, large ones cost one read each.
const CHUNK: usize = 4096;

/// Whether a read may wait for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It may.
    Allowed,
    /// It may not; [`WalkError::WouldBlock`] where it would have to.
    Forbidden,
}

impl Wait {
    /// Reads up to `buf.len()` bytes, all where the file has them.
    pub(crate) fn read(
        self,
        file: &dyn File,
        mut buf: &mut [u8],
        mut position: u64,
    ) -> Result<usize, WalkError> {
        let mut total = 0;
        while !buf.is_empty() {
            let read = match self {
                Self::Allowed => file.read_at(buf, position).map(Some),
                Self::Forbidden => file.read_at_nowait(buf, position),
            };
            match read {
                Ok(Some(0)) => break,
                Ok(Some(n)) => {
                    buf = buf.get_mut(n..).unwrap_or_default();
                    position += n as u64;
                    total += n;
                }
                Ok(None) => return Err(WalkError::WouldBlock),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(WalkError::Io(e)),
            }
        }
        Ok(total)
    }
}

/// Why a walk ends early.
#[derive(Debug)]
pub(crate) enum WalkError {
    /// The bytes are not in memory, and the caller cannot wait.
    WouldBlock,
    /// The file system answered with an error.
    Io(io::Error),
    /// An index or the file could not be had.
    Storage(StorageError),
    /// What is at `position` is not the next batch.
    Bad {
        /// Where the bad batch begins.
        position: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// A batch met on the way.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Where it begins.
    pub(crate) position: u64,
    /// Its header.
    pub(crate) header: BatchHeader,
}

impl Step {
    /// The position after the batch.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.header.size_bytes() as u64
    }

    /// The offset after the batch.
    pub(crate) fn next_offset(&self) -> Offset {
        self.header.last_offset().plus(1)
    }
}

/// A walk through the batches of a file.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    file: &'a dyn File,
    /// Whose seal is asked before a header is used.
    sealed: Option<&'a Segment>,
    wait: Wait,
    start: u64,
    position: u64,
    end: u64,
    /// No batch may begin below it.
    offset: Offset,
    chunk: Vec<u8>,
    chunk_at: u64,
}

impl Segment {
    /// A walk through `range` of this segment's `file`, which asks the seal before it uses what it
    /// finds.
    pub(crate) fn walk<'a>(
        &'a self,
        file: &'a dyn File,
        wait: Wait,
        range: Range<u64>,
    ) -> Walk<'a> {
        let walk = Walk::new(file, wait, range.start, range.end, self.base());
        Walk {
            sealed: Some(self),
            ..walk
        }
    }
}

impl<'a> Walk<'a> {
    /// Walks from `position`, where a batch begins, up to `end`, where one ends; the first batch
    /// has offset `offset` or a larger one.
    pub(crate) fn new(
        file: &'a dyn File,
        wait: Wait,
        position: u64,
        end: u64,
        offset: Offset,
    ) -> Self {
        Self {
            file,
            sealed: None,
            wait,
            start: position,
            position,
            end,
            offset,
            chunk: Vec::new(),
            chunk_at: 0,
        }
    }

    /// Has the first batch begin at `offset` or above.
    pub(crate) fn from(mut self, offset: Offset) -> Self {
        self.offset = offset;
        self
    }

    /// The next batch; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Step>, WalkError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let header = self.header_at(position)?;
        let bad = |why: String| WalkError::Bad { position, why };
        if header.size_bytes() as u64 > self.end - position {
            return Err(bad(format!(
                "the batch has {} bytes, {} are left",
                header.size_bytes(),
                self.end - position
            )));
        }
        if header.base_offset < self.offset {
            return Err(bad(format!(
                "the batch begins at offset {}, at least {} must follow",
                header.base_offset, self.offset
            )));
        }
        if header.base_offset > self.offset && self.is_refuted(&header)? {
            return Err(bad(format!(
                "the batch begins at offset {}, which the one behind it contradicts",
                header.base_offset
            )));
        }
        let step = Step { position, header };
        self.position = step.end();
        self.offset = step.next_offset();
        Ok(Some(step))
    }

    /// Whether the batch behind the one that is next begins too low for it: then the offset that
    /// leaves a gap is wrong. No checksum has it. Where a walk begins, nothing is known of a gap.
    fn is_refuted(&mut self, header: &BatchHeader) -> Result<bool, WalkError> {
        let behind = self.position + header.size_bytes() as u64;
        if self.position == self.start || behind >= self.end {
            return Ok(false);
        }
        match self.header_at(behind) {
            Ok(next) => {
                Ok(self.offset < next.base_offset && next.base_offset < header.next_offset())
            }
            Err(WalkError::Bad { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn header_at(&mut self, position: u64) -> Result<BatchHeader, WalkError> {
        let bad = |why: String| WalkError::Bad { position, why };
        if self.end - position < BatchHeader::LEN as u64 {
            return Err(bad(format!(
                "{} bytes are left, a batch's header has {}",
                self.end - position,
                BatchHeader::LEN
            )));
        }
        if !self.holds(position) {
            let len = CHUNK.min(usize::try_from(self.end - position).unwrap_or(CHUNK));
            if let Some(segment) = self.sealed {
                segment.touch(position, position + len as u64, self.wait)?;
            }
            self.chunk.resize(len, 0);
            let read = self.wait.read(self.file, &mut self.chunk, position)?;
            self.chunk.truncate(read);
            self.chunk_at = position;
        }
        if let Some(segment) = self.sealed {
            segment.check_place(position)?;
        }
        let at = usize::try_from(position - self.chunk_at).unwrap_or(usize::MAX);
        let bytes = self.chunk.get(at..).unwrap_or_default();
        BatchHeader::parse(bytes).map_err(|e| bad(e.to_string()))
    }

    /// Whether the chunk has the header at `position` whole.
    fn holds(&self, position: u64) -> bool {
        position >= self.chunk_at
            && position + BatchHeader::LEN as u64 <= self.chunk_at + self.chunk.len() as u64
    }
}
