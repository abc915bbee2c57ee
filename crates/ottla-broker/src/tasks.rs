//! Counts what still runs for a broker, so that its end can be waited for.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::runtime::Runtime;

/// The tasks of one broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    running: Mutex<usize>,
    ended: Notify,
}

impl Tasks {
    /// Runs `future` as a task of this broker.
    pub(crate) fn spawn<F>(&self, runtime: &Runtime, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = self.running();
        runtime.spawn(async move {
            future.await;
            drop(running);
        });
    }

    /// Counts something that runs until the answer is dropped.
    pub(crate) fn running(&self) -> Running {
        *self.shared.running.lock() += 1;
        Running {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Returns when nothing runs any more.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.shared.ended.notified();
            if *self.shared.running.lock() == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// Something that runs. Ends when dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Running {
    shared: Arc<Shared>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.shared.running.lock();
        *running -= 1;
        if *running == 0 {
            self.shared.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_comes_after_the_last_task_also_when_it_panics() {
        let runtime = Runtime::shared().unwrap();
        let tasks = Tasks::default();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(&runtime, async move {
            let _ = gone.await;
        });
        tasks.spawn(&runtime, async { panic!("on purpose") });
        let order = Arc::new(Mutex::new(Vec::new()));
        let (waiting, seen) = (tasks.clone(), Arc::clone(&order));
        let end = runtime.spawn(async move {
            waiting.ended().await;
            seen.lock().push("ended");
        });
        order.lock().push("go");
        go.send(()).unwrap();
        runtime.block_on(end).unwrap().unwrap();
        assert_eq!(*order.lock(), ["go", "ended"]);
    }
}
