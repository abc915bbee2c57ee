//! Seals: made in the background, right through every change of a segment, and asked before the
//! first byte of a segment is used.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::BatchOptions;
use crate::log::kit::{Kit, at, batch, closed};
use crate::log::{Bound, Known, LeaderAppend, LogConfig, LogCore, ReadError};
use crate::seal::{CHUNK, Seal};
use crate::vfs::{File, MemVfs, OpenMode};
use crate::{LeaderEpoch, Offset, StorageError};

const DIR: &str = "data/kafka/orders-0";
const SEALS: &str = "data/ottla/seals/orders-0";

/// The size of a batch that [`LogCore::fill`] appends.
const BATCH: u64 = 170;

fn offset(n: i64) -> Offset {
    Offset::new(n)
}

fn log_path(base: i64) -> PathBuf {
    Path::new(DIR).join(format!("{base:020}.log"))
}

fn seal_path(base: i64) -> PathBuf {
    Path::new(SEALS).join(format!("{base:020}.seal"))
}

fn open(kit: &Kit, path: &Path) -> Arc<dyn File> {
    kit.vfs().open(path, OpenMode::Write).unwrap()
}

fn flip(kit: &Kit, path: &Path, position: u64, mask: u8) {
    let file = open(kit, path);
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    byte[0] ^= mask;
    file.write_all_at(&mut [IoSlice::new(&byte)], position)
        .unwrap();
}

fn seal(kit: &Kit, base: i64) -> Option<Seal> {
    let bytes = crate::checkpoint::read(kit.vfs(), &seal_path(base), 1 << 20).unwrap()?;
    Some(Seal::decode(&bytes).unwrap())
}

/// Looks after the log until there is nothing to do.
fn look_after(log: &LogCore) {
    while log.maintain(at(2000)).unwrap().more {}
}

fn bases(log: &LogCore) -> Vec<i64> {
    let segments = log.segments.load();
    segments.iter().map(|s| s.base().get()).collect()
}

/// Whether each segment's seal, where there is one, says what the segment's file has.
fn check_seals(kit: &Kit, log: &LogCore) -> usize {
    let mut seals = 0;
    for base in bases(log) {
        let Some(seal) = seal(kit, base) else {
            continue;
        };
        seals += 1;
        let file = open(kit, &log_path(base));
        for index in 0..seal.chunks.len() {
            let chunk = seal.chunk(index);
            let mut bytes = vec![0; (chunk.end - chunk.start) as usize];
            file.read_exact_at(&mut bytes, chunk.start).unwrap();
            assert!(seal.holds(index, &bytes), "chunk {index} of segment {base}");
        }
    }
    seals
}

/// A log of 60 records in three segments, two of them sealed, then closed: all three are.
fn sealed() -> (Kit, Known, Vec<i64>) {
    sealed_over(&Arc::new(MemVfs::new()))
}

fn sealed_over(vfs: &Arc<MemVfs>) -> (Kit, Known, Vec<i64>) {
    let kit = Kit::over(Arc::<MemVfs>::clone(vfs));
    let log = kit.open(&Known::default());
    for number in 0..60 {
        let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        let value = format!("{number:>100}");
        let batches = batch(&[&value], 1000 + number, &BatchOptions::default());
        log.append_as_leader(batches, &context).unwrap();
    }
    kit.flusher.flush().unwrap();
    look_after(&log);
    assert_eq!(check_seals(&kit, &log), 2, "the active one has none");
    let bases = bases(&log);
    let known = closed(&log);
    assert_eq!(check_seals(&kit, &log), 3);
    (kit, known, bases)
}

/// Every offset that can be read, in the order of reading; what cannot be is skipped as it says.
fn readable(log: &LogCore) -> Vec<i64> {
    let (mut found, mut from) = (Vec::new(), log.ends().start);
    while from < log.ends().end {
        match log.read(from, 1, Bound::LogEnd) {
            Ok(slice) => {
                found.extend(from.get()..slice.next_offset().get());
                from = slice.next_offset();
            }
            Err(ReadError::Corrupt {
                next: Some(next), ..
            }) => {
                assert!(next > from, "{next} is not behind {from}");
                from = next;
            }
            Err(error) => panic!("{error}"),
        }
    }
    found
}

#[test]
fn a_segment_that_ended_is_sealed_in_the_background() {
    let (kit, known, bases) = sealed();
    let log = kit.open(&known);
    let first = seal(&kit, 0).unwrap();
    assert_eq!((first.base, first.next), (offset(0), offset(bases[1])));
    assert_eq!(first.size, open(&kit, &log_path(0)).len().unwrap());
    assert_eq!(readable(&log), (0..60).collect::<Vec<_>>());
    assert_eq!(kit.shared.findings.list(), []);
}

#[test]
fn nothing_is_sealed_before_it_is_durable() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    look_after(&log);
    assert_eq!(check_seals(&kit, &log), 0);
}

/// The bytes of each batch that can be read, by its first offset.
fn batches(log: &LogCore) -> BTreeMap<i64, Bytes> {
    let (mut found, mut from) = (BTreeMap::new(), log.ends().start);
    while from < log.ends().end {
        match log.read(from, 1, Bound::LogEnd) {
            Ok(slice) => {
                found.insert(slice.base_offset().get(), slice.bytes().unwrap());
                from = slice.next_offset();
            }
            Err(ReadError::Corrupt {
                next: Some(next), ..
            }) => from = next,
            Err(error) => panic!("{error}"),
        }
    }
    found
}

/// The proof that fields without a checksum of Kafka's are covered, and index files: a bit of each
/// byte of each file that a segment has. What is served is what was written; what is not served
/// was told of.
#[test]
fn every_flipped_bit_is_found_before_a_byte_is_served() {
    let vfs = Arc::new(MemVfs::new());
    let (kit, known, bases) = sealed_over(&vfs);
    let written = batches(&kit.open(&known));
    assert_eq!(written.len(), 60);
    let mut flips = 0;
    for base in bases {
        for suffix in ["log", "index", "timeindex"] {
            let path = Path::new(DIR).join(format!("{base:020}.{suffix}"));
            let len = open(&kit, &path).len().unwrap();
            // Two whole batches, and the header of each other one.
            let matters = |at: &u64| suffix != "log" || *at < 2 * BATCH || at % BATCH < 61;
            for position in (0..len).filter(matters) {
                let kit = Kit::bare(Arc::new(vfs.fork()));
                flip(
                    &kit,
                    &path,
                    position,
                    1 << ((position + position / BATCH) % 8),
                );
                let (log, report) = kit.try_open(&known).unwrap();
                let found = batches(&log);
                let same = |(base, bytes): (&i64, &Bytes)| written.get(base) == Some(bytes);
                assert!(found.iter().all(same), "{path:?} at {position}");
                let timed = log.offset_for_time(at(1030));
                let told = !kit.shared.findings.list().is_empty();
                let checked = report.corrupt.is_some() || report.rebuilt_indexes > 0;
                assert!(told || checked, "{path:?} at {position}");
                if suffix != "log" {
                    assert_eq!(found.len(), 60);
                    assert_eq!(timed.unwrap().map(|t| t.offset), Some(offset(30)));
                }
                flips += 1;
            }
        }
    }
    assert!(flips > 4000, "{flips}");
}

#[test]
fn what_is_good_beside_a_bad_batch_is_served() {
    let (kit, known, bases) = sealed();
    flip(&kit, &log_path(0), 5 * BATCH + 100, 1);
    let log = kit.open(&known);
    let expected: Vec<i64> = (0..60).filter(|n| *n != 5).collect();
    assert_eq!(readable(&log), expected);
    let error = log.read(offset(5), 1, Bound::LogEnd).unwrap_err();
    let ReadError::Corrupt { asked, next, cause } = error else {
        panic!("{error}");
    };
    assert_eq!((asked, next), (offset(5), Some(offset(6))));
    let StorageError::Corrupt { path, position, .. } = cause else {
        panic!("{cause}");
    };
    assert_eq!((path, position), (log_path(0), 5 * BATCH));
    // A leader epoch is in no checksum but the seal's: nobody can tell whose it is.
    flip(&kit, &log_path(bases[1]), 5 * BATCH + 13, 1);
    let log = kit.open(&known);
    let expected: Vec<i64> = (0..bases[1])
        .chain(bases[2]..60)
        .filter(|n| *n != 5)
        .collect();
    assert_eq!(readable(&log), expected);
    log.put(&["appends go on"]);
    assert_eq!(kit.shared.findings.list().len(), 3);
}

#[test]
fn one_bad_chunk_is_not_another() {
    let mut kit = Kit::new();
    kit.config = LogConfig {
        segment_bytes: 8 << 20,
        ..kit.config
    };
    let log = kit.open(&Known::default());
    let value = "x".repeat(100_000);
    for _ in 0..50 {
        log.put(&[&value]);
    }
    let known = closed(&log);
    let sizes = open(&kit, &log_path(0)).len().unwrap();
    assert_eq!(
        seal(&kit, 0).unwrap().chunks.len() as u64,
        sizes.div_ceil(CHUNK)
    );
    let batch = sizes / 50;
    // The leader epoch of the 25th batch, in the third chunk.
    flip(&kit, &log_path(0), 25 * batch + 12, 0x40);
    let log = kit.open(&known);
    let chunk = 25 * batch / CHUNK;
    let is_in = |n: u64| n * batch < (chunk + 1) * CHUNK && (n + 1) * batch > chunk * CHUNK;
    let expected: Vec<i64> = (0..50).filter(|n| !is_in(*n)).map(|n| n as i64).collect();
    assert!(expected.len() > 35);
    assert_eq!(readable(&log), expected);
}

/// Batches that are read once are not compared again: a later flip is the scrub's business.
#[test]
fn a_chunk_is_compared_once_per_open() {
    let (kit, known, _) = sealed();
    let log = kit.open(&known);
    assert_eq!(readable(&log).len(), 60);
    flip(&kit, &log_path(0), 5 * BATCH + 13, 1);
    assert_eq!(readable(&log).len(), 60);
    assert!(readable(&kit.open(&known)).len() < 60);
}

#[test]
fn index_files_that_do_not_match_are_made_anew() {
    let (kit, known, _) = sealed();
    for (suffix, position) in [
        ("index", 3),
        ("index", 21),
        ("timeindex", 7),
        ("timeindex", 40),
    ] {
        let path = Path::new(DIR).join(format!("{:020}.{suffix}", 0));
        let before = crate::checkpoint::read(kit.vfs(), &path, 4096).unwrap();
        flip(&kit, &path, position, 2);
        let log = kit.open(&known);
        let found = log.offset_for_time(at(1010)).unwrap().unwrap();
        assert_eq!(found.offset, offset(10));
        assert_eq!(readable(&log).len(), 60);
        let findings = kit.shared.findings.list();
        assert_eq!(findings.last().map(|f| f.path.clone()), Some(path.clone()));
        closed(&log);
        assert_eq!(
            crate::checkpoint::read(kit.vfs(), &path, 4096).unwrap(),
            before
        );
        assert_eq!(kit.shared.findings.list().len(), findings.len());
    }
}

#[test]
fn a_damaged_seal_is_no_seal() {
    let (kit, known, _) = sealed();
    let len = open(&kit, &seal_path(0)).len().unwrap();
    for position in 0..len {
        flip(&kit, &seal_path(0), position, 0x08);
        let log = kit.open(&known);
        assert_eq!(readable(&log).len(), 60, "byte {position}");
        flip(&kit, &seal_path(0), position, 0x08);
    }
    assert_eq!(kit.shared.findings.list(), []);
}

#[test]
fn a_log_without_seals_is_read_as_before() {
    let (kit, known, bases) = sealed();
    for base in bases {
        kit.vfs().remove_file(&seal_path(base)).unwrap();
    }
    let log = kit.open(&known);
    assert_eq!(readable(&log).len(), 60);
    assert_eq!(kit.shared.findings.list(), []);
}

#[test]
fn seals_stay_right_through_appends_and_truncations() {
    let (kit, known, bases) = sealed();
    let log = kit.open(&known);
    log.fill(3);
    assert_eq!(
        check_seals(&kit, &log),
        3,
        "a seal speaks for the first bytes"
    );
    // Within the last segment, but behind what is sealed of it; then into that; then further.
    for (to, seals) in [(61, 3), (58, 2), (bases[1] + 3, 1)] {
        log.truncate_to(offset(to)).unwrap();
        assert_eq!(check_seals(&kit, &log), seals, "cut to {to}");
        log.fill(30);
        kit.flusher.flush().unwrap();
        assert_eq!(check_seals(&kit, &log), seals);
        if to == 61 {
            log.truncate_to(offset(61)).unwrap();
        }
    }
    look_after(&log);
    assert_eq!(check_seals(&kit, &log), bases_of(&log) - 1);
    let log = kit.open(&closed(&log));
    let all = readable(&log);
    assert_eq!(all.len() as i64, log.ends().end.get());
    assert_eq!(kit.shared.findings.list(), []);
}

fn bases_of(log: &LogCore) -> usize {
    log.segments.load().len()
}

#[test]
fn seals_go_with_their_segments() {
    let (kit, known, bases) = sealed();
    let log = kit.open(&known);
    log.delete_records(offset(bases[2])).unwrap();
    look_after(&log);
    assert_eq!(seal(&kit, 0), None);
    assert_eq!(seal(&kit, bases[1]), None);
    assert!(seal(&kit, bases[2]).is_some());
}

#[test]
fn another_topics_seal_does_not_count() {
    let (kit, known, _) = sealed();
    let mut foreign = seal(&kit, 0).unwrap();
    foreign.topic_id = crate::TopicId::from_bytes([9; 16]);
    foreign.chunks[0] ^= 1;
    let bytes = foreign.encode();
    let file = open(&kit, &seal_path(0));
    file.write_all_at(&mut [IoSlice::new(&bytes)], 0).unwrap();
    assert_eq!(readable(&kit.open(&known)).len(), 60);
}

/// A crash took the end of a segment, and its seal survived: what is added instead is not what the
/// seal speaks for.
#[test]
fn a_seal_of_more_than_there_is_goes_before_the_next_append() {
    let (kit, known, bases) = sealed();
    let last = bases[2];
    let file = open(&kit, &log_path(last));
    file.set_len(file.len().unwrap() - 2 * BATCH).unwrap();
    let known = Known {
        clean: false,
        recovery_point: offset(last),
        durable_end: offset(58),
        ..known
    };
    let log = kit.open(&known);
    assert_eq!(log.ends().end, offset(58));
    log.fill(10);
    assert_eq!(seal(&kit, last), None);
    let log = kit.open(&closed(&log));
    assert_eq!(readable(&log).len(), 68);
}

/// As after a crash, or in a directory of Kafka's.
#[test]
fn what_has_ended_without_a_seal_gets_one_after_a_restart() {
    let (kit, known, bases) = sealed();
    for base in &bases {
        kit.vfs().remove_file(&seal_path(*base)).unwrap();
    }
    let log = kit.open(&known);
    let mut now = at(2000);
    // One at a time, so that a start with many of them is not burdened.
    for done in 1..=2 {
        let step = log.maintain(now).unwrap();
        assert_eq!(check_seals(&kit, &log), done);
        let next = step.next.unwrap();
        assert!(!step.more);
        if done == 1 {
            assert_eq!(next.get() - now.get(), 1000);
        }
        now = next;
    }
    assert_eq!(readable(&log).len(), 60);
    assert_eq!(kit.shared.findings.list(), []);
    // After a kill, too: the indexes of what was checked are in memory then.
    for base in &bases[..2] {
        kit.vfs().remove_file(&seal_path(*base)).unwrap();
    }
    let known = Known {
        clean: false,
        recovery_point: offset(0),
        ..known
    };
    let log = kit.open(&known);
    log.maintain(at(2000)).unwrap();
    log.maintain(at(4000)).unwrap();
    assert_eq!(check_seals(&kit, &log), 2);
}

/// What was read before a truncation and what was read after it are no one file.
#[test]
fn a_cut_while_a_segment_is_sealed_begins_it_anew() {
    let mut kit = Kit::new();
    kit.config = LogConfig {
        segment_bytes: 24 << 20,
        ..kit.config
    };
    let log = kit.open(&Known::default());
    let put = |text: &str| _ = log.put(&[&text.repeat(1_000_000)]);
    for _ in 0..30 {
        put("a");
    }
    kit.flusher.flush().unwrap();
    assert_eq!(bases_of(&log), 2);
    let ended = bases(&log)[1];
    assert!(
        log.maintain(at(2000)).unwrap().more,
        "8 MiB of it were read"
    );
    log.truncate_to(offset(3)).unwrap();
    for _ in 3..30 {
        put("b");
    }
    kit.flusher.flush().unwrap();
    assert_eq!(bases(&log)[1], ended, "of the same size as before");
    look_after(&log);
    assert_eq!(check_seals(&kit, &log), 1);
}

#[test]
fn a_stop_reads_a_bounded_number_of_bytes_to_seal() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(10);
    kit.shared
        .sealed_at_stop
        .store(10 * BATCH - 1, std::sync::atomic::Ordering::Relaxed);
    let known = closed(&log);
    assert_eq!(seal(&kit, 0), None);
    let log = kit.open(&known);
    log.fill(1);
    kit.shared
        .sealed_at_stop
        .store(11 * BATCH, std::sync::atomic::Ordering::Relaxed);
    closed(&log);
    assert!(seal(&kit, 0).is_some());
}

/// An index of which only the ends are right, beside a segment without a seal.
#[test]
fn a_wrong_entry_in_the_middle_of_an_index_is_no_reason_to_fail() {
    let (kit, known, bases) = sealed();
    let last = bases[2];
    kit.vfs().remove_file(&seal_path(last)).unwrap();
    let index = Path::new(DIR).join(format!("{last:020}.index"));
    // The last entry but one points behind the end of the segment.
    let len = open(&kit, &index).len().unwrap();
    flip(&kit, &index, len - 12, 0x40);
    let log = kit.open(&known);
    log.fill(30);
    assert_eq!(readable(&log).len(), 90);
}

/// Nobody knew of it, as there is no seal, and the batches have to be walked as a snapshot is
/// missing.
#[test]
fn a_bad_header_does_not_keep_the_log_from_being_opened() {
    let (kit, known, bases) = sealed();
    for base in &bases {
        kit.vfs().remove_file(&seal_path(*base)).unwrap();
    }
    for entry in kit.vfs().list(Path::new(DIR)).unwrap() {
        if entry.name.ends_with(".snapshot") {
            kit.vfs()
                .remove_file(&Path::new(DIR).join(entry.name))
                .unwrap();
        }
    }
    flip(&kit, &log_path(0), 5 * BATCH + 16, 1);
    let log = kit.open(&known);
    let expected: Vec<i64> = (0..60).filter(|n| *n != 5).collect();
    assert_eq!(readable(&log), expected);
    assert_eq!(kit.shared.findings.list().len(), 1);
}
