//! Who opens the logs that were on the disk at start, and in which order.
//!
//! Opening reads, and after an unclean stop checks what was read, so it is done on the blocking
//! pool, by a bounded number of threads: as many logs at a time as keep the cores and the disk
//! busy, whoever asks. What a request waits for goes before what nobody does, and each log is
//! opened once, however many ask for it. What opening consists of is the caller's matter.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ottla_log::{LogError, LogId, TopicId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::OpenPartitionError;
use crate::partition::Partition;
use crate::runtime::Runtime;

/// The most logs that are opened at a time: half the pool, so that cold reads have the rest. More
/// than there are cores, because after an unclean stop an opening mostly waits for the disk.
const OPENERS_MAX: usize = 4;

/// What comes of an opening.
pub(super) type Opening = Result<Arc<Partition>, OpenPartitionError>;

/// One log of one topic.
type Key = (TopicId, i32);

/// Logs to be opened.
#[derive(Debug, Default)]
pub(super) struct Openers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Logs that wait, or are being opened.
    jobs: BTreeMap<Key, Job>,
    /// The order; a key whose job is not waiting any more stands for nothing.
    urgent: VecDeque<Key>,
    rest: VecDeque<Key>,
    workers: usize,
}

#[derive(Debug)]
struct Job {
    id: LogId,
    is_urgent: bool,
    is_begun: bool,
    waiting: Vec<oneshot::Sender<Opening>>,
}

/// A log that somebody wants to be open.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: LogId,
    pub(super) topic: TopicId,
    /// A request waits for it.
    pub(super) is_urgent: bool,
}

/// The answer to come.
#[derive(Debug)]
pub(super) struct ToCome {
    id: LogId,
    opened: oneshot::Receiver<Opening>,
}

impl ToCome {
    /// Waits for it.
    pub(super) async fn opened(self) -> Opening {
        let id = self.id;
        // Not answered where the opening panicked, or the broker ends.
        self.opened
            .await
            .unwrap_or_else(|_| Err(LogError::Closed { id }.into()))
    }
}

impl Openers {
    /// Has the logs in `asked` opened by `open`, on the blocking pool of `runtime`.
    pub(super) fn ask(
        self: &Arc<Self>,
        runtime: &Runtime,
        asked: impl IntoIterator<Item = Asked>,
        open: impl Fn(&LogId, TopicId) -> Opening + Clone + Send + 'static,
    ) -> Vec<ToCome> {
        let mut state = self.state.lock();
        let answers: Vec<ToCome> = asked.into_iter().map(|asked| state.enter(asked)).collect();
        let more = state.more_workers();
        state.workers += more;
        drop(state);
        for _ in 0..more {
            let (this, open) = (Arc::clone(self), open.clone());
            runtime.spawn_blocking(move || this.work(&open));
        }
        answers
    }

    /// Forgets what was not begun: whoever waits for it is told that the store is closed.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        state.urgent.clear();
        state.rest.clear();
        state.jobs.retain(|_, job| job.is_begun);
    }

    /// Opens logs until none waits.
    fn work(&self, open: &impl Fn(&LogId, TopicId) -> Opening) {
        while let Some((key, id)) = self.next() {
            let opened = catch_unwind(AssertUnwindSafe(|| open(&id, key.0)));
            let waiting = self.state.lock().jobs.remove(&key);
            let Ok(opened) = opened else {
                tracing::error!(%id, "opening a log panicked; this is a bug");
                continue;
            };
            for waiter in waiting.into_iter().flat_map(|job| job.waiting) {
                // Who asked may have gone.
                let _ = waiter.send(opened.clone());
            }
        }
    }

    /// The next log; `None` ends a worker.
    fn next(&self) -> Option<(Key, LogId)> {
        let mut state = self.state.lock();
        let next = state.next();
        if next.is_none() {
            state.workers -= 1;
        }
        next
    }
}

impl State {
    fn enter(&mut self, asked: Asked) -> ToCome {
        let (answer, opened) = oneshot::channel();
        let key = (asked.topic, asked.id.partition());
        let id = asked.id.clone();
        let job = self.jobs.entry(key).or_insert_with(|| {
            self.rest.push_back(key);
            Job {
                id: asked.id,
                is_urgent: false,
                is_begun: false,
                waiting: Vec::new(),
            }
        });
        job.waiting.push(answer);
        if asked.is_urgent && !job.is_begun && !std::mem::replace(&mut job.is_urgent, true) {
            self.urgent.push_back(key);
        }
        ToCome { id, opened }
    }

    fn more_workers(&self) -> usize {
        let waiting = self.jobs.values().filter(|job| !job.is_begun).count();
        waiting.min(OPENERS_MAX.saturating_sub(self.workers))
    }

    fn next(&mut self) -> Option<(Key, LogId)> {
        loop {
            let key = self.urgent.pop_front().or_else(|| self.rest.pop_front())?;
            if let Some(job) = self.jobs.get_mut(&key)
                && !std::mem::replace(&mut job.is_begun, true)
            {
                return Some((key, job.id.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
