//! The client's side of the wire, for tools that talk to a broker they were told to trust.
//!
//! Responses are decoded without the guard, so this is not for bytes of an unknown peer.

pub mod consumer;

use bytes::{Buf, BufMut, Bytes, BytesMut};
pub use kafka_protocol::messages;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
pub use kafka_protocol::protocol::{Request, StrBytes};
pub use uuid::Uuid;

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
        /// What the codec said.
        reason: String,
    },
}

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
/// [`ClientCodecError::Decode`] where the frame is not an answer to `R` at `version`.
pub fn decode_response<R: Request>(
    mut frame: Bytes,
    version: i16,
) -> Result<(i32, R::Response), ClientCodecError> {
    let fail = |reason: String| ClientCodecError::Decode {
        api: R::KEY,
        version,
        reason,
    };
    let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))
        .map_err(|e| fail(e.to_string()))?;
    let response = R::Response::decode(&mut frame, version).map_err(|e| fail(e.to_string()))?;
    if frame.has_remaining() {
        return Err(fail(format!("{} bytes are left over", frame.remaining())));
    }
    Ok((header.correlation_id, response))
}
