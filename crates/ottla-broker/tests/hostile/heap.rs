//! The system's allocator with a count of what the whole process takes from it.
#![allow(unsafe_code, reason = "an allocator that counts is one by definition")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// What was allocated since [`Heap::watch`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heap {
    live_before: usize,
}

impl Heap {
    /// Counts from now on. One watch at a time counts right: the tests of this binary take turns.
    pub(crate) fn watch() -> Self {
        let live_before = LIVE.load(Relaxed);
        PEAK.store(live_before, Relaxed);
        LARGEST.store(0, Relaxed);
        Self { live_before }
    }

    /// The most that was held at once, beyond what was held before.
    pub(crate) fn peak(self) -> usize {
        PEAK.load(Relaxed).saturating_sub(self.live_before)
    }

    /// What is held now, beyond what was held before.
    pub(crate) fn live(self) -> usize {
        LIVE.load(Relaxed).saturating_sub(self.live_before)
    }

    /// The largest single allocation.
    pub(crate) fn largest(self) -> usize {
        LARGEST.load(Relaxed)
    }
}

fn took(bytes: usize) {
    LARGEST.fetch_max(bytes, Relaxed);
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
