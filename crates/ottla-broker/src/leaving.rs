//! Data directories that a broker of this process has let go and not given back yet.
//!
//! A dropped broker does not make its dropper wait, so its directory is free a moment later, when
//! the last of its tasks has ended. A start in the same directory waits for that moment, bounded;
//! what another process holds, or a broker that still runs, is in use and refused at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ottla_log::Store;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::runtime;

/// How long a start waits. What is left to do is the flush round at work.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// By directory, what ends with the hold on it.
static LEAVING: Mutex<BTreeMap<PathBuf, watch::Receiver<()>>> = Mutex::new(BTreeMap::new());

/// Notes that `dir` will be given back as soon as nobody uses `store` any more.
pub(crate) fn leave(dir: &Path, store: &Store) {
    let (held, gone) = watch::channel(());
    LEAVING.lock().insert(key(dir), gone);
    store.on_release(move || {
        drop(held);
        // A later broker's entry stays.
        LEAVING.lock().retain(|_, gone| gone.has_changed().is_ok());
    });
}

/// A directory that a broker of this process has let go.
pub(crate) struct Leaving(watch::Receiver<()>);

/// Whether a broker of this process has let go of `dir` and not given it back yet. To be asked
/// before the directory is found in use: afterwards it may have been given back meanwhile.
pub(crate) fn of(dir: &Path) -> Option<Leaving> {
    LEAVING.lock().get(&key(dir)).cloned().map(Leaving)
}

impl Leaving {
    /// Waits until the directory is given back; `false` where it takes too long.
    pub(crate) async fn given_back(mut self) -> bool {
        let ended = async { while self.0.changed().await.is_ok() {} };
        runtime::timeout(WAIT_MAX, ended).await.is_some()
    }
}

/// One name for each directory.
fn key(dir: &Path) -> PathBuf {
    dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ottla_log::vfs::MemVfs;
    use ottla_log::{OpenError, OsEntropy, StoreOptions, SystemClock, World};

    use super::*;
    use crate::options::{BrokerOptions, Storage};
    use crate::start::{StartError, start_blocking};

    fn world(vfs: &Arc<MemVfs>) -> World {
        World {
            vfs: Arc::<MemVfs>::clone(vfs),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        }
    }

    #[test]
    fn what_was_given_back_meanwhile_is_not_waited_for() {
        let vfs = Arc::new(MemVfs::new());
        let dir = Path::new("/given-back");
        let store = Store::open_in(world(&vfs), dir, StoreOptions::default());
        let store = store.unwrap().store;
        leave(dir, &store);
        let leaving = of(dir).unwrap();
        drop(store);
        assert!(of(dir).is_none());
        let runtime = runtime::Runtime::shared().unwrap();
        assert_eq!(runtime.block_on(leaving.given_back()), Some(true));
    }

    #[test]
    fn a_start_waits_for_a_directory_that_is_being_let_go() {
        let vfs = Arc::new(MemVfs::new());
        let dir = "/leaving";
        let store = Store::open_in(world(&vfs), dir, StoreOptions::default())
            .unwrap()
            .store;
        let options = BrokerOptions::new(Storage::Vfs(vfs, dir.into()));
        let refused = start_blocking(options.clone());
        let is_in_use = |e: &StartError| matches!(e, StartError::Open(OpenError::InUse { .. }));
        assert!(refused.as_ref().is_err_and(is_in_use), "{refused:?}");

        leave(Path::new(dir), &store);
        let starting = std::thread::spawn(move || start_blocking(options));
        drop(store);
        let broker = starting.join().unwrap().unwrap();
        assert!(broker.shutdown_blocking().clean);
        assert!(of(Path::new(dir)).is_none(), "nobody is leaving any more");
    }
}
