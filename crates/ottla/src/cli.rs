//! The `ottla` binary: its command line, and what each command does.

mod args;
mod client;
mod connection;
mod consume;
mod groups;
mod log;
mod partitioner;
mod produce;
mod record_json;
mod serve;
mod signals;
mod topics;

use std::io::{self, Write};
use std::process::ExitCode;

use args::{Cli, Command};
use client::ClientError;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::read().command {
        Command::Serve(args) => return serve::run(&args),
        Command::Topics(command) => topics::run(&command, &mut io::stdout().lock()),
        Command::Produce(args) => produce::run(&args, io::stdin(), &mut io::stderr()),
        Command::Consume(args) => consume::run(&args, &mut io::stdout().lock()),
        Command::Groups(command) => groups::run(&command, &mut io::stdout().lock()),
        Command::Log(command) => return log::run(&command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe went away: it has seen what it wanted.
        Err(ClientError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Nobody is left to tell where standard error is gone, too.
            let _ = writeln!(io::stderr(), "ottla: {error}");
            ExitCode::FAILURE
        }
    }
}
