//! A log against what the other files of its data directory say of it, and against its seals.

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoints::{read_epochs, read_topic_id};
use super::dir::{Note, Report};
use super::indexes::read_whole;
use super::verify::Verifier;
use crate::derived::Derived as _;
use crate::epoch_cache::LeaderEpochCache;
use crate::log::Left;
use crate::log::dir;
use crate::seal::{CHUNK, FileSum, SEAL_BYTES_MAX, Seal};
use crate::vfs::{File, OpenMode};
use crate::{LeaderEpoch, Offset};

/// The longest index file that a seal speaks for.
const INDEX_BYTES_MAX: usize = 1 << 30;

impl Verifier<'_> {
    pub(super) fn note(&mut self, path: PathBuf, what: String) {
        (self.report)(Report::Note(Note { path, what }));
    }

    /// The leader epochs by the file, in order; read before the batches, which may be newer.
    pub(super) fn known_epochs(&mut self) -> Vec<(LeaderEpoch, Offset)> {
        let path = self.dir.join(dir::EPOCHS);
        // What is wrong with it is told when it is compared as a whole.
        let read = read_epochs(self.vfs, &path).unwrap_or_default();
        read.iter()
            .map(|entry| (entry.epoch, entry.start))
            .collect()
    }

    /// The leader epoch of the batch at `offset` where the file has to know it: later epochs than
    /// it has are noted there with the next sync of the log.
    pub(super) fn epoch_by_file(&self, offset: Offset, found: LeaderEpoch) -> Option<LeaderEpoch> {
        let known = &self.known_epochs;
        let latest = known.last()?.0;
        let is_synced = self.told.recovery_point.is_some_and(|point| offset < point);
        if found > latest && !is_synced {
            return None;
        }
        let mut newest_first = known.iter().rev();
        newest_first
            .find(|(_, start)| *start <= offset)
            .map(|(epoch, _)| *epoch)
    }

    /// What lies between a segment and the one before: taken by compaction, or lost.
    pub(super) fn gap_before(&mut self, base: Offset, path: &Path) {
        let end = self.done.end;
        let is_first = self.listing.segments.first() == Some(&base);
        let is_compacted = self.told.cleaned.is_some_and(|cleaned| end < cleaned);
        if is_first || base <= end || is_compacted {
            return;
        }
        let what = format!("offsets {end} to {} before it are missing", base.plus(-1));
        let is_told = self.told.cleaned.is_some() && !self.told.may_be_torn;
        match is_told {
            true => self.find(path.to_path_buf(), None, what),
            // A compaction is noted elsewhere, and later.
            false => self.note(path.to_path_buf(), format!("{what}, unless compacted")),
        }
    }

    /// What was said of the log as a whole.
    pub(super) fn whole(&mut self) {
        let base = self.listing.segments.last().copied().unwrap_or_default();
        let start = self.told.log_start.unwrap_or_default();
        let end = self.done.end.max(base).max(start);
        let dir = self.dir.to_path_buf();
        if let Some(point) = self.told.recovery_point.filter(|point| *point > end) {
            let what = format!("it ends at offset {end}; everything below {point} was durable");
            self.find(dir.clone(), None, what);
        }
        let first = self.listing.segments.first().copied();
        if let (Some(start), Some(first)) = (self.told.log_start, first)
            && first > start
        {
            let what = format!("it begins at offset {first}; the log starts at {start}");
            self.find(dir.clone(), None, what);
        }
        if let Some(mark) = self.told.high_watermark.filter(|mark| *mark > end) {
            let what = format!("its high watermark is {mark}, behind its end, {end}");
            match self.told.may_be_torn {
                true => self.note(dir, what),
                false => self.find(dir, None, what),
            }
        }
        self.first_epoch(start.max(first.unwrap_or_default()));
        self.topic();
        if let Some(left) = self.told.left.clone() {
            self.left(&left, end);
        }
        for name in self.listing.leftovers.clone() {
            let what = "of no meaning: a change that is under way, or was cut off";
            self.note(self.dir.join(name), what.to_owned());
        }
        for base in self.listing.swaps.clone() {
            let path = dir::file_in(self.dir, base, dir::LOG_SWAP);
            self.note(
                path,
                "a compaction under way, or cut off: a start ends it".to_owned(),
            );
        }
    }

    /// The first epoch has to begin at the log start or before, or it is not of what is there.
    fn first_epoch(&mut self, start: Offset) {
        if let Some((epoch, at)) = self.known_epochs.first().copied()
            && self.told.log_start.is_some()
            && self
                .epochs
                .first()
                .is_some_and(|found| found.first < at && start < at)
        {
            let what = format!("epoch {epoch} is the first, from offset {at}; the log has earlier");
            self.find(self.dir.join(dir::EPOCHS), None, what);
        }
    }

    /// All that say whose log it is have to agree.
    fn topic(&mut self) {
        let path = self.dir.join(dir::METADATA);
        let read = read_topic_id(self.vfs, &path);
        if self.told.may_be_torn && self.listing.segments.is_empty() && read.is_err() {
            return self.note(path, "it is being made, or that was cut off".to_owned());
        }
        let found = self.unless(&path, read).flatten();
        let left = self.told.left.as_ref().map(|left| left.topic_id);
        let says = [
            ("ottla/has-data", self.told.topic_id),
            ("ottla/stopped", left),
        ];
        for (file, said) in says {
            if let (Some(found), Some(said)) = (found, said)
                && found != said
            {
                let what = format!("the topic id is {found}; {file} says {said}");
                self.find(path.clone(), None, what);
            }
        }
        if found.is_none() && self.told.topic_id.is_some() && !self.listing.metadata {
            self.find(path, None, "it is missing".to_owned());
        }
    }

    /// How our clean stop left it.
    fn left(&mut self, left: &Left, end: Offset) {
        let dir = self.dir.to_path_buf();
        if left.end != end {
            let what = format!(
                "it ends at offset {end}; the clean stop left it with {}",
                left.end
            );
            self.find(dir, None, what);
        }
        for (base, size) in &left.segments {
            let path = dir::file_in(self.dir, *base, dir::LOG);
            let found = self
                .vfs
                .stat(&path)
                .ok()
                .flatten()
                .map_or(0, |stat| stat.len);
            if found != *size {
                let what = format!("it has {found} bytes; the clean stop left it with {size}");
                self.find(path, None, what);
            }
        }
        self.as_left(self.dir.join(dir::EPOCHS), &left.epochs);
        self.as_left(
            dir::file_in(self.dir, left.end, dir::SNAPSHOT),
            &left.producers,
        );
    }

    /// Whether the file at `path` is what our clean stop left.
    fn as_left(&mut self, path: PathBuf, expected: &[u8]) {
        let read = read_whole(self.vfs, &path, expected.len() + 1);
        let is_snapshot = path.extension().is_some();
        match read {
            Ok(Some(found)) if found == expected => {}
            Ok(None) if is_snapshot => {
                self.note(
                    path,
                    "it is missing, and made anew where it is needed".to_owned(),
                );
            }
            // Of a log without epochs nobody writes one.
            Ok(None) if expected == LeaderEpochCache::default().snapshot() => {}
            Ok(_) | Err(_) => {
                let what = "it is not what the clean stop left, by ottla/stopped";
                self.find(path, None, what.to_owned());
            }
        }
    }

    /// The seal of the segment at `base`, if it is there and counts.
    pub(super) fn seal_of(&mut self, base: Offset) -> Option<Seal> {
        let seals = self.told.seal_dir.clone()?;
        let path = seals.join(dir::name_of(base, dir::SEAL));
        let is_last = self.listing.segments.last() == Some(&base);
        let read = read_whole(self.vfs, &path, SEAL_BYTES_MAX);
        let Some(bytes) = self.unless(&path, read)? else {
            if !is_last {
                self.note(
                    path,
                    "it is missing: the segment is not sealed yet".to_owned(),
                );
            }
            return None;
        };
        let seal = match Seal::decode(&bytes) {
            Ok(seal) => seal,
            Err(why) => {
                // It is not synced, and written in place.
                let may_be_torn = self.told.may_be_torn && is_cut(&bytes);
                match may_be_torn {
                    true => self.note(path, format!("{why}; it does not count")),
                    false => self.find(path, None, why.to_owned()),
                }
                return None;
            }
        };
        let topic_id = read_topic_id(self.vfs, &self.dir.join(dir::METADATA))
            .ok()
            .flatten();
        if topic_id != Some(seal.topic_id) {
            self.note(
                path,
                "it is of another topic's log, and does not count".to_owned(),
            );
            return None;
        }
        if seal.base != base {
            let what = format!("it is of the segment at {}", seal.base);
            self.find(path, None, what);
            return None;
        }
        self.done.seals += 1;
        Some(seal)
    }

    /// Compares the segment at `base` and its index files with their seal. Whether the batches
    /// are what they say was checked before: this is about what their own checksums leave out.
    pub(super) fn sealed(&mut self, base: Offset, seal: &Seal) {
        let path = dir::file_in(self.dir, base, dir::LOG);
        let file = match self.vfs.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) => return self.find(path, None, error.to_string()),
        };
        let len = file.len().unwrap_or_default();
        if len < seal.size {
            let what = format!("it has {len} bytes; its seal is of {}", seal.size);
            self.find(path.clone(), None, what);
        }
        for index in 0..seal.chunks.len() {
            let chunk = seal.chunk(index);
            let bytes = read_chunk(&*file, chunk.start, chunk.end.min(len));
            if !bytes.is_ok_and(|bytes| seal.holds(index, &bytes)) {
                let what = format!("bytes up to {} do not match their seal", chunk.end);
                self.find(path.clone(), Some(chunk.start), what);
            }
        }
        if len != seal.size {
            return;
        }
        for (suffix, sum) in [
            (dir::INDEX, seal.index),
            (dir::TIME_INDEX, seal.time_index),
            (dir::TXN_INDEX, seal.txn_index),
        ] {
            let path = dir::file_in(self.dir, base, suffix);
            let read = read_whole(self.vfs, &path, INDEX_BYTES_MAX);
            let bytes = self.unless(&path, read).flatten().unwrap_or_default();
            if FileSum::of(&bytes) != sum {
                self.find(path, None, "it does not match its seal".to_owned());
            }
        }
    }

    /// Seals of segments that are not there.
    pub(super) fn stale_seals(&mut self) {
        let Some(seals) = self.told.seal_dir.clone() else {
            return;
        };
        for entry in self.vfs.list(&seals).unwrap_or_default() {
            let base = dir::split(&entry.name).filter(|(_, suffix)| *suffix == dir::SEAL);
            if !base.is_some_and(|(base, _)| self.listing.segments.contains(&base)) {
                let what = "it is of a segment that is gone, and does not count".to_owned();
                self.note(seals.join(entry.name), what);
            }
        }
    }
}

/// Whether a crash may have left such a seal: a part of it, or zeros.
fn is_cut(bytes: &[u8]) -> bool {
    let whole = bytes.len() >= 84 && bytes.len().is_multiple_of(4);
    !whole
        || bytes
            .chunks(512)
            .any(|block| block.iter().all(|byte| *byte == 0))
}

fn read_chunk(file: &dyn File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let len = to.saturating_sub(from).min(CHUNK);
    // Of at most a MiB.
    let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}
