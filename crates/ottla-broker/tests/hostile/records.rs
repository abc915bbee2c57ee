//! Record batches that lie or explode, and topics that are paths.

use bytes::Bytes;
use ottla_broker::Storage;
use ottla_log::codec::compress;
use ottla_log::crc::crc32c;
use ottla_log::{
    BatchOptions, Codec, ProducerEpoch, ProducerId, Record, Sequence, Timestamp, build_batch,
};
use ottla_protocol::ErrorCode;
use ottla_protocol::client::Uuid;
use ottla_protocol::client::messages::{ApiVersionsRequest, FetchRequest};

use crate::alone;
use crate::client::{Client, fetch, produce, topic_id};
use crate::heap::Heap;
use crate::peer::{broker, broker_in};

const NAME: &str = "attacked";
/// Where the header's fields stand.
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const COUNT: usize = 57;
const RECORDS: usize = 61;

fn batch(options: &BatchOptions) -> Vec<u8> {
    let record = |text: &str| Record::new(text.as_bytes().to_vec());
    let records = [record("one"), record("two")];
    build_batch(&records, options).unwrap().to_vec()
}

fn options() -> BatchOptions {
    BatchOptions {
        now: Timestamp::new(1_700_000_000_000),
        ..BatchOptions::default()
    }
}

/// The batch with its checksum, and its length, as they have to be.
fn sealed(mut batch: Vec<u8>) -> Bytes {
    let length = (batch.len() as u32 - 12).to_be_bytes();
    batch[8..12].copy_from_slice(&length);
    let crc = crc32c(&batch[ATTRIBUTES..]).to_be_bytes();
    batch[CRC..CRC + 4].copy_from_slice(&crc);
    batch.into()
}

fn changed(at: usize, bytes: &[u8]) -> Bytes {
    let mut batch = batch(&options());
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(batch)
}

/// The code that partition 0 answers to `records`.
fn code(client: &mut Client, id: Uuid, records: Bytes) -> i16 {
    let response = client.call(&produce(id, NAME, 9, -1, records), 9);
    response.responses[0].partition_responses[0].error_code
}

fn high_watermark(client: &mut Client, id: Uuid) -> i64 {
    let response = client.call(&fetch(id, NAME, 12, 0, 0), 12);
    response.responses[0].partitions[0].high_watermark
}

#[test]
fn batches_that_lie_are_refused_with_kafkas_codes() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, NAME);
    let whole = batch(&options());
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let length = |bytes: [u8; 4]| {
        let mut batch = batch(&options());
        batch[8..12].copy_from_slice(&bytes);
        Bytes::from(batch)
    };
    use ErrorCode::{CorruptMessage, InvalidRecord};
    let lies: Vec<(&str, Bytes, ErrorCode)> = vec![
        ("nothing", Bytes::new(), InvalidRecord),
        ("a flipped bit", flipped.into(), CorruptMessage),
        (
            "cut short",
            whole[..whole.len() - 1].to_vec().into(),
            InvalidRecord,
        ),
        (
            "no whole header",
            whole[..30].to_vec().into(),
            InvalidRecord,
        ),
        (
            "a length of 2 GiB",
            length([0x7f, 0xff, 0xff, 0xff]),
            InvalidRecord,
        ),
        ("a negative length", length([0xff; 4]), CorruptMessage),
        ("magic 1", changed(16, &[1]), InvalidRecord),
        ("magic 9", changed(16, &[9]), CorruptMessage),
        (
            "2^31 records",
            changed(COUNT, &[0x7f, 0xff, 0xff, 0xff]),
            InvalidRecord,
        ),
        ("no record", changed(COUNT, &[0; 4]), InvalidRecord),
        (
            "fewer than there are",
            changed(COUNT, &[0, 0, 0, 1]),
            InvalidRecord,
        ),
        (
            "another last offset",
            changed(LAST_OFFSET_DELTA, &[0, 0, 0, 7]),
            InvalidRecord,
        ),
        (
            "a control batch",
            changed(ATTRIBUTES, &[0, 0x20]),
            InvalidRecord,
        ),
        (
            "an unknown codec",
            changed(ATTRIBUTES, &[0, 7]),
            InvalidRecord,
        ),
        (
            "gzip that is none",
            changed(ATTRIBUTES, &[0, 1]),
            InvalidRecord,
        ),
        (
            "a record of 2 GiB",
            changed(RECORDS, &[0xfe, 0xff, 0xff]),
            InvalidRecord,
        ),
    ];
    for (what, records, expected) in lies {
        let heap = Heap::watch();
        let size = records.len();
        let found = code(&mut client, id, records);
        assert!(
            heap.largest() <= 2 * size + (64 << 10),
            "{what}: {}",
            heap.largest()
        );
        assert_eq!(found, expected.code(), "{what}");
        assert_eq!(high_watermark(&mut client, id), 0, "{what}");
    }
    assert_eq!(code(&mut client, id, whole.into()), 0);
    drop(broker);
}

#[test]
fn sequences_that_do_not_follow_are_refused() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let mut client = Client::connect(address);
    let id = topic_id(&mut client, NAME);
    let mut with = |epoch: i16, sequence: i32| {
        let options = BatchOptions {
            producer_id: ProducerId::new(7),
            producer_epoch: ProducerEpoch::new(epoch),
            base_sequence: Sequence::new(sequence),
            ..options()
        };
        code(&mut client, id, batch(&options).into())
    };
    assert_eq!(with(1, 0), 0);
    let order = ErrorCode::OutOfOrderSequenceNumber.code();
    assert_eq!(with(1, 5), order);
    assert_eq!(with(1, i32::MAX), order);
    assert_eq!(with(2, 5), order);
    assert_eq!(with(0, 2), ErrorCode::InvalidProducerEpoch.code());
    // The same again is no second append.
    assert_eq!(with(1, 0), 0);
    assert_eq!(with(1, 2), 0);
    assert_eq!(high_watermark(&mut client, id), 4);
    drop(broker);
}

/// Small batches that decompress to more than any batch may.
#[test]
fn compressed_bombs_end_at_their_limit() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    let mut honest = Client::connect(address);
    let id = topic_id(&mut honest, NAME);
    let zeros = vec![0; 17 << 20];
    for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::None) {
        let bomb = compress(codec, None, &zeros);
        let mut batch = batch(&options())[..RECORDS].to_vec();
        batch[ATTRIBUTES + 1] = codec.id();
        batch.extend_from_slice(&bomb);
        let records = sealed(batch);
        let size = records.len();
        let mut client = Client::connect(address);
        let heap = Heap::watch();
        let found = code(&mut client, id, records);
        assert_eq!(found, ErrorCode::InvalidRecord.code(), "{}", codec.name());
        // A buffer that grows is there twice, half as large before as after.
        let limit = 2 * (16 << 20).max(20 * size) + 4 * size + (1 << 20);
        let peak = heap.peak();
        assert!(peak <= limit, "{}: {peak} bytes of {limit}", codec.name());
        assert_eq!(high_watermark(&mut honest, id), 0);
    }
    drop(broker);
}

#[test]
fn names_that_are_paths_reach_no_disk() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (broker, address) = broker_in(Storage::Dir(data.clone()), |_| {});
    let mut client = Client::connect(address);
    let names = [
        "../x", "..", ".", "/tmp/x", "a/b", "a\0b", "..\\x", "", "C:x",
    ];
    let long = "x".repeat(250);
    for name in names.into_iter().chain([long.as_str()]) {
        let request = produce(Uuid::nil(), name, 9, -1, batch(&options()).into());
        let response = client.call(&request, 9);
        let found = response.responses[0].partition_responses[0].error_code;
        assert_eq!(found, ErrorCode::UnknownTopicOrPartition.code(), "{name:?}");
        let created = crate::answers::create_named(&mut client, name);
        assert_eq!(created, ErrorCode::InvalidTopicException.code(), "{name:?}");
        let response: <FetchRequest as ottla_protocol::client::Request>::Response =
            client.call(&fetch(Uuid::nil(), name, 12, 0, 0), 12);
        let found = response.responses[0].partitions[0].error_code;
        assert_eq!(found, ErrorCode::UnknownTopicOrPartition.code(), "{name:?}");
    }
    let outside = std::fs::read_dir(dir.path()).unwrap();
    assert_eq!(outside.count(), 1, "something was made beside the data");
    let inside = std::fs::read_dir(data.join("kafka")).unwrap();
    let made = inside.map(|entry| entry.unwrap());
    let dirs = made.filter(|entry| entry.file_type().unwrap().is_dir());
    let names: Vec<_> = dirs.map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["__cluster_metadata-0"]);
    client.call(&ApiVersionsRequest::default(), 0);
    drop(broker);
}
