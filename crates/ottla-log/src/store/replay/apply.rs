//! Doing what the plan says: the part of the replay that touches the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{self, PartitionMetadata};
use crate::log::{Journaled, Known, empty, file_in};
use crate::vfs::{File, OpenMode, Vfs};
use crate::{Entropy, LogId, Offset, StorageError, TopicId};

use super::super::has_data::HasData;
use super::super::journal::Scan;
use super::super::names;
use super::super::report::RecoveryReport;
use super::plan::{LogPlan, Plan, PlannedPiece};
use super::{ReplayedFiles, ReplayedLog, sync_failed};

const METADATA: &str = "partition.metadata";
const METADATA_BYTES_MAX: usize = 4096;

/// The replay of one start.
pub(in super::super) struct Replay<'a> {
    pub(in super::super) vfs: &'a Arc<dyn Vfs>,
    pub(in super::super) entropy: &'a dyn Entropy,
    /// `DIR/kafka`.
    pub(in super::super) root: &'a Path,
    pub(in super::super) scan: &'a Scan,
    /// How many files may stay open until they are synced.
    pub(in super::super) open_files_max: usize,
    pub(in super::super) has_data: &'a mut HasData,
    /// What the checkpoints say of each log; what the journal says is added.
    pub(in super::super) known: &'a mut BTreeMap<LogId, Known>,
    pub(in super::super) report: &'a mut RecoveryReport,
}

/// Replays the rounds of `replay.scan`. Where that fails, the same can be done again.
pub(in super::super) fn replay(mut replay: Replay<'_>) -> Result<Vec<ReplayedLog>, StorageError> {
    let plan = Plan::new(&replay.scan.rounds, replay.has_data);
    let rounds = replay.scan.rounds.iter();
    replay.report.rounds = rounds.filter(|round| !round.entries.is_empty()).count();
    let mut logs = Vec::new();
    for log in &plan.logs {
        logs.extend(replay.log(log)?);
    }
    Ok(logs)
}

/// Whose directory is at a log's path.
enum Whose {
    /// Nobody's: there is none.
    Missing,
    /// This topic's, as the file says.
    Of(TopicId, Arc<dyn File>),
    /// Without a readable `partition.metadata`, which a crash may leave.
    Unknown,
}

/// The `partition.metadata` of a directory whose log is to be written.
enum Metadata {
    /// It says the right topic.
    There(Arc<dyn File>),
    /// It has to be made.
    Missing,
}

impl Replay<'_> {
    fn log(&mut self, log: &LogPlan) -> Result<Option<ReplayedLog>, StorageError> {
        let dir = self.root.join(log.id.dir_name());
        if log.deleted {
            self.finish_deletion(log, &dir)?;
            return Ok(None);
        }
        let Some(metadata) = self.claim_dir(log, &dir)? else {
            return Ok(None);
        };
        self.know(log);
        let mut writer = Writer::new(self, log, dir);
        writer.make_metadata(metadata)?;
        writer.write_pieces()?;
        let journaled = writer.journaled();
        writer.close_segments();
        let (mut files, bytes) = (writer.files, writer.bytes);
        self.report.bytes += bytes;
        let is_end = journaled.is_some();
        if let Some(known) = self.known.get_mut(&log.id) {
            known.journaled = journaled.map(Arc::new);
        }
        if files.is_empty() {
            return Ok(None);
        }
        self.report.logs_written += 1;
        let replayed = |files| ReplayedFiles {
            vfs: Arc::clone(self.vfs),
            dir: self.root.join(log.id.dir_name()),
            new_dir: log.created,
            files,
        };
        self.open_files_max = match self.open_files_max.checked_sub(files.len()) {
            Some(rest) => rest,
            None => {
                // No room to keep them open: made durable at once.
                replayed(std::mem::take(&mut files)).sync()?;
                0
            }
        };
        Ok(Some(ReplayedLog {
            id: log.id.clone(),
            files: Arc::new(replayed(files)),
            live: log.live,
            is_end,
            bytes,
        }))
    }

    fn finish_deletion(&mut self, log: &LogPlan, dir: &Path) -> Result<(), StorageError> {
        // The checkpoints go by name: they speak of this log, not of one made after it.
        self.known.remove(&log.id);
        match self.whose(dir, OpenMode::Read)? {
            Whose::Of(topic_id, _) if topic_id != log.topic_id => Ok(()),
            Whose::Missing => Ok(()),
            // Another topic's directory of this name is made after this one's was renamed, and
            // whatever such a directory lacks now the journal has.
            Whose::Of(..) | Whose::Unknown => self.set_aside(log, dir, names::DELETED),
        }
    }

    /// Finds or makes the log's directory; `None` where the log's data must not be written.
    fn claim_dir(&mut self, log: &LogPlan, dir: &Path) -> Result<Option<Metadata>, StorageError> {
        let is_noted = self.has_data.get(&log.id) == Some(&log.topic_id);
        // Of a round that counts the file is synced later, for which it must be open for writing.
        let mode = if log.created {
            OpenMode::Write
        } else {
            OpenMode::Read
        };
        match self.whose(dir, mode)? {
            Whose::Of(topic_id, file) if topic_id == log.topic_id => {
                Ok(Some(Metadata::There(file)))
            }
            Whose::Of(topic_id, _) if log.created => {
                // Set aside before the new log was made, but not durably so.
                self.report.say(
                    &log.id,
                    format!("the directory of topic {topic_id} is set aside"),
                );
                self.set_aside(log, dir, names::STRAY)?;
                self.known.remove(&log.id);
                self.make_dir(dir)?;
                Ok(Some(Metadata::Missing))
            }
            Whose::Of(topic_id, _) => {
                let why = format!(
                    "its directory belongs to topic {topic_id}, the journal has data of {}",
                    log.topic_id
                );
                self.report.say(&log.id, why);
                Ok(None)
            }
            Whose::Missing if log.created => {
                self.make_dir(dir)?;
                self.report.directories_made += 1;
                Ok(Some(Metadata::Missing))
            }
            Whose::Unknown if log.created || is_noted => Ok(Some(Metadata::Missing)),
            Whose::Missing | Whose::Unknown => {
                if !log.pieces.is_empty() {
                    let why = "its directory is missing, the journal has data of it".to_owned();
                    self.report.say(&log.id, why);
                }
                Ok(None)
            }
        }
    }

    fn whose(&self, dir: &Path, mode: OpenMode) -> Result<Whose, StorageError> {
        let stat = self
            .vfs
            .stat(dir)
            .map_err(|e| StorageError::io("look at", dir, e))?;
        if stat.is_none() {
            return Ok(Whose::Missing);
        }
        let path = dir.join(METADATA);
        let file = match self.vfs.open(&path, mode) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Whose::Unknown),
            Err(e) => return Err(StorageError::io("read", &path, e)),
        };
        match checkpoint::read_open(&*file, &path, METADATA_BYTES_MAX) {
            Ok(bytes) => Ok(match PartitionMetadata::decode(&bytes) {
                Ok(metadata) => Whose::Of(metadata.topic_id, file),
                Err(_) => Whose::Unknown,
            }),
            Err(StorageError::Corrupt { .. }) => Ok(Whose::Unknown),
            Err(e) => Err(e),
        }
    }

    fn set_aside(&mut self, log: &LogPlan, dir: &Path, kind: &str) -> Result<(), StorageError> {
        let name = names::set_aside(&**self.vfs, self.entropy, self.root, &log.id, kind)
            .map_err(|e| StorageError::io("set aside", dir, e))?;
        self.report.set_aside.push(name);
        Ok(())
    }

    fn make_dir(&self, dir: &Path) -> Result<(), StorageError> {
        let made = self.vfs.create_dir(dir);
        made.map_err(|e| StorageError::io("make the directory", dir, e))
    }

    /// Adds what the journal knows to what the checkpoints know.
    fn know(&mut self, log: &LogPlan) {
        let known = self.known.entry(log.id.clone()).or_default();
        if let Some(settled) = log.settled {
            let end = log.end.map_or(settled, |end| end.max(settled));
            known.recovery_point = known.recovery_point.min(end);
        }
        known.durable_end = log.end.unwrap_or_default();
        known.log_start = known.log_start.max(log.log_start.unwrap_or_default());
    }
}

/// Writes one log's files.
struct Writer<'r> {
    vfs: &'r dyn Vfs,
    scan: &'r Scan,
    report: &'r mut RecoveryReport,
    log: &'r LogPlan,
    dir: PathBuf,
    log_start: Offset,
    files: Vec<(PathBuf, Arc<dyn File>)>,
    segments: BTreeMap<Offset, Segment>,
    /// All that the journal has of the log is written.
    is_whole: bool,
    bytes: u64,
}

/// A segment file that is being written.
struct Segment {
    path: PathBuf,
    file: Arc<dyn File>,
    len: u64,
    /// Up to here everything was written from the journal.
    written: u64,
}

impl<'r> Writer<'r> {
    fn new(replay: &'r mut Replay<'_>, log: &'r LogPlan, dir: PathBuf) -> Self {
        let known = replay.known.get(&log.id);
        Self {
            vfs: &**replay.vfs,
            scan: replay.scan,
            report: replay.report,
            log,
            dir,
            log_start: known.map_or(Offset::ZERO, |known| known.log_start),
            files: Vec::new(),
            segments: BTreeMap::new(),
            is_whole: true,
            bytes: 0,
        }
    }

    /// Writes `partition.metadata`, or makes sure that one from a round that counts is synced.
    fn make_metadata(&mut self, found: Metadata) -> Result<(), StorageError> {
        let path = self.dir.join(METADATA);
        if let Metadata::There(file) = found {
            if self.log.created {
                self.files.push((path, file));
            }
            return Ok(());
        }
        let metadata = PartitionMetadata {
            topic_id: self.log.topic_id,
        };
        let write = || {
            let file = self.vfs.open(&path, OpenMode::Create)?;
            empty(&*file)?;
            file.write_all_at(&mut [IoSlice::new(&metadata.encode())], 0)?;
            Ok(file)
        };
        let file = write().map_err(|e| StorageError::io("write", &path, e))?;
        self.files.push((path, file));
        Ok(())
    }

    fn write_pieces(&mut self) -> Result<(), StorageError> {
        let mut is_first = true;
        let removed = self.removed_segments()?;
        for piece in &self.log.pieces {
            if removed.contains(&piece.range.segment_base) {
                self.is_whole = false;
                continue;
            }
            let written = if piece.damaged {
                self.is_whole = false;
                self.check_damaged(piece)?
            } else {
                self.write_piece(piece)?
            };
            self.is_whole &= written.is_ok();
            // The log itself says what is missing once it is opened: its durable end is known.
            if let Err(why) = written
                && std::mem::take(&mut is_first)
            {
                self.report.say(&self.log.id, why);
            }
        }
        Ok(())
    }

    /// What was written, if the log ends with it: see [`Known::journaled`].
    fn journaled(&self) -> Option<Journaled> {
        let last = self.log.pieces.last()?.range;
        let (base, segment) = self.segments.last_key_value()?;
        let is_end = last.segment_base == *base
            && last.position + u64::from(last.len) == segment.len
            && self.log.end == Some(last.end);
        let whole = |(base, segment): (&Offset, &Segment)| (*base, segment.written == segment.len);
        (self.is_whole && is_end).then(|| Journaled {
            topic_id: self.log.topic_id,
            segments: self.segments.iter().map(whole).collect(),
            size: segment.len,
            file: Arc::downgrade(&segment.file),
        })
    }

    fn close_segments(&mut self) {
        let segments = std::mem::take(&mut self.segments).into_values();
        let files = segments.map(|segment| (segment.path, segment.file));
        self.files.extend(files);
    }

    /// The segments that are gone because all their records lie below the log start.
    fn removed_segments(&self) -> Result<BTreeSet<Offset>, StorageError> {
        let mut ends: BTreeMap<Offset, Offset> = BTreeMap::new();
        for piece in &self.log.pieces {
            let end = ends.entry(piece.range.segment_base).or_default();
            *end = piece.range.end.max(*end);
        }
        let mut removed = BTreeSet::new();
        for (base, _) in ends.into_iter().filter(|(_, end)| *end <= self.log_start) {
            let path = file_in(&self.dir, base, ".log");
            let stat = self.vfs.stat(&path);
            let stat = stat.map_err(|e| StorageError::io("look at", &path, e))?;
            if stat.is_none() {
                removed.insert(base);
            }
        }
        Ok(removed)
    }

    /// Writes a piece; the inner error says why it cannot belong there.
    fn write_piece(&mut self, piece: &PlannedPiece) -> Result<Result<(), String>, StorageError> {
        let (scan, range) = (self.scan, piece.range);
        let Some(segment) = self.segment(range.segment_base, range.position == 0)? else {
            return Ok(Err(format!(
                "segment {} is missing, the journal has bytes from {} on",
                range.segment_base, range.position
            )));
        };
        if segment.len < range.position {
            return Ok(Err(format!(
                "segment {} ends at {}, the journal has bytes from {} on",
                range.segment_base, segment.len, range.position
            )));
        }
        let mut position = range.position;
        let len = u64::from(range.len);
        scan.data(piece.area, piece.position, len, |bytes| {
            segment
                .file
                .write_all_at(&mut [IoSlice::new(bytes)], position)?;
            position += bytes.len() as u64;
            Ok::<_, io::Error>(())
        })
        .map_err(|e| StorageError::io("replay the journal into", &segment.path, e))?;
        segment.len = segment.len.max(position);
        if range.position <= segment.written {
            segment.written = segment.written.max(position);
        }
        self.bytes += len;
        Ok(Ok(()))
    }

    /// A piece that is damaged in the journal is no loss where the file has it.
    fn check_damaged(&mut self, piece: &PlannedPiece) -> Result<Result<(), String>, StorageError> {
        let range = piece.range;
        let lost = || {
            Ok(Err(format!(
                "{} bytes at {} of segment {} are damaged in the journal and not in the file",
                range.len, range.position, range.segment_base
            )))
        };
        let Some(segment) = self.segment(range.segment_base, false)? else {
            return lost();
        };
        let failed = |doing, e| StorageError::io(doing, &segment.path, e);
        segment
            .file
            .sync_data()
            .map_err(|e| sync_failed(&segment.path, e))?;
        segment.file.drop_cache().map_err(|e| failed("read", e))?;
        if segment.len < range.position + u64::from(range.len) {
            return lost();
        }
        let crc = super::super::journal::file_crc(&*segment.file, range.position, range.len.into())
            .map_err(|e| failed("read", e))?;
        if crc == range.crc { Ok(Ok(())) } else { lost() }
    }

    /// The segment's open file; a missing one is made only where `make` says so.
    fn segment(&mut self, base: Offset, make: bool) -> Result<Option<&mut Segment>, StorageError> {
        if !self.segments.contains_key(&base) {
            let path = file_in(&self.dir, base, ".log");
            let mode = if make {
                OpenMode::Create
            } else {
                OpenMode::Write
            };
            let file = match self.vfs.open(&path, mode) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(StorageError::io("open", &path, e)),
            };
            let len = file
                .len()
                .map_err(|e| StorageError::io("look at", &path, e))?;
            self.segments.insert(
                base,
                Segment {
                    path,
                    file,
                    len,
                    written: 0,
                },
            );
        }
        Ok(self.segments.get_mut(&base))
    }
}
