//! A data directory that a newer program wrote: the binary names its version and touches nothing.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ottla::{AppendOptions, Broker, NewTopic, Record};

/// A broker's data with one record, which a newer program has taken over meanwhile.
fn written_by_a_newer_program(dir: &Path) {
    let broker = Broker::builder().data_dir(dir).without_listener();
    let broker = broker.start_blocking().unwrap();
    let topic = broker
        .create_topic_blocking(NewTopic::new("orders"))
        .unwrap();
    topic
        .append_blocking(0, &[Record::new("kept")], AppendOptions::default())
        .unwrap();
    drop(topic);
    let _ = broker.shutdown_blocking();
    let text = "version=2\nwhatever the newer program needs\n";
    let crc = crc32fast::hash(text.as_bytes());
    fs::write(dir.join("ottla/format"), format!("{text}crc={crc:08x}\n")).unwrap();
}

/// What `ottla` says to a command with this directory; a broker that comes up is ended.
fn ottla(args: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.args(args).arg(dir);
    command.args(["--listen", "127.0.0.1:0", "--ready-json"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    let came_up = std::io::Read::read(child.stdout.as_mut().unwrap(), &mut first).unwrap() > 0;
    if came_up {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(!came_up, "the broker started: {output:?}");
    output
}

/// Every file below `dir` and what it holds.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn a_newer_format_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    written_by_a_newer_program(&data);
    let before = files(&data);
    let refused = ottla(&["serve", "--data"], &data);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    let named = format!("{data:?} has format version 2, this program knows versions up to 1");
    assert!(error.contains(&named), "{error}");
    assert!(error.contains("use the newer program"), "{error}");
    assert!(files(&data) == before, "something was changed");
}
