//! Reading batches of a segment, and checking them once per open.

use bytes::{Bytes, BytesMut};

use super::{BatchRange, Segment, Wait, WalkError};
use crate::Offset;
use crate::batch::BatchHeader;
use crate::vfs::File;

impl Segment {
    /// The bytes of a range, which must be in the file.
    pub(crate) fn read(
        &self,
        file: &dyn File,
        position: u64,
        len: u64,
        wait: Wait,
    ) -> Result<Bytes, WalkError> {
        let len = usize::try_from(len).map_err(|_| WalkError::Bad {
            position,
            why: format!("{len} bytes are more than memory can hold"),
        })?;
        let mut bytes = BytesMut::zeroed(len);
        let read = wait.read(file, &mut bytes, position)?;
        if read < len {
            return Err(WalkError::Bad {
                position: position + read as u64,
                why: "the file ends here, though it was longer".to_owned(),
            });
        }
        Ok(bytes.freeze())
    }

    /// Whether all of a range, which was touched, was checked since the segment was opened.
    pub(crate) fn is_verified(&self, range: &BatchRange) -> bool {
        let state = self.state.lock();
        let unsealed = range.from.max(state.seal.size());
        state.verified.covers(unsealed, range.to)
    }

    /// Checks the batches of `range`, whose bytes are `bytes`, one after the other, and remembers
    /// what is good. Cuts the range where a batch is bad; an error where the first one is.
    pub(crate) fn verify(
        &self,
        mut range: BatchRange,
        bytes: &Bytes,
    ) -> Result<(BatchRange, Bytes), WalkError> {
        let mut at = 0;
        let mut offset = range.base;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.check_batch(rest, offset) {
                Ok(header) => {
                    at += header.size_bytes();
                    offset = header.next_offset();
                }
                Err(why) if at == 0 => {
                    return Err(WalkError::Bad {
                        position: range.from,
                        why,
                    });
                }
                // Who reads on from here is told.
                Err(_) => break,
            }
        }
        range.to = range.from + at as u64;
        range.next = offset;
        self.state.lock().verified.add(range.from, range.to);
        Ok((range, bytes.slice(..at)))
    }

    /// Checks the batch at the front of `bytes`, which begins at `offset` or above.
    pub(crate) fn check_batch(&self, bytes: &[u8], offset: Offset) -> Result<BatchHeader, String> {
        let header = BatchHeader::parse(bytes).map_err(|e| e.to_string())?;
        let Some(batch) = bytes.get(..header.size_bytes()) else {
            return Err(format!(
                "the batch has {} bytes, {} are left",
                header.size_bytes(),
                bytes.len()
            ));
        };
        if header.base_offset < offset {
            return Err(format!(
                "the batch begins at offset {}, at least {offset} must follow",
                header.base_offset
            ));
        }
        header
            .check(&self.shared.limits)
            .and_then(|()| header.check_crc(batch, 0))
            .map_err(|e| e.to_string())?;
        Ok(header)
    }
}
