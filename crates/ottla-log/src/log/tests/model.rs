//! The log against a plain model: a list of batches.

mod compaction;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::batch::EndTransactionMarker;
use crate::log::kit::{Kit, at, closed};
use crate::log::tests::files;
use crate::log::{AppendError, Bound, Condition, Known, LeaderAppend, LogConfig, LogCore};
use crate::vfs::{CrashPlan, MemVfs};
use crate::{
    AbortedTransaction, BatchOptions, LeaderEpoch, Limits, Offset, Origin, ProducerEpoch,
    ProducerId, Record, Sequence, Timestamp, ValidBatches, build_batch,
};

/// How long a tombstone and the end of a removed transaction stay.
const DELETE_RETENTION_MS: i64 = 300;

#[derive(Clone, Debug)]
enum Step {
    /// A leader's append of so many records of such a size, by one of three producers or none.
    Append {
        count: usize,
        size: usize,
        time: i64,
        producer: Option<usize>,
    },
    /// A batch of one of two producers with transactions.
    Transactional {
        producer: usize,
        size: usize,
        time: i64,
    },
    /// The end of such a producer's transaction, also where none is open.
    End {
        producer: usize,
        committed: bool,
        time: i64,
    },
    /// One of the last five batches of a producer, once more.
    Retry {
        producer: usize,
        back: usize,
    },
    /// A batch of a producer that leaves out a sequence.
    Skip(usize),
    /// An append on the condition that the next offset is the end plus this.
    Conditional(i64),
    /// A follower's append so many offsets behind the end.
    Replicate {
        gap: i64,
        count: usize,
        size: usize,
    },
    /// A new leader.
    NewEpoch,
    Truncate(Index),
    DeleteRecords(Index),
    Flush,
    Wait(i64),
    /// So many steps of background work, a compaction's among them, which may stay half done.
    Work(usize),
    /// Background work until there is none left.
    Maintain,
    /// Every transaction ends, everything is committed, and background work is done.
    Settle(bool),
    /// The log is compacted from now on, with a map of so many keys; or no longer.
    Policy(Option<usize>),
    /// Segments go that are older than this.
    Retain(u64),
    /// Segments go where the log is larger than this.
    RetainBytes(u64),
    CloseFiles,
    Reopen,
    Kill,
    PowerCut(u64),
    Read {
        from: Index,
        max: usize,
        until: Index,
    },
    Time(i64),
}

/// Whether the log is compacted from the start on, and what is done to it.
fn workloads() -> impl Strategy<Value = (Option<usize>, Vec<Step>)> {
    (prop::option::weighted(0.6, map_sizes()), steps())
}

/// For how many keys a compaction has room at a time.
fn map_sizes() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..9, Just(1000), Just(1000)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (1_usize..5, 0_usize..700, 0_i64..2000, prop::option::of(0_usize..3)).prop_map(
            |(count, size, time, producer)| Step::Append { count, size, time, producer }),
        6 => (3_usize..5, 0_usize..400, 0_i64..2000).prop_map(
            |(producer, size, time)| Step::Transactional { producer, size, time }),
        4 => (3_usize..5, any::<bool>(), 0_i64..2000).prop_map(
            |(producer, committed, time)| Step::End { producer, committed, time }),
        3 => (0_usize..3, 0_usize..5).prop_map(
            |(producer, back)| Step::Retry { producer, back }),
        1 => (0_usize..3).prop_map(Step::Skip),
        2 => (-1_i64..2).prop_map(Step::Conditional),
        2 => (0_i64..20, 1_usize..4, 0_usize..900).prop_map(
            |(gap, count, size)| Step::Replicate { gap, count, size }),
        1 => Just(Step::NewEpoch),
        1 => any::<Index>().prop_map(Step::Truncate),
        1 => any::<Index>().prop_map(Step::DeleteRecords),
        4 => Just(Step::Flush),
        1 => (0_i64..400).prop_map(Step::Wait),
        3 => Just(Step::Maintain),
        4 => any::<bool>().prop_map(Step::Settle),
        3 => (1_usize..9).prop_map(Step::Work),
        1 => prop::option::weighted(0.8, map_sizes()).prop_map(Step::Policy),
        1 => (0_u64..2500).prop_map(Step::Retain),
        1 => (0_u64..20_000).prop_map(Step::RetainBytes),
        1 => Just(Step::CloseFiles),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
        4 => (any::<Index>(), 1_usize..4000, any::<Index>()).prop_map(
            |(from, max, until)| Step::Read { from, max, until }),
        2 => (-1_i64..2200).prop_map(Step::Time),
    ];
    prop::collection::vec(step, 1..120)
}

#[derive(Clone, Debug)]
struct ModelBatch {
    base: i64,
    records: Vec<ModelRecord>,
    time: i64,
    epoch: i32,
    producer: Option<(usize, i32)>,
    /// The marker of a transaction; whether it was committed.
    marker: Option<bool>,
    /// When its tombstones, or itself as a marker, may go, once compaction said so.
    horizon: Option<i64>,
}

#[derive(Clone, Debug)]
struct ModelRecord {
    key: Option<String>,
    /// None in a tombstone.
    value: Option<String>,
    /// Compaction took it.
    gone: bool,
}

/// A transaction of the model.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    producer: usize,
    first: i64,
    /// Its marker, and whether it was committed.
    end: Option<(i64, bool)>,
}

impl ModelBatch {
    fn next(&self) -> i64 {
        self.base + self.records.len() as i64
    }

    /// Offset and timestamp of each record that is not gone.
    fn times(&self) -> impl Iterator<Item = (i64, i64)> + Clone + '_ {
        let records = (self.base..).zip(self.time..).zip(&self.records);
        records.filter_map(|(place, record)| (!record.gone).then_some(place))
    }

    /// The batch as a client would send it.
    fn bytes(&self, options: &BatchOptions) -> ValidBatches {
        let records: Vec<Record> = match self.marker {
            Some(committed) => {
                let marker = EndTransactionMarker {
                    committed,
                    coordinator_epoch: 0,
                };
                vec![marker.to_record().with_timestamp(at(self.time))]
            }
            None => (self.time..).zip(&self.records).map(record_at).collect(),
        };
        let bytes = build_batch(&records, options).unwrap();
        ValidBatches::parse(bytes, &Limits::default()).unwrap()
    }

    fn options(&self) -> BatchOptions {
        let mut options = BatchOptions {
            base_offset: Offset::new(self.base),
            leader_epoch: LeaderEpoch::new(self.epoch),
            ..BatchOptions::default()
        };
        if let Some((producer, sequence)) = self.producer {
            options.producer_id = ProducerId::new(100 + producer as i64);
            options.producer_epoch = ProducerEpoch::new(0);
            options.base_sequence = Sequence::new(sequence);
            options.transactional = producer > 2;
            options.control = self.marker.is_some();
        }
        options
    }
}

fn record_at((time, model): (i64, &ModelRecord)) -> Record {
    let key = model.key.clone();
    let record = match (&model.value, key) {
        (Some(value), None) => Record::new(value.clone()),
        (Some(value), Some(key)) => Record::new(value.clone()).with_key(key),
        (None, key) => Record::tombstone(key.unwrap_or_default()),
    };
    record.with_timestamp(at(time))
}

struct World {
    vfs: MemVfs,
    kit: Kit,
    log: Arc<LogCore>,
    batches: Vec<ModelBatch>,
    start: i64,
    epoch: i32,
    now: i64,
    serial: usize,
    /// Everything below was told to be committed.
    committed: i64,
    /// How many keys the map has room for while the log is compacted.
    compacted: Option<usize>,
    /// Below this the log may have been compacted.
    compacted_to: i64,
    /// How many records compaction took.
    taken: u64,
}

fn config(compacted: Option<usize>) -> LogConfig {
    LogConfig {
        compacted: compacted.is_some(),
        compaction_map_bytes: compacted.map_or(0, |keys| keys.saturating_mul(24)),
        min_cleanable_dirty_ratio: 0.0,
        delete_retention: Duration::from_millis(DELETE_RETENTION_MS as u64),
        retention_check_interval: Duration::ZERO,
        segment_bytes: 3000,
        index_interval_bytes: 150,
        segment_index_bytes: 120,
        segment_ms: Duration::from_millis(900),
        file_delete_delay: Duration::from_millis(100),
        timestamp_after_max_ms: i64::MAX,
        ..LogConfig::default()
    }
}

impl World {
    fn new(compacted: Option<usize>) -> Self {
        let vfs = MemVfs::new();
        let (kit, log) = Self::start(&vfs, &Known::default(), compacted);
        Self {
            vfs,
            kit,
            log,
            batches: Vec::new(),
            start: 0,
            epoch: 0,
            now: 1000,
            serial: 0,
            committed: -1,
            compacted,
            compacted_to: 0,
            taken: 0,
        }
    }

    fn start(vfs: &MemVfs, known: &Known, compacted: Option<usize>) -> (Kit, Arc<LogCore>) {
        let mut kit = Kit::over(Arc::new(vfs.clone()));
        kit.config = config(compacted);
        kit.flusher.resume(known);
        let (log, report) = kit.try_open(known).unwrap();
        assert_eq!(report.corrupt, None);
        if known.clean {
            assert_eq!(report.checked_bytes, 0, "a clean stop needs no check");
        }
        (kit, log)
    }

    fn end(&self) -> i64 {
        self.log.ends().end.get()
    }

    /// New records: of few keys for the most part, some of none, as long as they may be.
    fn records(&mut self, count: usize, size: usize) -> Vec<ModelRecord> {
        let serial = self.serial;
        self.serial += count;
        let record = |n: usize| {
            let key = match n % 11 {
                0 => Some(format!("only {n}")),
                5 if self.compacted.is_none() => None,
                _ => Some(format!("key {}", n % 4)),
            };
            let is_tombstone = key.is_some() && n % 7 == 3;
            let value = format!("{n}{}", "-".repeat(size / count));
            ModelRecord {
                key,
                value: (!is_tombstone).then_some(value),
                gone: false,
            }
        };
        (serial..self.serial).map(record).collect()
    }

    /// Whether a record of the batch is left, at or above the log start.
    fn is_there(&self, batch: &ModelBatch) -> bool {
        batch.times().any(|(offset, _)| offset >= self.start)
    }

    /// The sequence after a producer's last batch.
    fn next_sequence(&self, producer: usize) -> i32 {
        self.last_of(producer).map_or(0, |batch| {
            batch.producer.map_or(0, |(_, first)| first) + batch.records.len() as i32
        })
    }

    fn last_of(&self, producer: usize) -> Option<&ModelBatch> {
        let mut newest_first = self.batches.iter().rev();
        newest_first.find(|batch| {
            batch.marker.is_none() && batch.producer.is_some_and(|(id, _)| id == producer)
        })
    }

    fn append(
        &self,
        model: &ModelBatch,
        condition: Condition,
    ) -> Result<crate::Appended, AppendError> {
        let options = BatchOptions {
            base_offset: Offset::ZERO,
            ..model.options()
        };
        let batches = model.bytes(&options);
        let mut context = LeaderAppend::new(at(self.now), LeaderEpoch::new(self.epoch));
        if options.transactional {
            // Of a producer whose batches were deleted and whose marker was not, sequence 0 is
            // expected, in Kafka too.
            context.origin = Origin::Coordinator;
        }
        context.condition = condition;
        self.log.append_as_leader(batches, &context)
    }

    fn leader_batch(
        &mut self,
        count: usize,
        size: usize,
        time: i64,
        producer: Option<usize>,
    ) -> ModelBatch {
        ModelBatch {
            base: self.end(),
            records: self.records(count, size),
            time,
            epoch: self.epoch,
            producer: producer.map(|id| (id, self.next_sequence(id))),
            marker: None,
            horizon: None,
        }
    }

    /// The model's transactions, by their ends.
    fn transactions(&self) -> Vec<Transaction> {
        let mut open: Vec<Transaction> = Vec::new();
        let mut ended = Vec::new();
        for batch in &self.batches {
            let Some((producer, _)) = batch.producer.filter(|(id, _)| *id > 2) else {
                continue;
            };
            let place = open.iter().position(|one| one.producer == producer);
            match (batch.marker, place) {
                (Some(committed), Some(place)) => ended.push(Transaction {
                    end: Some((batch.base, committed)),
                    ..open.remove(place)
                }),
                (None, None) => open.push(Transaction {
                    producer,
                    first: batch.base,
                    end: None,
                }),
                _ => {}
            }
        }
        ended.extend(open);
        ended
    }

    /// The last stable offset, and what a reader of committed records is told. Of a transaction
    /// that began below the log start the log may know a part only.
    fn check_transactions(&self) {
        let ends = self.log.ends();
        let all = self.transactions();
        let is_stable = |one: &&Transaction| one.end.is_some_and(|(end, _)| end < self.committed);
        let unstable = || all.iter().filter(|one| !is_stable(one));
        if unstable().all(|one| one.first >= self.start) {
            let expected = unstable().map(|one| one.first).min();
            assert_eq!(ends.first_unstable.map(Offset::get), expected);
        }
        let until = ends.first_unstable.unwrap_or(ends.end);
        let mut from = ends.start;
        while from < until {
            let read = self.log.read_committed(from, 700, until).unwrap();
            from = read.batches.next_offset();
            let base = read.batches.base_offset().get();
            let concerns = |one: &&Transaction| {
                let aborted = one.end.filter(|(_, committed)| !committed);
                aborted.is_some_and(|(end, _)| end >= base) && one.first < from.get()
            };
            let id = |producer: usize| ProducerId::new(100 + producer as i64);
            for told in &read.aborted {
                let is_told = |one: &&Transaction| {
                    let (marker, first) = (told.last_offset.get(), told.first_offset.get());
                    // What compaction took an index made anew does not tell of.
                    let is_first = || {
                        let left = self.first_left(one);
                        first >= one.first && left.is_none_or(|left| first <= left)
                    };
                    id(one.producer) == told.producer_id
                        && one.end == Some((marker, false))
                        && (one.first < self.start || is_first())
                };
                assert!(all.iter().any(|one| is_told(&one)), "{told:?}: {all:?}");
            }
            for one in all
                .iter()
                .filter(concerns)
                .filter(|one| one.first >= self.start)
                .filter(|one| self.first_left(one).is_some_and(|left| left < from.get()))
            {
                let is_told = |told: &AbortedTransaction| {
                    told.last_offset.get() == one.end.map_or(-1, |(end, _)| end)
                        && told.producer_id == id(one.producer)
                };
                assert!(read.aborted.iter().any(is_told), "{one:?} is not told");
            }
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append {
                count,
                size,
                time,
                producer,
            } => {
                let model = self.leader_batch(count, size, time, producer);
                let appended = self.append(&model, Condition::Any).unwrap();
                assert_eq!(appended.base_offset.get(), model.base);
                assert_eq!(appended.end.get(), model.next());
                assert!(!appended.duplicate);
                self.batches.push(model);
            }
            Step::Transactional {
                producer,
                size,
                time,
            } => {
                let model = self.leader_batch(1, size, time, Some(producer));
                self.append(&model, Condition::Any).unwrap();
                self.batches.push(model);
            }
            Step::End {
                producer,
                committed,
                time,
            } => {
                let model = ModelBatch {
                    producer: Some((producer, -1)),
                    marker: Some(committed),
                    ..self.leader_batch(1, 0, time, None)
                };
                self.append(&model, Condition::Any).unwrap();
                self.batches.push(model);
            }
            Step::Retry { producer, back } => self.retry(producer, back),
            Step::Skip(producer) => self.skip(producer),
            Step::Conditional(distance) => self.conditional(distance),
            Step::Replicate { gap, count, size } => {
                let mut model = self.leader_batch(count, size, 7, None);
                model.base += gap;
                let batches = model.bytes(&model.options());
                self.log.append_as_follower(batches, at(self.now)).unwrap();
                self.batches.push(model);
            }
            Step::NewEpoch => {
                self.epoch += 1;
                self.log
                    .assign_epoch(LeaderEpoch::new(self.epoch), self.log.ends().end);
            }
            Step::Truncate(index) => self.truncate(&index),
            Step::DeleteRecords(index) => {
                let to = self.start + index.index((self.end() - self.start) as usize + 1) as i64;
                let start = self.log.delete_records(Offset::new(to)).unwrap();
                assert_eq!(start.get(), to);
                self.start = to;
            }
            Step::Flush => {
                self.kit.flusher.flush().unwrap();
                assert_eq!(self.log.ends().durable, self.log.ends().end);
                self.commit();
            }
            Step::Wait(millis) => self.now += millis,
            Step::Work(steps) => {
                for _ in 0..steps {
                    self.work();
                }
            }
            Step::Maintain => while self.work() {},
            Step::Settle(committed) => {
                for producer in 3..5 {
                    self.run(Step::End {
                        producer,
                        committed,
                        time: self.now,
                    });
                }
                self.run(Step::Flush);
                self.run(Step::Maintain);
            }
            Step::Policy(compacted) => {
                self.compacted = compacted;
                self.kit.config = config(compacted);
                self.log.set_config(config(compacted));
            }
            Step::Retain(age) => self.retain(age),
            Step::RetainBytes(bytes) => self.retain_bytes(bytes),
            Step::CloseFiles => {
                self.kit.shared.handles.sweep();
                self.kit.shared.handles.sweep();
            }
            Step::Reopen | Step::Kill | Step::PowerCut(_) => self.restart(&step),
            Step::Read { from, max, until } => {
                let from = self.start + from.index((self.end() - self.start) as usize + 1) as i64;
                let until = self.start + until.index((self.end() - self.start) as usize + 1) as i64;
                self.read(from, max, until);
            }
            Step::Time(time) => self.time(time),
        }
    }

    /// Everything durable is committed.
    fn commit(&mut self) {
        self.log.committed(self.log.ends().durable);
        self.committed = self.log.ends().durable.get();
    }

    /// A step of background work; whether there is more.
    fn work(&mut self) -> bool {
        let stable = self.stable();
        let more = self.log.maintain(at(self.now)).unwrap().more;
        self.note_compaction(stable);
        more
    }

    /// Background work with these limits to what stays; answers where the log starts then.
    fn work_retaining(&mut self, age: Option<u64>, bytes: Option<u64>) -> i64 {
        let durable = self.log.ends().durable.get();
        self.log.set_config(LogConfig {
            retention_ms: age.map(Duration::from_millis),
            retention_bytes: bytes,
            ..config(self.compacted)
        });
        while self.work() {}
        self.log.set_config(config(self.compacted));
        let start = self.log.ends().start.get();
        assert!(self.start <= start && start <= durable.max(self.start));
        start
    }

    fn retain(&mut self, age: u64) {
        let durable = self.log.ends().durable.get();
        let start = self.work_retaining(Some(age), None);
        let oldest = self.now - age as i64;
        for batch in &self.batches {
            let newest = batch.times().map(|(_, time)| time).max();
            let gone = batch.base >= self.start && batch.base < start;
            assert!(
                !gone || newest.is_none_or(|newest| newest < oldest),
                "{batch:?} is not of before {oldest}"
            );
        }
        let is_old = |batch: &ModelBatch| batch.time + (batch.records.len() as i64) <= oldest;
        if self.batches.iter().all(is_old) && durable == self.end() && !self.batches.is_empty() {
            let last = self.batches.last().map_or(0, ModelBatch::next);
            assert!(start >= last, "all is old, and the log starts at {start}");
        }
        self.start = start;
    }

    fn retain_bytes(&mut self, bytes: u64) {
        let size = |log: &LogCore| log.segments.load().iter().map(|s| s.extent().size).sum();
        while self.work() {}
        let before: u64 = size(&self.log);
        let start = self.work_retaining(None, Some(bytes));
        let after: u64 = size(&self.log);
        // A compaction takes more than retention may.
        let is_whole = self.compacted.is_none();
        assert!(
            !is_whole || after >= bytes.min(before),
            "{after} of {before} are left"
        );
        let is_free = is_whole && self.committed == self.end();
        let one = self.log.segments.load().first().map(|s| s.extent().size);
        let is_last = self.log.segments.load().len() == 1;
        if is_free
            && !is_last
            && let Some(one) = one
        {
            assert!(after - one < bytes, "{after} are left, {one} too many");
        }
        self.start = start;
    }

    fn skip(&mut self, producer: usize) {
        let mut model = self.leader_batch(1, 10, 5, Some(producer));
        let known = self
            .last_of(producer)
            .is_some_and(|batch| batch.base >= self.start);
        if let Some((_, sequence)) = &mut model.producer
            && known
        {
            *sequence += 1;
            let refused = self.append(&model, Condition::Any);
            assert!(
                matches!(refused, Err(AppendError::Producer(_))),
                "{refused:?}"
            );
        }
    }

    fn conditional(&mut self, distance: i64) {
        let model = self.leader_batch(1, 10, 5, None);
        let expected = Offset::new(model.base + distance);
        match self.append(&model, Condition::NextOffset(expected)) {
            Ok(_) => {
                assert_eq!(distance, 0);
                self.batches.push(model);
            }
            Err(AppendError::Condition { end, .. }) => {
                assert_ne!(distance, 0);
                assert_eq!(end.get(), model.base);
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn retry(&self, producer: usize, back: usize) {
        let of_producer =
            |batch: &&ModelBatch| batch.producer.is_some_and(|(id, _)| id == producer);
        let mut newest_first = self.batches.iter().rev().filter(of_producer);
        let Some(sent) = newest_first.nth(back) else {
            return;
        };
        if sent.base < self.start || (!self.is_there(sent) && back > 0) {
            // A restart forgets what compaction took whole, but for a producer's last batch.
            return;
        }
        let appended = self.append(sent, Condition::Any).unwrap();
        assert!(appended.duplicate);
        assert_eq!(appended.base_offset.get(), sent.base);
        assert_eq!(appended.end.get(), sent.next());
    }

    fn truncate(&mut self, index: &Index) {
        // What is compacted was committed, and nobody takes that back.
        let least = self.start.max(self.compacted_to);
        let to = least + index.index((self.end() - least) as usize + 1) as i64;
        self.log.truncate_to(Offset::new(to)).unwrap();
        while self.batches.last().is_some_and(|last| last.next() > to) {
            self.batches.pop();
        }
        self.committed = self.committed.min(self.end());
        // Within a batch, and in a gap, the log ends with the last batch that stays whole.
        assert!(self.end() <= to.max(self.start));
        assert!(
            self.batches
                .last()
                .is_none_or(|last| last.next() <= self.end())
        );
    }

    fn restart(&mut self, how: &Step) {
        let old_end = self.end();
        let mut known = match how {
            Step::Reopen => {
                let known = closed(&self.log);
                let is_whole = self.compacted_to == 0;
                files::check(self.kit.vfs(), &self.log.dir, known.log_start, is_whole);
                known
            }
            _ => self.kit.known(),
        };
        // A store notes how far it synced no later than how far it compacted.
        let is_noted = matches!(how, Step::PowerCut(seed) if seed.is_multiple_of(2));
        if is_noted || self.compacted_to > 0 {
            known.recovery_point = known.durable_end;
        }
        if let Step::PowerCut(seed) = how {
            self.vfs = self.vfs.crash(&CrashPlan::torn(*seed));
        }
        (self.kit, self.log) = Self::start(&self.vfs, &known, self.compacted);
        let ends = self.log.ends();
        let lost = match how {
            Step::PowerCut(_) => ends.end.get()..old_end,
            _ => {
                // What was cut off the end was cut for good; an end in a gap is forgotten.
                assert!(ends.end.get() <= old_end);
                ends.end.get()..ends.end.get()
            }
        };
        assert!(ends.end >= known.durable_end, "{ends:?}, {known:?}");
        assert!(ends.start.get() >= known.log_start.get());
        self.start = ends.start.get();
        while self
            .batches
            .last()
            .is_some_and(|last| last.next() > lost.start)
        {
            let gone = self.batches.pop().unwrap();
            assert!(matches!(how, Step::PowerCut(_)), "lost {gone:?}");
        }
        self.epoch += 1;
        self.commit();
    }

    fn read(&self, from: i64, max: usize, until: i64) {
        let bound = Bound::Until(Offset::new(until));
        let slice = self.log.read(Offset::new(from), max, bound).unwrap();
        let mut expected = self
            .batches
            .iter()
            .filter(|batch| batch.next() > from && batch.next() <= until && from < until);
        if slice.is_empty() {
            let is_there = |batch: &ModelBatch| self.is_there(batch);
            assert!(!expected.any(is_there), "{from} until {until}");
            return;
        }
        assert!(slice.next_offset().get() <= until);
        let bytes = slice.bytes().unwrap();
        assert_eq!(bytes.len() as u64, slice.len());
        let parsed = ValidBatches::parse(bytes, &Limits::default()).unwrap();
        let first = parsed.headers().first().map(|header| header.base_offset);
        assert_eq!(first, Some(slice.base_offset()));
        for header in parsed.headers() {
            // Those that are passed by are gone.
            let is_it = |batch: &ModelBatch| {
                let is_it = batch.base == header.base_offset.get();
                assert!(is_it || !self.is_there(batch), "{batch:?} is not served");
                is_it
            };
            let model = expected.by_ref().find(|batch| is_it(batch));
            assert_eq!(
                model.map(ModelBatch::next),
                Some(header.next_offset().get())
            );
        }
        assert!(parsed.bytes().len() <= max || parsed.headers().len() == 1);
    }

    fn time(&self, time: i64) {
        let found = self.log.offset_for_time(Timestamp::new(time)).unwrap();
        let records = self.batches.iter().flat_map(ModelBatch::times);
        let mut records = records.filter(|(offset, _)| *offset >= self.start);
        let expected = records.clone().find(|(_, t)| *t >= time);
        let found = found.map(|found| (found.offset.get(), found.timestamp.get()));
        assert_eq!(found, expected, "at {time}");
        let max = self.log.max_timestamp_offset().unwrap();
        let largest = records.clone().map(|(_, t)| t).max();
        let expected = largest.and_then(|largest| records.find(|(_, t)| *t == largest));
        // A log whose start moved may name a time of before.
        if self.start == 0 {
            let max = max.map(|found| (found.offset.get(), found.timestamp.get()));
            assert_eq!(max, expected);
        }
    }

    /// Everything that can be asked, against the model.
    fn check(&self) {
        let ends = self.log.ends();
        assert_eq!(ends.start.get(), self.start);
        let last = self.batches.last();
        assert!(last.is_none_or(|last| last.next() <= ends.end.get()));
        let expected: Vec<(i64, String)> = self
            .batches
            .iter()
            .filter(|batch| batch.marker.is_none())
            .flat_map(|batch| (batch.base..).zip(&batch.records))
            .filter(|(offset, record)| *offset >= self.start && !record.gone)
            .map(|(offset, record)| (offset, record.value.clone().unwrap_or_default()))
            .collect();
        assert_eq!(self.log.values(self.start, Bound::LogEnd), expected);
        assert_eq!(self.kit.flusher.reserved(), 0);
        self.check_transactions();
        // A recovery makes the epochs anew from the batches that are left.
        let left = self.batches.iter().filter(|batch| self.is_there(batch));
        for pair in left.collect::<Vec<_>>().windows(2) {
            if pair[0].epoch < pair[1].epoch && pair[1].base >= self.start {
                let found = self
                    .log
                    .end_offset_for_epoch(LeaderEpoch::new(pair[0].epoch));
                let end = found.map(|(_, end)| end.get());
                assert!(end.is_some_and(|end| end <= pair[1].base && end >= pair[0].next()));
            }
        }
    }
}

/// The same runs each time; others, and as many as `OTTLA_MODEL_CASES` says, where it does.
fn runner() -> TestRunner {
    let cases = std::env::var("OTTLA_MODEL_CASES");
    let config = |cases| ProptestConfig {
        source_file: Some(file!()),
        ..ProptestConfig::with_cases(cases)
    };
    match cases.ok().and_then(|cases| cases.parse().ok()) {
        Some(cases) => TestRunner::new(config(cases)),
        None => {
            let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            TestRunner::new_with_rng(config(300), rng)
        }
    }
}

#[test]
fn behaves_as_a_list_of_batches() {
    let taken = Cell::new(0);
    let mut runner = runner();
    let least = 2 * u64::from(runner.config().cases);
    let ran = runner.run(&workloads(), |(compacted, steps)| {
        let mut world = World::new(compacted);
        for step in steps {
            world.run(step);
            world.check();
        }
        world.restart(&Step::Reopen);
        world.check();
        taken.set(taken.get() + world.taken);
        Ok(())
    });
    ran.unwrap_or_else(|failed| panic!("{failed}"));
    assert!(
        taken.get() > least,
        "compaction took {} records",
        taken.get()
    );
}
