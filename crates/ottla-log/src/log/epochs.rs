//! Whether a log's leader epochs are what its batches say: each begins with a batch of its own,
//! behind batches of earlier ones, and none is later than the last. A few headers are read for
//! each.

use std::sync::Arc;

use crate::batch::BatchHeader;
use crate::epoch_cache::LeaderEpochCache;
use crate::segment::{Segment, Wait, WalkError};
use crate::{LeaderEpoch, Offset, StorageError};

/// Whether the batches of `segments`, of a log that starts at `log_start`, bear out `epochs`. What
/// is bad of them, or gone by compaction, says nothing.
pub(super) fn are_borne_out(
    epochs: &LeaderEpochCache,
    segments: &[Arc<Segment>],
    log_start: Offset,
) -> Result<bool, StorageError> {
    let first = segments.first().map_or(Offset::ZERO, |first| first.base());
    let entries: Vec<(LeaderEpoch, Offset)> = epochs.entries().collect();
    let nexts = entries.iter().skip(1).map(|(_, start)| *start);
    let nexts = nexts.chain([Offset::new(i64::MAX)]);
    for ((epoch, start), next) in entries.iter().copied().zip(nexts) {
        // The log start may have gone past where an epoch began.
        if start > first.max(log_start)
            && let Some(before) = batch_at(segments, Offset::new(start.get() - 1))?
            && before.base_offset < start
            && before.leader_epoch >= epoch
        {
            return Ok(false);
        }
        if let Some(from) = batch_at(segments, start)?
            && from.base_offset < next
            && from.leader_epoch != epoch
        {
            return Ok(false);
        }
    }
    let latest = epochs
        .latest()
        .map_or(LeaderEpoch::NONE, |(epoch, _)| epoch);
    Ok(last_epoch(segments)?.is_none_or(|last| last <= latest))
}

/// The first batch that ends at or above `offset`.
fn batch_at(
    segments: &[Arc<Segment>],
    offset: Offset,
) -> Result<Option<BatchHeader>, StorageError> {
    let from = segments.partition_point(|segment| segment.base() <= offset);
    let from = from.saturating_sub(1);
    for segment in segments.get(from..).unwrap_or_default() {
        let target = offset.max(segment.base());
        match segment.find(target, segment.extent().size, Wait::Allowed) {
            Ok(Some(found)) => return Ok(Some(found.header)),
            Ok(None) => {}
            Err(WalkError::Bad { .. }) => return Ok(None),
            Err(error) => return Err(segment.walk_error(error)),
        }
    }
    Ok(None)
}

/// The epoch of the last batch.
fn last_epoch(segments: &[Arc<Segment>]) -> Result<Option<LeaderEpoch>, StorageError> {
    let filled = segments
        .iter()
        .rev()
        .find(|segment| segment.extent().size > 0);
    let Some(segment) = filled else {
        return Ok(None);
    };
    let file = segment.file()?;
    let from = segment.last_entry()?;
    let mut walk = segment.walk(&*file, Wait::Allowed, from..segment.extent().size);
    let mut last = None;
    loop {
        match walk.next() {
            Ok(Some(step)) => last = Some(step.header.leader_epoch),
            Ok(None) => return Ok(last),
            Err(WalkError::Bad { .. }) => return Ok(None),
            Err(error) => return Err(segment.walk_error(error)),
        }
    }
}
