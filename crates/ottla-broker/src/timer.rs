//! Waits of requests, on the injected clock: long polls, timeouts of acks, throttling.
//!
//! A wait follows the clock that the broker was given, which a test may stop or move forward by
//! hand. It sleeps in real time as long as nobody does so and looks again when somebody did.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ottla_log::clock::ClockObserver;
use ottla_log::{Clock, Timestamp};
use tokio::sync::Notify;

use crate::runtime;

/// The broker's clock, to read and to wait on.
#[derive(Clone, Debug)]
pub(crate) struct Timer {
    clock: Arc<dyn Clock>,
    advanced: Arc<Advanced>,
}

#[derive(Debug, Default)]
struct Advanced {
    notify: Notify,
}

impl ClockObserver for Advanced {
    fn advanced(&self) {
        self.notify.notify_waiters();
    }
}

/// A moment of the injected clock's monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(Duration);

impl Deadline {
    /// As time since the clock's fixed point.
    pub(crate) fn monotonic(self) -> Duration {
        self.0
    }
}

impl Timer {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let advanced = Arc::new(Advanced::default());
        let observer: Weak<Advanced> = Arc::downgrade(&advanced);
        clock.observe(observer);
        Self { clock, advanced }
    }

    /// The wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Time since a fixed point; never goes back.
    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// When to say that something comes which was due at `due`: at its time where somebody moved
    /// the clock past it, else now, however late that is.
    pub(crate) fn comes_at(&self, due: Duration) -> Duration {
        match self.clock.is_advanced_by_hand() {
            true => due,
            false => self.clock.monotonic(),
        }
    }

    /// The moment `wait` from now.
    pub(crate) fn after(&self, wait: Duration) -> Deadline {
        Deadline(self.clock.monotonic().saturating_add(wait))
    }

    /// The moment `monotonic` of the clock's monotonic time.
    pub(crate) fn at(&self, monotonic: Duration) -> Deadline {
        Deadline(monotonic)
    }

    /// The moment when the wall clock will show `at`. A clock that is advanced meanwhile makes it
    /// too early, never too late.
    pub(crate) fn at_wall(&self, at: Timestamp) -> Deadline {
        let monotonic = self.clock.monotonic();
        let wait = at.get().saturating_sub(self.clock.now().get());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
        Deadline(monotonic.saturating_add(wait))
    }

    /// Returns at `deadline`.
    pub(crate) async fn until(&self, deadline: Deadline) {
        loop {
            let advanced = self.advanced.notify.notified();
            let sleep = match self.clock.real_wait(deadline.0) {
                Some(Duration::ZERO) => return,
                other => other,
            };
            tokio::select! {
                biased;
                () = advanced => {}
                () = sleep_or_never(sleep) => {}
            }
        }
    }
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => runtime::sleep(duration).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use ottla_log::clock::TestClock;

    use super::*;

    #[test]
    fn a_frozen_clock_wakes_only_by_hand() {
        let clock = TestClock::frozen();
        let timer = Timer::new(Arc::new(clock.clone()));
        let mut cx = Context::from_waker(Waker::noop());
        let mut wait = pin!(timer.until(timer.after(Duration::from_secs(5))));
        assert_eq!(wait.as_mut().poll(&mut cx), Poll::Pending);
        clock.advance(Duration::from_secs(4));
        assert_eq!(wait.as_mut().poll(&mut cx), Poll::Pending);
        clock.advance(Duration::from_secs(1));
        assert_eq!(wait.as_mut().poll(&mut cx), Poll::Ready(()));
    }

    #[test]
    fn an_advance_ends_a_sleep_on_a_ticking_clock() {
        let runtime = runtime::Runtime::shared().unwrap();
        let clock = TestClock::ticking();
        let timer = Timer::new(Arc::new(clock.clone()));
        let day = Duration::from_secs(24 * 60 * 60);
        let (started, waits) = tokio::sync::oneshot::channel();
        let wait = runtime.spawn(async move {
            let mut wait = pin!(timer.until(timer.after(day)));
            let first = std::future::poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx))).await;
            let _ = started.send(first);
            wait.await;
        });
        let first = runtime.block_on(waits).unwrap();
        assert_eq!(first, Ok(Poll::Pending));
        clock.advance(day);
        runtime.block_on(wait).unwrap().unwrap();
    }
}
