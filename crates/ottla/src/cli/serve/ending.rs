//! How `serve` is asked to end: by a signal, at any time from the start of the start on, or because
//! the broker failed.
//!
//! The first signal asks for an end in good order, for which there is [`STOP_MAX`]; what is not
//! done by then is left undone, as a kill leaves it. A second signal ends the process at once.

use std::io;
use std::process;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::tell;

/// From the first signal to the end of the process.
const STOP_MAX: Duration = Duration::from_secs(2);
/// Signals this close to the first one are the same wish: `timeout` sends one to its child and one
/// to the whole group.
const ECHO: Duration = Duration::from_millis(100);

/// Why the broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A signal asked for it.
    Asked,
    /// It failed.
    Failed,
}

/// Hears of the end.
#[derive(Debug)]
pub(super) struct Ending {
    told: Receiver<Reason>,
    teller: Sender<Reason>,
}

impl Ending {
    /// Listens for signals from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (teller, told) = mpsc::channel();
        let asked = teller.clone();
        let heed = move || {
            let mut first = None;
            loop {
                // All that came together count as one.
                let Some(signal) = signals.wait().last() else {
                    continue;
                };
                let asked_at: Instant = *first.get_or_insert_with(|| ask(&asked));
                if asked_at.elapsed() >= ECHO {
                    tell("stopped at once");
                    process::exit(128 + signal);
                }
            }
        };
        thread::Builder::new()
            .name("ottla-signals".to_owned())
            .spawn(heed)?;
        Ok(Self { told, teller })
    }

    /// For the broker, to tell that it failed.
    pub(super) fn teller(&self) -> Sender<Reason> {
        self.teller.clone()
    }

    /// Whether a signal came already, while the broker started.
    pub(super) fn is_asked(&self) -> bool {
        let reason = self.told.try_recv();
        if let Ok(reason) = reason {
            // For whoever waits for it. The receiver is here.
            let _ = self.teller.send(reason);
        }
        reason == Ok(Reason::Asked)
    }

    /// Returns when the broker is to end.
    pub(super) fn wait(&self) -> Reason {
        self.told.recv().unwrap_or(Reason::Failed)
    }
}

/// Asks for an end in good order, in its time; answers since when.
fn ask(asked: &Sender<Reason>) -> Instant {
    let now = Instant::now();
    // Nobody hears it where the process is about to end anyway.
    let _ = asked.send(Reason::Asked);
    let limit = || {
        thread::sleep(STOP_MAX);
        tell("not a clean stop, the next start recovers: it took too long");
        process::exit(0);
    };
    // Without it the limits of the broker's own end still hold.
    let _ = thread::Builder::new()
        .name("ottla-limit".to_owned())
        .spawn(limit);
    now
}
