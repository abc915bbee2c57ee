//! A start after a clean stop: what it takes without looking, and what keeps it from doing so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::kit::{
    DIR, append, id, log, log_options, open, small, texts, topic, values, world, written,
};
use crate::vfs::{DirEntry, File, FileLock, MemVfs, OpenMode, Space, Stat, Vfs};
use crate::{Log, Offset, Store, Timestamp};

/// Notes which files are opened, looked at and listed.
#[derive(Clone, Debug)]
struct Watched {
    vfs: MemVfs,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    fn new(vfs: &MemVfs) -> Self {
        Self {
            vfs: vfs.clone(),
            seen: Arc::default(),
        }
    }

    fn note(&self, what: &str, path: &Path) {
        let path = path.strip_prefix(DIR).unwrap_or(path);
        self.seen.lock().push(format!("{what} {}", path.display()));
    }

    /// What was done in the directory of log `name` since the last call.
    fn of(&self, name: &str) -> Vec<String> {
        let mut seen = std::mem::take(&mut *self.seen.lock());
        seen.retain(|line| line.contains(&format!("kafka/{name}-0")));
        seen
    }
}

impl Vfs for Watched {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.note("open", path);
        self.vfs.open(path, mode)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.note("list", dir);
        self.vfs.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.note("stat", path);
        self.vfs.stat(path)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.vfs.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.vfs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.note("remove", path);
        self.vfs.remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.vfs.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.vfs.sync_dir(dir)
    }

    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        self.vfs.sync_all(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.vfs.lock(path)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.vfs.space(dir)
    }
}

fn log_of(store: &Store, name: &str) -> Log {
    let options = log_options(Some(topic(1)));
    store.log(name, options).expect("the log opens")
}

/// A store that was stopped cleanly with a log of three segments.
fn stopped() -> (MemVfs, Vec<(i64, String)>) {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let log = log_of(&store, "a");
    for number in 0..10 {
        let record = super::kit::record(&format!("r{number}"), 1000);
        log.append(&[record], written()).unwrap();
    }
    let values = values(&log);
    assert!(store.close().clean);
    (vfs, values)
}

/// What opening the log of [`stopped`] does in its directory, and what the log has then.
fn reopened(vfs: &MemVfs) -> (Vec<String>, Vec<(i64, String)>, Store) {
    let watched = Watched::new(vfs);
    let store = Store::open_in(world(watched.clone()), DIR, small())
        .unwrap()
        .store;
    assert!(store.was_clean());
    let log = log_of(&store, "a");
    let seen = watched.of("a");
    (seen, values(&log), store)
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn overwrite(vfs: &MemVfs, name: &str, bytes: &[u8]) {
    crate::checkpoint::write_atomically(vfs, &path(name), bytes).unwrap();
}

#[test]
fn a_clean_open_touches_no_segment_data() {
    let (vfs, before) = stopped();
    let (seen, after, store) = reopened(&vfs);
    // The last segment's length, and nothing else.
    assert_eq!(seen, ["stat kafka/a-0/00000000000000000009.log"]);
    assert_eq!(after, before);
    let log = log_of(&store, "a");
    assert_eq!(append(&log, "more").unwrap().base_offset, Offset::new(10));
    assert!(store.close().clean);
    let (seen, after, _store) = reopened(&vfs);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(after.len(), 11);
}

#[test]
fn a_log_that_nobody_opened_stays_as_it_was_left() {
    let (vfs, before) = stopped();
    for _ in 0..2 {
        let store = open(&vfs);
        append(&log(&store, "other"), "x").unwrap();
        assert!(store.close().clean);
    }
    let (seen, after, _store) = reopened(&vfs);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(after, before);
}

#[test]
fn epochs_and_producers_are_what_they_were() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let log = log_of(&store, "a");
    let batch = |sequence| {
        let options = crate::BatchOptions {
            producer_id: crate::ProducerId::new(7),
            producer_epoch: crate::ProducerEpoch::new(0),
            base_sequence: crate::Sequence::new(sequence),
            ..crate::BatchOptions::default()
        };
        let record = crate::Record::new("x").with_timestamp(Timestamp::new(1));
        let bytes = crate::build_batch(&[record], &options).unwrap();
        crate::ValidBatches::parse(bytes, &crate::Limits::default()).unwrap()
    };
    let lead = |epoch| crate::LeaderAppend::new(Timestamp::new(1), crate::LeaderEpoch::new(epoch));
    log.append_as_leader(batch(0), &lead(3)).unwrap();
    log.append_as_leader(batch(1), &lead(5)).unwrap();
    assert!(store.close().clean);
    let (seen, _, store) = reopened(&vfs);
    assert_eq!(seen.len(), 1, "{seen:?}");
    let log = log_of(&store, "a");
    assert_eq!(
        log.epoch_of(Offset::new(0)),
        Some(crate::LeaderEpoch::new(3))
    );
    assert_eq!(
        log.epoch_of(Offset::new(1)),
        Some(crate::LeaderEpoch::new(5))
    );
    let again = log.append_as_leader(batch(1), &lead(5)).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.base_offset, Offset::new(1));
}

#[test]
fn what_kafka_left_is_read() {
    let (vfs, before) = stopped();
    let mark = br#"{"version":0,"brokerEpoch":12}"#;
    overwrite(&vfs, "kafka/.kafka_cleanshutdown", mark);
    let (seen, after, _store) = reopened(&vfs);
    let opened = |name: &str| seen.contains(&format!("open kafka/a-0/{name}"));
    assert!(opened("leader-epoch-checkpoint"), "{seen:?}");
    assert!(opened("00000000000000000010.snapshot"), "{seen:?}");
    assert_eq!(after, before);
}

#[test]
fn a_file_of_another_length_is_read() {
    let (vfs, before) = stopped();
    let last = path("kafka/a-0/00000000000000000009.log");
    let file = vfs.open(&last, OpenMode::Write).unwrap();
    file.set_len(file.len().unwrap() / 2).unwrap();
    let (seen, after, _store) = reopened(&vfs);
    assert!(seen.len() > 1, "{seen:?}");
    // One record is lost and the log says so: it is not taken for a torn tail.
    assert_eq!(after, before[..9]);
}

#[test]
fn a_damaged_note_costs_time_alone() {
    let (vfs, before) = stopped();
    overwrite(&vfs, "ottla/stopped", b"nonsense");
    let (seen, after, store) = reopened(&vfs);
    assert!(seen.len() > 1, "{seen:?}");
    assert_eq!(after, before);
    let report = store.report();
    assert!(report.unreadable[0].contains("stopped"), "{report:?}");
}

#[test]
fn another_topic_of_the_name_does_not_get_the_log() {
    let (vfs, _) = stopped();
    let store = open(&vfs);
    let other = store.log("a", log_options(Some(topic(2)))).unwrap();
    assert_eq!(texts(&other), [""; 0]);
    assert!(store.report().logs[&id("a")].set_aside.is_some());
}

#[test]
fn an_epoch_without_a_batch_is_written_once() {
    let vfs = MemVfs::new();
    let store = open(&vfs);
    let log = log_of(&store, "a");
    append(&log, "one").unwrap();
    log.assign_epoch(crate::LeaderEpoch::new(9), Offset::new(1));
    assert!(store.close().clean);
    drop((log, store));
    for _ in 0..2 {
        let watched = Watched::new(&vfs);
        let world = world(watched.clone());
        let store = Store::open_in(world, DIR, small()).unwrap().store;
        let log = log_of(&store, "a");
        // As a broker does that leads it again.
        log.assign_epoch(crate::LeaderEpoch::new(9), Offset::new(1));
        assert_eq!(log.latest_epoch(), Some(crate::LeaderEpoch::new(9)));
        // The clean mark goes, so that the stop has something to do.
        append(&super::kit::log(&store, "other"), "x").unwrap();
        assert!(store.close().clean);
        let mut seen = watched.of("a");
        seen.retain(|line| line.contains("leader-epoch-checkpoint"));
        assert_eq!(seen, [""; 0]);
    }
}
