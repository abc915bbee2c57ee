//! The thread that leads the flush rounds of a broker's store.
//!
//! A round blocks for as long as the disk takes, so it has a thread of its own: a slow disk must
//! not hold up the workers that serve connections. Parked, it costs nothing; a wake-up costs a lone
//! waiter some microseconds.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_log::Store;

/// Leads rounds until dropped.
#[derive(Debug)]
pub(crate) struct Flusher {
    store: Store,
    stop: Arc<AtomicBool>,
}

impl Flusher {
    /// Starts the thread.
    pub(crate) fn start(store: &Store) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (of_thread, stopped) = (store.clone(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("ottla-flush".to_owned());
        thread.spawn(move || {
            while of_thread.wait_dirty(&stopped) {
                // Each partition of a failed round was told, and tells its waiters.
                if let Err(error) = of_thread.flush() {
                    tracing::error!(%error, "a flush round failed; its partitions are offline");
                }
            }
        })?;
        Ok(Self {
            store: store.clone(),
            stop,
        })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        // Not joined: a drop must not wait for the disk.
        self.stop.store(true, Ordering::Release);
        self.store.wake();
    }
}
