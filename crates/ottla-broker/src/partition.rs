//! One partition on this broker: its log, the replica machine that decides over it, and those who
//! wait for either.
//!
//! The machine's inputs come from here one at a time; its outputs are carried out here. What it
//! decides is in `ottla_partition`, what it stores in `ottla_log`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ottla_log::{
    AbortedTransaction, AppendError, Appended, BatchSlice, Bound, Condition, Ends, LeaderAppend,
    LeaderEpoch, Log, LogId, LogObserver, Maintenance, Offset, Origin, ReadError, Room,
    StorageError, Timestamp, TopicId, ValidBatches,
};
use ottla_partition::metadata::Partition as Registration;
use ottla_partition::partition::{
    self as machine, Acks, Output, Replica, ReplicaConfig, ReplicaError, WaiterId,
};
use ottla_partition::{BrokerId, metadata};
use ottla_protocol::ErrorCode;
use parking_lot::{Mutex, RwLock};

use crate::gate::{Gate, Place};
use crate::interest::{Interest, Watchers};
use crate::timer::{Deadline, Timer};
use crate::upkeep::Upkeep;

/// One partition on this broker.
#[derive(Debug)]
pub(crate) struct Partition {
    me: Weak<Self>,
    topic_id: TopicId,
    log: Log,
    timer: Timer,
    driven: Mutex<Driven>,
    /// Held shared by an append, so that no term ends between the check and the write.
    term: RwLock<()>,
    /// The machine's high watermark, for readers.
    high_watermark: AtomicI64,
    watchers: Watchers,
    is_replicated: AtomicBool,
    upkeep: Arc<Upkeep>,
    /// Whether somebody will look after the log.
    is_looked_after: AtomicBool,
}

/// The machine and who waits for its answers.
#[derive(Debug)]
struct Driven {
    replica: Replica,
    waiting: HashMap<WaiterId, (Arc<Gate>, usize)>,
    next_waiter: u64,
    /// Why there will be no further answer, once that is so.
    retired: Option<ErrorCode>,
}

/// What a reader may see of a partition at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) high_watermark: Offset,
    pub(crate) last_stable: Offset,
}

/// Why records were not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Partition {
    /// The partition of `log`, registered as `registration`.
    pub(crate) fn new(
        node: BrokerId,
        log: Log,
        config: ReplicaConfig,
        registration: &Registration,
        timer: Timer,
        upkeep: &Arc<Upkeep>,
    ) -> Arc<Self> {
        let ends = log.ends();
        // Nothing of an earlier run is known to be committed but what the log itself says; a
        // leader without followers raises it to that when it is registered.
        let replica = Replica::new(node, config, machine_ends(ends), ends.start);
        let partition = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            upkeep: Arc::clone(upkeep),
            is_looked_after: AtomicBool::new(false),
            topic_id: log.topic_id(),
            timer,
            high_watermark: AtomicI64::new(replica.high_watermark().get()),
            driven: Mutex::new(Driven {
                replica,
                waiting: HashMap::new(),
                next_waiter: 0,
                retired: None,
            }),
            term: RwLock::new(()),
            watchers: Watchers::default(),
            is_replicated: AtomicBool::new(registration.replicas.len() > 1),
            log,
        });
        let observer = Observer(Arc::downgrade(&partition));
        let observer: Arc<dyn LogObserver> = Arc::new(observer);
        partition.log.observe(&observer);
        partition.drive(|replica, now| {
            replica.durable(now, partition.log.ends().durable);
            replica.registered(now, registration);
        });
        partition.log.committed(Offset::new(
            partition.high_watermark.load(Ordering::Acquire),
        ));
        partition
    }

    /// Whether other brokers hold replicas, too.
    pub(crate) fn is_replicated(&self) -> bool {
        self.is_replicated.load(Ordering::Relaxed)
    }

    /// Which log.
    pub(crate) fn id(&self) -> &LogId {
        self.log.id()
    }

    /// The topic's id.
    pub(crate) fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The log itself, for what concerns no replica.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// What a reader may see.
    pub(crate) fn view(&self) -> View {
        // In this order: the log's end only rises, so it is never below the high watermark.
        let high_watermark = Offset::new(self.high_watermark.load(Ordering::Acquire));
        let ends = self.log.ends();
        let last_stable = ends
            .first_unstable
            .map_or(high_watermark, |first| first.min(high_watermark));
        View {
            start: ends.start,
            end: ends.end,
            high_watermark: high_watermark.max(ends.start),
            last_stable: last_stable.max(ends.start),
        }
    }

    /// Appends batches of a coordinator, of which is not asked what a topic asks of its clients'.
    /// Does not wait for the dirty budget: that is done before the coordinator's lock is taken.
    pub(crate) fn append(
        &self,
        origin: Origin,
        batches: ValidBatches,
        acks: Acks,
    ) -> Result<Appended, Refusal> {
        let room = self.log.room_at_once(batches.bytes().len())?;
        self.append_if(room, |context| context.origin = origin, batches, acks)
    }

    /// Appends a client's batches in `room`, if `condition` holds.
    pub(crate) fn append_in(
        &self,
        room: Room,
        condition: Condition,
        batches: ValidBatches,
        acks: Acks,
    ) -> Result<Appended, Refusal> {
        let set = |context: &mut LeaderAppend| context.condition = condition;
        self.append_if(room, set, batches, acks)
    }

    fn append_if(
        &self,
        room: Room,
        set: impl FnOnce(&mut LeaderAppend),
        batches: ValidBatches,
        acks: Acks,
    ) -> Result<Appended, Refusal> {
        let _term = self.term.read();
        let epoch = self.driven.lock().replica.check_append(acks)?;
        let mut context = LeaderAppend::new(self.timer.now(), epoch);
        set(&mut context);
        let appended = self.log.append_in(room, batches, &context)?;
        self.drive(|replica, now| replica.appended(now, appended.end));
        if !self.is_looked_after.swap(true, Ordering::Relaxed) {
            self.look_after(Upkeep::appended);
        }
        Ok(appended)
    }

    /// Has `gate` told at `place` once everything below `end` is acknowledged by all replicas in
    /// sync, or will not be. `None` where that was told at once.
    pub(crate) fn acknowledge(
        &self,
        end: Offset,
        gate: &Arc<Gate>,
        place: usize,
        deadline: Deadline,
    ) -> Option<WaiterId> {
        gate.expect(place);
        let mut driven = self.driven.lock();
        if let Some(code) = driven.retired {
            drop(driven);
            gate.settle(place, code);
            return None;
        }
        let waiter = WaiterId::new(driven.next_waiter);
        driven.next_waiter += 1;
        driven.waiting.insert(waiter, (Arc::clone(gate), place));
        drop(driven);
        self.drive(|replica, _| replica.produced(waiter, Acks::All, end, deadline.monotonic()));
        (gate.place(place) == Place::Pending).then_some(waiter)
    }

    /// Nobody waits for this acknowledgement any more.
    pub(crate) fn forget(&self, waiter: WaiterId) {
        let mut driven = self.driven.lock();
        driven.waiting.remove(&waiter);
        driven.replica.forget(waiter);
    }

    /// Whole batches from `from` on, up to `until`; at least one where there is one. With the
    /// transactions that were aborted among them, for a reader of committed records. `None` where
    /// a disk would have to be waited for.
    pub(crate) fn read_nowait(
        &self,
        from: Offset,
        max_bytes: usize,
        until: Offset,
        committed_only: bool,
    ) -> Result<Option<(BatchSlice, Vec<AbortedTransaction>)>, ReadError> {
        if committed_only {
            let slice = self.log.read_committed_nowait(from, max_bytes, until)?;
            return Ok(slice.map(|slice| (slice.batches, slice.aborted)));
        }
        let slice = self.log.read_nowait(from, max_bytes, Bound::Until(until))?;
        Ok(slice.map(|slice| (slice, Vec::new())))
    }

    /// As [`Partition::read_nowait`], waiting for the disk.
    pub(crate) fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        until: Offset,
        committed_only: bool,
    ) -> Result<(BatchSlice, Vec<AbortedTransaction>), ReadError> {
        if committed_only {
            let slice = self.log.read_committed(from, max_bytes, until)?;
            return Ok((slice.batches, slice.aborted));
        }
        let slice = self.log.read(from, max_bytes, Bound::Until(until))?;
        Ok((slice, Vec::new()))
    }

    /// Refuses an asker that names another term than this one, or where this broker does not lead.
    pub(crate) fn check_leader(&self, asked: Option<LeaderEpoch>) -> Result<(), ReplicaError> {
        let driven = self.driven.lock();
        driven.replica.check_epoch(asked)?;
        driven.replica.check_leader()
    }

    /// The term.
    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.driven.lock().replica.leader_epoch()
    }

    /// Whether the latest committed offset is known (KIP-207).
    pub(crate) fn knows_latest(&self) -> bool {
        self.driven.lock().replica.knows_latest()
    }

    /// Records before `to` were deleted; the least offset that some replica still has.
    pub(crate) fn start_moved(&self, to: Offset) -> Offset {
        let low = self.drive(|replica, _| {
            replica.start_moved(to);
            replica.low_watermark()
        });
        self.watchers.changed();
        low
    }

    /// There may be something to do for the log right now: files of segments are to go, or its
    /// settings changed.
    pub(crate) fn needs_upkeep(&self) {
        self.is_looked_after.store(true, Ordering::Relaxed);
        self.look_after(Upkeep::plan);
    }

    fn look_after(&self, plan: impl FnOnce(&Upkeep, &Arc<Self>, Timestamp)) {
        if let Some(me) = self.me.upgrade() {
            plan(&self.upkeep, &me, self.timer.now());
        }
    }

    /// A log that was just opened may have held what it has for long.
    pub(crate) fn opened(&self) {
        let ends = self.log.ends();
        if ends.end > Offset::ZERO && !self.is_looked_after.swap(true, Ordering::Relaxed) {
            self.look_after(Upkeep::appended);
        }
    }

    /// One step of the log's upkeep.
    pub(crate) fn maintain(&self, now: Timestamp) -> Result<Maintenance, StorageError> {
        // An append that comes from here on may give reason to look again.
        self.is_looked_after.store(false, Ordering::Relaxed);
        let before = self.log.ends().start;
        let done = self.log.maintain(now);
        let start = self.log.ends().start;
        if start > before {
            self.start_moved(start);
        }
        done
    }

    /// The cluster registered the partition anew.
    pub(crate) fn registered(&self, registration: &metadata::Partition) {
        let term = self.term.write();
        let is_replicated = registration.replicas.len() > 1;
        self.is_replicated.store(is_replicated, Ordering::Relaxed);
        self.drive(|replica, now| replica.registered(now, registration));
        drop(term);
        self.watchers.changed();
    }

    /// The settings changed.
    pub(crate) fn configure(&self, config: ReplicaConfig) {
        self.drive(|replica, now| replica.configure(now, config));
    }

    /// The topic is gone: who waits is told, and whoever comes is refused.
    pub(crate) fn retire(&self) {
        let code = ErrorCode::UnknownTopicOrPartition;
        let mut driven = self.driven.lock();
        driven.retired = Some(code);
        let waiting = std::mem::take(&mut driven.waiting);
        for waiter in waiting.keys() {
            driven.replica.forget(*waiter);
        }
        drop(driven);
        for (gate, place) in waiting.into_values() {
            gate.settle(place, code);
        }
        self.watchers.changed();
    }

    /// Whether the topic is gone.
    pub(crate) fn is_retired(&self) -> bool {
        self.driven.lock().retired.is_some()
    }

    /// Has `interest` marked at `slot` with each change, until the answer is dropped.
    pub(crate) fn watch(self: &Arc<Self>, interest: &Arc<Interest>, slot: u32) -> Watch {
        Watch {
            id: self.watchers.enter(interest, slot),
            partition: Arc::clone(self),
        }
    }

    /// Hands the machine an input and carries out what follows.
    fn drive<T>(&self, input: impl FnOnce(&mut Replica, Duration) -> T) -> T {
        let now = self.timer.monotonic();
        let mut answers = Vec::new();
        let mut moved = false;
        let mut driven = self.driven.lock();
        let result = input(&mut driven.replica, now);
        while let Some(output) = driven.replica.poll_output() {
            match output {
                Output::HighWatermark(to) => {
                    self.high_watermark.store(to.get(), Ordering::Release);
                    moved = true;
                }
                Output::EpochStarts { epoch, start } => self.log.assign_epoch(epoch, start),
                Output::Answer { waiter, result } => {
                    answers.extend(driven.waiting.remove(&waiter).map(|to| (to, result)));
                }
                // A produce request has one timer for all its partitions.
                Output::Timer { .. } => {}
                other => tracing::error!(?other, "a replica asks for what one broker cannot do"),
            }
        }
        drop(driven);
        if moved {
            // Before anybody is answered, who may count on what is committed.
            let high_watermark = self.high_watermark.load(Ordering::Acquire);
            self.log.committed(Offset::new(high_watermark));
        }
        for ((gate, place), result) in answers {
            gate.settle(
                place,
                result.map_or_else(|e| e.code(), |()| ErrorCode::None),
            );
        }
        if moved {
            self.watchers.changed();
        }
        result
    }
}

fn machine_ends(ends: Ends) -> machine::Ends {
    machine::Ends {
        start: ends.start,
        end: ends.end,
        durable: ends.durable,
    }
}

/// Passes on what happens to the log. The log holds it, so it does not hold the partition.
struct Observer(Weak<Partition>);

impl LogObserver for Observer {
    fn durable(&self, ends: Ends) {
        if let Some(partition) = self.0.upgrade() {
            partition.drive(|replica, now| replica.durable(now, ends.durable));
        }
    }

    fn failed(&self, cause: &Arc<StorageError>) {
        if let Some(partition) = self.0.upgrade() {
            tracing::error!(
                partition = %partition.id(), %cause,
                "a partition is offline until the broker restarts"
            );
            partition.drive(|replica, _| replica.failed());
            partition.watchers.changed();
        }
    }
}

/// An interest in a partition; ends when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    partition: Arc<Partition>,
    id: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.partition.watchers.leave(self.id);
    }
}

#[cfg(test)]
mod tests;
