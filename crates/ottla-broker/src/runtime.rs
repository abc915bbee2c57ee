//! The one runtime that all brokers of a process share, and the only place that spawns or looks at
//! the machine's timers.
//!
//! A broker works the same from any runtime or none, so it never runs on its caller's. The first
//! broker of a process makes the runtime, the last one to go takes it away, and neither blocks the
//! thread that does so. What a caller awaits are plain channels, which any executor can drive.
//!
//! Not here: the injected clock. Group, transaction and retention time, and the waits of requests,
//! follow it (`timer.rs`); what protects a socket follows the real time of this module.

use std::future::Future;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
pub(crate) use tokio::task::JoinHandle;
pub(crate) use tokio::time::{Instant, Sleep};

/// The most worker threads. More would serve no one on the machines a broker of this kind runs on,
/// and each costs memory in every test process.
const WORKERS_MAX: usize = 8;
/// The most threads of the pool for cold reads and big decompressions.
const BLOCKING_THREADS_MAX: usize = 8;
/// How long a thread of the blocking pool waits for more work. Short, so that an idle broker has
/// no thread that still wakes up to find out that it should end.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// The runtime of the brokers of this process.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// `Some` until dropped.
    tokio: Option<tokio::runtime::Runtime>,
}

impl Runtime {
    /// The runtime, made where this process has none yet.
    ///
    /// # Errors
    /// What the machine says when it refuses a thread or an epoll instance.
    pub(crate) fn shared() -> io::Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock();
        if let Some(runtime) = shared.upgrade() {
            return Ok(runtime);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(cores.min(WORKERS_MAX))
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_keep_alive(BLOCKING_KEEP_ALIVE)
            .thread_name("ottla")
            .enable_io()
            .enable_time()
            .build()?;
        let runtime = Arc::new(Self { tokio: Some(tokio) });
        *shared = Arc::downgrade(&runtime);
        Ok(runtime)
    }

    /// Runs `future` on its own. Dropping the handle lets it run on.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tokio().spawn(future)
    }

    /// Runs `work`, which may block, on the pool for such work.
    pub(crate) fn spawn_blocking<T, W>(&self, work: W) -> JoinHandle<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.tokio().spawn_blocking(work)
    }

    /// Runs `future` here and blocks the calling thread until it is done, whatever thread that is;
    /// `None` where the future panicked.
    pub(crate) fn block_on<F>(&self, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        // Not `Runtime::block_on`: that panics on a thread which drives another runtime.
        let (done, result) = std::sync::mpsc::sync_channel(1);
        self.spawn(async move {
            // The receiver is gone only where the waiting thread is.
            let _ = done.send(future.await);
        });
        result.recv().ok()
    }

    /// Enters the runtime, so that sockets made on this thread belong to it.
    pub(crate) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.tokio().enter()
    }

    fn tokio(&self) -> &tokio::runtime::Runtime {
        self.tokio.as_ref().expect("only drop takes the runtime")
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // The last holder may be a task of this very runtime, or a thread of the caller's. Neither
        // may wait for the workers; they end by themselves.
        if let Some(tokio) = self.tokio.take() {
            tokio.shutdown_background();
        }
    }
}

/// Runs `work`, which blocks, on this worker, whose other tasks go on elsewhere meanwhile. Outside
/// of a worker it just runs.
pub(crate) fn block_in_place<T>(work: impl FnOnce() -> T) -> T {
    let on_a_worker = tokio::runtime::Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread);
    if on_a_worker {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Waits for `duration` of real time.
pub(crate) fn sleep(duration: Duration) -> Sleep {
    tokio::time::sleep(duration)
}

/// Waits until `deadline`.
pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    tokio::time::sleep_until(deadline)
}

/// What `future` yields, or `None` where it is not done at `deadline`.
pub(crate) async fn timeout_at<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(deadline, future).await.ok()
}

/// What `future` yields, or `None` where it takes longer than `duration` of real time.
pub(crate) async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(duration, future).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_from_no_runtime_and_from_inside_another() {
        let runtime = Runtime::shared().unwrap();
        assert_eq!(runtime.block_on(async { 1 }), Some(1));

        let foreign = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        foreign.block_on(async {
            let runtime = Runtime::shared().unwrap();
            assert_eq!(runtime.block_on(async { 2 }), Some(2));
            assert_eq!(runtime.spawn(async { 3 }).await.unwrap(), 3);
        });
    }

    #[test]
    fn a_task_of_the_runtime_may_be_its_last_holder() {
        let (send, receive) = std::sync::mpsc::channel();
        let runtime = Runtime::shared().unwrap();
        let held = Arc::clone(&runtime);
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        runtime.spawn(async move {
            let _ = gone.await;
            drop(held);
            let _ = send.send(());
        });
        drop(runtime);
        go.send(()).unwrap();
        receive.recv().unwrap();
    }

    #[test]
    fn a_panic_in_a_future_is_told_to_the_one_who_blocks() {
        let runtime = Runtime::shared().unwrap();
        let result: Option<()> = runtime.block_on(async { panic!("on purpose") });
        assert_eq!(result, None);
        assert_eq!(runtime.block_on(async { 4 }), Some(4));
    }
}
