//! Seals count only where nobody else changed the files since.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::kit::{fill, log, open, record, written};
use crate::vfs::{MemVfs, OpenMode, Vfs};
use crate::{Bound, Offset};

const MARK: &str = "/data/kafka/.kafka_cleanshutdown";
const REST: &str = "/data/ottla/at-rest";
const SEALS: &str = "/data/ottla/seals/orders-0";
const SEGMENT: &str = "/data/kafka/orders-0/00000000000000000000.log";

/// A log of several segments, closed.
fn stopped() -> MemVfs {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    fill(&store, &log(&store, "orders"));
    assert!(store.close().clean);
    assert!(seals(&vfs).len() > 3);
    vfs
}

fn seals(vfs: &MemVfs) -> Vec<PathBuf> {
    let entries = vfs.list(Path::new(SEALS)).unwrap_or_default();
    let paths = entries.into_iter().map(|e| Path::new(SEALS).join(e.name));
    paths.collect()
}

/// A leader epoch that changed while nobody looked, as Kafka's may after an election.
fn change(vfs: &MemVfs) {
    let file = vfs.open(Path::new(SEGMENT), OpenMode::Write).unwrap();
    file.write_all_at(&mut [IoSlice::new(&[7])], 15).unwrap();
}

fn first_is_served(vfs: &MemVfs) -> bool {
    let store = open(vfs);
    log(&store, "orders")
        .read(Offset::ZERO, 1, Bound::LogEnd)
        .is_ok()
}

#[test]
fn a_change_while_nobody_ran_is_found() {
    let vfs = stopped();
    assert!(vfs.stat(Path::new(REST)).unwrap().is_some());
    change(&vfs);
    let store = open(&vfs);
    let read = log(&store, "orders").read(Offset::ZERO, 1, Bound::LogEnd);
    read.unwrap_err();
    let findings = store.findings();
    assert_eq!(findings.first().map(|f| &*f.path), Some(Path::new(SEGMENT)));
}

#[test]
fn a_mark_of_kafkas_voids_the_seals() {
    let vfs = stopped();
    change(&vfs);
    let mark = vfs.open(Path::new(MARK), OpenMode::Write).unwrap();
    mark.set_len(0).unwrap();
    let text = b"{\"version\":0,\"brokerEpoch\":12}";
    mark.write_all_at(&mut [IoSlice::new(text)], 0).unwrap();
    assert!(first_is_served(&vfs));
    assert_eq!(seals(&vfs), [] as [PathBuf; 0]);
}

#[test]
fn a_note_of_rest_without_a_mark_voids_the_seals() {
    let vfs = stopped();
    change(&vfs);
    // Kafka took its mark away, and crashed.
    vfs.remove_file(Path::new(MARK)).unwrap();
    assert!(first_is_served(&vfs));
    assert_eq!(seals(&vfs), [] as [PathBuf; 0]);
    assert!(vfs.stat(Path::new(REST)).unwrap().is_none());
}

#[test]
fn a_kill_of_our_own_leaves_the_seals() {
    let vfs = stopped();
    let store = open(&vfs);
    log(&store, "orders")
        .append(&[record("one", 100)], written())
        .unwrap();
    assert!(vfs.stat(Path::new(REST)).unwrap().is_none());
    drop(store);
    change(&vfs);
    assert!(!first_is_served(&vfs));
}

#[test]
fn seals_go_with_their_log() {
    let vfs = stopped();
    let store = open(&vfs);
    let id = log(&store, "orders").id().clone();
    store.delete(&id).unwrap();
    assert_eq!(seals(&vfs), [] as [PathBuf; 0]);
    // Of a log that somebody else took away.
    let vfs = stopped();
    vfs.rename(Path::new("/data/kafka/orders-0"), Path::new("/data/away"))
        .unwrap();
    drop(open(&vfs));
    assert_eq!(seals(&vfs), [] as [PathBuf; 0]);
}
