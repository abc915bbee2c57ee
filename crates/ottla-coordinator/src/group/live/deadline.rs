//! When a time is up that a member was given, in the eyes of a broker that may have been stalled.

use std::time::Duration;

/// A look at a deadline that comes so late does not tell that nobody spoke: this broker did not
/// run, or waited for its disk, and what members sent meanwhile may still wait to be read.
const LATE: Duration = Duration::from_secs(1);

/// A time that is given, and once more where the broker was late to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deadline {
    at: Duration,
    timeout: Duration,
    was_late: bool,
}

impl Deadline {
    /// `timeout` from `now` on.
    pub(super) const fn after(now: Duration, timeout: Duration) -> Self {
        Self {
            at: now.saturating_add(timeout),
            timeout,
            was_late: false,
        }
    }

    /// When it is up.
    pub(super) const fn at(self) -> Duration {
        self.at
    }

    /// `None` where it is up at `now`; else when to look again.
    pub(super) fn look(&mut self, now: Duration) -> Option<Duration> {
        let late = now.checked_sub(self.at);
        if late.is_some_and(|late| late >= LATE) && !self.was_late {
            *self = Self {
                was_late: true,
                ..Self::after(now, self.timeout)
            };
        }
        (now < self.at).then_some(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn it_is_given_once_more_to_a_look_that_comes_late() {
        let mut deadline = Deadline::after(seconds(5), seconds(10));
        assert_eq!(deadline.look(seconds(5)), Some(seconds(15)));
        let in_time = Duration::from_millis(15_999);
        assert_eq!(deadline.clone().look(in_time), None);
        assert_eq!(deadline.look(seconds(16)), Some(seconds(26)));
        assert_eq!(deadline.look(seconds(25)), Some(seconds(26)));
        assert_eq!(deadline.look(seconds(99)), None);
    }

    #[test]
    fn one_that_is_never_up_stays_so() {
        let mut deadline = Deadline::after(seconds(5), Duration::MAX);
        assert_eq!(deadline.look(seconds(99)), Some(Duration::MAX));
    }
}
