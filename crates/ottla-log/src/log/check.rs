//! Reading a segment file from start to end after an unclean stop, batch by batch.
//!
//! Says where good batches end and where they go on; what that means is the recovery's business.

use std::path::Path;

use bytes::Bytes;

use crate::batch::BatchHeader;
use crate::vfs::File;
use crate::{Limits, Offset, StorageError};

/// How much is read at once.
const WINDOW: u64 = 1 << 20;

/// Where a write that never reached the disk shows: devices write whole sectors.
const SECTOR: u64 = 512;

/// Why the good batches end before the file does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Where the bad batch begins.
    pub(crate) position: u64,
    /// What is wrong with it.
    pub(crate) why: String,
    /// The device would not read it.
    pub(crate) unreadable: bool,
}

/// Reads one segment file.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    file: &'a dyn File,
    base: Offset,
    limits: &'a Limits,
    len: u64,
    window: Bytes,
    window_at: u64,
}

impl<'a> Checker<'a> {
    /// Reads `file`, which has `len` bytes, of the segment at `base`.
    pub(crate) fn new(file: &'a dyn File, base: Offset, len: u64, limits: &'a Limits) -> Self {
        Self {
            file,
            base,
            limits,
            len,
            window: Bytes::new(),
            window_at: 0,
        }
    }

    /// Reads good batches from `position` on, the first at offset `offset` or above, and hands each
    /// to `good` with its position; until the end of the file (`None`) or the first bad batch.
    pub(crate) fn run(
        &mut self,
        mut position: u64,
        mut offset: Offset,
        mut good: impl FnMut(&BatchHeader, &Bytes, u64),
    ) -> Option<Stop> {
        while position < self.len {
            match self.batch_at(position, offset) {
                Ok((header, batch)) => {
                    good(&header, &batch, position);
                    position += batch.len() as u64;
                    offset = header.next_offset();
                }
                Err(stop) => return Some(stop),
            }
        }
        None
    }

    /// The good batch at `position`, with offset `offset` or above.
    pub(crate) fn batch_at(
        &mut self,
        position: u64,
        offset: Offset,
    ) -> Result<(BatchHeader, Bytes), Stop> {
        let bad = |why: String| Stop {
            position,
            why,
            unreadable: false,
        };
        let head = self.bytes(position, BatchHeader::LEN as u64)?;
        let header = BatchHeader::parse(&head).map_err(|e| bad(e.to_string()))?;
        drop(head);
        if header.base_offset < offset {
            return Err(bad(format!(
                "the batch begins at offset {}, at least {offset} must follow",
                header.base_offset
            )));
        }
        let size = header.size_bytes() as u64;
        if size > self.len - position || header.size_bytes() > self.limits.batch_bytes_max {
            return Err(bad(format!(
                "the batch has {size} bytes, {} are left",
                self.len - position
            )));
        }
        header.check(self.limits).map_err(|e| bad(e.to_string()))?;
        if header.last_offset().get() - self.base.get() > i64::from(i32::MAX) {
            return Err(bad(format!(
                "the batch ends at offset {}, which is out of the segment's reach",
                header.last_offset()
            )));
        }
        if header.base_offset > offset && self.is_refuted(&header, position, offset) {
            return Err(bad(format!(
                "the batch begins at offset {}, which the one behind it contradicts",
                header.base_offset
            )));
        }
        let batch = self.bytes(position, size)?;
        header
            .check_crc(&batch, 0)
            .map_err(|e| bad(e.to_string()))?;
        Ok((header, batch))
    }

    /// Whether the batch behind the one at `position` begins too low for it, though not too low for
    /// what comes before: then the offset that left a gap is the wrong one. No checksum has it.
    fn is_refuted(&mut self, header: &BatchHeader, position: u64, offset: Offset) -> bool {
        let behind = position + header.size_bytes() as u64;
        let next = self.base_offset_at(behind);
        next.is_some_and(|next| offset < next && next < header.next_offset())
    }

    /// The bytes at `position`, as many as `len` if the file has them.
    fn bytes(&mut self, position: u64, len: u64) -> Result<Bytes, Stop> {
        let len = len.min(self.len.saturating_sub(position));
        let held = self.window_at..self.window_at + self.window.len() as u64;
        if !(held.start <= position && position + len <= held.end) {
            self.load(position, len)?;
        }
        // Both are within the window, which is in memory.
        let from = (position - self.window_at) as usize;
        Ok(self.window.slice(from..from + len as usize))
    }

    fn load(&mut self, position: u64, len: u64) -> Result<(), Stop> {
        let len = len.max(WINDOW).min(self.len - position);
        let unreadable = |why: String| Stop {
            position,
            why,
            unreadable: true,
        };
        let len = usize::try_from(len).map_err(|e| unreadable(e.to_string()))?;
        // The last window's memory again, unless somebody holds a part of it: fresh memory for each
        // costs more than the reading.
        let last = std::mem::take(&mut self.window).try_into_mut();
        let mut bytes = last.unwrap_or_default();
        bytes.resize(len, 0);
        self.file
            .read_exact_at(&mut bytes, position)
            .map_err(|e| unreadable(format!("it cannot be read: {e}")))?;
        self.window = bytes.freeze();
        self.window_at = position;
        Ok(())
    }

    /// The first position from `position` on at which a good batch with offset `offset` or above
    /// begins; `None` where there is none up to the end of the file, or where reading fails.
    pub(crate) fn next_good(&mut self, mut position: u64, offset: Offset) -> Option<u64> {
        const MAGIC_AT: usize = 16;
        loop {
            let window = self.bytes(position, WINDOW).ok()?;
            if window.len() < BatchHeader::LEN {
                return None;
            }
            // The magic is looked for first: one byte in 256 of noise has it.
            let last = window.len() - BatchHeader::LEN;
            for at in 0..=last {
                if window.get(at + MAGIC_AT) != Some(&2) {
                    continue;
                }
                let candidate = position + at as u64;
                if self.is_good(&window, at, candidate, offset) {
                    return Some(candidate);
                }
            }
            position += last as u64 + 1;
        }
    }

    /// The base offset of the batch at `position`; `None` where there is none.
    pub(crate) fn base_offset_at(&mut self, position: u64) -> Option<Offset> {
        let head = self.bytes(position, BatchHeader::LEN as u64).ok()?;
        let header = BatchHeader::parse(&head).ok()?;
        Some(header.base_offset)
    }

    fn is_good(&mut self, window: &Bytes, at: usize, position: u64, offset: Offset) -> bool {
        let rest = window.get(at..).unwrap_or_default();
        let plausible = BatchHeader::parse(rest).is_ok_and(|header| {
            header.base_offset >= offset
                && header.size_bytes() as u64 <= self.len - position
                && header.check(self.limits).is_ok()
        });
        plausible && self.batch_at(position, offset).is_ok()
    }

    /// Whether the batch at `stop` would go on behind the end of the file.
    pub(crate) fn ends_early(&mut self, stop: &Stop) -> bool {
        self.claimed_size(stop.position) > self.len - stop.position
    }

    /// Whether what is at `stop` looks like a write that the disk never got: where the bad batch
    /// should be, a whole sector (or what the file has of it) is zero.
    pub(crate) fn is_lost_write(&mut self, stop: &Stop) -> bool {
        let size = self.claimed_size(stop.position);
        let end = stop.position.saturating_add(size).min(self.len);
        let mut from = stop.position;
        while from < end {
            let sector_end = (from / SECTOR + 1) * SECTOR;
            let to = sector_end.min(self.len);
            match self.bytes(from, to - from) {
                Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => return true,
                Ok(_) => from = to,
                Err(_) => return false,
            }
        }
        false
    }

    /// How long the batch at `position` says it is; a header's length where that cannot be.
    fn claimed_size(&mut self, position: u64) -> u64 {
        let head = self.bytes(position, BatchHeader::LEN as u64);
        let header = head.ok().and_then(|head| BatchHeader::parse(&head).ok());
        header.map_or(BatchHeader::LEN as u64, |header| header.size_bytes() as u64)
    }
}

/// The length of a file that is about to be checked, whose bytes the device has and the cache has
/// not: what is read afterwards is what a later crash will find. `synced` says that the device has
/// them already.
pub(crate) fn prepare(file: &dyn File, path: &Path, synced: bool) -> Result<u64, StorageError> {
    if !synced {
        file.sync_data()
            .map_err(|e| StorageError::io("sync", path, e))?;
    }
    file.drop_cache()
        .map_err(|e| StorageError::io("drop the cached pages of", path, e))?;
    file.len().map_err(|e| StorageError::io("look at", path, e))
}
