//! `--follow` outlives its broker: a lost connection is made anew, for as long as it takes.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use crate::cli::client::{Client, ClientError};

/// How long to wait before the first and, at most, before a later try.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Connects again, and waits longer from try to try until something worked. A broker may take the
/// connection and then name an address where nobody is.
#[derive(Debug)]
pub(super) struct Reconnect {
    wait: Duration,
    told: bool,
}

impl Reconnect {
    pub(super) const fn new() -> Self {
        Self {
            wait: WAIT_MIN,
            told: false,
        }
    }

    /// Records came.
    pub(super) const fn worked(&mut self) {
        *self = Self::new();
    }

    /// Connects `client` to `address` again after `lost`, which is told once; until `stopped`.
    pub(super) fn reconnect(
        &mut self,
        client: &mut Client,
        address: &str,
        lost: &ClientError,
        stopped: impl Fn() -> bool,
    ) -> Result<(), ClientError> {
        if !std::mem::replace(&mut self.told, true) {
            // Whoever closed standard error wants no reports.
            let _ = writeln!(std::io::stderr(), "ottla: {lost}; trying to reconnect");
        }
        loop {
            thread::sleep(self.wait);
            self.wait = (self.wait * 2).min(WAIT_MAX);
            match client.reconnect(address) {
                Err(error) if error.is_passing() && !stopped() => {}
                done => return done,
            }
        }
    }
}
