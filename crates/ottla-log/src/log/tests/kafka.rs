//! Logs that Apache Kafka 4.3.1 wrote: opened, read, appended to, closed, and sound afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::golden_tests::{self, TOPICS};
use crate::inspect::{Finding, verify};
use crate::log::kit::{Kit, at, batch};
use crate::log::{Known, LeaderAppend, LogCore, LogOptions, LogRecords, Way};
use crate::vfs::{File, OpenMode};
use crate::{BatchOptions, Bound, LeaderEpoch, Limits, LogId, Offset, TopicName};

/// A store's directories with Kafka's files of one topic in them, as they were written.
fn kit(topic: &str) -> (Kit, PathBuf) {
    let kit = Kit::new();
    let dir = Path::new("data/kafka").join(format!("{topic}-0"));
    kit.vfs().create_dir(&dir).unwrap();
    for entry in std::fs::read_dir(golden_tests::dir().join(format!("{topic}-0"))).unwrap() {
        let entry = entry.unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        let path = dir.join(entry.file_name());
        let file = kit.vfs().open(&path, OpenMode::CreateNew).unwrap();
        let file: &dyn File = &*file;
        file.write_all_at(&mut [std::io::IoSlice::new(&bytes)], 0)
            .unwrap();
        file.sync_data().unwrap();
    }
    kit.vfs().sync_dir(&dir).unwrap();
    kit.vfs().sync_dir(Path::new("data/kafka")).unwrap();
    (kit, dir)
}

fn open(kit: &Kit, topic: &str, known: &Known) -> Arc<LogCore> {
    let id = LogId::new(TopicName::new(topic).unwrap(), 0);
    let options = LogOptions {
        topic_id: None,
        config: kit.config.clone(),
    };
    let (log, report) = LogCore::open(&kit.shared, id, options, known).unwrap();
    assert_eq!((report.corrupt, report.cut), (None, None), "{topic}");
    log
}

fn findings(kit: &Kit, dir: &Path) -> (Vec<Finding>, usize) {
    let mut findings = Vec::new();
    let report = &mut |finding| findings.push(finding);
    let verified = verify(kit.vfs(), dir, &Limits::default(), report).unwrap();
    (findings, verified.records as usize)
}

/// The offsets of the clients' records.
fn offsets(log: &Arc<LogCore>) -> Vec<i64> {
    let records = LogRecords::new(Arc::clone(log), Offset::ZERO, Bound::LogEnd);
    records.map(|record| record.unwrap().offset.get()).collect()
}

#[test]
fn a_log_that_kafka_wrote_goes_on_here() {
    // After Kafka's clean stop, and as after a kill: everything is checked then.
    for clean in [true, false] {
        for topic in TOPICS {
            goes_on(topic, clean);
        }
    }
}

fn goes_on(topic: &str, clean: bool) {
    let (kit, dir) = kit(topic);
    let (found, records) = findings(&kit, &dir);
    assert_eq!(found, [], "{topic}");
    // As Kafka's checkpoint of its clean stop says it.
    let end = ends().get(topic).copied().unwrap();
    let known = Known {
        clean,
        recovery_point: if clean { end } else { Offset::ZERO },
        durable_end: end,
        ..Known::default()
    };
    let log = open(&kit, topic, &known);
    assert_eq!(log.ends().end, end, "{topic}");
    let before = offsets(&log);
    assert!(!before.is_empty() && before.len() <= records, "{topic}");
    for n in 0..30 {
        let epoch = log.latest_epoch().unwrap_or(LeaderEpoch::new(0));
        let value = format!("written here {n} {}", "x".repeat(300));
        let batches = batch(&[&value], 1_800_000_000_000, &BatchOptions::default());
        let context = LeaderAppend::new(at(1_800_000_000_000), epoch);
        let appended = log.append_as_leader(batches, &context).unwrap();
        assert_eq!(appended.base_offset, end.plus(n), "{topic}");
    }
    let expected: Vec<i64> = before
        .into_iter()
        .chain(end.get()..end.get() + 30)
        .collect();
    assert_eq!(offsets(&log), expected, "{topic}");
    kit.flusher.flush().unwrap();
    let closed = log.close(&mut Way::Each).unwrap();
    drop(log);
    assert_eq!(findings(&kit, &dir).0, [], "{topic}");
    let known = Known {
        clean: true,
        recovery_point: closed.recovery_point,
        durable_end: closed.recovery_point,
        ..Known::default()
    };
    assert_eq!(offsets(&open(&kit, topic, &known)), expected, "{topic}");
}

/// Where each log ends: Kafka's `recovery-point-offset-checkpoint` after its clean stop.
fn ends() -> std::collections::BTreeMap<String, Offset> {
    let path = golden_tests::dir().join("recovery-point-offset-checkpoint");
    let text = std::fs::read_to_string(path).unwrap();
    let entries = text.lines().skip(2).map(|line| {
        let mut fields = line.split(' ');
        let (topic, _, offset) = (fields.next(), fields.next(), fields.next());
        let offset: i64 = offset.unwrap().parse().unwrap();
        (topic.unwrap().to_owned(), Offset::new(offset))
    });
    entries.collect()
}
