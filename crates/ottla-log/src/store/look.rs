//! What the small files of a data directory say, for who inspects it: read without the lock, and
//! changed by nobody here. A broker may run beside it.
//!
//! What is no loss by itself is a note: what a crash or a change that is under way leaves, what
//! Apache Kafka left, what is kept for people. What the files of a log hold is compared elsewhere,
//! with what is [`Said`] of it here.

pub(crate) mod dump;
mod kafka;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint;
use crate::inspect::{Finding, Note};
use crate::log::Left;
use crate::vfs::Vfs;
use crate::{Limits, LogId, Offset, StorageError, TopicId};

use super::data_dir::{KAFKA, OWN};
use super::format_file::{FormatFile, Unusable};
use super::has_data::{self, HasData};
use super::journal::{Key, Scan, ScanError, What, area_path};
use super::names::{self, DirKind};
use super::offsets::{self, OFFSETS, Offsets};
use super::rounds::{HAS_DATA, MARKER};
use super::seals::{self, AT_REST, SEALS};
use super::stopped::{self, STOPPED, Stopped};

/// What a look found, and what the files said that was compared with nothing yet.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<Note>,
    pub(crate) said: Said,
}

/// What a data directory says of its logs. Two looks between which nothing was changed say the
/// same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Our own clean mark is there, or Kafka's in a directory of Kafka's: nothing is under way, and
    /// nothing was cut off.
    is_clean: bool,
    seal_root: Option<PathBuf>,
    offsets: Offsets,
    high_watermarks: BTreeMap<LogId, Offset>,
    has_data: HasData,
    stopped: Stopped,
    /// The number behind the last round of the journal.
    next_round: u64,
}

/// What is said of one log. By default nothing is, and nothing is known to be under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// A broker may run, or may have been killed: the end may be torn.
    pub(crate) may_be_torn: bool,
    pub(crate) topic_id: Option<TopicId>,
    /// Everything below is in its files.
    pub(crate) recovery_point: Option<Offset>,
    pub(crate) log_start: Option<Offset>,
    /// Below this compaction may have taken any offset; elsewhere too, where that is not noted yet.
    pub(crate) cleaned: Option<Offset>,
    /// Where a file that is not written with each change says it.
    pub(crate) high_watermark: Option<Offset>,
    /// How our clean stop left it.
    pub(crate) left: Option<Arc<Left>>,
    /// Where its seals are, if they count.
    pub(crate) seal_dir: Option<PathBuf>,
}

impl Said {
    /// What is said of the log in the directory `name`.
    pub(crate) fn of(&self, name: &str) -> Told {
        let Some(id) = LogId::from_dir_name(name) else {
            // Set aside: nobody speaks of it.
            return Told {
                may_be_torn: true,
                ..Told::default()
            };
        };
        let offsets = self.offsets.get(&id);
        Told {
            may_be_torn: !self.is_clean,
            topic_id: self.has_data.get(&id).copied(),
            recovery_point: offsets.map(|of| of.recovery_point),
            log_start: offsets.map(|of| of.log_start),
            cleaned: offsets.map(|of| of.cleaned),
            high_watermark: self.high_watermarks.get(&id).copied(),
            left: self.stopped.get(&id).cloned(),
            seal_dir: self.seal_root.as_ref().map(|root| root.join(name)),
        }
    }
}

/// Whether the directory `name` is of a deleted log, whose files go one by one.
pub(crate) fn is_deleted(name: &str) -> bool {
    names::kind_of(name) == DirKind::Deleted
}

/// Whether `dir` is a data directory.
///
/// # Errors
/// The disk's failure.
pub(crate) fn is_data_dir(vfs: &dyn Vfs, dir: &Path) -> Result<bool, StorageError> {
    let is_there = |name: &str| {
        let path = dir.join(name);
        let stat = vfs.stat(&path);
        stat.map_err(|e| StorageError::io("look at", &path, e))
            .map(|stat| stat.is_some_and(|stat| stat.is_dir))
    };
    Ok(is_there(OWN)? && is_there(KAFKA)?)
}

/// Looks at the data directory `root`.
pub(crate) fn look(vfs: &dyn Vfs, root: &Path, limits: &Limits) -> Look {
    let mut looker = Looker::new(vfs, limits, root.join(KAFKA), root.join(OWN));
    let Some(format) = looker.format() else {
        return looker.look;
    };
    looker.meta(&format);
    let is_foreign = looker.marks();
    looker.own_offsets(is_foreign);
    looker.has_data();
    if looker.look.said.is_clean {
        looker.stopped();
    } else {
        looker.journal(format.key);
    }
    let own = (!is_foreign).then(|| looker.look.said.offsets.clone());
    looker.kafkas(own.as_ref());
    looker.missing();
    looker.names();
    looker.look
}

/// Looks at `root`, a log.dir of Apache Kafka.
pub(crate) fn look_at_kafkas(vfs: &dyn Vfs, root: &Path, limits: &Limits) -> Look {
    let mut looker = Looker::new(vfs, limits, root.to_path_buf(), PathBuf::new());
    looker.look.said.is_clean = looker.read(&root.join(MARKER)).is_some();
    looker.kafkas(None);
    looker.look
}

struct Looker<'a> {
    vfs: &'a dyn Vfs,
    limits: &'a Limits,
    kafka: PathBuf,
    own: PathBuf,
    look: Look,
}

impl<'a> Looker<'a> {
    fn new(vfs: &'a dyn Vfs, limits: &'a Limits, kafka: PathBuf, own: PathBuf) -> Self {
        Self {
            vfs,
            limits,
            kafka,
            own,
            look: Look::default(),
        }
    }

    fn find(&mut self, path: &Path, position: Option<u64>, what: impl Into<String>) {
        self.look.findings.push(Finding {
            path: path.to_path_buf(),
            position,
            what: what.into(),
        });
    }

    fn note(&mut self, path: &Path, what: impl Into<String>) {
        self.look.notes.push(Note {
            path: path.to_path_buf(),
            what: what.into(),
        });
    }

    /// The file at `path`; what cannot be read is found.
    fn read(&mut self, path: &Path) -> Option<Vec<u8>> {
        let read = checkpoint::read(self.vfs, path, self.limits.checkpoint_bytes_max);
        match read {
            Ok(bytes) => bytes,
            Err(error) => {
                self.find(path, None, error.to_string());
                None
            }
        }
    }

    fn decoded<T, E: ToString>(
        &mut self,
        path: &Path,
        decode: impl Fn(&[u8]) -> Result<T, E>,
    ) -> Option<T> {
        match decode(&self.read(path)?) {
            Ok(decoded) => Some(decoded),
            Err(why) => {
                self.find(path, None, why.to_string());
                None
            }
        }
    }

    fn format(&mut self) -> Option<FormatFile> {
        let path = self.own.join("format");
        let Some(bytes) = self.read(&path) else {
            let what = "it is missing, or cannot be read: nothing else is looked at";
            self.find(&path, None, what);
            return None;
        };
        match FormatFile::decode(&bytes) {
            Ok(format) => Some(format),
            Err(Unusable::Newer(version)) => {
                let what = format!("version {version} is newer than this program; use a newer one");
                self.find(&path, None, what);
                None
            }
            Err(Unusable::Damaged(why)) => {
                self.find(&path, None, why);
                None
            }
        }
    }

    /// Who ran last, and whether it stopped cleanly. Answers whether that may be somebody else.
    fn marks(&mut self) -> bool {
        let path = self.kafka.join(MARKER);
        let mark = self.read(&path);
        if let Some(mark) = &mark {
            self.look.said.is_clean = self.clean_mark(&path, mark);
        }
        let is_foreign = match seals::was_changed(self.vfs, &self.kafka, &self.own) {
            Ok(is_foreign) => is_foreign,
            Err(error) => {
                self.find(&path, None, error.to_string());
                true
            }
        };
        if is_foreign {
            self.look.said.is_clean = false;
            let what = "Apache Kafka ran here since: seals and offsets of our own do not count";
            let path = self.own.join(if mark.is_some() { SEALS } else { AT_REST });
            self.note(&path, what);
        } else {
            self.look.said.seal_root = Some(self.own.join(SEALS));
            if mark.is_none() {
                let path = self.own.clone();
                self.note(&path, "no clean stop: a broker runs here, or was killed");
            }
        }
        is_foreign
    }

    fn own_offsets(&mut self, is_foreign: bool) {
        let path = self.own.join(OFFSETS);
        let read = offsets::read(self.vfs, &self.own, self.limits.checkpoint_bytes_max);
        let found = match read {
            Ok(found) => found,
            Err(error) => return self.find(&path, None, error.to_string()),
        };
        if is_foreign {
            return;
        }
        match (found.damage, &found.offsets) {
            (None, _) => {}
            // One half is changed after the other.
            (Some(why), Some(_)) if !self.look.said.is_clean => {
                let what = format!("one half does not count: {why}; it is torn, or being written");
                self.note(&path, what);
            }
            (Some(why), Some(_)) => self.find(&path, None, format!("one half: {why}")),
            (Some(why), None) => self.find(&path, None, format!("neither half counts: {why}")),
        }
        self.look.said.offsets = found.offsets.unwrap_or_default();
    }

    fn has_data(&mut self) {
        let path = self.own.join(HAS_DATA);
        let has_data = self.decoded(&path, has_data::decode);
        self.look.said.has_data = has_data.unwrap_or_default();
    }

    fn stopped(&mut self) {
        let path = self.own.join(STOPPED);
        let stopped = self.decoded(&path, stopped::decode);
        self.look.said.stopped = stopped.unwrap_or_default();
        let what = "not looked at: of no meaning after a clean stop";
        self.note(&area_path(&self.own.clone(), 0), what);
    }

    fn journal(&mut self, key: Key) {
        let scan = match Scan::look(self.vfs, &self.own, key) {
            Ok(scan) => scan,
            Err(ScanError::Damaged(damage)) => {
                return self.find(&damage.path, Some(damage.position), damage.why);
            }
            Err(ScanError::Storage(error)) => {
                return self.find(&self.own.clone(), None, error.to_string());
            }
        };
        self.look.said.next_round = scan.next_sequence();
        if let Some(suspect) = &scan.suspect {
            // No finding: a broker beside us may be writing it just now.
            let what = format!("byte {}: {}", suspect.position, suspect.why);
            self.note(&suspect.path, what);
        }
        for round in &scan.rounds {
            let path = area_path(&self.own, round.area);
            let mut position = round.data_position;
            for (number, entry) in round.entries.iter().enumerate() {
                if let What::Data(range) = entry.what {
                    if round.damaged.contains(&number) {
                        let (sequence, id) = (round.sequence, &entry.id);
                        let what =
                            format!("data of {id} in round {sequence} does not match its checksum");
                        self.find(&path, Some(position), what);
                    }
                    position += u64::from(range.len);
                }
                self.take(&entry.id, entry.topic_id, entry.what);
            }
        }
        if let (Some(first), Some(last)) = (scan.rounds.first(), scan.rounds.last()) {
            let (count, first, last) = (scan.rounds.len(), first.sequence, last.sequence);
            let what = format!("{count} rounds count, {first} to {last}");
            self.note(&area_path(&self.own.clone(), 0), what);
        }
    }

    /// What a round says of who is there.
    fn take(&mut self, id: &LogId, topic_id: TopicId, what: What) {
        let said = &mut self.look.said;
        match what {
            What::Data(range) if range.created => _ = said.has_data.insert(id.clone(), topic_id),
            What::Ended { created: true, .. } => _ = said.has_data.insert(id.clone(), topic_id),
            What::Deleted => {
                if said.has_data.get(id) == Some(&topic_id) {
                    said.has_data.remove(id);
                }
                // They are of the log that is gone.
                said.offsets.remove(id);
                said.high_watermarks.remove(id);
            }
            // A checkpoint from before does not count.
            What::Settled { .. } => {
                if let Some(of) = said.offsets.get_mut(id) {
                    of.recovery_point = Offset::ZERO;
                }
            }
            What::Started { log_start } => {
                if let Some(of) = said.offsets.get_mut(id) {
                    of.log_start = of.log_start.max(log_start);
                }
            }
            What::Data(_) | What::Ended { .. } => {}
        }
    }

    /// Logs that hold data and whose directory is not there.
    fn missing(&mut self) {
        for (id, topic_id) in self.look.said.has_data.clone() {
            let path = self.kafka.join(id.dir_name());
            match self.vfs.stat(&path) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let what = format!("it is missing, and held data of topic id {topic_id}");
                    self.find(&path, None, what);
                }
                Err(error) => self.find(&path, None, error.to_string()),
            }
        }
    }

    /// Directories and files that are no part of what is served.
    fn names(&mut self) {
        for entry in self.vfs.list(&self.kafka).unwrap_or_default() {
            let path = self.kafka.join(&entry.name);
            match names::kind_of(&entry.name) {
                _ if !entry.is_dir => {}
                DirKind::Log(_) => {}
                DirKind::Deleted => self.note(&path, "deleted: its files are removed later"),
                DirKind::Aside => self.note(&path, "set aside: it belonged to no topic"),
                DirKind::Stranger => self.note(&path, "the name is none of a log's"),
            }
        }
        for entry in self.vfs.list(&self.own).unwrap_or_default() {
            let known = [
                "format",
                "lock",
                "journal-0",
                "journal-1",
                HAS_DATA,
                OFFSETS,
                SEALS,
                STOPPED,
                AT_REST,
                "cut",
            ];
            let name = entry.name.as_str();
            let is_known = known.contains(&name) || known.contains(&name.trim_end_matches(".tmp"));
            if !is_known {
                let path = self.own.join(name);
                self.note(&path, "the name is none of ours");
            }
        }
    }
}
