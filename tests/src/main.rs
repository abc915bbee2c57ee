//! The runs that need more than Rust: `cargo run -p ottla-tests -- help`.
#![expect(clippy::print_stdout, reason = "a run tells a person what it does")]

use std::{fs, process::ExitCode};

use clap::{Parser, Subcommand};
use ottla_tests::{
    Error,
    broker::{Broker, Kind},
    clients,
    differential::{
        self, Allowance,
        cases::{GROUPS, Group},
        golden,
    },
    first_record, handover, kill, tools,
};

#[derive(Parser)]
#[command(about = "Runs real clients, and compares answers with Apache Kafka's")]
struct Arguments {
    #[command(subcommand)]
    run: Run,
}

#[derive(Subcommand)]
enum Run {
    /// Every client runs its scenarios; a complete run against Ottla writes docs/CLIENTS.md
    Clients {
        /// The broker under test; against Kafka the scenarios themselves are proven
        #[arg(long, value_enum, default_value_t = Kind::Ottla)]
        against: Kind,
        /// Only clients whose names begin with one of these, e.g. `java,kcat`
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// How many clients run side by side; much of their time is waiting
        #[arg(long, default_value_t = 3)]
        jobs: usize,
    },
    /// Every request of the differential comparison, and our answers beside Kafka's
    Differential {
        /// The broker that is asked; with Kafka, its answers are compared with the kept ones
        #[arg(long, value_enum, default_value_t = Kind::Ottla)]
        against: Kind,
        /// Ask Apache Kafka and keep its answers in tests/goldens/
        #[arg(long)]
        refresh: bool,
        /// Only groups whose names begin with one of these, e.g. `produce,fetch`
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// How long a fresh group waits for its first record, with Ottla and with Apache Kafka in turns
    FirstRecord {
        /// How many groups of each client are counted, with each broker
        #[arg(long, default_value_t = 20)]
        groups: usize,
        /// Only clients whose names begin with one of these, e.g. `java,kcat`
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Apache Kafka starts on a copy of what Ottla wrote, and its records are read there
    HandOver,
    /// The broker is killed again and again under load; the last line counts, as JSON
    Kill {
        /// How many kills
        #[arg(long, default_value_t = 20)]
        cycles: u64,
        /// What the random times are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The broker's flush mode; half of the kills each where it is not given
        #[arg(long, value_parser = ["sync", "os"])]
        flush: Option<String>,
    },
    /// The power of the broker's disk is cut again and again under load; counts as `kill` does
    Power {
        /// How many cuts
        #[arg(long, default_value_t = 20)]
        cycles: u64,
        /// What the random times are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// With `os` records are lost, and the run has to notice
        #[arg(long, value_parser = ["sync", "os"], default_value = "sync")]
        flush: String,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().run {
        Run::Clients {
            against,
            only,
            jobs,
        } => clients::run::all(against, &only, jobs),
        Run::Differential {
            refresh: true,
            only,
            ..
        } => refresh(&only),
        Run::Differential { against, only, .. } => differential(against, &only),
        Run::FirstRecord { groups, only } => first_record::run(&only, groups).map(|()| true),
        Run::HandOver => handover::run(),
        Run::Kill {
            cycles,
            seed,
            flush,
        } => killed(cycles, seed, flush),
        Run::Power {
            cycles,
            seed,
            flush,
        } => cut(cycles, seed, &flush),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn killed(cycles: u64, seed: u64, flush: Option<String>) -> Result<bool, Error> {
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    let traced = match tools::strace() {
        Ok(_) => true,
        Err(error) if strict => return Err(error),
        Err(error) => {
            tools::left_out(&format!("kills at system calls: {error}"))?;
            false
        }
    };
    let modes = flush.map_or_else(|| vec!["sync".to_owned(), "os".to_owned()], |f| vec![f]);
    let of_each = cycles.div_ceil(modes.len() as u64);
    for flush in modes {
        let plan = kill::Plan {
            cycles: of_each,
            seed,
            flush,
            traced,
        };
        let tally = kill::run(&plan)?;
        println!("{}", tally.json());
    }
    Ok(true)
}

fn cut(cycles: u64, seed: u64, flush: &str) -> Result<bool, Error> {
    match kill::power::lacks() {
        Some(what) => println!("skipped: power cuts (this machine has no {what})"),
        None => println!("{}", kill::power::run(cycles, seed, flush)?.json()),
    }
    Ok(true)
}

/// Asks Apache Kafka, a fresh one for each group, and keeps the answers.
fn refresh(only: &[String]) -> Result<bool, Error> {
    for group in groups(only) {
        let broker = Broker::start(Kind::Kafka, group.settings)?;
        let sections = differential::record(group, broker.address())?;
        let path = differential::golden_path(group);
        fs::write(&path, golden::write(&sections)).map_err(Error::path("write", &path))?;
        println!("{}: {} sections", group.name, sections.len());
    }
    Ok(true)
}

/// Asks a broker process, a fresh one for each group, and compares with Kafka's kept answers.
fn differential(against: Kind, only: &[String]) -> Result<bool, Error> {
    let mut passed = true;
    let mut allowance = match against {
        Kind::Ottla => Allowance::ours(),
        // Its kept answers are its own.
        Kind::Kafka => Allowance::none(),
    };
    for group in groups(only) {
        let allowance = &mut allowance;
        let differences = Broker::start(against, group.settings)
            .and_then(|broker| differential::differences(group, broker.address(), allowance))
            .unwrap_or_else(|error| vec![error.to_string()]);
        println!("{}: {} differences", group.name, differences.len());
        differences
            .iter()
            .for_each(|difference| println!("  {difference}"));
        passed &= differences.is_empty();
    }
    if only.is_empty() {
        let unused = allowance.unused();
        unused.iter().for_each(|line| println!("{line}"));
        passed &= unused.is_empty();
    }
    Ok(passed)
}

fn groups(only: &[String]) -> impl Iterator<Item = &'static Group> {
    GROUPS
        .iter()
        .filter(move |group| begins_with_one(group.name, only))
}

fn begins_with_one(name: &str, only: &[String]) -> bool {
    only.is_empty()
        || only
            .iter()
            .any(|beginning| name.starts_with(beginning.as_str()))
}
