//! The files beside those of a log, entry by entry: seals, and what speaks of a whole directory.

use std::path::{Path, PathBuf};

use super::indexes::read_whole;
use crate::StorageError;
use crate::log::dir;
use crate::seal::{SEAL_BYTES_MAX, Seal};
use crate::store::look::dump;
use crate::vfs::Vfs;

/// A value of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// What one entry of a file says, by name.
pub type Entry = Vec<(&'static str, Value)>;

/// The entries of a file for a whole data directory, or of a seal; `None` where the name of `path`
/// is none of theirs.
///
/// # Errors
/// [`StorageError`] where it cannot be read, or is damaged.
pub fn read_other(vfs: &dyn Vfs, path: &Path) -> Result<Option<Vec<Entry>>, StorageError> {
    let name = path.file_name().and_then(|name| name.to_str());
    match name.and_then(dir::split) {
        Some((_, dir::SEAL)) => seal(vfs, path).map(Some),
        _ => dump::dump(vfs, path),
    }
}

/// The files that [`read_other`] reads in the data directory `root`, as far as they are there.
#[must_use]
pub fn other_files(vfs: &dyn Vfs, root: &Path) -> Vec<PathBuf> {
    let files = dump::files().map(|(dir, name)| root.join(dir).join(name));
    let is_there = |path: &PathBuf| vfs.stat(path).is_ok_and(|stat| stat.is_some());
    let mut found: Vec<PathBuf> = files.into_iter().filter(is_there).collect();
    let seals = root.join(dump::seals().join("/"));
    for log in vfs.list(&seals).unwrap_or_default() {
        let log = seals.join(log.name);
        let names = vfs.list(&log).unwrap_or_default();
        found.extend(names.into_iter().map(|entry| log.join(entry.name)));
    }
    found
}

fn seal(vfs: &dyn Vfs, path: &Path) -> Result<Vec<Entry>, StorageError> {
    let bytes = read_whole(vfs, path, SEAL_BYTES_MAX)?.unwrap_or_default();
    let seal = Seal::decode(&bytes).map_err(|why| StorageError::Corrupt {
        path: path.to_path_buf(),
        position: 0,
        why: why.to_owned(),
    })?;
    let number = |number: u64| Value::Number(i64::try_from(number).unwrap_or(i64::MAX));
    let head = vec![
        ("topicId", Value::Text(seal.topic_id.to_string())),
        ("baseOffset", Value::Number(seal.base.get())),
        ("bytes", number(seal.size)),
        ("nextOffset", Value::Number(seal.next.get())),
    ];
    let chunk = |(index, crc): (usize, &u32)| {
        let range = seal.chunk(index);
        vec![
            ("from", number(range.start)),
            ("to", number(range.end)),
            ("crc", Value::Text(format!("{crc:08x}"))),
        ]
    };
    let chunks = seal.chunks.iter().enumerate().map(chunk);
    Ok(std::iter::once(head).chain(chunks).collect())
}
