//! Where recent appends ended, so that the position of the bound of a read (the durable end, the
//! high watermark) is found without a look at the file.

use std::collections::VecDeque;

use crate::Offset;

/// How many boundaries are remembered. A reader that asks for an older one walks batch headers.
const KEPT: usize = 32;

/// An offset at which a batch ends, and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Boundary {
    /// The offset after the batch.
    pub(crate) offset: Offset,
    /// The segment that holds the batch.
    pub(crate) segment: Offset,
    /// The position after the batch.
    pub(crate) position: u64,
}

/// The last few places where an append ended, by offset.
#[derive(Debug, Default)]
pub(crate) struct Boundaries {
    recent: VecDeque<Boundary>,
}

impl Boundaries {
    /// Notes the end of an append; offsets must rise.
    pub(crate) fn push(&mut self, boundary: Boundary) {
        assert!(
            self.recent
                .back()
                .is_none_or(|last| last.offset < boundary.offset),
            "{boundary:?} does not follow {:?}",
            self.recent.back()
        );
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(boundary);
    }

    /// The place of `offset`, if an append ended there not long ago.
    pub(crate) fn find(&self, offset: Offset) -> Option<Boundary> {
        let at = self
            .recent
            .binary_search_by_key(&offset, |b| b.offset)
            .ok()?;
        self.recent.get(at).copied()
    }

    /// Forgets the places in segments whose base offset `is_gone`.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(Offset) -> bool) {
        self.recent.retain(|boundary| !is_gone(boundary.segment));
    }

    /// Forgets everything above `end`.
    pub(crate) fn truncate(&mut self, end: Offset) {
        while self.recent.back().is_some_and(|last| last.offset > end) {
            self.recent.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Boundary {
        Boundary {
            offset: Offset::new(offset),
            segment: Offset::ZERO,
            position: 10 * offset.unsigned_abs(),
        }
    }

    #[test]
    fn finds_the_recent_and_only_those() {
        let mut boundaries = Boundaries::default();
        for n in 1..=100 {
            boundaries.push(at(3 * n));
        }
        assert_eq!(boundaries.find(Offset::new(300)), Some(at(300)));
        assert_eq!(boundaries.find(Offset::new(207)), Some(at(207)));
        assert_eq!(boundaries.find(Offset::new(204)), None, "too old");
        assert_eq!(boundaries.find(Offset::new(299)), None, "inside an append");
    }

    #[test]
    fn forgets_what_was_cut() {
        let mut boundaries = Boundaries::default();
        for n in 1..=5 {
            boundaries.push(at(n));
        }
        boundaries.truncate(Offset::new(3));
        assert_eq!(boundaries.find(Offset::new(4)), None);
        assert_eq!(boundaries.find(Offset::new(3)), Some(at(3)));
        boundaries.push(at(4));
        assert_eq!(boundaries.find(Offset::new(4)), Some(at(4)));
    }
}
