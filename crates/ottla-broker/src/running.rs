//! A running broker, and how it ends.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ottla_log::{CloseReport, FlushMode, RecoveryReport, Store};

use crate::core::BrokerCore;
use crate::flusher::Flusher;
use crate::leaving;
use crate::listener::AcceptSocket;
use crate::runtime;
use crate::stop::Stopper;
use crate::tasks::Tasks;

/// A running broker. Dropped, it ends at once as after a kill: its port, tasks and files are let
/// go, and the next start recovers. [`RunningBroker::shutdown`] ends it cleanly.
#[derive(Debug)]
pub struct RunningBroker {
    pub(crate) core: Arc<BrokerCore>,
    pub(crate) store: Store,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) flush: FlushMode,
    pub(crate) stopper: Stopper,
    pub(crate) tasks: Tasks,
    pub(crate) sockets: Vec<Arc<AcceptSocket>>,
    pub(crate) _flusher: Flusher,
}

/// How a broker ended.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The next start has nothing to recover.
    pub clean: bool,
    /// Requests were still running when their time was over.
    pub abandoned: bool,
    /// What was in the way of a clean end.
    pub cause: Option<String>,
}

/// A listener of a running broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerInfo {
    /// Its name.
    pub name: String,
    /// The addresses it is bound to.
    pub addresses: Vec<SocketAddr>,
    /// `HOST:PORT` as clients are told; where each is told the address that it came in on, as it
    /// is reached from this machine.
    pub advertised: String,
    /// Whether each connection is told the address that it came in on.
    pub advertises_reached: bool,
}

impl RunningBroker {
    /// The listeners, in the order in which they were asked for.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerInfo> {
        let info = |listener: &crate::listener::Listener| ListenerInfo {
            name: listener.name.clone(),
            addresses: listener.addresses.clone(),
            advertised: listener.endpoint().to_string(),
            advertises_reached: listener.advertises_reached(),
        };
        self.core.listeners.iter().map(info).collect()
    }

    /// The data directory; `None` for a broker in memory.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The id of the cluster.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        self.store.cluster_id()
    }

    /// The id of this node.
    #[must_use]
    pub fn node_id(&self) -> i32 {
        self.core.node_id().get()
    }

    /// When a record counts as written.
    #[must_use]
    pub const fn flush(&self) -> FlushMode {
        self.flush
    }

    /// What a sync takes here, where durability waits for syncs.
    #[must_use]
    pub fn sync_cost(&self) -> Option<Duration> {
        self.store.sync_cost()
    }

    /// What the start found and recovered.
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        self.store.report()
    }

    /// Calls `hook` once the broker ends, for whatever reason: asked to, or because its metadata
    /// log failed and it must not go on.
    pub fn on_end(&self, hook: impl FnOnce() + Send + 'static) {
        let mut stop = self.stopper.stop();
        self.core.runtime().spawn(async move {
            stop.abandoned().await;
            hook();
        });
    }

    /// Ends the broker: no new connection or request, requests in hand finish, everything is made
    /// durable, and the stop is marked as clean. What takes longer than the limits allow, two
    /// seconds in all by default, is left undone: the next start recovers then. May be awaited on
    /// any executor.
    pub async fn shutdown(self) -> ShutdownReport {
        let runtime = Arc::clone(&self.core.runtime);
        let (done, report) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            // Nobody waits any more: the broker has ended all the same.
            let _ = done.send(self.end().await);
        });
        report.await.unwrap_or_default()
    }

    /// As [`RunningBroker::shutdown`], and blocks the calling thread.
    #[must_use]
    pub fn shutdown_blocking(self) -> ShutdownReport {
        let runtime = Arc::clone(&self.core.runtime);
        runtime.block_on(self.end()).unwrap_or_default()
    }

    async fn end(self) -> ShutdownReport {
        self.stopper.finish();
        self.sockets.iter().for_each(|socket| socket.close());
        let limits = self.core.limits();
        let finished = runtime::timeout(limits.finish_timeout, self.tasks.ended()).await;
        self.stopper.abandon();
        let mut report = ShutdownReport {
            abandoned: finished.is_none(),
            ..Default::default()
        };
        // A change of the metadata may wait for a disk that does not answer, too.
        match runtime::timeout(limits.close_timeout, self.close()).await {
            Some(Some(CloseReport { clean, cause, .. })) => {
                report.clean = clean;
                report.cause = cause.map(|cause| cause.to_string());
            }
            Some(None) => report.cause = Some("closing the store panicked".to_owned()),
            None => report.cause = Some("the disk took too long to close the store".to_owned()),
        }
        report
    }

    /// Closes the store once the metadata does not change any more; `None` where that panics.
    async fn close(&self) -> Option<CloseReport> {
        self.core.metadata().close().await;
        let (store, core) = (self.store.clone(), Arc::clone(&self.core));
        let close = self.core.runtime().spawn_blocking(move || {
            // Kafka starts from these; here a restart finds them out by itself.
            let high_watermarks = core.partitions().high_watermarks();
            if let Err(error) = store.checkpoint_high_watermarks(&high_watermarks) {
                tracing::warn!(%error, "the high watermarks were not written down");
            }
            store.close()
        });
        close.await.ok()
    }
}

impl Drop for RunningBroker {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            leaving::leave(dir, &self.store);
        }
        self.stopper.abandon();
        self.sockets.iter().for_each(|socket| socket.close());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use crate::options::{BrokerOptions, Storage};
    use crate::start::start_blocking;

    #[test]
    fn a_change_that_does_not_end_does_not_hold_the_end_up() {
        let broker = start_blocking(BrokerOptions::new(Storage::InMemory)).unwrap();
        let core = Arc::clone(&broker.core);
        let (begun, has_begun) = oneshot::channel();
        let (end, ending) = oneshot::channel::<()>();
        broker.core.runtime().spawn(async move {
            let changing = async {
                begun.send(()).unwrap();
                ending.await
            };
            core.metadata().hold(changing).await
        });
        has_begun.blocking_recv().unwrap();
        let report = broker.shutdown_blocking();
        assert!(!report.clean && report.cause.is_some(), "{report:?}");
        end.send(()).unwrap();
    }
}
