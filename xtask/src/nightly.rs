//! The long versions of what the check does in a minute, their counters, and the track record.
//!
//! `cargo xtask nightly [PART ...] [--WHAT=NUMBER ...]`; without parts, all of them.
#![expect(
    clippy::print_stdout,
    reason = "the counters are for a person and for CI's log"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::step::{missing, root};
use crate::{fuzz, mutants, runs};

/// What was counted, by name.
type Counters = BTreeMap<String, u64>;

/// How long each part runs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lengths(BTreeMap<&'static str, u64>);

/// What may be set, and what it is when it is not.
const LENGTHS: &[(&str, u64)] = &[
    // Every how many points a workload is crashed.
    ("crash-every", 1),
    ("model-minutes", 60),
    ("fuzz-seconds", 600),
    ("kills", 200),
    ("cuts", 20),
    ("seed", 0),
];

type Part = (&'static str, fn(&Lengths) -> Result<Counters, String>);

const PARTS: &[Part] = &[
    ("crash", crash),
    ("model", model),
    ("kill", kill),
    ("power", power),
    ("mutants", seeded),
    ("fuzz", fuzzed),
    ("goldens", goldens),
];

/// The columns of the track record after date and commit.
const COLUMNS: &[&str] = &[
    "workloads",
    "crashes",
    "failed_calls",
    "flips",
    "model_cases",
    "fuzz_inputs",
    "kills",
    "call_kills",
    "recovery_kills",
    "cuts",
    "acked",
    "defects",
    "violations",
];

/// Runs the parts named in `words`, or all of them, with the lengths given there.
///
/// # Errors
/// Where a promise is broken, a word is none of those known, or the record cannot be written.
pub fn run(words: &[&str]) -> Result<(), String> {
    let mut lengths = Lengths(LENGTHS.iter().copied().collect());
    let mut wanted = Vec::new();
    for word in words {
        match word.strip_prefix("--") {
            Some(setting) => lengths.set(setting)?,
            None => wanted.push(part(word)?),
        }
    }
    if wanted.is_empty() {
        wanted = PARTS.to_vec();
    }
    lengths.0.entry("seed").and_modify(|seed| {
        if *seed == 0 {
            *seed = seconds_since_1970();
        }
    });
    let mut counters = Counters::new();
    let mut broken = Vec::new();
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    for (name, run) in wanted {
        println!("\n== {name}");
        let started = Instant::now();
        match run(&lengths) {
            Ok(counted) => add(&mut counters, &counted),
            Err(why) => broken.push(format!("{name}: {why}")),
        }
        println!("{name}: {:.0} s", started.elapsed().as_secs_f64());
    }
    counters.insert("violations".to_owned(), broken.len() as u64);
    println!("\n== counters");
    for (name, count) in &counters {
        println!("{count:>12} {name}");
    }
    record(&names, &lengths, &counters)?;
    if broken.is_empty() {
        return Ok(());
    }
    Err(broken.join("\n"))
}

impl Lengths {
    fn set(&mut self, setting: &str) -> Result<(), String> {
        let known = || LENGTHS.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let (name, number) = setting.split_once('=').unwrap_or((setting, ""));
        let number = number.parse().map_err(|e| format!("--{setting}: {e}"))?;
        let length = self.0.get_mut(name);
        *length.ok_or_else(|| format!("--{name} is none of {}", known().join(", ")))? = number;
        Ok(())
    }

    fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

fn part(name: &str) -> Result<Part, String> {
    let found = PARTS.iter().find(|(part, _)| *part == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        format!("no part is called {name:?}; there are {}", names.join(", "))
    })
}

/// Crashes, failing calls and flipped bits over the file system in memory.
fn crash(lengths: &Lengths) -> Result<Counters, String> {
    let every = lengths.of("crash-every").to_string();
    let tests = ["store::tests", "log::tests", "log::compact", "inspect"];
    let args = [
        "--",
        "--nocapture",
        "--skip",
        "behaves_as_a_list_of_batches",
    ];
    log_tests(
        &[&tests[..], &args].concat(),
        &[("OTTLA_CRASH_EVERY", &every)],
    )
}

/// Random operations against the model, for as long as it takes.
fn model(lengths: &Lengths) -> Result<Counters, String> {
    const CASES: u64 = 2000;
    let until = Instant::now() + Duration::from_secs(60 * lengths.of("model-minutes"));
    let mut cases = 0;
    while Instant::now() < until {
        let test = ["log::tests::model", "--", "--nocapture"];
        log_tests(&test, &[("OTTLA_MODEL_CASES", &CASES.to_string())])?;
        cases += CASES;
    }
    Ok(Counters::from([("model_cases".to_owned(), cases)]))
}

/// Unit tests of `ottla-log`, and what they counted.
fn log_tests(words: &[&str], env: &[(&str, &str)]) -> Result<Counters, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let (filters, args) = words.split_at(words.iter().position(|w| *w == "--").unwrap_or(0));
    command
        .args(["test", "-q", "-p", "ottla-log", "--lib"])
        .args(args)
        .args(filters)
        .envs(env.iter().copied())
        .current_dir(root());
    counted(&mut command)
}

fn kill(lengths: &Lengths) -> Result<Counters, String> {
    let (kills, seed) = (lengths.of("kills"), lengths.of("seed"));
    let args = ["--cycles", &kills.to_string(), "--seed", &seed.to_string()];
    counted(&mut runs::command(&[&["kill"][..], &args].concat())?)
}

/// Power cuts; and first, that the run notices where records are lost.
fn power(lengths: &Lengths) -> Result<Counters, String> {
    let (cuts, seed) = (lengths.of("cuts"), lengths.of("seed"));
    let args = ["--cycles", &cuts.to_string(), "--seed", &seed.to_string()];
    let counters = counted(&mut runs::command(&[&["power"][..], &args].concat())?)?;
    if counters.contains_key("cuts") {
        let lossy = ["power", "--cycles", "10", "--flush", "os"];
        if counted(&mut runs::command(&lossy)?).is_ok() {
            return Err("ten cuts lost nothing that was not synced: the run is blind".to_owned());
        }
        println!("as it has to: without syncs, records were lost");
    }
    Ok(counters)
}

fn seeded(_: &Lengths) -> Result<Counters, String> {
    let tally = mutants::try_all(&[])?;
    if tally.missed > 0 {
        return Err(format!("{} seeded defect(s) were not caught", tally.missed));
    }
    Ok(Counters::from([("defects".to_owned(), tally.tried as u64)]))
}

fn fuzzed(lengths: &Lengths) -> Result<Counters, String> {
    let seconds = lengths.of("fuzz-seconds");
    let inputs = fuzz::run_for(seconds)?;
    Ok(Counters::from([("fuzz_inputs".to_owned(), inputs)]))
}

/// Apache Kafka still answers everything as it is kept in `tests/goldens/`.
fn goldens(_: &Lengths) -> Result<Counters, String> {
    let missing = missing(&["java", "mvn"]);
    if missing.is_empty() {
        runs::against_kafka(&[])?;
    } else {
        println!("skipped: this machine has no {}", missing.join(", "));
    }
    Ok(Counters::new())
}

/// Runs a command, shows what it says, and adds up the counters among that.
fn counted(command: &mut Command) -> Result<Counters, String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{shown} cannot be started: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{}", said.trim_end());
    if !output.status.success() {
        return Err(format!("{shown} ended with {}", output.status));
    }
    let mut counters = Counters::new();
    for line in said.lines() {
        // A test's own line may stand behind the dots of the harness.
        let Some(json) = line.find('{').and_then(|at| line.get(at..)) else {
            continue;
        };
        if let Ok(counted) = serde_json::from_str::<Counters>(json) {
            add(&mut counters, &counted);
        }
    }
    Ok(counters)
}

fn add(counters: &mut Counters, more: &Counters) {
    for (name, count) in more {
        *counters.entry(name.clone()).or_default() += count;
    }
}

/// Appends a line to the track record.
fn record(parts: &[&str], lengths: &Lengths, counters: &Counters) -> Result<(), String> {
    let path = root().join("docs/TRACK_RECORD.md");
    let failed = |e| format!("{}: {e}", path.display());
    let mut text = fs::read_to_string(&path).map_err(failed)?;
    let commit = answer("git", &["describe", "--always", "--dirty"])?;
    let date = answer("date", &["-u", "+%Y-%m-%d"])?;
    write!(text, "| {date} | {commit} |").map_err(|e| e.to_string())?;
    for column in COLUMNS {
        let count = counters
            .get(*column)
            .map_or_else(|| "-".to_owned(), u64::to_string);
        write!(text, " {count} |").map_err(|e| e.to_string())?;
    }
    let (parts, seed) = (parts.join(" "), lengths.of("seed"));
    let given = match std::env::var_os("OTTLA_BIN") {
        Some(_) => "; the binary was given",
        None => "",
    };
    writeln!(text, " {parts}; seed {seed}{given} |").map_err(|e| e.to_string())?;
    fs::write(&path, text).map_err(failed)
}

fn answer(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(root())
        .output();
    let output = output.map_err(|e| format!("{program} cannot be started: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn seconds_since_1970() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| since.as_secs())
}
