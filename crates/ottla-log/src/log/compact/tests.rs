use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::{BatchHeader, EndTransactionMarker, Records};
use crate::log::kit::{Kit, at, closed, small};
use crate::log::{Bound, Known, LeaderAppend, LogConfig, LogCore, Maintenance};
use crate::vfs::{CrashPoints, Fault, FaultPoints, FaultVfs, MemVfs, Operation, Rule, Vfs};
use crate::{
    BatchOptions, Codec, LeaderEpoch, Limits, Offset, Origin, ProducerEpoch, ProducerId, Record,
    Sequence, TestClock, ValidBatches, build_batch,
};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn compacted() -> LogConfig {
    LogConfig {
        compacted: true,
        segment_bytes: 1000,
        segment_ms: Duration::MAX,
        timestamp_after_max_ms: i64::MAX,
        min_cleanable_dirty_ratio: 0.0,
        ..small()
    }
}

fn kit(config: LogConfig) -> Kit {
    Kit {
        config,
        ..Kit::new()
    }
}

/// Appends a batch; a value of "" is a tombstone. The first offset, and whether it was repeated.
fn put(log: &LogCore, records: &[(&str, &str)], options: &BatchOptions) -> (i64, bool) {
    let record = |(key, value): &(&str, &str)| {
        let record = match *value {
            "" => Record::tombstone((*key).to_owned()),
            value => Record::new(value.to_owned()).with_key((*key).to_owned()),
        };
        record.with_header("h", "v").with_timestamp(at(1000))
    };
    let records: Vec<Record> = records.iter().map(record).collect();
    let bytes = build_batch(&records, options).unwrap();
    let batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
    let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
    let appended = log.append_as_leader(batches, &context).unwrap();
    (appended.base_offset.get(), appended.duplicate)
}

fn producer(id: i64, sequence: i32, transactional: bool) -> BatchOptions {
    BatchOptions {
        producer_id: ProducerId::new(id),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(sequence),
        transactional,
        ..BatchOptions::default()
    }
}

/// Ends the transaction of producer `id`.
fn end(log: &LogCore, id: i64, committed: bool) {
    let marker = EndTransactionMarker {
        committed,
        coordinator_epoch: 0,
    };
    let options = BatchOptions {
        control: true,
        now: at(1000),
        ..producer(id, -1, true)
    };
    let bytes = build_batch(&[marker.to_record()], &options).unwrap();
    let batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
    let mut context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
    context.origin = Origin::Coordinator;
    log.append_as_leader(batches, &context).unwrap();
}

/// Appends until the active segment is a new one, which holds nothing else.
fn seal(log: &LogCore) {
    let before = log.segments.load().len();
    let filler = "f".repeat(500);
    while log.segments.load().len() == before {
        put(log, &[("filler", &filler)], &BatchOptions::default());
    }
}

fn maintain(kit: &Kit, log: &LogCore, now: i64) -> Maintenance {
    kit.flusher.flush().unwrap();
    log.committed(log.ends().end);
    loop {
        let done = log.maintain(at(now)).unwrap();
        if !done.more {
            return done;
        }
    }
}

/// Offset, key and value of each data record, in order.
type Found = Vec<(i64, String, Option<String>)>;

fn found(log: &Arc<LogCore>) -> Found {
    let text = |bytes: bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let records = crate::log::LogRecords::new(Arc::clone(log), log.ends().start, Bound::LogEnd);
    let record = |record: Result<crate::OwnedRecord, _>| {
        let record = record.unwrap();
        (
            record.offset.get(),
            record.key.map_or_else(String::new, text),
            record.value.map(text),
        )
    };
    records.map(record).collect()
}

/// The records without the fillers.
fn kept(log: &Arc<LogCore>) -> Vec<(i64, String)> {
    let data = found(log).into_iter().filter(|(_, key, _)| key != "filler");
    data.map(|(offset, key, value)| (offset, format!("{key}={}", value.unwrap_or_default())))
        .collect()
}

fn is(kept: &[(i64, String)], expected: &[(i64, &str)]) {
    let expected: Vec<(i64, String)> = expected
        .iter()
        .map(|(offset, text)| (*offset, (*text).to_owned()))
        .collect();
    assert_eq!(kept, expected);
}

fn headers(log: &LogCore) -> Vec<BatchHeader> {
    let pieces = log.all_bytes(log.ends().start, usize::MAX, Bound::LogEnd);
    let parsed = pieces
        .into_iter()
        .map(|bytes| ValidBatches::parse(bytes, &Limits::default()).unwrap());
    parsed
        .flat_map(|batches| batches.headers().to_vec())
        .collect()
}

/// Segments that do not meet would be taken for a loss.
fn segments_meet(log: &LogCore) {
    let segments = log.segments.load();
    for pair in segments.windows(2) {
        let [one, next] = pair else { continue };
        let end = one.end_before(one.extent().size).unwrap();
        assert_eq!((end, one.extent().next), (next.base(), next.base()));
    }
}

#[test]
fn of_each_key_the_newest_stays_where_it_was() {
    let kit = kit(compacted());
    let log = kit.open(&Known::default());
    put(
        &log,
        &[("a", "1"), ("b", "1"), ("c", "1")],
        &BatchOptions::default(),
    );
    put(&log, &[("a", "2"), ("d", "1")], &BatchOptions::default());
    put(&log, &[("c", "2"), ("c", "3")], &BatchOptions::default());
    seal(&log);
    put(&log, &[("a", "3")], &BatchOptions::default());
    let before = log.size_bytes();
    maintain(&kit, &log, 2000);
    let active = log.ends().end.get() - 1;
    let expected = [
        (1, "b=1"),
        (3, "a=2"),
        (4, "d=1"),
        (6, "c=3"),
        (active, "a=3"),
    ];
    is(&kept(&log), &expected);
    assert!(log.size_bytes() < before);
    segments_meet(&log);
    // The newest of the active segment counts once that is sealed.
    seal(&log);
    maintain(&kit, &log, 2000);
    is(
        &kept(&log),
        &[(1, "b=1"), (4, "d=1"), (6, "c=3"), (active, "a=3")],
    );
    segments_meet(&log);
    for clean in [true, false] {
        let known = if clean { closed(&log) } else { kit.known() };
        let (log, report) = kit.try_open(&known).unwrap();
        assert_eq!((report.corrupt, report.cut), (None, None));
        is(
            &kept(&log),
            &[(1, "b=1"), (4, "d=1"), (6, "c=3"), (active, "a=3")],
        );
        if clean {
            crate::log::tests::check_files(kit.vfs(), &log.dir);
        }
        // Nothing is dirty that was compacted.
        assert!(!log.maintain(at(2000)).unwrap().more);
    }
}

#[test]
fn small_segments_become_one_and_sequences_stay() {
    let kit = kit(compacted());
    let log = kit.open(&Known::default());
    for round in 0..40 {
        let key = format!("k{}", round % 3);
        let value = format!("{round}-{}", "v".repeat(100));
        assert_eq!(
            put(&log, &[(&key, &value)], &producer(7, round, false)).0,
            round.into()
        );
    }
    put(&log, &[("other", "x")], &producer(8, 0, false));
    for _ in 0..2 {
        seal(&log);
    }
    let before = log.segments.load().len();
    maintain(&kit, &log, 2000);
    assert_eq!(log.segments.load().len(), before, "they were full");
    seal(&log);
    maintain(&kit, &log, 2000);
    let after: Vec<u64> = log
        .segments
        .load()
        .iter()
        .map(|s| s.extent().size)
        .collect();
    assert!(after.len() <= before / 2, "{before}: {after:?}");
    let offsets: Vec<i64> = kept(&log).into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, [37, 38, 39, 40]);
    segments_meet(&log);
    // The state of producers is made anew from what is left.
    for snapshot in kit.vfs().list(&log.dir).unwrap() {
        if snapshot.name.ends_with(".snapshot") {
            kit.vfs().remove_file(&log.dir.join(snapshot.name)).unwrap();
        }
    }
    let known = kit.known();
    drop(log);
    let log = kit.open(&known);
    assert_eq!(
        put(&log, &[("k0", "again")], &producer(7, 39, false)),
        (39, true)
    );
    assert!(!put(&log, &[("k0", "next")], &producer(7, 40, false)).1);
}

#[test]
fn an_outdated_batch_stays_empty_for_its_producers_sequence() {
    let kit = kit(compacted());
    let log = kit.open(&Known::default());
    put(&log, &[("a", "1")], &producer(7, 0, false));
    put(&log, &[("a", "2")], &BatchOptions::default());
    seal(&log);
    maintain(&kit, &log, 2000);
    is(&kept(&log), &[(1, "a=2")]);
    let first = headers(&log).into_iter().next().unwrap();
    assert_eq!((first.record_count, first.base_sequence.get()), (0, 0));
    assert_eq!(first.last_offset(), Offset::ZERO);
    // Once the producer has written more, it goes.
    put(&log, &[("b", "1")], &producer(7, 1, false));
    seal(&log);
    maintain(&kit, &log, 2000);
    assert_eq!(headers(&log)[0].base_offset.get(), 1);
}

#[test]
fn tombstones_go_when_their_time_is_over() {
    let config = LogConfig {
        delete_retention: Duration::from_millis(DAY.unsigned_abs()),
        ..compacted()
    };
    let kit = kit(config);
    let log = kit.open(&Known::default());
    put(&log, &[("a", "1"), ("b", "1")], &BatchOptions::default());
    put(&log, &[("a", "")], &BatchOptions::default());
    seal(&log);
    maintain(&kit, &log, 5000);
    is(&kept(&log), &[(1, "b=1"), (2, "a=")]);
    let horizon = headers(&log)[1].delete_horizon();
    assert_eq!(horizon, Some(at(5000 + DAY)));
    let record = log.offset_for_time(at(1000)).unwrap().unwrap();
    assert_eq!(record.offset.get(), 1, "the records keep their times");
    seal(&log);
    maintain(&kit, &log, 4999 + DAY);
    is(&kept(&log), &[(1, "b=1"), (2, "a=")]);
    assert_eq!(headers(&log)[1].delete_horizon(), horizon, "set once");
    seal(&log);
    maintain(&kit, &log, 5000 + DAY);
    is(&kept(&log), &[(1, "b=1")]);
}

#[test]
fn aborted_records_go_and_markers_after_them() {
    let config = LogConfig {
        delete_retention: Duration::from_millis(DAY.unsigned_abs()),
        ..compacted()
    };
    let kit = kit(config);
    let log = kit.open(&Known::default());
    put(&log, &[("a", "old")], &BatchOptions::default());
    put(
        &log,
        &[("a", "aborted"), ("x", "aborted")],
        &producer(1, 0, true),
    );
    put(&log, &[("b", "committed")], &producer(2, 0, true));
    end(&log, 1, false);
    end(&log, 2, true);
    put(&log, &[("c", "open")], &producer(3, 0, true));
    seal(&log);
    maintain(&kit, &log, 5000);
    is(
        &kept(&log),
        &[
            (0, "a=old"),
            (1, "a=aborted"),
            (2, "x=aborted"),
            (3, "b=committed"),
            (6, "c=open"),
        ],
    );
    end(&log, 3, true);
    seal(&log);
    let markers = |log: &LogCore| -> Vec<i64> {
        let control = headers(log)
            .into_iter()
            .filter(|h| h.attributes.is_control());
        control.map(|h| h.base_offset.get()).collect()
    };
    let all = markers(&log);
    maintain(&kit, &log, 5000);
    is(
        &kept(&log),
        &[(0, "a=old"), (3, "b=committed"), (6, "c=open")],
    );
    assert_eq!(markers(&log), all, "a reader may be in the middle of each");
    // The abort's marker ends nothing any more, and is given a day.
    seal(&log);
    maintain(&kit, &log, 6000);
    assert_eq!(markers(&log), all);
    for (id, sequence) in [(1, 2), (2, 1), (3, 1)] {
        put(&log, &[("d", "later")], &producer(id, sequence, false));
    }
    seal(&log);
    maintain(&kit, &log, 6000 + DAY);
    assert_eq!(markers(&log), all[1..]);
    let known = kit.known();
    drop(log);
    let log = kit.open(&known);
    log.committed(log.ends().end);
    assert_eq!(log.ends().first_unstable, None);
}

/// Producer, first offset and marker of what a reader is told was aborted.
fn aborted(log: &LogCore) -> Vec<(i64, i64, i64)> {
    let (mut from, until) = (log.ends().start, log.ends().end);
    let mut told = std::collections::BTreeSet::new();
    while from < until {
        let read = log.read_committed(from, 1, until).unwrap();
        from = read.batches.next_offset();
        let numbers = |one: &crate::AbortedTransaction| {
            let (first, last) = (one.first_offset.get(), one.last_offset.get());
            (one.producer_id.get(), first, last)
        };
        told.extend(read.aborted.iter().map(numbers));
    }
    told.into_iter().collect()
}

fn verified(kit: &Kit, log: &LogCore) {
    let mut findings = Vec::new();
    let report = &mut |finding| findings.push(finding);
    crate::inspect::verify(kit.vfs(), &log.dir, &Limits::default(), report).unwrap();
    assert_eq!(findings, []);
}

#[test]
fn readers_are_told_of_an_aborted_transaction_while_its_marker_is_there() {
    let config = LogConfig {
        delete_retention: Duration::from_millis(DAY.unsigned_abs()),
        ..compacted()
    };
    let kit = kit(config);
    let log = kit.open(&Known::default());
    put(&log, &[("a", "aborted")], &producer(1, 0, true));
    put(&log, &[("a", "old")], &BatchOptions::default());
    end(&log, 1, false);
    put(&log, &[("b", "aborted")], &producer(1, 1, true));
    seal(&log);
    end(&log, 1, false);
    seal(&log);
    let second = headers(&log)
        .into_iter()
        .filter(|h| h.attributes.is_control());
    let second = second.map(|h| h.base_offset.get()).max().unwrap();
    let both = [(1, 0, 2), (1, 3, second)];
    kit.flusher.flush().unwrap();
    assert_eq!(aborted(&log), both);
    maintain(&kit, &log, 5000);
    is(&kept(&log), &[(1, "a=old")]);
    assert_eq!(aborted(&log), both);
    let log = kit.open(&closed(&log));
    log.committed(log.ends().end);
    assert_eq!(aborted(&log), both);
    verified(&kit, &log);
    seal(&log);
    maintain(&kit, &log, 6000);
    assert_eq!(aborted(&log), both, "the markers have a day");
    put(&log, &[("c", "later")], &producer(1, 2, false));
    seal(&log);
    maintain(&kit, &log, 6000 + DAY);
    assert_eq!(aborted(&log), []);
    let log = kit.open(&closed(&log));
    verified(&kit, &log);
    assert_eq!(aborted(&log), []);
}

#[test]
fn what_is_decided_while_the_log_is_busy_is_released_after_it() {
    let kit = kit(compacted());
    let log = kit.open(&Known::default());
    put(&log, &[("a", "1")], &producer(1, 0, true));
    assert_eq!(log.ends().first_unstable, Some(Offset::ZERO));
    end(&log, 1, true);
    kit.flusher.flush().unwrap();
    let busy = log.appender();
    log.committed(log.ends().end);
    assert_eq!(log.ends().first_unstable, Some(Offset::ZERO));
    drop(busy);
    assert_eq!(log.ends().first_unstable, None);
}

#[test]
fn a_small_map_takes_several_passes() {
    let config = LogConfig {
        compaction_map_bytes: 10 * 24,
        ..compacted()
    };
    let kit = kit(config);
    let log = kit.open(&Known::default());
    for round in 0..4 {
        for key in 0..40 {
            let (key, value) = (format!("k{key}"), format!("{round}"));
            put(&log, &[(&key, &value)], &BatchOptions::default());
        }
    }
    seal(&log);
    maintain(&kit, &log, 2000);
    let newest: Vec<(i64, String)> = (0..40).map(|n| (120 + n, format!("k{n}=3"))).collect();
    assert_eq!(kept(&log), newest);
    // A batch with more keys than the map has room for.
    let keys: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
    let records: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    put(&log, &records, &BatchOptions::default());
    seal(&log);
    maintain(&kit, &log, 2000);
    assert_eq!(kept(&log).len(), 60);
}

#[test]
fn batches_keep_their_codec() {
    for codec in Codec::ALL {
        let kit = kit(compacted());
        let log = kit.open(&Known::default());
        let options = BatchOptions {
            codec,
            ..BatchOptions::default()
        };
        put(
            &log,
            &[("a", "1"), ("b", &"b".repeat(300)), ("c", "1")],
            &options,
        );
        put(&log, &[("a", "2")], &options);
        seal(&log);
        maintain(&kit, &log, 2000);
        let long = format!("b={}", "b".repeat(300));
        is(&kept(&log), &[(1, &long), (2, "c=1"), (3, "a=2")]);
        let first = headers(&log)[0];
        assert_eq!((first.codec(), first.record_count), (Some(codec), 2));
        assert_eq!(first.last_offset().get(), 2);
        let slice = log.read(Offset::ZERO, 1, Bound::LogEnd).unwrap();
        let records = Records::open(&first, &slice.bytes().unwrap(), &Limits::default()).unwrap();
        for record in records {
            let record = record.unwrap();
            assert_eq!((record.timestamp, record.headers.len()), (at(1000), 1));
        }
    }
}

#[test]
fn waits_for_dirt_and_for_age() {
    let kit = kit(LogConfig {
        min_cleanable_dirty_ratio: 0.5,
        min_compaction_lag: Duration::from_millis(3000),
        max_compaction_lag: Duration::from_millis(9000),
        ..compacted()
    });
    let log = kit.open(&Known::default());
    put(&log, &[("a", "1"), ("a", "2")], &BatchOptions::default());
    seal(&log);
    let due = maintain(&kit, &log, 1000).next;
    assert_eq!((kept(&log).len(), due), (2, Some(at(4001))), "too young");
    maintain(&kit, &log, 4001);
    assert_eq!(kept(&log).len(), 1, "all of it is dirty");
    put(&log, &[("a", "3")], &BatchOptions::default());
    put(&log, &[("a", "4")], &BatchOptions::default());
    let clean = log.segments.load()[0].extent().size;
    seal(&log);
    log.set_config(LogConfig {
        min_cleanable_dirty_ratio: 0.9,
        max_compaction_lag: Duration::from_millis(9000),
        ..compacted()
    });
    assert!(clean * 9 > log.segments.load()[1].extent().size);
    let due = maintain(&kit, &log, 5000).next;
    assert_eq!((kept(&log).len(), due), (3, Some(at(10_001))));
    maintain(&kit, &log, 10_001);
    assert_eq!(kept(&log).len(), 1);
}

#[test]
fn a_reader_has_the_old_bytes_or_the_new() {
    let kit = kit(compacted());
    let log = kit.open(&Known::default());
    for n in 0..30 {
        put(
            &log,
            &[("a", &format!("{n}{}", "x".repeat(60)))],
            &BatchOptions::default(),
        );
    }
    seal(&log);
    kit.flusher.flush().unwrap();
    log.read(Offset::ZERO, usize::MAX, Bound::Durable).unwrap();
    let slice = log.read(Offset::ZERO, usize::MAX, Bound::Durable).unwrap();
    let old = log.segments.load_full();
    let before = slice.bytes().unwrap();
    maintain(&kit, &log, 2000);
    assert_eq!(slice.bytes().unwrap(), before);
    // Also one that found the segment before and opens its file now.
    kit.shared.handles.sweep();
    kit.shared.handles.sweep();
    let file = old[0].file().unwrap();
    let len = old[0].extent().size;
    assert_eq!(file.len().unwrap(), len);
    assert_eq!(kept(&log).len(), 1);
    // The old files go later.
    let deleted = |log: &LogCore| {
        let names = kit.vfs().list(&log.dir).unwrap();
        names.iter().any(|entry| entry.name.ends_with(".deleted"))
    };
    assert!(deleted(&log));
    maintain(&kit, &log, 62_000);
    assert!(!deleted(&log));
}

/// What a workload was promised.
#[derive(Clone, Debug, Default)]
struct Notes {
    known: Known,
    history: Vec<(String, String)>,
}

type Done = Result<(), Box<dyn std::error::Error>>;

/// As [`work`], with copies that need more than one file: their indexes may be smaller than those
/// of the segments were.
fn work_that_splits(vfs: Arc<dyn Vfs>, notes: &mut Notes) -> Done {
    let config = LogConfig {
        segment_index_bytes: 16,
        ..compacted()
    };
    work_with(vfs, notes, &config)
}

/// Appends, compacts, appends, compacts.
fn work(vfs: Arc<dyn Vfs>, notes: &mut Notes) -> Done {
    work_with(vfs, notes, &compacted())
}

fn work_with(vfs: Arc<dyn Vfs>, notes: &mut Notes, compacting: &LogConfig) -> Done {
    let kit = Kit {
        config: compacted(),
        ..Kit::bare(vfs)
    };
    let (log, _) = kit.try_open(&Known::default())?;
    for round in 0..3 {
        for n in 0..9 {
            let key = format!("k{}", n * n % 5);
            let value = format!("{round}.{n}.{}", "v".repeat(80));
            notes.history.truncate(log.ends().end.get() as usize);
            notes.history.push((key.clone(), value.clone()));
            let record = Record::new(value).with_key(key).with_timestamp(at(1000));
            let bytes = build_batch(&[record], &BatchOptions::default())?;
            let batches = ValidBatches::parse(bytes, &Limits::default())?;
            let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
            log.append_as_leader(batches, &context)?;
        }
        let flushed = kit.flusher.flush();
        notes.known = kit.known();
        flushed?;
        log.set_config(compacting.clone());
        for step in 0..40 {
            let done = log.maintain(at(2000 + 70_000 * round + step));
            notes.known = kit.known();
            if !done?.more {
                break;
            }
        }
        log.set_config(compacted());
    }
    let records = crate::log::LogRecords::new(Arc::clone(&log), Offset::ZERO, Bound::LogEnd);
    let records = records.collect::<Result<Vec<_>, _>>()?;
    assert!(records.len() < 18, "{records:?}");
    Ok(())
}

/// Of each key the newest that was durable is there, and nothing that was never written.
fn check(image: MemVfs, notes: &Notes) {
    let kit = Kit {
        config: compacted(),
        ..Kit::over(Arc::new(image))
    };
    kit.flusher.resume(&notes.known);
    let (log, report) = kit.try_open(&notes.known).unwrap();
    assert_eq!(report.corrupt, None);
    segments_meet(&log);
    let all = found(&log);
    let end = log.ends().end.get();
    assert!(end >= notes.known.durable_end.get(), "{end}");
    let mut newest = BTreeMap::new();
    for (offset, (key, value)) in notes.history.iter().enumerate().take(end as usize) {
        newest.insert(key.clone(), (offset as i64, value.clone()));
    }
    let mut previous = -1;
    let mut seen = BTreeMap::new();
    for (offset, key, value) in all {
        assert!(offset > previous, "each offset once, in order");
        previous = offset;
        let value = value.unwrap();
        let written = notes.history.get(offset as usize);
        assert_eq!(written, Some(&(key.clone(), value.clone())));
        seen.insert(key, (offset, value));
    }
    assert_eq!(seen, newest);
    // It can go on.
    for n in 0..12 {
        put(
            &log,
            &[("k1", &format!("later {n}"))],
            &BatchOptions::default(),
        );
    }
    maintain(&kit, &log, 900_000);
    assert_eq!(closed(&log).recovery_point, log.ends().end);
    crate::log::tests::check_files(kit.vfs(), &log.dir);
}

fn empty() -> MemVfs {
    let vfs = MemVfs::new();
    Kit::over(Arc::new(vfs.clone()));
    vfs
}

#[test]
fn survives_a_crash_at_each_step() {
    let checked = CrashPoints::new(empty()).torn(4).run(
        |vfs, notes| work(Arc::new(vfs), notes),
        |image, notes: &Notes, _| check(image, notes),
    );
    assert!(checked > 500, "{checked}");
}

#[test]
fn so_do_copies_of_several_files() {
    let checked = CrashPoints::new(empty()).torn(4).run(
        |vfs, notes| work_that_splits(Arc::new(vfs), notes),
        |image, notes: &Notes, _| check(image, notes),
    );
    assert!(checked > 500, "{checked}");
}

/// Copies that do not count are taken back; that may be cut short as well.
#[test]
fn a_crash_while_a_recovery_clears_up_after_one() {
    let outer = CrashPoints::new(empty()).torn(1).step(61);
    let checked = std::cell::Cell::new(0);
    outer.run(
        |vfs, notes| work_that_splits(Arc::new(vfs), notes),
        |image, notes: &Notes, _| {
            let recover = |vfs: MemVfs, _: &mut ()| {
                let kit = Kit {
                    config: compacted(),
                    ..Kit::bare(Arc::new(vfs))
                };
                kit.flusher.resume(&notes.known);
                kit.try_open(&notes.known).map(|_| ())
            };
            let is_quiet = {
                let vfs = image.fork();
                let before = vfs.operations();
                recover(vfs.clone(), &mut ()).unwrap();
                vfs.operations() == before
            };
            if !is_quiet {
                let inner = CrashPoints::new(image).torn(1).step(2);
                let inner = inner.run(recover, |image, (), _| check(image, notes));
                checked.set(checked.get() + inner);
            }
        },
    );
    assert!(checked.get() > 100, "{}", checked.get());
}

/// The workload above is what it is meant to be.
#[test]
fn a_copy_whose_index_is_full_goes_on_in_another_file() {
    let kit = kit(compacted());
    let log = kit.open(&Known::default());
    for n in 0..8 {
        let key = format!("k{n}");
        put(&log, &[(&key, &"v".repeat(80))], &BatchOptions::default());
        put(&log, &[("again", "v")], &BatchOptions::default());
    }
    seal(&log);
    let bases = |log: &LogCore| -> Vec<Offset> {
        let segments = log.segments.load();
        segments.iter().map(|segment| segment.base()).collect()
    };
    let before = bases(&log);
    log.set_config(LogConfig {
        segment_index_bytes: 16,
        ..compacted()
    });
    maintain(&kit, &log, 0);
    assert!(log.cleaned() > Offset::ZERO);
    let new = bases(&log);
    assert!(
        new.iter().any(|base| !before.contains(base)),
        "{before:?} {new:?}"
    );
    segments_meet(&log);
    assert_eq!(kept(&log).len(), 9);
    verified(&kit, &log);
}

#[test]
fn each_call_may_fail() {
    type Work = fn(Arc<dyn Vfs>, &mut Notes) -> Done;
    for (work, step) in [(work as Work, 1), (work_that_splits as Work, 3)] {
        let faults = [Fault::Io, Fault::NoSpace, Fault::LostSync];
        let points = FaultPoints::new(empty()).faults(&faults).step(step);
        let checked = points.run(
            |vfs, notes: &mut Notes| {
                let _ = work(Arc::new(vfs), notes);
                Ok::<(), ()>(())
            },
            |image, notes, _| check(image, notes),
        );
        assert!(checked > 200 / step, "{checked}");
    }
}

/// A full device has no room for a name: nothing was changed yet, and the log goes on.
#[test]
fn a_full_device_refuses_a_compaction_and_takes_it_later() {
    for nth in 0..2 {
        let mem = MemVfs::new();
        let vfs = FaultVfs::over(Arc::new(mem.clone()));
        let kit = Kit {
            config: compacted(),
            ..Kit::over(Arc::new(vfs.clone()))
        };
        let log = kit.open(&Known::default());
        for n in 0..8 {
            let key = format!("k{n}");
            put(&log, &[(&key, &"v".repeat(80))], &BatchOptions::default());
            put(&log, &[("again", "v")], &BatchOptions::default());
        }
        seal(&log);
        log.set_config(LogConfig {
            segment_index_bytes: 16,
            ..compacted()
        });
        kit.flusher.flush().unwrap();
        log.committed(log.ends().end);
        let full = Rule::new(Fault::NoSpace).on(Operation::Rename);
        vfs.inject(full.at("*.cleaned").from(nth));
        let before = found(&log);
        let mut done = log.maintain(at(0));
        while done.as_ref().is_ok_and(|done| done.more) {
            done = log.maintain(at(0));
        }
        assert!(done.is_err());
        assert_eq!(found(&log), before, "it is read as before");
        put(&log, &[("more", "v")], &BatchOptions::default());
        // Of what it was to become nothing is left.
        let names = vfs.list(&log.dir).unwrap();
        let is_left = |name: &str| name.contains("swap") || name.contains("cleaned");
        assert!(!names.iter().any(|entry| is_left(&entry.name)), "{names:?}");
        vfs.free_space();
        maintain(&kit, &log, 0);
        assert!(log.cleaned() > Offset::ZERO);
        assert!(found(&log).len() < before.len());
        segments_meet(&log);
    }
}

/// The last stable offset lies between an aborted transaction and its marker.
#[test]
fn an_end_behind_an_open_transaction_counts() {
    let kit = kit(compacted());
    let log = kit.open(&Known::default());
    put(&log, &[("k", "old")], &BatchOptions::default());
    put(&log, &[("k", "aborted")], &producer(1, 0, true));
    seal(&log);
    let (open, _) = put(&log, &[("o", "open")], &producer(2, 0, true));
    end(&log, 1, false);
    maintain(&kit, &log, 0);
    assert!(log.cleaned() > Offset::new(1));
    is(&kept(&log), &[(0, "k=old"), (open, "o=open")]);
    end(&log, 2, true);
    for now in [DAY, 3 * DAY, 5 * DAY] {
        seal(&log);
        maintain(&kit, &log, now);
        is(&kept(&log), &[(0, "k=old"), (open, "o=open")]);
    }
}

/// What has no timestamps is deleted by the age of its file.
#[test]
fn a_copy_is_as_old_as_what_it_was_made_of() {
    let clock = TestClock::frozen();
    let vfs = MemVfs::new().with_clock(Arc::new(clock.clone()));
    let kit = Kit {
        config: compacted(),
        ..Kit::over(Arc::new(vfs))
    };
    let log = kit.open(&Known::default());
    for _ in 0..3 {
        put(&log, &[("k", "v")], &BatchOptions::default());
    }
    seal(&log);
    kit.flusher.flush().unwrap();
    let first = || Arc::clone(&log.segments.load()[0]);
    let (before, size) = (first().modified().unwrap(), first().extent().size);
    clock.advance(Duration::from_secs(24 * 60 * 60));
    maintain(&kit, &log, 0);
    assert!(first().extent().size < size);
    assert_eq!(first().modified().unwrap(), before);
}

#[test]
fn segments_that_leave_meanwhile_are_no_error() {
    for steps in 1..12 {
        let kit = kit(LogConfig {
            file_delete_delay: Duration::ZERO,
            ..compacted()
        });
        let log = kit.open(&Known::default());
        for _ in 0..4 {
            put(&log, &[("k", "v")], &BatchOptions::default());
            seal(&log);
        }
        kit.flusher.flush().unwrap();
        log.committed(log.ends().end);
        for _ in 0..steps {
            log.maintain(at(0)).unwrap();
        }
        let second = log.segments.load()[1].base();
        log.delete_records(second).unwrap();
        // Its file goes, and nobody has it open.
        kit.shared.handles.sweep();
        kit.shared.handles.sweep();
        maintain(&kit, &log, DAY);
        assert_eq!(log.ends().start, second);
    }
}
