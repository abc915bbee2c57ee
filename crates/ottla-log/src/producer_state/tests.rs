//! Each rule of idempotent and transactional producers as a small script.

use proptest::prelude::*;

use super::*;
use crate::{BatchOptions, LeaderEpoch, Record, ValidBatches, build_batch};

/// A log of one producer's point of view: hands out offsets, keeps the batches for replays.
#[derive(Clone)]
struct Script {
    state: ProducerState,
    log: Vec<(BatchHeader, Bytes)>,
    end: i64,
    limits: Limits,
}

/// A data batch to be sent: producer, epoch, first sequence, number of records.
#[derive(Clone, Copy, Debug)]
struct Send {
    id: i64,
    epoch: i16,
    sequence: i32,
    count: usize,
    transactional: bool,
    origin: Origin,
    transaction_version: i16,
    time: i64,
}

fn send(id: i64, epoch: i16, sequence: i32, count: usize) -> Send {
    Send {
        id,
        epoch,
        sequence,
        count,
        transactional: false,
        origin: Origin::Client,
        transaction_version: 0,
        time: 1000,
    }
}

fn in_transaction(id: i64, epoch: i16, sequence: i32, count: usize) -> Send {
    Send {
        transactional: true,
        ..send(id, epoch, sequence, count)
    }
}

impl Script {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            state: ProducerState::new(Offset::ZERO, &limits),
            log: Vec::new(),
            end: 0,
            limits,
        }
    }

    fn batch(&self, records: &[Record], options: &BatchOptions) -> (BatchHeader, Bytes) {
        let bytes = build_batch(records, options).unwrap();
        let valid = ValidBatches::parse(bytes, &self.limits).unwrap();
        let assigned = valid
            .into_assigned(self.end.into(), LeaderEpoch::new(0))
            .unwrap();
        (assigned.headers()[0], assigned.bytes().clone())
    }

    fn keep(&mut self, header: BatchHeader, bytes: Bytes) {
        self.end = header.next_offset().get();
        self.log.push((header, bytes));
        assert_eq!(self.state.end().get(), self.end);
    }

    /// Sends a batch; appends it if it is the next one.
    fn send(&mut self, send: Send) -> Result<Verdict, ProducerError> {
        let records = vec![Record::new("v").with_timestamp(send.time.into()); send.count];
        let options = BatchOptions {
            producer_id: send.id.into(),
            producer_epoch: send.epoch.into(),
            base_sequence: send.sequence.into(),
            transactional: send.transactional,
            ..BatchOptions::default()
        };
        let (header, bytes) = self.batch(&records, &options);
        let verdict = self
            .state
            .check(&header, send.origin, send.transaction_version)?;
        if verdict == Verdict::Append {
            self.state.apply(&header, &bytes, &self.limits).unwrap();
            self.keep(header, bytes);
        }
        Ok(verdict)
    }

    fn marker(
        &mut self,
        (id, epoch): (i64, i16),
        committed: bool,
        coordinator_epoch: i32,
        transaction_version: i16,
    ) -> Result<Option<EndedTransaction>, ProducerError> {
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch,
        };
        let options = BatchOptions {
            producer_id: id.into(),
            producer_epoch: epoch.into(),
            transactional: true,
            control: true,
            now: Timestamp::new(2000),
            ..BatchOptions::default()
        };
        let (header, bytes) = self.batch(&[marker.to_record()], &options);
        self.state
            .check_marker(&header, &marker, transaction_version)?;
        let ended = self.state.apply_marker(&header, &marker);
        self.keep(header, bytes);
        Ok(ended)
    }

    /// The same state by replaying the log from its start.
    fn replayed(&self) -> ProducerState {
        let mut state = ProducerState::new(Offset::ZERO, &self.limits);
        for (header, bytes) in &self.log {
            state.apply(header, bytes, &self.limits).unwrap();
        }
        state
    }
}

fn duplicate(base: i64, last: i64) -> Verdict {
    Verdict::Duplicate {
        base_offset: base.into(),
        last_offset: last.into(),
        timestamp: Timestamp::new(1000),
    }
}

fn is_unordered(result: &Result<Verdict, ProducerError>) -> bool {
    matches!(result, Err(ProducerError::OutOfOrderSequence { .. }))
}

fn is_fenced<T>(result: &Result<T, ProducerError>) -> bool {
    matches!(result, Err(ProducerError::InvalidEpoch { .. }))
}

#[test]
fn batches_without_a_producer_are_always_next() {
    let mut log = Script::new();
    assert_eq!(log.send(send(-1, -1, -1, 3)), Ok(Verdict::Append));
    assert_eq!(log.send(send(-1, -1, -1, 3)), Ok(Verdict::Append));
    assert_eq!(log.state.len(), 0);
    assert_eq!(log.state.end().get(), 6);
}

#[test]
fn sequences_follow_each_other() {
    let mut log = Script::new();
    assert_eq!(log.send(send(7, 0, 0, 3)), Ok(Verdict::Append));
    assert!(is_unordered(&log.send(send(7, 0, 4, 1))), "3 is missing");
    assert!(
        is_unordered(&log.send(send(7, 0, 2, 1))),
        "2 was there, in another batch"
    );
    assert_eq!(log.send(send(7, 0, 3, 1)), Ok(Verdict::Append));
    assert_eq!(
        log.send(send(8, 0, 0, 1)),
        Ok(Verdict::Append),
        "another producer"
    );
}

#[test]
fn the_last_five_batches_are_known_again() {
    let mut log = Script::new();
    for n in 0..6 {
        assert_eq!(log.send(send(7, 0, n * 2, 2)), Ok(Verdict::Append));
    }
    for n in 1..6 {
        let base = i64::from(n) * 2;
        assert_eq!(
            log.send(send(7, 0, n * 2, 2)),
            Ok(duplicate(base, base + 1))
        );
    }
    assert!(
        is_unordered(&log.send(send(7, 0, 0, 2))),
        "the sixth last is forgotten"
    );
    assert!(
        is_unordered(&log.send(send(7, 0, 10, 1))),
        "same start, other length"
    );
    assert_eq!(log.state.end().get(), 12, "nothing was appended");
}

#[test]
fn sequences_wrap_to_zero() {
    let mut log = Script::new();
    assert_eq!(log.send(send(7, 0, i32::MAX - 1, 1)), Ok(Verdict::Append));
    assert!(is_unordered(&log.send(send(7, 0, 0, 1))));
    // i32::MAX, 0, 1
    assert_eq!(log.send(send(7, 0, i32::MAX, 3)), Ok(Verdict::Append));
    assert_eq!(log.send(send(7, 0, i32::MAX, 3)), Ok(duplicate(1, 3)));
    assert_eq!(log.send(send(7, 0, 2, 1)), Ok(Verdict::Append));
    let mut exact = Script::new();
    assert_eq!(exact.send(send(7, 0, i32::MAX, 1)), Ok(Verdict::Append));
    assert_eq!(exact.send(send(7, 0, 0, 1)), Ok(Verdict::Append));
    assert_eq!(exact.send(send(7, 0, i32::MAX, 1)), Ok(duplicate(0, 0)));
}

#[test]
fn an_unknown_producer_starts_anywhere_unless_its_protocol_forbids_it() {
    let mut log = Script::new();
    assert_eq!(log.send(send(7, 3, 40, 1)), Ok(Verdict::Append));
    let mut late = in_transaction(8, 0, 5, 1);
    late.transaction_version = 2;
    assert!(is_unordered(&log.send(late)));
    late.sequence = 0;
    assert_eq!(log.send(late), Ok(Verdict::Append));
}

#[test]
fn a_higher_epoch_starts_at_zero_and_fences_the_lower() {
    let mut log = Script::new();
    assert_eq!(log.send(send(7, 1, 0, 5)), Ok(Verdict::Append));
    assert!(is_unordered(&log.send(send(7, 2, 5, 1))));
    assert_eq!(log.send(send(7, 2, 0, 1)), Ok(Verdict::Append));
    assert!(is_fenced(&log.send(send(7, 1, 5, 1))));
    assert!(
        is_fenced(&log.send(send(7, 1, 0, 5))),
        "batches of an old epoch are forgotten"
    );
    assert_eq!(log.send(send(7, 2, 0, 1)), Ok(duplicate(5, 5)));
}

#[test]
fn a_coordinators_batches_have_an_epoch_but_no_sequence() {
    let mut log = Script::new();
    let mut offsets = in_transaction(7, 1, -1, 2);
    offsets.origin = Origin::Coordinator;
    assert_eq!(log.send(offsets), Ok(Verdict::Append));
    assert_eq!(log.send(offsets), Ok(Verdict::Append), "never a repetition");
    offsets.epoch = 0;
    assert!(is_fenced(&log.send(offsets)));
}

#[test]
fn an_open_transaction_admits_only_its_own_kind() {
    let mut log = Script::new();
    assert_eq!(log.send(in_transaction(7, 0, 0, 1)), Ok(Verdict::Append));
    assert_eq!(
        log.send(send(7, 0, 1, 1)),
        Err(ProducerError::InvalidTransactionState(7.into()))
    );
    assert_eq!(log.send(in_transaction(7, 0, 1, 1)), Ok(Verdict::Append));
    log.marker((7, 0), true, 0, 1).unwrap();
    assert_eq!(
        log.send(send(7, 0, 2, 1)),
        Ok(Verdict::Append),
        "no longer open"
    );
}

#[test]
fn the_first_unstable_offset_is_that_of_the_oldest() {
    let mut log = Script::new();
    assert_eq!(log.state.first_unstable(), None);
    log.send(send(-1, -1, -1, 10)).unwrap();
    log.send(in_transaction(7, 0, 0, 2)).unwrap(); // 10, 11
    log.send(in_transaction(8, 0, 0, 1)).unwrap(); // 12
    log.send(in_transaction(7, 0, 2, 1)).unwrap(); // 13
    assert_eq!(log.state.first_unstable(), Some(10.into()));
    let ended = log.marker((7, 0), false, 0, 1).unwrap().unwrap(); // 14
    assert_eq!(
        ended,
        EndedTransaction {
            producer_id: 7.into(),
            first_offset: 10.into(),
            marker_offset: 14.into(),
            aborted: true,
            last_stable_offset: 12.into(),
        }
    );
    log.state.release(14.into());
    assert_eq!(
        log.state.first_unstable(),
        Some(10.into()),
        "the marker may yet be lost"
    );
    log.state.release(15.into());
    assert_eq!(log.state.first_unstable(), Some(12.into()));
    let ended = log.marker((8, 0), true, 0, 1).unwrap().unwrap();
    assert_eq!((ended.last_stable_offset.get(), ended.aborted), (16, false));
    log.state.release(16.into());
    assert_eq!(log.state.first_unstable(), None);
    assert_eq!(log.marker((8, 0), true, 0, 1), Ok(None), "nothing was open");
}

#[test]
fn markers_are_fenced_by_epoch_and_coordinator() {
    let mut log = Script::new();
    log.send(in_transaction(7, 5, 0, 1)).unwrap();
    assert!(is_fenced(&log.marker((7, 4), true, 3, 1)));
    log.marker((7, 5), true, 3, 1).unwrap();
    assert!(matches!(
        log.marker((7, 5), true, 2, 1),
        Err(ProducerError::CoordinatorFenced {
            found: 2,
            current: 3,
            ..
        })
    ));
    log.marker((7, 5), true, 3, 1).unwrap();
    log.marker((9, 0), true, 0, 1).unwrap();
}

#[test]
fn raised_markers_have_to_be_above_the_transaction() {
    let mut log = Script::new();
    log.send(in_transaction(7, 5, 0, 1)).unwrap();
    assert!(
        is_fenced(&log.marker((7, 5), true, 0, 2)),
        "that of an earlier transaction"
    );
    assert!(log.marker((7, 6), true, 0, 2).unwrap().is_some());
    assert_eq!(
        log.marker((7, 6), true, 0, 2),
        Ok(None),
        "repeated by the coordinator"
    );
    assert_eq!(log.send(in_transaction(7, 6, 0, 1)), Ok(Verdict::Append));
    assert!(
        is_fenced(&log.marker((7, 6), true, 0, 2)),
        "repeated too late"
    );
    let mut last = Script::new();
    last.send(in_transaction(7, i16::MAX, 0, 1)).unwrap();
    assert!(last.marker((7, i16::MAX), false, 0, 2).unwrap().is_some());
}

#[test]
fn after_a_marker_sequences_go_on_or_start_with_the_new_epoch() {
    let mut log = Script::new();
    log.send(in_transaction(7, 0, 0, 3)).unwrap();
    log.marker((7, 0), true, 0, 1).unwrap();
    assert!(is_unordered(&log.send(in_transaction(7, 0, 0, 1))));
    assert_eq!(log.send(in_transaction(7, 0, 3, 1)), Ok(Verdict::Append));
    log.marker((7, 1), true, 0, 2).unwrap();
    assert!(is_unordered(&log.send(in_transaction(7, 1, 4, 1))));
    assert_eq!(log.send(in_transaction(7, 1, 0, 1)), Ok(Verdict::Append));
}

#[test]
fn idle_producers_expire_unless_a_transaction_is_open() {
    let mut log = Script::new();
    log.send(send(7, 0, 0, 1)).unwrap();
    log.send(in_transaction(8, 0, 0, 1)).unwrap();
    log.send(Send {
        time: 1001,
        ..send(9, 0, 0, 1)
    })
    .unwrap();
    assert_eq!(log.state.expire(Timestamp::new(999)), 0);
    assert_eq!(log.state.expire(Timestamp::new(1000)), 1);
    assert_eq!(log.state.len(), 2);
    assert_eq!(
        log.send(send(7, 0, 99, 1)),
        Ok(Verdict::Append),
        "forgotten, so any start"
    );
    assert_eq!(log.state.first_unstable(), Some(1.into()));
}

#[test]
fn too_many_producers_push_out_the_longest_idle() {
    let limits = Limits {
        producers_max: 32,
        ..Limits::default()
    };
    let mut log = Script::with(limits);
    log.send(in_transaction(1000, 0, 0, 1)).unwrap();
    for id in 0..31 {
        log.send(send(id, 0, 0, 1)).unwrap();
    }
    log.send(send(0, 0, 1, 1)).unwrap();
    assert_eq!(log.state.len(), 32);
    log.send(send(500, 0, 0, 1)).unwrap();
    assert_eq!(log.state.len(), 31, "a sixteenth goes");
    assert!(!is_unordered(&log.send(send(1, 0, 9, 1))), "forgotten");
    for kept in [0, 3, 500] {
        assert!(
            is_unordered(&log.send(send(kept, 0, 9, 1))),
            "{kept} is known"
        );
    }
    assert_eq!(log.state.first_unstable(), Some(0.into()));
}

#[test]
fn many_open_transactions_are_all_kept() {
    let limits = Limits {
        producers_max: 2,
        ..Limits::default()
    };
    let mut log = Script::with(limits);
    for id in 0..5 {
        log.send(in_transaction(id, 0, 0, 1)).unwrap();
    }
    assert_eq!(log.state.len(), 5);
}

#[test]
fn truncation_asks_for_a_reload_and_the_replay_gives_the_same() {
    let mut log = Script::new();
    log.send(send(7, 0, 0, 1)).unwrap();
    log.send(in_transaction(8, 0, 0, 1)).unwrap();
    let before = log.state.clone();
    assert_eq!(log.state.truncate(2.into()), Rewind::Done);
    assert_eq!(log.state, before);
    assert_eq!(log.state.truncate(1.into()), Rewind::Reload);
    assert_eq!(log.state.len(), 0);
    assert_eq!(log.state.first_unstable(), None);
    assert_eq!(log.replayed(), before);
}

#[test]
fn a_batch_applied_twice_counts_once() {
    let mut log = Script::new();
    log.send(in_transaction(7, 0, 0, 2)).unwrap();
    log.marker((7, 0), true, 0, 1).unwrap();
    let before = log.state.clone();
    for (header, bytes) in log.log.clone() {
        log.state
            .apply(&header, &bytes, &log.limits.clone())
            .unwrap();
    }
    assert_eq!(log.state, before);
}

#[test]
fn control_batches_of_other_kinds_and_empty_ones_belong_to_no_producer() {
    let log = Script::new();
    let mut state = log.state.clone();
    let record = Record::new("").with_key(crate::batch::ControlType::LeaderChange.key());
    let options = BatchOptions {
        control: true,
        ..BatchOptions::default()
    };
    let (header, bytes) = log.batch(&[record], &options);
    state.apply(&header, &bytes, &log.limits).unwrap();
    let mut emptied = header;
    emptied.base_offset = Offset::new(1);
    emptied.producer_id = ProducerId::new(4);
    emptied.record_count = 0;
    emptied.batch_length = 49;
    let mut bytes = vec![0; BatchHeader::LEN];
    let emptied = emptied.seal(&mut bytes);
    state.apply(&emptied, &bytes.into(), &log.limits).unwrap();
    assert_eq!((state.len(), state.end().get()), (0, 2));
}

#[test]
fn a_snapshot_has_kafkas_bytes() {
    let mut log = Script::new();
    log.send(in_transaction(7, 2, 5, 3)).unwrap();
    let mut expected = vec![0, 1];
    let mut body = vec![0, 0, 0, 1];
    body.extend(7_i64.to_be_bytes());
    body.extend(2_i16.to_be_bytes());
    body.extend(7_i32.to_be_bytes()); // last sequence
    body.extend(2_i64.to_be_bytes()); // last offset
    body.extend(2_i32.to_be_bytes()); // offset delta
    body.extend(1000_i64.to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    body.extend(0_i64.to_be_bytes());
    expected.extend(crate::crc::crc32c(&body).to_be_bytes());
    expected.extend(body);
    assert_eq!(log.state.snapshot(), expected);
}

#[test]
fn what_is_not_a_snapshot_is_refused() {
    let load = |bytes: &[u8]| ProducerState::load(bytes, 9.into(), &Limits::default());
    let sealed = |body: &[u8]| {
        let mut bytes = vec![0, 1];
        bytes.extend(crate::crc::crc32c(body).to_be_bytes());
        bytes.extend(body);
        bytes
    };
    assert_eq!(load(&[]), Err(SnapshotError::Short));
    assert_eq!(load(&[0, 2, 0, 0, 0, 0]), Err(SnapshotError::Version(2)));
    assert!(matches!(
        load(&[0, 1, 0, 0, 0, 0, 1]),
        Err(SnapshotError::Crc { .. })
    ));
    for bomb in [[0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0, 0, 0, 1]] {
        assert!(matches!(
            load(&sealed(&bomb)),
            Err(SnapshotError::Length { .. })
        ));
    }
    let mut log = Script::new();
    log.send(in_transaction(7, 2, 5, 3)).unwrap();
    let good = log.state.snapshot();
    let entry = &good[10..];
    let twice = [&[0, 0, 0, 2], entry, entry].concat();
    assert_eq!(load(&sealed(&twice)), Err(SnapshotError::Twice(7.into())));
    let mut negative = [&[0, 0, 0, 1], entry].concat();
    negative[26] = 0x80; // offset delta
    assert_eq!(
        load(&sealed(&negative)),
        Err(SnapshotError::Entry(7.into()))
    );
    let state = load(&good).unwrap();
    assert_eq!(state.end().get(), 9);
    assert_eq!(state.first_unstable(), Some(0.into()));
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Send(Send),
    Repeat(usize),
    Marker {
        id: i64,
        epoch: i16,
        committed: bool,
    },
    Expire(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..4_i64;
    let send = (
        id.clone(),
        0..3_i16,
        0..4_i32,
        1..4_usize,
        any::<bool>(),
        0..50_i64,
    )
        .prop_map(|(id, epoch, sequence, count, transactional, time)| {
            Step::Send(Send {
                transactional,
                time,
                ..send(id, epoch, sequence, count)
            })
        });
    let marker = (id, 0..3_i16, any::<bool>()).prop_map(|(id, epoch, committed)| Step::Marker {
        id,
        epoch,
        committed,
    });
    let step = prop_oneof![
        6 => send,
        3 => (0..5_usize).prop_map(Step::Repeat),
        2 => marker,
        1 => (0..50_i64).prop_map(Step::Expire),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever happens: the state is what a replay gives, and what a snapshot at any offset and
    /// a replay from there give, except that a snapshot keeps one batch per producer.
    #[test]
    fn snapshots_and_replays_agree(steps in steps(), cut in 0..60_usize) {
        let mut log = Script::new();
        let mut sent = Vec::new();
        let mut expired = false;
        let mut at_cut = None;
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(mut one) => {
                    // Mostly the right sequence: the rest would be refused.
                    if one.sequence != 3 {
                        let last = sent.iter().rev().find(|s: &&Send| s.id == one.id);
                        one.sequence = match last {
                            Some(l) if l.epoch == one.epoch => l.sequence + l.count as i32,
                            _ => 0,
                        };
                    }
                    if log.send(one) == Ok(Verdict::Append) {
                        sent.push(one);
                    }
                }
                Step::Repeat(back) if !expired => {
                    let Some(one) = sent.iter().rev().nth(back).copied() else { continue };
                    let newer = sent.iter().rev().take(back);
                    let same = newer.clone().filter(|s| s.id == one.id);
                    let known = same.clone().all(|s| s.epoch == one.epoch);
                    if known && log.state.producers[&one.id.into()].epoch == one.epoch.into() {
                        let end = log.end;
                        let verdict = log.send(one);
                        prop_assert!(
                            matches!(verdict, Ok(Verdict::Duplicate { .. })), "{verdict:?}");
                        prop_assert_eq!(log.end, end);
                    }
                }
                Step::Repeat(_) => {}
                Step::Marker { id, epoch, committed } => {
                    let _ = log.marker((id, epoch), committed, 0, 0);
                }
                Step::Expire(since) => {
                    expired |= log.state.expire(since.into()) > 0;
                }
            }
            if n == cut {
                at_cut = Some((log.state.snapshot(), log.end));
            }
        }
        if !expired {
            prop_assert_eq!(&log.replayed(), &log.state);
        }
        let open: Vec<_> = log.state.open.keys().copied().collect();
        let starts: Vec<_> = {
            let mut s: Vec<_> =
                log.state.producers.values().filter_map(|e| e.transaction_start).collect();
            s.sort();
            s
        };
        prop_assert_eq!(open, starts);
        if let Some((bytes, end)) = at_cut && !expired {
            let mut state =
                ProducerState::load(&bytes, end.into(), &log.limits).unwrap();
            prop_assert_eq!(state.snapshot(), bytes);
            for (header, bytes) in &log.log {
                state.apply(header, bytes, &log.limits).unwrap();
            }
            prop_assert_eq!(state.snapshot(), log.state.snapshot());
            prop_assert_eq!(state.end(), log.state.end());
            prop_assert_eq!(&state.open, &log.state.open);
        }
    }

    #[test]
    fn any_bytes_are_a_snapshot_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzz::producer_snapshot(&bytes);
    }
}
