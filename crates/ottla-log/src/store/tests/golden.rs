//! The files of `DIR/ottla/` as docs/FORMAT.md says they are. The bytes in `testdata/ottla-1` were
//! made from that text and not by this code, which has to read them as what they say and to write
//! the same ones. (The journal's are read in `store::journal::tests`.)

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::Left;
use crate::seal::{FileSum, Seal};
use crate::store::format_file::FormatFile;
use crate::store::has_data::{self, HasData};
use crate::store::journal::Key;
use crate::store::offsets::{self, LogOffsets};
use crate::store::stopped::{self, Stopped};
use crate::vfs::{MemVfs, OpenMode, Vfs};
use crate::{LogId, Offset, TopicId, TopicName};

/// The files of format version 1.
pub(in crate::store) fn golden(name: &str) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/ottla-1");
    fs::read(dir.join(name)).expect("the file is committed")
}

/// 0x01, 0x02 and so on.
pub(in crate::store) fn orders() -> TopicId {
    TopicId::from_bytes(std::array::from_fn(|at| 0x01 + u8::try_from(at).unwrap()))
}

/// 0xf0, 0xf1 and so on.
pub(in crate::store) fn users() -> TopicId {
    TopicId::from_bytes(std::array::from_fn(|at| 0xf0 + u8::try_from(at).unwrap()))
}

/// 0x20, 0x21 and so on.
pub(in crate::store) fn key() -> Key {
    Key::new(std::array::from_fn(|at| 0x20 + u8::try_from(at).unwrap()))
}

pub(in crate::store) fn id(topic: &str, partition: i32) -> LogId {
    LogId::new(TopicName::new(topic).unwrap(), partition)
}

#[test]
fn the_format_file() {
    let expected = FormatFile {
        directory_id: orders(),
        key: key(),
        cluster_id: Some("home".to_owned()),
    };
    assert_eq!(FormatFile::decode(&golden("format")), Ok(expected.clone()));
    assert_eq!(expected.encode(), golden("format"));
}

#[test]
fn what_holds_data() {
    let expected: HasData = [
        (id("orders", 0), orders()),
        (id("orders", 12), orders()),
        (id("users", 0), users()),
    ]
    .into();
    assert_eq!(has_data::decode(&golden("has-data")), Ok(expected.clone()));
    assert_eq!(has_data::encode(&expected), golden("has-data"));
}

#[test]
fn the_offsets() {
    let of = |recovery_point, log_start, cleaned| LogOffsets {
        recovery_point: Offset::new(recovery_point),
        log_start: Offset::new(log_start),
        cleaned: Offset::new(cleaned),
    };
    let vfs = MemVfs::new();
    vfs.create_dir(Path::new("/ottla")).unwrap();
    let golden = golden("offsets");
    let file = vfs
        .open(Path::new("/ottla/offsets"), OpenMode::Create)
        .unwrap();
    file.write_all_at(&mut [std::io::IoSlice::new(&golden)], 0)
        .unwrap();
    let found = offsets::read(&vfs, Path::new("/ottla"), 1 << 20).unwrap();
    // Of two whole halves the one with the higher number.
    let second = [
        (id("orders", 0), of(9, 4, 3)),
        (id("users", 0), of(1, 0, 0)),
    ]
    .into();
    assert_eq!(found.offsets, Some(second));
    assert!(
        found.damage.is_some(),
        "a stop between the two writes leaves that"
    );
    let first = [(id("orders", 0), of(5, 4, 3))].into();
    for (number, offsets, half) in [(6, first, 0), (7, found.offsets.unwrap(), 4096)] {
        let mut bytes = offsets::encode(number, &offsets);
        bytes.resize(4096, 0);
        assert_eq!(bytes, golden[half..half + 4096]);
    }
}

#[test]
fn how_a_clean_stop_left_each_log() {
    let left = |topic_id, end, segments: &[(i64, u64)], epochs: &[u8], producers: &[u8]| {
        let segments = segments
            .iter()
            .map(|(base, size)| (Offset::new(*base), *size));
        Arc::new(Left {
            topic_id,
            end: Offset::new(end),
            segments: segments.collect(),
            epochs: epochs.to_vec(),
            producers: producers.to_vec(),
        })
    };
    let orders = left(
        orders(),
        90,
        &[(3, 4096), (70, 100)],
        b"0\n1\n2 3\n",
        &[1, 2, 3],
    );
    let users = left(users(), 0, &[(0, 0)], b"", b"");
    let expected: Stopped = [(id("orders", 0), orders), (id("users", 7), users)].into();
    assert_eq!(stopped::decode(&golden("stopped")), Ok(expected.clone()));
    assert_eq!(stopped::encode(&expected), golden("stopped"));
}

#[test]
fn a_seal() {
    let expected = Seal {
        topic_id: orders(),
        base: Offset::new(100),
        size: (1 << 20) + 5,
        next: Offset::new(250),
        index: FileSum::of(b"the offset index"),
        time_index: FileSum::of(b"the time index"),
        txn_index: FileSum::of(b""),
        chunks: vec![0xa1a2_a3a4, 0xb1b2_b3b4],
    };
    let golden = golden("00000000000000000100.seal");
    assert_eq!(Seal::decode(&golden), Ok(expected.clone()));
    assert_eq!(expected.encode(), golden);
}
