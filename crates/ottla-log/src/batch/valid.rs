//! Runs of batches whose structure and checksums were checked, before and after they got offsets.

use bytes::{Bytes, BytesMut};

use super::{BatchError, BatchHeader};
use crate::limits::Limits;
use crate::{LeaderEpoch, Offset};

/// One or more whole batches, one after the other, each with sound structure and checksum.
///
/// Says nothing about the records inside: see [`super::Records`] and the checks of a produce.
#[derive(Clone, Debug)]
pub struct ValidBatches {
    bytes: Bytes,
    headers: HeaderList,
}

/// Batches with their final offsets, as they go into a segment.
#[derive(Clone, Debug)]
pub struct AssignedBatches {
    bytes: Bytes,
    headers: HeaderList,
}

/// Nearly always there is just one.
#[derive(Clone, Debug)]
enum HeaderList {
    One(BatchHeader),
    Many(Vec<BatchHeader>),
}

impl HeaderList {
    fn as_slice(&self) -> &[BatchHeader] {
        match self {
            Self::One(header) => std::slice::from_ref(header),
            Self::Many(headers) => headers,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [BatchHeader] {
        match self {
            Self::One(header) => std::slice::from_mut(header),
            Self::Many(headers) => headers,
        }
    }
}

impl ValidBatches {
    /// Checks `bytes`, which must be whole batches and nothing else.
    ///
    /// # Errors
    /// What is wrong with the first bad batch. Lengths come before checksums, and those before
    /// the other fields.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Self, BatchError> {
        let count = count_batches(&bytes, limits)?;
        let mut position = 0;
        let mut next = || -> Result<BatchHeader, BatchError> {
            let rest = bytes.get(position..).unwrap_or_default();
            let header = BatchHeader::parse_at(rest, position)?;
            let batch = rest.get(..header.size_bytes()).unwrap_or_default();
            header.check_crc(batch, position)?;
            header.check(limits)?;
            position += header.size_bytes();
            Ok(header)
        };
        let headers = if count == 1 {
            HeaderList::One(next()?)
        } else {
            // Counted, so that the list is never larger than the batches it describes.
            let mut headers = Vec::with_capacity(count);
            for _ in 0..count {
                headers.push(next()?);
            }
            HeaderList::Many(headers)
        };
        Ok(Self { bytes, headers })
    }

    /// As [`ValidBatches::parse`] of the whole batches at the front of `bytes`; a batch that is
    /// cut off at the end is left away, as it may be in the answer to a fetch.
    ///
    /// # Errors
    /// [`BatchError::Empty`] where not even the first is whole, otherwise as `parse`.
    pub fn parse_whole(bytes: &Bytes, limits: &Limits) -> Result<Self, BatchError> {
        let mut end = 0;
        while let Some(size) = whole_batch(bytes.get(end..).unwrap_or_default()) {
            end += size;
        }
        Self::parse(bytes.slice(..end), limits)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes, handed over.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The headers, at least one.
    #[must_use]
    pub fn headers(&self) -> &[BatchHeader] {
        self.headers.as_slice()
    }

    /// The single batch; `None` where there are more.
    #[must_use]
    pub const fn single(&self) -> Option<&BatchHeader> {
        match &self.headers {
            HeaderList::One(header) => Some(header),
            HeaderList::Many(_) => None,
        }
    }

    /// Each batch with its bytes.
    pub fn batches(&self) -> impl Iterator<Item = (&BatchHeader, Bytes)> {
        split(&self.bytes, self.headers.as_slice())
    }

    /// How many offsets the batches take.
    #[must_use]
    pub fn offset_count(&self) -> i64 {
        let counts = self
            .headers()
            .iter()
            .map(|h| i64::from(h.last_offset_delta) + 1);
        counts.sum()
    }

    /// Gives the batches the offsets from `base` on and the leader's `epoch`: as a leader does.
    ///
    /// Only the 12 bytes outside the checksum change; in place where nobody else holds the bytes,
    /// in a copy otherwise.
    ///
    /// # Errors
    /// [`BatchError::Counts`] where the offsets would not be expressible.
    pub fn into_assigned(
        self,
        base: Offset,
        epoch: LeaderEpoch,
    ) -> Result<AssignedBatches, BatchError> {
        let Self { bytes, mut headers } = self;
        let mut next = base;
        for header in headers.as_mut_slice() {
            header.base_offset = next;
            header.leader_epoch = epoch;
            // Counts were checked when the batch was parsed; only the offsets are new.
            let end = next
                .get()
                .checked_add(i64::from(header.last_offset_delta) + 1);
            let Some(end) = end.filter(|_| next >= Offset::ZERO) else {
                return Err(BatchError::Counts {
                    base_offset: next.get(),
                    last_offset_delta: header.last_offset_delta,
                    record_count: header.record_count,
                });
            };
            next = end.into();
        }
        let mut bytes = bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let mut position = 0;
        for header in headers.as_slice() {
            let batch = &mut bytes[position..position + header.size_bytes()];
            batch[..8].copy_from_slice(&header.base_offset.get().to_be_bytes());
            batch[12..16].copy_from_slice(&epoch.get().to_be_bytes());
            position += header.size_bytes();
        }
        Ok(AssignedBatches {
            bytes: bytes.freeze(),
            headers,
        })
    }

    /// Keeps the batches' own offsets and epochs: as a follower does. They must rise from batch to
    /// batch; gaps are legal.
    ///
    /// # Errors
    /// [`BatchError::Order`].
    pub fn into_replicated(self) -> Result<AssignedBatches, BatchError> {
        let mut previous = -1;
        for header in self.headers() {
            if header.base_offset.get() <= previous {
                return Err(BatchError::Order {
                    base_offset: header.base_offset.get(),
                    previous,
                });
            }
            previous = header.last_offset().get();
        }
        let Self { bytes, headers } = self;
        Ok(AssignedBatches { bytes, headers })
    }

    /// A batch that the caller has just made and sealed, or checked.
    pub(crate) const fn trusted(bytes: Bytes, header: BatchHeader) -> Self {
        Self {
            bytes,
            headers: HeaderList::One(header),
        }
    }
}

impl AssignedBatches {
    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The headers, at least one.
    #[must_use]
    pub fn headers(&self) -> &[BatchHeader] {
        self.headers.as_slice()
    }

    /// Each batch with its bytes.
    pub fn batches(&self) -> impl Iterator<Item = (&BatchHeader, Bytes)> {
        split(&self.bytes, self.headers.as_slice())
    }

    /// The first batch's base offset.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        self.headers()
            .first()
            .map_or(Offset::ZERO, |h| h.base_offset)
    }

    /// The last batch's last offset.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.headers()
            .last()
            .map_or(Offset::ZERO, BatchHeader::last_offset)
    }

    /// The offset after the last.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.headers()
            .last()
            .map_or(Offset::ZERO, BatchHeader::next_offset)
    }
}

fn split<'a>(
    bytes: &'a Bytes,
    headers: &'a [BatchHeader],
) -> impl Iterator<Item = (&'a BatchHeader, Bytes)> {
    let mut position = 0;
    headers.iter().map(move |header| {
        let end = position + header.size_bytes();
        let batch = bytes.slice(position..end);
        position = end;
        (header, batch)
    })
}

/// The size of the batch at the front of `bytes`, where all of it is there.
fn whole_batch(bytes: &[u8]) -> Option<usize> {
    let length = i32::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let size = usize::try_from(length).ok()? + BatchHeader::OVERHEAD;
    (size <= bytes.len()).then_some(size)
}

/// Walks from length to length.
fn count_batches(bytes: &[u8], limits: &Limits) -> Result<usize, BatchError> {
    if bytes.is_empty() {
        return Err(BatchError::Empty);
    }
    let mut position = 0;
    let mut count = 0;
    while position < bytes.len() {
        let rest = bytes.get(position..).unwrap_or_default();
        let header = BatchHeader::parse_at(rest, position)?;
        let size = header.size_bytes();
        if size > limits.batch_bytes_max {
            return Err(BatchError::Length {
                position,
                length: header.batch_length,
                allowed: "at most the limit `batch_bytes_max`",
            });
        }
        if size > rest.len() {
            return Err(BatchError::Truncated {
                position,
                needed: size,
                remaining: rest.len(),
            });
        }
        count += 1;
        if count > limits.batches_max {
            return Err(BatchError::TooManyBatches(limits.batches_max));
        }
        position += size;
    }
    Ok(count)
}
