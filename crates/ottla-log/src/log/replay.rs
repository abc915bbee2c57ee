//! What is derived from a log's batches, made anew at open: from the newest files that fit, and
//! the batches behind them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::dir::Listing;
use super::seam::LogShared;
use super::{dir, epochs};
use crate::batch::{BatchError, BatchHeader};
use crate::checkpoint;
use crate::derived::Derived;
use crate::epoch_cache::LeaderEpochCache;
use crate::index::{AbortedTransaction, TxnIndex};
use crate::producer_state::{EndedTransaction, ProducerState, SNAPSHOT_BYTES_MAX};
use crate::segment::{Segment, Wait, WalkError};
use crate::{Limits, Offset, StorageError};

/// Epochs and producers while they are being made anew.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) epochs: LeaderEpochCache,
    /// There is a file of other epochs.
    pub(super) epochs_differ: bool,
    /// What the file holds.
    epochs_file: Option<Vec<u8>>,
    /// Batches below it are in `epochs` already.
    epochs_from: Offset,
    pub(super) producers: ProducerState,
    limits: Limits,
}

impl Replay {
    /// The state of the files of `listing` that tell of the log up to `upto` at most; `start` is
    /// the first offset of the log's first segment. A file that cannot be read is as good as
    /// missing: the batches have it all.
    pub(super) fn load(
        shared: &LogShared,
        log_dir: &Path,
        listing: &Listing,
        start: Offset,
        upto: Offset,
    ) -> Self {
        let limits = shared.limits.clone();
        let read = |path: &Path, max| checkpoint::read(&*shared.vfs, path, max).ok().flatten();
        let file = listing
            .epochs
            .then(|| read(&log_dir.join(dir::EPOCHS), limits.checkpoint_bytes_max))
            .flatten();
        let epochs = file
            .as_ref()
            .and_then(|bytes| LeaderEpochCache::load(bytes, upto, &limits).ok());
        // Of a snapshot below the start, the batches that follow it are gone: a producer that it
        // tells of may have written more since, and would be refused. One that is not known may
        // go on.
        let producers = listing
            .snapshots
            .range(start.min(upto)..=upto)
            .rev()
            .find_map(|offset| {
                let path = dir::file_in(log_dir, *offset, dir::SNAPSHOT);
                let bytes = read(&path, SNAPSHOT_BYTES_MAX)?;
                ProducerState::load(&bytes, *offset, &limits).ok()
            });
        Self {
            epochs_differ: file.is_some() && epochs.is_none(),
            epochs_file: file,
            epochs_from: if epochs.is_some() { upto } else { start },
            epochs: epochs.unwrap_or_default(),
            producers: producers.unwrap_or_else(|| ProducerState::new(start, &limits)),
            limits,
        }
    }

    /// The state that the contents of both files tell of the whole log up to `end`; `None` where
    /// one does not.
    pub(super) fn whole(
        epochs: &[u8],
        producers: &[u8],
        end: Offset,
        limits: &Limits,
    ) -> Option<Self> {
        Some(Self {
            epochs: LeaderEpochCache::load(epochs, end, limits).ok()?,
            epochs_differ: false,
            epochs_file: None,
            epochs_from: end,
            producers: ProducerState::load(producers, end, limits).ok()?,
            limits: limits.clone(),
        })
    }

    /// Whether the file says something else by now, such as an epoch that begins at the end: a
    /// batch of another one may come there.
    pub(super) fn is_file_stale(&self) -> bool {
        let file = self.epochs_file.as_ref();
        file.is_some_and(|file| *file != self.epochs.snapshot())
    }

    /// Takes in the next batch; answers the transaction that it aborts, if it does.
    pub(super) fn apply(
        &mut self,
        header: &BatchHeader,
        batch: &Bytes,
    ) -> Result<Option<AbortedTransaction>, BatchError> {
        if header.base_offset >= self.epochs_from {
            self.epochs.assign(header.leader_epoch, header.base_offset);
        }
        let ended = self.producers.apply(header, batch, &self.limits)?;
        Ok(ended.and_then(EndedTransaction::to_aborted))
    }

    /// Drops the epochs that the file told of where the batches of `segments` tell of others: the
    /// file has no checksum, and a full device may have kept it from being written.
    pub(super) fn check_epochs(
        &mut self,
        segments: &[Arc<Segment>],
        log_start: Offset,
    ) -> Result<(), StorageError> {
        let Some(first) = segments.first().map(|first| first.base()) else {
            return Ok(());
        };
        if self.epochs_from <= first || epochs::are_borne_out(&self.epochs, segments, log_start)? {
            return Ok(());
        }
        self.epochs = LeaderEpochCache::default();
        self.epochs_from = first;
        self.epochs_differ = true;
        Ok(())
    }

    /// Takes in the batches of `segments` below `upto` that the files did not tell of.
    pub(super) fn catch_up(
        &mut self,
        segments: &[Arc<Segment>],
        upto: Offset,
    ) -> Result<(), StorageError> {
        let from = self.epochs_from.min(self.producers.end());
        if from >= upto {
            return Ok(());
        }
        for segment in segments {
            if segment.extent().next > from && segment.base() < upto {
                self.walk(segment, from)?;
            }
        }
        Ok(())
    }

    /// The transactions that were aborted in `segment`, which follows on what was taken in. Nothing
    /// is passed over: what is left out counts as committed.
    pub(super) fn aborted_in(&mut self, segment: &Segment) -> Result<TxnIndex, StorageError> {
        let mut index = segment.no_aborted();
        let walked = self.walk_from(segment, 0, &mut |aborted| index.push(aborted));
        walked.map_err(|e| segment.walk_error(e))?;
        Ok(index)
    }

    /// Takes in the batches of `segment` from `from` on. What is bad is passed over: who reads it
    /// is told, and the rest of the log is not to be lost with it.
    fn walk(&mut self, segment: &Segment, from: Offset) -> Result<(), StorageError> {
        let size = segment.extent().size;
        let found = segment.find(from.max(segment.base()), size, Wait::Allowed);
        let mut walked = match found {
            Ok(None) => return Ok(()),
            Ok(Some(first)) => self.walk_from(segment, first.position, &mut |_| {}),
            Err(error) => Err(error),
        };
        while let Err(WalkError::Bad { position, why }) = walked {
            if segment.good_behind(position).is_none() {
                // Without a seal nobody knew.
                let condemned = segment.condemn(position);
                condemned.map_err(|e| segment.walk_error(e))?;
            }
            let Some(behind) = segment.good_behind(position) else {
                return Err(segment.corrupt(position, why));
            };
            walked = self.walk_from(segment, behind, &mut |_| {});
        }
        walked.map_err(|e| segment.walk_error(e))
    }

    /// Takes in the batches from `position` on by their headers; of control batches, which are
    /// looked into, the bytes are read. Hands what they abort to `aborted`.
    fn walk_from(
        &mut self,
        segment: &Segment,
        position: u64,
        aborted: &mut dyn FnMut(AbortedTransaction),
    ) -> Result<(), WalkError> {
        let file = segment.file().map_err(WalkError::Storage)?;
        let mut walk = segment.walk(&*file, Wait::Allowed, position..segment.extent().size);
        while let Some(step) = walk.next()? {
            let batch = if step.header.attributes.is_control() {
                let len = step.header.size_bytes() as u64;
                segment.read(&*file, step.position, len, Wait::Allowed)?
            } else {
                Bytes::new()
            };
            let ended = self
                .apply(&step.header, &batch)
                .map_err(|e| WalkError::Storage(segment.corrupt(step.position, e.to_string())))?;
            ended.into_iter().for_each(&mut *aborted);
        }
        Ok(())
    }
}
