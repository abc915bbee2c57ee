//! First frames that are not Kafka's, or not of this broker's APIs.

use crate::client::Client;
use crate::heap::Heap;
use crate::peer::{End, Peer, broker, frame};
use crate::{alone, filler};
use filler::{Style, fill};
use ottla_protocol::api::APIS;
use ottla_protocol::client::messages::ApiVersionsRequest;
use ottla_protocol::client::{StrBytes, encode_request};
use ottla_protocol::{ApiKey, ErrorCode};

/// What connects to a port that it does not know.
const STRANGERS: &[(&str, &[u8])] = &[
    ("TLS 1.2", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ("TLS alert", b"\x15\x03\x03\x00\x02\x02\x28"),
    ("SSL 2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"),
    ("HTTP GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("HTTP POST", b"POST /topics/x HTTP/1.0\r\n\r\n"),
    ("HTTP CONNECT", b"CONNECT x:443 HTTP/1.1\r\n\r\n"),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n"),
    ("redis", b"*1\r\n$4\r\nPING\r\n"),
    ("postgres", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
    ("ones", &[0xff; 64]),
    ("2 GiB", &[0x7f, 0xff, 0xff, 0xff, 0, 0]),
    ("-2 GiB", &[0x80, 0, 0, 0, 0, 0]),
    ("nothing", &[0, 0, 0, 0]),
    ("no header", &[0, 0, 0, 2, 0, 0]),
    ("above the limit", &[0x06, 0x40, 0, 1, 0, 0, 0, 9]),
];

/// What any connection may take, besides twice its input.
const FREE: usize = 64 * 1024;

#[test]
fn strangers_are_shown_the_door() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let mut honest = Client::connect(address);
    honest.call(&ApiVersionsRequest::default(), 0);
    for (what, bytes) in STRANGERS {
        let heap = Heap::watch();
        // It goes on waiting: the broker ends it, not the peer.
        let mut peer = Peer::connect(address);
        peer.send(bytes);
        assert_eq!(peer.end(), End::Closed, "{what}");
        let largest = heap.largest();
        assert!(largest <= 2 * bytes.len() + FREE, "{what}: {largest}");
        honest.call(&ApiVersionsRequest::default(), 0);
    }
    drop(broker);
}

/// Every number that a key and a version can be, as far as they are not served.
#[test]
fn what_is_not_served_ends_its_connection() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let mut honest = Client::connect(address);
    honest.call(&ApiVersionsRequest::default(), 0);
    let header = |key: i16, version: i16| {
        let fixed = [0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0];
        let length = 4 + fixed.len() as u32;
        let head = [length.to_be_bytes().as_slice(), &key.to_be_bytes()].concat();
        [&head[..], &version.to_be_bytes(), &fixed].concat()
    };
    let end = |key, version| {
        let mut peer = Peer::connect(address);
        peer.send(&header(key, version));
        peer.end()
    };
    let is_served = |key: i16| APIS.iter().any(|api| api.key.key() == key);
    for key in (-1..120)
        .filter(|key| !is_served(*key))
        .chain([i16::MIN, i16::MAX])
    {
        assert_eq!(end(key, 0), End::Closed, "key {key}");
    }
    for api in APIS.iter().filter(|api| api.key != ApiKey::ApiVersions) {
        let (first, last) = (*api.versions.start(), *api.versions.end());
        for version in [-1, first - 1, last + 1, i16::MIN, i16::MAX] {
            assert_eq!(
                end(api.key.key(), version),
                End::Closed,
                "{api:?} {version}"
            );
        }
    }
    honest.call(&ApiVersionsRequest::default(), 0);
    drop(broker);
}

/// The one API that says which versions there are.
#[test]
fn an_unknown_version_of_api_versions_is_answered_in_the_oldest() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    for version in [-1_i16, 99, i16::MAX] {
        let mut peer = Peer::connect(address);
        let tags: &[u8] = if version < 3 { &[] } else { &[0] };
        let length = 10 + tags.len() as u8;
        let head = [&[0, 0, 0, length, 0, 18][..], &version.to_be_bytes()].concat();
        peer.send(&[&head[..], &[0, 0, 0, 7, 0xff, 0xff], tags].concat());
        let answer = peer
            .answer()
            .unwrap_or_else(|| panic!("closed at {version}"));
        let code = ErrorCode::UnsupportedVersion.code().to_be_bytes();
        assert_eq!(
            answer[..6],
            [&[0, 0, 0, 7][..], &code].concat(),
            "{version}"
        );
        // The connection goes on, and the client asks again.
        peer.send(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x08\xff\xff");
        assert_eq!(peer.answer().unwrap()[..6], [0, 0, 0, 8, 0, 0]);
    }
    drop(broker);
}

/// Bytes after the first valid request, of which nothing is ever a request.
#[test]
fn noise_behind_a_valid_request_ends_the_connection_after_its_answer() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let mut honest = Client::connect(address);
    for api in APIS {
        // Its answer may be none, and need not come at once.
        if matches!(api.key, ApiKey::Produce | ApiKey::Fetch) {
            continue;
        }
        let version = *api.versions.end();
        let style = Style {
            version,
            flexible: api.is_flexible(version),
            elements_max: 0,
            nulls: false,
            strangers: false,
        };
        let valid = frame(api, version, &fill(api.request, style, 1).bytes);
        let mut peer = Peer::connect(address);
        peer.send(&[&valid[..], &[0xff; 512]].concat());
        assert!(matches!(peer.end(), End::Answered(_)), "{}", api.name());
        assert_eq!(peer.end(), End::Closed, "{}", api.name());
        honest.call(&ApiVersionsRequest::default(), 0);
    }
    drop(broker);
}

/// No string is longer than 32,767 bytes, and what a client calls itself is held for as long as its
/// connection.
#[test]
fn a_name_longer_than_any_string_ends_its_connection() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let end = |length: usize| {
        let name = StrBytes::from_string("x".repeat(length));
        let request = ApiVersionsRequest::default()
            .with_client_software_name(name)
            .with_client_software_version(StrBytes::from_static_str("1"));
        let mut peer = Peer::connect(address);
        peer.send(&encode_request(&request, 3, 1, "hostile").unwrap());
        peer.end()
    };
    assert!(matches!(end(32_767), End::Answered(_)));
    assert_eq!(end(32_768), End::Closed);
    assert_eq!(end(4 << 20), End::Closed);
    drop(broker);
}
