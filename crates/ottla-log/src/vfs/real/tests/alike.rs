//! Any sequence of operations, on the machine and in memory: the answers must be alike.

use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::vfs::MemVfs;

/// Paths under the root of a comparison: files and directories get in each other's way.
const PATHS: [&str; 6] = ["a", "b", "d", "d/a", "d/e", "d/e/a"];

#[derive(Clone, Copy, Debug)]
enum Op {
    Open(usize, OpenMode),
    Write(usize, u64, usize),
    SetLen(usize, u64),
    CreateDir(usize),
    Rename(usize, usize),
    RemoveFile(usize),
    RemoveDir(usize),
    SyncDir(usize),
    Map(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let path = 0..PATHS.len();
    let mode = prop_oneof![
        Just(OpenMode::Read),
        Just(OpenMode::Write),
        Just(OpenMode::Create),
        Just(OpenMode::CreateNew),
    ];
    prop_oneof![
        (path.clone(), mode).prop_map(|(path, mode)| Op::Open(path, mode)),
        (path.clone(), 0..40_000_u64, 0..40_000_usize)
            .prop_map(|(path, position, len)| Op::Write(path, position, len)),
        (path.clone(), 0..90_000_u64).prop_map(|(path, len)| Op::SetLen(path, len)),
        path.clone().prop_map(Op::CreateDir),
        (path.clone(), path.clone()).prop_map(|(from, to)| Op::Rename(from, to)),
        path.clone().prop_map(Op::RemoveFile),
        path.clone().prop_map(Op::RemoveDir),
        path.clone().prop_map(Op::SyncDir),
        path.prop_map(Op::Map),
    ]
}

/// What the file system answers: the bytes of a map, else nothing, or the kind of the error.
fn apply(vfs: &dyn Vfs, root: &Path, op: Op) -> Result<Vec<u8>, io::ErrorKind> {
    let path = |index: usize| -> PathBuf { root.join(PATHS[index]) };
    let write = |index| vfs.open(&path(index), OpenMode::Write);
    let done = match op {
        Op::Open(file, mode) => vfs.open(&path(file), mode).map(drop),
        Op::Write(file, position, len) => write(file).and_then(|file| {
            let bytes = vec![len as u8; len];
            file.write_all_at(&mut [IoSlice::new(&bytes)], position)
        }),
        Op::SetLen(file, len) => write(file).and_then(|file| file.set_len(len)),
        Op::CreateDir(dir) => vfs.create_dir(&path(dir)),
        Op::Rename(from, to) => vfs.rename(&path(from), &path(to)),
        Op::RemoveFile(file) => vfs.remove_file(&path(file)),
        Op::RemoveDir(dir) => vfs.remove_dir(&path(dir)),
        Op::SyncDir(dir) => match vfs.stat(&path(dir)) {
            // A file can be synced by its path on Linux; the log never does.
            Ok(Some(stat)) if !stat.is_dir => Ok(()),
            _ => vfs.sync_dir(&path(dir)),
        },
        Op::Map(file) => {
            let mapped = vfs.open(&path(file), OpenMode::Read);
            let bytes = mapped.and_then(|file| Ok(file.map()?.bytes().to_vec()));
            return bytes.map_err(|e| e.kind());
        }
    };
    done.map(|()| Vec::new()).map_err(|e| e.kind())
}

/// Every path's kind and length, and the names of the directories.
fn picture(vfs: &dyn Vfs, root: &Path) -> Vec<String> {
    let each = PATHS.iter().map(|path| {
        let path = root.join(path);
        let stat = vfs.stat(&path);
        let stat = stat.map(|stat| stat.map(|stat| (stat.is_dir, stat.len)));
        let list = vfs.list(&path).map_err(|e| e.kind());
        format!("{:?} {list:?}", stat.map_err(|e| e.kind()))
    });
    each.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_the_machine_answer_alike(ops in vec(op(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let (real, mem) = (RealVfs::new(), MemVfs::new());
        for op in ops {
            let expected = apply(&real, dir.path(), op);
            let answer = apply(&mem, Path::new("/"), op);
            prop_assert!(answer == expected, "{op:?}: {:?} {:?}", answer.err(), expected.err());
            prop_assert_eq!(picture(&mem, Path::new("/")), picture(&real, dir.path()));
        }
    }
}
