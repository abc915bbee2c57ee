//! `ottla groups` and `ottla consume --group`, as their users start them.
#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use ottla::{AppendOptions, Broker, NewTopic, Record};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

/// A broker with a topic `orders` of two partitions, with ten records each.
struct Setting {
    broker: Broker,
}

impl Setting {
    fn new() -> Self {
        let broker = Broker::builder().in_memory().start_blocking().unwrap();
        let orders = NewTopic::new("orders").partitions(2);
        let setting = Self { broker };
        setting.broker.create_topic_blocking(orders).unwrap();
        setting.append(0, 0..10);
        setting.append(1, 0..10);
        setting
    }

    /// One batch of records that say which they are; their times are 1000 s and as many seconds.
    fn append(&self, partition: i32, numbers: std::ops::Range<i64>) {
        let orders = self.broker.topic("orders").unwrap();
        let record = |n: i64| {
            Record::new(format!("{partition}-{n}")).with_timestamp((1_000_000 + n * 1000).into())
        };
        let records: Vec<Record> = numbers.map(record).collect();
        let options = AppendOptions::default();
        orders
            .append_blocking(partition, &records, options)
            .unwrap();
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        command.args(args.split(' '));
        command.env("OTTLA_BOOTSTRAP_SERVER", self.broker.bootstrap_servers());
        command
    }

    fn output(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command that succeeds prints.
    fn lines(&self, args: &str) -> Vec<String> {
        let output = self.output(args);
        assert!(output.status.success(), "{args}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn json(&self, args: &str) -> Vec<Value> {
        let lines = self.lines(args);
        lines
            .iter()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }

    /// What a command that fails says.
    fn failure(&self, args: &str) -> String {
        let output = self.output(args);
        assert!(!output.status.success(), "{args}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The group's offsets of partition 0 and 1.
    fn offsets(&self, group: &str) -> Vec<Value> {
        let described = self
            .json(&format!("groups describe {group} --json"))
            .remove(0);
        let partitions = described["partitions"].as_array().unwrap().iter();
        partitions
            .map(|partition| partition["offset"].clone())
            .collect()
    }

    fn reset(&self, how: &str) -> Vec<Value> {
        let rows = self.json(&format!("groups reset-offsets billing {how} --json"));
        rows.into_iter()
            .map(|row| row["newOffset"].clone())
            .collect()
    }
}

#[test]
fn offsets_are_moved_only_when_it_is_said_to() {
    let setting = Setting::new();
    let shown = setting.lines("groups reset-offsets billing --to-latest --topic orders");
    assert_eq!(
        shown.last().unwrap(),
        "nothing was changed; --execute does it"
    );
    assert_eq!(shown[1], "orders          0           -          10");
    assert!(setting.lines("groups list").is_empty());

    let how = "--to-offset 4 --topic orders --execute";
    assert_eq!(setting.reset(how), [4, 4]);
    assert_eq!(setting.offsets("billing"), [4, 4]);
    assert_eq!(
        setting.reset("--shift-by -1 --topic orders:1 --execute"),
        [3]
    );
    assert_eq!(setting.offsets("billing"), [4, 3]);
    assert_eq!(setting.reset("--shift-by 100 --all-topics"), [10, 10]);
    assert_eq!(setting.reset("--to-offset -7 --all-topics"), [0, 0]);
    assert_eq!(setting.reset("--to-earliest --all-topics"), [0, 0]);
    assert_eq!(
        setting.reset("--to-datetime 1970-01-01T00:16:45 --topic orders:0,1"),
        [5, 5]
    );
    assert_eq!(
        setting.reset("--to-datetime 1970-01-01T01:16:45.5+01:00 --all-topics"),
        [6, 6]
    );
    assert_eq!(
        setting.reset("--to-datetime 2100-01-01T00:00:00 --all-topics"),
        [10, 10]
    );
    assert_eq!(setting.offsets("billing"), [4, 3]);

    let told = setting.failure("groups reset-offsets new --shift-by 1 --topic orders:0");
    assert!(told.contains("orders-0 has no committed offset"), "{told}");
    let told = setting.failure("groups reset-offsets new --to-latest --topic orders:2");
    assert!(told.contains("no partition 2"), "{told}");
    let told = setting.failure("groups reset-offsets new --to-datetime now --topic orders");
    assert!(told.contains("YYYY-MM-DD"), "{told}");
    let told = setting.failure("groups reset-offsets new --to-latest --all-topics");
    assert!(told.contains("no offsets to reset"), "{told}");
    let told = setting.failure("groups reset-offsets new --topic orders");
    assert!(told.contains("--to-earliest"), "{told}");
    let told = setting.failure("groups reset-offsets new --to-latest --shift-by 1 --all-topics");
    assert!(told.contains("cannot be used with"), "{told}");
}

#[test]
fn groups_are_listed_described_and_deleted() {
    let setting = Setting::new();
    setting.reset("--to-offset 4 --topic orders:0 --execute");
    assert_eq!(setting.lines("groups list"), ["billing"]);
    let listed = setting.json("groups list --json");
    assert_eq!(listed[0]["group"], "billing");
    assert_eq!(listed[0]["state"], "Empty");
    let described = setting.lines("groups describe billing");
    assert_eq!(described[0], "group billing  Empty, 0 members");
    assert_eq!(
        described[2],
        "  orders          0           4          10           6  -"
    );
    assert_eq!(
        setting.lines("groups delete billing"),
        ["deleted group billing"]
    );
    assert!(setting.lines("groups list").is_empty());
    let told = setting.failure("groups delete billing");
    assert!(told.contains("deleting group \"billing\" failed"), "{told}");
    let told = setting.failure("groups describe billing");
    assert!(told.contains("Group billing not found"), "{told}");
}

#[test]
fn a_group_is_read_on_from_where_it_is() {
    let setting = Setting::new();
    let first = setting.lines("consume orders --group billing --max 13 --offsets");
    assert_eq!(first.len(), 13);
    let mut rest = setting.lines("consume orders --group billing --offsets");
    assert_eq!(rest.len(), 7);
    rest.extend(first);
    rest.sort();
    rest.dedup();
    assert_eq!(rest.len(), 20, "each record once");
    assert!(setting.lines("consume orders --group billing").is_empty());
    assert_eq!(setting.offsets("billing"), [10, 10]);
    setting.append(1, 10..12);
    assert_eq!(
        setting.lines("consume orders --group billing"),
        ["1-10", "1-11"]
    );
    // Another group begins where it is told.
    assert!(
        setting
            .lines("consume orders --group late --from end")
            .is_empty()
    );
}

/// A member that does not outlive a test that fails: it would look for its broker for ever.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(mut command: Command) -> (Self, BufReader<ChildStdout>) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        (Self(child), out)
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

/// A member that has printed its first record.
fn follow(setting: &Setting, group: &str) -> (Running, BufReader<ChildStdout>) {
    let command = setting.command(&format!("consume orders --group {group} --follow"));
    let (child, mut out) = Running::start(command);
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.ends_with("-0\n"), "{line:?}");
    (child, out)
}

#[test]
fn a_member_commits_and_leaves_on_ctrl_c() {
    let setting = Setting::new();
    let (mut child, mut out) = follow(&setting, "billing");
    let described = setting.json("groups describe billing --json").remove(0);
    assert_eq!(described["state"], "Stable");
    assert_eq!(described["assignor"], "range");
    let id = described["members"][0]["member"].clone();
    assert!(id.as_str().unwrap().starts_with("ottla-cli-"), "{id}");
    let members: Vec<&Value> = described["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| &partition["member"])
        .collect();
    assert_eq!(members, [&id, &id]);
    let told = setting.failure("groups reset-offsets billing --to-latest --all-topics");
    assert!(told.contains("has no members, but it is Stable"), "{told}");
    let told = setting.failure("groups delete billing");
    assert!(told.contains("still has members"), "{told}");

    child.signal(Signal::INT);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.0.wait().unwrap().success());
    let printed = i64::try_from(rest.lines().count()).unwrap() + 1;
    let listed = setting.json("groups list --json");
    assert_eq!(listed[0]["state"], json!("Empty"));
    let committed = setting.offsets("billing").into_iter();
    let committed: i64 = committed.filter_map(|offset| offset.as_i64()).sum();
    assert_eq!(committed, printed);
}

#[test]
fn members_share_the_partitions() {
    let setting = Setting::new();
    let (mut first, mut out) = follow(&setting, "billing");
    // The other waits until the first has joined again, and is given a partition of its own.
    let command = setting.command("consume orders --group billing --follow");
    let (mut second, mut second_out) = Running::start(command);
    for number in 10.. {
        setting.append(0, number..number + 1);
        setting.append(1, number..number + 1);
        let described = setting.json("groups describe billing --json").remove(0);
        let rows = described["partitions"].as_array().unwrap();
        let members: Vec<&Value> = rows.iter().map(|row| &row["member"]).collect();
        if described["state"] == "Stable" && members[0] != members[1] {
            break;
        }
        assert!(number < 1_000, "{described}");
    }
    first.signal(Signal::TERM);
    second.signal(Signal::TERM);
    let mut printed = String::new();
    out.read_to_string(&mut printed).unwrap();
    second_out.read_to_string(&mut printed).unwrap();
    assert!(first.0.wait().unwrap().success());
    assert!(second.0.wait().unwrap().success());
    let mut lines: Vec<&str> = printed.lines().collect();
    let all = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), all, "a rebalance prints nothing twice");
}

#[test]
fn a_reader_that_goes_away_leaves_no_dead_member() {
    let setting = Setting::new();
    let (mut child, out) = follow(&setting, "billing");
    // As `| head -1` does.
    drop(out);
    for number in 10.. {
        setting.append(0, number..number + 1);
        if let Some(status) = child.0.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        assert!(number < 100_000, "it goes on without a reader");
    }
    let listed = setting.json("groups list --json");
    assert_eq!(listed[0]["state"], json!("Empty"));
    let committed = setting.offsets("billing").into_iter();
    let committed: i64 = committed.filter_map(|offset| offset.as_i64()).sum();
    assert!(committed >= 1, "what was written out is committed");
}

#[test]
fn a_signal_ends_the_wait_for_others() {
    let setting = Setting::new();
    let (first, _first_out) = follow(&setting, "billing");
    // One that neither beats nor joins again holds up the rebalance for 30 s.
    first.signal(Signal::STOP);
    let command = setting.command("consume orders --group billing --follow");
    let (mut second, _second_out) = Running::start(command);
    let state = || {
        let described = setting.json("groups describe billing --json").remove(0);
        described["state"].clone()
    };
    while state() != "PreparingRebalance" {
        assert!(second.0.try_wait().unwrap().is_none(), "it waits to join");
    }
    second.signal(Signal::INT);
    assert!(second.0.wait().unwrap().success());
    assert_eq!(
        state(),
        "PreparingRebalance",
        "it did not wait for the other"
    );
}

#[test]
fn a_reset_says_all_that_it_needs() {
    let setting = Setting::new();
    let told = setting.failure("groups reset-offsets billing --to-earliest");
    assert!(told.contains("--all-topics"), "{told}");
    assert!(told.contains("--topic"), "{told}");
}
