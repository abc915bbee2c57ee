//! Ctrl-C and its like: the first one asks a command to end in good order, a second one ends the
//! process at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::client::ClientError;

/// A flag that the first signal sets.
pub(crate) fn stop_flag() -> Result<Arc<AtomicBool>, ClientError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let end = signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop));
        let note = end.and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        note.map_err(|source| ClientError::Io {
            doing: "listening for signals",
            source,
        })?;
    }
    Ok(stop)
}
