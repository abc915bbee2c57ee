//! What a [`FaultVfs`](super::FaultVfs) does wrong, and to which calls.

use std::io;
use std::ops::Range;
use std::panic::Location;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A kind of call of a file system or of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `Vfs::open` of a file that must exist.
    Open,
    /// `Vfs::open` of a file that may be, or must be, made.
    Create,
    /// `Vfs::list`.
    List,
    /// `Vfs::stat`.
    Stat,
    /// `Vfs::create_dir`.
    CreateDir,
    /// `Vfs::rename`; its path is the old one.
    Rename,
    /// `Vfs::remove_file`.
    RemoveFile,
    /// `Vfs::remove_dir`.
    RemoveDir,
    /// `Vfs::sync_dir`.
    SyncDir,
    /// `Vfs::sync_all`.
    SyncAll,
    /// `Vfs::lock`.
    Lock,
    /// `Vfs::space`.
    Space,
    /// `File::read_at`, `File::read_at_nowait`.
    Read,
    /// `File::write_at`.
    Write,
    /// `File::sync_data`.
    SyncData,
    /// `File::len`.
    Len,
    /// `File::set_len`.
    SetLen,
    /// `File::map`.
    Map,
    /// `File::range`.
    Range,
    /// `File::drop_cache`.
    DropCache,
    /// `File::set_modified`.
    SetModified,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The device fails (EIO). The call has no effect.
    Io,
    /// As [`Fault::Io`], on syncs; and as real file systems do, what was not written counts as
    /// clean from then on: later syncs of the same file or directory succeed and sync nothing,
    /// until the file is emptied and written anew. Over a [`MemVfs`](crate::vfs::MemVfs) a
    /// crash shows what that lost.
    LostSync,
    /// The device is full (ENOSPC), until [`FaultVfs::free_space`](super::FaultVfs::free_space).
    NoSpace,
    /// A read or write stops after this many bytes, at least one; other calls do not notice.
    Short(usize),
    /// A signal came first (EINTR). The call has no effect.
    Interrupted,
    /// The process has no file descriptor left (EMFILE).
    TooManyOpen,
    /// The call waits, as on a disk that does not answer, until
    /// [`FaultVfs::go_on`](super::FaultVfs::go_on); then it is done as any other.
    Stall,
}

/// A fault and the calls it befalls: by default all. The narrowings combine.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) fault: Fault,
    operation: Option<Operation>,
    pattern: Option<String>,
    /// Which of the matching calls, counted from 0.
    nth: Range<u64>,
    /// How many calls have matched.
    matched: u64,
}

/// A call that a [`FaultVfs`](super::FaultVfs) saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub operation: Operation,
    /// Of what: the path, or the path that the file was opened by.
    pub path: PathBuf,
    /// What went wrong by the script, if anything.
    pub fault: Option<Fault>,
    /// Where in the source it was called.
    pub place: &'static Location<'static>,
}

impl Rule {
    /// Every call of every kind meets `fault`.
    #[must_use]
    pub const fn new(fault: Fault) -> Self {
        Self {
            fault,
            operation: None,
            pattern: None,
            nth: 0..u64::MAX,
            matched: 0,
        }
    }

    /// Only calls of this kind.
    #[must_use]
    pub const fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only calls whose path matches `pattern`: `*` stands for any characters, `/` included.
    #[must_use]
    pub fn at(mut self, pattern: &str) -> Self {
        self.pattern = Some(pattern.to_owned());
        self
    }

    /// Only the matching call with number `n`, counted from 0.
    #[must_use]
    pub const fn nth(mut self, n: u64) -> Self {
        self.nth = n..n.saturating_add(1);
        self
    }

    /// Only the matching calls with numbers from `n` on, counted from 0.
    #[must_use]
    pub const fn from(mut self, n: u64) -> Self {
        self.nth = n..u64::MAX;
        self
    }

    /// Whether the call meets the fault; counts it.
    pub(super) fn hits(&mut self, operation: Operation, path: &Path) -> bool {
        let pattern = self.pattern.as_deref();
        let matches = self.operation.is_none_or(|o| o == operation)
            && pattern.is_none_or(|pattern| glob(pattern, &path.to_string_lossy()))
            && self.fault.befalls(operation);
        self.matched += u64::from(matches);
        matches && self.nth.contains(&(self.matched - 1))
    }
}

impl Fault {
    /// Whether a call of this kind can meet the fault.
    pub(in crate::vfs) const fn befalls(self, operation: Operation) -> bool {
        use Operation as O;
        match self {
            Self::Io | Self::Interrupted | Self::Stall => true,
            Self::LostSync => matches!(operation, O::SyncData | O::SyncDir | O::SyncAll),
            Self::NoSpace => matches!(
                operation,
                O::Create | O::CreateDir | O::Rename | O::Lock | O::Write | O::SetLen
            ),
            Self::Short(_) => matches!(operation, O::Read | O::Write),
            Self::TooManyOpen => matches!(
                operation,
                O::Open | O::Create | O::List | O::SyncDir | O::SyncAll | O::Lock
            ),
        }
    }

    /// The error of a call that meets the fault; `None` where it is no error.
    pub(super) fn error(self) -> Option<io::Error> {
        let errno = match self {
            Self::Io | Self::LostSync => Errno::IO,
            Self::NoSpace => Errno::NOSPC,
            Self::Interrupted => Errno::INTR,
            Self::TooManyOpen => Errno::MFILE,
            Self::Short(_) | Self::Stall => return None,
        };
        Some(errno.into())
    }
}

/// Whether `text` is what `pattern` describes, `*` standing for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place is as good as any: what stands behind only gets longer.
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, text, matches) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("*", "", true),
            ("*.log", "/d/t-0/0.log", true),
            ("*.log", "/d/t-0/0.log.tmp", false),
            ("/d/*/0*", "/d/t-0/0.log", true),
            ("/d/*/1*", "/d/t-0/0.log", false),
            ("*ab*ab", "xab", false),
            ("*ab*ab", "xabab", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
