//! Errors of the disk: nothing half done shows, and what may go on does.

use std::sync::Arc;

use crate::log::kit::{Kit, at, batch};
use crate::log::{AppendError, Bound, Known, LeaderAppend, LogCore, LogObserver, ReadError};
use crate::vfs::{Fault, FaultPoints, FaultVfs, MemVfs, Operation, Rule};
use crate::{Appended, BatchOptions, Ends, LeaderEpoch, Offset, StorageError};

fn kit() -> (FaultVfs, Kit) {
    let faulty = FaultVfs::over(Arc::new(MemVfs::new()));
    let kit = Kit::over(Arc::new(faulty.clone()));
    (faulty, kit)
}

fn append(log: &LogCore, value: &str) -> Result<Appended, AppendError> {
    let batches = batch(&[value], 0, &BatchOptions::default());
    log.append_as_leader(batches, &LeaderAppend::new(at(0), LeaderEpoch::new(0)))
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_space() {
    // At the write, in the middle of it, at each file that a first append or a roll makes.
    for operation in [Operation::Write, Operation::Create, Operation::CreateDir] {
        for nth in 0..8 {
            let (faulty, kit) = kit();
            let log = kit.open(&Known::default());
            faulty.inject(Rule::new(Fault::NoSpace).on(operation).from(nth));
            let mut acked = Vec::new();
            let mut refused = 0;
            for n in 0..40 {
                let value = format!("{n}{}", "f".repeat(300));
                match append(&log, &value) {
                    Ok(_) => acked.push(value),
                    Err(AppendError::Storage(error)) => {
                        assert!(error.is_recoverable(), "{operation:?} {nth}: {error}");
                        refused += 1;
                    }
                    Err(other) => panic!("{other}"),
                }
                let values = log.values(0, Bound::LogEnd);
                let values: Vec<String> = values.into_iter().map(|(_, value)| value).collect();
                assert_eq!(values, acked, "a refused append leaves nothing");
                if refused == 3 {
                    faulty.free_space();
                }
            }
            // One directory, its metadata and four segments are made.
            let befell = match operation {
                Operation::CreateDir => nth < 1,
                Operation::Create => nth < 5,
                _ => true,
            };
            assert_eq!(refused, if befell { 3 } else { 0 }, "{operation:?} {nth}");
            kit.flusher.flush().unwrap();
            assert_eq!(log.ends().durable, log.ends().end);
            assert_eq!(kit.flusher.reserved(), 0);
            drop(log);
            let log = kit.open(&kit.known());
            assert_eq!(log.values(0, Bound::LogEnd).len(), acked.len());
        }
    }
}

#[test]
fn a_short_write_is_finished_or_cut_back() {
    let (faulty, kit) = kit();
    let log = kit.open(&Known::default());
    append(&log, "one").unwrap();
    faulty.inject(Rule::new(Fault::Short(10)).on(Operation::Write).nth(0));
    append(&log, "two").unwrap();
    faulty.inject(Rule::new(Fault::Short(10)).on(Operation::Write).nth(0));
    faulty.inject(Rule::new(Fault::NoSpace).on(Operation::Write).nth(1));
    let error = append(&log, "three").unwrap_err();
    assert!(
        matches!(error, AppendError::Storage(StorageError::NoSpace { .. })),
        "{error}"
    );
    let path = log.dir.join("00000000000000000000.log");
    let len = kit.vfs().stat(&path).unwrap().unwrap().len;
    assert_eq!(len, log.size_bytes(), "what was written of it is gone");
    append(&log, "four").unwrap();
    let values: Vec<String> = log
        .values(0, Bound::LogEnd)
        .into_iter()
        .map(|v| v.1)
        .collect();
    assert_eq!(values, ["one", "two", "four"]);
}

#[derive(Default)]
struct Failures(parking_lot::Mutex<Vec<String>>);

impl LogObserver for Failures {
    fn durable(&self, _: Ends) {}

    fn failed(&self, cause: &Arc<StorageError>) {
        self.0.lock().push(cause.to_string());
    }
}

#[test]
fn a_failed_write_takes_the_log_offline_until_a_restart() {
    let (faulty, kit) = kit();
    let log = kit.open(&Known::default());
    let failures = Arc::new(Failures::default());
    let observer: Arc<dyn LogObserver> = Arc::clone(&failures) as _;
    log.observers.add(&observer);
    append(&log, "one").unwrap();
    kit.flusher.flush().unwrap();
    faulty.inject(Rule::new(Fault::Io).on(Operation::Write).at("*.log").nth(0));
    for _ in 0..2 {
        let error = append(&log, "two").unwrap_err();
        assert!(
            matches!(error, AppendError::Storage(StorageError::Offline(_))),
            "{error}"
        );
    }
    let error = log.read(Offset::ZERO, 1, Bound::Durable).unwrap_err();
    assert!(
        matches!(error, ReadError::Storage(StorageError::Offline(_))),
        "{error}"
    );
    assert_eq!(failures.0.lock().len(), 1, "told once");
    drop(log);
    let log = kit.open(&kit.known());
    assert_eq!(log.values(0, Bound::Durable), [(0, "one".to_owned())]);
    append(&log, "two").unwrap();
}

#[test]
fn a_failed_sync_takes_the_log_offline() {
    let (faulty, kit) = kit();
    let log = kit.open(&Known::default());
    append(&log, "one").unwrap();
    faulty.inject(
        Rule::new(Fault::Io)
            .on(Operation::SyncData)
            .at("*.log")
            .nth(0),
    );
    kit.flusher.flush().unwrap_err();
    assert_eq!(log.ends().durable, Offset::ZERO);
    let error = append(&log, "two").unwrap_err();
    assert!(
        matches!(error, AppendError::Storage(StorageError::Offline(_))),
        "{error}"
    );
}

#[test]
fn too_many_open_files_pass() {
    let (faulty, kit) = kit();
    let log = kit.open(&Known::default());
    append(&log, "one").unwrap();
    kit.flusher.flush().unwrap();
    kit.shared.handles.sweep();
    kit.shared.handles.sweep();
    faulty.inject(Rule::new(Fault::TooManyOpen).on(Operation::Open).from(0));
    assert!(matches!(
        log.read(Offset::ZERO, 1, Bound::Durable),
        Err(ReadError::Storage(StorageError::TooManyFiles { .. }))
    ));
    assert!(matches!(
        append(&log, "two"),
        Err(AppendError::Storage(StorageError::TooManyFiles { .. }))
    ));
    faulty.heal();
    append(&log, "two").unwrap();
    assert_eq!(log.values(0, Bound::LogEnd).len(), 2);
}

/// What the workload of [`each_call_may_fail`] was promised.
#[derive(Debug, Default)]
struct Notes {
    attempted: Vec<String>,
    known: Known,
}

#[test]
fn each_call_may_fail() {
    let base = MemVfs::new();
    Kit::over(Arc::new(base.clone()));
    let points = FaultPoints::new(base);
    // A call that is interrupted for ever is one that waits for ever.
    let lasting = [Fault::Io, Fault::NoSpace, Fault::LostSync];
    for points in [points.clone(), points.lasting().faults(&lasting)] {
        let checked = points.run(
            |vfs, notes: &mut Notes| {
                let kit = Kit::bare(Arc::new(vfs));
                let mut log = None;
                for n in 0..10 {
                    if log.is_none() {
                        log = kit.try_open(&notes.known).ok().map(|(log, _)| log);
                    }
                    let Some(log) = &log else { continue };
                    let value = format!("{n} {}", "e".repeat(400 + 70 * (n % 3)));
                    let before = log.ends().end;
                    notes.attempted.truncate(before.get() as usize);
                    notes.attempted.push(value.clone());
                    match append(log, &value) {
                        Ok(appended) => assert_eq!(appended.base_offset, before),
                        Err(_) => assert_eq!(log.ends().end, before),
                    }
                    if n % 4 == 3 {
                        let _ = kit.flusher.flush();
                        notes.known = kit.known();
                        assert!(log.ends().durable <= kit.known().durable_end);
                    }
                }
                Ok::<(), ()>(())
            },
            |image, notes, _| {
                let kit = Kit::over(Arc::new(image));
                let (log, report) = kit.try_open(&notes.known).unwrap();
                assert_eq!(report.corrupt, None);
                let values: Vec<String> = log
                    .values(0, Bound::LogEnd)
                    .into_iter()
                    .map(|v| v.1)
                    .collect();
                assert!(values.len() as i64 >= notes.known.durable_end.get());
                assert_eq!(notes.attempted.get(..values.len()), Some(&*values));
                append(&log, "after").unwrap();
            },
        );
        assert!(checked > 250, "{checked}");
    }
}

#[test]
fn a_removal_that_failed_is_done_when_there_is_space() {
    let (vfs, kit) = kit();
    let log = kit.open(&Known::default());
    log.fill(100);
    kit.flusher.flush().unwrap();
    log.delete_records(Offset::new(50)).unwrap();
    let first = || {
        let names = kit.vfs().list(&kit.shared.root.join("orders-0")).unwrap();
        let is_first = |name: &String| name.starts_with("00000000000000000000.");
        names.into_iter().map(|e| e.name).filter(is_first).count()
    };
    assert_eq!(first(), 3, "the segment and two indexes");
    for suffix in [".log", ".index"] {
        let rule = Rule::new(Fault::NoSpace).on(Operation::Rename);
        vfs.inject(rule.at(&format!("*0000{suffix}")));
        // What else there is to do is done first.
        let mut done = log.maintain(at(2000));
        while done.as_ref().is_ok_and(|done| done.more) {
            done = log.maintain(at(2000));
        }
        done.unwrap_err();
        assert_eq!(first(), 3);
        vfs.free_space();
    }
    while log.maintain(at(2000)).unwrap().more {}
    while log.maintain(at(200_000)).unwrap().more {}
    assert_eq!(first(), 0);
    assert_eq!(log.values(50, Bound::LogEnd).len(), 50);
}
