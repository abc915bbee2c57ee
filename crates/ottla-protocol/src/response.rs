//! From a response to the bytes to send.

use bytes::{Bytes, BytesMut};

use crate::api::{Request, Response};
use crate::api_versions;
use crate::field::{EncodeError, Field as _, Form, Sink};
use crate::guard::Encoding;
use crate::header::RequestHeader;
use crate::segments::{Encoded, Segments};

/// Encodes the response to the request with `header`: frame length, response header and body.
///
/// # Errors
/// [`EncodeError`] where the response is not one to this request, or holds what the version has no
/// form for; a mistake in the handler. The connection must be closed.
pub fn encode_response(
    header: &RequestHeader,
    response: &Response,
) -> Result<Encoded, EncodeError> {
    let (api, version) = (header.api(), header.api_version);
    if response.key() != api.key {
        return Err(EncodeError::WrongResponse {
            request: api.key,
            response: response.key(),
        });
    }
    let mut out = Segments::frame();
    out.put(&header.correlation_id.to_be_bytes());
    if api.response_header_version(version) == 1 {
        // No tagged fields.
        out.varint(0);
    }
    response.write(&mut out, Form::of(api.encoding(version)))?;
    out.finish()
}

/// Encodes the answer to a version of ApiVersions that is not served (KIP-511).
///
/// # Errors
/// None happens: the answer has a fixed form.
pub fn encode_unsupported_version(header: &RequestHeader) -> Result<Encoded, EncodeError> {
    let mut out = Segments::frame();
    out.put(&header.correlation_id.to_be_bytes());
    let oldest = Encoding {
        version: 0,
        flexible: false,
    };
    api_versions::unsupported_version().write(&mut out, Form::of(oldest))?;
    out.finish()
}

/// Encodes a request with its header and frame length, as a client does: for tests and tools.
///
/// # Errors
/// [`EncodeError`] where the request holds what the version has no form for.
pub fn encode_request(header: &RequestHeader, request: &Request) -> Result<Bytes, EncodeError> {
    let api = header.api();
    let form = Form::of(api.encoding(header.api_version));
    let mut frame = BytesMut::from(&[0; crate::frame::LENGTH_BYTES][..]);
    frame.put(&header.api_key.key().to_be_bytes());
    frame.put(&header.api_version.to_be_bytes());
    frame.put(&header.correlation_id.to_be_bytes());
    let classic = Form {
        flexible: false,
        ..form
    };
    header.client_id.write(&mut frame, classic)?;
    if form.flexible {
        frame.varint(0);
    }
    request.write(&mut frame, form)?;
    let length = frame.len() - crate::frame::LENGTH_BYTES;
    let prefix = i32::try_from(length).map_err(|_| EncodeError::TooLong { length })?;
    if let Some(room) = frame.first_chunk_mut() {
        *room = prefix.to_be_bytes();
    }
    Ok(frame.freeze())
}
