//! A file system in memory: what an in-memory broker runs on, and what crash tests cut short.
//!
//! Files are lists of shared pages, so that copies ([`MemVfs::fork`]), crash images
//! ([`MemVfs::crash`]) and readers' ranges share memory. It promises what POSIX promises and no
//! more: data is durable after a sync of the file, a name after a sync of its directory.
//!
//! Order of locks: gate, names, directory, file.

mod content;
mod crash;
mod file;
mod names;
mod node;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use self::crash::{Crash, Fork};
pub use self::crash::{CrashPlan, Keep};
use self::file::{Locked, MemFile};
use self::names::{DirNode, FileNode, Node, find, find_dir, find_file, parent};
use self::node::FileState;
use super::{DirEntry, File, FileLock, OpenMode, Space, Stat, Vfs};
use crate::{Clock, Timestamp};

/// A file system in memory. A clone is another handle to the same one; [`MemVfs::fork`] copies.
#[derive(Clone)]
pub struct MemVfs {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    /// Changes hold it for reading, so that whoever holds it for writing sees them whole.
    gate: RwLock<()>,
    names: Mutex<Tree>,
    operations: Operations,
    /// The lengths of all files that have a name.
    used: AtomicU64,
}

#[derive(Clone)]
struct Settings {
    /// Whether unsynced changes are told apart from synced ones.
    track: bool,
    /// How many bytes the files may have together.
    space: u64,
    clock: Option<Arc<dyn Clock>>,
}

struct Tree {
    root: Arc<DirNode>,
    /// The number of the next change of a name.
    operation: u64,
    /// The id of the next node.
    id: u64,
}

/// Counts the changes, and refuses them past a point.
struct Operations {
    done: AtomicU64,
    stop_after: AtomicU64,
}

impl MemVfs {
    /// The space of a file system that was given no other.
    pub const SPACE_DEFAULT: u64 = 1 << 40;

    /// An empty file system; its root is the one directory.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Settings {
            track: true,
            space: Self::SPACE_DEFAULT,
            clock: None,
        })
    }

    /// As [`MemVfs::new`], but a change counts as durable at once and a removed file's memory is
    /// free at once: for a broker that runs on it for long, not for crash tests.
    #[must_use]
    pub fn volatile() -> Self {
        Self::with(Settings {
            track: false,
            space: Self::SPACE_DEFAULT,
            clock: None,
        })
    }

    /// The same, still empty, with times of change from `clock`; without one they are all 0.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self::with(Settings {
            clock: Some(clock),
            ..self.shared.settings.clone()
        })
    }

    /// The same, still empty, where files may have `space` bytes together.
    #[must_use]
    pub fn with_space(self, space: u64) -> Self {
        Self::with(Settings {
            space,
            ..self.shared.settings.clone()
        })
    }

    fn with(settings: Settings) -> Self {
        let root = DirNode::new(0, settings.now());
        let tree = Tree {
            root,
            operation: 0,
            id: 1,
        };
        Self::of(settings, tree, 0)
    }

    fn of(settings: Settings, tree: Tree, used: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                settings,
                gate: RwLock::default(),
                names: Mutex::new(tree),
                operations: Operations {
                    done: AtomicU64::new(0),
                    stop_after: AtomicU64::new(u64::MAX),
                },
                used: AtomicU64::new(used),
            }),
        }
    }

    /// An independent copy as of now, what is not durable included. Open files and locks stay with
    /// the original, and so does a stop.
    #[must_use]
    pub fn fork(&self) -> Self {
        let _whole = self.shared.gate.write();
        let names = self.shared.names.lock();
        let root = Fork::default().dir(&names.root);
        let tree = Tree { root, ..*names };
        let used = self.shared.used.load(Ordering::Relaxed);
        Self::of(self.shared.settings.clone(), tree, used)
    }

    /// What a crash at this moment leaves; all of it is durable. The original goes on unchanged.
    #[must_use]
    pub fn crash(&self, plan: &CrashPlan) -> Self {
        let _whole = self.shared.gate.write();
        let names = self.shared.names.lock();
        let crash = Crash::new(plan, self.shared.settings.track);
        let (root, id, used) = crash.run(&names.root);
        let tree = Tree { root, id, ..*names };
        Self::of(self.shared.settings.clone(), tree, used)
    }

    /// How many changes were made so far: files and directories made, names moved and removed,
    /// writes, cuts, and syncs of data and of names.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.operations.done.load(Ordering::SeqCst)
    }

    /// Lets the change with number `operations` be the last: all later ones fail and have no
    /// effect. `u64::MAX` takes it back.
    pub fn stop_after(&self, operations: u64) {
        let stop = &self.shared.operations.stop_after;
        stop.store(operations, Ordering::SeqCst);
    }

    /// The names for a change, and the gate.
    fn change(&self) -> (RwLockReadGuard<'_, ()>, MutexGuard<'_, Tree>) {
        (self.shared.gate.read(), self.shared.names.lock())
    }

    /// The file at `path`; made where it is missing and `mode` says so.
    fn open_node(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<FileNode>> {
        if matches!(mode, OpenMode::Read | OpenMode::Write) {
            return find_file(&self.shared.names.lock().root, path);
        }
        let (_gate, mut tree) = self.change();
        let (dir, name) = parent(&tree.root, path)?;
        match dir.get(name) {
            Some(_) if mode == OpenMode::CreateNew => Err(io::ErrorKind::AlreadyExists.into()),
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => {
                self.shared.operations.count()?;
                let state = FileState::new(self.shared.settings.now());
                let file = FileNode::new(tree.next_id(), state);
                self.set(
                    &mut tree,
                    &[(&dir, name, Some(Node::File(Arc::clone(&file))))],
                );
                Ok(file)
            }
        }
    }

    /// Changes names in one operation.
    fn set(&self, tree: &mut Tree, changes: &[(&Arc<DirNode>, &OsStr, Option<Node>)]) {
        tree.operation += 1;
        for (dir, name, node) in changes {
            dir.set(
                tree.operation,
                name,
                node.clone(),
                self.shared.settings.track,
            );
        }
    }

    /// The last name of `file` is gone: its bytes no longer count.
    fn unlinked(&self, file: &FileNode) {
        let mut state = file.state.write();
        state.unlinked = true;
        let used = &self.shared.used;
        used.fetch_sub(state.live().len(), Ordering::Relaxed);
    }
}

impl Default for MemVfs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemVfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemVfs")
            .field("operations", &self.operations())
            .field("used", &self.shared.used.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Vfs for MemVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let node = self.open_node(path, mode)?;
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(MemFile::new(
            Arc::clone(&self.shared),
            node,
            writable,
        )))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let dir = find_dir(&self.shared.names.lock().root, dir)?;
        let entries = dir.entries.lock();
        let entry = |(name, node): (&OsString, &Node)| DirEntry {
            name: name.to_string_lossy().into_owned(),
            is_dir: matches!(node, Node::Dir(_)),
        };
        let mut list: Vec<_> = entries.live.iter().map(entry).collect();
        list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let node = find(&self.shared.names.lock().root, path)?;
        Ok(node.map(|node| match node {
            Node::Dir(dir) => Stat {
                is_dir: true,
                len: 0,
                modified: dir.modified,
            },
            Node::File(file) => {
                let state = file.state.read();
                Stat {
                    is_dir: false,
                    len: state.live().len(),
                    modified: state.modified,
                }
            }
        }))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let (_gate, mut tree) = self.change();
        let (parent, name) = parent(&tree.root, dir)?;
        if parent.get(name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.shared.operations.count()?;
        let made = DirNode::new(tree.next_id(), self.shared.settings.now());
        self.set(&mut tree, &[(&parent, name, Some(Node::Dir(made)))]);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (_gate, mut tree) = self.change();
        let (from_dir, from_name) = parent(&tree.root, from)?;
        let (to_dir, to_name) = parent(&tree.root, to)?;
        let node = from_dir.get(from_name).ok_or(io::ErrorKind::NotFound)?;
        let replaced = to_dir.get(to_name);
        let (from_names, to_names) = (names::names(from)?, names::names(to)?);
        if from_names == to_names {
            return Ok(());
        }
        if from_names.starts_with(&to_names) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if matches!(node, Node::Dir(_)) && to_names.starts_with(&from_names) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match (&node, &replaced) {
            (Node::File(_), Some(Node::Dir(_))) => Err(io::ErrorKind::IsADirectory),
            (Node::Dir(_), Some(Node::File(_))) => Err(io::ErrorKind::NotADirectory),
            (Node::Dir(_), Some(Node::Dir(dir))) if !dir.entries.lock().live.is_empty() => {
                Err(io::ErrorKind::DirectoryNotEmpty)
            }
            _ => Ok(()),
        }?;
        self.shared.operations.count()?;
        let changes = [(&from_dir, from_name, None), (&to_dir, to_name, Some(node))];
        self.set(&mut tree, &changes);
        match replaced {
            Some(Node::File(file)) => self.unlinked(&file),
            Some(Node::Dir(_)) | None => {}
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (_gate, mut tree) = self.change();
        let (dir, name) = parent(&tree.root, path)?;
        let Node::File(file) = dir.get(name).ok_or(io::ErrorKind::NotFound)? else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        self.shared.operations.count()?;
        self.set(&mut tree, &[(&dir, name, None)]);
        self.unlinked(&file);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let (_gate, mut tree) = self.change();
        let (parent, name) = parent(&tree.root, dir)?;
        let Node::Dir(removed) = parent.get(name).ok_or(io::ErrorKind::NotFound)? else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        if !removed.entries.lock().live.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.shared.operations.count()?;
        self.set(&mut tree, &[(&parent, name, None)]);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (_gate, tree) = self.change();
        let dir = find_dir(&tree.root, dir)?;
        self.shared.operations.count()?;
        dir.sync();
        Ok(())
    }

    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        let (_gate, tree) = self.change();
        find_dir(&tree.root, dir)?;
        self.shared.operations.count()?;
        names::sync_all(&tree.root);
        Ok(true)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let file = self.open_node(path, OpenMode::Create)?;
        let locked = Locked::take(file).ok_or(io::ErrorKind::WouldBlock)?;
        Ok(Box::new(locked))
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        find_dir(&self.shared.names.lock().root, dir)?;
        let total = self.shared.settings.space;
        let used = self.shared.used.load(Ordering::Relaxed);
        Ok(Space {
            total,
            usable: total.saturating_sub(used),
        })
    }
}

impl Settings {
    fn now(&self) -> Timestamp {
        let zero = Timestamp::new(0);
        self.clock.as_ref().map_or(zero, |clock| clock.now())
    }
}

impl Tree {
    fn next_id(&mut self) -> u64 {
        self.id += 1;
        self.id
    }
}

impl Operations {
    /// Counts one change, or refuses it.
    fn count(&self) -> io::Result<()> {
        let stop = self.stop_after.load(Ordering::SeqCst);
        let next = |done| (done < stop).then_some(done + 1);
        match self
            .done
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
        {
            Ok(_) => Ok(()),
            Err(done) => Err(io::Error::other(format!(
                "the file system was stopped after {done} operations"
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
