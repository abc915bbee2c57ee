//! The runs of `ottla-tests`, against a binary built for release.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::step::{cargo, root, target};

/// The binary under test: what `OTTLA_BIN` names or, where it names none, a build of this tree.
///
/// # Errors
/// Where it does not build.
pub fn release() -> Result<PathBuf, String> {
    if let Some(built) = std::env::var_os("OTTLA_BIN") {
        return Ok(PathBuf::from(built));
    }
    cargo(&["build", "--release", "-p", "ottla"])?;
    Ok(target().join("release/ottla"))
}

/// Runs `ottla-tests` with `args`; its output is shown.
///
/// # Errors
/// Where something does not build, or the run failed.
pub fn with_release(args: &[&str]) -> Result<(), String> {
    let shown = format!("ottla-tests {}", args.join(" "));
    match command(args)?.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(e) => Err(format!("`{shown}` cannot be started: {e}")),
    }
}

/// As [`with_release`], for a run that leaves out what this machine lacks the tools for; answers
/// what that was, a line each.
///
/// # Errors
/// As [`with_release`].
pub fn parts_with_release(args: &[&str]) -> Result<Vec<String>, String> {
    let list = target().join(format!("skipped-{}.txt", std::process::id()));
    let shown = format!("ottla-tests {}", args.join(" "));
    let mut command = command(args)?;
    let status = command.env("OTTLA_SKIPPED", &list).status();
    // There is no such file where nothing was left out.
    let left_out = fs::read_to_string(&list).unwrap_or_default();
    let _ = fs::remove_file(&list);
    match status {
        Ok(status) if status.success() => Ok(left_out.lines().map(str::to_owned).collect()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(e) => Err(format!("`{shown}` cannot be started: {e}")),
    }
}

/// Asks Apache Kafka what the kept answers in `tests/goldens/` were asked for, and compares: the
/// groups whose names begin with one of `groups`, or all of them.
///
/// # Errors
/// Where something does not build, or Kafka answers otherwise.
pub fn against_kafka(groups: &[&str]) -> Result<(), String> {
    let only = groups.join(",");
    let mut args = vec!["run", "-q", "-p", "ottla-tests", "--", "differential"];
    args.extend(["--against", "kafka"]);
    if !groups.is_empty() {
        args.extend(["--only", &*only]);
    }
    cargo(&args)
}

/// What runs `ottla-tests` with `args`.
///
/// # Errors
/// Where the binary does not build.
pub fn command(args: &[&str]) -> Result<Command, String> {
    let ottla = release()?;
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(["run", "-q", "-p", "ottla-tests", "--"])
        .args(args)
        .env("OTTLA_BIN", ottla)
        .current_dir(root())
        .stdin(Stdio::null());
    Ok(command)
}
