//! The runs that need more than Rust: `cargo run -p ottla-tests -- help`.
#![expect(clippy::print_stdout, reason = "a run tells a person what it does")]

use std::{env, fs, process::ExitCode, time::Instant};

use clap::{Parser, Subcommand};
use ottla_tests::{
    Error,
    broker::{Broker, Kind},
    clients::{CLIENTS, Client, Outcome, Verdict, report},
    differential::{
        self,
        cases::{GROUPS, Group},
        golden,
    },
    tools,
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
}

fn main() -> ExitCode {
    let result = match Arguments::parse().run {
        Run::Clients { against, only } => clients(against, &only),
        Run::Differential {
            refresh: true,
            only,
            ..
        } => refresh(&only),
        Run::Differential { against, only, .. } => differential(against, &only),
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
    for group in groups(only) {
        let differences = Broker::start(against, group.settings)
            .and_then(|broker| differential::differences(group, broker.address()))
            .unwrap_or_else(|error| vec![error.to_string()]);
        println!("{}: {} differences", group.name, differences.len());
        differences
            .iter()
            .for_each(|difference| println!("  {difference}"));
        passed &= differences.is_empty();
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

/// Runs the clients one after the other. A client whose tools this machine lacks is skipped,
/// unless `CI=true`.
fn clients(against: Kind, only: &[String]) -> Result<bool, Error> {
    let wanted = |client: &&Client| {
        only.is_empty()
            || only
                .iter()
                .any(|name| client.name.starts_with(name.as_str()))
    };
    let strict = env::var("CI").is_ok_and(|value| value == "true");
    let mut outcomes = Vec::new();
    let mut passed = true;
    for client in CLIENTS.iter().filter(wanted) {
        let started = Instant::now();
        match client.run(against) {
            Ok(outcome) => {
                let seconds = started.elapsed().as_secs();
                println!(
                    "{} ({}) against {against}, {seconds} s",
                    client.title, outcome.version
                );
                show(&outcome);
                passed &= outcome.passed();
                outcomes.push((client, outcome));
            }
            Err(missing @ Error::Missing { .. }) => {
                println!("{}: skipped: {missing}", client.title);
                passed &= !strict;
            }
            Err(error) => {
                println!("{}: {error}", client.title);
                passed = false;
            }
        }
    }
    if outcomes.is_empty() {
        return Err(Error::failed("no client ran"));
    }
    if against == Kind::Ottla && outcomes.len() == CLIENTS.len() {
        let path = tools::repository().join("docs/CLIENTS.md");
        fs::write(&path, report::page(&outcomes)).map_err(Error::path("write", &path))?;
    }
    Ok(passed)
}

fn show(outcome: &Outcome) {
    for (name, verdict) in &outcome.verdicts {
        match verdict {
            Verdict::Ok => println!("  ok   {name}"),
            Verdict::Fail(reason) => println!("  FAIL {name}: {reason}"),
            Verdict::NotAvailable(reason) => println!("  n/a  {name}: {reason}"),
        }
    }
    if !outcome.passed() {
        outcome
            .remarks
            .iter()
            .for_each(|remark| println!("  | {remark}"));
    }
}
