//! Zstandard: one or more frames, one after the other.
//!
//! Content is decoded into room made beforehand, modest first, then more where that much has come
//! out: the decoder takes no memory of its own for the window then. Where it fails in a way that
//! does not tell "too little room" from "damaged", the frame is decoded once more by the slower
//! way that makes room for each block. The size that a frame declares is compared with what came
//! out; the decoder, which would make room for it, does not see it.

use structured_zstd::decoding::errors::{
    DecodeBlockContentError, DecodeBufferError, DecompressBlockError, ExecuteSequencesError,
    FrameDecoderError,
};
use structured_zstd::decoding::{
    ContentChecksum, FrameContentSize, FrameDecoder, find_frame_compressed_size,
    read_frame_header_info,
};
use structured_zstd::encoding::{CompressionLevel, compress_slice_to_vec};

use super::{Codec, CodecError, unseen};

const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// Skippable frames have this magic, whatever the low four bits are.
const SKIPPABLE: u32 = 0x184d_2a50;
/// The least room made for what comes out block by block.
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
    let (frame, rest) = find_frame_compressed_size(block)
        .ok()
        .and_then(|size| block.split_at_checked(size))
        .ok_or_else(|| Codec::Zstd.malformed("the frame is cut off or damaged"))?;
    let known = match header.content_size {
        FrameContentSize::Known(len) => Some(usize::try_from(len).unwrap_or(usize::MAX)),
        FrameContentSize::Unknown => None,
    };
    let believed = unseen(frame.len());
    if known.is_none_or(|len| len <= believed) {
        // Most content of unknown size is small.
        let room = known.unwrap_or_else(|| believed.min(16 * frame.len() + 4096));
        decode(frame, room, known, max, out)?;
    } else {
        let window = header.window_size.next_power_of_two();
        let mut bare = bare_header(window, header.content_checksum).to_vec();
        bare.extend_from_slice(frame.get(header.header_size..).unwrap_or_default());
        decode(&bare, believed, known, max, out)?;
    }
    Ok(rest)
}

/// Appends the content of `frame` to `out`; starts with `room` for it. `known` is how long the
/// content ought to be.
fn decode(
    frame: &[u8],
    mut room: usize,
    known: Option<usize>,
    max: usize,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let start = out.len();
    let most = (max - start).min(known.unwrap_or(usize::MAX));
    if known.is_some_and(|len| len > most) {
        return Err(Codec::Zstd.too_large(max));
    }
    loop {
        room = room.min(most);
        out.resize(start + room, 0);
        let attempt = new_decoder().decode_all(frame, out.get_mut(start..).unwrap_or_default());
        match attempt {
            Ok(written) if known.is_none_or(|len| len == written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(e) if room < most && is_full(&e) => room = room.saturating_mul(4),
            _ => break,
        }
    }
    out.truncate(start);
    block_by_block(frame, max, out)?;
    if known.is_some_and(|len| len != out.len() - start) {
        return Err(Codec::Zstd.malformed("the content is not as long as the frame says"));
    }
    Ok(())
}

/// Whether decoding ended because the room was full. May miss a case, never the other way round.
const fn is_full(error: &FrameDecoderError) -> bool {
    matches!(
        error,
        FrameDecoderError::TargetTooSmall
            | FrameDecoderError::FailedToReadBlockBody(
                DecodeBlockContentError::DecompressBlockError(
                    DecompressBlockError::ExecuteSequencesError(
                        ExecuteSequencesError::OutputBufferOverflow { .. }
                            | ExecuteSequencesError::DecodebufferError(
                                DecodeBufferError::OutputBufferOverflow { .. }
                            )
                    )
                )
            )
    )
}

/// Appends the content of `frame`, which declares no size or a small one, to `out`, while room is
/// made for what comes out.
fn block_by_block(frame: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let mut decoder = new_decoder();
    let mut rest = frame;
    decoder.reset(&mut rest).map_err(|e| malformed(&e))?;
    let mut end = out.len();
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
    Ok(())
}

fn new_decoder() -> FrameDecoder {
    let mut decoder = FrameDecoder::new();
    decoder.set_content_checksum(ContentChecksum::Verify);
    decoder
}

fn malformed(e: &dyn std::fmt::Display) -> CodecError {
    Codec::Zstd.malformed(e.to_string())
}

/// A frame's header that says a window of `window` bytes (a power of two) and whether a checksum
/// follows, nothing else.
fn bare_header(window: u64, checksum: bool) -> [u8; 6] {
    let exponent = window.trailing_zeros().max(10) - 10;
    let [a, b, c, d] = MAGIC;
    [a, b, c, d, u8::from(checksum) << 2, (exponent as u8) << 3]
}
