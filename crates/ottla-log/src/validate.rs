//! What a leader checks and changes in a batch that a client produced.
//!
//! The checks come in Kafka's order, in two steps: [`parse_produce`] sees the bytes of a request,
//! [`validate_produce`] the batch and a topic's settings, right before offsets are assigned.
//! Whether the producer may write what it writes is asked of [`crate::Origin`]'s state instead.
//!
//! Stricter than Kafka in three places, where it stores what consumers cannot make sense of:
//! records of an uncompressed batch whose offsets are not consecutive, compressed ones alike
//! (Kafka renumbers them), and a batch that claims `LogAppendTime` for itself, whose records'
//! own timestamps nobody checked.

use bytes::{Bytes, BytesMut};

use crate::batch::{
    Attributes, BatchError, BatchHeader, RecordRef, Records, TimestampType, ValidBatches,
};
use crate::codec::{self, Codec};
use crate::limits::Limits;
use crate::{Offset, Timestamp};

/// What the request and the topic allow, as far as it shows without looking into the batch.
#[derive(Clone, Copy, Debug)]
pub struct ProduceLimits {
    /// Whether the version of the request knows zstd (7 and later).
    pub zstd_allowed: bool,
    /// The topic's `max.message.bytes`.
    pub max_message_bytes: usize,
}

/// A topic's settings for what is produced to it.
#[derive(Clone, Copy, Debug)]
pub struct ProduceRules {
    /// The time of the append.
    pub now: Timestamp,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how old a record may be.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far in the future a record may be.
    pub after_max_ms: i64,
    /// Whether each record needs a key: the topic is compacted.
    pub keys_required: bool,
    /// `max.message.bytes`, which binds a batch that was compressed anew, too.
    pub max_message_bytes: usize,
    /// `compression.type`; none for `producer`.
    pub compression: Option<Compression>,
}

/// How batches of a topic are to be compressed, whatever their producers chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The codec.
    pub codec: Codec,
    /// Its level, or the codec's default.
    pub level: Option<i32>,
}

impl Default for ProduceRules {
    fn default() -> Self {
        Self {
            now: Timestamp::NONE,
            timestamp_type: TimestampType::CreateTime,
            before_max_ms: i64::MAX,
            after_max_ms: 60 * 60 * 1000,
            keys_required: false,
            max_message_bytes: 1_048_588,
            compression: None,
        }
    }
}

/// A batch that may be appended.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The batch, rewritten where the topic asks for it.
    pub batches: ValidBatches,
    /// The timestamp that all records got; none where they keep their own.
    pub log_append_time: Option<Timestamp>,
}

/// Why a client's batch is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// Nothing that is a whole batch.
    #[error("the request has no record batch for the partition")]
    NoBatch,
    /// More than one batch.
    #[error("the request has more than one record batch for the partition")]
    MoreThanOneBatch,
    /// A batch of an old format.
    #[error("the record batch has magic {0}; only 2 is supported")]
    Magic(i8),
    /// zstd in a request of before it existed.
    #[error("zstd needs version 7 of the produce request or a later one")]
    ZstdNotAllowed,
    /// The base offset is not the broker's to assign.
    #[error("the record batch has base offset {0}; a client has to send 0")]
    BaseOffset(Offset),
    /// Larger than `max.message.bytes`.
    #[error("the record batch has {size} bytes; the topic's max.message.bytes is {max}")]
    TooLarge {
        /// The batch's size.
        size: usize,
        /// The setting.
        max: usize,
    },
    /// Damaged on its way.
    #[error(transparent)]
    Corrupt(BatchError),
    /// Made wrong by the client.
    #[error(transparent)]
    Malformed(BatchError),
    /// As many records as offsets, at least one, is a must for a client.
    #[error("the record batch has {record_count} records for {offset_count} offsets")]
    Counts {
        /// The header's record count.
        record_count: i32,
        /// How many offsets the header spans.
        offset_count: i64,
    },
    /// A control batch.
    #[error("a client cannot write control records")]
    Control,
    /// A producer id without a sequence.
    #[error("the record batch has producer id {producer_id} and sequence {sequence}")]
    Sequence {
        /// The producer.
        producer_id: i64,
        /// The negative sequence.
        sequence: i32,
    },
    /// Some records break the topic's rules; none is appended.
    #[error("{total} records break the topic's rules; {}", first(errors))]
    Records {
        /// Whether a timestamp is among the reasons, which decides the error code.
        timestamp: bool,
        /// The first of them, at most [`Limits::record_errors_max`].
        errors: Vec<RecordError>,
        /// How many there are.
        total: usize,
    },
}

/// What is wrong with one record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Which record, counted from 0.
    pub index: i32,
    /// What is wrong.
    pub message: String,
}

/// The kinds of refusal that Kafka's protocol tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProduceErrorKind {
    /// `INVALID_RECORD`.
    InvalidRecord,
    /// `CORRUPT_MESSAGE`.
    Corrupt,
    /// `MESSAGE_TOO_LARGE`.
    TooLarge,
    /// `INVALID_TIMESTAMP`.
    InvalidTimestamp,
    /// `UNSUPPORTED_COMPRESSION_TYPE`.
    UnsupportedCodec,
}

impl ProduceError {
    /// Which error code it is on the wire.
    #[must_use]
    pub const fn kind(&self) -> ProduceErrorKind {
        match self {
            Self::NoBatch
            | Self::MoreThanOneBatch
            | Self::Magic(_)
            | Self::BaseOffset(_)
            | Self::Malformed(_)
            | Self::Counts { .. }
            | Self::Control
            | Self::Sequence { .. }
            | Self::Records {
                timestamp: false, ..
            } => ProduceErrorKind::InvalidRecord,
            Self::ZstdNotAllowed => ProduceErrorKind::UnsupportedCodec,
            Self::TooLarge { .. } => ProduceErrorKind::TooLarge,
            Self::Corrupt(_) => ProduceErrorKind::Corrupt,
            Self::Records {
                timestamp: true, ..
            } => ProduceErrorKind::InvalidTimestamp,
        }
    }

    /// What is wrong with single records.
    #[must_use]
    pub fn record_errors(&self) -> &[RecordError] {
        match self {
            Self::Records { errors, .. } => errors,
            _ => &[],
        }
    }
}

/// Takes the batch out of a request's bytes for one partition: exactly one, of format 2, with
/// base offset 0, not too large, checksum right. What follows it and is no whole batch is cut
/// off, as Kafka does.
///
/// # Errors
/// [`ProduceError`].
pub fn parse_produce(
    bytes: &Bytes,
    rules: &ProduceLimits,
    limits: &Limits,
) -> Result<ValidBatches, ProduceError> {
    let (size, magic) = next_batch(bytes)?.ok_or(ProduceError::NoBatch)?;
    if magic != 2 {
        return Err(ProduceError::Magic(magic));
    }
    let batch = bytes.slice(..size);
    let header = BatchHeader::parse(&batch).map_err(ProduceError::Corrupt)?;
    if header.codec() == Some(Codec::Zstd) && !rules.zstd_allowed {
        return Err(ProduceError::ZstdNotAllowed);
    }
    if next_batch(bytes.get(size..).unwrap_or_default())?.is_some() {
        return Err(ProduceError::MoreThanOneBatch);
    }
    check_placement(&header, rules.max_message_bytes.min(limits.batch_bytes_max))?;
    header.check_crc(&batch, 0).map_err(ProduceError::Corrupt)?;
    header.check(limits).map_err(ProduceError::Malformed)?;
    Ok(ValidBatches::trusted(batch, header))
}

/// Checks a client's batch by the settings of its topic, and rewrites what they ask for:
/// timestamps of the type `LogAppendTime`, the largest timestamp where the client named a wrong
/// one, another codec.
///
/// # Errors
/// [`ProduceError`]; nothing of the batch may be appended then.
pub fn validate_produce(
    batches: ValidBatches,
    rules: &ProduceRules,
    limits: &Limits,
) -> Result<Validated, ProduceError> {
    let header = *batches.single().ok_or(ProduceError::MoreThanOneBatch)?;
    check_placement(&header, rules.max_message_bytes)?;
    check_header(&header)?;
    let records =
        Records::open(&header, batches.bytes(), limits).map_err(ProduceError::Malformed)?;
    let max_timestamp = check_records(&records, rules, limits)?;

    let mut wanted = header;
    wanted.attributes = header.attributes.with_timestamp_type(rules.timestamp_type);
    let log_append_time = match rules.timestamp_type {
        TimestampType::CreateTime => None,
        TimestampType::LogAppendTime => Some(rules.now),
    };
    wanted.max_timestamp = log_append_time.unwrap_or(max_timestamp);
    let batches = match rules.compression {
        Some(to) if header.codec() != Some(to.codec) => {
            recompress(wanted, records.data(), to, rules.max_message_bytes)?
        }
        _ if wanted == header => batches,
        _ => {
            // They share the bytes, which then could not be changed in place.
            drop(records);
            reseal(wanted, batches)
        }
    };
    Ok(Validated {
        batches,
        log_append_time,
    })
}

/// The first of the errors, for a refusal's text.
fn first(errors: &[RecordError]) -> String {
    errors.first().map_or_else(String::new, |error| {
        format!("record {}: {}", error.index, error.message)
    })
}

/// Size and magic of the batch at the front of `bytes`; `None` where no whole batch is there.
fn next_batch(bytes: &[u8]) -> Result<Option<(usize, i8)>, ProduceError> {
    let corrupt = |e| Err(ProduceError::Corrupt(e));
    let Some(length) = bytes.get(8..).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    // The smallest batch that any format knows.
    let Some(after) = usize::try_from(length).ok().filter(|len| *len >= 14) else {
        return corrupt(BatchError::Length {
            position: 0,
            length,
            allowed: "14 and more",
        });
    };
    let Some(magic) = bytes.get(16).map(|magic| magic.cast_signed()) else {
        return Ok(None);
    };
    if !(0..=2).contains(&magic) {
        return corrupt(BatchError::Magic { position: 0, magic });
    }
    let size = after + BatchHeader::OVERHEAD;
    Ok((size <= bytes.len()).then_some((size, magic)))
}

fn check_placement(header: &BatchHeader, max: usize) -> Result<(), ProduceError> {
    if header.base_offset != Offset::ZERO {
        return Err(ProduceError::BaseOffset(header.base_offset));
    }
    let size = header.size_bytes();
    if size > max {
        return Err(ProduceError::TooLarge { size, max });
    }
    Ok(())
}

fn check_header(header: &BatchHeader) -> Result<(), ProduceError> {
    let offset_count = i64::from(header.last_offset_delta) + 1;
    if header.record_count <= 0 || i64::from(header.record_count) != offset_count {
        return Err(ProduceError::Counts {
            record_count: header.record_count,
            offset_count,
        });
    }
    if header.attributes.is_control() {
        return Err(ProduceError::Control);
    }
    if header.has_producer_id() && header.base_sequence.get() < 0 {
        return Err(ProduceError::Sequence {
            producer_id: header.producer_id.get(),
            sequence: header.base_sequence.get(),
        });
    }
    Ok(())
}

/// Walks over the records; the answer is the largest of their timestamps.
///
/// There are as many as offsets, and the walk refuses offsets that do not rise within the batch:
/// so they are consecutive.
fn check_records(
    records: &Records,
    rules: &ProduceRules,
    limits: &Limits,
) -> Result<Timestamp, ProduceError> {
    let claims_append_time =
        records.header().attributes.timestamp_type() == TimestampType::LogAppendTime;
    let mut max_timestamp = Timestamp::NONE;
    let mut errors = Vec::new();
    let mut timestamp = false;
    let mut total = 0;
    for (record, index) in records.iter().zip(0_i32..) {
        let record = record.map_err(ProduceError::Malformed)?;
        max_timestamp = max_timestamp.max(record.timestamp);
        let message = if rules.keys_required && record.key.is_none() {
            "the record has no key, which a compacted topic needs".to_owned()
        } else if claims_append_time {
            timestamp = true;
            "the record's timestamp is marked as the broker's; a producer cannot do that".to_owned()
        } else if let Some(message) = check_timestamp(&record, rules) {
            timestamp = true;
            message
        } else {
            continue;
        };
        total += 1;
        if errors.len() < limits.record_errors_max {
            errors.push(RecordError { index, message });
        }
    }
    if total == 0 {
        return Ok(max_timestamp);
    }
    Err(ProduceError::Records {
        timestamp,
        errors,
        total,
    })
}

fn check_timestamp(record: &RecordRef<'_>, rules: &ProduceRules) -> Option<String> {
    if rules.timestamp_type == TimestampType::LogAppendTime || record.timestamp == Timestamp::NONE {
        return None;
    }
    let now = rules.now.get();
    let age = now.saturating_sub(record.timestamp.get());
    if age <= rules.before_max_ms && age.saturating_neg() <= rules.after_max_ms {
        return None;
    }
    Some(format!(
        "the timestamp {} is out of range: the topic allows {} to {}",
        record.timestamp,
        now.saturating_sub(rules.before_max_ms),
        now.saturating_add(rules.after_max_ms)
    ))
}

/// The batch with another header and the same records.
fn reseal(header: BatchHeader, batches: ValidBatches) -> ValidBatches {
    let mut bytes = batches
        .into_bytes()
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    let header = header.seal(&mut bytes);
    ValidBatches::trusted(bytes.freeze(), header)
}

/// The batch with `data`, its records, compressed as `to` says.
fn recompress(
    mut header: BatchHeader,
    data: &[u8],
    to: Compression,
    max: usize,
) -> Result<ValidBatches, ProduceError> {
    let block = codec::compress(to.codec, to.level, data);
    let size = BatchHeader::LEN + block.len();
    let length = i32::try_from(size - BatchHeader::OVERHEAD).ok();
    let Some(length) = length.filter(|_| size <= max) else {
        return Err(ProduceError::TooLarge { size, max });
    };
    header.batch_length = length;
    header.attributes = Attributes::new(to.codec, header.attributes.timestamp_type())
        .with_transactional(header.attributes.is_transactional());
    let mut bytes = Vec::with_capacity(size);
    bytes.resize(BatchHeader::LEN, 0);
    bytes.extend(block);
    let header = header.seal(&mut bytes);
    Ok(ValidBatches::trusted(bytes.into(), header))
}

#[cfg(test)]
mod tests;
