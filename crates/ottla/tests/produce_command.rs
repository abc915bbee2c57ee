//! `ottla produce`, as its users start it.
#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use ottla::{Broker, Clock as _, Isolation, NewTopic, Offset, OwnedRecord, SystemClock, Topic};

/// Long enough for any machine: only a test that fails takes it.
const LONG: Duration = Duration::from_secs(60);

/// A broker with a topic `orders` of one partition.
struct Setting {
    broker: Broker,
    orders: Topic,
}

impl Setting {
    fn new() -> Self {
        let broker = Broker::builder().in_memory().start_blocking().unwrap();
        let orders = broker.create_topic_blocking(NewTopic::new("orders"));
        let orders = orders.unwrap();
        Self { broker, orders }
    }

    fn spawn(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        command.args(["produce", "orders"]).args(args);
        command.env("OTTLA_BOOTSTRAP_SERVER", self.broker.bootstrap_servers());
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// What becomes of `input`.
    fn produce(&self, args: &[&str], input: Vec<u8>) -> Output {
        let mut child = self.spawn(args);
        let mut stdin = child.stdin.take().unwrap();
        // What ends early does not read all of it.
        let writing = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap();
        output
    }

    fn read(&self) -> Vec<OwnedRecord> {
        let read = self
            .orders
            .read_blocking(0, Offset::ZERO, Isolation::ReadUncommitted);
        read.unwrap().into_iter().map(Result::unwrap).collect()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn what_is_allowed_by_itself_is_written() {
    let setting = Setting::new();
    let mut input = vec![b'a'; 500_000];
    input.push(b'\n');
    input.extend(vec![b'b'; 600_000]);
    let output = setting.produce(&[], input);
    assert!(output.status.success(), "{}", said(&output));

    let header = format!("h={}", "x".repeat(3000));
    let lines = "v\n".repeat(500).into_bytes();
    let output = setting.produce(&["-H", &header], lines);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "500 records written to orders\n");

    // The topic allows less than a batch gathers.
    let small = NewTopic::new("small").config("max.message.bytes", "1000");
    let small = setting.broker.create_topic_blocking(small).unwrap();
    let lines = "0123456789\n".repeat(300).into_bytes();
    let bootstrap = setting.broker.bootstrap_servers();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.args(["produce", "small", "-b", bootstrap]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&lines).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(small.ends_blocking(0).unwrap().end, Offset::new(300));
}

#[test]
fn lines_are_sent_as_they_come_with_their_own_time() {
    let setting = Setting::new();
    let mut child = setting.spawn(&[]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"first\n").unwrap();
    let is = |value: &'static [u8]| {
        move |found: &ottla::FollowedRecord| found.record.value.as_deref() == Some(value)
    };
    // It is there while the input is still open.
    setting
        .orders
        .wait_for_blocking(LONG, is(b"first"))
        .unwrap();
    let between = SystemClock::new().now();
    stdin.write_all(b"second\n").unwrap();
    let second = setting.orders.wait_for_blocking(LONG, is(b"second"));
    assert!(second.unwrap().record.timestamp >= between);

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(said(&output), "2 records written to orders\n");
    drop(stdin);
}

#[test]
fn what_nobody_acknowledges_is_not_called_written() {
    let setting = Setting::new();
    let output = setting.produce(&["--acks", "0"], b"a\nb\n".to_vec());
    assert!(output.status.success(), "{output:?}");
    let told = "2 records sent to orders; without acks nobody says what was written\n";
    assert_eq!(said(&output), told);
}

#[test]
fn a_wrong_line_is_named_and_those_before_it_are_written() {
    let setting = Setting::new();
    let input = ["k:v\n".repeat(700), "wrong\nk:v\n".to_owned()].concat();
    let output = setting.produce(&["--key-separator", ":"], input.into_bytes());
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output);
    assert!(
        told.contains("line 701: no key separator \":\" in \"wrong\""),
        "{told}"
    );
    assert!(
        told.ends_with("; 700 records written to orders\n"),
        "{told}"
    );
    assert_eq!(setting.read().len(), 700);

    let input = b"{\"value\":\"v\"}\n\n{\"valu\":\"v\"}\n".to_vec();
    let output = setting.produce(&["--json"], input);
    let told = said(&output);
    assert!(
        told.contains("line 3: no field of a record is called \"valu\""),
        "{told}"
    );
    assert!(told.ends_with("; 1 record written to orders\n"), "{told}");
}

#[test]
fn lines_are_bytes() {
    let setting = Setting::new();
    let input = b"\xff:\0\xfe\r\n:\n".to_vec();
    let output = setting.produce(&["--key-separator", ":", "--acks", "-1"], input);
    assert!(output.status.success(), "{}", said(&output));
    let read = setting.read();
    assert_eq!(read[0].key.as_deref(), Some(&b"\xff"[..]));
    assert_eq!(read[0].value.as_deref(), Some(&b"\0\xfe"[..]));
    assert_eq!(read[1].key.as_deref(), Some(&b""[..]));
}

#[test]
fn a_full_standard_error_changes_no_outcome() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        // Only a machine that has such a device can tell.
        return;
    };
    let setting = Setting::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.args(["produce", "orders"]).stderr(full);
    command.args(["-b", setting.broker.bootstrap_servers()]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"v\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(setting.read().len(), 1);
}
