//! What Linux does better than the standard library.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};

/// Reads only what is in the page cache.
pub(super) fn read_at_nowait(
    file: &File,
    buf: &mut [u8],
    position: u64,
) -> io::Result<Option<usize>> {
    let bufs = &mut [IoSliceMut::new(buf)];
    match rustix::io::preadv2(file, bufs, position, ReadWriteFlags::NOWAIT) {
        Ok(n) => Ok(Some(n)),
        // The second: a file system that cannot tell.
        Err(Errno::AGAIN | Errno::OPNOTSUPP) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// One `pwritev`, of as many slices as the kernel takes at once.
pub(super) fn write_at(file: &File, bufs: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, bufs, position)?)
}

/// `syncfs`, which since Linux 5.8 reports failed write-back.
pub(super) fn sync_all(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

/// Drops the clean cached pages of the whole file.
pub(super) fn drop_cache(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, Advice::DontNeed)?)
}
