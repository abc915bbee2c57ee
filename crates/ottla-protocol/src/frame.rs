//! Frames: a length of four bytes, then that many bytes of header and body.
//!
//! The functions look at what was received so far and say what to do next; they read no socket and
//! hold no state. A length is refused as soon as its four bytes are there, so that nothing is ever
//! allocated for a frame that will not be read. What was received may not be Kafka at all, and then
//! its first bytes often tell what it is.

use bytes::{Buf, BytesMut};
use thiserror::Error;

/// The bytes of the length before each frame.
pub const LENGTH_BYTES: usize = 4;

/// What was received so far amounts to this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// At least `missing` more bytes are needed before anything can be done. When `frame` is
    /// known, it is the whole frame's size with its length field.
    Partial {
        /// The bytes still needed to get further: to the end of the length, or of the frame.
        missing: usize,
        /// The size of the frame, length field included, once its length is known.
        frame: Option<usize>,
    },
    /// A whole frame is there, of `frame` bytes with its length field.
    Whole {
        /// The size of the frame, length field included.
        frame: usize,
    },
}

/// Says whether `received` begins with a whole frame of at most `body_max` bytes.
///
/// # Errors
/// [`FrameError`] where the length can be that of no acceptable frame. The connection must be
/// closed: where the next frame begins is not known any more.
pub fn inspect(received: &[u8], body_max: usize) -> Result<Received, FrameError> {
    let Some(prefix) = received.first_chunk::<LENGTH_BYTES>() else {
        return Ok(Received::Partial {
            missing: LENGTH_BYTES - received.len(),
            frame: None,
        });
    };
    let claimed = i32::from_be_bytes(*prefix);
    let body = match usize::try_from(claimed) {
        Ok(body) if body <= body_max => body,
        Ok(_) => {
            return Err(FrameError::TooLarge {
                claimed,
                max: body_max,
            });
        }
        Err(_) => return Err(FrameError::Negative { claimed }),
    };
    let frame = LENGTH_BYTES + body;
    Ok(match frame.checked_sub(received.len()) {
        Some(missing @ 1..) => Received::Partial {
            missing,
            frame: Some(frame),
        },
        _ => Received::Whole { frame },
    })
}

/// Takes the first frame out of `received` if it is there whole, without its length field.
///
/// # Errors
/// As [`inspect`].
pub fn split(received: &mut BytesMut, body_max: usize) -> Result<Option<BytesMut>, FrameError> {
    match inspect(received, body_max)? {
        Received::Partial { .. } => Ok(None),
        Received::Whole { frame } => {
            let mut whole = received.split_to(frame);
            whole.advance(LENGTH_BYTES);
            Ok(Some(whole))
        }
    }
}

/// Why the length of a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is below zero.
    #[error("a frame claims to have {claimed} bytes")]
    Negative {
        /// The length in the frame.
        claimed: i32,
    },
    /// The length is above the limit.
    #[error("a frame claims to have {claimed} bytes, more than the {max} allowed")]
    TooLarge {
        /// The length in the frame.
        claimed: i32,
        /// The limit: `socket.request.max.bytes`, or less before authentication.
        max: usize,
    },
}

/// A protocol that is not Kafka's, told by the first bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stranger {
    /// A TLS handshake or alert.
    Tls,
    /// An HTTP request.
    Http,
    /// HTTP/2 without a request line, as gRPC clients open it.
    Http2,
    /// An SSH client's banner.
    Ssh,
}

impl Stranger {
    /// What the first bytes of a connection look like, if they are those of a known protocol.
    ///
    /// Meant for connections whose first frame was refused: each of these beginnings reads as a
    /// length of far over 100 MiB. Fewer bytes than a length say nothing yet.
    #[must_use]
    pub fn guess(first: &[u8]) -> Option<Self> {
        const METHODS: &[&[u8]] = &[
            b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"TRAC", b"CONN",
        ];
        match first {
            // A record of type handshake or alert and a version of SSL 3 to TLS 1.3.
            [0x15 | 0x16, 0x03, 0x00..=0x04, _, ..] => Some(Self::Tls),
            [b'S', b'S', b'H', b'-', ..] => Some(Self::Ssh),
            [b'P', b'R', b'I', b' ', ..] => Some(Self::Http2),
            _ => METHODS
                .iter()
                .any(|method| first.starts_with(method))
                .then_some(Self::Http),
        }
    }

    /// What was seen and what to do about it, for a line in the log.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Tls => {
                "a TLS handshake on a plaintext listener: set security.protocol=PLAINTEXT \
                 (or SASL_PLAINTEXT) in the client"
            }
            Self::Http => {
                "an HTTP request: this port speaks the Kafka protocol, not HTTP; use a Kafka \
                 client, and check health by a TCP connection"
            }
            Self::Http2 => {
                "an HTTP/2 connection: this port speaks the Kafka protocol, not gRPC; use a Kafka \
                 client"
            }
            Self::Ssh => {
                "an SSH client: this port speaks the Kafka protocol; use a Kafka client, or the \
                 port of the SSH server"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100;

    #[test]
    fn a_frame_is_split_however_its_bytes_arrive() {
        let stream = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01d";
        for step in 1..=stream.len() {
            let mut received = BytesMut::new();
            let mut frames = Vec::new();
            for part in stream.chunks(step) {
                received.extend_from_slice(part);
                while let Some(frame) = split(&mut received, MAX).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"abc"[..], b"", b"d"], "in steps of {step}");
            assert!(received.is_empty());
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let partial = |received: &[u8]| inspect(received, MAX).unwrap();
        let expected = |missing, frame| Received::Partial { missing, frame };
        assert_eq!(partial(b""), expected(4, None));
        assert_eq!(partial(b"\0\0\0"), expected(1, None));
        assert_eq!(partial(b"\0\0\0\x05"), expected(5, Some(9)));
        assert_eq!(partial(b"\0\0\0\x05abcd"), expected(1, Some(9)));
        assert_eq!(partial(b"\0\0\0\x05abcde"), Received::Whole { frame: 9 });
        assert_eq!(partial(b"\0\0\0\x05abcdef"), Received::Whole { frame: 9 });
    }

    #[test]
    fn impossible_lengths_are_refused_before_the_frame_arrives() {
        let refused = |received: &[u8]| inspect(received, MAX).unwrap_err();
        let negative = FrameError::Negative { claimed: i32::MIN };
        assert_eq!(refused(b"\x80\0\0\0"), negative);
        assert_eq!(
            refused(b"\xff\xff\xff\xff"),
            FrameError::Negative { claimed: -1 }
        );
        let large = |claimed| FrameError::TooLarge { claimed, max: MAX };
        assert_eq!(refused(b"\x7f\xff\xff\xff"), large(i32::MAX));
        assert_eq!(refused(b"\0\0\0\x65"), large(101));
        assert!(inspect(b"\0\0\0\x64", MAX).is_ok());
    }

    #[test]
    fn strangers_are_named_and_kafka_is_not() {
        let tls = b"\x16\x03\x01\x02\0\x01";
        let known: [(&[u8], Stranger); 6] = [
            (tls, Stranger::Tls),
            (b"\x15\x03\x03\0\x02", Stranger::Tls),
            (b"GET / HTTP/1.1", Stranger::Http),
            (b"OPTIONS *", Stranger::Http),
            (b"PRI * HTTP/2.0", Stranger::Http2),
            (b"SSH-2.0-x", Stranger::Ssh),
        ];
        for (first, stranger) in known {
            assert_eq!(Stranger::guess(first), Some(stranger), "{first:?}");
            // Each is refused as a frame, or nobody would ask.
            assert!(inspect(first, 100 << 20).is_err(), "{first:?}");
        }
        for kafka in [
            &b"\0\0\0\x20\0\x12\0\x04"[..],
            b"",
            b"\x16\x03",
            b"\x16\x03\x00",
            b"\x16\x03\x09\x01",
        ] {
            assert_eq!(Stranger::guess(kafka), None, "{kafka:?}");
        }
    }
}
