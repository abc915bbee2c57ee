//! What signals make of `ottla serve`.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use ottla_protocol::client::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::client::messages::{ApiVersionsRequest, FetchRequest, TopicName};
use ottla_protocol::client::{StrBytes, decode_response, encode_request};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const MARKER: &str = "data/kafka/.kafka_cleanshutdown";

/// One test at a time: a stop has two seconds, which must not go to the tests beside it.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory in memory where the machine has that: a stop may be cut short by a slow disk.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The command `ottla`, whose standard error is the file `log` in `dir`.
fn ottla(dir: &Path, log: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.current_dir(dir).env_clear();
    command.stderr(File::create(dir.join(log)).unwrap());
    command
}

fn serve(dir: &Path) -> Child {
    let mut command = ottla(dir, "told");
    command.args(["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
    let command = command.arg("--ready-json").stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Where it listens, once it does; nothing where it ends before.
fn address(child: &mut Child) -> Option<String> {
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).ok()?;
    Some(said["listeners"][0]["address"].as_str().unwrap().to_owned())
}

/// All of them at the same moment.
fn send(child: &Child, signals: &[Signal]) {
    let pid = Pid::from_child(child);
    kill_process(pid, Signal::STOP).unwrap();
    for signal in signals {
        kill_process(pid, *signal).unwrap();
    }
    kill_process(pid, Signal::CONT).unwrap();
}

/// What the broker said.
fn told(dir: &Path) -> String {
    fs::read_to_string(dir.join("told")).unwrap()
}

/// A connection with a Fetch in hand that waits for a record: it was sent together with a request
/// that is answered, and the broker reads on before it sends an answer.
fn waiting_fetch(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let partition = FetchPartition::default()
        .with_fetch_offset(1)
        .with_partition_max_bytes(1024);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("kept")))
        .with_partitions(vec![partition]);
    let fetch = FetchRequest::default()
        .with_max_wait_ms(i32::MAX)
        .with_min_bytes(1)
        .with_topics(vec![topic]);
    let mut both = Vec::new();
    let first = encode_request(&ApiVersionsRequest::default(), 0, 1, "test");
    both.extend_from_slice(&first.unwrap());
    both.extend_from_slice(&encode_request(&fetch, 12, 2, "test").unwrap());
    stream.write_all(&both).unwrap();
    frame(&mut stream);
    stream
}

fn frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    frame
}

/// Writes one record to the topic `kept`, and has it acknowledged.
fn produce(dir: &Path, address: &str) {
    let mut command = ottla(dir, "client");
    command.args(["produce", "kept", "--bootstrap-server", address]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    assert!(child.wait().unwrap().success());
}

/// The record is there after a start, which ends in good order.
fn expect_record(dir: &Path) {
    let mut child = serve(dir);
    let address = address(&mut child).unwrap();
    let mut command = ottla(dir, "client");
    let command = command.args(["consume", "kept", "--bootstrap-server", &address]);
    let output = command.output().unwrap();
    assert_eq!(output.stdout, b"hello\n", "{output:?}");
    send(&child, &[Signal::TERM]);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", told(dir));
}

#[test]
fn a_signal_ends_it_in_good_order_with_requests_in_hand() {
    let _turn = alone();
    for signals in [
        &[Signal::INT][..],
        &[Signal::TERM],
        // As coreutils' timeout does, and an init that signals a whole group.
        &[Signal::TERM, Signal::INT],
    ] {
        let dir = directory();
        let mut child = serve(dir.path());
        let address = address(&mut child).unwrap();
        produce(dir.path(), &address);
        let mut waiting = waiting_fetch(&address);
        send(&child, signals);
        let answer = frame(&mut waiting).into();
        let (id, answer) = decode_response::<FetchRequest>(answer, 12).unwrap();
        assert_eq!((id, answer.error_code), (2, 0), "{signals:?}");
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{signals:?}: {}", told(dir.path()));
        assert_eq!(told(dir.path()), "", "{signals:?}");
        assert!(dir.path().join(MARKER).is_file(), "{signals:?}");
        expect_record(dir.path());
    }
}

/// A start that does not end: a file that it reads is a pipe that nobody writes to.
fn stuck_start(dir: &Path) -> Child {
    let mut child = serve(dir);
    let address = address(&mut child).unwrap();
    produce(dir, &address);
    child.kill().unwrap();
    child.wait().unwrap();
    let meta = dir.join("data/kafka/meta.properties");
    fs::rename(&meta, dir.join("meta.properties")).unwrap();
    let made = Command::new("mkfifo").arg(&meta).status().unwrap();
    assert!(made.success(), "{made}");
    let mut child = serve(dir);
    while !heeds_signals(&child) {
        assert!(child.try_wait().unwrap().is_none(), "{}", told(dir));
        thread::yield_now();
    }
    child
}

/// Whether it would not just die of SIGINT and SIGTERM.
fn heeds_signals(child: &Child) -> bool {
    let path = format!("/proc/{}/status", child.id());
    let status = fs::read_to_string(path).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    let bits = [Signal::INT, Signal::TERM].map(|signal| 1_u64 << (signal.as_raw() - 1));
    bits.iter().all(|bit| caught & bit != 0)
}

/// Nothing is lost by it.
fn expect_kill_safe(dir: &Path) {
    let meta = dir.join("data/kafka/meta.properties");
    fs::rename(dir.join("meta.properties"), meta).unwrap();
    expect_record(dir);
}

#[test]
fn what_takes_longer_than_a_stop_may_is_left_without_the_marker() {
    let _turn = alone();
    let dir = directory();
    let mut child = stuck_start(dir.path());
    send(&child, &[Signal::TERM, Signal::INT]);
    let status = child.wait().unwrap();
    let told = told(dir.path());
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(told.contains("not a clean stop"), "{told}");
    assert_eq!(address(&mut child), None, "it was never ready");
    assert!(!dir.path().join(MARKER).exists());
    expect_kill_safe(dir.path());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let _turn = alone();
    let dir = directory();
    let mut child = stuck_start(dir.path());
    while child.try_wait().unwrap().is_none() {
        // Again and again: only what comes a moment after the first counts as a second one.
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        thread::yield_now();
    }
    let status = child.wait().unwrap();
    let told = told(dir.path());
    assert_eq!(status.code(), Some(143), "{told}");
    assert!(told.contains("stopped at once"), "{told}");
    expect_kill_safe(dir.path());
}

#[test]
fn who_speaks_another_protocol_is_logged_with_the_fix() {
    let _turn = alone();
    let dir = directory();
    for (first, fix) in [
        (
            &b"\x16\x03\x01\x02\0\x01"[..],
            "set security.protocol=PLAINTEXT",
        ),
        (b"GET /health HTTP/1.1\r\n\r\n", "use a Kafka client"),
    ] {
        let mut child = serve(dir.path());
        let mut stream = TcpStream::connect(address(&mut child).unwrap()).unwrap();
        let peer = stream.local_addr().unwrap().to_string();
        stream.write_all(first).unwrap();
        // It may be reset with bytes unread.
        let ended = stream.read(&mut [0; 16]);
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        // A stop waits for what a connection still has to do, its line in the log included.
        send(&child, &[Signal::TERM]);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let told = told(dir.path());
        assert!(told.contains(&peer) && told.contains(fix), "{told}");
    }
}
