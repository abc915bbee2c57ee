//! A member of a live group.

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::StrBytes;

use super::deadline::Deadline;
use crate::group::decision::WaiterId;
use crate::group::request::Protocol;
use crate::group::room;

/// What is known of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::group) struct Member {
    pub(in crate::group) instance_id: Option<StrBytes>,
    pub(in crate::group) client_id: StrBytes,
    pub(in crate::group) client_host: StrBytes,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    pub(super) protocols: Vec<Protocol>,
    /// Who waits for the answer to its join.
    pub(super) join: Option<WaiterId>,
    /// Who waits for the answer to its sync.
    pub(super) sync: Option<WaiterId>,
    /// It has not been in a generation yet: it does not know its id, cannot send heartbeats, and
    /// may be gone without a word.
    pub(super) is_new: bool,
    /// How many answers to it have not left yet.
    pub(super) unanswered: usize,
    /// When its session ends.
    pub(super) session: Deadline,
    /// When its timer comes: at the session's end, or before where that was moved since.
    pub(super) timer_at: Option<Duration>,
}

impl Member {
    pub(super) const fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    pub(super) fn rebalance_timeout(&self) -> Duration {
        millis(self.rebalance_timeout_ms)
    }

    pub(super) fn session_timeout(&self) -> Duration {
        millis(self.session_timeout_ms)
    }

    /// Whether it need not send heartbeats: one that waits for its group does not.
    pub(super) const fn is_excused(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    /// What it takes in memory with its id, about.
    pub(super) fn bytes(&self, id: &StrBytes) -> usize {
        let instance = self.instance_id.as_ref().map_or(0, |text| text.len());
        let texts = 3 * id.len() + 2 * instance + self.client_id.len() + self.client_host.len();
        room::MEMBER_BYTES + texts + bytes_in_memory(&self.protocols)
    }

    /// What it says for a protocol.
    pub(super) fn metadata(&self, name: &StrBytes) -> Bytes {
        let found = self.protocols.iter().find(|p| p.name == *name);
        found.map(|p| p.metadata.clone()).unwrap_or_default()
    }
}

/// A time from a client; a negative one is none.
pub(super) fn millis(count: i32) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or_default())
}

/// What protocols take in memory, about.
pub(super) fn bytes_in_memory(protocols: &[Protocol]) -> usize {
    room::PROTOCOL_BYTES * protocols.len() + bytes(protocols)
}

/// What protocols say, in bytes.
pub(in crate::group) fn bytes(protocols: &[Protocol]) -> usize {
    let sizes = protocols.iter().map(|p| p.name.len() + p.metadata.len());
    sizes.sum()
}
