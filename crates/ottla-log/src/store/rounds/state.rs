//! What the flush rounds know in memory: what waits for a round, and how each log stands.
//!
//! Plain data under one lock that is held for moments only, never over IO.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::log::{FlushTarget, SyncedFiles, Written};
use crate::{LogId, Offset, StorageError, Timestamp, TopicId};

use super::super::has_data::HasData;
use super::super::journal::{Entry, Placed, What};
use super::super::offsets::{LogOffsets, Offsets};
use super::super::replay::ReplayedFiles;

/// The answer to whoever handed over a note.
pub(super) type Receipt = Arc<OnceLock<Result<(), Arc<StorageError>>>>;

/// One thing handed over for the next round.
#[derive(Debug)]
pub(super) enum Item {
    /// A log wrote bytes.
    Bytes(Arc<dyn FlushTarget>, Written),
    /// Something to be noted in the journal.
    Note(Entry, Option<Receipt>),
}

/// The lock's content.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of the round that gathers now; the first is 1.
    pub(super) gathering: u64,
    /// The last round that is over.
    pub(super) finished: u64,
    /// Whether somebody leads round `gathering - 1`.
    pub(super) leading: bool,
    /// What was handed over for the round that gathers.
    pub(super) items: Vec<Item>,
    /// How rounds failed that did. A failed round takes a log offline, so there are few.
    pub(super) failures: BTreeMap<u64, Arc<StorageError>>,
    /// Higher than the number of any round in the journal.
    pub(super) next_sequence: u64,
    /// All logs that are known, open or not.
    pub(super) logs: BTreeMap<LogId, LogState>,
    /// The logs that hold data, durably so.
    pub(super) has_data: HasData,
    /// Durable ends of rounds that synced files instead; the next journaled round takes them along.
    pub(super) riding: BTreeMap<LogId, Entry>,
    /// Bytes written and not yet synced to partition files.
    pub(super) dirty: u64,
    /// Bytes that appends in progress are about to write.
    pub(super) reserved: u64,
    /// Somebody syncs files to get below the budget.
    pub(super) relieving: bool,
    /// No append is taken any more.
    pub(super) closed: bool,
    /// Which reasons for maintenance were signalled since the last step.
    pub(super) signalled: u8,
    /// When the checkpoint files were last looked after.
    pub(super) checkpointed: Option<Timestamp>,
    /// Something that the checkpoint files say has changed.
    pub(super) changed: bool,
}

/// How one log stands.
#[derive(Debug)]
pub(super) struct LogState {
    pub(super) topic_id: TopicId,
    /// The open log.
    pub(super) target: Option<Arc<dyn FlushTarget>>,
    /// Files that recovery wrote and nobody has synced yet.
    pub(super) replayed: Option<Arc<ReplayedFiles>>,
    /// Held while the log's files are synced.
    pub(super) syncing: Arc<Mutex<()>>,
    /// The end after the last bytes handed over.
    pub(super) written_end: Offset,
    /// Bytes written and not yet synced.
    pub(super) dirty: u64,
    /// When maintenance first saw them.
    pub(super) dirty_since: Option<Timestamp>,
    /// The last round with data of the log that its files may lack, for each area of the journal.
    pub(super) live: [Option<u64>; 2],
    /// Whether an area holds data of the log that a replay would write, its files synced or not.
    pub(super) told: [bool; 2],
    /// Of those, the ones that no round was handed: the journal has nothing of them, and what it
    /// has behind them is of no use while the files lack them.
    pub(super) unjournaled: u64,
    /// The last gathered round with something of the log.
    pub(super) last_round: u64,
    /// Holds data that no durable note tells of yet.
    pub(super) unnoted: bool,
    /// Below this the log's own files are synced.
    pub(super) recovery_point: Offset,
    /// Below this a round before the last stop made everything durable.
    pub(super) durable_end: Offset,
    /// The first offset.
    pub(super) log_start: Offset,
    /// The first offset that a start is sure to find.
    pub(super) start_noted: Offset,
    /// Below this everything was compacted.
    pub(super) cleaned: Offset,
    /// Raised by each settling: an older sync says nothing about the recovery point any more.
    pub(super) settled: u64,
    /// The log is being cut to this end: until it appends again, a sync of its files may still
    /// tell the end from before.
    pub(super) cut_to: Option<Offset>,
    /// Deleted, or about to be: its files are not touched any more.
    pub(super) retired: bool,
    /// Unsynced data could not be made durable.
    pub(super) offline: Option<Arc<StorageError>>,
}

impl LogState {
    /// A log of which nothing is known.
    pub(super) fn new(topic_id: TopicId) -> Self {
        Self {
            topic_id,
            target: None,
            replayed: None,
            syncing: Arc::default(),
            written_end: Offset::ZERO,
            dirty: 0,
            dirty_since: None,
            live: [None; 2],
            told: [false; 2],
            unjournaled: 0,
            last_round: 0,
            unnoted: false,
            recovery_point: Offset::ZERO,
            durable_end: Offset::ZERO,
            log_start: Offset::ZERO,
            start_noted: Offset::ZERO,
            cleaned: Offset::ZERO,
            settled: 0,
            cut_to: None,
            retired: false,
            offline: None,
        }
    }

    /// Whether the journal holds data of the log that its files may lack.
    pub(super) fn is_live(&self) -> bool {
        self.live.iter().any(Option::is_some)
    }

    /// Whether a sync of its files may be asked for.
    pub(super) const fn can_sync(&self) -> bool {
        !self.retired && self.offline.is_none()
    }
}

impl State {
    /// Takes room for `bytes` in a budget of `most`, if there is some.
    pub(super) const fn take_room(&mut self, bytes: u64, most: u64) -> bool {
        let taken = self.dirty + self.reserved;
        // What is larger than the whole budget is let through alone.
        let fits = taken == 0 || taken.saturating_add(bytes) <= most;
        if fits {
            self.reserved += bytes;
        }
        fits
    }

    /// The number of the round that makes everything handed over so far durable.
    pub(super) fn round(&self) -> u64 {
        if !self.items.is_empty() {
            self.gathering
        } else if self.leading {
            self.gathering - 1
        } else {
            self.finished
        }
    }

    /// How round `round` ended; `None` while it has not.
    pub(super) fn outcome(&self, round: u64) -> Option<Result<(), Arc<StorageError>>> {
        (round <= self.finished).then(|| match self.failures.get(&round) {
            Some(cause) => Err(Arc::clone(cause)),
            None => Ok(()),
        })
    }

    /// The state of the log behind `target`, made where it is new.
    pub(super) fn log_of(&mut self, target: &Arc<dyn FlushTarget>) -> &mut LogState {
        let id = target.id();
        if !self.logs.contains_key(id) {
            let log = LogState::new(target.topic_id());
            self.logs.insert(id.clone(), log);
        }
        let log = self
            .logs
            .get_mut(id)
            .expect("it was made where it was missing");
        log.target.get_or_insert_with(|| Arc::clone(target));
        log
    }

    /// The state of the log behind `target`; `None` where it is not that log's any more: it was
    /// deleted, and another one may have its name.
    pub(super) fn known(&mut self, target: &Arc<dyn FlushTarget>) -> Option<&mut LogState> {
        let log = self.logs.get_mut(target.id())?;
        (log.topic_id == target.topic_id()).then_some(log)
    }

    /// Takes note of a round in the journal.
    pub(super) fn journaled(&mut self, placed: Placed, entries: &[Entry]) {
        self.next_sequence = placed.sequence + 1;
        for entry in entries {
            let Some(log) = self.logs.get_mut(&entry.id).filter(|log| !log.retired) else {
                continue;
            };
            let created = match entry.what {
                What::Data(range) => {
                    log.live[placed.area] = Some(placed.sequence);
                    log.told[placed.area] = true;
                    range.created
                }
                What::Ended { created, .. } => created,
                What::Started { log_start } => {
                    log.start_noted = log.start_noted.max(log_start);
                    false
                }
                _ => false,
            };
            if created {
                log.unnoted = false;
                self.has_data.insert(entry.id.clone(), entry.topic_id);
            }
            self.changed = true;
        }
    }

    /// What is to be checkpointed of each log.
    pub(super) fn offsets(&self) -> Offsets {
        let mut offsets = Offsets::new();
        for (id, log) in self.logs.iter().filter(|(_, log)| !log.retired) {
            let of = LogOffsets {
                recovery_point: log.recovery_point,
                log_start: log.log_start,
                cleaned: log.cleaned,
            };
            if of != LogOffsets::default() || self.has_data.contains_key(id) {
                offsets.insert(id.clone(), of);
            }
        }
        offsets
    }

    /// Takes note that `offsets` are durable.
    pub(super) fn started(&mut self, offsets: &Offsets) {
        for (id, of) in offsets {
            if let Some(log) = self.logs.get_mut(id) {
                log.start_noted = log.start_noted.max(of.log_start);
            }
        }
    }

    /// Takes note that what an area holds will not be replayed.
    pub(super) fn released(&mut self, area: usize) {
        for log in self.logs.values_mut() {
            log.told[area] = false;
            log.live[area] = None;
        }
    }

    /// How log `id` stands at the beginning of a sync of its files.
    pub(super) fn before_sync(&self, log: &LogState) -> BeforeSync {
        BeforeSync {
            next_sequence: self.next_sequence,
            dirty: log.dirty,
            unjournaled: log.unjournaled,
            settled: log.settled,
            unnoted: log.unnoted,
        }
    }

    /// Takes note of a log's synced files; `files` is what an open log said of them.
    pub(super) fn synced(&mut self, id: &LogId, before: &BeforeSync, files: Option<SyncedFiles>) {
        let Some(log) = self.logs.get_mut(id) else {
            return;
        };
        self.changed = true;
        self.dirty = self.dirty.saturating_sub(before.dirty.min(log.dirty));
        log.dirty = log.dirty.saturating_sub(before.dirty);
        log.unjournaled = log.unjournaled.saturating_sub(before.unjournaled);
        log.dirty_since = None;
        log.replayed = None;
        for live in &mut log.live {
            *live = live.filter(|sequence| *sequence >= before.next_sequence);
        }
        if log.settled == before.settled {
            // Of a log that is not open, all that its files lacked was in the journal.
            let end = files.map_or(log.durable_end, |files| files.end);
            let end = log.cut_to.map_or(end, |cut_to| cut_to.min(end));
            log.recovery_point = log.recovery_point.max(end);
        }
        if before.unnoted && !log.retired {
            log.unnoted = false;
            self.has_data.insert(id.clone(), log.topic_id);
        }
    }

    /// Takes log `id` offline. Answers the open log that has to be told, if it was not offline.
    pub(super) fn fail(
        &mut self,
        id: &LogId,
        cause: &Arc<StorageError>,
    ) -> Option<Arc<dyn FlushTarget>> {
        let log = self.logs.get_mut(id)?;
        if log.offline.is_some() {
            return None;
        }
        log.offline = Some(Arc::clone(cause));
        // Nobody will sync these bytes any more: they are the next start's business.
        self.dirty = self.dirty.saturating_sub(log.dirty);
        log.dirty = 0;
        log.dirty_since = None;
        log.target.clone()
    }
}

/// How a log stood when a sync of its files began.
#[derive(Clone, Copy, Debug)]
pub(super) struct BeforeSync {
    /// Every round with a lower number has its data in the files that are being synced.
    pub(super) next_sequence: u64,
    pub(super) dirty: u64,
    pub(super) unjournaled: u64,
    pub(super) settled: u64,
    pub(super) unnoted: bool,
}
