//! Flush rounds: how what many logs wrote becomes durable with one sync.
//!
//! Logs hand over what they wrote. Whoever waits and finds no round running leads the next one,
//! for everybody: takes what was gathered, makes it durable, publishes the durable ends, wakes the
//! waiters. Meanwhile the round after it gathers. No thread is started here; a shell's own thread
//! may lead rounds so that nobody else has to ([`Rounds::wait_dirty`], then a flush).
//!
//! **Invariants.**
//! - A durable end is published after the sync that covers it, never before, and only by a round.
//! - A failed sync is not asked for again: the logs it covered go offline, the journal if it was
//!   the journal's takes no further round.
//! - Order of locks: a log's append mutex, a log's `syncing`, the checkpoint files, the journal,
//!   the state. Targets are called without journal and state held.

mod background;
mod files;
mod finish;
mod lead;
mod marker;
mod settle;
mod state;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::log::{Checkpoints, FlushMode, FlushTarget, Flusher, Known, Written};
use crate::vfs::Vfs;
use crate::{LogId, Offset, StorageError, TopicId};

use super::dirs::Dirs;
use super::has_data::HasData;
use super::journal::{Entry, Journal, What};
use super::offsets;
use super::options::StoreOptions;
use super::replay::ReplayedLog;

use files::CheckpointFiles;
use marker::Marker;
use state::{Item, LogState, State};

pub(super) use files::{
    CLEANED, HAS_DATA, LOG_STARTS, RECOVERY_POINTS, for_kafka, write_for_kafka,
};
pub(super) use marker::MARKER;

/// Why maintenance is due, one bit each.
const DIRTY: u8 = 1;
const HALF_FULL: u8 = 2;
const DRAIN: u8 = 4;
const DELETED: u8 = 8;
const CLEANED_SOME: u8 = 16;

/// Told when [`Store::maintain`](super::Store::maintain) has something to do sooner than it last
/// said. Called from appends and flush rounds: it must return at once.
pub trait MaintenanceAlarm: fmt::Debug + Send + Sync {
    /// There is something to do now.
    fn due(&self);
}

/// The flush rounds of one store.
#[derive(Debug)]
pub(super) struct Rounds {
    vfs: Arc<dyn Vfs>,
    dirs: Arc<Dirs>,
    dirty_bytes_max: u64,
    direct_bytes_min: u64,
    dirty_age_max_ms: i64,
    checkpoint_interval_ms: i64,
    state: Mutex<State>,
    /// Wakes the waiters of rounds with an even and an odd number.
    turn: [Condvar; 2],
    /// Wakes whoever waits for something to flush.
    dirty: Condvar,
    /// Wakes appends that wait for the dirty budget.
    room: Condvar,
    journal: Mutex<Journal>,
    files: Mutex<CheckpointFiles>,
    marker: Marker,
    /// One step of background work at a time.
    step: Mutex<()>,
    alarm: Mutex<Option<Arc<dyn MaintenanceAlarm>>>,
    /// How often files were to be synced to make room.
    #[cfg(test)]
    relieved: std::sync::atomic::AtomicU64,
}

/// What the rounds start with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) dirs: Arc<Dirs>,
    pub(super) journal: Journal,
    pub(super) has_data: HasData,
    /// The file of offsets as it was found.
    pub(super) offsets: offsets::Found,
    /// The logs that are there, with what is known of each.
    pub(super) logs: Vec<(LogId, TopicId, Known)>,
    /// What recovery wrote into logs' files.
    pub(super) replayed: Vec<ReplayedLog>,
    /// All that was replayed is durable already.
    pub(super) synced: bool,
    /// The clean marker is there.
    pub(super) clean: bool,
}

impl Rounds {
    pub(super) fn new(start: Start, options: &StoreOptions) -> Self {
        let mut state = State {
            gathering: 1,
            next_sequence: start.journal.next_sequence(),
            has_data: start.has_data,
            changed: !start.clean,
            ..State::default()
        };
        for (id, topic_id, known) in start.logs {
            let mut log = LogState::new(topic_id);
            log.recovery_point = known.recovery_point;
            log.durable_end = known.durable_end;
            log.log_start = known.log_start;
            // A half that differs may not be on the disk yet.
            if start.offsets.damage.is_none() {
                log.start_noted = known.log_start;
            }
            log.cleaned = known.cleaned;
            state.logs.insert(id, log);
        }
        for replayed in start.replayed {
            if let Some(log) = state.logs.get_mut(&replayed.id) {
                log.told = replayed.live.map(|live| live.is_some());
                if !start.synced {
                    log.live = replayed.live;
                    log.replayed = Some(replayed.files);
                    // Where they need not be synced first, as if they had just been appended.
                    log.dirty = if replayed.is_end { replayed.bytes } else { 0 };
                }
            }
        }
        state.dirty = state.logs.values().map(|log| log.dirty).sum();
        Self {
            marker: Marker::new(Arc::clone(&start.dirs), start.clean),
            files: Mutex::new(CheckpointFiles::new(start.offsets)),
            vfs: start.vfs,
            dirs: start.dirs,
            dirty_bytes_max: options.dirty_bytes_max,
            direct_bytes_min: options.direct_bytes_min,
            dirty_age_max_ms: millis(options.dirty_age_max),
            checkpoint_interval_ms: millis(options.checkpoint_interval),
            state: Mutex::new(state),
            turn: [Condvar::new(), Condvar::new()],
            dirty: Condvar::new(),
            room: Condvar::new(),
            journal: Mutex::new(start.journal),
            step: Mutex::new(()),
            alarm: Mutex::new(None),
            #[cfg(test)]
            relieved: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Waits until something waits for a round; `false` once the store is closed or `stop` is set.
    /// Whoever sets `stop` calls [`Rounds::wake`] afterwards.
    pub(super) fn wait_dirty(&self, stop: &AtomicBool) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.closed || stop.load(Ordering::Acquire) {
                return false;
            }
            if !state.items.is_empty() {
                return true;
            }
            self.dirty.wait(&mut state);
        }
    }

    /// Lets [`Rounds::wait_dirty`] look at its `stop` again.
    pub(super) fn wake(&self) {
        let _state = self.state.lock();
        self.dirty.notify_all();
    }

    /// Calls `alarm` from now on when maintenance is due.
    pub(super) fn set_alarm(&self, alarm: Option<Arc<dyn MaintenanceAlarm>>) {
        *self.alarm.lock() = alarm;
    }

    /// Refuses appends from now on.
    pub(super) fn refuse_appends(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.dirty.notify_all();
        self.room.notify_all();
    }

    /// Lets go of the logs, which hold on to the rounds themselves.
    pub(super) fn forget_logs(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let logs = std::mem::take(&mut state.logs);
        let items = std::mem::take(&mut state.items);
        self.dirty.notify_all();
        self.room.notify_all();
        drop(state);
        drop((logs, items));
    }

    /// Takes note of an opened log, whose recovery found `checkpoints` and the log end `end`. Of a
    /// log that lost its end the recovery point is where that end was.
    pub(super) fn opened(
        &self,
        target: &Arc<dyn FlushTarget>,
        checkpoints: Checkpoints,
        end: Offset,
        has_dir: bool,
    ) {
        let mut state = self.state.lock();
        let (id, topic_id) = (target.id().clone(), target.topic_id());
        let is_other = |log: &LogState| log.topic_id != topic_id && log.topic_id != TopicId::ZERO;
        let before = state.logs.get(&id);
        if before.is_some_and(|log| log.retired || is_other(log)) {
            // That directory was set aside, or its log was deleted.
            let dirty = state.logs.remove(&id).map_or(0, |log| log.dirty);
            state.dirty = state.dirty.saturating_sub(dirty);
            state.has_data.remove(&id);
            state.changed = true;
        }
        if has_dir && state.has_data.insert(id, topic_id) != Some(topic_id) {
            state.changed = true;
        }
        let log = state.log_of(target);
        state_of_opened(log, topic_id, checkpoints, end);
    }

    /// Syncs what recovery wrote into log `id`, so that it is opened from what the disk holds;
    /// unless `may_wait`. Refuses a log that is offline.
    pub(super) fn sync_before_open(
        &self,
        id: &LogId,
        may_wait: bool,
    ) -> Result<(), Arc<StorageError>> {
        let is_replayed = {
            let state = self.state.lock();
            match state.logs.get(id) {
                None => false,
                Some(log) => match &log.offline {
                    Some(cause) => return Err(Arc::clone(cause)),
                    None => log.replayed.is_some() && !may_wait,
                },
            }
        };
        if is_replayed {
            for (_, synced) in self.sync_logs(std::slice::from_ref(id)) {
                synced?;
            }
        }
        Ok(())
    }

    /// To be called before anything is changed that the clean mark speaks for.
    pub(super) fn begin_change(&self) -> Result<(), Arc<StorageError>> {
        self.marker.remove(&*self.vfs)
    }

    /// Signals that directories wait to be removed, or logs to be deleted.
    pub(super) fn deleted_some(&self) {
        let state = self.state.lock();
        self.signal(state, DELETED);
    }

    /// The logs that are offline, each with the cause.
    pub(super) fn all_offline(&self) -> Vec<(LogId, Arc<StorageError>)> {
        let state = self.state.lock();
        let offline = |(id, log): (&LogId, &LogState)| {
            let cause = log.offline.as_ref()?;
            Some((id.clone(), Arc::clone(cause)))
        };
        state.logs.iter().filter_map(offline).collect()
    }

    /// Hands over a note for the next round.
    fn note(&self, state: &mut State, entry: Entry, receipt: Option<state::Receipt>) {
        let round = state.gathering;
        if let Some(log) = state.logs.get_mut(&entry.id) {
            log.last_round = round;
        }
        self.push(state, Item::Note(entry, receipt));
    }

    fn push(&self, state: &mut State, item: Item) {
        state.items.push(item);
        if state.items.len() == 1 {
            self.dirty.notify_one();
        }
    }

    /// Signals that maintenance is due, once for each reason between two steps.
    fn signal(&self, mut state: MutexGuard<'_, State>, reason: u8) {
        if reason & !state.signalled == 0 {
            return;
        }
        state.signalled |= reason;
        drop(state);
        let alarm = self.alarm.lock().clone();
        if let Some(alarm) = alarm {
            alarm.due();
        }
    }

    fn no_space(&self) -> Arc<StorageError> {
        Arc::new(StorageError::NoSpace {
            doing: "note a change in",
            path: self.dirs.own.path().to_path_buf(),
        })
    }
}

impl Flusher for Rounds {
    fn wrote(&self, target: &Arc<dyn FlushTarget>, written: Written) {
        let len = written.bytes.len() as u64;
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let round = state.gathering;
        state.reserved = state.reserved.saturating_sub(len);
        let log = state.log_of(target);
        log.written_end = written.end;
        log.unnoted |= written.created;
        match written.flush {
            FlushMode::Sync => log.last_round = round,
            FlushMode::Os => log.unjournaled += len,
        }
        if log.cut_to.take().is_some() {
            log.settled += 1;
        }
        let mut reason = 0;
        if log.offline.is_none() {
            log.dirty += len;
            state.dirty += len;
            reason |= DIRTY;
            if state.dirty > self.dirty_bytes_max / 2 {
                reason |= HALF_FULL;
            }
        }
        if written.flush == FlushMode::Sync {
            self.push(state, Item::Bytes(Arc::clone(target), written));
        }
        // What was room taken is dirty now: who waits for room can make some.
        self.room.notify_all();
        self.signal(guard, reason);
    }

    fn settle(&self, target: &Arc<dyn FlushTarget>, end: Offset) -> Result<(), Arc<StorageError>> {
        self.settle_log(target, end)
    }

    fn started(&self, target: &Arc<dyn FlushTarget>, log_start: Offset) {
        let mut state = self.state.lock();
        let Some(log) = state.known(target) else {
            return;
        };
        log.log_start = log.log_start.max(log_start);
        let entry = Entry {
            id: target.id().clone(),
            topic_id: target.topic_id(),
            what: What::Started { log_start },
        };
        state.changed = true;
        self.note(&mut state, entry, None);
    }

    fn cleaned(&self, target: &Arc<dyn FlushTarget>, offset: Offset) {
        let mut state = self.state.lock();
        let Some(log) = state.known(target) else {
            return;
        };
        log.cleaned = offset;
        state.changed = true;
        self.signal(state, CLEANED_SOME);
    }

    fn reserve(&self, bytes: u64) -> Result<(), Arc<StorageError>> {
        self.marker.remove(&*self.vfs)?;
        let mut state = self.state.lock();
        let mut is_stuck = false;
        loop {
            if state.closed {
                return Err(Arc::new(StorageError::Closed));
            }
            if state.take_room(bytes, self.dirty_bytes_max) {
                return Ok(());
            }
            if state.relieving || state.dirty == 0 || is_stuck {
                // Who has room gives it back, or writes, and says so.
                self.room.wait(&mut state);
                is_stuck = false;
                continue;
            }
            state.relieving = true;
            let seen = state.dirty;
            drop(state);
            let relieved = self.relieve(bytes);
            state = self.state.lock();
            state.relieving = false;
            // What was written meanwhile may be enough to be worth a sync.
            is_stuck = !relieved && state.dirty == seen;
            if !is_stuck {
                self.room.notify_all();
            }
        }
    }

    fn try_reserve(&self, bytes: u64) -> Result<bool, Arc<StorageError>> {
        self.marker.remove(&*self.vfs)?;
        let mut state = self.state.lock();
        if state.closed {
            return Err(Arc::new(StorageError::Closed));
        }
        Ok(state.take_room(bytes, self.dirty_bytes_max))
    }

    fn reserve_more(&self, bytes: u64) {
        self.state.lock().reserved += bytes;
    }

    fn unreserve(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.reserved = state.reserved.saturating_sub(bytes);
        self.room.notify_all();
    }

    fn round(&self) -> u64 {
        self.state.lock().round()
    }

    fn outcome(&self, round: u64) -> Option<Result<(), Arc<StorageError>>> {
        self.state.lock().outcome(round)
    }

    fn wait(&self, round: u64) -> Result<(), Arc<StorageError>> {
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = state.outcome(round) {
                return outcome;
            }
            if state.leading {
                self.turn[parity(round)].wait(&mut state);
            } else {
                state = self.lead(state);
            }
        }
    }
}

fn state_of_opened(log: &mut LogState, topic_id: TopicId, checkpoints: Checkpoints, end: Offset) {
    log.topic_id = topic_id;
    // What recovery wrote and nobody has synced is in the journal, and no further than it was.
    if log.replayed.is_none() {
        log.recovery_point = checkpoints.recovery_point;
    }
    log.durable_end = checkpoints.recovery_point;
    log.written_end = end;
    log.log_start = checkpoints.log_start;
}

/// Rounds in flight and rounds that gather are never both even or both odd.
fn parity(round: u64) -> usize {
    usize::from(round % 2 == 1)
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
