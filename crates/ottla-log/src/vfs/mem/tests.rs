//! Durability, crashes and forks. What a file system does while nothing crashes is the
//! conformance suite's.

mod model;

use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::path::Path;

use super::content::PAGE;
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

#[test]
fn a_removed_file_comes_back_until_its_directory_is_synced() {
    let vfs = MemVfs::new();
    put(&vfs, "/a", 0, b"data").sync_data().unwrap();
    vfs.sync_dir(path("/")).unwrap();
    vfs.remove_file(path("/a")).unwrap();
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&image, "/a").unwrap(), b"data");
    vfs.sync_dir(path("/")).unwrap();
    assert_eq!(get(&vfs.crash(&CrashPlan::SYNCED_ONLY), "/a"), None);
}

#[test]
fn a_replacing_rename_leaves_the_old_file_or_the_new() {
    let vfs = MemVfs::new();
    put(&vfs, "/a", 0, b"old").sync_data().unwrap();
    put(&vfs, "/a.tmp", 0, b"new").sync_data().unwrap();
    vfs.sync_dir(path("/")).unwrap();
    vfs.rename(path("/a.tmp"), path("/a")).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let image = vfs.crash(&CrashPlan::torn(seed));
        seen.insert((get(&image, "/a"), get(&image, "/a.tmp")));
    }
    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    let before = (old, new.clone());
    assert_eq!(seen, BTreeSet::from([before, (new.clone(), None)]));
    vfs.sync_dir(path("/")).unwrap();
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&image, "/a"), new);
}

#[test]
fn a_rename_into_an_unsynced_directory_can_lose_the_file() {
    let vfs = MemVfs::new();
    vfs.create_dir(path("/d")).unwrap();
    put(&vfs, "/a", 0, b"data").sync_data().unwrap();
    vfs.sync_dir(path("/")).unwrap();
    vfs.rename(path("/a"), path("/d/a")).unwrap();
    let places = |vfs: &MemVfs| {
        let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
        (get(&image, "/a").is_some(), get(&image, "/d/a").is_some())
    };
    assert_eq!(places(&vfs), (true, false));
    let other = vfs.fork();
    vfs.sync_dir(path("/")).unwrap();
    assert_eq!(places(&vfs), (false, false));
    other.sync_dir(path("/d")).unwrap();
    assert_eq!(places(&other), (true, true));
    other.sync_dir(path("/")).unwrap();
    assert_eq!(places(&other), (false, true));
}

#[test]
fn a_new_directory_is_lost_with_all_in_it() {
    let vfs = MemVfs::new();
    vfs.create_dir(path("/d")).unwrap();
    put(&vfs, "/d/a", 0, b"data").sync_data().unwrap();
    vfs.sync_dir(path("/d")).unwrap();
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert!(image.list(path("/")).unwrap().is_empty());
    vfs.sync_dir(path("/")).unwrap();
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&image, "/d/a").unwrap(), b"data");
}

#[test]
fn an_open_file_is_synced_under_whatever_name_it_has() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, b"data");
    vfs.rename(path("/a"), path("/b")).unwrap();
    vfs.sync_dir(path("/")).unwrap();
    file.sync_data().unwrap();
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&image, "/b").unwrap(), b"data");
}

#[test]
fn everything_is_durable_after_a_sync_of_all() {
    let vfs = MemVfs::new();
    vfs.create_dir(path("/d")).unwrap();
    put(&vfs, "/d/a", 0, b"data");
    assert!(vfs.sync_all(path("/")).unwrap());
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&image, "/d/a").unwrap(), b"data");
}

#[test]
fn torn_tails_come_in_all_forms() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, b"");
    vfs.sync_dir(path("/")).unwrap();
    file.write_all_at(&mut [IoSlice::new(&[1; 5 * 4096])], 0)
        .unwrap();
    let (mut lost, mut whole, mut holes, mut cuts, mut grown) = Default::default();
    for seed in 0..128 {
        let plan = CrashPlan {
            names: Keep::Nothing,
            ..CrashPlan::torn(seed)
        };
        let bytes = get(&vfs.crash(&plan), "/a").unwrap();
        for block in bytes.chunks(plan.block) {
            let kept = block[0];
            assert!(kept <= 1 && block.iter().all(|b| *b == kept), "torn block");
        }
        let first_zero = bytes.iter().position(|b| *b == 0);
        lost |= bytes.is_empty();
        whole |= bytes.len() == 5 * 4096 && first_zero.is_none();
        // A later block survived an earlier one.
        holes |= first_zero.is_some_and(|zero| bytes[zero..].contains(&1));
        cuts |= first_zero.is_none() && (1..5 * 4096).contains(&bytes.len());
        // The length survived its last block.
        grown |= bytes.len() == 5 * 4096 && bytes.last() == Some(&0);
        // The same plan leaves the same bytes.
        assert_eq!(get(&vfs.crash(&plan), "/a").unwrap(), bytes);
    }
    assert!(lost && whole && holes && cuts && grown);
}

#[test]
fn a_cut_survives_or_does_not() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, &[1; 3 * 4096]);
    file.sync_data().unwrap();
    vfs.sync_dir(path("/")).unwrap();
    file.set_len(100).unwrap();
    let torn = |seed| get(&vfs.crash(&CrashPlan::torn(seed)), "/a").unwrap();
    let left: BTreeSet<_> = (0..64).map(torn).collect();
    assert!(left.iter().all(|bytes| bytes.iter().all(|b| *b == 1)));
    let lens: BTreeSet<_> = left.iter().map(Vec::len).collect();
    assert!(lens.contains(&100) && lens.contains(&(3 * 4096)) && lens.len() > 2);
}

#[test]
fn a_fork_crashes_as_its_original_would() {
    let vfs = MemVfs::new();
    for name in ["/a", "/b", "/c", "/d"] {
        put(&vfs, name, 0, &[1; 3 * 4096]);
    }
    vfs.rename(path("/c"), path("/e")).unwrap();
    let fork = vfs.fork();
    for seed in 0..16 {
        let plan = CrashPlan::torn(seed);
        let (image, other) = (vfs.crash(&plan), fork.crash(&plan));
        for name in ["/a", "/b", "/c", "/d", "/e"] {
            assert_eq!(get(&image, name), get(&other, name));
        }
    }
}

#[test]
fn overwritten_blocks_survive_one_by_one() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, &[1; 4 * PAGE]);
    file.sync_data().unwrap();
    vfs.sync_dir(path("/")).unwrap();
    file.write_all_at(&mut [IoSlice::new(&[2; PAGE])], 1_000)
        .unwrap();
    let mut mixed = false;
    for seed in 0..32 {
        let bytes = get(&vfs.crash(&CrashPlan::torn(seed)), "/a").unwrap();
        assert_eq!(bytes.len(), 4 * PAGE);
        assert!(bytes[..1_000].iter().all(|b| *b == 1));
        assert!(bytes[1_000 + PAGE..].iter().all(|b| *b == 1));
        let new = bytes.iter().filter(|b| **b == 2).count();
        mixed |= (1..PAGE).contains(&new);
    }
    assert!(mixed);
}

#[test]
fn a_crash_image_is_durable_and_free_of_locks_and_stops() {
    let vfs = MemVfs::new();
    let _held = vfs.lock(path("/lock")).unwrap();
    put(&vfs, "/a", 0, b"data");
    vfs.stop_after(0);
    let image = vfs.crash(&CrashPlan::EVERYTHING);
    let again = image.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&again, "/a").unwrap(), b"data");
    assert_eq!(image.operations(), 0);
    image.lock(path("/lock")).unwrap();
    put(&image, "/b", 0, b"x");
}

#[test]
fn a_volatile_one_keeps_all_and_holds_nothing_back() {
    let vfs = MemVfs::volatile();
    put(&vfs, "/a", 0, b"one");
    put(&vfs, "/a", 1, b"two");
    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
    assert_eq!(get(&image, "/a").unwrap(), b"otwo");
    let node = find_file(&vfs.shared.names.lock().root, path("/a")).unwrap();
    vfs.remove_file(path("/a")).unwrap();
    assert_eq!(Arc::strong_count(&node), 1, "nothing else holds the file");
}

#[test]
fn space_is_what_named_files_leave() {
    let vfs = MemVfs::new().with_space(100);
    let usable = |vfs: &MemVfs| vfs.space(path("/")).unwrap().usable;
    let file = put(&vfs, "/a", 0, &[1; 60]);
    assert_eq!(usable(&vfs), 40);
    let full = file.write_at(&[IoSlice::new(&[1; 41])], 60).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    let full = file.set_len(101).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 60);
    // Overwriting needs no space.
    file.write_all_at(&mut [IoSlice::new(&[2; 60])], 0).unwrap();
    file.set_len(10).unwrap();
    put(&vfs, "/b", 0, &[1; 90]);
    assert_eq!(usable(&vfs), 0);
    assert_eq!(usable(&vfs.fork()), 0);
    // Nothing was durable.
    assert_eq!(usable(&vfs.crash(&CrashPlan::SYNCED_ONLY)), 100);
    vfs.rename(path("/a"), path("/b")).unwrap();
    assert_eq!(usable(&vfs), 90);
    vfs.remove_file(path("/b")).unwrap();
    assert_eq!(usable(&vfs), 100);
    // Who has the file open may go on writing; it no longer counts.
    file.set_len(50).unwrap();
    assert_eq!(usable(&vfs), 100);
}

#[test]
fn a_refused_write_gives_its_space_back() {
    let vfs = MemVfs::new().with_space(100);
    let file = put(&vfs, "/a", 0, &[1; 60]);
    vfs.stop_after(vfs.operations());
    assert!(file.write_at(&[IoSlice::new(&[1; 20])], 60).is_err());
    assert!(file.set_len(90).is_err());
    assert!(file.set_len(0).is_err());
    assert_eq!(vfs.space(path("/")).unwrap().usable, 40);
}

#[test]
fn copies_share_pages_until_they_write() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, &[1; 4 * PAGE]);
    file.sync_data().unwrap();
    vfs.sync_dir(path("/")).unwrap();
    let start = |vfs: &MemVfs, page: usize| {
        let file = vfs.open(path("/a"), OpenMode::Read).unwrap();
        let range = file.range((page * PAGE) as u64, 1).unwrap();
        let crate::vfs::FileRange::Chunks(chunks) = range else {
            panic!("memory has no file descriptor");
        };
        chunks[0].as_ptr()
    };
    let (fork, image) = (vfs.fork(), vfs.crash(&CrashPlan::SYNCED_ONLY));
    put(&fork, "/a", 0, b"x");
    assert_eq!(start(&vfs, 0), start(&image, 0));
    assert_ne!(start(&vfs, 0), start(&fork, 0));
    assert_eq!(start(&vfs, 3), start(&fork, 3));
}

#[test]
fn a_reader_of_the_tail_does_not_make_appends_copy_it() {
    let vfs = MemVfs::new();
    let file = put(&vfs, "/a", 0, &[1; PAGE + 100]);
    let node = find_file(&vfs.shared.names.lock().root, path("/a")).unwrap();
    let tail = || Arc::as_ptr(&node.state.read().live().page(1).unwrap());
    let before = tail();
    let held = file.range(0, PAGE as u64 + 100).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"x")], PAGE as u64 + 100)
        .unwrap();
    assert_eq!(tail(), before);
    drop(held);
}

#[test]
fn times_of_change_come_from_the_clock() {
    let clock = crate::TestClock::frozen_at(Timestamp::new(5_000));
    let vfs = MemVfs::new().with_clock(Arc::new(clock.clone()));
    let file = put(&vfs, "/a", 0, b"data");
    clock.advance(std::time::Duration::from_secs(1));
    let modified = || vfs.stat(path("/a")).unwrap().unwrap().modified.get();
    assert_eq!(modified(), 5_000);
    file.set_len(1).unwrap();
    assert_eq!(modified(), 6_000);
}

#[test]
fn paths_that_climb_are_refused() {
    let vfs = MemVfs::new();
    let climbed = vfs.open(path("/d/../a"), OpenMode::Create);
    assert_eq!(climbed.unwrap_err().kind(), ErrorKind::InvalidInput);
    put(&vfs, "relative", 0, b"data");
    assert_eq!(get(&vfs, "/./relative").unwrap(), b"data");
}
