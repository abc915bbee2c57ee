//! What Apache Kafka wrote (`testdata/`) is read, and written again byte for byte.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{BatchHeader, EndTransactionMarker};
use crate::checkpoint::{self, CleanShutdown, MetaProperties, PartitionMetadata};
use crate::derived::Derived as _;
use crate::epoch_cache::LeaderEpochCache;
use crate::index::{AbortedTransaction, SealedOffsetIndex, SealedTimeIndex};
use crate::log::kit::{Kit, closed};
use crate::log::{Known, LogCore, LogOptions};
use crate::producer_state::{EndedTransaction, ProducerState};
use crate::vfs::{Mapped, Mapping, OpenMode};
use crate::{
    BatchOptions, Codec, Header, Limits, LogId, Offset, OwnedRecord, Record, Records, Timestamp,
    TopicName, ValidBatches, build_batch,
};

/// The golden logs.
pub(crate) const TOPICS: [&str; 8] = [
    "none",
    "gzip",
    "snappy",
    "lz4",
    "zstd",
    "rolled",
    "transactions",
    "compacted",
];
/// The time of the first record.
const START: i64 = 1_700_000_000_000;

/// Where they are.
pub(crate) fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kafka-4.3.1")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(dir().join(name)).unwrap()
}

fn map(bytes: Vec<u8>) -> Mapping {
    #[derive(Debug)]
    struct InMemory(Vec<u8>);
    impl Mapped for InMemory {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }
    Arc::new(InMemory(bytes))
}

/// The files of a topic with this suffix, by the offset in their names.
fn files(topic: &str, suffix: &str) -> Vec<(Offset, Vec<u8>)> {
    let dir = dir().join(format!("{topic}-0"));
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.strip_suffix(suffix)?.to_owned();
            Some((
                Offset::new(name.parse().unwrap()),
                std::fs::read(path).unwrap(),
            ))
        })
        .collect();
    found.sort();
    found
}

/// Each batch of a topic with the segment it is in and its position there.
fn batches(topic: &str) -> Vec<(Offset, usize, BatchHeader, Bytes)> {
    let mut all = Vec::new();
    for (base, bytes) in files(topic, ".log") {
        let parsed = ValidBatches::parse(bytes.into(), &Limits::default()).unwrap();
        let kept = parsed.into_replicated().unwrap();
        let mut position = 0;
        for (header, batch) in kept.batches() {
            all.push((base, position, *header, batch.clone()));
            position += batch.len();
        }
    }
    all
}

fn records(topic: &str) -> Vec<OwnedRecord> {
    let read = |(_, _, header, batch): (_, _, BatchHeader, Bytes)| {
        Records::open(&header, &batch, &Limits::default()).unwrap()
    };
    batches(topic)
        .into_iter()
        .flat_map(read)
        .map(Result::unwrap)
        .collect()
}

/// What the generator sends first to each of the codecs' topics.
fn three_records(time: i64) -> Vec<Record> {
    let at = |t: i64| Timestamp::new(START + time + t);
    let mut second = Record::tombstone("").with_timestamp(at(9));
    second.headers = vec![
        Header::new("h", Some("x".into())),
        Header::new("h", Some("y".into())),
        Header::new("n", None),
    ];
    vec![
        Record::new("value one")
            .with_key("key")
            .with_timestamp(at(5)),
        second,
        Record::new("").with_timestamp(at(2)),
    ]
}

fn large_record() -> Record {
    Record::new("0123456789abcdef".repeat(10_000))
        .with_key("large")
        .with_timestamp(Timestamp::new(START + 50))
}

fn plain(record: OwnedRecord) -> Record {
    Record {
        key: record.key,
        value: record.value,
        headers: record.headers,
        timestamp: Some(record.timestamp),
    }
}

/// What a batch says beside its records.
fn options(header: &BatchHeader) -> BatchOptions {
    BatchOptions {
        base_offset: header.base_offset,
        leader_epoch: header.leader_epoch,
        codec: header.codec().unwrap(),
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.attributes.is_transactional(),
        control: header.attributes.is_control(),
        ..BatchOptions::default()
    }
}

#[test]
fn the_records_of_every_codec_are_those_that_were_sent() {
    for codec in Codec::ALL {
        let read: Vec<_> = records(codec.name()).into_iter().map(plain).collect();
        let mut sent = three_records(0);
        if codec == Codec::None {
            sent.extend(three_records(100));
        } else {
            sent.push(large_record());
        }
        assert_eq!(read, sent, "{codec:?}");
        for (_, _, header, _) in batches(codec.name()) {
            assert_eq!(header.codec(), Some(codec));
        }
    }
}

#[test]
fn uncompressed_batches_are_encoded_to_the_same_bytes() {
    for topic in ["none", "rolled", "transactions"] {
        for (_, _, header, batch) in batches(topic) {
            let opened = Records::open(&header, &batch, &Limits::default()).unwrap();
            let records: Vec<_> = opened.into_iter().map(|r| plain(r.unwrap())).collect();
            let built = build_batch(&records, &options(&header)).unwrap();
            assert_eq!(built, batch, "{topic} at {}", header.base_offset);
        }
    }
}

#[test]
fn compressed_batches_hold_the_same_bytes_inside() {
    for topic in ["gzip", "snappy", "lz4", "zstd"] {
        for (_, _, header, batch) in batches(topic) {
            let theirs = Records::open(&header, &batch, &Limits::default()).unwrap();
            let records = theirs.clone().into_iter().map(|r| plain(r.unwrap()));
            let records: Vec<_> = records.collect();
            let built = build_batch(&records, &options(&header)).unwrap();
            let ours = BatchHeader::parse(&built).unwrap();
            let ours = Records::open(&ours, &built, &Limits::default()).unwrap();
            assert_eq!(ours.data(), theirs.data(), "{topic}");
        }
    }
}

#[test]
fn compaction_leaves_gaps_that_are_read_as_they_are() {
    let records = records("compacted");
    let offsets: Vec<_> = records.iter().map(|r| r.offset.get()).collect();
    assert_eq!(offsets, [3, 5, 9, 11, 13, 14, 15, 16, 17, 19, 20, 21]);
    let (_, _, first, _) = &batches("compacted")[0];
    assert_eq!(
        (
            first.base_offset.get(),
            first.last_offset_delta,
            first.record_count
        ),
        (0, 3, 1)
    );
}

#[test]
fn every_offset_index_points_at_its_batches() {
    let mut seen = 0;
    for topic in TOPICS {
        let batches = batches(topic);
        for (base, bytes) in files(topic, ".index") {
            let of_segment = || batches.iter().filter(|b| b.0 == base);
            let (_, position, last, batch) = of_segment().next_back().unwrap();
            let end = (position + batch.len()) as u64;
            let index =
                SealedOffsetIndex::open(base, map(bytes.clone()), last.next_offset(), end).unwrap();
            index.check_all(last.next_offset(), end).unwrap();
            assert_eq!(index.to_active(10 << 20).encode(), bytes);
            for (_, position, header, _) in of_segment() {
                let found = index.lookup(header.last_offset());
                let at_found = of_segment()
                    .find(|b| b.1 == found.position as usize)
                    .unwrap();
                let exact = found.offset == at_found.2.last_offset();
                // Below the first entry the answer is the segment's start.
                assert!(
                    exact || (found.position == 0 && found.offset == base),
                    "{topic}"
                );
                assert!(found.position as usize <= *position);
                seen += usize::from(exact);
            }
        }
    }
    assert!(seen > 15, "the files have entries: {seen}");
}

#[test]
fn every_time_index_names_the_youngest_batches() {
    for topic in TOPICS {
        let batches = batches(topic);
        for (base, bytes) in files(topic, ".timeindex") {
            let of_segment = || batches.iter().filter(|b| b.0 == base).map(|b| b.2);
            let next_offset = of_segment().next_back().unwrap().next_offset();
            let index = SealedTimeIndex::open(base, map(bytes.clone()), next_offset).unwrap();
            index.check_all(next_offset).unwrap();
            assert_eq!(index.to_active(10 << 20).encode(), bytes);
            let youngest = of_segment()
                .max_by_key(|h| h.max_timestamp)
                .unwrap()
                .max_timestamp;
            assert_eq!(index.last().timestamp, youngest, "{topic}");
            for header in of_segment() {
                let found = index.lookup(header.max_timestamp);
                let named = of_segment().find(|h| h.last_offset() == found.offset);
                if found.timestamp != Timestamp::NONE {
                    assert_eq!(named.unwrap().max_timestamp, found.timestamp, "{topic}");
                }
            }
        }
    }
}

#[test]
fn replaying_the_log_gives_the_producer_snapshots() {
    let limits = Limits::default();
    let mut compared = 0;
    for topic in TOPICS {
        for (end, bytes) in files(topic, ".snapshot") {
            let mut state = ProducerState::new(Offset::ZERO, &limits);
            let below = |batch: &(_, _, BatchHeader, _)| batch.2.base_offset < end;
            for (_, _, header, batch) in batches(topic).into_iter().filter(below) {
                if header.leader_epoch.get() > 0 {
                    // Kafka was restarted before, and forgot whoever wrote years ago.
                    state.expire(Timestamp::new(START + 80));
                }
                state.apply(&header, &batch, &limits).unwrap();
            }
            assert_eq!(state.snapshot(), bytes, "{topic} at {end}");
            let loaded = ProducerState::load(&bytes, end, &limits).unwrap();
            assert_eq!(loaded.snapshot(), bytes);
            assert_eq!(loaded.first_unstable(), {
                // Only what is open is in a snapshot.
                state.release(end);
                state.first_unstable()
            });
            compared += 1;
        }
    }
    assert_eq!(compared, 13);
}

#[test]
fn transactions_end_as_in_the_transaction_index() {
    let limits = Limits::default();
    let mut state = ProducerState::new(Offset::ZERO, &limits);
    let mut aborted: Vec<u8> = Vec::new();
    let mut ended: Vec<EndedTransaction> = Vec::new();
    for (_, _, header, batch) in batches("transactions") {
        if !header.attributes.is_control() {
            state.apply_data(&header);
            continue;
        }
        let records = Records::open(&header, &batch, &limits).unwrap();
        let record = records.iter().next().unwrap().unwrap();
        let marker = EndTransactionMarker::from_record(record.key, record.value).unwrap();
        state.check_marker(&header, &marker, 2).unwrap();
        let one = state.apply_marker(&header, &marker).unwrap();
        if one.aborted {
            aborted.extend(0_i16.to_be_bytes());
            for field in [
                one.producer_id.get(),
                one.first_offset.get(),
                one.marker_offset.get(),
                one.last_stable_offset.get(),
            ] {
                aborted.extend(field.to_be_bytes());
            }
        }
        ended.push(one);
    }
    assert_eq!(ended.len(), 3);
    assert_eq!(files("transactions", ".txnindex")[0].1, aborted);
}

#[test]
fn a_recovery_makes_the_transaction_index_anew() {
    let kit = Kit::new();
    let to = kit.shared.root.join("transactions-0");
    kit.vfs().create_dir(&to).unwrap();
    for entry in std::fs::read_dir(dir().join("transactions-0")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let copy = kit.vfs().open(&to.join(&name), OpenMode::Create).unwrap();
        let bytes = file(&format!("transactions-0/{name}"));
        copy.write_all_at(&mut [IoSlice::new(&bytes)], 0).unwrap();
    }
    let id = LogId::new(TopicName::new("transactions").unwrap(), 0);
    let open = |known: &Known| {
        let options = LogOptions {
            topic_id: None,
            config: kit.config.clone(),
        };
        let (log, report) = LogCore::open(&kit.shared, id.clone(), options, known).unwrap();
        assert_eq!(report.corrupt, None);
        log.committed(log.ends().end);
        log
    };
    // Offset 1 is committed, 3 and 5 are not: producer, first offset.
    let check = |log: &LogCore| {
        assert_eq!((log.ends().end.get(), log.ends().first_unstable), (7, None));
        let told = |from, until| {
            let read = log.read_committed(Offset::new(from), 1 << 20, Offset::new(until));
            let aborted = read.unwrap().aborted.into_iter();
            let number = |one: AbortedTransaction| (one.producer_id.get(), one.first_offset.get());
            aborted.map(number).collect::<Vec<_>>()
        };
        let index = files("transactions", ".txnindex")[0].1.clone();
        let entry = |n: usize| AbortedTransaction::decode(&index[34 * n..34 * (n + 1)]).unwrap();
        let pair = |n| (entry(n).producer_id.get(), entry(n).first_offset.get());
        assert_eq!(told(0, 7), [pair(0)], "the first segment only");
        assert_eq!(told(3, 7), [pair(0), pair(1)]);
        assert_eq!(told(3, 5), [pair(0)]);
        assert_eq!(told(6, 7), [pair(1)]);
    };
    let at_7 = Known {
        recovery_point: Offset::new(7),
        ..Known::default()
    };
    let clean = Known {
        clean: true,
        ..at_7.clone()
    };
    for known in [clean, at_7, Known::default()] {
        let log = open(&known);
        check(&log);
        closed(&log);
        let index = kit
            .vfs()
            .open(&to.join("00000000000000000003.txnindex"), OpenMode::Read);
        let index = index.unwrap().map().unwrap();
        assert_eq!(index.bytes(), files("transactions", ".txnindex")[0].1);
    }
}

#[test]
fn leader_epochs_are_those_of_the_batches() {
    let limits = Limits::default();
    for topic in TOPICS {
        let bytes = file(&format!("{topic}-0/leader-epoch-checkpoint"));
        let all = LeaderEpochCache::load(&bytes, Offset::new(i64::MAX), &limits).unwrap();
        assert_eq!(all.snapshot(), bytes);
        let mut cache = LeaderEpochCache::default();
        let mut end = Offset::ZERO;
        for (_, _, header, _) in batches(topic) {
            cache.assign(header.leader_epoch, header.base_offset);
            end = header.next_offset();
        }
        assert_eq!(
            LeaderEpochCache::load(&bytes, end, &limits),
            Ok(cache),
            "{topic}"
        );
    }
}

#[test]
fn checkpoints_name_the_ends_of_the_logs() {
    for name in [
        "recovery-point-offset-checkpoint",
        "replication-offset-checkpoint",
    ] {
        let bytes = file(name);
        let offsets = checkpoint::decode_offsets(&bytes).unwrap();
        for topic in TOPICS {
            let id = LogId::new(TopicName::new(topic).unwrap(), 0);
            let end = batches(topic).last().unwrap().2.next_offset();
            assert_eq!(offsets.get(&id), Some(&end), "{name}: {topic}");
        }
        let ours = checkpoint::encode_offsets(offsets.iter().map(|(id, o)| (id, *o)));
        let sorted = |bytes: &[u8]| {
            let mut lines: Vec<_> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
            lines[2..].sort();
            lines
        };
        assert_eq!(sorted(&ours), sorted(&bytes), "only their order differs");
    }
    let none = file("log-start-offset-checkpoint");
    assert!(checkpoint::decode_offsets(&none).unwrap().is_empty());
    assert_eq!(checkpoint::encode_offsets([].into_iter()), none);
    let cleaner = checkpoint::decode_offsets(&file("cleaner-offset-checkpoint")).unwrap();
    assert_eq!(cleaner.into_values().collect::<Vec<_>>(), [Offset::new(21)]);
}

#[test]
fn the_small_files_read_and_write_the_same() {
    let meta = MetaProperties::decode(&file("meta.properties")).unwrap();
    assert_eq!((meta.node_id, meta.cluster_id.len()), (1, 22));
    assert!(meta.directory_id.is_some());
    assert_eq!(MetaProperties::decode(&meta.encode()), Ok(meta));
    let clean = file("kafka_cleanshutdown");
    assert_eq!(CleanShutdown::decode(&clean).unwrap().encode(), clean);
    for topic in TOPICS {
        let bytes = file(&format!("{topic}-0/partition.metadata"));
        assert_eq!(PartitionMetadata::decode(&bytes).unwrap().encode(), bytes);
    }
}
