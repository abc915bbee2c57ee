//! One step of the check: a name, what it needs of the machine, and what it runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A step of the check.
#[derive(Debug)]
pub struct Step {
    /// The name to ask for it by.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Programs that must be on the machine; without one the step is skipped.
    pub needs: &'static [&'static str],
    /// Runs it.
    pub run: Run,
}

/// What a step runs.
#[derive(Debug)]
pub enum Run {
    /// Everything or, without what it needs, nothing.
    Whole(fn() -> Result<(), String>),
    /// What this machine has the tools for; answers what was left out, a line each.
    Parts(fn() -> Result<Vec<String>, String>),
}

impl Run {
    /// Runs it; answers what was left out.
    ///
    /// # Errors
    /// What failed.
    pub fn run(&self) -> Result<Vec<String>, String> {
        match self {
            Self::Whole(run) => run().map(|()| Vec::new()),
            Self::Parts(run) => run(),
        }
    }
}

impl Step {
    /// The programs it needs that this machine lacks.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        missing(self.needs)
    }
}

/// Which of `programs` this machine lacks.
#[must_use]
pub fn missing(programs: &[&'static str]) -> Vec<&'static str> {
    let absent = |program: &&str| !on_path(program);
    programs.iter().copied().filter(absent).collect()
}

/// Whether `program` can be started from the search path.
fn on_path(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The workspace's root.
#[must_use]
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("xtask lies in the workspace's root")
        .to_path_buf()
}

/// Where cargo puts what it builds.
#[must_use]
pub fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    // A relative one counts from where cargo is started: the root.
    root().join(target.unwrap_or_else(|| "target".into()))
}

/// Runs `cargo` with `args` in the workspace's root.
///
/// # Errors
/// The command line, where it cannot be started or ends with another status than 0.
pub fn cargo(args: &[&str]) -> Result<(), String> {
    cargo_with(args, &[])
}

/// As [`cargo`], with environment variables.
///
/// # Errors
/// As [`cargo`].
pub fn cargo_with(args: &[&str], env: &[(&str, &str)]) -> Result<(), String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(args)
        .envs(env.iter().copied())
        .current_dir(root())
        .stdin(Stdio::null());
    let shown = format!("cargo {}", args.join(" "));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(e) => Err(format!("`{shown}` cannot be started: {e}")),
    }
}
