//! The header of a request: which API, which version, and the number that the answer repeats.
//!
//! Decoded by hand, since it is the first thing read from a stranger: every length is checked, no
//! byte is copied, and tagged fields, of which Kafka defines none here, are walked over.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use thiserror::Error;

use crate::ApiKey;
use crate::api::{self, Api};
use crate::wire::{Cursor, Fault};

/// The most bytes of tagged fields that a header may have. No client sends any.
pub const TAGS_BYTES_MAX: usize = 4096;

/// The header of a request to an API that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API.
    pub api_key: ApiKey,
    /// The version of request and response. One that is served, except for
    /// [`ApiKey::ApiVersions`]: there any version arrives here, because the answer to an unknown
    /// one is an error in the form of version 0.
    pub api_version: i16,
    /// The number that the response repeats.
    pub correlation_id: i32,
    /// The name that the client gave itself: anything, so escape it. A slice of the frame: copy it
    /// to keep it for longer than the request.
    pub client_id: Option<StrBytes>,
}

impl RequestHeader {
    /// Reads the header at the start of `frame` (without its length field); the second value is
    /// the body. Neither copies bytes of the frame.
    ///
    /// # Errors
    /// [`HeaderError`]; the connection must be closed, as Kafka does, because no answer has a form
    /// that the client would understand.
    pub fn decode(frame: &Bytes) -> Result<(Self, Bytes), HeaderError> {
        let mut cursor = Cursor::new(frame);
        let (key, api_version) = (cursor.i16()?, cursor.i16()?);
        let api_key = ApiKey::from_key(key).ok_or(HeaderError::UnknownApi { key })?;
        let api = api::find(api_key).ok_or(HeaderError::NotServed { api_key })?;
        if !api.versions.contains(&api_version) && api_key != ApiKey::ApiVersions {
            return Err(HeaderError::UnsupportedVersion {
                api_key,
                api_version,
                min: *api.versions.start(),
                max: *api.versions.end(),
            });
        }
        let correlation_id = cursor.i32()?;
        // The client id keeps its classic length in every version (KIP-482).
        let client_id = match cursor.string_length(false)? {
            Some(length) => Some(text(frame.slice_ref(cursor.take(length)?))?),
            None => None,
        };
        if api.is_flexible(api_version) {
            skip_tags(&mut cursor)?;
        }
        let header = Self {
            api_key,
            api_version,
            correlation_id,
            client_id,
        };
        Ok((header, frame.slice(frame.len() - cursor.left()..)))
    }

    /// The row of the table of the API that this is a request to.
    ///
    /// # Panics
    /// Where the header was not made by [`RequestHeader::decode`] and names an API that is not
    /// served.
    #[must_use]
    pub fn api(&self) -> &'static Api {
        api::find(self.api_key).expect("only headers of served APIs are made")
    }
}

fn text(bytes: Bytes) -> Result<StrBytes, Fault> {
    StrBytes::from_utf8(bytes).map_err(|_| Fault::Utf8)
}

fn skip_tags(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let before = cursor.left();
    for _ in 0..cursor.varint()? {
        cursor.tagged()?;
        if before - cursor.left() > TAGS_BYTES_MAX {
            return Err(Fault::Tags(TAGS_BYTES_MAX));
        }
    }
    Ok(())
}

/// Why a header is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Kafka has no API with this key.
    #[error("a request has the API key {key}, which Kafka does not know")]
    UnknownApi {
        /// The key.
        key: i16,
    },
    /// Kafka has the API, this broker does not serve it and does not say that it does.
    #[error("a request asks for {api_key}, which is not served here")]
    NotServed {
        /// The API.
        api_key: ApiKey,
    },
    /// The API is served, but not in this version.
    #[error("a request asks for {api_key} version {api_version}; {min} to {max} are served")]
    UnsupportedVersion {
        /// The API.
        api_key: ApiKey,
        /// The version asked for.
        api_version: i16,
        /// The lowest version that is served.
        min: i16,
        /// The highest version that is served.
        max: i16,
    },
    /// The bytes are no header.
    #[error("the header of a request is malformed: {0}")]
    Malformed(#[from] Fault),
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::RequestHeader as Theirs;
    use kafka_protocol::protocol::Encodable as _;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Result<(RequestHeader, Bytes), HeaderError> {
        RequestHeader::decode(&Bytes::copy_from_slice(bytes))
    }

    fn encoded(key: ApiKey, version: i16, client_id: Option<&str>, flexible: bool) -> Vec<u8> {
        let header = Theirs::default()
            .with_request_api_key(key.key())
            .with_request_api_version(version)
            .with_correlation_id(77)
            .with_client_id(client_id.map(|c| StrBytes::from_string(c.to_owned())));
        let mut bytes = Vec::new();
        header
            .encode(&mut bytes, if flexible { 2 } else { 1 })
            .unwrap();
        bytes
    }

    #[test]
    fn headers_of_every_api_and_version_are_read() {
        for api in api::APIS {
            for version in api.versions.clone() {
                for client_id in [None, Some(""), Some("caf\u{e9}")] {
                    let flexible = api.is_flexible(version);
                    let mut bytes = encoded(api.key, version, client_id, flexible);
                    bytes.extend_from_slice(b"body");
                    let (header, body) = decode(&bytes).unwrap();
                    assert_eq!(header.api_key, api.key);
                    assert_eq!(header.api_version, version);
                    assert_eq!(header.correlation_id, 77);
                    assert_eq!(header.client_id.as_deref(), client_id);
                    assert_eq!(body, &b"body"[..]);
                }
            }
        }
    }

    #[test]
    fn short_frames_are_refused_at_every_length() {
        let bytes = encoded(ApiKey::Metadata, 12, Some("client"), true);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn unknown_apis_and_versions_are_told_apart() {
        let unknown = decode(b"\x03\xe8\0\0\0\0\0\0\xff\xff");
        assert_eq!(unknown, Err(HeaderError::UnknownApi { key: 1000 }));
        let api_key = ApiKey::LeaderAndIsr;
        let removed = decode(b"\0\x04\0\0\0\0\0\0\xff\xff");
        assert_eq!(removed, Err(HeaderError::NotServed { api_key }));
        for version in [-1, 2, 14, i16::MAX] {
            let bytes = encoded(ApiKey::Produce, version, None, true);
            let refused = decode(&bytes).unwrap_err();
            let text = format!("Produce version {version}; 3 to 13 are served");
            assert!(refused.to_string().ends_with(&text), "{refused}");
        }
    }

    #[test]
    fn any_version_of_api_versions_arrives() {
        for (version, flexible) in [(-1, false), (6, true), (i16::MAX, true)] {
            let bytes = encoded(ApiKey::ApiVersions, version, Some("new"), flexible);
            assert_eq!(decode(&bytes).unwrap().0.api_version, version);
        }
    }

    #[test]
    fn tagged_fields_are_skipped_up_to_a_bound() {
        let mut bytes = encoded(ApiKey::Metadata, 12, None, true);
        assert_eq!(bytes.pop(), Some(0));
        let good = [&bytes[..], b"\x02\x05\x01x\x09\x00body"].concat();
        assert_eq!(decode(&good).unwrap().1, &b"body"[..]);
        let size = TAGS_BYTES_MAX;
        let mut many = [&bytes[..], b"\xff\xff\xff\xff\x0f"].concat();
        many.resize(many.len() + 2 * size, 0);
        let refused = HeaderError::Malformed(Fault::Tags(size));
        assert_eq!(decode(&many), Err(refused));
        let bomb = [&bytes[..], b"\x01\x00\xff\xff\xff\xff\x0f"].concat();
        assert!(matches!(decode(&bomb), Err(HeaderError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            key in 0_i16..95,
        ) {
            let _ = decode(&bytes);
            let mut bytes = bytes;
            if let Some(first) = bytes.first_chunk_mut() {
                *first = key.to_be_bytes();
            }
            if let Ok((header, body)) = decode(&bytes) {
                prop_assert!(bytes.ends_with(&body));
                prop_assert_eq!(header.api_key.key(), key);
            }
        }
    }
}
