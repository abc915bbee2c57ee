//! What compaction may take of the model's records, and what it has to.

use std::collections::{BTreeMap, BTreeSet};

use super::{DELETE_RETENTION_MS, Transaction, World};
use crate::batch::Records;
use crate::log::Bound;
use crate::{Limits, Offset, Timestamp, ValidBatches};

/// A batch of the log: the offsets that it still has, and when its tombstones may go.
type Left = (BTreeSet<i64>, Option<i64>);

impl World {
    /// Below this every transaction is over, and all is committed.
    pub(super) fn stable(&self) -> i64 {
        let ends = self.log.ends();
        let stable = ends.first_unstable.unwrap_or(ends.end);
        stable.min(self.log.committed_end()).get()
    }

    /// The first record of a transaction that compaction left, at or above the log start.
    pub(super) fn first_left(&self, one: &Transaction) -> Option<i64> {
        let end = one.end.map_or(i64::MAX, |(end, _)| end);
        let in_it = |offset: &i64| (one.first.max(self.start)..end).contains(offset);
        let of_it = self.batches.iter().filter(|batch| {
            let is_its = batch.producer.is_some_and(|(id, _)| id == one.producer);
            is_its && batch.marker.is_none()
        });
        let offsets = of_it.flat_map(|batch| batch.times().map(|(offset, _)| offset));
        offsets.filter(in_it).min()
    }

    /// A step of background work is done, before which everything below `stable` was decided: what
    /// compaction took it had to be allowed to take, and is gone.
    pub(super) fn note_compaction(&mut self, stable: i64) {
        if self.compacted.is_some() {
            self.compacted_to = self.compacted_to.max(stable);
        }
        let left = self.left();
        let start = self.log.ends().start.get();
        let newest = self.newest_of_keys();
        let all = self.transactions();
        let mut taken = Vec::new();
        for (number, batch) in self.batches.iter().enumerate() {
            let found = left.get(&batch.base);
            let is_over = batch.horizon.is_some_and(|at| at <= self.now);
            for (offset, _) in batch.times() {
                let is_left = found.is_some_and(|(offsets, _)| offsets.contains(&offset));
                if offset < start || is_left {
                    continue;
                }
                assert!(
                    offset < self.compacted_to,
                    "{offset} is gone from {batch:?}"
                );
                let record = &batch.records[(offset - batch.base) as usize];
                let is_allowed = match batch.marker {
                    Some(_) => is_over && self.says_nothing(&all, batch.base),
                    None => {
                        let key = record.key.as_ref();
                        let newer = key.and_then(|key| newest.get(key)).copied();
                        key.is_none()
                            || newer.is_some_and(|newer| newer > offset)
                            || self.is_aborted(&all, offset, batch.producer)
                            || (record.value.is_none() && is_over)
                    }
                };
                assert!(is_allowed, "{offset} is gone at {}: {batch:?}", self.now);
                taken.push((number, (offset - batch.base) as usize));
            }
        }
        self.taken += taken.len() as u64;
        for (batch, record) in taken {
            self.batches[batch].records[record].gone = true;
        }
        self.note_horizons(&left);
        self.check_cleaned(&left, &newest);
    }

    /// What each batch of the log has left, by its base offset.
    fn left(&self) -> BTreeMap<i64, Left> {
        let start = self.log.ends().start;
        let mut left = BTreeMap::new();
        for bytes in self.log.all_bytes(start, 1 << 20, Bound::LogEnd) {
            let parsed = ValidBatches::parse(bytes, &Limits::default()).unwrap();
            for (header, bytes) in parsed.batches() {
                let records = Records::open(header, &bytes, &Limits::default()).unwrap();
                let offsets = records.iter().map(|record| record.unwrap().offset.get());
                let horizon = header.delete_horizon().map(Timestamp::get);
                let found = (offsets.collect(), horizon);
                let twice = left.insert(header.base_offset.get(), found);
                assert_eq!(twice, None, "two batches at {}", header.base_offset);
            }
        }
        left
    }

    /// The newest decided record of each key that was not aborted, gone or not.
    fn newest_of_keys(&self) -> BTreeMap<String, i64> {
        let all = self.transactions();
        let mut newest = BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| batch.marker.is_none()) {
            for (offset, record) in (batch.base..).zip(&batch.records) {
                if let Some(key) = &record.key
                    && offset < self.compacted_to
                    && !self.is_aborted(&all, offset, batch.producer)
                {
                    newest.insert(key.clone(), offset);
                }
            }
        }
        newest
    }

    fn is_aborted(&self, all: &[Transaction], offset: i64, producer: Option<(usize, i32)>) -> bool {
        let is_its = |one: &&Transaction| producer.is_some_and(|(id, _)| id == one.producer);
        all.iter().filter(is_its).any(|one| {
            one.end
                .is_some_and(|(end, committed)| !committed && (one.first..end).contains(&offset))
        })
    }

    /// Whether the marker at `marker` ends a transaction of which nothing is left, or none.
    fn says_nothing(&self, all: &[Transaction], marker: i64) -> bool {
        let of_it = |one: &&Transaction| one.end.is_some_and(|(end, _)| end == marker);
        all.iter()
            .find(of_it)
            .is_none_or(|one| self.first_left(one).is_none())
    }

    /// A horizon is given once, by the time of the compaction, and stays.
    fn note_horizons(&mut self, left: &BTreeMap<i64, Left>) {
        for batch in &mut self.batches {
            let Some((offsets, horizon)) = left.get(&batch.base) else {
                continue;
            };
            if let (Some(known), false) = (batch.horizon, offsets.is_empty()) {
                assert_eq!(*horizon, Some(known), "{batch:?}");
            } else if let Some(given) = *horizon {
                let given_at = given - DELETE_RETENTION_MS;
                assert!((1000..=self.now).contains(&given_at), "{batch:?}: {given}");
                batch.horizon = Some(given);
            }
        }
    }

    /// Below what the log calls cleaned each key is there once at most, with its newest record.
    fn check_cleaned(&self, left: &BTreeMap<i64, Left>, newest: &BTreeMap<String, i64>) {
        let ends = self.log.ends();
        let cleaned = self.log.cleaned();
        if !(ends.start..=ends.end).contains(&cleaned) || self.compacted.is_none() {
            return;
        }
        let is_cleaned = |offset: i64| Offset::new(offset) < cleaned && offset >= self.start;
        let all = self.transactions();
        for batch in self.batches.iter().filter(|batch| batch.marker.is_none()) {
            let Some((offsets, _)) = left.get(&batch.base) else {
                continue;
            };
            for offset in offsets.iter().copied().filter(|offset| is_cleaned(*offset)) {
                let record = &batch.records[(offset - batch.base) as usize];
                let key = record.key.as_ref();
                let is_newest = key.and_then(|key| newest.get(key)).is_some_and(|newest| {
                    // The newest of all may lie behind what was cleaned.
                    *newest == offset || Offset::new(*newest) >= cleaned
                });
                let is_aborted = self.is_aborted(&all, offset, batch.producer);
                assert!(
                    is_newest && !is_aborted,
                    "{offset} is there still: {batch:?}"
                );
            }
        }
    }
}
