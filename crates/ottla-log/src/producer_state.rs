//! What a log knows of its idempotent and transactional producers (KIP-98).
//!
//! It decides whether a producer's batch is the next one, a repetition or out of order, and which
//! transactions are open. Sequences of a producer are checked on the leader only; a follower and
//! a recovery apply what they find.

mod entry;
mod look;
mod snapshot;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::batch::{BatchError, BatchHeader, EndTransactionMarker, Records};
use crate::derived::{Derived, Rewind};
use crate::index::AbortedTransaction;
use crate::{Limits, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use entry::Entry;
pub(crate) use snapshot::SnapshotError;

/// A producer snapshot is no larger: 64 bytes for each of more producers than are ever kept.
pub(crate) const SNAPSHOT_BYTES_MAX: usize = 64 << 20;

/// Producers, and the transactions they have open, up to the end of a log.
///
/// Bounded: over [`Limits::producers_max`] a sixteenth of the producers is forgotten, those whose
/// last batch is the oldest. One that writes again is taken for new, so that only a repetition
/// from before goes unnoticed; Kafka does the same to a producer that was idle for long. A
/// producer with an open transaction is never forgotten: a coordinator knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducerState {
    producers: BTreeMap<ProducerId, Entry>,
    /// First offset of each open transaction.
    open: BTreeMap<Offset, ProducerId>,
    /// First offset and marker of transactions that ended above the high watermark.
    ended: BTreeMap<Offset, Offset>,
    /// Everything below has been applied.
    end: Offset,
    producers_max: usize,
}

/// Who hands in a batch, which says how far its producer is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A client: epoch and sequence.
    #[default]
    Client,
    /// A coordinator of this cluster, whose batches have no sequence: epoch only.
    Coordinator,
}

/// What is to happen with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one.
    Append,
    /// It was appended before; the answer to the producer is that of the first time.
    Duplicate {
        /// The offset of its first record.
        base_offset: Offset,
        /// The offset of its last record.
        last_offset: Offset,
        /// Its largest timestamp.
        timestamp: Timestamp,
    },
}

/// Why a producer's batch is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// Batches are missing before this one, or it repeats one that is no longer remembered.
    #[error(
        "producer {producer_id} sent sequence {found} in epoch {epoch}; after its last one, \
         {last}, this is out of order"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// The batch's epoch.
        epoch: ProducerEpoch,
        /// The batch's first sequence.
        found: Sequence,
        /// The last sequence that was appended; -1 for none in the epoch.
        last: Sequence,
    },
    /// A later incarnation of the producer has written already.
    #[error("producer {producer_id} is fenced: it wrote in epoch {found}, seen was {current}")]
    InvalidEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// The batch's epoch.
        found: ProducerEpoch,
        /// The latest epoch.
        current: ProducerEpoch,
    },
    /// A batch outside of a transaction while one is open.
    #[error("producer {0} wrote outside of the transaction that it has open; end it first")]
    InvalidTransactionState(ProducerId),
    /// A later transaction coordinator has written already.
    #[error(
        "a marker for producer {producer_id} is of coordinator epoch {found}, seen was {current}"
    )]
    CoordinatorFenced {
        /// The producer.
        producer_id: ProducerId,
        /// The marker's epoch.
        found: i32,
        /// The latest epoch.
        current: i32,
    },
}

/// A transaction that a marker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedTransaction {
    /// Whose.
    pub(crate) producer_id: ProducerId,
    /// Its first record.
    pub(crate) first_offset: Offset,
    /// Its marker.
    pub(crate) marker_offset: Offset,
    /// Aborted, not committed.
    pub(crate) aborted: bool,
    /// The first record of the transactions still open, or the offset after the marker.
    pub(crate) last_stable_offset: Offset,
}

impl EndedTransaction {
    /// What the transaction index gets.
    pub(crate) fn to_aborted(self) -> Option<AbortedTransaction> {
        self.aborted.then_some(AbortedTransaction {
            producer_id: self.producer_id,
            first_offset: self.first_offset,
            last_offset: self.marker_offset,
            last_stable_offset: self.last_stable_offset,
        })
    }
}

impl ProducerState {
    /// No producers, for a log that starts at `start`.
    pub(crate) const fn new(start: Offset, limits: &Limits) -> Self {
        Self {
            producers: BTreeMap::new(),
            open: BTreeMap::new(),
            ended: BTreeMap::new(),
            end: start,
            producers_max: limits.producers_max,
        }
    }

    /// Everything below this offset has been applied.
    pub(crate) const fn end(&self) -> Offset {
        self.end
    }

    /// How many producers are known.
    pub(crate) fn len(&self) -> usize {
        self.producers.len()
    }

    /// The last data batch of each producer by its last offset, and the epoch: what a batch must
    /// be kept for, even if without its records.
    pub(crate) fn last_batches(&self) -> BTreeMap<ProducerId, (Option<Offset>, ProducerEpoch)> {
        let last = |(id, entry): (&ProducerId, &Entry)| {
            let offset = entry.last().map(|batch| batch.last_offset);
            (*id, (offset, entry.epoch))
        };
        self.producers.iter().map(last).collect()
    }

    /// Whether a leader may append a data batch with this header. `transaction_version` is the
    /// producer's protocol (KIP-890): from 2 on, an unknown producer has to start at sequence 0.
    ///
    /// An append of several batches asks for each after the one before it was applied.
    ///
    /// # Errors
    /// [`ProducerError`].
    pub(crate) fn check(
        &self,
        batch: &BatchHeader,
        origin: Origin,
        transaction_version: i16,
    ) -> Result<Verdict, ProducerError> {
        if !batch.has_producer_id() {
            return Ok(Verdict::Append);
        }
        let producer_id = batch.producer_id;
        let unordered = |last| ProducerError::OutOfOrderSequence {
            producer_id,
            epoch: batch.producer_epoch,
            found: batch.base_sequence,
            last,
        };
        let Some(entry) = self.producers.get(&producer_id) else {
            let must_start_at_0 = origin == Origin::Client
                && batch.attributes.is_transactional()
                && transaction_version >= 2;
            return if must_start_at_0 && batch.base_sequence.get() != 0 {
                Err(unordered(Sequence::new(-1)))
            } else {
                Ok(Verdict::Append)
            };
        };
        if origin == Origin::Client
            && let Some(first) = entry.find(batch)
        {
            return Ok(Verdict::Duplicate {
                base_offset: first.base_offset(),
                last_offset: first.last_offset,
                timestamp: first.timestamp,
            });
        }
        if batch.producer_epoch < entry.epoch {
            return Err(ProducerError::InvalidEpoch {
                producer_id,
                found: batch.producer_epoch,
                current: entry.epoch,
            });
        }
        if origin == Origin::Client && batch.base_sequence != entry.next_sequence(batch) {
            return Err(unordered(entry.last_sequence(batch)));
        }
        if entry.transaction_start.is_some() && !batch.attributes.is_transactional() {
            return Err(ProducerError::InvalidTransactionState(producer_id));
        }
        Ok(Verdict::Append)
    }

    /// Whether `batch` may repeat one that is in the log and not remembered here, because this
    /// state was loaded from a snapshot since.
    pub(crate) fn may_have_forgotten(&self, batch: &BatchHeader) -> bool {
        let entry = self.producers.get(&batch.producer_id);
        entry.is_some_and(|entry| entry.is_partial(batch.producer_epoch))
    }

    /// Takes in what `seen`, which was made of the log's last batches, knows of the producers'
    /// earlier batches. Nobody is asked for them again.
    pub(crate) fn recall(&mut self, seen: &Self) {
        let unknown = Entry::default();
        for (id, entry) in &mut self.producers {
            entry.recall(seen.producers.get(id).unwrap_or(&unknown));
        }
    }

    /// Whether a leader may append `marker` in a control batch with this header. With a
    /// `transaction_version` from 2 on the coordinator raises the epoch for each marker, so that
    /// a late one is told apart; 0 and 1 repeat the transaction's epoch.
    ///
    /// # Errors
    /// [`ProducerError`].
    pub(crate) fn check_marker(
        &self,
        batch: &BatchHeader,
        marker: &EndTransactionMarker,
        transaction_version: i16,
    ) -> Result<(), ProducerError> {
        let Some(entry) = self.producers.get(&batch.producer_id) else {
            return Ok(());
        };
        let found = batch.producer_epoch;
        // The coordinator may repeat a marker that it does not know to have arrived; a producer
        // at the last epoch cannot be raised any more.
        let repeats =
            found == entry.epoch && (entry.transaction_start.is_none() || found.get() == i16::MAX);
        let is_late = if transaction_version >= 2 {
            found <= entry.epoch && !repeats
        } else {
            found < entry.epoch
        };
        if is_late {
            return Err(ProducerError::InvalidEpoch {
                producer_id: batch.producer_id,
                found,
                current: entry.epoch,
            });
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            return Err(ProducerError::CoordinatorFenced {
                producer_id: batch.producer_id,
                found: marker.coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// Takes in `batch` with its final offsets, whose header is `header`. Answers the transaction
    /// that it ends, if it is a marker.
    ///
    /// # Errors
    /// Where a control record, which has to be looked into, is malformed.
    pub(crate) fn apply(
        &mut self,
        header: &BatchHeader,
        batch: &Bytes,
        limits: &Limits,
    ) -> Result<Option<EndedTransaction>, BatchError> {
        if !header.attributes.is_control() {
            self.apply_data(header);
            return Ok(None);
        }
        let marker = match Records::open(header, batch, limits)?.iter().next() {
            // Compaction has removed the whole transaction and kept the batch.
            None => None,
            Some(record) => {
                let record = record?;
                EndTransactionMarker::from_record(record.key, record.value)
            }
        };
        if let Some(marker) = marker
            && header.has_producer_id()
        {
            return Ok(self.apply_marker(header, &marker));
        }
        // Control records of other kinds are no producer's.
        self.end = self.end.max(header.next_offset());
        Ok(None)
    }

    /// Takes in a data batch.
    pub(crate) fn apply_data(&mut self, batch: &BatchHeader) {
        if self.passes(batch) {
            return;
        }
        if batch.has_producer_id() {
            let entry = self.producers.entry(batch.producer_id).or_default();
            entry.push(batch);
            if batch.attributes.is_transactional() && entry.transaction_start.is_none() {
                entry.transaction_start = Some(batch.base_offset);
                self.open.insert(batch.base_offset, batch.producer_id);
            }
            self.bound();
        }
        self.end = batch.next_offset();
    }

    /// Takes in a control batch that ends a transaction. `None` where none was open: a marker for
    /// a partition that got no record.
    pub(crate) fn apply_marker(
        &mut self,
        batch: &BatchHeader,
        marker: &EndTransactionMarker,
    ) -> Option<EndedTransaction> {
        if self.passes(batch) {
            return None;
        }
        let marker_offset = batch.last_offset();
        let entry = self.producers.entry(batch.producer_id).or_default();
        let first_offset = entry.end_transaction(batch, marker);
        self.bound();
        self.end = batch.next_offset();
        let first_offset = first_offset?;
        let removed = self.open.remove(&first_offset);
        assert_eq!(
            removed,
            Some(batch.producer_id),
            "each open transaction is listed"
        );
        self.ended.insert(first_offset, marker_offset);
        let next_open = self.open.first_key_value().map(|(first, _)| *first);
        Some(EndedTransaction {
            producer_id: batch.producer_id,
            first_offset,
            marker_offset,
            aborted: !marker.committed,
            last_stable_offset: next_open.unwrap_or(self.end),
        })
    }

    /// The first record of the oldest transaction that is open, or whose marker is at or above
    /// the last offset handed to [`ProducerState::release`].
    pub(crate) fn first_unstable(&self) -> Option<Offset> {
        let open = self.open.first_key_value().map(|(first, _)| *first);
        let ended = self.ended.first_key_value().map(|(first, _)| *first);
        [open, ended].into_iter().flatten().min()
    }

    /// Markers below `high_watermark` can no longer be lost: their transactions are decided.
    pub(crate) fn release(&mut self, high_watermark: Offset) {
        if !self.ended.is_empty() {
            self.ended.retain(|_, marker| *marker >= high_watermark);
        }
    }

    /// First offset and marker of the ended transactions that are not decided, of those that ended
    /// below `to`.
    pub(crate) fn undecided(&self, to: Offset) -> Vec<(Offset, Offset)> {
        let ended = self.ended.iter().map(|(first, marker)| (*first, *marker));
        ended.filter(|(_, marker)| *marker < to).collect()
    }

    /// Transactions that ended are not decided: those of [`ProducerState::undecided`] before this
    /// state was loaded from a snapshot, which does not tell of them.
    pub(crate) fn hold_back(&mut self, undecided: Vec<(Offset, Offset)>) {
        self.ended.extend(undecided);
    }

    /// Forgets producers without an open transaction whose last batch is of before `since`, and
    /// says how many.
    pub(crate) fn expire(&mut self, since: Timestamp) -> usize {
        let before = self.producers.len();
        self.producers
            .retain(|_, entry| entry.transaction_start.is_some() || entry.last_timestamp > since);
        before - self.producers.len()
    }

    /// Whether the batch has been applied already.
    fn passes(&self, batch: &BatchHeader) -> bool {
        batch.last_offset() < self.end
    }

    /// Forgets the producers that were idle the longest where there are too many.
    fn bound(&mut self) {
        if self.producers.len() <= self.producers_max {
            return;
        }
        let idle = |entry: &&Entry| entry.transaction_start.is_none();
        let last_offset = |entry: &Entry| entry.last_offset();
        let mut ages: Vec<Offset> = self
            .producers
            .values()
            .filter(idle)
            .map(last_offset)
            .collect();
        // Many at once, so that the walk over all of them is paid for by many new ones.
        let count = (self.producers.len() - self.producers_max).max(self.producers_max / 16);
        let Some(last) = count.min(ages.len()).checked_sub(1) else {
            return;
        };
        let (_, &mut youngest, _) = ages.select_nth_unstable(last);
        self.producers
            .retain(|_, entry| !idle(&&*entry) || entry.last_offset() > youngest);
    }
}

impl Derived for ProducerState {
    type LoadError = SnapshotError;

    fn truncate(&mut self, to: Offset) -> Rewind {
        if to >= self.end {
            return Rewind::Done;
        }
        self.producers.clear();
        self.open.clear();
        self.ended.clear();
        self.end = Offset::ZERO;
        Rewind::Reload
    }

    /// Producers stay, so that a repetition is noticed even where its records are gone; Kafka
    /// does the same.
    fn advance_start(&mut self, start: Offset) {
        self.ended.retain(|_, marker| *marker >= start);
        self.end = self.end.max(start);
    }

    fn snapshot(&self) -> Vec<u8> {
        snapshot::encode(&self.producers)
    }

    fn load(bytes: &[u8], end: Offset, limits: &Limits) -> Result<Self, SnapshotError> {
        let mut state = Self::new(end, limits);
        for entry in snapshot::decode(bytes)? {
            let (id, entry) = entry?;
            if state.producers.contains_key(&id) {
                return Err(SnapshotError::Twice(id));
            }
            if let Some(first) = entry.transaction_start
                && state.open.insert(first, id).is_some()
            {
                return Err(SnapshotError::Entry(id));
            }
            state.producers.insert(id, entry);
            state.bound();
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests;
