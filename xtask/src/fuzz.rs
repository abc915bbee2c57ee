//! Bounded runs of every fuzz target, on the stable toolchain.
#![expect(
    clippy::print_stdout,
    reason = "what was tried is for a person and for CI's log"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::step::{root, target};

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

/// How long each target runs in a check.
const CHECK_SECONDS: u64 = 6;

/// Builds all targets once, then runs each for its time: from valid inputs, from what earlier runs
/// here found to lead somewhere, and from the kept inputs of earlier findings. What one allocation
/// may take is each target's own rule. Answers how many inputs were tried.
///
/// # Errors
/// The name of the target that crashed, hung or allocated too much, with where its input is kept.
pub fn run_for(seconds: u64) -> Result<u64, String> {
    let own = target_dir();
    let programs = build(&root(), &own, &[])?;
    let place = Place {
        programs,
        seeds: own.join("seeds"),
        kept: root().join("fuzz/corpus"),
        found: own,
    };
    place.write_seeds()?;
    let mut inputs = 0;
    for target in targets()? {
        let tried = place.run(&target, seconds)?;
        println!("{target}: {tried} inputs");
        inputs += tried;
    }
    Ok(inputs)
}

/// Where the targets are built and what runs find lies: below the directory that cargo was told to
/// build in, where it was told one.
fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(_) => target().join("fuzz"),
        None => root().join("fuzz/target"),
    }
}

/// As [`run_for`], for as long as a check takes.
///
/// # Errors
/// As [`run_for`].
pub fn run() -> Result<(), String> {
    run_for(CHECK_SECONDS).map(drop)
}

/// Builds the `targets` of the tree at `tree`, or all and the program with the seeds, in
/// `target_dir`. Answers where the programs are.
pub(crate) fn build(tree: &Path, target_dir: &Path, targets: &[&str]) -> Result<PathBuf, String> {
    let host = host()?;
    let mut args = vec!["build", "--release", "--target", &host];
    if targets.is_empty() {
        args.push("--bins");
    }
    args.extend(targets.iter().flat_map(|target| ["--bin", target]));
    let output = Command::new("cargo")
        .args(&args)
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env("CARGO_TARGET_DIR", target_dir)
        .current_dir(tree.join("fuzz"))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cargo cannot be started: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the fuzz targets do not build\n{said}"));
    }
    Ok(target_dir.join(host).join("release"))
}

/// Where targets find what they need, and leave what they find.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) programs: PathBuf,
    /// Valid inputs for each target.
    pub(crate) seeds: PathBuf,
    /// Inputs that once were a finding, for each target.
    pub(crate) kept: PathBuf,
    /// For what runs find.
    pub(crate) found: PathBuf,
}

impl Place {
    /// Runs one target for its time. Answers how many inputs were tried.
    ///
    /// # Errors
    /// It crashed, hung, allocated too much, or tried nothing.
    pub(crate) fn run(&self, target: &str, seconds: u64) -> Result<u64, String> {
        let work = self.found.join("corpus").join(target);
        let kept = self.kept.join(target);
        let artifacts = self.found.join("artifacts").join(target);
        let seeds = self.seeds.join(target);
        for dir in [&work, &seeds, &kept, &artifacts] {
            fs::create_dir_all(dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        }
        let output = Command::new(self.programs.join(target))
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
            Some(runs @ 1..) => Ok(runs),
            _ => Err(format!("fuzz target {target} tried no input\n{said}")),
        }
    }

    /// As [`Place::run`] for as long as a check takes, from the valid and the kept inputs alone.
    pub(crate) fn run_fresh(&self, target: &str) -> Result<u64, String> {
        let work = self.found.join("corpus").join(target);
        match fs::remove_dir_all(&work) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("cannot empty {}: {e}", work.display()));
            }
            _ => {}
        }
        self.run(target, CHECK_SECONDS)
    }

    /// Writes valid inputs for each target, the same every time.
    pub(crate) fn write_seeds(&self) -> Result<(), String> {
        let program = self.programs.join("seeds");
        match Command::new(&program).arg(&self.seeds).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the fuzz targets' seeds ended with {status}")),
            Err(e) => Err(format!("{} cannot be started: {e}", program.display())),
        }
    }
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

/// The names of the targets: the files of `fuzz/targets`.
///
/// # Errors
/// They cannot be listed, or there is none.
pub fn targets() -> Result<Vec<String>, String> {
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
