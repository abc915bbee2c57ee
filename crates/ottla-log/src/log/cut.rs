//! Cutting off a torn tail, which is kept aside: nothing is dropped silently.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::dir;
use super::seal;
use super::seam::{CutTail, LogShared};
use crate::segment::seal_dir;
use crate::vfs::{File, OpenMode, Vfs};
use crate::{Offset, StorageError};

/// What a file is called that keeps a cut tail.
pub(crate) const KEPT: &str = ".cut";

/// The longest part of a log's name in that of such a file: with offset and numbers it is a name
/// that file systems take.
const NAME_LEN_MAX: usize = 180;

/// How much is copied at once.
const CHUNK: usize = 1 << 20;

/// What is to be cut: the end of one segment, and whole segments behind it.
#[derive(Debug)]
pub(super) struct Cut {
    within: Option<(Offset, u64)>,
    whole: Vec<Offset>,
    /// The first offset that goes.
    from: Offset,
    why: String,
}

impl Cut {
    /// The segment at `place.0` from position `place.1` on, and the segments at `followers`: all
    /// from offset `from` on.
    pub(super) fn within(
        place: (Offset, u64),
        followers: &[Offset],
        from: Offset,
        why: String,
    ) -> Self {
        Self {
            within: Some(place),
            whole: followers.to_vec(),
            from,
            why,
        }
    }

    /// The segments at `bases`; what was between them and `from` never reached the disk.
    pub(super) fn before(bases: &[Offset], from: Offset) -> Self {
        Self {
            within: None,
            whole: bases.to_vec(),
            from,
            why: format!("nothing from offset {from} on comes before it"),
        }
    }

    /// Keeps the bytes aside, durably, and only then cuts. Answers where they were; `None` where
    /// there was no byte.
    pub(super) fn run(
        &self,
        shared: &LogShared,
        log_dir: &Path,
    ) -> Result<Option<CutTail>, StorageError> {
        let vfs = &*shared.vfs;
        let mut tail: Option<CutTail> = None;
        let parts = self
            .within
            .into_iter()
            .chain(self.whole.iter().map(|base| (*base, 0)));
        for (base, position) in parts {
            let path = dir::file_in(log_dir, base, dir::LOG);
            let opened = vfs.open(&path, OpenMode::Write);
            let file = opened.map_err(|e| StorageError::io("open", &path, e))?;
            let kept = self.keep(shared, log_dir, &path, &*file, position)?;
            match (&mut tail, kept) {
                (_, None) => {}
                (Some(tail), Some((_, bytes))) => tail.bytes += bytes,
                (None, Some((kept, bytes))) => {
                    tail = Some(CutTail {
                        path,
                        position,
                        bytes,
                        why: self.why.clone(),
                        kept,
                    });
                }
            }
        }
        if tail.is_some() {
            sync_dir(vfs, &shared.cut_dir)?;
        }
        self.unseal(shared, log_dir)?;
        // From the last to the first: a crash in between leaves a tail that is torn all the same.
        for base in self.whole.iter().rev() {
            for suffix in dir::SEGMENT_SUFFIXES {
                dir::remove_if_there(vfs, &dir::file_in(log_dir, *base, suffix))?;
            }
        }
        sync_dir(vfs, log_dir)?;
        if let Some((base, position)) = self.within {
            let path = dir::file_in(log_dir, base, dir::LOG);
            let opened = vfs.open(&path, OpenMode::Write);
            opened
                .and_then(|file| {
                    file.set_len(position)?;
                    file.sync_data()
                })
                .map_err(|e| StorageError::io("cut", &path, e))?;
        }
        Ok(tail)
    }
}

impl Cut {
    /// Removes the seals of what is cut, durably.
    fn unseal(&self, shared: &LogShared, log_dir: &Path) -> Result<(), StorageError> {
        let dir = seal_dir(&shared.seal_dir, log_dir);
        let within = self.within.into_iter().map(|(base, _)| base);
        let mut removed = false;
        for base in within.chain(self.whole.iter().copied()) {
            removed |= seal::remove(&*shared.vfs, &dir.join(dir::name_of(base, dir::SEAL)))?;
        }
        if removed {
            seal::sync(&*shared.vfs, &dir)?;
        }
        Ok(())
    }
}

impl Cut {
    /// Copies what `file` has from `position` on into a file of its own; `None` where it has
    /// nothing.
    fn keep(
        &self,
        shared: &LogShared,
        log_dir: &Path,
        path: &Path,
        file: &dyn File,
        position: u64,
    ) -> Result<Option<(PathBuf, u64)>, StorageError> {
        let len = file
            .len()
            .map_err(|e| StorageError::io("look at", path, e))?;
        if len <= position {
            return Ok(None);
        }
        make_cut_dir(shared)?;
        make_room(shared, len - position)?;
        let log = log_dir.file_name().unwrap_or_default().to_string_lossy();
        let (kept, copy) = new_file(shared, &name(&log, self.from))?;
        let copied = (|| {
            let mut at = position;
            let mut chunk = vec![0; CHUNK];
            while at < len {
                let want = CHUNK.min(usize::try_from(len - at).unwrap_or(CHUNK));
                let part = chunk.get_mut(..want).unwrap_or_default();
                file.read_exact_at(part, at)?;
                copy.write_all_at(&mut [IoSlice::new(part)], at - position)?;
                at += want as u64;
            }
            copy.sync_data()
        })();
        copied.map_err(|e| StorageError::io("copy a cut tail to", &kept, e))?;
        Ok(Some((kept, len - position)))
    }
}

/// How the files begin that keep what was cut of `log` from offset `from` on: the name of its
/// directory, of which a long topic's is cut short, and the offset.
fn name(log: &str, from: Offset) -> String {
    let number = log.rsplit_once('-').map_or("", |(_, number)| number);
    let log = match log.get(..NAME_LEN_MAX) {
        Some(topic) if log.len() > NAME_LEN_MAX => format!("{topic}-{number}"),
        _ => log.to_owned(),
    };
    format!("{log}.{:020}", from.get())
}

/// Lets go of the oldest of what is kept, where it would be too much with `bytes` more. The new
/// one is kept, however large.
fn make_room(shared: &LogShared, bytes: u64) -> Result<(), StorageError> {
    let dir = &shared.cut_dir;
    let entries = shared.vfs.list(dir);
    let entries = entries.map_err(|e| StorageError::io("list", dir, e))?;
    let mut kept = Vec::new();
    for entry in entries
        .into_iter()
        .filter(|e| !e.is_dir && e.name.ends_with(KEPT))
    {
        let path = dir.join(entry.name);
        let stat = shared.vfs.stat(&path);
        let stat = stat.map_err(|e| StorageError::io("look at", &path, e))?;
        kept.extend(stat.map(|stat| (stat.modified, path, stat.len)));
    }
    kept.sort();
    let mut total: u64 = kept.iter().map(|(_, _, len)| len).sum();
    for (_, path, len) in kept {
        if total.saturating_add(bytes) <= shared.limits.cut_bytes_max {
            break;
        }
        tracing::warn!(path = %path.display(), bytes = len, "an old cut tail makes room");
        dir::remove_if_there(&*shared.vfs, &path)?;
        total = total.saturating_sub(len);
    }
    Ok(())
}

/// A file in the directory of cut tails whose name no earlier one has.
fn new_file(
    shared: &LogShared,
    stem: &str,
) -> Result<(PathBuf, std::sync::Arc<dyn File>), StorageError> {
    let mut number = 0_u64;
    loop {
        let path = shared.cut_dir.join(format!("{stem}.{number}{KEPT}"));
        match shared.vfs.open(&path, OpenMode::CreateNew) {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(StorageError::io("create", &path, e)),
        }
    }
}

fn make_cut_dir(shared: &LogShared) -> Result<(), StorageError> {
    let path = &shared.cut_dir;
    match shared.vfs.create_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(StorageError::io("make the directory", path, e)),
        Ok(()) => {}
    }
    path.parent()
        .map_or(Ok(()), |parent| sync_dir(&*shared.vfs, parent))
}

fn sync_dir(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    vfs.sync_dir(path)
        .map_err(|e| StorageError::io("sync the directory", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_topic_has_a_name_that_file_systems_take() {
        let topic = "t".repeat(249);
        let name = name(&format!("{topic}-2147483647"), Offset::new(i64::MAX));
        assert!(
            name.ends_with("t-2147483647.09223372036854775807"),
            "{name}"
        );
        let longest = format!("{name}.{}{KEPT}", u64::MAX);
        assert!(longest.len() <= 255, "{} bytes", longest.len());
        assert_eq!(
            super::name("a-b-7", Offset::ZERO),
            "a-b-7.00000000000000000000"
        );
    }
}
