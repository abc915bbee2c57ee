//! Tells all that runs for a broker that it ends.

use std::sync::Arc;

use tokio::sync::watch;

/// Where a broker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// Requests in hand are finished, nothing new begins.
    Finishing,
    /// Nothing is finished any more.
    Gone,
}

/// Asks for the end.
#[derive(Clone, Debug)]
pub(crate) struct Stopper {
    phase: Arc<watch::Sender<Phase>>,
}

/// Hears of the end.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    phase: watch::Receiver<Phase>,
}

/// A stopper and what it stops.
pub(crate) fn pair() -> (Stopper, Stop) {
    let (send, receive) = watch::channel(Phase::Running);
    let stopper = Stopper {
        phase: Arc::new(send),
    };
    (stopper, Stop { phase: receive })
}

impl Stopper {
    /// Requests in hand are to be finished, and nothing new to begin.
    pub(crate) fn finish(&self) {
        self.raise(Phase::Finishing);
    }

    /// Everything is to be let go.
    pub(crate) fn abandon(&self) {
        self.raise(Phase::Gone);
    }

    /// One more to hear of the end.
    pub(crate) fn stop(&self) -> Stop {
        Stop {
            phase: self.phase.subscribe(),
        }
    }

    fn raise(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = *phase < to;
            if later {
                *phase = to;
            }
            later
        });
    }
}

impl Stop {
    /// Whether the end was asked for.
    pub(crate) fn is_requested(&self) -> bool {
        *self.phase.borrow() >= Phase::Finishing
    }

    /// Returns when the end is asked for.
    pub(crate) async fn requested(&mut self) {
        self.reaches(Phase::Finishing).await;
    }

    /// Returns when everything is to be let go.
    pub(crate) async fn abandoned(&mut self) {
        self.reaches(Phase::Gone).await;
    }

    async fn reaches(&mut self, least: Phase) {
        // An error means that the stopper is gone, and the broker with it.
        let _ = self.phase.wait_for(|phase| *phase >= least).await;
    }
}
