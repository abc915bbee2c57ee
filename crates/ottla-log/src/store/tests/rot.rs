//! Bit rot of any file of a data directory, between a clean stop and the next start: nothing is
//! served that was not written, nothing is missing without a word, and nothing panics.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::kit::{DIR, id, log_options, record, small, topic, world, written};
use crate::vfs::{MemVfs, OpenMode, Vfs};
use crate::{Bound, Log, Offset, ReadError, Store, Timestamp};

const NAMES: [&str; 2] = ["invoices", "orders"];

/// Two logs of some segments each, their first records deleted, closed.
fn stopped() -> (MemVfs, Vec<BTreeMap<i64, Vec<u8>>>) {
    let mut ever = Vec::new();
    let vfs = MemVfs::new();
    let store = Store::open_in(world(vfs.clone()), DIR, small()).unwrap();
    let store = store.store;
    for (number, name) in (1..).zip(NAMES) {
        let log = store.log(id(name), log_options(Some(topic(number))));
        let log = log.unwrap();
        for number in 0..24 {
            log.append(&[record(&number.to_string(), 500)], written())
                .unwrap();
        }
        store.flush().unwrap();
        ever.push(batches(&log).0);
        log.delete_records(Offset::new(9)).unwrap();
        for minute in 1..4 {
            let now = Timestamp::new(minute * 60_000);
            while store.maintain(now).more {}
            while log.maintain(now).unwrap().more {}
        }
    }
    assert!(store.close().clean);
    (vfs, ever)
}

/// Every file, with its length.
fn files(vfs: &MemVfs, dir: &Path, found: &mut BTreeMap<PathBuf, u64>) {
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

fn flip(vfs: &MemVfs, path: &Path, position: u64) {
    let file = vfs.open(path, OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    byte[0] ^= 1 << (position % 8);
    file.write_all_at(&mut [IoSlice::new(&byte)], position)
        .unwrap();
}

/// The bytes of each batch that can be read; whether a read failed.
fn batches(log: &Log) -> (BTreeMap<i64, Vec<u8>>, bool) {
    let (mut found, mut failed) = (BTreeMap::new(), false);
    let ends = log.ends();
    let mut from = ends.start;
    while from < ends.end {
        match log.read(from, 1, Bound::LogEnd) {
            Ok(slice) => {
                let bytes = slice.bytes().unwrap().to_vec();
                found.insert(slice.base_offset().get(), bytes);
                from = slice.next_offset();
            }
            Err(ReadError::Corrupt {
                next: Some(next), ..
            }) => {
                failed = true;
                from = next;
            }
            Err(_) => return (found, true),
        }
    }
    (found, failed)
}

/// What an open and a read of everything yields: the batches of each log, and whether anything was
/// told.
fn look(vfs: &MemVfs) -> (Vec<BTreeMap<i64, Vec<u8>>>, bool) {
    let Ok(opened) = Store::open_in(world(vfs.clone()), DIR, small()) else {
        return (vec![BTreeMap::new(); 2], true);
    };
    let (store, mut told) = (opened.store, false);
    let mut all = Vec::new();
    for (number, name) in (1..).zip(NAMES) {
        let opened = store.log(id(name), log_options(Some(topic(number))));
        let (found, failed) = opened.map_or((BTreeMap::new(), true), |log| batches(&log));
        told |= failed;
        all.push(found);
    }
    let report = store.report();
    let of_logs = report.logs.values();
    told |= of_logs
        .into_iter()
        .any(|log| log.corrupt.is_some() || log.cut.is_some() || log.set_aside.is_some());
    told |= !report.unreadable.is_empty() || !report.problems.is_empty();
    told |= !report.missing.is_empty() || !report.strangers.is_empty();
    (all, told || !store.findings().is_empty())
}

#[test]
fn a_flipped_bit_anywhere_is_never_served_and_never_passed_over() {
    let (vfs, ever) = stopped();
    let (written, told) = look(&vfs.fork());
    assert!(!told && written.iter().all(|log| log.len() == 15));
    let mut all = BTreeMap::new();
    files(&vfs, Path::new(DIR), &mut all);
    let mut flips = BTreeMap::<String, u32>::new();
    for (path, len) in all {
        let kind = path.extension().or(path.file_name()).unwrap_or_default();
        // Of long files a sample, the same each time.
        let step = (len / 60).max(1) as usize;
        for position in (0..len).step_by(step) {
            let rotten = vfs.fork();
            flip(&rotten, &path, position);
            let (found, told) = look(&rotten);
            let mut missing = false;
            let mut more = false;
            for ((found, written), ever) in found.iter().zip(&written).zip(&ever) {
                let is_written = |(at, bytes): (&i64, &Vec<u8>)| ever.get(at) == Some(bytes);
                assert!(found.iter().all(is_written), "{path:?} at {position}");
                missing |= written.keys().any(|at| !found.contains_key(at));
                more |= found.len() > written.len();
            }
            // No checksum has it: deleted records may come back.
            let is_open = path.ends_with("log-start-offset-checkpoint");
            assert!(
                told || !(missing || more) || is_open,
                "{path:?} at {position}: silent"
            );
            *flips
                .entry(kind.to_string_lossy().into_owned())
                .or_default() += 1;
        }
    }
    println!("flips {flips:?}");
    assert!(flips.len() >= 12, "{flips:?}");
}
