//! What is left of a [`MemVfs`](super::MemVfs) after a crash, and exact copies of one.
//!
//! The model is the one of POSIX, not of one file system: between two syncs the device may take
//! any of the changed blocks and names, in any order. Within a block a write is not torn.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;

use super::content::{Content, PAGE};
use super::names::{Change, DirNode, FileNode, Node, apply};
use super::node::FileState;
use crate::entropy::mix;

/// How much of what was not synced a crash leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the device had not taken any of it.
    Nothing,
    /// All of it: as after a kill of the process alone.
    Everything,
    /// A part, drawn with this seed.
    Some(u64),
}

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPlan {
    /// Of written blocks and changed lengths. A part is drawn block by block; blocks that are
    /// lost below a length that is kept read as before, or as zeros.
    pub data: Keep,
    /// Of names made, renamed and removed. A part is drawn operation by operation, so that a later
    /// one can survive an earlier one.
    pub names: Keep,
    /// How many bytes the device takes or loses together, for instance 512 or 4096.
    pub block: usize,
}

impl CrashPlan {
    /// A power cut before the device took anything that was not synced.
    pub const SYNCED_ONLY: Self = Self {
        data: Keep::Nothing,
        names: Keep::Nothing,
        block: 4096,
    };

    /// A kill of the process: the page cache survives.
    pub const EVERYTHING: Self = Self {
        data: Keep::Everything,
        names: Keep::Everything,
        block: 4096,
    };

    /// A power cut in the middle of write-back, drawn with `seed`.
    #[must_use]
    pub const fn torn(seed: u64) -> Self {
        Self {
            data: Keep::Some(seed),
            names: Keep::Some(mix(seed)),
            block: if mix(seed ^ 1).is_multiple_of(2) {
                512
            } else {
                4096
            },
        }
    }
}

impl Keep {
    /// Whether the thing with number `a`, `b` survives. Each seed keeps a share of its own: an
    /// eighth, a half or all but an eighth.
    fn keeps(self, a: u64, b: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some(seed) => mix(mix(mix(seed) ^ a) ^ b) % 8 <= mix(seed ^ 2) % 3 * 3,
        }
    }
}

/// Builds the directories of a crash image.
pub(super) struct Crash<'p> {
    plan: &'p CrashPlan,
    /// Whether durability is tracked; otherwise everything live survives.
    track: bool,
    /// Directories already placed: a half durable rename may lead to one twice, a file system
    /// has each once.
    dirs: BTreeSet<u64>,
    /// The lengths of the files placed so far.
    used: u64,
    /// The id of the next node. A half durable rename may lead to a file twice: two files then.
    id: u64,
}

impl<'p> Crash<'p> {
    pub(super) const fn new(plan: &'p CrashPlan, track: bool) -> Self {
        Self {
            plan,
            track,
            dirs: BTreeSet::new(),
            used: 0,
            id: 0,
        }
    }

    /// The directories that are left, from the root down; the next id, and the bytes used.
    pub(super) fn run(mut self, root: &DirNode) -> (Arc<DirNode>, u64, u64) {
        let root = self.dir(root);
        (root, self.id, self.used)
    }

    /// What is left of `dir` and all below it.
    fn dir(&mut self, dir: &DirNode) -> Arc<DirNode> {
        let left = DirNode::new(self.next_id(), dir.modified);
        self.dirs.insert(dir.id);
        let names = self.names(dir);
        for (name, node) in names {
            let node = match node {
                Node::Dir(below) if self.dirs.contains(&below.id) => continue,
                Node::Dir(below) => Node::Dir(self.dir(&below)),
                Node::File(file) => Node::File(self.file(&file)),
            };
            let mut entries = left.entries.lock();
            entries.live.insert(name.clone(), node.clone());
            if self.track {
                entries.durable.insert(name, node);
            }
        }
        left
    }

    fn names(&self, dir: &DirNode) -> BTreeMap<OsString, Node> {
        let entries = dir.entries.lock();
        if !self.track {
            return entries.live.clone();
        }
        let mut names = entries.durable.clone();
        for change in &entries.pending {
            if self.plan.names.keeps(change.operation, 0) {
                apply(&mut names, change.name.clone(), change.node.clone());
            }
        }
        names
    }

    fn file(&mut self, file: &FileNode) -> Arc<FileNode> {
        let state = file.state.read();
        let keep = if self.track {
            self.plan.data
        } else {
            Keep::Everything
        };
        let content = match keep {
            Keep::Everything => state.live().clone(),
            Keep::Nothing => state.durable(),
            Keep::Some(_) if !state.is_dirty() => state.live().clone(),
            Keep::Some(_) => torn(&state, file.id, self.plan),
        };
        self.used += content.len();
        let left = FileState::from_content(content, state.modified);
        FileNode::new(self.next_id(), left)
    }

    const fn next_id(&mut self) -> u64 {
        self.id += 1;
        self.id
    }
}

/// A file of which each changed block and the length either survived or did not.
fn torn(state: &FileState, id: u64, plan: &CrashPlan) -> Content {
    let (live, mut image) = (state.live(), state.durable());
    let block = plan.block.clamp(1, PAGE);
    let lens = (live.len().min(image.len()), live.len().max(image.len()));
    let len = torn_len(lens, block as u64, id, plan);
    image.set_len(len);
    let (mut new, mut old) = (vec![0; block], vec![0; block]);
    for page in state.changed_pages() {
        for offset in (0..PAGE).step_by(block) {
            let at = page as u64 * PAGE as u64 + offset as u64;
            let end = len.min(live.len()).min(at + block as u64);
            let Some(size) = end.checked_sub(at).filter(|size| *size > 0) else {
                break;
            };
            let size = usize::try_from(size).unwrap_or(block);
            live.read(at, &mut new[..size]);
            image.read(at, &mut old[..size]);
            if new[..size] != old[..size] && plan.data.keeps(id, at) {
                image.write(at, &new[..size]);
            }
        }
    }
    image
}

/// One of: the smaller length, the larger (which is likelier), or the end of a block between them.
fn torn_len((small, large): (u64, u64), block: u64, id: u64, plan: &CrashPlan) -> u64 {
    let Keep::Some(seed) = plan.data else {
        return large;
    };
    let draw = mix(mix(seed ^ 3) ^ id);
    let first = small / block + 1;
    let between = large.div_ceil(block).saturating_sub(first);
    match draw % 4 {
        0 => small,
        1 if between > 0 => (first + draw / 4 % between) * block,
        _ => large,
    }
}

/// Copies a file system node by node, pending changes and all; bytes are shared.
#[derive(Default)]
pub(super) struct Fork {
    files: BTreeMap<u64, Arc<FileNode>>,
    dirs: BTreeMap<u64, Arc<DirNode>>,
}

impl Fork {
    pub(super) fn dir(&mut self, dir: &DirNode) -> Arc<DirNode> {
        if let Some(copied) = self.dirs.get(&dir.id) {
            return Arc::clone(copied);
        }
        let copy = DirNode::new(dir.id, dir.modified);
        self.dirs.insert(dir.id, Arc::clone(&copy));
        let entries = dir.entries.lock();
        let names = |fork: &mut Self, names: &BTreeMap<OsString, Node>| {
            let copied = names
                .iter()
                .map(|(name, node)| (name.clone(), fork.node(node)));
            copied.collect::<BTreeMap<_, _>>()
        };
        let live = names(self, &entries.live);
        let durable = names(self, &entries.durable);
        let pending = entries.pending.iter().map(|change| Change {
            node: change.node.as_ref().map(|node| self.node(node)),
            ..change.clone()
        });
        let pending = pending.collect();
        let mut copied = copy.entries.lock();
        copied.live = live;
        copied.durable = durable;
        copied.pending = pending;
        drop(copied);
        copy
    }

    fn node(&mut self, node: &Node) -> Node {
        match node {
            Node::Dir(dir) => Node::Dir(self.dir(dir)),
            Node::File(file) => {
                let copy = self.files.entry(file.id);
                let new = || FileNode::new(file.id, file.state.read().clone());
                Node::File(Arc::clone(copy.or_insert_with(new)))
            }
        }
    }
}
