//! The timers of one shard, by their keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_coordinator::group::{TimerChange, TimerKey};

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Duration, TimerKey)>,
    by_key: BTreeMap<TimerKey, Duration>,
}

impl Timers {
    /// Sets or cancels one.
    pub(super) fn change(&mut self, change: TimerChange) {
        let TimerChange { key, at } = change;
        let before = match at {
            Some(at) => self.by_key.insert(key.clone(), at),
            None => self.by_key.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.due.insert((at, key));
        }
    }

    /// When the first is due.
    pub(super) fn first(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The first one and when it was due, if that is not after `now`; it is not set any more.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<(Duration, TimerKey)> {
        if self.first()? > now {
            return None;
        }
        let (at, key) = self.due.pop_first()?;
        self.by_key.remove(&key);
        Some((at, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: &'static str) -> TimerKey {
        let group = ottla_protocol::StrBytes::from_static_str(group);
        TimerKey::Join { group }
    }

    fn set(timers: &mut Timers, group: &'static str, at: Option<u64>) {
        timers.change(TimerChange {
            key: key(group),
            at: at.map(Duration::from_secs),
        });
    }

    #[test]
    fn the_last_word_on_a_key_counts() {
        let mut timers = Timers::default();
        set(&mut timers, "a", Some(5));
        set(&mut timers, "b", Some(3));
        set(&mut timers, "a", Some(2));
        set(&mut timers, "b", None);
        set(&mut timers, "b", None);
        let at = |seconds| Some((Duration::from_secs(seconds), key("a")));
        assert_eq!(timers.first(), Some(Duration::from_secs(2)));
        assert_eq!(timers.take_due(Duration::from_secs(1)), None);
        assert_eq!(timers.take_due(Duration::from_secs(9)), at(2));
        assert_eq!(timers.take_due(Duration::from_secs(9)), None);
        set(&mut timers, "a", Some(7));
        set(&mut timers, "a", Some(7));
        assert_eq!(timers.take_due(Duration::from_secs(7)), at(7));
        assert_eq!(timers.first(), None);
    }
}
