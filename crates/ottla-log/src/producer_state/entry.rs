//! One producer's state in one log.

use crate::batch::{BatchHeader, EndTransactionMarker};
use crate::{Offset, ProducerEpoch, Sequence, Timestamp};

/// How many batches are remembered: a producer has at most so many in flight.
const BATCHES: usize = 5;

/// What is remembered of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchMemory {
    pub(super) last_sequence: Sequence,
    pub(super) last_offset: Offset,
    /// The last offset less the first; the sequences span as much.
    pub(super) offset_delta: i32,
    pub(super) timestamp: Timestamp,
}

impl BatchMemory {
    /// The offset of the first record.
    pub(super) const fn base_offset(&self) -> Offset {
        self.last_offset.plus(-(self.offset_delta as i64))
    }

    /// The sequence of the first record; sequences wrap from `i32::MAX` to 0.
    const fn first_sequence(&self) -> Sequence {
        let first = self.last_sequence.get().wrapping_sub(self.offset_delta);
        Sequence::new(first & i32::MAX)
    }
}

/// A producer's latest epoch, its last batches in that epoch, its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) epoch: ProducerEpoch,
    /// The last batches of the epoch, oldest first; the first `len` places are in use.
    batches: [BatchMemory; BATCHES],
    len: usize,
    /// The epoch may have earlier batches than those remembered: a snapshot keeps one.
    is_partial: bool,
    pub(super) last_timestamp: Timestamp,
    /// Epoch of the coordinator that wrote the last marker; -1 for none.
    pub(super) coordinator_epoch: i32,
    /// The first offset of the open transaction.
    pub(super) transaction_start: Option<Offset>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            epoch: ProducerEpoch::NONE,
            batches: [NO_BATCH; BATCHES],
            len: 0,
            is_partial: false,
            last_timestamp: Timestamp::NONE,
            coordinator_epoch: -1,
            transaction_start: None,
        }
    }
}

const NO_BATCH: BatchMemory = BatchMemory {
    last_sequence: Sequence::new(-1),
    last_offset: Offset::new(-1),
    offset_delta: 0,
    timestamp: Timestamp::NONE,
};

impl Entry {
    fn batches(&self) -> &[BatchMemory] {
        self.batches.get(..self.len).unwrap_or_default()
    }

    /// The last batch of the epoch.
    pub(super) fn last(&self) -> Option<&BatchMemory> {
        self.batches().last()
    }

    /// The last batch's last offset; -1 for none.
    pub(super) fn last_offset(&self) -> Offset {
        self.last().unwrap_or(&NO_BATCH).last_offset
    }

    /// The remembered batch of the same epoch and sequences.
    pub(super) fn find(&self, batch: &BatchHeader) -> Option<&BatchMemory> {
        let same = |known: &&BatchMemory| {
            known.last_sequence == batch.last_sequence()
                && known.first_sequence() == batch.base_sequence
        };
        let of_epoch = (self.epoch == batch.producer_epoch).then(|| self.batches());
        of_epoch?.iter().find(same)
    }

    /// The last sequence in the epoch of `batch`; -1 for none.
    pub(super) fn last_sequence(&self, batch: &BatchHeader) -> Sequence {
        let of_epoch = self.last().filter(|_| self.epoch == batch.producer_epoch);
        of_epoch.unwrap_or(&NO_BATCH).last_sequence
    }

    /// The sequence that `batch` has to start with; an epoch starts with 0.
    pub(super) fn next_sequence(&self, batch: &BatchHeader) -> Sequence {
        let next = self.last_sequence(batch).get().wrapping_add(1);
        Sequence::new(next & i32::MAX)
    }

    /// Remembers a data batch; an epoch other than the last starts afresh.
    pub(super) fn push(&mut self, batch: &BatchHeader) {
        self.enter(batch.producer_epoch);
        self.remember(BatchMemory {
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset(),
            offset_delta: batch.last_offset_delta,
            timestamp: batch.max_timestamp,
        });
        self.last_timestamp = batch.max_timestamp;
    }

    /// Remembers the last batch of the epoch, as a snapshot tells it.
    pub(super) fn resume(&mut self, last: BatchMemory) {
        self.remember(last);
        self.is_partial = true;
    }

    /// Whether batches of `epoch` may be missing that a producer could still repeat.
    pub(super) fn is_partial(&self, epoch: ProducerEpoch) -> bool {
        self.is_partial && self.len < BATCHES && self.epoch == epoch
    }

    /// Takes in the earlier batches that `seen`, which read them from the log, has of the epoch.
    pub(super) fn recall(&mut self, seen: &Self) {
        self.is_partial = false;
        if seen.epoch != self.epoch {
            return;
        }
        let first = self.batches().first().map(BatchMemory::base_offset);
        let is_earlier = |batch: &&BatchMemory| first.is_none_or(|first| batch.last_offset < first);
        let known = self.clone();
        self.len = 0;
        let earlier = seen.batches().iter().filter(is_earlier);
        for batch in earlier.chain(known.batches()) {
            self.remember(*batch);
        }
    }

    /// Remembers `batch` as the last one.
    fn remember(&mut self, batch: BatchMemory) {
        if self.len == BATCHES {
            self.batches.rotate_left(1);
            self.len -= 1;
        }
        self.batches[self.len] = batch;
        self.len += 1;
    }

    /// Notes a marker; the answer is the first offset of the transaction that it ended. The next
    /// one may go on in the same epoch with the next sequence.
    pub(super) fn end_transaction(
        &mut self,
        batch: &BatchHeader,
        marker: &EndTransactionMarker,
    ) -> Option<Offset> {
        self.enter(batch.producer_epoch);
        self.coordinator_epoch = marker.coordinator_epoch;
        self.last_timestamp = batch.max_timestamp;
        self.transaction_start.take()
    }

    fn enter(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.len = 0;
            self.is_partial = false;
            self.batches = [NO_BATCH; BATCHES];
        }
    }
}
