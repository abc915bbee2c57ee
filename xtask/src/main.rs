//! `cargo xtask`: the one command that checks everything.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks"
)]

use std::process::ExitCode;

use xtask::{bench, check, mutants, nightly};

const HELP: &str = "\
cargo xtask COMMAND

  check [STEP ...]   every check and test this machine has the tools for; names what it skipped.
                     With CI=true nothing may be skipped. With STEPs only those.
  steps              the names of the steps of `check` and what each needs
  nightly [PART ...] [--WHAT=N ...]
                     the long versions: crash, model, kill, power, mutants, fuzz, goldens. Counts,
                     and adds a line to docs/TRACK_RECORD.md. WHAT: crash-every, model-minutes,
                     fuzz-seconds, kills, cuts, seed
  mutants [NAME ...] seeded defects, each of which a named test has to notice; `--list` shows them
  bench NAME [PART]  a benchmark: start, footprint, groups, flush-rounds, log; or build: the
                     binary's size, its packages, and what a clean and a second build take
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["check", only @ ..] => check::run(only),
        ["nightly", only @ ..] => nightly::run(only),
        ["steps"] => {
            check::list();
            return ExitCode::SUCCESS;
        }
        ["mutants", "--list"] => {
            mutants::list();
            return ExitCode::SUCCESS;
        }
        ["mutants", only @ ..] => mutants::run(only),
        ["bench", name, args @ ..] => bench::run(name, args),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => Err(format!("unknown command {:?}\n\n{HELP}", words.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("xtask: {text}");
            ExitCode::FAILURE
        }
    }
}
