//! Lengths that lie, in every string, list, bytes and tagged field of every version of every API.

use ottla_protocol::api::{APIS, Api};
use ottla_protocol::client::messages::ApiVersionsRequest;

use crate::alone;
use crate::client::Client;
use crate::filler::{Filled, Length, Style, Width, fill};
use crate::heap::Heap;
use crate::peer::{End, Peer, broker, frame};

/// What a request may take in one allocation, besides twice its bytes.
const FREE: usize = 64 * 1024;

#[test]
fn a_length_that_lies_takes_nothing_and_ends_its_connection() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let mut honest = Client::connect(address);
    let mut bombs = 0;
    for (api, version) in every_version() {
        let filled = filled(api, version);
        for length in &filled.lengths {
            for lie in lies(length.width) {
                let frame = frame(api, version, &with(&filled, *length, lie));
                let mut peer = Peer::connect(address);
                let heap = Heap::watch();
                peer.send(&frame);
                let what = || format!("{} v{version} {length:?} {lie:?}", api.name());
                assert_eq!(peer.end(), End::Closed, "{}", what());
                let largest = heap.largest();
                let allowed = 2 * frame.len() + FREE;
                assert!(largest <= allowed, "{}: {largest}", what());
                bombs += 1;
            }
        }
        honest.call(&ApiVersionsRequest::default(), 0);
    }
    assert!(bombs > 1500, "{bombs} lengths");
    drop(broker);
}

fn every_version() -> impl Iterator<Item = (&'static Api, i16)> {
    let versions = |api: &'static Api| api.versions.clone().map(move |v| (api, v));
    APIS.iter().flat_map(versions)
}

/// A request in which as many lengths occur as there are kinds of them.
fn filled(api: &Api, version: i16) -> Filled {
    let style = Style {
        version,
        flexible: api.is_flexible(version),
        elements_max: 2,
        nulls: false,
        strangers: true,
    };
    let seeds = (0..8).map(|seed| fill(api.request, style, seed));
    let most = seeds.max_by_key(|filled| filled.lengths.len());
    most.expect("there are seeds")
}

/// Lengths that are too large for any frame, and ones that memory would be there for.
fn lies(width: Width) -> &'static [&'static [u8]] {
    match width {
        Width::Two => &[&[0x7f, 0xff], &[0x80, 0]],
        Width::Four => &[&[0x7f, 0xff, 0xff, 0xff], &[0x01, 0, 0, 0]],
        Width::Varint(_) => &[&[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x80, 0x80, 0x80, 0x08]],
    }
}

fn with(filled: &Filled, length: Length, lie: &[u8]) -> Vec<u8> {
    let width = match length.width {
        Width::Two => 2,
        Width::Four => 4,
        Width::Varint(bytes) => bytes,
    };
    let (before, after) = filled.bytes.split_at(length.at);
    [before, lie, &after[width..]].concat()
}
