//! Peers that send or read a little, or nothing.

use std::time::Duration;

use ottla_protocol::client::messages::ApiVersionsRequest;

use crate::alone;
use crate::client::Client;
use crate::floods::many_partitions;
use crate::peer::{End, Peer, broker};

const NEVER: Duration = Duration::from_secs(3600);

/// The broker's patience, not the peers', decides when these end: they wait for its verdict.
#[test]
fn half_open_and_trickling_connections_are_closed() {
    let _turn = alone();
    let (broker, address) = broker(|options| {
        let limits = &mut options.limits;
        limits.first_header_timeout = Duration::from_secs(1);
        limits.body_grace = Duration::from_secs(1);
    });
    let mut honest = Client::connect(address);
    honest.call(&ApiVersionsRequest::default(), 0);
    let metadata = b"\0\0\x10\0\0\x03\0\x01\0\0\0\x01\xff\xff";
    let beginnings: [&[u8]; 6] = [
        // Nothing, a part of a length, a length, a part of a header, a header, a part of a body.
        &[],
        &metadata[..2],
        &metadata[..4],
        &metadata[..9],
        metadata,
        &[metadata, &[0; 100][..]].concat(),
    ];
    let peers = beginnings.map(|beginning| {
        let mut peer = Peer::connect(address);
        peer.send(beginning);
        peer
    });
    for mut peer in peers {
        assert_eq!(peer.end(), End::Closed);
        honest.call(&ApiVersionsRequest::default(), 0);
    }
    drop(broker);
}

/// Peers who hold all of the budget by reading nothing lose it when somebody else needs it.
#[test]
fn readers_of_nothing_give_way() {
    let _turn = alone();
    let (broker, address) = broker(|options| {
        let limits = &mut options.limits;
        limits.budget_bytes = 4 << 20;
        limits.write_stall_timeout = NEVER;
        limits.answer_grace = NEVER;
        limits.pressed_grace = Duration::from_millis(200);
        // Nobody else would be there to need it.
        limits.idle_timeout = NEVER;
    });
    let ask = many_partitions(address);
    let mut lazy: Vec<Peer> = (0..4).map(|_| Peer::connect(address)).collect();
    for peer in &mut lazy {
        // Far more answers than sockets and budget hold.
        for _ in 0..400 {
            peer.send(&ask);
        }
    }
    let mut honest = Peer::connect(address);
    for _ in 0..3 {
        honest.send(&ask);
        assert!(matches!(honest.end(), End::Answered(20_000..)));
    }
    drop(broker);
}
