//! One store, one thread, nothing goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::kit::{
    DIR, append, id, image, log, log_options, maintain, next, open, open_with, os, record, small,
    texts, topic, world, written,
};
use crate::vfs::{MemVfs, Vfs};
use crate::{AppendError, AppendOptions, LogError, Offset, OpenError, Store, StoreOptions};

#[test]
fn what_is_appended_is_there_after_a_clean_stop() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let a = log(&store, "a");
    for text in ["one", "two", "three"] {
        append(&a, text).unwrap();
    }
    assert_eq!(a.ends().durable, Offset::new(3));
    let report = store.close();
    assert!(report.clean, "{report:?}");
    assert!(matches!(
        append(&a, "late"),
        Err(AppendError::Closed { .. })
    ));
    drop((a, store));

    let opened = Store::open_in(world(vfs.clone()), DIR, small()).unwrap();
    assert!(opened.report.clean);
    assert_eq!(opened.report.rounds, 0);
    let a = log(&opened.store, "a");
    assert_eq!(texts(&a), ["one", "two", "three"]);
    assert_eq!(append(&a, "four").unwrap().base_offset, Offset::new(3));
}

#[test]
fn a_drop_is_a_kill_and_loses_nothing_that_was_written() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let a = log(&store, "a");
    append(&a, "durable").unwrap();
    a.append(&[record("written", 9)], written()).unwrap();
    drop((a, store));

    let opened = Store::open_in(world(vfs), DIR, small()).unwrap();
    assert!(!opened.report.clean);
    assert_eq!(opened.report.rounds, 1);
    assert_eq!(texts(&log(&opened.store, "a")), ["durable", "written"]);
}

#[test]
fn the_directory_goes_with_the_last_handle() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let a = log(&store, "a");
    drop(store);
    let second = Store::open_in(world(vfs.clone()), DIR, small());
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    append(&a, "still open").unwrap();
    drop(a);
    assert_eq!(texts(&log(&open(&vfs), "a")), ["still open"]);
}

#[test]
fn a_clean_store_that_nobody_changes_stays_clean() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    append(&log(&store, "a"), "one").unwrap();
    assert!(store.close().clean);
    drop(store);
    // Opened and killed: the mark goes with the first change, not with the open.
    let store = open(&vfs);
    assert_eq!(texts(&log(&store, "a")), ["one"]);
    drop(store);
    let store = open(&vfs);
    assert!(store.was_clean());
    append(&log(&store, "a"), "two").unwrap();
    drop(store);
    assert!(!open(&vfs).was_clean());
}

#[test]
fn the_journal_goes_round_and_round() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let logs = [log(&store, "a"), log(&store, "b")];
    for number in 0..100 {
        let log = &logs[number % 2];
        append(log, &number.to_string()).unwrap();
        if number % 7 == 0 {
            maintain(&store);
        }
    }
    let files = image(&vfs);
    for area in ["journal-0", "journal-1"] {
        let len = files[&format!("{DIR}/ottla/{area}")].len();
        assert!(len <= 56 << 10, "{area} has {len} bytes");
    }
    drop(store);
    drop(logs);
    let store = open(&vfs);
    let odd: Vec<_> = (1..100).step_by(2).map(|n| n.to_string()).collect();
    assert_eq!(texts(&log(&store, "b")), odd);
}

#[test]
fn without_maintenance_the_appends_do_the_work() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let a = log(&store, "a");
    for number in 0..200 {
        append(&a, &number.to_string()).unwrap();
    }
    let image = vfs.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
    assert_eq!(texts(&log(&open(&image), "a")).len(), 200);
}

#[test]
fn a_deleted_log_is_gone_and_its_name_is_free() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let first = store.log("t", log_options(Some(topic(1)))).unwrap();
    append(&first, "old").unwrap();
    let wrong = store.log("t", log_options(Some(topic(2))));
    assert!(matches!(wrong, Err(LogError::OtherTopic { .. })));
    store.delete(&id("t")).unwrap();
    assert!(matches!(
        append(&first, "x"),
        Err(AppendError::Deleted { .. })
    ));
    assert!(store.found().is_empty());

    let second = store.log("t", log_options(Some(topic(2)))).unwrap();
    append(&second, "new").unwrap();
    let names = |store: &Store| -> Vec<String> {
        let entries = vfs.list(store.log_dir()).unwrap().into_iter();
        entries.filter(|e| e.is_dir).map(|e| e.name).collect()
    };
    assert_eq!(names(&store).len(), 2, "{:?}", names(&store));
    maintain(&store);
    assert_eq!(names(&store), ["t-0"]);
    drop((first, second, store));
    let store = open(&vfs);
    let second = store.log("t", log_options(Some(topic(2)))).unwrap();
    assert_eq!(texts(&second), ["new"]);
}

#[test]
fn who_waits_for_the_directory_is_told_when_it_is_free() {
    let vfs = MemVfs::new();
    let told = Arc::new(AtomicUsize::new(0));
    let tell = |store: &Store| {
        let (told, vfs) = (Arc::clone(&told), vfs.clone());
        store.on_release(move || {
            drop(open(&vfs));
            told.fetch_add(1, Ordering::Relaxed);
        });
    };
    let store = open(&vfs);
    let log = store.log("t", log_options(None)).unwrap();
    tell(&store);
    drop(store);
    assert_eq!(told.load(Ordering::Relaxed), 0, "a log keeps its store");
    drop(log);
    assert_eq!(told.load(Ordering::Relaxed), 1);

    let store = open(&vfs);
    tell(&store);
    store.close();
    assert_eq!(told.load(Ordering::Relaxed), 2);
    tell(&store);
    assert_eq!(told.load(Ordering::Relaxed), 3, "it is free already");
}

#[test]
fn a_handle_deletes_its_own_log_only() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let first = store.log("t", log_options(Some(topic(1)))).unwrap();
    append(&first, "old").unwrap();
    store.delete_open(&first).unwrap();
    let second = store.log("t", log_options(Some(topic(2)))).unwrap();
    append(&second, "new").unwrap();
    store.delete_open(&first).unwrap();
    append(&second, "newer").unwrap();
    assert_eq!(texts(&second), ["new", "newer"]);
    store.delete_open(&second).unwrap();
    let gone = append(&second, "x");
    assert!(matches!(gone, Err(AppendError::Deleted { .. })));
}

#[test]
fn a_condition_is_checked_against_what_is_written() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let a = log(&store, "a");
    a.append(&[record("one", 3)], next(0)).unwrap();
    let refused = a.append(&[record("two", 3)], next(0)).unwrap_err();
    let AppendError::Condition { expected, end, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!((expected, end), (Offset::new(0), Offset::new(1)));
}

#[test]
fn large_appends_are_synced_directly() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let options = crate::LogOptions::default();
    let a = store.log("a", options).unwrap();
    let before = image(&vfs)[&format!("{DIR}/ottla/journal-0")].clone();
    append(&a, "small").unwrap();
    a.append(&[record("large", 100_000)], AppendOptions::default())
        .unwrap();
    let crashed = vfs.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
    let journal = &image(&crashed)[&format!("{DIR}/ottla/journal-0")];
    assert_eq!(journal.len(), before.len(), "it did not grow");
    assert_eq!(texts(&log(&open(&crashed), "a")), ["small", "large"]);
}

#[test]
fn a_store_of_the_operating_systems_durability_has_no_journal() {
    let vfs = MemVfs::new();
    let store = open_with(&vfs, os());
    assert_eq!(store.sync_cost(), None);
    let a = log(&store, "a");
    append(&a, "one").unwrap();
    assert_eq!(a.ends().durable, Offset::new(1), "at once");
    assert!(store.ticket().outcome().is_some());
    maintain(&store);
    let journals = |vfs: &MemVfs| image(vfs).keys().filter(|k| k.contains("journal")).count();
    assert_eq!(journals(&vfs), 0);
    assert!(store.close().clean);
    drop((a, store));

    // From one mode to the other and back.
    let store = open(&vfs);
    append(&log(&store, "a"), "two").unwrap();
    drop(store);
    assert_eq!(journals(&vfs), 1);
    let store = open_with(&vfs, os());
    assert_eq!(journals(&vfs), 0, "what it held is in the files");
    let crashed = vfs.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
    drop(store);
    assert_eq!(texts(&log(&open(&crashed), "a")), ["one", "two"]);
}

#[test]
fn a_noted_log_without_a_directory_is_missing_and_never_empty() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    append(&log(&store, "a"), "one").unwrap();
    append(&log(&store, "b"), "one").unwrap();
    assert!(store.close().clean);
    drop(store);
    let from = format!("{DIR}/kafka/a-0");
    vfs.rename(from.as_ref(), "/elsewhere".as_ref()).unwrap();

    let opened = Store::open_in(world(vfs.clone()), DIR, small()).unwrap();
    assert_eq!(opened.report.missing, [id("a")]);
    let store = opened.store;
    let found = store.found();
    assert!(!found[0].has_directory && found[1].has_directory);
    assert!(matches!(
        store.log("a", log_options(None)),
        Err(LogError::DirectoryMissing { .. })
    ));
    // Another topic of that name is another matter, and so is a deletion.
    store.delete(&id("a")).unwrap();
    append(&log(&store, "a"), "new").unwrap();
    drop(store);
    assert_eq!(texts(&log(&open(&vfs), "a")), ["new"]);
}

#[test]
fn high_watermarks_are_kept() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let marks = [(id("a"), Offset::new(5))].into_iter().collect();
    store.checkpoint_high_watermarks(&marks).unwrap();
    drop(store);
    let store = open(&vfs);
    assert_eq!(*store.high_watermarks(), marks);
    store.close();
    assert!(store.checkpoint_high_watermarks(&marks).is_err());
}

#[test]
fn settings_that_name_another_owner_are_refused() {
    let vfs = MemVfs::new();
    drop(open(&vfs));
    let other = StoreOptions {
        node_id: 2,
        ..small()
    };
    let refused = Store::open_in(world(vfs), DIR, other).unwrap_err();
    assert!(
        refused.to_string().contains("node \"1\", not to \"2\""),
        "{refused}"
    );
}
