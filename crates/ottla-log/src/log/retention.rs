//! Retention: segments that are too old, or too many, leave the log at its start.
//!
//! Whole segments go, the oldest first, and only what is committed and durable: so the log start
//! never passes the high watermark. What is too old is told by the records' own timestamps; a
//! segment whose records have none is as old as its file. Files are deleted later, as those of any
//! segment that left the log ([`LogCore::maintain`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::core::{Appender, LogCore, Segments};
use super::seam::Maintenance;
use crate::segment::Segment;
use crate::{Offset, StorageError, Timestamp};

/// What may stay in a log: `retention.ms`, `retention.bytes` and how often to look.
#[derive(Clone, Copy, Debug)]
struct Rules {
    age_max: Option<i64>,
    bytes_max: Option<u64>,
    interval: i64,
}

impl Rules {
    const fn keep_everything(&self) -> bool {
        self.age_max.is_none() && self.bytes_max.is_none()
    }
}

/// A look at the segments that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    at: Timestamp,
    /// Where the log ended.
    end: Offset,
    /// When the first segment will be too old that stayed.
    next: Option<Timestamp>,
}

impl Look {
    /// As if there had been one when the log was opened, at `now`: Kafka does not look at once
    /// either, and a log that is just being filled with old records keeps them for an interval.
    pub(super) const fn opened(now: Timestamp) -> Self {
        Self {
            at: now,
            end: Offset::new(-1),
            next: None,
        }
    }

    /// When it is worth the next one: not sooner than an `interval` later, and only where time
    /// or an append may have changed what it finds.
    fn due(&self, interval: i64, end: Offset) -> Option<Timestamp> {
        let soonest = Timestamp::new(self.at.get().saturating_add(interval));
        let next = if self.end == end {
            self.next
        } else {
            Some(soonest)
        };
        next.map(|next| next.max(soonest))
    }
}

/// What a look at the segments found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    /// How many of the first segments may go.
    count: usize,
    /// When the one behind them may.
    next: Option<Timestamp>,
}

impl LogCore {
    /// Takes segments out of the log that are too old or too many, at most once in
    /// `log.retention.check.interval.ms`. Says when to look again: nothing but the time makes a
    /// segment too old, and only an append makes the log too large.
    pub(super) fn retain(&self, now: Timestamp) -> Result<Maintenance, StorageError> {
        let end = self.ends().end;
        let rules = {
            let mut appender = self.appender();
            let Some(rules) = self.rules_of_retention(&appender) else {
                return Ok(Maintenance::default());
            };
            if let Some(last) = &mut appender.retained {
                // A clock that was set back counts from where it is now.
                last.at = last.at.min(now);
                let due = last.due(rules.interval, end);
                if due.is_none_or(|due| due > now) {
                    return Ok(later(due));
                }
            }
            rules
        };
        let segments = self.segments.load_full();
        let found = self.look(&segments, &rules, now)?;
        let mut appender = self.appender();
        if found.count > 0 {
            let is_same = Arc::ptr_eq(&segments, &self.segments.load_full());
            if !is_same || (found.count == segments.len() && end != self.ends().end) {
                // Rolled, cut or appended to meanwhile: looked at once more.
                return Ok(Maintenance {
                    more: true,
                    next: None,
                });
            }
            if self.health.append_fault().is_some() || self.health.gone().is_some() {
                return Ok(Maintenance::default());
            }
            self.let_go(&mut appender, &segments, found.count)?;
        }
        let look = Look {
            at: now,
            end,
            next: found.next,
        };
        appender.retained = Some(look);
        Ok(later(look.due(rules.interval, end)))
    }

    /// The rules; `None` where everything stays.
    fn rules_of_retention(&self, appender: &Appender) -> Option<Rules> {
        let config = &appender.config;
        let rules = Rules {
            age_max: config.retention_ms.map(millis),
            bytes_max: config.retention_bytes,
            interval: millis(config.retention_check_interval),
        };
        let is_bound = !rules.keep_everything() && self.health.append_fault().is_none();
        is_bound.then_some(rules)
    }

    /// How many of the first `segments` may go now: those that the log is too large with, then
    /// those that are too old. Reads their indexes, and so is called with no lock held.
    fn look(
        &self,
        segments: &Segments,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Found, StorageError> {
        let total: u64 = segments.iter().map(|segment| segment.extent().size).sum();
        let mut excess = rules.bytes_max.and_then(|max| total.checked_sub(max));
        let committed = self.committed_end();
        let mut found = Found::default();
        for (index, segment) in segments.iter().enumerate() {
            let extent = segment.extent();
            let next = segments.get(index + 1).map(|next| next.base());
            if next.is_none() && extent.size == 0 {
                break;
            }
            excess = excess.and_then(|excess| excess.checked_sub(extent.size));
            if excess.is_none() {
                let Some(age_max) = rules.age_max else { break };
                let expires = segment.newest()?.get().saturating_add(age_max);
                if expires >= now.get() {
                    found.next = Some(expires.saturating_add(1).into());
                    break;
                }
            }
            if committed < next.unwrap_or(extent.next) {
                // Goes once it is committed, which is soon or never.
                found.next = Some(now);
                break;
            }
            found.count += 1;
        }
        Ok(found)
    }

    /// Below this everything is committed and durable.
    pub(super) fn committed_end(&self) -> Offset {
        let durable = self.ends().durable;
        match self.high_watermark.load(Ordering::Acquire) {
            // Nobody says: a log without replicas.
            ..0 => durable,
            high_watermark => durable.min(Offset::new(high_watermark)),
        }
    }

    /// Takes the first `count` of `segments`, which are the log's, out of it. Where that is all of
    /// them the log goes on with a new one.
    fn let_go(
        &self,
        appender: &mut Appender,
        segments: &Segments,
        count: usize,
    ) -> Result<(), StorageError> {
        if count == segments.len() {
            self.roll(appender, self.ends().end)?;
        }
        let segments = self.segments.load_full();
        let first = segments.get(count).map(|segment| segment.base());
        let first = first.expect("a roll leaves one more segment");
        let gone: u64 = segments.iter().take(count).map(|s| s.extent().size).sum();
        tracing::info!(
            log = %self.id, segments = count, bytes = gone, log_start = %first,
            "old segments leave the log"
        );
        self.start_at(appender, first.max(self.ends().start));
        Ok(())
    }
}

impl Segment {
    /// How new its newest record is; where no record says, when its file was last written.
    pub(super) fn newest(&self) -> Result<Timestamp, StorageError> {
        let largest = self.largest()?.timestamp;
        if largest >= Timestamp::new(0) {
            return Ok(largest);
        }
        self.modified()
    }
}

const fn later(next: Option<Timestamp>) -> Maintenance {
    Maintenance { more: false, next }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
