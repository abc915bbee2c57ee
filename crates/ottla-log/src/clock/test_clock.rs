//! A clock in a test's hand.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Clock, ClockObserver, SystemClock};
use crate::Timestamp;

/// A clock that a test moves. A clone is another handle to the same clock.
#[derive(Clone, Debug)]
pub struct TestClock {
    shared: Arc<Shared>,
}

struct Shared {
    /// The real time that it follows, if it does.
    ticking: Option<SystemClock>,
    hand: Mutex<Hand>,
    observers: Mutex<Vec<Weak<dyn ClockObserver>>>,
}

/// What the test did to the clock.
#[derive(Clone, Copy, Debug)]
struct Hand {
    /// All advances together.
    advanced: Duration,
    /// What the wall clock shows beyond the advances (frozen) or beyond those and real time
    /// (ticking), in milliseconds.
    wall_ms: i64,
}

impl TestClock {
    /// Where [`TestClock::frozen`] starts: 2020-01-01 00:00:00 UTC.
    pub const START: Timestamp = Timestamp::new(1_577_836_800_000);

    /// A clock that stands at [`TestClock::START`] and moves only by [`TestClock::advance`].
    #[must_use]
    pub fn frozen() -> Self {
        Self::frozen_at(Self::START)
    }

    /// A clock that stands at `start` and moves only by [`TestClock::advance`].
    #[must_use]
    pub fn frozen_at(start: Timestamp) -> Self {
        Self::new(None, start.get())
    }

    /// Real time, plus what the test adds with [`TestClock::advance`].
    #[must_use]
    pub fn ticking() -> Self {
        Self::new(Some(SystemClock::new()), 0)
    }

    fn new(ticking: Option<SystemClock>, wall_ms: i64) -> Self {
        Self {
            shared: Arc::new(Shared {
                ticking,
                hand: Mutex::new(Hand {
                    advanced: Duration::ZERO,
                    wall_ms,
                }),
                observers: Mutex::default(),
            }),
        }
    }

    /// Moves the time forward by `by`, then tells every observer. What the time makes due happens
    /// after this returned, not during it.
    pub fn advance(&self, by: Duration) {
        let mut hand = self.shared.hand.lock();
        hand.advanced = hand.advanced.saturating_add(by);
        drop(hand);
        self.tell();
    }

    /// Sets the wall clock, as an operator or NTP would, in either direction, then tells every
    /// observer. [`Clock::monotonic`] does not move.
    pub fn set_wall(&self, to: Timestamp) {
        let mut hand = self.shared.hand.lock();
        let shown = self.shared.wall_ms(*hand);
        let by = to.get().saturating_sub(shown);
        hand.wall_ms = hand.wall_ms.saturating_add(by);
        drop(hand);
        self.tell();
    }

    fn tell(&self) {
        let mut observers = self.shared.observers.lock();
        observers.retain(|observer| observer.strong_count() > 0);
        let told = observers.clone();
        drop(observers);
        for observer in told.iter().filter_map(Weak::upgrade) {
            observer.advanced();
        }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let hand = *self.shared.hand.lock();
        Timestamp::new(self.shared.wall_ms(hand))
    }

    fn monotonic(&self) -> Duration {
        let advanced = self.shared.hand.lock().advanced;
        match &self.shared.ticking {
            Some(real) => real.monotonic().saturating_add(advanced),
            None => advanced,
        }
    }

    fn real_wait(&self, until: Duration) -> Option<Duration> {
        let left = until.saturating_sub(self.monotonic());
        (self.shared.ticking.is_some() || left.is_zero()).then_some(left)
    }

    fn is_advanced_by_hand(&self) -> bool {
        true
    }

    fn observe(&self, observer: Weak<dyn ClockObserver>) {
        let mut observers = self.shared.observers.lock();
        observers.retain(|known| known.strong_count() > 0);
        observers.push(observer);
    }
}

impl Shared {
    fn wall_ms(&self, hand: Hand) -> i64 {
        let real = self.ticking.as_ref().map_or(0, |real| real.now().get());
        let advanced = i64::try_from(hand.advanced.as_millis()).unwrap_or(i64::MAX);
        real.saturating_add(hand.wall_ms).saturating_add(advanced)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("ticking", &self.ticking.is_some())
            .field("hand", &*self.hand.lock())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Calls(AtomicU32);

    impl ClockObserver for Calls {
        fn advanced(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_frozen_clock_moves_by_advances_only() {
        let clock = TestClock::frozen_at(Timestamp::new(5_000));
        assert_eq!(clock.now(), Timestamp::new(5_000));
        assert_eq!(clock.monotonic(), Duration::ZERO);
        assert_eq!(clock.real_wait(SECOND), None);
        assert_eq!(clock.real_wait(Duration::ZERO), Some(Duration::ZERO));
        clock.clone().advance(SECOND);
        assert_eq!(clock.now(), Timestamp::new(6_000));
        assert_eq!(clock.monotonic(), SECOND);
        assert_eq!(clock.real_wait(SECOND), Some(Duration::ZERO));
    }

    #[test]
    fn the_wall_clock_jumps_alone() {
        let clock = TestClock::frozen();
        clock.advance(SECOND);
        clock.set_wall(Timestamp::new(7));
        assert_eq!(clock.now(), Timestamp::new(7));
        assert_eq!(clock.monotonic(), SECOND);
        clock.advance(SECOND);
        assert_eq!(clock.now(), Timestamp::new(1_007));
    }

    #[test]
    fn a_ticking_clock_is_real_time_plus_the_advances() {
        let system = SystemClock::new();
        let clock = TestClock::ticking();
        clock.advance(1_000 * SECOND);
        let before = system.now().get();
        let between = clock.now().get() - 1_000_000;
        assert!((before..=system.now().get()).contains(&between));
        assert!(clock.monotonic() >= 1_000 * SECOND);
        let wait = clock.real_wait(3_000 * SECOND).unwrap();
        assert!(wait <= 2_000 * SECOND, "{wait:?}");
    }

    #[test]
    fn observers_are_told_while_they_live() {
        let clock = TestClock::frozen();
        let calls = Arc::new(Calls::default());
        let observer: Arc<dyn ClockObserver> = calls.clone();
        clock.observe(Arc::downgrade(&observer));
        clock.advance(SECOND);
        clock.set_wall(Timestamp::new(0));
        assert_eq!(calls.0.load(Ordering::SeqCst), 2);
        drop(observer);
        drop(calls);
        clock.advance(SECOND);
        assert!(clock.shared.observers.lock().is_empty());
    }
}
