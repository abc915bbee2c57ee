//! The client's side of the wire, for tools that talk to a broker.
//!
//! What comes back is walked by the guard before it is decoded, as requests are: whoever answers,
//! a length that lies is an error.

pub mod consumer;
mod shapes;

use bytes::{Buf, BufMut, Bytes, BytesMut};
pub use kafka_protocol::messages;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
pub use kafka_protocol::protocol::{Request, StrBytes};
pub use uuid::Uuid;

use crate::guard::{self, Encoding};

/// What went wrong between a message and its bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCodecError {
    /// The message has a field that this version cannot carry.
    #[error("cannot encode {api} version {version}: {reason}")]
    Encode {
        /// The API's key.
        api: i16,
        /// The version asked for.
        version: i16,
        /// What the codec said.
        reason: String,
    },
    /// The answer is not of the shape this version has.
    #[error("cannot read the answer to {api} version {version}: {reason}")]
    Decode {
        /// The API's key.
        api: i16,
        /// The version asked for.
        version: i16,
        /// What the guard or the codec said.
        reason: String,
    },
    /// There is no shape of the answer here.
    #[error("answers to API {api} are not read here")]
    Unread {
        /// The API's key.
        api: i16,
    },
}

/// The first version of a request's header that only flexible messages have.
const FLEXIBLE_HEADER: i16 = 2;

/// The whole frame, length included, of `request` at `version`.
///
/// # Errors
/// [`ClientCodecError::Encode`] where the version cannot carry a field that is set.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
) -> Result<Bytes, ClientCodecError> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let fail = |reason: String| ClientCodecError::Encode {
        api: R::KEY,
        version,
        reason,
    };
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header
        .encode(&mut frame, R::header_version(version))
        .map_err(|e| fail(e.to_string()))?;
    request
        .encode(&mut frame, version)
        .map_err(|e| fail(e.to_string()))?;
    let length = i32::try_from(frame.len() - 4).map_err(|_| fail("over 2 GiB".to_owned()))?;
    if let Some(prefix) = frame.first_chunk_mut() {
        *prefix = length.to_be_bytes();
    }
    Ok(frame.freeze())
}

/// The correlation id and the answer in `frame`, which comes without its length.
///
/// # Errors
/// [`ClientCodecError::Decode`] where the frame is not an answer to `R` at `version`, and
/// [`ClientCodecError::Unread`] where no client here asks for one.
pub fn decode_response<R: Request>(
    mut frame: Bytes,
    version: i16,
) -> Result<(i32, R::Response), ClientCodecError> {
    let fail = |reason: String| ClientCodecError::Decode {
        api: R::KEY,
        version,
        reason,
    };
    let shape = shapes::answer(R::KEY).ok_or(ClientCodecError::Unread { api: R::KEY })?;
    let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))
        .map_err(|e| fail(e.to_string()))?;
    let flexible = R::header_version(version) >= FLEXIBLE_HEADER;
    guard::check(shape, Encoding { version, flexible }, &frame).map_err(|e| fail(e.to_string()))?;
    let response = R::Response::decode(&mut frame, version).map_err(|e| fail(e.to_string()))?;
    if frame.has_remaining() {
        return Err(fail(format!("{} bytes are left over", frame.remaining())));
    }
    Ok((header.correlation_id, response))
}

#[cfg(test)]
mod tests;
