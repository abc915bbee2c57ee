//! The transactions that were aborted among what is read.
//!
//! Where the index of a segment turns out to be bad it is made anew from the batches, by the reader
//! that found it and with no lock held, as an open does it.

use std::sync::Arc;

use super::core::{LogCore, Segments};
use super::dir::Listing;
use super::read::Fault;
use super::replay::Replay;
use super::slice::BatchSlice;
use crate::StorageError;
use crate::index::{AbortedTransaction, TxnIndex};
use crate::segment::{Segment, Wait, WalkError};

impl LogCore {
    /// The transactions that were aborted among `batches`, which are of the one of `segments` at
    /// `at`.
    pub(super) fn aborted_in(
        &self,
        segments: &Segments,
        at: usize,
        batches: &BatchSlice,
        wait: Wait,
    ) -> Result<Vec<AbortedTransaction>, Fault> {
        let (from, until) = (batches.base_offset(), batches.next_offset());
        let mut aborted = Vec::new();
        if from == until {
            return Ok(aborted);
        }
        for (number, segment) in segments.iter().enumerate().skip(at) {
            let mut collected = segment.collect_aborted(from, until, &mut aborted);
            if collected.is_err() && segment.may_restore_aborted() {
                if wait == Wait::Forbidden {
                    return Err(Fault::WouldBlock);
                }
                let before = segments.get(..number).unwrap_or_default();
                if self.restore_aborted(before, segment) {
                    collected = segment.collect_aborted(from, until, &mut aborted);
                }
            }
            match collected.map_err(WalkError::Storage) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => return Err(self.fault(segment, from, error)),
            }
        }
        Ok(aborted)
    }

    /// Finds out what was aborted in the last one of `segments`, before it gets batches (again):
    /// where its index is bad that must be known before anything is cut or written.
    pub(super) fn learn_aborted(&self, segments: &[Arc<Segment>]) -> Result<(), StorageError> {
        let Some((last, before)) = segments.split_last().filter(|(last, _)| !last.is_active())
        else {
            return Ok(());
        };
        let base = last.base();
        match last.collect_aborted(base, base, &mut Vec::new()) {
            Err(_) if last.may_restore_aborted() && self.restore_aborted(before, last) => Ok(()),
            known => known.map(|_| ()),
        }
    }

    /// Makes the transaction index of `segment` anew, which follows on `before`; whether that could
    /// be done. Where it failed because of the disk it is tried again by the next reader.
    fn restore_aborted(&self, before: &[Arc<Segment>], segment: &Segment) -> bool {
        let extent = segment.extent();
        let found = self.made_anew(before, segment);
        let log = &self.id;
        match &found {
            Err(error @ (StorageError::Io { .. } | StorageError::TooManyFiles { .. })) => {
                tracing::warn!(%log, %error, "a bad transaction index cannot be made anew yet");
                return false;
            }
            Err(error) => tracing::error!(%log, %error, "a bad transaction index stays so"),
            Ok(_) => {}
        }
        let is_restored = segment.restore_aborted(found, extent);
        if is_restored {
            let segment = segment.path();
            let segment = segment.display();
            tracing::warn!(%log, %segment, "a bad transaction index was made anew");
        }
        is_restored
    }

    fn made_anew(
        &self,
        before: &[Arc<Segment>],
        segment: &Segment,
    ) -> Result<TxnIndex, StorageError> {
        // Its batches alone are the proof; a seal, where there is one, speaks for each byte.
        let size = segment.extent().size;
        segment
            .touch(0, size, Wait::Allowed)
            .map_err(|e| segment.walk_error(e))?;
        segment.check_whole()?;
        let listing = Listing::read(&*self.shared.vfs, &self.dir)?;
        let base = segment.base();
        let first = before.first().map_or(base, |first| first.base());
        let mut replay = Replay::load(&self.shared, &self.dir, &listing, first, base);
        replay.catch_up(before, base)?;
        replay.aborted_in(segment)
    }
}
