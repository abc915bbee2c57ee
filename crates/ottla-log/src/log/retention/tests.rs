use std::sync::Arc;
use std::time::Duration;

use crate::batch::BatchOptions;
use crate::log::kit::{Kit, at, batch, closed, small};
use crate::log::{Bound, Known, LeaderAppend, LogConfig, LogCore, Maintenance};
use crate::vfs::MemVfs;
use crate::{
    Clock, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TestClock, Timestamp,
};

const DAY: i64 = 24 * 60 * 60 * 1000;
const WEEK: i64 = 7 * DAY;
const INTERVAL: i64 = 5 * 60 * 1000;

fn keeping(age: Option<i64>, bytes: Option<u64>) -> LogConfig {
    LogConfig {
        retention_ms: age.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        retention_bytes: bytes,
        segment_ms: Duration::MAX,
        ..small()
    }
}

fn kit(config: LogConfig) -> Kit {
    Kit {
        config,
        ..Kit::new()
    }
}

/// A log whose first look is due at once.
fn open(kit: &Kit) -> Arc<LogCore> {
    let log = kit.open(&Known::default());
    log.appender().retained = None;
    log
}

/// Appends a batch of one record of some 1,000 bytes: four make a segment.
fn put(log: &LogCore, time: i64, options: &BatchOptions) -> (i64, bool) {
    let value = "r".repeat(1000 - 90);
    let context = LeaderAppend::new(at(time), LeaderEpoch::new(0));
    let appended = log
        .append_as_leader(batch(&[&value], time, options), &context)
        .unwrap();
    (appended.base_offset.get(), appended.duplicate)
}

fn fill(log: &LogCore, times: impl IntoIterator<Item = i64>) {
    for time in times {
        put(log, time, &BatchOptions::default());
    }
}

/// All that is to be done at `now`.
fn maintain(log: &LogCore, now: i64) -> Maintenance {
    loop {
        let done = log.maintain(at(now)).unwrap();
        if !done.more {
            return done;
        }
    }
}

fn start(log: &LogCore) -> i64 {
    log.ends().start.get()
}

/// How many segment files are there under their names, and under those of deleted ones.
fn files(kit: &Kit, log: &LogCore) -> (usize, usize) {
    let names = kit.vfs().list(&log.dir).unwrap();
    let count = |suffix: &str| names.iter().filter(|e| e.name.ends_with(suffix)).count();
    (count(".log"), count(".log.deleted"))
}

#[test]
fn old_segments_go_and_their_files_later() {
    let kit = kit(keeping(Some(WEEK), None));
    let log = open(&kit);
    // A segment a day: offsets 0 to 3, 4 to 7, 8 to 11, 12.
    fill(&log, (0..13).map(|n| n / 4 * DAY));
    kit.flusher.flush().unwrap();
    let due = maintain(&log, 3 * DAY).next;
    assert_eq!((start(&log), due), (0, Some(at(WEEK + 1))));
    maintain(&log, WEEK);
    assert_eq!(start(&log), 0, "a record of that very age stays");
    let kept = maintain(&log, WEEK + 1 + INTERVAL);
    assert_eq!((start(&log), files(&kit, &log)), (4, (3, 1)));
    assert_eq!(kept.next, Some(at(WEEK + 1 + INTERVAL + 60_000)));
    let kept = maintain(&log, WEEK + 1 + INTERVAL + 60_000);
    assert_eq!(files(&kit, &log), (3, 0));
    assert_eq!(kept.next, Some(at(WEEK + DAY + 1)));
    maintain(&log, WEEK + 2 * DAY + 1);
    assert_eq!(start(&log), 12);
    let values = log.values(12, Bound::LogEnd);
    assert_eq!(values.len(), 1);
}

#[test]
fn the_active_segment_goes_too_and_offsets_go_on() {
    for clean in [true, false] {
        let kit = kit(keeping(Some(WEEK), None));
        let log = open(&kit);
        fill(&log, (0..6).map(|n| n * DAY));
        kit.flusher.flush().unwrap();
        maintain(&log, 5 * DAY + WEEK + 1);
        let ends = log.ends();
        assert_eq!((ends.start.get(), ends.end.get()), (6, 6));
        let done = maintain(&log, 5 * DAY + WEEK + 60_001);
        assert_eq!(done.next, None, "nothing is left that anybody waits for");
        assert_eq!(files(&kit, &log), (0, 0));
        let known = if clean { closed(&log) } else { kit.known() };
        drop(log);
        let (log, report) = kit.try_open(&known).unwrap();
        assert_eq!((report.corrupt, report.cut), (None, None));
        assert_eq!((start(&log), log.ends().end.get()), (6, 6));
        assert_eq!(put(&log, 20 * DAY, &BatchOptions::default()), (6, false));
        kit.flusher.flush().unwrap();
        assert_eq!(log.values(6, Bound::Durable).len(), 1);
    }
}

#[test]
fn a_log_that_is_too_large_loses_its_first_segments() {
    let kit = kit(keeping(None, Some(8_500)));
    let log = open(&kit);
    fill(&log, 0..13);
    kit.flusher.flush().unwrap();
    let size = log.size_bytes();
    let segment = log.segments.load()[0].extent().size;
    assert!(size > 8_500 + segment && size < 8_500 + 2 * segment);
    assert_eq!(maintain(&log, 100).next, Some(at(100 + 60_000)));
    assert_eq!(start(&log), 4, "as many as the log is too large with");
    assert!(log.size_bytes() >= 8_500);
    assert_eq!(
        maintain(&log, INTERVAL + 100).next,
        None,
        "an append is needed"
    );
    // Without a bound, and with one that nothing fits into.
    log.set_config(keeping(None, None));
    maintain(&log, 2 * INTERVAL);
    assert_eq!(start(&log), 4);
    log.set_config(keeping(None, Some(0)));
    maintain(&log, 2 * INTERVAL + 1);
    assert_eq!((start(&log), log.size_bytes()), (13, 0));
}

#[test]
fn settings_change_while_the_log_is_open() {
    let kit = kit(keeping(None, None));
    let log = open(&kit);
    fill(&log, (0..9).map(|n| n * DAY));
    kit.flusher.flush().unwrap();
    assert_eq!(maintain(&log, 1000 * DAY).next, None);
    assert_eq!(start(&log), 0);
    log.set_config(keeping(Some(WEEK), None));
    let due = maintain(&log, 9 * DAY).next;
    assert_eq!(due, Some(at(3 * DAY + WEEK + 1)), "the newest of the first");
    log.set_config(keeping(Some(DAY), None));
    maintain(&log, 9 * DAY + 1);
    assert_eq!(
        start(&log),
        9,
        "a new setting does not wait for the interval"
    );
}

#[test]
fn nothing_goes_that_is_not_committed_and_durable() {
    let kit = kit(keeping(Some(1), None));
    let log = open(&kit);
    fill(&log, 0..6);
    assert_eq!(maintain(&log, WEEK).next, Some(at(WEEK + INTERVAL)));
    assert_eq!(start(&log), 0, "nothing is durable");
    log.committed(Offset::new(3));
    kit.flusher.flush().unwrap();
    maintain(&log, 2 * WEEK);
    assert_eq!(
        start(&log),
        0,
        "the first segment is not committed to its end"
    );
    log.committed(Offset::new(5));
    maintain(&log, 3 * WEEK);
    assert_eq!(start(&log), 4, "the second one is not");
    log.committed(Offset::new(6));
    maintain(&log, 4 * WEEK);
    assert_eq!(start(&log), 6);
}

#[test]
fn times_of_the_future_keep_and_missing_ones_are_the_files() {
    let clock = TestClock::frozen();
    let begin = clock.now().get();
    let vfs = MemVfs::new().with_clock(Arc::new(clock.clone()));
    let kit = Kit {
        config: LogConfig {
            timestamp_after_max_ms: i64::MAX,
            ..keeping(Some(WEEK), None)
        },
        ..Kit::over(Arc::new(vfs))
    };
    let log = open(&kit);
    let none = Timestamp::NONE.get();
    fill(&log, [none; 5]);
    fill(&log, [begin + 100 * DAY; 5]);
    kit.flusher.flush().unwrap();
    clock.advance(Duration::from_millis(WEEK as u64));
    let due = maintain(&log, begin + WEEK).next;
    assert_eq!((start(&log), due), (0, Some(at(begin + WEEK + INTERVAL))));
    maintain(&log, begin + WEEK + INTERVAL);
    assert_eq!(start(&log), 4, "the file was written a week ago");
    let due = maintain(&log, begin + 100 * DAY).next;
    assert_eq!((start(&log), due), (4, Some(at(begin + 107 * DAY + 1))));
    maintain(&log, begin + 107 * DAY + 1);
    assert_eq!(start(&log), 10);
}

#[test]
fn a_reader_keeps_its_segment() {
    let kit = kit(keeping(Some(DAY), None));
    let log = open(&kit);
    fill(&log, 0..9);
    kit.flusher.flush().unwrap();
    // Known good and durable: handed out as a range of the file, not as a copy.
    log.read(Offset::ZERO, usize::MAX, Bound::Durable).unwrap();
    let slice = log.read(Offset::ZERO, usize::MAX, Bound::Durable).unwrap();
    let before = slice.bytes().unwrap();
    maintain(&log, WEEK);
    maintain(&log, 2 * WEEK);
    assert_eq!((start(&log), files(&kit, &log)), (9, (0, 0)));
    assert_eq!(slice.bytes().unwrap(), before);
    assert!(log.read(Offset::ZERO, 1, Bound::Durable).is_err());
}

#[test]
fn producers_outlive_their_batches() {
    let kit = kit(keeping(Some(DAY), None));
    let log = open(&kit);
    let options = |sequence| BatchOptions {
        producer_id: ProducerId::new(7),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(sequence),
        ..BatchOptions::default()
    };
    for sequence in 0..6 {
        put(&log, 0, &options(sequence));
    }
    kit.flusher.flush().unwrap();
    for now in [2 * DAY - 1, 2 * DAY, 2 * DAY + 60_000] {
        // The producer itself is forgotten after a day without a batch; not here.
        log.set_config(LogConfig {
            producer_id_expiration: Duration::from_secs(u32::MAX.into()),
            ..keeping(Some(DAY), None)
        });
        maintain(&log, now);
    }
    assert_eq!((start(&log), files(&kit, &log)), (6, (0, 0)));
    let known = kit.known();
    drop(log);
    let log = kit.open(&known);
    assert_eq!(put(&log, 0, &options(5)), (5, true));
    assert_eq!(put(&log, 0, &options(6)), (6, false));
}

#[test]
fn a_log_that_was_just_opened_keeps_old_records_for_an_interval() {
    let kit = kit(keeping(Some(1000), None));
    let log = kit.open(&Known::default());
    let opened = kit.shared.clock.now().get();
    fill(&log, [opened; 3]);
    kit.flusher.flush().unwrap();
    assert_eq!(
        maintain(&log, opened + 2000).next,
        Some(at(opened + INTERVAL))
    );
    assert_eq!(start(&log), 0);
    maintain(&log, opened + INTERVAL);
    assert_eq!(start(&log), 3);
}
