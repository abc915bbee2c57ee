//! The LZ4 frame format, as far as Kafka's clients read and write it: independent blocks.

use lz4_flex::block::DecompressError;
use twox_hash::XxHash32;

use super::{Codec, CodecError};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
/// Version 1, independent blocks, no checksums.
const FLAGS: u8 = 0b0110_0000;
/// Blocks of at most 64 KiB.
const BLOCK_FLAGS: u8 = 0b0100_0000;
const BLOCK: usize = 64 * 1024;
/// Set in a block's length where the block is not compressed.
const UNCOMPRESSED: u32 = 1 << 31;
/// Below this many bytes a walk over the sequences costs less than clearing room for a block.
const SHORT: usize = 1024;

/// What a frame's header says.
struct Frame {
    block_max: usize,
    block_checksums: bool,
    content_checksum: bool,
    content_len: Option<u64>,
}

pub(super) fn decompress(block: &[u8], max: usize) -> Result<Vec<u8>, CodecError> {
    let mut input = Input(block);
    let mut out = Vec::new();
    let frame = input.header()?;
    loop {
        let len = input.u32()?;
        if len == 0 {
            break;
        }
        let compressed = len & UNCOMPRESSED == 0;
        let data = input.take((len & !UNCOMPRESSED) as usize)?;
        if data.len() > frame.block_max {
            return Err(Codec::Lz4.malformed("a block is longer than the frame allows"));
        }
        if frame.block_checksums && input.u32()? != hash(data) {
            return Err(Codec::Lz4.malformed("a block's checksum does not match"));
        }
        append(data, compressed, frame.block_max, max, &mut out)?;
    }
    if frame.content_checksum && input.u32()? != hash(&out) {
        return Err(Codec::Lz4.malformed("the checksum of the content does not match"));
    }
    if frame.content_len.is_some_and(|len| len != out.len() as u64) {
        return Err(Codec::Lz4.malformed("the content is not as long as the frame says"));
    }
    if !input.0.is_empty() {
        return Err(Codec::Lz4.malformed("there are bytes after the frame"));
    }
    Ok(out)
}

pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend([FLAGS, BLOCK_FLAGS, header_hash(&[FLAGS, BLOCK_FLAGS])]);
    for block in bytes.chunks(BLOCK) {
        let compressed = lz4_flex::block::compress(block);
        if compressed.len() < block.len() {
            out.extend((compressed.len() as u32).to_le_bytes());
            out.extend(compressed);
        } else {
            out.extend((block.len() as u32 | UNCOMPRESSED).to_le_bytes());
            out.extend(block);
        }
    }
    out.extend(0_u32.to_le_bytes());
    out
}

/// Appends the content of a block to `out`, which then has at most `max` bytes.
fn append(
    data: &[u8],
    compressed: bool,
    block_max: usize,
    max: usize,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let start = out.len();
    if !compressed {
        if data.len() > max - start {
            return Err(Codec::Lz4.too_large(max));
        }
        out.extend_from_slice(data);
        return Ok(());
    }
    let room = if block_max > BLOCK || data.len() < SHORT {
        // Room for 4 MiB has to be proven first.
        content_len(data).ok_or_else(|| Codec::Lz4.malformed("a block is cut off"))?
    } else {
        block_max
    };
    if room > block_max {
        return Err(Codec::Lz4.malformed("a block is longer than the frame allows"));
    }
    let end = start + room.min(max - start);
    out.resize(end, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    match lz4_flex::block::decompress_into(data, room) {
        Ok(written) => {
            out.truncate(start + written);
            Ok(())
        }
        Err(DecompressError::OutputTooSmall { .. }) if end == max => Err(Codec::Lz4.too_large(max)),
        Err(e) => Err(Codec::Lz4.malformed(e.to_string())),
    }
}

/// How many bytes the sequences of a compressed block give, without looking at their content.
fn content_len(block: &[u8]) -> Option<usize> {
    let mut rest = block;
    let mut total = 0_usize;
    loop {
        let (&token, after) = rest.split_first()?;
        let (literals, after) = length(usize::from(token >> 4), after)?;
        rest = after.get(literals..)?;
        total = total.checked_add(literals)?;
        // The last sequence has literals only.
        if rest.is_empty() {
            return Some(total);
        }
        let after = rest.get(2..)?;
        let (copied, after) = length(usize::from(token & 0xf), after)?;
        rest = after;
        total = total.checked_add(copied)?.checked_add(4)?;
    }
}

/// A length of which the token has the first four bits.
fn length(mut len: usize, mut rest: &[u8]) -> Option<(usize, &[u8])> {
    if len < 15 {
        return Some((len, rest));
    }
    loop {
        let (&more, after) = rest.split_first()?;
        len = len.checked_add(usize::from(more))?;
        rest = after;
        if more < 0xff {
            return Some((len, rest));
        }
    }
}

fn hash(bytes: &[u8]) -> u32 {
    XxHash32::oneshot(0, bytes)
}

/// The checksum of a frame's descriptor.
fn header_hash(descriptor: &[u8]) -> u8 {
    (hash(descriptor) >> 8) as u8
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| Codec::Lz4.malformed("the frame is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, CodecError> {
        let bytes = self.take(4)?;
        Ok(bytes.first_chunk().map_or(0, |b| u32::from_le_bytes(*b)))
    }

    fn header(&mut self) -> Result<Frame, CodecError> {
        let refused = |why| Err(Codec::Lz4.malformed(why));
        if self.take(4)? != MAGIC {
            return refused("it does not start with a frame");
        }
        let descriptor = self.0;
        let (flags, block_flags) = match self.take(2)? {
            [flags, block_flags] => (*flags, *block_flags),
            _ => (0, 0),
        };
        if flags >> 6 != 1 {
            return refused("the frame's version is not 1");
        }
        if flags & 0b0010_0000 == 0 {
            return refused("its blocks depend on each other, which Kafka's clients do not read");
        }
        if flags & 0b0000_0011 != 0 || block_flags & 0b1000_1111 != 0 {
            return refused("the frame uses a dictionary or reserved bits");
        }
        let block_max = match block_flags >> 4 {
            size @ 4..=7 => 1 << (2 * size + 8),
            _ => return refused("the frame's block size does not exist"),
        };
        let content_len = if flags & 0b0000_1000 == 0 {
            None
        } else {
            self.take(8)?.first_chunk().map(|b| u64::from_le_bytes(*b))
        };
        let len = descriptor.len() - self.0.len();
        let expected = header_hash(descriptor.get(..len).unwrap_or_default());
        if self.take(1)? != [expected] {
            return refused("the checksum of its header does not match");
        }
        Ok(Frame {
            block_max,
            block_checksums: flags & 0b0001_0000 != 0,
            content_checksum: flags & 0b0000_0100 != 0,
            content_len,
        })
    }
}
