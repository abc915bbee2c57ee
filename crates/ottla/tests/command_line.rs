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

/// What it says on standard error when it refuses to start, with status `code`.
fn refusal(command: &mut Command, code: i32) -> String {
    let refused = command.output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(code), "{error}");
    error
}

#[test]
fn a_setting_may_be_a_list() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--in-memory", "--set", "log.cleanup.policy=compact,delete"];
    let line = ready(serve(dir.path(), &args, &[]));
    assert!(line.contains("in memory"), "{line}");
    let all = OsStr::new("log.cleanup.policy=compact,delete,num.partitions=0");
    let environment = [("OTTLA_SET", all), ("OTTLA_IN_MEMORY", OsStr::new("1"))];
    let told = refusal(&mut serve(dir.path(), &[], &environment), 1);
    assert!(told.contains("a setting is wrong"), "{told}");
    assert!(told.contains("num.partitions"), "{told}");
}

#[test]
fn a_listener_that_asks_for_security_is_not_served_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let start = |listen: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        command.args(["serve", "--in-memory", "--listen", listen]);
        command.args(more).current_dir(dir.path());
        command
    };
    for protocol in ["SSL", "SASL_PLAINTEXT", "sasl_ssl"] {
        let told = refusal(&mut start(&format!("{protocol}://127.0.0.1:0"), &[]), 1);
        assert!(told.contains("does not implement"), "{told}");
    }
    let map = ["--set", "listener.security.protocol.map=OUT:SSL"];
    let told = refusal(&mut start("OUT://127.0.0.1:0", &map), 1);
    assert!(told.contains("asks for SSL"), "{told}");
    ready(start("OUT://127.0.0.1:0", &["--ready-json"]));
}

#[test]
fn an_empty_variable_is_unset_and_a_wrong_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "OTTLA_DATA",
        "OTTLA_IN_MEMORY",
        "OTTLA_FLUSH",
        "OTTLA_SET",
        "OTTLA_LISTEN",
        "OTTLA_CONFIG",
        "OTTLA_LOG",
    ];
    let empty = names.map(|name| (name, OsStr::new("")));
    let line = ready(serve(dir.path(), &[], &empty));
    assert!(line.contains("data in "), "{line}");
    let output = serve(dir.path(), &["--help"], &empty).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let wrong = [("OTTLA_FLUSH", OsStr::new("never"))];
    let told = refusal(&mut serve(dir.path(), &[], &wrong), 2);
    assert!(told.contains("variable OTTLA_FLUSH"), "{told}");
    let told = refusal(&mut serve(dir.path(), &["--flush", "often"], &wrong), 2);
    assert!(!told.contains("variable"), "{told}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.arg("serve").env("OTTLA_LISTEN", "nowhere");
    let told = refusal(command.current_dir(dir.path()), 1);
    assert!(told.contains("OTTLA_LISTEN"), "{told}");
    let wrong = [("OTTLA_CONFIG", OsStr::new("missing.properties"))];
    let told = refusal(&mut serve(dir.path(), &[], &wrong), 1);
    assert!(told.contains("OTTLA_CONFIG"), "{told}");

    // A wrong filter is told of, and the broker runs: here, until its settings are read.
    let filter = [("OTTLA_LOG", OsStr::new("=nonsense="))];
    let told = refusal(&mut serve(dir.path(), &["--set", "a"], &filter), 1);
    assert!(
        told.contains("OTTLA_LOG=\"=nonsense=\" is no filter"),
        "{told}"
    );
}

#[test]
fn every_problem_is_told_at_once_and_nothing_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("A://{}", held.local_addr().unwrap());
    let args = [
        ["--config", "missing.properties"],
        ["--listen", &taken],
        ["--listen", "A://127.0.0.1:0"],
        ["--set", "num.partition=1"],
        ["--set", "log.retention.ms=0"],
        ["--data", "data"],
    ];
    let told = refusal(&mut serve(dir.path(), args.as_flattened(), &[]), 1);
    for problem in [
        "4 settings are wrong",
        "missing.properties",
        "two listeners are named A",
        "\"num.partition\"",
        "log.retention.ms",
    ] {
        assert!(told.contains(problem), "{problem}: {told}");
    }
    assert!(!told.contains("in use"), "{told}");
    // A --listen, an --advertise and a setting; the port is not asked for.
    let args = [
        ["--listen", &taken],
        ["--advertise", "B://h:1"],
        ["--advertise", "C://h:1"],
        ["--set", "num.partitions=0"],
        ["--data", "data"],
    ];
    let told = refusal(&mut serve(dir.path(), args.as_flattened(), &[]), 1);
    for problem in ["3 settings", "B://h:1 is", "C://h:1 is", "num.partitions"] {
        assert!(told.contains(problem), "{problem}: {told}");
    }
    assert!(!told.contains("in use"), "{told}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_is_not_used_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--in-memory", "--set", "log.dirs=somewhere"];
    let told = dir.path().join("told");
    let mut command = serve(dir.path(), &args, &[]);
    command.stderr(std::fs::File::create(&told).unwrap());
    assert!(ready(command).contains("in memory"));
    let line = std::fs::read_to_string(&told).unwrap();
    assert!(line.contains("log.dirs has no effect"), "{line}");
    assert!(!dir.path().join("somewhere").exists());
}

/// `None` where the machine has no such device.
fn full() -> Option<std::fs::File> {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    full.ok()
}

#[test]
fn a_full_standard_error_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let warned = ["--set", "num.network.threads=4"];
    let nowhere = [&warned[..], &["--data", "/dev/null/data"]].concat();
    let told = refusal(&mut serve(dir.path(), &nowhere, &[]), 1);
    assert!(told.contains("num.network.threads has no effect"), "{told}");
    let mut command = serve(dir.path(), &warned, &[]);
    if let Some(full) = full() {
        command.stderr(full);
    }
    assert!(ready(command).contains("ready on"));
}

#[test]
fn a_wildcard_says_what_clients_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let command = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        command.current_dir(dir.path()).env_clear();
        command.args(["serve", "--in-memory", "--listen", "0.0.0.0:0"]);
        command.args(args);
        command
    };
    let line = ready(command(&[]));
    assert!(!line.contains("localhost"), "{line}");
    assert!(
        line.contains("told the address that they came in on"),
        "{line}"
    );
    let line = ready(command(&["--ready-json"]));
    let said: Value = serde_json::from_str(&line).unwrap();
    let listener = &said["listeners"][0];
    assert_eq!(listener["advertised"], Value::Null);
    assert_eq!(listener["advertisesReached"], true);
    let address = listener["address"].as_str().unwrap();
    assert!(address.starts_with("0.0.0.0:"), "{line}");
    let line = ready(serve(dir.path(), &["--in-memory", "--ready-json"], &[]));
    let said: Value = serde_json::from_str(&line).unwrap();
    let listener = &said["listeners"][0];
    assert_eq!(listener["advertised"], listener["address"]);
    assert_eq!(listener["advertisesReached"], false);
}
