//! What a shard goes by: Kafka's configuration, and the bounds on what clients can make it hold.

use std::time::Duration;

/// Kafka's configuration of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members.
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_min: Duration,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_max: Duration,
    /// `group.max.size`: how many members a group may have.
    pub members_max: usize,
    /// `offset.metadata.max.bytes`: the longest note with a committed offset, in UTF-16 units as
    /// Kafka counts them.
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval: Duration,
    /// The bounds that Kafka does not have.
    pub limits: Limits,
}

impl Default for GroupConfig {
    /// Kafka's defaults, with Kafka's initial delay of three seconds.
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::from_secs(3),
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_secs(30 * 60),
            members_max: i32::MAX as usize,
            offset_metadata_max: 4096,
            offsets_retention: Duration::from_secs(10_080 * 60),
            offsets_retention_check_interval: Duration::from_secs(600),
            limits: Limits::default(),
        }
    }
}

/// Bounds on what clients can make a shard hold in memory or write at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many protocols a member may list.
    pub protocols_max: usize,
    /// How many bytes the names and metadata of one member's protocols may take.
    pub member_bytes_max: usize,
    /// How many bytes the protocols of all members of a group may take.
    pub group_bytes_max: usize,
    /// How many ids may be handed out in a shard to members that did not come back with them yet.
    pub pending_members_max: usize,
    /// How many bytes the record of a group may take. The log has no limit of its own for what a
    /// shard decides, whose other records are bounded by the texts in them.
    pub record_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            protocols_max: 256,
            member_bytes_max: 1024 * 1024,
            group_bytes_max: 64 * 1024 * 1024,
            pending_members_max: 100_000,
            record_bytes_max: 1024 * 1024,
        }
    }
}
