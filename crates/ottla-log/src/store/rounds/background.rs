//! What makes flush rounds possible later: files are synced so that the journal's areas become
//! free, so that the dirty budget has room, and so that a recovery has little to check.

use std::cmp::Reverse;

use crate::{LogId, Timestamp};

use super::super::journal::Refused;
use super::state::LogState;
use super::{DIRTY, DRAIN, Rounds};

/// How many logs' files one step syncs.
const LOGS_PER_STEP: usize = 16;

/// What a step of background work left to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Step {
    /// More of the same, at once.
    pub(in super::super) more: bool,
    /// When there will be something to do.
    pub(in super::super) next: Option<Timestamp>,
}

/// How far the draining of an area got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    /// There is nothing to drain.
    Idle,
    /// Some files were synced; others wait.
    More,
    /// The area is free.
    Freed,
    /// Something is in the way that this process cannot change: an offline log, a full device.
    Stuck,
}

impl Rounds {
    /// Does one bounded step of background work.
    /// With `too_many_open`, files are synced although nothing else asks for it, so that they can
    /// be closed.
    pub(in super::super) fn background(&self, now: Timestamp, too_many_open: bool) -> Step {
        let _step = self.step.lock();
        self.state.lock().signalled = 0;
        self.journal.lock().uncap();
        if self.journal.lock().failure().is_some() {
            self.retire_journal();
        }
        let drain = self.drain(LOGS_PER_STEP);
        let mut more = drain == Drain::More;
        more |= self.sync_replayed();
        let kept = if too_many_open {
            0
        } else {
            self.dirty_bytes_max / 2
        };
        more |= self.sync_excess(LOGS_PER_STEP, kept);
        let (aged, next_aged) = self.sync_aged(now);
        more |= aged;
        let next_checkpoint = self.checkpoint_if_due(now);
        let mut next = [next_aged, next_checkpoint].into_iter().flatten().min();
        let mut state = self.state.lock();
        if state.dirty > 0 {
            // It is known when to look again: no append has to say so.
            state.signalled |= DIRTY;
            let due = later(now, self.dirty_age_max_ms);
            next = next.or(Some(due));
        }
        if drain == Drain::Stuck {
            state.signalled |= DRAIN;
            let due = later(now, self.checkpoint_interval_ms);
            next = next.or(Some(due));
        }
        Step { more, next }
    }

    /// Frees the area that is not written to, if that can be done now.
    pub(super) fn drain_all(&self) -> bool {
        loop {
            match self.drain(usize::MAX) {
                Drain::More => {}
                Drain::Freed => return true,
                Drain::Idle | Drain::Stuck => return false,
            }
        }
    }

    /// Gets dirty bytes down to half the budget, and to what leaves room for `bytes`. Answers
    /// whether there was anything to sync for it.
    pub(super) fn relieve(&self, bytes: u64) -> bool {
        #[cfg(test)]
        self.relieved
            .fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        let room = self.dirty_bytes_max.saturating_sub(bytes);
        let excess = self.excess(usize::MAX, room.min(self.dirty_bytes_max / 2));
        self.sync_logs(&excess.ids);
        !excess.ids.is_empty()
    }

    /// Makes the journal unneeded and removes it; answers whether it is gone. For a journal that
    /// failed, and for one that a change of settings left behind.
    pub(in super::super) fn retire_journal(&self) -> bool {
        if !self.journal.lock().exists() {
            return true;
        }
        let needs = |log: &LogState| log.is_live() || log.replayed.is_some();
        self.sync_logs(&self.pick(|log| needs(log) && log.can_sync()));
        let is_needed = self.state.lock().logs.values().any(needs);
        if is_needed || self.checkpoint().is_err() || self.journal.lock().remove().is_err() {
            return false;
        }
        let mut state = self.state.lock();
        state.released(0);
        state.released(1);
        true
    }

    fn drain(&self, logs_max: usize) -> Drain {
        let (area, is_live) = {
            let journal = self.journal.lock();
            let area = 1 - journal.active();
            (area, journal.is_live(area) && journal.failure().is_none())
        };
        if !is_live {
            return Drain::Idle;
        }
        let waits = |log: &LogState| log.live.get(area).is_some_and(Option::is_some);
        let mut ids = self.pick(|log| waits(log) && log.can_sync());
        if !ids.is_empty() {
            ids.truncate(logs_max);
            self.sync_logs(&ids);
            return Drain::More;
        }
        // What only the area says of an offline log is needed by the next start.
        if self.state.lock().logs.values().any(waits) || self.checkpoint().is_err() {
            return Drain::Stuck;
        }
        match self.journal.lock().release(area) {
            Ok(()) => {}
            Err(Refused::NoRoom | Refused::Failed(_)) => return Drain::Stuck,
        }
        self.state.lock().released(area);
        Drain::Freed
    }

    /// Syncs files that recovery wrote, and that have to be synced before the log is opened.
    fn sync_replayed(&self) -> bool {
        let wait = |log: &LogState| log.replayed.is_some() && log.dirty == 0;
        let mut ids = self.pick(|log| wait(log) && log.can_sync());
        let more = ids.len() > LOGS_PER_STEP;
        ids.truncate(LOGS_PER_STEP);
        self.sync_logs(&ids);
        more
    }

    /// Syncs all files that recovery wrote and nobody has synced. A log for which that fails is
    /// offline.
    pub(in super::super) fn sync_all_replayed(&self) {
        self.sync_logs(&self.pick(|log| log.replayed.is_some() && log.can_sync()));
    }

    /// Syncs the logs with most dirty bytes until no more than `kept` are dirty.
    fn sync_excess(&self, logs_max: usize, kept: u64) -> bool {
        let excess = self.excess(logs_max, kept);
        self.sync_logs(&excess.ids);
        excess.more
    }

    fn excess(&self, logs_max: usize, kept: u64) -> Excess {
        let state = self.state.lock();
        let mut excess = state.dirty.saturating_sub(kept);
        let dirty = |(_, log): &(&LogId, &LogState)| log.dirty > 0 && log.can_sync();
        let mut logs: Vec<_> = state.logs.iter().filter(dirty).collect();
        logs.sort_by_key(|(_, log)| Reverse(log.dirty));
        let mut ids = Vec::new();
        for (id, log) in logs {
            if excess == 0 || ids.len() == logs_max {
                break;
            }
            excess = excess.saturating_sub(log.dirty);
            ids.push(id.clone());
        }
        Excess {
            more: excess > 0 && !ids.is_empty(),
            ids,
        }
    }

    /// Syncs logs whose bytes are dirty for too long; answers whether more wait, and when the next
    /// will.
    fn sync_aged(&self, now: Timestamp) -> (bool, Option<Timestamp>) {
        let (mut ids, next) = {
            let mut state = self.state.lock();
            let (mut ids, mut next) = (Vec::new(), None);
            let dirty = |log: &LogState| log.dirty > 0 && log.can_sync();
            for (id, log) in state.logs.iter_mut().filter(|(_, log)| dirty(log)) {
                // A clock that was set back must not make bytes wait for long.
                let since = log.dirty_since.unwrap_or(now).min(now);
                log.dirty_since = Some(since);
                let due = later(since, self.dirty_age_max_ms);
                if due <= now {
                    ids.push(id.clone());
                } else {
                    next = next.into_iter().chain([due]).min();
                }
            }
            (ids, next)
        };
        let more = ids.len() > LOGS_PER_STEP;
        ids.truncate(LOGS_PER_STEP);
        self.sync_logs(&ids);
        (more, next)
    }

    fn checkpoint_if_due(&self, now: Timestamp) -> Option<Timestamp> {
        // The first time at once: what is there can be changed on a full device.
        let is_made = self.files.lock().is_made();
        let due = {
            let mut state = self.state.lock();
            if !state.changed {
                return None;
            }
            let last = *state.checkpointed.get_or_insert(now);
            let due = later(last.min(now), self.checkpoint_interval_ms);
            if due > now && is_made {
                return Some(due);
            }
            state.checkpointed = Some(now);
            later(now, self.checkpoint_interval_ms)
        };
        // A device that is full now may not be so the next time.
        self.checkpoint().is_err().then_some(due)
    }

    /// The ids of the logs for which `wanted` says so.
    fn pick(&self, wanted: impl Fn(&LogState) -> bool) -> Vec<LogId> {
        let state = self.state.lock();
        let wanted = state.logs.iter().filter(|(_, log)| wanted(log));
        wanted.map(|(id, _)| id.clone()).collect()
    }
}

/// The logs to be synced so that no more is dirty than may be.
struct Excess {
    ids: Vec<LogId>,
    /// There are others.
    more: bool,
}

fn later(time: Timestamp, ms: i64) -> Timestamp {
    Timestamp::new(time.get().saturating_add(ms))
}
