//! Where a flush round is cheaper through the journal, and where by syncing the logs' own files.
//!
//! Two stores lie side by side on the disk of `TMPDIR`: one sends every round through the journal,
//! the other never. Each round appends one batch to each of some logs, and what is timed is the
//! flush alone. Rounds of both alternate, and before each pair a plain 4 KiB overwrite with its
//! `fdatasync` is timed: where that floor moves by more than a fifth between the halves of a case,
//! the case is void. `behind` is what the journal's store does later, in the background, for each
//! round, on average. Rounds are no larger than an area of the journal takes, 32 MiB.
//!
//! With words as arguments only these conditions: `quiet`, `busy` (every core spins).
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use ottla_benches::conditions;
use ottla_benches::stats::{median, millis, sorted, timed};
use ottla_log::{
    BatchOptions, LeaderAppend, LeaderEpoch, Limits, Log, LogOptions, Record, Store, StoreOptions,
    Timestamp, ValidBatches, build_batch,
};

/// How many logs a round has data of.
const LOGS: [usize; 7] = [1, 3, 10, 30, 100, 300, 1_000];
/// How many bytes of each.
const SIZES: [usize; 5] = [1 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// A larger round does not fit into an area of the journal.
const ROUND_BYTES_MAX: usize = 31 << 20;
/// Rounds that are timed in each case.
const ROUNDS: usize = 10;
/// Bytes that are written before a case is timed, so that the journal has its size: both areas'.
const WARM_BYTES: usize = 70 << 20;
/// The least and the most rounds for that.
const WARM_ROUNDS: (usize, usize) = (2, 8);
/// How often a case is repeated whose floor moved.
const TRIES: usize = 3;

fn main() -> io::Result<()> {
    println!("{}", conditions::line());
    println!("medians of {ROUNDS} rounds in ms; floor: 4 KiB overwritten and synced");
    let only: Vec<String> = std::env::args().skip(1).collect();
    for load in ["quiet", "busy"] {
        if only.is_empty() || only.iter().any(|name| name == load) {
            println!("\n{load}\n    logs  KiB each   journal    direct    behind     floor");
            let spinning = (load == "busy").then(Spinning::start);
            for size in SIZES {
                for logs in LOGS.into_iter().filter(|n| n * size <= ROUND_BYTES_MAX) {
                    case(logs, size)?;
                }
            }
            drop(spinning);
        }
    }
    Ok(())
}

/// One line of the table.
fn case(logs: usize, size: usize) -> io::Result<()> {
    for _ in 0..TRIES {
        let dir = tempfile::tempdir()?;
        let times = measure(dir.path(), logs, size)?;
        if times.is_steady() {
            println!("{logs:>8}{:>10}{}", size >> 10, times.show());
            return Ok(());
        }
    }
    println!("{logs:>8}{:>10}   void: the floor moved", size >> 10);
    Ok(())
}

/// What the rounds of one case took, in their order.
#[derive(Debug, Default)]
struct Times {
    journal: Vec<Duration>,
    direct: Vec<Duration>,
    behind: Vec<Duration>,
    floor: Vec<Duration>,
}

impl Times {
    /// Whether the floor of the second half is within a fifth of the first half's.
    fn is_steady(&self) -> bool {
        let (first, second) = self.floor.split_at(self.floor.len() / 2);
        let [first, second] = [first, second].map(|half| millis(median(&sorted(half.to_vec()))));
        (first - second).abs() <= 0.2 * first.max(second)
    }

    fn show(&self) -> String {
        let median_of = |times: &[Duration]| median(&sorted(times.to_vec()));
        // Background work comes in bursts.
        let behind = self.behind.iter().sum::<Duration>() / ROUNDS as u32;
        let [journal, direct, floor] =
            [&self.journal, &self.direct, &self.floor].map(|times| median_of(times));
        let columns = [journal, direct, behind, floor];
        columns
            .map(|time| format!("{:>10.2}", millis(time)))
            .concat()
    }
}

fn measure(dir: &Path, logs: usize, size: usize) -> io::Result<Times> {
    let journal = Side::open(&dir.join("journal"), logs, u64::MAX)?;
    let direct = Side::open(&dir.join("direct"), logs, 0)?;
    let floor = Floor::new(dir)?;
    let batch = batch_of(size)?;
    let (least, most) = WARM_ROUNDS;
    for _ in 0..(WARM_BYTES / (logs * size)).clamp(least, most) {
        journal.round(&batch)?;
        direct.round(&batch)?;
        journal.maintain();
    }
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        // More than one: a floor of single syncs moves by itself.
        for _ in 0..5 {
            times.floor.push(floor.sync()?);
        }
        times.journal.push(journal.round(&batch)?);
        times.behind.push(journal.maintain());
        times.direct.push(direct.round(&batch)?);
        direct.maintain();
    }
    Ok(times)
}

/// One store and its logs.
struct Side {
    store: Store,
    logs: Vec<Log>,
}

impl Side {
    fn open(dir: &Path, logs: usize, direct_bytes_min: u64) -> io::Result<Self> {
        let mut options = StoreOptions::default();
        options.direct_bytes_min = direct_bytes_min;
        options.open_files_max = 2 * logs + 64;
        // What is written stays until the journal's area is needed, not until a budget says so.
        options.dirty_bytes_max = u64::MAX / 4;
        let opened = Store::open(dir, options).map_err(io::Error::other)?;
        let open = |number| {
            let log = opened
                .store
                .log(format!("rounds-{number}").as_str(), LogOptions::default());
            log.map_err(io::Error::other)
        };
        let logs = (0..logs).map(open).collect::<io::Result<_>>()?;
        Ok(Self {
            store: opened.store,
            logs,
        })
    }

    /// Appends to each log and times the flush.
    fn round(&self, batch: &Bytes) -> io::Result<Duration> {
        let context = LeaderAppend::new(Timestamp::default(), LeaderEpoch::new(0));
        for log in &self.logs {
            let batches = ValidBatches::parse(batch.clone(), &Limits::default());
            let batches = batches.map_err(io::Error::other)?;
            log.append_as_leader(batches, &context)
                .map_err(io::Error::other)?;
        }
        let (time, flushed) = timed(|| self.store.flush());
        flushed.map_err(io::Error::other)?;
        Ok(time)
    }

    /// Does all background work that is due.
    fn maintain(&self) -> Duration {
        let (time, ()) = timed(|| while self.store.maintain(Timestamp::default()).more {});
        time
    }
}

fn batch_of(size: usize) -> io::Result<Bytes> {
    let frame = 128; // the batch's header and the record's own, about
    let record = Record::new(vec![b'x'; size - frame]);
    build_batch(&[record], &BatchOptions::default()).map_err(io::Error::other)
}

/// The cheapest durable write.
struct Floor {
    file: File,
}

impl Floor {
    fn new(dir: &Path) -> io::Result<Self> {
        let file = File::create_new(dir.join("floor"))?;
        file.write_all_at(&[0; 1 << 16], 0)?;
        file.sync_all()?;
        Ok(Self { file })
    }

    fn sync(&self) -> io::Result<Duration> {
        let (time, done) = timed(|| {
            self.file.write_all_at(&[1; 4096], 0)?;
            self.file.sync_data()
        });
        done.map(|()| time)
    }
}

/// Threads that keep every core busy.
struct Spinning {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Spinning {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(1, Into::into);
        let spin = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..cores).map(spin).collect();
        Self { stop, threads }
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A spinning thread cannot panic.
            let _ = thread.join();
        }
    }
}
