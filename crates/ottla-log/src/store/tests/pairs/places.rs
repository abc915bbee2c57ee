//! Every place in the source where the file system is called fails at least once, and what was
//! promised holds. The list of places is made from the source, none left out.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::IoSlice;
use std::panic::Location;
use std::path::Path;

use super::{Stage, Step, workload};
use crate::store::tests::history::{Failed, History, check};
use crate::store::tests::kit::{Portable, id, log_options};
use crate::vfs::{Fault, FaultPoints, FaultVfs, MemVfs, OpenMode, Vfs};
use crate::{Bound, Log, Timestamp};

/// Calls that only a file system, or a file of one, has.
const ANYWHERE: &[&str] = &[
    "create_dir",
    "drop_cache",
    "read_at",
    "read_at_nowait",
    "read_exact_at",
    "remove_dir",
    "remove_file",
    "set_len",
    "set_modified",
    "sync_data",
    "sync_dir",
    "write_all_at",
    "write_at",
];

/// Calls that others have, too: of something called `vfs` or `file`.
const OF_A_DISK: &[&str] = &[
    "is_empty", "len", "list", "lock", "map", "open", "range", "rename", "space", "stat",
    "sync_all",
];

/// Places that no workload here reaches: file, a part of the line, and when they are reached.
const UNREACHED: &[(&str, &str, &str)] = &[
    ("inspect/dir.rs", "vfs.", TOOLS),
    ("inspect/files.rs", "vfs.", TOOLS),
    ("inspect/others.rs", "vfs.", TOOLS),
    ("inspect/segment.rs", "file", TOOLS),
    ("inspect/told.rs", "vfs", TOOLS),
    ("inspect/told.rs", ".stat(&path)", TOOLS),
    ("inspect/told.rs", "file", TOOLS),
    (
        "log/cut.rs",
        "vfs.stat(&path)",
        "a name of an earlier cut is taken",
    ),
    (
        "log/dir.rs",
        "file.set_len(0)",
        "a file of an earlier try is written anew",
    ),
    ("log/leftovers.rs", "vfs.sync_dir(log_dir)", SWAP),
    ("log/leftovers.rs", "vfs.rename(&swap, &path)", SWAP),
    ("log/leftovers.rs", "vfs.open(path, OpenMode::Read)", SWAP),
    ("log/leftovers.rs", ".len()", SWAP),
    (
        "log/open.rs",
        "vfs.stat(&aside)",
        "a directory of another topic",
    ),
    (
        "log/open.rs",
        ".rename(dir, &aside)",
        "a directory of another topic",
    ),
    (
        "log/open.rs",
        "vfs.sync_dir(&shared.root)",
        "a directory of another topic",
    ),
    (
        "log/recover.rs",
        "OpenMode::Write",
        "a segment is taken up that a crash left",
    ),
    ("log/slice.rs", ".range(", "bytes on their way to a socket"),
    (
        "log/sync.rs",
        "vfs.sync_dir(root)",
        "a log made and closed without a round",
    ),
    ("log/way.rs", "vfs.sync_all(root)", MANY),
    (
        "segment.rs",
        ".set_len(self.extent().size)",
        "a torn append is cut back",
    ),
    (
        "segment/files.rs",
        "vfs.open(&deleted, mode)",
        "a reader beside one who renames: `readers_wait_for_no_call_of_a_writer`",
    ),
    (
        "segment/sealed.rs",
        "file.len()",
        "a chunk does not match its seal",
    ),
    (
        "segment/sealed.rs",
        "vfs.sync_dir(&dir)",
        "a seal speaks for what is gone",
    ),
    (
        "store.rs",
        "vfs.space(root)",
        "nobody asks for the space here",
    ),
    ("store/closing.rs", "vfs.sync_all(root)", MANY),
    (
        "store/data_dir.rs",
        "self.sync_dir(",
        "parents of the data directory are made",
    ),
    ("store/data_dir.rs", "vfs.list(dir)", FIRST),
    ("store/data_dir.rs", "vfs.remove_dir(", FIRST),
    ("store/data_dir.rs", "vfs.remove_file(", FIRST),
    ("store/data_dir.rs", "vfs.sync_dir(own)", FIRST),
    (
        "store/journal/scan.rs",
        "file.set_len(len)",
        "an area is longer than what is in it",
    ),
    ("store/look.rs", "vfs", TOOLS),
    (
        "store/offsets.rs",
        "vfs.stat(&path)",
        "Kafka ran in between",
    ),
    ("store/replay/apply.rs", "vfs.create_dir(dir)", NAMES),
    ("store/replay/apply.rs", "OpenMode::Create)", NAMES),
    ("store/replay/apply.rs", "metadata.encode()", NAMES),
    ("store/replay/apply.rs", "vfs.stat(&path)", NAMES),
    ("store/replay/apply.rs", ".sync_data()", MANY),
    ("store/replay/apply.rs", "drop_cache()", MANY),
    (
        "store/seals.rs",
        "vfs.sync_dir(dir)",
        "Kafka ran in between",
    ),
    (
        "store/seals.rs",
        "file.write_all_at(",
        "the note of rest is missing",
    ),
];

const TOOLS: &str = "the tools that read a directory";
const SWAP: &str = "a crash left a compaction half done: `log::compact::tests`";
const MANY: &str = "more files than one by one";
const FIRST: &str = "a first start fails: `store::data_dir::tests`";
const NAMES: &str = "a power cut took names that the journal knows: `store::tests::crashes`";

/// File and line.
type Place = (String, u32);

fn place(at: &Location<'_>) -> Place {
    let file = at.file().rsplit_once("src/").map_or("", |(_, file)| file);
    (file.to_owned(), at.line())
}

/// The source that is shipped, without the file systems themselves.
fn source() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            let is_other = ["vfs", "tests", "kit", "fuzz", "golden_tests"]
                .iter()
                .any(|word| name.split(['/', '.']).any(|part| part == *word));
            if path.is_dir() && !is_other {
                dirs.push(path);
            } else if !is_other {
                let text = fs::read_to_string(&path).unwrap();
                let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                files.insert(name.to_owned(), shipped.to_owned());
            }
        }
    }
    files
}

/// The lines with a call of the file system.
fn calls(text: &str) -> BTreeSet<u32> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices('.') {
        let behind = &text[at + 1..];
        let name = behind.split(|c| !is_word(c)).next().unwrap();
        if !behind[name.len()..].starts_with('(') {
            continue;
        }
        let line = text[..at].lines().count().max(1);
        let whole = text.lines().nth(line - 1).unwrap_or_default();
        let before = text[..at].trim_end().trim_end_matches("()");
        let receiver = before.rsplit(|c| !is_word(c)).next().unwrap();
        let is_call = ANYWHERE.contains(&name)
            || (OF_A_DISK.contains(&name) && ["vfs", "file"].contains(&receiver));
        if is_call && !whole.trim_start().starts_with("//") {
            found.insert(u32::try_from(line).unwrap());
        }
    }
    found
}

/// Writes `bytes` behind the end of a file.
fn add(vfs: &dyn Vfs, path: &str, bytes: &[u8]) -> Result<(), Failed> {
    let file = vfs.open(Path::new(path), OpenMode::Create)?;
    let end = file.len()?;
    file.write_all_at(&mut [IoSlice::new(bytes)], end)?;
    Ok(file.sync_data()?)
}

/// Asks the log whatever can be asked.
fn ask(log: &Log) -> Result<(), Failed> {
    let ends = log.ends();
    log.offset_for_time(Timestamp::new(0))?;
    log.max_timestamp_offset()?;
    let mut from = ends.start;
    while from < ends.end {
        let _ = log.read_nowait(from, 3000, Bound::LogEnd)?;
        let read = log.read_committed(from, 3000, ends.end)?;
        if read.batches.is_empty() {
            break;
        }
        from = read.batches.next_offset();
        read.batches.bytes()?;
    }
    Ok(())
}

/// Each step once, one after the other.
fn each_step(vfs: impl Vfs + Clone + 'static, history: &mut History) -> Result<(), Failed> {
    // None is cut that was compacted: that was committed.
    let steps = [
        Step::Transactions,
        Step::Roll,
        Step::Background,
        Step::Scrub,
        Step::CutBack,
        Step::Transactions,
        Step::Truncate,
        Step::CleanStop,
        Step::Direct,
        Step::Background,
        Step::Compact,
        Step::Scrub,
        Step::DeleteRecords,
        Step::Kill,
        Step::Retain,
        Step::Journal,
        Step::MakeAnew,
        Step::Transactions,
        Step::Kill,
        Step::Background,
        Step::CleanStop,
        Step::CleanStop,
    ];
    workload(vfs, history, &steps)
}

/// Reads everything, between the steps and after restarts.
fn readers(vfs: FaultVfs, history: &mut History) -> Result<(), Failed> {
    let mut stage = Stage::new(vfs, history)?;
    for step in [
        Step::Transactions,
        Step::Background,
        Step::CleanStop,
        Step::Kill,
    ] {
        stage = stage.step(step)?;
        let log = stage.run.store.log(id("a"), log_options(None))?;
        ask(&log)?;
    }
    Ok(())
}

/// A start after a kill that left its traces: a torn tail, files of nobody's.
fn traces(vfs: FaultVfs, history: &mut History) -> Result<(), Failed> {
    history.strict = true;
    let mut stage = Stage::new(vfs.clone(), history)?;
    stage = stage.step(Step::Transactions)?;
    stage = stage.step(Step::Background)?;
    let first = stage.run.start(stage.a);
    let dir = "/data/kafka/a-0";
    add(&vfs, &format!("{dir}/{first:020}.log.cleaned"), b"half")?;
    add(&vfs, &format!("{dir}/{first:020}.index.tmp"), b"half")?;
    let mut names = vfs.list(Path::new(dir))?;
    names.retain(|entry| entry.name.ends_with(".log"));
    let last = names.pop().ok_or("there is a segment")?.name;
    add(&vfs, &format!("{dir}/{last}"), &[7; 3000])?;
    stage = stage.step(Step::Kill)?;
    stage = stage.step(Step::Append)?;
    stage.step(Step::CleanStop)?;
    Ok(())
}

#[test]
fn each_place_in_the_source_may_fail() {
    let source = source();
    let mut places = BTreeSet::new();
    for (file, text) in &source {
        places.extend(calls(text).into_iter().map(|line| (file.clone(), line)));
    }
    let failed: RefCell<BTreeSet<Location<'static>>> = RefCell::default();
    let mut checked = 0;
    let mut run = |workload: &dyn Fn(FaultVfs, &mut History) -> Result<(), Failed>| {
        for fault in [Fault::Io, Fault::NoSpace] {
            // Of a full device whatever a call can say.
            let passed = match fault {
                Fault::Io => failed.borrow().clone(),
                _ => BTreeSet::new(),
            };
            let points = FaultPoints::new(MemVfs::new()).faults(&[fault]);
            checked += points.once_per_place(passed).run(
                |vfs, history: &mut History| {
                    let done = workload(vfs.clone(), history);
                    let is_sound = vfs.calls().iter().all(|call| call.fault.is_none());
                    if is_sound { done } else { Ok(()) }
                },
                |vfs, history, failure| {
                    failed.borrow_mut().insert(*failure.call.place);
                    check(&vfs, history, failure);
                },
            );
        }
    };
    run(&|vfs, history| each_step(vfs, history));
    run(&|vfs, history| each_step(Portable(vfs), history));
    run(&readers);
    run(&traces);
    let reached: BTreeSet<Place> = failed.borrow().iter().map(place).collect();
    let of_source = |place: &&Place| source.contains_key(&place.0);
    let unlisted: Vec<_> = reached
        .iter()
        .filter(of_source)
        .filter(|p| !places.contains(p))
        .collect();
    assert!(
        unlisted.is_empty(),
        "calls that the list left out: {unlisted:?}"
    );
    let line = |(file, line): &Place| source[file].lines().nth(*line as usize - 1).unwrap();
    let is_excused = |at: &Place| {
        let is_it = |(file, part, _): &(&str, &str, &str)| at.0 == *file && line(at).contains(part);
        UNREACHED.iter().any(is_it)
    };
    let missing: Vec<String> = places
        .difference(&reached)
        .filter(|at| !is_excused(at))
        .map(|at| format!("{}:{}: {}", at.0, at.1, line(at).trim()))
        .collect();
    println!("counters {{\"failed_calls\":{checked}}}");
    assert!(
        missing.is_empty(),
        "{} of {} never failed:\n{}",
        missing.len(),
        places.len(),
        missing.join("\n")
    );
    for (file, part, why) in UNREACHED {
        let is_left =
            |at: &&Place| at.0 == *file && line(at).contains(part) && !reached.contains(at);
        assert!(
            places.iter().any(|at| is_left(&at)),
            "{file}: {part} is reached: {why}"
        );
    }
    assert!(places.len() > 100, "{}", places.len());
}
