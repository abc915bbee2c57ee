//! `ottla produce`: the lines of standard input become records.

mod input;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_log::{BatchOptions, Codec, Header, Record, build_batch};
use ottla_protocol::ErrorCode;

use self::input::{Input, Line, read};
use super::args::{Acks, CodecArg, ProduceArgs};
use super::client::{Client, ClientError, Topic};
use super::partitioner::partition_for;
use super::record_json::from_json;
use super::signals::stop_flag;
use super::topics::split_setting;

/// How many records and bytes a batch gathers before it is sent. One record may have more.
const BATCH_RECORDS: usize = 500;
const BATCH_BYTES: usize = 512 << 10;
/// How long a record waits for others.
const LINGER: Duration = Duration::from_millis(10);
/// How long a connection may be idle and still be trusted; brokers close them after minutes.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How often a signal is looked for while no line comes.
const SIGNAL_POLL: Duration = Duration::from_millis(100);
/// The most bytes that a record may have: what Kafka's default of `socket.request.max.bytes`
/// leaves of a request that has nothing else. Topics allow less by their `max.message.bytes`.
const RECORD_BYTES_MAX: usize = (100 << 20) - (64 << 10);
/// The most that the fields of a record besides its key, value and headers take, and the lengths
/// of a header.
const RECORD_OVERHEAD: usize = 40;
const HEADER_OVERHEAD: usize = 10;
/// How much of a wrong line is shown.
const SHOWN_CHARS: usize = 200;

/// Reads records from `input` until its end, or a signal, and writes them to the topic.
pub(crate) fn run(
    args: &ProduceArgs,
    input: impl Read + Send + 'static,
    log: &mut dyn Write,
) -> Result<(), ClientError> {
    let stop = stop_flag()?;
    let mut client = Client::connect(&args.broker.bootstrap_server)?;
    let topic = client.topic(&args.topic, true)?;
    let mut producer = Producer::new(args, topic)?;
    let lines = read(input, RECORD_BYTES_MAX);
    let read = producer.write_all(&mut client, &lines, &stop);
    // Whatever is wrong with a line, those before it are written.
    let flushed = match &read {
        Ok(())
        | Err(ClientError::Input(_) | ClientError::Io { .. } | ClientError::Refused { .. }) => {
            producer.flush(&mut client)
        }
        Err(_) => Ok(()),
    };
    let report = report(producer.written, &producer.topic.name, args.acks);
    read.and(flushed)
        .map_err(|error| ClientError::Input(format!("{error}; {report}")))?;
    // Who closed standard error wants no report; the records are written all the same.
    let _ = writeln!(log, "{report}");
    Ok(())
}

/// What became of `count` records, as far as it is known.
fn report(count: u64, topic: &str, acks: Acks) -> String {
    let s = if count == 1 { "" } else { "s" };
    match acks {
        Acks::None => {
            format!("{count} record{s} sent to {topic}; without acks nobody says what was written")
        }
        Acks::Leader | Acks::All => format!("{count} record{s} written to {topic}"),
    }
}

/// Gathers records a partition at a time.
struct Producer<'a> {
    args: &'a ProduceArgs,
    topic: Topic,
    headers: Vec<Header>,
    options: BatchOptions,
    /// What was gathered for each partition, with its size.
    pending: BTreeMap<i32, (Vec<Record>, usize)>,
    /// When the first of it is to be sent at the latest.
    due: Option<Instant>,
    /// Where the next record without a key goes.
    turn: i32,
    written: u64,
    /// When the connections were last used.
    used: Instant,
}

impl<'a> Producer<'a> {
    fn new(args: &'a ProduceArgs, topic: Topic) -> Result<Self, ClientError> {
        let known = |n: i32| topic.partitions.iter().any(|p| p.number == n);
        let wanted = args.partition.unwrap_or(0);
        if !known(wanted) {
            return Err(ClientError::NoPartition {
                topic: topic.name,
                partition: wanted,
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
        Ok(Self {
            args,
            topic,
            headers,
            options,
            pending: BTreeMap::new(),
            due: None,
            turn: 0,
            written: 0,
            used: Instant::now(),
        })
    }

    /// Writes lines as they come. What was not sent in the end is pending.
    fn write_all(
        &mut self,
        client: &mut Client,
        lines: &Receiver<Input>,
        stop: &AtomicBool,
    ) -> Result<(), ClientError> {
        while !stop.load(Ordering::Relaxed) {
            let wait = match self.due {
                Some(due) => due.saturating_duration_since(Instant::now()),
                None => SIGNAL_POLL,
            };
            match lines.recv_timeout(wait) {
                Ok(Input::Lines(lines)) => {
                    for line in lines {
                        self.write(client, line)?;
                    }
                    if self.due.is_some_and(|due| Instant::now() >= due) {
                        self.flush(client)?;
                    }
                }
                Ok(Input::TooLong(number)) => {
                    return Err(ClientError::Input(format!(
                        "line {number}: it has more than the {RECORD_BYTES_MAX} bytes that a \
                         record may have"
                    )));
                }
                Ok(Input::Failed(source)) => {
                    let doing = "reading records";
                    return Err(ClientError::Io { doing, source });
                }
                Err(RecvTimeoutError::Timeout) => self.flush(client)?,
                Ok(Input::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        // What was handed over before the signal; what the reader has in hand is not written.
        if let Ok(Input::Lines(lines)) = lines.try_recv() {
            lines
                .into_iter()
                .try_for_each(|line| self.write(client, line))?;
        }
        Ok(())
    }

    fn write(&mut self, client: &mut Client, line: Line) -> Result<(), ClientError> {
        if line.bytes.is_empty() && self.args.json {
            return Ok(());
        }
        let number = line.number;
        let wrong = |why: String| ClientError::Input(format!("line {number}: {why}"));
        let record = self.record(line).map_err(wrong)?;
        let size = size_of_record(&record);
        if size > RECORD_BYTES_MAX {
            let why =
                format!("a record may have {RECORD_BYTES_MAX} bytes, and this one has {size}");
            return Err(wrong(why));
        }
        self.add(client, record, size)
    }

    /// The record that a line of input stands for, or what is wrong with it.
    fn record(&self, line: Line) -> Result<Record, String> {
        let at = line.at;
        let line = Bytes::from(line.bytes);
        let mut record = match &self.args.key_separator {
            _ if self.args.json => {
                from_json(&line).map_err(|why| format!("{why}: {}", shown(&line)))?
            }
            None => Record {
                value: Some(line),
                ..Record::default()
            },
            Some(separator) => {
                let at = find(&line, separator.as_bytes())
                    .ok_or_else(|| format!("no key separator {separator:?} in {}", shown(&line)))?;
                Record {
                    key: Some(line.slice(..at)),
                    value: Some(line.slice(at + separator.len()..)),
                    ..Record::default()
                }
            }
        };
        record.headers.extend(self.headers.iter().cloned());
        record.timestamp = record.timestamp.or(Some(at));
        Ok(record)
    }

    fn add(&mut self, client: &mut Client, record: Record, size: usize) -> Result<(), ClientError> {
        let count = i32::try_from(self.topic.partitions.len()).unwrap_or(i32::MAX);
        let choose = |turn| match (self.args.partition, &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for(key, count),
            (None, None) => turn,
        };
        let mut partition = choose(self.turn);
        let is_full = |(records, bytes): &(Vec<Record>, usize)| {
            records.len() >= BATCH_RECORDS || bytes + size > BATCH_BYTES
        };
        if self.pending.get(&partition).is_some_and(is_full) {
            self.send(client, partition)?;
            partition = choose(self.turn);
        }
        let (records, bytes) = self.pending.entry(partition).or_default();
        records.push(record);
        *bytes += size;
        self.due.get_or_insert_with(|| Instant::now() + LINGER);
        Ok(())
    }

    fn flush(&mut self, client: &mut Client) -> Result<(), ClientError> {
        let mut done = Ok(());
        while let Some(partition) = self.pending.keys().next().copied() {
            match self.send(client, partition) {
                // What one partition does not take keeps nothing from the others.
                Err(refused @ ClientError::Refused { .. }) => done = done.and(Err(refused)),
                sent => sent?,
            }
        }
        self.due = None;
        done
    }

    /// Sends what is pending for `partition`; the next record without a key goes to the next one.
    fn send(&mut self, client: &mut Client, partition: i32) -> Result<(), ClientError> {
        let Some((records, _)) = self.pending.remove(&partition) else {
            return Ok(());
        };
        if partition == self.turn {
            let count = i32::try_from(self.topic.partitions.len()).unwrap_or(i32::MAX);
            self.turn = (self.turn + 1) % count.max(1);
        }
        self.send_batch(client, partition, &records)
    }

    /// Sends `records` in one batch or, where the topic allows only smaller ones, in several.
    fn send_batch(
        &mut self,
        client: &mut Client,
        partition: i32,
        records: &[Record],
    ) -> Result<(), ClientError> {
        let batch = build_batch(records, &self.options);
        let batch = batch.map_err(|e| ClientError::Input(format!("cannot encode records: {e}")))?;
        let acks = match self.args.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        };
        if self.used.elapsed() > IDLE_MAX {
            // The broker may have closed what nobody used, and what is sent there is lost.
            client.reconnect(&self.args.broker.bootstrap_server)?;
        }
        let answered = client.produce(&self.topic, partition, batch, acks);
        self.used = Instant::now();
        match answered {
            Err(ClientError::Refused {
                code: ErrorCode::MessageTooLarge,
                ..
            }) if records.len() > 1 => {
                let (first, rest) = records.split_at(records.len() / 2);
                self.send_batch(client, partition, first)?;
                return self.send_batch(client, partition, rest);
            }
            answered => answered?,
        };
        self.written += records.len() as u64;
        Ok(())
    }
}

/// The most bytes that `record` takes in a batch.
fn size_of_record(record: &Record) -> usize {
    let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let header = |h: &Header| HEADER_OVERHEAD + h.key.len() + size(&h.value);
    let headers: usize = record.headers.iter().map(header).sum();
    RECORD_OVERHEAD + size(&record.key) + size(&record.value) + headers
}

/// Where `wanted` first stands in `bytes`.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    match wanted.len() {
        0 => Some(0),
        len => bytes.windows(len).position(|window| window == wanted),
    }
}

/// A line as a person sees it, but not more of it than helps.
fn shown(line: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(line)
        .chars()
        .take(SHOWN_CHARS)
        .collect();
    format!("{text:?}")
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
