//! Which bytes of a segment were checked since the segment was opened: their checksums and the
//! chain of their offsets. Only checked bytes may be sent without being read.

/// How many disjoint ranges are kept. Forgetting one costs a second check, nothing else.
const RANGES_MAX: usize = 32;

/// Disjoint byte ranges, sorted, none touching the next.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    ranges: Vec<(u64, u64)>,
}

impl Verified {
    /// Notes that the bytes from `from` up to `to` are good.
    pub(crate) fn add(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        // Everything from `first` up to `last` touches the new range and melts into it.
        let first = self.ranges.partition_point(|&(_, end)| end < from);
        let last = self.ranges.partition_point(|&(start, _)| start <= to);
        let merged = self
            .ranges
            .get(first..last)
            .unwrap_or_default()
            .iter()
            .fold((from, to), |(a, b), &(start, end)| {
                (a.min(start), b.max(end))
            });
        self.ranges.splice(first..last, [merged]);
        if self.ranges.len() > RANGES_MAX {
            let shortest = (0..self.ranges.len()).min_by_key(|&i| {
                self.ranges
                    .get(i)
                    .map_or(u64::MAX, |&(start, end)| end - start)
            });
            if let Some(shortest) = shortest {
                self.ranges.remove(shortest);
            }
        }
    }

    /// Whether every byte from `from` up to `to` is good.
    pub(crate) fn covers(&self, from: u64, to: u64) -> bool {
        let next = self.ranges.partition_point(|&(start, _)| start <= from);
        from >= to
            || next
                .checked_sub(1)
                .and_then(|i| self.ranges.get(i))
                .is_some_and(|&(_, end)| to <= end)
    }

    /// Forgets everything from `position` on.
    pub(crate) fn truncate(&mut self, position: u64) {
        self.ranges.retain(|&(start, _)| start < position);
        if let Some((_, end)) = self.ranges.last_mut() {
            *end = position.min(*end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a model of one flag per byte. The model may know more than the ranges, which
        /// forget when there are too many.
        #[test]
        fn never_claims_a_byte_that_was_not_added(
            steps in prop::collection::vec((0_u64..200, 0_u64..40, any::<bool>()), 1..100),
        ) {
            let mut verified = Verified::default();
            let mut model = [false; 256];
            for (from, len, cut) in steps {
                if cut && len < 4 {
                    verified.truncate(from);
                    model[from as usize..].fill(false);
                } else {
                    verified.add(from, from + len);
                    model[from as usize..(from + len) as usize].fill(true);
                }
                for at in 0..255 {
                    let claimed = verified.covers(at, at + 1);
                    prop_assert!(!claimed || model[at as usize], "byte {at}");
                    if verified.ranges.len() < RANGES_MAX {
                        prop_assert_eq!(claimed, model[at as usize], "byte {}", at);
                    }
                }
                for pair in verified.ranges.windows(2) {
                    prop_assert!(pair[0].0 < pair[0].1 && pair[0].1 < pair[1].0);
                }
            }
        }
    }

    #[test]
    fn an_empty_range_is_always_covered() {
        assert!(Verified::default().covers(7, 7));
        assert!(!Verified::default().covers(7, 8));
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let mut verified = Verified::default();
        for n in 0..1000 {
            verified.add(10 * n, 10 * n + 5);
        }
        assert_eq!(verified.ranges.len(), RANGES_MAX);
    }
}
