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
    let about_it = "00000000000000000000.log: byte 0: ";
    let about_it: Vec<_> = found
        .iter()
        .filter(|line| line.contains(about_it))
        .collect();
    assert!(about_it[0].contains("CRC-32C"), "{found:?}");
    assert!(about_it[1].contains("do not match their seal"), "{found:?}");
    let note = "journal-0: note: not looked at";
    assert!(found.iter().any(|line| line.contains(note)), "{found:?}");
    // A time index entry of the damaged batch is one more, where both have the same millisecond.
    let last = found.last().unwrap();
    assert!(
        last.contains("in 2 logs") && !last.starts_with("no finding"),
        "{found:?}"
    );

    // Of the files beside the logs, too, as lines and as JSON.
    let dumped = lines(&ottla(&["dump", "--json"], dir.path()));
    let dumped: Vec<Value> = dumped
        .iter()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let mut of = Vec::new();
    for line in &dumped {
        match line["file"].as_str() {
            Some(file) => of.push((file.rsplit('/').next().unwrap(), Vec::new())),
            None => of.last_mut().unwrap().1.push(line),
        }
    }
    let of = |name: &str| &of.iter().find(|(file, _)| *file == name).unwrap().1;
    let is_orders = |line: &&&Value| line["topic"] == "orders";
    let orders = |name: &str| of(name).iter().find(is_orders).copied().unwrap().clone();
    assert_eq!(orders("offsets")["recoveryPoint"], 2);
    assert_eq!(orders("recovery-point-offset-checkpoint")["offset"], 2);
    assert_eq!(orders("stopped")["endOffset"], 2);
    assert_eq!(orders("has-data")["partition"], 0);
    assert_eq!(
        of("format")[0]["directoryId"],
        of("meta.properties")[0]["directoryId"]
    );
    assert_eq!(of(".kafka_cleanshutdown")[0]["brokerEpoch"], -1);
    assert_eq!(
        of("00000000000000000000.seal").len(),
        2,
        "a head and a chunk"
    );
    let seal = dir
        .path()
        .join("ottla/seals/orders-0/00000000000000000000.seal");
    let seal = lines(&ottla(&["dump"], &seal));
    assert!(seal[2].contains("from 0, to 147, crc \""), "{seal:?}");
    let offsets = lines(&ottla(&["dump"], &dir.path().join("ottla/offsets")));
    let orders = offsets.iter().find(|line| line.contains("orders")).unwrap();
    assert!(orders.contains("recoveryPoint 2, logStart 0"), "{orders}");

    let nothing = ottla(&["verify"], &dir.path().join("ottla"));
    assert_eq!(nothing.status.code(), Some(2));
    let said = String::from_utf8(nothing.stderr).unwrap();
    assert!(said.contains("holds no log"), "{said}");
}
