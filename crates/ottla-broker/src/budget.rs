//! The byte budget: all memory that peers can make a broker hold is charged here first.
//!
//! A [`Charge`] stands for bytes that exist because of one request or response: it grows as bytes
//! arrive, are decompressed or are read, and gives everything back when dropped. Waiting is first
//! come, first served.
//!
//! Many half-received requests could fill the budget while each waits for the rest of itself. So
//! that one of them always gets on, the first in the queue is granted an overdraft when nobody
//! else has one, and keeps it until its charge is dropped or shrinks back into the budget. What is
//! held is thereby at most the budget and one largest request with what answering it takes, plus
//! ranges of a batch's file that turn out to be needed whole ([`Charge::force`]).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What all connections of a broker may hold in memory together.
#[derive(Debug)]
pub(crate) struct Budget {
    total: u64,
    state: Mutex<State>,
    /// Told when somebody has to wait.
    pressure: Notify,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// Whether some charge has the overdraft.
    overdrawn: bool,
    queue: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    bytes: u64,
    granted: Option<Grant>,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    Within,
    Overdraft,
}

impl Budget {
    /// A budget of `total` bytes.
    pub(crate) fn new(total: u64) -> Arc<Self> {
        Arc::new(Self {
            total,
            state: Mutex::default(),
            pressure: Notify::new(),
        })
    }

    /// How many bytes are held now.
    #[cfg(test)]
    pub(crate) fn used(&self) -> u64 {
        self.state.lock().used
    }

    /// Whether somebody waits for bytes.
    pub(crate) fn is_pressed(&self) -> bool {
        let state = self.state.lock();
        state.queue.iter().any(|waiter| waiter.granted.is_none())
    }

    /// Returns when somebody waits for bytes.
    pub(crate) async fn pressed(&self) {
        loop {
            let pressure = self.pressure.notified();
            if self.is_pressed() {
                return;
            }
            pressure.await;
        }
    }

    /// A charge of nothing yet.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge {
            budget: Arc::clone(self),
            bytes: 0,
            overdraft: false,
        }
    }

    fn fits(&self, state: &State, bytes: u64) -> bool {
        state.used.saturating_add(bytes) <= self.total
    }

    /// Grants what can be granted, in the order of asking.
    fn settle(&self, state: &mut State) {
        for index in 0..state.queue.len() {
            let Some(waiter) = state.queue.get(index) else {
                return;
            };
            if waiter.granted.is_some() {
                continue;
            }
            let bytes = waiter.bytes;
            let grant = if self.fits(state, bytes) {
                Grant::Within
            } else if !state.overdrawn {
                Grant::Overdraft
            } else {
                return;
            };
            state.used = state.used.saturating_add(bytes);
            state.overdrawn |= grant == Grant::Overdraft;
            if let Some(waiter) = state.queue.get_mut(index) {
                waiter.granted = Some(grant);
                if let Some(waker) = waiter.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// Takes back `bytes` of a charge; `overdraft` says whether this has the overdraft, and is
    /// false afterwards where all of the charge comes back or the budget is in order again.
    fn release(&self, bytes: u64, overdraft: &mut bool, all: bool) {
        if bytes == 0 && !*overdraft {
            return;
        }
        let mut state = self.state.lock();
        assert!(
            state.used >= bytes,
            "{bytes} bytes returned of {} held",
            state.used
        );
        state.used -= bytes;
        if *overdraft && (all || state.used <= self.total) {
            state.overdrawn = false;
            *overdraft = false;
        }
        self.settle(&mut state);
    }
}

/// Bytes held of a [`Budget`]; returned when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
    overdraft: bool,
}

impl Charge {
    /// How many bytes this charge holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `bytes` more if they are free now and nobody waits for them.
    #[must_use]
    pub(crate) fn try_grow(&mut self, bytes: u64) -> bool {
        let mut state = self.budget.state.lock();
        let free = state.queue.is_empty() && self.budget.fits(&state, bytes);
        if free || self.overdraft {
            state.used = state.used.saturating_add(bytes);
            self.bytes += bytes;
        }
        free || self.overdraft
    }

    /// Takes `bytes` more, and waits for them in the order of asking.
    pub(crate) async fn grow(&mut self, bytes: u64) {
        if self.try_grow(bytes) {
            return;
        }
        let grant = Granted::queue(&self.budget, bytes).await;
        self.bytes += bytes;
        self.overdraft |= grant == Grant::Overdraft;
    }

    /// Takes `bytes` more whether they are free or not: they exist already.
    pub(crate) fn force(&mut self, bytes: u64) {
        let mut state = self.budget.state.lock();
        state.used = state.used.saturating_add(bytes);
        self.bytes += bytes;
    }

    /// Holds exactly `bytes`, which exist already.
    pub(crate) fn set(&mut self, bytes: u64) {
        match bytes.checked_sub(self.bytes) {
            Some(more @ 1..) => self.force(more),
            _ => self.shrink_to(bytes),
        }
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let freed = self.bytes.saturating_sub(bytes);
        self.bytes -= freed;
        self.budget.release(freed, &mut self.overdraft, false);
    }

    /// Waits until the budget is not spent, and takes nothing.
    pub(crate) async fn room(&mut self) {
        self.grow(0).await;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.release(self.bytes, &mut self.overdraft, true);
    }
}

/// The place of one asker in the queue.
struct Granted<'a> {
    budget: &'a Budget,
    ticket: u64,
    done: bool,
}

impl<'a> Granted<'a> {
    fn queue(budget: &'a Budget, bytes: u64) -> Self {
        let mut state = budget.state.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.push_back(Waiter {
            ticket,
            bytes,
            granted: None,
            waker: None,
        });
        budget.settle(&mut state);
        drop(state);
        budget.pressure.notify_waiters();
        Self {
            budget,
            ticket,
            done: false,
        }
    }
}

impl Future for Granted<'_> {
    type Output = Grant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Grant> {
        let mut state = self.budget.state.lock();
        let index = state
            .queue
            .iter()
            .position(|w| w.ticket == self.ticket)
            .expect("a waiter leaves the queue only when its future is done or dropped");
        let Some(waiter) = state.queue.get_mut(index) else {
            return Poll::Pending;
        };
        let Some(grant) = waiter.granted else {
            waiter.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.queue.remove(index);
        drop(state);
        self.done = true;
        Poll::Ready(grant)
    }
}

impl Drop for Granted<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.budget.state.lock();
        let Some(index) = state.queue.iter().position(|w| w.ticket == self.ticket) else {
            return;
        };
        if let Some(waiter) = state.queue.remove(index)
            && let Some(grant) = waiter.granted
        {
            state.used -= waiter.bytes;
            if grant == Grant::Overdraft {
                state.overdrawn = false;
            }
        }
        self.budget.settle(&mut state);
    }
}

#[cfg(test)]
mod tests;
