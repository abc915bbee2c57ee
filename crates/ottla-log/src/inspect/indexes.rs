//! Index files, entry by entry.

use std::path::Path;

use crate::cursor::Cursor;
use crate::index::{AbortedTransaction, TXN_ENTRY_LEN};
use crate::vfs::Vfs;
use crate::{Offset, StorageError, Timestamp, checkpoint};

/// No index is larger: `segment.index.bytes` is an `int`, and Kafka's default is 10 MiB.
const INDEX_BYTES_MAX: usize = 1 << 30;
/// The size of an entry of an offset index: a relative offset and a position.
pub(super) const OFFSET_ENTRY: usize = 8;
/// The size of an entry of a time index: a timestamp and a relative offset.
pub(super) const TIME_ENTRY: usize = 12;

/// An entry of an offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffsetIndexEntry {
    /// The last offset of a batch.
    pub offset: Offset,
    /// Where the batch begins in the segment.
    pub position: u64,
}

/// An entry of a time index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeIndexEntry {
    /// The largest timestamp up to the batch of `offset`.
    pub timestamp: Timestamp,
    /// An offset in the batch that has this timestamp.
    pub offset: Offset,
}

/// The entries of the `.index` file at `path`, of the segment at `base`. A rest that is no whole
/// entry is left out, and so are the zeros of a file that was made larger ahead of need.
///
/// # Errors
/// [`StorageError`] where the file cannot be read.
pub fn read_offset_index(
    vfs: &dyn Vfs,
    path: &Path,
    base: Offset,
) -> Result<Vec<OffsetIndexEntry>, StorageError> {
    entries::<OFFSET_ENTRY, _>(vfs, path, |mut cursor| {
        let relative = cursor.i32().ok()?;
        let position = cursor.u32().ok()?;
        Some(OffsetIndexEntry {
            offset: base.plus(i64::from(relative)),
            position: u64::from(position),
        })
    })
}

/// The entries of the `.timeindex` file at `path`, of the segment at `base`; as
/// [`read_offset_index`].
///
/// # Errors
/// [`StorageError`] where the file cannot be read.
pub fn read_time_index(
    vfs: &dyn Vfs,
    path: &Path,
    base: Offset,
) -> Result<Vec<TimeIndexEntry>, StorageError> {
    entries::<TIME_ENTRY, _>(vfs, path, |mut cursor| {
        let timestamp = Timestamp::new(cursor.i64().ok()?);
        let relative = cursor.i32().ok()?;
        Some(TimeIndexEntry {
            timestamp,
            offset: base.plus(i64::from(relative)),
        })
    })
}

/// The aborted transactions in the `.txnindex` file at `path`.
///
/// # Errors
/// [`StorageError`] where the file cannot be read, or is no such file.
pub fn read_txn_index(vfs: &dyn Vfs, path: &Path) -> Result<Vec<AbortedTransaction>, StorageError> {
    let bytes = read_whole(vfs, path, INDEX_BYTES_MAX)?.unwrap_or_default();
    let entries = bytes.chunks(TXN_ENTRY_LEN).enumerate();
    let read = |(number, bytes)| {
        AbortedTransaction::decode(bytes).map_err(|e| StorageError::Corrupt {
            path: path.to_path_buf(),
            position: (number * TXN_ENTRY_LEN) as u64,
            why: e.0.to_owned(),
        })
    };
    entries.map(read).collect()
}

/// The whole file at `path`; `None` where it is missing.
pub(super) fn read_whole(
    vfs: &dyn Vfs,
    path: &Path,
    max: usize,
) -> Result<Option<Vec<u8>>, StorageError> {
    checkpoint::read(vfs, path, max)
}

fn entries<const LEN: usize, T>(
    vfs: &dyn Vfs,
    path: &Path,
    read: impl Fn(Cursor<'_>) -> Option<T>,
) -> Result<Vec<T>, StorageError> {
    let bytes = read_whole(vfs, path, INDEX_BYTES_MAX)?.unwrap_or_default();
    // The zeros may be an entry where it is the only one.
    let all_unused = bytes.len() > LEN && bytes.iter().all(|b| *b == 0);
    let is_unused = |(number, entry): &(usize, &[u8])| {
        (all_unused || *number > 0) && entry.iter().all(|b| *b == 0)
    };
    let used = bytes.chunks_exact(LEN).enumerate();
    let used = used.take_while(|entry| !is_unused(entry));
    Ok(used
        .filter_map(|(_, entry)| read(Cursor::new(entry)))
        .collect())
}
