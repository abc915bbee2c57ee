//! A whole data directory: what its small files say, and its logs against that.
//!
//! A broker may write meanwhile: files grow, are replaced and vanish between two reads. So what is
//! found is looked for again until it stays away, or nothing was changed between two readings that
//! both found it.

use std::path::Path;

use super::files::log_dirs;
use super::verify::{Finding, Verified, verify_told};
use crate::log::dir::Listing;
use crate::store::look::{self, Look, Told};
use crate::vfs::Vfs;
use crate::{Limits, StorageError};

/// How often what was found is looked for again where everything keeps changing.
const READINGS_MAX: usize = 6;

/// What is worth a word and no loss: what is cut off or under way, kept, or was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// Of which file or directory.
    pub path: std::path::PathBuf,
    /// What.
    pub what: String,
}

/// What [`verify_dir`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// Something is not as it must be.
    Finding(Finding),
    /// Something is to be known.
    Note(Note),
}

/// Checks everything at `path`: a data directory, Kafka's `log.dirs`, or one log of either. Beside
/// what [`verify`](super::verify) does with each log, its files are compared with their seals and
/// with what the other files of the data directory say of it; those are checked, too. May run
/// beside a broker.
///
/// # Errors
/// [`StorageError::Io`] where the directories cannot be listed.
pub fn verify_dir(
    vfs: &dyn Vfs,
    path: &Path,
    limits: &Limits,
    report: &mut dyn FnMut(Report),
) -> Result<Verified, StorageError> {
    let mut sum = Verified::default();
    let (root, is_one) = root_of(vfs, path)?;
    let look_at = || match (&root, is_one) {
        (Some(root), _) => look::look(vfs, root, limits),
        (None, true) => Look::default(),
        (None, false) => look::look_at_kafkas(vfs, path, limits),
    };
    let look = settled(look_at, |look| (&mut look.findings, &look.said));
    if !is_one {
        look.findings
            .into_iter()
            .for_each(|f| report(Report::Finding(f)));
        look.notes.into_iter().for_each(|n| report(Report::Note(n)));
    }
    for dir in log_dirs(vfs, path)? {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        if look::is_deleted(&name) {
            continue;
        }
        // What was said before is good enough for those that have no finding: nearly all.
        let mut said = Some(look.said.clone());
        let read = || {
            let said = said.take().unwrap_or_else(|| look_at().said);
            let told = match (&root, is_one) {
                (None, true) => Told::default(),
                _ => said.of(&name),
            };
            LogReading::of(vfs, &dir, limits, &told)
        };
        let reading = settled(read, |reading| (&mut reading.findings, &reading.state));
        let (listing, verified) = reading.state;
        if listing.is_none() {
            // Deleted meanwhile; one that must not be is missed above.
            continue;
        }
        sum.logs += 1;
        sum.add(&verified);
        reading
            .findings
            .into_iter()
            .for_each(|f| report(Report::Finding(f)));
        reading
            .notes
            .into_iter()
            .for_each(|n| report(Report::Note(n)));
    }
    Ok(sum)
}

/// The data directory that is asked for, or that the log at `path` is in; and whether it is a log.
fn root_of(vfs: &dyn Vfs, path: &Path) -> Result<(Option<std::path::PathBuf>, bool), StorageError> {
    if look::is_data_dir(vfs, path)? {
        return Ok((Some(path.to_path_buf()), false));
    }
    let is_one = log_dirs(vfs, path)?.iter().any(|dir| dir == path);
    let above = path.parent().and_then(Path::parent);
    match above.filter(|_| is_one) {
        Some(above) if look::is_data_dir(vfs, above)? => Ok((Some(above.to_path_buf()), true)),
        _ => Ok((None, is_one)),
    }
}

/// One reading of a log.
struct LogReading {
    findings: Vec<Finding>,
    notes: Vec<Note>,
    /// What there was; `None` where the directory was gone.
    state: (Option<Listing>, Verified),
}

impl LogReading {
    fn of(vfs: &dyn Vfs, dir: &Path, limits: &Limits, told: &Told) -> Self {
        let (mut findings, mut notes) = (Vec::new(), Vec::new());
        let report = &mut |told| match told {
            Report::Finding(finding) => findings.push(finding),
            Report::Note(note) => notes.push(note),
        };
        let state = match verify_told(vfs, dir, limits, told, report) {
            Ok(verified) => (Listing::read(vfs, dir).ok(), verified),
            Err(error) => {
                let is_there = vfs.stat(dir).is_ok_and(|stat| stat.is_some());
                if is_there {
                    findings.push(Finding {
                        path: dir.to_path_buf(),
                        position: None,
                        what: error.to_string(),
                    });
                }
                (is_there.then(Listing::default), Verified::default())
            }
        };
        Self {
            findings,
            notes,
            state,
        }
    }
}

/// Reads until two readings that follow each other agree on what there is, or often enough, and
/// keeps the findings that all of them had.
fn settled<T, S: PartialEq>(
    mut read: impl FnMut() -> T,
    parts: impl Fn(&mut T) -> (&mut Vec<Finding>, &S),
) -> T {
    let mut last = read();
    for _ in 1..READINGS_MAX {
        if parts(&mut last).0.is_empty() {
            break;
        }
        let mut again = read();
        let is_same = {
            let (before, was) = parts(&mut last);
            let (now, is) = parts(&mut again);
            now.retain(|finding| before.contains(finding));
            was == is
        };
        last = again;
        if is_same {
            break;
        }
    }
    last
}
