//! Snappy: the block framing of Java's clients, and raw blocks as other clients write them.

use super::{Codec, CodecError, unseen};

/// What Java's framing starts with: a magic, its version and the oldest compatible one.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// The part of the header that tells framed from raw: no raw block starts so, it would be of
/// more than 2 GiB.
const MAGIC: &[u8] = b"\x82SNAPPY\0";
/// How many bytes Java's framing puts into a block.
const BLOCK: usize = 32 * 1024;

pub(super) fn decompress(block: &[u8], max: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    if !block.starts_with(MAGIC) {
        decompress_raw(block, max, &mut out)?;
        return Ok(out);
    }
    let mut rest = block;
    while !rest.is_empty() {
        // Streams that follow each other start with a header each.
        if rest.starts_with(MAGIC) {
            let (_, after) = rest
                .split_at_checked(HEADER.len())
                .ok_or_else(|| Codec::Snappy.malformed("its header is cut off"))?;
            rest = after;
            continue;
        }
        let cut_off = || Codec::Snappy.malformed("a block is cut off");
        let (len, after) = rest.split_first_chunk().ok_or_else(cut_off)?;
        let len = usize::try_from(i32::from_be_bytes(*len))
            .map_err(|_| Codec::Snappy.malformed("a block's length is negative"))?;
        let (one, after) = after.split_at_checked(len).ok_or_else(cut_off)?;
        decompress_raw(one, max, &mut out)?;
        rest = after;
    }
    Ok(out)
}

pub(super) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::raw::Encoder::new();
    let mut out = HEADER.to_vec();
    for block in bytes.chunks(BLOCK) {
        let block = encoder
            .compress_vec(block)
            .expect("a block of 32 KiB is not too large");
        out.extend((block.len() as u32).to_be_bytes());
        out.extend(block);
    }
    out
}

/// Appends the content of a raw block to `out`, which then has at most `max` bytes.
fn decompress_raw(block: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let declared =
        snap::raw::decompress_len(block).map_err(|e| Codec::Snappy.malformed(e.to_string()))?;
    // The decoder needs room for what the block declares. Much has to be proven first, by a walk
    // over the elements that takes several times as long as decoding them.
    if declared > unseen(block.len()) && content_len(block) != Some(declared) {
        return Err(Codec::Snappy.malformed("a block's content is not as long as it says"));
    }
    let start = out.len();
    let end = start + declared;
    if end > max {
        return Err(Codec::Snappy.too_large(max));
    }
    out.resize(end, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = snap::raw::Decoder::new()
        .decompress(block, room)
        .map_err(|e| Codec::Snappy.malformed(e.to_string()))?;
    assert_eq!(written, declared, "a block fills what it declares");
    Ok(())
}

/// How many bytes the elements of a raw block give, without looking at their content.
fn content_len(block: &[u8]) -> Option<usize> {
    let preamble = block.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let mut rest = block.get(preamble..)?;
    let mut total = 0_usize;
    while let Some((&tag, after)) = rest.split_first() {
        let short = usize::from(tag >> 2);
        let (len, skip) = match tag & 0b11 {
            0 if short < 60 => (short + 1, short + 1),
            0 => {
                let bytes = short - 59;
                let mut len = [0; 4];
                len.get_mut(..bytes)?.copy_from_slice(after.get(..bytes)?);
                let len = (u32::from_le_bytes(len) as usize).checked_add(1)?;
                (len, len.checked_add(bytes)?)
            }
            1 => (usize::from(tag >> 2 & 0b111) + 4, 1),
            2 => (short + 1, 2),
            _ => (short + 1, 4),
        };
        rest = after.get(skip..)?;
        total = total.checked_add(len)?;
    }
    Some(total)
}
