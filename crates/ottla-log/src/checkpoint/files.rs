//! Small files, replaced as a whole.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::StorageError;
use crate::vfs::{File, OpenMode, Vfs};

/// Replaces the file at `path` by `bytes`: after a crash it holds either the old content or the
/// new. Durable on return, its name included.
///
/// # Errors
/// The disk's failure; the old content stays.
pub fn write_atomically(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let temporary = temporary(path);
    let failed = |doing| move |e: io::Error| StorageError::io(doing, path, e);
    // A leftover of an earlier crash is taken over.
    let file = vfs
        .open(&temporary, OpenMode::Create)
        .map_err(failed("create the successor of"))?;
    file.set_len(0).map_err(failed("empty the successor of"))?;
    file.write_all_at(&mut [IoSlice::new(bytes)], 0)
        .map_err(failed("write the successor of"))?;
    file.sync_data().map_err(failed("sync the successor of"))?;
    vfs.rename(&temporary, path).map_err(failed("replace"))?;
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    vfs.sync_dir(dir).map_err(failed("sync the directory of"))
}

/// The whole file at `path`, of at most `bytes_max` bytes; `None` where there is none.
///
/// # Errors
/// The disk's failure, or that the file is larger.
pub fn read(vfs: &dyn Vfs, path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, StorageError> {
    match vfs.open(path, OpenMode::Read) {
        Ok(file) => read_open(&*file, path, bytes_max).map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StorageError::io("read", path, e)),
    }
}

/// As [`read`], of the file at `path` that is open already.
pub(crate) fn read_open(
    file: &dyn File,
    path: &Path,
    bytes_max: usize,
) -> Result<Vec<u8>, StorageError> {
    let failed = |e: io::Error| StorageError::io("read", path, e);
    let len = file.len().map_err(failed)?;
    let Some(len) = usize::try_from(len).ok().filter(|len| *len <= bytes_max) else {
        return Err(StorageError::Corrupt {
            path: path.to_path_buf(),
            position: bytes_max as u64,
            why: format!("it has {len} bytes, at most {bytes_max} are expected"),
        });
    };
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    Ok(bytes)
}

/// `path` with `.tmp` after it, as Kafka names it.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
