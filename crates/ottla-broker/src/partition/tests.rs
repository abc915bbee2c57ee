use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use ottla_log::vfs::{Fault, FaultVfs, MemVfs, Operation, Rule};
use ottla_log::{BatchOptions, Limits, ProducerEpoch, ProducerId, Record, Sequence, build_batch};
use ottla_protocol::client::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::client::messages::fetch_response::{AbortedTransaction, PartitionData};
use ottla_protocol::client::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use ottla_protocol::client::messages::{BrokerId, FetchRequest, ListOffsetsRequest, TopicName};
use ottla_protocol::client::{Request, StrBytes, Uuid, decode_response, encode_request};

use super::*;
use crate::ListenerSpec;
use crate::embed::{Isolation, NewTopic};
use crate::options::{BrokerOptions, Storage};
use crate::running::RunningBroker;
use crate::start::start_blocking;

/// A batch of a producer's transaction: a record, or the marker that ends it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Record,
    Commit,
    Abort,
}

fn batch(producer: i64, sequence: i32, kind: Kind) -> ValidBatches {
    let is_marker = kind != Kind::Record;
    let options = BatchOptions {
        now: Timestamp::new(1),
        producer_id: ProducerId::new(producer),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(if is_marker { -1 } else { sequence }),
        transactional: true,
        control: is_marker,
        ..BatchOptions::default()
    };
    let record = match kind {
        // Of version 0 both, of a coordinator of epoch 0.
        Kind::Commit => Record::new(vec![0; 6]).with_key(vec![0, 0, 0, 1]),
        Kind::Abort => Record::new(vec![0; 6]).with_key(vec![0, 0, 0, 0]),
        Kind::Record => Record::new("v"),
    };
    let bytes = build_batch(&[record], &options).unwrap();
    ValidBatches::parse(bytes, &Limits::default()).unwrap()
}

/// Ends a producer's transaction, as a coordinator does.
fn end(partition: &Partition, producer: i64, how: Kind) {
    let mut context = LeaderAppend::new(Timestamp::new(1), LeaderEpoch::new(0));
    context.origin = Origin::Coordinator;
    let log = partition.log();
    let marker = batch(producer, -1, how);
    log.append_as_leader(marker, &context).unwrap();
    partition.drive(|replica, now| replica.appended(now, log.ends().end));
}

fn last_stable(partition: &Partition) -> (i64, i64) {
    let view = partition.view();
    (view.last_stable.get(), view.high_watermark.get())
}

/// The first partition of a new topic.
fn partition(broker: &RunningBroker) -> Arc<Partition> {
    broker.create_topic_blocking(NewTopic::new("t")).unwrap();
    let topic = Arc::clone(broker.core.metadata().image().topic("t").unwrap());
    let core = Arc::clone(&broker.core);
    let opened = async move { core.open_partition(&topic, 0).await };
    broker.core.runtime().block_on(opened).unwrap().unwrap()
}

#[test]
fn a_transaction_is_stable_once_its_marker_is_committed() {
    let synced = Storage::Vfs(Arc::new(MemVfs::new()), "/data".into());
    for storage in [Storage::InMemory, synced] {
        let broker = start_blocking(BrokerOptions::new(storage)).unwrap();
        let partition = partition(&broker);
        let durable = || partition.log().ticket().wait().unwrap();

        partition
            .append(Origin::Client, batch(1, 0, Kind::Record), Acks::All)
            .unwrap();
        durable();
        assert_eq!(last_stable(&partition), (0, 1), "the transaction is open");

        end(&partition, 1, Kind::Commit);
        durable();
        assert_eq!(last_stable(&partition), (2, 2), "its end is committed");
    }
}

fn call<R: Request>(stream: &mut TcpStream, request: &R, version: i16) -> R::Response {
    let frame = encode_request(request, version, 1, "test").unwrap();
    stream.write_all(&frame).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    decode_response::<R>(frame.into(), version).unwrap().1
}

fn fetch(
    stream: &mut TcpStream,
    topic: TopicId,
    version: i16,
    offset: i64,
    isolation: i8,
) -> PartitionData {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let named = FetchTopic::default().with_partitions(vec![partition]);
    let named = match version {
        13.. => named.with_topic_id(Uuid::from_bytes(topic.to_bytes())),
        _ => named.with_topic(TopicName(StrBytes::from_static_str("t"))),
    };
    let request = FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_isolation_level(isolation)
        .with_topics(vec![named]);
    let request = match version {
        ..15 => request.with_replica_id(BrokerId(-1)),
        _ => request,
    };
    let mut response = call(stream, &request, version);
    response.responses.remove(0).partitions.remove(0)
}

/// The latest offset.
fn latest(stream: &mut TcpStream, version: i16, isolation: i8) -> i64 {
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation)
        .with_topics(vec![topic]);
    call(stream, &request, version).topics[0].partitions[0].offset
}

#[test]
fn readers_of_committed_records_are_told_what_was_aborted() {
    let mut options = BrokerOptions::new(Storage::InMemory);
    options.listen = vec![ListenerSpec::loopback(0)];
    let broker = start_blocking(options).unwrap();
    let stream = &mut TcpStream::connect(broker.listeners()[0].addresses[0]).unwrap();
    let partition = partition(&broker);
    let topic = partition.topic_id();
    let write = |producer, sequence| {
        let batches = batch(producer, sequence, Kind::Record);
        partition
            .append(Origin::Client, batches, Acks::All)
            .unwrap();
    };
    write(71, 0); // 0
    write(72, 0); // 1
    end(&partition, 72, Kind::Abort); // 2
    write(71, 1); // 3

    let open = fetch(stream, topic, 18, 0, 1);
    assert_eq!((open.high_watermark, open.last_stable_offset), (4, 0));
    assert!(open.records.is_none_or(|records| records.is_empty()));
    assert_eq!(open.aborted_transactions, Some(vec![]));
    assert_eq!((latest(stream, 2, 1), latest(stream, 2, 0)), (0, 4));

    end(&partition, 71, Kind::Abort); // 4
    write(72, 1); // 5
    end(&partition, 72, Kind::Commit); // 6
    write(73, 0); // 7
    for version in 4..=18 {
        let mut aborted = |offset, isolation| {
            let read = fetch(stream, topic, version, offset, isolation);
            assert_eq!((read.error_code, read.high_watermark), (0, 8), "v{version}");
            assert_eq!(read.last_stable_offset, 7);
            let aborted = read.aborted_transactions?;
            let one = |one: &AbortedTransaction| (one.producer_id.0, one.first_offset);
            Some(aborted.iter().map(one).collect::<Vec<_>>())
        };
        assert_eq!(aborted(0, 1), Some(vec![(72, 1), (71, 0)]), "v{version}");
        assert_eq!(aborted(3, 1), Some(vec![(71, 0)]), "it began before");
        assert_eq!(aborted(5, 1), Some(vec![]));
        assert_eq!(aborted(7, 1), Some(vec![]));
        assert_eq!(aborted(0, 0), None);
    }
    for version in 2..=10 {
        assert_eq!(latest(stream, version, 1), 7);
        assert_eq!(latest(stream, version, 0), 8);
    }
    let offsets = |isolation| {
        let topic = broker.topic("t").unwrap();
        let records = topic.read_blocking(0, Offset::ZERO, isolation).unwrap();
        let offset = |record: Result<ottla_log::OwnedRecord, _>| record.unwrap().offset.get();
        records.into_iter().map(offset).collect::<Vec<_>>()
    };
    assert_eq!(offsets(Isolation::ReadCommitted), [5]);
    assert_eq!(offsets(Isolation::ReadUncommitted), [0, 1, 3, 5, 7]);
}

/// Appends a record, and waits until it is durable.
fn append_durably(partition: &Partition) {
    let bytes = build_batch(&[Record::new("v")], &BatchOptions::default()).unwrap();
    let batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
    partition
        .append(Origin::Client, batches, Acks::All)
        .unwrap();
    partition.log().ticket().wait().unwrap();
}

/// What handlers of Fetch and ListOffsets ask a partition for; the high watermark, and how many
/// bytes there are below it.
fn look(partition: &Partition) -> (i64, u64) {
    partition.check_leader(None).unwrap();
    assert!(partition.knows_latest() && !partition.is_retired());
    assert_eq!(partition.leader_epoch(), LeaderEpoch::new(0));
    let view = partition.view();
    let until = view.last_stable;
    assert_eq!(view.high_watermark, until);
    let mut found = Vec::new();
    for committed_only in [false, true] {
        let read = partition.read(view.start, usize::MAX, until, committed_only);
        found.push(read.unwrap().0.len());
        let read = partition.read_nowait(view.start, usize::MAX, until, committed_only);
        found.extend(read.unwrap().map(|(slice, _)| slice.len()));
    }
    assert!(found.iter().all(|len| *len == found[0]), "{found:?}");
    for time in [0, i64::MAX] {
        partition.log().offset_for_time(time.into()).unwrap();
    }
    partition.log().max_timestamp_offset().unwrap();
    (until.get(), found[0])
}

#[test]
fn what_is_visible_is_told_while_an_append_waits_for_the_disk() {
    // Only a reader that waits, too, meets it.
    const LIMIT: Duration = Duration::from_secs(30);
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let storage = Storage::Vfs(Arc::new(vfs.clone()), "/data".into());
    let broker = start_blocking(BrokerOptions::new(storage)).unwrap();
    let partition = partition(&broker);
    append_durably(&partition);
    let (mut visible, mut bytes) = look(&partition);
    assert_eq!(visible, 1);
    let calls = [
        (Operation::Write, "*/t-0/*.log"),
        (Operation::Write, "*/journal*"),
        (Operation::SyncData, "*/journal*"),
    ];
    for (operation, path) in calls {
        vfs.inject(Rule::new(Fault::Stall).on(operation).at(path));
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| append_durably(&partition));
            let is_held_up = vfs.await_stall(LIMIT);
            let (tell, told) = std::sync::mpsc::channel();
            let reader = &partition;
            scope.spawn(move || tell.send(look(reader)));
            let seen = told.recv_timeout(LIMIT);
            vfs.go_on();
            assert!(is_held_up, "nobody comes to {operation:?} {path}");
            seen
        });
        assert_eq!(seen, Ok((visible, bytes)), "beside {operation:?} {path}");
        (visible, bytes) = look(&partition);
    }
    assert_eq!(visible, 1 + calls.len() as i64);
}
