//! An encoded response: bytes to send, with gaps for what is sent from elsewhere.

use bytes::{Bytes, BytesMut};

use crate::field::{EncodeError, Sink};
use crate::frame::LENGTH_BYTES;

/// Bytes of at least this size are sent as they are, smaller ones copied to their neighbours.
const SHARED_BYTES_MIN: usize = 4096;
/// The first room for written bytes: most responses need no more.
const WRITTEN_BYTES_FIRST: usize = 512;

/// A response as it goes to the socket: the parts in order, the frame's length in the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The parts, none empty.
    pub segments: Vec<Segment>,
    /// The bytes of all parts.
    pub length: usize,
}

/// A part of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes.
    Bytes(Bytes),
    /// Bytes that the sender has: see [`crate::fetch::Records::Payload`].
    Payload {
        /// Which of the sender's payloads.
        index: usize,
        /// How many bytes it has.
        length: usize,
    },
}

impl Segment {
    /// How many bytes it has.
    #[must_use]
    #[allow(
        clippy::len_without_is_empty,
        reason = "no part of a response is empty"
    )]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Payload { length, .. } => *length,
        }
    }
}

impl Encoded {
    /// The response in one piece, where it has no payloads of the sender.
    #[must_use]
    pub fn into_bytes(self) -> Option<Bytes> {
        let mut segments = self.segments.into_iter();
        let first = segments.next();
        if segments.len() == 0 {
            return match first {
                None => Some(Bytes::new()),
                Some(Segment::Bytes(bytes)) => Some(bytes),
                Some(Segment::Payload { .. }) => None,
            };
        }
        let mut whole = BytesMut::with_capacity(self.length);
        for segment in first.into_iter().chain(segments) {
            let Segment::Bytes(bytes) = segment else {
                return None;
            };
            whole.extend_from_slice(&bytes);
        }
        Some(whole.freeze())
    }
}

/// Collects the parts of a response. What is written goes to one buffer, which is cut where other
/// bytes stand between.
#[derive(Debug)]
pub(crate) struct Segments {
    written: BytesMut,
    /// What stands between the written bytes, each with the position before which it stands.
    between: Vec<(usize, Segment)>,
}

impl Segments {
    /// Begins a frame, with room for its length.
    pub(crate) fn frame() -> Self {
        let mut written = BytesMut::with_capacity(WRITTEN_BYTES_FIRST);
        written.extend_from_slice(&[0; LENGTH_BYTES]);
        Self {
            written,
            between: Vec::new(),
        }
    }

    /// The written bytes, for a codec that appends to a buffer.
    pub(crate) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.written
    }

    /// Ends the frame: its length goes to its front.
    pub(crate) fn finish(mut self) -> Result<Encoded, EncodeError> {
        let between = self.between.iter().map(|(_, segment)| segment.len());
        let length = self.written.len() + between.sum::<usize>();
        let body = length.saturating_sub(LENGTH_BYTES);
        let prefix = i32::try_from(body).map_err(|_| EncodeError::TooLong { length: body })?;
        if let Some(room) = self.written.first_chunk_mut() {
            *room = prefix.to_be_bytes();
        }
        let written = self.written.freeze();
        let mut segments = Vec::with_capacity(2 * self.between.len() + 1);
        let mut from = 0;
        for (position, segment) in self.between {
            if from < position {
                segments.push(Segment::Bytes(written.slice(from..position)));
            }
            segments.push(segment);
            from = position;
        }
        if from < written.len() {
            segments.push(Segment::Bytes(written.slice(from..)));
        }
        Ok(Encoded { segments, length })
    }

    fn put_between(&mut self, segment: Segment) {
        self.between.push((self.written.len(), segment));
    }
}

impl Sink for Segments {
    fn put(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
    }

    fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.put(bytes);
        } else {
            self.put_between(Segment::Bytes(bytes.clone()));
        }
    }

    fn payload(&mut self, index: usize, length: usize) -> Result<(), EncodeError> {
        if length > 0 {
            self.put_between(Segment::Payload { index, length });
        }
        Ok(())
    }
}
