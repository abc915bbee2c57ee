//! What goes in beside a request, and what comes out of it.

use std::time::Duration;

use ottla_log::{Offset, Timestamp};
use ottla_protocol::StrBytes;

use super::record::Record;
use super::response::GroupResponse;

/// What time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock: sessions, rebalances and timers go by it.
    pub monotonic: Duration,
    /// The wall clock: what is written down goes by it, and the retention of offsets.
    pub wall: Timestamp,
}

/// Names a waiter; the broker draws it, unique within the shard.
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

/// What follows from one input. The broker
/// 1. appends `records`, where there are any, as one batch. Where the log refuses them and is as it
///    was, it hands the decision to [`GroupShard::refused`](super::GroupShard::refused) and carries
///    out what follows instead. Fails the append otherwise, or fails their durability later, it
///    drops the shard, gives up all its waiters, and loads it anew;
/// 2. hands each record to [`GroupShard::replay`](super::GroupShard::replay) with its offset;
/// 3. sets and cancels `timers`;
/// 4. sends the `answers` once the log is durable up to the end of the records or, where there
///    are none, up to `seen`, and calls [`GroupShard::answered`](super::GroupShard::answered) for
///    those that say whose session they begin.
///
/// Steps 1 to 3 come before the next input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is to be remembered.
    pub records: Vec<Record>,
    /// Who gets an answer now: the sender of the input, or others who waited; maybe nobody.
    pub answers: Vec<Answer>,
    /// Changes of timers.
    pub timers: Vec<TimerChange>,
    /// The end of the state that the answers tell of: the offset behind its last record.
    pub seen: Offset,
}

/// A waiter's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The waiter.
    pub waiter: WaiterId,
    /// What it gets.
    pub response: GroupResponse,
    /// Whose session begins when the answer leaves, or when nobody is there any more to get it.
    /// Until [`GroupShard::answered`](super::GroupShard::answered) is told so, the member need
    /// not speak.
    pub session: Option<MemberKey>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberKey {
    /// The group.
    pub group: StrBytes,
    /// The member.
    pub member: StrBytes,
}

/// A timer is set or cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerChange {
    /// Which timer. There is one of each key: what is set later takes the place of the earlier.
    pub key: TimerKey,
    /// When to call [`GroupShard::timer`](super::GroupShard::timer) with the key, on the
    /// monotonic clock; `None` cancels it. A timer that comes after it was cancelled, or early,
    /// does no harm.
    pub at: Option<Duration>,
}

/// The timers of a shard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKey {
    /// See whether this member still lives, or came back with the id that it was given.
    Session(MemberKey),
    /// The time for joining this group's next generation is up.
    Join {
        /// The group.
        group: StrBytes,
    },
    /// The time for syncing with this group's generation is up.
    Sync {
        /// The group.
        group: StrBytes,
    },
    /// See which offsets and groups are too old to be kept.
    Expiry,
}
