use std::io::IoSlice;
use std::path::Path;

use super::*;

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn put(vfs: &MemVfs, name: &str, position: u64, data: &[u8]) -> Arc<dyn File> {
    let file = vfs.open(path(name), OpenMode::Create).unwrap();
    file.write_all_at(&mut [IoSlice::new(data)], position)
        .unwrap();
    file
}

fn get(vfs: &MemVfs, name: &str) -> Option<Vec<u8>> {
    let file = vfs.open(path(name), OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

#[test]
fn a_file_without_its_directory_synced_is_lost() {
    let vfs = MemVfs::new();
    put(&vfs, "/a", 0, b"data").sync_data().unwrap();
    assert_eq!(get(&vfs.crash(&CrashPlan::SYNCED_ONLY), "/a"), None);
    vfs.sync_dir(path("/")).unwrap();
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&image, "/a").unwrap(), b"data");
}

#[test]
fn data_without_a_sync_is_lost() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, b"first");
    file.sync_data().unwrap();
    vfs.sync_dir(path("/")).unwrap();
    put(&vfs, "/a", 0, b"SECOND");
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&image, "/a").unwrap(), b"first");
    let killed = vfs.crash(&CrashPlan::EVERYTHING);
    assert_eq!(get(&killed, "/a").unwrap(), b"SECOND");
    assert_eq!(get(&vfs, "/a").unwrap(), b"SECOND");
}

#[test]
fn operations_past_the_stop_fail_and_change_nothing() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, b"one");
    assert_eq!(vfs.operations(), 2);
    vfs.stop_after(3);
    file.sync_data().unwrap();
    assert!(file.write_at(&[IoSlice::new(b"two")], 0).is_err());
    assert!(vfs.open(path("/b"), OpenMode::Create).is_err());
    assert!(vfs.remove_file(path("/a")).is_err());
    assert_eq!(vfs.operations(), 3);
    assert_eq!(get(&vfs, "/a").unwrap(), b"one");
    assert_eq!(vfs.list(path("/")).unwrap().len(), 1);
}

#[test]
fn a_fork_and_its_original_go_separate_ways() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, &[7; 100_000]);
    let fork = vfs.fork();
    file.write_all_at(&mut [IoSlice::new(b"x")], 50_000)
        .unwrap();
    put(&fork, "/a", 100_000, b"y");
    assert_eq!(get(&vfs, "/a").unwrap()[50_000], b'x');
    assert_eq!(get(&vfs, "/a").unwrap().len(), 100_000);
    assert_eq!(get(&fork, "/a").unwrap()[50_000], 7);
    assert_eq!(get(&fork, "/a").unwrap().len(), 100_001);
    // What was not durable is not durable in the copy either.
    assert_eq!(get(&fork.crash(&CrashPlan::SYNCED_ONLY), "/a"), None);
}
