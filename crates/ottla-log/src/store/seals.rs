//! Whether the seals that are found, and the offsets, speak for the files that are found.
//!
//! Apache Kafka may have run on `DIR/kafka` since the last stop. It knows nothing of seals, and may
//! have cut or compacted segments. A clean stop leaves a note beside its mark; the first change
//! takes both away. So a mark of Kafka's, or a note without a mark, tells that somebody else
//! changed the files, and neither seals nor our own offsets count.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::StorageError;
use crate::checkpoint::{self, CleanShutdown};
use crate::log::dir;
use crate::vfs::{OpenMode, Vfs};

use super::rounds::MARKER;

/// The directory of the seals in `DIR/ottla`.
pub(super) const SEALS: &str = "seals";
/// The note of a clean stop, empty.
pub(super) const AT_REST: &str = "at-rest";

/// The longest mark that is read; Kafka's has about 40 bytes.
const MARKER_BYTES_MAX: usize = 4096;

/// Removes all seals, durably, where somebody else may have changed what they speak for, and those
/// of logs that `is_there` does not know.
pub(super) fn sort_out(
    vfs: &dyn Vfs,
    own: &Path,
    is_foreign: bool,
    is_there: impl Fn(&str) -> bool,
) -> Result<(), StorageError> {
    let seals = own.join(SEALS);
    if !exists(vfs, &seals)? {
        return Ok(());
    }
    let entries = vfs.list(&seals);
    let entries = entries.map_err(|e| StorageError::io("list", &seals, e))?;
    for entry in entries.into_iter().filter(|entry| entry.is_dir) {
        if is_foreign || !is_there(&entry.name) {
            remove_all(vfs, &seals.join(&entry.name), is_foreign)?;
        }
    }
    Ok(())
}

/// Whether somebody else may have changed the files since the last stop.
pub(super) fn was_changed(vfs: &dyn Vfs, kafka: &Path, own: &Path) -> Result<bool, StorageError> {
    let mark = checkpoint::read(vfs, &kafka.join(MARKER), MARKER_BYTES_MAX)?;
    Ok(match mark {
        Some(mark) => CleanShutdown::decode(&mark) != Some(CleanShutdown::OURS),
        None => exists(vfs, &own.join(AT_REST))?,
    })
}

/// Removes the seals of one log; for good where the removal `is_durable`. It need not be where the
/// log is gone: no seal counts for another topic's.
pub(super) fn remove_all(vfs: &dyn Vfs, dir: &Path, is_durable: bool) -> Result<(), StorageError> {
    let failed = |doing| move |e| StorageError::io(doing, dir, e);
    let entries = match vfs.list(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed("list"))?,
    };
    let files: Vec<_> = entries.into_iter().filter(|entry| !entry.is_dir).collect();
    for entry in &files {
        dir::remove_if_there(vfs, &dir.join(&entry.name))?;
    }
    if is_durable && !files.is_empty() {
        vfs.sync_dir(dir).map_err(failed("sync the directory"))?;
    }
    // Of no use any more, and of no harm.
    let _ = vfs.remove_dir(dir);
    Ok(())
}

/// Notes that the files are at rest. The caller syncs the directory before the mark is left.
pub(super) fn note_rest(vfs: &dyn Vfs, own: &Path) -> Result<(), StorageError> {
    let path = own.join(AT_REST);
    let file = vfs.open(&path, OpenMode::Create);
    file.and_then(|file| file.write_all_at(&mut [IoSlice::new(b"")], 0))
        .map_err(|e| StorageError::io("make", &path, e))
}

/// Takes the note away. The caller syncs the directory before anything changes: where a power cut
/// brings the note back, Kafka's files count again, which may say less.
pub(super) fn forget_rest(vfs: &dyn Vfs, own: &Path) -> Result<(), StorageError> {
    dir::remove_if_there(vfs, &own.join(AT_REST))
}

fn exists(vfs: &dyn Vfs, path: &Path) -> Result<bool, StorageError> {
    let stat = vfs.stat(path);
    let stat = stat.map_err(|e| StorageError::io("look at", path, e))?;
    Ok(stat.is_some())
}
