//! Seeded defects: each breaks one promise on purpose, and one named test, or fuzz target within
//! its time in a check, has to notice.
//!
//! The tree is copied below the target directory, where each defect is put in, built, tried and
//! taken out again; the work tree is never touched. A test that passes with its defect in proves
//! nothing, and makes the run fail. That each defect still fits the tree is a test of its own
//! (`tests/defects.rs`), so that the list cannot rot.
#![expect(
    clippy::print_stdout,
    reason = "the table is for a person and for CI's log"
)]

pub mod defects;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fuzz;
use crate::step::{root, target};
use defects::{DEFECTS, Defect, FUZZ};
use tree::Tree;

/// How long one test may take, with a defect that may let it hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// What became of one defect.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The named test failed.
    Caught,
    /// The named test passed: the promise is not watched over.
    Missed,
    /// The named test did not end; a hang names no cause.
    Hung,
    /// The tree with the defect does not compile, or the test does not run.
    Broken(String),
}

impl Outcome {
    fn word(&self) -> &str {
        match self {
            Self::Caught => "caught",
            Self::Missed => "MISSED",
            Self::Hung => "HUNG",
            Self::Broken(_) => "BROKEN",
        }
    }
}

/// How many defects were tried, and how many were not caught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Seeded defects that were tried.
    pub tried: usize,
    /// Those that their test did not notice.
    pub missed: usize,
}

/// Tries the defects named in `only`, or all of them, and prints a table.
///
/// # Errors
/// Where a test fails without any defect, a name is unknown, or the tree cannot be copied.
pub fn try_all(only: &[&str]) -> Result<Tally, String> {
    if let Some(unknown) = only
        .iter()
        .find(|name| !DEFECTS.iter().any(|d| d.name == **name))
    {
        return Err(format!("no seeded defect is called {unknown:?}"));
    }
    let wanted = |defect: &&Defect| only.is_empty() || only.contains(&defect.name);
    let defects: Vec<&Defect> = DEFECTS.iter().filter(wanted).collect();
    let tree = Tree::copied(&root(), &target().join("mutants/tree"))?;
    sound(&tree, &defects)?;
    let mut tally = Tally::default();
    println!("{:7} {:>5}  {:34} test", "", "s", "defect");
    for defect in defects {
        let started = Instant::now();
        let outcome = try_one(&tree, defect)?;
        let (word, seconds) = (outcome.word(), started.elapsed().as_secs());
        println!("{word:7} {seconds:>5}  {:34} {}", defect.name, defect.test);
        if let Outcome::Broken(why) = &outcome {
            println!("        {why}");
        }
        tally.tried += 1;
        tally.missed += usize::from(outcome != Outcome::Caught);
    }
    println!(
        "{} seeded defects, {} not caught",
        tally.tried, tally.missed
    );
    Ok(tally)
}

/// As [`try_all`], with a defect that was not caught as an error.
///
/// # Errors
/// As [`try_all`], or where a defect was not caught.
pub fn run(only: &[&str]) -> Result<(), String> {
    match try_all(only)?.missed {
        0 => Ok(()),
        missed => Err(format!("{missed} seeded defect(s) were not caught")),
    }
}

/// Prints the defects.
pub fn list() {
    for defect in DEFECTS {
        println!("{:34} {}", defect.name, defect.breaks);
        println!("{:34} {}::{}", "", defect.package, defect.test);
    }
}

/// Every named test passes as long as nothing is broken.
fn sound(tree: &Tree, defects: &[&Defect]) -> Result<(), String> {
    let fuzzed = defects.iter().filter(|defect| defect.package == FUZZ);
    let fuzzed: BTreeSet<&str> = fuzzed.map(|defect| defect.test).collect();
    if !fuzzed.is_empty() {
        let place = fuzz_place(fuzz::build(tree.path(), &fuzz_dir(), &[])?, tree.path());
        place.write_seeds()?;
        for target in fuzzed {
            place.run_fresh(target)?;
        }
    }
    let defects = defects.iter().filter(|defect| defect.package != FUZZ);
    let packages: BTreeSet<&str> = defects.clone().map(|defect| defect.package).collect();
    let mut programs = BTreeMap::new();
    for package in packages {
        let built = build(tree.path(), package)?;
        let program = built.map_err(|why| format!("{package} does not build:\n{why}"))?;
        programs.insert(package, program);
    }
    let tests: BTreeSet<_> = defects.map(|d| (d.package, d.test)).collect();
    for (package, test) in tests {
        let Some(program) = programs.get(package) else {
            continue;
        };
        match tested(program, test)? {
            Outcome::Missed => {}
            Outcome::Broken(why) => return Err(why),
            Outcome::Caught => return Err(format!("{package}::{test} fails without a defect")),
            Outcome::Hung => return Err(format!("{package}::{test} does not end")),
        }
    }
    Ok(())
}

fn try_one(tree: &Tree, defect: &Defect) -> Result<Outcome, String> {
    let _undo = tree.with(defect)?;
    if defect.package == FUZZ {
        return Ok(try_fuzz(tree.path(), defect.test));
    }
    match build(tree.path(), defect.package)? {
        Ok(program) => tested(&program, defect.test),
        Err(why) => Ok(Outcome::Broken(why)),
    }
}

/// Whether a fuzz target notices within its time in a check, from valid and kept inputs.
fn try_fuzz(tree: &Path, target: &str) -> Outcome {
    match fuzz::build(tree, &fuzz_dir(), &[target]) {
        Err(why) => Outcome::Broken(why),
        Ok(programs) => match fuzz_place(programs, tree).run_fresh(target) {
            Ok(_) => Outcome::Missed,
            Err(_) => Outcome::Caught,
        },
    }
}

fn fuzz_dir() -> PathBuf {
    target().join("mutants/fuzz")
}

fn fuzz_place(programs: PathBuf, tree: &Path) -> fuzz::Place {
    fuzz::Place {
        programs,
        seeds: fuzz_dir().join("seeds"),
        kept: tree.join("fuzz/corpus"),
        found: fuzz_dir(),
    }
}

/// The program with the unit tests of `package`; the inner error is the compiler's.
fn build(tree: &Path, package: &str) -> Result<Result<PathBuf, String>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--no-run", "--lib", "-p", package])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", target().join("mutants/build"))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cargo cannot be started: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let errors = said.lines().skip_while(|line| !line.starts_with("error"));
        return Ok(Err(errors.take(12).collect::<Vec<_>>().join("\n        ")));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_test = message["profile"]["test"].as_bool() == Some(true);
        is_test.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    Ok(Ok(programs.next_back().ok_or_else(|| {
        format!("cargo names no test program of {package}")
    })?))
}

/// Runs the one test.
fn tested(program: &Path, test: &str) -> Result<Outcome, String> {
    let mut child = Command::new(program)
        .args(["--exact", test])
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
    let Some(passed) = ended(&mut child, PATIENCE)? else {
        return Ok(Outcome::Hung);
    };
    if !passed {
        return Ok(Outcome::Caught);
    }
    // A program of which nothing fits the name passes, too.
    let listed = Command::new(program)
        .args(["--exact", test, "--list"])
        .output()
        .map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
    let listed = String::from_utf8_lossy(&listed.stdout).contains(&format!("{test}: test"));
    Ok(if listed {
        Outcome::Missed
    } else {
        Outcome::Broken(format!("there is no test {test}"))
    })
}

/// Whether the process succeeded; `None`, and it is ended, where that takes too long.
fn ended(child: &mut Child, patience: Duration) -> Result<Option<bool>, String> {
    let until = Instant::now() + patience;
    loop {
        let status = child.try_wait();
        match status.map_err(|e| format!("a test cannot be waited for: {e}"))? {
            Some(status) => return Ok(Some(status.success())),
            None if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            None => {
                // It may have ended this moment.
                let _ = child.kill();
                let _ = child.wait();
                return Ok(None);
            }
        }
    }
}
