//! `ottla produce`: the lines of standard input become records.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use bytes::Bytes;
use ottla_log::{BatchOptions, Codec, Header, Record, Timestamp, build_batch};

use super::args::{Acks, CodecArg, ProduceArgs};
use super::client::{Client, ClientError, Topic};
use super::partitioner::partition_for;
use super::record_json::from_json;
use super::topics::split_setting;

/// How many records and bytes a batch gathers before it is sent.
const BATCH_RECORDS: usize = 500;
const BATCH_BYTES: usize = 512 << 10;

/// Reads records from `input` until its end and writes them to the topic.
pub(crate) fn run(
    args: &ProduceArgs,
    input: &mut dyn BufRead,
    log: &mut dyn Write,
    now: Timestamp,
) -> Result<(), ClientError> {
    let mut client = Client::connect(&args.broker.bootstrap_server)?;
    let topic = client.topic(&args.topic, true)?;
    let mut producer = Producer::new(args, topic, now)?;
    let mut line = String::new();
    loop {
        line.clear();
        let read = input.read_line(&mut line);
        let read = read.map_err(|source| ClientError::Io {
            doing: "reading records",
            source,
        })?;
        if read == 0 {
            break;
        }
        let line = line
            .strip_suffix('\n')
            .map_or(line.as_str(), |l| l.trim_end_matches('\r'));
        if line.is_empty() && args.json {
            continue;
        }
        let record = producer.record(line)?;
        producer.add(&mut client, record)?;
    }
    producer.flush(&mut client)?;
    let (count, topic) = (producer.written, &producer.topic.name);
    let s = if count == 1 { "" } else { "s" };
    let said = writeln!(log, "{count} record{s} written to {topic}");
    said.map_err(|source| ClientError::Io {
        doing: "reporting",
        source,
    })
}

/// Gathers records a partition at a time.
struct Producer<'a> {
    args: &'a ProduceArgs,
    topic: Topic,
    headers: Vec<Header>,
    options: BatchOptions,
    now: Timestamp,
    /// What was gathered for each partition, with its size.
    pending: BTreeMap<i32, (Vec<Record>, usize)>,
    /// Where the next record without a key goes.
    turn: i32,
    written: u64,
}

impl<'a> Producer<'a> {
    fn new(args: &'a ProduceArgs, topic: Topic, now: Timestamp) -> Result<Self, ClientError> {
        let known = |n: i32| topic.partitions.iter().any(|p| p.number == n);
        if let Some(partition) = args.partition.filter(|n| !known(*n)) {
            return Err(ClientError::NoPartition {
                topic: topic.name,
                partition,
            });
        }
        let mut headers = Vec::new();
        for header in &args.header {
            let (key, value) = split_setting(header)?;
            headers.push(Header::new(key, Some(Bytes::from(value.to_owned()))));
        }
        let options = BatchOptions {
            codec: codec(args.codec),
            ..BatchOptions::default()
        };
        let pending = BTreeMap::new();
        Ok(Self {
            args,
            topic,
            headers,
            options,
            now,
            pending,
            turn: 0,
            written: 0,
        })
    }

    /// The record that a line of input stands for.
    fn record(&self, line: &str) -> Result<Record, ClientError> {
        let mut record = match &self.args.key_separator {
            _ if self.args.json => from_json(line)?,
            None => Record {
                value: Some(Bytes::from(line.to_owned())),
                ..Record::default()
            },
            Some(separator) => {
                let (key, value) = line.split_once(separator.as_str()).ok_or_else(|| {
                    ClientError::Input(format!("no key separator {separator:?} in line {line:?}"))
                })?;
                let (key, value) = (Bytes::from(key.to_owned()), Bytes::from(value.to_owned()));
                Record {
                    key: Some(key),
                    value: Some(value),
                    ..Record::default()
                }
            }
        };
        record.headers.extend(self.headers.iter().cloned());
        record.timestamp = record.timestamp.or(Some(self.now));
        Ok(record)
    }

    fn add(&mut self, client: &mut Client, record: Record) -> Result<(), ClientError> {
        let count = i32::try_from(self.topic.partitions.len()).unwrap_or(i32::MAX);
        if count == 0 {
            return Err(ClientError::NoPartition {
                topic: self.topic.name.clone(),
                partition: 0,
            });
        }
        let partition = match (&self.args.partition, &record.key) {
            (Some(partition), _) => *partition,
            (None, Some(key)) => partition_for(key, count),
            (None, None) => self.turn % count,
        };
        let size =
            record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len);
        let keyless = record.key.is_none();
        let (records, bytes) = self.pending.entry(partition).or_default();
        records.push(record);
        *bytes += size;
        if records.len() >= BATCH_RECORDS || *bytes >= BATCH_BYTES {
            self.send(client, partition)?;
            if keyless {
                self.turn += 1;
            }
        }
        Ok(())
    }

    fn flush(&mut self, client: &mut Client) -> Result<(), ClientError> {
        while let Some(partition) = self.pending.keys().next().copied() {
            self.send(client, partition)?;
        }
        Ok(())
    }

    fn send(&mut self, client: &mut Client, partition: i32) -> Result<(), ClientError> {
        let Some((records, _)) = self.pending.remove(&partition) else {
            return Ok(());
        };
        let batch = build_batch(&records, &self.options);
        let batch = batch.map_err(|e| ClientError::Input(format!("cannot encode records: {e}")))?;
        let acks = match self.args.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        };
        client.produce(&self.topic, partition, batch, acks)?;
        self.written += records.len() as u64;
        Ok(())
    }
}

fn codec(codec: CodecArg) -> Codec {
    match codec {
        CodecArg::None => Codec::None,
        CodecArg::Gzip => Codec::Gzip,
        CodecArg::Snappy => Codec::Snappy,
        CodecArg::Lz4 => Codec::Lz4,
        CodecArg::Zstd => Codec::Zstd,
    }
}
