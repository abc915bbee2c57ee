//! What the tests of a store share.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::vfs::{DirEntry, File, FileLock, MemVfs, OpenMode, Space, Stat, Vfs};
use crate::{
    AppendError, AppendOptions, Appended, Bound, Condition, Durability, FlushMode, Log, LogConfig,
    LogId, LogOptions, Offset, Record, SeededEntropy, Store, StoreOptions, TestClock, Timestamp,
    TopicId, TopicName, World,
};

pub(in crate::store) const DIR: &str = "/data";

/// A world over `vfs` in which nothing is left to chance.
pub(in crate::store) fn world(vfs: impl Vfs + 'static) -> World {
    World {
        vfs: Arc::new(vfs),
        clock: Arc::new(TestClock::frozen()),
        entropy: Arc::new(SeededEntropy::new(7)),
    }
}

/// Options under which everything happens soon.
pub(in crate::store) fn small() -> StoreOptions {
    StoreOptions {
        journal_area_bytes_max: 56 << 10,
        direct_bytes_min: 16 << 10,
        ..StoreOptions::default()
    }
}

pub(in crate::store) fn open(vfs: &MemVfs) -> Store {
    open_with(vfs, small())
}

pub(in crate::store) fn open_with(vfs: &MemVfs, options: StoreOptions) -> Store {
    let opened = Store::open_in(world(vfs.clone()), DIR, options);
    opened.expect("the store opens").store
}

pub(in crate::store) fn id(name: &str) -> LogId {
    LogId::new(TopicName::new(name).unwrap(), 0)
}

pub(in crate::store) fn topic(number: u8) -> TopicId {
    TopicId::from_bytes([number; 16])
}

/// Segments of 4 KiB.
pub(in crate::store) fn log_options(topic_id: Option<TopicId>) -> LogOptions {
    LogOptions {
        topic_id,
        config: LogConfig {
            segment_bytes: 4096,
            index_interval_bytes: 100,
            file_delete_delay: std::time::Duration::ZERO,
            ..LogConfig::default()
        },
    }
}

pub(in crate::store) fn log(store: &Store, name: &str) -> Log {
    store.log(name, log_options(None)).expect("the log opens")
}

/// Options for an append that returns once it is written.
pub(in crate::store) fn written() -> AppendOptions {
    AppendOptions {
        durability: Durability::Written,
        ..AppendOptions::default()
    }
}

/// A record that names itself, `len` bytes and more.
pub(in crate::store) fn record(text: &str, len: usize) -> Record {
    let dots = len.saturating_sub(text.len());
    Record::new(format!("{text}{}", ".".repeat(dots)))
}

pub(in crate::store) fn append(log: &Log, text: &str) -> Result<Appended, AppendError> {
    log.append(&[record(text, 10)], AppendOptions::default())
}

/// The offsets and values of all records below the log end.
pub(in crate::store) fn values(log: &Log) -> Vec<(i64, String)> {
    let start = log.ends().start;
    let records = log.records_until(start, Bound::LogEnd);
    let records = records.map(|record| record.expect("the log can be read"));
    records
        .filter(|record| record.offset >= start)
        .map(|record| {
            let value = record.value.expect("the tests' records have a value");
            let text = String::from_utf8(value.to_vec()).unwrap();
            (record.offset.get(), text.trim_end_matches('.').to_owned())
        })
        .collect()
}

/// The values of all records below the log end.
pub(in crate::store) fn texts(log: &Log) -> Vec<String> {
    values(log).into_iter().map(|(_, text)| text).collect()
}

/// Does background work until there is none left.
pub(in crate::store) fn maintain(store: &Store) {
    for _ in 0..1000 {
        if !store.maintain(Timestamp::new(0)).more {
            return;
        }
    }
    panic!("the background work does not end");
}

/// Fills some segments, and does what is due in the minutes after: those that ended are sealed.
pub(in crate::store) fn fill(store: &Store, log: &Log) {
    for number in 0..40 {
        let record = record(&number.to_string(), 500);
        log.append(&[record], written())
            .expect("there is room for it");
    }
    store.flush().expect("the disk works");
    for minute in 1..4 {
        let now = Timestamp::new(minute * 60_000);
        while store.maintain(now).more {}
        while log.maintain(now).expect("the disk works").more {}
    }
}

/// Every file below `DIR` with its bytes, for comparing.
pub(in crate::store) fn image(vfs: &MemVfs) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![std::path::PathBuf::from(DIR)];
    while let Some(dir) = dirs.pop() {
        for entry in vfs.list(&dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                dirs.push(path);
                continue;
            }
            let file = vfs.open(&path, OpenMode::Read).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            files.insert(path.to_string_lossy().into_owned(), bytes);
        }
    }
    files
}

pub(in crate::store) fn os() -> StoreOptions {
    StoreOptions {
        flush: FlushMode::Os,
        ..small()
    }
}

pub(in crate::store) fn next(offset: i64) -> AppendOptions {
    AppendOptions {
        condition: Condition::NextOffset(Offset::new(offset)),
        ..AppendOptions::default()
    }
}

/// A file system of a platform that cannot sync everything in one go.
#[derive(Clone, Debug)]
pub(in crate::store) struct Portable<V>(pub(in crate::store) V);

impl<V: Vfs> Vfs for Portable<V> {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.0.open(path, mode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.0.stat(path)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn sync_all(&self, _: &Path) -> io::Result<bool> {
        Ok(false)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.0.lock(path)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.0.space(dir)
    }
}
