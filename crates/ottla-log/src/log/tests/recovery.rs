//! What a recovery makes of damaged files: a torn tail is cut and kept, corruption is named.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::inspect;
use crate::log::kit::{Kit, at, batch, closed, id, topic_id};
use crate::log::{
    AppendError, AppendOptions, Bound, Known, LeaderAppend, Log, LogCore, LogError, LogOptions,
    ReadError,
};
use crate::vfs::{CrashPlan, File, MemVfs, OpenMode};
use crate::{BatchOptions, LeaderEpoch, LogId, Offset, Record, StorageError, TopicId};

fn offset(n: i64) -> Offset {
    Offset::new(n)
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("data/kafka/orders-0").join(name)
}

fn segment(base: i64) -> PathBuf {
    path(&format!("{base:020}.log"))
}

fn open(kit: &Kit, path: &Path) -> Arc<dyn File> {
    kit.vfs().open(path, OpenMode::Write).unwrap()
}

/// Changes one byte.
fn flip(kit: &Kit, path: &Path, position: u64) {
    let file = open(kit, path);
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    byte[0] ^= 0x10;
    file.write_all_at(&mut [IoSlice::new(&byte)], position)
        .unwrap();
}

/// A log of 60 records of 180 bytes each in segments of 22 records, all of it durable, then killed.
fn killed() -> (Kit, Known) {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    kit.flusher.flush().unwrap();
    let known = kit.known();
    assert_eq!(known.durable_end, offset(60));
    (kit, known)
}

/// The bases of the segments and the size of a batch.
fn shape(kit: &Kit) -> (Vec<i64>, u64) {
    let log = kit.open(&kit.known());
    let bases = log.segments.load();
    let bases = bases.iter().map(|segment| segment.base().get()).collect();
    let size = log.read(offset(0), 1, Bound::LogEnd).unwrap().len();
    (bases, size)
}

fn refuses_appends(log: &Arc<LogCore>) {
    let log = Log::new(Arc::clone(log), Arc::new(()));
    let refused = log.append(&[Record::new("x")], AppendOptions::default());
    assert!(
        matches!(
            refused,
            Err(AppendError::Storage(
                StorageError::Corrupt { .. } | StorageError::Missing { .. }
            ))
        ),
        "{refused:?}"
    );
}

#[test]
fn a_torn_tail_is_cut_and_kept() {
    let (kit, _) = killed();
    let (bases, size) = shape(&kit);
    let last = *bases.last().unwrap();
    // The last batch was being written when the power went.
    let in_segment = (60 - last) as u64;
    let cut_at = (in_segment - 1) * size;
    open(&kit, &segment(last)).set_len(cut_at + 70).unwrap();
    let known = Known {
        durable_end: offset(59),
        ..kit.known()
    };
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.corrupt, None);
    let cut = report.cut.unwrap();
    assert_eq!(
        (cut.path, cut.position, cut.bytes),
        (segment(last), cut_at, 70)
    );
    let kept = crate::checkpoint::read(kit.vfs(), &cut.kept, 1000).unwrap();
    assert_eq!(kept.unwrap().len(), 70);
    assert!(cut.kept.starts_with("data/ottla/cut"));
    assert_eq!(log.ends().end, offset(59));
    log.put(&["goes on"]);
    assert_eq!(log.values(59, Bound::LogEnd), [(59, "goes on".to_owned())]);
}

/// Puts garbage behind the end of the log, and recovers.
fn cut_garbage(kit: &Kit, known: &Known) -> PathBuf {
    let (bases, size) = shape(kit);
    let last = *bases.last().unwrap();
    let end = (60 - last) as u64 * size;
    open(kit, &segment(last))
        .write_all_at(&mut [IoSlice::new(&[0xa5; 300])], end)
        .unwrap();
    kit.try_open(known).unwrap().1.cut.unwrap().kept
}

#[test]
fn what_was_cut_is_named_by_log_and_offset_and_bounded() {
    let (mut kit, known) = killed();
    let shared = Arc::get_mut(&mut kit.shared).unwrap();
    shared.limits.cut_bytes_max = 700;
    let name = |number| format!("data/ottla/cut/orders-0.00000000000000000060.{number}.cut");
    assert_eq!(cut_garbage(&kit, &known), Path::new(&name(0)));
    assert_eq!(cut_garbage(&kit, &known), Path::new(&name(1)));
    let kept = |kit: &Kit| inspect::kept_tails(kit.vfs(), Path::new("data")).unwrap();
    let found = kept(&kit);
    assert_eq!(found.len(), 2);
    let first = &found[0];
    assert_eq!((&*first.log, first.offset), ("orders-0", offset(60)));
    assert_eq!((&first.path, first.bytes), (&PathBuf::from(name(0)), 300));
    // The third one does not fit; the oldest makes room for it.
    cut_garbage(&kit, &known);
    assert_eq!(kept(&kit).len(), 2);
    // One that alone is too much is kept all the same.
    let shared = Arc::get_mut(&mut kit.shared).unwrap();
    shared.limits.cut_bytes_max = 10;
    cut_garbage(&kit, &known);
    assert_eq!(kept(&kit).len(), 1);
}

#[test]
fn garbage_behind_the_end_is_cut() {
    let (kit, known) = killed();
    let (bases, size) = shape(&kit);
    let last = *bases.last().unwrap();
    let end = (60 - last) as u64 * size;
    let garbage = [0xa5; 300];
    open(&kit, &segment(last))
        .write_all_at(&mut [IoSlice::new(&garbage)], end)
        .unwrap();
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.cut.map(|cut| cut.bytes), Some(300));
    assert_eq!(log.ends().end, offset(60));
    log.put(&["goes on"]);
}

#[test]
fn a_flipped_bit_below_the_durable_end_is_corruption() {
    let (kit, known) = killed();
    let (bases, size) = shape(&kit);
    assert!(bases.len() >= 3, "{bases:?}");
    // In a record's value, and then in every field of a header.
    for within in [size - 5, 0, 7, 9, 11, 16, 17, 22, 25, 40, 58, 60] {
        let before = kit.shared.vfs.open(&segment(bases[1]), OpenMode::Read);
        let len = before.unwrap().len().unwrap();
        flip(&kit, &segment(bases[1]), 2 * size + within);
        let (log, report) = kit.try_open(&known).unwrap();
        let bad = bases[1] + 2;
        let named = report.corrupt.unwrap();
        assert!(named.contains(&format!("{:020}.log", bases[1])), "{named}");
        assert!(
            named.contains(&format!("byte {}", 2 * size)),
            "{within}: {named}"
        );
        assert_eq!(report.cut, None);
        refuses_appends(&log);

        // What is before and what is behind is served, and the bad offset is named.
        assert_eq!(log.ends().end, offset(60));
        let mut records = log.records_to_error(0);
        let (values, error) = (records.0, records.1.take().unwrap());
        assert_eq!(values, (0..bad).collect::<Vec<_>>(), "byte {within}");
        let ReadError::Corrupt { asked, next, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((asked, next), (offset(bad), Some(offset(bad + 1))));
        let (rest, error) = log.records_to_error(bad + 1);
        assert_eq!(rest, (bad + 1..60).collect::<Vec<_>>());
        assert!(error.is_none());

        // Nothing was touched.
        drop(log);
        let file = open(&kit, &segment(bases[1]));
        assert_eq!(file.len().unwrap(), len);
        flip(&kit, &segment(bases[1]), 2 * size + within);
    }
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.corrupt, None, "the flips were taken back");
    log.put(&["fine"]);
}

#[test]
fn a_flipped_bit_in_the_last_durable_batch_is_no_torn_tail() {
    let (kit, known) = killed();
    let (bases, size) = shape(&kit);
    let last = segment(*bases.last().unwrap());
    let len = open(&kit, &last).len().unwrap();
    flip(&kit, &last, len - size / 2);
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.cut, None);
    assert!(report.corrupt.is_some());
    refuses_appends(&log);
    assert_eq!(open(&kit, &last).len().unwrap(), len, "nothing was cut");
    assert_eq!(log.records_to_error(0).0, (0..59).collect::<Vec<_>>());
}

#[test]
fn a_bad_batch_with_good_ones_behind_it_is_no_torn_tail() {
    // Also where nothing of it was durable: a crash leaves lost writes, not wrong bytes.
    let (kit, known) = killed();
    let (bases, size) = shape(&kit);
    let known = Known {
        durable_end: offset(bases[1]),
        ..known
    };
    flip(&kit, &segment(bases[1]), 2 * size + size / 2);
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.cut, None);
    assert!(report.corrupt.is_some());
    refuses_appends(&log);
    assert_eq!(log.ends().end, offset(60));
}

#[test]
fn a_flipped_leader_epoch_shows_in_no_checksum() {
    // Known and documented: Kafka's checksum covers neither base offset nor leader epoch. A base
    // offset is caught where it breaks the order; an epoch will be by the seals.
    let (kit, known) = killed();
    let (_, size) = shape(&kit);
    flip(&kit, &segment(0), 2 * size + 13);
    let (_, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.corrupt, None);
}

#[test]
fn a_missing_tail_below_the_durable_end_is_corruption() {
    let (kit, known) = killed();
    let (bases, size) = shape(&kit);
    let last = *bases.last().unwrap();
    open(&kit, &segment(last)).set_len(size).unwrap();
    let (log, report) = kit.try_open(&known).unwrap();
    let named = report.corrupt.unwrap();
    assert!(
        named.contains("ends at offset") && named.contains("60"),
        "{named}"
    );
    refuses_appends(&log);
    let (values, error) = log.records_to_error(0);
    assert_eq!(values.len() as i64, last + 1);
    assert!(error.is_none());
}

#[test]
fn a_missing_segment_is_corruption() {
    let (kit, known) = killed();
    let (bases, _) = shape(&kit);
    kit.vfs().remove_file(&segment(bases[1])).unwrap();
    let (log, report) = kit.try_open(&known).unwrap();
    assert!(report.corrupt.is_some());
    refuses_appends(&log);
    let (before, error) = log.records_to_error(0);
    assert_eq!(before.len() as i64, bases[1]);
    let ReadError::Corrupt { next, .. } = error.unwrap() else {
        panic!("typed");
    };
    assert_eq!(next, Some(offset(bases[2])));
    assert_eq!(log.records_to_error(bases[2]).0.len() as i64, 60 - bases[2]);
}

#[test]
fn a_missing_first_segment_is_corruption() {
    let (kit, known) = killed();
    kit.vfs().remove_file(&segment(0)).unwrap();
    let (log, report) = kit.try_open(&known).unwrap();
    assert!(report.corrupt.is_some());
    refuses_appends(&log);
}

#[test]
fn damage_behind_a_clean_stop_is_found() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    log.fill(60);
    let known = closed(&log);
    drop(log);
    let (bases, size) = shape(&kit);
    let last = *bases.last().unwrap();
    open(&kit, &segment(last)).set_len(2 * size).unwrap();
    let (log, report) = kit.try_open(&known).unwrap();
    assert!(report.corrupt.is_some());
    refuses_appends(&log);
}

#[test]
fn a_missing_directory_is_never_empty() {
    let kit = Kit::new();
    let known = Known {
        has_data: Some(topic_id()),
        ..Known::default()
    };
    let missing = kit.try_open(&known).unwrap_err();
    assert!(
        matches!(missing, LogError::DirectoryMissing { .. }),
        "{missing}"
    );
    // The note is of an earlier topic of that name: this one is new.
    let known = Known {
        has_data: Some(TopicId::from_bytes([1; 16])),
        ..Known::default()
    };
    assert_eq!(kit.open(&known).ends().end, Offset::ZERO);
}

#[test]
fn another_topics_directory_is_set_aside() {
    let (kit, _) = killed();
    let other = TopicId::from_bytes([9; 16]);
    let options = LogOptions {
        topic_id: Some(other),
        ..LogOptions::default()
    };
    let open = || LogCore::open(&kit.shared, id(), options.clone(), &Known::default()).unwrap();
    let (log, report) = open();
    let name = format!("orders-0.{}-stray", "07".repeat(16));
    assert_eq!(report.set_aside.as_deref(), Some(&*name));
    assert_eq!(log.ends().end, Offset::ZERO);
    let aside = kit.shared.root.join(&name);
    assert!(kit.vfs().stat(&aside).unwrap().is_some());
    log.put(&["of the new topic"]);
    drop(log);
    let (log, report) = open();
    assert_eq!(report.set_aside, None);
    assert_eq!(log.ends().end, offset(1));
    // Kafka takes such a name for a stray log, and for nothing else.
    assert_eq!(LogId::from_dir_name(&name), None);
}

#[test]
fn without_a_topic_id_the_directory_says_it() {
    let (kit, known) = killed();
    let (log, _) = LogCore::open(&kit.shared, id(), LogOptions::default(), &known).unwrap();
    assert_eq!(log.topic_id, topic_id());
}

#[test]
fn an_empty_metadata_file_is_written_anew() {
    let (kit, known) = killed();
    open(&kit, &path("partition.metadata")).set_len(0).unwrap();
    assert_eq!(kit.open(&known).ends().end, offset(60));
    let (log, _) = LogCore::open(&kit.shared, id(), LogOptions::default(), &known).unwrap();
    assert_eq!(log.topic_id, topic_id());
}

#[test]
fn what_survived_a_kill_survives_a_power_cut_after_the_recovery() {
    let vfs = MemVfs::new();
    let kit = Kit::over(Arc::new(vfs.clone()));
    let log = kit.open(&Known::default());
    log.fill(60);
    // Killed: nothing was synced. What the recovery finds counts as durable.
    let log = kit.open(&kit.known());
    assert_eq!(log.ends().durable, offset(60));
    let known = Known {
        durable_end: log.ends().durable,
        has_data: Some(topic_id()),
        ..Known::default()
    };
    let cut = vfs.crash(&CrashPlan::SYNCED_ONLY);
    let (log, report) = Kit::over(Arc::new(cut)).try_open(&known).unwrap();
    assert_eq!(report.corrupt, None);
    assert_eq!(log.ends().end, offset(60));
}

#[test]
fn the_page_cache_is_not_trusted() {
    // A sync that fails loses the bytes for the device, not for the cache; only a read behind the
    // cache tells.
    use crate::vfs::{Fault, FaultVfs, Operation, Rule};
    let faulty = FaultVfs::over(Arc::new(MemVfs::new()));
    let kit = Kit::over(Arc::new(faulty.clone()));
    let log = kit.open(&Known::default());
    log.fill(5);
    kit.flusher.flush().unwrap();
    log.fill(5);
    faulty.inject(
        Rule::new(Fault::LostSync)
            .on(Operation::SyncData)
            .at("*.log"),
    );
    kit.flusher.flush().unwrap_err();
    faulty.heal();
    drop(log);
    let (log, report) = kit.try_open(&kit.known()).unwrap();
    assert_eq!(report.corrupt, None);
    assert_eq!(
        log.ends().end,
        offset(5),
        "the second five never reached the device"
    );
}

#[test]
fn leftovers_go_and_a_finished_compaction_is_completed() {
    let (kit, known) = killed();
    let (bases, _) = shape(&kit);
    let vfs = kit.vfs();
    // Segments 1 and 2 compacted into one, complete; the crash came before the originals went.
    let (one, two) = (segment(bases[0]), segment(bases[1]));
    let read = |path: &Path| {
        crate::checkpoint::read(vfs, path, 1 << 20)
            .unwrap()
            .unwrap()
    };
    let both = [read(&one), read(&two)].concat();
    let create = |name: &str, bytes: &[u8]| {
        let file = vfs.open(&path(name), OpenMode::CreateNew).unwrap();
        file.write_all_at(&mut [IoSlice::new(bytes)], 0).unwrap();
    };
    create("00000000000000000000.log.swap", &both);
    create("00000000000000000000.index.swap", b"x");
    create("00000000000000000003.log.deleted", b"x");
    create("00000000000000000000.index.tmp", b"x");
    let mut kit = kit;
    kit.config.segment_bytes = 1 << 20;
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.corrupt, None);
    let names: Vec<String> = vfs_names(&kit);
    assert!(
        !names
            .iter()
            .any(|n| n.contains("swap") || n.ends_with("deleted")),
        "{names:?}"
    );
    assert!(!names.iter().any(|n| n.ends_with("tmp")), "{names:?}");
    assert!(
        !names.contains(&format!("{:020}.log", bases[1])),
        "{names:?}"
    );
    assert_eq!(log.records_to_error(0).0, (0..60).collect::<Vec<_>>());
}

#[test]
fn an_unfinished_compaction_is_undone() {
    let (kit, known) = killed();
    for name in [
        "00000000000000000000.log.swap",
        "00000000000000000000.log.cleaned",
    ] {
        let file = kit.vfs().open(&path(name), OpenMode::CreateNew).unwrap();
        file.write_all_at(&mut [IoSlice::new(b"half")], 0).unwrap();
    }
    let (log, report) = kit.try_open(&known).unwrap();
    assert_eq!(report.corrupt, None);
    assert_eq!(log.records_to_error(0).0, (0..60).collect::<Vec<_>>());
}

fn vfs_names(kit: &Kit) -> Vec<String> {
    let entries = kit.vfs().list(&path("")).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn damaged_and_missing_indexes_are_made_anew() {
    for damage in 0..4 {
        let kit = Kit::new();
        let log = kit.open(&Known::default());
        log.fill(60);
        let known = closed(&log);
        drop(log);
        let (first, name) = (path("00000000000000000000.index"), vfs_names(&kit));
        assert!(name.iter().any(|n| n == "00000000000000000000.index"));
        match damage {
            0 => kit.vfs().remove_file(&first).unwrap(),
            1 => open(&kit, &first).set_len(13).unwrap(),
            // An entry that points into the middle of a batch, and one that names another offset.
            2 => flip(&kit, &first, 8 * 3 + 7),
            _ => flip(&kit, &first, 8 * 3 + 3),
        }
        let log = kit.open(&known);
        for from in 0..60 {
            let slice = log.read(offset(from), 1, Bound::LogEnd).unwrap();
            assert_eq!(slice.base_offset(), offset(from), "damage {damage}");
        }
        assert_eq!(log.records_to_error(0).0, (0..60).collect::<Vec<_>>());
    }
}

#[test]
fn indexes_are_not_trusted_after_a_kill() {
    let kit = Kit::new();
    let log = kit.open(&Known::default());
    for n in 0..60 {
        let value = format!("{n:>100}");
        let batches = batch(&[&value], 1000 + 10 * n, &BatchOptions::default());
        let context = LeaderAppend::new(at(1000), LeaderEpoch::new(0));
        log.append_as_leader(batches, &context).unwrap();
    }
    kit.flusher.flush().unwrap();
    drop(log);
    // Every entry says that its batch is older than it is: an index as sound as any other, of an
    // earlier state of the segment.
    let index = path("00000000000000000000.timeindex");
    let file = open(&kit, &index);
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes.len() > 24, "{}", bytes.len());
    for entry in bytes.chunks_mut(12) {
        let time = i64::from_be_bytes(entry[..8].try_into().unwrap());
        entry[..8].copy_from_slice(&(time - 50).to_be_bytes());
    }
    file.write_all_at(&mut [IoSlice::new(&bytes)], 0).unwrap();
    let log = kit.open(&kit.known());
    for n in 0..60 {
        let found = log.offset_for_time(at(1000 + 10 * n)).unwrap().unwrap();
        assert_eq!(found.offset, offset(n));
    }
}

impl LogCore {
    /// The offsets of the records from `from` on, and the error that ended them.
    fn records_to_error(self: &Arc<Self>, from: i64) -> (Vec<i64>, Option<ReadError>) {
        let mut offsets = Vec::new();
        let records = crate::LogRecords::new(Arc::clone(self), offset(from), Bound::LogEnd);
        for record in records {
            match record {
                Ok(record) => offsets.push(record.offset.get()),
                Err(error) => return (offsets, Some(error)),
            }
        }
        (offsets, None)
    }
}
