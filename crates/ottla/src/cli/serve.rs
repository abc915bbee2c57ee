//! `ottla serve`.

use std::process::ExitCode;

use super::args::ServeArgs;

pub(crate) fn run(_args: ServeArgs) -> ExitCode {
    ExitCode::FAILURE
}
