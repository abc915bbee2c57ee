use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::log::kit::{Kit, at, id, small};
use crate::log::seal::{Sealing, Step};
use crate::log::{Known, LeaderAppend, LogConfig, LogCore, LogOptions, dir};
use crate::vfs::{Fault, FaultVfs, MemVfs, OpenMode, Operation, Rule};
use crate::{
    BatchOptions, LeaderEpoch, Limits, Offset, Record, Timestamp, TopicId, ValidBatches,
    build_batch,
};

fn lines(log: &LogCore) {
    log.fill(100);
}

/// Records of a few keys.
fn keys(log: &LogCore) {
    put_keys(log, at(1000));
}

/// The log is deleted, by whoever comes between a look at its health and what follows, and another
/// one is made of its name.
fn made_anew(kit: &Kit, old: &LogCore, fill: fn(&LogCore)) -> Arc<LogCore> {
    old.retire();
    let aside = old.dir.with_file_name("orders-0.7-delete");
    kit.vfs().rename(&old.dir, &aside).unwrap();
    let options = LogOptions {
        topic_id: Some(TopicId::from_bytes([8; 16])),
        config: kit.config.clone(),
    };
    let opened = LogCore::open(&kit.shared, id(), options, &Known::default());
    let new = opened.unwrap().0;
    assert_eq!(new.dir, old.dir);
    fill(&new);
    kit.flusher.flush().unwrap();
    new
}

/// Every file of the log and of its seals, with its bytes.
fn image(kit: &Kit, log: &LogCore) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let seals = crate::segment::seal_dir(&kit.shared.seal_dir, &log.dir);
    for dir in [&*log.dir, &seals] {
        for entry in kit.vfs().list(dir).unwrap_or_default() {
            let path = dir.join(&entry.name);
            let file = kit.vfs().open(&path, OpenMode::Read).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            files.insert(path.display().to_string(), bytes);
        }
    }
    files
}

/// A log of several segments, all of it durable and committed.
fn filled(kit: &Kit, fill: fn(&LogCore)) -> Arc<LogCore> {
    let log = kit.open(&Known::default());
    fill(&log);
    kit.flusher.flush().unwrap();
    log.committed(log.ends().end);
    log
}

#[test]
fn segments_of_a_deleted_log_are_not_removed_from_the_next_one() {
    let kit = Kit::new();
    let old = filled(&kit, lines);
    let second = old.segments.load()[1].base();
    old.delete_records(second).unwrap();
    let new = made_anew(&kit, &old, lines);
    let before = image(&kit, &new);
    assert!(!old.mark_removed(at(0)).unwrap());
    assert_eq!(image(&kit, &new), before);
}

#[test]
fn files_of_a_deleted_log_are_not_deleted_from_the_next_one() {
    let kit = Kit::new();
    let old = filled(&kit, lines);
    let second = old.segments.load()[1].base();
    old.delete_records(second).unwrap();
    assert!(old.mark_removed(at(0)).unwrap());
    let new = made_anew(&kit, &old, lines);
    new.delete_records(second).unwrap();
    assert!(new.mark_removed(at(0)).unwrap());
    let before = image(&kit, &new);
    assert!(before.keys().any(|name| name.ends_with(dir::DELETED)));
    assert!(!old.delete_one(at(i64::MAX)).unwrap());
    assert_eq!(image(&kit, &new), before);
}

#[test]
fn what_a_deleted_log_held_vouches_for_nothing_of_the_next_one() {
    let kit = Kit::new();
    let old = filled(&kit, lines);
    let segment = Arc::clone(&old.segments.load()[0]);
    old.renew_indexes(&segment).unwrap();
    let mut job = Sealing::new(&old, &segment, false);
    assert!(matches!(job.step(&old, u64::MAX), Ok(Step::Done)));
    let new = made_anew(&kit, &old, lines);
    let before = image(&kit, &new);
    old.put_seal(job).unwrap();
    assert_eq!(image(&kit, &new), before, "no seal");
    // Indexes that were not written yet.
    let segment = Arc::clone(&old.segments.load()[1]);
    let _ = old.renew_indexes(&segment);
    assert_eq!(image(&kit, &new), before, "no index");
}

#[test]
fn a_deleted_log_is_not_compacted_into_the_next_one() {
    for steps in 0..8 {
        let kit = Kit {
            config: LogConfig {
                compacted: true,
                segment_bytes: 1000,
                min_cleanable_dirty_ratio: 0.0,
                segment_ms: Duration::MAX,
                timestamp_after_max_ms: i64::MAX,
                ..small()
            },
            ..Kit::new()
        };
        let old = filled(&kit, keys);
        for _ in 0..steps {
            old.compact(at(0)).unwrap();
        }
        let new = made_anew(&kit, &old, keys);
        // A copy that the next one is making.
        for segment in new.segments.load().iter() {
            let path = dir::file_in(&new.dir, segment.base(), dir::LOG_CLEANED);
            kit.vfs().open(&path, OpenMode::Create).unwrap();
        }
        let before = image(&kit, &new);
        for _ in 0..4 {
            let _ = old.compact(at(0));
        }
        old.stop_compacting();
        assert_eq!(image(&kit, &new), before, "{steps}");
    }
}

/// A log that is compacted and has its old segments deleted, with records of a few keys.
fn of_both_policies(vfs: &FaultVfs) -> Kit {
    Kit {
        config: LogConfig {
            compacted: true,
            min_cleanable_dirty_ratio: 0.0,
            segment_bytes: 1000,
            segment_ms: Duration::MAX,
            timestamp_after_max_ms: i64::MAX,
            retention_ms: Some(Duration::from_secs(3600)),
            retention_check_interval: Duration::ZERO,
            file_delete_delay: Duration::ZERO,
            ..small()
        },
        ..Kit::over(Arc::new(vfs.clone()))
    }
}

fn put_keys(log: &LogCore, time: Timestamp) {
    for n in 0..40 {
        let key = format!("k{}", n % 3);
        let record = Record::new("v".repeat(60))
            .with_key(key)
            .with_timestamp(time);
        let bytes = build_batch(&[record], &BatchOptions::default()).unwrap();
        let batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
        let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        log.append_as_leader(batches, &context).unwrap();
    }
}

/// One thing that fails keeps nothing else from being done, and keeps no other log waiting.
#[test]
fn a_log_whose_age_cannot_be_told_is_compacted_and_lets_others_be() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let kit = of_both_policies(&vfs);
    let log = kit.open(&Known::default());
    put_keys(&log, Timestamp::NONE);
    kit.flusher.flush().unwrap();
    log.committed(log.ends().end);
    // Of records without a timestamp the file's tells how old they are.
    vfs.inject(Rule::new(Fault::Io).on(Operation::Stat).at("*.log"));
    assert!(
        log.retain(at(2000)).is_err(),
        "the test sees what it is about"
    );
    let mut last = log.maintain(at(2000));
    for _ in 0..100 {
        if !matches!(&last, Ok(done) if done.more) {
            break;
        }
        last = log.maintain(at(2000));
    }
    assert!(last.is_err(), "it is told: {last:?}");
    assert!(log.cleaned() > Offset::ZERO);
    let is_taken = &kit.shared.compacting;
    assert!(!is_taken.load(std::sync::atomic::Ordering::Acquire));
}

/// Nobody else may compact while it has the turn.
#[test]
fn a_log_that_fails_gives_its_turn_back() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let kit = of_both_policies(&vfs);
    let log = kit.open(&Known::default());
    put_keys(&log, at(1000));
    kit.flusher.flush().unwrap();
    log.committed(log.ends().end);
    log.maintain(at(2000)).unwrap();
    let is_taken = &kit.shared.compacting;
    let is_taken = || is_taken.load(std::sync::atomic::Ordering::Acquire);
    assert!(is_taken());
    // Its segments leave it, and their files' names stay.
    let last = log.segments.load().last().unwrap().base();
    log.delete_records(last).unwrap();
    vfs.inject(Rule::new(Fault::Io).on(Operation::Rename).at("*.log"));
    let mut done = log.maintain(at(2000));
    for _ in 0..100 {
        if !matches!(&done, Ok(done) if done.more) {
            break;
        }
        done = log.maintain(at(2000));
    }
    assert!(done.is_err(), "{done:?}");
    assert!(!is_taken());
}

/// A segment is gone once its file has the name of a deleted one, not before.
#[test]
fn a_segment_that_cannot_be_renamed_is_tried_again() {
    for suffix in dir::SEGMENT_SUFFIXES {
        let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
        let kit = Kit {
            config: LogConfig {
                file_delete_delay: Duration::ZERO,
                ..small()
            },
            ..Kit::over(Arc::new(vfs.clone()))
        };
        let log = filled(&kit, lines);
        while log.maintain(at(2000)).unwrap().more {}
        let count = log.segments.load().len();
        let last = log.segments.load().last().unwrap().base();
        log.delete_records(last).unwrap();
        let full = Rule::new(Fault::NoSpace).on(Operation::Rename);
        vfs.inject(full.at(&format!("*{suffix}")));
        let is_there = |kit: &Kit, base: Offset| {
            let path = dir::file_in(&log.dir, base, dir::LOG);
            let deleted = dir::with_suffix(&path, dir::DELETED);
            let stat = |path: &std::path::Path| kit.vfs().stat(path).unwrap().is_some();
            stat(&path) || stat(&deleted)
        };
        vfs.forget_calls();
        let refused = log.maintain(at(2000));
        let is_failed = |call: &crate::vfs::Call| call.fault.is_some();
        assert!(vfs.calls().iter().any(is_failed), "{suffix} {refused:?}");
        vfs.free_space();
        while log.maintain(at(3000)).unwrap().more {}
        assert!(!is_there(&kit, Offset::ZERO), "{suffix} {refused:?}");
        let left = image(&kit, &log);
        let logs = left.keys().filter(|name| name.contains(dir::LOG));
        assert_eq!(logs.count(), 1, "of {count}, {suffix}: {:?}", left.keys());
    }
}

/// What cannot be deleted is deleted later, in this run.
#[test]
fn a_file_that_cannot_be_deleted_is_tried_again() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let kit = Kit {
        config: LogConfig {
            file_delete_delay: Duration::ZERO,
            ..small()
        },
        ..Kit::over(Arc::new(vfs.clone()))
    };
    let log = filled(&kit, lines);
    let second = log.segments.load()[1].base();
    log.delete_records(second).unwrap();
    vfs.inject(
        Rule::new(Fault::Io)
            .on(Operation::RemoveFile)
            .at("*.deleted")
            .nth(0),
    );
    let mut done = log.maintain(at(2000));
    while done.as_ref().is_ok_and(|done| done.more) {
        done = log.maintain(at(2000));
    }
    let is_failed = |call: &crate::vfs::Call| call.fault.is_some();
    assert!(vfs.calls().iter().any(is_failed));
    while log.maintain(at(3000)).unwrap().more {}
    let left = image(&kit, &log);
    assert!(
        !left.keys().any(|name| name.ends_with(dir::DELETED)),
        "{:?}",
        left.keys()
    );
}
