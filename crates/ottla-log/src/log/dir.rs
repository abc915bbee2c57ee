//! A log's directory: its file names, what is in it, and how it comes to be.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::PartitionMetadata;
use crate::vfs::{File, OpenMode, Vfs};
use crate::{LogId, Offset, StorageError, TopicId};

/// Record batches.
pub(crate) const LOG: &str = ".log";
/// Offset index.
pub(crate) const INDEX: &str = ".index";
/// Time index.
pub(crate) const TIME_INDEX: &str = ".timeindex";
/// Aborted transactions.
pub(crate) const TXN_INDEX: &str = ".txnindex";
/// Producer state.
pub(crate) const SNAPSHOT: &str = ".snapshot";
/// A segment's seal, which is not in the log's directory.
pub(crate) const SEAL: &str = ".seal";
/// Marks a file whose segment is no longer part of the log.
pub(crate) const DELETED: &str = ".deleted";
/// Marks a file half written by compaction.
const CLEANED: &str = ".cleaned";
/// Marks a compacted file that is to take the place of others.
const SWAP: &str = ".swap";
/// Record batches that compaction writes.
pub(crate) const LOG_CLEANED: &str = ".log.cleaned";
/// Record batches that compaction wrote, which are to take the place of others.
pub(crate) const LOG_SWAP: &str = ".log.swap";
/// Marks a file half written by us.
pub(crate) const TMP: &str = ".tmp";

/// The leader epochs and where each began.
pub(crate) const EPOCHS: &str = "leader-epoch-checkpoint";
/// The topic's id.
pub(crate) const METADATA: &str = "partition.metadata";

/// The kinds of files that come and go with a segment.
pub(crate) const SEGMENT_SUFFIXES: [&str; 5] = [LOG, INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT];

/// The path of the file of kind `suffix` that belongs to offset `base`.
pub(crate) fn file_in(dir: &Path, base: Offset, suffix: &str) -> PathBuf {
    dir.join(name_of(base, suffix))
}

/// The name of the file of kind `suffix` that belongs to offset `base`.
pub(crate) fn name_of(base: Offset, suffix: &str) -> String {
    format!("{:020}{suffix}", base.get())
}

/// The longest name of a file or directory that file systems take.
const NAME_LEN_MAX: usize = 255;

/// The name that a log's directory gets when it is no longer of use: `<topic>-<partition>`, 32 hex
/// digits, and `-delete` or `-stray`. Kafka accepts such names; a long topic's is cut short.
pub(crate) fn name_aside(id: &LogId, unique: u128, suffix: &str) -> String {
    let tail = format!("-{}.{unique:032x}{suffix}", id.partition());
    let mut topic = id.topic().as_str();
    // Topic names are ASCII.
    topic = topic.get(..NAME_LEN_MAX - tail.len()).unwrap_or(topic);
    format!("{topic}{tail}")
}

/// What a log's directory holds. Names that are none of a log's are left alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Base offsets of the `.log` files.
    pub(crate) segments: BTreeSet<Offset>,
    /// Base offsets of the `.index` files.
    pub(crate) indexes: BTreeSet<Offset>,
    /// Base offsets of the `.timeindex` files.
    pub(crate) time_indexes: BTreeSet<Offset>,
    /// Base offsets of the `.txnindex` files.
    pub(crate) txn_indexes: BTreeSet<Offset>,
    /// Offsets of the `.snapshot` files.
    pub(crate) snapshots: BTreeSet<Offset>,
    /// Base offsets of the `.log.swap` files.
    pub(crate) swaps: BTreeSet<Offset>,
    /// Base offsets of the `.log.cleaned` files; each is among the leftovers too.
    pub(crate) cleaned: BTreeSet<Offset>,
    /// Names of files that an interrupted change left behind and that hold nothing of the log.
    pub(crate) leftovers: Vec<String>,
    /// Whether `partition.metadata` is there.
    pub(crate) metadata: bool,
    /// Whether `leader-epoch-checkpoint` is there.
    pub(crate) epochs: bool,
}

impl Listing {
    /// Lists `dir`.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Self, StorageError> {
        let entries = vfs
            .list(dir)
            .map_err(|e| StorageError::io("list", dir, e))?;
        let mut listing = Self::default();
        for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
            listing.note(entry.name);
        }
        Ok(listing)
    }

    /// Whether an index file of the segment at `base` is there.
    pub(crate) fn has_indexes(&self, base: Offset) -> bool {
        let kinds = [&self.indexes, &self.time_indexes, &self.txn_indexes];
        kinds.iter().any(|bases| bases.contains(&base))
    }

    fn note(&mut self, name: String) {
        match name.as_str() {
            METADATA => self.metadata = true,
            EPOCHS => self.epochs = true,
            _ if [DELETED, CLEANED, TMP].iter().any(|s| name.ends_with(s)) => {
                if let Some((base, LOG_CLEANED)) = split(&name) {
                    self.cleaned.insert(base);
                }
                self.leftovers.push(name);
            }
            _ => match split(&name) {
                Some((base, LOG)) => _ = self.segments.insert(base),
                Some((base, INDEX)) => _ = self.indexes.insert(base),
                Some((base, TIME_INDEX)) => _ = self.time_indexes.insert(base),
                Some((base, TXN_INDEX)) => _ = self.txn_indexes.insert(base),
                Some((base, SNAPSHOT)) => _ = self.snapshots.insert(base),
                Some((base, LOG_SWAP)) => _ = self.swaps.insert(base),
                // The index of a swapped segment is made anew from the segment.
                Some((_, suffix)) if suffix.ends_with(SWAP) => self.leftovers.push(name),
                _ => {}
            },
        }
    }
}

/// Splits a name into its 20-digit offset and the rest; `None` where it does not begin so.
pub(crate) fn split(name: &str) -> Option<(Offset, &str)> {
    let (digits, suffix) = name.split_at_checked(20)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((Offset::new(digits.parse().ok()?), suffix))
}

/// `path` with `suffix` added to its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes a file of which a reader, after a crash too, sees all or nothing. The name becomes
/// durable with the next sync of the directory.
pub(crate) fn write_complete(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let (tmp, file) = write_tmp(vfs, path, bytes)?;
    file.sync_data()
        .map_err(|e| StorageError::io("write", &tmp, e))?;
    rename_complete(vfs, &tmp, path)
}

/// The first half of [`write_complete`]: the file under a temporary name, not synced yet.
pub(super) fn write_tmp(
    vfs: &dyn Vfs,
    path: &Path,
    bytes: &[u8],
) -> Result<(PathBuf, Arc<dyn File>), StorageError> {
    let tmp = with_suffix(path, TMP);
    let write = || {
        let file = vfs.open(&tmp, OpenMode::Create)?;
        empty(&*file)?;
        file.write_all_at(&mut [IoSlice::new(bytes)], 0)?;
        Ok(file)
    };
    let file = write().map_err(|e| StorageError::io("write", &tmp, e))?;
    Ok((tmp, file))
}

/// Cuts off what is in `file`, which is about to be written anew. One that is empty is left alone:
/// of a file that was cut to nothing ext4 writes the bytes when it is closed.
pub(crate) fn empty(file: &dyn File) -> io::Result<()> {
    if file.is_empty()? {
        return Ok(());
    }
    file.set_len(0)
}

/// The second half of [`write_complete`]: a synced file gets its name.
pub(super) fn rename_complete(vfs: &dyn Vfs, tmp: &Path, path: &Path) -> Result<(), StorageError> {
    vfs.rename(tmp, path)
        .map_err(|e| StorageError::io("rename a new file to", path, e))
}

/// Deletes a file that may be missing.
pub(crate) fn remove_if_there(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    match vfs.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StorageError::io("delete", path, e)),
        _ => Ok(()),
    }
}

/// Gives a file that may be missing the suffix of deleted ones.
pub(crate) fn mark_deleted(vfs: &dyn Vfs, path: &Path) -> Result<(), StorageError> {
    match vfs.rename(path, &with_suffix(path, DELETED)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StorageError::io("rename", path, e)),
        _ => Ok(()),
    }
}

/// Makes the directory of a log with its `partition.metadata`; nothing of it is synced. What an
/// interrupted attempt left is taken over.
pub(crate) fn create(vfs: &dyn Vfs, dir: &Path, topic_id: TopicId) -> Result<(), StorageError> {
    match vfs.create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(StorageError::io("make the directory", dir, e));
        }
        _ => {}
    }
    let path = dir.join(METADATA);
    let bytes = PartitionMetadata { topic_id }.encode();
    let write = || {
        let file = vfs.open(&path, OpenMode::Create)?;
        empty(&*file)?;
        file.write_all_at(&mut [IoSlice::new(&bytes)], 0)
    };
    write().map_err(|e| StorageError::io("write", &path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let mut listing = Listing::default();
        for name in names {
            listing.note((*name).to_owned());
        }
        listing
    }

    fn offsets(of: &[i64]) -> BTreeSet<Offset> {
        of.iter().copied().map(Offset::new).collect()
    }

    #[test]
    fn sorts_names_by_kind() {
        let listing = listing(&[
            "00000000000000000000.log",
            "00000000000000000000.index",
            "00000000000000000000.timeindex",
            "00000000000000000042.log",
            "00000000000000000042.snapshot",
            "00000000000000000042.txnindex",
            "00000000000000000007.log.swap",
            "00000000000000000007.index.swap",
            "00000000000000000009.log.cleaned",
            "00000000000000000003.log.deleted",
            "00000000000000000003.index.tmp",
            "leader-epoch-checkpoint",
            "leader-epoch-checkpoint.tmp",
            "partition.metadata",
        ]);
        assert_eq!(listing.segments, offsets(&[0, 42]));
        assert_eq!(listing.indexes, offsets(&[0]));
        assert_eq!(listing.time_indexes, offsets(&[0]));
        assert_eq!(listing.txn_indexes, offsets(&[42]));
        assert_eq!(listing.snapshots, offsets(&[42]));
        assert_eq!(listing.swaps, offsets(&[7]));
        assert_eq!(listing.cleaned, offsets(&[9]));
        assert!(listing.metadata && listing.epochs);
        assert_eq!(
            listing.leftovers,
            [
                "00000000000000000007.index.swap",
                "00000000000000000009.log.cleaned",
                "00000000000000000003.log.deleted",
                "00000000000000000003.index.tmp",
                "leader-epoch-checkpoint.tmp",
            ]
        );
    }

    #[test]
    fn nothing_is_kept_of_an_interrupted_attempt() {
        let vfs = crate::vfs::MemVfs::new();
        let (dir, topic_id) = (Path::new("/d"), TopicId::from_bytes([1; 16]));
        vfs.create_dir(dir).unwrap();
        for name in ["x.tmp", METADATA] {
            let file = vfs.open(&dir.join(name), OpenMode::Create).unwrap();
            let bytes = [b'?'; 4000];
            file.write_all_at(&mut [IoSlice::new(&bytes)], 0).unwrap();
        }
        write_complete(&vfs, &dir.join("x"), b"short").unwrap();
        create(&vfs, dir, topic_id).unwrap();
        let read = |name: &str| {
            let file = vfs.open(&dir.join(name), OpenMode::Read).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        assert_eq!(read("x"), b"short");
        assert_eq!(read(METADATA), PartitionMetadata { topic_id }.encode());
    }

    #[test]
    fn leaves_strangers_alone() {
        let names = [
            "notes.txt",
            "0.log",
            "+0000000000000000000.log",
            "99999999999999999999.log", // beyond the largest offset
            "00000000000000000000.logs",
            "0000000000000000000\u{e9}.log",
            "",
        ];
        assert_eq!(listing(&names), Listing::default());
    }

    #[test]
    fn a_name_has_twenty_digits() {
        assert_eq!(
            file_in(Path::new("d"), Offset::new(42), INDEX),
            Path::new("d/00000000000000000042.index")
        );
    }
}
