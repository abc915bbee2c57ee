//! What a recovery tells while it reads, and when it is over: a line once it takes longer than a
//! second, and one for each log in which something was cut, found bad or made anew.

use std::fmt;
use std::time::Duration;

use super::seam::LogRecovery;
use crate::LogId;
use crate::clock::Clock;

/// How long a recovery may be silent.
const SILENCE: Duration = Duration::from_secs(1);
/// How long until it speaks again.
const INTERVAL: Duration = Duration::from_secs(5);

/// The reading of one log's files.
pub(super) struct Progress<'a> {
    clock: &'a dyn Clock,
    id: &'a LogId,
    began: Duration,
    /// When to speak next.
    due: Duration,
    done: u64,
    total: u64,
}

/// How far a recovery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    id: LogId,
    done: u64,
    total: u64,
    /// How long it still takes, going by how long it took so far.
    left: Duration,
}

impl<'a> Progress<'a> {
    /// Of a recovery of `id` that begins now.
    pub(super) fn new(clock: &'a dyn Clock, id: &'a LogId) -> Self {
        let began = clock.monotonic();
        Self {
            clock,
            id,
            began,
            due: began.saturating_add(SILENCE),
            done: 0,
            total: 0,
        }
    }

    /// Expects to read `bytes` in all.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.total = bytes;
    }

    /// Counts `bytes` more, and tells how far it is where that is due.
    pub(super) fn add(&mut self, bytes: u64) {
        if let Some(said) = self.count(bytes) {
            tracing::warn!("{said}");
        }
    }

    fn count(&mut self, bytes: u64) -> Option<Said> {
        self.done = self.done.saturating_add(bytes);
        let now = self.clock.monotonic();
        if now < self.due {
            return None;
        }
        self.due = now.saturating_add(INTERVAL);
        let (took, done) = (now.saturating_sub(self.began), u128::from(self.done.max(1)));
        let left = u128::from(self.total.saturating_sub(self.done));
        let left = took.as_millis().saturating_mul(left) / done;
        Some(Said {
            id: self.id.clone(),
            done: self.done,
            total: self.total,
            left: Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX)),
        })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        write!(
            f,
            "{}: checking what an unclean stop left, {} of {} MiB, about {} s more",
            self.id,
            mib(self.done),
            mib(self.total),
            self.left.as_secs_f64().ceil()
        )
    }
}

impl LogRecovery {
    /// Tells what was done to the log `id`, in one line, if anything was.
    pub(crate) fn tell(&self, id: &LogId) {
        // The text is made for those that are told only.
        if self.corrupt.is_some() {
            tracing::error!("{}", self.text(id));
        } else if self.cut.is_some() || self.set_aside.is_some() {
            tracing::warn!("{}", self.text(id));
        } else if self.rebuilt_indexes > 0 {
            tracing::info!("{}", self.text(id));
        }
    }

    fn text(&self, id: &LogId) -> String {
        let mut parts = vec![format!("{id}: {} bytes checked", self.checked_bytes)];
        if let Some(cut) = &self.cut {
            parts.push(format!(
                "cut a torn tail of {} bytes at byte {} of {} ({}); it is kept in {}",
                cut.bytes,
                cut.position,
                cut.path.display(),
                cut.why,
                cut.kept.display()
            ));
        }
        parts.extend(self.corrupt.clone());
        if self.rebuilt_indexes > 0 {
            parts.push(format!(
                "indexes of {} segments made anew",
                self.rebuilt_indexes
            ));
        }
        let aside = self.set_aside.iter();
        parts.extend(aside.map(|name| format!("another topic's directory is now {name}")));
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestClock;
    use crate::log::kit::id;

    #[test]
    fn speaks_after_a_second_and_then_from_time_to_time() {
        let (clock, id) = (TestClock::frozen(), id());
        let mut progress = Progress::new(&clock, &id);
        progress.expect(40 << 20);
        assert_eq!(progress.count(9 << 20), None);
        clock.advance(Duration::from_millis(999));
        assert_eq!(progress.count(0), None);
        clock.advance(Duration::from_millis(1));
        let said = progress.count(1 << 20).unwrap();
        assert_eq!(
            said.to_string(),
            "orders-0: checking what an unclean stop left, 10 of 40 MiB, about 3 s more"
        );
        clock.advance(Duration::from_millis(4999));
        assert_eq!(progress.count(1 << 20), None);
        clock.advance(Duration::from_millis(1));
        assert_eq!(
            progress.count(9 << 20).map(|s| s.left),
            Some(Duration::from_secs(6))
        );
        // More than was there at the beginning is no reason to fail.
        clock.advance(Duration::from_secs(5));
        assert_eq!(
            progress.count(1 << 40).map(|s| s.left),
            Some(Duration::ZERO)
        );
    }
}
