//! `ottla log`: looks into the files of logs. Nothing is locked or changed.

mod dump;
mod verify;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use ottla_log::StorageError;
use ottla_log::inspect::log_dirs;
use ottla_log::vfs::{RealVfs, Vfs};
use serde_json::Value;

use super::args::LogCommand;

/// The exit status where something could not be read.
const UNREADABLE: u8 = 2;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum LogError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(
        "{path:?} holds no log; give a data directory, or one such as ottla-data/kafka/orders-0"
    )]
    NoLog { path: String },
    #[error(
        "{path:?} is no file of a log or of a data directory; give one such as \
         00000000000000000000.log, or a directory"
    )]
    NoLogFile { path: String },
    #[error("writing the result: {0}")]
    Write(#[from] io::Error),
}

/// Runs the command.
pub(crate) fn run(command: &LogCommand) -> ExitCode {
    let vfs = RealVfs::new();
    let mut out = BufWriter::new(io::stdout().lock());
    let done = match command {
        LogCommand::Dump {
            path,
            records,
            json,
        } => dump::run(&vfs, path, *records, &mut Printer::new(&mut out, *json)).map(|()| true),
        LogCommand::Verify { path, json } => {
            verify::run(&vfs, path, &mut Printer::new(&mut out, *json))
        }
    };
    match done.and_then(|sound| Ok(out.flush().map(|()| sound)?)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader of a pipe went away: it has seen what it wanted.
        Err(LogError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Nobody is left to tell where standard error is gone, too.
            let _ = writeln!(io::stderr(), "ottla: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

/// Prints each thing as a line for a person, or as a JSON object.
struct Printer<'a> {
    out: &'a mut dyn Write,
    json: bool,
}

impl<'a> Printer<'a> {
    fn new(out: &'a mut dyn Write, json: bool) -> Self {
        Self { out, json }
    }

    fn line(
        &mut self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> io::Result<()> {
        if self.json {
            writeln!(self.out, "{}", json())
        } else {
            writeln!(self.out, "{}", text())
        }
    }
}

/// The logs at `path`; at least one.
fn logs_at(vfs: &dyn Vfs, path: &Path) -> Result<Vec<std::path::PathBuf>, LogError> {
    let dirs = log_dirs(vfs, path)?;
    if dirs.is_empty() {
        return Err(LogError::NoLog {
            path: path.display().to_string(),
        });
    }
    Ok(dirs)
}
