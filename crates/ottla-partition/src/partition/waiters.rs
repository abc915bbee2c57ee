//! Produce requests that wait for their acknowledgement.

use std::collections::{BTreeMap, BTreeSet};

use ottla_log::Offset;

/// Names a waiter; the broker draws it, unique within its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(u64);

impl WaiterId {
    /// The waiter with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What a producer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nothing: it gets no answer.
    None,
    /// The leader has written the records.
    Leader,
    /// The records are committed: on every replica in sync, and durable where the mode is sync.
    All,
}

impl Acks {
    /// The acks with Kafka's number; `None` where there is no such.
    #[must_use]
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::Leader),
            -1 => Some(Self::All),
            _ => None,
        }
    }
}

/// The waiters of one partition, by what they wait for and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiters {
    /// Each is done once the high watermark reaches its offset.
    by_offset: BTreeSet<(Offset, WaiterId)>,
    by_id: BTreeMap<WaiterId, Offset>,
}

impl Waiters {
    /// Adds a waiter for `end`.
    pub(super) fn add(&mut self, waiter: WaiterId, end: Offset) {
        let before = self.by_id.insert(waiter, end);
        assert!(before.is_none(), "waiter {waiter:?} waits twice");
        self.by_offset.insert((end, waiter));
    }

    /// Takes out every waiter that waits for `reached` or less, in that order.
    pub(super) fn take_up_to(&mut self, reached: Offset) -> BTreeSet<(Offset, WaiterId)> {
        let next = (reached.plus(1), WaiterId(0));
        let left = self.by_offset.split_off(&next);
        let done = std::mem::replace(&mut self.by_offset, left);
        for (_, waiter) in &done {
            self.by_id.remove(waiter);
        }
        done
    }

    /// Takes out `waiter`; says whether it was there.
    pub(super) fn remove(&mut self, waiter: WaiterId) -> bool {
        let Some(end) = self.by_id.remove(&waiter) else {
            return false;
        };
        self.by_offset.remove(&(end, waiter))
    }

    /// Takes out all of them, the one that waited for least first.
    pub(super) fn take_all(&mut self) -> BTreeSet<(Offset, WaiterId)> {
        self.by_id.clear();
        std::mem::take(&mut self.by_offset)
    }
}
