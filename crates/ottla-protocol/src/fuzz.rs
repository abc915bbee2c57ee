//! Entry points for fuzzing: each takes any bytes and panics where a promise of this crate does not
//! hold for them. Not part of the crate's interface.

use bytes::{Bytes, BytesMut};

use crate::api::APIS;
use crate::client::messages::{
    ApiVersionsRequest, FetchRequest, JoinGroupRequest, MetadataRequest,
};
use crate::client::{consumer, decode_response};
use crate::frame::{self, Received, Stranger};
use crate::guard::{EXPANSION_MAX, MEMORY_FREE};
use crate::persisted::{control::ControlRecord, metadata::Record};
use crate::{Checked, DecodeError, Fault, RequestHeader, encode_request};

/// The largest frame of these runs.
const BODY_MAX: usize = 4096;

/// Frames: split alike whether the bytes come at once or one by one.
pub fn frames(bytes: &[u8]) {
    if Stranger::guess(bytes).is_some() {
        let refused = frame::inspect(bytes, 100 << 20).is_err();
        assert!(refused, "a stranger's greeting is taken for a frame");
    }
    let mut at_once = BytesMut::from(bytes);
    let mut one_by_one = BytesMut::new();
    let mut arriving = bytes.iter();
    loop {
        let expected = frame::split(&mut at_once, BODY_MAX);
        let found = loop {
            match frame::split(&mut one_by_one, BODY_MAX) {
                Ok(None) => match arriving.next() {
                    Some(byte) => one_by_one.extend_from_slice(&[*byte]),
                    None => break Ok(None),
                },
                done => break done,
            }
        };
        assert_eq!(expected, found, "the frames depend on how the bytes arrive");
        if !matches!(expected, Ok(Some(_))) {
            return;
        }
    }
}

/// Headers: what is read is a part of the frame, and the body is its end.
pub fn header(bytes: &[u8]) {
    let frame = Bytes::copy_from_slice(bytes);
    if let Ok(Received::Whole { frame }) = frame::inspect(bytes, BODY_MAX) {
        assert!(
            frame <= bytes.len(),
            "a frame is longer than what was received"
        );
    }
    if let Ok((header, body)) = RequestHeader::decode(&frame) {
        assert!(
            frame.ends_with(&body),
            "the body is not the end of the frame"
        );
        let id = header.client_id.map_or(0, |id| id.len());
        assert!(
            10 + id + body.len() <= frame.len(),
            "the parts are more than the whole"
        );
    }
}

/// Requests: the first two bytes choose API and version, the others are the body. What the guard
/// passes decodes but for its text, and what was decoded is encoded and decoded to the same.
pub fn request(bytes: &[u8]) {
    let [api, version, body @ ..] = bytes else {
        return;
    };
    let api = &APIS[usize::from(*api) % APIS.len()];
    let count = api.versions.end() - api.versions.start() + 1;
    let header = RequestHeader {
        api_key: api.key,
        api_version: api.versions.start() + i16::from(*version) % count,
        correlation_id: 0,
        client_id: None,
    };
    let check = |body: &[u8]| Checked::new(&header, Bytes::copy_from_slice(body));
    let Ok(checked) = check(body) else {
        return;
    };
    let memory_max = MEMORY_FREE + EXPANSION_MAX * body.len();
    assert!(checked.memory() <= memory_max, "it takes too much memory");
    let longer = check(&[body, &[0]].concat()).map(|longer| longer.memory());
    assert_eq!(
        longer.ok(),
        Some(checked.memory()),
        "what follows a request matters"
    );
    let request = match checked.decode() {
        Ok(request) => request,
        Err(error) => {
            let text = matches!(&error, DecodeError::Malformed(m) if m.fault == Fault::Utf8);
            assert!(text, "the guard passed what does not decode: {error}");
            return;
        }
    };
    let frame = encode_request(&header, &request).expect("what was decoded can be encoded");
    let (again, body) = RequestHeader::decode(&frame.slice(frame::LENGTH_BYTES..))
        .expect("a header that was encoded is one");
    assert_eq!(again, header, "the header changed");
    let again = Checked::new(&header, body).and_then(Checked::decode);
    assert_eq!(again, Ok(request), "the request changed");
}

/// What a client reads of its broker and of other members: the first byte is the version of an
/// answer. What was read of an assignment is written and read to the same.
pub fn answers(bytes: &[u8]) {
    let [version, body @ ..] = bytes else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    // Refused or read: neither panics, nor allocates more than the guard allows.
    let _ = consumer::subscribed(&body);
    if let Some(partitions) = consumer::assigned(&body) {
        let again = consumer::assigned(&consumer::assignment(&partitions));
        assert_eq!(again, Some(partitions), "the assignment changed");
    }
    let version = i16::from(*version);
    let _ = decode_response::<ApiVersionsRequest>(body.clone(), version % 5);
    let _ = decode_response::<MetadataRequest>(body.clone(), version % 14);
    let _ = decode_response::<FetchRequest>(body.clone(), 4 + version % 14);
    let _ = decode_response::<JoinGroupRequest>(body, version % 10);
}

/// Persisted records: the first byte is the type of a control record, the others a value or a
/// framed metadata record. What was decoded is encoded and decoded to the same.
pub fn records(bytes: &[u8]) {
    let [kind, value @ ..] = bytes else {
        return;
    };
    let value = Bytes::copy_from_slice(value);
    if let Ok(Some(record)) = ControlRecord::decode(&[0, 0, 0, *kind], &value) {
        let again = record.value().expect("what was decoded can be encoded");
        let again = ControlRecord::decode(&record.key(), &again);
        assert_eq!(again, Ok(Some(record)), "the control record changed");
    }
    if let Ok((record, version)) = Record::decode(&value) {
        let again = record
            .encode(version)
            .expect("what was decoded can be encoded");
        assert_eq!(
            Record::decode(&again),
            Ok((record, version)),
            "the record changed"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::filler::{Chance, Style, fill};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_promises_hold_for_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            [frames, header, request, answers, records].iter().for_each(|entry| entry(&bytes));
        }

        #[test]
        fn the_promises_hold_for_nearly_valid_requests(seed in any::<u64>()) {
            for (index, api) in APIS.iter().enumerate() {
                for (offset, version) in api.versions.clone().enumerate() {
                    let style = Style {
                        version,
                        flexible: api.is_flexible(version),
                        elements_max: 2,
                        nulls: true,
                        strangers: true,
                    };
                    let mut bytes = vec![index as u8, offset as u8];
                    bytes.extend(fill(api.request, style, seed).bytes);
                    request(&bytes);
                    let mut chance = Chance(seed);
                    let at = chance.below(bytes.len() as u64) as usize;
                    bytes[at] = chance.next() as u8;
                    request(&bytes);
                }
            }
        }
    }
}
