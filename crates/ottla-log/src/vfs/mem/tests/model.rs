//! Any sequence of operations against a model that keeps whole copies.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const DIRS: [&str; 2] = ["/", "/d"];
const NAMES: [&str; 3] = ["/a", "/d/a", "/d/b"];
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Op {
    Create(usize),
    Write {
        name: usize,
        position: u64,
        len: usize,
        byte: u8,
    },
    SetLen(usize, u64),
    Sync(usize),
    Remove(usize),
    Rename(usize, usize),
    SyncDir(usize),
    /// Go on with a fork; the original must not notice.
    Fork,
    /// Go on with what a crash left.
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let name = 0..NAMES.len();
    // Around the borders of sectors and pages as well as anywhere.
    let border =
        (0..4_u64, -3..4_i64).prop_map(|(page, by)| (page * PAGE as u64).saturating_add_signed(by));
    let position = prop_oneof![border, 0..3 * PAGE as u64, 0..2_000_u64].boxed();
    let len = prop_oneof![1..20_usize, 500..530_usize, 1..2 * PAGE];
    let write = (name.clone(), position.clone(), len, 0..4_u8);
    prop_oneof![
        3 => name.clone().prop_map(Op::Create),
        8 => write.prop_map(|(name, position, len, byte)| {
            Op::Write { name, position, len, byte }
        }),
        3 => (name.clone(), position).prop_map(|(name, len)| Op::SetLen(name, len)),
        3 => name.clone().prop_map(Op::Sync),
        1 => name.clone().prop_map(Op::Remove),
        2 => (name.clone(), name).prop_map(|(from, to)| Op::Rename(from, to)),
        3 => (0..DIRS.len()).prop_map(Op::SyncDir),
        1 => Just(Op::Fork),
        1 => Just(Op::Crash),
    ]
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
}

/// For each name the inode that it leads to.
type Names = BTreeMap<usize, usize>;

#[derive(Clone, Debug, Default)]
struct Model {
    inodes: Vec<Inode>,
    live: Names,
    durable: Names,
    /// What each name has led to since its directory was synced, if not what it does durably.
    since: Vec<(usize, Option<usize>)>,
}

impl Model {
    fn set(&mut self, name: usize, inode: Option<usize>) {
        match inode {
            Some(inode) => self.live.insert(name, inode),
            None => self.live.remove(&name),
        };
        self.since.push((name, inode));
    }

    fn dir(name: usize) -> usize {
        usize::from(NAMES[name].starts_with("/d/"))
    }

    fn sync_dir(&mut self, dir: usize) {
        self.durable.retain(|name, _| Self::dir(*name) != dir);
        let synced = self
            .live
            .iter()
            .filter(|(name, _)| Self::dir(**name) == dir);
        self.durable.extend(synced);
        self.since.retain(|(name, _)| Self::dir(*name) != dir);
    }

    /// Applies `op`; whether the file system must have succeeded with it.
    fn apply(&mut self, op: &Op) -> bool {
        let inode = |name: &usize| self.live.get(name).copied();
        match op {
            Op::Create(name) => {
                if inode(name).is_none() {
                    self.inodes.push(Inode::default());
                    self.set(*name, Some(self.inodes.len() - 1));
                }
            }
            Op::Write {
                name,
                position,
                len,
                byte,
            } => {
                let Some(inode) = inode(name) else {
                    return false;
                };
                let (at, live) = (*position as usize, &mut self.inodes[inode].live);
                live.resize(live.len().max(at + len), 0);
                live[at..at + len].fill(*byte);
            }
            Op::SetLen(name, len) => {
                let Some(inode) = inode(name) else {
                    return false;
                };
                self.inodes[inode].live.resize(*len as usize, 0);
            }
            Op::Sync(name) => {
                let Some(inode) = inode(name) else {
                    return false;
                };
                let inode = &mut self.inodes[inode];
                inode.durable.clone_from(&inode.live);
            }
            Op::Remove(name) => {
                if inode(name).is_none() {
                    return false;
                }
                self.set(*name, None);
            }
            Op::Rename(from, to) => {
                let Some(inode) = inode(from) else {
                    return false;
                };
                if from != to {
                    self.set(*from, None);
                    self.set(*to, Some(inode));
                }
            }
            Op::SyncDir(dir) => self.sync_dir(*dir),
            Op::Fork | Op::Crash => {}
        }
        true
    }

    /// The model of what a crash leaves that keeps nothing unsynced. A half synced rename may
    /// have left a file two names: two files then.
    fn crashed(&self) -> Self {
        let left = |inode: &usize| Inode {
            live: self.inodes[*inode].durable.clone(),
            durable: self.inodes[*inode].durable.clone(),
        };
        let names: Names = self.durable.keys().copied().zip(0..).collect();
        Self {
            inodes: self.durable.values().map(left).collect(),
            live: names.clone(),
            durable: names,
            since: Vec::new(),
        }
    }
}

fn apply(vfs: &MemVfs, op: &Op) -> bool {
    let name = |name: &usize| path(NAMES[*name]);
    let open = |file: &usize| vfs.open(name(file), OpenMode::Write);
    match op {
        Op::Create(file) => vfs.open(name(file), OpenMode::Create).is_ok(),
        Op::Write {
            name,
            position,
            len,
            byte,
        } => open(name).is_ok_and(|file| {
            // Two slices, so that vectored writes cross every kind of border.
            let bytes = vec![*byte; *len];
            let (a, b) = bytes.split_at(len / 3);
            let bufs = &mut [IoSlice::new(a), IoSlice::new(b)];
            file.write_all_at(bufs, *position).is_ok()
        }),
        Op::SetLen(file, len) => open(file).is_ok_and(|file| file.set_len(*len).is_ok()),
        Op::Sync(file) => open(file).is_ok_and(|file| file.sync_data().is_ok()),
        Op::Remove(file) => vfs.remove_file(name(file)).is_ok(),
        Op::Rename(from, to) => vfs.rename(name(from), name(to)).is_ok(),
        Op::SyncDir(dir) => vfs.sync_dir(path(DIRS[*dir])).is_ok(),
        Op::Fork | Op::Crash => true,
    }
}

fn check_live(vfs: &MemVfs, model: &Model) {
    for (index, name) in NAMES.iter().enumerate() {
        let expected = model.live.get(&index).map(|i| &model.inodes[*i].live);
        // No diff of a hundred kilobytes: whether they are equal.
        assert!(get(vfs, name).as_ref() == expected, "{name} differs");
    }
    let lens = model
        .live
        .values()
        .map(|inode| model.inodes[*inode].live.len());
    let used: usize = lens.sum();
    let space = vfs.space(path("/")).unwrap();
    assert_eq!(space.total - space.usable, used as u64);
}

/// Whether a crash may have left `bytes` of this file: a length between the two, and each sector
/// the old one or the new one.
fn may_be_left(inode: &Inode, bytes: &[u8]) -> bool {
    let (live, durable) = (&inode.live, &inode.durable);
    let lens = live.len().min(durable.len())..=live.len().max(durable.len());
    let mut old = durable.clone();
    old.resize(bytes.len(), 0);
    let mut new = old.clone();
    let common = live.len().min(bytes.len());
    new[..common].copy_from_slice(&live[..common]);
    let sectors = bytes
        .chunks(SECTOR)
        .zip(old.chunks(SECTOR).zip(new.chunks(SECTOR)));
    lens.contains(&bytes.len())
        && sectors
            .into_iter()
            .all(|(left, (old, new))| left == old || left == new)
}

fn check_torn(vfs: &MemVfs, model: &Model, seed: u64) {
    let image = vfs.crash(&CrashPlan::torn(seed));
    for (index, name) in NAMES.iter().enumerate() {
        let durable = model.durable.get(&index).copied();
        let since = model.since.iter().filter(|(name, _)| *name == index);
        let mut candidates = since.map(|(_, inode)| *inode).chain([durable]);
        let left = get(&image, name);
        let legal = candidates.any(|candidate| match (candidate, &left) {
            (None, None) => true,
            (Some(inode), Some(bytes)) => may_be_left(&model.inodes[inode], bytes),
            _ => false,
        });
        assert!(legal, "{name}: {:?} bytes left", left.map(|l| l.len()));
    }
}

proptest! {
    #[test]
    fn memory_agrees_with_the_model(ops in vec(op(), 1..40), seed in any::<u64>()) {
        let mut vfs = MemVfs::new();
        vfs.create_dir(path("/d")).unwrap();
        vfs.sync_dir(path("/")).unwrap();
        let mut model = Model::default();
        let mut originals = Vec::new();
        for op in &ops {
            prop_assert_eq!(apply(&vfs, op), model.apply(op), "{:?}", op);
            match op {
                Op::Fork => {
                    let fork = vfs.fork();
                    originals.push((std::mem::replace(&mut vfs, fork), model.clone()));
                }
                Op::Crash => {
                    let image = vfs.crash(&CrashPlan::SYNCED_ONLY);
                    originals.push((std::mem::replace(&mut vfs, image), model.clone()));
                    model = model.crashed();
                }
                _ => {}
            }
        }
        originals.push((vfs, model));
        for (vfs, model) in &originals {
            check_live(vfs, model);
            check_live(&vfs.crash(&CrashPlan::SYNCED_ONLY), &model.crashed());
            check_torn(vfs, model, seed);
            let killed = vfs.crash(&CrashPlan::EVERYTHING);
            for name in NAMES {
                prop_assert!(get(&killed, name) == get(vfs, name));
            }
        }
    }
}
