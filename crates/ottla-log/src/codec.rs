//! The compression codecs of record batches, all with a bound on what comes out.
//!
//! No size that compressed bytes declare is believed: room for output is made as output appears,
//! up to [`Limits::decompressed_bytes_max`]. Before any has appeared nothing larger than twice the
//! input and 64 KiB is allocated.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use crate::limits::Limits;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Snappy, in the block framing of Java's clients or raw.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// Zstandard (RFC 8878, KIP-110).
    Zstd,
}

impl Codec {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in a batch's attributes.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec of that number.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Kafka's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// An error of this codec's decoder.
    fn malformed(self, why: impl Into<String>) -> CodecError {
        CodecError::Malformed {
            codec: self.name(),
            why: why.into(),
        }
    }

    /// More than `max` bytes would come out.
    const fn too_large(self, max: usize) -> CodecError {
        CodecError::TooLarge {
            codec: self.name(),
            max,
        }
    }
}

/// Why a block cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not of this codec, or damaged.
    #[error("the {codec} data is malformed: {why}")]
    Malformed {
        /// The codec's name.
        codec: &'static str,
        /// What the decoder says.
        why: String,
    },
    /// More would come out than the limits allow.
    #[error("the {codec} data decompresses to more than {max} bytes")]
    TooLarge {
        /// The codec's name.
        codec: &'static str,
        /// The limit.
        max: usize,
    },
}

/// How many bytes may be allocated for what `input` bytes are said to hold, before it was seen.
const fn unseen(input: usize) -> usize {
    input.saturating_mul(2).saturating_add(64 * 1024)
}

/// Decompresses `block`, to at most [`Limits::decompressed_bytes_max`] bytes.
///
/// # Errors
/// [`CodecError`].
pub fn decompress(codec: Codec, block: &[u8], limits: &Limits) -> Result<Vec<u8>, CodecError> {
    let max = limits.decompressed_bytes_max(block.len());
    match codec {
        Codec::None if block.len() > max => Err(codec.too_large(max)),
        Codec::None => Ok(block.to_vec()),
        Codec::Gzip => gzip::decompress(block, max),
        Codec::Snappy => snappy::decompress(block, max),
        Codec::Lz4 => lz4::decompress(block, max),
        Codec::Zstd => zstd::decompress(block, max, limits.zstd_window_bytes_max),
    }
}

/// Compresses `bytes`, at `level` or the codec's default.
///
/// Levels are gzip's 1 to 9 and zstd's -131072 to 22; one outside is taken for the nearest. LZ4
/// has one level here, and Snappy none.
#[must_use]
pub fn compress(codec: Codec, level: Option<i32>, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => bytes.to_vec(),
        Codec::Gzip => gzip::compress(bytes, level),
        Codec::Snappy => snappy::compress(bytes),
        Codec::Lz4 => lz4::compress(bytes),
        Codec::Zstd => zstd::compress(bytes, level),
    }
}

#[cfg(test)]
mod tests;
