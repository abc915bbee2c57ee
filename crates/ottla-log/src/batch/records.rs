//! The records inside a batch, decoded one by one; nothing is copied beyond decompression.

use std::iter::FusedIterator;

use bytes::Bytes;

use super::{BatchError, BatchHeader, TimestampType};
use crate::codec::{self, Codec};
use crate::cursor::{Cursor, Malformed};
use crate::limits::Limits;
use crate::record::{Header, OwnedRecord};
use crate::{Offset, Timestamp};

/// The records of one batch, decompressed.
#[derive(Clone, Debug)]
pub struct Records {
    header: BatchHeader,
    data: Bytes,
    headers_max: usize,
}

impl Records {
    /// Opens `batch`, whose header is `header`: decompresses where a codec is named.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`], [`BatchError::Decompress`], or [`BatchError::Truncated`]
    /// where `batch` is shorter than its header says.
    pub fn open(header: &BatchHeader, batch: &Bytes, limits: &Limits) -> Result<Self, BatchError> {
        if batch.len() < header.size_bytes() {
            return Err(BatchError::Truncated {
                position: 0,
                needed: header.size_bytes(),
                remaining: batch.len(),
            });
        }
        let block = batch.slice(BatchHeader::LEN..header.size_bytes());
        let codec = header
            .codec()
            .ok_or_else(|| BatchError::UnknownCodec(header.attributes.codec_id()))?;
        let data = match codec {
            Codec::None => block,
            codec => codec::decompress(codec, &block, limits)?.into(),
        };
        Ok(Self {
            header: *header,
            data,
            headers_max: limits.headers_per_record_max,
        })
    }

    /// The batch's header.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The records' bytes, decompressed.
    #[must_use]
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    /// The records in order. After an error there is nothing more.
    #[must_use]
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            cursor: Cursor::new(&self.data),
            walk: Walk::new(&self.header, self.headers_max),
        }
    }
}

impl IntoIterator for Records {
    type Item = Result<OwnedRecord, BatchError>;
    type IntoIter = OwnedRecords;

    fn into_iter(self) -> OwnedRecords {
        OwnedRecords {
            walk: Walk::new(&self.header, self.headers_max),
            data: self.data,
            position: 0,
        }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<RecordRef<'a>, BatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// One record, borrowed from its batch.
#[derive(Clone, Debug)]
pub struct RecordRef<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp: its own or, in a batch of the type `LogAppendTime`, the broker's.
    pub timestamp: Timestamp,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> RecordRef<'a> {
    /// The headers, in order, decoded as they are asked for.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        self.headers.clone()
    }

    /// The same record with a share of `data`, the bytes it was read from.
    fn to_owned(&self, data: &Bytes) -> OwnedRecord {
        let share = |part: &[u8]| data.slice_ref(part);
        OwnedRecord {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.map(share),
            value: self.value.map(share),
            headers: self
                .headers()
                .map(|(key, value)| Header {
                    key: share(key),
                    value: value.map(share),
                })
                .collect(),
        }
    }
}

/// The headers of one record: keys and values. The record was checked, so none is malformed.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        header(&mut self.cursor).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}
impl FusedIterator for Headers<'_> {}

/// Borrowed records of a batch.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    cursor: Cursor<'a>,
    walk: Walk,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordRef<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.walk.next(&mut self.cursor)
    }
}

impl FusedIterator for RecordIter<'_> {}

/// Owned records of a batch; they share its bytes.
#[derive(Clone, Debug)]
pub struct OwnedRecords {
    data: Bytes,
    position: usize,
    walk: Walk,
}

impl Iterator for OwnedRecords {
    type Item = Result<OwnedRecord, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.data.get(self.position..).unwrap_or_default();
        let mut cursor = Cursor::new(rest);
        let record = self.walk.next(&mut cursor)?;
        let owned = record.map(|record| record.to_owned(&self.data));
        self.position += rest.len() - cursor.remaining();
        Some(owned)
    }
}

impl FusedIterator for OwnedRecords {}

/// What is known between two records of a batch.
#[derive(Clone, Debug)]
struct Walk {
    batch: BatchHeader,
    headers_max: usize,
    index: usize,
    /// The offset delta of the record before.
    previous: i32,
    done: bool,
}

impl Walk {
    const fn new(batch: &BatchHeader, headers_max: usize) -> Self {
        Self {
            batch: *batch,
            headers_max,
            index: 0,
            previous: -1,
            done: false,
        }
    }

    fn next<'a>(&mut self, cursor: &mut Cursor<'a>) -> Option<Result<RecordRef<'a>, BatchError>> {
        if self.done {
            return None;
        }
        if i64::try_from(self.index).is_ok_and(|i| i >= i64::from(self.batch.record_count)) {
            self.done = true;
            let left = cursor.remaining();
            return (left > 0).then_some(Err(BatchError::TrailingBytes(left)));
        }
        let record = self.record(cursor);
        self.done = record.is_err();
        self.index += 1;
        Some(record)
    }

    fn record<'a>(&mut self, cursor: &mut Cursor<'a>) -> Result<RecordRef<'a>, BatchError> {
        let index = self.index;
        let malformed = |Malformed(why)| BatchError::Record { index, why };
        let len = cursor.varint().map_err(malformed)?;
        let len = usize::try_from(len).map_err(|_| malformed(Malformed("a length is negative")))?;
        let mut body = Cursor::new(cursor.take(len).map_err(malformed)?);
        let _attributes = body.u8().map_err(malformed)?;
        let timestamp_delta = body.varlong().map_err(malformed)?;
        let offset_delta = body.varint().map_err(malformed)?;
        if offset_delta <= self.previous || offset_delta > self.batch.last_offset_delta {
            return Err(malformed(Malformed("its offset does not fit the batch")));
        }
        self.previous = offset_delta;
        let timestamp = self.timestamp(timestamp_delta).map_err(malformed)?;
        let key = body.varint_bytes().map_err(malformed)?;
        let value = body.varint_bytes().map_err(malformed)?;
        let headers = self.headers(&mut body)?;
        if body.remaining() > 0 {
            return Err(malformed(Malformed("it is longer than its fields")));
        }
        Ok(RecordRef {
            offset: self.batch.base_offset.plus(i64::from(offset_delta)),
            timestamp,
            key,
            value,
            headers,
        })
    }

    fn timestamp(&self, delta: i64) -> Result<Timestamp, Malformed> {
        match self.batch.attributes.timestamp_type() {
            TimestampType::LogAppendTime => Ok(self.batch.max_timestamp),
            TimestampType::CreateTime => {
                let sum = self.batch.base_timestamp.get().checked_add(delta);
                sum.map(Timestamp::new)
                    .ok_or(Malformed("its timestamp overflows"))
            }
        }
    }

    /// Walks over the headers once, so that reading them later cannot fail.
    fn headers<'a>(&self, body: &mut Cursor<'a>) -> Result<Headers<'a>, BatchError> {
        let index = self.index;
        let malformed = |Malformed(why)| BatchError::Record { index, why };
        let count = body.varint().map_err(malformed)?;
        // Each takes two bytes at least.
        let left = usize::try_from(count)
            .ok()
            .filter(|&count| count <= body.remaining() / 2)
            .ok_or_else(|| malformed(Malformed("its number of headers cannot be right")))?;
        if left > self.headers_max {
            return Err(BatchError::TooMany {
                what: "headers in a record",
                max: self.headers_max,
            });
        }
        let headers = Headers {
            cursor: body.clone(),
            left,
        };
        for _ in 0..left {
            header(body).map_err(malformed)?;
        }
        Ok(headers)
    }
}

fn header<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], Option<&'a [u8]>), Malformed> {
    let key = cursor
        .varint_bytes()?
        .ok_or(Malformed("a header has no key"))?;
    Ok((key, cursor.varint_bytes()?))
}
