//! When the load may run: between a broker's start and its kill.

use std::{
    net::SocketAddr,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Where the load waits for a broker.
#[derive(Debug)]
pub(super) struct Gate {
    address: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often it was opened.
    opened: u64,
    is_open: bool,
    /// The disk is gone, or about to be: any refusal is right.
    is_cut: bool,
    stopped: bool,
    /// Who is inside: in a connection of this opening.
    inside: usize,
}

impl Gate {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next opening after `last`; `None` where the run is over.
    pub(super) fn enter(&self, last: u64) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if state.is_open && state.opened > last {
                state.inside += 1;
                return Some(state.opened);
            }
            state = wait(&self.changed, state);
        }
    }

    /// Leaves after the connection broke.
    pub(super) fn leave(&self) {
        self.lock().inside -= 1;
        self.changed.notify_all();
    }

    pub(super) fn open(&self) {
        let mut state = self.lock();
        state.is_open = true;
        state.is_cut = false;
        state.opened += 1;
        self.changed.notify_all();
    }

    /// Waits until everybody has noticed that the broker is gone: no answer of it is on its way.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_open = false;
        while state.inside > 0 {
            state = wait(&self.changed, state);
        }
    }

    /// The disk goes: from here on any refusal is right, and an acknowledgement still is one.
    pub(super) fn cut(&self) {
        self.lock().is_cut = true;
    }

    pub(super) fn is_cut(&self) -> bool {
        self.lock().is_cut
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'g>(changed: &Condvar, state: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
    changed.wait(state).unwrap_or_else(PoisonError::into_inner)
}
