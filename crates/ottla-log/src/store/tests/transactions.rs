//! Transactions in a store: written by a workload, and held against the batches after a crash.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::batch::{BatchOptions, EndTransactionMarker, Records};
use crate::{
    AppendError, Appended, Bound, LeaderAppend, LeaderEpoch, Limits, Log, Offset, Origin,
    ProducerEpoch, ProducerId, Record, Sequence, Timestamp, ValidBatches, build_batch,
};

/// Appends a batch of one record to the transaction of a producer.
pub(super) fn write(
    log: &Log,
    record: Record,
    producer: i64,
    sequence: i32,
) -> Result<Appended, AppendError> {
    append(log, record, &options(producer, sequence))
}

/// Ends the transaction of a producer.
pub(super) fn end(log: &Log, producer: i64, committed: bool) -> Result<Appended, AppendError> {
    let marker = EndTransactionMarker {
        committed,
        coordinator_epoch: 0,
    };
    let control = BatchOptions {
        control: true,
        ..options(producer, -1)
    };
    append(log, marker.to_record(), &control)
}

fn options(producer: i64, sequence: i32) -> BatchOptions {
    BatchOptions {
        producer_id: ProducerId::new(producer),
        producer_epoch: ProducerEpoch::new(0),
        base_sequence: Sequence::new(sequence),
        transactional: true,
        now: Timestamp::new(0),
        ..BatchOptions::default()
    }
}

fn append(log: &Log, record: Record, options: &BatchOptions) -> Result<Appended, AppendError> {
    let batches = ValidBatches::parse(build_batch(&[record], options)?, &Limits::default())?;
    let epoch = log.latest_epoch().unwrap_or(LeaderEpoch::new(0));
    let mut context = LeaderAppend::new(Timestamp::new(0), epoch);
    context.origin = Origin::Coordinator;
    log.append_as_leader(batches, &context)
}

/// What the batches of a log say of a transaction: its first record, its marker, whether it was
/// committed.
#[derive(Clone, Copy, Debug)]
struct Ended {
    producer: ProducerId,
    first: Offset,
    marker: Offset,
    committed: bool,
}

/// The last stable offset and the aborted transactions are what the batches say. Answers the
/// offsets of the markers.
pub(super) fn check(log: &Log, crash: &dyn Debug) -> Vec<i64> {
    log.committed(log.ends().durable);
    let (mut markers, mut ended, mut open) = (Vec::new(), Vec::new(), BTreeMap::new());
    let ends = log.ends();
    let mut from = ends.start;
    while from < ends.end {
        let slice = log.read(from, 1 << 20, Bound::LogEnd);
        let slice = slice.expect("the log can be read");
        if slice.is_empty() {
            break;
        }
        from = slice.next_offset();
        let bytes = slice.bytes().expect("the log can be read");
        let batches = ValidBatches::parse(bytes, &Limits::default()).expect("they were checked");
        for (header, bytes) in batches.batches() {
            let producer = header.producer_id;
            if !header.attributes.is_transactional() || header.next_offset() <= ends.start {
                continue;
            }
            if !header.attributes.is_control() {
                if header.record_count > 0 {
                    open.entry(producer).or_insert(header.base_offset);
                }
                continue;
            }
            let records = Records::open(header, &bytes, &Limits::default());
            for record in &records.expect("it was checked") {
                let record = record.expect("it was checked");
                markers.push(record.offset.get());
                let marker = EndTransactionMarker::from_record(record.key, record.value);
                if let Some(first) = open.remove(&producer) {
                    ended.push(Ended {
                        producer,
                        first,
                        marker: record.offset,
                        committed: marker.expect("it ends a transaction").committed,
                    });
                }
            }
        }
    }
    let unstable = ends.first_unstable;
    let expected = open.values().min().copied();
    // Of one that began below the log start the log may know more than is left.
    let is_right = unstable == expected || unstable.is_some_and(|first| first < ends.start);
    assert!(is_right, "{unstable:?}, not {expected:?}: {crash:?}");
    check_aborted(log, unstable.unwrap_or(ends.end), &ended, crash);
    markers
}

/// A reader of committed records is told of those that were aborted, and of no others.
fn check_aborted(log: &Log, until: Offset, ended: &[Ended], crash: &dyn Debug) {
    let mut from = log.ends().start;
    while from < until {
        let read = log.read_committed(from, 3000, until);
        let read = read.expect("the log can be read");
        if read.batches.is_empty() {
            return;
        }
        let base = read.batches.base_offset();
        from = read.batches.next_offset();
        for one in ended {
            let mut told = read.aborted.iter();
            let is_told = told.any(|told| told.producer_id == one.producer);
            let concerns = one.marker >= base && one.first < from;
            assert!(
                is_told != one.committed || (!is_told && !concerns),
                "{one:?} in {base}..{from}: {:?}: {crash:?}",
                read.aborted
            );
        }
    }
}
