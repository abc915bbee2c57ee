//! More in hand than the budget has room for, of which each needs more to get on: everybody is
//! answered in the end.

use std::sync::Barrier;

use bytes::Bytes;
use ottla_log::{BatchOptions, Codec, Record, Timestamp, build_batch};
use ottla_protocol::client::Uuid;
use ottla_protocol::client::messages::ApiVersionsRequest;

use crate::alone;
use crate::client::{Client, fetch, produce, topic_id};
use crate::peer::broker;

const NAME: &str = "compressed";

/// A compressed batch of `len` bytes and a little more: noise, which no codec makes smaller.
fn compressed(len: usize) -> Bytes {
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    let record = Record::new(noise.take(len).collect::<Vec<_>>());
    let options = BatchOptions {
        codec: Codec::Lz4,
        now: Timestamp::new(1_700_000_000_000),
        ..BatchOptions::default()
    };
    build_batch(&[record], &options).unwrap()
}

/// Appends `records`; the code of the answer.
fn append(client: &mut Client, id: Uuid, records: Bytes) -> i16 {
    let response = client.call(&produce(id, NAME, 9, -1, records), 9);
    response.responses[0].partition_responses[0].error_code
}

/// What decompresses has two needs, and the second comes when the first is met by the overdraft.
#[test]
fn a_compressed_batch_larger_than_the_budget_is_appended() {
    let _turn = alone();
    let (broker, address) = broker(|options| options.limits.budget_bytes = 64 << 10);
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, NAME);
    assert_eq!(append(&mut client, id, compressed(100 << 10)), 0);
    drop(broker);
}

/// Several budgets' worth of requests from many peers, each of which needs more once it is there.
#[test]
fn many_compressed_batches_beyond_the_budget_are_all_appended() {
    let _turn = alone();
    const PEERS: usize = 24;
    const EACH: usize = 3;
    let (broker, address) = broker(|options| options.limits.budget_bytes = 1 << 20);
    let mut honest = Client::connect(address);
    let id = topic_id(&mut honest, NAME);
    let records = compressed(200 << 10);
    let together = Barrier::new(PEERS);
    std::thread::scope(|scope| {
        for _ in 0..PEERS {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                together.wait();
                for _ in 0..EACH {
                    assert_eq!(append(&mut client, id, records.clone()), 0);
                }
            });
        }
    });
    let response = honest.call(&fetch(id, NAME, 12, 0, 0), 12);
    let end = response.responses[0].partitions[0].high_watermark;
    assert_eq!(end, (PEERS * EACH) as i64);
    drop(broker);
}

/// Fetches that wait for records for as long as they say hold all of the budget, until somebody
/// needs it.
#[test]
fn fetches_that_wait_give_way_to_who_needs_what_they_hold() {
    let _turn = alone();
    let (broker, address) = broker(|options| options.limits.budget_bytes = 1 << 20);
    let mut honest = Client::connect(address);
    let id = topic_id(&mut honest, NAME);
    // One partition that has no record, and many that there are not.
    let mut ask = fetch(id, NAME, 12, 0, i32::MAX);
    let partition = ask.topics[0].partitions[0].clone();
    let partitions = (0..600).map(|number| partition.clone().with_partition(number));
    ask.topics[0].partitions = partitions.collect();
    let waiting = [(); 8].map(|()| {
        let mut client = Client::connect(address);
        client.send(&ask, 12);
        client
    });
    for _ in 0..100 {
        honest.call(&ApiVersionsRequest::default(), 0);
    }
    drop(waiting);
    drop(broker);
}
