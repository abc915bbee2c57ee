//! Reading the journal after a stop: which rounds are there, which of them count, and whether one
//! that should be there is not.
//!
//! A round is believed only where its head carries the directory's key and everything it covers
//! matches. The rounds that count are found from the last whole one backwards, each naming the one
//! before it, down to the highest `low` seen: what a crash tore or a failed attempt left behind is
//! named by nobody. A link that is missing is damage, never a crash: a round was synced before the
//! next one was begun.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StorageError;
use crate::vfs::{File, OpenMode, Vfs};

use super::area_path;
use super::format::{self, BLOCK, Entry, HEAD_LEN, Head, Key, What};

/// How many bytes are read at once.
const WINDOW: usize = 256 * 1024;

/// What the journal's files hold.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The rounds that count, in their order.
    pub(crate) rounds: Vec<ScannedRound>,
    /// The areas as they are.
    pub(super) areas: [ScannedArea; 2],
    /// The area that the last round is in.
    pub(super) active: usize,
    /// The last whole round's number; 0 for none.
    pub(super) last_sequence: u64,
    /// Higher than any number seen.
    pub(super) next_sequence: u64,
    /// What stands where the round after the last one would: it begins as one does, and its head is
    /// damaged. No crash leaves such a thing, nor does a write that stops within a round, whose
    /// head is good. Who looks while somebody writes may meet a head that is half written.
    pub(crate) suspect: Option<Damage>,
    files: [Option<Arc<dyn File>>; 2],
}

/// One area as it was found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScannedArea {
    pub(super) exists: bool,
    pub(super) len: u64,
    /// Behind the last round that counts.
    pub(super) end: u64,
    pub(super) first_live: Option<u64>,
}

/// One round that counts.
#[derive(Debug)]
pub(crate) struct ScannedRound {
    /// The file it is in.
    pub(crate) area: usize,
    /// Its number.
    pub(crate) sequence: u64,
    /// What it says.
    pub(crate) entries: Vec<Entry>,
    /// Where its data begins in the area's file.
    pub(crate) data_position: u64,
    /// Which entries' data does not match its checksum.
    pub(crate) damaged: Vec<usize>,
}

/// A round that should be there is not, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The area's file.
    pub(crate) path: PathBuf,
    /// Where in it.
    pub(crate) position: u64,
    /// What is wrong.
    pub(crate) why: String,
}

/// Why the journal cannot be read.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The file system answered with an error.
    Storage(StorageError),
    /// The journal is damaged.
    Damaged(Damage),
}

impl From<StorageError> for ScanError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}

/// A head and where it stands.
#[derive(Clone, Copy, Debug)]
struct Found {
    area: usize,
    position: u64,
    head: Head,
    len: u64,
}

impl Scan {
    /// An empty journal that goes on after whatever the files hold: nothing in them counts. They
    /// are cut to `len` bytes first.
    pub(crate) fn ignoring(
        vfs: &dyn Vfs,
        dir: &Path,
        key: Key,
        len: u64,
    ) -> Result<Self, StorageError> {
        let mut scan = Self::default();
        let mut highest = 0;
        for area in 0..2 {
            let path = area_path(dir, area);
            let Some(file) = open(vfs, &path, OpenMode::Write)? else {
                continue;
            };
            let io = |e| StorageError::io("cut", &path, e);
            if file.len().map_err(io)? > len {
                file.set_len(len).map_err(io)?;
            }
            let found = heads(&*file, area, key).map_err(|e| StorageError::io("read", &path, e))?;
            let found = found.rounds;
            highest = highest.max(found.iter().map(|f| f.head.sequence).max().unwrap_or(0));
            scan.areas[area] = ScannedArea {
                exists: true,
                len: file.len().map_err(io)?,
                end: 0,
                first_live: None,
            };
        }
        scan.next_sequence = highest + 1;
        Ok(scan)
    }

    /// Reads both areas from the device, not from the page cache.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path, key: Key) -> Result<Self, ScanError> {
        let mut areas = [None, None];
        for (area, place) in areas.iter_mut().enumerate() {
            let path = area_path(dir, area);
            let Some(file) = open(vfs, &path, OpenMode::Write)? else {
                continue;
            };
            let io = |e| StorageError::io("read", &path, e);
            // Written back and dropped: what the last process could not write is not believed.
            file.sync_data().map_err(io)?;
            file.drop_cache().map_err(io)?;
            *place = Some(file);
        }
        vfs.sync_dir(dir)
            .map_err(|e| StorageError::io("sync the directory", dir, e))?;
        Self::of(dir, key, areas)
    }

    /// Reads both areas as they are, for who only looks: somebody may be writing them.
    pub(crate) fn look(vfs: &dyn Vfs, dir: &Path, key: Key) -> Result<Self, ScanError> {
        let open = |area| open(vfs, &area_path(dir, area), OpenMode::Read);
        Self::of(dir, key, [open(0)?, open(1)?])
    }

    fn of(dir: &Path, key: Key, files: [Option<Arc<dyn File>>; 2]) -> Result<Self, ScanError> {
        let mut scan = Self::default();
        let (mut found, mut damaged) = (Vec::new(), [Vec::new(), Vec::new()]);
        for ((area, file), damaged) in files.iter().enumerate().zip(&mut damaged) {
            let Some(file) = file else { continue };
            let path = area_path(dir, area);
            let io = |e| StorageError::io("read", &path, e);
            let heads = heads(&**file, area, key).map_err(io)?;
            found.extend(heads.rounds);
            *damaged = heads.damaged;
            scan.areas[area].exists = true;
            scan.areas[area].len = file.len().map_err(io)?;
        }
        scan.files = files;
        found.sort_by_key(|f| f.head.sequence);
        scan.next_sequence = found.last().map_or(0, |f| f.head.sequence) + 1;
        let files = &scan.files;
        for (round, found) in (Chain { dir, files }).follow(&found)? {
            scan.last_sequence = round.sequence;
            scan.active = round.area;
            let area = &mut scan.areas[round.area];
            area.end = found.position + found.len;
            area.first_live.get_or_insert(round.sequence);
            scan.rounds.push(round);
        }
        let (last, other) = (scan.active, 1 - scan.active);
        let next = [(last, scan.areas[last].end), (other, 0)];
        let is_suspect = |(area, position): &&(usize, u64)| damaged[*area].contains(position);
        scan.suspect = next.iter().find(is_suspect).map(|(area, position)| Damage {
            path: area_path(dir, *area),
            position: *position,
            why: "the head of a flush round is damaged; if it was the last one, what was made \
                  durable with it is lost"
                .to_owned(),
        });
        Ok(scan)
    }

    /// Higher than the number of any round that was seen.
    pub(crate) const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Hands the `len` bytes at `position` of an area to `take`, piece by piece.
    pub(crate) fn data<E: From<io::Error>>(
        &self,
        area: usize,
        mut position: u64,
        len: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(file) = self.files.get(area).and_then(Option::as_ref) else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        let end = position + len;
        let mut window = Window::new(&**file, end);
        while position < end {
            let bytes = window.some(position, end - position)?;
            take(bytes)?;
            position += bytes.len() as u64;
        }
        Ok(())
    }
}

fn open(vfs: &dyn Vfs, path: &Path, mode: OpenMode) -> Result<Option<Arc<dyn File>>, StorageError> {
    match vfs.open(path, mode) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StorageError::io("open", path, e)),
    }
}

/// What is in one area.
#[derive(Debug, Default)]
struct Heads {
    rounds: Vec<Found>,
    /// Where something begins as a round does, and has no good head.
    damaged: Vec<u64>,
}

/// All heads in `file`, in their order; bytes inside a round are not looked at.
fn heads(file: &dyn File, area: usize, key: Key) -> io::Result<Heads> {
    let file_len = file.len()?;
    let mut window = Window::new(file, file_len);
    let mut found = Heads::default();
    let mut position = 0;
    while position + HEAD_LEN as u64 <= file_len {
        let block = window.at(position, HEAD_LEN)?;
        let head = format::decode_head(key, block);
        let fits = |len: &u64| {
            position
                .checked_add(*len)
                .is_some_and(|end| end <= file_len)
        };
        let is_damaged = head.is_none() && format::begins_a_round(block);
        position += match head.and_then(|head| Some((head, head.round_len().filter(fits)?))) {
            Some((head, len)) => {
                found.rounds.push(Found {
                    area,
                    position,
                    head,
                    len,
                });
                len
            }
            None => {
                // A good head whose round does not fit is of a write that stopped within it, on a
                // full device or by a kill: it was never reported durable.
                if is_damaged {
                    found.damaged.push(position);
                }
                BLOCK
            }
        };
    }
    Ok(found)
}

/// Follows the rounds from the last one back to the first that counts.
struct Chain<'s> {
    dir: &'s Path,
    files: &'s [Option<Arc<dyn File>>; 2],
}

impl Chain<'_> {
    /// The rounds that count, in their order. `found` is sorted by sequence.
    fn follow(&self, found: &[Found]) -> Result<Vec<(ScannedRound, Found)>, ScanError> {
        let low = found.iter().map(|f| f.head.low).max().unwrap_or(0);
        let mut rest = found;
        let mut rounds = Vec::new();
        let Some(mut wanted) = found.last().map(|f| f.head.sequence) else {
            return Ok(rounds);
        };
        while wanted >= low && wanted > 0 {
            let is_last = rest.len() == found.len();
            let index = rest.partition_point(|f| f.head.sequence < wanted);
            let f = rest.get(index).filter(|f| f.head.sequence == wanted);
            let f = f.ok_or_else(|| self.missing(wanted, rounds.last()))?;
            match self.read(f) {
                // Nothing was begun after it: torn by a crash, never reported durable. Its head
                // still says which round is the last that was.
                Ok(round) if is_last && !round.damaged.is_empty() => {}
                Err(ScanError::Damaged(_)) if is_last => {}
                Ok(round) => rounds.push((round, *f)),
                Err(e) => return Err(e),
            }
            wanted = f.head.previous;
            rest = rest.get(..index).unwrap_or_default();
        }
        rounds.reverse();
        Ok(rounds)
    }

    fn missing(&self, sequence: u64, later: Option<&(ScannedRound, Found)>) -> ScanError {
        ScanError::Damaged(Damage {
            path: area_path(self.dir, later.map_or(0, |(_, f)| f.area)),
            position: later.map_or(0, |(_, f)| f.position),
            why: format!("round {sequence} was made durable before the one here, yet is not there"),
        })
    }

    fn read(&self, f: &Found) -> Result<ScannedRound, ScanError> {
        let path = area_path(self.dir, f.area);
        let io = |e| ScanError::Storage(StorageError::io("read", &path, e));
        let damage = |why: &str| {
            ScanError::Damaged(Damage {
                path: path.clone(),
                position: f.position,
                why: why.to_owned(),
            })
        };
        let Some(file) = self.files.get(f.area).and_then(Option::as_ref) else {
            return Err(damage("the file is gone"));
        };
        // The head's length was checked against the file's.
        let mut list = vec![0; f.head.entries_len as usize];
        file.read_exact_at(&mut list, f.position + HEAD_LEN as u64)
            .map_err(io)?;
        let entries = format::decode_entries(&f.head, &list).map_err(damage)?;
        let data_position = f.position + f.head.data_start();
        let damaged = damaged_entries(&**file, data_position, &entries).map_err(io)?;
        Ok(ScannedRound {
            area: f.area,
            sequence: f.head.sequence,
            entries,
            data_position,
            damaged,
        })
    }
}

/// The entries whose data does not match its checksum.
fn damaged_entries(file: &dyn File, data: u64, entries: &[Entry]) -> io::Result<Vec<usize>> {
    let lens = entries.iter().map(|entry| match entry.what {
        What::Data(range) => u64::from(range.len),
        _ => 0,
    });
    let mut window = Window::new(file, data + lens.sum::<u64>());
    let mut position = data;
    let mut damaged = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let What::Data(range) = entry.what else {
            continue;
        };
        if window.crc(position, u64::from(range.len))? != range.crc {
            damaged.push(index);
        }
        position += u64::from(range.len);
    }
    Ok(damaged)
}

/// Reads a file up to `end` through a buffer of bounded size.
struct Window<'f> {
    file: &'f dyn File,
    /// Nothing behind it is read: most rounds and pieces are much smaller than the buffer.
    end: u64,
    buf: Vec<u8>,
    start: u64,
}

impl<'f> Window<'f> {
    const fn new(file: &'f dyn File, end: u64) -> Self {
        Self {
            file,
            end,
            buf: Vec::new(),
            start: 0,
        }
    }

    /// `len` bytes at `position`; fewer at the file's end.
    fn at(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let end = self.start + self.buf.len() as u64;
        if position < self.start || position + len as u64 > end {
            self.fill(position)?;
        }
        let skip = usize::try_from(position - self.start).unwrap_or(usize::MAX);
        let rest = self.buf.get(skip..).unwrap_or_default();
        Ok(rest.get(..len).unwrap_or(rest))
    }

    fn fill(&mut self, position: u64) -> io::Result<()> {
        let left = self.end.saturating_sub(position);
        let len = usize::try_from(left).unwrap_or(WINDOW).min(WINDOW);
        self.buf.resize(len, 0);
        let mut filled = 0;
        while let Some(rest) = self.buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, position + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.buf.truncate(filled);
        self.start = position;
        Ok(())
    }

    /// At least one of the `len` bytes at `position`.
    fn some(&mut self, position: u64, len: u64) -> io::Result<&[u8]> {
        let len = usize::try_from(len).unwrap_or(WINDOW).min(WINDOW);
        let bytes = self.at(position, len)?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// The checksum of `len` bytes at `position`.
    fn crc(&mut self, mut position: u64, len: u64) -> io::Result<u32> {
        let mut crc = crc32fast::Hasher::new();
        let end = position + len;
        while position < end {
            let bytes = self.some(position, end - position)?;
            crc.update(bytes);
            position += bytes.len() as u64;
        }
        Ok(crc.finalize())
    }
}

/// The checksum of `len` bytes at `position` of a file.
pub(crate) fn file_crc(file: &dyn File, position: u64, len: u64) -> io::Result<u32> {
    Window::new(file, position + len).crc(position, len)
}
