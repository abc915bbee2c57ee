//! Where the log and its store meet: what a log hands to the flusher, what the flusher calls back,
//! and what the store tells a log at open. Holds no logic.
//!
//! Order of locks: `Flusher::wrote` is called with the log's append mutex held, so that the flusher
//! sees a log's changes in their order; it must neither block on IO nor call a [`FlushTarget`].
//! `Flusher::reserve` is called with no lock held and may park. No method of [`FlushTarget`] takes
//! an append mutex; the flusher calls them with no lock held that `wrote` needs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::config::FlushMode;
use super::findings::Findings;
use super::handles::Handles;
use super::left::Left;
use crate::clock::Clock;
use crate::vfs::{File, Vfs};
use crate::{Limits, LogId, Offset, StorageError, Timestamp, TopicId};

/// A log as its flusher sees it.
pub(crate) trait FlushTarget: fmt::Debug + Send + Sync {
    /// Which log.
    fn id(&self) -> &LogId;

    /// The id of its topic.
    fn topic_id(&self) -> TopicId;

    /// Everything below `end` is durable (in the journal or in its files): publishes it and tells
    /// the observers. An end below an earlier one changes nothing.
    fn round_done(&self, end: Offset);

    /// Syncs the log's own files: segments written since the last call, and the log's directory
    /// where a name in it is new. Must run for one log at a time. After an error the caller calls
    /// [`FlushTarget::failed`] and never this again.
    fn sync_files(&self) -> Result<SyncedFiles, StorageError>;

    /// Takes the log offline until a restart and tells the observers.
    fn failed(&self, cause: &Arc<StorageError>);
}

/// What [`FlushTarget::sync_files`] made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncedFiles {
    /// Every batch below this offset is durable in the log's own files.
    pub(crate) end: Offset,
    /// The log's directory is new: its name becomes durable with a sync of the directory above,
    /// which the caller does once for many logs.
    pub(crate) new_dir: bool,
}

/// Bytes that a log has just written to a segment file.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Base offset of the segment, which names its file.
    pub(crate) segment_base: Offset,
    /// Where in the file the bytes begin.
    pub(crate) position: u64,
    /// The bytes as they are in the file.
    pub(crate) bytes: Bytes,
    /// The log end offset after them.
    pub(crate) end: Offset,
    /// The log's first bytes: its directory, `partition.metadata` and the segment are new, and
    /// the "has data" note must be durable no later than `bytes`.
    pub(crate) created: bool,
    /// Whether the log waits for a round (`Sync`) or has already published the bytes (`Os`: they
    /// count in the dirty budget and are synced in the background, nobody waits).
    pub(crate) flush: FlushMode,
}

/// The store's side: where logs hand over what they wrote.
pub(crate) trait Flusher: fmt::Debug + Send + Sync {
    /// Takes over `written`; the next round makes it durable and calls `round_done`.
    fn wrote(&self, target: &Arc<dyn FlushTarget>, written: Written);

    /// Ends what the journal knows of `target`: makes everything handed over durable in the log's
    /// own files and writes a durable note that `end` is now all that counts as durable. No
    /// recovery replays an older entry of the log afterwards, and any end from `end` on is
    /// accepted.
    ///
    /// To be called before a segment file is cut, removed, renamed or replaced: a truncation, a
    /// retention pass, a compaction. After a truncation to `end` the log syncs the cut files
    /// before it appends again. `end` is the log end offset where nothing is truncated.
    ///
    /// Blocks; costs nothing where the journal holds nothing of the log and its recovery point is
    /// not above `end`. May be called with the log's append mutex held (then nothing is appended
    /// meanwhile); it may lead a round, as no [`FlushTarget`] method takes an append mutex.
    fn settle(&self, target: &Arc<dyn FlushTarget>, end: Offset) -> Result<(), Arc<StorageError>>;

    /// Notes that `target` starts at `log_start` now; durable with the next round. Does not block.
    fn started(&self, target: &Arc<dyn FlushTarget>, log_start: Offset);

    /// Notes that everything of `target` below `offset` was compacted; durable some time later.
    fn cleaned(&self, target: &Arc<dyn FlushTarget>, offset: Offset);

    /// Waits until `bytes` more fit into the dirty budget, and takes them. The store's first
    /// call removes the clean marker, durably. Refused once the store is closed.
    fn reserve(&self, bytes: u64) -> Result<(), Arc<StorageError>>;

    /// As [`Flusher::reserve`]; `false` where it would have to wait.
    fn try_reserve(&self, bytes: u64) -> Result<bool, Arc<StorageError>>;

    /// Takes `bytes` more without waiting: a batch that grew while it was rewritten.
    fn reserve_more(&self, bytes: u64);

    /// Gives back what was reserved and then not written.
    fn unreserve(&self, bytes: u64);

    /// The number of the round that makes everything handed over so far durable.
    fn round(&self) -> u64;

    /// Whether round `round` is over, and how it ended.
    fn outcome(&self, round: u64) -> Option<Result<(), Arc<StorageError>>>;

    /// Waits for the end of round `round`; leads it where none runs.
    fn wait(&self, round: u64) -> Result<(), Arc<StorageError>>;
}

/// What all logs of a store share.
#[derive(Debug)]
pub(crate) struct LogShared {
    /// The disk.
    pub(crate) vfs: Arc<dyn Vfs>,
    /// The time, for the library's own appends; the broker passes its own.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where logs hand over what they wrote.
    pub(crate) flusher: Arc<dyn Flusher>,
    /// The open segment files.
    pub(crate) handles: Handles,
    /// `DIR/kafka`, where the logs' directories are.
    pub(crate) root: PathBuf,
    /// `DIR/ottla/cut`, where cut tails are kept; made when the first is.
    pub(crate) cut_dir: PathBuf,
    /// `DIR/ottla/seals`, with a directory for each log; made when they are.
    pub(crate) seal_dir: PathBuf,
    /// How much may still be read at the stop to seal active segments.
    pub(crate) sealed_at_stop: AtomicU64,
    /// What was found wrong since the open.
    pub(crate) findings: Findings,
    /// The flush mode of logs whose config names none.
    pub(crate) flush: FlushMode,
    /// A log is being compacted: one at a time.
    pub(crate) compacting: Arc<AtomicBool>,
    /// The bounds of what is read from the disk.
    pub(crate) limits: Limits,
}

impl LogShared {
    /// The directory of log `id`.
    pub(crate) fn dir(&self, id: &LogId) -> PathBuf {
        self.root.join(id.dir_name())
    }
}

/// What the store knows of a log before the log is opened. The journal has been replayed into the
/// log's files by then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The last stop was clean: files are taken as they are, `recovery_point` is the end.
    pub(crate) clean: bool,
    /// The topic id of the durable "has data" note; a noted log whose directory is missing is
    /// offline, never empty.
    pub(crate) has_data: Option<TopicId>,
    /// Below this the log's own files were synced (`recovery-point-offset-checkpoint`).
    pub(crate) recovery_point: Offset,
    /// Below this a round made everything durable (journal); the larger of the two counts.
    pub(crate) durable_end: Offset,
    /// The checkpointed log start offset (`log-start-offset-checkpoint`).
    pub(crate) log_start: Offset,
    /// Below this everything was compacted (`cleaner-offset-checkpoint`).
    pub(crate) cleaned: Offset,
    /// The whole file system was synced since the unclean stop: nothing that is there can go.
    pub(crate) synced: bool,
    /// What the journal was replayed into, if that is where the log ends.
    pub(crate) journaled: Option<Arc<Journaled>>,
    /// After a clean stop: how that left the log, where it is known.
    pub(crate) left: Option<Arc<Left>>,
}

/// Segment files of a log that end with what the journal was replayed into. All else in them was
/// synced once, and the journal keeps its part until the files are: they need no sync before the
/// log is opened.
#[derive(Clone, Debug)]
pub(crate) struct Journaled {
    /// Whose directory it is: looked up before it was written to.
    pub(crate) topic_id: TopicId,
    /// By base offset, whether all bytes of the file are from the journal: none of them has to be
    /// read from the device once more.
    pub(crate) segments: BTreeMap<Offset, bool>,
    /// How long the last of the files is.
    pub(crate) size: u64,
    /// That file, as long as it stays open until it is synced.
    pub(crate) file: Weak<dyn File>,
}

/// The offsets of one log that the store checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoints {
    /// Below this the log's own files are synced.
    pub(crate) recovery_point: Offset,
    /// The first offset that a reader may ask for.
    pub(crate) log_start: Offset,
}

/// What a bounded step of background work left to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// There is more to do right now.
    pub more: bool,
    /// When there will be something to do, as far as is known.
    pub next: Option<Timestamp>,
}

/// Stands for the durability of everything written to a data directory before it was taken.
#[derive(Clone, Debug)]
pub struct DurabilityTicket {
    flusher: Arc<dyn Flusher>,
    round: u64,
}

impl DurabilityTicket {
    /// A ticket for everything that `flusher` was handed so far.
    pub(crate) fn new(flusher: Arc<dyn Flusher>) -> Self {
        let round = flusher.round();
        Self { flusher, round }
    }

    /// Waits until it is durable; leads the round where none runs.
    ///
    /// # Errors
    /// The failure of the round.
    pub fn wait(&self) -> Result<(), Arc<StorageError>> {
        self.flusher.wait(self.round)
    }

    /// Whether it is durable, or failed to become so; `None` while neither is known.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), Arc<StorageError>>> {
        self.flusher.outcome(self.round)
    }
}

/// What opening one log found, for the store's report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRecovery {
    /// Bytes read and checked.
    pub checked_bytes: u64,
    /// The torn tail that was cut, if any.
    pub cut: Option<CutTail>,
    /// Where the log is corrupt, if it is: file, byte, reason. The log serves what is good and
    /// refuses appends.
    pub corrupt: Option<String>,
    /// Another topic's directory of the same name, set aside under this name.
    pub set_aside: Option<String>,
    /// Index files made anew.
    pub rebuilt_indexes: u32,
}

/// A torn tail: bytes that a crash left half written, never acknowledged as durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutTail {
    /// The file that was cut.
    pub path: PathBuf,
    /// At which byte.
    pub position: u64,
    /// How many bytes.
    pub bytes: u64,
    /// What is wrong with the first of them.
    pub why: String,
    /// Where they are kept.
    pub kept: PathBuf,
}
