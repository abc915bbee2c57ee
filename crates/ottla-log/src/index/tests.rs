use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::Timestamp;
use crate::vfs::{Mapped, Mapping};

#[derive(Debug)]
struct InMemory(Vec<u8>);

impl Mapped for InMemory {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn map(bytes: impl Into<Vec<u8>>) -> Mapping {
    Arc::new(InMemory(bytes.into()))
}

fn offset(offset: i64) -> Offset {
    Offset::new(offset)
}

fn at(offset: i64, position: u32) -> OffsetEntry {
    OffsetEntry {
        offset: Offset::new(offset),
        position,
    }
}

fn time(timestamp: i64, offset: i64) -> TimeEntry {
    TimeEntry {
        timestamp: Timestamp::new(timestamp),
        offset: Offset::new(offset),
    }
}

#[test]
fn offset_entries_have_kafkas_bytes() {
    let mut index = OffsetIndex::new(offset(100), 80);
    assert!(index.push(offset(105), 4096));
    assert!(index.push(offset(0x1_0000), 0x1_0001));
    assert_eq!(
        index.encode(),
        [0, 0, 0, 5, 0, 0, 16, 0, 0, 0, 0xff, 0x9c, 0, 1, 0, 1]
    );
}

#[test]
fn time_entries_have_kafkas_bytes() {
    let mut index = TimeIndex::new(offset(100), 120);
    assert!(index.push(Timestamp::new(0x0102), offset(105)));
    assert_eq!(index.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5]);
}

#[test]
fn an_offset_index_is_full_at_its_size() {
    let mut index = OffsetIndex::new(offset(0), 8 * 2 + 7);
    assert!(!index.is_full());
    assert!(index.push(offset(1), 10) && index.push(offset(2), 20));
    assert!(index.is_full());
    assert!(!index.push(offset(3), 30));
    assert_eq!(index.last(), at(2, 20));
}

#[test]
fn a_time_index_keeps_a_place_for_its_last_entry() {
    let mut index = TimeIndex::new(offset(0), 12 * 3);
    let ts = Timestamp::new;
    assert!(index.push(ts(1), offset(1)) && index.push(ts(2), offset(2)));
    assert!(index.is_full());
    assert!(!index.push(ts(3), offset(3)));
    assert!(index.push_final(ts(3), offset(3)));
    assert!(!index.push_final(ts(4), offset(4)));
    assert_eq!((index.len(), index.last()), (3, time(3, 3)));
}

#[test]
fn entries_that_do_not_rise_or_reach_are_left_away() {
    let mut index = OffsetIndex::new(offset(100), 800);
    assert!(!index.push(offset(99), 1), "below the segment");
    assert!(index.push(offset(110), 50));
    assert!(!index.push(offset(110), 60) && !index.push(offset(111), 50));
    assert!(!index.push(offset(100 + (1 << 31)), 60), "out of reach");
    assert!(!index.push(offset(111), 1 << 31), "out of reach");
    assert_eq!(index.len(), 1);

    let mut index = TimeIndex::new(offset(100), 1200);
    let ts = Timestamp::new;
    assert!(!index.push(ts(-1), offset(101)), "no timestamp");
    assert!(index.push(ts(0), offset(101)));
    assert!(!index.push(ts(0), offset(102)) && !index.push(ts(5), offset(100)));
    assert!(
        index.push(ts(5), offset(101)),
        "a later timestamp, the same batch"
    );
    assert!(!index.push(ts(6), offset(100 + (1 << 31))));
    assert_eq!(index.len(), 2);
}

#[test]
fn an_empty_index_answers_the_segments_start() {
    let index = OffsetIndex::new(offset(7), 80);
    assert_eq!(
        (index.lookup(offset(9)), index.last()),
        (at(7, 0), at(7, 0))
    );
    let sealed = SealedOffsetIndex::open(offset(7), map([]), offset(7), 0).unwrap();
    assert_eq!(
        (sealed.lookup(offset(9)), sealed.last()),
        (at(7, 0), at(7, 0))
    );
    let index = TimeIndex::new(offset(7), 80);
    assert_eq!(index.lookup(Timestamp::new(5)), time(-1, 7));
    let sealed = SealedTimeIndex::open(offset(7), map([]), offset(7)).unwrap();
    assert_eq!(
        (sealed.lookup(Timestamp::new(5)), sealed.last()),
        (time(-1, 7), time(-1, 7))
    );
}

#[test]
fn files_that_do_not_belong_to_the_segment_are_refused() {
    let mut index = OffsetIndex::new(offset(100), 800);
    index.push(offset(110), 50);
    index.push(offset(120), 90);
    let open = |bytes: Vec<u8>, next: i64, len: u64| {
        SealedOffsetIndex::open(offset(100), map(bytes), offset(next), len).map(|_| ())
    };
    let good = index.encode();
    assert_eq!(open(good.clone(), 121, 91), Ok(()));
    assert_eq!(
        open(good.clone(), 120, 91),
        Err(IndexError::Outside { entry: 1 })
    );
    assert_eq!(
        open(good.clone(), 121, 90),
        Err(IndexError::Outside { entry: 1 })
    );
    let length = IndexError::Length { len: 15, entry: 8 };
    assert_eq!(open(good[..15].to_vec(), 121, 91), Err(length));
    let mut negative = good.clone();
    negative[0] = 0x80;
    assert_eq!(
        open(negative, 121, 91),
        Err(IndexError::Outside { entry: 0 })
    );
    let preallocated = [good.clone(), vec![0; 16]].concat();
    assert_eq!(
        open(preallocated, 121, 91),
        Err(IndexError::Order { entry: 3 })
    );
    let twice = [good.clone(), good].concat();
    let index = SealedOffsetIndex::open(offset(100), map(twice), offset(121), 91).unwrap();
    assert_eq!(
        index.check_all(offset(121), 91),
        Err(IndexError::Order { entry: 2 })
    );
}

#[test]
fn time_files_that_do_not_belong_to_the_segment_are_refused() {
    let mut index = TimeIndex::new(offset(100), 1200);
    index.push(Timestamp::new(5), offset(110));
    index.push(Timestamp::new(9), offset(120));
    let open = |bytes: Vec<u8>, next: i64| {
        SealedTimeIndex::open(offset(100), map(bytes), offset(next)).map(|_| ())
    };
    let good = index.encode();
    assert_eq!(open(good.clone(), 121), Ok(()));
    assert_eq!(
        open(good.clone(), 120),
        Err(IndexError::Outside { entry: 1 })
    );
    assert_eq!(
        open(good[..13].to_vec(), 121),
        Err(IndexError::Length { len: 13, entry: 12 })
    );
    let preallocated = [good.clone(), vec![0; 12]].concat();
    assert_eq!(open(preallocated, 121), Err(IndexError::Order { entry: 2 }));
    let twice = [good.clone(), good].concat();
    let index = SealedTimeIndex::open(offset(100), map(twice), offset(121)).unwrap();
    assert_eq!(
        index.check_all(offset(121)),
        Err(IndexError::Order { entry: 2 })
    );
}

/// A log's batches as an index sees them: last offset, position, largest timestamp so far.
fn entries() -> impl Strategy<Value = Vec<(i64, u32, i64)>> {
    prop::collection::vec((1..50_i64, 1..5000_u32, -3..20_i64), 0..60).prop_map(|steps| {
        let mut last = (1000, 0, 50);
        let mut step = |(o, p, t): (i64, u32, i64)| {
            last = (last.0 + o, last.1 + p, last.2 + t);
            last
        };
        steps.into_iter().map(&mut step).collect()
    })
}

proptest! {
    #[test]
    fn both_forms_of_an_offset_index_answer_as_a_plain_list(
        entries in entries(), cut in 990..4000_i64
    ) {
        let base = offset(1000);
        let mut index = OffsetIndex::new(base, 1 << 20);
        let mut model = vec![at(1000, 0)];
        for (o, position, _) in &entries {
            prop_assert!(index.push(offset(*o), *position));
            model.push(at(*o, *position));
        }
        let end = (offset(5000), 1 << 20);
        for truncated in [false, true] {
            if truncated {
                index.truncate(offset(cut));
                model.retain(|e| e.position == 0 || e.offset.get() < cut);
            }
            let sealed = SealedOffsetIndex::open(base, map(index.encode()), end.0, end.1).unwrap();
            prop_assert_eq!(sealed.check_all(end.0, end.1), Ok(()));
            prop_assert_eq!(sealed.len(), index.len());
            let active = sealed.to_active(1 << 20);
            for target in (900..4100).step_by(7).chain(entries.iter().map(|e| e.0)) {
                let below = model.iter().rev().find(|e| e.offset.get() <= target);
                let expected = below.copied().unwrap_or_else(|| at(1000, 0));
                prop_assert_eq!(index.lookup(offset(target)), expected);
                prop_assert_eq!(sealed.lookup(offset(target)), expected);
                prop_assert_eq!(active.lookup(offset(target)), expected);
            }
            prop_assert_eq!(Some(index.last()), model.last().copied());
            prop_assert_eq!(Some(sealed.last()), model.last().copied());
            for extreme in [i64::MIN, i64::MAX] {
                prop_assert_eq!(index.lookup(offset(extreme)), sealed.lookup(offset(extreme)));
            }
        }
    }

    #[test]
    fn both_forms_of_a_time_index_answer_as_a_plain_list(
        entries in entries(), cut in 990..4000_i64
    ) {
        let base = offset(1000);
        let mut index = TimeIndex::new(base, 1 << 20);
        let mut model = vec![time(-1, 1000)];
        for (o, _, timestamp) in &entries {
            let rises = model.iter().all(|e| e.timestamp.get() < *timestamp);
            prop_assert_eq!(index.push(Timestamp::new(*timestamp), offset(*o)), rises);
            if rises {
                model.push(time(*timestamp, *o));
            }
        }
        for truncated in [false, true] {
            if truncated {
                index.truncate(offset(cut));
                model.retain(|e| e.timestamp.get() < 0 || e.offset.get() < cut);
            }
            let bytes = map(index.encode());
            let sealed = SealedTimeIndex::open(base, bytes, offset(5000)).unwrap();
            prop_assert_eq!(sealed.check_all(offset(5000)), Ok(()));
            let active = sealed.to_active(1 << 20);
            for target in -5..400 {
                let below = model.iter().rev().find(|e| e.timestamp.get() <= target);
                let expected = below.copied().unwrap_or_else(|| time(-1, 1000));
                prop_assert_eq!(index.lookup(Timestamp::new(target)), expected);
                prop_assert_eq!(sealed.lookup(Timestamp::new(target)), expected);
                prop_assert_eq!(active.lookup(Timestamp::new(target)), expected);
            }
            prop_assert_eq!(Some(sealed.last()), model.last().copied());
        }
    }

    #[test]
    fn any_bytes_are_an_index_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::indexes(&bytes);
    }
}
