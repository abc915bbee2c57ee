//! The log over a file system in memory.

mod crash;
mod faults;
mod files;
mod kafka;
mod model;
mod reading;
mod real;
mod recovery;
mod seals;
mod transactions;

use super::kit::{self, Kit, at, batch, closed};
use super::{Bound, Known, LeaderAppend};
use crate::{BatchOptions, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

/// Checks the files of a closed log that starts at 0.
pub(super) fn check_files(vfs: &dyn crate::vfs::Vfs, log_dir: &std::path::Path) {
    files::check(vfs, log_dir, Offset::ZERO, true);
}

#[test]
fn appends_and_reads_back() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    assert!(!log.has_dir());
    assert_eq!(log.put(&["a", "b"]).base_offset, Offset::new(0));
    let second = log.put(&["c"]);
    assert_eq!((second.base_offset.get(), second.end.get()), (2, 3));
    assert_eq!(log.ends().durable, Offset::ZERO);
    assert_eq!(log.values(0, Bound::Durable), []);
    let all = [
        (0, "a".to_owned()),
        (1, "b".to_owned()),
        (2, "c".to_owned()),
    ];
    assert_eq!(log.values(0, Bound::LogEnd), all);
    kit.flusher.flush().unwrap();
    assert_eq!(log.ends().durable, Offset::new(3));
    assert_eq!(log.values(0, Bound::Durable), all);
    assert_eq!(log.values(1, Bound::Durable), all[1..]);
    assert_eq!(log.values(0, Bound::Until(Offset::new(2))), all[..2]);
    assert_eq!(kit.flusher.reserved(), 0);
}

#[test]
fn goes_on_after_a_clean_stop() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    let before = log.values(0, Bound::LogEnd);
    let known = closed(&log);
    drop(log);
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(
        report,
        super::LogRecovery::default(),
        "nothing was to be recovered"
    );
    assert_eq!(log.ends().end, Offset::new(60));
    assert_eq!(log.values(0, Bound::Durable), before);
    log.fill(60);
    assert_eq!(log.values(0, Bound::LogEnd).len(), 120);
}

#[test]
fn goes_on_after_a_kill() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    let before = log.values(0, Bound::LogEnd);
    drop(log);
    let (log, report) = kit.try_open(&kit.known()).unwrap();
    assert_eq!(report.cut, None);
    assert_eq!(log.ends().end, Offset::new(60));
    assert_eq!(log.values(0, Bound::Durable), before);
    let _ = kit::id();
}

#[test]
fn a_repetition_promises_what_its_original_does() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let send = |sequence: i32| {
        let options = BatchOptions {
            producer_id: ProducerId::new(7),
            producer_epoch: ProducerEpoch::new(0),
            base_sequence: Sequence::new(sequence),
            ..BatchOptions::default()
        };
        let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        let batches = batch(&["once"], 1000, &options);
        log.append_as_leader(batches, &context).unwrap()
    };
    send(0);
    kit.flusher.flush().unwrap();
    let original = send(1);
    let repeated = send(1);
    assert!(repeated.duplicate && !original.duplicate);
    let place = |appended: crate::Appended| (appended.base_offset, appended.last_offset);
    assert_eq!(place(repeated), place(original));
    // Whoever waits for its durability waits for that of the original, which only is written yet.
    assert_eq!(repeated.end, original.end);
    assert!(log.ends().durable < repeated.end);
    kit.flusher.flush().unwrap();
    assert_eq!(log.ends().durable, repeated.end);
}

#[test]
fn a_repetition_is_answered_with_the_append_time_of_its_original() {
    let mut kit = Kit::new();
    let producer = |sequence: i32| BatchOptions {
        producer_id: ProducerId::new(7),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(sequence),
        ..BatchOptions::default()
    };
    let send = |log: &super::LogCore, sequence: i32, now: i64| {
        let context = LeaderAppend::new(at(now), LeaderEpoch::new(0));
        let batches = batch(&["once"], 1000, &producer(sequence));
        let appended = log.append_as_leader(batches, &context).unwrap();
        (appended.duplicate, appended.log_append_time)
    };
    let log = kit.open(&Known::default());
    assert_eq!(send(&log, 0, 5000), (false, None));
    // Where the producer's own times count there is none to tell.
    assert_eq!(send(&log, 0, 6000), (true, None));
    kit.config.timestamp_type = crate::TimestampType::LogAppendTime;
    log.set_config(kit.config.clone());
    assert_eq!(send(&log, 1, 7000), (false, Some(at(7000))));
    assert_eq!(send(&log, 2, 8000), (false, Some(at(8000))));
    assert_eq!(send(&log, 1, 9000), (true, Some(at(7000))));
    assert_eq!(send(&log, 2, 9000), (true, Some(at(8000))));
    // Also after a restart, which remembers it by the log.
    let known = closed(&log);
    let log = kit.open(&known);
    assert_eq!(send(&log, 2, 9500), (true, Some(at(8000))));
}
