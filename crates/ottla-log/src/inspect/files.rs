//! Which files of a log there are.

use std::path::{Path, PathBuf};

use crate::log::KEPT;
use crate::log::dir::{self, Listing};
use crate::vfs::Vfs;
use crate::{Offset, StorageError};

/// A file of a log, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InspectedFile {
    /// `.log`: record batches, from this offset on.
    Segment(Offset),
    /// `.index`: where batches begin.
    OffsetIndex(Offset),
    /// `.timeindex`: the largest timestamps so far.
    TimeIndex(Offset),
    /// `.txnindex`: aborted transactions.
    TxnIndex(Offset),
    /// `.snapshot`: the producers at this offset.
    Producers(Offset),
    /// `leader-epoch-checkpoint`.
    Epochs,
    /// `partition.metadata`.
    Metadata,
}

impl InspectedFile {
    /// What the file at `path` is; `None` where its name is none of a log's.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match name {
            dir::EPOCHS => return Some(Self::Epochs),
            dir::METADATA => return Some(Self::Metadata),
            _ => {}
        }
        let (base, suffix) = dir::split(name)?;
        Some(match suffix {
            dir::LOG => Self::Segment(base),
            dir::INDEX => Self::OffsetIndex(base),
            dir::TIME_INDEX => Self::TimeIndex(base),
            dir::TXN_INDEX => Self::TxnIndex(base),
            dir::SNAPSHOT => Self::Producers(base),
            _ => return None,
        })
    }
}

/// The directories of logs at `path`: itself, those in it (Kafka's `log.dirs`), or those of the
/// data directory that it is; in the order of their names.
///
/// # Errors
/// [`StorageError::Io`] where a directory cannot be listed.
pub fn log_dirs(vfs: &dyn Vfs, path: &Path) -> Result<Vec<PathBuf>, StorageError> {
    if is_log(vfs, path)? {
        return Ok(vec![path.to_path_buf()]);
    }
    let inner = path.join("kafka");
    let stat = vfs.stat(&inner);
    let stat = stat.map_err(|e| StorageError::io("look at", &inner, e))?;
    let root = if stat.is_some() { &*inner } else { path };
    let entries = vfs.list(root);
    let entries = entries.map_err(|e| StorageError::io("list", root, e))?;
    let mut dirs = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.is_dir) {
        let dir = root.join(entry.name);
        if is_log(vfs, &dir)? {
            dirs.push(dir);
        }
    }
    dirs.sort();
    Ok(dirs)
}

/// A torn tail that a recovery cut off a log, and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptTail {
    /// The file.
    pub path: PathBuf,
    /// The name of the log's directory; a very long topic's is cut short.
    pub log: String,
    /// The first offset that was cut off.
    pub offset: Offset,
    /// How many bytes.
    pub bytes: u64,
}

/// What recoveries have cut off the logs of the data directory at `path`, and kept; in the order
/// of their names. Nothing where `path` is no data directory.
///
/// # Errors
/// [`StorageError::Io`] where a directory cannot be listed.
pub fn kept_tails(vfs: &dyn Vfs, path: &Path) -> Result<Vec<KeptTail>, StorageError> {
    let dir = path.join("ottla/cut");
    let stat = |path: &Path| {
        let stat = vfs.stat(path);
        stat.map_err(|e| StorageError::io("look at", path, e))
    };
    if stat(&dir)?.is_none() {
        return Ok(Vec::new());
    }
    let entries = vfs.list(&dir);
    let entries = entries.map_err(|e| StorageError::io("list", &dir, e))?;
    let mut tails = Vec::new();
    for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
        let path = dir.join(&entry.name);
        let kept = parse_kept(&entry.name).zip(stat(&path)?);
        tails.extend(kept.map(|((log, offset), stat)| KeptTail {
            path,
            log,
            offset,
            bytes: stat.len,
        }));
    }
    tails.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(tails)
}

/// The log and the offset that the name of such a file says.
fn parse_kept(name: &str) -> Option<(String, Offset)> {
    let (name, _number) = name.strip_suffix(KEPT)?.rsplit_once('.')?;
    let (log, offset) = name.rsplit_once('.')?;
    Some((log.to_owned(), Offset::new(offset.parse().ok()?)))
}

fn is_log(vfs: &dyn Vfs, path: &Path) -> Result<bool, StorageError> {
    let listing = match Listing::read(vfs, path) {
        // Deleted meanwhile.
        Err(_) if vfs.stat(path).is_ok_and(|stat| stat.is_none()) => return Ok(false),
        listing => listing?,
    };
    Ok(listing.metadata || !listing.segments.is_empty())
}
