//! The one error type of this package: every failure ends a run and is read by a person.

use std::{io, path::Path};

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, and to what.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A tool or package that a run needs is not on this machine.
    #[error("{what} is not available: {hint}")]
    Missing {
        /// The tool or package.
        what: String,
        /// How to get it.
        hint: String,
    },
    /// A broker ended, or hung, before it was ready.
    #[error("{0}")]
    Ended(String),
    /// Anything else, told in full.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// An IO error with what was being done.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// An IO error on a path.
    pub fn path(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("{verb} {}", path.display()))
    }

    /// A failure told in words.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }
}
