//! Medians of repeated runs.

use std::time::{Duration, Instant};

/// Runs `measure` `runs` times and returns what it measured, in order of size.
pub fn repeat(runs: usize, mut measure: impl FnMut() -> Duration) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..runs).map(|_| measure()).collect();
    times.sort_unstable();
    times
}

/// The time `work` takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let result = work();
    (started.elapsed(), result)
}

/// The median, smallest and largest of `times`, which are in order of size, in milliseconds.
#[must_use]
pub fn summary(times: &[Duration]) -> String {
    let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |t| t.as_secs_f64() * 1e3);
    let (median, first, last) = (times.get(times.len() / 2), times.first(), times.last());
    format!(
        "median {:.2} ms (min {:.2}, max {:.2})",
        ms(median),
        ms(first),
        ms(last)
    )
}
