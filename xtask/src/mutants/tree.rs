//! A copy of the tree that defects are put into.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::defects::Defect;

/// The copy. What is unchanged since the last run keeps its times, so that it is not built anew.
#[derive(Debug)]
pub(super) struct Tree {
    path: PathBuf,
}

impl Tree {
    /// Makes `copy` the same as the work tree at `source`: all files but the ignored ones.
    pub(super) fn copied(source: &Path, copy: &Path) -> Result<Self, String> {
        let files = files_of(source)?;
        for file in &files {
            let (from, to) = (source.join(file), copy.join(file));
            let bytes = fs::read(&from).map_err(|e| format!("{}: {e}", from.display()))?;
            if fs::read(&to).is_ok_and(|there| there == bytes) {
                continue;
            }
            let dir = to.parent().unwrap_or(copy);
            fs::create_dir_all(dir)
                .and_then(|()| fs::write(&to, bytes))
                .map_err(|e| format!("{}: {e}", to.display()))?;
        }
        remove_others(copy, copy, &files)?;
        Ok(Self {
            path: copy.to_path_buf(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the defect in, until the answer is dropped.
    pub(super) fn with(&self, defect: &Defect) -> Result<Undo, String> {
        let mut undo = Undo(Vec::new());
        for (file, text) in defect.applied(&self.path)? {
            let path = self.path.join(file);
            let failed = |e| format!("{}: {e}", path.display());
            let sound = fs::read_to_string(&path).map_err(failed)?;
            undo.0.push((path.clone(), sound));
            fs::write(&path, text).map_err(failed)?;
        }
        Ok(undo)
    }
}

/// What takes a defect out again.
#[derive(Debug)]
pub(super) struct Undo(Vec<(PathBuf, String)>);

impl Drop for Undo {
    fn drop(&mut self) {
        for (path, sound) in &self.0 {
            // The next run compares each file with the work tree's.
            let _ = fs::write(path, sound);
        }
    }
}

fn files_of(source: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others"])
        .arg("--exclude-standard")
        .current_dir(source)
        .output()
        .map_err(|e| format!("git cannot be started: {e}"))?;
    let listed = String::from_utf8_lossy(&output.stdout);
    let files = listed.split('\0').filter(|name| !name.is_empty());
    // What was deleted and not committed is still listed.
    let there = files
        .map(PathBuf::from)
        .filter(|file| source.join(file).is_file());
    Ok(there.collect())
}

/// Removes what is in the copy and not in the tree; empty directories may stay.
fn remove_others(copy: &Path, dir: &Path, files: &BTreeSet<PathBuf>) -> Result<(), String> {
    let failed = |e| format!("{}: {e}", dir.display());
    for entry in fs::read_dir(dir).map_err(failed)?.flatten() {
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            remove_others(copy, &path, files)?;
        } else if path.strip_prefix(copy).is_ok_and(|p| !files.contains(p)) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}
