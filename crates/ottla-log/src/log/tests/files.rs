//! What is in a log's directory after a clean stop, by the rules of Kafka's own checker
//! (`kafka-dump-log --index-sanity-check`), and complete.

use std::collections::BTreeMap;
use std::path::Path;

use crate::batch::BatchHeader;
use crate::log::dir::{self, Listing, file_in};
use crate::producer_state::ProducerState;
use crate::vfs::Vfs;
use crate::{Limits, Offset, ValidBatches};

/// Checks every file in `log_dir`, the directory of a closed log that starts at `start`. One that
/// is not `is_whole` was compacted: an aborted transaction may be told of that has no batch left.
pub(super) fn check(vfs: &dyn Vfs, log_dir: &Path, start: Offset, is_whole: bool) {
    if vfs.stat(log_dir).unwrap().is_none() {
        return;
    }
    let mut listing = Listing::read(vfs, log_dir).unwrap();
    assert!(listing.metadata);
    // Segments below the start are on their way out.
    if let Some(first) = listing.segments.range(..=start).next_back().copied() {
        listing.segments = listing.segments.split_off(&first);
        listing.indexes = listing.indexes.split_off(&first);
        listing.time_indexes = listing.time_indexes.split_off(&first);
        listing.txn_indexes = listing.txn_indexes.split_off(&first);
    }
    assert_eq!(
        listing.indexes, listing.segments,
        "one index for each segment"
    );
    assert_eq!(listing.time_indexes, listing.segments);
    let unfinished: Vec<&String> = listing
        .leftovers
        .iter()
        .filter(|name| !name.ends_with(dir::DELETED))
        .collect();
    assert_eq!(unfinished, Vec::<&String>::new());
    let mut next = Offset::ZERO;
    // The first record of each open transaction.
    let mut open: BTreeMap<i64, i64> = BTreeMap::new();
    for base in &listing.segments {
        let aborted = aborted_in(vfs, &file_in(log_dir, *base, dir::LOG), &mut open);
        let path = file_in(log_dir, *base, dir::TXN_INDEX);
        let found = crate::checkpoint::read(vfs, &path, 1 << 30).unwrap();
        if start == Offset::ZERO && is_whole {
            check_aborted(found.as_deref(), &aborted);
        }
        let batches = batches(vfs, &file_in(log_dir, *base, dir::LOG));
        let first = batches
            .first()
            .map_or(*base, |(_, header)| header.base_offset);
        assert!(first >= *base && first >= next);
        next = batches
            .last()
            .map_or(*base, |(_, header)| header.next_offset());
        check_index(
            &read(vfs, &file_in(log_dir, *base, dir::INDEX)),
            *base,
            &batches,
        );
        check_times(
            &read(vfs, &file_in(log_dir, *base, dir::TIME_INDEX)),
            *base,
            &batches,
        );
    }
    next = next.max(start);
    for offset in &listing.snapshots {
        assert!(
            *offset <= next,
            "a snapshot of {offset} lies above the end {next}"
        );
        let bytes = read(vfs, &file_in(log_dir, *offset, dir::SNAPSHOT));
        <ProducerState as crate::derived::Derived>::load(&bytes, *offset, &Limits::default())
            .unwrap();
    }
}

fn read(vfs: &dyn Vfs, path: &Path) -> Vec<u8> {
    crate::checkpoint::read(vfs, path, 1 << 30)
        .unwrap()
        .unwrap_or_else(|| panic!("{path:?} is missing"))
}

/// The batches of a `.log` file with their positions.
fn batches(vfs: &dyn Vfs, path: &Path) -> Vec<(u32, BatchHeader)> {
    let bytes = read(vfs, path);
    if bytes.is_empty() {
        return Vec::new();
    }
    let parsed = ValidBatches::parse(bytes.into(), &Limits::default()).unwrap();
    let mut position = 0;
    let mut batches = Vec::new();
    for header in parsed.headers() {
        batches.push((position, *header));
        position += header.size_bytes() as u32;
    }
    batches
}

/// Producer, first record and marker of each transaction that was aborted in a `.log` file.
fn aborted_in(vfs: &dyn Vfs, path: &Path, open: &mut BTreeMap<i64, i64>) -> Vec<[i64; 3]> {
    let bytes = read(vfs, path);
    let mut rest: &[u8] = &bytes;
    let mut aborted = Vec::new();
    while !rest.is_empty() {
        let (batch, behind) = rest.split_at(12 + number::<4>(rest, 8) as usize);
        rest = behind;
        let (base, producer) = (number::<8>(batch, 0), number::<8>(batch, 43));
        let (is_transactional, is_control) = (batch[22] & 16 != 0, batch[22] & 32 != 0);
        if is_transactional && !is_control {
            open.entry(producer).or_insert(base);
        }
        // The record's head has 5 bytes; the key, of 4, ends with 0 for an abort.
        if is_control
            && let Some(first) = open.remove(&producer)
            && number::<4>(batch, 66) == 0
        {
            aborted.push([producer, first, base]);
        }
    }
    aborted
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> i64 {
    let digits = bytes[at..at + N].iter();
    digits.fold(0, |number, digit| number << 8 | i64::from(*digit))
}

/// There is a file where there is something to tell, and it tells that.
fn check_aborted(found: Option<&[u8]>, expected: &[[i64; 3]]) {
    assert_eq!(found.is_some(), !expected.is_empty());
    let entries = found.unwrap_or_default().chunks(34);
    let told = entries.map(|e| [2, 10, 18].map(|at| number::<8>(e, at)));
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

/// Each entry names the last offset of the batch at its position; they rise.
fn check_index(bytes: &[u8], base: Offset, batches: &[(u32, BatchHeader)]) {
    assert!(bytes.len().is_multiple_of(8));
    let mut previous = None;
    for entry in bytes.chunks_exact(8) {
        let (offset, position) = entry.split_at(4);
        let offset = base.plus(i32::from_be_bytes(offset.try_into().unwrap()).into());
        let position = u32::from_be_bytes(position.try_into().unwrap());
        let found = batches.iter().find(|(at, _)| *at == position);
        let (_, header) = found.unwrap_or_else(|| panic!("no batch begins at {position}"));
        assert_eq!(header.last_offset(), offset);
        assert!(previous < Some((offset, position)));
        previous = Some((offset, position));
    }
}

/// Each entry names the last offset of a batch and that batch's largest timestamp; they rise. The
/// last one has the largest timestamp of the segment.
fn check_times(bytes: &[u8], base: Offset, batches: &[(u32, BatchHeader)]) {
    assert!(bytes.len().is_multiple_of(12));
    let mut previous = -1;
    for entry in bytes.chunks_exact(12) {
        let (time, offset) = entry.split_at(8);
        let time = i64::from_be_bytes(time.try_into().unwrap());
        let offset = base.plus(i32::from_be_bytes(offset.try_into().unwrap()).into());
        let found = batches.iter().find(|(_, h)| h.last_offset() == offset);
        let (_, header) = found.unwrap_or_else(|| panic!("no batch ends with {offset}"));
        assert_eq!(header.max_timestamp.get(), time);
        assert!(previous < time);
        previous = time;
    }
    // An empty batch keeps the timestamp of its records and has none itself.
    let with_records = batches.iter().filter(|(_, h)| h.record_count > 0);
    let largest = with_records.map(|(_, h)| h.max_timestamp.get()).max();
    assert_eq!(
        previous,
        largest.unwrap_or(-1),
        "the last entry is the largest"
    );
}
