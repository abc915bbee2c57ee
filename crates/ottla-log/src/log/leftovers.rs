//! Files that an interrupted change left in a log's directory: deleted ones, half written ones, and
//! compacted segments that were about to take the place of others (`../docs/FORMAT.md`).

use std::path::Path;

use super::dir::{self, Listing};
use super::seam::LogShared;
use crate::segment::{Wait, Walk, WalkError};
use crate::vfs::OpenMode;
use crate::{Offset, StorageError};

/// Clears them away; `listing` says afterwards what is there. Answers whether a name changed.
pub(super) fn clear(
    shared: &LogShared,
    log_dir: &Path,
    listing: &mut Listing,
) -> Result<bool, StorageError> {
    // A compaction that was interrupted before all its output was there is undone: its output
    // from the first unfinished file on goes, the originals are still there.
    if let Some(unfinished) = listing.cleaned.first().copied() {
        let withdrawn = listing.swaps.split_off(&unfinished);
        for base in &withdrawn {
            let path = dir::file_in(log_dir, *base, dir::LOG_SWAP);
            dir::remove_if_there(&*shared.vfs, &path)?;
        }
        if !withdrawn.is_empty() {
            // Before the unfinished one goes, which says that these do not count.
            sync(shared, log_dir)?;
        }
    }
    let mut changed = !listing.leftovers.is_empty();
    for name in std::mem::take(&mut listing.leftovers) {
        dir::remove_if_there(&*shared.vfs, &log_dir.join(name))?;
    }
    listing.cleaned.clear();
    for base in std::mem::take(&mut listing.swaps) {
        complete_swap(shared, log_dir, listing, base)?;
        changed = true;
    }
    // Files that belong to a segment that is not there.
    let segments = &listing.segments;
    for (bases, suffix) in [
        (&mut listing.indexes, dir::INDEX),
        (&mut listing.time_indexes, dir::TIME_INDEX),
        (&mut listing.txn_indexes, dir::TXN_INDEX),
    ] {
        let orphans: Vec<Offset> = bases.difference(segments).copied().collect();
        for base in orphans {
            dir::remove_if_there(&*shared.vfs, &dir::file_in(log_dir, base, suffix))?;
            bases.remove(&base);
            changed = true;
        }
    }
    Ok(changed)
}

/// The compacted segment at `base` is complete: it takes the place of those whose range it covers.
fn complete_swap(
    shared: &LogShared,
    log_dir: &Path,
    listing: &mut Listing,
    base: Offset,
) -> Result<(), StorageError> {
    let swap = dir::file_in(log_dir, base, dir::LOG_SWAP);
    let next = end_of(shared, &swap, base)?;
    let covered: Vec<Offset> = listing.segments.range(base..next).copied().collect();
    for old in covered {
        for suffix in [dir::LOG, dir::INDEX, dir::TIME_INDEX, dir::TXN_INDEX] {
            // The new file replaces the one of its own name in one step.
            if (old, suffix) != (base, dir::LOG) {
                dir::remove_if_there(&*shared.vfs, &dir::file_in(log_dir, old, suffix))?;
            }
        }
        listing.segments.remove(&old);
        listing.indexes.remove(&old);
        listing.time_indexes.remove(&old);
        listing.txn_indexes.remove(&old);
    }
    // No index of the old file may be found beside the new one.
    sync(shared, log_dir)?;
    let path = dir::file_in(log_dir, base, dir::LOG);
    let renamed = shared.vfs.rename(&swap, &path);
    renamed.map_err(|e| StorageError::io("rename a compacted segment to", &path, e))?;
    listing.segments.insert(base);
    Ok(())
}

fn sync(shared: &LogShared, log_dir: &Path) -> Result<(), StorageError> {
    let synced = shared.vfs.sync_dir(log_dir);
    synced.map_err(|e| StorageError::io("sync the directory", log_dir, e))
}

/// The offset after the last batch of the file at `path`.
fn end_of(shared: &LogShared, path: &Path, base: Offset) -> Result<Offset, StorageError> {
    let opened = shared.vfs.open(path, OpenMode::Read);
    let file = opened.map_err(|e| StorageError::io("open", path, e))?;
    let len = file
        .len()
        .map_err(|e| StorageError::io("look at", path, e))?;
    let mut next = base.plus(1);
    let mut walk = Walk::new(&*file, Wait::Allowed, 0, len, base);
    loop {
        match walk.next() {
            Ok(Some(step)) => next = step.next_offset(),
            // What is wrong with it is found when it is checked as a segment.
            Ok(None) | Err(WalkError::Bad { .. } | WalkError::WouldBlock) => return Ok(next),
            Err(WalkError::Io(e)) => return Err(StorageError::io("read", path, e)),
            Err(WalkError::Storage(e)) => return Err(e),
        }
    }
}
