//! gzip: one or more members, one after the other.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Codec, CodecError};

pub(super) fn decompress(block: &[u8], max: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    // One byte past the limit tells "just fits" from "more".
    let limit = (max as u64).saturating_add(1);
    MultiGzDecoder::new(block)
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|e| Codec::Gzip.malformed(e.to_string()))?;
    if out.len() > max {
        return Err(Codec::Gzip.too_large(max));
    }
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
