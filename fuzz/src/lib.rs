//! What all fuzz targets share: a target is one line over a function of a crate that takes any
//! bytes, and a bound on each single allocation that this may make.
//!
//! The fuzzer's own limit on allocations needs a sanitizer's allocator, which the stable compiler
//! does not have, so the targets bring one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Defines a fuzz target: the function, and what one allocation may take given the input's size.
#[macro_export]
macro_rules! target {
    ($function:path, $bound:path) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::run($function, $bound, data));
    };
}

/// For what is decoded from a peer: the promise to every one of them.
#[must_use]
pub const fn of_a_request(input: usize) -> usize {
    2 * input + (64 << 10)
}

/// For what a client reads: lists of structs, which the guard bounds by the size of the message.
#[must_use]
pub const fn of_an_answer(input: usize) -> usize {
    64 * input + (64 << 10)
}

/// For what may be decompressed to 1 MiB, or 20 times its size: its buffer grows by doubling.
#[must_use]
pub fn of_a_small_batch(input: usize) -> usize {
    2 * (20 * input).max(1 << 20) + (64 << 10)
}

/// As [`of_a_small_batch`], with the 16 MiB of a broker's limits.
#[must_use]
pub fn of_a_batch(input: usize) -> usize {
    2 * (20 * input).max(16 << 20) + (64 << 10)
}

/// For files in a directory, which are read through a window of a fixed size.
#[must_use]
pub fn of_a_directory(input: usize) -> usize {
    (1 << 20).max(16 * input)
}

thread_local! {
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Runs `function` on `data`, ending the process where it allocates more than `bound` at once.
pub fn run(function: fn(&[u8]), bound: fn(usize) -> usize, data: &[u8]) {
    LIMIT.set(bound(data.len()));
    function(data);
    LIMIT.set(usize::MAX);
}

/// The system's allocator behind the limit.
struct Limited;

fn check(bytes: usize) {
    let _ = LIMIT.try_with(|limit| {
        if bytes > limit.get() {
            let allowed = limit.replace(usize::MAX);
            eprintln!("one allocation takes {bytes} bytes where {allowed} are allowed");
            // The fuzzer keeps the input of what is aborted. Allocators must not unwind.
            std::process::abort();
        }
    });
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        check(bytes);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, bytes) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static LIMITED: Limited = Limited;
