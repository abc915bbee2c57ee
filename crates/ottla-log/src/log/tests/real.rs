//! The log on the machine's own file system, by its fast paths and by the portable ones.

use std::sync::Arc;

use crate::Offset;
use crate::log::kit::{Kit, at, closed};
use crate::log::tests::files;
use crate::log::{Bound, FlushMode, Known};
use crate::vfs::{FileRange, RealVfs, Vfs};

fn lives(vfs: Arc<dyn Vfs>) {
    let dir = tempfile::tempdir().unwrap();
    let kit = Kit::at(vfs, &dir.path().join("data"), FlushMode::Sync);
    let log = kit.open(&Known::default());
    log.fill(200);
    kit.flusher.flush().unwrap();
    let written = log.values(0, Bound::Durable);
    assert_eq!(written.len(), 200);
    log.truncate_to(Offset::new(150)).unwrap();
    log.delete_records(Offset::new(40)).unwrap();
    log.fill(10);
    let slice = log.read(Offset::new(45), 4000, Bound::Durable).unwrap();
    while log.maintain(at(100_000)).unwrap().more {}
    let bytes = slice.bytes().unwrap();
    let sent = slice.file_range().unwrap();
    assert_eq!(sent.len(), bytes.len() as u64);
    if let FileRange::Chunks(chunks) = sent {
        assert_eq!(chunks.concat(), bytes);
    }
    // Killed, then stopped.
    let before = log.values(40, Bound::LogEnd);
    drop(log);
    let (log, report) = kit.try_open(&kit.known()).unwrap();
    assert_eq!((report.corrupt, report.cut), (None, None));
    assert_eq!(log.values(40, Bound::LogEnd), before);
    log.fill(60);
    let before = log.values(40, Bound::LogEnd);
    let known = closed(&log);
    files::check(kit.vfs(), &log.dir, known.log_start, true);
    drop(log);
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.checked_bytes, 0);
    assert_eq!(log.values(40, Bound::Durable), before);
    for from in 40..log.ends().end.get() {
        let slice = log.read(Offset::new(from), 1, Bound::Durable).unwrap();
        assert_eq!(slice.base_offset(), Offset::new(from));
    }
}

#[test]
fn lives_on_the_machines_disk() {
    lives(Arc::new(RealVfs::new()));
}

#[test]
fn lives_on_the_portable_paths() {
    lives(Arc::new(RealVfs::portable()));
}
