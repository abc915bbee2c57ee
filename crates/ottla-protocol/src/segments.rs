//! An encoded response: bytes to send, with gaps for what is sent from elsewhere.

use bytes::{Bytes, BytesMut};

use crate::field::{EncodeError, Sink};
use crate::frame::LENGTH_BYTES;

/// Bytes of at least this size are sent as they are, smaller ones copied to their neighbours.
const SHARED_BYTES_MIN: usize = 4096;

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

/// Collects the parts of a response.
#[derive(Debug)]
pub(crate) struct Segments {
    done: Vec<Part>,
    /// The part that is being written.
    open: BytesMut,
}

/// A part of a response that is being made.
#[derive(Debug)]
enum Part {
    Written(BytesMut),
    Shared(Bytes),
    Payload { index: usize, length: usize },
}

impl Segments {
    /// Begins a frame, with room for its length.
    pub(crate) fn frame() -> Self {
        Self {
            done: Vec::new(),
            open: BytesMut::from(&[0; LENGTH_BYTES][..]),
        }
    }

    /// The part that is being written, for a codec that appends to a buffer.
    pub(crate) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.open
    }

    /// Ends the frame: its length goes to its front.
    pub(crate) fn finish(mut self) -> Result<Encoded, EncodeError> {
        self.close();
        let length = self.done.iter().map(Part::length).sum::<usize>();
        let body = length.saturating_sub(LENGTH_BYTES);
        let prefix = i32::try_from(body).map_err(|_| EncodeError::TooLong { length: body })?;
        if let Some(Part::Written(first)) = self.done.first_mut()
            && let Some(room) = first.first_chunk_mut()
        {
            *room = prefix.to_be_bytes();
        }
        Ok(Encoded {
            segments: self.done.into_iter().map(Part::into_segment).collect(),
            length,
        })
    }

    /// Ends the part that is being written.
    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(Part::Written(self.open.split()));
        }
    }
}

impl Part {
    fn length(&self) -> usize {
        match self {
            Self::Written(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
            Self::Payload { length, .. } => *length,
        }
    }

    fn into_segment(self) -> Segment {
        match self {
            Self::Written(bytes) => Segment::Bytes(bytes.freeze()),
            Self::Shared(bytes) => Segment::Bytes(bytes),
            Self::Payload { index, length } => Segment::Payload { index, length },
        }
    }
}

impl Sink for Segments {
    fn put(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
    }

    fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            self.put(bytes);
        } else {
            self.close();
            self.done.push(Part::Shared(bytes.clone()));
        }
    }

    fn payload(&mut self, index: usize, length: usize) -> Result<(), EncodeError> {
        if length > 0 {
            self.close();
            self.done.push(Part::Payload { index, length });
        }
        Ok(())
    }
}
