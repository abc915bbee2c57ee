//! Time, injected: nothing below the shell asks the machine what time it is.

mod test_clock;

use std::fmt;
use std::sync::Weak;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use self::test_clock::TestClock;
use crate::Timestamp;

/// Where the time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock. May jump either way.
    fn now(&self) -> Timestamp;

    /// Time since a fixed point of this clock's choosing. Never goes back.
    fn monotonic(&self) -> Duration;

    /// How long to sleep in real time until [`Clock::monotonic`] reaches `until` if nobody
    /// advances the clock by hand; zero where it has; `None` where only an advance gets there.
    fn real_wait(&self, until: Duration) -> Option<Duration> {
        Some(until.saturating_sub(self.monotonic()))
    }

    /// Whether somebody may advance it by hand. What was due meanwhile was not late then, as it
    /// would be by a clock that goes by itself.
    fn is_advanced_by_hand(&self) -> bool {
        false
    }

    /// Tells `observer` of each advance by hand, as long as it lives. Nobody advances the
    /// system's clock, so by default nothing is ever told.
    fn observe(&self, observer: Weak<dyn ClockObserver>) {
        drop(observer);
    }
}

/// Somebody who sleeps on a [`Clock`] and has to look again when it was advanced.
pub trait ClockObserver: Send + Sync {
    /// The clock was advanced or set. Called with no lock held, by the thread that advanced it.
    fn advanced(&self);
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clocks; [`Clock::monotonic`] counts from here.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // A machine set to before 1970 is taken to be at 1970: -1 would mean "no timestamp".
        let millis = now.unwrap_or_default().as_millis();
        Timestamp::new(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
