//! Time, injected: nothing below the shell asks the machine what time it is.

use std::fmt;
use std::time::Duration;

use crate::Timestamp;

/// Where the time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock. May jump either way.
    fn now(&self) -> Timestamp;

    /// Time since a fixed point of this clock's choosing. Never goes back.
    fn monotonic(&self) -> Duration;
}
