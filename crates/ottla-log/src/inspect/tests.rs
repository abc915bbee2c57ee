//! A sound log has no finding; one flipped bit, wherever it matters, has one.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::*;
use crate::batch::BatchOptions;
use crate::log::kit::{Kit, at, batch, closed};
use crate::log::{Known, LeaderAppend};
use crate::vfs::{OpenMode, Vfs};
use crate::{LeaderEpoch, Limits, Offset, ProducerEpoch, ProducerId, Sequence};

const DIR: &str = "data/kafka/orders-0";

/// A closed log of several segments, two leader epochs, and two idempotent producers.
fn sound() -> Kit {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    for number in 0..70 {
        let producer = i64::from(number % 3);
        let options = BatchOptions {
            producer_id: ProducerId::new(if producer == 0 { -1 } else { producer }),
            producer_epoch: ProducerEpoch::new(if producer == 0 { -1 } else { 0 }),
            base_sequence: Sequence::new(if producer == 0 { -1 } else { number / 3 }),
            ..BatchOptions::default()
        };
        let epoch = LeaderEpoch::new(if number < 40 { 1 } else { 4 });
        let context = LeaderAppend::new(at(1000), epoch);
        let value = format!("{number:>100}");
        let batches = batch(&[&value], 1000 + i64::from(number), &options);
        log.append_as_leader(batches, &context).unwrap();
    }
    closed(&log);
    kit
}

fn findings(vfs: &dyn Vfs) -> (Verified, Vec<Finding>) {
    let mut findings = Vec::new();
    let report = &mut |finding| findings.push(finding);
    let verified = verify(vfs, Path::new(DIR), &Limits::default(), report).unwrap();
    (verified, findings)
}

fn files(vfs: &dyn Vfs) -> BTreeMap<PathBuf, u64> {
    let entries = vfs.list(Path::new(DIR)).unwrap();
    let paths = entries.into_iter().map(|e| Path::new(DIR).join(e.name));
    let len = |path: &PathBuf| vfs.open(path, OpenMode::Read).unwrap().len().unwrap();
    paths.map(|path| (path.clone(), len(&path))).collect()
}

fn flip(vfs: &dyn Vfs, path: &Path, position: u64, bit: u8) {
    let file = vfs.open(path, OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    byte[0] ^= 1 << bit;
    let flipped = &mut [IoSlice::new(&byte)];
    file.write_all_at(flipped, position).unwrap();
}

#[test]
fn a_sound_log_has_no_finding() {
    let kit = sound();
    let (verified, findings) = findings(kit.vfs());
    assert_eq!(findings, []);
    assert_eq!((verified.batches, verified.records), (70, 70));
    assert_eq!(verified.end, Offset::new(70));
    assert!(verified.segments > 2 && verified.index_entries > 70);
}

/// Whether another byte there may be true as well: no checksum covers a batch's leader epoch, and
/// raised within what its neighbours allow it is another history.
fn is_harmless(path: &Path, position: u64) -> bool {
    let in_batch = position % BATCH;
    path.extension().is_some_and(|e| e == "log") && (12..16).contains(&in_batch)
}

/// The size of each batch of [`sound`].
const BATCH: u64 = 170;

#[test]
fn every_flipped_bit_is_found() {
    let kit = sound();
    let vfs = kit.vfs();
    let mut missed = Vec::new();
    let mut flips = 0;
    for (path, len) in files(vfs) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Alone it says whose log it is; all else is in `store/tests/verify.rs`.
        if name == "partition.metadata" {
            continue;
        }
        for position in (0..len).filter(|p| !is_harmless(&path, *p)) {
            let bit = (position % 8) as u8;
            flip(vfs, &path, position, bit);
            flips += 1;
            if findings(vfs).1.is_empty() {
                missed.push((name.clone(), position, bit));
            }
            flip(vfs, &path, position, bit);
        }
    }
    println!("counters {{\"flips\":{flips}}}");
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn an_epoch_that_begins_elsewhere_is_found() {
    let kit = sound();
    let path = Path::new(DIR).join("leader-epoch-checkpoint");
    let epochs = read_epochs(kit.vfs(), &path).unwrap();
    let starts: Vec<_> = epochs
        .iter()
        .map(|e| (e.epoch.get(), e.start.get()))
        .collect();
    assert_eq!(starts, [(1, 0), (4, 40)]);
    let text = b"0\n2\n1 0\n4 41\n";
    let file = kit.vfs().open(&path, OpenMode::Write).unwrap();
    file.write_all_at(&mut [IoSlice::new(text)], 0).unwrap();
    let (_, findings) = findings(kit.vfs());
    let [batch, file] = &findings[..] else {
        panic!("{findings:?}");
    };
    let by_file = "the leader epoch is 4; by the log's file it is 1";
    assert!(batch.what.contains(by_file), "{findings:?}");
    assert!(file.what.contains("first batch is at 40"), "{findings:?}");
}

#[test]
fn a_torn_end_is_told_from_damage_in_the_middle() {
    let kit = sound();
    let segments: Vec<PathBuf> = files(kit.vfs()).into_keys().collect();
    let mut segments = segments
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "log"));
    let (first, last) = (segments.next().unwrap(), segments.next_back().unwrap());
    flip(kit.vfs(), first, 100, 0);
    let file = kit.vfs().open(last, OpenMode::Write).unwrap();
    file.set_len(file.len().unwrap() - 1).unwrap();
    let (_, findings) = findings(kit.vfs());
    let of = |path: &Path| {
        findings
            .iter()
            .filter(|f| f.path == path)
            .collect::<Vec<_>>()
    };
    assert!(
        of(first)[0].what.contains("go on at byte 170"),
        "{findings:?}"
    );
    assert!(of(last)[0].what.contains("a write cut off"), "{findings:?}");
}

#[test]
fn an_index_that_was_made_larger_ahead_of_need_is_sound() {
    let kit = sound();
    for (path, len) in files(kit.vfs()) {
        let index = path
            .extension()
            .is_some_and(|e| e == "index" || e == "timeindex");
        if index {
            let file = kit.vfs().open(&path, OpenMode::Write).unwrap();
            file.set_len(len + 240).unwrap();
        }
    }
    assert_eq!(findings(kit.vfs()).1, []);
    let empty = Path::new(DIR).join("00000000000000000000.index");
    let file = kit.vfs().open(&empty, OpenMode::Write).unwrap();
    file.set_len(0).unwrap();
    file.set_len(240).unwrap();
    assert_eq!(findings(kit.vfs()).1, []);
}

/// A closed log with two aborted transactions, one within the other.
fn aborted() -> Kit {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    let append = |producer, control: Option<crate::Record>| {
        let options = BatchOptions {
            producer_id: ProducerId::new(producer),
            producer_epoch: ProducerEpoch::new(0),
            base_sequence: Sequence::new(if control.is_some() { -1 } else { 0 }),
            transactional: true,
            control: control.is_some(),
            ..BatchOptions::default()
        };
        let mut context = LeaderAppend::new(at(1000), LeaderEpoch::new(1));
        context.origin = crate::Origin::Coordinator;
        let record = control.unwrap_or_else(|| crate::Record::new("value"));
        let bytes = crate::build_batch(&[record.with_timestamp(at(1000))], &options).unwrap();
        let batches = crate::ValidBatches::parse(bytes, &Limits::default()).unwrap();
        log.append_as_leader(batches, &context).unwrap();
    };
    let marker = crate::batch::EndTransactionMarker {
        committed: false,
        coordinator_epoch: 0,
    };
    for (producer, ends) in [(5, false), (6, false), (6, true), (5, true)] {
        append(producer, ends.then(|| marker.to_record()));
    }
    closed(&log);
    kit
}

#[test]
fn a_transaction_index_says_what_the_markers_say() {
    let kit = aborted();
    let vfs = kit.vfs();
    let (verified, findings_of_sound) = findings(vfs);
    assert_eq!((verified.index_entries, findings_of_sound), (4, vec![]));
    let path = Path::new(DIR).join("00000000000000000000.txnindex");
    let entries = read_txn_index(vfs, &path).unwrap();
    let numbers = entries.iter().map(|e| {
        let last_stable = e.last_stable_offset.get();
        (
            e.producer_id.get(),
            e.first_offset.get(),
            e.last_offset.get(),
            last_stable,
        )
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [(6, 1, 2, 0), (5, 0, 3, 4)]);
    for position in 0..files(vfs)[&path] {
        for bit in 0..8 {
            flip(vfs, &path, position, bit);
            assert_ne!(findings(vfs).1, [], "bit {bit} of byte {position}");
            flip(vfs, &path, position, bit);
        }
    }
    let file = vfs.open(&path, OpenMode::Write).unwrap();
    for len in (0..68).rev() {
        file.set_len(len).unwrap();
        assert_ne!(findings(vfs).1, [], "{len} bytes");
    }
    vfs.remove_file(&path).unwrap();
    let (_, left_out) = findings(vfs);
    assert_eq!(left_out.len(), 2);
    assert!(left_out[0].what.contains("leaves it out"), "{left_out:?}");
}
