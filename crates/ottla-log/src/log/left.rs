//! How a clean stop left a log: what its files would tell at open, so that none of them has to be
//! read.
//!
//! Only the files count. This is a copy that the store keeps between a clean stop and the first
//! change after it, and that is not looked at where anything speaks against it.

use std::path::Path;
use std::sync::Arc;

use super::core::LogCore;
use super::dir;
use super::replay::Replay;
use super::seam::LogShared;
use crate::derived::Derived;
use crate::segment::Extent;
use crate::{Offset, StorageError, TopicId};

/// Base offset and extent of each segment.
pub(super) type Bounds = Vec<(Offset, Extent)>;

/// How a clean stop left a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Whose log it is.
    pub(crate) topic_id: TopicId,
    /// The log end offset.
    pub(crate) end: Offset,
    /// The base offset and the size of each segment, in order; never empty.
    pub(crate) segments: Vec<(Offset, u64)>,
    /// The content of `leader-epoch-checkpoint`.
    pub(crate) epochs: Vec<u8>,
    /// The content of the producer snapshot at the end.
    pub(crate) producers: Vec<u8>,
}

impl LogCore {
    /// How the log is left, after it was closed; `None` where an open has more to do than to take
    /// the segments as they are.
    pub(crate) fn left(&self) -> Option<Left> {
        let appender = self.appender();
        if !appender.has_dir || self.health.append_fault().is_some() {
            return None;
        }
        let pending = self.pending.lock();
        let is_done = pending.removed.is_empty() && pending.deleted.is_empty();
        drop(pending);
        let segments = self.segments.load();
        if !is_done
            || !segments
                .iter()
                .all(|s| s.is_created() && !s.lacks_aborted())
        {
            return None;
        }
        let segments = segments.iter();
        Some(Left {
            topic_id: self.topic_id,
            end: self.ends().end,
            segments: segments.map(|s| (s.base(), s.extent().size)).collect(),
            epochs: self.epochs.lock().cache.snapshot(),
            producers: appender.producers.snapshot(),
        })
    }
}

impl Left {
    /// The segments, if this is what was left of the log in `log_dir`: the last of them still is
    /// as long. The files of the others were synced, and nothing is written to them.
    pub(super) fn segments_in(
        &self,
        shared: &LogShared,
        log_dir: &Path,
    ) -> Result<Option<Bounds>, StorageError> {
        let Some((base, size)) = self.segments.last().copied() else {
            return Ok(None);
        };
        let path = dir::file_in(log_dir, base, dir::LOG);
        let stat = shared.vfs.stat(&path);
        let stat = stat.map_err(|e| StorageError::io("look at", &path, e))?;
        if stat.is_none_or(|stat| stat.is_dir || stat.len != size) {
            return Ok(None);
        }
        let nexts = self.segments.iter().skip(1).map(|(next, _)| *next);
        let bounds = self.segments.iter().zip(nexts.chain([self.end]));
        let bounds = bounds.map(|((base, size), next)| (*base, Extent { size: *size, next }));
        Ok(Some(bounds.collect()))
    }

    /// What is derived from the log's batches.
    pub(super) fn replay(&self, shared: &Arc<LogShared>) -> Option<Replay> {
        Replay::whole(&self.epochs, &self.producers, self.end, &shared.limits)
    }
}
