//! `--follow` outlives its broker: a lost connection is made anew, for as long as it takes.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use crate::cli::client::{Client, ClientError};

/// How long to wait before the first and, at most, before a later try.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Connects `client` to `address` again after `lost`, which is told once; until `stopped`.
pub(super) fn reconnect(
    client: &mut Client,
    address: &str,
    lost: &ClientError,
    stopped: impl Fn() -> bool,
) -> Result<(), ClientError> {
    // Whoever closed standard error wants no reports.
    let _ = writeln!(std::io::stderr(), "ottla: {lost}; trying to reconnect");
    let mut wait = WAIT_MIN;
    loop {
        match client.reconnect(address) {
            Err(error) if error.is_passing() && !stopped() => {
                thread::sleep(wait);
                wait = (wait * 2).min(WAIT_MAX);
            }
            done => return done,
        }
    }
}
