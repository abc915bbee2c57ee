//! Opening a store: what the directory holds, what the journal adds, and where that leaves each
//! log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::{self, CleanShutdown};
use crate::log::{FlushMode, Known};
use crate::vfs::Vfs;
use crate::{LogId, Offset, StorageError, TopicId};

use super::data_dir::DataDir;
use super::dirs::Dirs;
use super::error::OpenError;
use super::has_data::{self, HasData};
use super::journal::{AREA_BYTES_FIRST, Journal, Refused, Scan, ScanError};
use super::names::{self, DirKind};
use super::offsets::{self, LogOffsets, OFFSETS, Offsets};
use super::options::{StoreOptions, World};
use super::replay::{Replay, ReplayedLog, replay};
use super::report::RecoveryReport;
use super::rounds::{
    CLEANED, HAS_DATA, LOG_STARTS, MARKER, RECOVERY_POINTS, Rounds, Start, for_kafka,
    write_for_kafka,
};
use super::seals;
use super::stopped::{self, STOPPED};

/// Kafka's name for the file with the high watermarks.
pub(super) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";

/// From this many logs on that have to be synced before they are opened the whole file system is
/// synced instead. Fewer in tests, so that they take both ways.
const TOGETHER_MIN: usize = if cfg!(test) { 2 } else { 16 };

/// How many syncs are timed at start.
const TIMED_SYNCS: usize = 3;

/// A store that was opened, in parts.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) data: DataDir,
    pub(super) rounds: Rounds,
    pub(super) dirs: Arc<Dirs>,
    /// What is known of each log that is there or should be.
    pub(super) known: BTreeMap<LogId, Known>,
    /// The logs whose directory is there.
    pub(super) directories: Vec<LogId>,
    /// Directories of deleted logs.
    pub(super) deleted: Vec<String>,
    pub(super) high_watermarks: BTreeMap<LogId, Offset>,
    pub(super) sync_cost: Option<Duration>,
    pub(super) report: RecoveryReport,
}

/// Opens the data directory `dir`.
pub(super) fn open(world: &World, dir: &Path, options: &StoreOptions) -> Result<Parts, OpenError> {
    let began = world.clock.monotonic();
    let data = DataDir::claim(world, dir, options)?;
    let opening = Opening {
        world,
        options,
        data: &data,
        report: RecoveryReport {
            new: data.is_new(),
            ..RecoveryReport::default()
        },
    };
    match opening.run() {
        Ok((rounds, rest)) => Ok(Parts {
            data,
            rounds,
            dirs: rest.dirs,
            known: rest.known,
            directories: rest.listing.logs,
            deleted: rest.listing.deleted,
            high_watermarks: rest.high_watermarks,
            sync_cost: rest.sync_cost,
            report: RecoveryReport {
                took: world.clock.monotonic().saturating_sub(began),
                ..rest.report
            },
        }),
        Err(e) => {
            data.abandon(&*world.vfs);
            Err(match e {
                Failure::Damaged(damage) => OpenError::JournalDamaged {
                    path: damage.path,
                    position: damage.position,
                    why: damage.why,
                },
                Failure::Storage(source) => OpenError::Storage {
                    dir: dir.to_path_buf(),
                    source,
                },
            })
        }
    }
}

type Failure = ScanError;

/// What a run yields beside the rounds.
struct Rest {
    dirs: Arc<Dirs>,
    known: BTreeMap<LogId, Known>,
    listing: Listing,
    high_watermarks: BTreeMap<LogId, Offset>,
    sync_cost: Option<Duration>,
    report: RecoveryReport,
}

/// An open at work.
struct Opening<'a> {
    world: &'a World,
    options: &'a StoreOptions,
    data: &'a DataDir,
    report: RecoveryReport,
}

impl Opening<'_> {
    fn run(mut self) -> Result<(Rounds, Rest), Failure> {
        let vfs = &self.world.vfs;
        let kafka = &self.data.kafka;
        let marker = vfs.stat(&kafka.join(MARKER));
        let clean = marker
            .map_err(|e| StorageError::io("look for the clean marker in", kafka, e))?
            .is_some();
        self.report.clean = clean;
        let dirs = Dirs::new(vfs, kafka, &self.data.own);
        let is_foreign = seals::was_changed(&**vfs, kafka, &self.data.own)?;
        let offsets = self.read_own_offsets(&dirs, is_foreign)?;
        let mut has_data = self.read_has_data()?;
        let mut known = self.read_known(clean, offsets.offsets.clone())?;
        let scan = self.scan(clean)?;
        let replayed = replay(Replay {
            vfs,
            entropy: &*self.world.entropy,
            root: kafka,
            scan: &scan,
            open_files_max: self.options.open_files_max,
            has_data: &mut has_data,
            known: &mut known,
            report: &mut self.report,
        })?;
        let listing = Listing::read(&**vfs, kafka)?;
        self.report.strangers.clone_from(&listing.strangers);
        complete(&mut known, &listing, &has_data, clean);
        let synced = !clean && self.sync_together(&mut known)?;
        self.report.missing = missing(&listing, &has_data);
        let is_there = |name: &str| {
            let id = LogId::from_dir_name(name);
            id.is_some_and(|id| listing.logs.binary_search(&id).is_ok())
        };
        seals::sort_out(&**vfs, &self.data.own, is_foreign, is_there)?;
        if is_foreign {
            // From here on nothing speaks for anything.
            seals::forget_rest(&**vfs, &self.data.own)?;
            dirs.own.sync()?;
        }
        let mut journal = self.journal(&dirs, &scan);
        let sync_cost = self.time_syncs(&mut journal)?;
        let start = Start {
            vfs: Arc::clone(vfs),
            dirs: Arc::clone(&dirs),
            journal,
            logs: logs(&known, &has_data, &replayed, synced),
            has_data,
            offsets,
            replayed,
            synced,
            clean,
        };
        let rounds = Rounds::new(start, self.options);
        if self.options.flush == FlushMode::Os {
            // Left from another mode. Where it is still needed it stays.
            rounds.retire_journal();
        }
        let high_watermarks = self.read_offsets(HIGH_WATERMARKS)?;
        let rest = Rest {
            known,
            dirs,
            listing,
            high_watermarks,
            sync_cost,
            report: self.report,
        };
        Ok((rounds, rest))
    }

    fn scan(&mut self, clean: bool) -> Result<Scan, Failure> {
        let (vfs, own, key) = (&*self.world.vfs, &self.data.own, self.data.key);
        if clean {
            // The mark is left after everything the journal said is in the files: what it still
            // says may be older than they are, if Kafka ran meanwhile.
            return Ok(Scan::ignoring(vfs, own, key, AREA_BYTES_FIRST)?);
        }
        let scan = Scan::read(vfs, own, key)?;
        let told = scan.suspect.as_ref().map(|damage| {
            let (path, position, why) = (&damage.path, damage.position, &damage.why);
            format!("{path:?}, byte {position}: {why}")
        });
        self.report.unreadable.extend(told);
        Ok(scan)
    }

    fn journal(&self, dirs: &Arc<Dirs>, scan: &Scan) -> Journal {
        Journal::new(
            Arc::clone(&self.world.vfs),
            Arc::clone(dirs),
            self.data.key,
            self.options.journal_area_bytes_max,
            scan,
        )
    }

    /// Makes everything durable that is there, in one go, unless each log can as well be synced by
    /// itself, before or after it is opened. Answers whether it did.
    fn sync_together(&self, known: &mut BTreeMap<LogId, Known>) -> Result<bool, StorageError> {
        // Without a journal to come, what it has is synced at once.
        let waits =
            |known: &&Known| self.options.flush == FlushMode::Sync && known.journaled.is_some();
        let alone = known.values().filter(|known| !waits(known)).count();
        if alone < TOGETHER_MIN || self.data.is_new() || !self.sync_all()? {
            return Ok(false);
        }
        for known in known.values_mut() {
            known.synced = true;
            known.journaled = None;
        }
        Ok(true)
    }

    /// Makes everything durable that is there, in one go; `false` where the platform has no way.
    fn sync_all(&self) -> Result<bool, StorageError> {
        let kafka = &self.data.kafka;
        self.world
            .vfs
            .sync_all(kafka)
            .map_err(|source| StorageError::Io {
                doing: "sync the file system of",
                path: kafka.clone(),
                source: Arc::new(source),
            })
    }

    /// What a sync costs here: the median of a few. `None` where none is needed.
    fn time_syncs(&self, journal: &mut Journal) -> Result<Option<Duration>, StorageError> {
        if self.options.flush == FlushMode::Os {
            return Ok(None);
        }
        match journal.time_syncs(&*self.world.clock, TIMED_SYNCS) {
            Ok(mut times) => {
                times.sort_unstable();
                Ok(times.get(times.len() / 2).copied())
            }
            // A full device can still be read from, and space may come back.
            Err(Refused::NoRoom) => Ok(None),
            Err(Refused::Failed(cause)) => Err(Arc::unwrap_or_clone(cause)),
        }
    }

    fn read_has_data(&mut self) -> Result<HasData, StorageError> {
        let path = self.data.own.join(HAS_DATA);
        let decode = |bytes: &[u8]| has_data::decode(bytes).map_err(str::to_owned);
        Ok(self.read(&path, decode)?.unwrap_or_default())
    }

    /// What our own file says of all logs. Of no meaning where somebody else ran since, and away
    /// then before anything changes.
    fn read_own_offsets(
        &mut self,
        dirs: &Dirs,
        is_foreign: bool,
    ) -> Result<offsets::Found, StorageError> {
        let vfs = &*self.world.vfs;
        if is_foreign {
            offsets::void(vfs, &dirs.own)?;
            return Ok(offsets::Found::default());
        }
        let bytes_max = self.options.limits.checkpoint_bytes_max;
        let mut found = offsets::read(vfs, &self.data.own, bytes_max)?;
        // After a crash one half may be torn, and the files for Kafka may be older.
        if let Some(why) = found
            .damage
            .filter(|_| self.report.clean || found.offsets.is_none())
        {
            let path = self.data.own.join(OFFSETS);
            self.report.unreadable.push(format!("{path:?}: {why}"));
        }
        if let Some(offsets) = found.offsets.clone().filter(|_| self.report.clean) {
            self.compare_kafkas(dirs, &offsets)?;
            if found.damage.is_some() {
                if_there_is_space(found.file.write(vfs, dirs, &offsets))?;
            }
        }
        Ok(found)
    }

    /// Has Kafka's checkpoint files say what they said at the clean stop: who starts next may be
    /// Kafka.
    fn compare_kafkas(&mut self, dirs: &Dirs, offsets: &Offsets) -> Result<(), StorageError> {
        let bytes_max = self.options.limits.checkpoint_bytes_max;
        let mut is_right = true;
        for (name, expected) in for_kafka(offsets) {
            let path = self.data.kafka.join(name);
            let found = match checkpoint::read(&*self.world.vfs, &path, bytes_max) {
                Err(StorageError::Corrupt { .. }) => Some(Vec::new()),
                found => found?,
            };
            if found != expected {
                is_right = false;
                let why = "it is not what the last stop left; it is made anew";
                self.report.unreadable.push(format!("{path:?}: {why}"));
            }
        }
        match is_right {
            true => Ok(()),
            false => if_there_is_space(write_for_kafka(&dirs.kafka, offsets)),
        }
    }

    fn read_known(
        &mut self,
        clean: bool,
        own: Option<Offsets>,
    ) -> Result<BTreeMap<LogId, Known>, StorageError> {
        let offsets = match own {
            Some(own) => own,
            None => self.read_kafkas()?,
        };
        let known = |of: LogOffsets| Known {
            clean,
            recovery_point: of.recovery_point,
            log_start: of.log_start,
            cleaned: of.cleaned,
            ..Known::default()
        };
        let offsets = offsets.into_iter();
        let mut known: BTreeMap<_, _> = offsets.map(|(id, of)| (id, known(of))).collect();
        if clean {
            self.read_left(&mut known)?;
        }
        Ok(known)
    }

    /// Adds how the last stop left each log, if it was this program's.
    fn read_left(&mut self, known: &mut BTreeMap<LogId, Known>) -> Result<(), StorageError> {
        let marker = self.data.kafka.join(MARKER);
        let is_ours = |bytes: &[u8]| Ok(CleanShutdown::decode(bytes) == Some(CleanShutdown::OURS));
        if self.read(&marker, is_ours)? != Some(true) {
            return Ok(());
        }
        let path = self.data.own.join(STOPPED);
        let decode = |bytes: &[u8]| stopped::decode(bytes).map_err(str::to_owned);
        for (id, left) in self.read(&path, decode)?.unwrap_or_default() {
            if let Some(known) = known.get_mut(&id) {
                known.left = Some(left);
            }
        }
        Ok(())
    }

    /// What Kafka's files say of all logs.
    fn read_kafkas(&mut self) -> Result<Offsets, StorageError> {
        let mut offsets = Offsets::new();
        for (id, offset) in self.read_offsets(RECOVERY_POINTS)? {
            offsets.entry(id).or_default().recovery_point = offset;
        }
        for (id, offset) in self.read_offsets(LOG_STARTS)? {
            offsets.entry(id).or_default().log_start = offset;
        }
        for (id, offset) in self.read_offsets(CLEANED)? {
            offsets.entry(id).or_default().cleaned = offset;
        }
        Ok(offsets)
    }

    fn read_offsets(&mut self, name: &str) -> Result<BTreeMap<LogId, Offset>, StorageError> {
        let path = self.data.kafka.join(name);
        let decode = |bytes: &[u8]| checkpoint::decode_offsets(bytes).map_err(|e| e.to_string());
        Ok(self.read(&path, decode)?.unwrap_or_default())
    }

    /// Reads a checkpoint file. One that cannot be understood is as one that is not there: all it
    /// says can be found out again, at a cost.
    fn read<T>(
        &mut self,
        path: &Path,
        decode: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Option<T>, StorageError> {
        let bytes_max = self.options.limits.checkpoint_bytes_max;
        let decoded = match checkpoint::read(&*self.world.vfs, path, bytes_max) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => decode(&bytes),
            Err(StorageError::Corrupt { why, .. }) => Err(why),
            Err(e) => return Err(e),
        };
        match decoded {
            Ok(content) => Ok(Some(content)),
            Err(why) => {
                self.report.unreadable.push(format!("{path:?}: {why}"));
                Ok(None)
            }
        }
    }
}

/// What could not be repaired is repaired another time.
fn if_there_is_space(repaired: Result<(), StorageError>) -> Result<(), StorageError> {
    match repaired {
        Err(StorageError::NoSpace { .. }) => Ok(()),
        repaired => repaired,
    }
}

/// What is in `DIR/kafka/`.
#[derive(Debug, Default)]
struct Listing {
    logs: Vec<LogId>,
    deleted: Vec<String>,
    strangers: Vec<String>,
}

impl Listing {
    fn read(vfs: &dyn Vfs, kafka: &Path) -> Result<Self, StorageError> {
        let entries = vfs
            .list(kafka)
            .map_err(|e| StorageError::io("list", kafka, e))?;
        let mut listing = Self::default();
        for entry in entries.into_iter().filter(|entry| entry.is_dir) {
            match names::kind_of(&entry.name) {
                DirKind::Log(id) => listing.logs.push(id),
                DirKind::Deleted => listing.deleted.push(entry.name),
                DirKind::Aside => {}
                DirKind::Stranger => listing.strangers.push(entry.name),
            }
        }
        listing.logs.sort();
        Ok(listing)
    }
}

/// Logs that hold data and have no directory.
fn missing(listing: &Listing, has_data: &HasData) -> Vec<LogId> {
    let is_missing = |id: &&LogId| listing.logs.binary_search(id).is_err();
    has_data.keys().filter(is_missing).cloned().collect()
}

/// Adds logs that no checkpoint names, and drops those that are neither there nor missed.
fn complete(
    known: &mut BTreeMap<LogId, Known>,
    listing: &Listing,
    has_data: &HasData,
    clean: bool,
) {
    known.retain(|id, _| has_data.contains_key(id) || listing.logs.binary_search(id).is_ok());
    for id in listing.logs.iter().chain(has_data.keys()) {
        let known = known.entry(id.clone()).or_default();
        known.clean = clean;
        known.has_data = has_data.get(id).copied();
    }
}

/// The logs as the rounds begin with them.
fn logs(
    known: &BTreeMap<LogId, Known>,
    has_data: &HasData,
    replayed: &[ReplayedLog],
    synced: bool,
) -> Vec<(LogId, TopicId, Known)> {
    let replayed: BTreeSet<&LogId> = replayed.iter().map(|log| &log.id).collect();
    let log = |(id, known): (&LogId, &Known)| {
        let mut known = known.clone();
        if synced || !replayed.contains(id) {
            // The journal may be overwritten before the log is opened: the checkpoint has to say
            // what it said. Of a log that it has no bytes of, the files were synced.
            known.recovery_point = known.recovery_point.max(known.durable_end);
        }
        let topic_id = has_data.get(id).copied().unwrap_or_default();
        (id.clone(), topic_id, known)
    };
    known.iter().map(log).collect()
}
