//! Reading batches: from an offset up to a bound.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::{LogCore, Segments};
use super::ends::Ends;
use super::errors::ReadError;
use super::slice::{BatchSlice, CommittedSlice, Source};
use crate::segment::{Extent, Segment, Wait, WalkError};
use crate::{Offset, StorageError};

/// How far a read goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// To the log end: for replicas, which copy what is not durable yet.
    LogEnd,
    /// To the durable end: a power cut takes back nothing of it.
    Durable,
    /// To this offset, or to the log end where that is lower: the high watermark.
    Until(Offset),
}

impl LogCore {
    /// Whole batches of one segment from the one that holds `from` on, as many as fit into
    /// `max_bytes` and end below the bound; at least one where there is one, and none where `from`
    /// is at or above the bound.
    pub(crate) fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        bound: Bound,
    ) -> Result<BatchSlice, ReadError> {
        match self.read_with(from, max_bytes, bound, Wait::Allowed) {
            Ok(slice) => Ok(slice),
            Err(fault) => Err(self.waited_for(fault)),
        }
    }

    /// As [`LogCore::read`]; `None` where the device would have to be waited for.
    pub(crate) fn read_nowait(
        &self,
        from: Offset,
        max_bytes: usize,
        bound: Bound,
    ) -> Result<Option<BatchSlice>, ReadError> {
        match self.read_with(from, max_bytes, bound, Wait::Forbidden) {
            Ok(slice) => Ok(Some(slice)),
            Err(Fault::WouldBlock) => Ok(None),
            Err(Fault::Read(error)) => Err(error),
        }
    }

    /// As [`LogCore::read`] up to the last stable offset `until`, with the transactions that were
    /// aborted among what is read.
    pub(crate) fn read_committed(
        &self,
        from: Offset,
        max_bytes: usize,
        until: Offset,
    ) -> Result<CommittedSlice, ReadError> {
        let read = self.read_committed_with(from, max_bytes, until, Wait::Allowed);
        read.map_err(|fault| self.waited_for(fault))
    }

    /// As [`LogCore::read_committed`]; `None` where the device would have to be waited for.
    pub(crate) fn read_committed_nowait(
        &self,
        from: Offset,
        max_bytes: usize,
        until: Offset,
    ) -> Result<Option<CommittedSlice>, ReadError> {
        match self.read_committed_with(from, max_bytes, until, Wait::Forbidden) {
            Ok(slice) => Ok(Some(slice)),
            Err(Fault::WouldBlock) => Ok(None),
            Err(Fault::Read(error)) => Err(error),
        }
    }

    fn read_with(
        &self,
        from: Offset,
        max_bytes: usize,
        bound: Bound,
        wait: Wait,
    ) -> Result<BatchSlice, Fault> {
        self.unchanged(|segments| {
            let read = self.read_in(segments, from, max_bytes, bound, wait);
            read.map(|(slice, _)| slice)
        })
    }

    fn read_committed_with(
        &self,
        from: Offset,
        max_bytes: usize,
        until: Offset,
        wait: Wait,
    ) -> Result<CommittedSlice, Fault> {
        self.unchanged(|segments| {
            let bound = Bound::Until(until);
            let (batches, at) = self.read_in(segments, from, max_bytes, bound, wait)?;
            let aborted = self.aborted_in(segments, at, &batches, wait)?;
            Ok(CommittedSlice { batches, aborted })
        })
    }

    /// Reads by `read`, and again where the log was cut meanwhile, or segments have left it. That
    /// others came behind them is nothing: who reads a long time would never be done.
    pub(super) fn unchanged<T>(
        &self,
        read: impl Fn(&Segments) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        loop {
            // Whoever cuts lowers the ends first, then counts, then cuts: what was copied while
            // the count stood still is not cut and not written over.
            let truncations = self.truncations.load(Ordering::Acquire);
            let segments = self.segments.load_full();
            let read = read(&segments);
            // What was opened by the names of a deleted log may be the next one's; and that a file
            // is missing says nothing then.
            self.check_readable().map_err(Fault::Read)?;
            // The files of segments that left the log may be gone by now, or others have their
            // names.
            if begins_with(&self.segments.load(), &segments)
                && self.truncations.load(Ordering::Acquire) == truncations
            {
                return read;
            }
        }
    }

    /// What there is in `segments`, and in which of them.
    fn read_in(
        &self,
        segments: &Segments,
        from: Offset,
        max_bytes: usize,
        bound: Bound,
        wait: Wait,
    ) -> Result<(BatchSlice, usize), Fault> {
        let ends = self.readable(from).map_err(Fault::Read)?;
        let until = match bound {
            Bound::LogEnd => ends.end,
            Bound::Durable => ends.durable,
            Bound::Until(offset) => offset.min(ends.end),
        };
        let nothing = (BatchSlice::empty(from), segments.len());
        if from >= until {
            return Ok(nothing);
        }
        // Above the durable end a truncation may write other bytes to the same place.
        let copy = until > ends.durable || bound == Bound::LogEnd;
        let first = segments.partition_point(|segment| segment.base() <= from);
        for (at, segment) in segments.iter().enumerate().skip(first.saturating_sub(1)) {
            if segment.base() >= until {
                break;
            }
            let slice = self
                .limit_in(segment, until, wait)
                .and_then(|limit| slice_of(segment, from, max_bytes as u64, limit, copy, wait))
                .map_err(|e| self.fault(segment, from, e))?;
            if let Some(slice) = slice {
                return Ok((slice, at));
            }
        }
        Ok(nothing)
    }

    /// The ends, if the log can be read and has `from`.
    fn readable(&self, from: Offset) -> Result<Ends, ReadError> {
        self.check_readable()?;
        let ends = self.ends();
        if from < ends.start || from > ends.end {
            return Err(ReadError::OffsetOutOfRange {
                id: self.id.clone(),
                asked: from,
                start: ends.start,
                end: ends.end,
            });
        }
        Ok(ends)
    }

    /// Whether the log can be read at all.
    pub(super) fn check_readable(&self) -> Result<(), ReadError> {
        if let Some(gone) = self.health.gone() {
            return Err(ReadError::gone(gone, &self.id));
        }
        match self.health.read_fault() {
            None => Ok(()),
            Some(fault) => Err(ReadError::Storage(fault)),
        }
    }

    /// How much of `segment` lies below `until`, which lies above its base.
    pub(super) fn limit_in(
        &self,
        segment: &Segment,
        until: Offset,
        wait: Wait,
    ) -> Result<Extent, WalkError> {
        let extent = segment.extent();
        if until >= extent.next {
            return Ok(extent);
        }
        let known = self.boundaries.lock().find(until);
        if let Some(boundary) = known.filter(|b| b.segment == segment.base()) {
            return Ok(Extent {
                size: boundary.position,
                next: until,
            });
        }
        let first_above = segment.find(until, extent.size, wait)?;
        Ok(first_above.map_or(extent, |step| Extent {
            size: step.position,
            next: until,
        }))
    }

    /// What a reader of `asked` is told when it fails in `segment`.
    pub(super) fn fault(&self, segment: &Segment, asked: Offset, error: WalkError) -> Fault {
        if matches!(error, WalkError::WouldBlock) {
            return Fault::WouldBlock;
        }
        // A file may be missing because the log was deleted meanwhile.
        if let Some(gone) = self.health.gone() {
            return Fault::Read(ReadError::gone(gone, &self.id));
        }
        Fault::Read(match error {
            WalkError::Bad { position, .. } => ReadError::Corrupt {
                asked,
                next: segment.good_after(position),
                cause: segment.walk_error(error),
            },
            error => ReadError::Storage(segment.walk_error(error)),
        })
    }

    /// The failure of a read that was allowed to wait.
    pub(super) fn waited_for(&self, fault: Fault) -> ReadError {
        match fault {
            Fault::Read(error) => error,
            Fault::WouldBlock => ReadError::Storage(StorageError::io(
                "read",
                &self.dir,
                std::io::ErrorKind::WouldBlock.into(),
            )),
        }
    }
}

/// A failed read on its way up.
#[derive(Debug)]
pub(super) enum Fault {
    /// The device would have to be waited for.
    WouldBlock,
    Read(ReadError),
}

/// Whether `segments` are those of `before` and perhaps more behind them.
fn begins_with(segments: &Segments, before: &Segments) -> bool {
    let first = segments.get(..before.len());
    first.is_some_and(|first| first.iter().zip(before).all(|(a, b)| Arc::ptr_eq(a, b)))
}

/// The batches of `segment` from the one that holds `from` on, below `limit`; `None` where it has
/// none.
fn slice_of(
    segment: &Arc<Segment>,
    from: Offset,
    max_bytes: u64,
    limit: Extent,
    copy: bool,
    wait: Wait,
) -> Result<Option<BatchSlice>, WalkError> {
    let from = from.max(segment.base());
    let Some(mut range) = segment.range_from(from, max_bytes, limit, wait)? else {
        return Ok(None);
    };
    let file = segment.file().map_err(WalkError::Storage)?;
    let verified = segment.is_verified(&range);
    let source = if verified && !copy {
        Source::File {
            segment: Arc::clone(segment),
            file,
            position: range.from,
            len: range.to - range.from,
        }
    } else {
        let mut bytes = segment.read(&*file, range.from, range.to - range.from, wait)?;
        if !verified {
            (range, bytes) = segment.verify(range, &bytes)?;
        }
        Source::Memory(bytes)
    };
    Ok(Some(BatchSlice {
        source,
        base: range.base,
        next: range.next,
    }))
}
