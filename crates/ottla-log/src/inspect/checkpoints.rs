//! The small files beside the segments.

use std::path::Path;

use super::indexes::read_whole;
use crate::checkpoint::PartitionMetadata;
use crate::derived::Derived;
use crate::epoch_cache::LeaderEpochCache;
use crate::producer_state::{ProducerState, SNAPSHOT_BYTES_MAX};
use crate::vfs::Vfs;
use crate::{
    LeaderEpoch, Limits, Offset, ProducerEpoch, ProducerId, Sequence, StorageError, Timestamp,
    TopicId,
};

/// A leader epoch and the first offset of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start: Offset,
}

/// A producer in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerEntry {
    /// Whose.
    pub producer_id: ProducerId,
    /// Its latest epoch.
    pub epoch: ProducerEpoch,
    /// The last sequence in the epoch; -1 for none.
    pub last_sequence: Sequence,
    /// The offset of the last record in the epoch; -1 for none.
    pub last_offset: Offset,
    /// The timestamp of its last batch.
    pub last_timestamp: Timestamp,
    /// Epoch of the coordinator that wrote its last marker; -1 for none.
    pub coordinator_epoch: i32,
    /// The first record of its open transaction.
    pub transaction_start: Option<Offset>,
}

/// The entries of the `leader-epoch-checkpoint` at `path`.
///
/// # Errors
/// [`StorageError`] where it cannot be read, or is not such a file.
pub fn read_epochs(vfs: &dyn Vfs, path: &Path) -> Result<Vec<EpochStart>, StorageError> {
    let limits = Limits::default();
    let Some(bytes) = read_whole(vfs, path, limits.checkpoint_bytes_max)? else {
        return Ok(Vec::new());
    };
    let cache = LeaderEpochCache::load(&bytes, Offset::new(i64::MAX), &limits);
    let cache = cache.map_err(|e| corrupt(path, e.to_string()))?;
    let entry = |(epoch, start)| EpochStart { epoch, start };
    Ok(cache.entries().map(entry).collect())
}

/// The producers in the `.snapshot` at `path`, which tells of the log up to `offset`.
///
/// # Errors
/// [`StorageError`] where it cannot be read, or is not such a file.
pub fn read_producers(
    vfs: &dyn Vfs,
    path: &Path,
    offset: Offset,
) -> Result<Vec<ProducerEntry>, StorageError> {
    Ok(load_producers(vfs, path, offset)?.entries().collect())
}

/// The topic's id in the `partition.metadata` at `path`.
///
/// # Errors
/// [`StorageError`] where it cannot be read, or is not such a file.
pub fn read_topic_id(vfs: &dyn Vfs, path: &Path) -> Result<Option<TopicId>, StorageError> {
    let limits = Limits::default();
    let Some(bytes) = read_whole(vfs, path, limits.checkpoint_bytes_max)? else {
        return Ok(None);
    };
    let metadata = PartitionMetadata::decode(&bytes).map_err(|e| corrupt(path, e.to_string()))?;
    Ok(Some(metadata.topic_id))
}

pub(super) fn load_producers(
    vfs: &dyn Vfs,
    path: &Path,
    offset: Offset,
) -> Result<ProducerState, StorageError> {
    let bytes = read_whole(vfs, path, SNAPSHOT_BYTES_MAX)?.unwrap_or_default();
    ProducerState::load(&bytes, offset, &Limits::default())
        .map_err(|e| corrupt(path, e.to_string()))
}

fn corrupt(path: &Path, why: String) -> StorageError {
    StorageError::Corrupt {
        path: path.to_path_buf(),
        position: 0,
        why,
    }
}
