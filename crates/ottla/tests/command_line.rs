//! What `ottla serve` makes of flags and of its environment.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// `ottla serve` in `dir`, on a free port, with nothing of this process's environment.
fn serve(dir: &Path, args: &[&str], environment: &[(&str, &OsStr)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.current_dir(dir).env_clear();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(args);
    command.envs(environment.iter().copied());
    command
}

/// What it says once it is ready; it is ended then.
fn ready(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line
}

#[test]
fn switches_in_the_environment_take_the_usual_words() {
    let dir = tempfile::tempdir().unwrap();
    for (yes, no) in [("1", "0"), ("true", "false"), ("yes", "no"), ("on", "off")] {
        let (yes, no) = (OsStr::new(yes), OsStr::new(no));
        let environment = [("OTTLA_READY_JSON", yes), ("OTTLA_IN_MEMORY", yes)];
        let line = ready(serve(dir.path(), &[], &environment));
        let said: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(said.get("data"), Some(&Value::Null), "{yes:?}: {line}");
        let environment = [("OTTLA_READY_JSON", no), ("OTTLA_IN_MEMORY", yes)];
        let line = ready(serve(dir.path(), &[], &environment));
        assert!(!line.starts_with('{'), "{no:?}: {line}");
    }
    let unclear = [("OTTLA_IN_MEMORY", OsStr::new("perhaps"))];
    let refused = serve(dir.path(), &[], &unclear).output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{error}");
    assert!(error.contains("'perhaps'"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_flag_wins_over_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let with_data = [("OTTLA_DATA", data.as_os_str())];
    ready(serve(dir.path(), &["--in-memory"], &with_data));
    assert!(!data.exists());

    let in_memory = [("OTTLA_IN_MEMORY", OsStr::new("1"))];
    ready(serve(dir.path(), &["--data", "here"], &in_memory));
    assert!(dir.path().join("here/kafka").is_dir());

    for (args, environment) in [
        (&["--in-memory", "--data", "there"][..], &[][..]),
        (&[], &[with_data[0], in_memory[0]]),
    ] {
        let refused = serve(dir.path(), args, environment).output().unwrap();
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{error}");
        assert!(error.contains("exclude each other"), "{error}");
    }
    assert!(!dir.path().join("there").exists());
}
