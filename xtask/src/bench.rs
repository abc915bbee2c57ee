//! The benchmarks: each a program of the `benches` package, built for release.

use crate::step::cargo;

/// The programs of the `benches` package, by the name to ask for them.
const BENCHES: &[&str] = &["start", "footprint"];

/// Builds and runs the benchmark `name`.
///
/// # Errors
/// Where there is no such benchmark, or it failed.
pub fn run(name: &str) -> Result<(), String> {
    if !BENCHES.contains(&name) {
        return Err(format!(
            "no benchmark is called {name:?}; there are {}",
            BENCHES.join(", ")
        ));
    }
    cargo(&["build", "--release", "-p", "ottla", "--features", "cli"])?;
    cargo(&["run", "--release", "-p", "ottla-benches", "--bin", name])
}
