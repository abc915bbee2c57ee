//! `verify_dir`: a sound directory has no finding, at rest, after a kill and beside a store at
//! work; a flipped bit anywhere has one, but where it means nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::super::journal::{Scan, area_path};
use super::kit::{DIR, id, log_options, record, small, topic, world, written};
use super::rot::{files, filled, flip};
use crate::inspect::{Finding, Note, Report, Verified, verify_dir};
use crate::vfs::{CrashPlan, MemVfs, OpenMode, Vfs};
use crate::{Limits, Offset, Store, Timestamp};

fn verified(vfs: &dyn Vfs, path: &Path) -> (Verified, Vec<Finding>, Vec<Note>) {
    let (mut findings, mut notes) = (Vec::new(), Vec::new());
    let report = &mut |told| match told {
        Report::Finding(finding) => findings.push(finding),
        Report::Note(note) => notes.push(note),
    };
    let verified = verify_dir(vfs, path, &Limits::default(), report).unwrap();
    (verified, findings, notes)
}

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn content(vfs: &MemVfs, path: &Path) -> Vec<u8> {
    let file = vfs.open(path, OpenMode::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn a_sound_directory_has_no_finding() {
    let (vfs, store, _) = filled();
    let (beside, findings, notes) = verified(&vfs, dir());
    assert_eq!(findings, []);
    assert_eq!(beside.logs, 3);
    assert_eq!(beside.seals, 6, "{notes:?}");
    let runs = |notes: &[Note]| notes.iter().any(|note| note.what.contains("a broker runs"));
    assert!(runs(&notes), "{notes:?}");

    let killed = vfs.crash(&CrashPlan::EVERYTHING);
    assert_eq!(verified(&killed, dir()).1, []);
    assert_eq!(verified(&vfs.crash(&CrashPlan::SYNCED_ONLY), dir()).1, []);

    assert!(store.close().clean);
    let (at_rest, findings, notes) = verified(&vfs, dir());
    assert_eq!(findings, []);
    assert!(!runs(&notes), "{notes:?}");
    assert_eq!(at_rest.seals, at_rest.segments, "all are sealed");
    // One log of it is checked against the rest, too.
    let (one, findings, _) = verified(&vfs, &dir().join("kafka/orders-0"));
    assert_eq!((one.logs, findings), (1, vec![]));
    assert!(one.seals > 2);
}

/// What is missing, stale, cut off or set aside is told, and is no finding.
#[test]
fn what_is_no_loss_is_noted() {
    let (vfs, store, _) = filled();
    drop(store);
    let (seals, log) = (
        dir().join("ottla/seals/orders-0"),
        dir().join("kafka/orders-0"),
    );
    let (_, _, sound) = verified(&vfs, dir());
    let noted = |change: &dyn Fn(&MemVfs), expected: &str| {
        let vfs = vfs.fork();
        change(&vfs);
        let (_, findings, notes) = verified(&vfs, dir());
        assert_eq!(findings, [], "{expected}");
        let news: Vec<&Note> = notes.iter().filter(|note| !sound.contains(note)).collect();
        assert!(
            news.iter().any(|note| note.what.contains(expected)),
            "{expected}: {news:?}"
        );
    };
    let put = |vfs: &MemVfs, path: &Path, bytes: &[u8]| {
        let file = vfs.open(path, OpenMode::Create).unwrap();
        file.set_len(0).unwrap();
        file.write_all_at(&mut [IoSlice::new(bytes)], 0).unwrap();
    };
    let first = vfs.list(&seals).unwrap()[0].name.clone();
    let seal = seals.join(&first);
    noted(&|vfs| vfs.remove_file(&seal).unwrap(), "not sealed yet");
    noted(
        &|vfs| put(vfs, &seal, &content(vfs, &seal)[..40]),
        "it does not count",
    );
    noted(&|vfs| put(vfs, &seal, b""), "it does not count");
    let others = dir().join("ottla/seals/invoices-0").join(&first);
    noted(
        &|vfs| put(vfs, &seal, &content(vfs, &others)),
        "another topic's",
    );
    let gone = seals.join("00000000000000000999.seal");
    noted(
        &|vfs| put(vfs, &gone, &content(vfs, &seal)),
        "a segment that is gone",
    );
    noted(
        &|vfs| put(vfs, &log.join("00000000000000000009.log.cleaned"), b"x"),
        "cut off",
    );
    noted(
        &|vfs| put(vfs, &log.join("00000000000000000009.log.swap"), b"x"),
        "a compaction",
    );
    noted(
        &|vfs| put(vfs, &dir().join("ottla/what"), b""),
        "none of ours",
    );
    noted(
        &|vfs| vfs.create_dir(&dir().join("kafka/what")).unwrap(),
        "none of a log's",
    );
    let aside = format!("kafka/orders-0.{}-stray", "0".repeat(32));
    noted(
        &|vfs| vfs.create_dir(&dir().join(&aside)).unwrap(),
        "set aside",
    );
    let torn = |vfs: &MemVfs| {
        let last = vfs
            .list(&log)
            .unwrap()
            .into_iter()
            .rfind(|e| e.name.ends_with(".log"));
        let file = vfs
            .open(&log.join(last.unwrap().name), OpenMode::Write)
            .unwrap();
        file.write_all_at(&mut [IoSlice::new(b"torn")], file.len().unwrap())
            .unwrap();
    };
    let middle = vfs
        .list(&log)
        .unwrap()
        .into_iter()
        .filter(|e| e.name.ends_with(".log"))
        .nth(1);
    let middle = log.join(middle.unwrap().name);
    let gone = |vfs: &MemVfs| {
        for extension in ["log", "index", "timeindex", "txnindex", "snapshot"] {
            let _ = vfs.remove_file(&middle.with_extension(extension));
        }
    };
    noted(&gone, "unless compacted");
    noted(&torn, "the last 4 bytes are no whole batch");
    let at_rest = dir().join("ottla/at-rest");
    let (path, head) = last_round(&vfs);
    noted(
        &|vfs| flip(vfs, &path, head + 20),
        "the head of a flush round is damaged",
    );
    noted(
        &|vfs| put(vfs, &at_rest, b""),
        "Apache Kafka ran here since",
    );
}

/// What is lost as a whole is found, too.
#[test]
fn what_is_gone_is_found() {
    let (vfs, store, _) = filled();
    let found = |vfs: &MemVfs, path: &str, expected: &str| {
        let vfs = vfs.fork();
        let path = dir().join(path);
        let gone = path.with_extension("gone");
        vfs.rename(&path, &gone).unwrap();
        let (_, findings, _) = verified(&vfs, dir());
        let is_told = findings
            .iter()
            .any(|finding| finding.what.contains(expected));
        assert!(is_told, "{path:?}: {findings:?}");
    };
    let mut logs = BTreeMap::new();
    files(&vfs, &dir().join("kafka/orders-0"), &mut logs);
    let segments = logs
        .keys()
        .filter(|path| path.extension().is_some_and(|e| e == "log"));
    let segments = segments.map(|path| path.strip_prefix(dir()).unwrap().to_str().unwrap());
    let segments: Vec<&str> = segments.collect();
    let [first, second, .., last] = segments[..] else {
        panic!("{segments:?}");
    };
    found(&vfs, first, "the log starts at 9");
    found(&vfs, "ottla/format", "nothing else is looked at");
    found(&vfs, "kafka/meta.properties", "it is missing");
    found(&vfs, "kafka/orders-0", "held data of topic id");
    found(&vfs, "kafka/orders-0/partition.metadata", "it is missing");
    assert!(store.close().clean);
    found(&vfs, second, "before it are missing");
    let snapshot = "kafka/orders-0/00000000000000000036.snapshot";
    let without = vfs.fork();
    without.remove_file(&dir().join(snapshot)).unwrap();
    assert_eq!(verified(&without, dir()).1, [], "it is made anew");
    found(&vfs, last, "everything below 36 was durable");
    found(
        &vfs,
        "kafka/recovery-point-offset-checkpoint",
        "not what the clean stop left",
    );
    found(
        &vfs,
        "kafka/orders-0/leader-epoch-checkpoint",
        "by ottla/stopped",
    );
}

/// Apache Kafka's own directory, as it left it: checkpoints, epochs and what is compacted.
#[test]
fn what_kafka_left_has_no_finding() {
    let vfs = crate::vfs::RealVfs::new();
    let (verified, findings, _) = verified(&vfs, &crate::golden_tests::dir());
    assert_eq!(findings, []);
    assert!(verified.logs > 5 && verified.records > 20, "{verified:?}");
}

/// Bits that nothing can tell from what a sound directory may hold.
fn has_no_meaning(vfs: &MemVfs, path: &Path, position: u64, is_clean: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = |path: &Path| String::from_utf8_lossy(&content(vfs, path)).into_owned();
    match &*name {
        // Not looked at after a clean stop. After a kill: zeros between and behind the rounds, and
        // rounds that do not count, of which the last may be torn.
        "journal-0" | "journal-1" => is_clean || !is_of_a_round(vfs, path, position),
        // A comment; and nothing else in the directory says which node's it is.
        "meta.properties" => {
            let text = text(path);
            let line = text.get(..position as usize).unwrap_or_default();
            let start = line.rfind('\n').map_or(0, |at| at + 1);
            text[start..].starts_with('#') || text[start..].starts_with("node.id=")
        }
        _ => false,
    }
}

fn journal(vfs: &MemVfs) -> (Scan, PathBuf) {
    let own = dir().join("ottla");
    let format = super::super::format_file::FormatFile::decode(&content(vfs, &own.join("format")));
    let scan = Scan::look(vfs, &own, format.unwrap().key).unwrap();
    (scan, own)
}

/// The file of the journal's last round, and where that begins.
fn last_round(vfs: &MemVfs) -> (PathBuf, u64) {
    let (scan, own) = journal(vfs);
    let round = scan.rounds.last().unwrap();
    (
        area_path(&own, round.area),
        round.data_position / 4096 * 4096,
    )
}

/// Whether the byte is of a round that is followed by one that counts.
fn is_of_a_round(vfs: &MemVfs, path: &Path, position: u64) -> bool {
    let (scan, own) = journal(vfs);
    let (_, counting) = scan.rounds.split_last().unwrap();
    let area = usize::from(path == area_path(&own, 1));
    counting
        .iter()
        .filter(|round| round.area == area)
        .any(|round| {
            let lens = round.entries.iter().map(|entry| match entry.what {
                super::super::journal::What::Data(range) => u64::from(range.len),
                _ => 0,
            });
            let begin = round.data_position / 4096 * 4096;
            (begin..round.data_position + lens.sum::<u64>()).contains(&position)
        })
}

/// Kafka's files are written after ours, which count; of ours one half after the other.
fn may_lag(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "offsets" || name.ends_with("-offset-checkpoint")
}

/// Flips bits of each file; the kinds of files, and what was not found.
fn flip_each(vfs: &MemVfs, is_clean: bool) -> (BTreeSet<String>, Vec<(PathBuf, u64)>) {
    let mut all = BTreeMap::new();
    files(vfs, dir(), &mut all);
    let (_, _, sound) = verified(vfs, dir());
    let (mut kinds, mut missed, mut flips) = (BTreeSet::new(), Vec::new(), 0);
    for (path, len) in all {
        // One log is as good as another.
        if ["invoices-0", "payments-0"]
            .iter()
            .any(|log| path.iter().any(|part| part == *log))
        {
            continue;
        }
        let kind = path
            .extension()
            .or_else(|| path.file_name())
            .unwrap_or_default();
        kinds.insert(kind.to_string_lossy().into_owned());
        let step = (len / 80).max(1) as usize;
        for position in (0..len).step_by(step) {
            if has_no_meaning(vfs, &path, position, is_clean) {
                continue;
            }
            let rotten = vfs.fork();
            flip(&rotten, &path, position);
            flips += 1;
            let (_, findings, notes) = verified(&rotten, dir());
            // Where a crash, or who writes just now, may leave the same, there is a note.
            let is_noted = !is_clean && may_lag(&path) && notes != sound;
            if findings.is_empty() && !is_noted {
                missed.push((path.clone(), position));
            }
        }
    }
    println!("counters {{\"flips\":{flips}}}");
    (kinds, missed)
}

#[test]
fn a_flipped_bit_anywhere_is_found_after_a_clean_stop() {
    let (vfs, store, _) = filled();
    assert!(store.close().clean);
    let (kinds, missed) = flip_each(&vfs, true);
    assert_eq!(missed, []);
    for kind in [
        "log",
        "index",
        "timeindex",
        "txnindex",
        "snapshot",
        "seal",
        "format",
        "has-data",
        "offsets",
        "stopped",
        "properties",
        "metadata",
        "leader-epoch-checkpoint",
        "recovery-point-offset-checkpoint",
        "log-start-offset-checkpoint",
        ".kafka_cleanshutdown",
    ] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
}

#[test]
fn and_after_a_kill() {
    let (vfs, store, _) = filled();
    drop(store);
    let killed = vfs.crash(&CrashPlan::EVERYTHING);
    let (_, missed) = flip_each(&killed, false);
    let kinds: BTreeSet<_> = missed
        .iter()
        .map(|(path, _)| path.file_name().unwrap())
        .collect();
    assert_eq!(missed.len(), 0, "{kinds:?} {missed:?}");
}

/// Appends, rolls, compaction, retention, deletion of records and of logs, checkpoints and seals,
/// while another thread verifies again and again.
#[test]
fn beside_a_store_at_work_nothing_false_is_found() {
    const READINGS_MIN: usize = 12;
    const ROUNDS_MIN: usize = 4;
    let vfs = MemVfs::new();
    let store = Store::open_in(world(vfs.clone()), DIR, small())
        .unwrap()
        .store;
    let (done, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut told, mut readings, mut logs, mut seals) = (Vec::new(), 0, 0, 0);
    thread::scope(|scope| {
        let worker = scope.spawn(|| work(&store, &done, &rounds));
        // A reading may come before there is anything to read. The work ends by itself, too, and
        // so do the readings with it.
        let is_enough = |readings, logs, seals| {
            let ran = rounds.load(Ordering::Acquire);
            readings >= READINGS_MIN && ran >= ROUNDS_MIN && logs > 0 && seals > 0
        };
        while !is_enough(readings, logs, seals) && !worker.is_finished() {
            let (verified, findings, _) = verified(&vfs, dir());
            readings += 1;
            logs += verified.logs;
            seals += verified.seals;
            told.extend(findings);
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(told, []);
    let rounds = rounds.into_inner();
    println!("counters {{\"readings\":{readings},\"rounds\":{rounds}}}");
    assert!(
        rounds >= ROUNDS_MIN && readings >= READINGS_MIN,
        "{rounds} {readings}"
    );
    assert!(
        logs > 0 && seals > 0,
        "{logs} logs and {seals} seals were seen"
    );
    assert!(store.close().clean);
    let (_, findings, _) = verified(&vfs, dir());
    assert_eq!(findings, [], "after a clean stop");
}

/// Has a store do everything it can do until it is `done`, at least once; counts the `rounds`.
fn work(store: &Store, done: &AtomicBool, rounds: &AtomicUsize) {
    // Far more than are needed: who fails to say that it is `done` does not hang.
    const ROUNDS_MAX: usize = 10_000;
    let (mut now, mut round) = (0, 0_u8);
    while now == 0 || !done.load(Ordering::Acquire) {
        assert!(rounds.fetch_add(1, Ordering::AcqRel) < ROUNDS_MAX);
        round = round.wrapping_add(1).max(3);
        let mut compacted = log_options(Some(topic(1)));
        compacted.config.compacted = true;
        compacted.config.min_cleanable_dirty_ratio = 0.0;
        let mut retained = log_options(Some(topic(2)));
        retained.config.retention_bytes = Some(16 << 10);
        let logs = [
            store.log(id("compacted"), compacted).unwrap(),
            store.log(id("retained"), retained).unwrap(),
            store
                .log(id("deleted"), log_options(Some(topic(round))))
                .unwrap(),
        ];
        for number in 0..40 {
            for log in &logs {
                let record = record(&number.to_string(), 400).with_key(format!("{}", number % 7));
                log.append(&[record], written()).unwrap();
            }
        }
        store.flush().unwrap();
        logs[2].delete_records(Offset::new(20)).unwrap();
        for _ in 0..3 {
            now += 400_000;
            while store.maintain(Timestamp::new(now)).more {}
            for log in &logs {
                while log.maintain(Timestamp::new(now)).unwrap().more {}
            }
        }
        store.delete(&id("deleted")).unwrap();
    }
}
