//! gzip: one or more members, one after the other.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Codec, CodecError};

/// The first room for what comes out.
const ROOM_MIN: usize = 16 * 1024;

pub(super) fn decompress(block: &[u8], max: usize) -> Result<Vec<u8>, CodecError> {
    let mut decoder = MultiGzDecoder::new(block);
    // One byte past the limit tells "just fits" from "more".
    let room_max = max.saturating_add(1);
    let (mut out, mut end) = (Vec::new(), 0);
    loop {
        if end == out.len() {
            let room = end
                .saturating_mul(2)
                .clamp(ROOM_MIN.min(room_max), room_max);
            out.reserve_exact(room - end);
            out.resize(room, 0);
        }
        let target = out.get_mut(end..).unwrap_or_default();
        match decoder
            .read(target)
            .map_err(|e| Codec::Gzip.malformed(e.to_string()))?
        {
            0 => break,
            read => end += read,
        }
        if end > max {
            return Err(Codec::Gzip.too_large(max));
        }
    }
    out.truncate(end);
    Ok(out)
}

pub(super) fn compress(bytes: &[u8], level: Option<i32>) -> Vec<u8> {
    let level = match level {
        Some(level) => Compression::new(level.clamp(1, 9).unsigned_abs()),
        None => Compression::default(),
    };
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}
