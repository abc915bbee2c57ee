//! Finding batches in a segment: by offset, and where a range of whole batches ends.

use std::ops::Range;

use super::{Extent, Segment, Step, Wait, WalkError};
use crate::Offset;
use crate::vfs::File;

/// A range of whole batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchRange {
    /// Where the first batch begins.
    pub(crate) from: u64,
    /// Where the last batch ends.
    pub(crate) to: u64,
    /// The base offset of the first batch.
    pub(crate) base: Offset,
    /// The offset after the last batch.
    pub(crate) next: Offset,
}

/// Bytes of a segment that hold no good batch, between or behind good ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadRange {
    /// Where it begins.
    pub(crate) from: u64,
    /// Where good batches go on, or the end of the file.
    pub(crate) to: u64,
    /// The first offset that is missing.
    pub(crate) offset: Offset,
    /// The first offset behind it.
    pub(crate) next: Offset,
    /// What is wrong.
    pub(crate) why: String,
}

impl Segment {
    /// The first batch that ends at or above `target`, of those before position `limit`.
    ///
    /// The index is a hint: where what it points to is not what it says, the search begins at the
    /// start of the segment.
    pub(crate) fn find(
        &self,
        target: Offset,
        limit: u64,
        wait: Wait,
    ) -> Result<Option<Step>, WalkError> {
        self.settled(|| self.find_once(target, limit, wait))
    }

    fn find_once(&self, target: Offset, limit: u64, wait: Wait) -> Result<Option<Step>, WalkError> {
        let good = self.good_around(target)?;
        let limit = limit.min(good.end);
        if limit == 0 {
            return Ok(None);
        }
        let entry = self.floor(target).map_err(WalkError::Storage)?;
        if u64::from(entry.position) > good.start && u64::from(entry.position) < limit {
            let from = u64::from(entry.position);
            let known = self.bad_count();
            match self.find_from(from, Some(entry.offset), target, limit, wait) {
                Err(WalkError::Bad { .. }) if self.bad_count() == known => {}
                found => return found,
            }
        }
        self.find_from(good.start, None, target, limit, wait)
    }

    /// Whole batches from the one that ends at or above `target` on, as [`Segment::fit`] says,
    /// which were compared with the seal.
    pub(crate) fn range_from(
        &self,
        target: Offset,
        bytes_max: u64,
        limit: Extent,
        wait: Wait,
    ) -> Result<Option<BatchRange>, WalkError> {
        loop {
            let Some(first) = self.find(target, limit.size, wait)? else {
                return Ok(None);
            };
            let range = self.fit(&first, bytes_max, limit, wait)?;
            let known = self.bad_count();
            self.touch(range.from, range.to, wait)?;
            if self.bad_count() == known {
                return Ok(Some(range));
            }
        }
    }

    /// Notes a bad range.
    pub(crate) fn note_bad(&self, bad: BadRange) {
        let mut state = self.state.lock();
        self.note_bad_in(&mut state, bad);
    }

    /// The positions around `target` between which no range is known to be bad.
    fn good_around(&self, target: Offset) -> Result<Range<u64>, WalkError> {
        let mut good = 0..u64::MAX;
        for bad in &self.state.lock().bad {
            if bad.next <= target {
                good.start = bad.to;
            } else if bad.offset > target {
                good.end = good.end.min(bad.from);
            } else {
                return Err(WalkError::Bad {
                    position: bad.from,
                    why: bad.why.clone(),
                });
            }
        }
        Ok(good)
    }

    /// The first offset behind the bad range at `position`, if it is known.
    pub(crate) fn good_after(&self, position: u64) -> Option<Offset> {
        let state = self.state.lock();
        let bad = state.bad.iter().find(|bad| bad.from == position)?;
        Some(bad.next)
    }

    /// Where good batches go on behind the bad range at `position`, if it is known to be bad.
    pub(crate) fn good_behind(&self, position: u64) -> Option<u64> {
        let state = self.state.lock();
        let bad = state.bad.iter().find(|bad| bad.from == position)?;
        (bad.to > position).then_some(bad.to)
    }

    /// Walks from `position`, where a batch begins; if one is `expected`, it ends at that offset.
    fn find_from(
        &self,
        position: u64,
        mut expected: Option<Offset>,
        target: Offset,
        limit: u64,
        wait: Wait,
    ) -> Result<Option<Step>, WalkError> {
        let file = self.file().map_err(WalkError::Storage)?;
        let mut walk = self.walk(&*file, wait, position..limit);
        while let Some(step) = walk.next()? {
            if let Some(expected) = expected.take()
                && step.header.last_offset() != expected
            {
                return Err(WalkError::Bad {
                    position,
                    why: format!("the index says that offset {expected} ends here"),
                });
            }
            if step.header.last_offset() >= target {
                return Ok(Some(step));
            }
        }
        Ok(None)
    }

    /// The whole batches from `first` on that fit into `bytes_max` and lie below `limit`; always
    /// `first` itself.
    pub(crate) fn fit(
        &self,
        first: &Step,
        bytes_max: u64,
        limit: Extent,
        wait: Wait,
    ) -> Result<BatchRange, WalkError> {
        let mut range = BatchRange {
            from: first.position,
            to: first.end(),
            base: first.header.base_offset,
            next: first.next_offset(),
        };
        let good = self.good_around(range.base)?;
        let target = first.position.saturating_add(bytes_max);
        if limit.size <= target && limit.size <= good.end {
            range.to = limit.size;
            range.next = limit.next;
            return Ok(range);
        }
        let target = target.min(limit.size).min(good.end);
        let file = self.file().map_err(WalkError::Storage)?;
        self.leap(&mut range, target, &*file, wait)?;
        let mut walk = self
            .walk(&*file, wait, range.to..limit.size)
            .from(range.next);
        while range.to < target {
            match walk.next() {
                Ok(Some(step)) if step.end() <= target => {
                    range.to = step.end();
                    range.next = step.next_offset();
                }
                // A bad batch ends what can be had; it is named to who asks for it.
                Ok(_) | Err(WalkError::Bad { .. }) => break,
                Err(e) => return Err(e),
            }
        }
        Ok(range)
    }

    /// The offset after the last batch before `position`, where one ends; the base offset where
    /// there is none.
    pub(crate) fn end_before(&self, position: u64) -> Result<Offset, WalkError> {
        let Some(within) = position.checked_sub(1) else {
            return Ok(self.base);
        };
        let entry = self.floor_position(within).map_err(WalkError::Storage)?;
        let file = self.file().map_err(WalkError::Storage)?;
        let start = u64::from(entry.position);
        let mut walk = self.walk(&*file, Wait::Allowed, start..position);
        let mut next = self.base;
        while let Some(step) = walk.next()? {
            next = step.next_offset();
        }
        Ok(next)
    }

    /// Extends `range` to the last index entry at or before `target`, if a batch begins there
    /// indeed.
    fn leap(
        &self,
        range: &mut BatchRange,
        target: u64,
        file: &dyn File,
        wait: Wait,
    ) -> Result<(), WalkError> {
        let entry = self.floor_position(target).map_err(WalkError::Storage)?;
        let position = u64::from(entry.position);
        if position <= range.to || position >= target {
            return Ok(());
        }
        let mut walk = self
            .walk(file, wait, position..self.extent().size)
            .from(range.next);
        match walk.next() {
            Ok(Some(step)) if step.header.last_offset() == entry.offset => {
                range.to = position;
                range.next = step.header.base_offset;
                Ok(())
            }
            Ok(_) | Err(WalkError::Bad { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }
}
