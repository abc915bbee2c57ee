//! Appending batches: as the leader, who gives offsets, and as a follower, who keeps them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::boundaries::Boundary;
use super::config::FlushMode;
use super::core::{Appender, LogCore};
use super::errors::AppendError;
use super::room::Room;
use super::seam::Written;
use crate::batch::{
    AssignedBatches, BatchError, BatchHeader, EndTransactionMarker, Records, ValidBatches,
};
use crate::producer_state::{EndedTransaction, Origin, ProducerError, Verdict};
use crate::segment::Segment;
use crate::validate::validate_produce;
use crate::{LeaderEpoch, Offset, StorageError, Timestamp, TimestampType};

/// What must hold for an append to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Nothing.
    #[default]
    Any,
    /// The next offset of the log is this one: nobody else appended in between.
    NextOffset(Offset),
}

/// What a leader appends with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeaderAppend {
    /// The time.
    pub now: Timestamp,
    /// The leader's epoch, which the batches get.
    pub leader_epoch: LeaderEpoch,
    /// What must hold.
    pub condition: Condition,
    /// Whose batches they are.
    pub origin: Origin,
    /// The producer's transaction protocol (KIP-890): 0, 1 or 2.
    pub transaction_version: i16,
}

impl LeaderAppend {
    /// Appends a client's batches, whatever the next offset is.
    #[must_use]
    pub fn new(now: Timestamp, leader_epoch: LeaderEpoch) -> Self {
        Self {
            now,
            leader_epoch,
            condition: Condition::Any,
            origin: Origin::Client,
            transaction_version: 0,
        }
    }
}

/// What came of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The offset of the first record.
    pub base_offset: Offset,
    /// The offset of the last record.
    pub last_offset: Offset,
    /// The append is durable once the durable end reaches this; also for a duplicate, whose
    /// original may not be durable yet.
    pub end: Offset,
    /// The time the records got, where the log stamps them (`LogAppendTime`).
    pub log_append_time: Option<Timestamp>,
    /// The log start offset.
    pub log_start: Offset,
    /// Nothing was appended: the producer repeats a batch, and the offsets are those of the first
    /// time.
    pub duplicate: bool,
}

impl LogCore {
    /// Appends batches as the leader: gives them the next offsets and the leader's epoch.
    ///
    /// First it is asked whether the producer repeats itself, then whether the condition holds,
    /// and only then whether the records keep the rules: so a repetition is always answered as
    /// the first time, and a writer that is late learns that before anything else.
    pub(crate) fn append_as_leader(
        &self,
        batches: ValidBatches,
        context: &LeaderAppend,
    ) -> Result<Appended, AppendError> {
        let room = self.room(batches.bytes().len())?;
        self.append_in(room, batches, context)
    }

    /// As [`LogCore::append_as_leader`], in room that was taken before.
    pub(crate) fn append_in(
        &self,
        room: Room,
        batches: ValidBatches,
        context: &LeaderAppend,
    ) -> Result<Appended, AppendError> {
        let mut appender = self.appender();
        self.check_appendable()?;
        if let Some(duplicate) = self.check_producer(&mut appender, &batches, context)? {
            return Ok(duplicate);
        }
        let ends = self.ends();
        if let Condition::NextOffset(expected) = context.condition
            && expected != ends.end
        {
            return Err(AppendError::Condition {
                id: self.id.clone(),
                expected,
                end: ends.end,
            });
        }
        let latest = self.latest_epoch().unwrap_or(LeaderEpoch::NONE);
        if context.leader_epoch < latest {
            return Err(AppendError::FencedLeaderEpoch {
                id: self.id.clone(),
                asked: context.leader_epoch,
                latest,
            });
        }
        let (batches, log_append_time) = match context.origin {
            Origin::Client => {
                let rules = appender.config.produce_rules(context.now);
                let validated = validate_produce(batches, &rules, &self.shared.limits)?;
                (validated.batches, validated.log_append_time)
            }
            Origin::Coordinator => (batches, None),
        };
        let assigned = batches.into_assigned(ends.end, context.leader_epoch)?;
        self.write(&mut appender, &assigned, context.now, room)?;
        drop(appender);
        self.tell_if_durable();
        Ok(Appended {
            base_offset: assigned.base_offset(),
            last_offset: assigned.last_offset(),
            end: assigned.next_offset(),
            log_append_time,
            log_start: ends.start,
            duplicate: false,
        })
    }

    /// Appends batches as a follower: offsets and epochs stay as the leader gave them. Offsets may
    /// leave gaps, but not go back.
    pub(crate) fn append_as_follower(
        &self,
        batches: ValidBatches,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        let room = self.room(batches.bytes().len())?;
        let mut appender = self.appender();
        self.check_appendable()?;
        let assigned = batches.into_replicated()?;
        let ends = self.ends();
        if assigned.base_offset() < ends.end {
            return Err(AppendError::OutOfOrder {
                id: self.id.clone(),
                base: assigned.base_offset(),
                end: ends.end,
            });
        }
        self.write(&mut appender, &assigned, now, room)?;
        drop(appender);
        self.tell_if_durable();
        Ok(Appended {
            base_offset: assigned.base_offset(),
            last_offset: assigned.last_offset(),
            end: assigned.next_offset(),
            log_append_time: None,
            log_start: ends.start,
            duplicate: false,
        })
    }

    fn check_appendable(&self) -> Result<(), AppendError> {
        if let Some(gone) = self.health.gone() {
            return Err(AppendError::gone(gone, &self.id));
        }
        match self.health.append_fault() {
            None => Ok(()),
            Some(fault) => Err(AppendError::Storage(fault)),
        }
    }

    /// Whether each batch is its producer's next one; the answer where one is a repetition.
    fn check_producer(
        &self,
        appender: &mut Appender,
        batches: &ValidBatches,
        context: &LeaderAppend,
    ) -> Result<Option<Appended>, AppendError> {
        for (header, batch) in batches.batches() {
            if header.attributes.is_control() {
                if let Some(marker) = self.marker_in(header, &batch)? {
                    let version = context.transaction_version;
                    appender.producers.check_marker(header, &marker, version)?;
                }
                continue;
            }
            let verdict = self.verdict(appender, header, context)?;
            if let Verdict::Duplicate {
                base_offset,
                last_offset,
                timestamp,
            } = verdict
            {
                // The log stamped the original with it, unless it took the producer's own times
                // then: nobody notes which, so the largest of them is told. Where it takes those
                // now there is nothing to tell; Kafka tells the largest of them then.
                let is_stamped = appender.config.timestamp_type == TimestampType::LogAppendTime;
                return Ok(Some(Appended {
                    base_offset,
                    last_offset,
                    end: last_offset.plus(1),
                    log_append_time: is_stamped.then_some(timestamp),
                    log_start: self.ends().start,
                    duplicate: true,
                }));
            }
        }
        Ok(None)
    }

    /// What is to happen with a producer's batch. One that seems out of order may be known to the
    /// log, if not to its snapshot.
    fn verdict(
        &self,
        appender: &mut Appender,
        header: &BatchHeader,
        context: &LeaderAppend,
    ) -> Result<Verdict, ProducerError> {
        let version = context.transaction_version;
        match appender.producers.check(header, context.origin, version) {
            Err(ProducerError::OutOfOrderSequence { .. })
                if appender.producers.may_have_forgotten(header) =>
            {
                self.recall_producers(appender);
                appender.producers.check(header, context.origin, version)
            }
            verdict => verdict,
        }
    }

    /// Writes batches with their final offsets at the end of the log, and publishes them.
    pub(super) fn write(
        &self,
        appender: &mut Appender,
        batches: &AssignedBatches,
        now: Timestamp,
        room: Room,
    ) -> Result<(), AppendError> {
        self.check_markers(batches)?;
        let bytes = batches.bytes();
        let segment = self.segment_for(appender, batches, now)?;
        self.make_dir(appender)?;
        let position = segment.extent().size;
        let is_new = !segment.is_created();
        let file = segment.open_for_append()?;
        if is_new {
            self.names_dirty.store(true, Ordering::Release);
        }
        if let Err(error) = segment.write(&file, bytes) {
            return Err(self.undo(&segment, error).into());
        }

        segment.added(batches.headers());
        let end = batches.next_offset();
        self.apply(appender, &segment, batches);
        self.boundaries.lock().push(Boundary {
            offset: end,
            segment: segment.base(),
            position: segment.extent().size,
        });
        let flush = self.flush_mode(&appender.config);
        let first_unstable = appender.producers.first_unstable();
        self.ends.update(|ends| {
            ends.end = end;
            ends.first_unstable = first_unstable;
            if flush == FlushMode::Os {
                ends.durable = end;
            }
        });
        room.spend(bytes.len() as u64);
        let written = Written {
            segment_base: segment.base(),
            position,
            bytes: bytes.clone(),
            end,
            created: !std::mem::replace(&mut appender.noted, true),
            flush,
        };
        self.shared.flusher.wrote(&self.target(), written);
        Ok(())
    }

    /// Looks into control batches before anything is written: what follows must not fail.
    fn check_markers(&self, batches: &AssignedBatches) -> Result<(), BatchError> {
        for (header, batch) in batches.batches() {
            if header.attributes.is_control() {
                self.marker_in(header, &batch)?;
            }
        }
        Ok(())
    }

    /// The end of a transaction that a control batch tells of, if it does.
    fn marker_in(
        &self,
        header: &BatchHeader,
        batch: &Bytes,
    ) -> Result<Option<EndTransactionMarker>, BatchError> {
        let records = Records::open(header, batch, &self.shared.limits)?;
        let record = records.iter().next().transpose()?;
        Ok(record.and_then(|record| EndTransactionMarker::from_record(record.key, record.value)))
    }

    /// Takes batches that were written to `segment` into what is derived from them.
    fn apply(&self, appender: &mut Appender, segment: &Segment, batches: &AssignedBatches) {
        let limits = &self.shared.limits;
        for (header, batch) in batches.batches() {
            let ended = appender.producers.apply(header, &batch, limits);
            let ended = ended.expect("control records were looked into before the write");
            // Before the ends are published, by which a reader knows that the transaction is over.
            if let Some(aborted) = ended.and_then(EndedTransaction::to_aborted) {
                segment.add_aborted(aborted);
            }
        }
        let mut epochs = self.epochs.lock();
        for header in batches.headers() {
            let news = epochs.cache.assign(header.leader_epoch, header.base_offset);
            epochs.dirty |= news;
        }
    }

    /// After a failed write: cuts the file back. Where that is not possible, or where the device
    /// is to blame rather than its fullness, the log goes offline.
    fn undo(&self, segment: &Segment, error: StorageError) -> StorageError {
        let cut = segment.cut_back();
        let cause = match cut {
            Ok(()) if error.is_recoverable() => return error,
            Ok(()) => Arc::new(error),
            Err(cut_error) => Arc::new(cut_error),
        };
        self.fail(&cause);
        StorageError::Offline(cause)
    }

    /// In `Os` mode the append itself moved the durable end.
    fn tell_if_durable(&self) {
        let ends = self.ends();
        if ends.durable == ends.end {
            self.observers.durable(ends);
        }
    }
}

/// The largest timestamp of some batches.
pub(super) fn largest_timestamp(headers: &[BatchHeader]) -> Timestamp {
    let timestamps = headers.iter().map(|header| header.max_timestamp);
    timestamps.max().unwrap_or(Timestamp::NONE)
}
