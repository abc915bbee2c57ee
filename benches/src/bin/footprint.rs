//! What a broker costs while it does nothing: memory, wake-ups, idle connections, and 100 brokers
//! in one process.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::net::TcpStream;
use std::time::Duration;
use std::{io, thread};

use ottla_benches::conditions;
use ottla_benches::process::{BrokerProcess, own_resident_bytes};
use ottla_benches::stats::{line, mib};

/// How long a broker is left alone before it is measured.
const SETTLE: Duration = Duration::from_secs(3);
/// How long wake-ups are counted.
const WATCH: Duration = Duration::from_secs(10);
/// How long new connections are left alone: well below what closes one that asks nothing.
const SETTLE_CONNECTIONS: Duration = Duration::from_secs(1);
/// How many idle connections are opened.
const CONNECTIONS: usize = 1_000;
/// How many brokers run in one process.
const BROKERS: usize = 100;

fn main() -> io::Result<()> {
    println!("{}", conditions::line());
    println!(
        "{}",
        line(
            "100 in-memory brokers in one process",
            mibs(in_process()?),
            "<= 100 MiB"
        )
    );
    let dir = tempfile::tempdir()?;
    let broker = BrokerProcess::start(dir.path(), &[])?;
    thread::sleep(SETTLE);
    let idle = mibs(broker.resident_bytes());
    println!("{}", line("idle after 3 s", idle, "<= 8 MiB"));
    let before = broker.voluntary_switches();
    thread::sleep(WATCH);
    let woken = broker.voluntary_switches() - before;
    println!("{}", line("voluntary wake-ups in 10 s", woken, "0"));
    let before = broker.resident_bytes();
    let connect = |_| TcpStream::connect(broker.address());
    let connections = (0..CONNECTIONS)
        .map(connect)
        .collect::<io::Result<Vec<_>>>()?;
    thread::sleep(SETTLE_CONNECTIONS);
    let added = broker.resident_bytes().saturating_sub(before);
    println!(
        "{}",
        line("1,000 idle connections add", mibs(added), "<= 8 MiB")
    );
    drop(connections);
    broker.terminate()
}

/// What `BROKERS` in-memory brokers, each with a listener, add to this process.
fn in_process() -> io::Result<u64> {
    let before = own_resident_bytes();
    let start = |_| ottla::Broker::builder().in_memory().start_blocking();
    let brokers: Result<Vec<_>, _> = (0..BROKERS).map(start).collect();
    let brokers = brokers.map_err(io::Error::other)?;
    let after = own_resident_bytes();
    drop(brokers);
    Ok(after.saturating_sub(before))
}

fn mibs(bytes: u64) -> String {
    format!("{:.1} MiB", mib(bytes))
}
