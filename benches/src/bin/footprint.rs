//! What a broker costs while it does nothing: memory, wake-ups, idle connections, and 100 brokers
//! in one process. Each figure is the median of ten processes.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::process::Command;
use std::time::Duration;
use std::{env, io, thread};

use ottla_benches::conditions;
use ottla_benches::process::{BrokerProcess, own_resident_bytes};
use ottla_benches::stats::{line, mib};
use ottla_benches::wire::Wire;
use ottla_protocol::client::messages::ApiVersionsRequest;

/// How often everything is measured.
const RUNS: usize = 10;
/// How long a broker is left alone before it is measured.
const SETTLE: Duration = Duration::from_secs(3);
/// How long wake-ups are counted.
const WATCH: Duration = Duration::from_secs(10);
/// How long new connections are left alone before they are measured.
const SETTLE_CONNECTIONS: Duration = Duration::from_secs(1);
/// How many idle connections are opened.
const CONNECTIONS: usize = 1_000;
/// How many brokers run in one process.
const BROKERS: usize = 100;
/// The argument of a process that only measures its own brokers.
const IN_PROCESS: &str = "in-process";

/// What one run measures.
#[derive(Clone, Copy)]
struct Idle {
    resident: u64,
    wake_ups: u64,
    connections: u64,
}

fn main() -> io::Result<()> {
    if env::args().nth(1).as_deref() == Some(IN_PROCESS) {
        println!("{}", in_process()?);
        return Ok(());
    }
    println!("{}", conditions::line());
    println!("medians of {RUNS} processes");
    let brokers = (0..RUNS).map(|_| in_new_process());
    let brokers = brokers.collect::<io::Result<Vec<_>>>()?;
    let name = "100 in-memory brokers in one process";
    println!("{}", line(name, mibs(brokers), "<= 100 MiB"));
    let runs = (0..RUNS).map(|_| idle());
    let runs = runs.collect::<io::Result<Vec<_>>>()?;
    let of = |figure: fn(&Idle) -> u64| runs.iter().map(figure).collect::<Vec<_>>();
    let resident = mibs(of(|run| run.resident));
    println!("{}", line("idle after 3 s", resident, "<= 8 MiB"));
    let (median, min, max) = spread(of(|run| run.wake_ups));
    let wake_ups = format!("median {median} (min {min}, max {max})");
    println!("{}", line("voluntary wake-ups in 10 s", wake_ups, "0"));
    let connections = mibs(of(|run| run.connections));
    let name = "1,000 idle connections add";
    println!("{}", line(name, connections, "<= 8 MiB"));
    Ok(())
}

/// A new broker that is left alone, and then has connections that are.
fn idle() -> io::Result<Idle> {
    let dir = tempfile::tempdir()?;
    let broker = BrokerProcess::start(dir.path(), &[])?;
    thread::sleep(SETTLE);
    let resident = broker.resident_bytes();
    let before = broker.voluntary_switches();
    thread::sleep(WATCH);
    let wake_ups = broker.voluntary_switches() - before;
    let before = broker.resident_bytes();
    // As a client that waits for work: it has asked what the broker speaks.
    let connect = |_| {
        let mut wire = Wire::connect(broker.address())?;
        wire.call(0, &ApiVersionsRequest::default())?;
        Ok(wire)
    };
    let connections = (0..CONNECTIONS)
        .map(connect)
        .collect::<io::Result<Vec<_>>>()?;
    thread::sleep(SETTLE_CONNECTIONS);
    let added = broker.resident_bytes().saturating_sub(before);
    drop(connections);
    broker.terminate()?;
    Ok(Idle {
        resident,
        wake_ups,
        connections: added,
    })
}

/// As [`in_process`], in a process that has done nothing else.
fn in_new_process() -> io::Result<u64> {
    let output = Command::new(env::current_exe()?).arg(IN_PROCESS).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().map_err(|_| {
        let why = String::from_utf8_lossy(&output.stderr);
        io::Error::other(format!("the brokers in one process: {said}{why}"))
    })
}

/// What `BROKERS` in-memory brokers, each with a listener, add to this process, in bytes.
fn in_process() -> io::Result<u64> {
    let before = own_resident_bytes();
    let start = |_| ottla::Broker::builder().in_memory().start_blocking();
    let brokers: Result<Vec<_>, _> = (0..BROKERS).map(start).collect();
    let brokers = brokers.map_err(io::Error::other)?;
    let after = own_resident_bytes();
    drop(brokers);
    Ok(after.saturating_sub(before))
}

/// The median, the smallest and the largest.
fn spread(mut figures: Vec<u64>) -> (u64, u64, u64) {
    figures.sort_unstable();
    let at = |place: usize| figures.get(place).copied().unwrap_or_default();
    (
        at(figures.len() / 2),
        at(0),
        at(figures.len().saturating_sub(1)),
    )
}

fn mibs(bytes: Vec<u64>) -> String {
    let (median, min, max) = spread(bytes);
    let (median, min, max) = (mib(median), mib(min), mib(max));
    format!("median {median:.1} MiB (min {min:.1}, max {max:.1})")
}
