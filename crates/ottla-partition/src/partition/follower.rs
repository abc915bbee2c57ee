//! What a leader knows of one follower: what its fetches told.

use std::time::Duration;

use ottla_log::Offset;

use crate::BrokerId;

/// A follower's fetch. Its offset is an acknowledgement: the follower holds all below it, and in
/// sync mode it holds it durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// The follower.
    pub broker: BrokerId,
    /// The first offset it asks for: where its log ends.
    pub offset: Offset,
    /// Where its log starts.
    pub log_start: Offset,
    /// Whether it may join the ISR: it is registered in the epoch it fetches with, neither fenced
    /// nor about to leave.
    pub is_eligible: bool,
}

/// A follower as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Follower {
    /// Where its log ends; nothing is known before its first fetch of this term.
    pub(super) end: Option<Offset>,
    /// Where its log starts.
    pub(super) log_start: Option<Offset>,
    pub(super) is_eligible: bool,
    /// The last moment at which it held all that the leader had.
    caught_up_at: Duration,
    /// When it last fetched, and where the leader's log ended then.
    last_fetch: Option<(Duration, Offset)>,
}

impl Follower {
    /// A follower at the start of a term. One in the ISR counts as caught up: it has its time to
    /// come.
    pub(super) const fn new(now: Duration, in_isr: bool) -> Self {
        Self {
            end: None,
            log_start: None,
            is_eligible: false,
            caught_up_at: if in_isr { now } else { Duration::ZERO },
            last_fetch: None,
        }
    }

    /// Learns from a fetch, made while the leader's log ended at `leader_end`.
    pub(super) fn fetched(&mut self, now: Duration, fetch: &FollowerFetch, leader_end: Offset) {
        if fetch.offset >= leader_end {
            self.caught_up_at = self.caught_up_at.max(now);
        } else if let Some((then, end_then)) = self.last_fetch {
            // What it asks for now it had received by then: all there was at its last fetch.
            if fetch.offset >= end_then {
                self.caught_up_at = self.caught_up_at.max(then);
            }
        }
        let end_before = self.last_fetch.map_or(Offset::ZERO, |(_, end)| end);
        self.last_fetch = Some((now, leader_end.max(end_before)));
        self.end = Some(fetch.offset);
        self.log_start = Some(fetch.log_start);
        self.is_eligible = fetch.is_eligible;
    }

    /// Whether it held all that the leader had within the last `lag_max`.
    pub(super) fn keeps_up(&self, now: Duration, leader_end: Offset, lag_max: Duration) -> bool {
        self.end == Some(leader_end) || now.saturating_sub(self.caught_up_at) <= lag_max
    }
}
