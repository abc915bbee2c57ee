//! The `.snapshot` file: the state of all producers at an offset, in Kafka's format.
//!
//! Of the batches of a producer only the last is kept.

use std::collections::BTreeMap;

use super::entry::{BatchMemory, Entry};
use crate::ProducerId;
use crate::crc::crc32c;
use crate::cursor::{Cursor, Malformed};

/// Version 1, the only one.
const VERSION: i16 = 1;
/// The size of a producer's entry.
const ENTRY_LEN: usize = 46;

/// Why a snapshot cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("its version is {0}; only 1 is supported")]
    Version(i16),
    #[error("its CRC-32C is {computed:#010x}, stored is {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
    #[error("it announces {count} producers in {remaining} bytes")]
    Length { count: i32, remaining: usize },
    #[error("it is shorter than its head")]
    Short,
    #[error("the state of producer {0} contradicts itself or another's")]
    Entry(ProducerId),
    #[error("producer {0} occurs twice")]
    Twice(ProducerId),
}

pub(super) fn encode(producers: &BTreeMap<ProducerId, Entry>) -> Vec<u8> {
    let mut body = Vec::with_capacity(4 + producers.len() * ENTRY_LEN);
    let count = i32::try_from(producers.len()).expect("bounded by Limits::producers_max");
    body.extend(count.to_be_bytes());
    for (id, entry) in producers {
        let last = entry.last();
        body.extend(id.get().to_be_bytes());
        body.extend(entry.epoch.get().to_be_bytes());
        body.extend(last.map_or(-1, |b| b.last_sequence.get()).to_be_bytes());
        body.extend(entry.last_offset().get().to_be_bytes());
        body.extend(last.map_or(0, |b| b.offset_delta).to_be_bytes());
        body.extend(entry.last_timestamp.get().to_be_bytes());
        body.extend(entry.coordinator_epoch.to_be_bytes());
        let transaction = entry.transaction_start.map_or(-1, crate::Offset::get);
        body.extend(transaction.to_be_bytes());
    }
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.extend(crc32c(&body).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The producers of a snapshot. Head, checksum and number are checked before the first is read.
pub(super) fn decode(
    bytes: &[u8],
) -> Result<impl Iterator<Item = Result<(ProducerId, Entry), SnapshotError>>, SnapshotError> {
    let mut cursor = Cursor::new(bytes);
    let mut head = || -> Result<(i16, u32), Malformed> { Ok((cursor.i16()?, cursor.u32()?)) };
    let (version, stored) = head().map_err(|_| SnapshotError::Short)?;
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let computed = crc32c(bytes.get(6..).unwrap_or_default());
    if computed != stored {
        return Err(SnapshotError::Crc { stored, computed });
    }
    let count = cursor.i32().map_err(|_| SnapshotError::Short)?;
    let remaining = cursor.remaining();
    let fits =
        usize::try_from(count).is_ok_and(|count| count.checked_mul(ENTRY_LEN) == Some(remaining));
    if !fits {
        return Err(SnapshotError::Length { count, remaining });
    }
    Ok((0..count).map(move |_| entry(&mut cursor)))
}

fn entry(cursor: &mut Cursor<'_>) -> Result<(ProducerId, Entry), SnapshotError> {
    let mut read = || -> Result<(ProducerId, Entry, BatchMemory, i64), Malformed> {
        let id = ProducerId::new(cursor.i64()?);
        let mut entry = Entry::default();
        entry.epoch = cursor.i16()?.into();
        let last = BatchMemory {
            last_sequence: cursor.i32()?.into(),
            last_offset: cursor.i64()?.into(),
            offset_delta: cursor.i32()?,
            timestamp: cursor.i64()?.into(),
        };
        entry.last_timestamp = last.timestamp;
        entry.coordinator_epoch = cursor.i32()?;
        Ok((id, entry, last, cursor.i64()?))
    };
    let (id, mut entry, last, transaction_start) = read().map_err(|_| SnapshotError::Short)?;
    let spans = last.offset_delta >= 0 && last.base_offset().get() >= 0;
    if last.last_offset.get() >= 0 {
        if !spans {
            return Err(SnapshotError::Entry(id));
        }
        entry.resume(last);
    }
    if transaction_start >= 0 {
        entry.transaction_start = Some(transaction_start.into());
    }
    Ok((id, entry))
}
