//! Checks everything in a log's directory against everything else.

use std::path::{Path, PathBuf};

use super::checkpoints::{load_producers, read_epochs};
use super::dir::Report;
use super::indexes::{
    OFFSET_ENTRY, OffsetIndexEntry, TIME_ENTRY, TimeIndexEntry, read_offset_index, read_time_index,
};
use super::segment::{Damage, FoundBatch, Piece, read_segment};
use super::transactions::Aborted;
use crate::log::dir::{self, Listing};
use crate::producer_state::{EndedTransaction, ProducerState};
use crate::seal::Seal;
use crate::store::look::Told;
use crate::vfs::Vfs;
use crate::{LeaderEpoch, Limits, Offset, StorageError};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// In which file.
    pub path: PathBuf,
    /// Where in it, where it is at one place.
    pub position: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Logs, where a whole directory was checked.
    pub logs: u64,
    /// Seals that count.
    pub seals: u64,
    /// Segments.
    pub segments: u64,
    /// Batches whose checksum is right.
    pub batches: u64,
    /// Records that could be decoded.
    pub records: u64,
    /// Entries of index files.
    pub index_entries: u64,
    /// The offset after the last good batch, where one log was checked.
    pub end: Offset,
}

/// Checks the log in `dir`: checksums, offsets and records of every batch; every index entry,
/// producer snapshot and leader epoch against what the batches say. Each finding goes to `report`.
///
/// # Errors
/// [`StorageError`] where the directory or a segment cannot be read at all.
pub fn verify(
    vfs: &dyn Vfs,
    dir: &Path,
    limits: &Limits,
    report: &mut dyn FnMut(Finding),
) -> Result<Verified, StorageError> {
    let report = &mut |told| {
        if let Report::Finding(finding) = told {
            report(finding);
        }
    };
    verify_told(vfs, dir, limits, &Told::default(), report)
}

/// As [`verify`], and against what is `told` of the log.
pub(super) fn verify_told(
    vfs: &dyn Vfs,
    dir: &Path,
    limits: &Limits,
    told: &Told,
    report: &mut dyn FnMut(Report),
) -> Result<Verified, StorageError> {
    let listing = Listing::read(vfs, dir)?;
    let first = listing.segments.first().copied().unwrap_or_default();
    let mut verifier = Verifier {
        vfs,
        dir,
        limits,
        told,
        report,
        listing: &listing,
        producers: ProducerState::new(first, limits),
        whole: first,
        snapshots_from: Offset::ZERO,
        known_epochs: Vec::new(),
        epochs: Vec::new(),
        done: Verified {
            end: first,
            ..Verified::default()
        },
    };
    verifier.known_epochs = verifier.known_epochs();
    for base in &listing.segments {
        verifier.segment(*base);
    }
    verifier.snapshots_up_to(Offset::new(i64::MAX - 1));
    verifier.epoch_file();
    verifier.whole();
    verifier.stale_seals();
    Ok(verifier.done)
}

impl Verified {
    /// Adds what was looked at elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.seals += other.seals;
        self.segments += other.segments;
        self.batches += other.batches;
        self.records += other.records;
        self.index_entries += other.index_entries;
    }
}

pub(super) struct Verifier<'a> {
    pub(super) vfs: &'a dyn Vfs,
    pub(super) dir: &'a Path,
    limits: &'a Limits,
    pub(super) told: &'a Told,
    pub(super) report: &'a mut dyn FnMut(Report),
    pub(super) listing: &'a Listing,
    producers: ProducerState,
    /// From here on no offset was missing so far.
    whole: Offset,
    /// Snapshots below were compared.
    snapshots_from: Offset,
    /// By the file: each epoch and where it begins.
    pub(super) known_epochs: Vec<(LeaderEpoch, Offset)>,
    pub(super) epochs: Vec<FoundEpoch>,
    pub(super) done: Verified,
}

/// A leader epoch, as the batches tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundEpoch {
    epoch: LeaderEpoch,
    /// The offset after the last batch of the epoch before.
    earliest: Offset,
    /// Its first batch.
    pub(super) first: Offset,
}

/// The index files of a segment, whose entries are met one by one.
struct Indexes {
    offsets: std::vec::IntoIter<OffsetIndexEntry>,
    next_offset: Option<OffsetIndexEntry>,
    times: std::vec::IntoIter<TimeIndexEntry>,
    next_time: Option<TimeIndexEntry>,
    /// `None` where the file does not count: the other indexes are missing.
    aborted: Option<Aborted>,
    offset_path: PathBuf,
    time_path: PathBuf,
    offsets_met: u64,
    times_met: u64,
}

impl Verifier<'_> {
    pub(super) fn find(&mut self, path: PathBuf, position: Option<u64>, what: String) {
        (self.report)(Report::Finding(Finding {
            path,
            position,
            what,
        }));
    }

    /// What a file that cannot be read says.
    pub(super) fn unless<T>(&mut self, path: &Path, read: Result<T, StorageError>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(StorageError::Corrupt { position, why, .. }) => {
                self.find(path.to_path_buf(), Some(position), why);
                None
            }
            Err(error) => {
                self.find(path.to_path_buf(), None, error.to_string());
                None
            }
        }
    }

    fn segment(&mut self, base: Offset) {
        let path = dir::file_in(self.dir, base, dir::LOG);
        self.done.segments += 1;
        if base < self.done.end {
            let what = format!(
                "it begins below {}, where the one before ends",
                self.done.end
            );
            self.find(path.clone(), None, what);
        }
        self.gap_before(base, &path);
        // Before the batches: it speaks for fewer where they grow meanwhile.
        let seal = self.seal_of(base);
        let mut indexes = self.indexes(base);
        let is_last = self.listing.segments.last() == Some(&base);
        let (vfs, limits) = (self.vfs, self.limits);
        let read = read_segment(vfs, &path, base, limits, &mut |piece| match piece {
            Piece::Batch(batch) => {
                self.next_of_seal(&path, seal.as_ref(), &batch);
                self.batch(&path, &mut indexes, &batch);
            }
            Piece::Damage(damage) => self.damage(&path, is_last, &damage),
        });
        self.unless(&path, read);
        self.rest_of(&mut indexes);
        if let Some(seal) = &seal {
            self.sealed(base, seal);
        }
    }

    /// What was sealed ends with a batch, at the offset that the seal says.
    fn next_of_seal(&mut self, path: &Path, seal: Option<&Seal>, batch: &FoundBatch) {
        let end = batch.position + batch.header.size_bytes() as u64;
        let next = batch.header.next_offset();
        if let Some(seal) = seal.filter(|seal| seal.size == end && seal.next != next) {
            let what = format!("offset {next} comes next; its seal says {}", seal.next);
            self.find(path.to_path_buf(), Some(batch.position), what);
        }
    }

    fn batch(&mut self, path: &Path, indexes: &mut Indexes, batch: &FoundBatch) {
        let header = &batch.header;
        if header.base_offset > self.done.end {
            self.whole = header.base_offset;
        }
        self.snapshots_up_to(header.base_offset);
        self.done.batches += 1;
        let counted = batch.records(self.limits).and_then(|records| {
            records
                .iter()
                .try_fold(0_u64, |count, record| record.map(|_| count + 1))
        });
        match counted {
            Ok(records) => self.done.records += records,
            Err(error) => self.find(path.to_path_buf(), Some(batch.position), error.to_string()),
        }
        self.epoch(path, batch);
        let ended = self.producers.apply(header, batch.bytes(), self.limits);
        let ended = ended.unwrap_or_else(|error| {
            self.find(path.to_path_buf(), Some(batch.position), error.to_string());
            None
        });
        self.meet(indexes, batch);
        self.meet_aborted(indexes, batch, ended);
        self.done.end = header.next_offset().max(self.done.end);
    }

    fn epoch(&mut self, path: &Path, batch: &FoundBatch) {
        let (epoch, first) = (batch.header.leader_epoch, batch.header.base_offset);
        if let Some(by_file) = self
            .epoch_by_file(first, epoch)
            .filter(|known| *known != epoch)
        {
            let what = format!("the leader epoch is {epoch}; by the log's file it is {by_file}");
            self.find(path.to_path_buf(), Some(batch.position), what);
        }
        match self.epochs.last() {
            Some(latest) if epoch < latest.epoch => {
                let what = format!(
                    "the leader epoch goes back from {} to {epoch}",
                    latest.epoch
                );
                self.find(path.to_path_buf(), Some(batch.position), what);
            }
            Some(latest) if epoch == latest.epoch => {}
            _ => self.epochs.push(FoundEpoch {
                epoch,
                earliest: self.done.end,
                first,
            }),
        }
    }

    fn damage(&mut self, path: &Path, is_last: bool, damage: &Damage) {
        let rest = damage.file_len - damage.position;
        let what = match damage.resumes {
            Some(at) => format!("{}; good batches go on at byte {at}", damage.why),
            None if is_last && self.told.may_be_torn && !self.was_durable() => {
                let what = format!(
                    "byte {}: the last {rest} bytes are no whole batch: a write cut off, or under \
                     way",
                    damage.position
                );
                return self.note(path.to_path_buf(), what);
            }
            None if is_last => format!(
                "{}; the last {rest} bytes are no whole batch: a write cut off, or under way",
                damage.why
            ),
            None => format!(
                "{}; no good batch follows in the last {rest} bytes",
                damage.why
            ),
        };
        self.find(path.to_path_buf(), Some(damage.position), what);
    }

    fn indexes(&mut self, base: Offset) -> Indexes {
        let offset_path = dir::file_in(self.dir, base, dir::INDEX);
        let time_path = dir::file_in(self.dir, base, dir::TIME_INDEX);
        let offsets = read_offset_index(self.vfs, &offset_path, base);
        let mut offsets = self
            .unless(&offset_path, offsets)
            .unwrap_or_default()
            .into_iter();
        let times = read_time_index(self.vfs, &time_path, base);
        let mut times = self
            .unless(&time_path, times)
            .unwrap_or_default()
            .into_iter();
        // As a log that is opened has it.
        let counts = self.listing.indexes.contains(&base);
        let path = dir::file_in(self.dir, base, dir::TXN_INDEX);
        let aborted = counts.then(|| Aborted::read(self.vfs, &path, base));
        let aborted = aborted.and_then(|read| self.unless(&path, read));
        Indexes {
            aborted,
            next_offset: offsets.next(),
            next_time: times.next(),
            offsets,
            times,
            offset_path,
            time_path,
            offsets_met: 0,
            times_met: 0,
        }
    }

    /// Compares the index entries that point into `batch` with it.
    fn meet(&mut self, indexes: &mut Indexes, batch: &FoundBatch) {
        let header = &batch.header;
        while let Some(entry) = indexes.next_offset
            && entry.position <= batch.position
        {
            if entry.position < batch.position || entry.offset != header.last_offset() {
                let what = format!(
                    "offset {} should end at byte {}, where no batch with that last offset is",
                    entry.offset, entry.position
                );
                let at = indexes.offsets_met * OFFSET_ENTRY as u64;
                self.find(indexes.offset_path.clone(), Some(at), what);
            }
            indexes.next_offset = indexes.offsets.next();
            indexes.offsets_met += 1;
            self.done.index_entries += 1;
        }
        while let Some(entry) = indexes.next_time
            && entry.offset <= header.last_offset()
        {
            if entry.offset < header.base_offset || entry.timestamp != header.max_timestamp {
                let what = format!(
                    "offset {} should have the timestamp {}; no batch there has it",
                    entry.offset, entry.timestamp
                );
                let at = indexes.times_met * TIME_ENTRY as u64;
                self.find(indexes.time_path.clone(), Some(at), what);
            }
            indexes.next_time = indexes.times.next();
            indexes.times_met += 1;
            self.done.index_entries += 1;
        }
    }

    fn meet_aborted(
        &mut self,
        indexes: &mut Indexes,
        batch: &FoundBatch,
        ended: Option<EndedTransaction>,
    ) {
        let Some(aborted) = &mut indexes.aborted else {
            return;
        };
        let met = aborted.met;
        let wrong = aborted.meet(batch, ended, self.whole);
        self.done.index_entries += aborted.met - met;
        for (position, what) in wrong {
            self.find(aborted.path.clone(), position, what);
        }
    }

    /// Entries behind the last batch.
    fn rest_of(&mut self, indexes: &mut Indexes) {
        if let Some(entry) = indexes.next_offset {
            let what = format!("offset {} is behind the last batch", entry.offset);
            let at = indexes.offsets_met * OFFSET_ENTRY as u64;
            self.find(indexes.offset_path.clone(), Some(at), what);
        }
        if let Some(entry) = indexes.next_time {
            let what = format!("offset {} is behind the last batch", entry.offset);
            let at = indexes.times_met * TIME_ENTRY as u64;
            self.find(indexes.time_path.clone(), Some(at), what);
        }
        if let Some(aborted) = &indexes.aborted
            && let Some((at, offset)) = aborted.rest()
        {
            let what = format!("offset {offset} is behind the last batch");
            self.find(aborted.path.clone(), Some(at), what);
        }
    }

    /// Compares the snapshots that tell of the log up to `next` with what the batches said.
    fn snapshots_up_to(&mut self, next: Offset) {
        // A snapshot is of the offset after a batch; the one at `next` is due with the batch there.
        if next < self.snapshots_from {
            return;
        }
        let due = self.listing.snapshots.range(self.snapshots_from..=next);
        let due: Vec<Offset> = due.copied().collect();
        self.snapshots_from = next.plus(1);
        for offset in due {
            let path = dir::file_in(self.dir, offset, dir::SNAPSHOT);
            let loaded = load_producers(self.vfs, &path, offset);
            if let Some(loaded) = self.unless(&path, loaded)
                && let Some(what) = loaded.contradiction(&self.producers, self.whole)
            {
                self.find(path, None, what);
            }
        }
    }

    /// Each epoch but the first has to begin behind the batches of the one before, and not behind
    /// its own first batch. The first begins at the log start, which may be within a batch.
    fn epoch_file(&mut self) {
        let path = self.dir.join(dir::EPOCHS);
        let read = read_epochs(self.vfs, &path);
        for entry in self.unless(&path, read).unwrap_or_default().iter().skip(1) {
            let found = self.epochs.iter().find(|found| found.epoch == entry.epoch);
            if let Some(found) = found.copied()
                && !(found.earliest..=found.first).contains(&entry.start)
            {
                let what = format!(
                    "epoch {} should begin at offset {}; its first batch is at {}, and the epoch \
                     before ends at {}",
                    entry.epoch, entry.start, found.first, found.earliest
                );
                self.find(path.clone(), None, what);
            }
        }
    }

    /// Whether what comes next was made durable.
    fn was_durable(&self) -> bool {
        let point = self.told.recovery_point;
        point.is_some_and(|point| self.done.end < point)
    }
}
