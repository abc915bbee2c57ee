//! What only the machine's file systems have. The rest is the conformance suite's.

// Which of two errors comes first differs between systems.
#[cfg(target_os = "linux")]
mod alike;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

#[test]
fn only_the_fast_way_syncs_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let fast = RealVfs::new().sync_all(dir.path()).unwrap();
    assert_eq!(fast, cfg!(target_os = "linux"));
    assert!(!RealVfs::portable().sync_all(dir.path()).unwrap());
}

#[test]
fn a_raised_limit_is_as_high_as_it_goes() {
    let raised = RealVfs::raise_open_files_limit();
    assert_eq!(raised, getrlimit(Resource::Nofile).current);
    assert_eq!(RealVfs::raise_open_files_limit(), raised);
    assert!(raised.is_none_or(|files| files > 16));
}

#[test]
fn strangers_in_a_directory_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let inside = |name: &OsStr| dir.path().join(name);
    let not_utf8 = OsStr::from_bytes(b"x\xff");
    fs::write(inside(not_utf8), b"").unwrap();
    fs::create_dir(inside(OsStr::new("dir"))).unwrap();
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, inside(OsStr::new(name))).unwrap();
    };
    link("dir", "link-to-dir");
    link("nothing", "link-to-nothing");
    let list = RealVfs::new().list(dir.path()).unwrap();
    let list: BTreeMap<_, _> = list.iter().map(|e| (e.name.as_str(), e.is_dir)).collect();
    let expected = [
        ("dir", true),
        ("link-to-dir", true),
        ("link-to-nothing", false),
        ("x\u{fffd}", false),
    ];
    assert_eq!(list, BTreeMap::from(expected));
}
