//! Making a batch anew with fewer of its records, as compaction does (KIP-534).
//!
//! Offsets, sequences, producer and leader epoch stay as they were, so that what a log knows of its
//! producers does not change with it.

use bytes::Bytes;

use super::build::{BuildError, put_record};
use super::{BatchHeader, TimestampType};
use crate::codec::{self, Codec};
use crate::record::{OwnedRecord, Record};
use crate::{Offset, Timestamp};

/// The batch of `header` with only `records` of its records, at least one, in its own codec. With a
/// `horizon`, the time from which its tombstones or its marker may go is noted in it.
///
/// # Errors
/// [`BuildError`] where the records do not fit, which were in one batch before.
pub(crate) fn rebuild(
    header: &BatchHeader,
    records: Vec<OwnedRecord>,
    horizon: Option<Timestamp>,
) -> Result<Bytes, BuildError> {
    let first = records.first().ok_or(BuildError::Empty)?;
    // The horizon takes the place of the first timestamp; the others are relative to either.
    let base_timestamp = horizon.unwrap_or(first.timestamp);
    let record_count = i32::try_from(records.len()).map_err(|_| BuildError::TooLarge)?;
    let mut max_timestamp = Timestamp::NONE;
    let mut bytes = vec![0; BatchHeader::LEN];
    for record in records {
        let (offset, timestamp) = (record.offset, record.timestamp);
        let delta = timestamp.get().checked_sub(base_timestamp.get());
        let delta = delta.ok_or(BuildError::TimestampSpan(base_timestamp, timestamp))?;
        max_timestamp = max_timestamp.max(timestamp);
        let record = Record {
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp: None,
        };
        put_record(
            &mut bytes,
            since(header.base_offset, offset),
            delta,
            &record,
        )?;
    }
    let codec = header.codec().unwrap_or_default();
    if codec != Codec::None {
        let records = bytes.get(BatchHeader::LEN..).unwrap_or_default();
        let block = codec::compress(codec, None, records);
        bytes.truncate(BatchHeader::LEN);
        bytes.extend_from_slice(&block);
    }
    let batch_length = i32::try_from(bytes.len() - BatchHeader::OVERHEAD);
    let header = BatchHeader {
        batch_length: batch_length.map_err(|_| BuildError::TooLarge)?,
        attributes: header.attributes.with_delete_horizon(horizon.is_some()),
        base_timestamp,
        max_timestamp: match header.attributes.timestamp_type() {
            TimestampType::CreateTime => max_timestamp,
            TimestampType::LogAppendTime => header.max_timestamp,
        },
        record_count,
        ..*header
    };
    header.seal(&mut bytes);
    Ok(bytes.into())
}

/// The batch of `header` without a record: says that its offsets were given, and which were its
/// producer's last sequences.
pub(crate) fn empty(header: &BatchHeader) -> Bytes {
    let length = BatchHeader::LEN - BatchHeader::OVERHEAD;
    let header = BatchHeader {
        batch_length: i32::try_from(length).expect("a header is short"),
        attributes: header
            .attributes
            .with_codec(Codec::None)
            .with_delete_horizon(false),
        base_timestamp: Timestamp::NONE,
        record_count: 0,
        ..*header
    };
    let mut bytes = vec![0; BatchHeader::LEN];
    header.seal(&mut bytes);
    bytes.into()
}

fn since(base: Offset, offset: Offset) -> i64 {
    offset.get() - base.get()
}
