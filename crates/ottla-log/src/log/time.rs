//! Looking up offsets by time.

use std::sync::Arc;

use super::core::{LogCore, Segments};
use super::errors::ReadError;
use super::read::Fault;
use crate::batch::{RecordRef, Records};
use crate::segment::{Segment, Step, Wait, WalkError};
use crate::{LeaderEpoch, Offset, Timestamp};

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOffset {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// The leader epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

impl LogCore {
    /// The first record whose timestamp is at or above `target`; `None` where there is none.
    pub(crate) fn offset_for_time(
        &self,
        target: Timestamp,
    ) -> Result<Option<TimedOffset>, ReadError> {
        self.check_readable()?;
        let found = self.unchanged(|segments| self.first_in_log(segments, target));
        found.map_err(|fault| self.waited_for(fault))
    }

    /// The first record with the largest timestamp of the log; `None` where no record has one.
    pub(crate) fn max_timestamp_offset(&self) -> Result<Option<TimedOffset>, ReadError> {
        self.check_readable()?;
        let found = self.unchanged(|segments| {
            let mut largest = Timestamp::NONE;
            for segment in segments {
                let found = segment.largest();
                let found = found.map_err(|e| self.time_fault(segment, e.into()))?;
                largest = largest.max(found.timestamp);
            }
            if largest == Timestamp::NONE {
                return Ok(None);
            }
            self.first_in_log(segments, largest)
        });
        found.map_err(|fault| self.waited_for(fault))
    }

    /// The first record of `segments` at or above `target`, and above the start.
    fn first_in_log(
        &self,
        segments: &Segments,
        target: Timestamp,
    ) -> Result<Option<TimedOffset>, Fault> {
        let start = self.ends().start;
        for segment in segments {
            let found = self.first_at(segment, target, start);
            let found = found.map_err(|e| self.time_fault(segment, e))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first record of `segment` at or above both `target` and `start`.
    fn first_at(
        &self,
        segment: &Arc<Segment>,
        target: Timestamp,
        start: Offset,
    ) -> Result<Option<TimedOffset>, TimeFault> {
        if segment.largest()?.timestamp < target {
            return Ok(None);
        }
        let from = segment.floor_time(target)?.offset.max(start);
        let extent = segment.extent();
        let Some(first) = segment.find(from, extent.size, Wait::Allowed)? else {
            return Ok(None);
        };
        let file = segment.file()?;
        let mut walk = segment.walk(&*file, Wait::Allowed, first.position..extent.size);
        while let Some(step) = walk.next()? {
            if step.header.max_timestamp < target {
                continue;
            }
            let found = self.first_in(segment, &step, |record| {
                record.timestamp >= target && record.offset >= start
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first record of the batch at `step` that is `sought`.
    fn first_in(
        &self,
        segment: &Segment,
        step: &Step,
        sought: impl Fn(&RecordRef<'_>) -> bool,
    ) -> Result<Option<TimedOffset>, TimeFault> {
        let file = segment.file()?;
        let len = step.header.size_bytes() as u64;
        let bytes = segment.read(&*file, step.position, len, Wait::Allowed)?;
        let checked = segment.check_batch(&bytes, segment.base());
        checked.map_err(|why| WalkError::Bad {
            position: step.position,
            why,
        })?;
        let malformed = |cause| ReadError::Batch {
            base: step.header.base_offset,
            cause,
        };
        let records = Records::open(&step.header, &bytes, &self.shared.limits);
        for record in &records.map_err(malformed)? {
            let record = record.map_err(malformed)?;
            if sought(&record) {
                return Ok(Some(TimedOffset {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    leader_epoch: step.header.leader_epoch,
                }));
            }
        }
        Ok(None)
    }

    fn time_fault(&self, segment: &Segment, fault: TimeFault) -> Fault {
        match fault {
            TimeFault::Read(error) => Fault::Read(error),
            TimeFault::Walk(error) => self.fault(segment, segment.base(), error),
        }
    }
}

/// A failed search on its way up.
#[derive(Debug)]
enum TimeFault {
    Read(ReadError),
    Walk(WalkError),
}

impl From<ReadError> for TimeFault {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<WalkError> for TimeFault {
    fn from(error: WalkError) -> Self {
        Self::Walk(error)
    }
}

impl From<crate::StorageError> for TimeFault {
    fn from(error: crate::StorageError) -> Self {
        Self::Walk(WalkError::Storage(error))
    }
}
