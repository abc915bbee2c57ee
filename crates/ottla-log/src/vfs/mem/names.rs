//! The directories of a [`MemVfs`](super::MemVfs): live names, durable names, and the changes
//! between them in their order.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};

use super::node::FileState;
use crate::Timestamp;

/// A file, which names and open handles share.
pub(super) struct FileNode {
    /// Differs from every other node's of the file system.
    pub(super) id: u64,
    pub(super) state: RwLock<FileState>,
    /// Whether someone holds the advisory lock.
    pub(super) locked: AtomicBool,
}

/// A directory.
pub(super) struct DirNode {
    /// Differs from every other node's of the file system.
    pub(super) id: u64,
    pub(super) entries: Mutex<Entries>,
    pub(super) modified: Timestamp,
}

/// What a name leads to.
#[derive(Clone)]
pub(super) enum Node {
    File(Arc<FileNode>),
    Dir(Arc<DirNode>),
}

/// The names of one directory.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) live: BTreeMap<OsString, Node>,
    /// The names at the last sync.
    pub(super) durable: BTreeMap<OsString, Node>,
    /// What happened since the last sync, oldest first.
    pub(super) pending: Vec<Change>,
}

/// A name that was set or removed.
#[derive(Clone)]
pub(super) struct Change {
    /// The operation; both halves of a rename have the same number, and a crash that has seen
    /// neither directory synced keeps both or neither.
    pub(super) operation: u64,
    pub(super) name: OsString,
    pub(super) node: Option<Node>,
}

impl FileNode {
    pub(super) fn new(id: u64, state: FileState) -> Arc<Self> {
        Arc::new(Self {
            id,
            state: RwLock::new(state),
            locked: AtomicBool::new(false),
        })
    }
}

impl DirNode {
    pub(super) fn new(id: u64, modified: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            id,
            entries: Mutex::default(),
            modified,
        })
    }

    /// What `name` leads to now.
    pub(super) fn get(&self, name: &OsStr) -> Option<Node> {
        self.entries.lock().live.get(name).cloned()
    }

    /// Sets (or with `None` removes) `name`; not durable before [`DirNode::sync`] where `track`.
    pub(super) fn set(&self, operation: u64, name: &OsStr, node: Option<Node>, track: bool) {
        let mut entries = self.entries.lock();
        apply(&mut entries.live, name.to_owned(), node.clone());
        if track {
            entries.pending.push(Change {
                operation,
                name: name.to_owned(),
                node,
            });
        }
    }

    /// Makes the names durable.
    pub(super) fn sync(&self) {
        let mut entries = self.entries.lock();
        for change in std::mem::take(&mut entries.pending) {
            apply(&mut entries.durable, change.name, change.node);
        }
    }
}

/// Sets or removes one name.
pub(super) fn apply(names: &mut BTreeMap<OsString, Node>, name: OsString, node: Option<Node>) {
    match node {
        Some(node) => names.insert(name, node),
        None => names.remove(&name),
    };
}

/// Makes all data and names from `dir` down durable.
pub(super) fn sync_all(dir: &DirNode) {
    dir.sync();
    let below: Vec<Node> = dir.entries.lock().live.values().cloned().collect();
    for node in below {
        match node {
            Node::Dir(dir) => sync_all(&dir),
            Node::File(file) => file.state.write().sync(),
        }
    }
}

/// The directory at `path`.
pub(super) fn find_dir(root: &Arc<DirNode>, path: &Path) -> io::Result<Arc<DirNode>> {
    match find(root, path)? {
        Some(Node::Dir(dir)) => Ok(dir),
        Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The file at `path`.
pub(super) fn find_file(root: &Arc<DirNode>, path: &Path) -> io::Result<Arc<FileNode>> {
    match find(root, path)? {
        Some(Node::File(file)) => Ok(file),
        Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// What is at `path`, if anything.
pub(super) fn find(root: &Arc<DirNode>, path: &Path) -> io::Result<Option<Node>> {
    let mut at = Node::Dir(Arc::clone(root));
    for name in names(path)? {
        let Node::Dir(dir) = at else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        match dir.get(name) {
            Some(node) => at = node,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// The directory that holds `path`'s last name, and that name.
pub(super) fn parent<'p>(
    root: &Arc<DirNode>,
    path: &'p Path,
) -> io::Result<(Arc<DirNode>, &'p OsStr)> {
    let mut names = names(path)?;
    // The root has no name: nothing can be made, renamed or removed there.
    let last = names.pop().ok_or(io::ErrorKind::InvalidInput)?;
    let mut dir = Arc::clone(root);
    for name in names {
        dir = match dir.get(name) {
            Some(Node::Dir(dir)) => dir,
            Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
    }
    Ok((dir, last))
}

/// The names of `path` from the root on; a relative path starts at the root, too.
pub(super) fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(name),
            // The log never climbs; a path that does is a mistake worth an error.
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
    }
    Ok(names)
}
