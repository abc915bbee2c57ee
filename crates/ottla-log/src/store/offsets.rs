//! `DIR/ottla/offsets`: for each log what Kafka's checkpoint files say of it, with a checksum.
//!
//! Kafka's files have none: a flipped bit there makes another offset. So they are written for
//! Kafka, and read where it ran since; otherwise this file counts. It holds its text twice and is
//! changed in place, one half after the other: a crash or a bit tears one of them, and a full
//! device has room for it all the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint;
use crate::log::dir;
use crate::vfs::{File, OpenMode, Vfs};
use crate::{LogId, Offset, StorageError, TopicName};

use super::dirs::{Dir, Dirs};
use super::text;

/// The file's name.
pub(super) const OFFSETS: &str = "offsets";

/// Halves are as long as blocks of disks and pages of memory, or several.
const BLOCK: usize = 4096;

const DIFFER: &str = "its halves differ";

/// What is noted of one log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogOffsets {
    /// Below this its files are synced.
    pub(super) recovery_point: Offset,
    /// The first offset.
    pub(super) log_start: Offset,
    /// Below this everything was compacted.
    pub(super) cleaned: Offset,
}

/// What is noted of each log.
pub(super) type Offsets = BTreeMap<LogId, LogOffsets>;

/// What an open found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What the file says; `None` where there is none, or none that can be read.
    pub(super) offsets: Option<Offsets>,
    /// What is wrong with a half of it.
    pub(super) damage: Option<&'static str>,
    pub(super) file: OffsetsFile,
}

/// The file, to be written.
#[derive(Debug, Default)]
pub(super) struct OffsetsFile {
    /// The number of what it says; rises with every attempt to change it.
    sequence: u64,
    /// Where it may be changed in place.
    place: Option<Place>,
}

/// A file that is there.
#[derive(Clone, Debug)]
struct Place {
    /// The bytes of a half.
    room: usize,
    /// The half that is whole for sure, so that the other one is written first.
    good: usize,
    /// Somebody was killed while he wrote the good half: the disk may not have it yet.
    is_unsure: bool,
    file: Option<Arc<dyn File>>,
}

/// Reads the file, which has two halves of at most `bytes_max` bytes.
pub(super) fn read(vfs: &dyn Vfs, own: &Path, bytes_max: usize) -> Result<Found, StorageError> {
    let bytes = match checkpoint::read(vfs, &own.join(OFFSETS), bytes_max.saturating_mul(2)) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(Found::default()),
        Err(StorageError::Corrupt { .. }) => {
            return Ok(Found {
                damage: Some("it is longer than it may be"),
                ..Found::default()
            });
        }
        Err(error) => return Err(error),
    };
    let room = bytes.len() / 2;
    let halves = [bytes.get(..room), bytes.get(room..)].map(|half| decode(half.unwrap_or(&[])));
    let (good, (sequence, offsets), damage) = match halves {
        [Ok(first), Ok(second)] if first == second => (0, first, None),
        [Ok(first), Ok(second)] if first.0 < second.0 => (1, second, Some(DIFFER)),
        [Ok(first), Ok(_)] => (0, first, Some(DIFFER)),
        [Ok(first), Err(why)] => (0, first, Some(why)),
        [Err(why), Ok(second)] => (1, second, Some(why)),
        [Err(why), Err(_)] => {
            return Ok(Found {
                damage: Some(why),
                ..Found::default()
            });
        }
    };
    let place = Place {
        room,
        good,
        is_unsure: damage.is_some(),
        file: None,
    };
    Ok(Found {
        offsets: Some(offsets),
        damage,
        file: OffsetsFile {
            sequence,
            place: bytes.len().is_multiple_of(2).then_some(place),
        },
    })
}

/// Has the file say nothing any more, for good: somebody else changed what it speaks of.
pub(super) fn void(vfs: &dyn Vfs, own: &Dir) -> Result<(), StorageError> {
    let path = own.path().join(OFFSETS);
    let stat = vfs.stat(&path);
    let stat = stat.map_err(|e| StorageError::io("look at", &path, e))?;
    if stat.is_none() {
        return Ok(());
    }
    dir::remove_if_there(vfs, &path)?;
    own.sync()
}

impl OffsetsFile {
    /// Whether it may be changed in place.
    pub(super) const fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// Writes `offsets`, durably. After an error the file says what it said, or this.
    pub(super) fn write(
        &mut self,
        vfs: &dyn Vfs,
        dirs: &Dirs,
        offsets: &Offsets,
    ) -> Result<(), StorageError> {
        self.sequence += 1;
        let text = encode(self.sequence, offsets);
        match self.place.take().filter(|place| text.len() <= place.room) {
            Some(mut place) => {
                let written = place.write(vfs, &dirs.own, &text);
                // After any other error nobody knows what the disk has of it.
                if matches!(written, Ok(()) | Err(Failed::Full(_))) {
                    self.place = Some(place);
                }
                written.map_err(|(Failed::Full(error) | Failed::Lost(error))| error)?;
            }
            None => {
                // With room to grow in place.
                let room = (text.len() + text.len() / 2).next_multiple_of(BLOCK);
                let mut bytes = text;
                bytes.resize(room, 0);
                bytes.extend_from_within(..);
                dirs.own.replace(OFFSETS, &bytes)?;
                dirs.own.sync()?;
                self.place = Some(Place {
                    room,
                    good: 0,
                    is_unsure: false,
                    file: None,
                });
            }
        }
        Ok(())
    }
}

/// Why it could not be changed in place.
enum Failed {
    /// There is no space even for that; a half is whole.
    Full(StorageError),
    /// The disk failed.
    Lost(StorageError),
}

impl Place {
    fn write(&mut self, vfs: &dyn Vfs, own: &Dir, text: &[u8]) -> Result<(), Failed> {
        let path = &own.path().join(OFFSETS);
        let failed = |doing| move |e| Failed::Lost(StorageError::io(doing, path, e));
        let file = match self.file.take() {
            Some(file) => file,
            None => vfs.open(path, OpenMode::Write).map_err(failed("open"))?,
        };
        let mut half = text.to_vec();
        half.resize(self.room, 0);
        let sync = || file.sync_data().map_err(failed("sync"));
        if self.is_unsure {
            sync()?;
            self.is_unsure = false;
        }
        for _ in 0..2 {
            let other = 1 - self.good;
            let written = file.write_all_at(&mut [IoSlice::new(&half)], (other * self.room) as u64);
            if let Err(e) = written {
                self.file = Some(Arc::clone(&file));
                return Err(match StorageError::io("write", path, e) {
                    full @ StorageError::NoSpace { .. } => Failed::Full(full),
                    error => Failed::Lost(error),
                });
            }
            sync()?;
            self.good = other;
        }
        self.file = Some(file);
        Ok(())
    }
}

/// One half of the file, without the zeros behind it.
pub(super) fn encode(sequence: u64, offsets: &Offsets) -> Vec<u8> {
    let mut out = format!("version=1\nsequence={sequence}\n");
    for (id, of) in offsets {
        let (topic, partition) = (id.topic(), id.partition());
        let [point, start, cleaned] = [of.recovery_point, of.log_start, of.cleaned];
        // Writing to a string does not fail.
        let _ = writeln!(out, "{topic} {partition} {point} {start} {cleaned}");
    }
    text::seal(out)
}

fn decode(half: &[u8]) -> Result<(u64, Offsets), &'static str> {
    let len = half.iter().rposition(|byte| *byte != 0);
    let text = text::unseal(half.get(..=len.unwrap_or(0)).unwrap_or_default())?;
    let mut lines = text.lines();
    if lines.next() != Some("version=1") {
        return Err("its version is not 1");
    }
    let sequence = lines.next().and_then(|line| line.strip_prefix("sequence="));
    let sequence = sequence.and_then(|number| number.parse().ok());
    let sequence = sequence.ok_or("it has no sequence")?;
    let entries = lines.map(|line| entry(line).ok_or("a line is malformed"));
    Ok((sequence, entries.collect::<Result<_, _>>()?))
}

fn entry(line: &str) -> Option<(LogId, LogOffsets)> {
    let mut fields = line.split(' ');
    let topic = TopicName::new(fields.next()?).ok()?;
    let partition: i32 = fields.next()?.parse().ok().filter(|p| *p >= 0)?;
    let mut offset = || {
        let offset: i64 = fields.next()?.parse().ok()?;
        (offset >= 0).then(|| Offset::new(offset))
    };
    let offsets = LogOffsets {
        recovery_point: offset()?,
        log_start: offset()?,
        cleaned: offset()?,
    };
    let is_all = fields.next().is_none();
    is_all.then(|| (LogId::new(topic, partition), offsets))
}

#[cfg(test)]
mod tests;
