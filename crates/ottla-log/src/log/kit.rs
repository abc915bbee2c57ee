//! For tests of the log alone: a store reduced to what the log needs of one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    Appended, Bound, FlushMode, FlushTarget, Flusher, Handles, Known, LeaderAppend, LogConfig,
    LogCore, LogError, LogOptions, LogRecovery, LogShared, Written,
};
use crate::batch::{BatchOptions, ValidBatches, build_batch};
use crate::vfs::{MemVfs, Vfs};
use crate::{
    LeaderEpoch, Limits, LogId, Offset, Record, StorageError, TestClock, Timestamp, TopicId,
    TopicName,
};

/// Makes logs durable by syncing their files, and remembers what a store would.
#[derive(Debug)]
pub(crate) struct DirectFlusher {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    state: Mutex<Rounds>,
}

#[derive(Debug, Default)]
struct Rounds {
    dirty: BTreeMap<LogId, Arc<dyn FlushTarget>>,
    durable: BTreeMap<LogId, Offset>,
    /// Log starts that are durable with the next round, and those that are.
    starting: BTreeMap<LogId, Offset>,
    started: BTreeMap<LogId, Offset>,
    cleaned: BTreeMap<LogId, Offset>,
    reserved: u64,
    round: u64,
}

impl DirectFlusher {
    /// Syncs every log that was written to.
    pub(crate) fn flush(&self) -> Result<(), Arc<StorageError>> {
        let dirty = {
            let mut state = self.state.lock();
            state.round += 1;
            std::mem::take(&mut state.dirty)
        };
        let mut result = Ok(());
        for (id, target) in dirty {
            match self.sync(&*target) {
                Ok(end) => {
                    self.state.lock().durable.insert(id, end);
                    target.round_done(end);
                }
                Err(e) => {
                    let cause = Arc::new(e);
                    target.failed(&cause);
                    result = Err(cause);
                }
            }
        }
        result
    }

    fn sync(&self, target: &dyn FlushTarget) -> Result<Offset, StorageError> {
        let synced = target.sync_files()?;
        if synced.new_dir {
            let names = self.vfs.sync_dir(&self.root);
            names.map_err(|e| StorageError::io("sync the directory", &self.root, e))?;
        }
        let mut state = self.state.lock();
        if let Some(start) = state.starting.remove(target.id()) {
            state.started.insert(target.id().clone(), start);
        }
        Ok(synced.end)
    }

    /// What is reserved in the dirty budget and not written.
    pub(crate) fn reserved(&self) -> u64 {
        self.state.lock().reserved
    }

    /// What a store knows of the log after a kill or a power cut now.
    pub(crate) fn known(&self) -> Known {
        let state = self.state.lock();
        let durable_end = state.durable.get(&id()).copied().unwrap_or_default();
        Known {
            durable_end,
            has_data: (durable_end > Offset::ZERO).then(topic_id),
            log_start: state.started.get(&id()).copied().unwrap_or_default(),
            cleaned: state.cleaned.get(&id()).copied().unwrap_or_default(),
            ..Known::default()
        }
    }

    /// Takes over what an earlier store knew.
    pub(crate) fn resume(&self, known: &Known) {
        let mut state = self.state.lock();
        state.durable.insert(id(), known.durable_end);
        state.started.insert(id(), known.log_start);
        state.cleaned.insert(id(), known.cleaned);
    }
}

impl Flusher for DirectFlusher {
    fn wrote(&self, target: &Arc<dyn FlushTarget>, written: Written) {
        let mut state = self.state.lock();
        state.reserved -= written.bytes.len() as u64;
        state.dirty.insert(target.id().clone(), Arc::clone(target));
    }

    fn settle(&self, target: &Arc<dyn FlushTarget>, end: Offset) -> Result<(), Arc<StorageError>> {
        if let Err(error) = self.sync(&**target) {
            let cause = Arc::new(error);
            target.failed(&cause);
            return Err(cause);
        }
        let mut state = self.state.lock();
        state.durable.insert(target.id().clone(), end);
        Ok(())
    }

    fn started(&self, target: &Arc<dyn FlushTarget>, log_start: Offset) {
        let mut state = self.state.lock();
        state.starting.insert(target.id().clone(), log_start);
        state.dirty.insert(target.id().clone(), Arc::clone(target));
    }

    fn cleaned(&self, target: &Arc<dyn FlushTarget>, offset: Offset) {
        self.state
            .lock()
            .cleaned
            .insert(target.id().clone(), offset);
    }

    fn reserve(&self, bytes: u64) -> Result<(), Arc<StorageError>> {
        self.state.lock().reserved += bytes;
        Ok(())
    }

    fn try_reserve(&self, bytes: u64) -> Result<bool, Arc<StorageError>> {
        self.reserve(bytes).map(|()| true)
    }

    fn reserve_more(&self, bytes: u64) {
        self.state.lock().reserved += bytes;
    }

    fn unreserve(&self, bytes: u64) {
        self.state.lock().reserved -= bytes;
    }

    fn round(&self) -> u64 {
        self.state.lock().round + 1
    }

    fn outcome(&self, round: u64) -> Option<Result<(), Arc<StorageError>>> {
        (self.state.lock().round >= round).then_some(Ok(()))
    }

    fn wait(&self, round: u64) -> Result<(), Arc<StorageError>> {
        if self.state.lock().round >= round {
            return Ok(());
        }
        self.flush()
    }
}

/// A file system with one log in it.
#[derive(Debug)]
pub(crate) struct Kit {
    pub(crate) flusher: Arc<DirectFlusher>,
    pub(crate) shared: Arc<LogShared>,
    pub(crate) config: LogConfig,
}

/// Segments of 4 KiB with an index entry for each 100 bytes, so that everything happens soon.
pub(crate) fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 4096,
        index_interval_bytes: 100,
        ..LogConfig::default()
    }
}

impl Kit {
    /// Over an empty file system in memory.
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemVfs::new()))
    }

    /// Over `vfs`, in which the directories of a store are made if they are missing.
    pub(crate) fn over(vfs: Arc<dyn Vfs>) -> Self {
        Self::at(vfs, Path::new("data"), FlushMode::Sync)
    }

    /// Over `vfs`, which has the directories.
    pub(crate) fn bare(vfs: Arc<dyn Vfs>) -> Self {
        Self::with(vfs, Path::new("data"), FlushMode::Sync)
    }

    pub(crate) fn at(vfs: Arc<dyn Vfs>, dir: &Path, flush: FlushMode) -> Self {
        if vfs.stat(dir).unwrap().is_none() {
            vfs.create_dir(dir).unwrap();
            for made in ["kafka", "ottla"] {
                vfs.create_dir(&dir.join(made)).unwrap();
            }
            vfs.sync_dir(dir).unwrap();
            vfs.sync_dir(dir.parent().unwrap()).unwrap();
        }
        Self::with(vfs, dir, flush)
    }

    fn with(vfs: Arc<dyn Vfs>, dir: &Path, flush: FlushMode) -> Self {
        let flusher = Arc::new(DirectFlusher {
            vfs: Arc::clone(&vfs),
            root: dir.join("kafka"),
            state: Mutex::default(),
        });
        let shared = Arc::new(LogShared {
            vfs,
            clock: Arc::new(TestClock::frozen()),
            flusher: Arc::clone(&flusher) as Arc<dyn Flusher>,
            handles: Handles::new(NonZeroUsize::new(4).unwrap()),
            root: dir.join("kafka"),
            cut_dir: dir.join("ottla/cut"),
            seal_dir: dir.join("ottla/seals"),
            sealed_at_stop: super::STOP_BYTES_MAX.into(),
            findings: super::Findings::default(),
            flush,
            compacting: Arc::default(),
            limits: Limits::default(),
        });
        Self {
            flusher,
            shared,
            config: small(),
        }
    }

    pub(crate) fn vfs(&self) -> &dyn Vfs {
        &*self.shared.vfs
    }

    pub(crate) fn try_open(&self, known: &Known) -> Result<(Arc<LogCore>, LogRecovery), LogError> {
        let options = LogOptions {
            topic_id: Some(topic_id()),
            config: self.config.clone(),
        };
        LogCore::open(&self.shared, id(), options, known)
    }

    /// Opens a log that nothing is known of, or what was known when it was closed.
    pub(crate) fn open(&self, known: &Known) -> Arc<LogCore> {
        self.try_open(known).unwrap().0
    }

    /// What a store knows of a log after a kill or a power cut now.
    pub(crate) fn known(&self) -> Known {
        self.flusher.known()
    }
}

/// What a store knows of a log that was closed.
pub(crate) fn closed(log: &LogCore) -> Known {
    let checkpoints = log.close(&mut super::Way::Each).unwrap();
    Known {
        clean: true,
        has_data: log.has_dir().then(topic_id),
        recovery_point: checkpoints.recovery_point,
        durable_end: checkpoints.recovery_point,
        log_start: checkpoints.log_start,
        cleaned: log.cleaned(),
        ..Known::default()
    }
}

pub(crate) fn id() -> LogId {
    LogId::new(TopicName::new("orders").unwrap(), 0)
}

pub(crate) fn topic_id() -> TopicId {
    TopicId::from_bytes([7; 16])
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::new(millis)
}

/// A batch of records with these values and timestamps from `first` on, a millisecond apart.
pub(crate) fn batch(values: &[&str], first: i64, options: &BatchOptions) -> ValidBatches {
    let records: Vec<Record> = values
        .iter()
        .zip(first..)
        .map(|(value, time)| Record::new((*value).to_owned()).with_timestamp(at(time)))
        .collect();
    let bytes = build_batch(&records, options).unwrap();
    ValidBatches::parse(bytes, &Limits::default()).unwrap()
}

impl LogCore {
    /// Appends one batch with these values as the leader of epoch 0, at time 1,000.
    pub(crate) fn put(&self, values: &[&str]) -> Appended {
        let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        let batches = batch(values, 1000, &BatchOptions::default());
        self.append_as_leader(batches, &context).unwrap()
    }

    /// Appends `count` batches of one record of 100 bytes.
    pub(crate) fn fill(&self, count: usize) {
        for _ in 0..count {
            let value = format!("{:>100}", self.ends().end);
            self.put(&[&value]);
        }
    }

    /// All bytes from `from` on, read in pieces of `max` bytes.
    pub(crate) fn all_bytes(&self, from: Offset, max: usize, bound: Bound) -> Vec<Bytes> {
        let mut from = from;
        let mut pieces = Vec::new();
        loop {
            let slice = self.read(from, max, bound).unwrap();
            if slice.is_empty() {
                return pieces;
            }
            assert!(
                slice.next_offset() > from,
                "{slice:?} does not go on from {from}"
            );
            from = slice.next_offset();
            pieces.push(slice.bytes().unwrap());
        }
    }

    /// The values of all records from `from` on.
    pub(crate) fn values(self: &Arc<Self>, from: i64, bound: Bound) -> Vec<(i64, String)> {
        super::LogRecords::new(Arc::clone(self), Offset::new(from), bound)
            .map(|record| {
                let record = record.unwrap();
                let value = record.value.unwrap_or_default().to_vec();
                (record.offset.get(), String::from_utf8(value).unwrap())
            })
            .collect()
    }
}
