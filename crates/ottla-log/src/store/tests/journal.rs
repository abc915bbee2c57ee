//! What a store does with a journal that is damaged, foreign, or late.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::kit::{
    DIR, append, id, image, log, log_options, maintain, open, small, texts, topic, world,
};
use crate::vfs::{Call, CrashPlan, Fault, FaultVfs, MemVfs, OpenMode, Operation, Rule, Vfs};
use crate::{OpenError, Store, Timestamp};

/// A store that was killed with `count` records in the journal.
fn killed(count: usize) -> MemVfs {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let a = store.log("a", log_options(Some(topic(1)))).unwrap();
    for number in 0..count {
        append(&a, &number.to_string()).unwrap();
    }
    drop((a, store));
    vfs
}

/// Changes one byte of the journal's data of the record `text`.
fn damage(vfs: &MemVfs, text: &str) {
    let path = format!("{DIR}/ottla/journal-0");
    let bytes = image(vfs).remove(&path).unwrap();
    let found = bytes.windows(text.len()).position(|w| w == text.as_bytes());
    let file = vfs.open(Path::new(&path), OpenMode::Write).unwrap();
    let position = u64::try_from(found.expect("the record is in the journal")).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"#")], position)
        .unwrap();
}

#[test]
fn a_missing_round_is_not_gone_over() {
    let vfs = killed(4);
    let path = format!("{DIR}/ottla/journal-0");
    let file = vfs.open(Path::new(&path), OpenMode::Write).unwrap();
    // Rounds begin with this; the last one but one with a record loses its head.
    let bytes = image(&vfs).remove(&path).unwrap();
    let heads = bytes.windows(8).enumerate();
    let heads: Vec<_> = heads.filter(|(_, w)| *w == b"OTTLARND").collect();
    let position = u64::try_from(heads[heads.len() - 2].0).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"#")], position)
        .unwrap();
    let before = image(&vfs);
    let error = Store::open_in(world(vfs.clone()), DIR, small()).unwrap_err();
    assert!(matches!(error, OpenError::JournalDamaged { .. }), "{error}");
    assert!(error.to_string().contains("journal-0"), "{error}");
    assert_eq!(image(&vfs), before, "nothing was changed");
    // As the text says.
    for area in 0..2 {
        let path = format!("{DIR}/ottla/journal-{area}");
        vfs.remove_file(Path::new(&path)).unwrap();
    }
    assert_eq!(texts(&log(&open(&vfs), "a")), ["0", "1", "2", "3"]);
}

#[test]
fn data_that_is_damaged_in_the_journal_but_not_in_the_file_is_no_loss() {
    let vfs = killed(4);
    damage(&vfs, "1.........");
    let opened = Store::open_in(world(vfs.clone()), DIR, small()).unwrap();
    assert!(opened.report.problems.is_empty(), "{:?}", opened.report);
    assert_eq!(texts(&log(&opened.store, "a")), ["0", "1", "2", "3"]);
}

#[test]
fn data_that_is_damaged_everywhere_is_reported_and_not_papered_over() {
    let vfs = killed(4);
    damage(&vfs, "1.........");
    let path = format!("{DIR}/kafka/a-0/00000000000000000000.log");
    let file = vfs.open(Path::new(&path), OpenMode::Write).unwrap();
    file.set_len(0).unwrap();
    let opened = Store::open_in(world(vfs.clone()), DIR, small()).unwrap();
    let (of, why) = &opened.report.problems[0];
    assert_eq!(*of, id("a"));
    assert!(why.contains("damaged in the journal"), "{why}");
    let a = log(&opened.store, "a");
    assert!(append(&a, "more").is_err(), "what was durable is missing");
    let report = opened.store.report();
    assert!(report.logs[&id("a")].corrupt.is_some(), "{report:?}");
}

#[test]
fn what_is_missing_is_missing_at_every_later_start() {
    let vfs = killed(4);
    let store = open(&vfs);
    log(&store, "a");
    assert!(store.close().clean);
    drop(store);
    // Not even a batch that is cut off in the middle: a tail would be cut, and its offsets reused.
    let path = format!("{DIR}/kafka/a-0/00000000000000000000.log");
    let file = vfs.open(Path::new(&path), OpenMode::Write).unwrap();
    file.set_len(file.len().unwrap() / 4 * 2).unwrap();
    for start in 0..4 {
        let store = open(&vfs);
        let a = log(&store, "a");
        assert_eq!(texts(&a), ["0", "1"], "start {start}");
        assert!(append(&a, "more").is_err(), "start {start}");
        // The mark of a clean stop goes with it.
        append(&log(&store, "b"), "other").unwrap();
        maintain(&store);
        if start % 2 == 1 {
            store.close();
        }
    }
}

#[test]
fn rounds_of_another_topic_are_never_replayed_into_a_directory() {
    let vfs = killed(2);
    // Whoever did this was not us.
    let metadata = format!("{DIR}/kafka/a-0/partition.metadata");
    let file = vfs.open(Path::new(&metadata), OpenMode::Write).unwrap();
    let other = format!("version: 0\ntopic_id: {}", topic(2));
    file.write_all_at(&mut [IoSlice::new(other.as_bytes())], 0)
        .unwrap();
    let log_file = format!("{DIR}/kafka/a-0/00000000000000000000.log");
    let file = vfs.open(Path::new(&log_file), OpenMode::Write).unwrap();
    file.set_len(0).unwrap();
    let store = open(&vfs);
    // The journal knows that its topic's directory was made later than any other's.
    let report = store.report();
    assert_eq!(report.set_aside.len(), 1, "{report:?}");
    let stray = format!(
        "{DIR}/kafka/{}/00000000000000000000.log",
        report.set_aside[0]
    );
    assert_eq!(image(&vfs)[&stray].len(), 0);
    let a = store.log("a", log_options(Some(topic(1)))).unwrap();
    assert_eq!(texts(&a), ["0", "1"]);
}

#[test]
fn a_clean_mark_that_somebody_else_left_ends_the_journal() {
    let vfs = killed(3);
    // As if Kafka had recovered the directory, cut a record off, and stopped cleanly.
    let marker = format!("{DIR}/kafka/.kafka_cleanshutdown");
    vfs.open(Path::new(&marker), OpenMode::Create).unwrap();
    let file = format!("{DIR}/kafka/a-0/00000000000000000000.log");
    let file = vfs.open(Path::new(&file), OpenMode::Write).unwrap();
    let third = file.len().unwrap() / 3;
    file.set_len(2 * third).unwrap();
    let opened = Store::open_in(world(vfs.clone()), DIR, small()).unwrap();
    assert!(opened.report.clean);
    assert_eq!(opened.report.rounds, 0);
    let a = opened.store.log("a", log_options(Some(topic(1)))).unwrap();
    assert_eq!(texts(&a), ["0", "1"]);
    append(&a, "new").unwrap();
    drop((a, opened));
    assert_eq!(texts(&log(&open(&vfs), "a")), ["0", "1", "new"]);
}

#[test]
fn background_work_syncs_what_recovery_wrote_and_frees_the_journal() {
    let vfs = killed(5);
    let store = open(&vfs);
    maintain(&store);
    // Nobody opened the log, and its tail is not checked.
    let report = store.close();
    assert!(!report.clean);
    assert_eq!(report.pending, [id("a")]);
    drop(store);
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    let store = open(&image);
    assert_eq!(texts(&log(&store, "a")).len(), 5);
    assert!(store.close().clean);
}

/// The calls that a store over `vfs`, and opening its log, made for the log's files.
fn calls_of_opening(vfs: &MemVfs) -> (FaultVfs, Store, Vec<Operation>) {
    let faulty = FaultVfs::over(Arc::new(vfs.clone()));
    let opened = Store::open_in(world(faulty.clone()), DIR, small()).unwrap();
    assert_eq!(texts(&log(&opened.store, "a")), ["0", "1", "2"]);
    let calls = faulty.calls();
    let of_log = calls
        .iter()
        .filter(|call| call.path.to_string_lossy().contains("kafka"));
    let operations = of_log.map(|call| call.operation).collect();
    (faulty, opened.store, operations)
}

fn syncs(operations: &[Operation]) -> usize {
    use Operation::{DropCache, SyncAll, SyncData, SyncDir};
    let is_sync = |of: &&Operation| [DropCache, SyncAll, SyncData, SyncDir].contains(of);
    operations.iter().filter(is_sync).count()
}

#[test]
fn a_log_that_ends_with_the_journal_is_opened_before_it_is_synced() {
    let vfs = killed(3);
    let (faulty, store, operations) = calls_of_opening(&vfs);
    assert_eq!(syncs(&operations), 0, "{operations:?}");
    // The journal has it until the files are synced, and what is appended now.
    append(&log(&store, "a"), "3").unwrap();
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(texts(&log(&open(&image), "a")), ["0", "1", "2", "3"]);
    faulty.forget_calls();
    while store.maintain(Timestamp::new(60_000)).more {}
    let calls = faulty.calls();
    let is_of_log = |call: &Call| call.path.ends_with("00000000000000000000.log");
    assert!(
        calls
            .iter()
            .any(|call| is_of_log(call) && call.operation == Operation::SyncData),
        "{calls:?}"
    );
    while store.maintain(Timestamp::new(120_000)).more {}
    for area in 0..2 {
        let path = format!("{DIR}/ottla/journal-{area}");
        let _ = vfs.remove_file(Path::new(&path));
    }
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(texts(&log(&open(&image), "a")), ["0", "1", "2", "3"]);
}

/// How often opening log `a` of topic `number` opens a file of it, and the log's records.
fn opened_files(faulty: &FaultVfs, store: &Store, number: u8) -> (usize, Vec<String>) {
    faulty.forget_calls();
    let a = store.log("a", log_options(Some(topic(number)))).unwrap();
    let calls = faulty.calls();
    let is_open = |call: &&Call| call.operation == Operation::Open;
    (calls.iter().filter(is_open).count(), texts(&a))
}

#[test]
fn an_open_goes_on_with_what_the_replay_opened() {
    let after_a_kill = || {
        let faulty = FaultVfs::over(Arc::new(killed(3)));
        let opened = Store::open_in(world(faulty.clone()), DIR, small()).unwrap();
        (faulty, opened.store)
    };
    let all = ["0", "1", "2"].map(str::to_owned).to_vec();
    let (faulty, store) = after_a_kill();
    assert_eq!(opened_files(&faulty, &store, 1), (0, all.clone()));
    // Once it is synced nothing stays open, and the log is the same.
    let (faulty, store) = after_a_kill();
    for minutes in 1..3 {
        while store.maintain(Timestamp::new(minutes * 60_000)).more {}
    }
    assert_eq!(opened_files(&faulty, &store, 1), (1, all));
    // Another topic gets nothing of it.
    let (faulty, store) = after_a_kill();
    let (_, texts) = opened_files(&faulty, &store, 2);
    assert!(texts.is_empty(), "{texts:?}");
}

#[test]
fn what_recovery_wrote_and_could_not_sync_stays_in_the_journal() {
    let vfs = killed(3);
    let (faulty, store, _) = calls_of_opening(&vfs);
    let rule = Rule::new(Fault::LostSync).on(Operation::SyncData);
    faulty.inject(rule.at("*.log").nth(0));
    while store.maintain(Timestamp::new(60_000)).more {}
    while store.maintain(Timestamp::new(120_000)).more {}
    let a = log(&store, "a");
    assert!(append(&a, "more").is_err(), "it is offline");
    assert!(!store.close().clean);
    drop((a, store));
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(texts(&log(&open(&image), "a")), ["0", "1", "2"]);
}

#[test]
fn a_stop_syncs_what_recovery_wrote() {
    let vfs = killed(3);
    let (_, store, _) = calls_of_opening(&vfs);
    assert!(store.close().clean);
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    let store = open(&image);
    assert!(store.was_clean());
    assert_eq!(texts(&log(&store, "a")), ["0", "1", "2"]);
}

#[test]
fn a_tail_behind_the_journal_is_synced_before_it_counts() {
    let vfs = killed(2);
    let path = format!("{DIR}/kafka/a-0/00000000000000000000.log");
    // Written and not flushed: a third record, as the journal of another store has it.
    let whole = image(&killed(3)).remove(&path).unwrap();
    let file = vfs.open(Path::new(&path), OpenMode::Write).unwrap();
    file.write_all_at(&mut [IoSlice::new(&whole)], 0).unwrap();
    let (_, _store, operations) = calls_of_opening(&vfs);
    assert!(syncs(&operations) > 0, "{operations:?}");
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(texts(&log(&open(&image), "a")), ["0", "1", "2"]);
}

#[test]
fn what_was_synced_before_the_kill_is_read_from_the_device() {
    let vfs = killed(2);
    let store = open(&vfs);
    let a = log(&store, "a");
    assert!(store.close().clean);
    drop((a, store));
    let store = open(&vfs);
    append(&log(&store, "a"), "2").unwrap();
    drop(store);
    let (_, _store, operations) = calls_of_opening(&vfs);
    let drops = operations
        .iter()
        .filter(|of| **of == Operation::DropCache)
        .count();
    assert_eq!((syncs(&operations), drops), (1, 1), "{operations:?}");
}
