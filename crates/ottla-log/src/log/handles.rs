//! The open files of a store's segments: a bounded number, the longest unused closed first.

use std::num::NonZeroUsize;

/// Keeps at most a fixed number of segment files open.
#[derive(Debug)]
pub(crate) struct Handles {
    max: NonZeroUsize,
}

impl Handles {
    /// At most `max` files open; files in readers' hands stay open beyond it.
    pub(crate) fn new(max: NonZeroUsize) -> Self {
        Self { max }
    }
}
