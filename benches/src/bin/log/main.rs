//! What a log costs beside the system calls it cannot do without: appends beside `pwrite` and
//! CRC-32C of the same bytes, durable appends beside `fdatasync` in the same group sizes, reads
//! from the page cache beside `pread`, opening after a crash beside reading with a checksum; and
//! how fast a log is compacted, and what an idle one holds.
//!
//! Both sides of each comparison alternate in one run, over files of their own in `TMPDIR`. With
//! words as arguments only these parts: `append`, `durable`, `read`, `crash`, `compact`, `idle`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod durable;
mod whole;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;
use ottla_benches::conditions;
use ottla_benches::stats::{line, median, sorted, timed};
use ottla_log::{
    BatchOptions, Bound, FlushMode, LeaderAppend, LeaderEpoch, Limits, Log, LogOptions, Offset,
    Record, Store, StoreOptions, Timestamp, ValidBatches, build_batch, crc,
};

/// How often each comparison is made.
const RUNS: usize = 9;
/// Records in a batch, and bytes of a record's value.
const BATCH_RECORDS: usize = 64;
const RECORD_BYTES: usize = 1 << 10;
/// Batches in a run of appends.
const BATCHES: usize = 2_048;
/// Bytes that one read asks for.
const READ_BYTES: [usize; 2] = [64 << 10, 1 << 20];

fn main() -> io::Result<()> {
    println!("{}", conditions::line());
    let only: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |part: &str| only.is_empty() || only.iter().any(|name| name == part);
    let dir = tempfile::tempdir()?;
    if is_asked("append") {
        append(dir.path())?;
    }
    if is_asked("durable") {
        durable::all(dir.path())?;
    }
    if is_asked("read") {
        read(dir.path())?;
    }
    if is_asked("crash") {
        whole::crash(dir.path())?;
    }
    if is_asked("compact") {
        whole::compact(dir.path())?;
    }
    if is_asked("idle") {
        whole::idle(dir.path())?;
    }
    Ok(())
}

fn batch(records: usize) -> io::Result<Bytes> {
    let record = |_| Record::new(vec![b'x'; RECORD_BYTES]);
    let records: Vec<Record> = (0..records).map(record).collect();
    build_batch(&records, &BatchOptions::default()).map_err(io::Error::other)
}

/// Copies that nobody else holds, as frames from a socket are.
fn frames(batch: &Bytes, count: usize) -> Vec<Bytes> {
    let copy = |_| Bytes::from(batch.to_vec());
    (0..count).map(copy).collect()
}

fn store(dir: &Path, name: &str, flush: FlushMode) -> io::Result<(Store, Log)> {
    let mut options = StoreOptions::default();
    options.flush = flush;
    // What is compared with does not sync either.
    options.dirty_bytes_max = u64::MAX / 4;
    let store = Store::open(dir.join(name), options)
        .map_err(io::Error::other)?
        .store;
    let log = store
        .log("bench", LogOptions::default())
        .map_err(io::Error::other)?;
    Ok((store, log))
}

/// Appends without a sync, and the CPU they take.
fn append(dir: &Path) -> io::Result<()> {
    let batch = batch(BATCH_RECORDS)?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    let (mut our_cpu, mut plain_cpu) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let (_store, log) = store(dir, &format!("append-{run}"), FlushMode::Os)?;
        let of_log = frames(&batch, BATCHES);
        let (cpu, (time, done)) = on_cpu(|| timed(|| append_all(&log, of_log)));
        done?;
        ours.push(time);
        our_cpu.push(cpu);
        let of_file = frames(&batch, BATCHES);
        let file = File::create_new(dir.join(format!("append-{run}.plain")))?;
        let (cpu, (time, done)) = on_cpu(|| timed(|| write_all(&file, of_file)));
        done?;
        plain.push(time);
        plain_cpu.push(cpu);
    }
    let [ours, plain, our_cpu, plain_cpu] =
        [ours, plain, our_cpu, plain_cpu].map(|times| median(&sorted(times)));
    let records = (BATCHES * BATCH_RECORDS) as f64;
    let rate = |time: Duration| records * RECORD_BYTES as f64 / time.as_secs_f64() / 1e6;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / records;
    let figure = format!("{:.0} MB/s, plain {:.0} MB/s", rate(ours), rate(plain));
    println!("{}", line("append, 64 records of 1 KiB", figure, ""));
    let ratio = plain.as_secs_f64() / ours.as_secs_f64();
    let figure = format!("{:.0} %", ratio * 100.0);
    println!("{}", line("of pwrite + CRC-32C", figure, ">= 70 %"));
    let figure = format!("{:.3} us, plain {:.3} us", each(our_cpu), each(plain_cpu));
    println!("{}", line("CPU a record", figure, "<= 0.5 us"));
    Ok(())
}

fn append_all(log: &Log, frames: Vec<Bytes>) -> io::Result<()> {
    let limits = Limits::default();
    let context = LeaderAppend::new(Timestamp::default(), LeaderEpoch::new(0));
    for frame in frames {
        let batches = ValidBatches::parse(frame, &limits).map_err(io::Error::other)?;
        log.append_as_leader(batches, &context)
            .map_err(io::Error::other)?;
    }
    Ok(())
}

fn write_all(file: &File, frames: Vec<Bytes>) -> io::Result<()> {
    let mut position = 0;
    for frame in frames {
        std::hint::black_box(crc::crc32c(&frame));
        file.write_all_at(&frame, position)?;
        position += frame.len() as u64;
    }
    Ok(())
}

/// What `work` takes of a core, in this thread, the kernel's part included.
fn on_cpu<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let now = || {
        let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanos = stat.split_whitespace().next().and_then(|n| n.parse().ok());
        Duration::from_nanos(nanos.unwrap_or_default())
    };
    let before = now();
    let done = work();
    (now().saturating_sub(before), done)
}

/// Reads of what the page cache holds.
fn read(dir: &Path) -> io::Result<()> {
    let (_store, log) = store(dir, "read", FlushMode::Os)?;
    append_all(&log, frames(&batch(BATCH_RECORDS)?, BATCHES))?;
    let path = dir.join("read/kafka/bench-0/00000000000000000000.log");
    for size in READ_BYTES {
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let (time, read) = timed(|| read_log(&log, size));
            let (plain_time, plainly_read) = timed(|| read_file(&path, size));
            ours.push(read? as f64 / time.as_secs_f64());
            plain.push(plainly_read? as f64 / plain_time.as_secs_f64());
        }
        let [ours, plain] = [ours, plain].map(|mut rates| {
            rates.sort_unstable_by(f64::total_cmp);
            rates.get(RUNS / 2).copied().unwrap_or_default()
        });
        let name = format!("read, {} KiB at a time", size >> 10);
        let (ours_gb, plain_gb) = (ours / 1e9, plain / 1e9);
        let figure = format!(
            "{ours_gb:.2} GB/s ({:.0} % of {plain_gb:.2} GB/s by pread)",
            100.0 * ours / plain
        );
        println!("{}", line(&name, figure, ""));
    }
    Ok(())
}

fn read_log(log: &Log, size: usize) -> io::Result<usize> {
    let (mut from, mut read) = (Offset::ZERO, 0);
    loop {
        let slice = log
            .read(from, size, Bound::LogEnd)
            .map_err(io::Error::other)?;
        if slice.is_empty() {
            return Ok(read);
        }
        let bytes = slice.bytes().map_err(io::Error::other)?;
        read += std::hint::black_box(&bytes).len();
        from = slice.next_offset();
    }
}

fn read_file(path: &Path, size: usize) -> io::Result<usize> {
    let file = File::open(path)?;
    let mut read = 0;
    loop {
        // A new buffer each time: what is read is kept until it was sent.
        let mut buf = vec![0; size];
        match file.read_at(&mut buf, read as u64)? {
            0 => return Ok(read),
            n => read += n,
        }
        std::hint::black_box(&buf);
    }
}
