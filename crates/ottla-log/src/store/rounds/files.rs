//! The logs' own files and the checkpoint files: syncing the ones, writing the others.

use std::sync::Arc;

use crate::checkpoint;
use crate::log::{FlushTarget, SyncedFiles};
use crate::vfs::Vfs;
use crate::{LogId, Offset, StorageError};

use super::super::dirs::{Dir, Dirs};
use super::super::has_data::{self, HasData};
use super::super::offsets::{self, LogOffsets, Offsets, OffsetsFile};
use super::super::replay::ReplayedFiles;
use super::Rounds;
use super::state::BeforeSync;

/// Kafka's names for the checkpoint files, and ours.
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub(crate) const CLEANED: &str = "cleaner-offset-checkpoint";
pub(crate) const HAS_DATA: &str = "has-data";

/// How a sync of one log's files ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synced {
    /// Everything written before is durable in the files.
    Durable,
    /// The log is deleted; nothing was done.
    Retired,
}

/// A log whose files were synced, before its directory's name was.
struct Done {
    id: LogId,
    before: BeforeSync,
    files: Option<SyncedFiles>,
    new_dir: bool,
}

type Answer = (LogId, Result<Synced, Arc<StorageError>>);

impl Rounds {
    /// Syncs the files of logs. A log for which that fails is taken offline.
    pub(super) fn sync_logs(&self, ids: &[LogId]) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut done = Vec::new();
        for id in ids {
            match self.sync_log(id) {
                Ok(Some(synced)) => done.push(synced),
                Ok(None) => answers.push((id.clone(), Ok(Synced::Retired))),
                Err(cause) => answers.push((id.clone(), Err(cause))),
            }
        }
        if done.iter().any(|log| log.new_dir)
            && let Err(cause) = self.dirs.kafka.sync()
        {
            let cause = Arc::new(cause);
            for log in done.extract_if(.., |log| log.new_dir) {
                self.fail(&log.id, &cause);
                answers.push((log.id, Err(Arc::clone(&cause))));
            }
        }
        let mut state = self.state.lock();
        for log in done {
            state.synced(&log.id, &log.before, log.files);
            answers.push((log.id, Ok(Synced::Durable)));
        }
        drop(state);
        self.room.notify_all();
        answers
    }

    /// Syncs one log's files; `None` where it is retired.
    fn sync_log(&self, id: &LogId) -> Result<Option<Done>, Arc<StorageError>> {
        let Some(log) = self
            .state
            .lock()
            .logs
            .get(id)
            .map(|log| Arc::clone(&log.syncing))
        else {
            return Ok(None);
        };
        let _turn = log.lock();
        let (before, target, replayed) = {
            let state = self.state.lock();
            let Some(log) = state.logs.get(id).filter(|log| !log.retired) else {
                return Ok(None);
            };
            if let Some(cause) = &log.offline {
                return Err(Arc::clone(cause));
            }
            let (target, replayed) = (log.target.clone(), log.replayed.clone());
            (state.before_sync(log), target, replayed)
        };
        match sync_both(target.as_deref(), replayed.as_deref()) {
            Ok((files, new_dir)) => Ok(Some(Done {
                id: id.clone(),
                before,
                files,
                new_dir,
            })),
            Err(cause) => {
                let cause = Arc::new(cause);
                self.fail(id, &cause);
                Err(cause)
            }
        }
    }

    /// Makes durable where each log starts, ends and is compacted up to, and which hold data, as
    /// far as that changed.
    pub(super) fn checkpoint(&self) -> Result<(), StorageError> {
        match self.checkpoint_all() {
            // Nobody reads Kafka's files before a clean stop.
            Ok(()) | Err(Unwritten::OfKafka(StorageError::NoSpace { .. })) => Ok(()),
            Err(Unwritten::Own(error) | Unwritten::OfKafka(error)) => Err(error),
        }
    }

    /// As [`Rounds::checkpoint`], Kafka's files included.
    pub(super) fn checkpoint_for_kafka(&self) -> Result<(), StorageError> {
        let written = self.checkpoint_all();
        written.map_err(|(Unwritten::Own(error) | Unwritten::OfKafka(error))| error)
    }

    fn checkpoint_all(&self) -> Result<(), Unwritten> {
        let mut files = self.files.lock();
        let (offsets, has_data) = {
            let mut state = self.state.lock();
            state.changed = false;
            (state.offsets(), state.has_data.clone())
        };
        let written = files.write(&*self.vfs, &self.dirs, &offsets, &has_data);
        let mut state = self.state.lock();
        if written.is_err() {
            state.changed = true;
        }
        if files.offsets == Some(print(&offsets::encode(0, &offsets))) {
            state.started(&offsets);
        }
        written
    }
}

fn sync_both(
    target: Option<&dyn FlushTarget>,
    replayed: Option<&ReplayedFiles>,
) -> Result<(Option<SyncedFiles>, bool), StorageError> {
    let mut new_dir = false;
    if let Some(replayed) = replayed {
        replayed.sync()?;
        new_dir |= replayed.new_dir();
    }
    let files = target.map(FlushTarget::sync_files).transpose()?;
    new_dir |= files.is_some_and(|files| files.new_dir);
    Ok((files, new_dir))
}

/// Which of the files could not be written.
#[derive(Debug)]
enum Unwritten {
    /// One that this program reads.
    Own(StorageError),
    /// One that Kafka reads.
    OfKafka(StorageError),
}

/// The files that say, for all logs, what each log's own files cannot, as this process wrote them
/// last: by length and checksum.
#[derive(Debug, Default)]
pub(super) struct CheckpointFiles {
    own: OffsetsFile,
    offsets: Option<Print>,
    has_data: Option<Print>,
    of_kafka: Option<Print>,
}

type Print = (usize, u32);

impl CheckpointFiles {
    /// The files as they were `found`.
    pub(super) fn new(found: offsets::Found) -> Self {
        Self {
            own: found.file,
            // What is right stays.
            offsets: found
                .offsets
                .filter(|_| found.damage.is_none())
                .map(|offsets| print(&offsets::encode(0, &offsets))),
            ..Self::default()
        }
    }

    /// Whether there is a file that can be changed without more space.
    pub(super) fn is_made(&self) -> bool {
        self.own.has_place()
    }

    /// Writes those that would say something else, durably.
    fn write(
        &mut self,
        vfs: &dyn Vfs,
        dirs: &Dirs,
        offsets: &Offsets,
        has_data: &HasData,
    ) -> Result<(), Unwritten> {
        // First: this needs no space, and may make some.
        let wanted = Some(print(&offsets::encode(0, offsets)));
        if self.offsets != wanted {
            self.offsets = None;
            let written = self.own.write(vfs, dirs, offsets);
            written.map_err(Unwritten::Own)?;
            self.offsets = wanted;
        }
        let bytes = has_data::encode(has_data);
        if self.has_data != Some(print(&bytes)) {
            let written = dirs.own.replace(HAS_DATA, &bytes);
            let written = written.and_then(|()| dirs.own.sync());
            written.map_err(Unwritten::Own)?;
            self.has_data = Some(print(&bytes));
        }
        if self.of_kafka != wanted {
            self.of_kafka = None;
            write_for_kafka(&dirs.kafka, offsets).map_err(Unwritten::OfKafka)?;
            self.of_kafka = wanted;
        }
        Ok(())
    }
}

fn print(bytes: &[u8]) -> Print {
    (bytes.len(), crc32fast::hash(bytes))
}

/// Writes Kafka's checkpoint files, durably.
pub(in super::super) fn write_for_kafka(
    kafka: &Dir,
    offsets: &Offsets,
) -> Result<(), StorageError> {
    for (name, bytes) in for_kafka(offsets) {
        match bytes {
            Some(bytes) => kafka.replace(name, &bytes)?,
            None => kafka.remove(name)?,
        }
    }
    kafka.sync()
}

/// Kafka's checkpoint files where they are to say the same as `offsets`; `None` for one that is
/// not to be there.
pub(in super::super) fn for_kafka(offsets: &Offsets) -> [(&'static str, Option<Vec<u8>>); 3] {
    let encode = |of: fn(&LogOffsets) -> Offset, least: i64| {
        let entries = offsets.iter().map(|(id, offsets)| (id, of(offsets)));
        let entries: Vec<_> = entries
            .filter(|(_, offset)| offset.get() >= least)
            .collect();
        checkpoint::encode_offsets(entries.iter().copied())
    };
    let any_cleaned = offsets.values().any(|of| of.cleaned > Offset::ZERO);
    [
        (CLEANED, any_cleaned.then(|| encode(|of| of.cleaned, 1))),
        (LOG_STARTS, Some(encode(|of| of.log_start, 1))),
        (RECOVERY_POINTS, Some(encode(|of| of.recovery_point, 0))),
    ]
}

#[cfg(test)]
mod tests {
    use crate::store::tests::kit::{append, id, log, log_options, maintain, open, open_with, os};
    use crate::store::tests::kit::{topic, written};
    use crate::vfs::MemVfs;
    use crate::{FlushMode, LogConfig, Offset, Timestamp};

    /// A sync under way tells the end from before.
    #[test]
    fn a_log_that_is_cut_while_it_is_synced_is_not_durable_beyond_its_end() {
        let vfs = MemVfs::new();
        let store = open_with(&vfs, os());
        let a = log(&store, "a");
        for _ in 0..5 {
            append(&a, "old").unwrap();
        }
        for minutes in 1..3 {
            while store.maintain(Timestamp::new(minutes * 60_000)).more {}
        }
        for _ in 0..5 {
            append(&a, "new").unwrap();
        }
        let rounds = &store.inner.rounds;
        let synced = rounds.sync_log(&id("a")).unwrap().unwrap();
        a.truncate_to(Offset::new(8)).unwrap();
        let mut state = rounds.state.lock();
        state.synced(&synced.id, &synced.before, synced.files);
        let point = state.logs[&id("a")].recovery_point;
        drop(state);
        assert!(point <= Offset::new(8), "{point}");
        rounds.checkpoint().unwrap();
        drop((a, store));
        let store = open_with(&vfs, os());
        let a = log(&store, "a");
        assert_eq!(a.ends().end, Offset::new(8));
        append(&a, "more").unwrap();
    }

    /// A log that another one of its name took the place of says nothing of that one.
    #[test]
    fn what_a_deleted_log_says_is_not_said_of_the_next_one() {
        let vfs = MemVfs::new();
        let store = open(&vfs);
        let old = store.log("t", log_options(Some(topic(1)))).unwrap();
        append(&old, "x").unwrap();
        let target = store.inner.rounds.state.lock().logs[&id("t")]
            .target
            .clone();
        let target = target.unwrap();
        store.delete(&id("t")).unwrap();
        let new = store.log("t", log_options(Some(topic(2)))).unwrap();
        append(&new, "y").unwrap();
        use crate::log::Flusher;
        let rounds = &store.inner.rounds;
        rounds.cleaned(&target, Offset::new(7));
        rounds.started(&target, Offset::new(6));
        assert!(rounds.settle(&target, Offset::new(5)).is_err());
        let state = rounds.state.lock();
        let log = &state.logs[&id("t")];
        assert_eq!(log.topic_id, topic(2));
        let said = (
            log.cleaned,
            log.log_start,
            log.recovery_point,
            log.durable_end,
        );
        assert_eq!(
            said,
            (Offset::ZERO, Offset::ZERO, Offset::ZERO, Offset::ZERO)
        );
        drop(state);
        maintain(&store);
        drop((old, new, store));
        let store = open(&vfs);
        let new = store.log("t", log_options(Some(topic(2)))).unwrap();
        append(&new, "z").unwrap();
    }

    /// Whoever waits for room that no sync can make waits without asking again and again.
    #[test]
    fn who_cannot_make_room_waits_for_it() {
        use crate::log::Flusher;
        use std::sync::atomic::Ordering;
        let vfs = MemVfs::new();
        let options = crate::StoreOptions {
            dirty_bytes_max: 10_000,
            ..os()
        };
        let store = open_with(&vfs, options);
        let a = log(&store, "a");
        a.append(&[crate::Record::new("few")], written()).unwrap();
        let rounds = &store.inner.rounds;
        rounds.reserve(9_500).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| rounds.reserve(5_000).unwrap());
            while rounds.relieved.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
            (0..10_000).for_each(|_| std::thread::yield_now());
            let relieved = rounds.relieved.load(Ordering::Acquire);
            assert!(!waits.is_finished());
            rounds.unreserve(9_500);
            waits.join().unwrap();
            assert_eq!(relieved, 1, "how often it looked for something to sync");
        });
    }

    /// That a log holds data is durable before its first append is answered.
    #[test]
    fn the_first_append_is_noted_before_it_is_answered() {
        let vfs = MemVfs::new();
        let store = open_with(&vfs, os());
        let mut options = log_options(Some(topic(1)));
        options.config = LogConfig {
            flush: Some(FlushMode::Sync),
            ..options.config
        };
        let a = store.log("a", options.clone()).unwrap();
        // As a journal does that failed.
        store.inner.rounds.journal.lock().fail_for_test();
        append(&a, "one").unwrap();
        let crashed = vfs.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
        drop((a, store));
        let store = open_with(&crashed, os());
        assert!(
            store
                .inner
                .rounds
                .state
                .lock()
                .has_data
                .contains_key(&id("a"))
        );
        let a = store.log("a", options).unwrap();
        assert_eq!(a.ends().end, Offset::new(1));
    }
}
