//! Scrubbing a log: everything that a seal speaks for is read again, what has no seal is checked
//! and gets one, and so are the files beside the segments. In steps; a reader goes on meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::LogCore;
use super::dir::{self, Listing};
use super::seal::{Sealing, Step};
use super::way::Way;
use crate::checkpoint::{self, PartitionMetadata};
use crate::derived::Derived;
use crate::inspect::Finding;
use crate::producer_state::{ProducerState, SNAPSHOT_BYTES_MAX};
use crate::segment::{Segment, Wait};
use crate::{Limits, Offset, StorageError};

/// Where in a log a scrub is.
#[derive(Debug, Default)]
pub(crate) struct ScrubPlace {
    /// The files beside the segments were looked at.
    files: bool,
    /// Segments below were.
    base: Offset,
    /// So were chunks of the next one below this one.
    chunk: usize,
    /// The next one has no seal, and gets one.
    sealing: Option<Sealing>,
}

/// What a step read and did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scrubbed {
    pub(crate) bytes: u64,
    /// Seals that were made.
    pub(crate) sealed: u64,
    /// There is more of the log.
    pub(crate) more: bool,
}

impl LogCore {
    /// Reads about `bytes_max` more bytes of the log. What is wrong is noted; an error says that
    /// the disk would not answer.
    pub(crate) fn scrub(
        &self,
        place: &mut ScrubPlace,
        bytes_max: u64,
    ) -> Result<Scrubbed, StorageError> {
        let mut done = Scrubbed::default();
        if !std::mem::replace(&mut place.files, true) {
            done.bytes += self.scrub_files()?;
        }
        while done.bytes < bytes_max {
            if self.health.gone().is_some() || self.health.read_fault().is_some() {
                return Ok(done);
            }
            let segments = self.segments.load_full();
            let Some(segment) = segments.iter().find(|s| s.base() >= place.base) else {
                return Ok(done);
            };
            if place.sealing.is_some() || segment.seal_on_disk().is_none() {
                self.scrub_unsealed(segment, place, bytes_max, &mut done)?;
            } else {
                scrub_sealed(segment, place, &mut done)?;
            }
        }
        done.more = true;
        Ok(done)
    }

    /// Goes on with a segment that has no seal; makes one where no batch is added any more.
    fn scrub_unsealed(
        &self,
        segment: &Arc<Segment>,
        place: &mut ScrubPlace,
        bytes_max: u64,
        done: &mut Scrubbed,
    ) -> Result<(), StorageError> {
        let is_over = segment.is_active() || !segment.is_created() || !segment.is_synced();
        if is_over || segment.check_whole().is_err() {
            // Nothing, or nothing more, is known of what its bytes should be.
            place.pass(segment);
            return Ok(());
        }
        let mut job = match place.sealing.take() {
            Some(job) if job.is_of(segment) && job.is_current(self) => job,
            _ => Sealing::new(self, segment, true),
        };
        let before = job.size();
        let step = job.step(self, bytes_max.saturating_sub(done.bytes));
        done.bytes += job.size().saturating_sub(before).max(1);
        match step {
            Ok(Step::More) => place.sealing = Some(job),
            Ok(Step::Bad) => place.pass(segment),
            Ok(Step::Done) => {
                place.pass(segment);
                self.renew_indexes(segment)?;
                self.put_seal(job)?;
                done.sealed += u64::from(segment.seal_on_disk().is_some());
            }
            Err(error) => {
                place.pass(segment);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Has the index files of `segment`, which nothing vouches for, be what its batches say.
    pub(super) fn renew_indexes(&self, segment: &Segment) -> Result<(), StorageError> {
        if segment.index_sums().is_some() {
            return Ok(());
        }
        let _syncing = self.syncing.lock();
        if self.health.gone().is_some() {
            return Ok(());
        }
        if segment.renew_indexes()? {
            segment.write_indexes(&mut Way::Each)?;
            // Where a crash takes the names, the indexes are made anew.
            self.names_dirty.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Reads the files beside the segments. Answers how many bytes they have.
    fn scrub_files(&self) -> Result<u64, StorageError> {
        if !self.has_dir() || self.health.gone().is_some() {
            return Ok(0);
        }
        let listing = Listing::read(&*self.shared.vfs, &self.dir)?;
        let limits = &self.shared.limits;
        let mut bytes = 0;
        let snapshots = listing.snapshots.iter().map(|offset| {
            let path = dir::file_in(&self.dir, *offset, dir::SNAPSHOT);
            (path, Kind::Snapshot(*offset))
        });
        let epochs = listing
            .epochs
            .then(|| (self.dir.join(dir::EPOCHS), Kind::Epochs));
        let metadata = (self.dir.join(dir::METADATA), Kind::Metadata);
        for (path, kind) in snapshots.chain(epochs).chain([metadata]) {
            let read = checkpoint::read(&*self.shared.vfs, &path, kind.bytes_max(limits));
            let found = match read {
                // Gone meanwhile.
                Ok(None) => continue,
                Ok(Some(found)) => found,
                Err(error) => {
                    self.found_bad(path, error.to_string());
                    continue;
                }
            };
            if self.health.gone().is_some() {
                // It may be of another log by now.
                return Ok(bytes);
            }
            bytes += found.len() as u64;
            if let Err(what) = self.check_file(kind, &found) {
                self.found_bad(path, what);
            }
        }
        Ok(bytes)
    }

    fn check_file(&self, kind: Kind, bytes: &[u8]) -> Result<(), String> {
        let limits = &self.shared.limits;
        match kind {
            Kind::Snapshot(offset) => ProducerState::load(bytes, offset, limits)
                .map(|_| ())
                .map_err(|e| e.to_string()),
            Kind::Epochs => self.check_epochs(bytes),
            Kind::Metadata => {
                let metadata = PartitionMetadata::decode(bytes).map_err(|e| e.to_string())?;
                if metadata.topic_id == self.topic_id {
                    return Ok(());
                }
                Err(format!(
                    "it says that the topic's id is {}",
                    metadata.topic_id
                ))
            }
        }
    }

    /// What is in memory is right: the file is written again.
    fn check_epochs(&self, bytes: &[u8]) -> Result<(), String> {
        let mut epochs = self.epochs.lock();
        if epochs.dirty || epochs.cache.snapshot() == bytes {
            return Ok(());
        }
        epochs.dirty = true;
        Err("it is not what was written; it is made anew".to_owned())
    }

    fn found_bad(&self, path: PathBuf, what: String) {
        self.shared.findings.note(Finding {
            path,
            position: None,
            what,
        });
    }
}

/// A file beside the segments.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Snapshot(Offset),
    Epochs,
    Metadata,
}

impl Kind {
    const fn bytes_max(self, limits: &Limits) -> usize {
        match self {
            Self::Snapshot(_) => SNAPSHOT_BYTES_MAX,
            Self::Epochs | Self::Metadata => limits.checkpoint_bytes_max,
        }
    }
}

/// Reads the next chunk of a sealed segment or, behind the last one, its index files.
fn scrub_sealed(
    segment: &Arc<Segment>,
    place: &mut ScrubPlace,
    done: &mut Scrubbed,
) -> Result<(), StorageError> {
    let Some(seal) = segment.seal_on_disk() else {
        return Ok(());
    };
    if place.chunk >= seal.chunks.len() {
        done.bytes += segment.recheck_indexes() + segment.recheck_aborted();
        place.pass(segment);
        return Ok(());
    }
    let chunk = seal.chunk(place.chunk);
    let failed = |e| segment.walk_error(e);
    let checked = segment.check_chunk(&seal, place.chunk, Wait::Allowed);
    let index = place.chunk;
    place.chunk += 1;
    done.bytes += chunk.end - chunk.start;
    segment
        .note_chunk(&seal, index, checked.map_err(failed)?)
        .map_err(failed)
}

impl ScrubPlace {
    /// Goes on with the segment behind `segment`.
    fn pass(&mut self, segment: &Segment) {
        self.base = segment.base().plus(1);
        self.chunk = 0;
        self.sealing = None;
    }
}
