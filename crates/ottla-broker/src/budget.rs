//! The byte budget: all memory that peers can make a broker hold is charged here first.
//!
//! A [`Charge`] stands for bytes that exist because of one request or response: it grows as bytes
//! arrive, are decompressed or are read, and gives everything back when dropped. Waiting is first
//! come, first served.
//!
//! Many half-received requests could fill the budget while each waits for the rest of itself. So
//! that one of them always gets on, the first in the queue is granted an overdraft when nobody
//! else has one. It belongs to the [`Account`] of a connection: one request has several charges,
//! an answer waits for the answers before it, and none of them may wait for what another one of
//! them has. A request that is not begun yet waits for its turn all the same, so that the
//! overdraft comes back once the connection has done with what it had in hand. What is held is
//! thereby at most the budget and what one connection may have in hand, plus ranges of a batch's
//! file that turn out to be needed whole ([`Charge::force`]).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
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
    /// Whether some account has the overdraft.
    overdrawn: bool,
    queue: VecDeque<Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    account: Arc<Account>,
    bytes: u64,
    /// Whether it is for something that has begun: what the account's overdraft may be used for.
    begun: bool,
    granted: bool,
    waker: Option<Waker>,
}

/// What one connection holds of a [`Budget`], by all its charges together.
#[derive(Debug)]
pub(crate) struct Account {
    budget: Arc<Budget>,
    /// Bytes of charges that are not parked. Like `overdraft` changed under the budget's lock only.
    held: AtomicU64,
    overdraft: AtomicBool,
}

impl Account {
    /// What this is an account of.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// A charge of nothing yet, for the next request.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge {
            account: Arc::clone(self),
            bytes: 0,
            begun: false,
            parked: false,
        }
    }

    fn is_overdrawn(&self) -> bool {
        self.overdraft.load(Relaxed)
    }

    fn hold(&self, bytes: u64) {
        self.held.fetch_add(bytes, Relaxed);
    }
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
        state.queue.iter().any(|waiter| !waiter.granted)
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

    /// An account for one connection.
    pub(crate) fn account(self: &Arc<Self>) -> Arc<Account> {
        Arc::new(Account {
            budget: Arc::clone(self),
            held: AtomicU64::new(0),
            overdraft: AtomicBool::new(false),
        })
    }

    /// The only charge of an account.
    #[cfg(test)]
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        self.account().charge()
    }

    fn fits(&self, state: &State, bytes: u64) -> bool {
        state.used.saturating_add(bytes) <= self.total
    }

    /// Grants what can be granted: in the order of asking, but to who has the overdraft at once.
    fn settle(&self, state: &mut State) {
        let mut turn_is_taken = false;
        for waiter in state.queue.iter_mut().filter(|waiter| !waiter.granted) {
            let account = &waiter.account;
            if !(waiter.begun && account.is_overdrawn()) {
                if turn_is_taken {
                    continue;
                }
                if state.used.saturating_add(waiter.bytes) > self.total {
                    if state.overdrawn {
                        turn_is_taken = true;
                        continue;
                    }
                    state.overdrawn = true;
                    account.overdraft.store(true, Relaxed);
                }
            }
            state.used = state.used.saturating_add(waiter.bytes);
            account.hold(waiter.bytes);
            waiter.granted = true;
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
        }
    }

    /// Takes back `bytes`, of which the account held `counted`.
    fn take_back(&self, state: &mut State, account: &Account, bytes: u64, counted: u64) {
        assert!(
            state.used >= bytes,
            "{bytes} bytes returned of {} held",
            state.used
        );
        state.used -= bytes;
        let held = account.held.fetch_sub(counted, Relaxed) - counted;
        if account.is_overdrawn() && (held == 0 || state.used <= self.total) {
            account.overdraft.store(false, Relaxed);
            state.overdrawn = false;
        }
        self.settle(state);
    }
}

/// Bytes held of a [`Budget`]; returned when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Arc<Account>,
    bytes: u64,
    /// Whether what it is for has begun: it was granted something.
    begun: bool,
    parked: bool,
}

impl Charge {
    /// A charge of nothing yet, for the same request.
    pub(crate) fn another(&self) -> Self {
        Self {
            account: Arc::clone(&self.account),
            bytes: 0,
            begun: self.begun,
            parked: false,
        }
    }

    /// How many bytes this charge holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `bytes` more if they are free now and nobody waits for them.
    #[must_use]
    pub(crate) fn try_grow(&mut self, bytes: u64) -> bool {
        let budget = &self.account.budget;
        let mut state = budget.state.lock();
        let is_free = state.queue.is_empty() && budget.fits(&state, bytes);
        let is_granted = is_free || self.begun && self.account.is_overdrawn();
        if is_granted {
            state.used = state.used.saturating_add(bytes);
            self.account.hold(self.counted(bytes));
            drop(state);
            self.bytes += bytes;
            self.begun = true;
        }
        is_granted
    }

    /// Takes `bytes` more, and waits for them in the order of asking.
    pub(crate) async fn grow(&mut self, bytes: u64) {
        self.resume();
        if self.try_grow(bytes) {
            return;
        }
        Granted::queue(&self.account, bytes, self.begun).await;
        self.bytes += bytes;
        self.begun = true;
    }

    /// Takes `bytes` more whether they are free or not: they exist already.
    pub(crate) fn force(&mut self, bytes: u64) {
        let mut state = self.account.budget.state.lock();
        state.used = state.used.saturating_add(bytes);
        self.account.hold(self.counted(bytes));
        drop(state);
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
        self.give_back(freed, self.counted(freed));
    }

    /// Waits until the budget is not spent, and takes nothing.
    pub(crate) async fn room(&mut self) {
        self.grow(0).await;
    }

    /// From now on this waits for other peers, who may wait for the budget: it keeps the overdraft
    /// from nobody, until it grows again or is resumed.
    pub(crate) fn park(&mut self) {
        if !self.parked {
            self.parked = true;
            self.give_back(0, self.bytes);
        }
    }

    /// Waits for no other peer any more.
    pub(crate) fn resume(&mut self) {
        if self.parked {
            self.parked = false;
            let _state = self.account.budget.state.lock();
            self.account.hold(self.bytes);
        }
    }

    /// What of `bytes` counts as held by the account.
    fn counted(&self, bytes: u64) -> u64 {
        if self.parked { 0 } else { bytes }
    }

    fn give_back(&self, bytes: u64, counted: u64) {
        if bytes == 0 && counted == 0 && !self.account.is_overdrawn() {
            return;
        }
        let budget = &self.account.budget;
        budget.take_back(&mut budget.state.lock(), &self.account, bytes, counted);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back(self.bytes, self.counted(self.bytes));
    }
}

/// The place of one asker in the queue.
struct Granted<'a> {
    budget: &'a Budget,
    ticket: u64,
    done: bool,
}

impl<'a> Granted<'a> {
    fn queue(account: &'a Arc<Account>, bytes: u64, begun: bool) -> Self {
        let budget = &*account.budget;
        let mut state = budget.state.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.push_back(Waiter {
            ticket,
            account: Arc::clone(account),
            bytes,
            begun,
            granted: false,
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
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.budget.state.lock();
        let index = state
            .queue
            .iter()
            .position(|w| w.ticket == self.ticket)
            .expect("a waiter leaves the queue only when its future is done or dropped");
        let Some(waiter) = state.queue.get_mut(index) else {
            return Poll::Pending;
        };
        if !waiter.granted {
            waiter.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.queue.remove(index);
        drop(state);
        self.done = true;
        Poll::Ready(())
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
        let Some(waiter) = state.queue.remove(index) else {
            return;
        };
        if waiter.granted {
            let (account, bytes) = (&waiter.account, waiter.bytes);
            self.budget.take_back(&mut state, account, bytes, bytes);
        } else {
            self.budget.settle(&mut state);
        }
    }
}

#[cfg(test)]
mod tests;
