//! `ottla log` over the files of a broker that is still running, and over damaged ones.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ottla::{AppendOptions, Broker, NewTopic, Record};
use serde_json::Value;

fn ottla(args: &[&str], path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.arg("log").args(args).arg(path).output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_running_brokers_files_are_shown_and_found_sound() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::builder().data_dir(dir.path()).without_listener();
    let broker = broker.start_blocking().unwrap();
    let orders = broker
        .create_topic_blocking(NewTopic::new("orders"))
        .unwrap();
    let record = Record::new("created")
        .with_key("o-1")
        .with_header("by", "test");
    for _ in 0..3 {
        let records = std::slice::from_ref(&record);
        orders
            .append_blocking(0, records, AppendOptions::default())
            .unwrap();
    }
    let verified = ottla(&["verify"], dir.path());
    let last = lines(&verified).pop().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    assert!(last.starts_with("no finding in 2 logs"), "{last}");

    let log = dir.path().join("kafka/orders-0/00000000000000000000.log");
    let dumped = ottla(&["dump", "--records", "--json"], &log);
    let dumped: Vec<Value> = lines(&dumped)
        .iter()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let offsets = dumped.iter().filter_map(|line| line["offset"].as_i64());
    assert_eq!(offsets.collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(dumped[2]["key"], "o-1");
    assert_eq!(dumped[2]["headers"], serde_json::json!([["by", "test"]]));
    assert_eq!(dumped[3]["baseOffset"], 1);
    let dumped = lines(&ottla(&["dump", "--records"], &log));
    assert!(
        dumped[1].contains("byte 0: offsets 0 to 0, 1 records"),
        "{dumped:?}"
    );
    assert!(dumped[2].ends_with(r#"key "o-1", value "created", header "by" "test""#));
}

#[test]
fn damage_has_a_line_and_an_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::builder().data_dir(dir.path()).without_listener();
    let broker = broker.start_blocking().unwrap();
    let orders = broker
        .create_topic_blocking(NewTopic::new("orders"))
        .unwrap();
    let append = |value: &'static str| {
        let appended = orders.append_blocking(0, &[Record::new(value)], AppendOptions::default());
        appended.unwrap();
    };
    append("first");
    append("second");
    assert!(broker.shutdown_blocking().clean);
    let log = dir.path().join("kafka/orders-0/00000000000000000000.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[64] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let verified = ottla(&["verify"], dir.path());
    assert_eq!(verified.status.code(), Some(1));
    let found = lines(&verified);
    assert!(
        found[0].contains("00000000000000000000.log: byte 0: "),
        "{found:?}"
    );
    assert!(found[0].contains("CRC-32C"), "{found:?}");
    // A time index entry of the damaged batch is one more, where both have the same millisecond.
    let last = found.last().unwrap();
    assert!(
        last.contains("in 2 logs") && !last.starts_with("no finding"),
        "{found:?}"
    );

    let nothing = ottla(&["verify"], &dir.path().join("ottla"));
    assert_eq!(nothing.status.code(), Some(2));
    let said = String::from_utf8(nothing.stderr).unwrap();
    assert!(said.contains("holds no log"), "{said}");
}
