//! A log as a program holds it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::append::{Appended, Condition, LeaderAppend};
use super::config::LogConfig;
use super::core::LogCore;
use super::ends::Ends;
use super::errors::{AppendError, ReadError, TruncateError};
use super::observe::LogObserver;
use super::read::Bound;
use super::records::LogRecords;
use super::room::Room;
use super::seam::{DurabilityTicket, FlushTarget, Maintenance};
use super::slice::{BatchSlice, CommittedSlice};
use super::time::TimedOffset;
use crate::batch::{BatchOptions, ValidBatches, build_batch};
use crate::codec::Codec;
use crate::inspect::ProducerEntry;
use crate::record::Record;
use crate::{LeaderEpoch, LogId, Offset, StorageError, Timestamp, TopicId};

/// One partition's log: an append-only sequence of records. A handle; clones are handles to the
/// same log, which is open for as long as its store is.
#[derive(Clone)]
pub struct Log {
    core: Arc<LogCore>,
    /// Keeps the store.
    _store: Arc<dyn Any + Send + Sync>,
}

/// How records are appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendOptions {
    /// What must hold for the append to be done.
    pub condition: Condition,
    /// What the append waits for.
    pub durability: Durability,
    /// How the records are compressed.
    pub codec: Codec,
}

/// What an append waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// That the records are durable, as the log's flush mode has it.
    #[default]
    Durable,
    /// That they are written: a kill of the process does not take them back, a power cut may.
    Written,
}

impl Log {
    pub(crate) fn new(core: Arc<LogCore>, store: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            core,
            _store: store,
        }
    }

    pub(crate) const fn core(&self) -> &Arc<LogCore> {
        &self.core
    }

    /// Which log.
    #[must_use]
    pub fn id(&self) -> &LogId {
        &self.core.id
    }

    /// The id of its topic.
    #[must_use]
    pub fn topic_id(&self) -> TopicId {
        self.core.topic_id()
    }

    /// Appends `records` as one batch: all of them, or none.
    ///
    /// # Errors
    /// [`AppendError`]; after [`AppendError::NotDurable`] the records are in the log, and may be
    /// gone after a restart.
    pub fn append(
        &self,
        records: &[Record],
        options: AppendOptions,
    ) -> Result<Appended, AppendError> {
        let now = self.core.shared.clock.now();
        let bytes = build_batch(
            records,
            &BatchOptions {
                codec: options.codec,
                now,
                ..BatchOptions::default()
            },
        )?;
        let batches = ValidBatches::parse(bytes, &self.core.shared.limits)?;
        let epoch = self.latest_epoch().unwrap_or(LeaderEpoch::new(0));
        let mut context = LeaderAppend::new(now, epoch);
        context.condition = options.condition;
        let appended = self.append_as_leader(batches, &context)?;
        if options.durability == Durability::Durable {
            self.wait_durable(appended.end)
                .map_err(|cause| AppendError::NotDurable {
                    id: self.id().clone(),
                    cause,
                })?;
        }
        Ok(appended)
    }

    /// Appends batches as the leader of the partition, who gives them their offsets. Returns once
    /// they are written; [`Log::wait_durable`] with the answer's `end` waits for more.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append_as_leader(
        &self,
        batches: ValidBatches,
        context: &LeaderAppend,
    ) -> Result<Appended, AppendError> {
        self.core.append_as_leader(batches, context)
    }

    /// Takes room for an append of `bytes` bytes in the store's dirty budget; `None` where it would
    /// have to be waited for until others' bytes are durable.
    ///
    /// # Errors
    /// [`AppendError`]: the log, or its store, is gone.
    pub fn try_room(&self, bytes: usize) -> Result<Option<Room>, AppendError> {
        self.core.try_room(bytes)
    }

    /// As [`Log::try_room`], waiting for it.
    ///
    /// # Errors
    /// As [`Log::try_room`].
    pub fn room(&self, bytes: usize) -> Result<Room, AppendError> {
        self.core.room(bytes)
    }

    /// As [`Log::room`], without waiting: above the budget where there is none. For who waited
    /// already, and must not do so again while it holds a lock.
    ///
    /// # Errors
    /// As [`Log::try_room`].
    pub fn room_at_once(&self, bytes: usize) -> Result<Room, AppendError> {
        self.core.room_at_once(bytes)
    }

    /// As [`Log::append_as_leader`], in room that was taken for the bytes of `batches`: does not
    /// wait for any.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append_in(
        &self,
        room: Room,
        batches: ValidBatches,
        context: &LeaderAppend,
    ) -> Result<Appended, AppendError> {
        self.core.append_in(room, batches, context)
    }

    /// Appends batches as a follower, who keeps offsets and epochs as the leader gave them. Offsets
    /// may leave gaps, but not go back.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append_as_follower(
        &self,
        batches: ValidBatches,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        self.core.append_as_follower(batches, now)
    }

    /// The ends as they are at one moment. Takes no lock.
    #[must_use]
    pub fn ends(&self) -> Ends {
        self.core.ends()
    }

    /// A ticket for the durability of everything written to the store so far.
    #[must_use]
    pub fn ticket(&self) -> DurabilityTicket {
        DurabilityTicket::new(Arc::clone(&self.core.shared.flusher))
    }

    /// Waits until everything below `end` is durable.
    ///
    /// # Errors
    /// What keeps it from becoming so.
    pub fn wait_durable(&self, end: Offset) -> Result<(), Arc<StorageError>> {
        if self.ends().durable >= end {
            return Ok(());
        }
        let flushed = self.ticket().wait();
        if self.ends().durable >= end {
            // Another log's failure is not this one's.
            return Ok(());
        }
        flushed?;
        Err(Arc::new(self.core.health.append_fault().unwrap_or_else(
            || StorageError::Missing {
                path: self.core.dir.to_path_buf(),
                found: self.ends().end,
                expected: end,
            },
        )))
    }

    /// Tells `observer` when the durable end moves, and when the log fails.
    pub fn observe(&self, observer: &Arc<dyn LogObserver>) {
        self.core.observers.add(observer);
    }

    /// Whole batches of one segment, from the one that holds `from` on: as many as fit into
    /// `max_bytes` and lie below the bound; at least one where there is one, and none where `from`
    /// is at or above the bound.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        bound: Bound,
    ) -> Result<BatchSlice, ReadError> {
        self.core.read(from, max_bytes, bound)
    }

    /// As [`Log::read`]; `None` where the device would have to be waited for.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_nowait(
        &self,
        from: Offset,
        max_bytes: usize,
        bound: Bound,
    ) -> Result<Option<BatchSlice>, ReadError> {
        self.core.read_nowait(from, max_bytes, bound)
    }

    /// As [`Log::read`] up to the last stable offset `until`, with the transactions that were
    /// aborted among what is read.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_committed(
        &self,
        from: Offset,
        max_bytes: usize,
        until: Offset,
    ) -> Result<CommittedSlice, ReadError> {
        self.core.read_committed(from, max_bytes, until)
    }

    /// As [`Log::read_committed`]; `None` where the device would have to be waited for.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_committed_nowait(
        &self,
        from: Offset,
        max_bytes: usize,
        until: Offset,
    ) -> Result<Option<CommittedSlice>, ReadError> {
        self.core.read_committed_nowait(from, max_bytes, until)
    }

    /// The durable data records from `from` on.
    #[must_use]
    pub fn records(&self, from: Offset) -> LogRecords {
        self.records_until(from, Bound::Durable)
    }

    /// The data records from `from` on, up to a bound.
    #[must_use]
    pub fn records_until(&self, from: Offset, bound: Bound) -> LogRecords {
        LogRecords::new(Arc::clone(&self.core), from, bound)
    }

    /// The data records from `from` on up to the last stable offset `until`, without those of
    /// aborted transactions.
    #[must_use]
    pub fn committed_records(&self, from: Offset, until: Offset) -> LogRecords {
        LogRecords::committed(Arc::clone(&self.core), from, until)
    }

    /// The data records from `from` on up to the end, without those of transactions that were
    /// aborted or are open: what a coordinator goes by that loads this log.
    #[must_use]
    pub fn decided_records(&self, from: Offset) -> LogRecords {
        LogRecords::decided(Arc::clone(&self.core), from)
    }

    /// The first record whose timestamp is at or above `target`; `None` where there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_for_time(&self, target: Timestamp) -> Result<Option<TimedOffset>, ReadError> {
        self.core.offset_for_time(target)
    }

    /// The first record with the largest timestamp; `None` where no record has one.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn max_timestamp_offset(&self) -> Result<Option<TimedOffset>, ReadError> {
        self.core.max_timestamp_offset()
    }

    /// The largest leader epoch at or below `asked`, and the offset where it ends.
    #[must_use]
    pub fn end_offset_for_epoch(&self, asked: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.core.end_offset_for_epoch(asked)
    }

    /// The leader epoch of the batch at `offset`.
    #[must_use]
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.core.epoch_of(offset)
    }

    /// The latest leader epoch; `None` before the first.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.core.latest_epoch()
    }

    /// Notes that leader epoch `epoch` begins at `start`.
    pub fn assign_epoch(&self, epoch: LeaderEpoch, start: Offset) {
        self.core.assign_epoch(epoch, start);
    }

    /// Everything below `high_watermark` is committed: transactions whose end lies below it are
    /// decided, and no longer hold back [`Ends::first_unstable`]. Once this was called,
    /// retention takes nothing out of the log at or above the largest high watermark; before, it
    /// goes by the durable end.
    pub fn committed(&self, high_watermark: Offset) {
        self.core.committed(high_watermark);
    }

    /// Cuts off everything from `to` on, with the whole batch that `to` lies within. Only for what
    /// is not committed.
    ///
    /// # Errors
    /// [`TruncateError`].
    pub fn truncate_to(&self, to: Offset) -> Result<(), TruncateError> {
        self.core.truncate_to(to)
    }

    /// Moves the log start up to `to`, and answers the new start. Survives a power cut once a
    /// [`Log::ticket`] taken afterwards is done.
    ///
    /// # Errors
    /// [`TruncateError`].
    pub fn delete_records(&self, to: Offset) -> Result<Offset, TruncateError> {
        self.core.delete_records(to)
    }

    /// Replaces the settings; those of segments count from the next segment on.
    pub fn set_config(&self, config: LogConfig) {
        self.core.set_config(config);
    }

    /// How often [`Log::maintain`] looks for old segments at most.
    #[must_use]
    pub fn retention_check_interval(&self) -> Duration {
        self.core.appender().config.retention_check_interval
    }

    /// The producers that it knows, by their ids.
    #[must_use]
    pub fn producers(&self) -> Vec<ProducerEntry> {
        self.core.appender().producers.entries().collect()
    }

    /// How many producers it knows.
    #[must_use]
    pub fn producers_len(&self) -> usize {
        self.core.appender().producers.len()
    }

    /// The bytes of all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.core.size_bytes()
    }

    /// One bounded step of work that no append waits for: ends a segment by time, lets old
    /// segments go ([`LogConfig::retention_ms`], [`LogConfig::retention_bytes`]), deletes the
    /// files of segments that left the log. Says when there will be something to do; an append may
    /// make it sooner.
    ///
    /// # Errors
    /// The disk failed.
    pub fn maintain(&self, now: Timestamp) -> Result<Maintenance, StorageError> {
        self.core.maintain(now)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("id", self.id())
            .field("ends", &self.ends())
            .finish_non_exhaustive()
    }
}
