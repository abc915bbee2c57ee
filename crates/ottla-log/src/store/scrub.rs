//! The scrub: all that lies on the disk is read again, slowly, so that what rots is found before
//! it is asked for, while there may still be a copy.
//!
//! One pass goes through the open logs in their order. It begins some time after the open, so that
//! a start and a short life are not burdened, and is repeated once in an interval.

use std::fmt;
use std::time::Duration;

use crate::log::ScrubPlace;
use crate::{LogId, Timestamp};

use super::{Inner, Life};

/// How fast and how often a store is scrubbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubOptions {
    /// How many bytes a second are read; 0 turns it off.
    pub bytes_per_second: u64,
    /// How much is read in one step, about.
    pub step_bytes: u64,
    /// How long after the open, and after the end of the last pass, the first and the next begin.
    pub delay: Duration,
    /// How long after its beginning the next pass begins at the earliest.
    pub interval: Duration,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self {
            bytes_per_second: 8 << 20,
            step_bytes: 4 << 20,
            delay: Duration::from_secs(3600),
            interval: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// What the scrub has done since the open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubReport {
    /// Passes that are over.
    pub passes: u64,
    /// When the last one ended.
    pub last: Option<Timestamp>,
    /// The log that is being read, if a pass is under way.
    pub current: Option<LogId>,
    /// Bytes that were read.
    pub bytes: u64,
    /// Segments that had no seal, were found good, and have one now.
    pub sealed: u64,
    /// Logs whose disk would not answer.
    pub failed: u64,
}

/// The scrub of one store.
#[derive(Debug)]
pub(super) struct Scrub {
    options: ScrubOptions,
    report: ScrubReport,
    /// When the next step is due.
    due: Timestamp,
    /// The pass that is under way.
    pass: Option<Pass>,
}

#[derive(Debug)]
struct Pass {
    began: Timestamp,
    /// The log that is being read.
    log: LogId,
    place: ScrubPlace,
}

impl Scrub {
    /// The scrub of a store that was opened at `now`.
    pub(super) fn new(options: ScrubOptions, now: Timestamp) -> Self {
        Self {
            options,
            report: ScrubReport::default(),
            due: after(now, options.delay),
            pass: None,
        }
    }

    /// When the next step is due; `None` where there is none, ever.
    pub(super) fn due(&self) -> Option<Timestamp> {
        (self.options.bytes_per_second > 0).then_some(self.due)
    }
}

impl Inner {
    /// One step, if it is due. Says when the next one is; `None` where there is none.
    pub(super) fn scrub(&self, now: Timestamp) -> Option<Timestamp> {
        let life = self.life.read();
        if matches!(*life, Life::Closed(_)) {
            return None;
        }
        let mut scrub = self.scrub.lock();
        if now >= scrub.due()? {
            let read = self.scrub_step(&mut scrub, now);
            // What was read has its time, and an empty log a moment.
            let rate = scrub.options.bytes_per_second;
            let wait = Duration::from_millis(read.saturating_mul(1000).div_ceil(rate).max(1));
            if scrub.pass.is_some() {
                scrub.due = after(now, wait);
            }
        }
        Some(scrub.due)
    }

    /// Reads on for a step. Answers how much was read.
    fn scrub_step(&self, scrub: &mut Scrub, now: Timestamp) -> u64 {
        let logs = self.open_logs();
        let mut pass = match scrub.pass.take() {
            Some(pass) => pass,
            None => match logs.keys().next() {
                None => {
                    scrub.end(now, now);
                    return 0;
                }
                Some(first) => Pass {
                    began: now,
                    log: first.clone(),
                    place: ScrubPlace::default(),
                },
            },
        };
        let mut read = 0;
        let step_bytes = scrub.options.step_bytes.max(1);
        while read < step_bytes {
            // It may have been deleted meanwhile.
            let Some((id, log)) = logs.range(&pass.log..).next() else {
                scrub.end(pass.began, now);
                return read;
            };
            if *id != pass.log {
                (pass.log, pass.place) = (id.clone(), ScrubPlace::default());
            }
            let step = log.scrub(&mut pass.place, step_bytes - read);
            let more = match step {
                Ok(done) => {
                    read += done.bytes;
                    scrub.report.sealed += done.sealed;
                    done.more
                }
                Err(error) => {
                    tracing::error!(log = %id, %error, "a log cannot be scrubbed");
                    scrub.report.failed += 1;
                    false
                }
            };
            if !more {
                let after = (
                    std::ops::Bound::Excluded(&pass.log),
                    std::ops::Bound::Unbounded,
                );
                let Some((next, _)) = logs.range::<LogId, _>(after).next() else {
                    scrub.report.bytes += read;
                    scrub.end(pass.began, now);
                    return read;
                };
                (pass.log, pass.place) = (next.clone(), ScrubPlace::default());
            }
        }
        scrub.report.bytes += read;
        scrub.report.current = Some(pass.log.clone());
        scrub.pass = Some(pass);
        read
    }

    pub(super) fn scrub_report(&self) -> ScrubReport {
        self.scrub.lock().report.clone()
    }
}

impl Scrub {
    /// A pass that began at `began` is over.
    fn end(&mut self, began: Timestamp, now: Timestamp) {
        self.report.passes += 1;
        self.report.last = Some(now);
        self.report.current = None;
        self.pass = None;
        self.due = after(began, self.options.interval).max(after(now, self.options.delay));
        tracing::debug!(report = %self.report, "a scrub is over");
    }
}

impl fmt::Display for ScrubReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passes, bytes, .. } = self;
        write!(
            f,
            "{passes} passes, {bytes} bytes, {} segments sealed",
            self.sealed
        )
    }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    now.get().saturating_add(wait).into()
}
