use std::io::{ErrorKind, IoSlice};

use super::*;
use crate::vfs::{CrashPlan, MemVfs};

const EIO: Option<i32> = Some(5);

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn create(vfs: &dyn Vfs, name: &str) -> Arc<dyn File> {
    vfs.open(path(name), OpenMode::Create).unwrap()
}

#[test]
fn only_the_call_that_the_rule_names_fails() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    vfs.inject(Rule::new(Fault::Io).on(Operation::Write).at("*.log").nth(1));
    let (log, index) = (create(&vfs, "/a.log"), create(&vfs, "/a.index"));
    let write = |file: &Arc<dyn File>| file.write_at(&[IoSlice::new(b"x")], 0);
    write(&log).unwrap();
    write(&index).unwrap();
    assert_eq!(write(&log).unwrap_err().raw_os_error(), EIO);
    write(&log).unwrap();
    let faults: Vec<_> = vfs.calls().into_iter().map(|call| call.fault).collect();
    let io = Some(Fault::Io);
    assert_eq!(faults, [None, None, None, None, io, None]);
    assert_eq!(vfs.calls()[4].operation, Operation::Write);
    assert_eq!(vfs.calls()[4].path, path("/a.log"));
}

#[test]
fn the_device_is_full_until_it_is_freed() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let file = create(&vfs, "/a");
    vfs.inject(Rule::new(Fault::NoSpace));
    let full = |result: io::Result<()>| result.unwrap_err().kind() == ErrorKind::StorageFull;
    assert!(full(file.write_at(&[IoSlice::new(b"x")], 0).map(drop)));
    assert!(full(file.set_len(9)));
    assert!(full(vfs.create_dir(path("/d"))));
    assert!(full(vfs.open(path("/b"), OpenMode::Create).map(drop)));
    assert_eq!(file.len().unwrap(), 0);
    file.sync_data().unwrap();
    vfs.free_space();
    file.set_len(9).unwrap();
}

#[test]
fn short_and_interrupted_calls_are_finished_by_the_helpers() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    vfs.inject(Rule::new(Fault::Interrupted).on(Operation::Write).nth(1));
    vfs.inject(Rule::new(Fault::Interrupted).on(Operation::Read).nth(0));
    vfs.inject(Rule::new(Fault::Short(2)));
    let file = create(&vfs, "/a");
    let parts: [&[u8]; 3] = [b"abc", b"", b"defg"];
    let written = file.write_at(&parts.map(IoSlice::new), 0).unwrap();
    assert_eq!(written, 2);
    file.write_all_at(&mut parts.map(IoSlice::new), 0).unwrap();
    let mut bytes = [0; 7];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"abcdefg");
    let writes = vfs.calls().into_iter();
    let writes = writes.filter(|call| call.operation == Operation::Write);
    // The first, the interrupted one, and 2 + 2 + 2 + 1 bytes.
    assert_eq!(writes.count(), 6);
}

#[test]
fn a_lost_sync_stays_lost() {
    let mem = MemVfs::new();
    let vfs = FaultVfs::over(Arc::new(mem.clone()));
    let file = create(&vfs, "/a");
    vfs.sync_dir(path("/")).unwrap();
    file.write_at(&[IoSlice::new(b"x")], 0).unwrap();
    vfs.inject(Rule::new(Fault::LostSync).on(Operation::SyncData).nth(0));
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), EIO);
    file.sync_data().unwrap();
    assert_eq!(file.len().unwrap(), 1);
    let durable_len = |name| {
        let image = mem.crash(&CrashPlan::SYNCED_ONLY);
        image.stat(path(name)).unwrap().unwrap().len
    };
    assert_eq!(durable_len("/a"), 0);
    vfs.rename(path("/a"), path("/b")).unwrap();
    vfs.sync_dir(path("/")).unwrap();
    let file = vfs.open(path("/b"), OpenMode::Write).unwrap();
    file.sync_data().unwrap();
    assert_eq!(durable_len("/b"), 0);
    file.set_len(0).unwrap();
    file.write_at(&[IoSlice::new(b"x")], 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(durable_len("/b"), 1);
}

#[test]
fn calls_out_of_file_descriptors_fail() {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    vfs.inject(Rule::new(Fault::TooManyOpen).from(1));
    create(&vfs, "/a");
    let refused = vfs.open(path("/a"), OpenMode::Read);
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(24));
    vfs.stat(path("/a")).unwrap();
    vfs.heal();
    vfs.open(path("/a"), OpenMode::Read).unwrap();
}

#[test]
fn a_call_that_stalls_waits_until_it_may_go_on() {
    const LIMIT: Duration = Duration::from_secs(30);
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    create(&vfs, "/a");
    assert!(!vfs.await_stall(Duration::ZERO));
    vfs.inject(Rule::new(Fault::Stall).on(Operation::Rename).nth(1));
    vfs.rename(path("/a"), path("/b")).unwrap();
    std::thread::scope(|scope| {
        let renames = scope.spawn(|| vfs.rename(path("/b"), path("/c")));
        assert!(vfs.await_stall(LIMIT));
        // Nothing is done yet, and whoever else comes is not held up.
        let there = |name| vfs.stat(path(name)).unwrap().is_some();
        assert!(there("/b") && !there("/c"));
        vfs.rename(path("/b"), path("/d")).unwrap();
        vfs.go_on();
        let late = renames.join().unwrap();
        assert_eq!(late.unwrap_err().kind(), ErrorKind::NotFound);
    });
    assert!(!vfs.await_stall(Duration::ZERO));
}
