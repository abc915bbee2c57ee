//! Power cuts and kills after each operation on the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::log::kit::{Kit, at, batch, small};
use crate::log::{Bound, Known, LeaderAppend, LogConfig, LogCore};
use crate::vfs::{CrashPoints, MemVfs, Vfs};
use crate::{BatchOptions, LeaderEpoch, Offset, StorageError};

/// What a workload was promised, and what may be found.
#[derive(Clone, Debug, Default)]
struct Notes {
    known: Known,
    /// The log may begin with each of these and with nothing else: what is written now, and what
    /// was written before it was cut.
    histories: Vec<Vec<String>>,
}

/// A workload's log.
struct Work<'n> {
    kit: Kit,
    log: Arc<LogCore>,
    notes: &'n mut Notes,
}

type Done = Result<(), Box<dyn std::error::Error>>;

impl<'n> Work<'n> {
    fn new(vfs: MemVfs, notes: &'n mut Notes) -> Result<Self, Box<dyn std::error::Error>> {
        let kit = Kit::over(Arc::new(vfs));
        let (log, _) = kit.try_open(&Known::default())?;
        notes.histories.push(Vec::new());
        Ok(Self { kit, log, notes })
    }

    fn append(&mut self, value: String) -> Done {
        // Noted first: a failed append may be found after a crash.
        let history = self.notes.histories.last_mut().unwrap();
        history.truncate(self.log.ends().end.get() as usize);
        history.push(value.clone());
        let batches = batch(&[&value], 1000, &BatchOptions::default());
        let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        self.log.append_as_leader(batches, &context)?;
        Ok(())
    }

    fn flush(&mut self) -> Done {
        let flushed = self.kit.flusher.flush();
        self.notes.known = self.kit.known();
        Ok(flushed?)
    }

    fn truncate(&mut self, to: i64) -> Done {
        let mut history = self.notes.histories.last().unwrap().clone();
        history.truncate(to as usize);
        self.notes.histories.push(history);
        let truncated = self.log.truncate_to(Offset::new(to));
        self.notes.known = self.kit.known();
        Ok(truncated?)
    }

    fn delete(&mut self, to: i64) -> Done {
        self.log.delete_records(Offset::new(to))?;
        Ok(())
    }

    fn maintain(&mut self, now: i64) -> Done {
        let maintained = self.log.maintain(at(now));
        self.notes.known = self.kit.known();
        maintained?;
        Ok(())
    }
}

/// The values of a log from its start on.
fn found(log: &Arc<LogCore>) -> (usize, Vec<String>) {
    let start = log.ends().start.get();
    let values = log.values(start, Bound::LogEnd);
    for (place, (offset, _)) in values.iter().enumerate() {
        assert_eq!(*offset, start + place as i64, "offsets have no gap");
    }
    let values = values.into_iter().map(|(_, value)| value).collect();
    (start as usize, values)
}

/// Opens what a crash left, and holds it against what was promised; then goes on with it.
fn check(image: &MemVfs, notes: &Notes) {
    let kit = Kit::over(Arc::new(image.clone()));
    kit.flusher.resume(&notes.known);
    let (log, report) = kit.try_open(&notes.known).unwrap();
    assert_eq!(report.corrupt, None);
    let (start, values) = found(&log);
    let end = log.ends().end.get() as usize;
    assert_eq!(start + values.len(), end);
    assert!(start as i64 >= notes.known.log_start.get());
    assert!(
        end as i64 >= notes.known.durable_end.get(),
        "ends at {end}, durable was {}",
        notes.known.durable_end
    );
    let fits = |history: &Vec<String>| history.get(start..end).is_some_and(|h| h == values);
    assert!(
        notes.histories.iter().any(fits),
        "{start}: {values:?} is in none of {:?}",
        notes.histories
    );
    assert_eq!(log.ends().durable, log.ends().end);
    go_on(&kit, log, &values);
}

/// The log takes appends, and has them and the rest after a clean stop and after a power cut.
fn go_on(kit: &Kit, log: Arc<LogCore>, before: &[String]) {
    let mut expected = before.to_vec();
    for n in 0..3 {
        let value = format!("after the crash {n} {}", "x".repeat(600));
        log.put(&[&value]);
        expected.push(value);
    }
    assert_eq!(found(&log).1, expected);
    kit.flusher.flush().unwrap();
    let known = crate::log::kit::closed(&log);
    drop(log);
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.checked_bytes, 0, "the stop was clean");
    assert_eq!(found(&log).1, expected);
}

/// Also cuts the recovery short, again and again.
fn check_twice(image: MemVfs, notes: &Notes, step: u64) {
    check(&image.fork(), notes);
    let recovery = |vfs: MemVfs, _: &mut ()| -> Result<(), StorageError> {
        let kit = Kit::over(Arc::new(vfs.clone()));
        match kit.try_open(&notes.known) {
            Ok((log, _)) => {
                // So that there is something to cut in each recovery.
                let dir = Path::new("data");
                vfs.sync_dir(dir)
                    .map_err(|e| StorageError::io("sync", dir, e))?;
                drop(log);
                Ok(())
            }
            Err(crate::log::LogError::Storage { source, .. }) => Err(source),
            Err(other) => panic!("{other}"),
        }
    };
    CrashPoints::new(image)
        .torn(1)
        .step(step)
        .run(recovery, |image, (), _| check(&image, notes));
}

/// A file system with the directories of a store and nothing in them.
fn empty() -> MemVfs {
    let vfs = MemVfs::new();
    Kit::over(Arc::new(vfs.clone()));
    vfs
}

fn value(n: usize) -> String {
    format!("{n} {}", "v".repeat(100 + 37 * (n % 11)))
}

#[test]
fn appends_and_rolls() {
    let checked = CrashPoints::new(empty()).torn(6).run(
        |vfs, notes| {
            let mut work = Work::new(vfs, notes)?;
            for n in 0..24 {
                work.append(value(n))?;
                if n % 5 == 2 {
                    work.flush()?;
                }
            }
            work.flush()
        },
        |image, notes: &Notes, _| check(&image, notes),
    );
    assert!(checked > 500, "{checked}");
}

#[test]
fn appends_larger_than_a_block() {
    // Several unsynced batches in one segment: a device may take a later one and not the first.
    let cut = AtomicU64::new(0);
    CrashPoints::new(empty()).torn(16).run(
        |vfs, notes| {
            let mut work = Work::new(vfs, notes)?;
            for n in 0..6 {
                work.append("w".repeat(1500 + 40 * n))?;
                if n == 2 {
                    work.flush()?;
                }
            }
            Ok::<(), Box<dyn std::error::Error>>(())
        },
        |image, notes: &Notes, _| cut_in(&image, notes, &cut),
    );
    assert!(cut.into_inner() > 50, "the crashes left torn tails");
}

/// As [`check`]; counts torn tails, and looks at what was kept of them.
fn cut_in(image: &MemVfs, notes: &Notes, cut: &AtomicU64) {
    let opened = image.fork();
    let (_, report) = Kit::over(Arc::new(opened.clone()))
        .try_open(&notes.known)
        .unwrap();
    if let Some(tail) = report.cut {
        cut.fetch_add(1, Ordering::Relaxed);
        let read = |vfs: &MemVfs, path: &Path| {
            crate::checkpoint::read(vfs, path, 1 << 20)
                .unwrap()
                .unwrap()
        };
        let before = read(image, &tail.path);
        let kept = read(&opened, &tail.kept);
        let (_, torn) = before.split_at(tail.position as usize);
        assert_eq!(kept.get(..torn.len()), Some(torn), "{tail:?}");
        assert!(tail.bytes >= torn.len() as u64);
    }
    check(image, notes);
}

#[test]
fn crashes_in_recovery_too() {
    CrashPoints::new(empty()).torn(2).step(7).run(
        |vfs, notes| {
            let mut work = Work::new(vfs, notes)?;
            for n in 0..16 {
                work.append(value(n))?;
                if n % 6 == 1 {
                    work.flush()?;
                }
            }
            work.flush()
        },
        |image, notes: &Notes, _| check_twice(image, notes, 2),
    );
}

#[test]
fn truncates() {
    CrashPoints::new(empty()).torn(6).run(
        |vfs, notes| {
            let mut work = Work::new(vfs, notes)?;
            for n in 0..20 {
                work.append(value(n))?;
            }
            work.flush()?;
            for n in 20..24 {
                work.append(value(n))?;
            }
            work.truncate(7)?;
            for n in 0..9 {
                work.append(format!("second {}", value(n)))?;
                if n == 4 {
                    work.flush()?;
                }
            }
            work.truncate(13)?;
            work.append("third".to_owned())?;
            work.flush()
        },
        |image, notes: &Notes, _| check(&image, notes),
    );
}

#[test]
fn lets_old_segments_go() {
    let keeping = |ms| LogConfig {
        retention_ms: Some(Duration::from_millis(ms)),
        ..small()
    };
    let checked = CrashPoints::new(empty()).torn(6).run(
        |vfs, notes| {
            let mut work = Work::new(vfs, notes)?;
            for n in 0..24 {
                work.append(value(n))?;
            }
            work.flush()?;
            work.log.set_config(keeping(1000));
            // The records are of 1,000: all of them go, the active segment too.
            for now in [2000, 2001, 62_001, 62_001, 62_001, 62_001] {
                work.maintain(now)?;
            }
            for n in 24..40 {
                work.append(value(n))?;
            }
            work.log.set_config(LogConfig {
                retention_bytes: Some(1000),
                ..small()
            });
            work.maintain(63_000)?;
            work.flush()?;
            for now in [64_000, 130_000, 130_000] {
                work.log.set_config(LogConfig {
                    retention_bytes: Some(1000),
                    ..small()
                });
                work.maintain(now)?;
            }
            assert!(work.log.ends().start > Offset::new(24));
            work.append(value(40))?;
            work.flush()
        },
        |image, notes: &Notes, _| check(&image, notes),
    );
    assert!(checked > 500, "{checked}");
}

#[test]
fn moves_the_log_start() {
    CrashPoints::new(empty()).torn(6).run(
        |vfs, notes| {
            let mut work = Work::new(vfs, notes)?;
            for n in 0..24 {
                work.append(value(n))?;
            }
            work.flush()?;
            work.delete(9)?;
            work.maintain(1000)?;
            work.append(value(24))?;
            work.delete(17)?;
            work.flush()?;
            for now in [2000, 62_000, 63_000, 64_000, 200_000] {
                work.maintain(now)?;
            }
            work.flush()
        },
        |image, notes: &Notes, _| check(&image, notes),
    );
}

/// A round that syncs the file beside an append takes the mark that the append has set.
#[test]
fn what_is_written_beside_a_sync_is_for_the_next_one() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.put(&["a"]);
    let segment = log.active();
    let file = segment.open_for_append().unwrap();
    segment.sync().unwrap();
    let batches = batch(&["b"], 1000, &BatchOptions::default());
    segment.write(&file, batches.bytes()).unwrap();
    assert!(!segment.is_synced(), "the sync may have missed these bytes");
    segment.sync().unwrap();
    assert!(segment.is_synced());
}
