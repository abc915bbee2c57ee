//! The answers that a connection owes, in the order of its requests.
//!
//! The reading half puts an answer in as soon as its request has taken effect, finished or not, and
//! goes on to the next request; the writing half takes them out in that order. Both are parts of
//! one task.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Answer;
use crate::limits::Limits;

/// The answers that are owed.
#[derive(Debug)]
pub(crate) struct Window {
    requests_max: usize,
    bytes_max: u64,
    state: Mutex<State>,
    pushed: Notify,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    answers: VecDeque<Answer>,
    /// Answers that were put in and are not sent.
    owed: usize,
    /// What they hold of the budget.
    bytes: u64,
    closed: bool,
}

impl Window {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests_max: limits.window_requests_max,
            bytes_max: limits.window_bytes_max,
            state: Mutex::default(),
            pushed: Notify::new(),
            freed: Notify::new(),
        }
    }

    /// Waits until one more answer may be owed. One is always allowed, whatever its size.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let state = self.state.lock();
                let full = state.owed >= self.requests_max || state.bytes >= self.bytes_max;
                if state.owed == 0 || !full {
                    return;
                }
            }
            freed.await;
        }
    }

    /// Puts the answer to the next request in.
    pub(crate) fn push(&self, answer: Answer) {
        let mut state = self.state.lock();
        state.owed += 1;
        state.bytes += answer.counted();
        state.answers.push_back(answer);
        drop(state);
        self.pushed.notify_one();
    }

    /// No further answer will be put in.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.pushed.notify_one();
    }

    /// Whether an answer is still to be sent.
    pub(crate) fn is_owing(&self) -> bool {
        self.state.lock().owed > 0
    }

    /// The oldest answer; `None` when closed and empty.
    pub(crate) async fn next(&self) -> Option<Answer> {
        loop {
            let pushed = self.pushed.notified();
            {
                let mut state = self.state.lock();
                if let Some(answer) = state.answers.pop_front() {
                    return Some(answer);
                }
                if state.closed {
                    return None;
                }
            }
            pushed.await;
        }
    }

    /// The oldest answer if there is one now.
    pub(crate) fn try_next(&self) -> Option<Answer> {
        self.state.lock().answers.pop_front()
    }

    /// Puts an answer that is not finished back to the front.
    pub(crate) fn put_back(&self, answer: Answer) {
        self.state.lock().answers.push_front(answer);
    }

    /// `count` answers that held `bytes` when they were put in were sent.
    pub(crate) fn sent(&self, count: usize, bytes: u64) {
        let mut state = self.state.lock();
        state.owed -= count;
        state.bytes -= bytes;
        drop(state);
        self.freed.notify_waiters();
    }
}
