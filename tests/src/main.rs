//! The runs that need more than Rust: `cargo run -p ottla-tests -- help`.
#![expect(clippy::print_stdout, reason = "a run tells a person what it does")]

use std::{env, fs, process::ExitCode, time::Instant};

use clap::{Parser, Subcommand};
use ottla_tests::{
    Error,
    broker::Kind,
    clients::{CLIENTS, Client, Outcome, Verdict, report},
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
}

fn main() -> ExitCode {
    let result = match Arguments::parse().run {
        Run::Clients { against, only } => clients(against, &only),
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
