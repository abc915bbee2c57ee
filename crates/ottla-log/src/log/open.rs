//! Opening a log: whose directory it is, whether its files are taken as they are or checked, and
//! what becomes of that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::LogOptions;
use super::core::{LogCore, Parts, Segments};
use super::dir::{self, Listing};
use super::ends::Ends;
use super::leftovers;
use super::progress::Progress;
use super::recover::{Recovered, Recovery};
use super::replay::Replay;
use super::seam::{Journaled, Known, LogRecovery, LogShared};
use crate::checkpoint::{self, PartitionMetadata};
use crate::inspect::Finding;
use crate::segment::{Extent, Origin, Segment, Wait, Walk};
use crate::{InvalidTopicName, LogId, Offset, StorageError, TopicId};

/// Why a log cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk failed, or what it holds is damaged so far that nothing can be served.
    #[error("cannot open the log {id}: {source}")]
    Storage {
        /// Which log.
        id: LogId,
        /// The disk's failure.
        source: StorageError,
    },
    /// The log is known to hold data, yet its directory is missing.
    #[error(
        "the log {id} holds data, yet its directory {dir:?} is missing; put the directory back \
         or delete the topic"
    )]
    DirectoryMissing {
        /// Which log.
        id: LogId,
        /// The directory that should be there.
        dir: PathBuf,
    },
    /// The log is open under another topic id: it was deleted and made anew in between.
    #[error("the log {id} is open with topic id {open}, asked for with {asked}")]
    OtherTopic {
        /// Which log.
        id: LogId,
        /// The id it is open with.
        open: TopicId,
        /// The id it was asked for with.
        asked: TopicId,
    },
    /// The name is none that a topic can have.
    #[error(transparent)]
    Name(#[from] InvalidTopicName),
    /// The store is closed, or was dropped.
    #[error("the log {id} cannot be opened: its store is closed")]
    Closed {
        /// Which log.
        id: LogId,
    },
}

impl From<std::convert::Infallible> for LogError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// `partition.metadata` is no longer.
const METADATA_BYTES_MAX: usize = 4096;

impl LogCore {
    /// Opens the log `id`: recovers what its directory holds, or stands for a log that has no
    /// directory yet and gets one with its first append. Without `options.topic_id` the directory
    /// says which topic it is; the store draws an id where it says none.
    pub(crate) fn open(
        shared: &Arc<LogShared>,
        id: LogId,
        options: LogOptions,
        known: &Known,
    ) -> Result<(Arc<Self>, LogRecovery), LogError> {
        let failed = |source| LogError::Storage {
            id: id.clone(),
            source,
        };
        let mut report = LogRecovery::default();
        let dir: Arc<Path> = shared.dir(&id).into();
        let left = Opening {
            shared,
            id: &id,
            dir: &dir,
            known,
            options: &options,
        };
        if let Some(recovered) = left.take_left().map_err(failed)? {
            let topic_id = known.left.as_ref().map(|left| left.topic_id);
            let topic_id = topic_id.unwrap_or_default();
            let core = Self::recovered(shared, id, (dir, topic_id), options, known, recovered);
            core.epochs.lock().file = known.left.as_ref().map(|left| left.epochs.clone());
            return Ok((core, report));
        }
        let asked = options.topic_id;
        let is_its = |of: &&Arc<Journaled>| asked.is_none_or(|asked| asked == of.topic_id);
        let found = match known.journaled.as_ref().filter(is_its) {
            // The replay looked.
            Some(journaled) => Found::Dir(journaled.topic_id),
            None => find_dir(shared, &id, &dir, asked, &mut report).map_err(failed)?,
        };
        let topic_id = match found {
            Found::Dir(topic_id) => topic_id,
            Found::Nothing => {
                let topic_id = options.topic_id.unwrap_or_default();
                if known.has_data == Some(topic_id) {
                    return Err(LogError::DirectoryMissing {
                        id,
                        dir: dir.to_path_buf(),
                    });
                }
                let core = Self::fresh(shared, id, dir, topic_id, options);
                return Ok((core, report));
            }
        };
        let opening = Opening {
            shared,
            id: &id,
            dir: &dir,
            known,
            options: &options,
        };
        let (recovered, removed) = opening.run(&mut report).map_err(failed)?;
        let core = Self::recovered(shared, id, (dir, topic_id), options, known, recovered);
        core.pending.lock().removed = removed;
        Ok((core, report))
    }

    /// The log in `place` as it was recovered.
    fn recovered(
        shared: &Arc<LogShared>,
        id: LogId,
        (dir, topic_id): (Arc<Path>, TopicId),
        options: LogOptions,
        known: &Known,
        recovered: Recovered,
    ) -> Arc<Self> {
        let durable = recovered.end;
        let epochs_differ = recovered.replay.epochs_differ;
        if epochs_differ {
            shared.findings.note(Finding {
                path: dir.join(dir::EPOCHS),
                position: None,
                what: "it is not what the batches say; it is made anew".to_owned(),
            });
        }
        let ends = Ends {
            start: recovered.start,
            end: recovered.end,
            durable,
            first_unstable: recovered.replay.producers.first_unstable(),
        };
        Self::of(
            shared,
            Parts {
                id,
                topic_id,
                dir,
                config: options.config,
                ends,
                segments: recovered.segments,
                removed: Vec::new(),
                epochs_dirty: !known.clean || epochs_differ || recovered.replay.is_file_stale(),
                epochs: recovered.replay.epochs,
                producers: recovered.replay.producers,
                corrupt: recovered.corrupt,
                has_dir: true,
                noted: known.has_data == Some(topic_id),
                cleaned: known.cleaned,
            },
        )
    }

    /// A log without a directory.
    fn fresh(
        shared: &Arc<LogShared>,
        id: LogId,
        dir: Arc<Path>,
        topic_id: TopicId,
        options: LogOptions,
    ) -> Arc<Self> {
        let rules = Self::index_rules(&options.config);
        let segment = Segment::new(shared, &dir, Offset::ZERO, rules, Origin::Fresh);
        Self::of(
            shared,
            Parts {
                id,
                topic_id,
                dir,
                config: options.config,
                ends: Ends::default(),
                segments: vec![segment],
                removed: Vec::new(),
                epochs: crate::epoch_cache::LeaderEpochCache::default(),
                epochs_dirty: false,
                producers: crate::producer_state::ProducerState::new(Offset::ZERO, &shared.limits),
                corrupt: None,
                has_dir: false,
                noted: false,
                cleaned: Offset::ZERO,
            },
        )
    }
}

/// How many of the first segments lie below `start` as a whole; never the last one.
pub(super) fn below(segments: &[Arc<Segment>], start: Offset) -> usize {
    let nexts = segments.iter().skip(1);
    nexts.take_while(|next| next.base() <= start).count()
}

/// What is where the log's directory should be.
enum Found {
    /// The directory of this topic.
    Dir(TopicId),
    /// Nothing, or nothing any more.
    Nothing,
}

/// Looks for the log's directory, and sets aside one of another topic.
fn find_dir(
    shared: &LogShared,
    id: &LogId,
    dir: &Path,
    asked: Option<TopicId>,
    report: &mut LogRecovery,
) -> Result<Found, StorageError> {
    let stat = shared.vfs.stat(dir);
    if stat
        .map_err(|e| StorageError::io("look at", dir, e))?
        .is_none()
    {
        return Ok(Found::Nothing);
    }
    let path = dir.join(dir::METADATA);
    let bytes = checkpoint::read(&*shared.vfs, &path, METADATA_BYTES_MAX)?.unwrap_or_default();
    // A power cut may leave the file without its bytes. The directory was made under this name by
    // a topic of this name, and that topic is the one asked for: a deleted one's was renamed.
    let owner = if bytes.iter().all(|byte| *byte == 0) {
        let topic_id = asked.unwrap_or_default();
        dir::create(&*shared.vfs, dir, topic_id)?;
        topic_id
    } else {
        let decoded = PartitionMetadata::decode(&bytes);
        let metadata = decoded.map_err(|e| StorageError::Corrupt {
            path: path.clone(),
            position: 0,
            why: e.to_string(),
        })?;
        metadata.topic_id
    };
    if asked.is_none_or(|asked| asked == owner) {
        return Ok(Found::Dir(owner));
    }
    report.set_aside = Some(set_aside(shared, id, dir, owner)?);
    Ok(Found::Nothing)
}

/// Renames the directory of another topic, so that nothing of it is taken for this one's.
fn set_aside(
    shared: &LogShared,
    id: &LogId,
    dir: &Path,
    owner: TopicId,
) -> Result<String, StorageError> {
    let mut unique = u128::from_be_bytes(owner.to_bytes());
    loop {
        let name = dir::name_aside(id, unique, "-stray");
        let aside = shared.root.join(&name);
        let stat = shared.vfs.stat(&aside);
        if stat
            .map_err(|e| StorageError::io("look at", &aside, e))?
            .is_none()
        {
            shared
                .vfs
                .rename(dir, &aside)
                .and_then(|()| shared.vfs.sync_dir(&shared.root))
                .map_err(|e| StorageError::io("set aside", dir, e))?;
            return Ok(name);
        }
        unique = unique.wrapping_add(1);
    }
}

/// Opening what a directory holds.
struct Opening<'a> {
    shared: &'a Arc<LogShared>,
    id: &'a LogId,
    dir: &'a Arc<Path>,
    known: &'a Known,
    options: &'a LogOptions,
}

impl Opening<'_> {
    /// After a clean stop: the log as it was left, if nothing speaks against that. No file is
    /// opened, and nothing of a segment is read: the stop saw to it that all was written.
    fn take_left(&self) -> Result<Option<Recovered>, StorageError> {
        let known = self.known;
        let Some(left) = known.left.as_ref().filter(|_| known.clean) else {
            return Ok(None);
        };
        let is_same = self.options.topic_id == Some(left.topic_id)
            && left.end == known.recovery_point
            && known.log_start <= left.end;
        let second = left.segments.get(1);
        if !is_same || second.is_some_and(|(base, _)| *base <= known.log_start) {
            return Ok(None);
        }
        let Some(bounds) = left.segments_in(self.shared, self.dir)? else {
            return Ok(None);
        };
        let Some(mut replay) = left.replay(self.shared) else {
            return Ok(None);
        };
        replay.epochs.truncate_from_end(left.end);
        let first = bounds.first().map_or(left.end, |(base, _)| *base);
        let segment = |(base, extent)| self.segment(base, Origin::Found(extent));
        Ok(Some(Recovered {
            segments: bounds.into_iter().map(segment).collect(),
            start: known.log_start.max(first),
            end: left.end,
            replay,
            corrupt: None,
        }))
    }

    /// The log, and the segments below its start that are still there.
    fn run(&self, report: &mut LogRecovery) -> Result<(Recovered, Segments), StorageError> {
        let vfs = &*self.shared.vfs;
        let mut listing = Listing::read(vfs, self.dir)?;
        let changed = leftovers::clear(self.shared, self.dir, &mut listing)?;
        let journaled = self.journaled(&listing)?.filter(|_| !changed);
        let removed = self.take_removed(&mut listing)?;
        let quick = if self.known.clean {
            self.take_as_is(&listing)?
        } else {
            None
        };
        let is_quick = quick.is_some();
        let mut recovered = match quick {
            Some(recovered) => recovered,
            None => self.check(&listing, journaled, report)?,
        };
        self.check_aborted(&listing, &mut recovered, report)?;
        if recovered.end < self.known.log_start {
            // All that is left was deleted: the log goes on where it starts.
            recovered.end = self.known.log_start;
            recovered.start = self.known.log_start;
            if let Some(last) = recovered.segments.last() {
                last.learn_end(recovered.end);
            }
        }
        if recovered.segments.is_empty() {
            let fresh = self.segment(recovered.end, Origin::Fresh);
            recovered.segments.push(fresh);
        }
        recovered.replay.epochs.truncate_from_end(recovered.end);
        // A snapshot above the end would be taken for one of the batches that come there.
        let above = listing.snapshots.split_off(&recovered.end.plus(1));
        for offset in above {
            dir::remove_if_there(vfs, &dir::file_in(self.dir, offset, dir::SNAPSHOT))?;
        }
        // What the journal was replayed into is synced behind the opening, names included.
        if !is_quick && !self.known.synced && journaled.is_none() {
            for dir in [self.dir, &*self.shared.root] {
                vfs.sync_dir(dir)
                    .map_err(|e| StorageError::io("sync the directory", dir, e))?;
            }
        }
        Ok((recovered, removed))
    }

    /// Makes transaction indexes anew that are wrong, or missing: one that is missing beside the
    /// other indexes says that nothing was aborted.
    fn check_aborted(
        &self,
        listing: &Listing,
        recovered: &mut Recovered,
        report: &mut LogRecovery,
    ) -> Result<(), StorageError> {
        let segments = &recovered.segments;
        let first = segments.first().map_or(Offset::ZERO, |first| first.base());
        for (number, segment) in segments.iter().enumerate() {
            if segment.knows_aborted() {
                continue;
            }
            let base = segment.base();
            let is_sound = if listing.txn_indexes.contains(&base) {
                listing.indexes.contains(&base) && segment.has_sound_aborted()?
            } else {
                listing.indexes.contains(&base) || segment.extent().size == 0
            };
            if is_sound {
                continue;
            }
            let mut replay = Replay::load(self.shared, self.dir, listing, first, base);
            let before = segments.get(..number).unwrap_or_default();
            let found = replay.catch_up(before, base);
            let found = found.and_then(|()| replay.aborted_in(segment));
            match &found {
                Ok(_) => report.rebuilt_indexes += 1,
                Err(error @ StorageError::Corrupt { .. }) => {
                    recovered.corrupt.get_or_insert_with(|| error.clone());
                    report.corrupt.get_or_insert_with(|| error.to_string());
                }
                Err(error) => return Err(error.clone()),
            }
            segment.replace_aborted(found);
            // It speaks of the file from before, and is made again.
            if segment.unsealed() {
                dir::remove_if_there(&*self.shared.vfs, &segment.seal_path())?;
            }
        }
        Ok(())
    }

    /// Takes the segments below the log start out of the listing: they were on their way out, some
    /// of them may be gone, and nobody asks for what is in the others.
    fn take_removed(&self, listing: &mut Listing) -> Result<Segments, StorageError> {
        let start = self.known.log_start;
        let Some(first) = listing.segments.range(..=start).next_back().copied() else {
            return Ok(Segments::new());
        };
        let stay = listing.segments.split_off(&first);
        let removed = std::mem::replace(&mut listing.segments, stay);
        let found = removed
            .into_iter()
            .map(|base| self.found(base, Some(first)));
        found.filter_map(Result::transpose).collect()
    }

    /// What the journal was replayed into, if the log ends with that.
    fn journaled(&self, listing: &Listing) -> Result<Option<&Journaled>, StorageError> {
        let Some(journaled) = self.known.journaled.as_deref() else {
            return Ok(None);
        };
        let last = journaled.segments.keys().next_back();
        let Some(base) = last.filter(|base| listing.segments.last() == Some(*base)) else {
            return Ok(None);
        };
        let path = dir::file_in(self.dir, *base, dir::LOG);
        let stat = self.shared.vfs.stat(&path);
        let stat = stat.map_err(|e| StorageError::io("look at", &path, e))?;
        Ok(stat
            .is_some_and(|stat| stat.len == journaled.size)
            .then_some(journaled))
    }

    /// Checks the files.
    fn check(
        &self,
        listing: &Listing,
        journaled: Option<&Journaled>,
        report: &mut LogRecovery,
    ) -> Result<Recovered, StorageError> {
        let recovery = Recovery {
            shared: self.shared,
            dir: self.dir,
            known: self.known,
            journaled,
            rules: LogCore::index_rules(&self.options.config),
            progress: Progress::new(&*self.shared.clock, self.id),
            report,
        };
        recovery.run(listing)
    }

    /// After a clean stop: takes the files as they are, if the last segment ends where the log
    /// did. `None` where it does not, so that they have to be checked after all.
    fn take_as_is(&self, listing: &Listing) -> Result<Option<Recovered>, StorageError> {
        let bases: Vec<Offset> = listing.segments.iter().copied().collect();
        let mut segments = Segments::with_capacity(bases.len());
        for (index, base) in bases.iter().copied().enumerate() {
            let next = bases.get(index + 1).copied();
            match self.found(base, next)? {
                Some(segment) => segments.push(segment),
                None => return Ok(None),
            }
        }
        let first = bases.first().copied().unwrap_or(self.known.recovery_point);
        let end = segments.last().map_or(first, |last| last.extent().next);
        if end.max(self.known.log_start) != self.known.recovery_point {
            return Ok(None);
        }
        let mut replay = Replay::load(self.shared, self.dir, listing, first, end);
        replay.check_epochs(&segments, self.known.log_start)?;
        replay.catch_up(&segments, end)?;
        Ok(Some(Recovered {
            segments,
            start: self.known.log_start.max(first).min(end),
            end,
            replay,
            corrupt: None,
        }))
    }

    /// The segment at `base`, which the one at `next` follows; of the last one the end is looked
    /// up. `None` where its last batches are not what they should be.
    fn found(
        &self,
        base: Offset,
        next: Option<Offset>,
    ) -> Result<Option<Arc<Segment>>, StorageError> {
        let path = dir::file_in(self.dir, base, dir::LOG);
        let stat = self.shared.vfs.stat(&path);
        let stat = stat.map_err(|e| StorageError::io("look at", &path, e))?;
        let size = stat.map_or(0, |stat| stat.len);
        let extent = Extent {
            size,
            // Until the end is known, everything is within.
            next: next.unwrap_or(Offset::new(i64::MAX)),
        };
        let segment = self.segment(base, Origin::Found(extent));
        if next.is_none() {
            let Some(end) = segment.last_offset_in_file() else {
                return Ok(None);
            };
            segment.learn_end(end);
        }
        Ok(Some(segment))
    }

    fn segment(&self, base: Offset, origin: Origin) -> Arc<Segment> {
        let rules = LogCore::index_rules(&self.options.config);
        Segment::new(self.shared, self.dir, base, rules, origin)
    }
}

impl Segment {
    /// The offset after the last batch, found from the last index entry on; `None` where what is
    /// in the file does not end with a whole batch.
    fn last_offset_in_file(&self) -> Option<Offset> {
        let size = self.extent().size;
        let start = self.last_entry().ok()?;
        let file = self.file().ok()?;
        let mut next = self.base();
        let mut walk = Walk::new(&*file, Wait::Allowed, start, size, self.base());
        while let Some(step) = walk.next().ok()? {
            next = step.next_offset();
        }
        Some(next)
    }
}
