//! What a broker costs while it does nothing: memory, wake-ups, idle connections, and 100 brokers
//! in one process.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::net::TcpStream;
use std::time::Duration;
use std::{fs, io, thread};

use ottla_benches::conditions;
use ottla_benches::process::BrokerProcess;

/// How long a broker is left alone before it is measured.
const SETTLE: Duration = Duration::from_secs(3);
/// How long wake-ups are counted.
const WATCH: Duration = Duration::from_secs(10);
/// How many idle connections are opened.
const CONNECTIONS: usize = 1_000;
/// How many brokers run in one process.
const BROKERS: usize = 100;

fn main() -> io::Result<()> {
    println!("{}", conditions::line());
    let dir = tempfile::tempdir()?;
    let broker = BrokerProcess::start(dir.path(), &[])?;
    thread::sleep(SETTLE);
    println!("idle after {SETTLE:?}: {}", mib(broker.resident_bytes()));
    let before = broker.voluntary_switches();
    thread::sleep(WATCH);
    let woken = broker.voluntary_switches() - before;
    println!("voluntary wake-ups in {WATCH:?}: {woken}");
    let before = broker.resident_bytes();
    let connect = |_| TcpStream::connect(broker.address());
    let connections = (0..CONNECTIONS)
        .map(connect)
        .collect::<io::Result<Vec<_>>>()?;
    thread::sleep(Duration::from_secs(1));
    let added = broker.resident_bytes().saturating_sub(before);
    println!("{} idle connections add: {}", connections.len(), mib(added));
    drop(connections);
    broker.terminate()?;
    println!(
        "{BROKERS} brokers in this process add: {}",
        mib(in_process())
    );
    println!("binary: {}", binary_size());
    Ok(())
}

/// What `BROKERS` in-memory brokers add to this process.
fn in_process() -> u64 {
    let before = own_resident_bytes();
    let start = |_| ottla::Broker::builder().in_memory().start_blocking();
    let brokers: Vec<_> = (0..BROKERS).map(start).collect();
    assert!(
        brokers.iter().all(Result::is_ok),
        "an in-memory broker did not start"
    );
    let after = own_resident_bytes();
    drop(brokers);
    after.saturating_sub(before)
}

fn own_resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

fn binary_size() -> String {
    let here = std::env::current_exe()
        .unwrap_or_default()
        .with_file_name("ottla");
    fs::metadata(here).map_or_else(|e| e.to_string(), |m| mib(m.len()))
}

fn mib(bytes: u64) -> String {
    // Rounded for a reader; no figure here nears 2^53 bytes.
    #[expect(clippy::cast_precision_loss, reason = "a figure for a person")]
    let mib = bytes as f64 / f64::from(1 << 20);
    format!("{mib:.1} MiB")
}
