//! Where each leader epoch of a log begins (KIP-101, KIP-279).

use std::collections::BTreeMap;

use crate::checkpoint::{self, CheckpointError};
use crate::derived::{Derived, Rewind};
use crate::{LeaderEpoch, Limits, Offset};

/// The first offset of each leader epoch; both rise from entry to entry.
///
/// It holds epochs that have a batch, and those a new leader assigned before its first batch.
/// On disk it is `leader-epoch-checkpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochCache {
    starts: BTreeMap<LeaderEpoch, Offset>,
}

impl LeaderEpochCache {
    /// Notes that `epoch` begins at `start`, and whether that was news. Entries that contradict it
    /// (of the same or a later epoch, or beginning at or after `start`) are dropped: they are of
    /// leaders whose batches were cut. An epoch of "none" is not noted.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch <= LeaderEpoch::NONE || start < Offset::ZERO {
            return false;
        }
        if self.latest().is_some_and(|(e, s)| e == epoch && s <= start) {
            return false;
        }
        while let Some(last) = self.starts.last_entry() {
            if *last.key() < epoch && *last.get() < start {
                break;
            }
            last.remove();
        }
        self.starts.insert(epoch, start);
        true
    }

    /// The latest epoch and its first offset.
    pub(crate) fn latest(&self) -> Option<(LeaderEpoch, Offset)> {
        self.starts.last_key_value().map(|(e, s)| (*e, *s))
    }

    /// The entries in order.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (LeaderEpoch, Offset)> {
        self.starts.iter().map(|(e, s)| (*e, *s))
    }

    /// The epoch of the batch at `offset`.
    pub(crate) fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let mut newest_first = self.starts.iter().rev();
        newest_first.find(|(_, s)| **s <= offset).map(|(e, _)| *e)
    }

    /// The largest epoch at or below `asked`, and where it ends: at the next epoch's first offset
    /// or, for the latest, at `log_end`. Where all known epochs are later, the answer is `asked`
    /// itself with the first known start. `None` where `asked` is later than all known, or none.
    pub(crate) fn end_offset_for(
        &self,
        asked: LeaderEpoch,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if asked <= LeaderEpoch::NONE {
            return None;
        }
        if self.latest().is_some_and(|(epoch, _)| epoch == asked) {
            return Some((asked, log_end));
        }
        let floor = self.starts.range(..=asked).next_back().map(|(e, _)| *e);
        let above = LeaderEpoch::new(asked.get().checked_add(1)?);
        let (_, end) = self.starts.range(above..).next()?;
        Some((floor.unwrap_or(asked), *end))
    }

    /// Drops the epochs that begin at or after `end`, and says whether there were any.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.starts.len();
        self.starts.retain(|_, start| *start < end);
        self.starts.len() != before
    }

    /// Drops the epochs that end at or before `start`; the one that `start` lies in begins there
    /// from now on. Says whether anything changed.
    pub(crate) fn truncate_from_start(&mut self, start: Offset) -> bool {
        let below = self.starts.iter().rev().find(|(_, s)| **s <= start);
        let Some((epoch, was)) = below.map(|(e, s)| (*e, *s)) else {
            return false;
        };
        let before = self.starts.len();
        self.starts.retain(|e, _| *e >= epoch);
        self.starts.insert(epoch, start);
        was != start || self.starts.len() != before
    }
}

impl Derived for LeaderEpochCache {
    type LoadError = CheckpointError;

    fn truncate(&mut self, to: Offset) -> Rewind {
        self.truncate_from_end(to);
        Rewind::Done
    }

    fn advance_start(&mut self, start: Offset) {
        self.truncate_from_start(start);
    }

    fn snapshot(&self) -> Vec<u8> {
        checkpoint::encode_epochs(self.entries())
    }

    /// Entries at or after `end` are dropped: the file is written before the batches are durable.
    fn load(bytes: &[u8], end: Offset, _limits: &Limits) -> Result<Self, CheckpointError> {
        let mut cache = Self::default();
        for (index, (epoch, start)) in checkpoint::decode_epochs(bytes)?.into_iter().enumerate() {
            let last = cache.latest();
            if last.is_some_and(|(e, s)| epoch <= e || start <= s) {
                return Err(CheckpointError {
                    line: index + 3,
                    why: "epoch and offset do not rise".into(),
                });
            }
            cache.starts.insert(epoch, start);
        }
        cache.truncate_from_end(end);
        Ok(cache)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn epoch(number: i32) -> LeaderEpoch {
        LeaderEpoch::new(number)
    }

    fn offset(number: i64) -> Offset {
        Offset::new(number)
    }

    fn cache(entries: &[(i32, i64)]) -> LeaderEpochCache {
        let mut cache = LeaderEpochCache::default();
        for (e, s) in entries {
            assert!(cache.assign(epoch(*e), offset(*s)), "{e} at {s}");
        }
        cache
    }

    fn listed(cache: &LeaderEpochCache) -> Vec<(i32, i64)> {
        cache.entries().map(|(e, s)| (e.get(), s.get())).collect()
    }

    #[test]
    fn an_epoch_keeps_its_first_offset() {
        let mut cache = cache(&[(0, 0), (2, 5)]);
        assert!(!cache.assign(epoch(2), offset(9)));
        assert!(!cache.assign(epoch(-1), offset(10)));
        assert_eq!(listed(&cache), [(0, 0), (2, 5)]);
        assert_eq!(cache.latest(), Some((epoch(2), offset(5))));
    }

    #[test]
    fn entries_that_contradict_a_new_one_are_dropped() {
        let mut earlier_offset = cache(&[(0, 0), (2, 5), (3, 8)]);
        assert!(earlier_offset.assign(epoch(4), offset(5)));
        assert_eq!(listed(&earlier_offset), [(0, 0), (4, 5)]);
        let mut earlier_epoch = cache(&[(0, 0), (2, 5), (3, 8)]);
        assert!(earlier_epoch.assign(epoch(2), offset(9)));
        assert_eq!(listed(&earlier_epoch), [(0, 0), (2, 9)]);
        let mut same_epoch_sooner = cache(&[(0, 0), (2, 5)]);
        assert!(same_epoch_sooner.assign(epoch(2), offset(3)));
        assert_eq!(listed(&same_epoch_sooner), [(0, 0), (2, 3)]);
    }

    #[test]
    fn an_epochs_end_is_the_next_ones_start() {
        let cache = cache(&[(2, 5), (4, 9), (5, 20)]);
        let end = |asked| {
            let found = cache.end_offset_for(epoch(asked), offset(30));
            found.map(|(e, o)| (e.get(), o.get()))
        };
        assert_eq!(end(5), Some((5, 30)), "the latest ends with the log");
        assert_eq!(end(4), Some((4, 20)));
        assert_eq!(end(3), Some((2, 9)), "the largest below");
        assert_eq!(end(1), Some((1, 5)), "all known are later");
        assert_eq!(end(6), None, "later than all known");
        assert_eq!(end(-1), None);
        assert_eq!(end(i32::MAX), None);
        let empty = LeaderEpochCache::default();
        assert_eq!(empty.end_offset_for(epoch(0), offset(0)), None);
    }

    #[test]
    fn the_epoch_of_an_offset_is_the_last_that_began() {
        let cache = cache(&[(2, 5), (4, 9)]);
        let of = |o| cache.epoch_of(offset(o)).map(LeaderEpoch::get);
        assert_eq!(
            [of(4), of(5), of(8), of(9), of(99)],
            [None, Some(2), Some(2), Some(4), Some(4)]
        );
    }

    #[test]
    fn truncation_from_either_end() {
        let mut from_end = cache(&[(0, 0), (2, 5), (3, 8)]);
        assert!(!from_end.truncate_from_end(offset(9)));
        assert!(from_end.truncate_from_end(offset(8)));
        assert_eq!(listed(&from_end), [(0, 0), (2, 5)]);
        let mut from_start = cache(&[(0, 0), (2, 5), (3, 8)]);
        assert!(from_start.truncate_from_start(offset(6)));
        assert_eq!(listed(&from_start), [(2, 6), (3, 8)]);
        assert!(!from_start.truncate_from_start(offset(6)));
        assert!(!from_start.truncate_from_start(offset(5)));
        assert!(from_start.truncate_from_start(offset(50)));
        assert_eq!(
            listed(&from_start),
            [(3, 50)],
            "an empty log keeps its epoch"
        );
    }

    #[test]
    fn a_file_that_does_not_rise_is_refused() {
        let load = |bytes: &[u8]| LeaderEpochCache::load(bytes, offset(100), &Limits::default());
        assert_eq!(listed(&load(b"0\n2\n1 0\n2 100\n").unwrap()), [(1, 0)]);
        assert_eq!(load(b"0\n2\n1 0\n1 5\n").unwrap_err().line, 4);
        assert_eq!(load(b"0\n2\n1 5\n2 5\n").unwrap_err().line, 4);
    }

    proptest! {
        #[test]
        fn entries_rise_whatever_happens_and_read_back(
            steps in prop::collection::vec((0..4, -1..20_i32, -1..40_i64), 0..60)
        ) {
            let mut cache = LeaderEpochCache::default();
            for (kind, e, o) in steps {
                match kind {
                    0 => { cache.truncate_from_end(offset(o)); }
                    1 => { cache.truncate_from_start(offset(o)); }
                    _ => { cache.assign(epoch(e), offset(o)); }
                }
                let entries = listed(&cache);
                prop_assert!(
                    entries.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1),
                    "{entries:?}"
                );
                let loaded = LeaderEpochCache::load(
                    &cache.snapshot(), offset(i64::MAX), &Limits::default());
                // A start that was cut to a negative offset never was one.
                prop_assert_eq!(loaded, Ok(cache.clone()));
            }
        }
    }
}
