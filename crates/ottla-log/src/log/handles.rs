//! The open files of a store's segments: a bounded number, the longest unused closed first.
//!
//! A segment with unsynced writes keeps its file open beyond the bound: the kernel tells a failed
//! write-back to the handles that were open at the time, and to nobody else.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Weak;

use parking_lot::Mutex;

/// How many holders one call looks at, at most. Where most have unsynced writes, looking at all of
/// them with each file that is opened would cost the square of their number.
const LOOKS: usize = 16;

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
    /// Holders with open files, the next to look at in front (the clock algorithm: who was used
    /// since the last look goes to the back once more).
    ring: Mutex<VecDeque<Weak<dyn Held>>>,
}

impl Handles {
    /// At most `max` holders; files in readers' hands stay open beyond it.
    pub(crate) fn new(max: NonZeroUsize) -> Self {
        Self {
            max,
            ring: Mutex::new(VecDeque::new()),
        }
    }

    /// Notes that `held` opened its first file, and closes those of others where there are too
    /// many. Called without any lock of the holder's.
    pub(crate) fn opened(&self, held: Weak<dyn Held>) {
        self.ring.lock().push_back(held);
        self.trim();
    }

    /// Closes files where there are too many: after a sync, which lets go of those it synced.
    pub(crate) fn trim(&self) {
        let mut ring = self.ring.lock();
        for _ in 0..LOOKS {
            if ring.len() <= self.max.get() {
                break;
            }
            let Some(candidate) = ring.pop_front() else {
                break;
            };
            if let Some(held) = candidate.upgrade()
                && (held.take_used() || !held.release())
            {
                ring.push_back(candidate);
            }
        }
    }

    /// Closes every file that was not used since the last sweep, so that idle logs hold none.
    pub(crate) fn sweep(&self) {
        self.ring.lock().retain(|candidate| {
            candidate
                .upgrade()
                .is_some_and(|held| held.take_used() || !held.release())
        });
    }

    /// How many holders have files open.
    pub(crate) fn len(&self) -> usize {
        self.ring.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Holder {
        used: AtomicBool,
        open: AtomicBool,
        dirty: AtomicBool,
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
}
