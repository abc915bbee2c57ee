//! Keeps peers from filling the log: one line a second of each kind, with how many were left out.

use std::time::Duration;

use parking_lot::Mutex;

use crate::runtime::Instant;

/// The shortest time between two lines.
const GAP: Duration = Duration::from_secs(1);

/// A gate for each kind of line that peers or disks can cause as often as they like: what a peer
/// sends must not keep the operator from hearing of a disk.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// Connections that were closed for what came on them.
    pub(crate) connections: LogGate,
    /// Records that the disk did not take.
    pub(crate) appends: LogGate,
    /// Logs that cannot be opened.
    pub(crate) logs: LogGate,
}

/// Lets one line of its kind pass in each second.
#[derive(Debug, Default)]
pub(crate) struct LogGate {
    state: Mutex<(Option<Instant>, u64)>,
}

impl LogGate {
    /// `Some(left out since the last line)` where a line may be written now.
    pub(crate) fn pass(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let (last, left_out) = *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < GAP) {
            state.1 += 1;
            return None;
        }
        *state = (Some(now), 0);
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_one_kind_keeps_back_none_of_another() {
        let complaints = Complaints::default();
        assert_eq!(complaints.connections.pass(), Some(0));
        assert_eq!(complaints.connections.pass(), None);
        assert_eq!(complaints.appends.pass(), Some(0));
        assert_eq!(complaints.logs.pass(), Some(0));
    }
}
