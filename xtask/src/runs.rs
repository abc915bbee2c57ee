//! The runs of `ottla-tests`, against a binary built for release.

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
