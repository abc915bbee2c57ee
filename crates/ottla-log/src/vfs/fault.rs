//! A file system that goes wrong by a script: any [`Vfs`] with errors where a test wants them.

mod file;
mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use self::file::FaultFile;
pub use self::rule::{Call, Fault, Operation, Rule};
use super::{DirEntry, File, FileLock, OpenMode, Space, Stat, Vfs};

/// Any file system, with scripted faults. A clone is another handle to the same one.
///
/// It records every call, so that a test can run a workload once, count, and then run it again
/// with each call failing in turn. Its ranges are always chunks, never a file descriptor.
#[derive(Clone, Debug)]
pub struct FaultVfs {
    inner: Arc<dyn Vfs>,
    script: Arc<Script>,
}

/// The rules, and what they were asked.
#[derive(Debug, Default)]
struct Script {
    state: Mutex<State>,
    /// A call waits, or those that wait may go on.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<Call>,
    /// Paths whose unwritten data counts as clean after a lost sync.
    clean: BTreeSet<PathBuf>,
    /// Where each file was written to since its last sync: position and length.
    unsynced: BTreeMap<PathBuf, Vec<(u64, u64)>>,
    /// How many calls wait now, and how often those that did were let go.
    waiting: usize,
    let_go: u64,
}

impl FaultVfs {
    /// `inner`, with no fault yet.
    #[must_use]
    pub fn over(inner: Arc<dyn Vfs>) -> Self {
        Self {
            inner,
            script: Arc::default(),
        }
    }

    /// Adds a rule. A call meets the fault of the first rule that hits; each rule counts every
    /// call that matches it.
    pub fn inject(&self, rule: Rule) {
        self.script.state.lock().rules.push(rule);
    }

    /// Takes back all rules; what a lost sync lost stays lost.
    pub fn heal(&self) {
        self.script.state.lock().rules.clear();
    }

    /// Takes back the rules of a full device.
    pub fn free_space(&self) {
        let mut state = self.script.state.lock();
        state.rules.retain(|rule| rule.fault != Fault::NoSpace);
    }

    /// Has every sync of a file wait, as [`Fault::Stall`] does.
    pub fn stall_syncs(&self) {
        self.inject(Rule::new(Fault::Stall).on(Operation::SyncData));
    }

    /// Waits until some call is held up by a [`Fault::Stall`]; `false` where none is within
    /// `limit`.
    #[must_use]
    pub fn await_stall(&self, limit: Duration) -> bool {
        let mut state = self.script.state.lock();
        let nobody = |state: &mut State| state.waiting == 0;
        let waited = self
            .script
            .changed
            .wait_while_for(&mut state, nobody, limit);
        !waited.timed_out()
    }

    /// Lets the calls go on that a [`Fault::Stall`] holds up, and takes back the rules of it.
    pub fn go_on(&self) {
        let mut state = self.script.state.lock();
        state.rules.retain(|rule| rule.fault != Fault::Stall);
        state.let_go += 1;
        self.script.changed.notify_all();
    }

    /// Every call so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.script.state.lock().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.script.state.lock().calls.clear();
    }

    /// Records the call and answers its error, if it is to have one.
    #[track_caller]
    fn check(&self, operation: Operation, path: &Path) -> io::Result<()> {
        self.script.check(operation, path).map(drop)
    }
}

impl Script {
    /// Records the call. Its error, if it is to have one, or the bytes that it may move.
    #[track_caller]
    fn check(&self, operation: Operation, path: &Path) -> io::Result<usize> {
        let mut state = self.state.lock();
        let mut fault = None;
        for rule in &mut state.rules {
            if rule.hits(operation, path) && fault.is_none() {
                fault = Some(rule.fault);
            }
        }
        state.calls.push(Call {
            operation,
            path: path.to_owned(),
            fault,
            place: Location::caller(),
        });
        match fault {
            Some(Fault::LostSync) => {
                state.clean.insert(path.to_owned());
            }
            Some(Fault::Stall) => self.hold_up(&mut state),
            _ => {}
        }
        match fault.and_then(Fault::error) {
            Some(error) => Err(error),
            None => Ok(match fault {
                Some(Fault::Short(bytes)) => bytes.max(1),
                _ => usize::MAX,
            }),
        }
    }

    /// Returns when those may go on that wait now.
    fn hold_up(&self, state: &mut MutexGuard<'_, State>) {
        let now = state.let_go;
        state.waiting += 1;
        self.changed.notify_all();
        self.changed.wait_while(state, |state| state.let_go == now);
        state.waiting -= 1;
    }

    /// Whether a sync of `path` has nothing to do, because an earlier one lost it.
    fn is_clean(&self, path: &Path) -> bool {
        self.state.lock().clean.contains(path)
    }

    /// The file at `path` lost all its bytes: with them what an earlier sync lost.
    fn emptied(&self, path: &Path) {
        let mut state = self.state.lock();
        state.clean.remove(path);
        state.unsynced.remove(path);
    }

    /// The file at `path` was written to.
    fn wrote(&self, path: &Path, position: u64, len: u64) {
        let mut state = self.state.lock();
        let ranges = state.unsynced.entry(path.to_owned()).or_default();
        ranges.push((position, len));
    }

    /// The file at `path` was synced.
    fn synced(&self, path: &Path) {
        self.state.lock().unsynced.remove(path);
    }

    /// What the device never got of the file at `path`, whose sync was lost.
    fn lost(&self, path: &Path) -> Vec<(u64, u64)> {
        let state = self.state.lock();
        let ranges = state
            .unsynced
            .get(path)
            .filter(|_| state.clean.contains(path));
        ranges.cloned().unwrap_or_default()
    }

    /// The file at `from` is now at `to`, and what a sync of it lost is still lost.
    fn renamed(&self, from: &Path, to: &Path) {
        let mut state = self.state.lock();
        state.unsynced.remove(to);
        if let Some(ranges) = state.unsynced.remove(from) {
            state.unsynced.insert(to.to_owned(), ranges);
        }
        if state.clean.remove(from) {
            state.clean.insert(to.to_owned());
        } else {
            state.clean.remove(to);
        }
    }
}

impl Vfs for FaultVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let operation = match mode {
            OpenMode::Read | OpenMode::Write => Operation::Open,
            OpenMode::Create | OpenMode::CreateNew => Operation::Create,
        };
        self.check(operation, path)?;
        Ok(Arc::new(FaultFile {
            inner: self.inner.open(path, mode)?,
            path: path.to_owned(),
            script: Arc::clone(&self.script),
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.check(Operation::List, dir)?;
        self.inner.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.check(Operation::Stat, path)?;
        self.inner.stat(path)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.check(Operation::CreateDir, dir)?;
        self.inner.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Operation::Rename, from)?;
        self.inner.rename(from, to)?;
        self.script.renamed(from, to);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.check(Operation::RemoveFile, path)?;
        self.inner.remove_file(path)?;
        self.script.emptied(path);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.check(Operation::RemoveDir, dir)?;
        self.inner.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.check(Operation::SyncDir, dir)?;
        if self.script.is_clean(dir) {
            return Ok(());
        }
        self.inner.sync_dir(dir)
    }

    fn sync_all(&self, dir: &Path) -> io::Result<bool> {
        self.check(Operation::SyncAll, dir)?;
        if self.script.is_clean(dir) {
            return Ok(true);
        }
        self.inner.sync_all(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.check(Operation::Lock, path)?;
        self.inner.lock(path)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.check(Operation::Space, dir)?;
        self.inner.space(dir)
    }
}

#[cfg(test)]
mod tests;
