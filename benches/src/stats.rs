//! Medians of repeated runs, and figures beside their targets.

use std::fmt;
use std::time::{Duration, Instant};

/// Runs `measure` `runs` times and returns what it measured, in order of size.
///
/// # Errors
/// The first failure of `measure`.
pub fn repeat<E>(
    runs: usize,
    mut measure: impl FnMut() -> Result<Duration, E>,
) -> Result<Vec<Duration>, E> {
    let times: Result<Vec<Duration>, E> = (0..runs).map(|_| measure()).collect();
    times.map(sorted)
}

/// The time `work` takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let result = work();
    (started.elapsed(), result)
}

/// `times` in order of size.
#[must_use]
pub fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

/// The median of `times`, which are in order of size.
#[must_use]
pub fn median(times: &[Duration]) -> Duration {
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The median, smallest and largest of `times`, which are in order of size, in milliseconds.
#[must_use]
pub fn summary(times: &[Duration]) -> String {
    let end = |time: Option<&Duration>| millis(time.copied().unwrap_or_default());
    format!(
        "median {:.2} ms (min {:.2}, max {:.2})",
        millis(median(times)),
        end(times.first()),
        end(times.last())
    )
}

/// Milliseconds, for a person.
#[must_use]
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// MiB, for a person.
#[must_use]
pub fn mib(bytes: u64) -> f64 {
    // Rounded for a reader; no figure here nears 2^53 bytes.
    #[expect(clippy::cast_precision_loss, reason = "a figure for a person")]
    let bytes = bytes as f64;
    bytes / f64::from(1 << 20)
}

/// One line of a report.
#[must_use]
pub fn line(name: &str, figure: impl fmt::Display, target: &str) -> String {
    let figure = figure.to_string();
    if target.is_empty() {
        format!("{name:<38} {figure}")
    } else {
        format!("{name:<38} {figure:<48} target {target}")
    }
}
