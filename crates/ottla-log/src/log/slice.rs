//! What a read answers: whole batches of one segment, as bytes or as a range of its file.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::index::AbortedTransaction;
use crate::segment::{Segment, Wait, WalkError};
use crate::vfs::{File, FileRange};
use crate::{Offset, StorageError};

/// Whole batches of one segment, in order. Their bytes stay readable for as long as the slice is
/// held, whatever becomes of the segment.
///
/// Each batch was checked: its checksum, and that its offsets follow on those before.
#[derive(Clone)]
pub struct BatchSlice {
    pub(super) source: Source,
    /// The base offset of the first batch.
    pub(super) base: Offset,
    /// The offset after the last batch.
    pub(super) next: Offset,
}

/// What a reader of committed records is given: batches below the last stable offset, and which of
/// their transactions to leave out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommittedSlice {
    /// The batches; of aborted transactions, too.
    pub batches: BatchSlice,
    /// The aborted transactions that have a part in the range, by rising marker.
    pub aborted: Vec<AbortedTransaction>,
}

#[derive(Clone)]
pub(super) enum Source {
    Memory(Bytes),
    File {
        segment: Arc<Segment>,
        file: Arc<dyn File>,
        position: u64,
        len: u64,
    },
}

impl BatchSlice {
    /// No batch: `at` is at or above the bound of the read.
    pub(super) const fn empty(at: Offset) -> Self {
        Self {
            source: Source::Memory(Bytes::new()),
            base: at,
            next: at,
        }
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.source {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { len, .. } => *len,
        }
    }

    /// Whether there is no batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The base offset of the first batch, which may lie below the offset that was asked for; the
    /// offset asked for where there is no batch.
    #[must_use]
    pub const fn base_offset(&self) -> Offset {
        self.base
    }

    /// Where the next read goes on: the offset after the last batch.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.next
    }

    /// The bytes in memory; read from the file if they are not there already.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn bytes(&self) -> Result<Bytes, StorageError> {
        match &self.source {
            Source::Memory(bytes) => Ok(bytes.clone()),
            Source::File {
                segment,
                file,
                position,
                len,
            } => segment
                .read(&**file, *position, *len, Wait::Allowed)
                .map_err(|e| segment.walk_error(e)),
        }
    }

    /// As [`BatchSlice::bytes`]; `None` where the device would have to be waited for.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn bytes_nowait(&self) -> Result<Option<Bytes>, StorageError> {
        match &self.source {
            Source::Memory(bytes) => Ok(Some(bytes.clone())),
            Source::File {
                segment,
                file,
                position,
                len,
            } => match segment.read(&**file, *position, *len, Wait::Forbidden) {
                Err(WalkError::WouldBlock) => Ok(None),
                read => read.map(Some).map_err(|e| segment.walk_error(e)),
            },
        }
    }

    /// The bytes in the form that is cheapest to send to a socket.
    ///
    /// # Errors
    /// The file cannot be asked.
    pub fn file_range(&self) -> Result<FileRange, StorageError> {
        match &self.source {
            Source::Memory(bytes) => Ok(FileRange::Chunks(vec![bytes.clone()])),
            Source::File {
                segment,
                file,
                position,
                len,
            } => file
                .range(*position, *len)
                .map_err(|e| StorageError::io("read", &segment.path(), e)),
        }
    }
}

impl fmt::Debug for BatchSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.source {
            Source::Memory(_) => "memory",
            Source::File { .. } => "file",
        };
        f.debug_struct("BatchSlice")
            .field("base", &self.base)
            .field("next", &self.next)
            .field("len", &self.len())
            .field("in", &place)
            .finish()
    }
}
