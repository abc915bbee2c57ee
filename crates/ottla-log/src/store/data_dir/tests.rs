//! Tests: what is ours, what is not, and what a refusal leaves.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::tests::kit::{DIR, image, open, small, world};
use super::*;
use crate::Store;
use crate::vfs::{Fault, FaultVfs, MemVfs, OpenMode, Rule};

fn refused(vfs: &(impl Vfs + Clone + 'static)) -> OpenError {
    Store::open_in(world(vfs.clone()), DIR, small()).expect_err("the open is refused")
}

fn put(vfs: &MemVfs, path: &str, bytes: &[u8]) {
    let path = Path::new(path);
    let mut missing: Vec<_> = path.ancestors().skip(1).collect();
    missing.reverse();
    for dir in missing {
        if vfs.stat(dir).unwrap().is_none() {
            vfs.create_dir(dir).unwrap();
        }
    }
    let file = vfs.open(path, OpenMode::Create).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(&mut [io::IoSlice::new(bytes)], 0)
        .unwrap();
}

#[test]
fn a_first_start_makes_few_and_small_files() {
    let vfs = MemVfs::new();
    drop(open(&vfs));
    let files = image(&vfs);
    let sizes: BTreeMap<&str, usize> = files
        .iter()
        .map(|(path, bytes)| (path.strip_prefix("/data/").unwrap(), bytes.len()))
        .collect();
    let names: Vec<&str> = sizes.keys().copied().collect();
    let expected = [
        "kafka/meta.properties",
        "ottla/format",
        "ottla/journal-0",
        "ottla/lock",
    ];
    assert_eq!(names, expected);
    assert!(sizes["ottla/journal-0"] <= 128 * 1024, "{sizes:?}");
}

#[test]
fn directories_above_are_made_and_durable() {
    let vfs = MemVfs::new();
    let opened = Store::open_in(world(vfs.clone()), "/a/b/c", small()).unwrap();
    let id = opened.store.directory_id();
    drop(opened);
    let image = vfs.crash(&crate::vfs::CrashPlan::SYNCED_ONLY);
    let again = Store::open_in(world(image), "/a/b/c", small()).unwrap();
    assert_eq!(again.store.directory_id(), id);
    assert!(!again.report.new);
}

#[test]
fn ids_stay_the_same_and_options_may_set_the_clusters() {
    let vfs = MemVfs::new();
    let options = StoreOptions {
        cluster_id: Some("my-cluster".to_owned()),
        node_id: 5,
        ..small()
    };
    let first = Store::open_in(world(vfs.clone()), DIR, options.clone()).unwrap();
    assert_eq!(first.store.cluster_id(), "my-cluster");
    drop(first);
    let text = String::from_utf8(image(&vfs)["/data/kafka/meta.properties"].clone()).unwrap();
    assert!(
        text.contains("\nversion=1\n") && text.contains("\nnode.id=5\n"),
        "{text}"
    );
    let other = StoreOptions {
        cluster_id: Some("another".to_owned()),
        ..options
    };
    let error = Store::open_in(world(vfs), DIR, other).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::OtherOwner {
                what: "cluster",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_foreign_directory_is_refused_and_not_touched() {
    for (path, hint) in [
        ("/data/notes.txt", "\"notes.txt\""),
        ("/data/meta.properties", "Apache Kafka"),
        (
            "/data/kafka/t-0/00000000000000000000.log",
            "\"ottla/format\" is missing",
        ),
        ("/data/ottla/other", "\"ottla/format\" is missing"),
    ] {
        let vfs = MemVfs::new();
        put(&vfs, path, b"precious");
        let before = image(&vfs);
        let operations = vfs.operations();
        let error = refused(&vfs);
        assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
        assert!(error.to_string().contains(hint), "{error}");
        assert_eq!(image(&vfs), before);
        assert_eq!(vfs.operations(), operations);
    }
    let vfs = MemVfs::new();
    put(&vfs, DIR, b"a file");
    assert!(matches!(refused(&vfs), OpenError::NotADirectory { .. }));
}

#[test]
fn what_a_file_system_makes_is_no_stranger() {
    let vfs = MemVfs::new();
    put(&vfs, "/data/lost+found/x", b"");
    drop(open(&vfs));
}

#[test]
fn a_newer_format_is_refused_by_name_and_not_touched() {
    let vfs = MemVfs::new();
    drop(open(&vfs));
    let newer = super::super::text::seal("version=9\nall=different\n".to_owned());
    put(&vfs, "/data/ottla/format", &newer);
    let (before, operations) = (image(&vfs), vfs.operations());
    let error = refused(&vfs);
    assert!(
        matches!(error, OpenError::NewerFormat { found: 9, .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("version 9") && text.contains("up to 1"),
        "{text}"
    );
    assert_eq!(image(&vfs), before);
    assert_eq!(vfs.operations(), operations);
}

#[test]
fn damage_to_what_everything_depends_on_is_named() {
    for (path, bytes) in [
        ("/data/ottla/format", &b"version=1\n"[..]),
        ("/data/kafka/meta.properties", b"version=1\n"),
    ] {
        let vfs = MemVfs::new();
        drop(open(&vfs));
        put(&vfs, path, bytes);
        let error = refused(&vfs);
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
    // Another directory's partitions under this one's journal.
    let vfs = MemVfs::new();
    drop(open(&vfs));
    let text = String::from_utf8(image(&vfs)["/data/kafka/meta.properties"].clone()).unwrap();
    let other = text.replace("directory.id=", "directory.id=AAAAAAAAAAAAAAAAAAAAAQ\n#");
    put(&vfs, "/data/kafka/meta.properties", other.as_bytes());
    assert!(matches!(refused(&vfs), OpenError::Damaged { .. }));
}

/// Whichever call of a first start fails, nothing is left, and the next start succeeds.
#[test]
fn a_refused_first_start_leaves_nothing_behind() {
    let counted = FaultVfs::over(std::sync::Arc::new(MemVfs::new()));
    drop(Store::open_in(world(counted.clone()), DIR, small()).unwrap());
    let calls = u64::try_from(counted.calls().len()).unwrap();
    let mut refusals = 0;
    for nth in 0..calls {
        let mem = MemVfs::new();
        let vfs = FaultVfs::over(std::sync::Arc::new(mem.clone()));
        vfs.inject(Rule::new(Fault::Io).nth(nth));
        if Store::open_in(world(vfs), DIR, small()).is_err() {
            refusals += 1;
            assert_eq!(mem.stat(Path::new(DIR)).unwrap(), None, "call {nth}");
        }
        drop(open(&mem));
    }
    assert!(refusals > 10, "{refusals} of {calls}");
}
