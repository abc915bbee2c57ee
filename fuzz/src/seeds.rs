//! Writes the inputs that each target starts from: valid ones of every kind, so that the fuzzer
//! need not find out what they look like. The same every time, so they are not kept in the tree;
//! `fuzz/corpus` holds what once was a finding.

use std::fs;
use std::path::{Path, PathBuf};

// Its counters have to be there for whatever was built with them.
use libfuzzer_sys as _;
use ottla_log::codec::compress;
use ottla_log::crc::crc32c;
use ottla_log::{BatchOptions, Codec, Record, Timestamp, build_batch};
use ottla_protocol::api::APIS;
use ottla_protocol::client::consumer;
use ottla_protocol::{Checked, RequestHeader, encode_request, shape};

#[allow(dead_code)]
#[path = "../../crates/ottla-protocol/src/tests/filler.rs"]
mod filler;

use filler::{Style, fill};

fn main() {
    let dir = std::env::args_os().nth(1).expect("usage: seeds DIR");
    let seeds = Seeds { dir: dir.into() };
    seeds.requests();
    seeds.strangers();
    seeds.answers();
    seeds.batches();
    seeds.records();
    seeds.files();
    seeds.metadata();
    seeds.disks();
    seeds.groups();
}

struct Seeds {
    dir: PathBuf,
}

impl Seeds {
    /// Sequences of inputs to groups: any bytes are one, so these are as good as others.
    fn groups(&self) {
        for seed in 1..=8_u32 {
            let mut state = seed;
            let bytes = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            });
            let bytes: Vec<u8> = bytes.take(500).collect();
            self.put("groups", &format!("any-{seed}"), &bytes);
        }
    }

    fn put(&self, target: &str, name: &str, bytes: &[u8]) {
        let dir = self.dir.join(target);
        let write = |dir: &Path| {
            fs::create_dir_all(dir)?;
            fs::write(dir.join(name), bytes)
        };
        write(&dir).unwrap_or_else(|e| panic!("cannot write to {}: {e}", dir.display()));
    }

    /// A request to each API in each version: as a body, as a header, and as frames.
    fn requests(&self) {
        for (row, api) in APIS.iter().enumerate() {
            let mut stream = Vec::new();
            for (index, version) in api.versions.clone().enumerate() {
                let style = Style {
                    version,
                    flexible: api.is_flexible(version),
                    elements_max: 2,
                    nulls: true,
                    strangers: true,
                };
                let body = fill(api.request, style, version.unsigned_abs().into()).bytes;
                let name = format!("{}-{version}", api.name());
                let chosen = [&[row as u8, index as u8], &body[..]].concat();
                self.put("request", &name, &chosen);
                let header = RequestHeader {
                    api_key: api.key,
                    api_version: version,
                    correlation_id: 1,
                    client_id: Some(ottla_protocol::StrBytes::from_static_str("client")),
                };
                let request = Checked::new(&header, body.into()).and_then(Checked::decode);
                let request = request.expect("what was filled in is valid");
                let frame = encode_request(&header, &request).expect("and can be written");
                self.put("header", &name, &frame[4..]);
                stream.extend_from_slice(&frame);
            }
            self.put("frames", api.name(), &stream);
        }
    }

    /// What others greet with.
    fn strangers(&self) {
        let greetings: [(&str, &[u8]); 4] = [
            ("tls", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
            ("http", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            ("ssh", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ];
        for (name, greeting) in greetings {
            self.put("frames", name, greeting);
        }
    }

    /// What members of a group tell each other.
    fn answers(&self) {
        let topics = consumer::subscription(&["orders", "invoices"]);
        self.put("answers", "subscription", &[&[0], &topics[..]].concat());
        let assigned = consumer::assignment(&vec![("orders".to_owned(), vec![0, 1])]);
        self.put("answers", "assignment", &[&[0], &assigned[..]].concat());
    }

    /// Batches of each codec, alone and in a row, and each codec's bytes.
    fn batches(&self) {
        let records = [
            Record::new("value").with_timestamp(Timestamp::new(1_700_000_000_000)),
            Record::new(vec![b'x'; 300])
                .with_key("key")
                .with_header("header", "text"),
            Record::tombstone("key"),
        ];
        let mut row = Vec::new();
        for codec in Codec::ALL {
            let mut options = BatchOptions::default();
            options.codec = codec;
            let batch = build_batch(&records, &options).expect("the records are a batch");
            self.put("batches", codec.name(), &batch);
            self.put("produce", codec.name(), &batch);
            row.extend_from_slice(&batch);
            let block = compress(codec, None, b"what is said again is said again, again");
            self.put("codecs", codec.name(), &block);
        }
        self.put("batches", "all", &row);
        // What has to be refused for its size: more than the target's limits allow.
        let large = vec![0; (1 << 20) + (1 << 19)];
        for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
            let name = format!("{}-bomb", codec.name());
            self.put("codecs", &name, &compress(codec, None, &large));
            let mut options = BatchOptions::default();
            options.codec = codec;
            let record = Record::new([&large[..], &large[..]].concat());
            let batch = build_batch(&[record], &options).expect("a record is a batch");
            self.put("batches", &name, &batch);
        }
    }

    /// Records of the metadata log and of the quorum.
    fn records(&self) {
        use ottla_protocol::persisted::control::{ControlRecord, LeaderChangeMessage};
        use ottla_protocol::persisted::metadata::{
            ConfigRecord, PartitionChangeRecord, PartitionRecord, Record, RegisterBrokerRecord,
            TopicRecord,
        };
        let records: [Record; 5] = [
            RegisterBrokerRecord::default().into(),
            TopicRecord::default().into(),
            PartitionRecord::default().into(),
            PartitionChangeRecord::default().into(),
            ConfigRecord::default().into(),
        ];
        for record in records {
            let version = record.version_at(i16::MAX);
            let bytes = record.encode(version).expect("a default can be written");
            let name = format!("metadata-{}", record.kind());
            self.put("records", &name, &[&[0], &bytes[..]].concat());
        }
        let change = ControlRecord::LeaderChange(LeaderChangeMessage::default());
        let value = change.value().expect("a default can be written");
        let kind = change.kind().to_be_bytes()[1];
        self.put("records", "control-2", &[&[kind], &value[..]].concat());
    }

    /// The files beside the records.
    fn files(&self) {
        let texts: [(&str, &[u8]); 5] = [
            ("offsets", b"0\n2\nt 0 17\n__consumer_offsets 49 3\n"),
            ("epochs", b"0\n2\n0 0\n3 120\n"),
            (
                "meta",
                b"version=1\ncluster.id=c\nnode.id=1\ndirectory.id=AQEBAQEBAQEBAQEBAQEBAQ\n",
            ),
            ("partition", b"version: 0\ntopic_id: AQEBAQEBAQEBAQEBAQEBAQ"),
            ("clean", br#"{"version":0,"brokerEpoch":27}"#),
        ];
        for (name, text) in texts {
            self.put("checkpoints", name, text);
        }
        // An offset index of two entries and a time index of two.
        self.put(
            "indexes",
            "offset",
            b"\0\0\0\x03\0\0\x10\0\0\0\0\x09\0\0\x20\0",
        );
        let times = b"\0\0\x01\x8b\xcf\xe5\x68\0\0\0\0\x03\0\0\x01\x8b\xcf\xe5\x68\x01\0\0\0\x09";
        self.put("indexes", "time", times);
        // One producer: id, epoch, last sequence, last offset, offset delta, timestamp,
        // coordinator epoch, start of its transaction. The target adds version and checksum.
        let mut one = 1_i32.to_be_bytes().to_vec();
        one.extend(7_i64.to_be_bytes());
        one.extend(0_i16.to_be_bytes());
        one.extend(4_i32.to_be_bytes());
        one.extend(9_i64.to_be_bytes());
        one.extend(4_i32.to_be_bytes());
        one.extend(1_700_000_000_000_i64.to_be_bytes());
        one.extend((-1_i32).to_be_bytes());
        one.extend((-1_i64).to_be_bytes());
        self.put("producer_snapshot", "sealed", &one);
        // Two of them in a transaction each.
        let of = |id: i64, since: i64| {
            let mut entry = one[4..38].to_vec();
            entry[..8].copy_from_slice(&id.to_be_bytes());
            entry.extend((-1_i32).to_be_bytes());
            entry.extend(since.to_be_bytes());
            entry
        };
        let two = [&2_i32.to_be_bytes()[..], &of(7, 3), &of(6, 4)].concat();
        self.put("producer_snapshot", "two", &two);
        let whole = [&[0, 1], &crc32c(&one).to_be_bytes()[..], &one].concat();
        self.put("producer_snapshot", "whole", &whole);
    }

    /// Records of the metadata as its log frames them, a snapshot, and texts of configurations.
    fn metadata(&self) {
        use ottla_log::{LeaderEpoch, Offset, TopicId, TopicName};
        use ottla_partition::metadata::{Image, MetadataRecord, TopicRecord, write_snapshot};
        let topic = MetadataRecord::Topic(TopicRecord {
            name: TopicName::new("topic").expect("a valid name"),
            topic_id: TopicId::from_bytes([7; 16]),
        });
        let record = topic.encode().expect("a short record");
        self.put("metadata_record", "topic", &record);
        // A configuration whose value is longer than a string may be: type, name, key, value.
        let mut long = b"\x01\x04\0\x02\x02t\x02k\x81\x80\x02".to_vec();
        long.extend(vec![b'v'; 32_768]);
        long.push(0);
        self.put("metadata_record", "long", &long);
        let image = Image::new("c").replay(Offset::new(8), &[topic]);
        let image = image.expect("a first topic");
        let (epoch, time) = (LeaderEpoch::new(0), Timestamp::new(1));
        let (id, snapshot) = write_snapshot(&image, epoch, time, time).expect("a small image");
        assert_eq!(id.end, Offset::new(9), "as the target reads it");
        self.put("metadata_snapshot", "topic", &snapshot);
        let texts = [
            "true",
            "-1",
            "9223372036854775807",
            "0.5",
            "compact,delete",
            "zstd",
            "1e3",
        ];
        for (number, text) in texts.iter().enumerate() {
            self.put("config_value", &number.to_string(), text.as_bytes());
        }
    }

    /// Rounds of a journal, and changes to a store's files: see the targets' functions.
    fn disks(&self) {
        let round = |number: u8| [0, number, number - 1, 1, 0, 0, 0, 0];
        let rounds = [round(1), round(2), round(3)].concat();
        self.put("journal", "three", &rounds);
        // Rounds of 16 bytes of data for a log.
        let mut list = b"\x01\0\x01t\0\0\0\0".to_vec();
        list.extend([7; 16]);
        list.extend([0; 19]);
        list.push(16);
        list.extend([0; 11]);
        list.push(1);
        let with_data = |number: u8| {
            let len = u8::try_from(list.len()).expect("a short list");
            [&[0, number, number - 1, 1, 1, 1, 0, len], &list[..]].concat()
        };
        let rounds = [with_data(1), with_data(2), with_data(3), round(4).to_vec()].concat();
        self.put("journal", "data", &rounds);
        for file in 0..24 {
            let cut = [file, 1, 0, 90, 0];
            let flip = [file, 4, 0, 20, 1, 0xff];
            let gone = [file, 0, 0, 0, 0];
            self.put("recovery", &format!("{file}-cut"), &cut);
            self.put("recovery", &format!("{file}-flip"), &flip);
            self.put("recovery", &format!("{file}-gone"), &gone);
        }
    }
}
