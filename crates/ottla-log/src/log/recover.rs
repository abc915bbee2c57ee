//! Recovery of one log after an unclean stop: read, check, judge, cut.
//!
//! Two verdicts are kept apart. What follows the durable end was promised to nobody: where it is
//! torn it is cut off, and kept aside. Anything else that is bad is corruption: it stays where it
//! is, the good parts are served, and nothing is appended.

use std::path::Path;
use std::sync::Arc;

use super::check::{Checker, Stop, prepare};
use super::core::Segments;
use super::cut::Cut;
use super::dir::{self, Listing};
use super::progress::Progress;
use super::replay::Replay;
use super::seam::{Journaled, Known, LogRecovery, LogShared};
use crate::index::TxnIndex;
use crate::segment::{BadRange, Extent, IndexBuilder, IndexRules, Origin, Segment};
use crate::vfs::OpenMode;
use crate::{Offset, StorageError};

/// What a recovery found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) segments: Segments,
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) replay: Replay,
    pub(super) corrupt: Option<StorageError>,
}

/// A recovery at work.
pub(super) struct Recovery<'a> {
    pub(super) shared: &'a Arc<LogShared>,
    pub(super) dir: &'a Arc<Path>,
    pub(super) known: &'a Known,
    /// See [`Known::journaled`], where the files are as that says.
    pub(super) journaled: Option<&'a Journaled>,
    pub(super) rules: IndexRules,
    pub(super) progress: Progress<'a>,
    pub(super) report: &'a mut LogRecovery,
}

/// One segment file being checked.
struct Scan {
    base: Offset,
    /// The offset after the last good batch so far, in this segment or before it.
    next: Offset,
    /// Where that batch ends in this file.
    size: u64,
    builder: IndexBuilder,
    aborted: TxnIndex,
    bad: Vec<BadRange>,
}

/// How a file or the step to it was judged.
enum Verdict {
    /// The file is good to its end, or what is bad in it is noted.
    Goes,
    /// The log ends here: what follows is torn, for this reason.
    Torn(String),
}

impl<'a> Recovery<'a> {
    /// Checks the log's files from the recovery point on.
    pub(super) fn run(mut self, listing: &Listing) -> Result<Recovered, StorageError> {
        let bases: Vec<Offset> = listing.segments.iter().copied().collect();
        let first = bases.first().copied().unwrap_or(self.known.log_start);
        // Of one that ends where the recovery point is, the index files are younger than that.
        let unchecked = bases
            .partition_point(|base| *base < self.known.recovery_point)
            .saturating_sub(1);
        let mut segments = self.take_unchecked(&bases, unchecked)?;
        let sizes = bases.iter().skip(unchecked).map(|base| self.size_of(*base));
        let total = sizes.sum::<Result<u64, StorageError>>()?;
        self.progress.expect(total);
        let from = bases.get(unchecked).copied().unwrap_or(first);
        let mut replay = Replay::load(self.shared, self.dir, listing, first, from);
        replay.check_epochs(&segments, self.known.log_start)?;
        replay.catch_up(&segments, from)?;

        let mut corrupt = None;
        let mut end = if unchecked == 0 {
            self.known.log_start.min(from)
        } else {
            from
        };
        let mut cut = None;
        for (index, base) in (unchecked..).zip(bases.iter().skip(unchecked).copied()) {
            let file_index = segments.len();
            // Two segments that do not meet have lost what was between them.
            if end < base {
                if self.is_behind_durable(end) {
                    cut = Some(Cut::before(bases.get(index..).unwrap_or_default(), end));
                    break;
                }
                corrupt.get_or_insert_with(|| self.missing(end));
                self.note_gap(&segments, end, base);
            }
            let followers = bases.get(index + 1..).unwrap_or_default();
            self.remove_indexes(base, listing)?;
            let (scan, verdict) = self.scan(base, end, followers, &mut replay, &mut corrupt)?;
            end = scan.next;
            let position = scan.size;
            segments.push(self.segment(scan));
            assert_eq!(segments.len(), file_index + 1, "one segment for each file");
            if let Verdict::Torn(why) = verdict {
                cut = Some(Cut::within((base, position), followers, end, why));
                break;
            }
        }
        if let Some(cut) = cut {
            self.report.cut = cut.run(self.shared, self.dir)?;
        }
        if !self.is_behind_durable(end) && corrupt.is_none() {
            corrupt = Some(self.missing(end));
        }
        if replay.producers.end() > end {
            // All from where it began was cut: what comes there next must be taken in.
            replay = Replay::load(self.shared, self.dir, listing, first.min(end), end);
            replay.check_epochs(&segments, self.known.log_start)?;
            replay.catch_up(&segments, end)?;
        }
        self.report.corrupt = corrupt.as_ref().map(ToString::to_string);
        let start = self.known.log_start.max(first).min(end);
        Ok(Recovered {
            segments,
            start,
            end,
            replay,
            corrupt,
        })
    }

    /// Below this everything was durable, as far as anybody noted.
    fn durable_end(&self) -> Offset {
        self.known.durable_end.max(self.known.recovery_point)
    }

    /// Whether all that was durable and not deleted lies below `end`.
    fn is_behind_durable(&self, end: Offset) -> bool {
        end.max(self.known.log_start) >= self.durable_end()
    }

    fn missing(&self, found: Offset) -> StorageError {
        StorageError::Missing {
            path: self.dir.to_path_buf(),
            found,
            expected: self.durable_end(),
        }
    }

    /// Segments that end below the recovery point: their files were synced, and are taken as
    /// they are.
    fn take_unchecked(&self, bases: &[Offset], count: usize) -> Result<Segments, StorageError> {
        let nexts = bases.iter().skip(1).copied();
        let sealed = bases.iter().copied().zip(nexts).take(count);
        sealed
            .map(|(base, next)| {
                let size = self.size_of(base)?;
                let origin = Origin::Found(Extent { size, next });
                Ok(self.new_segment(base, origin))
            })
            .collect()
    }

    fn size_of(&self, base: Offset) -> Result<u64, StorageError> {
        if let Some(last) = self.journaled_last(base) {
            return Ok(last.size);
        }
        let path = dir::file_in(self.dir, base, dir::LOG);
        let stat = self.shared.vfs.stat(&path);
        let stat = stat.map_err(|e| StorageError::io("look at", &path, e))?;
        Ok(stat.map_or(0, |stat| stat.len))
    }

    /// What the journal was replayed into, if that is where the last file of it begins.
    fn journaled_last(&self, base: Offset) -> Option<&'a Journaled> {
        let journaled = self.journaled?;
        let (last, _) = journaled.segments.last_key_value()?;
        (*last == base).then_some(journaled)
    }

    fn new_segment(&self, base: Offset, origin: Origin) -> Arc<Segment> {
        Segment::new(self.shared, self.dir, base, self.rules, origin)
    }

    fn segment(&self, scan: Scan) -> Arc<Segment> {
        let extent = Extent {
            size: scan.size,
            next: scan.next.max(scan.base),
        };
        let origin = Origin::Checked {
            extent,
            index: scan.builder,
            aborted: scan.aborted,
            bad: scan.bad,
        };
        self.new_segment(scan.base, origin)
    }

    /// Notes at the end of the last segment that what follows it up to `base` is missing.
    fn note_gap(&self, segments: &Segments, end: Offset, base: Offset) {
        if let Some(last) = segments.last() {
            last.note_bad(BadRange {
                from: last.extent().size,
                to: last.extent().size,
                offset: end,
                next: base,
                why: "the file ends here, though more was durable".to_owned(),
            });
        }
    }

    /// Removes the index files of the segment at `base`, which are made anew: what is there may be
    /// of an earlier state of the segment.
    fn remove_indexes(&self, base: Offset, listing: &Listing) -> Result<(), StorageError> {
        if !listing.has_indexes(base) {
            return Ok(());
        }
        for suffix in [dir::INDEX, dir::TIME_INDEX, dir::TXN_INDEX] {
            dir::remove_if_there(&*self.shared.vfs, &dir::file_in(self.dir, base, suffix))?;
        }
        Ok(())
    }

    /// Reads and checks the segment at `base`, which must go on at `end`; `followers` are the
    /// segments behind it.
    fn scan(
        &mut self,
        base: Offset,
        end: Offset,
        followers: &[Offset],
        replay: &mut Replay,
        corrupt: &mut Option<StorageError>,
    ) -> Result<(Scan, Verdict), StorageError> {
        let path = dir::file_in(self.dir, base, dir::LOG);
        let still_open = self.journaled_last(base).and_then(|of| of.file.upgrade());
        let file = match still_open {
            Some(file) => file,
            None => {
                let opened = self.shared.vfs.open(&path, OpenMode::Write);
                opened.map_err(|e| StorageError::io("open", &path, e))?
            }
        };
        let len = match self.journaled.and_then(|of| of.segments.get(&base)) {
            // Written from the journal a moment ago, whose bytes were read from the device.
            Some(true) => self.size_of(base)?,
            Some(false) => prepare(&*file, &path, true)?,
            None => prepare(&*file, &path, self.known.synced)?,
        };
        self.report.rebuilt_indexes += 1;
        self.report.checked_bytes += len;

        let mut checker = Checker::new(&*file, base, len, &self.shared.limits);
        let mut scan = Scan {
            base,
            next: end.max(base),
            size: 0,
            builder: IndexBuilder::new(base, self.rules),
            aborted: TxnIndex::new(self.rules.bytes_max),
            bad: Vec::new(),
        };
        let mut position = 0;
        loop {
            let stop = scan.run(&mut checker, position, replay, &mut self.progress);
            let Some(stop) = stop else {
                return Ok((scan, Verdict::Goes));
            };
            let good = checker.next_good(stop.position + 1, scan.next);
            if self.is_torn(&mut checker, &stop, &scan, good, followers)? {
                return Ok((scan, Verdict::Torn(stop.why)));
            }
            corrupt.get_or_insert_with(|| StorageError::Corrupt {
                path: path.clone(),
                position: stop.position,
                why: stop.why.clone(),
            });
            let next = match good {
                Some(good) => checker.base_offset_at(good),
                None => followers.first().copied(),
            };
            scan.bad.push(BadRange {
                from: stop.position,
                to: good.unwrap_or(len),
                offset: scan.next,
                next: next.unwrap_or(scan.next),
                why: stop.why,
            });
            match good {
                Some(good) => position = good,
                None => return Ok((scan, Verdict::Goes)),
            }
        }
    }

    /// Whether the bad batch at `stop` is the torn tail of what was being written when the process
    /// or the machine stopped.
    fn is_torn(
        &self,
        checker: &mut Checker<'_>,
        stop: &Stop,
        scan: &Scan,
        good: Option<u64>,
        followers: &[Offset],
    ) -> Result<bool, StorageError> {
        if stop.unreadable || !self.is_behind_durable(scan.next) {
            return Ok(false);
        }
        // After a power cut a later write may be on the disk and an earlier one not: then the
        // earlier one's sectors are zeros, or its file is shorter.
        if checker.is_lost_write(stop) || (good.is_none() && checker.ends_early(stop)) {
            return Ok(true);
        }
        Ok(good.is_none() && !self.any_good(followers, scan.next)?)
    }

    /// Whether one of the segments has a good batch.
    fn any_good(&self, bases: &[Offset], offset: Offset) -> Result<bool, StorageError> {
        for base in bases {
            let path = dir::file_in(self.dir, *base, dir::LOG);
            let opened = self.shared.vfs.open(&path, OpenMode::Write);
            let file = opened.map_err(|e| StorageError::io("open", &path, e))?;
            let len = prepare(&*file, &path, self.known.synced)?;
            let mut checker = Checker::new(&*file, *base, len, &self.shared.limits);
            if checker.next_good(0, offset.max(*base)).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Scan {
    /// Takes in good batches from `position` on.
    fn run(
        &mut self,
        checker: &mut Checker<'_>,
        position: u64,
        replay: &mut Replay,
        progress: &mut Progress<'_>,
    ) -> Option<Stop> {
        let mut malformed = None;
        let stop = checker.run(position, self.next, |header, batch, position| {
            progress.add(batch.len() as u64);
            if malformed.is_some() {
                return;
            }
            // A control batch whose checksum is right, but whose record is not.
            match replay.apply(header, batch) {
                Ok(aborted) => aborted.into_iter().for_each(|one| self.aborted.push(one)),
                Err(e) => {
                    malformed = Some(Stop {
                        position,
                        why: e.to_string(),
                        unreadable: false,
                    });
                    return;
                }
            }
            self.builder.add(header, position);
            self.size = position + batch.len() as u64;
            self.next = header.next_offset();
        });
        malformed.or(stop)
    }
}
