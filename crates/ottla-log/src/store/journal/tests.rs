//! Tests of the journal alone: what is written is found, and what was not promised is not.

use std::path::PathBuf;

use super::*;
use crate::entropy::mix;
use crate::vfs::{
    CrashPlan, CrashPoints, Fault, FaultVfs, File, MemVfs, OpenMode, Operation, Rule,
};
use crate::{LogId, Offset, TopicId, TopicName};

const DIR: &str = "/ottla";
const KEY: Key = Key::new([5; 16]);
const MAX: u64 = 16 * BLOCK;

fn disk() -> MemVfs {
    let vfs = MemVfs::new();
    vfs.create_dir(Path::new(DIR)).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    vfs
}

fn open(vfs: &(impl Vfs + Clone + 'static)) -> Journal {
    try_open(vfs).expect("the journal can be read")
}

fn try_open(vfs: &(impl Vfs + Clone + 'static)) -> Result<Journal, String> {
    let scan = Scan::read(vfs, Path::new(DIR), KEY).map_err(|e| format!("{e:?}"))?;
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let dirs = Dirs::new(&vfs, Path::new("/kafka"), Path::new(DIR));
    Ok(Journal::new(vfs, dirs, KEY, MAX, &scan))
}

fn scan(vfs: &MemVfs) -> Scan {
    Scan::read(vfs, Path::new(DIR), KEY).expect("the journal can be read")
}

fn damage(vfs: &MemVfs) -> String {
    match Scan::read(vfs, Path::new(DIR), KEY) {
        Err(ScanError::Damaged(damage)) => format!("{} {}", damage.position, damage.why),
        other => panic!("{other:?}"),
    }
}

fn entry(what: What) -> Entry {
    Entry {
        id: LogId::new(TopicName::new("t").unwrap(), 0),
        topic_id: TopicId::from_bytes([1; 16]),
        what,
    }
}

/// An entry with `data` that says `end`.
fn data(end: i64, data: &[u8]) -> (Entry, Bytes) {
    let range = Range {
        segment_base: Offset::ZERO,
        position: 0,
        len: u32::try_from(data.len()).unwrap(),
        crc: crc32fast::hash(data),
        end: Offset::new(end),
        created: false,
    };
    (entry(What::Data(range)), Bytes::copy_from_slice(data))
}

fn write(journal: &mut Journal, end: i64, bytes: &[u8]) -> Result<Placed, Refused> {
    let (entry, bytes) = data(end, bytes);
    journal.write(&[entry], &[bytes])
}

/// The ends that the rounds that count tell of.
fn ends(scan: &Scan) -> Vec<i64> {
    let entries = scan.rounds.iter().flat_map(|round| &round.entries);
    entries
        .filter_map(|entry| match entry.what {
            What::Data(range) => Some(range.end.get()),
            _ => None,
        })
        .collect()
}

fn area(vfs: &MemVfs, index: usize) -> Arc<dyn File> {
    let path = area_path(Path::new(DIR), index);
    vfs.open(&path, OpenMode::Write).unwrap()
}

fn flip(vfs: &MemVfs, index: usize, position: u64) {
    let file = area(vfs, index);
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    byte[0] ^= 1;
    file.write_all_at(&mut [IoSlice::new(&byte)], position)
        .unwrap();
}

#[test]
fn rounds_are_found_in_their_order_with_their_data() {
    let vfs = disk();
    let mut journal = open(&vfs);
    let large = vec![7; 20_000];
    for (end, bytes) in [(1, &b"one"[..]), (2, &large), (3, b"three")] {
        write(&mut journal, end, bytes).unwrap();
    }
    let scan = scan(&vfs.crash(&CrashPlan::SYNCED_ONLY));
    assert_eq!(ends(&scan), [1, 2, 3]);
    let round = &scan.rounds[1];
    let mut found = Vec::new();
    scan.data(round.area, round.data_position, 20_000, |bytes| {
        found.extend_from_slice(bytes);
        Ok::<_, io::Error>(())
    })
    .unwrap();
    assert_eq!(found, large);
}

#[test]
fn an_area_is_used_again_only_after_its_release() {
    let vfs = disk();
    let mut journal = open(&vfs);
    let mut end = 0;
    let fill = |journal: &mut Journal, end: &mut i64| -> usize {
        loop {
            *end += 1;
            match write(journal, *end, b"x") {
                Ok(placed) => assert_eq!(placed.area, journal.active()),
                Err(Refused::NoRoom) => return usize::try_from(*end).unwrap() - 1,
                Err(Refused::Failed(e)) => panic!("{e}"),
            }
        }
    };
    let both = fill(&mut journal, &mut end);
    assert_eq!(both, 2 * (16 - 8), "both areas, without the room for notes");
    assert_eq!(ends(&scan(&vfs)).len(), both);
    // Notes find room where data does not, and so does what frees the other area.
    let note = [entry(What::Deleted)];
    while journal.write(&note, &[]).is_ok() {}
    journal.release(1 - journal.active()).unwrap();
    let left = ends(&scan(&vfs.crash(&CrashPlan::SYNCED_ONLY)));
    assert_eq!(
        left,
        (9..=16).collect::<Vec<_>>(),
        "those of the released area are gone"
    );
    write(&mut journal, 100, b"again").unwrap();
    assert_eq!(ends(&scan(&vfs)).last(), Some(&100));
    assert_eq!(area(&vfs, 0).len().unwrap(), MAX);
}

#[test]
fn a_void_journal_says_nothing() {
    let vfs = disk();
    let mut journal = open(&vfs);
    write(&mut journal, 1, b"one").unwrap();
    journal.void().unwrap();
    assert!(ends(&scan(&vfs.crash(&CrashPlan::SYNCED_ONLY))).is_empty());
    write(&mut journal, 2, b"two").unwrap();
    let mut again = open(&vfs);
    write(&mut again, 3, b"three").unwrap();
    assert_eq!(ends(&scan(&vfs)), [2, 3]);
}

/// A journal of `rounds` rounds over both areas, all of which count.
fn both_areas(rounds: i64) -> MemVfs {
    let vfs = disk();
    let mut journal = open(&vfs);
    for end in 1..=rounds {
        if matches!(write(&mut journal, end, b"x"), Err(Refused::NoRoom)) {
            journal.release(1 - journal.active()).unwrap();
            write(&mut journal, end, b"x").unwrap();
        }
    }
    assert!(journal.is_live(0) && journal.is_live(1));
    vfs
}

/// Whatever a crash leaves of the two files says all that they said, or nothing.
#[test]
fn a_removal_that_is_cut_short_leaves_no_part_of_what_counts() {
    // The newest rounds are in the second file, and in the first.
    for rounds in [12, 20] {
        let base = both_areas(rounds);
        let all = ends(&scan(&base));
        let workload = |vfs: MemVfs, removed: &mut bool| {
            try_open(&vfs)?.remove().map_err(|e| format!("{e:?}"))?;
            *removed = true;
            Ok::<_, String>(())
        };
        CrashPoints::new(base).run(workload, |vfs, removed, crash| {
            let left = ends(&scan(&vfs));
            assert!(
                left == all && !removed || left.is_empty(),
                "{left:?} {crash}"
            );
            assert!(!removed || !left_of(&vfs), "{crash}");
        });
    }
}

/// Of a journal that failed, no further round can be written to its file.
#[test]
fn so_does_the_removal_of_one_that_failed() {
    for rounds in [12, 20] {
        let base = both_areas(rounds);
        let workload = |vfs: MemVfs, removed: &mut bool| {
            let faulty = FaultVfs::over(Arc::new(vfs));
            let mut journal = try_open(&faulty)?;
            let rule = Rule::new(Fault::Io).on(Operation::SyncData).nth(0);
            faulty.inject(rule);
            assert!(write(&mut journal, rounds + 1, b"x").is_err());
            journal.remove().map_err(|e| format!("{e:?}"))?;
            *removed = true;
            Ok::<_, String>(())
        };
        CrashPoints::new(base).run(workload, |vfs, removed, crash| {
            let left = ends(&scan(&vfs));
            let is_all = left.iter().copied().filter(|end| *end <= rounds);
            let is_all = is_all.eq(ends(&scan(&both_areas(rounds))));
            assert!(is_all && !removed || left.is_empty(), "{left:?} {crash}");
        });
    }
}

/// A removal that fails is tried again, and until it succeeded the files are there.
#[test]
fn a_removal_that_fails_is_no_removal() {
    for operation in [Operation::RemoveFile, Operation::SyncDir] {
        for nth in 0..2 {
            let mem = both_areas(12);
            let vfs = FaultVfs::over(Arc::new(mem.clone()));
            let mut journal = open(&vfs);
            vfs.inject(Rule::new(Fault::Io).on(operation).nth(nth));
            assert!(journal.remove().is_err(), "{operation:?} {nth}");
            assert!(journal.exists(), "{operation:?} {nth}");
            // What a failed sync of the directory says stays so.
            let again = journal.remove().is_ok();
            assert_eq!(again, operation == Operation::RemoveFile, "{nth}");
            assert_eq!(journal.exists(), !again);
        }
    }
}

/// A file that a failed first round left may hold that round, whole.
#[test]
fn a_file_of_a_failed_round_alone_is_there() {
    let mem = disk();
    let vfs = FaultVfs::over(Arc::new(mem.clone()));
    let mut journal = open(&vfs);
    vfs.inject(Rule::new(Fault::Io).on(Operation::SyncData).nth(0));
    assert!(write(&mut journal, 1, b"x").is_err());
    assert!(journal.exists());
    journal.remove().unwrap();
    assert!(!journal.exists() && !left_of(&mem));
}

/// Nor does a full device keep the file that it had no room for.
#[test]
fn a_file_without_a_round_is_not_kept() {
    let mem = disk();
    let vfs = FaultVfs::over(Arc::new(mem.clone()));
    let mut journal = open(&vfs);
    vfs.inject(Rule::new(Fault::Short(5000)).on(Operation::Write).nth(0));
    vfs.inject(Rule::new(Fault::NoSpace).on(Operation::Write));
    assert!(matches!(write(&mut journal, 1, b"x"), Err(Refused::NoRoom)));
    assert!(!journal.exists() && !left_of(&mem));
}

/// Whether a file of the journal is there.
fn left_of(vfs: &MemVfs) -> bool {
    let names = vfs.list(Path::new(DIR)).unwrap();
    !names.is_empty()
}

/// Whatever is left of the last round, it is there whole or not at all, and the next round after
/// it is found whatever became of it.
#[test]
fn a_torn_last_round_is_not_there() {
    for seed in 0..200 {
        let vfs = disk();
        let mut journal = open(&vfs);
        write(&mut journal, 1, b"one").unwrap();
        vfs.stop_after(vfs.operations() + 1);
        assert!(write(&mut journal, 2, &[9; 10_000]).is_err());
        let image = vfs.crash(&CrashPlan::torn(seed));
        let found = ends(&scan(&image));
        assert!(found == [1] || found == [1, 2], "{seed}: {found:?}");
        let mut journal = open(&image);
        write(&mut journal, 3, b"three").unwrap();
        let after = ends(&scan(&image.crash(&CrashPlan::SYNCED_ONLY)));
        assert_eq!(after, [found, vec![3]].concat(), "{seed}");
    }
}

#[test]
fn a_failed_attempt_counts_for_nothing_even_if_it_is_whole() {
    let mem = disk();
    let vfs = FaultVfs::over(Arc::new(mem.clone()));
    let mut journal = open(&vfs);
    write(&mut journal, 1, b"one").unwrap();
    // The round itself fits, the zeros written ahead of need do not.
    let room = usize::try_from(2 * BLOCK).unwrap();
    vfs.inject(Rule::new(Fault::Short(room)).on(Operation::Write).nth(0));
    vfs.inject(Rule::new(Fault::NoSpace).on(Operation::Write));
    let large = vec![3; usize::try_from(6 * BLOCK).unwrap()];
    assert!(matches!(
        write(&mut journal, 2, &large),
        Err(Refused::NoRoom)
    ));
    vfs.heal();
    write(&mut journal, 3, b"three").unwrap();
    assert_eq!(ends(&scan(&mem)), [1, 3]);
}

/// A growing write that stops within its round leaves a good head, and the file too short for what
/// it announces: nothing is damaged.
#[test]
fn a_round_that_its_file_is_too_short_for_is_not_suspect() {
    let block = usize::try_from(BLOCK).unwrap();
    for fault in [Fault::NoSpace, Fault::Io] {
        let mem = disk();
        let vfs = FaultVfs::over(Arc::new(mem.clone()));
        let dirs = Dirs::new(
            &(Arc::new(vfs.clone()) as _),
            Path::new("/kafka"),
            Path::new(DIR),
        );
        let max = 4 * AREA_BYTES_FIRST;
        let mut journal = Journal::new(Arc::new(vfs.clone()), dirs, KEY, max, &scan(&mem));
        write(&mut journal, 1, &vec![1; 20 * block]).unwrap();
        assert_eq!(area(&mem, 0).len().unwrap(), AREA_BYTES_FIRST);
        let short = Rule::new(Fault::Short(14 * block)).on(Operation::Write);
        vfs.inject(short.nth(0));
        vfs.inject(Rule::new(fault).on(Operation::Write));
        assert!(write(&mut journal, 2, &vec![2; 30 * block]).is_err());
        assert_eq!(area(&mem, 0).len().unwrap(), 35 * BLOCK);
        let plans = [CrashPlan::EVERYTHING, CrashPlan::SYNCED_ONLY].into_iter();
        for plan in plans.chain((0..50).map(CrashPlan::torn)) {
            let killed = scan(&mem.crash(&plan));
            assert_eq!(ends(&killed), [1], "{fault:?} {plan:?}");
            assert_eq!(killed.suspect, None, "{fault:?} {plan:?}");
        }
    }
}

#[test]
fn a_full_device_is_no_failure_and_space_may_come_back() {
    let mem = disk();
    let vfs = FaultVfs::over(Arc::new(mem.clone()));
    let mut journal = open(&vfs);
    vfs.inject(Rule::new(Fault::NoSpace).on(Operation::Write));
    assert!(matches!(write(&mut journal, 1, b"x"), Err(Refused::NoRoom)));
    assert!(journal.failure().is_none());
    vfs.free_space();
    journal.uncap();
    write(&mut journal, 2, b"x").unwrap();
    assert_eq!(ends(&scan(&mem)), [2]);
}

#[test]
fn a_failed_sync_is_the_end_and_is_never_asked_for_again() {
    for operation in [Operation::SyncData, Operation::SyncDir] {
        let vfs = FaultVfs::over(Arc::new(disk()));
        let mut journal = open(&vfs);
        vfs.forget_calls();
        vfs.inject(Rule::new(Fault::Io).on(operation).nth(0));
        for _ in 0..3 {
            let refused = write(&mut journal, 1, b"x");
            assert!(matches!(refused, Err(Refused::Failed(_))));
        }
        assert!(journal.failure().is_some());
        let calls = vfs.calls();
        let syncs = calls.iter().filter(|call| call.operation == operation);
        assert_eq!(syncs.count(), 1, "{operation:?}");
    }
}

#[test]
fn damage_in_the_middle_is_told_from_a_torn_end() {
    let written = || {
        let vfs = disk();
        let mut journal = open(&vfs);
        for end in 1..=4 {
            write(&mut journal, end, &[1; 100]).unwrap();
        }
        vfs
    };
    let found = |vfs: &MemVfs| ends(&scan(vfs));
    // The last round: as if it had never been whole.
    let vfs = written();
    assert_eq!(scan(&vfs).suspect, None);
    flip(&vfs, 0, 3 * BLOCK + 70);
    assert_eq!(found(&vfs), [1, 2, 3]);
    assert_eq!(scan(&vfs).suspect, None);
    // Nor its head, which no crash leaves in part: that is told.
    let vfs = written();
    flip(&vfs, 0, 3 * BLOCK + 20);
    assert_eq!(found(&vfs), [1, 2, 3]);
    let suspect = scan(&vfs).suspect.expect("it is told");
    assert_eq!(suspect.position, 3 * BLOCK);
    // An entry list and a head of an earlier one: nobody knows what they said.
    for position in [BLOCK + 65, BLOCK + 20] {
        let vfs = written();
        flip(&vfs, 0, position);
        assert!(damage(&vfs).contains("round 2") || damage(&vfs).contains("entry list"));
    }
    // Data of an earlier one: it is known whose it is, and that it is bad.
    let vfs = written();
    let data = scan(&vfs).rounds[1].data_position;
    flip(&vfs, 0, data + 99);
    assert_eq!(found(&vfs), [1, 2, 3, 4]);
    assert_eq!(scan(&vfs).rounds[1].damaged, [0]);
    // A whole area that is gone.
    let vfs = written();
    let mut journal = open(&vfs);
    while journal.active() == 0 {
        write(&mut journal, 5, &[1; 100]).unwrap();
    }
    vfs.remove_file(&PathBuf::from("/ottla/journal-0")).unwrap();
    assert!(damage(&vfs).contains("is not there"));
}

/// A client chooses its records' bytes, and may send what looks like a round.
#[test]
fn records_that_look_like_rounds_are_not_taken_for_some() {
    let forged = |key: Key| {
        let place = Place {
            sequence: 1_000_000,
            previous: 0,
            low: 1_000_000,
        };
        let mut bytes = format::encode(key, place, &[entry(What::Deleted)]);
        bytes.resize(usize::try_from(BLOCK).unwrap(), 0);
        bytes
    };
    let vfs = disk();
    let mut journal = open(&vfs);
    // So that the forged round begins at a block.
    let (first, _) = data(1, b"");
    let head = format::encode(KEY, journal_place(), &[first]).len();
    let mut payload = vec![0; usize::try_from(BLOCK).unwrap() - head];
    payload.extend_from_slice(&forged(Key::new([0; 16])));
    payload.extend_from_slice(&forged(Key::new([0; 16])));
    write(&mut journal, 1, &payload).unwrap();
    write(&mut journal, 2, b"two").unwrap();
    assert_eq!(ends(&scan(&vfs)), [1, 2]);
    // Even where the round around it is overwritten, and its bytes lie bare.
    journal.void().unwrap();
    let file = area(&vfs, 0);
    let zeros = vec![0; usize::try_from(BLOCK).unwrap()];
    file.write_all_at(&mut [IoSlice::new(&zeros)], 0).unwrap();
    assert!(ends(&scan(&vfs)).is_empty());
    // The test would notice: with the key the same bytes are a round.
    file.write_all_at(&mut [IoSlice::new(&forged(KEY))], BLOCK)
        .unwrap();
    let scan = scan(&vfs);
    assert_eq!(scan.rounds[0].entries[0].what, What::Deleted);
}

fn journal_place() -> Place {
    Place {
        sequence: 1,
        previous: 0,
        low: 1,
    }
}

/// No bytes make the scan panic, hang or promise more than was written.
#[test]
fn hostile_bytes_are_read_or_refused() {
    let vfs = disk();
    let mut journal = open(&vfs);
    for end in 1..=14 {
        write(&mut journal, end, &[1; 3000]).unwrap();
    }
    let mut random = 1;
    let mut draw = |below: u64| {
        random = mix(random);
        random % below
    };
    for _ in 0..2000 {
        let image = vfs.fork();
        for _ in 0..=draw(3) {
            let index = usize::try_from(draw(2)).unwrap();
            let file = area(&image, index);
            let len = file.len().unwrap().max(1);
            let bytes = vec![u8::try_from(draw(256)).unwrap(); usize::try_from(draw(64)).unwrap()];
            file.write_all_at(&mut [IoSlice::new(&bytes)], draw(len))
                .unwrap();
            if draw(4) == 0 {
                file.set_len(draw(len)).unwrap();
            }
        }
        if let Ok(scan) = Scan::read(&image, Path::new(DIR), KEY) {
            let found = ends(&scan);
            let is_run = found.windows(2).all(|pair| pair[1] == pair[0] + 1);
            assert!(is_run && found.iter().all(|end| *end <= 14), "{found:?}");
        }
    }
}

/// A journal as docs/FORMAT.md says it is, in bytes that were made from that text.
#[test]
fn the_golden_journal_is_what_it_says() {
    use crate::store::tests::golden::{golden, id, key, orders, users};
    let vfs = disk();
    for (index, name) in ["journal-0", "journal-1"].into_iter().enumerate() {
        let path = area_path(Path::new(DIR), index);
        let file = vfs.open(&path, OpenMode::Create).unwrap();
        file.write_all_at(&mut [IoSlice::new(&golden(name))], 0)
            .unwrap();
    }
    let entry = |id, topic_id, what| Entry { id, topic_id, what };
    let data = |base, position, bytes: &[u8], end, created| {
        What::Data(Range {
            segment_base: Offset::new(base),
            position,
            len: u32::try_from(bytes.len()).unwrap(),
            crc: crc32fast::hash(bytes),
            end: Offset::new(end),
            created,
        })
    };
    let (first, second) = (&b"first bytes of orders"[..], &[b'u'; 5000][..]);
    let with_data = vec![
        entry(id("orders", 0), orders(), data(100, 0, first, 101, true)),
        entry(id("users", 7), users(), data(64, 777, second, 70, false)),
    ];
    let ended = |end, created| What::Ended {
        end: Offset::new(end),
        created,
    };
    let settled = What::Settled {
        below: 6,
        end: Offset::new(101),
    };
    let started = What::Started {
        log_start: Offset::new(65),
    };
    let notes = vec![
        entry(id("orders", 1), orders(), ended(33, true)),
        entry(id("users", 7), users(), ended(71, false)),
        entry(id("orders", 0), orders(), settled),
        entry(id("users", 7), users(), started),
        entry(id("orders", 1), orders(), What::Deleted),
    ];
    // Number, the one before, area, block, entries, data.
    let rounds = [
        (3, 2, 0, 0, Vec::new(), Vec::new()),
        (4, 3, 0, 1, Vec::new(), Vec::new()),
        (5, 4, 1, 0, with_data, [first, second].concat()),
        (7, 5, 1, 2, notes, Vec::new()),
    ];
    let scan = Scan::read(&vfs, Path::new(DIR), key()).expect("the journal can be read");
    assert_eq!(scan.rounds.len(), rounds.len());
    assert_eq!((scan.active, scan.next_sequence), (1, 8));
    for (found, (sequence, previous, area, block, entries, data)) in scan.rounds.iter().zip(rounds)
    {
        assert_eq!((found.sequence, found.area), (sequence, area));
        assert_eq!(found.entries, entries);
        assert!(found.damaged.is_empty());
        let place = Place {
            sequence,
            previous,
            low: 3,
        };
        let mut bytes = format::encode(key(), place, &entries);
        let from = block * usize::try_from(BLOCK).unwrap();
        assert_eq!(
            found.data_position,
            (from + bytes.len()) as u64,
            "{sequence}"
        );
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
        let golden = golden(["journal-0", "journal-1"][area]);
        assert_eq!(golden[from..from + bytes.len()], bytes, "{sequence}");
    }
}
