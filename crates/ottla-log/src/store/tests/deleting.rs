//! Deletions that cannot be done at once are done all the same, and stand in nobody's way.

use std::sync::Arc;

use super::kit::{
    DIR, append, id, log, log_options, os, record, small, texts, topic, world, written,
};
use crate::vfs::{CrashPlan, Fault, FaultVfs, MemVfs, Operation, Rule, Vfs};
use crate::{AppendError, LogError, Store, StoreOptions, Timestamp};

fn faulty(options: StoreOptions) -> (MemVfs, FaultVfs, Store) {
    let mem = MemVfs::new();
    let vfs = FaultVfs::over(Arc::new(mem.clone()));
    let store = Store::open_in(world(vfs.clone()), DIR, options).unwrap();
    (mem, vfs, store.store)
}

/// The directories of logs, without those that wait to be removed.
fn dirs(vfs: &MemVfs) -> Vec<String> {
    let entries = vfs.list(format!("{DIR}/kafka").as_ref()).unwrap();
    let dirs = entries.into_iter().filter(|entry| entry.is_dir);
    dirs.map(|entry| entry.name)
        .filter(|name| !name.ends_with("-delete"))
        .collect()
}

/// What may fail: the directory's new name, and where there is no journal the note.
fn failures() -> [(StoreOptions, Rule); 2] {
    let failing = |at| Rule::new(Fault::Io).on(Operation::Rename).at(at);
    [(small(), failing("*/t-0*")), (os(), failing("*/has-data*"))]
}

#[test]
fn a_name_is_free_as_soon_as_the_disk_works_again() {
    for (options, rule) in failures() {
        let context = format!("{rule:?}");
        let (mem, vfs, store) = faulty(options);
        let first = store.log("t", log_options(Some(topic(1)))).unwrap();
        append(&first, "old").unwrap();
        vfs.inject(rule);
        let failed = store.delete(&id("t"));
        assert!(matches!(failed, Err(LogError::Storage { .. })), "{context}");
        let gone = append(&first, "x");
        assert!(
            matches!(gone, Err(AppendError::Deleted { .. })),
            "{context}"
        );
        let again = store.log("t", log_options(Some(topic(2))));
        assert!(
            matches!(again, Err(LogError::Storage { .. })),
            "{context}: {again:?}"
        );
        vfs.heal();

        let second = store.log("t", log_options(Some(topic(2)))).unwrap();
        append(&second, "new").unwrap();
        assert_eq!(texts(&second), ["new"], "{context}");
        assert!(store.close().clean, "{context}");
        drop((first, second, store));
        let image = mem.crash(&CrashPlan::SYNCED_ONLY);
        let second = super::kit::open(&image).log("t", log_options(Some(topic(2))));
        assert_eq!(texts(&second.unwrap()), ["new"], "{context}");
        assert_eq!(dirs(&image), ["t-0"], "{context}");
    }
}

#[test]
fn what_nobody_asks_for_is_deleted_in_the_background() {
    for (options, rule) in failures() {
        let context = format!("{rule:?}");
        let (mem, vfs, store) = faulty(options);
        append(&log(&store, "t"), "old").unwrap();
        append(&log(&store, "u"), "other").unwrap();
        vfs.inject(rule);
        assert!(store.delete(&id("t")).is_err(), "{context}");
        let told = store.maintain(Timestamp::new(1000));
        let is_soon = |next| next <= Timestamp::new(11_000);
        assert!(told.next.is_some_and(is_soon), "{context}: {told:?}");
        assert!(dirs(&mem).contains(&"t-0".to_owned()), "{context}");
        vfs.heal();
        while store.maintain(Timestamp::new(11_000)).more {}
        assert_eq!(dirs(&mem), ["u-0"], "{context}");
        append(&log(&store, "u"), "goes on").unwrap();
        assert!(store.close().clean, "{context}");
    }
}

#[test]
fn a_journal_that_failed_is_not_kept_for_what_was_deleted() {
    let (mem, vfs, store) = faulty(small());
    let (t, u) = (log(&store, "t"), log(&store, "u"));
    append(&t, "old").unwrap();
    append(&u, "other").unwrap();
    vfs.inject(Rule::new(Fault::Io).on(Operation::Write).at("*/journal-*"));
    assert!(store.delete(&id("t")).is_err());
    while store.maintain(Timestamp::new(0)).more {}
    assert_eq!(dirs(&mem), ["u-0"]);
    let has_journal = |path: &String| path.contains("/journal-");
    assert!(!super::kit::image(&mem).keys().any(has_journal));
    append(&u, "goes on").unwrap();
    assert!(store.close().clean);
}

#[test]
fn a_stop_with_a_deletion_undone_is_not_clean_and_says_why() {
    let (_, vfs, store) = faulty(small());
    append(&log(&store, "t"), "old").unwrap();
    vfs.inject(Rule::new(Fault::Io).on(Operation::Rename).at("*/t-0*"));
    assert!(store.delete(&id("t")).is_err());
    let report = store.close();
    assert!(!report.clean && report.cause.is_some(), "{report:?}");
}

#[test]
fn a_log_that_is_being_opened_is_deleted_afterwards() {
    let (mem, _, store) = faulty(small());
    let first = store.log("t", log_options(Some(topic(1)))).unwrap();
    append(&first, "old").unwrap();
    append(&log(&store, "u"), "other").unwrap();
    let slot = store.inner.slot(&id("t"));
    // As whoever opens it does.
    let opening = slot.lock();
    let owed = store.delete_soon(&[id("t"), id("u")]).unwrap();
    assert_eq!(owed, [id("t")]);
    assert_eq!(dirs(&mem), ["t-0"], "the others are deleted at once");
    store.maintain(Timestamp::new(0));
    assert_eq!(dirs(&mem), ["t-0"]);
    drop(opening);

    let second = store.log("t", log_options(Some(topic(2)))).unwrap();
    append(&second, "new").unwrap();
    assert_eq!(texts(&second), ["new"]);
    let gone = append(&first, "x");
    assert!(matches!(gone, Err(AppendError::Deleted { .. })));
    assert!(store.close().clean);
}

/// A store with a log of each name, stopped cleanly and open again.
fn stopped(names: &[&str], options: StoreOptions) -> (MemVfs, FaultVfs, Store) {
    let (mem, vfs, store) = faulty(options.clone());
    for name in names {
        let log = store.log(*name, log_options(Some(topic(1)))).unwrap();
        append(&log, "old").unwrap();
    }
    assert!(store.close().clean);
    drop(store);
    let store = Store::open_in(world(vfs.clone()), DIR, options).unwrap();
    (mem, vfs, store.store)
}

#[test]
fn a_name_is_free_after_setting_aside_failed_at_its_note() {
    let (_mem, vfs, store) = stopped(&["t"], os());
    vfs.inject(Rule::new(Fault::Io).on(Operation::Rename).at("*/has-data*"));
    store.set_aside(&[id("t")]).unwrap_err();
    vfs.heal();
    let again = store.log("t", log_options(Some(topic(1)))).unwrap();
    append(&again, "new").unwrap();
    assert_eq!(texts(&again), ["new"]);
    assert!(store.close().clean);
}

#[test]
fn one_deletion_that_fails_holds_up_no_other() {
    let (mem, vfs, store) = stopped(&["t", "u"], small());
    vfs.inject(Rule::new(Fault::Io).on(Operation::Rename));
    store.delete(&id("t")).unwrap_err();
    store.delete(&id("u")).unwrap_err();
    vfs.heal();
    vfs.inject(Rule::new(Fault::Io).on(Operation::Rename).at("*/t-0*"));
    store.maintain(Timestamp::new(0));
    assert_eq!(dirs(&mem), ["t-0"]);
}

#[test]
fn no_stop_is_clean_while_a_deletion_could_not_begin() {
    let (_mem, vfs, store) = stopped(&["t"], small());
    vfs.inject(Rule::new(Fault::Io).on(Operation::RemoveFile));
    store.delete(&id("t")).unwrap_err();
    assert!(!store.close().clean);
}

#[test]
fn what_is_set_aside_is_kept_and_forgotten() {
    for clean in [true, false] {
        let mem = MemVfs::new();
        let store = super::kit::open(&mem);
        for name in ["t", "u"] {
            append(&log(&store, name), "one").unwrap();
        }
        log(&store, "t")
            .append(&[record("two", 10)], written())
            .unwrap();
        if clean {
            assert!(store.close().clean);
        }
        drop(store);
        let store = super::kit::open(&mem);
        let u = log(&store, "u");
        store.set_aside(&[id("t"), id("u")]).unwrap();
        assert!(store.found().is_empty());
        assert_eq!(texts(&u), ["one"], "an open log stays");
        let dirs = dirs(&mem);
        assert_eq!(dirs.len(), 2, "{dirs:?}");
        assert!(dirs.iter().any(|name| name.ends_with("-stray")), "{dirs:?}");
        let crashed = mem.crash(&CrashPlan::SYNCED_ONLY);
        assert!(store.close().clean);

        for image in [mem, crashed] {
            let opened = Store::open_in(world(image.clone()), DIR, small()).unwrap();
            assert!(opened.report.missing.is_empty(), "{:?}", opened.report);
            assert!(opened.report.problems.is_empty(), "{:?}", opened.report);
            assert_eq!(opened.store.found().len(), 1);
            let aside = dirs.iter().find(|name| name.ends_with("-stray")).unwrap();
            let path = format!("{DIR}/kafka/{aside}/00000000000000000000.log");
            assert!(
                image
                    .stat(path.as_ref())
                    .unwrap()
                    .is_some_and(|stat| stat.len > 0)
            );
        }
    }
}
