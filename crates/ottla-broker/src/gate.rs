//! What one Produce request waits for: the acknowledgements of its partitions.

use ottla_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Opens once every acknowledgement that is waited for came, or will not come.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    opened: Notify,
}

#[derive(Debug)]
struct State {
    /// Acknowledgements that are still to come.
    pending: usize,
    /// By the place of the partition in the request.
    places: Vec<Place>,
}

/// Where the acknowledgement of one partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody waits for one.
    NotAsked,
    /// It is still to come.
    Pending,
    /// It came, or failed.
    Settled(ErrorCode),
}

impl Gate {
    /// A gate for a request of `partitions` partitions, open until one is waited for.
    pub(crate) fn new(partitions: usize) -> Self {
        Self {
            state: Mutex::new(State {
                pending: 0,
                places: vec![Place::NotAsked; partitions],
            }),
            opened: Notify::new(),
        }
    }

    /// Waits for the acknowledgement of the partition in `place`.
    pub(crate) fn expect(&self, place: usize) {
        let mut state = self.state.lock();
        if let Some(slot @ Place::NotAsked) = state.places.get_mut(place) {
            *slot = Place::Pending;
            state.pending += 1;
        }
    }

    /// The acknowledgement of the partition in `place` came, or failed with `result`.
    pub(crate) fn settle(&self, place: usize, result: ErrorCode) {
        let mut state = self.state.lock();
        let Some(slot @ Place::Pending) = state.places.get_mut(place) else {
            return;
        };
        *slot = Place::Settled(result);
        state.pending -= 1;
        let open = state.pending == 0;
        drop(state);
        if open {
            self.opened.notify_one();
        }
    }

    /// Returns when nothing is waited for any more. For one waiter.
    pub(crate) async fn open(&self) {
        loop {
            let opened = self.opened.notified();
            if self.is_open() {
                return;
            }
            opened.await;
        }
    }

    /// Whether nothing is waited for any more.
    pub(crate) fn is_open(&self) -> bool {
        self.state.lock().pending == 0
    }

    /// Where the acknowledgement of the partition in `place` stands.
    pub(crate) fn place(&self, place: usize) -> Place {
        let state = self.state.lock();
        state.places.get(place).copied().unwrap_or(Place::NotAsked)
    }
}
