//! The 61 bytes at the head of a batch.

use super::BatchError;
use crate::codec::Codec;
use crate::crc::crc32c;
use crate::cursor::{Cursor, Malformed};
use crate::limits::Limits;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// The header of a batch, as it is in the bytes.
///
/// [`BatchHeader::parse`] checks what is needed to walk from batch to batch, and
/// [`BatchHeader::check`] that the fields do not contradict each other; neither looks at a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchHeader {
    /// The offset of the first record, even where compaction removed that record.
    pub base_offset: Offset,
    /// Bytes after the length field: the batch's size less 12.
    pub batch_length: i32,
    /// The leader epoch in which the batch was appended. Not covered by the checksum.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, type of timestamps, transactional, control.
    pub attributes: Attributes,
    /// The last offset less the base offset; kept by compaction.
    pub last_offset_delta: i32,
    /// What the records' timestamps are counted from, or the delete horizon.
    pub base_timestamp: Timestamp,
    /// The largest timestamp, or that of the append (`LogAppendTime`).
    pub max_timestamp: Timestamp,
    /// Who produced it.
    pub producer_id: ProducerId,
    /// Epoch of the producer.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record; -1 without a producer and in control batches.
    pub base_sequence: Sequence,
    /// How many records there are; compaction may leave fewer than offsets, even none.
    pub record_count: i32,
}

/// Whose clock the timestamps of a batch are from (KIP-32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's: each record has its own.
    #[default]
    CreateTime,
    /// The broker's: all records have the time of the append.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(i16);

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// Attributes for a batch to be written.
    #[must_use]
    pub const fn new(codec: Codec, timestamps: TimestampType) -> Self {
        Self(codec.id() as i16).with_timestamp_type(timestamps)
    }

    /// The bits as they are in the header.
    #[must_use]
    pub const fn bits(self) -> i16 {
        self.0
    }

    /// The codec's number.
    #[must_use]
    pub const fn codec_id(self) -> u8 {
        (self.0 & Self::CODEC) as u8
    }

    /// The type of the timestamps.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds a control record rather than data.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon, set by compaction (KIP-534).
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    pub(crate) const fn with_timestamp_type(self, timestamps: TimestampType) -> Self {
        match timestamps {
            TimestampType::CreateTime => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    pub(crate) const fn with_codec(self, codec: Codec) -> Self {
        Self(self.0 & !Self::CODEC | codec.id() as i16)
    }

    pub(crate) const fn with_delete_horizon(self, yes: bool) -> Self {
        Self(self.0 & !Self::DELETE_HORIZON | if yes { Self::DELETE_HORIZON } else { 0 })
    }

    pub(crate) const fn with_transactional(self, yes: bool) -> Self {
        Self(self.0 & !Self::TRANSACTIONAL | if yes { Self::TRANSACTIONAL } else { 0 })
    }

    pub(crate) const fn with_control(self, yes: bool) -> Self {
        Self(self.0 & !Self::CONTROL | if yes { Self::CONTROL } else { 0 })
    }
}

impl BatchHeader {
    /// The header's size in bytes.
    pub const LEN: usize = 61;
    /// Bytes before those that the length field counts.
    pub const OVERHEAD: usize = 12;
    /// Where the checksum is.
    pub(crate) const CRC_POSITION: usize = 17;
    /// From here on the checksum covers the batch.
    pub(crate) const CRC_FROM: usize = 21;

    /// Reads the header at the front of `bytes`: a length of at least a header, magic 2.
    ///
    /// # Errors
    /// [`BatchError::Truncated`], [`BatchError::Length`] or [`BatchError::Magic`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        Self::parse_at(bytes, 0)
    }

    /// As [`BatchHeader::parse`] of `bytes`, which are at `position` of a larger piece.
    pub(crate) fn parse_at(bytes: &[u8], position: usize) -> Result<Self, BatchError> {
        let truncated = |_: Malformed| BatchError::Truncated {
            position,
            needed: Self::LEN,
            remaining: bytes.len(),
        };
        let mut cursor = Cursor::new(bytes);
        let base_offset = cursor.i64().map_err(truncated)?;
        let batch_length = cursor.i32().map_err(truncated)?;
        let leader_epoch = cursor.i32().map_err(truncated)?;
        let magic = cursor.u8().map_err(truncated)?.cast_signed();
        if magic != 2 {
            return Err(BatchError::Magic { position, magic });
        }
        if usize::try_from(batch_length).map_or(true, |len| len < Self::LEN - Self::OVERHEAD) {
            return Err(BatchError::Length {
                position,
                length: batch_length,
                allowed: "49 and more",
            });
        }
        let mut rest = || -> Result<Self, Malformed> {
            Ok(Self {
                base_offset: base_offset.into(),
                batch_length,
                leader_epoch: leader_epoch.into(),
                crc: cursor.u32()?,
                attributes: Attributes(cursor.i16()?),
                last_offset_delta: cursor.i32()?,
                base_timestamp: cursor.i64()?.into(),
                max_timestamp: cursor.i64()?.into(),
                producer_id: cursor.i64()?.into(),
                producer_epoch: cursor.i16()?.into(),
                base_sequence: cursor.i32()?.into(),
                record_count: cursor.i32()?,
            })
        };
        rest().map_err(truncated)
    }

    /// Checks that the fields do not contradict each other: a known codec, offsets that are not
    /// negative and do not overflow, no more records than offsets, counts within `limits`.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`], [`BatchError::Counts`] or [`BatchError::TooMany`].
    pub fn check(&self, limits: &Limits) -> Result<(), BatchError> {
        if Codec::from_id(self.attributes.codec_id()).is_none() {
            return Err(BatchError::UnknownCodec(self.attributes.codec_id()));
        }
        let base = self.base_offset.get();
        let delta = self.last_offset_delta;
        let sound = base >= 0
            && delta >= 0
            // The offset after the last must be expressible, too.
            && base.checked_add(i64::from(delta) + 1).is_some()
            && (0..=i64::from(delta) + 1).contains(&i64::from(self.record_count));
        if !sound {
            return Err(BatchError::Counts {
                base_offset: base,
                last_offset_delta: delta,
                record_count: self.record_count,
            });
        }
        if self.record_count as usize > limits.records_per_batch_max {
            return Err(BatchError::TooMany {
                what: "records",
                max: limits.records_per_batch_max,
            });
        }
        Ok(())
    }

    /// Compares the checksum with `batch`, the whole batch at `position` of a larger piece.
    pub(crate) fn check_crc(&self, batch: &[u8], position: usize) -> Result<(), BatchError> {
        let computed = crc32c(batch.get(Self::CRC_FROM..).unwrap_or_default());
        if computed == self.crc {
            return Ok(());
        }
        Err(BatchError::Crc {
            position,
            stored: self.crc,
            computed,
        })
    }

    /// The whole batch's size in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        // `parse` saw that the length is not negative.
        self.batch_length as usize + Self::OVERHEAD
    }

    /// From when on compaction may remove the batch's tombstones, or its marker; `None` before one
    /// saw them.
    #[must_use]
    pub const fn delete_horizon(&self) -> Option<Timestamp> {
        if self.attributes.has_delete_horizon() {
            Some(self.base_timestamp)
        } else {
            None
        }
    }

    /// The offset of the last record.
    #[must_use]
    pub const fn last_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta as i64)
    }

    /// The offset after the last record's.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// The codec; `None` after [`BatchHeader::check`] would have failed.
    #[must_use]
    pub const fn codec(&self) -> Option<Codec> {
        Codec::from_id(self.attributes.codec_id())
    }

    /// Whether an idempotent or transactional producer wrote it.
    #[must_use]
    pub const fn has_producer_id(&self) -> bool {
        self.producer_id.get() > ProducerId::NONE.get()
    }

    /// The sequence of the last record; wraps from `i32::MAX` to 0.
    #[must_use]
    pub const fn last_sequence(&self) -> Sequence {
        let base = self.base_sequence.get();
        if base < 0 {
            return self.base_sequence;
        }
        // Both are at most i32::MAX, so that the sum less 2^31 fits.
        let sum = base as i64 + self.last_offset_delta as i64;
        Sequence::new((sum & 0x7fff_ffff) as i32)
    }

    /// The header as bytes; the checksum is taken as it is.
    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&self.base_offset.get().to_be_bytes());
        put(&self.batch_length.to_be_bytes());
        put(&self.leader_epoch.get().to_be_bytes());
        put(&[2]);
        put(&self.crc.to_be_bytes());
        put(&self.attributes.bits().to_be_bytes());
        put(&self.last_offset_delta.to_be_bytes());
        put(&self.base_timestamp.get().to_be_bytes());
        put(&self.max_timestamp.get().to_be_bytes());
        put(&self.producer_id.get().to_be_bytes());
        put(&self.producer_epoch.get().to_be_bytes());
        put(&self.base_sequence.get().to_be_bytes());
        put(&self.record_count.to_be_bytes());
        assert_eq!(at, Self::LEN, "the header's fields add up to {at} bytes");
        out
    }

    /// Puts this header over `batch`'s, with the checksum of the bytes that follow.
    pub(crate) fn seal(mut self, batch: &mut [u8]) -> Self {
        assert_eq!(
            batch.len(),
            self.size_bytes(),
            "a batch is as long as its header says"
        );
        let (head, _) = batch.split_at_mut(Self::LEN);
        head.copy_from_slice(&self.encode());
        self.crc = crc32c(&batch[Self::CRC_FROM..]);
        batch[Self::CRC_POSITION..Self::CRC_FROM].copy_from_slice(&self.crc.to_be_bytes());
        self
    }
}
