//! Encoding records into a batch.

use bytes::Bytes;

use super::{Attributes, BatchHeader, TimestampType};
use crate::codec::{self, Codec};
use crate::cursor::{put_varlong, varlong_len};
use crate::record::Record;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// What a batch says beside its records. `Default`: offset 0, no codec, no producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// The offset of the first record.
    pub base_offset: Offset,
    /// The leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// How the records are compressed.
    pub codec: Codec,
    /// Whose clock the timestamps are from; `LogAppendTime` stamps all records with `now`.
    pub timestamp_type: TimestampType,
    /// The timestamp of records that have none.
    pub now: Timestamp,
    /// The producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: ProducerEpoch,
    /// The sequence of the first record.
    pub base_sequence: Sequence,
    /// Part of a transaction.
    pub transactional: bool,
    /// A control batch.
    pub control: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            codec: Codec::None,
            timestamp_type: TimestampType::CreateTime,
            now: Timestamp::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::new(-1),
            transactional: false,
            control: false,
        }
    }
}

/// Why records do not fit into one batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No record.
    #[error("a batch needs at least one record")]
    Empty,
    /// The format's 32-bit lengths do not reach.
    #[error("the records are too large for one batch; split them into more than one")]
    TooLarge,
    /// Two timestamps are further apart than a 64-bit number says.
    #[error("the timestamps {0} and {1} are too far apart for one batch")]
    TimestampSpan(Timestamp, Timestamp),
}

/// Encodes `records` as one batch.
///
/// # Errors
/// [`BuildError`] where they do not fit into one.
pub fn build_batch(records: &[Record], options: &BatchOptions) -> Result<Bytes, BuildError> {
    let first = records.first().ok_or(BuildError::Empty)?;
    let record_count = i32::try_from(records.len()).map_err(|_| BuildError::TooLarge)?;
    let time_of = |record: &Record| record.timestamp.unwrap_or(options.now);
    let base_timestamp = time_of(first);
    let mut max_timestamp = base_timestamp;
    let mut bytes = vec![0; BatchHeader::LEN];
    for (index, record) in records.iter().enumerate() {
        let timestamp = time_of(record);
        let delta = timestamp.get().checked_sub(base_timestamp.get());
        let delta = delta.ok_or(BuildError::TimestampSpan(base_timestamp, timestamp))?;
        max_timestamp = max_timestamp.max(timestamp);
        put_record(&mut bytes, index as i64, delta, record)?;
    }
    if options.codec != Codec::None {
        let block = codec::compress(
            options.codec,
            None,
            bytes.get(BatchHeader::LEN..).unwrap_or_default(),
        );
        bytes.truncate(BatchHeader::LEN);
        bytes.extend_from_slice(&block);
    }
    let batch_length = i32::try_from(bytes.len() - BatchHeader::OVERHEAD);
    let header = BatchHeader {
        base_offset: options.base_offset,
        batch_length: batch_length.map_err(|_| BuildError::TooLarge)?,
        leader_epoch: options.leader_epoch,
        crc: 0,
        attributes: Attributes::new(options.codec, options.timestamp_type)
            .with_transactional(options.transactional)
            .with_control(options.control),
        last_offset_delta: record_count - 1,
        base_timestamp,
        max_timestamp: match options.timestamp_type {
            TimestampType::CreateTime => max_timestamp,
            TimestampType::LogAppendTime => options.now,
        },
        producer_id: options.producer_id,
        producer_epoch: options.producer_epoch,
        base_sequence: options.base_sequence,
        record_count,
    };
    header.seal(&mut bytes);
    Ok(bytes.into())
}

pub(super) fn put_record(
    out: &mut Vec<u8>,
    offset_delta: i64,
    timestamp_delta: i64,
    record: &Record,
) -> Result<(), BuildError> {
    let headers: usize = record
        .headers
        .iter()
        .map(|h| part_len(Some(&h.key)) + part_len(h.value.as_ref()))
        .sum();
    let len = 1
        + varlong_len(timestamp_delta)
        + varlong_len(offset_delta)
        + part_len(record.key.as_ref())
        + part_len(record.value.as_ref())
        + varlong_len(record.headers.len() as i64)
        + headers;
    // Bounds every length inside, too.
    i32::try_from(out.len() + len).map_err(|_| BuildError::TooLarge)?;
    put_varlong(out, len as i64);
    let start = out.len();
    out.push(0);
    put_varlong(out, timestamp_delta);
    put_varlong(out, offset_delta);
    put_part(out, record.key.as_ref());
    put_part(out, record.value.as_ref());
    put_varlong(out, record.headers.len() as i64);
    for header in &record.headers {
        put_part(out, Some(&header.key));
        put_part(out, header.value.as_ref());
    }
    assert_eq!(out.len() - start, len, "a record is as long as computed");
    Ok(())
}

fn part_len(part: Option<&Bytes>) -> usize {
    part.map_or(1, |part| varlong_len(part.len() as i64) + part.len())
}

fn put_part(out: &mut Vec<u8>, part: Option<&Bytes>) {
    match part {
        None => put_varlong(out, -1),
        Some(part) => {
            put_varlong(out, part.len() as i64);
            out.extend_from_slice(part);
        }
    }
}
