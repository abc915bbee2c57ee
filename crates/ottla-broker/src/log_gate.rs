//! Keeps peers from filling the log: one line a second of each kind, with how many were left out.

use std::time::Duration;

use parking_lot::Mutex;

use crate::runtime::Instant;

/// The shortest time between two lines.
const GAP: Duration = Duration::from_secs(1);

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
