//! What concerns a log as a whole: opening it after a crash, compacting it, keeping it idle.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ottla_benches::stats::{line, mib, timed};
use ottla_log::{
    BatchOptions, FlushMode, LeaderAppend, LeaderEpoch, Limits, LogConfig, LogOptions, Record,
    Store, StoreOptions, Timestamp, ValidBatches, build_batch, crc,
};

use super::{BATCH_RECORDS, append_all, batch, frames, on_cpu, store};

/// Bytes of the tail that is checked after a crash.
const TAIL_BYTES: usize = 1 << 30;
/// Rounds of the comparison that count.
const RUNS: usize = 5;
/// Rounds that are tried for them: one in which the floor itself moved does not count.
const TRIES: usize = 20;
/// Logs that are kept idle.
const IDLE: usize = 10_000;

/// Opens a log after a crash, beside reading its file from the disk with a checksum.
///
/// Before either the file system is synced: what other programs wrote is on the disk then, and no
/// sync of the open waits for that.
pub(super) fn crash(dir: &Path) -> io::Result<()> {
    let batch = batch(BATCH_RECORDS)?;
    let name = "crash";
    let (first, log) = store(dir, name, FlushMode::Os)?;
    for _ in 0..TAIL_BYTES / (64 * batch.len()) {
        append_all(&log, frames(&batch, 64))?;
    }
    // As a kill: no clean mark, and everything above the recovery point is to be checked.
    drop((log, first));
    let path = dir.join("crash/kafka/bench-0/00000000000000000000.log");
    let mut rates = Vec::new();
    let mut tries = 0;
    while rates.len() < RUNS && tries < TRIES {
        tries += 1;
        let before = plain(&path)?;
        sync_all(&path)?;
        let (time, opened) = timed(|| store(dir, name, FlushMode::Os));
        let (opened, log) = opened?;
        let size = File::open(&path)?.metadata()?.len();
        assert!(log.size_bytes() == size && log.ends().end.get() > 0);
        drop((log, opened));
        let after = plain(&path)?;
        let ours = size as f64 / time.as_secs_f64() / 1e6;
        if (before - after).abs() <= 0.2 * before.max(after) {
            rates.push((ours / f64::midpoint(before, after), ours));
        }
    }
    rates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let figure = match rates.get(rates.len() / 2) {
        None => "void: the floor moved".to_owned(),
        Some((ratio, rate)) => {
            let share = 100.0 * ratio;
            let (least, most) = match rates.as_slice() {
                [least, .., most] => (100.0 * least.0, 100.0 * most.0),
                _ => (share, share),
            };
            let counted = rates.len();
            format!(
                "{rate:.0} MB/s, {share:.0} % ({least:.0}-{most:.0}) of read + CRC ({counted} of \
                 {tries} rounds)"
            )
        }
    };
    println!(
        "{}",
        line("open after a crash, 1 GiB tail", figure, ">= 80 %")
    );
    Ok(())
}

/// MB/s of reading a file from the disk in order, with CRC-32C.
fn plain(path: &Path) -> io::Result<f64> {
    sync_all(path)?;
    let file = File::open(path)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    let mut buf = vec![0; 1 << 20];
    let (time, read) = timed(|| {
        let mut position = 0_u64;
        loop {
            match file.read_at(&mut buf, position) {
                Ok(0) => return Ok(position),
                Ok(n) => {
                    std::hint::black_box(crc::crc32c(&buf[..n]));
                    position += n as u64;
                }
                Err(e) => return Err(e),
            }
        }
    });
    Ok(read? as f64 / time.as_secs_f64() / 1e6)
}

/// Syncs the file system that the file at `path` is on.
fn sync_all(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(&File::open(path)?)?)
}

/// Compacts records of 1 KiB, each key written ten times, on one core.
pub(super) fn compact(dir: &Path) -> io::Result<()> {
    const RECORDS: usize = 400_000;
    let mut config = LogConfig::default();
    config.compacted = true;
    config.cleaner_enable = true;
    config.min_cleanable_dirty_ratio = 0.0;
    config.segment_bytes = 64 << 20;
    let mut options = StoreOptions::default();
    options.flush = FlushMode::Os;
    options.dirty_bytes_max = u64::MAX / 4;
    let opened = Store::open(dir.join("compact"), options).map_err(io::Error::other)?;
    let of_log = LogOptions {
        config,
        ..LogOptions::default()
    };
    let log = opened
        .store
        .log("bench", of_log)
        .map_err(io::Error::other)?;
    let context = LeaderAppend::new(Timestamp::new(1), LeaderEpoch::new(0));
    for first in (0..RECORDS).step_by(BATCH_RECORDS) {
        let record = |n: usize| {
            let key = (n % (RECORDS / 10)).to_string();
            Record::new(vec![b'x'; 1000]).with_key(key.into_bytes())
        };
        let records: Vec<Record> = (first..first + BATCH_RECORDS).map(record).collect();
        let bytes = build_batch(&records, &BatchOptions::default()).map_err(io::Error::other)?;
        let batches = ValidBatches::parse(bytes, &Limits::default()).map_err(io::Error::other)?;
        log.append_as_leader(batches, &context)
            .map_err(io::Error::other)?;
    }
    // Nothing is compacted that may be taken back, nor in the active segment.
    log.committed(log.ends().end);
    let before = log.size_bytes();
    let now = Timestamp::new(1 << 40);
    let peak = resident();
    let (cpu, (time, done)) = on_cpu(|| {
        timed(|| {
            while log.maintain(now).map_err(io::Error::other)?.more {}
            Ok::<_, io::Error>(())
        })
    });
    done?;
    let after = log.size_bytes();
    let input = before as f64 / 1e6;
    let figure = format!(
        "{:.0} MB/s of input ({:.0} by CPU time), {:.0} MB to {:.0} MB, +{:.0} MiB",
        input / time.as_secs_f64(),
        input / cpu.as_secs_f64().max(1e-9),
        input,
        after as f64 / 1e6,
        mib(resident().saturating_sub(peak)),
    );
    println!(
        "{}",
        line("compaction, 1 KiB records", figure, ">= 200 MB/s")
    );
    Ok(())
}

/// What open logs cost that hold a record each and are left alone.
pub(super) fn idle(dir: &Path) -> io::Result<()> {
    let mut options = StoreOptions::default();
    options.flush = FlushMode::Os;
    let open = |store: &Store, n: usize| {
        let log = store.log(format!("idle-{n}").as_str(), LogOptions::default());
        log.map_err(io::Error::other)
    };
    let path = dir.join("idle");
    let first = Store::open(&path, options.clone()).map_err(io::Error::other)?;
    let frame = batch(1)?;
    for n in 0..IDLE {
        append_all(&open(&first.store, n)?, frames(&frame, 1))?;
    }
    assert!(first.store.close().clean);
    drop(first);
    let opened = Store::open(&path, options).map_err(io::Error::other)?;
    let before = resident();
    let logs = (0..IDLE).map(|n| open(&opened.store, n));
    let logs = logs.collect::<io::Result<Vec<_>>>()?;
    // What was not used since the last look is closed.
    for minutes in 1..4 {
        opened.store.maintain(Timestamp::new(minutes * 61_000));
    }
    let each = resident().saturating_sub(before) / IDLE as u64;
    let files = std::fs::read_dir("/proc/self/fd")?.count();
    let figure = format!("{each} bytes, {files} files open in all");
    println!(
        "{}",
        line("an idle partition", figure, "<= 2 KiB, no open file")
    );
    drop(logs);
    Ok(())
}

/// The memory of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
