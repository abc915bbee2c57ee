//! What every Unix can do, in place of Linux's faster ways.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::vfs::{Mapped, Mapping};

/// Nobody can tell what is cached, so nothing is: the caller reads where it may wait. Only the
/// end of the file needs no device.
pub(super) fn read_at_nowait(
    file: &File,
    buf: &mut [u8],
    position: u64,
) -> io::Result<Option<usize>> {
    let past_end = buf.is_empty() || position >= file.metadata()?.len();
    Ok(past_end.then_some(0))
}

/// One write per slice. An error after the first byte is left for the caller's next call to meet.
pub(super) fn write_at(file: &File, bufs: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
    let mut done = 0;
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        match file.write_at(buf, position + done as u64) {
            Ok(n) if n == buf.len() => done += n,
            Ok(n) => return Ok(done + n),
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// The whole file, read into memory.
pub(super) fn map(file: &File) -> io::Result<Mapping> {
    let len = file.metadata()?.len();
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Arc::new(Read(bytes)))
}

/// A file's bytes as they were.
#[derive(Debug)]
struct Read(Vec<u8>);

impl Mapped for Read {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}
