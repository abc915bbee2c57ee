//! Files mapped into memory: the one place of the crate with unsafe code.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::Mmap;

use crate::vfs::{Mapped, Mapping};

/// Maps the whole of `file`, read-only.
pub(super) fn map(file: &File) -> io::Result<Mapping> {
    // SAFETY: The bytes behind a mapping must not change or vanish while a `&[u8]` to them lives.
    // `File::map` is for files that nobody writes or cuts while they are mapped: the log maps
    // index files only after they are complete, replaces them by renaming another file over the
    // name and never cuts them. The data directory's lock keeps other processes of ours away, and
    // the mapping keeps the file's inode alive when its name is removed. A stranger who writes
    // into the directory all the same breaks this; the directory is not open to strangers.
    let mapped = unsafe { Mmap::map(file)? };
    Ok(Arc::new(RealMapping(mapped)))
}

#[derive(Debug)]
struct RealMapping(Mmap);

impl Mapped for RealMapping {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}
