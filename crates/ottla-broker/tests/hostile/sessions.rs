//! Fetch sessions that a peer lets grow.

use ottla_protocol::ErrorCode;
use ottla_protocol::client::StrBytes;
use ottla_protocol::client::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::client::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};

use crate::alone;
use crate::client::{Client, topic_id};
use crate::heap::Heap;
use crate::peer::broker;

const VERSION: i16 = 12;
const NAME: &str = "fetched";

/// A request of the session `id` that adds `partitions` of the topic `name`.
fn adds(id: i32, epoch: i32, name: &str, partitions: std::ops::Range<i32>) -> FetchRequest {
    let one = |number| {
        FetchPartition::default()
            .with_partition(number)
            .with_partition_max_bytes(1 << 20)
    };
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_string(name.to_owned())))
        .with_partitions(partitions.map(one).collect());
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(1 << 20)
        .with_session_id(id)
        .with_session_epoch(epoch)
        .with_topics(vec![topic])
}

fn ask(client: &mut Client, request: &FetchRequest) -> FetchResponse {
    client.call(request, VERSION)
}

/// Partitions need not exist to be asked for.
#[test]
fn a_session_that_grows_without_end_is_ended_and_no_other() {
    let _turn = alone();
    const MOST: usize = 10_000;
    let (broker, address) = broker(|options| options.limits.fetch_session_partitions_max = MOST);
    let mut honest = Client::connect(address);
    topic_id(&mut honest, NAME);
    let kept = ask(&mut honest, &adds(0, 0, NAME, 0..1)).session_id;
    assert_ne!(kept, 0);

    let mut client = Client::connect(address);
    let id = ask(&mut client, &adds(0, 0, "missing", 0..1)).session_id;
    assert_ne!(id, 0);
    let heap = Heap::watch();
    let ended = (1..100).find_map(|epoch| {
        let step = 4000;
        let partitions = epoch * step..(epoch + 1) * step;
        let told = ask(&mut client, &adds(id, epoch, "missing", partitions));
        (told.error_code != 0).then_some((epoch, told.error_code))
    });
    let code = ErrorCode::FetchSessionIdNotFound.code();
    assert_eq!(ended, Some((3, code)));
    // What answering 4,000 elements takes besides what the session has.
    let (peak, limit) = (heap.peak(), MOST * 1024 + (16 << 20));
    assert!(peak <= limit, "{peak} bytes of {limit}");
    let told = ask(&mut honest, &adds(kept, 1, NAME, 0..1));
    assert_eq!((told.error_code, told.session_id), (0, kept));
    // Too many for a session from the beginning: they are told all the same, and others stay.
    let told = ask(&mut client, &adds(0, 0, "missing", 0..MOST as i32));
    assert_eq!((told.error_code, told.session_id), (0, 0));
    assert_eq!(told.responses[0].partitions.len(), MOST);
    let told = ask(&mut honest, &adds(kept, 2, NAME, 0..1));
    assert_eq!((told.error_code, told.session_id), (0, kept));
    drop(broker);
}

/// A session holds what its partitions are called, and each may be called something else.
#[test]
fn names_that_no_topic_has_fill_no_session() {
    let _turn = alone();
    let (broker, address) = broker(|options| options.limits.fetch_session_partitions_max = 1000);
    let mut client = Client::connect(address);
    let long = "x".repeat(32_767);
    let id = ask(&mut client, &adds(0, 0, &long, 0..1)).session_id;
    assert_ne!(id, 0);
    let ended = (1..100).find(|epoch| {
        let name = format!("{epoch:05}{}", &long[5..]);
        ask(&mut client, &adds(id, *epoch, &name, 0..1)).error_code != 0
    });
    assert_eq!(ended, Some(1000 / 128));
    drop(broker);
}
