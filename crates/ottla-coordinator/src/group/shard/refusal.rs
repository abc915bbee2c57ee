//! What follows when the log does not take what was decided: who asked is refused, and nothing of
//! it was.

use std::collections::BTreeSet;

use ottla_protocol::{ErrorCode, StrBytes};

use super::GroupShard;
use crate::group::decision::{Answer, Decision, Now};
use crate::group::live::Live;
use crate::group::record::Record;
use crate::group::response::GroupState;

impl GroupShard {
    /// The records of `decision` are not in the log, or only the first of them, which were
    /// replayed. Whoever it answered is refused with `error`. No records follow.
    #[must_use]
    pub fn refused(&mut self, now: Now, decision: Decision, error: ErrorCode) -> Decision {
        let refused = decision.answers.into_iter().map(|answer| Answer {
            response: answer.response.refused(error),
            ..answer
        });
        let mut follows = Decision {
            records: Vec::new(),
            answers: refused.collect(),
            timers: decision.timers,
            seen: decision.seen,
        };
        let groups = decision.records.iter().filter_map(begins_with);
        let groups: BTreeSet<&StrBytes> = groups.collect();
        for group in groups {
            self.take_back(now, group, error, &mut follows);
        }
        self.schedule_expiry(now, &mut follows);
        follows
    }

    /// Takes a group back to where its records leave it.
    fn take_back(&mut self, now: Now, group: &StrBytes, error: ErrorCode, out: &mut Decision) {
        if self.live(group).map(Live::state) == Some(GroupState::Stable) {
            // Its members are there, and have to be given something anew.
            self.with_live(now, group, out, Live::prepare);
            return;
        }
        let before = self.let_go(group);
        self.with_live(now, group, out, |live, turn| {
            if let Some(before) = before {
                live.succeed(turn, before, error);
            }
            live.begin_sessions(turn);
        });
    }
}

/// The group whose live state went ahead of this record.
fn begins_with(record: &Record) -> Option<&StrBytes> {
    match record {
        Record::Group {
            group,
            metadata: Some(_),
        } => Some(group),
        Record::Other(other) => other.group.as_ref(),
        Record::Group { .. } | Record::Offset { .. } => None,
    }
}
