//! What every [`Vfs`] must do alike. Each case runs over each implementation, in a directory of
//! its own.

use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DirEntry, FaultVfs, File, FileRange, MemVfs, OpenMode, RealVfs, Vfs};
use crate::Timestamp;

/// One file system under test and an empty directory of it.
struct Place<'v> {
    vfs: &'v dyn Vfs,
    dir: PathBuf,
}

impl Place<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>, ErrorKind> {
        self.vfs.open(&self.path(name), mode).map_err(|e| e.kind())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Arc<dyn File> {
        let file = self.open(name, OpenMode::Create).unwrap();
        file.write_all_at(&mut [IoSlice::new(bytes)], 0).unwrap();
        file
    }

    fn get(&self, name: &str) -> Vec<u8> {
        read(&self.open(name, OpenMode::Read).unwrap())
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let list = self.vfs.list(&self.path(dir)).unwrap();
        list.into_iter().map(|entry| entry.name).collect()
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), ErrorKind> {
        let renamed = self.vfs.rename(&self.path(from), &self.path(to));
        renamed.map_err(|e| e.kind())
    }

    fn make_dir(&self, name: &str) {
        self.vfs.create_dir(&self.path(name)).unwrap();
    }
}

fn read(file: &Arc<dyn File>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// The bytes of a range, whatever its form.
fn collect(range: FileRange) -> Vec<u8> {
    match range {
        FileRange::Chunks(chunks) => chunks.concat(),
        FileRange::Fd {
            file,
            position,
            len,
        } => {
            use std::os::unix::fs::FileExt;
            let mut bytes = vec![0; usize::try_from(len).unwrap()];
            file.read_exact_at(&mut bytes, position).unwrap();
            bytes
        }
    }
}

/// Bytes that differ from place to place, so that a shifted read shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

fn open_modes(place: &Place<'_>) {
    for mode in [OpenMode::Read, OpenMode::Write] {
        assert_eq!(place.open("a", mode).unwrap_err(), ErrorKind::NotFound);
    }
    place.put("a", b"data");
    // Create keeps what is there, CreateNew refuses it.
    assert_eq!(read(&place.open("a", OpenMode::Create).unwrap()), b"data");
    assert_eq!(read(&place.open("a", OpenMode::Write).unwrap()), b"data");
    let refused = place.open("a", OpenMode::CreateNew);
    assert_eq!(refused.unwrap_err(), ErrorKind::AlreadyExists);
    let new = place.open("b", OpenMode::CreateNew).unwrap();
    assert!(new.is_empty().unwrap());
    let reader = place.open("a", OpenMode::Read).unwrap();
    assert!(reader.write_at(&[IoSlice::new(b"x")], 0).is_err());
    assert!(reader.set_len(0).is_err());
    assert_eq!(place.get("a"), b"data");
    let orphan = place.open("missing/a", OpenMode::Create);
    assert_eq!(orphan.unwrap_err(), ErrorKind::NotFound);
    let below_file = place.open("a/b", OpenMode::Create);
    assert_eq!(below_file.unwrap_err(), ErrorKind::NotADirectory);
}

fn directories_are_no_files(place: &Place<'_>) {
    place.make_dir("d");
    for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
        assert_eq!(place.open("d", mode).unwrap_err(), ErrorKind::IsADirectory);
    }
    let taken = place.open("d", OpenMode::CreateNew);
    assert_eq!(taken.unwrap_err(), ErrorKind::AlreadyExists);
    assert!(place.vfs.remove_file(&place.path("d")).is_err());
    place.put("f", b"");
    let file = place.path("f");
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(place.vfs.remove_dir(&file)), ErrorKind::NotADirectory);
    assert_eq!(
        kind(place.vfs.list(&file).map(drop)),
        ErrorKind::NotADirectory
    );
    assert_eq!(kind(place.vfs.create_dir(&file)), ErrorKind::AlreadyExists);
    assert_eq!(place.names(""), ["d", "f"]);
}

fn lists_are_sorted(place: &Place<'_>) {
    for name in ["b", "a-10", "a-9", "a", "B"] {
        place.put(name, b"");
    }
    place.make_dir("a-1");
    let list = place.vfs.list(&place.dir).unwrap();
    let names: Vec<&str> = list.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["B", "a", "a-1", "a-10", "a-9", "b"]);
    let dir = DirEntry {
        name: "a-1".to_owned(),
        is_dir: true,
    };
    assert_eq!(list.iter().filter(|e| e.is_dir).collect::<Vec<_>>(), [&dir]);
    let missing = place.vfs.list(&place.path("none"));
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

fn stat_tells_what_is_there(place: &Place<'_>) {
    assert_eq!(place.vfs.stat(&place.path("a")).unwrap(), None);
    assert_eq!(place.vfs.stat(&place.path("none/a")).unwrap(), None);
    place.put("a", b"data");
    place.make_dir("d");
    let file = place.vfs.stat(&place.path("a")).unwrap().unwrap();
    assert_eq!((file.is_dir, file.len), (false, 4));
    let dir = place.vfs.stat(&place.path("d")).unwrap().unwrap();
    assert_eq!((dir.is_dir, dir.len), (true, 0));
    let below_file = place.vfs.stat(&place.path("a/b"));
    assert_eq!(below_file.unwrap_err().kind(), ErrorKind::NotADirectory);
}

fn directories_are_made_and_removed(place: &Place<'_>) {
    place.make_dir("d");
    place.make_dir("d/e");
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    let (d, e) = (place.path("d"), place.path("d/e"));
    assert_eq!(kind(place.vfs.create_dir(&d)), ErrorKind::AlreadyExists);
    let orphan = place.path("x/y");
    assert_eq!(kind(place.vfs.create_dir(&orphan)), ErrorKind::NotFound);
    assert_eq!(kind(place.vfs.remove_dir(&d)), ErrorKind::DirectoryNotEmpty);
    place.vfs.sync_dir(&d).unwrap();
    place.vfs.remove_dir(&e).unwrap();
    place.vfs.remove_dir(&d).unwrap();
    assert_eq!(kind(place.vfs.remove_dir(&d)), ErrorKind::NotFound);
    assert_eq!(kind(place.vfs.sync_dir(&d)), ErrorKind::NotFound);
    assert!(place.names("").is_empty());
}

fn renames_replace_files(place: &Place<'_>) {
    place.put("new", b"new");
    let old = place.put("old", b"old");
    place.rename("new", "old").unwrap();
    assert_eq!(place.get("old"), b"new");
    assert_eq!(place.names(""), ["old"]);
    // Who had the replaced file open keeps it.
    assert_eq!(read(&old), b"old");
    assert_eq!(place.rename("new", "x"), Err(ErrorKind::NotFound));
    assert_eq!(place.rename("old", "none/x"), Err(ErrorKind::NotFound));
    place.rename("old", "old").unwrap();
    assert_eq!(place.get("old"), b"new");
}

fn renames_move_directories(place: &Place<'_>) {
    place.make_dir("d");
    place.make_dir("to");
    let file = place.put("d/f", b"1");
    place.rename("d", "to/e").unwrap();
    assert_eq!(place.get("to/e/f"), b"1");
    file.write_all_at(&mut [IoSlice::new(b"2")], 0).unwrap();
    assert_eq!(place.get("to/e/f"), b"2");
    place.put("f", b"");
    assert_eq!(place.rename("to", "f"), Err(ErrorKind::NotADirectory));
    assert_eq!(place.rename("f", "to"), Err(ErrorKind::IsADirectory));
    assert_eq!(place.rename("to", "to/e/x"), Err(ErrorKind::InvalidInput));
    place.make_dir("d");
    let full = place.rename("d", "to").unwrap_err();
    assert_eq!(full, ErrorKind::DirectoryNotEmpty);
    place.rename("to", "d").unwrap();
    assert_eq!(place.get("d/e/f"), b"2");
    assert_eq!(place.names(""), ["d", "f"]);
}

fn removed_files_stay_readable_where_open(place: &Place<'_>) {
    let file = place.put("a", b"data");
    place.vfs.remove_file(&place.path("a")).unwrap();
    let gone = place.vfs.remove_file(&place.path("a")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    file.write_all_at(&mut [IoSlice::new(b"!")], 4).unwrap();
    file.sync_data().unwrap();
    assert_eq!(read(&file), b"data!");
    place.put("a", b"other");
    assert_eq!(read(&file), b"data!");
}

fn locks_have_one_holder(place: &Place<'_>) {
    let path = place.path("lock");
    let held = place.vfs.lock(&path).unwrap();
    assert_eq!(place.names(""), ["lock"]);
    let refused = place.vfs.lock(&path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    let other = place.vfs.lock(&place.path("other")).unwrap();
    drop(held);
    let again = place.vfs.lock(&path).unwrap();
    drop((again, other));
    // The lock is advisory: it keeps nobody from the file.
    let _held = place.vfs.lock(&path).unwrap();
    place.put("lock", b"text");
}

fn lengths_grow_with_zeros_and_are_cut(place: &Place<'_>) {
    let data = pattern(100_000);
    let file = place.put("a", &data);
    file.set_len(70_000).unwrap();
    assert_eq!(read(&file), data[..70_000]);
    file.set_len(200_000).unwrap();
    let bytes = read(&file);
    assert_eq!(bytes[..70_000], data[..70_000]);
    assert!(bytes[70_000..].iter().all(|b| *b == 0));
    assert_eq!(bytes.len(), 200_000);
    // A cut byte does not come back, not even one, shared or not.
    file.write_all_at(&mut [IoSlice::new(b"abc")], 0).unwrap();
    let _shared = file.range(0, 200_000).unwrap();
    for len in [2, 1] {
        file.set_len(len).unwrap();
        file.set_len(len + 1).unwrap();
        assert_eq!(read(&file).last(), Some(&0));
    }
    file.set_len(0).unwrap();
    assert!(file.is_empty().unwrap());
    // A write past the end leaves zeros before it.
    file.write_all_at(&mut [IoSlice::new(b"x")], 50_000)
        .unwrap();
    let bytes = read(&file);
    assert!(bytes[..50_000].iter().all(|b| *b == 0));
    assert_eq!(bytes[50_000..], *b"x");
}

fn reads_stop_at_the_end(place: &Place<'_>) {
    let data = pattern(70_000);
    let file = place.put("a", &data);
    let mut buf = vec![7; 100];
    assert_eq!(file.read_at(&mut buf, 69_950).unwrap(), 50);
    assert_eq!(buf[..50], data[69_950..]);
    assert_eq!(buf[50..], [7; 50]);
    for past in [70_000, 70_001, 1 << 40] {
        assert_eq!(file.read_at(&mut buf, past).unwrap(), 0);
    }
    assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
    let eof = file.read_exact_at(&mut buf, 69_950).unwrap_err();
    assert_eq!(eof.kind(), ErrorKind::UnexpectedEof);
    let mut across = vec![0; 10_000];
    file.read_exact_at(&mut across, 30_000).unwrap();
    assert_eq!(across, data[30_000..40_000]);
}

fn vectored_writes_land_in_order(place: &Place<'_>) {
    let file = place.open("a", OpenMode::Create).unwrap();
    assert_eq!(file.write_at(&[], 0).unwrap(), 0);
    let data = pattern(150_000);
    let mut rest: &[u8] = &data;
    let mut parts = vec![IoSlice::new(&[])];
    // More slices than a kernel takes at once, some empty, one larger than a page.
    for i in 0..1_500 {
        let (part, later) = rest.split_at(if i == 7 { 75_000 } else { i % 50 });
        parts.push(IoSlice::new(part));
        rest = later;
    }
    let written = data.len() - rest.len();
    file.write_all_at(&mut parts, 10).unwrap();
    assert_eq!(file.len().unwrap(), written as u64 + 10);
    let bytes = read(&file);
    assert_eq!(bytes[..10], [0; 10]);
    assert_eq!(bytes[10..], data[..written]);
    // And over what is there.
    file.write_all_at(&mut [IoSlice::new(b"ab"), IoSlice::new(b"cd")], 40_000)
        .unwrap();
    let bytes = read(&file);
    assert_eq!(bytes[40_000..40_004], *b"abcd");
    assert_eq!(bytes[40_004..], data[39_994..written]);
    assert_eq!(bytes[10..40_000], data[..39_990]);
}

fn nowait_reads_are_right_or_nothing(place: &Place<'_>) {
    let data = pattern(70_000);
    let file = place.put("a", &data);
    let mut buf = vec![0; 40_000];
    for position in [0, 5, 40_000, 69_999] {
        if let Some(n) = file.read_at_nowait(&mut buf, position).unwrap() {
            let from = usize::try_from(position).unwrap();
            assert!(n > 0, "0 only at the end");
            assert_eq!(buf[..n], data[from..from + n]);
        }
    }
    assert_eq!(file.read_at_nowait(&mut buf, 70_000).unwrap(), Some(0));
}

fn ranges_are_the_files_bytes(place: &Place<'_>) {
    let data = pattern(200_000);
    let file = place.put("a", &data);
    for (position, len) in [
        (0, 0),
        (0, 200_000),
        (1, 32_768),
        (65_536, 65_536),
        (199_999, 1),
    ] {
        let range = file.range(position, len).unwrap();
        assert_eq!(range.len(), len);
        let from = usize::try_from(position).unwrap();
        let to = from + usize::try_from(len).unwrap();
        assert_eq!(collect(range), data[from..to]);
    }
    for (position, len) in [(200_000, 1), (0, 200_001), (1, u64::MAX)] {
        let eof = file.range(position, len).unwrap_err();
        assert_eq!(eof.kind(), ErrorKind::UnexpectedEof);
    }
    // A range on its way outlives the name, and an append does not change it.
    let range = file.range(100_000, 100_000).unwrap();
    place.vfs.remove_file(&place.path("a")).unwrap();
    file.write_all_at(&mut [IoSlice::new(b"more")], 200_000)
        .unwrap();
    drop(file);
    assert_eq!(collect(range), data[100_000..]);
}

fn maps_hold_the_whole_file(place: &Place<'_>) {
    for len in [0, 10, 32_768, 100_000] {
        let data = pattern(len);
        let mapping = place.put(&format!("f{len}"), &data).map().unwrap();
        place
            .vfs
            .remove_file(&place.path(&format!("f{len}")))
            .unwrap();
        assert_eq!(mapping.bytes(), data);
    }
}

fn syncs_and_cache_drops_keep_the_bytes(place: &Place<'_>) {
    let data = pattern(100_000);
    let file = place.put("a", &data);
    file.sync_data().unwrap();
    place.vfs.sync_dir(&place.dir).unwrap();
    file.drop_cache().unwrap();
    let time = Timestamp::new(86_400_123);
    file.set_modified(time).unwrap();
    let stat = place.vfs.stat(&place.path("a")).unwrap();
    assert_eq!(stat.unwrap().modified, time);
    assert_eq!(read(&file), data);
    place.vfs.sync_all(&place.dir).unwrap();
    assert_eq!(place.get("a"), data);
}

fn space_is_counted(place: &Place<'_>) {
    let space = place.vfs.space(&place.dir).unwrap();
    assert!(space.usable > 0 && space.usable <= space.total);
    let missing = place.vfs.space(&place.path("none")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

fn in_temp_dir(vfs: &dyn Vfs, case: fn(&Place<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_owned();
    case(&Place { vfs, dir });
}

fn in_memory(vfs: &dyn Vfs, case: fn(&Place<'_>)) {
    let dir = Path::new("/place").to_owned();
    vfs.create_dir(&dir).unwrap();
    case(&Place { vfs, dir });
}

/// One module per implementation with one test per case.
macro_rules! conformance {
    ($($case:ident)*) => {
        conformance!(@over real, in_temp_dir, RealVfs::new(), $($case)*);
        conformance!(@over real_portable, in_temp_dir, RealVfs::portable(), $($case)*);
        conformance!(@over mem, in_memory, MemVfs::new(), $($case)*);
        conformance!(@over mem_volatile, in_memory, MemVfs::volatile(), $($case)*);
        conformance!(@over mem_fork, in_memory, MemVfs::new().fork(), $($case)*);
        conformance!(
            @over fault_real, in_temp_dir, FaultVfs::over(Arc::new(RealVfs::new())), $($case)*
        );
        conformance!(
            @over fault_mem, in_memory, FaultVfs::over(Arc::new(MemVfs::new())), $($case)*
        );
    };
    (@over $name:ident, $place:ident, $vfs:expr, $($case:ident)*) => {
        mod $name {
            use super::*;

            $(#[test]
            fn $case() {
                $place(&$vfs, super::$case);
            })*
        }
    };
}

conformance! {
    open_modes
    directories_are_no_files
    lists_are_sorted
    stat_tells_what_is_there
    directories_are_made_and_removed
    renames_replace_files
    renames_move_directories
    removed_files_stay_readable_where_open
    locks_have_one_holder
    lengths_grow_with_zeros_and_are_cut
    reads_stop_at_the_end
    vectored_writes_land_in_order
    nowait_reads_are_right_or_nothing
    ranges_are_the_files_bytes
    maps_hold_the_whole_file
    syncs_and_cache_drops_keep_the_bytes
    space_is_counted
}
