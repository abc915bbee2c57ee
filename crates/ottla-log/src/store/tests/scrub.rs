//! The scrub: finds what nobody asked for, at its own pace, and seals what has no seal.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::kit::{fill, log, open, open_with, small};
use crate::vfs::{MemVfs, OpenMode, Vfs};
use crate::{Bound, Log, Offset, ReadError, ScrubReport, Store, StoreOptions, Timestamp};

const LOG: &str = "/data/kafka/orders-0";
const SEALS: &str = "/data/ottla/seals/orders-0";

/// Two logs of some segments each, all sealed, closed.
fn stopped() -> MemVfs {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    for name in ["invoices", "orders"] {
        fill(&store, &log(&store, name));
    }
    assert!(store.close().clean);
    vfs
}

fn files(vfs: &MemVfs, dir: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let read = |path: &Path| crate::read_file(vfs, path, 1 << 20).unwrap().unwrap();
    let entries = vfs.list(Path::new(dir)).unwrap_or_default();
    let paths = entries.into_iter().map(|e| Path::new(dir).join(e.name));
    paths.map(|path| (path.clone(), read(&path))).collect()
}

fn flip(vfs: &MemVfs, path: &Path, position: u64) {
    let file = vfs.open(path, OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    byte[0] ^= 4;
    file.write_all_at(&mut [IoSlice::new(&byte)], position)
        .unwrap();
}

fn opened(vfs: &MemVfs) -> (Store, Log) {
    let store = open(vfs);
    log(&store, "invoices");
    let log = log(&store, "orders");
    (store, log)
}

/// A whole pass, without waiting; answers how long it would take.
fn pass(store: &Store) -> (ScrubReport, i64) {
    let before = store.scrub_report().passes;
    let begun = store.scrub(Timestamp::new(0)).unwrap();
    let mut now = begun;
    while store.scrub_report().passes == before {
        now = store.scrub(now).unwrap().max(now);
    }
    let report = store.scrub_report();
    (report.clone(), report.last.unwrap().get() - begun.get())
}

#[test]
fn nothing_is_read_before_it_is_due_and_all_of_it_then() {
    let vfs = stopped();
    let (store, _) = opened(&vfs);
    let due = store.scrub(Timestamp::new(0)).unwrap();
    let early = Timestamp::new(due.get() - 1);
    assert_eq!(store.scrub(early), Some(due));
    assert_eq!(store.scrub_report(), ScrubReport::default());
    let (report, _) = pass(&store);
    let of = |dir| files(&vfs, dir).values().map(Vec::len).sum::<usize>() as u64;
    let all = of(LOG) + of("/data/kafka/invoices-0");
    assert_eq!((report.bytes, report.sealed, report.failed), (all, 0, 0));
    assert_eq!(store.findings(), []);
    // The next one is a week later.
    let next = store.scrub(due).unwrap();
    assert!(next.get() - due.get() >= 7 * 24 * 3_600_000);
}

#[test]
fn it_is_as_slow_as_it_was_told_to_be() {
    let vfs = stopped();
    let mut options = small();
    options.scrub.bytes_per_second = 1000;
    options.scrub.step_bytes = 3000;
    let store = open_with(&vfs, options);
    log(&store, "orders");
    let (report, took) = pass(&store);
    let least = (report.bytes as i64 - 3000 - 4096) * 1000 / 1000;
    assert!(
        took >= least && took < least + 20_000,
        "{took} ms for {report:?}"
    );
    assert!(took > 10_000);
}

#[test]
fn it_may_be_turned_off() {
    let vfs = stopped();
    let mut options = StoreOptions::default();
    options.scrub.bytes_per_second = 0;
    let store = open_with(&vfs, options);
    assert_eq!(store.scrub(Timestamp::new(i64::MAX)), None);
}

#[test]
fn what_rots_after_it_was_read_is_found() {
    let vfs = stopped();
    let (store, log) = opened(&vfs);
    let read = |log: &Log| log.read(Offset::ZERO, 1, Bound::LogEnd);
    read(&log).unwrap();
    // The leader epoch of the first batch: no checksum of Kafka's has it.
    let path = Path::new(LOG).join("00000000000000000000.log");
    flip(&vfs, &path, 15);
    read(&log).unwrap();
    pass(&store);
    let findings = store.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((&findings[0].path, findings[0].position), (&path, Some(0)));
    assert!(matches!(read(&log), Err(ReadError::Corrupt { .. })));
    // It is told once.
    pass(&store);
    assert_eq!(store.findings(), findings);
}

/// A bit of every file of the log, in turn.
#[test]
fn every_kind_of_file_is_looked_at() {
    for (path, bytes) in files(&stopped(), LOG) {
        if bytes.is_empty() {
            continue;
        }
        let vfs = stopped();
        let (store, _) = opened(&vfs);
        let position = match path.extension().and_then(|e| e.to_str()) {
            Some("snapshot") => 3,
            _ => bytes.len() as u64 / 2,
        };
        flip(&vfs, &path, position);
        pass(&store);
        let findings = store.findings();
        assert!(
            findings.iter().any(|f| f.path == path),
            "{path:?}: {findings:?}"
        );
    }
}

#[test]
fn what_has_no_seal_is_checked_and_gets_one() {
    let vfs = stopped();
    let seals = files(&vfs, SEALS);
    let before = files(&vfs, LOG);
    for path in seals.keys() {
        vfs.remove_file(path).unwrap();
    }
    let (store, _) = opened(&vfs);
    let (report, _) = pass(&store);
    assert_eq!(report.sealed as usize, seals.len());
    assert_eq!(files(&vfs, SEALS), seals);
    assert_eq!(files(&vfs, LOG), before, "nothing of Kafka's was touched");
    assert_eq!(store.findings(), []);
}

#[test]
fn what_has_no_seal_and_is_bad_gets_none() {
    let vfs = stopped();
    for path in files(&vfs, SEALS).keys() {
        vfs.remove_file(path).unwrap();
    }
    let path = Path::new(LOG).join("00000000000000000000.log");
    flip(&vfs, &path, 300);
    let (store, log) = opened(&vfs);
    pass(&store);
    assert_eq!(store.findings().len(), 1);
    let read = log.read(Offset::ZERO, 1, Bound::LogEnd);
    assert!(matches!(read, Err(ReadError::Corrupt { .. })));
    log.read(Offset::new(1), 1, Bound::LogEnd).unwrap();
    assert!(!files(&vfs, SEALS).contains_key(&Path::new(SEALS).join("00000000000000000000.seal")));
}

/// Nobody vouches for an index file beside a segment without a seal.
#[test]
fn a_wrong_index_beside_a_segment_without_a_seal_is_made_anew() {
    let vfs = stopped();
    let path = Path::new(SEALS).join("00000000000000000000.seal");
    vfs.remove_file(&path).unwrap();
    let index = Path::new(LOG).join("00000000000000000000.timeindex");
    let right = files(&vfs, LOG)[&index].clone();
    flip(&vfs, &index, right.len() as u64 - 6);
    let (store, _) = opened(&vfs);
    pass(&store);
    assert_eq!(files(&vfs, LOG)[&index], right);
    assert!(vfs.stat(&path).unwrap().is_some());
}
