//! The log over a file system in memory.

mod crash;
mod faults;
mod files;
mod model;
mod reading;
mod real;
mod recovery;
mod seals;

use super::kit::{self, Kit, closed};
use super::{Bound, Known};
use crate::Offset;

/// Checks the files of a closed log that starts at 0.
pub(super) fn check_files(vfs: &dyn crate::vfs::Vfs, log_dir: &std::path::Path) {
    files::check(vfs, log_dir, Offset::ZERO);
}

#[test]
fn appends_and_reads_back() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    assert!(!log.has_dir());
    assert_eq!(log.put(&["a", "b"]).base_offset, Offset::new(0));
    let second = log.put(&["c"]);
    assert_eq!((second.base_offset.get(), second.end.get()), (2, 3));
    assert_eq!(log.ends().durable, Offset::ZERO);
    assert_eq!(log.values(0, Bound::Durable), []);
    let all = [
        (0, "a".to_owned()),
        (1, "b".to_owned()),
        (2, "c".to_owned()),
    ];
    assert_eq!(log.values(0, Bound::LogEnd), all);
    kit.flusher.flush().unwrap();
    assert_eq!(log.ends().durable, Offset::new(3));
    assert_eq!(log.values(0, Bound::Durable), all);
    assert_eq!(log.values(1, Bound::Durable), all[1..]);
    assert_eq!(log.values(0, Bound::Until(Offset::new(2))), all[..2]);
    assert_eq!(kit.flusher.reserved(), 0);
}

#[test]
fn goes_on_after_a_clean_stop() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    let before = log.values(0, Bound::LogEnd);
    let known = closed(&log);
    drop(log);
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(
        report,
        super::LogRecovery::default(),
        "nothing was to be recovered"
    );
    assert_eq!(log.ends().end, Offset::new(60));
    assert_eq!(log.values(0, Bound::Durable), before);
    log.fill(60);
    assert_eq!(log.values(0, Bound::LogEnd).len(), 120);
}

#[test]
fn goes_on_after_a_kill() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    let before = log.values(0, Bound::LogEnd);
    drop(log);
    let (log, report) = kit.try_open(&kit.known()).unwrap();
    assert_eq!(report.cut, None);
    assert_eq!(log.ends().end, Offset::new(60));
    assert_eq!(log.values(0, Bound::Durable), before);
    let _ = kit::id();
}
