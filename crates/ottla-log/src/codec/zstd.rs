//! Zstandard: one or more frames, one after the other.
//!
//! The decoder is shown each frame's header without the declared size of the content, for which it
//! would make room at once; that size is compared with what came out instead. The window is no
//! danger: the decoder's buffer grows with the output, which is bounded.

use structured_zstd::decoding::{
    ContentChecksum, FrameContentSize, FrameDecoder, read_frame_header_info,
};
use structured_zstd::encoding::{CompressionLevel, compress_slice_to_vec};

use super::{Codec, CodecError};

const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// Skippable frames have this magic, whatever the low four bits are.
const SKIPPABLE: u32 = 0x184d_2a50;
/// The first room made for output, then twice as much each time it is full.
const ROOM_MIN: usize = 16 * 1024;

pub(super) fn decompress(
    block: &[u8],
    max: usize,
    window_max: usize,
) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    let mut rest = block;
    if rest.is_empty() {
        return Err(Codec::Zstd.malformed("it has no frame"));
    }
    while !rest.is_empty() {
        rest = match skip(rest)? {
            Some(after) => after,
            None => frame(rest, max, window_max, &mut out)?,
        };
    }
    Ok(out)
}

pub(super) fn compress(bytes: &[u8], level: Option<i32>) -> Vec<u8> {
    let level = level.map_or(CompressionLevel::Default, |level| {
        CompressionLevel::Level(level.clamp(-131_072, 22))
    });
    compress_slice_to_vec(bytes, level)
}

/// What follows a skippable frame; `None` where there is none.
fn skip(block: &[u8]) -> Result<Option<&[u8]>, CodecError> {
    let Some((magic, rest)) = block.split_first_chunk() else {
        return Ok(None);
    };
    if u32::from_le_bytes(*magic) & !0xf != SKIPPABLE {
        return Ok(None);
    }
    let skipped = || {
        let (len, rest) = rest.split_first_chunk()?;
        rest.get(u32::from_le_bytes(*len) as usize..)
    };
    let cut_off = || Codec::Zstd.malformed("a skippable frame is cut off");
    skipped().map(Some).ok_or_else(cut_off)
}

/// Appends the content of the frame at the front of `block` to `out`, which then has at most
/// `max` bytes, and answers what follows the frame.
fn frame<'a>(
    block: &'a [u8],
    max: usize,
    window_max: usize,
    out: &mut Vec<u8>,
) -> Result<&'a [u8], CodecError> {
    let malformed = |e: &dyn std::fmt::Display| Codec::Zstd.malformed(e.to_string());
    if !block.starts_with(&MAGIC) {
        return Err(Codec::Zstd.malformed("it does not start with a frame"));
    }
    let header = read_frame_header_info(block, false).map_err(|e| malformed(&e))?;
    if header.dictionary_id.is_some_and(|id| id != 0) {
        return Err(Codec::Zstd.malformed("it needs a dictionary"));
    }
    if header.window_size > window_max as u64 {
        let why = format!(
            "its window has {} bytes, allowed are {window_max}",
            header.window_size
        );
        return Err(Codec::Zstd.malformed(why));
    }
    let mut decoder = FrameDecoder::new();
    decoder.set_content_checksum(ContentChecksum::Verify);
    decoder
        .set_max_window_size((window_max as u64).next_power_of_two())
        .map_err(|e| malformed(&e))?;
    let bare = bare_header(header.window_size, header.content_checksum);
    decoder.reset(&bare[..]).map_err(|e| malformed(&e))?;
    let start = out.len();
    let mut rest = block.get(header.header_size..).unwrap_or_default();
    let mut end = start;
    while !(decoder.is_finished() && decoder.can_collect() == 0) {
        if end == out.len() {
            // One byte past the limit tells "just fits" from "more".
            let room = (end * 2).max(end + ROOM_MIN).min(max.saturating_add(1));
            out.resize(room, 0);
        }
        let target = out.get_mut(end..).unwrap_or_default();
        let (read, written) = decoder
            .decode_from_to(rest, target)
            .map_err(|e| malformed(&e))?;
        rest = rest.get(read..).unwrap_or_default();
        end += written;
        if end > max {
            return Err(Codec::Zstd.too_large(max));
        }
        if read == 0 && written == 0 {
            return Err(Codec::Zstd.malformed("the frame is cut off"));
        }
    }
    out.truncate(end);
    match header.content_size {
        FrameContentSize::Known(len) if len != (end - start) as u64 => {
            Err(Codec::Zstd.malformed("the content is not as long as the frame says"))
        }
        _ => Ok(rest),
    }
}

/// A frame's header that says a window of at least `window` bytes and whether a checksum follows,
/// nothing else.
fn bare_header(window: u64, checksum: bool) -> [u8; 6] {
    let exponent = window.next_power_of_two().trailing_zeros().max(10) - 10;
    let [a, b, c, d] = MAGIC;
    [a, b, c, d, u8::from(checksum) << 2, (exponent as u8) << 3]
}
