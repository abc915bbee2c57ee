//! Reads the log of a shard into its machine.

use ottla_coordinator::group::{GroupShard, Record, RecordError};
use ottla_log::{Offset, ReadError};

use crate::partition::Partition;

/// Why a shard could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("the log cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("the record at offset {offset} cannot be read: {source}")]
    Record { offset: Offset, source: RecordError },
}

/// Replays all of the log. What a transaction committed counts where its end is in the log and says
/// so: a broker that had this directory before may have kept offsets of transactions.
pub(super) fn replay(
    partition: &Partition,
    mut machine: GroupShard,
) -> Result<GroupShard, LoadError> {
    let log = partition.log();
    for record in log.decided_records(log.ends().start) {
        let record = record?;
        let offset = record.offset;
        let key = record.key.unwrap_or_default();
        let decoded = Record::decode(&key, record.value.as_ref());
        let decoded = decoded.map_err(|source| LoadError::Record { offset, source })?;
        machine.replay(offset, &decoded);
    }
    Ok(machine)
}
