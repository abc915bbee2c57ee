//! Each call of each step is held up, as by a disk that does not answer: readers answer meanwhile.
//!
//! No sleep tells that a reader does not wait: the call that is held up says that it is, and goes
//! on only when the readers are through. Only a reader that does wait meets the limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::{STEPS, Stage, Step, sample};
use crate::store::tests::history::{Failed, History};
use crate::store::tests::kit::values;
use crate::vfs::{Call, Fault, FaultVfs, MemVfs, Operation, Rule};
use crate::{Bound, LeaderEpoch, Log, Offset, Store, Timestamp};

/// When a reader counts as one that waits. One that does not is through in milliseconds.
const LIMIT: Duration = Duration::from_secs(30);

/// What is there by offset.
type Seen = BTreeMap<i64, String>;

/// A disk, and two logs of several segments on it, sealed and with transactions: what readers need
/// index files for is there.
fn stage(history: &mut History) -> Result<(FaultVfs, Stage<'_, FaultVfs>), Failed> {
    let vfs = FaultVfs::over(Arc::new(MemVfs::new()));
    let mut stage = Stage::new(vfs.clone(), history)?;
    for step in [Step::Transactions, Step::Roll, Step::Background] {
        stage = stage.step(step)?;
    }
    let (a, b) = (stage.a, stage.b);
    stage.run.durably(b, 3, 1500)?;
    // The last one of each ends as an open transaction does: readers have a bound below the end.
    stage.run.open_transaction(a, 10)?;
    Ok((vfs, stage))
}

/// Asks all that readers of records ask for.
fn read_everything(log: &Log) -> Seen {
    let ends = log.ends();
    let seen = values(log).into_iter().collect();
    let stable = ends.first_unstable.unwrap_or(ends.end).min(ends.durable);
    for bound in [Bound::Durable, Bound::Until(stable)] {
        log.records_until(ends.start, bound).for_each(|record| {
            record.expect("the log can be read");
        });
    }
    let mut from = ends.start;
    while from < stable {
        let slice = log.read_committed(from, 2000, stable);
        let slice = slice.expect("the log can be read");
        assert!(!slice.batches.is_empty(), "nothing from {from} to {stable}");
        slice.batches.bytes().expect("the log can be read");
        from = slice.batches.next_offset();
    }
    let there = log.read_nowait(ends.start, 2000, Bound::Durable);
    there.expect("the log can be read");
    let there = log.read_committed_nowait(ends.start, 2000, stable);
    there.expect("the log can be read");
    for time in [0, 1, i64::MAX] {
        let found = log.offset_for_time(Timestamp::new(time));
        found.expect("the log can be searched");
    }
    log.max_timestamp_offset().expect("the log can be searched");
    let _ = log.end_offset_for_epoch(LeaderEpoch::new(0));
    let _ = log.epoch_of(ends.start);
    let _ = (log.latest_epoch(), log.size_bytes());
    // What is visible is told by whoever makes it durable, and must not wait either.
    log.committed(ends.durable);
    seen
}

/// Asks once with no file open and once with those that are open then.
fn read_twice(store: &Store, logs: &[Log]) -> Vec<Seen> {
    // The first only notes which are in use.
    store.inner.shared.handles.sweep();
    store.inner.shared.handles.sweep();
    let first: Vec<Seen> = logs.iter().map(read_everything).collect();
    let second: Vec<Seen> = logs.iter().map(read_everything).collect();
    assert_eq!(first, second, "while nothing changes");
    second
}

/// The logs that can be read while `step` is done.
fn readable(stage: &Stage<'_, FaultVfs>, step: Step) -> Vec<Log> {
    let mut logs = vec![stage.run.log_at(stage.b).clone()];
    // One that is deleted answers nothing more.
    if step != Step::MakeAnew {
        logs.push(stage.run.log_at(stage.a).clone());
    }
    logs
}

/// What is seen before and after `step`, and its calls.
fn whole(step: Step) -> (Vec<Seen>, Vec<Seen>, Vec<Call>) {
    let mut history = History::default();
    let (vfs, stage) = stage(&mut history).expect("the disk works");
    let (store, logs) = (stage.run.store.clone(), readable(&stage, step));
    let before = read_twice(&store, &logs);
    vfs.forget_calls();
    let done = stage.step(step).expect("the disk works");
    let calls = vfs.calls();
    let after = read_twice(&store, &logs);
    drop(done);
    (before, after, calls)
}

/// Does `step` with its call of number `nth` held up; what readers see then.
fn beside(step: Step, nth: u64, call: &Call) -> Vec<Seen> {
    let mut history = History::default();
    let (vfs, stage) = stage(&mut history).expect("the disk works");
    let (store, logs) = (stage.run.store.clone(), readable(&stage, step));
    read_twice(&store, &logs);
    vfs.inject(Rule::new(Fault::Stall).nth(nth));
    std::thread::scope(|scope| {
        let _goes_on = GoesOn(&vfs);
        scope.spawn(move || {
            let done = stage.step(step);
            done.map(drop).expect("the disk works, if slowly");
        });
        assert!(vfs.await_stall(LIMIT), "{step:?} comes to no {call:?}");
        let (tell, told) = mpsc::channel();
        scope.spawn(move || tell.send(read_twice(&store, &logs)));
        let seen = told.recv_timeout(LIMIT);
        seen.unwrap_or_else(|e| panic!("a reader beside {step:?} held up in {call:?}: {e}"))
    })
}

/// Lets go of what is held up, also where a test fails.
struct GoesOn<'a>(&'a FaultVfs);

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        self.0.go_on();
    }
}

#[test]
fn readers_wait_for_no_call_of_a_writer() {
    // The check takes one of each kind of file at each place in the source.
    let is_each = sample(2).0 == 1;
    let (mut held_up, mut operations) = (0, BTreeSet::new());
    for step in STEPS {
        if matches!(step, Step::CleanStop | Step::Kill) {
            // A log that is closed answers nothing more.
            continue;
        }
        let (before, after, calls) = whole(step);
        let mut places = BTreeSet::new();
        for (nth, call) in (0..).zip(&calls) {
            let kind = call.path.extension().map(ToOwned::to_owned);
            let is_new = places.insert((call.operation, *call.place, kind));
            if !is_new && !is_each {
                continue;
            }
            held_up += 1;
            operations.insert(call.operation);
            for ((seen, before), after) in beside(step, nth, call).iter().zip(&before).zip(&after) {
                // The old or the new, and never less than both have.
                let was_there = |at: &i64, text: &String| {
                    before.get(at) == Some(text) || after.get(at) == Some(text)
                };
                let old = before.last_key_value().map_or(0, |(last, _)| *last);
                for (at, text) in seen.range(..=old) {
                    assert!(was_there(at, text), "{text} at {at}, {step:?} in {call:?}");
                }
                for (at, text) in before {
                    let stays = after.get(at) == Some(text);
                    assert!(
                        !stays || seen.contains_key(at),
                        "{at}, {step:?} in {call:?}"
                    );
                }
            }
        }
    }
    println!("counters {{\"calls_held_up\":{held_up}}}");
    assert!(held_up > 150, "{held_up}");
    use Operation as O;
    let wanted = [
        O::Create,
        O::CreateDir,
        O::Rename,
        O::RemoveFile,
        O::SyncDir,
        O::Write,
        O::SyncData,
        O::SetLen,
    ];
    let missing: Vec<_> = wanted.iter().filter(|o| !operations.contains(o)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_bound_below_the_end_is_answered_too() {
    let mut history = History::default();
    let (_, stage) = stage(&mut history).expect("the disk works");
    let ends = stage.run.log_at(stage.a).ends();
    assert!(
        ends.first_unstable
            .is_some_and(|first| first > Offset::ZERO && first < ends.end)
    );
}
