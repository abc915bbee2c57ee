//! What building Ottla takes and makes, in a target directory of its own, which is removed again:
//! the stripped binary, the packages in its tree, a clean release build, and one after a change at
//! the bottom of the tree.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::{Instant, SystemTime};

use crate::step::root;

/// What is built: the binary that a user installs.
const BUILD: &[&str] = &["build", "--release", "--quiet", "-p", "ottla"];
/// What is touched between the two builds: everything but the packages of others depends on it.
const TOUCHED: &str = "crates/ottla-log/src/lib.rs";

/// Builds twice and prints the figures.
///
/// # Errors
/// Where it does not build.
pub(super) fn run() -> Result<(), String> {
    let target = Scratch::new()?;
    let packages = packages()?;
    let clean = build(&target.0)?;
    let touched = root().join(TOUCHED);
    let file = File::options().append(true).open(&touched);
    file.and_then(|file| file.set_modified(SystemTime::now()))
        .map_err(|e| format!("cannot touch {}: {e}", touched.display()))?;
    let again = build(&target.0)?;
    let binary = target.0.join("release/ottla");
    let bytes = fs::metadata(&binary).map_err(|e| format!("{}: {e}", binary.display()))?;
    // Tenths of a MiB, rounded.
    let tenths = (bytes.len() * 10 + (1 << 19)) >> 20;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    println!("{}, load {load} at the end", version()?);
    println!("binary, stripped: {}.{} MiB", tenths / 10, tenths % 10);
    println!("packages in its tree, ours included: {packages}");
    println!("clean `cargo build --release -p ottla`: {clean} s");
    println!("the same after a change of {TOUCHED}: {again} s");
    Ok(())
}

/// The seconds that a build into `target` takes.
fn build(target: &Path) -> Result<u64, String> {
    let started = Instant::now();
    let mut command = cargo(BUILD);
    command.env("CARGO_TARGET_DIR", target);
    // As it is shipped; the profile of the workspace keeps symbols for profilers.
    command.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    let status = command.status();
    match status {
        Ok(status) if status.success() => Ok(started.elapsed().as_secs()),
        Ok(status) => Err(format!("`cargo {}` ended with {status}", BUILD.join(" "))),
        Err(e) => Err(format!("cargo cannot be started: {e}")),
    }
}

/// How many packages the binary is built from.
fn packages() -> Result<usize, String> {
    let tree = output(cargo(&[
        "tree",
        "-p",
        "ottla",
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ]))?;
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    Ok(tree
        .lines()
        .filter_map(package)
        .collect::<BTreeSet<_>>()
        .len())
}

fn version() -> Result<String, String> {
    let mut command = Command::new("rustc");
    command.arg("--version");
    Ok(output(command)?.trim().to_owned())
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

fn output(mut command: Command) -> Result<String, String> {
    let output = command.output();
    let failed = |why: String| format!("{:?}: {why}", command.get_program());
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(failed(output.status.to_string())),
        Err(e) => Err(failed(e.to_string())),
    }
}

/// A directory for this run, removed with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let dir = std::env::temp_dir().join(format!("ottla-build-{}", process::id()));
        let made = fs::create_dir(&dir).map(|()| Self(dir.clone()));
        made.map_err(|e| format!("cannot make {}: {e}", dir.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it lies among temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
