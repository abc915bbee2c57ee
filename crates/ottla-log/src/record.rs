//! Records as a program hands them in and gets them back.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{Offset, Timestamp};

/// A record to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The key; compaction and partitioning go by it.
    pub key: Option<Bytes>,
    /// The value; a record without one is a tombstone for its key.
    pub value: Option<Bytes>,
    /// The headers, in order; the same key may occur more than once.
    pub headers: Vec<Header>,
    /// When it happened; the time of the append where absent.
    pub timestamp: Option<Timestamp>,
}

impl Record {
    /// A record with this value and nothing else.
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// A record without a value: deletes `key` from a compacted topic.
    pub fn tombstone(key: impl Into<Bytes>) -> Self {
        Self::default().with_key(key)
    }

    /// The same record with this key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same record with one more header.
    #[must_use]
    pub fn with_header(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(key, Some(value.into())));
        self
    }

    /// The same record with this timestamp.
    #[must_use]
    pub const fn with_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

/// A record's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The key. UTF-8 by Kafka's rule; what a foreign client wrote is kept as it is.
    pub key: Bytes,
    /// The value.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header.
    pub fn new(key: impl Into<String>, value: Option<Bytes>) -> Self {
        Self {
            key: Bytes::from(key.into()),
            value,
        }
    }

    /// The key as text; bytes that are not UTF-8 show as replacement characters, as they do in
    /// Kafka's own clients.
    #[must_use]
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}

/// A record read from a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp: the producer's or, in a batch of the type `LogAppendTime`, the broker's.
    pub timestamp: Timestamp,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<Header>,
}
