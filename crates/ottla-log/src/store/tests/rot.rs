//! Bit rot of any file of a data directory, between a stop and the next start: nothing is served
//! that was not written, nothing is missing or back without a word, and nothing panics.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::kit::{DIR, id, log_options, record, small, topic, world};
use crate::batch::EndTransactionMarker;
use crate::vfs::{CrashPlan, MemVfs, OpenMode, Vfs};
use crate::{
    BatchHeader, BatchOptions, Bound, LeaderAppend, LeaderEpoch, Limits, Log, Offset, Origin,
    ProducerEpoch, ProducerId, ReadError, Record, Sequence, Store, Timestamp, ValidBatches,
    build_batch,
};

/// As many as are closed together.
const NAMES: [&str; 3] = ["invoices", "orders", "payments"];

/// Appends `record`, of a transaction or not, or the mark that ends one.
fn put(log: &Log, record: Record, epoch: i32, of: Option<i32>) {
    let is_marker = of == Some(-1);
    let mut options = BatchOptions {
        now: Timestamp::new(1000),
        control: is_marker,
        ..BatchOptions::default()
    };
    if let Some(sequence) = of {
        options.producer_id = ProducerId::new(7);
        options.producer_epoch = ProducerEpoch::new(0);
        options.base_sequence = Sequence::new(sequence);
        options.transactional = true;
    }
    let bytes = build_batch(&[record], &options).unwrap();
    let batches = ValidBatches::parse(bytes, &Limits::default()).unwrap();
    let mut context = LeaderAppend::new(Timestamp::new(1000), LeaderEpoch::new(epoch));
    if is_marker {
        context.origin = Origin::Coordinator;
    }
    log.append_as_leader(batches, &context).unwrap();
}

/// Some logs of some segments each, some transactions aborted, the first records deleted.
pub(super) fn filled() -> (MemVfs, Store, Vec<Seen>) {
    let mut ever = Vec::new();
    let vfs = MemVfs::new();
    let store = Store::open_in(world(vfs.clone()), DIR, small()).unwrap();
    let store = store.store;
    let abort = EndTransactionMarker {
        committed: false,
        coordinator_epoch: 3,
    };
    for (number, name) in (1..).zip(NAMES) {
        let log = store.log(id(name), log_options(Some(topic(number))));
        let log = log.unwrap();
        for number in 0..24 {
            let epoch = 1 + number / 10;
            put(&log, record(&number.to_string(), 500), epoch, None);
            if number % 4 == 3 {
                put(&log, record("aborted", 100), epoch, Some(number / 4));
                put(&log, abort.to_record(), epoch, Some(-1));
            }
        }
        store.flush().unwrap();
        ever.push(seen(&log));
        log.delete_records(Offset::new(9)).unwrap();
        for minute in 1..4 {
            let now = Timestamp::new(minute * 60_000);
            while store.maintain(now).more {}
            while log.maintain(now).unwrap().more {}
        }
    }
    (vfs, store, ever)
}

/// Every file, with its length.
pub(super) fn files(vfs: &MemVfs, dir: &Path, found: &mut BTreeMap<PathBuf, u64>) {
    for entry in vfs.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files(vfs, &path, found);
        } else {
            let file = vfs.open(&path, OpenMode::Read).unwrap();
            found.insert(path, file.len().unwrap());
        }
    }
}

pub(super) fn flip(vfs: &MemVfs, path: &Path, position: u64) {
    let file = vfs.open(path, OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    byte[0] ^= 1 << (position % 8);
    file.write_all_at(&mut [IoSlice::new(&byte)], position)
        .unwrap();
}

/// What a reader of a log learns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The bytes of each batch that can be read, and whether a reader of committed records is told
    /// to leave it out.
    batches: BTreeMap<i64, (Vec<u8>, bool)>,
    /// The leader epoch of each offset.
    epochs: Vec<Option<LeaderEpoch>>,
    /// A read was refused.
    failed: bool,
}

fn seen(log: &Log) -> Seen {
    let mut seen = Seen::default();
    let ends = log.ends();
    let offsets = ends.start.get()..ends.end.get();
    seen.epochs = offsets.map(|at| log.epoch_of(Offset::new(at))).collect();
    let mut from = ends.start;
    while from < ends.end {
        let read = log.read(from, 1, Bound::LogEnd);
        let read = read.and_then(|plain| Ok((plain, log.read_committed(from, 1, ends.end)?)));
        match read {
            Ok((plain, committed)) => {
                let bytes = committed.batches.bytes().unwrap().to_vec();
                assert_eq!(bytes, plain.bytes().unwrap());
                let header = BatchHeader::parse(&bytes).unwrap();
                let attributes = header.attributes;
                let is_of_one = attributes.is_transactional() && !attributes.is_control();
                let mut aborted = committed.aborted.iter();
                let is_aborted = aborted.any(|one| {
                    one.producer_id == header.producer_id && one.first_offset <= header.base_offset
                });
                let at = plain.base_offset().get();
                seen.batches.insert(at, (bytes, is_of_one && is_aborted));
                from = plain.next_offset();
            }
            Err(ReadError::Corrupt {
                next: Some(next), ..
            }) => {
                seen.failed = true;
                from = next;
            }
            Err(_) => {
                seen.failed = true;
                return seen;
            }
        }
    }
    seen
}

/// What an open and a read of everything yields; whether anything was told.
fn look(vfs: &MemVfs) -> (Option<(String, Vec<Seen>)>, bool) {
    let Ok(opened) = Store::open_in(world(vfs.clone()), DIR, small()) else {
        return (None, true);
    };
    let (store, mut told) = (opened.store, false);
    let mut all = Vec::new();
    for (number, name) in (1..).zip(NAMES) {
        let opened = store.log(id(name), log_options(Some(topic(number))));
        let seen = opened.map(|log| seen(&log));
        told |= seen.as_ref().map_or(true, |seen| seen.failed);
        all.push(seen.unwrap_or_default());
    }
    let report = store.report();
    let of_logs = report.logs.values();
    told |= of_logs
        .into_iter()
        .any(|log| log.corrupt.is_some() || log.cut.is_some() || log.set_aside.is_some());
    told |= !report.unreadable.is_empty() || !report.problems.is_empty();
    told |= !report.missing.is_empty() || !report.strangers.is_empty();
    told |= !store.findings().is_empty();
    (Some((store.cluster_id().to_owned(), all)), told)
}

/// Flips a bit of every file of `vfs` that `is_meant`, of long ones of a sample; the kinds of
/// files.
fn flip_each(vfs: &MemVfs, ever: &[Seen], is_meant: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let (written, told) = look(&vfs.fork());
    let written = written.unwrap();
    assert!(!told && written.1.iter().all(|log| log.batches.len() == 27));
    let aborted = |log: &Seen| log.batches.values().filter(|(_, aborted)| *aborted).count();
    assert!(written.1.iter().all(|log| aborted(log) == 5));
    let mut all = BTreeMap::new();
    files(vfs, Path::new(DIR), &mut all);
    let mut kinds = BTreeSet::new();
    let mut silent = Vec::new();
    all.retain(|path, _| is_meant(path));
    for (path, len) in all {
        let kind = path
            .extension()
            .or_else(|| path.file_name())
            .unwrap_or_default();
        kinds.insert(kind.to_string_lossy().into_owned());
        let step = (len / 60).max(1) as usize;
        for position in (0..len).step_by(step) {
            let rotten = vfs.fork();
            flip(&rotten, &path, position);
            let (found, told) = look(&rotten);
            for (found, ever) in found.iter().flat_map(|(_, logs)| logs).zip(ever) {
                let is_written = |(at, batch)| ever.batches.get(at) == Some(batch);
                assert!(
                    found.batches.iter().all(is_written),
                    "{path:?} at {position}"
                );
            }
            if !told && found.as_ref() != Some(&written) {
                silent.push((path.clone(), position));
            }
        }
    }
    assert_eq!(silent, []);
    kinds
}

#[test]
fn a_flipped_bit_anywhere_is_never_served_and_never_passed_over() {
    let (vfs, store, ever) = filled();
    assert!(store.close().clean);
    let kinds = flip_each(&vfs, &ever, |_| true);
    assert!(kinds.len() >= 14, "{kinds:?}");
}

/// There the journal counts, and no file says how the logs were left. A segment that is not sealed
/// yet is left out: a leader epoch that flips there is not found (`docs/GUARANTEES.md`).
#[test]
fn nor_is_one_that_flips_after_a_kill() {
    let (vfs, store, ever) = filled();
    drop(store);
    let killed = vfs.crash(&CrashPlan::EVERYTHING);
    let has_seal = |path: &Path| {
        let dir = path.parent().and_then(Path::file_name).unwrap_or_default();
        let seals = Path::new(DIR).join("ottla/seals").join(dir);
        let name = path.with_extension("seal");
        let seal = seals.join(name.file_name().unwrap_or_default());
        killed.stat(&seal).unwrap().is_some()
    };
    let is_meant = |path: &Path| path.extension().is_none_or(|e| e != "log") || has_seal(path);
    let mut all = BTreeMap::new();
    files(&killed, Path::new(DIR), &mut all);
    assert!(all.keys().filter(|path| has_seal(path)).count() > 4);
    flip_each(&killed, &ever, is_meant);
}
