//! Bounded runs of every fuzz target, on the stable toolchain.
#![expect(
    clippy::print_stdout,
    reason = "what was tried is for a person and for CI's log"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::root;

/// What cargo-fuzz would set: coverage feedback, which the stable compiler has as LLVM passes.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// The largest input that is tried.
const INPUT_BYTES_MAX: u32 = 64 << 10;

/// Builds all targets once, then runs each for its time: from valid inputs, from what earlier runs
/// here found to lead somewhere, and from the kept inputs of earlier findings. What one allocation
/// may take is each target's own rule. Answers how many inputs were tried.
///
/// # Errors
/// The name of the target that crashed, hung or allocated too much, with where its input is kept.
pub fn run_for(seconds: u64) -> Result<u64, String> {
    let mut inputs = 0;
    let host = host()?;
    let build = ["build", "--release", "--target", &host, "--bins"];
    run_cargo(&build)?;
    let programs = root().join("fuzz/target").join(&host).join("release");
    let seeds = root().join("fuzz/target/seeds");
    write_seeds(&programs.join("seeds"), &seeds)?;
    for target in targets()? {
        let work = root().join("fuzz/target/corpus").join(&target);
        let kept = root().join("fuzz/corpus").join(&target);
        let artifacts = root().join("fuzz/target/artifacts").join(&target);
        let seeds = seeds.join(&target);
        for dir in [&work, &seeds, &kept, &artifacts] {
            fs::create_dir_all(dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        }
        let output = Command::new(programs.join(&target))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .args(["-timeout=10", "-rss_limit_mb=1024"])
            .args(["-verbosity=0", "-print_final_stats=1"])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args([&work, &seeds, &kept])
            .output()
            .map_err(|e| format!("fuzz target {target} cannot be started: {e}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let (status, kept) = (output.status, artifacts.display());
            return Err(format!(
                "fuzz target {target} ended with {status}; its input is in {kept}\n{said}"
            ));
        }
        match runs(&said) {
            Some(runs @ 1..) => {
                println!("{target}: {runs} inputs");
                inputs += runs;
            }
            _ => return Err(format!("fuzz target {target} tried no input\n{said}")),
        }
    }
    Ok(inputs)
}

/// As [`run_for`], for as long as a check takes.
///
/// # Errors
/// As [`run_for`].
pub fn run() -> Result<(), String> {
    run_for(6).map(drop)
}

/// How many inputs a target tried, by its closing lines.
fn runs(said: &str) -> Option<u64> {
    let line = |line: &str| {
        Some(
            line.strip_prefix("stat::number_of_executed_units:")?
                .to_owned(),
        )
    };
    said.lines().find_map(line)?.trim().parse().ok()
}

/// Writes valid inputs for each target, the same every time.
fn write_seeds(program: &Path, dir: &Path) -> Result<(), String> {
    let status = Command::new(program).arg(dir).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the fuzz targets' seeds ended with {status}")),
        Err(e) => Err(format!("{} cannot be started: {e}", program.display())),
    }
}

/// The names of the targets: the files of `fuzz/targets`.
fn targets() -> Result<Vec<String>, String> {
    let dir = root().join("fuzz/targets");
    let entries = fs::read_dir(&dir).map_err(|e| format!("cannot list {}: {e}", dir.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = paths.filter_map(stem).collect();
    names.sort_unstable();
    if names.is_empty() {
        Err("there is no fuzz target".to_owned())
    } else {
        Ok(names)
    }
}

/// The triple this compiler builds for. Naming it keeps the flags away from build scripts.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.map_err(|e| format!("rustc cannot be started: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not say its host".to_owned())
}

fn run_cargo(args: &[&str]) -> Result<(), String> {
    let status = Command::new("cargo")
        .args(args)
        .env("RUSTFLAGS", FLAGS.join(" "))
        .current_dir(root().join("fuzz"))
        .status()
        .map_err(|e| format!("cargo cannot be started: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the fuzz targets do not build".to_owned())
    }
}
