//! Transactions: the last stable offset, and which transactions a reader is told were aborted.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use crate::batch::EndTransactionMarker;
use crate::index::{AbortedTransaction, TXN_ENTRY_LEN};
use crate::log::dir::{self, file_in};
use crate::log::kit::{Kit, at, batch, closed};
use crate::log::tests::check_files;
use crate::log::{AppendError, Bound, Known, LeaderAppend, LogCore, ReadError, TruncateError};
use crate::vfs::{CrashPoints, Fault, FaultVfs, MemVfs, OpenMode, Operation, Rule, Vfs};
use crate::{
    BatchOptions, LeaderEpoch, Limits, Offset, Origin, ProducerEpoch, ProducerId, Sequence,
    StorageError, ValidBatches, build_batch,
};

/// What was done in a log's transactions, by a model of its own.
#[derive(Clone, Debug, Default)]
struct History {
    ended: Vec<Ended>,
    /// Producer and first offset.
    open: Vec<(i64, i64)>,
    sequences: BTreeMap<i64, i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ended {
    producer: i64,
    first: i64,
    marker: i64,
    aborted: bool,
}

fn options(producer: i64, sequence: i32) -> BatchOptions {
    BatchOptions {
        producer_id: ProducerId::new(producer),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(sequence),
        transactional: true,
        now: at(1000),
        ..BatchOptions::default()
    }
}

impl History {
    /// A batch of 100 bytes within the producer's transaction.
    fn write(&mut self, log: &LogCore, producer: i64) -> i64 {
        self.try_write(log, producer).unwrap()
    }

    fn try_write(&mut self, log: &LogCore, producer: i64) -> Result<i64, AppendError> {
        let sequence = self.sequences.entry(producer).or_default();
        let value = format!("{producer:>100}");
        let batches = batch(&[&value], 1000, &options(producer, *sequence));
        *sequence += 1;
        let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        let appended = log.append_as_leader(batches, &context)?;
        let first = appended.base_offset.get();
        if !self.open.iter().any(|(open, _)| *open == producer) {
            self.open.push((producer, first));
        }
        Ok(first)
    }

    /// Ends the producer's transaction, if one is open.
    fn end(&mut self, log: &LogCore, producer: i64, aborted: bool) -> i64 {
        self.try_end(log, producer, aborted).unwrap()
    }

    fn try_end(&mut self, log: &LogCore, producer: i64, aborted: bool) -> Result<i64, AppendError> {
        let marker = EndTransactionMarker {
            committed: !aborted,
            coordinator_epoch: 3,
        };
        let control = BatchOptions {
            control: true,
            ..options(producer, -1)
        };
        let bytes = build_batch(&[marker.to_record()], &control).unwrap();
        let batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
        let mut context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        context.origin = Origin::Coordinator;
        let appended = log.append_as_leader(batches, &context)?;
        let marker = appended.base_offset.get();
        if let Some(place) = self.open.iter().position(|(open, _)| *open == producer) {
            let (_, first) = self.open.remove(place);
            self.ended.push(Ended {
                producer,
                first,
                marker,
                aborted,
            });
        }
        Ok(marker)
    }

    /// Everything from `to` on is gone.
    fn truncate(&mut self, to: i64) {
        for ended in self.ended.iter().filter(|ended| ended.marker >= to) {
            self.open.push((ended.producer, ended.first));
        }
        self.ended.retain(|ended| ended.marker < to);
        self.open.retain(|(_, first)| *first < to);
    }

    fn last_stable(&self, end: i64) -> i64 {
        let open = self.open.iter().map(|(_, first)| *first);
        open.min().unwrap_or(end)
    }

    /// The aborted transactions that have a part in a range.
    fn aborted(&self, from: i64, until: i64) -> Vec<(i64, i64, i64)> {
        let concerns =
            |one: &&Ended| one.aborted && one.marker >= from && one.first < until && from < until;
        let found = self.ended.iter().filter(concerns);
        found
            .map(|one| (one.producer, one.first, one.marker))
            .collect()
    }

    /// Reads from every offset, in pieces of several sizes, and compares; the end is committed.
    fn check(&self, log: &LogCore) {
        let ends = log.ends();
        let until = self.last_stable(ends.end.get());
        let first_unstable = ends.first_unstable.unwrap_or(ends.end);
        assert_eq!(first_unstable.get(), until, "the last stable offset");
        let until = Offset::new(until);
        for from in ends.start.get()..=until.get() {
            for max in [1, 600, 2000, usize::MAX] {
                let read = log.read_committed(Offset::new(from), max, until).unwrap();
                let slice = &read.batches;
                let plain = log.read(Offset::new(from), max, Bound::Until(until));
                let plain = plain.unwrap();
                assert_eq!(slice.bytes().unwrap(), plain.bytes().unwrap());
                let (base, next) = (slice.base_offset().get(), slice.next_offset().get());
                let expected = self.aborted(base, next);
                assert_eq!(told(&read.aborted), expected, "from {from} up to {next}");
            }
        }
    }
}

fn told(aborted: &[AbortedTransaction]) -> Vec<(i64, i64, i64)> {
    let one = |one: &AbortedTransaction| {
        (
            one.producer_id.get(),
            one.first_offset.get(),
            one.last_offset.get(),
        )
    };
    aborted.iter().map(one).collect()
}

/// Transactions of four producers, whose ids are no offsets of the log: short ones and one that
/// spans segments, some within others.
fn work(log: &LogCore) -> History {
    let mut history = History::default();
    history.write(log, 1009);
    for round in 0..80 {
        let producer = 1001 + round % 3;
        history.write(log, producer);
        if round % 4 == 1 {
            log.fill(1);
        }
        if round % 5 > 1 {
            history.end(log, producer, round % 2 == 0);
        }
        if round == 55 {
            history.end(log, 1009, true);
        }
    }
    log.fill(1);
    for producer in 1001..1004 {
        history.end(log, producer, producer == 1002);
    }
    history
}

fn commit(kit: &Kit, log: &LogCore) {
    kit.flusher.flush().unwrap();
    log.committed(log.ends().durable);
}

fn kinds(kit: &Kit, log: &LogCore, suffix: &str) -> Vec<PathBuf> {
    let entries = kit.vfs().list(&log.dir).unwrap();
    let names = entries.into_iter().map(|entry| entry.name);
    let mut names: Vec<String> = names.filter(|name| name.ends_with(suffix)).collect();
    names.sort();
    names.into_iter().map(|name| log.dir.join(name)).collect()
}

fn read(vfs: &dyn Vfs, path: &std::path::Path) -> Vec<u8> {
    crate::checkpoint::read(vfs, path, 1 << 20)
        .unwrap()
        .unwrap()
}

#[test]
fn a_reader_is_told_what_was_aborted_in_its_range() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let mut history = work(&log);
    assert!(log.segments.load().len() > 3);
    commit(&kit, &log);
    history.check(&log);
    // The sealed segments' files were written with the sync, and are asked for from now on.
    assert!(kinds(&kit, &log, dir::TXN_INDEX).len() > 1);
    kit.shared.handles.sweep();
    kit.shared.handles.sweep();
    history.check(&log);
    history.write(&log, 5);
    commit(&kit, &log);
    history.check(&log);

    // After a clean stop, a kill without a flush, and another clean stop.
    let known = closed(&log);
    check_files(kit.vfs(), &log.dir);
    let log = kit.open(&known);
    log.committed(log.ends().end);
    history.check(&log);
    history.end(&log, 5, true);
    history.write(&log, 6);
    let log = kit.open(&kit.known());
    log.committed(log.ends().end);
    history.check(&log);
    let log = kit.open(&closed(&log));
    log.committed(log.ends().end);
    history.check(&log);
    assert_eq!(history.open.len(), 1);
}

#[test]
fn the_index_has_kafkas_bytes_in_the_markers_segment() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let mut history = History::default();
    assert_eq!(history.write(&log, 7), 0);
    assert_eq!(history.write(&log, 8), 1);
    log.fill(40);
    assert_eq!(history.end(&log, 8, true), 42);
    assert_eq!(history.end(&log, 7, true), 43);
    history.write(&log, 8);
    history.end(&log, 8, false);
    let base = log.active().base();
    assert!(base > Offset::new(1));
    commit(&kit, &log);
    assert!(kinds(&kit, &log, dir::TXN_INDEX).is_empty());
    closed(&log);
    let path = file_in(&log.dir, base, dir::TXN_INDEX);
    assert_eq!(
        kinds(&kit, &log, dir::TXN_INDEX),
        std::slice::from_ref(&path)
    );
    let mut expected: Vec<u8> = Vec::new();
    // The last stable offset was 0 at the first marker, and the end at the second.
    for entry in [[8, 1, 42, 0], [7, 0, 43, 44]] {
        expected.extend(0_i16.to_be_bytes());
        for number in entry {
            expected.extend(i64::to_be_bytes(number));
        }
    }
    assert_eq!(read(kit.vfs(), &path), expected);
}

#[test]
fn an_index_that_does_not_fit_is_made_anew() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let history = work(&log);
    let known = closed(&log);
    let paths = kinds(&kit, &log, dir::TXN_INDEX);
    let sound: Vec<Vec<u8>> = paths.iter().map(|path| read(kit.vfs(), path)).collect();
    let damages: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes.truncate(TXN_ENTRY_LEN - 1),
        |bytes| bytes[1] = 1,
        |bytes| bytes[2] = 0x80,
        // A marker that is not in the segment.
        |bytes| bytes[18..26].copy_from_slice(&i64::MAX.to_be_bytes()),
        |bytes| bytes.extend_from_within(..),
    ];
    for damage in damages {
        for (path, sound) in paths.iter().zip(&sound) {
            let mut bytes = sound.clone();
            damage(&mut bytes);
            let file = kit.vfs().open(path, OpenMode::Write).unwrap();
            file.set_len(0).unwrap();
            file.write_all_at(&mut [IoSlice::new(&bytes)], 0).unwrap();
        }
        let (log, report) = kit.try_open(&known).unwrap();
        assert_eq!(report.rebuilt_indexes as usize, paths.len());
        assert_eq!((report.checked_bytes, report.corrupt), (0, None));
        log.committed(log.ends().end);
        history.check(&log);
        closed(&log);
        for (path, sound) in paths.iter().zip(&sound) {
            assert_eq!(read(kit.vfs(), path), *sound);
        }
    }
}

#[test]
fn an_index_without_the_others_does_not_count() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let history = work(&log);
    let known = closed(&log);
    let paths = kinds(&kit, &log, dir::TXN_INDEX);
    for path in &paths {
        let sound = read(kit.vfs(), path);
        kit.vfs().remove_file(path).unwrap();
        kit.vfs()
            .remove_file(&path.with_extension("index"))
            .unwrap();
        let (log, report) = kit.try_open(&known).unwrap();
        assert_eq!(report.rebuilt_indexes, 1);
        log.committed(log.ends().end);
        history.check(&log);
        closed(&log);
        assert_eq!(read(kit.vfs(), path), sound);
        check_files(kit.vfs(), &log.dir);
    }
}

/// A segment ended where the recovery point was noted. Its index files were written later, and a
/// power cut took the name of one of them.
#[test]
fn an_index_younger_than_the_recovery_point_does_not_count() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let history = work(&log);
    let known = closed(&log);
    let segments = log.segments.load_full();
    let mut missed = 0;
    for pair in segments.windows(2) {
        let path = file_in(&log.dir, pair[0].base(), dir::TXN_INDEX);
        if kit.vfs().stat(&path).unwrap().is_none() {
            continue;
        }
        kit.vfs().remove_file(&path).unwrap();
        let (log, report) = kit
            .try_open(&Known {
                clean: false,
                recovery_point: pair[1].base(),
                ..known.clone()
            })
            .unwrap();
        assert_eq!(report.corrupt, None);
        log.committed(log.ends().end);
        history.check(&log);
        closed(&log);
        missed += 1;
    }
    assert!(missed > 0);
}

#[test]
fn an_index_of_a_damaged_segment_is_unknown_and_nothing_is_passed_for_committed() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let history = work(&log);
    let known = closed(&log);
    let path = &kinds(&kit, &log, dir::TXN_INDEX)[1];
    kit.vfs().remove_file(path).unwrap();
    kit.vfs()
        .remove_file(&path.with_extension("index"))
        .unwrap();
    let segment = kit.vfs().open(&path.with_extension("log"), OpenMode::Write);
    // The magic of the first batch.
    let segment = segment.unwrap();
    segment.write_all_at(&mut [IoSlice::new(&[9])], 16).unwrap();
    let (log, report) = kit.try_open(&known).unwrap();
    assert!(report.corrupt.is_some());
    log.committed(log.ends().end);
    let until = Offset::new(history.last_stable(log.ends().end.get()));
    let damaged = log.segments.load()[0].extent().next;
    let read = log.read_committed(damaged.plus(-1), 1, until);
    assert!(
        matches!(read, Err(ReadError::Storage(StorageError::Corrupt { .. }))),
        "{read:?}"
    );
    log.read(damaged.plus(-1), 1, Bound::Until(until)).unwrap();
}

#[test]
fn a_truncation_takes_ends_of_transactions_back() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let mut history = work(&log);
    commit(&kit, &log);
    let mut to = log.ends().end.get();
    // Across segments, whose files were written.
    while to > 20 {
        to -= 7;
        log.truncate_to(Offset::new(to)).unwrap();
        history.truncate(to);
        assert_eq!(log.ends().end.get(), to);
        history.check(&log);
    }
    // What was aborted is committed now, at the same place.
    let again: Vec<i64> = history.open.iter().map(|(producer, _)| *producer).collect();
    for producer in again {
        history.end(&log, producer, false);
    }
    log.fill(60);
    commit(&kit, &log);
    history.check(&log);
    let log = kit.open(&closed(&log));
    check_files(kit.vfs(), &log.dir);
    log.committed(log.ends().end);
    history.check(&log);
}

#[test]
fn an_index_of_before_a_truncation_does_not_come_back() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let mut history = History::default();
    history.write(&log, 1001);
    history.end(&log, 1001, true);
    log.fill(40);
    commit(&kit, &log);
    assert_eq!(kinds(&kit, &log, dir::TXN_INDEX).len(), 1);
    log.truncate_to(Offset::new(1)).unwrap();
    history.truncate(1);
    let log = kit.open(&kit.known());
    log.committed(log.ends().end);
    let known = closed(&log);
    assert!(kinds(&kit, &log, dir::TXN_INDEX).is_empty());
    let log = kit.open(&known);
    history.check(&log);
    history.end(&log, 1001, false);
    log.committed(log.ends().end);
    history.check(&log);
}

#[test]
fn what_is_told_survives_the_first_segments() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let history = work(&log);
    commit(&kit, &log);
    let second = log.segments.load()[2].base();
    log.delete_records(second).unwrap();
    for now in [2000, 200_000, 200_001, 200_002] {
        commit(&kit, &log);
        log.maintain(at(now)).unwrap();
    }
    assert!(kinds(&kit, &log, dir::TXN_INDEX).iter().all(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        dir::split(name).unwrap().0 >= second
    }));
    history.check(&log);
    let known = closed(&log);
    let log = kit.open(&known);
    log.committed(log.ends().end);
    history.check(&log);
}

#[test]
fn a_marker_is_committed_before_its_transaction_is_stable() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let mut history = History::default();
    let first = history.write(&log, 1);
    let marker = history.end(&log, 1, true);
    let unstable = || log.ends().first_unstable.map(Offset::get);
    assert_eq!(unstable(), Some(first));
    log.committed(Offset::new(marker));
    assert_eq!(unstable(), Some(first), "the marker itself may be lost");
    log.committed(Offset::new(marker + 1));
    assert_eq!(unstable(), None);
    // Nobody says it again: what was said holds for the ends to come, and for no later marker.
    let second = history.write(&log, 1);
    let marker = history.end(&log, 1, true);
    assert_eq!(unstable(), Some(second));
    log.committed(Offset::new(marker + 1));
    assert_eq!(unstable(), None);
}

#[test]
fn committed_records_leave_out_aborted_ones() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let mut history = work(&log);
    let dangling = history.write(&log, 4);
    log.fill(3);
    commit(&kit, &log);
    let until = log.ends().first_unstable.unwrap();
    assert_eq!(until.get(), dangling);
    let is_aborted = |(offset, producer): &(i64, Option<i64>)| {
        history.ended.iter().any(|one| {
            one.aborted && Some(one.producer) == *producer && {
                one.first <= *offset && *offset < one.marker
            }
        })
    };
    // The value names the producer; that of a plain record is its offset.
    let all = log.values(0, Bound::Until(until));
    let producer_of = |(offset, value): &(i64, String)| {
        let number: i64 = value.trim().parse().unwrap();
        (*offset, (number != *offset).then_some(number))
    };
    let expected: Vec<i64> = all
        .iter()
        .map(producer_of)
        .filter(|record| !is_aborted(record))
        .map(|(offset, _)| offset)
        .collect();
    assert!(expected.len() < all.len());
    for from in 0..until.get() {
        let records = crate::log::LogRecords::committed(Arc::clone(&log), Offset::new(from), until);
        let found: Vec<i64> = records.map(|record| record.unwrap().offset.get()).collect();
        let expected: Vec<i64> = expected.iter().copied().filter(|o| *o >= from).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn decided_records_leave_out_open_ones_as_well() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let mut history = work(&log);
    let open = history.write(&log, 4);
    let committed = history.write(&log, 5);
    let aborted = history.write(&log, 6);
    history.end(&log, 5, false);
    history.end(&log, 6, true);
    log.fill(1);
    let plain = log.ends().end.get() - 1;
    let still_open = history.write(&log, 4);
    let decided = |from| {
        let records = crate::log::LogRecords::decided(Arc::clone(&log), Offset::new(from));
        let offsets = records.map(|record| record.unwrap().offset.get());
        offsets.collect::<Vec<_>>()
    };
    let found = decided(0);
    let until = Offset::new(open);
    let before = crate::log::LogRecords::committed(Arc::clone(&log), Offset::ZERO, until);
    let mut expected: Vec<i64> = before.map(|record| record.unwrap().offset.get()).collect();
    expected.extend([committed, plain]);
    assert_eq!(found, expected, "not {open}, {aborted} and {still_open}");
    for from in 0..still_open {
        let expected: Vec<i64> = expected.iter().copied().filter(|o| *o >= from).collect();
        assert_eq!(decided(from), expected);
    }
}

#[test]
fn a_full_index_ends_the_segment() {
    let mut kit = Kit::new();
    kit.config.segment_index_bytes = 3 * TXN_ENTRY_LEN as u32;
    kit.config.segment_bytes = 1 << 20;
    kit.config.index_interval_bytes = 1 << 20;
    let log = kit.open(&Known::default());
    let mut history = History::default();
    for _ in 0..7 {
        history.write(&log, 1);
        history.end(&log, 1, true);
    }
    assert_eq!(log.segments.load().len(), 3);
    commit(&kit, &log);
    history.check(&log);
}

#[test]
fn an_index_that_had_no_space_is_made_anew() {
    let faulty = FaultVfs::over(Arc::new(MemVfs::new()));
    let kit = Kit::over(Arc::new(faulty.clone()));
    let log = kit.open(&Known::default());
    let history = work(&log);
    faulty.inject(
        Rule::new(Fault::NoSpace)
            .on(Operation::Write)
            .at("*.txnindex.tmp"),
    );
    commit(&kit, &log);
    assert!(kinds(&kit, &log, dir::TXN_INDEX).is_empty());
    history.check(&log);
    faulty.heal();
    // A kill: the segments were synced, and nothing says that their indexes are missing.
    let known = Known {
        recovery_point: log.ends().end,
        ..kit.known()
    };
    let log = kit.open(&known);
    log.committed(log.ends().end);
    history.check(&log);
    closed(&log);
    check_files(kit.vfs(), &log.dir);
}

impl History {
    /// What the log's own batches say.
    fn of(log: &LogCore) -> Self {
        let mut history = Self::default();
        for bytes in log.all_bytes(Offset::ZERO, 1 << 20, Bound::LogEnd) {
            let batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
            for (header, batch) in batches.batches() {
                let producer = header.producer_id.get();
                let offset = header.base_offset.get();
                let place = history.open.iter().position(|(open, _)| *open == producer);
                match (header.attributes.is_control(), place) {
                    // The last byte of the record's key: 0 is an abort.
                    (true, Some(place)) => history.ended.push(Ended {
                        producer,
                        first: history.open.remove(place).1,
                        marker: offset,
                        aborted: batch[69] == 0,
                    }),
                    (false, None) if header.attributes.is_transactional() => {
                        history.open.push((producer, offset));
                    }
                    _ => {}
                }
            }
        }
        history
    }
}

/// The next sequence of each producer.
fn sequences(log: &LogCore) -> BTreeMap<i64, i32> {
    let mut next = BTreeMap::new();
    for bytes in log.all_bytes(Offset::ZERO, 1 << 20, Bound::LogEnd) {
        let batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
        for header in batches
            .headers()
            .iter()
            .filter(|h| !h.attributes.is_control())
        {
            next.insert(header.producer_id.get(), header.base_sequence.get() + 1);
        }
    }
    next
}

/// Opens what a crash left, and after a clean stop what that left.
fn after_crash(image: &MemVfs, known: &Known) {
    let kit = Kit::over(Arc::new(image.clone()));
    kit.flusher.resume(known);
    let (log, report) = kit.try_open(known).unwrap();
    assert_eq!(report.corrupt, None);
    assert!(log.ends().end >= known.durable_end);
    log.committed(log.ends().end);
    let history = History::of(&log);
    history.check(&log);
    let known = closed(&log);
    check_files(kit.vfs(), &log.dir);
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.rebuilt_indexes, 0);
    log.committed(log.ends().end);
    history.check(&log);
}

#[test]
fn a_crash_leaves_an_index_that_fits_the_batches() {
    let base = MemVfs::new();
    Kit::over(Arc::new(base.clone()));
    let checked = CrashPoints::new(base).torn(2).run(
        |vfs, known: &mut Known| {
            let kit = Kit::over(Arc::new(vfs));
            let (log, _) = kit.try_open(&Known::default())?;
            let mut history = History::default();
            for round in 0..16 {
                history.try_write(&log, round % 2)?;
                history.try_write(&log, 2)?;
                if round % 3 > 0 {
                    history.try_end(&log, round % 2, true)?;
                }
                if round % 5 == 4 {
                    history.try_end(&log, 2, round % 2 == 0)?;
                    kit.flusher.flush()?;
                    *known = kit.known();
                }
                if round == 11 {
                    let truncated = log.truncate_to(Offset::new(12));
                    *known = kit.known();
                    truncated?;
                    history = History {
                        sequences: sequences(&log),
                        ..History::of(&log)
                    };
                }
            }
            kit.flusher.flush()?;
            *known = kit.known();
            Ok::<(), Box<dyn std::error::Error>>(())
        },
        |image, known: &Known, _| after_crash(&image, known),
    );
    assert!(checked > 300, "{checked}");
}

/// Changes a file in place, as a disk may.
fn damage(kit: &Kit, path: &std::path::Path, at: u64) {
    let file = kit.vfs().open(path, OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 0x40;
    file.write_all_at(&mut [IoSlice::new(&byte)], at).unwrap();
}

fn close_files(kit: &Kit) {
    // The first only notes which are in use.
    kit.shared.handles.sweep();
    kit.shared.handles.sweep();
}

#[test]
fn a_rotten_index_is_made_anew_by_who_finds_it() {
    for is_sealed in [false, true] {
        let kit = Kit::new();
        let log = kit.open(&Known::default());
        let history = work(&log);
        commit(&kit, &log);
        if is_sealed {
            while log.maintain(at(2000)).unwrap().more {}
        }
        let paths = kinds(&kit, &log, dir::TXN_INDEX);
        assert!(paths.len() > 1);
        let sound: Vec<Vec<u8>> = paths.iter().map(|path| read(kit.vfs(), path)).collect();
        for path in &paths {
            // The version; or the last stable offset at the marker, which only the seal covers.
            damage(&kit, path, if is_sealed { 33 } else { 1 });
        }
        close_files(&kit);
        let until = Offset::new(history.last_stable(log.ends().end.get()));
        let start = log.ends().start;
        let waits = log.read_committed_nowait(start, usize::MAX, until);
        assert!(waits.unwrap().is_none(), "who must not wait does not walk");
        // Beside an append that waits for its disk.
        let appender = log.appender();
        let (tell, told) = std::sync::mpsc::channel();
        let reader = Arc::clone(&log);
        let reads =
            std::thread::spawn(move || tell.send(reader.read_committed(start, usize::MAX, until)));
        let read_beside = told.recv_timeout(std::time::Duration::from_secs(30));
        drop(appender);
        reads.join().unwrap().unwrap();
        read_beside.expect("it waits for no append").unwrap();
        history.check(&log);
        assert_eq!(kit.shared.findings.list().len(), paths.len());
        let known = closed(&log);
        for (path, sound) in paths.iter().zip(&sound) {
            assert_eq!(read(kit.vfs(), path), *sound);
        }
        let (log, report) = kit.try_open(&known).unwrap();
        assert_eq!(report.rebuilt_indexes, 0);
        log.committed(log.ends().end);
        history.check(&log);
    }
}

/// A log whose transaction indexes went bad on disk, the place of a segment among its segments
/// that has one, and an offset in the middle of it.
fn rotten(kit: &Kit) -> (Arc<LogCore>, History, usize, Offset) {
    let log = kit.open(&Known::default());
    let history = work(&log);
    commit(kit, &log);
    while log.maintain(at(2000)).unwrap().more {}
    let paths = kinds(kit, &log, dir::TXN_INDEX);
    assert!(paths.len() > 1);
    paths.iter().for_each(|path| damage(kit, path, 33));
    close_files(kit);
    let segments = log.segments.load_full();
    let is_its = |segment: &Arc<crate::segment::Segment>| {
        file_in(&log.dir, segment.base(), dir::TXN_INDEX) == paths[1]
    };
    let place = segments.iter().position(is_its).unwrap();
    let (base, next) = (segments[place].base(), segments[place].extent().next);
    let to = base.plus((next.get() - base.get()) / 2);
    (log, history, place, to)
}

#[test]
fn a_segment_with_a_rotten_index_gets_aborts_again() {
    for is_found in [true, false] {
        let kit = Kit::new();
        let (log, mut history, place, to) = rotten(&kit);
        if is_found {
            let from = log.segments.load()[place].base();
            let waits = log.read_committed_nowait(from, usize::MAX, to);
            assert!(
                waits.unwrap().is_none(),
                "who must not wait makes nothing anew"
            );
            assert!(log.segments.load()[place].lacks_aborted());
        }
        log.truncate_to(to).unwrap();
        let end = log.ends().end;
        history.truncate(end.get());
        history.write(&log, 1010);
        history.end(&log, 1010, true);
        assert_eq!(log.segments.load().len(), place + 1, "of the cut segment");
        let open: Vec<i64> = history.open.iter().map(|(producer, _)| *producer).collect();
        for producer in open {
            history.end(&log, producer, true);
        }
        commit(&kit, &log);
        history.check(&log);
        let log = kit.open(&closed(&log));
        log.committed(log.ends().end);
        history.check(&log);
    }
}

#[test]
fn nothing_is_cut_where_what_was_aborted_stays_unknown() {
    let kit = Kit::new();
    let (log, history, place, to) = rotten(&kit);
    let segment = Arc::clone(&log.segments.load()[place]);
    // The magic of its first batch: it cannot be made anew of that.
    damage(&kit, &segment.path(), 16);
    let ends = log.ends();
    for _ in 0..2 {
        let refused = log.truncate_to(to).unwrap_err();
        let is_corrupt = |error: &StorageError| matches!(error, StorageError::Corrupt { .. });
        assert!(
            matches!(&refused, TruncateError::Storage(error) if is_corrupt(error)),
            "{refused:?}"
        );
    }
    assert!(segment.activate().is_err() && !segment.is_active());
    // The log goes on.
    assert_eq!(log.ends(), ends);
    log.fill(1);
    log.read(
        to,
        1,
        Bound::Until(Offset::new(history.last_stable(ends.end.get()))),
    )
    .unwrap();
}
