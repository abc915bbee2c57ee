//! The ends of a log, published so that a reader sees all of them as they were at one moment and
//! waits for nobody.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

use parking_lot::{Mutex, MutexGuard};

use crate::Offset;

/// The ends of a log at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The first offset that may be read (log start offset).
    pub start: Offset,
    /// The offset the next record gets (log end offset).
    pub end: Offset,
    /// Below this everything survives a power cut; in `Os` mode, `end`.
    pub durable: Offset,
    /// The first record of the oldest open transaction; `None` where none is open.
    pub first_unstable: Option<Offset>,
}

/// Where [`Ends`] are published.
///
/// A sequence lock: a reader copies the numbers and does so again where a writer was at work in
/// between. The writers' mutex is held for a few stores, never during IO.
#[derive(Debug)]
pub(crate) struct EndsCell {
    writer: Mutex<Ends>,
    /// Odd while the numbers below are being changed.
    sequence: AtomicU64,
    start: AtomicI64,
    end: AtomicI64,
    durable: AtomicI64,
    /// -1 for none.
    first_unstable: AtomicI64,
}

impl EndsCell {
    pub(crate) fn new(ends: Ends) -> Self {
        Self {
            sequence: AtomicU64::new(0),
            start: AtomicI64::new(ends.start.get()),
            end: AtomicI64::new(ends.end.get()),
            durable: AtomicI64::new(ends.durable.get()),
            first_unstable: AtomicI64::new(ends.first_unstable.map_or(-1, Offset::get)),
            writer: Mutex::new(ends),
        }
    }

    /// The ends now.
    pub(crate) fn load(&self) -> Ends {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let start = self.start.load(Ordering::Relaxed);
                let end = self.end.load(Ordering::Relaxed);
                let durable = self.durable.load(Ordering::Relaxed);
                let first_unstable = self.first_unstable.load(Ordering::Relaxed);
                // Keeps the loads above from moving below the second look at the sequence.
                fence(Ordering::Acquire);
                if self.sequence.load(Ordering::Relaxed) == before {
                    return Ends {
                        start: Offset::new(start),
                        end: Offset::new(end),
                        durable: Offset::new(durable),
                        first_unstable: (first_unstable >= 0).then(|| Offset::new(first_unstable)),
                    };
                }
            }
            std::hint::spin_loop();
        }
    }

    /// Changes the ends in one step; answers what they became.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Ends)) -> Ends {
        let mut current: MutexGuard<'_, Ends> = self.writer.lock();
        let mut next = *current;
        change(&mut next);
        assert!(
            next.start <= next.end && next.durable <= next.end,
            "ends out of order: {next:?}"
        );
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        // Keeps the stores below from moving above the odd sequence.
        fence(Ordering::Release);
        self.start.store(next.start.get(), Ordering::Relaxed);
        self.end.store(next.end.get(), Ordering::Relaxed);
        self.durable.store(next.durable.get(), Ordering::Relaxed);
        let first_unstable = next.first_unstable.map_or(-1, Offset::get);
        self.first_unstable.store(first_unstable, Ordering::Relaxed);
        self.sequence.store(sequence + 2, Ordering::Release);
        *current = next;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishes_what_was_changed() {
        let cell = EndsCell::new(Ends::default());
        assert_eq!(cell.load(), Ends::default());
        let changed = cell.update(|ends| {
            ends.end = Offset::new(7);
            ends.durable = Offset::new(5);
            ends.first_unstable = Some(Offset::ZERO);
        });
        assert_eq!(cell.load(), changed);
        assert_eq!(cell.load().first_unstable, Some(Offset::ZERO));
    }

    #[test]
    #[should_panic(expected = "ends out of order")]
    fn refuses_a_durable_end_above_the_end() {
        EndsCell::new(Ends::default()).update(|ends| ends.durable = Offset::new(1));
    }

    #[test]
    fn a_reader_never_sees_half_a_change() {
        const ROUNDS: i64 = 20_000;
        let cell = EndsCell::new(Ends::default());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=ROUNDS {
                    cell.update(|ends| {
                        *ends = Ends {
                            start: Offset::new(n),
                            end: Offset::new(2 * n),
                            durable: Offset::new(n + n / 2),
                            first_unstable: Some(Offset::new(n)),
                        };
                    });
                }
            });
            scope.spawn(|| {
                loop {
                    let ends = cell.load();
                    let n = ends.start.get();
                    assert_eq!(ends.end.get(), 2 * n);
                    assert_eq!(ends.durable.get(), n + n / 2);
                    assert_eq!(ends.first_unstable.map_or(0, Offset::get), n);
                    if n == ROUNDS {
                        break;
                    }
                }
            });
        });
    }
}
