//! More than a peer may have in hand at once, from one connection and from many.

use std::net::SocketAddr;

use bytes::Bytes;
use ottla_log::{BatchOptions, Record, build_batch};
use ottla_protocol::client::encode_request;
use ottla_protocol::client::messages::{ApiVersionsRequest, MetadataRequest};

use crate::alone;
use crate::client::{Client, fetch, produce, topic_id};
use crate::heap::Heap;
use crate::peer::{End, Peer, broker};

/// Makes a topic of 1,000 partitions, and a request whose answer tells them all.
pub(crate) fn many_partitions(address: SocketAddr) -> Bytes {
    let create = crate::answers::create("many", 1, 1000);
    assert!(matches!(
        Peer::connect(address).ask_last(&create),
        End::Answered(_)
    ));
    let metadata = MetadataRequest::default().with_topics(None);
    encode_request(&metadata, 12, 1, "hostile").unwrap()
}

#[test]
fn pipelining_beyond_the_window_waits_and_loses_nothing() {
    let _turn = alone();
    let (broker, address) = broker(|options| options.limits.window_requests_max = 8);
    let mut client = Client::connect(address);
    let mut hand = client.second_hand();
    // The answers are taken only after all requests were handed to the socket.
    let sending = std::thread::spawn(move || {
        (0..5000).all(|_| hand.try_send(&ApiVersionsRequest::default(), 0))
    });
    assert!(sending.join().unwrap());
    for id in 1..=5000 {
        client.receive::<ApiVersionsRequest>(0, id);
    }
    drop(broker);
}

#[test]
fn a_flood_without_acks_is_taken_in_order_and_keeps_nobody_out() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let mut honest = Client::connect(address);
    let id = topic_id(&mut honest, "flooded");
    let mut flood = Client::connect(address);
    let record = Record::new(vec![b'x'; 1000]);
    let batch = build_batch(&[record], &BatchOptions::default()).unwrap();
    for round in 0..3000 {
        flood.send(&produce(id, "flooded", 9, 0, batch.clone()), 9);
        if round % 100 == 0 {
            honest.call(&ApiVersionsRequest::default(), 0);
        }
    }
    // Behind the flood, so that its answer comes after all of it took effect.
    let last = flood.send(&ApiVersionsRequest::default(), 0);
    flood.receive::<ApiVersionsRequest>(0, last);
    let response = honest.call(&fetch(id, "flooded", 12, 0, 0), 12);
    assert_eq!(response.responses[0].partitions[0].high_watermark, 3000);
    drop(broker);
}

/// Requests that announce and bring much, from more peers than the budget is for.
#[test]
fn all_peers_together_stay_within_the_budget() {
    let _turn = alone();
    const BUDGET: u64 = 8 << 20;
    const BROUGHT: usize = 6 << 20;
    let (broker, address) = broker(|options| options.limits.budget_bytes = BUDGET);
    let mut honest = Client::connect(address);
    honest.call(&ApiVersionsRequest::default(), 0);
    // Half of a Produce that is never completed.
    let mut half = vec![0; BROUGHT];
    let head = b"\x02\0\0\0\0\0\0\x09\0\0\0\x01\xff\xff\0";
    half[..head.len()].copy_from_slice(head);
    let half = std::sync::Arc::new(half);
    let heap = Heap::watch();
    #[expect(clippy::needless_collect, reason = "all of them send at the same time")]
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let half = std::sync::Arc::clone(&half);
            std::thread::spawn(move || {
                let mut peer = Peer::connect(address);
                // Not all of it is taken.
                peer.send_some(&half);
                peer
            })
        })
        .collect();
    let peers: Vec<Peer> = senders.into_iter().map(|s| s.join().unwrap()).collect();
    let peak = heap.peak() as u64;
    // The budget and one request over it; buffers are up to twice what came of them.
    let allowed = 2 * (BUDGET + BROUGHT as u64) + (1 << 20);
    assert!(peak <= allowed, "{peak} bytes of {allowed}");
    drop(peers);
    honest.call(&ApiVersionsRequest::default(), 0);
    drop(broker);
}
