//! Real threads: many waiters and few rounds, and nothing lost in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::kit::{DIR, append, log, open, record, small, texts, values, world, written};
use crate::vfs::{CrashPlan, Fault, FaultVfs, MemVfs, Operation, Rule};
use crate::{
    Ends, LeaderAppend, LeaderEpoch, Log, LogObserver, Offset, StorageError, Store, StoreOptions,
    Timestamp, ValidBatches,
};

/// Holds up the leader of a round after its sync, until it is told to go on.
#[derive(Debug)]
struct Gate {
    entered: mpsc::SyncSender<()>,
    go_on: parking_lot::Mutex<mpsc::Receiver<()>>,
}

impl LogObserver for Gate {
    fn durable(&self, _: Ends) {
        // The test ends first only where it failed.
        let _ = self.entered.send(());
        let _ = self.go_on.lock().recv();
    }

    fn failed(&self, _: &Arc<StorageError>) {}
}

#[test]
fn while_one_round_runs_the_next_gathers_everybody() {
    const WAITERS: usize = 16;
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let opened = Store::open_in(world(vfs.clone()), DIR, small()).unwrap();
    let store = opened.store;
    let (entered, inside) = mpsc::sync_channel(1);
    let (go_on, told) = mpsc::sync_channel(1);
    let first = log(&store, "first");
    let gate: Arc<dyn LogObserver> = Arc::new(Gate {
        entered,
        go_on: parking_lot::Mutex::new(told),
    });
    first.observe(&gate);
    let logs: Vec<Log> = (0..WAITERS)
        .map(|n| log(&store, &format!("t{n}")))
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| append(&first, "x").unwrap());
        inside.recv().unwrap();
        vfs.forget_calls();
        for log in &logs {
            scope.spawn(|| append(log, "x").unwrap());
        }
        // All of them have written, and none is answered while the first round runs.
        while logs.iter().any(|log| log.ends().end == Offset::ZERO) {
            thread::yield_now();
        }
        assert!(logs.iter().all(|log| log.ends().durable == Offset::ZERO));
        go_on.send(()).unwrap();
    });
    assert!(logs.iter().all(|log| log.ends().durable == Offset::new(1)));
    let calls = vfs.calls();
    let syncs = calls.iter().filter(|call| {
        call.operation == Operation::SyncData && call.path.to_string_lossy().contains("journal")
    });
    assert_eq!(syncs.count(), 1, "one round for all of them");
}

/// Appends from many threads with every kind of background work beside them; then the power goes.
#[test]
fn nothing_is_lost_between_threads() {
    const WRITERS: usize = 4;
    const EACH: usize = 60;
    let vfs = MemVfs::new();
    let store = super::kit::open_with(
        &vfs,
        StoreOptions {
            dirty_bytes_max: 64 << 10,
            ..small()
        },
    );
    let stop = AtomicBool::new(false);
    let start = Barrier::new(WRITERS);
    thread::scope(|scope| {
        let flusher = scope.spawn(|| {
            while store.wait_dirty(&stop) {
                store.flush().unwrap();
            }
        });
        let keeper = scope.spawn(|| {
            let mut now = 0;
            while !stop.load(Ordering::Acquire) {
                now += 10_000;
                store.maintain(Timestamp::new(now));
                thread::yield_now();
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, start) = (&store, &start);
                scope.spawn(move || {
                    let shared = log(store, "shared");
                    let own = log(store, &format!("own{writer}"));
                    start.wait();
                    for number in 0..EACH {
                        let text = format!("{writer}/{number}");
                        append(&shared, &text).unwrap();
                        own.append(&[record(&text, 500)], written()).unwrap();
                        if number == EACH / 2 {
                            let other = format!("gone{writer}");
                            append(&log(store, &other), "x").unwrap();
                            store.delete(&super::kit::id(&other)).unwrap();
                        }
                        if number == 40 {
                            own.delete_records(Offset::new(20)).unwrap();
                            while own.maintain(Timestamp::new(0)).unwrap().more {}
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        store.flush().unwrap();
        stop.store(true, Ordering::Release);
        store.wake();
        flusher.join().unwrap();
        keeper.join().unwrap();
    });
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    let store = open(&image);
    let shared = texts(&log(&store, "shared"));
    assert_eq!(shared.len(), WRITERS * EACH);
    for writer in 0..WRITERS {
        let own: Vec<String> = (0..EACH)
            .map(|number| format!("{writer}/{number}"))
            .collect();
        let of_writer = shared.iter().filter(|text| own.contains(text));
        assert!(of_writer.eq(own.iter()), "in order and once");
        let found = values(&log(&store, &format!("own{writer}")));
        let expected = own.into_iter().enumerate().skip(20);
        let expected: Vec<_> = expected
            .map(|(n, t)| (i64::try_from(n).unwrap(), t))
            .collect();
        assert_eq!(found, expected);
    }
    assert!(
        store
            .found()
            .iter()
            .all(|found| !found.id.topic().as_str().starts_with("gone"))
    );
}

#[test]
fn a_close_wakes_the_flusher_and_ends_the_appends() {
    let store = open(&MemVfs::new());
    let a = log(&store, "a");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let flusher = scope.spawn(|| {
            let mut rounds = 0;
            while store.wait_dirty(&stop) {
                let _ = store.flush();
                rounds += 1;
            }
            rounds
        });
        let writer = scope.spawn(|| {
            let mut acknowledged = 0;
            while append(&a, "x").is_ok() {
                acknowledged += 1;
            }
            acknowledged
        });
        while a.ends().durable < Offset::new(20) {
            thread::yield_now();
        }
        let report = store.close();
        assert!(report.clean, "{report:?}");
        let end = report.ends[&super::kit::id("a")].get();
        assert!(writer.join().unwrap() <= end);
        flusher.join().unwrap();
    });
}

/// All room is taken by an append that has not written yet, so that nothing is dirty that could be
/// synced: who waits for room makes some itself once it has.
#[test]
fn room_that_was_taken_is_waited_for_until_it_is_written() {
    let options = StoreOptions {
        dirty_bytes_max: 4 << 10,
        ..small()
    };
    let store = super::kit::open_with(&MemVfs::new(), options);
    let (a, b) = (log(&store, "a"), log(&store, "b"));
    let large = crate::build_batch(&[record("large", 3000)], &crate::BatchOptions::default());
    let large = ValidBatches::parse(large.unwrap(), &crate::Limits::default()).unwrap();
    let room = a.try_room(large.bytes().len()).unwrap().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| b.append(&[record("b", 3000)], written()).unwrap());
        // Most likely it waits by now; the test must pass whether it does or not.
        (0..10_000).for_each(|_| thread::yield_now());
        assert!(!waits.is_finished());
        let context = LeaderAppend::new(Timestamp::new(0), LeaderEpoch::new(0));
        a.append_in(room, large, &context).unwrap();
    });
    assert_eq!(b.ends().end, Offset::new(1));
}

#[test]
fn a_delete_that_fails_keeps_no_room() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let options = StoreOptions {
        dirty_bytes_max: 4 << 10,
        ..super::kit::os()
    };
    let store = Store::open_in(world(vfs.clone()), DIR, options)
        .unwrap()
        .store;
    let (a, b) = (log(&store, "a"), log(&store, "b"));
    a.append(&[record("a", 3000)], written()).unwrap();
    vfs.inject(Rule::new(Fault::NoSpace).at("*/has-data*"));
    assert!(store.delete(a.id()).is_err());
    // Nobody can make its bytes durable any more.
    b.append(&[record("b", 3000)], written()).unwrap();
    vfs.free_space();
    store.delete(a.id()).unwrap();
}

#[test]
fn two_who_open_a_log_at_once_get_the_same() {
    let mem = MemVfs::new();
    let store = open(&mem);
    append(&log(&store, "a"), "before").unwrap();
    store.close();
    drop(store);
    let vfs = FaultVfs::over(Arc::new(mem));
    let opened = Store::open_in(world(vfs.clone()), DIR, small());
    let store = opened.unwrap().store;
    // The first is held up in the middle of it, until the second is about to come.
    let comes = Barrier::new(2);
    vfs.inject(Rule::new(Fault::Stall).at("*/a-0*").nth(0));
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| log(&store, "a"));
        let is_held_up = vfs.await_stall(Duration::from_secs(30));
        let second = scope.spawn(|| {
            comes.wait();
            log(&store, "a")
        });
        comes.wait();
        vfs.go_on();
        assert!(is_held_up);
        (first.join().unwrap(), second.join().unwrap())
    });
    assert!(Arc::ptr_eq(first.core(), second.core()));
    append(&first, "of the first").unwrap();
    append(&second, "of the second").unwrap();
    assert_eq!(texts(&first), ["before", "of the first", "of the second"]);
}
