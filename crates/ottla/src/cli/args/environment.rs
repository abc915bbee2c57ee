//! What the environment does to the command line: an empty variable counts as unset, and an error
//! in the value of one names it.

use std::env;

use clap::builder::{Resettable, StyledStr};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Error};

/// `command`, taking no notice of variables that are empty.
pub(super) fn without_empty(command: Command) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let forget = |arg: Arg| match is_empty(&arg) {
        true => arg.env(Resettable::Reset),
        false => arg,
    };
    let command = command.mut_args(forget);
    command.mut_subcommands(without_empty)
}

/// `error` with the variable that the wrong value came from, where it came from one. `command` is
/// built.
pub(super) fn naming_its_variable(mut error: Error, command: &Command) -> Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if let Some(variable) = variable_of(shown, command) {
        let said = StyledStr::from(format!("the value is that of the variable {variable}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![said]));
    }
    error
}

/// The variable that is set for the argument that is shown so, unless the argument was given.
fn variable_of(shown: &str, command: &Command) -> Option<String> {
    let here = command.get_arguments().find(|arg| arg.to_string() == shown);
    let Some(variable) = here.and_then(Arg::get_env) else {
        let mut inside = command.get_subcommands();
        return inside.find_map(|command| variable_of(shown, command));
    };
    let flag = shown.split(' ').next()?;
    let given = env::args_os().any(|arg| arg.to_string_lossy().split('=').next() == Some(flag));
    (!given && env::var_os(variable).is_some()).then(|| variable.to_string_lossy().into_owned())
}
