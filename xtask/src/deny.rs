//! `cargo deny`: licences, sources and packages that may not be in the build.

use std::path::PathBuf;
use std::process::Command;

use crate::step::root;

/// The version that `deny.toml` is written for.
const VERSION: &str = "0.20.2";

/// Installs cargo-deny into the ignored `.tools` and runs it. Advisories need a database from the
/// network and are left to whoever has one: `cargo deny check advisories`.
///
/// # Errors
/// Where it cannot be installed, or found something.
pub fn run() -> Result<(), String> {
    let program = installed()?;
    let checks = ["check", "bans", "licenses", "sources"];
    let status = Command::new(program)
        .args(checks)
        .current_dir(root())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo deny ended with {status}")),
        Err(e) => Err(format!("cargo deny cannot be started: {e}")),
    }
}

fn installed() -> Result<PathBuf, String> {
    let tools = root().join(".tools/cargo");
    let program = tools.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    let status = Command::new("cargo")
        .args([
            "install",
            "--quiet",
            "--locked",
            "--version",
            VERSION,
            "cargo-deny",
            "--root",
        ])
        .arg(&tools)
        .current_dir(root())
        .status()
        .map_err(|e| format!("cargo cannot be started: {e}"))?;
    if status.success() {
        Ok(program)
    } else {
        Err("cargo-deny cannot be installed".to_owned())
    }
}
