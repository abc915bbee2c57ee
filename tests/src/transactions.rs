//! Transactions in the data of a stopped broker, written by `ottla-log`: while no broker of ours
//! coordinates transactions, a client has no way to write one.
//!
//! Three producers write by turns, each in transactions of four batches, so that three are open at
//! any time; every other one is aborted. Batches without a producer lie between theirs, keys come
//! again and again, each batch has the next codec, and segments are small. The last transaction of
//! each producer stays open: whoever reads only what is committed comes no further than its first
//! record.

use std::path::Path;

use ottla_log::{
    BatchOptions, Clock as _, Codec, LeaderAppend, LeaderEpoch, Limits, Log, LogConfig, LogOptions,
    Offset, Origin, ProducerEpoch, ProducerId, Record, Sequence, StorageError, Store, StoreOptions,
    SystemClock, Timestamp, ValidBatches, batch::EndTransactionMarker, build_batch,
};

use crate::Error;

const PRODUCERS: usize = 3;
const TURNS: usize = 360;
const BATCHES_PER_TRANSACTION: usize = 4;
const RECORDS_PER_BATCH: usize = 4;
const KEYS: usize = 60;
const SEGMENT_BYTES: u32 = 16 << 10;

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A reader of committed records gets it.
    Committed,
    /// It does not.
    Aborted,
    /// It lies behind the start of a transaction that is open.
    Undecided,
}

/// A record that was written.
#[derive(Clone, Debug)]
pub struct Told {
    /// What becomes of it.
    pub fate: Fate,
    offset: Offset,
    key: String,
    value: String,
}

impl Told {
    /// As a runner reads it: fate, offset, key, value.
    pub fn line(&self) -> String {
        let fate = match self.fate {
            Fate::Committed => "committed",
            Fate::Aborted => "aborted",
            Fate::Undecided => "undecided",
        };
        format!("{fate} {}\n", self.place())
    }

    /// Offset, key and value.
    pub fn place(&self) -> String {
        format!("{} {} {}", self.offset, self.key, self.value)
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Fills partition 0 of `topic`, and compacts it where that is asked for. `data` is the data
/// directory of a broker that is not running.
///
/// # Errors
/// When the directory cannot be opened or written, or does not have the topic.
pub fn write(data: &Path, topic: &str, compact: bool) -> Result<Vec<Told>, Error> {
    let failed = |what: &dyn std::fmt::Display| Error::failed(format!("{topic}-0: {what}"));
    let opened = Store::open(data, StoreOptions::default()).map_err(|error| failed(&error))?;
    let store = opened.store;
    let name = format!("{topic}-0");
    if !store.found().iter().any(|log| log.id.dir_name() == name) {
        return Err(failed(&"is not there"));
    }
    let mut config = LogConfig::default();
    config.segment_bytes = SEGMENT_BYTES;
    config.compacted = compact;
    let options = LogOptions {
        config,
        ..LogOptions::default()
    };
    let log = store.log(topic, options).map_err(|error| failed(&error))?;
    let mut writer = Writer::new(log);
    for turn in 0..TURNS {
        writer.turn(turn).map_err(|error| failed(&error))?;
    }
    store.flush().map_err(|error| failed(&error))?;
    if compact {
        writer.compact().map_err(|error| failed(&error))?;
    }
    let told = writer.told();
    if !store.close().clean {
        return Err(failed(&"the directory was not closed in order"));
    }
    Ok(told)
}

struct Writer {
    log: Log,
    now: Timestamp,
    epoch: LeaderEpoch,
    producers: [Producer; PRODUCERS],
    records: Vec<Told>,
}

#[derive(Default)]
struct Producer {
    sequence: i32,
    ended: usize,
    /// The places in `Writer::records` of what its open transaction has so far.
    open: Vec<usize>,
    batches: usize,
}

type Failure = Box<dyn std::error::Error>;

impl Writer {
    fn new(log: Log) -> Self {
        Self {
            now: SystemClock::new().now(),
            epoch: log.latest_epoch().unwrap_or(LeaderEpoch::new(0)),
            log,
            producers: Default::default(),
            records: Vec::new(),
        }
    }

    /// A batch of the producer whose turn it is, and the end of its transaction after the last.
    fn turn(&mut self, turn: usize) -> Result<(), Failure> {
        let place = turn % PRODUCERS;
        let first = self.records.len();
        self.batch(turn, Some(place))?;
        let written = first..self.records.len();
        let producer = self.producers.get_mut(place).ok_or("no such producer")?;
        producer.open.extend(written);
        producer.batches += 1;
        // The last one of each stays open.
        let is_last = turn + PRODUCERS >= TURNS;
        if producer.batches == BATCHES_PER_TRANSACTION && !is_last {
            self.end(place)?;
        }
        if turn.is_multiple_of(5) {
            self.batch(turn, None)?;
        }
        Ok(())
    }

    fn batch(&mut self, turn: usize, place: Option<usize>) -> Result<(), Failure> {
        let codecs = [
            Codec::None,
            Codec::Gzip,
            Codec::Snappy,
            Codec::Lz4,
            Codec::Zstd,
        ];
        let mut options = BatchOptions {
            codec: codecs.get(turn % codecs.len()).copied().unwrap_or_default(),
            now: self.now,
            ..BatchOptions::default()
        };
        if let Some(place) = place {
            let producer = self.producers.get_mut(place).ok_or("no such producer")?;
            options = owned(options, place, producer.sequence);
            producer.sequence += i32::try_from(RECORDS_PER_BATCH)?;
        }
        let first = self.records.len();
        let texts = (first..first + RECORDS_PER_BATCH).map(|number| {
            let key = format!("key-{}", number % KEYS);
            let who =
                place.map_or_else(|| "nobody".to_owned(), |place| format!("producer-{place}"));
            (key, format!("{who}-{turn}-{number:0>80}"))
        });
        let texts: Vec<(String, String)> = texts.collect();
        let records: Vec<Record> = texts
            .iter()
            .map(|(key, value)| Record::new(value.clone()).with_key(key.clone()))
            .collect();
        let bytes = build_batch(&records, &options)?;
        let context = LeaderAppend::new(self.now, self.epoch);
        let batches = ValidBatches::parse(bytes, &Limits::default())?;
        let appended = self.log.append_as_leader(batches, &context)?;
        let offsets = appended.base_offset.get()..;
        self.records
            .extend(offsets.zip(texts).map(|(offset, (key, value))| Told {
                fate: Fate::Committed,
                offset: Offset::new(offset),
                key,
                value,
            }));
        Ok(())
    }

    /// Ends the open transaction; every other one is aborted.
    fn end(&mut self, place: usize) -> Result<(), Failure> {
        let producer = self.producers.get_mut(place).ok_or("no such producer")?;
        producer.ended += 1;
        producer.batches = 0;
        let aborts = (producer.ended + place).is_multiple_of(2);
        for record in producer.open.drain(..).filter(|_| aborts) {
            let record = self.records.get_mut(record).ok_or("no such record")?;
            record.fate = Fate::Aborted;
        }
        let marker = EndTransactionMarker {
            committed: !aborts,
            coordinator_epoch: 0,
        };
        let options = BatchOptions {
            control: true,
            now: self.now,
            ..owned(BatchOptions::default(), place, -1)
        };
        let bytes = build_batch(&[marker.to_record()], &options)?;
        let mut context = LeaderAppend::new(self.now, self.epoch);
        context.origin = Origin::Coordinator;
        let batches = ValidBatches::parse(bytes, &Limits::default())?;
        self.log.append_as_leader(batches, &context)?;
        Ok(())
    }

    /// Everything is committed, so that what can be compacted is.
    fn compact(&self) -> Result<(), StorageError> {
        self.log.committed(self.log.ends().end);
        while self.log.maintain(self.now)?.more {}
        Ok(())
    }

    /// What was written, the fate of each record decided by the transactions that are open.
    fn told(mut self) -> Vec<Told> {
        let open = self.producers.iter().flat_map(|p| p.open.first().copied());
        if let Some(first) = open.min() {
            for record in self.records.iter_mut().skip(first) {
                record.fate = Fate::Undecided;
            }
        }
        self.records
    }
}

/// The options of a batch in a transaction of a producer.
fn owned(options: BatchOptions, place: usize, sequence: i32) -> BatchOptions {
    BatchOptions {
        producer_id: ProducerId::new(7000 + place as i64),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(sequence),
        transactional: true,
        ..options
    }
}

#[cfg(test)]
mod tests {
    use ottla::{AppendOptions, Broker, NewTopic};

    use super::*;

    fn log(data: &Path) -> Log {
        let store = Store::open(data, StoreOptions::default()).expect("it was closed");
        let log = store.store.log("orders", LogOptions::default());
        log.expect("it is there")
    }

    #[test]
    fn the_log_decides_as_the_writer_tells() {
        for compact in [false, true] {
            let dir = tempfile::tempdir().expect("a directory");
            let broker = Broker::builder().data_dir(dir.path()).without_listener();
            let broker = broker.start_blocking().expect("a broker");
            let topic = broker.create_topic_blocking(NewTopic::new("orders"));
            let records = [Record::new("v0").with_key("k")];
            topic
                .expect("a topic")
                .append_blocking(0, &records, AppendOptions::default())
                .expect("an append");
            let _ = broker.shutdown_blocking();
            let told = write(dir.path(), "orders", compact).expect("it is written");
            let log = log(dir.path());
            log.committed(log.ends().end);
            let undecided = told.iter().find(|told| told.fate == Fate::Undecided);
            let undecided = undecided.map(|told| told.offset);
            assert_eq!(log.ends().first_unstable, undecided);
            let until = undecided.expect("some are open");
            let read = log.committed_records(Offset::new(1), until);
            let read: Vec<Offset> = read
                .map(|record| record.expect("it can be read").offset)
                .collect();
            let committed = told.iter().filter(|told| told.fate == Fate::Committed);
            let committed: Vec<Offset> = committed.map(|told| told.offset).collect();
            if compact {
                assert!(read.len() * 2 < committed.len(), "{}", read.len());
                assert!(read.iter().all(|offset| committed.contains(offset)));
            } else {
                assert_eq!(read, committed);
            }
        }
    }
}
