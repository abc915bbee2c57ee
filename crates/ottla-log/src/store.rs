//! A data directory of many logs: opened, made durable, looked after, closed.
//!
//! A [`Store`] owns one directory `DIR`, locked while it is open. `DIR/kafka/` holds the logs in
//! Apache Kafka's format; `DIR/ottla/` what Kafka does not know: the journal of flush rounds, the
//! note of which logs hold data, tails that were cut. `docs/FORMAT.md` is the normative text.
//!
//! A store starts no thread. What a caller waits for it does itself: an append that has to be
//! durable leads a flush round where none runs. What nobody waits for is done in
//! [`Store::maintain`], which a program calls from time to time.

mod closing;
mod data_dir;
mod deleting;
mod dirs;
mod error;
mod format_file;
pub(crate) mod fuzz;
mod has_data;
mod journal;
pub(crate) mod look;
mod maintaining;
mod names;
mod offsets;
mod opening;
mod options;
mod replay;
mod report;
mod rounds;
mod scrub;
mod seals;
mod stopped;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::checkpoint::{self, PartitionMetadata};
use crate::inspect::Finding;
use crate::log::{
    DurabilityTicket, Findings, FlushTarget, Flusher, Handles, Known, Log, LogCore, LogError,
    LogOptions, LogShared, Maintenance, STOP_BYTES_MAX,
};
use crate::vfs::{RealVfs, Space};
use crate::{LogId, Offset, OsEntropy, StorageError, SystemClock, Timestamp, TopicId};

pub use error::OpenError;
pub use options::{StoreOptions, World};
pub use report::{CloseReport, FoundLog, RecoveryReport};
pub use rounds::MaintenanceAlarm;
pub use scrub::{ScrubOptions, ScrubReport};

use data_dir::{DataDir, random_id};
use dirs::Dirs;
use opening::Parts;
use rounds::Rounds;
use scrub::Scrub;

/// Longest `partition.metadata` that is read.
const METADATA_BYTES_MAX: usize = 4096;

/// One data directory and the logs in it. A clone is another handle to the same; the directory is
/// given back when the last handle and the last [`Log`] of it are dropped, or by
/// [`Store::close`].
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What an open yields.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<T> {
    /// The store.
    pub store: T,
    /// What was found and done.
    pub report: RecoveryReport,
}

/// A place for one log: empty until it is opened.
type Slot = Arc<Mutex<Option<Arc<LogCore>>>>;

struct Inner {
    world: World,
    rounds: Arc<Rounds>,
    dirs: Arc<Dirs>,
    shared: Arc<LogShared>,
    cluster_id: String,
    directory_id: TopicId,
    was_clean: bool,
    sync_cost: Option<Duration>,
    high_watermarks: BTreeMap<LogId, Offset>,
    logs: Mutex<BTreeMap<LogId, Slot>>,
    /// The logs that were there at open and have not been opened.
    found: Mutex<BTreeMap<LogId, Found>>,
    /// Directories of deleted logs, to be removed.
    deleted: Mutex<Vec<String>>,
    /// Logs whose deletion was begun and is not done, with their topics where those are known.
    owed: Mutex<BTreeMap<LogId, Option<TopicId>>>,
    report: Mutex<RecoveryReport>,
    open_files_max: NonZeroUsize,
    scrub: Mutex<Scrub>,
    /// When files that nobody uses were last closed.
    swept: Mutex<Timestamp>,
    /// Read by whoever changes something that a close must wait for.
    life: RwLock<Life>,
}

/// Whether the store is open.
enum Life {
    /// The directory is this store's.
    Open(DataDir),
    /// The directory was given back.
    Closed(CloseReport),
}

/// A log that was there at open.
#[derive(Clone, Debug)]
struct Found {
    known: Known,
    has_directory: bool,
}

impl Store {
    /// Opens the data directory `dir` on the real disk, or makes it.
    ///
    /// # Errors
    /// [`OpenError`]: nothing was changed, a new directory is removed again.
    pub fn open(dir: impl AsRef<Path>, options: StoreOptions) -> Result<Opened<Self>, OpenError> {
        let world = World {
            vfs: Arc::new(RealVfs::new()),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        };
        Self::open_in(world, dir, options)
    }

    /// Opens the data directory `dir` of another world.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_in(
        world: World,
        dir: impl AsRef<Path>,
        options: StoreOptions,
    ) -> Result<Opened<Self>, OpenError> {
        let parts = opening::open(&world, dir.as_ref(), &options)?;
        let report = parts.report.clone();
        let store = Self {
            inner: Arc::new(Inner::new(world, parts, &options)),
        };
        Ok(Opened { store, report })
    }

    /// The log `id`: the open one, or the one on the disk, checked first where the last stop was
    /// unclean, or a new one whose directory appears with its first append. Of a log that is open
    /// already, `options` only say which topic's it has to be.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn log<I>(&self, id: I, options: LogOptions) -> Result<Log, LogError>
    where
        I: TryInto<LogId>,
        LogError: From<I::Error>,
    {
        let id = id.try_into()?;
        let core = self.inner.core(&id, options)?;
        Ok(Log::new(core, Arc::clone(&self.inner) as _))
    }

    /// The logs that were there at open, in the order of their names. Each is `pending` until it
    /// is opened, if the last stop was unclean.
    #[must_use]
    pub fn found(&self) -> Vec<FoundLog> {
        self.inner.found()
    }

    /// Whose the directory of log `id` is, as that says itself; `None` where it does not, or is not
    /// there. What was noted ([`FoundLog::topic_id`]) may be older, where Apache Kafka ran since.
    #[must_use]
    pub fn topic_id_on_disk(&self, id: &LogId) -> Option<TopicId> {
        self.inner.topic_id_on_disk(id).ok().flatten()
    }

    /// Deletes the log `id`: it is gone at once, for good once this returns. Its directory is
    /// renamed, and removed by [`Store::maintain`].
    ///
    /// # Errors
    /// [`LogError`]; the log refuses everything all the same, and its deletion is owed: it is done
    /// by [`Store::maintain`], or before a log of that name is opened.
    pub fn delete(&self, id: &LogId) -> Result<(), LogError> {
        self.inner.delete(std::slice::from_ref(id))
    }

    /// Deletes several logs at the cost of one.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete_all(&self, ids: &[LogId]) -> Result<(), LogError> {
        self.inner.delete(ids)
    }

    /// As [`Store::delete_all`], and does not wait for a log that is just being opened, which may
    /// take long: its deletion is owed, and done by [`Store::delete_open`] of what was opened, by
    /// [`Store::maintain`], or before a log of that name is opened, which waits for the opening.
    /// Answers which logs those are.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete_soon(&self, ids: &[LogId]) -> Result<Vec<LogId>, LogError> {
        self.inner.delete_soon(ids)
    }

    /// Sets the directories of logs aside that belong to no topic, under names that end with
    /// `-stray`, as Kafka does: nothing of them is removed, and their names are free. Of logs that
    /// are open nothing is done.
    ///
    /// # Errors
    /// The disk's failure; those before it are set aside.
    pub fn set_aside(&self, ids: &[LogId]) -> Result<(), LogError> {
        self.inner.set_aside(ids)
    }

    /// Deletes the log that `log` is a handle to. Does nothing where it is gone already, also where
    /// another has its name by now.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete_open(&self, log: &Log) -> Result<(), LogError> {
        self.inner.delete_open(log.core())
    }

    /// Makes everything durable that was appended before: leads a flush round, or waits for the
    /// one that somebody else leads.
    ///
    /// # Errors
    /// The failure of a log in that round; the others' data is durable all the same.
    pub fn flush(&self) -> Result<(), Arc<StorageError>> {
        self.inner.rounds.wait(self.inner.rounds.round())
    }

    /// A ticket for everything appended so far, to any log of the store.
    #[must_use]
    pub fn ticket(&self) -> DurabilityTicket {
        DurabilityTicket::new(Arc::clone(&self.inner.rounds) as _)
    }

    /// Waits until something has been appended that needs a [`Store::flush`]; `false` once the
    /// store is closed or `stop` is set. For a program with a thread for flush rounds, so that
    /// nobody else leads them. Whoever sets `stop` calls [`Store::wake`] then.
    #[must_use]
    pub fn wait_dirty(&self, stop: &AtomicBool) -> bool {
        self.inner.rounds.wait_dirty(stop)
    }

    /// Lets [`Store::wait_dirty`] look at its `stop` again.
    pub fn wake(&self) {
        self.inner.rounds.wake();
    }

    /// Has `alarm` called when [`Store::maintain`] is due sooner than it last said.
    pub fn set_alarm(&self, alarm: Option<Arc<dyn MaintenanceAlarm>>) {
        self.inner.rounds.set_alarm(alarm);
    }

    /// Does one bounded step of background work: syncs files whose data the journal holds, so that
    /// it can be overwritten, and files that are dirty for long; writes checkpoints; removes
    /// deleted logs' directories. Says whether there is more, and when to come back.
    pub fn maintain(&self, now: Timestamp) -> Maintenance {
        self.inner.maintain(now)
    }

    /// Writes the high watermarks to the file that Kafka keeps them in.
    ///
    /// # Errors
    /// The disk's failure; the old file stays.
    pub fn checkpoint_high_watermarks(
        &self,
        high_watermarks: &BTreeMap<LogId, Offset>,
    ) -> Result<(), StorageError> {
        let bytes = checkpoint::encode_offsets(high_watermarks.iter().map(|(id, o)| (id, *o)));
        let life = self.inner.life.read();
        if matches!(*life, Life::Closed(_)) {
            return Err(StorageError::Closed);
        }
        let kafka = &self.inner.dirs.kafka;
        kafka.replace(opening::HIGH_WATERMARKS, &bytes)?;
        kafka.sync()
    }

    /// The high watermarks that were checkpointed before the open.
    #[must_use]
    pub fn high_watermarks(&self) -> &BTreeMap<LogId, Offset> {
        &self.inner.high_watermarks
    }

    /// Closes the store: makes everything durable, writes what a start needs to be quick, marks
    /// the stop as clean where it is, and gives the directory back. Appends are refused from the
    /// first moment on. A second call answers the same.
    pub fn close(&self) -> CloseReport {
        self.inner.close()
    }

    /// Gives up a start that failed after this open: a directory that the open made is removed with
    /// all that is in it, any other is left as a crash leaves it. What is closed stays as it is.
    pub fn abandon(&self) {
        self.inner.abandon();
    }

    /// Has `hook` called once the directory has been given back: when the store is closed, or the
    /// last handle to it is gone. Replaces an earlier hook; called at once where it is closed.
    pub fn on_release(&self, hook: impl FnOnce() + Send + 'static) {
        let life = self.inner.life.read();
        match &*life {
            Life::Open(dir) => dir.on_release(Box::new(hook)),
            Life::Closed(_) => {
                drop(life);
                hook();
            }
        }
    }

    /// The id of the cluster that the directory belongs to.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.inner.cluster_id
    }

    /// The directory's own id.
    #[must_use]
    pub fn directory_id(&self) -> TopicId {
        self.inner.directory_id
    }

    /// Whether the last stop was clean.
    #[must_use]
    pub fn was_clean(&self) -> bool {
        self.inner.was_clean
    }

    /// What a sync of the journal takes here: the median of three at the start. `None` where
    /// durability does not wait for syncs, and where a full device did not let them be timed.
    #[must_use]
    pub fn sync_cost(&self) -> Option<Duration> {
        self.inner.sync_cost
    }

    /// What the open found, and what opening each log has found since.
    #[must_use]
    pub fn report(&self) -> RecoveryReport {
        self.inner.report.lock().clone()
    }

    /// Does one step of the scrub, if it is due: reads a part of what is on the disk, in the order
    /// of the open logs, compares it with its seals and checksums, and seals what has no seal. Says
    /// when the next step is due; `None` where there is none, ever. [`Store::findings`] has what
    /// was found.
    #[must_use]
    pub fn scrub(&self, now: Timestamp) -> Option<Timestamp> {
        self.inner.scrub(now)
    }

    /// When the next step of the scrub is due; `None` where it is turned off.
    #[must_use]
    pub fn scrub_due(&self) -> Option<Timestamp> {
        self.inner.scrub.lock().due()
    }

    /// What the scrub has done since the open.
    #[must_use]
    pub fn scrub_report(&self) -> ScrubReport {
        self.inner.scrub_report()
    }

    /// What was found wrong with the files of logs since the open: bytes that do not match their
    /// checksums, index files that were made anew. The latest of many.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.inner.shared.findings.list()
    }

    /// The space of the file system that holds the directory.
    ///
    /// # Errors
    /// The disk's failure.
    pub fn space(&self) -> Result<Space, StorageError> {
        let root = &self.inner.shared.root;
        let space = self.inner.world.vfs.space(root);
        space.map_err(|e| StorageError::io("ask for the space of", root, e))
    }

    /// The directory of the logs, `DIR/kafka`.
    #[must_use]
    pub fn log_dir(&self) -> &Path {
        &self.inner.shared.root
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("log_dir", &self.inner.shared.root)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn new(world: World, parts: Parts, options: &StoreOptions) -> Self {
        let rounds = Arc::new(parts.rounds);
        let open_files_max = NonZeroUsize::new(options.open_files_max).unwrap_or(NonZeroUsize::MIN);
        let shared = LogShared {
            vfs: Arc::clone(&world.vfs),
            clock: Arc::clone(&world.clock),
            flusher: Arc::clone(&rounds) as _,
            handles: Handles::new(open_files_max),
            root: parts.data.kafka.clone(),
            cut_dir: parts.data.own.join("cut"),
            seal_dir: parts.data.own.join(seals::SEALS),
            sealed_at_stop: STOP_BYTES_MAX.into(),
            findings: Findings::default(),
            flush: options.flush,
            compacting: Arc::default(),
            limits: options.limits.clone(),
        };
        let scrub = Scrub::new(options.scrub, world.clock.now());
        let found = |(id, known): (LogId, Known)| {
            let has_directory = parts.directories.binary_search(&id).is_ok();
            let found = Found {
                known,
                has_directory,
            };
            (id, found)
        };
        Self {
            world,
            rounds,
            dirs: parts.dirs,
            shared: Arc::new(shared),
            cluster_id: parts.data.cluster_id.clone(),
            directory_id: parts.data.directory_id,
            // Of a new directory nothing can be unclean.
            was_clean: parts.report.clean || parts.report.new,
            sync_cost: parts.sync_cost,
            high_watermarks: parts.high_watermarks,
            logs: Mutex::default(),
            found: Mutex::new(parts.known.into_iter().map(found).collect()),
            deleted: Mutex::new(parts.deleted),
            owed: Mutex::default(),
            report: Mutex::new(parts.report),
            open_files_max,
            scrub: Mutex::new(scrub),
            swept: Mutex::new(Timestamp::default()),
            life: RwLock::new(Life::Open(parts.data)),
        }
    }

    fn core(&self, id: &LogId, mut options: LogOptions) -> Result<Arc<LogCore>, LogError> {
        let life = self.life.read();
        if matches!(*life, Life::Closed(_)) {
            return Err(LogError::Closed { id: id.clone() });
        }
        let slot = self.slot(id);
        let mut slot = slot.lock();
        self.delete_if_owed(id, &mut slot)?;
        if let Some(core) = &*slot {
            return match options.topic_id {
                Some(asked) if asked != core.topic_id() => Err(LogError::OtherTopic {
                    id: id.clone(),
                    open: core.topic_id(),
                    asked,
                }),
                _ => Ok(Arc::clone(core)),
            };
        }
        let found = self.found.lock().get(id).cloned();
        // What is another topic's is set aside, and nobody would sync it any more.
        let is_its = |noted| options.topic_id.is_none_or(|asked| noted == Some(asked));
        let may_wait = found
            .as_ref()
            .is_some_and(|f| f.known.journaled.is_some() && is_its(f.known.has_data));
        let sync = |may_wait| {
            let synced = self.rounds.sync_before_open(id, may_wait);
            synced.map_err(|cause| storage(id, StorageError::Offline(cause)))
        };
        sync(may_wait)?;
        options.topic_id = Some(self.topic_id(id, options.topic_id, found.as_ref())?);
        let known = found.map(|found| found.known).unwrap_or_default();
        let (core, recovery) = LogCore::open(&self.shared, id.clone(), options, &known)?;
        let target = Arc::clone(&core) as Arc<dyn FlushTarget>;
        let mut checkpoints = core.checkpoints();
        let end = checkpoints.recovery_point;
        if recovery.corrupt.is_some() {
            sync(false)?;
            // What is missing stays missing: with a lower point the next start would take what is
            // damaged for a torn tail, and cut it.
            let noted = known.recovery_point.max(known.durable_end);
            checkpoints.recovery_point = end.max(noted);
        }
        self.rounds
            .opened(&target, checkpoints, end, core.has_dir());
        self.found.lock().remove(id);
        recovery.tell(id);
        self.report.lock().logs.insert(id.clone(), recovery);
        *slot = Some(Arc::clone(&core));
        Ok(core)
    }

    fn slot(&self, id: &LogId) -> Slot {
        Arc::clone(self.logs.lock().entry(id.clone()).or_default())
    }

    /// The id of the topic that log `id` is to be opened for.
    fn topic_id(
        &self,
        id: &LogId,
        asked: Option<TopicId>,
        found: Option<&Found>,
    ) -> Result<TopicId, LogError> {
        if let Some(asked) = asked {
            return Ok(asked);
        }
        let on_disk = match found {
            Some(found) if found.has_directory => {
                self.topic_id_on_disk(id).map_err(|e| storage(id, e))?
            }
            _ => None,
        };
        let noted = found.and_then(|found| found.known.has_data);
        let known = on_disk.or(noted);
        Ok(known.unwrap_or_else(|| random_id(&*self.world.entropy)))
    }

    fn topic_id_on_disk(&self, id: &LogId) -> Result<Option<TopicId>, StorageError> {
        let path = self.shared.dir(id).join("partition.metadata");
        let bytes = checkpoint::read(&*self.world.vfs, &path, METADATA_BYTES_MAX)?;
        // What cannot be read is for the log to judge.
        let metadata = bytes.and_then(|bytes| PartitionMetadata::decode(&bytes).ok());
        Ok(metadata.map(|metadata| metadata.topic_id))
    }

    fn found(&self) -> Vec<FoundLog> {
        let found = self.found.lock().clone();
        let log = |(id, found): (LogId, Found)| FoundLog {
            topic_id: match found.known.has_data {
                Some(topic_id) => Some(topic_id),
                None => self.topic_id_on_disk(&id).ok().flatten(),
            },
            id,
            has_directory: found.has_directory,
            pending: !self.was_clean,
        };
        found.into_iter().map(log).collect()
    }

    /// The open logs, by id.
    fn open_logs(&self) -> BTreeMap<LogId, Arc<LogCore>> {
        let slots = self.logs.lock().clone();
        let open = |(id, slot): (LogId, Slot)| Some((id, slot.lock().clone()?));
        slots.into_iter().filter_map(open).collect()
    }

    fn dir_of(&self, name: &str) -> PathBuf {
        self.shared.root.join(name)
    }
}

impl Drop for Inner {
    /// As a kill: what was not made durable is not, and the next open recovers. Waits for nothing.
    fn drop(&mut self) {
        // The logs hold on to the rounds, the rounds to the logs.
        self.rounds.forget_logs();
    }
}

fn storage(id: &LogId, source: StorageError) -> LogError {
    LogError::Storage {
        id: id.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
