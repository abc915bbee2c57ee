//! Any change to a store's directory, for the fuzz target and the property test.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes};

pub(crate) use super::journal::fuzz::scan;
use super::{Store, StoreOptions, World};
use crate::log::Bound;
use crate::vfs::{File, MemVfs, OpenMode, Vfs};
use crate::{
    AppendOptions, LogConfig, LogOptions, Offset, Record, SeededEntropy, TestClock, Timestamp,
};

const DIR: &str = "/data";

/// Opens a store whose files were changed as `bytes` say, and reads everything in it. What is
/// read once is read again after another stop without a warning.
pub(crate) fn recovery(bytes: &[u8]) {
    let (vfs, files) = valid();
    let vfs = vfs.fork();
    // Whatever cannot be done leaves the files as they are.
    let _ = change(&vfs, files, bytes);
    let Some(first) = read(&vfs) else { return };
    for (log, records) in &first {
        for (offset, value) in records.iter().flatten() {
            // No change makes a checksum right, so what is read was written.
            let is_written = value.as_ref().is_some_and(|value| value[..] == [b'.'; 300]);
            assert!(is_written, "{log} has something else at {offset}");
        }
    }
    let second = read(&vfs.fork()).expect("what was recovered opens again");
    assert_eq!(first, second, "a second recovery reads something else");
}

/// A store that stopped without closing, with closed segments, indexes, snapshots, checkpoints and
/// a journal of which a part is not in the files yet; and all its files.
fn valid() -> &'static (MemVfs, Vec<PathBuf>) {
    static VALID: OnceLock<(MemVfs, Vec<PathBuf>)> = OnceLock::new();
    VALID.get_or_init(|| {
        let vfs = MemVfs::new();
        let store = Store::open_in(world(&vfs), DIR, options()).expect("an empty disk");
        for round in 0..12_u8 {
            for name in ["a", "b"] {
                let log = store.store.log(name, log_options()).expect("a valid log");
                let record = Record::new(vec![b'.'; 300]).with_key([round].to_vec());
                let appended = log.append(&[record], AppendOptions::default());
                appended.expect("a disk in memory takes all");
            }
            if round == 8 {
                store.store.maintain(Timestamp::new(1 << 40));
            }
        }
        let stopped = vfs.fork();
        let mut files = Vec::new();
        list(&stopped, Path::new(DIR), &mut files).expect("the directory is there");
        (stopped, files)
    })
}

fn world(vfs: &MemVfs) -> World {
    World {
        vfs: Arc::new(vfs.clone()),
        clock: Arc::new(TestClock::frozen()),
        entropy: Arc::new(SeededEntropy::new(7)),
    }
}

fn options() -> StoreOptions {
    StoreOptions {
        journal_area_bytes_max: 64 << 10,
        ..StoreOptions::default()
    }
}

fn log_options() -> LogOptions {
    LogOptions {
        topic_id: None,
        config: LogConfig {
            segment_bytes: 1024,
            segment_index_bytes: 1200,
            index_interval_bytes: 100,
            ..LogConfig::default()
        },
    }
}

fn list(vfs: &MemVfs, dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in vfs.list(dir)? {
        let path = dir.join(entry.name);
        if entry.is_dir {
            list(vfs, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Changes of 5 bytes each, and what they put in: which file, what to do, where, how much.
fn change(vfs: &MemVfs, files: &[PathBuf], mut bytes: &[u8]) -> io::Result<()> {
    while bytes.len() >= 5 {
        let Some(path) = files.get(usize::from(bytes.get_u8()) % files.len().max(1)) else {
            return Ok(());
        };
        let (what, at) = (bytes.get_u8() % 6, u64::from(bytes.get_u16()));
        let len = usize::from(bytes.get_u8()).min(bytes.len());
        let (put, rest) = bytes.split_at(len);
        bytes = rest;
        if what == 0 {
            vfs.remove_file(path)?;
            continue;
        }
        let file = vfs.open(path, OpenMode::Create)?;
        let end = file.len()?;
        let at = match what {
            1 => {
                file.set_len(at.min(end))?;
                continue;
            }
            2 => end,
            3 => {
                file.set_len(0)?;
                0
            }
            // Counted from the end, where the newest is.
            4 => end.saturating_sub(at),
            _ => at.min(end),
        };
        (&*file as &dyn File).write_all_at(&mut [IoSlice::new(put)], at)?;
    }
    Ok(())
}

/// A log's name, and its records' offsets and values; an error where one cannot be read.
type Held = (String, Vec<Result<(Offset, Option<Bytes>), ()>>);

/// What all logs hold, each up to where it cannot be read; `None` where the store refuses to open.
fn read(vfs: &MemVfs) -> Option<Vec<Held>> {
    let store = Store::open_in(world(vfs), DIR, options()).ok()?.store;
    let read = |found: crate::FoundLog| {
        let log = store.log(found.id.clone(), log_options());
        let records = log.map_or_else(
            |_| vec![Err(())],
            |log| {
                let start = log.ends().start;
                let records = log.records_until(start, Bound::LogEnd);
                let shown = records.map(|r| r.map(|r| (r.offset, r.value)).map_err(drop));
                shown.collect()
            },
        );
        (found.id.to_string(), records)
    };
    let mut logs: Vec<_> = store.found().into_iter().map(read).collect();
    logs.sort_by(|a, b| a.0.cmp(&b.0));
    Some(logs)
}
