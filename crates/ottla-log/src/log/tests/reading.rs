//! Reads: ranges, bounds, checks, pins, and readers beside an appender.

use std::cell::Cell;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::batch::ValidBatches;
use crate::log::kit::{Kit, at, batch, closed};
use crate::log::slice::Source;
use crate::log::{Bound, FlushMode, Known, LeaderAppend, LogObserver, ReadError};
use crate::vfs::{FileRange, MemVfs, OpenMode};
use crate::{BatchOptions, Ends, LeaderEpoch, Limits, Offset, StorageError};

fn offset(n: i64) -> Offset {
    Offset::new(n)
}

#[test]
fn a_range_is_whole_batches_up_to_the_bound() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    kit.flusher.flush().unwrap();
    let size = log.read(offset(0), 1, Bound::Durable).unwrap().len();
    for fit in [1, 2, 7, 15] {
        let max = (fit * size + size / 2) as usize;
        let slice = log.read(offset(3), max, Bound::Durable).unwrap();
        assert_eq!(slice.len(), fit * size);
        assert_eq!(slice.base_offset(), offset(3));
        assert_eq!(slice.next_offset(), offset(3 + fit as i64));
    }
    // The bound ends a range that would fit, wherever it is asked for.
    for until in 1..60 {
        let bound = Bound::Until(offset(until));
        let pieces = log.all_bytes(offset(0), usize::MAX, bound);
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        assert_eq!(bytes, until as u64 * size);
    }
    let nothing = log.read(offset(60), 100, Bound::LogEnd).unwrap();
    assert!(nothing.is_empty());
    assert_eq!(
        (nothing.base_offset(), nothing.next_offset()),
        (offset(60), offset(60))
    );
    for outside in [-1, 61] {
        let error = log.read(offset(outside), 1, Bound::LogEnd).unwrap_err();
        let ReadError::OffsetOutOfRange {
            asked, start, end, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (asked, start, end),
            (offset(outside), offset(0), offset(60))
        );
    }
}

#[test]
fn an_offset_inside_a_batch_gets_the_whole_batch() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.put(&["a", "b", "c"]);
    log.put(&["d", "e"]);
    let slice = log.read(offset(1), 1, Bound::LogEnd).unwrap();
    assert_eq!(
        (slice.base_offset(), slice.next_offset()),
        (offset(0), offset(3))
    );
    // A bound inside a batch leaves it out.
    let bound = Bound::Until(offset(4));
    let slice = log.read(offset(3), 1000, bound).unwrap();
    assert!(slice.is_empty());
    assert_eq!(log.values(1, Bound::LogEnd).first().unwrap().0, 1);
}

#[test]
fn only_checked_bytes_leave_as_a_range_of_the_file() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(15);
    let in_file = |log: &crate::log::LogCore, bound| {
        let slice = log.read(offset(2), 900, bound).unwrap();
        matches!(slice.source, Source::File { .. })
    };
    // What was just appended is known to be good; what may be cut is copied.
    assert!(!in_file(&log, Bound::LogEnd));
    kit.flusher.flush().unwrap();
    assert!(in_file(&log, Bound::Durable));
    assert!(!in_file(&log, Bound::LogEnd));
    let known = closed(&log);
    drop(log);
    let log = kit.open(&known);
    assert!(in_file(&log, Bound::Durable), "compared with the seal");
    drop(log);
    let seal = Path::new("data/ottla/seals/orders-0/00000000000000000000.seal");
    kit.vfs().remove_file(seal).unwrap();
    let log = kit.open(&known);
    assert!(!in_file(&log, Bound::Durable), "checked at the first read");
    assert!(in_file(&log, Bound::Durable), "and once only");
    let slice = log.read(offset(2), 900, Bound::Durable).unwrap();
    let FileRange::Chunks(chunks) = slice.file_range().unwrap() else {
        panic!("memory has chunks");
    };
    let bytes = slice.bytes().unwrap();
    assert_eq!(chunks.concat(), bytes);
    assert_eq!(slice.bytes_nowait().unwrap(), Some(bytes));
}

#[test]
fn a_flipped_bit_is_never_served() {
    for has_seal in [true, false] {
        a_flipped_bit(has_seal);
    }
}

/// What a reader meets: a segment without its seal is checked batch by batch.
fn a_flipped_bit(has_seal: bool) {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(15);
    let known = closed(&log);
    let size = log_size(&kit) / 15;
    drop(log);
    if !has_seal {
        let seal = kit
            .shared
            .seal_dir
            .join("orders-0/00000000000000000000.seal");
        kit.vfs().remove_file(&seal).unwrap();
    }
    let path = kit.shared.root.join("orders-0/00000000000000000000.log");
    let file = kit.vfs().open(&path, OpenMode::Write).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"!")], 7 * size + size - 10)
        .unwrap();
    let log = kit.open(&known);
    // The good ones before it come, without it.
    let slice = log.read(offset(5), usize::MAX, Bound::Durable).unwrap();
    assert_eq!(slice.next_offset(), offset(7));
    let error = log.read(offset(7), usize::MAX, Bound::Durable).unwrap_err();
    let ReadError::Corrupt { asked, cause, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*asked, offset(7));
    let StorageError::Corrupt {
        path: named,
        position,
        ..
    } = cause
    else {
        panic!("{cause}");
    };
    assert_eq!((named, *position), (&path, 7 * size));
    assert!(log.read(offset(8), 1, Bound::Durable).is_ok());
}

fn log_size(kit: &Kit) -> u64 {
    let path = kit.shared.root.join("orders-0/00000000000000000000.log");
    kit.vfs().stat(&path).unwrap().unwrap().len
}

#[test]
fn a_slice_outlives_its_segment() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    kit.flusher.flush().unwrap();
    let slice = log.read(offset(1), usize::MAX, Bound::Durable).unwrap();
    assert!(matches!(slice.source, Source::File { .. }));
    let before = slice.bytes().unwrap();
    log.delete_records(offset(50)).unwrap();
    assert_eq!(log.maintain(at(0)).unwrap().next, Some(at(60_000)));
    assert_eq!(slice.bytes().unwrap(), before);
    while log.maintain(at(100_000)).unwrap().more {}
    let left = kit.vfs().list(&kit.shared.root.join("orders-0")).unwrap();
    assert!(
        !left
            .iter()
            .any(|e| e.name.starts_with("00000000000000000000."))
    );
    assert_eq!(slice.bytes().unwrap(), before);
    let parsed = ValidBatches::parse(before, &Limits::default()).unwrap();
    assert_eq!(parsed.headers()[0].base_offset, offset(1));
    // And a deleted log's.
    let slice = log.read(offset(55), usize::MAX, Bound::Durable).unwrap();
    let before = slice.bytes().unwrap();
    log.retire();
    let aside = kit.shared.root.join("orders-0.0-delete");
    kit.vfs().rename(&log.dir, &aside).unwrap();
    assert_eq!(slice.bytes().unwrap(), before);
    let error = log.read(offset(55), 1, Bound::Durable).unwrap_err();
    assert!(matches!(error, ReadError::Deleted(_)), "{error}");
}

#[test]
fn few_files_stay_open() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(400);
    kit.flusher.flush().unwrap();
    assert!(log.segments.load().len() > 10);
    for round in 0..3 {
        for from in (0..400).rev() {
            let slice = log.read(offset(from), 1, Bound::Durable).unwrap();
            assert_eq!(slice.base_offset(), offset(from), "round {round}");
        }
        assert!(kit.shared.handles.len() <= 4);
    }
    kit.shared.handles.sweep();
    kit.shared.handles.sweep();
    assert_eq!(
        kit.shared.handles.len(),
        0,
        "an idle log holds no file open"
    );
    log.put(&["opens again"]);
    kit.shared.handles.sweep();
    kit.shared.handles.sweep();
    assert_eq!(
        kit.shared.handles.len(),
        1,
        "one with unsynced writes keeps it"
    );
}

#[test]
fn os_mode_publishes_at_the_append() {
    #[derive(Default)]
    struct Seen(parking_lot::Mutex<Vec<i64>>);
    impl LogObserver for Seen {
        fn durable(&self, ends: Ends) {
            self.0.lock().push(ends.durable.get());
        }
        fn failed(&self, _: &Arc<StorageError>) {}
    }
    let kit = Kit::at(Arc::new(MemVfs::new()), Path::new("data"), FlushMode::Os);
    let log = kit.open(&Known::default());
    let seen = Arc::new(Seen::default());
    let observer: Arc<dyn LogObserver> = Arc::clone(&seen) as _;
    log.observers.add(&observer);
    log.put(&["a"]);
    log.put(&["b", "c"]);
    assert_eq!(log.ends().durable, offset(3));
    assert_eq!(*seen.0.lock(), [1, 3]);
    // In sync mode the flusher does.
    let mut config = crate::log::kit::small();
    config.flush = Some(FlushMode::Sync);
    log.set_config(config);
    log.put(&["d"]);
    assert_eq!(log.ends().durable, offset(3));
    kit.flusher.flush().unwrap();
    assert_eq!(log.ends().durable, offset(4));
    assert_eq!(*seen.0.lock(), [1, 3, 4]);
}

/// Readers go by ends and segment list alone, while one thread appends, flushes and truncates.
#[test]
fn readers_beside_an_appender_see_whole_batches_only() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..60_i64 {
                for n in 0..12_usize {
                    let value = format!("{round}-{n}-{}", "z".repeat(n * 60));
                    let batches = batch(&[&value, &value], 0, &BatchOptions::default());
                    let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
                    log.append_as_leader(batches, &context).unwrap();
                }
                if round % 3 == 0 {
                    kit.flusher.flush().unwrap();
                }
                if round % 4 == 1 {
                    // Above the durable end only, as a follower above the high watermark.
                    let ends = log.ends();
                    let to = ends.durable.get() + (ends.end.get() - ends.durable.get()) / 2;
                    log.truncate_to(offset(to.max(1))).unwrap();
                }
                if round % 7 == 6 {
                    kit.shared.handles.sweep();
                }
            }
            done.store(true, Ordering::Release);
        });
        for reader in 0..2 {
            let (log, done) = (&log, &done);
            scope.spawn(move || {
                let mut from = offset(0);
                while !done.load(Ordering::Acquire) {
                    let bound = if reader == 0 {
                        Bound::LogEnd
                    } else {
                        Bound::Durable
                    };
                    match log.read(from, 2000, bound) {
                        Ok(slice) if slice.is_empty() => from = offset(0),
                        Ok(slice) => {
                            let bytes = slice.bytes().unwrap();
                            let parsed = ValidBatches::parse(bytes, &Limits::default()).unwrap();
                            let assigned = parsed.into_replicated().unwrap();
                            assert!(assigned.base_offset() <= from);
                            assert_eq!(assigned.next_offset(), slice.next_offset());
                            from = slice.next_offset();
                        }
                        // The log was cut below it.
                        Err(ReadError::OffsetOutOfRange { .. }) => from = offset(0),
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
}

#[test]
fn who_reads_a_long_time_is_done_beside_an_appender() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    let reads = Cell::new(0);
    let read_beside = |beside: &dyn Fn()| {
        reads.set(0);
        let read = log.unchanged(|segments| {
            reads.set(reads.get() + 1);
            if reads.get() < 3 {
                beside();
            }
            Ok(segments.len())
        });
        (read.unwrap(), reads.get())
    };
    let count = || log.segments.load().len();
    let before = count();
    assert_eq!(read_beside(&|| log.fill(60)), (before, 1));
    assert!(count() > before, "the log was rolled");
    // What was read may be gone.
    let cut = || {
        log.fill(1);
        log.truncate_to(log.ends().end.plus(-1)).unwrap();
    };
    assert_eq!(read_beside(&cut), (count(), 3));
    let shorten = || {
        let second = log.segments.load()[1].base();
        log.delete_records(second).unwrap();
    };
    let before = count();
    assert_eq!(read_beside(&shorten), (before - 2, 3));
}

/// The files of a log that nobody used for a while are closed. It is deleted after a reader looked
/// whether it is there, and before that one opens them: by the names of the next topic.
#[test]
fn a_reader_is_not_handed_the_next_topics_file() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.put(&["of the deleted topic"]);
    kit.flusher.flush().unwrap();
    kit.shared.handles.sweep();
    kit.shared.handles.sweep();
    let read = log.unchanged(|segments| {
        log.retire();
        let aside = log.dir.with_file_name("orders-0.7-delete");
        kit.vfs().rename(&log.dir, &aside).unwrap();
        let new = kit.open(&Known::default());
        new.put(&["of the one after it"]);
        kit.flusher.flush().unwrap();
        assert!(segments[0].file().is_ok(), "it is another file");
        Ok(())
    });
    let error = log.waited_for(read.unwrap_err());
    assert!(matches!(error, ReadError::Deleted(_)), "{error}");
}
