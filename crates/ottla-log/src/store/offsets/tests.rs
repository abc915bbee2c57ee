use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::vfs::{Call, CrashPlan, Fault, FaultVfs, MemVfs, Operation, Rule};

const OWN: &str = "/ottla";

fn offsets(of: &[(i32, i64)]) -> Offsets {
    let entry = |(partition, offset): &(i32, i64)| {
        let id = LogId::new(TopicName::new("orders").unwrap(), *partition);
        let offsets = LogOffsets {
            recovery_point: Offset::new(*offset),
            log_start: Offset::new(offset / 2),
            cleaned: Offset::new(offset / 3),
        };
        (id, offsets)
    };
    of.iter().map(entry).collect()
}

fn dirs(vfs: &MemVfs) -> Arc<Dirs> {
    dirs_of(&(Arc::new(vfs.clone()) as Arc<dyn Vfs>))
}

fn dirs_of(vfs: &Arc<dyn Vfs>) -> Arc<Dirs> {
    Dirs::new(vfs, Path::new("/kafka"), Path::new(OWN))
}

fn made() -> MemVfs {
    let vfs = MemVfs::new();
    for dir in ["/kafka", OWN] {
        vfs.create_dir(Path::new(dir)).unwrap();
    }
    vfs.sync_dir(Path::new("/")).unwrap();
    vfs
}

fn found(vfs: &dyn Vfs) -> Found {
    read(vfs, Path::new(OWN), 1 << 20).unwrap()
}

#[test]
fn a_half_has_the_bytes_of_the_format() {
    let expected = "version=1\nsequence=7\norders 0 9 4 3\norders 3 0 0 0\n";
    let golden = text::seal(expected.to_owned());
    let offsets = offsets(&[(0, 9), (3, 0)]);
    assert_eq!(encode(7, &offsets), golden);
    let mut padded = golden.clone();
    padded.resize(BLOCK, 0);
    assert_eq!(decode(&padded), Ok((7, offsets)));
    for bad in [
        "version=2\nsequence=1\n",
        "version=1\n",
        "version=1\nsequence=1\norders 0 1 2\n",
        "version=1\nsequence=1\norders 0 1 2 3 4\n",
        "version=1\nsequence=1\norders 0 1 2 -3\n",
        "version=1\nsequence=1\norders -1 1 2 3\n",
    ] {
        assert!(decode(&text::seal(bad.to_owned())).is_err(), "{bad:?}");
    }
    assert!(decode(&[]).is_err());
    assert!(decode(&[0; 64]).is_err());
}

#[test]
fn no_flipped_bit_changes_what_it_says() {
    let vfs = made();
    let dirs = dirs(&vfs);
    let mut file = OffsetsFile::default();
    let said = offsets(&[(0, 9), (1, 12345)]);
    file.write(&vfs, &dirs, &said).unwrap();
    let path = Path::new(OWN).join(OFFSETS);
    let bytes = crate::read_file(&vfs, &path, 1 << 20).unwrap().unwrap();
    let text = encode(1, &said).len();
    let places = (0..text + 9).chain(bytes.len() / 2..bytes.len() / 2 + text + 9);
    for (place, bit) in places.flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let rotten = vfs.fork();
        let file = rotten.open(&path, OpenMode::Write).unwrap();
        let byte = bytes[place] ^ (1 << bit);
        file.write_all_at(&mut [IoSlice::new(&[byte])], place as u64)
            .unwrap();
        let found = found(&rotten);
        assert_eq!(found.offsets.as_ref(), Some(&said), "{place}");
        let is_case = byte.eq_ignore_ascii_case(&bytes[place]);
        assert!(found.damage.is_some() || is_case, "{place}");
    }
    assert_eq!(found(&vfs).damage, None);
}

/// What it says grows and shrinks; a crash at any write leaves the old or the new.
#[test]
fn a_crash_leaves_the_old_or_the_new() {
    let states: Vec<Offsets> = (0..6)
        .map(|n| {
            let many: Vec<_> = (0..n * 70).map(|p| (p, i64::from(n) * 1000)).collect();
            offsets(&many)
        })
        .collect();
    for plan in [
        CrashPlan::SYNCED_ONLY,
        CrashPlan::EVERYTHING,
        CrashPlan::torn(3),
    ] {
        for calls in 0..80 {
            let vfs = made();
            let faulty = FaultVfs::over(Arc::new(vfs.clone()));
            // From this call on nothing reaches the disk.
            faulty.inject(Rule::new(Fault::Io).from(calls));
            let world: Arc<dyn Vfs> = Arc::new(faulty.clone());
            let dirs = dirs_of(&world);
            let mut file = OffsetsFile::default();
            let done = states
                .iter()
                .take_while(|state| file.write(&faulty, &dirs, state).is_ok())
                .count();
            let left = found(&vfs.crash(&plan)).offsets;
            let last = done.checked_sub(1).map(|last| &states[last]);
            let is_known = left.as_ref() == last || left.as_ref() == states.get(done);
            assert!(is_known, "{plan:?} after {calls} calls: {left:?}");
        }
    }
}

/// A file that says 9, on a disk that does as it is told.
fn written() -> (MemVfs, FaultVfs, Arc<Dirs>, OffsetsFile) {
    let vfs = made();
    let faulty = FaultVfs::over(Arc::new(vfs.clone()));
    let world: Arc<dyn Vfs> = Arc::new(faulty.clone());
    let dirs = dirs_of(&world);
    let mut file = OffsetsFile::default();
    file.write(&faulty, &dirs, &offsets(&[(0, 9)])).unwrap();
    (vfs, faulty, dirs, file)
}

#[test]
fn it_is_changed_on_a_full_device() {
    let (vfs, faulty, dirs, mut file) = written();
    // Nothing is made any more: no file, no name.
    for operation in [Operation::Create, Operation::Rename, Operation::SetLen] {
        faulty.inject(Rule::new(Fault::NoSpace).on(operation));
    }
    for number in 10..20 {
        let said = offsets(&[(0, number)]);
        file.write(&faulty, &dirs, &said).unwrap();
        let found = found(&vfs.crash(&CrashPlan::SYNCED_ONLY));
        assert_eq!((found.offsets, found.damage), (Some(said), None));
    }
    // The next process does the same.
    let mut file = found(&vfs).file;
    let said = offsets(&[(0, 20)]);
    file.write(&faulty, &dirs, &said).unwrap();
    assert_eq!(found(&vfs).offsets, Some(said));
}

/// After a failed sync nobody knows what the disk has: the file is made anew.
#[test]
fn a_failed_sync_is_not_asked_for_again() {
    let (_, faulty, dirs, mut file) = written();
    faulty.inject(Rule::new(Fault::Io).on(Operation::SyncData));
    file.write(&faulty, &dirs, &offsets(&[(0, 10)]))
        .unwrap_err();
    faulty.heal();
    faulty.forget_calls();
    file.write(&faulty, &dirs, &offsets(&[(0, 11)])).unwrap();
    let is_rename = |call: &Call| call.operation == Operation::Rename;
    assert!(faulty.calls().iter().any(is_rename));
}
