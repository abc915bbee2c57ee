//! Durable appends beside `fdatasync` of the same bytes in the same group sizes.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{process, thread};

use bytes::Bytes;
use ottla_benches::stats::{line, median, millis, sorted, timed};
use ottla_log::{
    AppendOptions, Ends, FlushMode, LeaderAppend, LeaderEpoch, Limits, Log, LogObserver,
    LogOptions, Record, StorageError, Store, StoreOptions, Timestamp, ValidBatches,
};

use super::{RECORD_BYTES, append_all, batch, frames, store};

/// How long appends run.
const DURABLE: Duration = Duration::from_secs(2);
/// Records that wait for durability at a time.
const IN_FLIGHT: i64 = 256;
/// How often a comparison is repeated whose floor moved.
const TRIES: usize = 4;

pub(super) fn all(dir: &Path) -> io::Result<()> {
    one_waiter(dir)?;
    in_flight(dir)?;
    rounds(dir)
}

/// Durable appends one after the other, beside an overwrite of a file that is there, as the journal
/// is, with a sync.
fn one_waiter(dir: &Path) -> io::Result<()> {
    let (_store, log) = store(dir, "one", FlushMode::Sync)?;
    let floor = File::create_new(dir.join("one.plain"))?;
    let bytes = vec![b'x'; 1 << 20];
    floor.write_all_at(&bytes, 0)?;
    floor.sync_all()?;
    let record = Record::new(vec![b'x'; RECORD_BYTES]);
    for _ in 0..TRIES {
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        let started = Instant::now();
        while started.elapsed() < DURABLE {
            let append = || log.append(std::slice::from_ref(&record), AppendOptions::default());
            let (time, done) = timed(append);
            done.map_err(io::Error::other)?;
            ours.push(time);
            let (time, done) = timed(|| {
                // A round is a whole number of blocks.
                let (block, _) = bytes.split_at(4096);
                floor.write_all_at(block, (ours.len() as u64 % 256) * 4096)?;
                floor.sync_data()
            });
            done?;
            plain.push(time);
        }
        if is_steady(&plain) {
            let [ours, plain] = [ours, plain].map(|times| median(&sorted(times)));
            let figure = format!("p50 {:.3} ms, {:.3} plain", millis(ours), millis(plain));
            println!(
                "{}",
                line("durable, 1 waiting", figure, "<= plain + 0.020 ms")
            );
            return Ok(());
        }
    }
    println!(
        "{}",
        line("durable, 1 waiting", "void: the floor moved", "")
    );
    Ok(())
}

/// Whether the second half of `floor` is within a fifth of the first.
fn is_steady(floor: &[Duration]) -> bool {
    let (first, second) = floor.split_at(floor.len() / 2);
    let [first, second] = [first, second].map(|half| millis(median(&sorted(half.to_vec()))));
    (first - second).abs() <= 0.2 * first.max(second)
}

/// Who waits as the waiters of a broker do: not by a thread each, but by being told.
#[derive(Debug, Default)]
struct Told {
    /// The durable ends, as they were told.
    ends: Mutex<Vec<i64>>,
    moved: Condvar,
}

impl LogObserver for Told {
    fn durable(&self, ends: Ends) {
        let mut told = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(ends.durable.get());
        self.moved.notify_one();
    }

    fn failed(&self, cause: &Arc<StorageError>) {
        // Who waits for the records would wait for ever.
        let _ = writeln!(io::stderr(), "the disk failed: {cause}");
        process::exit(1);
    }
}

impl Told {
    /// Waits until less than `most` of `end` records wait.
    fn wait(&self, end: i64, most: i64) {
        let told = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |told: &mut Vec<i64>| end - told.last().copied().unwrap_or(0) >= most;
        drop(self.moved.wait_while(told, waits));
    }
}

/// 256 records that wait at a time, and a thread that leads the rounds, as in a broker.
fn in_flight(dir: &Path) -> io::Result<()> {
    for attempt in 0..TRIES {
        let (store, log) = store(dir, &format!("many-{attempt}"), FlushMode::Sync)?;
        let (ours, groups) = appended(&store, &log)?;
        let path = dir.join(format!("many-{attempt}.plain"));
        let (first, second) = groups.split_at(groups.len() / 2);
        let (first, second) = (plain(&path, first)?, plain(&path, second)?);
        let (slow, fast) = (first.min(second), first.max(second));
        if fast - slow > 0.2 * fast {
            continue;
        }
        let floor = f64::midpoint(first, second);
        let records: i64 = groups.iter().sum();
        let figure = format!(
            "{ours:.0} /s, {floor:.0} /s plain, {:.0} %; {:.0} records a round",
            100.0 * ours / floor,
            records as f64 / groups.len() as f64,
        );
        println!("{}", line("durable, 256 waiting", figure, ">= 90 %"));
        return Ok(());
    }
    println!(
        "{}",
        line("durable, 256 waiting", "void: the floor moved", "")
    );
    Ok(())
}

/// Records a second, and how many became durable at a time.
fn appended(store: &Store, log: &Log) -> io::Result<(f64, Vec<i64>)> {
    let told = Arc::new(Told::default());
    let observer: Arc<dyn LogObserver> = Arc::<Told>::clone(&told);
    log.observe(&observer);
    let (stop, led) = (Arc::new(AtomicBool::new(false)), store.clone());
    let stopped = Arc::clone(&stop);
    let leader = thread::spawn(move || {
        while led.wait_dirty(&stopped) {
            led.flush().expect("the disk works");
        }
    });
    let frame = batch(1)?;
    let limits = Limits::default();
    let context = LeaderAppend::new(Timestamp::default(), LeaderEpoch::new(0));
    let started = Instant::now();
    let mut end = 0;
    while started.elapsed() < DURABLE {
        told.wait(end, IN_FLIGHT);
        let batches = ValidBatches::parse(Bytes::from(frame.to_vec()), &limits);
        let appended = log.append_as_leader(batches.map_err(io::Error::other)?, &context);
        end = appended.map_err(io::Error::other)?.end.get();
    }
    told.wait(end, 1);
    let rate = end as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Release);
    store.wake();
    leader
        .join()
        .map_err(|_| io::Error::other("the leader panicked"))?;
    let ends = told.ends.lock().unwrap_or_else(PoisonError::into_inner);
    let befores = std::iter::once(0).chain(ends.iter().copied());
    Ok((
        rate,
        ends.iter()
            .zip(befores)
            .map(|(end, before)| end - before)
            .collect(),
    ))
}

/// Records a second of writes of the same bytes in the same groups, each with a sync.
fn plain(path: &Path, groups: &[i64]) -> io::Result<f64> {
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)?;
    let frame = batch(1)?;
    let mut position = file.metadata()?.len();
    let started = Instant::now();
    for group in groups {
        let bytes = frame.repeat(usize::try_from(*group).map_err(io::Error::other)?);
        file.write_all_at(&bytes, position)?;
        file.sync_data()?;
        position += bytes.len() as u64;
    }
    let records: i64 = groups.iter().sum();
    Ok(records as f64 / started.elapsed().as_secs_f64())
}

/// Rounds over many logs with a record of 1 KiB each, beside rounds over one; in turns.
fn rounds(dir: &Path) -> io::Result<()> {
    const LOGS: [usize; 3] = [1, 100, 1_000];
    const ROUNDS: usize = 60;
    const FIRST_ROUNDS: usize = 70;
    let mut options = StoreOptions::default();
    options.open_files_max = 2_100;
    let opened = Store::open(dir.join("rounds"), options).map_err(io::Error::other)?;
    let open = |n: usize| {
        let log = opened
            .store
            .log(format!("rounds-{n}").as_str(), LogOptions::default());
        log.map_err(io::Error::other)
    };
    let logs = (0..1_000).map(open).collect::<io::Result<Vec<_>>>()?;
    let frame = batch(1)?;
    let mut times = LOGS.map(|_| Vec::new());
    // The first ones make directories and files, and let both areas of the journal grow to their
    // full size: until then a round over 1,000 logs also writes a megabyte of zeros.
    for round in 0..ROUNDS + FIRST_ROUNDS {
        for (logs, times) in LOGS
            .map(|n| logs.get(..n).unwrap_or_default())
            .iter()
            .zip(&mut times)
        {
            for log in *logs {
                append_all(log, frames(&frame, 1))?;
            }
            let (time, flushed) = timed(|| opened.store.flush());
            flushed.map_err(io::Error::other)?;
            if round >= FIRST_ROUNDS {
                times.push(time);
            }
            // In the background of a broker.
            while opened.store.maintain(Timestamp::default()).more {}
        }
    }
    let [one, hundred, thousand] = times.map(|times| millis(median(&sorted(times))));
    for (name, time, target) in [
        ("a round over 100 logs", hundred, "<= 2 times"),
        ("a round over 1,000 logs", thousand, "<= 10 times"),
    ] {
        let figure = format!("{time:.3} ms, {:.1} times {one:.3} ms", time / one);
        println!("{}", line(name, figure, target));
    }
    Ok(())
}
