//! Budget, background work, and who is told what.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::kit::{
    DIR, append, id, log, log_options, maintain, open, record, small, texts, world, written,
};
use crate::vfs::{Call, Fault, FaultVfs, MemVfs, OpenMode, Operation, Rule, Vfs};
use crate::{
    AppendError, AppendOptions, Log, LogObserver, MaintenanceAlarm, Offset, StorageError, Store,
    StoreOptions, Timestamp,
};

fn faulty(options: StoreOptions) -> (MemVfs, FaultVfs, Store) {
    let mem = MemVfs::new();
    let vfs = FaultVfs::over(Arc::new(mem.clone()));
    let store = Store::open_in(world(vfs.clone()), DIR, options)
        .unwrap()
        .store;
    vfs.forget_calls();
    (mem, vfs, store)
}

fn count(vfs: &FaultVfs, operation: Operation, name: &str) -> usize {
    let is_one =
        |call: &&Call| call.operation == operation && call.path.to_string_lossy().contains(name);
    vfs.calls().iter().filter(is_one).count()
}

#[derive(Debug, Default)]
struct Alarm(AtomicUsize);

impl MaintenanceAlarm for Alarm {
    fn due(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug, Default)]
struct Told {
    durable: parking_lot::Mutex<Vec<i64>>,
    failed: AtomicUsize,
}

impl LogObserver for Told {
    fn durable(&self, ends: crate::Ends) {
        self.durable.lock().push(ends.durable.get());
    }

    fn failed(&self, _: &Arc<StorageError>) {
        self.failed.fetch_add(1, Ordering::SeqCst);
    }
}

fn observed(log: &Log) -> Arc<Told> {
    let told = Arc::new(Told::default());
    let observer: Arc<dyn LogObserver> = Arc::clone(&told) as _;
    log.observe(&observer);
    told
}

#[test]
fn one_round_makes_many_logs_durable() {
    let (_, vfs, store) = faulty(small());
    let logs: Vec<Log> = (0..20).map(|n| log(&store, &format!("t{n}"))).collect();
    let told: Vec<_> = logs.iter().map(observed).collect();
    for log in &logs {
        log.append(&[record("x", 10)], written()).unwrap();
        assert_eq!(log.ends().durable, Offset::ZERO, "not before the round");
    }
    store.flush().unwrap();
    assert_eq!(count(&vfs, Operation::SyncData, "journal"), 1);
    assert_eq!(count(&vfs, Operation::Write, "journal"), 1);
    assert_eq!(count(&vfs, Operation::SyncData, ".log"), 0);
    for told in told {
        assert_eq!(*told.durable.lock(), [1]);
    }
}

#[test]
fn appends_beyond_the_budget_sync_files_first() {
    let (_, vfs, store) = faulty(StoreOptions {
        dirty_bytes_max: 32 << 10,
        ..small()
    });
    let a = log(&store, "a");
    for _ in 0..10 {
        a.append(&[record("x", 3000)], written()).unwrap();
    }
    assert_eq!(count(&vfs, Operation::SyncData, ".log"), 0);
    a.append(&[record("x", 3000)], written()).unwrap();
    assert!(count(&vfs, Operation::SyncData, ".log") > 0);
    // One that is larger than the whole budget is let through.
    let large = store.log("large", crate::LogOptions::default()).unwrap();
    large.append(&[record("x", 100_000)], written()).unwrap();
    large.append(&[record("x", 100_000)], written()).unwrap();
}

#[test]
fn maintenance_is_asked_for_once_and_says_when_to_come_back() {
    let (_, vfs, store) = faulty(StoreOptions {
        journal_area_bytes_max: 128 << 10,
        ..small()
    });
    let alarm = Arc::new(Alarm::default());
    store.set_alarm(Some(Arc::clone(&alarm) as _));
    let rung = || alarm.0.swap(0, Ordering::SeqCst);
    let idle = store.maintain(Timestamp::new(1000));
    assert_eq!((idle.more, rung()), (false, 0));

    let a = log(&store, "a");
    append(&a, "one").unwrap();
    append(&a, "two").unwrap();
    assert_eq!(rung(), 1, "something is dirty");
    let told = store.maintain(Timestamp::new(2000));
    assert_eq!(
        (told.more, told.next),
        (false, Some(Timestamp::new(32_000)))
    );
    append(&a, "three").unwrap();
    assert_eq!(rung(), 0, "it is known when to look");
    assert_eq!(count(&vfs, Operation::SyncData, ".log"), 0);
    store.maintain(Timestamp::new(32_000));
    assert_eq!(
        count(&vfs, Operation::SyncData, ".log"),
        1,
        "dirty for too long"
    );
    // Checkpoints are due at the first look and a minute after it, and then nothing is.
    assert_eq!(count(&vfs, Operation::Rename, "recovery-point"), 1);
    assert!(store.maintain(Timestamp::new(62_000)).next.is_none());
    assert_eq!(count(&vfs, Operation::Rename, "recovery-point"), 2);
    assert_eq!(store.maintain(Timestamp::new(200_000)).next, None);

    while rung() == 0 {
        append(&a, "until the journal changes areas").unwrap();
    }
    store.delete(&id("a")).unwrap();
    assert_eq!(rung(), 1, "a directory waits to be removed");
}

#[test]
fn a_failed_file_sync_takes_one_log_offline_and_the_journal_heals_it() {
    let (mem, vfs, store) = faulty(small());
    let (a, b) = (log(&store, "a"), log(&store, "b"));
    let told = observed(&a);
    append(&a, "durable").unwrap();
    append(&b, "durable").unwrap();
    vfs.inject(
        Rule::new(Fault::LostSync)
            .on(Operation::SyncData)
            .at("*/a-0/*.log"),
    );
    store.maintain(Timestamp::new(0));
    store.maintain(Timestamp::new(60_000));
    assert_eq!(told.failed.load(Ordering::SeqCst), 1);
    assert!(matches!(append(&a, "x"), Err(AppendError::Storage(_))));
    append(&b, "lives").unwrap();
    let report = store.close();
    assert!(!report.clean);
    assert_eq!(report.failed[0].0, id("a"));
    assert_eq!(
        count(&vfs, Operation::SyncData, "a-0/00000000000000000000.log"),
        1
    );
    // The device never had the bytes; the journal did.
    let image = mem.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
    let store = open(&image);
    assert_eq!(texts(&log(&store, "a")), ["durable"]);
    assert_eq!(texts(&log(&store, "b")), ["durable", "lives"]);
}

#[test]
fn a_failed_round_takes_offline_what_was_in_it_and_nothing_else() {
    let (mem, vfs, store) = faulty(small());
    let (a, b, c) = (log(&store, "a"), log(&store, "b"), log(&store, "c"));
    for log in [&a, &b, &c] {
        append(log, "durable").unwrap();
    }
    a.append(&[record("lost?", 10)], written()).unwrap();
    b.append(&[record("lost?", 10)], written()).unwrap();
    vfs.inject(
        Rule::new(Fault::Io)
            .on(Operation::SyncData)
            .at("*/journal-*"),
    );
    assert!(store.flush().is_err());
    vfs.heal();
    for log in [&a, &b] {
        assert_eq!(log.ends().durable, Offset::new(1));
        assert!(matches!(append(log, "x"), Err(AppendError::Storage(_))));
    }
    // The third goes on without the journal, durable by its own file.
    let syncs = count(&vfs, Operation::SyncData, "journal");
    append(&c, "on").unwrap();
    assert_eq!(
        count(&vfs, Operation::SyncData, "journal"),
        syncs,
        "not asked again"
    );
    store.maintain(Timestamp::new(0));
    append(&c, "and on").unwrap();
    let image = mem.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
    let store = open(&image);
    assert_eq!(texts(&log(&store, "c")), ["durable", "on", "and on"]);
    for name in ["a", "b"] {
        assert_eq!(texts(&log(&store, name))[0], "durable");
    }
}

#[test]
fn a_full_device_refuses_and_goes_on_when_there_is_space() {
    let (mem, vfs, store) = faulty(small());
    let a = log(&store, "a");
    append(&a, "one").unwrap();
    vfs.inject(Rule::new(Fault::NoSpace).on(Operation::Write));
    let refused = append(&a, "refused").unwrap_err();
    assert!(
        matches!(&refused, AppendError::Storage(StorageError::NoSpace { .. })),
        "{refused}"
    );
    assert_eq!(texts(&a), ["one"]);
    vfs.free_space();
    append(&a, "two").unwrap();

    // Only the journal is without space: the files are synced instead.
    vfs.inject(
        Rule::new(Fault::NoSpace)
            .on(Operation::Write)
            .at("*/journal-*"),
    );
    let before = count(&vfs, Operation::SyncData, ".log");
    append(&a, "three").unwrap();
    assert!(count(&vfs, Operation::SyncData, ".log") > before);
    vfs.free_space();
    store.maintain(Timestamp::new(0));
    append(&a, "four").unwrap();
    let image = mem.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
    let expected = ["one", "two", "three", "four"];
    assert_eq!(texts(&log(&open(&image), "a")), expected);
}

/// Where nobody can note a new log start, no file goes that is below it.
#[test]
fn a_full_device_gets_space_by_deleted_records_and_keeps_the_start() {
    for options in [super::kit::os(), small()] {
        let mem = MemVfs::new().with_space(400_000);
        let vfs = FaultVfs::over(Arc::new(mem.clone()));
        let store = Store::open_in(world(vfs.clone()), DIR, options.clone());
        let store = store.unwrap().store;
        let a = log(&store, "a");
        while a
            .append(&[record("x", 1000)], AppendOptions::default())
            .is_ok()
        {
            maintain(&store);
        }
        // The last of the space.
        let filler = vfs.open(Path::new("/filler"), OpenMode::CreateNew).unwrap();
        let usable = mem.space(Path::new("/")).unwrap().usable;
        filler.set_len(usable).unwrap();
        let start = Offset::new(a.ends().end.get() / 2 + 1);
        let first = Path::new("/data/kafka/a-0/00000000000000000000.log");
        if options.flush == crate::FlushMode::Os {
            // Where not even the note can be changed that is there.
            let write = Rule::new(Fault::NoSpace).on(Operation::Write);
            vfs.inject(write.at("*/offsets*"));
            a.delete_records(start).unwrap();
            (0..5).for_each(|_| _ = a.maintain(Timestamp::new(60_000)));
            assert!(mem.stat(first).unwrap().is_some());
            vfs.free_space();
        }
        a.delete_records(start).unwrap();
        let _ = store.flush();
        // The first time nothing may be noted yet.
        let freed = (0..10).any(|_| {
            let _ = a.maintain(Timestamp::new(60_000));
            mem.stat(first).unwrap().is_none()
        });
        assert!(freed, "{:?}", options.flush);
        let image = mem.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
        let reopened = super::kit::open_with(&image, options);
        assert_eq!(log(&reopened, "a").ends().start, start);
        while a.maintain(Timestamp::new(120_000)).unwrap().more {}
        append(&a, "there is room again").unwrap();
    }
}

/// What a full device kept from being written is in the batches.
#[test]
fn leader_epochs_that_could_not_be_written_are_found_again() {
    let (mem, vfs, store) = faulty(super::kit::os());
    let a = log(&store, "a");
    let put = |epoch| {
        let options = crate::BatchOptions {
            now: Timestamp::new(1000),
            ..crate::BatchOptions::default()
        };
        let bytes = crate::build_batch(&[record("x", 1000)], &options).unwrap();
        let batches = crate::ValidBatches::parse(bytes, &crate::Limits::default()).unwrap();
        let epoch = crate::LeaderEpoch::new(epoch);
        let context = crate::LeaderAppend::new(Timestamp::new(1000), epoch);
        a.append_as_leader(batches, &context).unwrap();
    };
    let sync = |minute: i64| {
        store.maintain(Timestamp::new(minute * 60_000));
        store.maintain(Timestamp::new((minute + 9) * 60_000));
    };
    put(1);
    sync(0);
    vfs.inject(Rule::new(Fault::NoSpace).at("*/leader-epoch-checkpoint*"));
    (0..12).for_each(|_| put(2));
    sync(20);
    let image = mem.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
    let store = super::kit::open_with(&image, super::kit::os());
    let a = log(&store, "a");
    assert_eq!(a.ends().end, Offset::new(13), "all was synced");
    let epochs = [0, 1, 12].map(|at| a.epoch_of(Offset::new(at)).map(crate::LeaderEpoch::get));
    assert_eq!(epochs, [Some(1), Some(2), Some(2)]);
    assert_eq!(store.findings().len(), 1);
}

#[test]
fn too_many_open_files_put_off_what_can_be_made_anew() {
    let (mem, vfs, store) = faulty(small());
    let a = log(&store, "a");
    // Two segments have ended.
    for _ in 0..7 {
        a.append(&[record("x", 1500)], AppendOptions::default())
            .unwrap();
    }
    let is_index = |path: &String| path.contains("/a-0/") && path.ends_with(".index");
    let indexes = || super::kit::image(&mem).into_keys().filter(is_index).count();
    vfs.inject(Rule::new(Fault::TooManyOpen).at("*/a-0/*.tmp"));
    store.maintain(Timestamp::new(0));
    store.maintain(Timestamp::new(60_000));
    assert!(vfs.calls().iter().any(|call| call.fault.is_some()));
    assert_eq!(indexes(), 0);
    append(&a, "goes on").unwrap();
    vfs.heal();
    store.maintain(Timestamp::new(120_000));
    store.maintain(Timestamp::new(180_000));
    assert!(indexes() > 0);
    append(&a, "and on").unwrap();
    assert!(store.close().clean);
}

#[test]
fn too_many_open_files_for_a_moment_take_nothing_offline() {
    for at in ["*/a-0", "*/a-0/partition.metadata"] {
        let (_, vfs, store) = faulty(small());
        let a = log(&store, "a");
        append(&a, "one").unwrap();
        let for_a_moment = Rule::new(Fault::TooManyOpen).at(at).nth(0);
        vfs.inject(for_a_moment);
        store.maintain(Timestamp::new(0));
        store.maintain(Timestamp::new(60_000));
        assert!(vfs.calls().iter().any(|call| call.fault.is_some()), "{at}");
        append(&a, "goes on").unwrap();
    }
    // Of the directory of all logs, a failed sync would be remembered.
    let (_, vfs, store) = faulty(small());
    vfs.inject(
        Rule::new(Fault::TooManyOpen)
            .on(Operation::SyncDir)
            .at("*/kafka"),
    );
    assert!(store.checkpoint_high_watermarks(&[].into()).is_err());
    vfs.heal();
    append(&log(&store, "a"), "one").unwrap();
    assert!(store.close().clean);
}

#[test]
fn opening_a_log_of_a_closed_store_is_refused() {
    let (_, _, store) = faulty(small());
    assert!(store.close().clean);
    let refused = store.log("a", log_options(None));
    assert!(matches!(refused, Err(crate::LogError::Closed { .. })));
    assert!(store.delete(&id("a")).is_err());
    assert_eq!(
        store.maintain(Timestamp::new(0)),
        crate::Maintenance::default()
    );
    assert!(store.close().clean, "a second close answers the same");
    assert!(AppendOptions::default().condition == crate::Condition::Any);
}
