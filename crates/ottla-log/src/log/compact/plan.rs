//! Whether a log is to be compacted now, and how far.

use std::time::Duration;

use crate::log::config::LogConfig;
use crate::log::core::{LogCore, Segments};
use crate::segment::Segment;
use crate::{Offset, StorageError, Timestamp};

/// What one compaction works on.
#[derive(Debug)]
pub(super) struct Plan {
    /// From here on nothing was compacted yet.
    pub(super) first_dirty: Offset,
    /// The log's first segments, those that may be compacted.
    pub(super) segments: Segments,
    /// Where they end.
    pub(super) end: Offset,
    /// All segments with what is decided: the ends of transactions may lie behind `end`.
    pub(super) decided: Segments,
    /// Every transaction that began below this has ended.
    pub(super) last_stable: Offset,
    /// And has done so below this.
    pub(super) committed: Offset,
}

/// What came of a look.
#[derive(Debug)]
pub(super) enum Look {
    Due(Plan),
    /// Not before this time, as far as time alone decides.
    NotBefore(Option<Timestamp>),
}

impl LogCore {
    /// Whether the log is to be compacted now, of which everything below `cleaned` was before.
    ///
    /// Never the active segment, nothing that is not decided, and no segment with a record that is
    /// younger than `min.compaction.lag.ms`.
    pub(super) fn look_for_dirt(
        &self,
        cleaned: Offset,
        config: &LogConfig,
        now: Timestamp,
    ) -> Result<Look, StorageError> {
        let all = self.segments.load_full();
        let ends = self.ends();
        let committed = self.committed_end();
        let last_stable = ends.first_unstable.map_or(committed, |f| f.min(committed));
        // A log that was cut or deleted since is compacted from its start.
        let is_known = (ends.start..=ends.end).contains(&cleaned);
        let first_dirty = if is_known { cleaned } else { ends.start };

        let mut next = None;
        let (mut clean, mut dirty) = (0_u64, 0_u64);
        let mut segments = Segments::new();
        let mut end = ends.start;
        for pair in all.windows(2) {
            let [segment, follower] = pair else { break };
            if follower.base() > last_stable {
                break;
            }
            let size = segment.extent().size;
            if follower.base() <= first_dirty {
                clean += size;
            } else {
                let ripe = ripe(segment, config.min_compaction_lag)?;
                if ripe > now {
                    next = Some(ripe);
                    break;
                }
                dirty += size;
            }
            segments.push(segment.clone());
            end = follower.base();
        }
        if dirty == 0 {
            return Ok(Look::NotBefore(next));
        }
        if !is_over(clean, dirty, config.min_cleanable_dirty_ratio) {
            let dirty = segments
                .iter()
                .skip_while(|s| s.extent().next <= first_dirty);
            let mut due = None;
            for segment in dirty {
                let first = segment.first_timestamp()?;
                if first > Timestamp::new(0) {
                    due = Some(after(first, config.max_compaction_lag))
                        .into_iter()
                        .chain(due)
                        .min();
                }
            }
            if due.is_none_or(|due| due > now) {
                let never = Timestamp::new(i64::MAX);
                let due = due.filter(|due| *due != never);
                return Ok(Look::NotBefore(due.into_iter().chain(next).min()));
            }
        }
        let decided = all.iter().filter(|s| s.base() < committed).cloned();
        Ok(Look::Due(Plan {
            first_dirty,
            segments,
            end,
            decided: decided.collect(),
            last_stable,
            committed,
        }))
    }
}

/// When `segment` may be compacted. How old it is is not asked where that does not matter.
fn ripe(segment: &Segment, lag: Duration) -> Result<Timestamp, StorageError> {
    if lag.is_zero() {
        return Ok(Timestamp::new(i64::MIN));
    }
    Ok(after(segment.newest()?, lag))
}

/// Whether the share of dirty bytes is larger than `ratio`.
#[allow(clippy::cast_precision_loss, reason = "a share of bytes needs no more")]
fn is_over(clean: u64, dirty: u64, ratio: f64) -> bool {
    dirty as f64 > ratio * (clean + dirty) as f64
}

/// The first millisecond that is more than `wait` after `time`.
fn after(time: Timestamp, wait: Duration) -> Timestamp {
    let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    let after = time.get().saturating_add(wait).saturating_add(1);
    Timestamp::new(after)
}
