//! The journal: what makes a flush round over many partitions cost one write and one sync.
//!
//! Two files, `journal-0` and `journal-1`, each an area that fills from its start. While one fills,
//! the partition files of the other's rounds are synced in the background; then a round with a
//! higher `low` is written, and only after that the other area is overwritten from its start. An
//! area is grown by writing zeros ahead of its end together with a round, so that later rounds
//! overwrite blocks that exist and their sync carries no metadata.
//!
//! It knows neither logs nor targets: who may free an area is decided by [`super::rounds`].

mod area;
mod format;
pub(super) mod fuzz;
mod removal;
mod scan;

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::dirs::Dirs;
use crate::StorageError;
use crate::clock::Clock;
use crate::log::dir;
use crate::vfs::Vfs;

use area::Area;
use format::Place;
pub(crate) use format::{BLOCK, Entry, Key, Range, What};
pub(crate) use scan::{Scan, ScanError, ScannedRound, file_crc};

/// How long an area is at first: a first start writes no megabytes.
pub(crate) const AREA_BYTES_FIRST: u64 = 128 * 1024;

/// An area is never smaller: it has to hold notes, the round that frees the other one, and some.
const AREA_BYTES_MIN: u64 = 12 * BLOCK;

/// How many zeros are written ahead at most when an area grows.
const GROWTH_BYTES_MAX: u64 = 1024 * 1024;

/// What rounds with data leave free at an area's end, for rounds of notes alone.
const NOTE_ROOM: u64 = 8 * BLOCK;

/// What rounds of notes leave free: the round that frees the other area must always fit.
const RELEASE_ROOM: u64 = BLOCK;

/// Pieces up to this length are copied together; longer ones are written from where they are.
const COPY_BYTES_MAX: usize = 512;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The files of the journal. One caller at a time.
#[derive(Debug)]
pub(crate) struct Journal {
    vfs: Arc<dyn Vfs>,
    dirs: Arc<Dirs>,
    key: Key,
    area_bytes_max: u64,
    areas: [Area; 2],
    active: usize,
    next_sequence: u64,
    /// The last round that was made durable; 0 for none.
    previous: u64,
    failed: Option<Arc<StorageError>>,
}

/// Where a round was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its sequence number.
    pub(crate) sequence: u64,
    /// 0 or 1.
    pub(crate) area: usize,
}

/// Why a round was not written.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// The device is full, or both areas are. Nothing is lost: the round's data can be made
    /// durable in the partition files.
    NoRoom,
    /// A write or a sync failed, now or earlier. The journal takes no further round.
    Failed(Arc<StorageError>),
}

impl Journal {
    /// The journal in `dirs.own`, which goes on after what `scan` found there.
    pub(super) fn new(
        vfs: Arc<dyn Vfs>,
        dirs: Arc<Dirs>,
        key: Key,
        area_bytes_max: u64,
        scan: &Scan,
    ) -> Self {
        let area = |index: usize| Area {
            path: area_path(dirs.own.path(), index),
            file: None,
            exists: scan.areas[index].exists,
            is_named: scan.areas[index].exists,
            len: scan.areas[index].len,
            end: scan.areas[index].end,
            first: scan.areas[index].first_live,
            capped: false,
        };
        Self {
            vfs,
            key,
            area_bytes_max: area_bytes_max.max(AREA_BYTES_MIN),
            areas: [area(0), area(1)],
            dirs,
            active: scan.active,
            next_sequence: scan.next_sequence,
            previous: scan.last_sequence,
            failed: None,
        }
    }

    /// The number that the next round gets: every round written so far has a lower one.
    pub(crate) const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The area that rounds go to.
    pub(crate) const fn active(&self) -> usize {
        self.active
    }

    /// Whether a round in `area` is still needed by a recovery.
    pub(crate) fn is_live(&self, area: usize) -> bool {
        self.areas[area].first.is_some()
    }

    /// Why the journal takes no round any more.
    pub(crate) fn failure(&self) -> Option<&Arc<StorageError>> {
        self.failed.as_ref()
    }

    /// Whether a file of the journal may be on the disk.
    pub(crate) fn exists(&self) -> bool {
        self.areas.iter().any(|area| area.exists)
    }

    /// Writes one round and syncs it. `data` are the bytes of the entries that have some, in
    /// their order.
    pub(crate) fn write(&mut self, entries: &[Entry], data: &[Bytes]) -> Result<Placed, Refused> {
        let room = if data.is_empty() {
            RELEASE_ROOM
        } else {
            NOTE_ROOM
        };
        self.write_round(room, self.low(None), entries, data)
    }

    /// Declares the rounds in `area` unneeded: all they say is durable elsewhere. Durable on
    /// return; only then may the area be overwritten.
    pub(crate) fn release(&mut self, area: usize) -> Result<(), Refused> {
        assert!(area != self.active, "area {area} is being written to");
        if self.is_live(area) {
            self.write_round(0, self.low(Some(area)), &[], &[])?;
            self.areas[area].first = None;
        }
        Ok(())
    }

    /// Declares every round written so far unneeded, durably.
    pub(crate) fn void(&mut self) -> Result<(), Refused> {
        let placed = self.write_round(0, self.next_sequence, &[], &[])?;
        for (index, area) in self.areas.iter_mut().enumerate() {
            area.first = (index == placed.area).then_some(placed.sequence);
        }
        Ok(())
    }

    /// Makes the active area's file where it is missing, then times `count` rounds without
    /// entries. They also mark in the journal that it was opened.
    pub(crate) fn time_syncs(
        &mut self,
        clock: &dyn Clock,
        count: usize,
    ) -> Result<Vec<Duration>, Refused> {
        let needed = (count as u64 + 1) * BLOCK + NOTE_ROOM;
        if self.areas[self.active].room() < needed {
            self.write_round(needed, self.low(None), &[], &[])?;
        }
        (0..count)
            .map(|_| {
                let before = clock.monotonic();
                self.write(&[], &[])?;
                Ok(clock.monotonic().saturating_sub(before))
            })
            .collect()
    }

    /// Lets areas grow again that could not while the device was full.
    pub(crate) fn uncap(&mut self) {
        for area in &mut self.areas {
            area.capped = false;
        }
    }

    /// Writes a round and syncs it, with `room` bytes left free behind it.
    fn write_round(
        &mut self,
        room: u64,
        low: u64,
        entries: &[Entry],
        data: &[Bytes],
    ) -> Result<Placed, Refused> {
        // No number of a failed attempt is needed, whatever is found of it.
        let is_void = low == self.next_sequence;
        loop {
            if let Some(cause) = &self.failed {
                return Err(Refused::Failed(Arc::clone(cause)));
            }
            let sequence = self.next_sequence;
            let place = Place {
                sequence,
                previous: self.previous,
                low: if is_void { sequence } else { low },
            };
            let head = format::encode(self.key, place, entries);
            let len = head.len() as u64 + data.iter().map(|d| d.len() as u64).sum::<u64>();
            let round_len = format::padded(len).ok_or(Refused::NoRoom)?;
            let spot = self.spot(round_len, room).ok_or(Refused::NoRoom)?;
            if spot.area != self.active {
                self.switch();
            }
            let put = self.put(head, data, round_len, spot.grow_to);
            // A failed attempt may still be found whole: its number is never used again.
            self.next_sequence += 1;
            match put {
                Ok(()) => return Ok(self.placed(sequence)),
                Err(Put::Full) if spot.grow_to.is_none() => return Err(Refused::NoRoom),
                Err(Put::Full) => self.areas[self.active].capped = true,
                Err(Put::Failed(cause)) => self.failed = Some(Arc::new(cause)),
            }
        }
    }

    /// The lowest sequence that a recovery needs once the next round is written, with `released`
    /// not needed any more.
    fn low(&self, released: Option<usize>) -> u64 {
        let kept = (0..2).filter(|index| Some(*index) != released);
        let firsts = kept.filter_map(|index| self.areas[index].first);
        firsts.min().unwrap_or(self.next_sequence)
    }

    /// Which area takes a round of `len` bytes that must leave `room` free behind it, and how long
    /// the area's file has to become for it.
    fn spot(&self, len: u64, room: u64) -> Option<Spot> {
        let (active, other) = (self.active, 1 - self.active);
        let end = |area: usize| {
            let start = if area == active {
                self.areas[area].end
            } else {
                0
            };
            start.checked_add(len)?.checked_add(room)
        };
        let as_is = |area: usize| {
            let fits = end(area)? <= self.areas[area].len;
            fits.then_some(Spot {
                area,
                grow_to: None,
            })
        };
        let grown = |area: usize| {
            let end = end(area)?;
            let (now, capped) = (self.areas[area].len, self.areas[area].capped);
            let ahead = now.clamp(AREA_BYTES_FIRST, GROWTH_BYTES_MAX);
            let grow_to = end.max(now + ahead).min(self.area_bytes_max.max(now));
            (!capped && end <= grow_to).then_some(Spot {
                area,
                grow_to: format::padded(grow_to),
            })
        };
        let is_free = self.areas[other].first.is_none();
        as_is(active)
            .or_else(|| grown(active))
            .or_else(|| is_free.then(|| as_is(other).or_else(|| grown(other)))?)
    }

    fn switch(&mut self) {
        self.active = 1 - self.active;
        let area = &mut self.areas[self.active];
        assert!(area.first.is_none(), "an area with needed rounds is reused");
        area.end = 0;
    }

    fn put(
        &mut self,
        head: Vec<u8>,
        data: &[Bytes],
        round_len: u64,
        grow_to: Option<u64>,
    ) -> Result<(), Put> {
        let area = &mut self.areas[self.active];
        let path = area.path.clone();
        let failed = |doing, source| {
            Put::Failed(StorageError::Io {
                doing,
                path: path.clone(),
                source: Arc::new(source),
            })
        };
        // Without a file handle to spare the round goes another way, as on a full device.
        let file = area.open(&*self.vfs).map_err(|_| Put::Full)?;
        let pieces = Pieces::new(head, data);
        let padding = round_len - pieces.len;
        let ahead = grow_to.map_or(0, |len| len.saturating_sub(area.end + round_len));
        let mut slices = pieces.slices();
        push_zeros(&mut slices, padding + ahead);
        match file.write_all_at(&mut slices, area.end) {
            Ok(()) => {}
            Err(e) if is_full(&e) => return Err(self.without_room()),
            Err(e) => {
                area.exists = true;
                return Err(failed("write a flush round to", e));
            }
        }
        area.exists = true;
        file.sync_data().map_err(|e| failed("sync", e))?;
        if !area.is_named {
            self.dirs.own.sync().map_err(Put::Failed)?;
            area.is_named = true;
        }
        area.len = area.len.max(area.end + round_len + ahead);
        area.end += round_len;
        Ok(())
    }

    /// The active area's file has no room for a round. One that was made for it goes: the round
    /// may be in it, whole, and nothing that comes without a journal would say that it counts for
    /// nothing.
    fn without_room(&mut self) -> Put {
        let area = &mut self.areas[self.active];
        if area.exists {
            return Put::Full;
        }
        area.exists = true;
        area.file = None;
        let removed = dir::remove_if_there(&*self.vfs, &area.path);
        match removed.and_then(|()| self.dirs.own.sync()) {
            Ok(()) => {
                area.is_gone();
                Put::Full
            }
            Err(cause) => Put::Failed(cause),
        }
    }

    fn placed(&mut self, sequence: u64) -> Placed {
        self.previous = sequence;
        self.areas[self.active].first.get_or_insert(sequence);
        Placed {
            sequence,
            area: self.active,
        }
    }
}

/// Why a round could not be put into its area.
enum Put {
    /// The device is full or no file can be opened, found out before anything was synced.
    Full,
    /// Anything else: what the file holds from now on is not known.
    Failed(StorageError),
}

#[derive(Clone, Copy, Debug)]
struct Spot {
    area: usize,
    grow_to: Option<u64>,
}

/// The bytes of a round in as few pieces as is worth copying for.
struct Pieces {
    pieces: Vec<Bytes>,
    len: u64,
}

impl Pieces {
    fn new(head: Vec<u8>, data: &[Bytes]) -> Self {
        let len = head.len() as u64 + data.iter().map(|d| d.len() as u64).sum::<u64>();
        let mut pieces = Vec::new();
        let mut copied = head;
        for bytes in data {
            if bytes.len() <= COPY_BYTES_MAX {
                copied.extend_from_slice(bytes);
            } else {
                pieces.push(std::mem::take(&mut copied).into());
                pieces.push(bytes.clone());
            }
        }
        pieces.push(copied.into());
        Self { pieces, len }
    }

    fn slices(&self) -> Vec<IoSlice<'_>> {
        let pieces = self.pieces.iter().filter(|piece| !piece.is_empty());
        pieces.map(|piece| IoSlice::new(piece)).collect()
    }
}

fn push_zeros(slices: &mut Vec<IoSlice<'_>>, mut len: u64) {
    while len > 0 {
        let part = ZEROS.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        slices.push(IoSlice::new(ZEROS.get(..part).unwrap_or(&ZEROS)));
        len -= part as u64;
    }
}

fn is_full(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The path of an area's file.
pub(crate) fn area_path(dir: &Path, area: usize) -> PathBuf {
    dir.join(area_name(area))
}

/// The name of an area's file.
const fn area_name(area: usize) -> &'static str {
    if area == 0 { "journal-0" } else { "journal-1" }
}

#[cfg(test)]
mod tests;
