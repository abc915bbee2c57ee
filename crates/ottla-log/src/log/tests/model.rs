//! The log against a plain model: a list of batches.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::batch::EndTransactionMarker;
use crate::log::kit::{Kit, at, batch, closed};
use crate::log::tests::files;
use crate::log::{AppendError, Bound, Condition, Known, LeaderAppend, LogConfig, LogCore};
use crate::vfs::{CrashPlan, MemVfs};
use crate::{
    AbortedTransaction, BatchOptions, LeaderEpoch, Limits, Offset, Origin, ProducerEpoch,
    ProducerId, Sequence, Timestamp, ValidBatches, build_batch,
};

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
    Maintain,
    /// Segments go that are older than this.
    Retain(u64),
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
        3 => Just(Step::Flush),
        1 => (0_i64..400).prop_map(Step::Wait),
        2 => Just(Step::Maintain),
        1 => (0_u64..2500).prop_map(Step::Retain),
        1 => Just(Step::CloseFiles),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
        4 => (any::<Index>(), 1_usize..4000, any::<Index>()).prop_map(
            |(from, max, until)| Step::Read { from, max, until }),
        2 => (-1_i64..2200).prop_map(Step::Time),
    ];
    prop::collection::vec(step, 1..80)
}

#[derive(Clone, Debug)]
struct ModelBatch {
    base: i64,
    values: Vec<String>,
    time: i64,
    epoch: i32,
    producer: Option<(usize, i32)>,
    /// The marker of a transaction; whether it was committed.
    marker: Option<bool>,
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
        self.base + self.values.len() as i64
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
}

fn config() -> LogConfig {
    LogConfig {
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
    fn new() -> Self {
        let vfs = MemVfs::new();
        let (kit, log) = Self::start(&vfs, &Known::default());
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
        }
    }

    fn start(vfs: &MemVfs, known: &Known) -> (Kit, Arc<LogCore>) {
        let mut kit = Kit::over(Arc::new(vfs.clone()));
        kit.config = config();
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

    fn values(&mut self, count: usize, size: usize) -> Vec<String> {
        let serial = self.serial;
        self.serial += count;
        (serial..self.serial)
            .map(|n| format!("{n}{}", "-".repeat(size / count)))
            .collect()
    }

    /// The sequence after a producer's last batch.
    fn next_sequence(&self, producer: usize) -> i32 {
        self.last_of(producer).map_or(0, |batch| {
            batch.producer.map_or(0, |(_, first)| first) + batch.values.len() as i32
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
        let values: Vec<&str> = model.values.iter().map(String::as_str).collect();
        let options = BatchOptions {
            base_offset: Offset::ZERO,
            ..model.options()
        };
        let mut batches = batch(&values, model.time, &options);
        let mut context = LeaderAppend::new(at(self.now), LeaderEpoch::new(self.epoch));
        if let Some(committed) = model.marker {
            let marker = EndTransactionMarker {
                committed,
                coordinator_epoch: 0,
            };
            let record = marker.to_record().with_timestamp(at(model.time));
            let bytes = build_batch(&[record], &options).unwrap();
            batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
        }
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
            values: self.values(count, size),
            time,
            epoch: self.epoch,
            producer: producer.map(|id| (id, self.next_sequence(id))),
            marker: None,
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
                    id(one.producer) == told.producer_id
                        && one.end == Some((marker, false))
                        && (one.first == first || one.first < self.start)
                };
                assert!(all.iter().any(|one| is_told(&one)), "{told:?}: {all:?}");
            }
            for one in all
                .iter()
                .filter(concerns)
                .filter(|one| one.first >= self.start)
            {
                let is_told = |told: &AbortedTransaction| {
                    told.first_offset.get() == one.first && told.producer_id == id(one.producer)
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
                let values: Vec<&str> = model.values.iter().map(String::as_str).collect();
                let batches = batch(&values, model.time, &model.options());
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
            Step::Maintain => while self.log.maintain(at(self.now)).unwrap().more {},
            Step::Retain(age) => self.retain(age),
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

    fn retain(&mut self, age: u64) {
        let keeping = |retention_ms| LogConfig {
            retention_ms,
            ..config()
        };
        let durable = self.log.ends().durable.get();
        self.log
            .set_config(keeping(Some(Duration::from_millis(age))));
        while self.log.maintain(at(self.now)).unwrap().more {}
        self.log.set_config(keeping(None));
        let start = self.log.ends().start.get();
        assert!(self.start <= start && start <= durable.max(self.start));
        let oldest = self.now - age as i64;
        for batch in &self.batches {
            let newest = batch.time + batch.values.len() as i64 - 1;
            let gone = batch.base >= self.start && batch.base < start;
            assert!(
                !gone || newest < oldest,
                "{batch:?} is not of before {oldest}"
            );
        }
        let is_old = |batch: &ModelBatch| batch.time + (batch.values.len() as i64) <= oldest;
        if self.batches.iter().all(is_old) && durable == self.end() && !self.batches.is_empty() {
            let last = self.batches.last().map_or(0, ModelBatch::next);
            assert!(start >= last, "all is old, and the log starts at {start}");
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
        if sent.base < self.start {
            return;
        }
        let appended = self.append(sent, Condition::Any).unwrap();
        assert!(appended.duplicate);
        assert_eq!(appended.base_offset.get(), sent.base);
        assert_eq!(appended.end.get(), sent.next());
    }

    fn truncate(&mut self, index: &Index) {
        let to = self.start + index.index((self.end() - self.start) as usize + 1) as i64;
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
        let known = match how {
            Step::Reopen => {
                let known = closed(&self.log);
                files::check(self.kit.vfs(), &self.log.dir, known.log_start);
                known
            }
            _ => self.kit.known(),
        };
        if let Step::PowerCut(seed) = how {
            self.vfs = self.vfs.crash(&CrashPlan::torn(*seed));
        }
        (self.kit, self.log) = Self::start(&self.vfs, &known);
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
            assert!(expected.next().is_none(), "{from} until {until}");
            return;
        }
        let first = expected.next().unwrap();
        assert_eq!(slice.base_offset().get(), first.base);
        assert!(slice.next_offset().get() <= until);
        let bytes = slice.bytes().unwrap();
        assert_eq!(bytes.len() as u64, slice.len());
        let parsed = ValidBatches::parse(bytes, &Limits::default()).unwrap();
        for (position, (header, _)) in parsed.batches().enumerate() {
            let model = if position == 0 {
                first
            } else {
                expected.next().unwrap()
            };
            assert_eq!(header.base_offset.get(), model.base);
            assert_eq!(header.next_offset().get(), model.next());
        }
        assert!(parsed.bytes().len() <= max || parsed.headers().len() == 1);
    }

    fn time(&self, time: i64) {
        let found = self.log.offset_for_time(Timestamp::new(time)).unwrap();
        let records = self.batches.iter().flat_map(|batch| {
            let times = (batch.base..).zip(batch.time..);
            times.take(batch.values.len())
        });
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
            .flat_map(|batch| (batch.base..).zip(batch.values.iter().cloned()))
            .filter(|(offset, _)| *offset >= self.start)
            .collect();
        assert_eq!(self.log.values(self.start, Bound::LogEnd), expected);
        assert_eq!(self.kit.flusher.reserved(), 0);
        self.check_transactions();
        for pair in self.batches.windows(2) {
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

/// How many random runs; more of them where `OTTLA_MODEL_CASES` says so.
fn cases() -> u32 {
    let cases = std::env::var("OTTLA_MODEL_CASES");
    cases
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn behaves_as_a_list_of_batches(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
            world.check();
        }
        world.restart(&Step::Reopen);
        world.check();
    }
}
