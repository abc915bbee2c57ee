//! A compaction at work, one segment a step.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::Turn;
use super::filter::{Filter, Kept, LastBatches, end_of};
use super::keys::KeyMap;
use super::output::{self, Output};
use super::plan::Plan;
use super::transactions::{End, Finder, Tracker};
use crate::batch::{BatchHeader, Records};
use crate::index::AbortedTransaction;
use crate::log::check::Checker;
use crate::log::config::LogConfig;
use crate::log::core::LogCore;
use crate::segment::{Segment, Wait};
use crate::{Offset, StorageError, Timestamp};

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    /// Everything below the offset is compacted.
    Done(Offset),
    /// Segments left the log meanwhile.
    Overtaken,
}

/// One compaction of one log.
#[derive(Debug)]
pub(super) struct Job {
    plan: Plan,
    now: Timestamp,
    horizon: Timestamp,
    segment_bytes: u64,
    keys: KeyMap,
    /// The keys of everything from the first dirty offset up to this are in the map.
    mapped_to: Offset,
    transactions: Tracker,
    stage: Stage,
    _turn: Turn,
}

#[derive(Debug)]
enum Stage {
    /// Looks which transactions were aborted; the next segment is the one of this number.
    Find(Finder, usize),
    /// Notes keys.
    Map(Tracker, usize),
    /// Copies.
    Copy(Copying),
}

/// The groups that are copied, and the copy that is being made.
#[derive(Debug)]
struct Copying {
    groups: Vec<Range<usize>>,
    group: usize,
    /// The next source.
    source: usize,
    outputs: Vec<Output>,
    last_batches: LastBatches,
    /// Something was left out, or several become one.
    changes: bool,
}

impl Job {
    pub(super) fn new(turn: Turn, plan: Plan, config: &LogConfig, now: Timestamp) -> Self {
        let first = plan.first_dirty;
        let keys = usize::try_from(plan.end.get() - first.get()).unwrap_or(usize::MAX);
        let begin = plan.decided.partition_point(|s| s.extent().next <= first);
        let retention = config.delete_retention.as_millis();
        let retention = i64::try_from(retention).unwrap_or(i64::MAX);
        Self {
            keys: KeyMap::new(keys, config.compaction_map_bytes),
            mapped_to: first,
            now,
            horizon: now.get().saturating_add(retention).into(),
            segment_bytes: config.segment_bytes.into(),
            transactions: Tracker::default(),
            stage: Stage::Find(Finder::default(), begin),
            plan,
            _turn: turn,
        }
    }

    pub(super) const fn first_dirty(&self) -> Offset {
        self.plan.first_dirty
    }

    /// Deletes what was written and is not part of the log.
    pub(super) fn discard(&mut self, log: &LogCore) {
        if let Stage::Copy(copying) = &mut self.stage {
            output::discard(log, &std::mem::take(&mut copying.outputs));
        }
    }

    /// Whether a segment that is still to be worked on has left the log.
    pub(super) fn is_overtaken(&self, log: &LogCore) -> bool {
        let (segments, done) = match &self.stage {
            Stage::Find(..) => (&self.plan.decided, 0),
            Stage::Map(..) => (&self.plan.segments, 0),
            Stage::Copy(copying) => {
                let group = copying.groups.get(copying.group);
                (&self.plan.segments, group.map_or(0, |group| group.start))
            }
        };
        let there = log.segments.load();
        let is_there = |segment: &Arc<Segment>| there.iter().any(|s| Arc::ptr_eq(s, segment));
        !segments.iter().skip(done).all(is_there)
    }

    /// Works on one segment.
    pub(super) fn step(&mut self, log: &LogCore) -> Result<Progress, StorageError> {
        match &mut self.stage {
            Stage::Find(finder, next) => {
                let Some(segment) = self.plan.decided.get(*next) else {
                    self.transactions = Tracker::new(std::mem::take(finder).into_aborted());
                    let dirty = self.plan.first_dirty;
                    let begin = self
                        .plan
                        .segments
                        .partition_point(|s| s.extent().next <= dirty);
                    self.stage = Stage::Map(self.transactions.clone(), begin);
                    return Ok(Progress::More);
                };
                find(log, segment, &self.plan, finder)?;
                *next += 1;
                Ok(Progress::More)
            }
            Stage::Map(_, next) => {
                let next = *next;
                self.map(log, next)
            }
            Stage::Copy(_) => self.copy(log),
        }
    }

    /// Notes the keys of a segment.
    fn map(&mut self, log: &LogCore, index: usize) -> Result<Progress, StorageError> {
        let Stage::Map(tracker, next) = &mut self.stage else {
            return Ok(Progress::More);
        };
        let Some(segment) = self.plan.segments.get(index) else {
            self.begin_copy();
            return Ok(Progress::More);
        };
        *next += 1;
        let (keys, mapped_to) = (&mut self.keys, &mut self.mapped_to);
        let dirty = self.plan.first_dirty;
        let mut is_full = false;
        each_batch(log, segment, |header, batch, _| {
            let limits = &log.shared.limits;
            let mut room = true;
            if header.attributes.is_control() {
                let records = Records::open(header, batch, limits).map_err(|e| e.to_string())?;
                tracker.control(header, end_of(&records)?);
            } else if !tracker.data(header) && header.last_offset() >= dirty {
                let records = Records::open(header, batch, limits).map_err(|e| e.to_string())?;
                for record in &records {
                    let record = record.map_err(|e| e.to_string())?;
                    if let Some(key) = record.key
                        && record.offset >= dirty
                    {
                        room = room && keys.put(key, record.offset);
                    }
                }
            }
            if room {
                *mapped_to = header.next_offset().max(*mapped_to);
            }
            is_full = !room;
            Ok(room)
        })?;
        if is_full {
            self.begin_copy();
        } else {
            self.mapped_to = self.mapped_to.max(segment.extent().next);
        }
        Ok(Progress::More)
    }

    fn begin_copy(&mut self) {
        let dirty = |segment: &&Arc<Segment>| segment.base() < self.mapped_to;
        let sources = self.plan.segments.iter().take_while(dirty).count();
        let sources = self.plan.segments.get(..sources).unwrap_or_default();
        self.stage = Stage::Copy(Copying {
            groups: groups(sources, self.segment_bytes),
            group: 0,
            source: 0,
            outputs: Vec::new(),
            last_batches: LastBatches::new(),
            changes: false,
        });
    }

    /// Copies a segment; puts the copy in place once its group is whole.
    fn copy(&mut self, log: &LogCore) -> Result<Progress, StorageError> {
        let Stage::Copy(copying) = &mut self.stage else {
            return Ok(Progress::More);
        };
        if self.mapped_to <= self.plan.first_dirty {
            return Ok(Progress::Done(self.mapped_to));
        }
        let Some(group) = copying.groups.get(copying.group).cloned() else {
            return Ok(Progress::Done(self.mapped_to));
        };
        let sources = self.plan.segments.get(group).unwrap_or_default();
        let (Some(first), Some(last)) = (sources.first(), sources.last()) else {
            return Ok(Progress::Done(self.mapped_to));
        };
        let Some(source) = sources.get(copying.source) else {
            let end = last.extent().next;
            let outputs = &mut copying.outputs;
            if !copying.changes {
                output::discard(log, &std::mem::take(outputs));
            } else if !log.replace(sources, outputs, end, self.now)? {
                return Ok(Progress::Overtaken);
            }
            copying.group += 1;
            copying.source = 0;
            return Ok(Progress::More);
        };
        if copying.source == 0 {
            copying.last_batches = log.appender().producers.last_batches();
            copying.changes = sources.len() > 1;
            copying.outputs.push(Output::begin(log, first.base())?);
        }
        copying.source += 1;
        let is_last = copying.source == sources.len();
        let size = source.extent().size;
        let (outputs, changes) = (&mut copying.outputs, &mut copying.changes);
        let mut filter = Filter {
            keys: &self.keys,
            mapped_to: self.mapped_to,
            tracker: &mut self.transactions,
            last_batches: &copying.last_batches,
            now: self.now,
            horizon: self.horizon,
            limits: &log.shared.limits,
        };
        let mut aborted = Vec::new();
        source.collect_aborted(source.base(), Offset::new(i64::MAX), &mut aborted)?;
        let mut failed = None;
        each_batch(log, source, |header, batch, position| {
            let must_stay = is_last && position + batch.len() as u64 == size;
            let kept = match filter.apply(header, batch, must_stay)? {
                Kept::Nothing => {
                    *changes = true;
                    return Ok(true);
                }
                Kept::AsItIs => batch.clone(),
                Kept::Changed(kept) => {
                    *changes = true;
                    kept
                }
            };
            let header = BatchHeader::parse(&kept).map_err(|e| e.to_string())?;
            failed = put(log, outputs, &header, &kept, &aborted).err();
            Ok(failed.is_none())
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(Progress::More),
        }
    }
}

/// Adds a batch to the last of `outputs`, or to a new one where that has no room. With a marker
/// goes its entry in `aborted`, for as long as the marker has a record.
fn put(
    log: &LogCore,
    outputs: &mut Vec<Output>,
    header: &BatchHeader,
    batch: &Bytes,
    aborted: &[AbortedTransaction],
) -> Result<(), StorageError> {
    let full = outputs
        .last()
        .filter(|last| !last.has_room(header, batch.len()));
    if let Some(full) = full {
        // Where the full one ends, so that the two meet.
        let next = Output::begin(log, full.next)?;
        outputs.push(next);
    }
    let Some(last) = outputs.last_mut() else {
        return Ok(());
    };
    let entry = aborted.binary_search_by_key(&header.last_offset(), |one| one.last_offset);
    if let Some(entry) = entry.ok().and_then(|at| aborted.get(at))
        && header.record_count > 0
    {
        last.add_aborted(*entry);
    }
    last.add(log, header, batch)
}

/// Shows the transactions of `segment` that are decided to `finder`. The last stable offset may
/// lie between a transaction and its end, where another one is open.
fn find(
    log: &LogCore,
    segment: &Segment,
    plan: &Plan,
    finder: &mut Finder,
) -> Result<(), StorageError> {
    let size = segment.extent().size;
    if size == 0 {
        return Ok(());
    }
    let file = segment.file()?;
    let mut walk = segment.walk(&*file, Wait::Allowed, 0..size);
    while let Some(step) = walk.next().map_err(|e| segment.walk_error(e))? {
        let is_behind = step.header.base_offset >= plan.last_stable;
        let is_done = is_behind && !finder.is_open_below(plan.last_stable);
        if is_done || step.next_offset() > plan.committed {
            break;
        }
        if !step.header.attributes.is_control() {
            finder.data(&step.header);
            continue;
        }
        let len = step.header.size_bytes() as u64;
        let batch = segment
            .read(&*file, step.position, len, Wait::Allowed)
            .map_err(|e| segment.walk_error(e))?;
        let corrupt = |why| segment.corrupt(step.position, why);
        let records = Records::open(&step.header, &batch, &log.shared.limits);
        let records = records.map_err(|e| corrupt(e.to_string()))?;
        let committed = match end_of(&records).map_err(corrupt)? {
            End::Commit => Some(true),
            End::Abort => Some(false),
            End::Emptied | End::Other => None,
        };
        finder.control(&step.header, committed);
    }
    Ok(())
}

/// Reads and checks the batches of a sealed segment, and hands each to `each` with its position,
/// until that answers `false`.
fn each_batch(
    log: &LogCore,
    segment: &Segment,
    mut each: impl FnMut(&BatchHeader, &Bytes, u64) -> Result<bool, String>,
) -> Result<(), StorageError> {
    let size = segment.extent().size;
    if size == 0 {
        return Ok(());
    }
    // What is bad must not get a checksum of its own.
    let touched = segment.touch(0, size, Wait::Allowed);
    touched.map_err(|e| segment.walk_error(e))?;
    segment.check_whole()?;
    let file = segment.file()?;
    let limits = &log.shared.limits;
    let mut checker = Checker::new(&*file, segment.base(), size, limits);
    let (mut position, mut offset) = (0, segment.base());
    while position < size {
        let read = checker.batch_at(position, offset);
        let (header, batch) = read.map_err(|stop| segment.corrupt(stop.position, stop.why))?;
        if !each(&header, &batch, position).map_err(|why| segment.corrupt(position, why))? {
            break;
        }
        position += batch.len() as u64;
        offset = header.next_offset();
    }
    Ok(())
}

/// Puts neighbours together, as many as were not too large for one segment before.
fn groups(sources: &[Arc<Segment>], segment_bytes: u64) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut size, mut base) = (0, Offset::ZERO);
    for (index, source) in sources.iter().enumerate() {
        let extent = source.extent();
        let reach = extent.next.get() - base.get();
        let fits = size + extent.size <= segment_bytes && reach <= i64::from(i32::MAX);
        match groups.last_mut() {
            Some(group) if fits => {
                group.end = index + 1;
                size += extent.size;
            }
            _ => {
                groups.push(index..index + 1);
                (size, base) = (extent.size, source.base());
            }
        }
    }
    groups
}
