//! One partition's log as the store holds it: what it consists of.
//!
//! What it does is in the files beside this one, by topic. Locks, in the order in which they may
//! be taken: `compaction` (held during a step of it), `appender` (held during an append's IO),
//! `syncing` (held during a sync's IO), then the small ones, which are never held during IO:
//! `epochs`, `boundaries`, `pending`, the ends, a segment's own. A reader takes small ones only,
//! but for one of decided transactions, which takes `appender` once, before it reads; `round_done`
//! and `failed` take small ones only. `place` comes last of all.
//!
//! A deleted log's directory has another name, and its old name may be the next topic's. So
//! whoever does something to a name in it looks whether the log is gone with `appender`,
//! `syncing` or `place` held, which [`LogCore::retire`] takes.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{self, AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use super::boundaries::Boundaries;
use super::compact::Compaction;
use super::config::{FlushMode, LogConfig};
use super::ends::{Ends, EndsCell};
use super::health::{Gone, Health};
use super::observe::Observers;
use super::retention::Look;
use super::seal::Sealing;
use super::seam::{Checkpoints, FlushTarget, LogShared};
use crate::epoch_cache::LeaderEpochCache;
use crate::producer_state::ProducerState;
use crate::segment::{IndexRules, Segment};
use crate::{LeaderEpoch, LogId, Offset, StorageError, Timestamp, TopicId};

/// The segments of a log in order; never empty, the last one is the active one.
pub(super) type Segments = Vec<Arc<Segment>>;

/// One partition's log. The store keeps one per open log; [`super::Log`] is a handle to it.
pub(crate) struct LogCore {
    pub(super) shared: Arc<LogShared>,
    pub(super) id: LogId,
    pub(super) topic_id: TopicId,
    pub(super) dir: Arc<Path>,
    me: Weak<Self>,
    pub(super) ends: EndsCell,
    pub(super) health: Health,
    /// Replaced as a whole, so that a reader keeps what it found.
    pub(super) segments: ArcSwap<Segments>,
    /// Everything below is committed; -1 where nobody says, as for a log without replicas.
    pub(super) high_watermark: AtomicI64,
    /// The high watermark by which decided transactions were released last.
    released: AtomicI64,
    /// Counts truncations; a reader that copied bytes while it rose copies again.
    pub(super) truncations: AtomicU64,
    appender: Mutex<Appender>,
    pub(super) syncing: Mutex<Syncing>,
    /// Held by whoever changes names in the directory with no other lock that a deletion takes.
    place: RwLock<()>,
    /// Taken before the appender's, by whoever maintains the log.
    pub(super) compaction: Mutex<Compaction>,
    /// Taken before the appender's, as `compaction`.
    pub(super) sealing: Mutex<Option<Sealing>>,
    pub(super) epochs: Mutex<Epochs>,
    pub(super) boundaries: Mutex<Boundaries>,
    pub(super) pending: Mutex<Pending>,
    /// A name in the directory is new or gone since its last sync.
    pub(super) names_dirty: AtomicBool,
    /// The directory and its `partition.metadata` are new and not synced.
    pub(super) new_dir: AtomicBool,
    pub(super) observers: Observers,
}

/// What an append changes.
#[derive(Debug)]
pub(super) struct Appender {
    pub(super) config: LogConfig,
    pub(super) producers: ProducerState,
    /// The directory is there.
    pub(super) has_dir: bool,
    /// The store has a durable note that the log has data, or was told to make one.
    pub(super) noted: bool,
    /// When the active segment got its first batch, as far as this process knows.
    pub(super) rolled_at: Option<Timestamp>,
    /// The largest timestamp of the active segment's first batch, once known.
    pub(super) first_timestamp: Option<Timestamp>,
    /// The last look for segments that are too old or too many.
    pub(super) retained: Option<Look>,
}

/// The appender's part, held; see [`LogCore::appender`].
pub(super) struct HeldAppender<'a> {
    core: &'a LogCore,
    /// `None` only while it is dropped.
    guard: Option<MutexGuard<'a, Appender>>,
}

impl Deref for HeldAppender<'_> {
    type Target = Appender;

    fn deref(&self) -> &Appender {
        self.guard.as_ref().expect("held until it is dropped")
    }
}

impl DerefMut for HeldAppender<'_> {
    fn deref_mut(&mut self) -> &mut Appender {
        self.guard.as_mut().expect("held until it is dropped")
    }
}

impl Drop for HeldAppender<'_> {
    fn drop(&mut self) {
        drop(self.guard.take());
        self.core.release_told();
    }
}

/// What syncing the log's files has achieved.
#[derive(Debug)]
pub(super) struct Syncing {
    /// Below this everything is durable in the log's own files.
    pub(super) recovery_point: Offset,
}

/// The leader epochs, and whether their file is behind.
#[derive(Debug)]
pub(super) struct Epochs {
    pub(super) cache: LeaderEpochCache,
    pub(super) dirty: bool,
    /// What is in the file, where that is known.
    pub(super) file: Option<Vec<u8>>,
}

/// What is left to do for segments that were rolled or removed.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Producer snapshots to be written: the offset and the file's bytes.
    pub(super) snapshots: Vec<(Offset, Vec<u8>)>,
    /// Segments below the log start whose files are still under their names.
    pub(super) removed: Vec<Arc<Segment>>,
    /// Segments that have ended since the open and have no seal.
    pub(super) unsealed: Vec<Arc<Segment>>,
    /// Segments that were there at open without one.
    pub(super) found: Vec<Arc<Segment>>,
    /// `found` was filled.
    pub(super) seals_listed: bool,
    /// Segments whose files are to be deleted, and when.
    pub(super) deleted: Vec<(Timestamp, Arc<Segment>)>,
}

/// What a recovery or a fresh start puts together.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) id: LogId,
    pub(super) topic_id: TopicId,
    pub(super) dir: Arc<Path>,
    pub(super) config: LogConfig,
    pub(super) ends: Ends,
    pub(super) segments: Segments,
    /// Segments below the log start.
    pub(super) removed: Segments,
    pub(super) epochs: LeaderEpochCache,
    pub(super) epochs_dirty: bool,
    pub(super) producers: ProducerState,
    pub(super) corrupt: Option<StorageError>,
    pub(super) has_dir: bool,
    pub(super) noted: bool,
    /// Below this everything was compacted.
    pub(super) cleaned: Offset,
}

impl LogCore {
    /// Puts a log together.
    pub(super) fn of(shared: &Arc<LogShared>, parts: Parts) -> Arc<Self> {
        assert!(!parts.segments.is_empty(), "{} has no segment", parts.id);
        Arc::new_cyclic(|me| Self {
            shared: Arc::clone(shared),
            id: parts.id,
            topic_id: parts.topic_id,
            dir: parts.dir,
            me: Weak::clone(me),
            health: Health::new(parts.corrupt),
            segments: ArcSwap::from_pointee(parts.segments),
            high_watermark: AtomicI64::new(-1),
            released: AtomicI64::new(-1),
            truncations: AtomicU64::new(0),
            appender: Mutex::new(Appender {
                config: parts.config,
                producers: parts.producers,
                has_dir: parts.has_dir,
                noted: parts.noted,
                rolled_at: None,
                first_timestamp: None,
                retained: Some(Look::opened(shared.clock.now())),
            }),
            syncing: Mutex::new(Syncing {
                recovery_point: parts.ends.durable,
            }),
            place: RwLock::default(),
            compaction: Mutex::new(Compaction::from(parts.cleaned)),
            sealing: Mutex::default(),
            ends: EndsCell::new(parts.ends),
            epochs: Mutex::new(Epochs {
                cache: parts.epochs,
                dirty: parts.epochs_dirty,
                file: None,
            }),
            boundaries: Mutex::new(Boundaries::default()),
            pending: Mutex::new(Pending {
                removed: parts.removed,
                ..Pending::default()
            }),
            names_dirty: AtomicBool::new(false),
            new_dir: AtomicBool::new(false),
            observers: Observers::default(),
        })
    }

    /// The ends now.
    pub(crate) fn ends(&self) -> Ends {
        self.ends.load()
    }

    /// What the store writes to its checkpoint files for this log.
    pub(crate) fn checkpoints(&self) -> Checkpoints {
        Checkpoints {
            recovery_point: self.syncing.lock().recovery_point,
            log_start: self.ends().start,
        }
    }

    /// Whether a directory exists, with at least one append in it.
    pub(crate) fn has_dir(&self) -> bool {
        self.appender().has_dir
    }

    /// The bytes of all segments.
    pub(crate) fn size_bytes(&self) -> u64 {
        let segments = self.segments.load();
        segments.iter().map(|segment| segment.extent().size).sum()
    }

    /// Replaces the settings; those of segments count from the next segment on, those of
    /// retention with the next [`LogCore::maintain`].
    pub(crate) fn set_config(&self, config: LogConfig) {
        let mut appender = self.appender();
        appender.config = config;
        appender.retained = None;
    }

    /// The settings now.
    pub(super) fn config(&self) -> LogConfig {
        self.appender().config.clone()
    }

    /// The latest leader epoch; `None` before the first.
    pub(crate) fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.lock().cache.latest().map(|(epoch, _)| epoch)
    }

    /// The largest epoch at or below `asked`, and the offset where it ends.
    pub(crate) fn end_offset_for_epoch(&self, asked: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let end = self.ends().end;
        self.epochs.lock().cache.end_offset_for(asked, end)
    }

    /// The leader epoch of the batch at `offset`.
    pub(crate) fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.epochs.lock().cache.epoch_of(offset)
    }

    /// Notes that leader epoch `epoch` begins at `start`.
    pub(crate) fn assign_epoch(&self, epoch: LeaderEpoch, start: Offset) {
        let mut epochs = self.epochs.lock();
        epochs.dirty |= epochs.cache.assign(epoch, start);
    }

    /// Everything below `high_watermark` is committed, and may be removed: transactions whose end
    /// lies below it are decided, and no longer hold back the first unstable offset.
    pub(crate) fn committed(&self, high_watermark: Offset) {
        self.high_watermark
            .fetch_max(high_watermark.get(), Ordering::AcqRel);
        self.release_told();
    }

    /// The appender's part, for who may wait.
    pub(super) fn appender(&self) -> HeldAppender<'_> {
        HeldAppender {
            core: self,
            guard: Some(self.appender.lock()),
        }
    }

    /// Releases what is decided by the high watermark that was told last. Who tells it may be
    /// leading a flush round for somebody who holds the lock, and must not wait for it; then that
    /// one does it when the lock is free.
    fn release_told(&self) {
        loop {
            // Either the one who tells finds the lock free, or the holder finds what was told.
            atomic::fence(Ordering::SeqCst);
            let told = self.high_watermark.load(Ordering::Acquire);
            let done = self.released.load(Ordering::Acquire);
            if told <= done || self.ends().first_unstable.is_none() {
                return;
            }
            let Some(mut appender) = self.appender.try_lock() else {
                return;
            };
            self.release_decided(&mut appender);
        }
    }

    /// Transactions whose end is committed no longer hold back the first unstable offset.
    pub(super) fn release_decided(&self, appender: &mut Appender) {
        let high_watermark = self.high_watermark.load(Ordering::Acquire);
        appender.producers.release(Offset::new(high_watermark));
        self.released.store(high_watermark, Ordering::Release);
        let first_unstable = appender.producers.first_unstable();
        self.ends
            .update(|ends| ends.first_unstable = first_unstable);
    }

    /// Refuses everything from now on; slices in readers' hands stay readable. The store renames
    /// the directory afterwards.
    pub(crate) fn retire(&self) {
        // Waits for the append and the sync at work, whose files must keep their names.
        let _appender = self.appender();
        let _syncing = self.syncing.lock();
        let _place = self.place.write();
        self.health.leave(Gone::Deleted);
    }

    /// Keeps the directory where it is; `None` where the log is gone.
    pub(super) fn stay(&self) -> Option<RwLockReadGuard<'_, ()>> {
        let place = self.place.read();
        self.health.gone().is_none().then_some(place)
    }

    /// This log as the flusher sees it.
    pub(super) fn target(&self) -> Arc<dyn FlushTarget> {
        self.me.upgrade().expect("who calls a method holds the log")
    }

    /// How the indexes of the next segment are made.
    pub(super) const fn index_rules(config: &LogConfig) -> IndexRules {
        IndexRules {
            interval_bytes: config.index_interval_bytes,
            bytes_max: config.segment_index_bytes,
        }
    }

    /// When an append is durable.
    pub(super) fn flush_mode(&self, config: &LogConfig) -> FlushMode {
        config.flush.unwrap_or(self.shared.flush)
    }

    /// The active segment.
    pub(super) fn active(&self) -> Arc<Segment> {
        let segments = self.segments.load();
        let last = segments.last();
        Arc::clone(last.expect("a log always has an active segment"))
    }
}

impl fmt::Debug for LogCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCore")
            .field("id", &self.id)
            .field("ends", &self.ends())
            .finish_non_exhaustive()
    }
}
