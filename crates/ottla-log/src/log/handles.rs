//! The open files of a store's segments: a bounded number, the longest unused closed first.
//!
//! A segment with unsynced writes keeps its file open beyond the bound: the kernel tells a failed
//! write-back to the handles that were open at the time, and to nobody else.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Weak;

use parking_lot::Mutex;

/// What holds files open.
pub(crate) trait Held: fmt::Debug + Send + Sync {
    /// Whether its files were used since the last call.
    fn take_used(&self) -> bool;

    /// Closes its files; `false` where it must keep them for now.
    fn release(&self) -> bool;
}

/// Keeps the number of holders with open files at or below a bound.
#[derive(Debug)]
pub(crate) struct Handles {
    max: NonZeroUsize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Holders with open files, the next to look at in front (the clock algorithm: who was used
    /// since the last look goes to the back once more).
    holders: VecDeque<Weak<dyn Held>>,
    /// When there were so many, looking at all of them did not bring their number down: most had
    /// unsynced writes. Doing so again for each file would cost the square of their number, so
    /// there have to be notably more first.
    in_vain: usize,
}

impl Handles {
    /// At most `max` holders; files in readers' hands stay open beyond it.
    pub(crate) fn new(max: NonZeroUsize) -> Self {
        Self {
            max,
            ring: Mutex::default(),
        }
    }

    /// Notes that `held` opened its first file, and closes those of others where there are too
    /// many. Called without any lock of the holder's.
    pub(crate) fn opened(&self, held: Weak<dyn Held>) {
        let mut ring = self.ring.lock();
        ring.holders.push_back(held);
        let len = ring.holders.len();
        if len > self.max.get() && len >= ring.in_vain + ring.in_vain / 8 {
            ring.close(self.max);
            let left = ring.holders.len();
            ring.in_vain = if left > self.max.get() { left } else { 0 };
        }
    }

    /// Closes files where there are too many: after a sync, which lets go of those it synced.
    pub(crate) fn trim(&self) {
        let mut ring = self.ring.lock();
        ring.in_vain = 0;
        ring.close(self.max);
    }

    /// Closes every file that was not used since the last sweep, so that idle logs hold none.
    pub(crate) fn sweep(&self) {
        self.ring.lock().holders.retain(|candidate| {
            candidate
                .upgrade()
                .is_some_and(|held| held.take_used() || !held.release())
        });
    }

    /// How many holders have files open.
    pub(crate) fn len(&self) -> usize {
        self.ring.lock().holders.len()
    }
}

impl Ring {
    /// Closes files until there are no more than `max`, or everyone was looked at: the first look
    /// takes the mark of being used.
    fn close(&mut self, max: NonZeroUsize) {
        for _ in 0..2 * self.holders.len() {
            if self.holders.len() <= max.get() {
                return;
            }
            let Some(candidate) = self.holders.pop_front() else {
                return;
            };
            if let Some(held) = candidate.upgrade()
                && (held.take_used() || !held.release())
            {
                self.holders.push_back(candidate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Holder {
        used: AtomicBool,
        open: AtomicBool,
        dirty: AtomicBool,
        looks: AtomicUsize,
    }

    impl Holder {
        fn open(self: &Arc<Self>, handles: &Handles) {
            self.used.store(true, Ordering::Relaxed);
            if !self.open.swap(true, Ordering::Relaxed) {
                let held: Weak<Self> = Arc::downgrade(self);
                handles.opened(held);
            }
        }

        fn is_open(&self) -> bool {
            self.open.load(Ordering::Relaxed)
        }
    }

    impl Held for Holder {
        fn take_used(&self) -> bool {
            self.looks.fetch_add(1, Ordering::Relaxed);
            self.used.swap(false, Ordering::Relaxed)
        }

        fn release(&self) -> bool {
            if self.dirty.load(Ordering::Relaxed) {
                return false;
            }
            self.open.store(false, Ordering::Relaxed);
            true
        }
    }

    fn handles(max: usize) -> Handles {
        Handles::new(NonZeroUsize::new(max).expect("a test's number"))
    }

    #[test]
    fn closes_the_longest_unused() {
        let handles = handles(2);
        let [a, b, c] = [(); 3].map(|()| Arc::new(Holder::default()));
        a.open(&handles);
        b.open(&handles);
        handles.sweep(); // takes the marks of their opening
        a.used.store(true, Ordering::Relaxed);
        c.open(&handles);
        assert!(a.is_open() && !b.is_open() && c.is_open());
        assert_eq!(handles.len(), 2);
    }

    #[test]
    fn a_dirty_one_stays_beyond_the_bound() {
        let handles = handles(1);
        let [a, b] = [(); 2].map(|()| Arc::new(Holder::default()));
        a.dirty.store(true, Ordering::Relaxed);
        b.dirty.store(true, Ordering::Relaxed);
        a.open(&handles);
        b.open(&handles);
        assert!(a.is_open() && b.is_open());
        a.dirty.store(false, Ordering::Relaxed);
        let c = Arc::new(Holder::default());
        c.open(&handles);
        assert!(!a.is_open() && b.is_open());
    }

    #[test]
    fn a_sweep_closes_the_idle_and_forgets_the_dropped() {
        let handles = handles(8);
        let [a, b] = [(); 2].map(|()| Arc::new(Holder::default()));
        a.open(&handles);
        b.open(&handles);
        handles.sweep();
        assert!(a.is_open() && b.is_open(), "both were just used");
        b.used.store(true, Ordering::Relaxed);
        handles.sweep();
        assert!(!a.is_open() && b.is_open());
        drop(b);
        handles.sweep();
        assert_eq!(handles.len(), 0);
    }

    #[test]
    fn many_that_cannot_close_cost_no_square_of_looks() {
        let handles = handles(8);
        let holders: Vec<Arc<Holder>> = (0..4000).map(|_| Arc::default()).collect();
        for holder in &holders {
            holder.dirty.store(true, Ordering::Relaxed);
            holder.open(&handles);
        }
        assert_eq!(handles.len(), 4000);
        let looks: usize = holders
            .iter()
            .map(|h| h.looks.load(Ordering::Relaxed))
            .sum();
        assert!(looks < 40 * 4000, "{looks}");
        for holder in &holders {
            holder.dirty.store(false, Ordering::Relaxed);
        }
        handles.trim();
        assert_eq!(handles.len(), 8);
    }
}
