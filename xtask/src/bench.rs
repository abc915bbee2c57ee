//! The benchmarks: each a program of the `benches` package, built for release, and what the build
//! itself takes.

mod build;

use std::process::Command;

use crate::step::{cargo, target};

/// The programs of the `benches` package, by the name to ask for them.
const BENCHES: &[&str] = &["start", "footprint", "flush-rounds", "groups", "log"];

/// Builds and runs the benchmark `name` with arguments `args`.
///
/// # Errors
/// Where there is no such benchmark, or it failed.
pub fn run(name: &str, args: &[&str]) -> Result<(), String> {
    if name == "build" {
        return build::run();
    }
    if !BENCHES.contains(&name) {
        return Err(format!(
            "no benchmark is called {name:?}; there are build, {}",
            BENCHES.join(", ")
        ));
    }
    // Together, so that what both need is built once, with one set of features.
    let packages = ["-p", "ottla", "-p", "ottla-benches"];
    let mut build = vec!["build", "--release", "--features", "ottla/cli"];
    build.extend(packages);
    cargo(&build)?;
    let program = target().join("release").join(name);
    let status = Command::new(&program).args(args).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the benchmark {name} ended with {status}")),
        Err(e) => Err(format!("{} cannot be started: {e}", program.display())),
    }
}
