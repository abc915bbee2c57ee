//! A crash after every operation of the file system: nothing that was promised is lost, nothing
//! appears that was not appended, nothing is there half or twice.

use std::collections::BTreeMap;

use super::history::{Failed, History, Run, check};
use super::kit::{DIR, Portable, append, id, log_options, os, small, topic, world};
use crate::vfs::{Crash, CrashPoints, MemVfs};
use crate::{FlushMode, Offset, Store};

/// Crashes `workload` on an empty disk everywhere.
fn crash(workload: impl Fn(MemVfs, &mut History) -> Result<(), Failed>) {
    crash_every(1, workload);
}

/// As [`crash`], at every `step`-th operation of a long workload.
fn crash_every(step: u64, workload: impl Fn(MemVfs, &mut History) -> Result<(), Failed>) {
    let strict = |vfs: MemVfs, history: &mut History| {
        history.strict = true;
        workload(vfs, history)
    };
    let points = CrashPoints::new(MemVfs::new()).step(step);
    points.run(strict, |vfs, history, crash| {
        check(&vfs, history, crash);
    });
}

#[test]
fn first_start_and_first_appends() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        run.durably(a, 2, 10)?;
        let b = run.log("b", 2)?;
        run.written(b, 10)?;
        run.durably(a, 1, 10)?;
        run.look(b);
        Ok(())
    });
}

#[test]
fn rolling_and_a_clean_stop() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs.clone(), small(), history)?;
        let a = run.log("a", 1)?;
        run.durably(a, 5, 1500)?;
        run.close();
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        run.durably(a, 2, 1500)?;
        Ok(())
    });
}

#[test]
fn a_clean_stop_of_many_logs() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs.clone(), small(), history)?;
        for (name, number) in [("a", 1), ("b", 2), ("c", 3)] {
            let log = run.log(name, number)?;
            run.durably(log, 3, 1500)?;
            run.written(log, 10)?;
        }
        run.close();
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        run.look(a);
        run.durably(a, 1, 1500)?;
        Ok(())
    });
}

#[test]
fn the_journal_changes_areas_with_background_work() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        let b = run.log("b", 2)?;
        for _ in 0..6 {
            run.durably(a, 2, 10)?;
            run.written(b, 10)?;
            run.flush()?;
            run.maintain()?;
        }
        run.maintain_late();
        run.durably(b, 1, 10)?;
        Ok(())
    });
}

#[test]
fn the_journal_changes_areas_without_background_work() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        let b = run.log("b", 2)?;
        for _ in 0..8 {
            run.durably(a, 2, 10)?;
            run.durably(b, 1, 10)?;
        }
        Ok(())
    });
}

#[test]
fn direct_rounds_among_journaled_ones() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        let b = run.log("b", 2)?;
        run.durably(a, 1, 10)?;
        // Larger than a segment, so rolled around, and larger than what the journal takes.
        for _ in 0..8 {
            run.written(a, 2500)?;
        }
        run.written(b, 10)?;
        run.flush()?;
        run.durably(a, 1, 10)?;
        run.maintain_late();
        Ok(())
    });
}

#[test]
fn truncation() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        run.durably(a, 6, 1500)?;
        run.written(a, 10)?;
        run.truncate(a, 4)?;
        run.durably(a, 1, 10)?;
        run.durably(a, 2, 10)?;
        run.maintain_late();
        run.truncate(a, 3)?;
        run.written(a, 10)?;
        run.durably(a, 1, 10)?;
        Ok(())
    });
}

/// A seal that outlived what it speaks for would call good bytes bad.
#[test]
fn cutting_into_what_is_sealed() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs.clone(), small(), history)?;
        let a = run.log("a", 1)?;
        run.durably(a, 6, 1500)?;
        run.maintain_late();
        run.maintain()?;
        run.truncate(a, 3)?;
        // Of the same sizes, at the same places.
        run.durably(a, 3, 1500)?;
        run.maintain_late();
        run.maintain()?;
        run.close();
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        run.truncate(a, 5)?;
        run.durably(a, 1, 1500)?;
        Ok(())
    });
}

#[test]
fn records_deleted_from_the_start() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        run.durably(a, 6, 1500)?;
        run.delete_records(a, 3)?;
        run.maintain()?;
        run.durably(a, 2, 1500)?;
        // Its files are synced now, its data still is in the journal.
        run.maintain_late();
        run.delete_records(a, 6)?;
        run.maintain()?;
        run.durably(a, 1, 10)?;
        Ok(())
    });
}

#[test]
fn records_deleted_between_clean_stops() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs.clone(), small(), history)?;
        let a = run.log("a", 1)?;
        run.durably(a, 3, 1500)?;
        let mut run = run.again(vfs.clone(), true)?;
        run.delete_records(a, 2)?;
        let mut run = run.again(vfs, true)?;
        run.durably(a, 1, 10)?;
        Ok(())
    });
}

#[test]
fn deleting_and_making_again() {
    crash(|vfs, history| {
        let mut run = Run::open(vfs, small(), history)?;
        let first = run.log("t", 1)?;
        let other = run.log("u", 9)?;
        run.durably(first, 2, 10)?;
        run.durably(other, 1, 10)?;
        run.delete(first)?;
        let second = run.log("t", 2)?;
        run.durably(second, 2, 10)?;
        run.maintain_late();
        run.delete(second)?;
        run.durably(other, 1, 10)?;
        run.maintain()?;
        let third = run.log("t", 3)?;
        run.durably(third, 1, 10)?;
        Ok(())
    });
}

#[test]
fn the_operating_systems_durability() {
    let workload = |vfs: MemVfs, history: &mut History| -> Result<(), Failed> {
        let mut run = Run::open(vfs.clone(), os(), history)?;
        let a = run.log("a", 1)?;
        run.written(a, 10)?;
        run.maintain_late();
        // One topic asks for more than the others.
        let b = run.log_in("b", 2, Some(FlushMode::Sync))?;
        run.durably(b, 2, 10)?;
        run.written(a, 10)?;
        run.close();
        let mut run = Run::open(vfs, os(), history)?;
        run.log("a", 1)?;
        let b = run.log_in("b", 2, Some(FlushMode::Sync))?;
        run.durably(b, 1, 10)?;
        Ok(())
    };
    crash(workload);
}

#[test]
fn compacting_over_transactions() {
    crash_every(7, |vfs, history| {
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        run.transaction(a, 1500, false)?;
        run.transaction(a, 1500, true)?;
        run.durably(a, 3, 1500)?;
        run.compact(a)?;
        run.transaction(a, 1500, false)?;
        run.durably(a, 3, 1500)?;
        run.compact(a)?;
        run.durably(a, 1, 10)?;
        Ok(())
    });
}

#[test]
fn three_logs_that_are_compacted_cut_and_made_anew() {
    crash_every(5, |vfs, history| {
        let mut run = Run::open(vfs.clone(), small(), history)?;
        let (a, b, c) = (run.log("a", 1)?, run.log("b", 2)?, run.log("c", 3)?);
        for log in [a, b, c] {
            run.durably(log, 4, 1500)?;
        }
        run.compact(a)?;
        run.truncate(b, 2)?;
        run.delete(c)?;
        let d = run.log("c", 4)?;
        run.durably(d, 2, 10)?;
        run.durably(b, 1, 10)?;
        let mut run = run.again(vfs, true)?;
        run.durably(a, 1, 10)?;
        run.durably(b, 1, 1500)?;
        run.durably(d, 1, 1500)?;
        Ok(())
    });
}

/// What was committed is found as it was noted before, or as it is.
#[test]
fn high_watermarks_that_are_noted() {
    let marks = |offset| BTreeMap::from([(id("a"), Offset::new(offset))]);
    let workload = |vfs: MemVfs, noted: &mut i64| -> Result<(), Failed> {
        let opened = Store::open_in(world(vfs), DIR, small())?;
        let a = opened.store.log("a", log_options(Some(topic(1))))?;
        for offset in 1..4 {
            append(&a, "x")?;
            opened.store.checkpoint_high_watermarks(&marks(offset))?;
            *noted = offset;
        }
        Ok(())
    };
    CrashPoints::new(MemVfs::new()).run(workload, |vfs, noted, crash| {
        let opened = Store::open_in(world(vfs), DIR, small()).unwrap();
        assert!(opened.report.unreadable.is_empty(), "{:?}", opened.report);
        let found = opened.store.high_watermarks().get(&id("a")).copied();
        let found = found.map_or(0, Offset::get);
        assert!(
            found == *noted || found == noted + 1,
            "{found} {noted} {crash}"
        );
    });
}

/// A store whose journal has rounds in both areas, of logs that were compacted, cut, deleted and
/// made anew since; `rounds` decides which area has the newest.
fn two_areas(vfs: &MemVfs, history: &mut History, rounds: usize) -> Result<(), Failed> {
    let mut run = Run::open(vfs.clone(), small(), history)?;
    let a = run.log("a", 1)?;
    let first = run.log("t", 2)?;
    run.durably(first, 1, 1500)?;
    run.durably(a, 4, 1500)?;
    run.compact(a)?;
    run.truncate(a, 5)?;
    run.delete(first)?;
    let second = run.log("t", 3)?;
    run.durably(second, 2, 10)?;
    for _ in 0..rounds {
        run.durably(a, 1, 10)?;
    }
    run.durably(second, 1, 10)?;
    Ok(())
}

/// The journal goes in one step, not file by file.
#[test]
fn a_journal_that_another_mode_left_behind() {
    for rounds in [2, 6, 12, 16] {
        let base = MemVfs::new();
        let mut before = History::default();
        before.strict = true;
        two_areas(&base, &mut before, rounds).unwrap();
        let workload = |vfs: MemVfs, history: &mut History| -> Result<(), Failed> {
            *history = before.clone();
            let mut run = Run::open(vfs, os(), history)?;
            let a = run.log("a", 1)?;
            run.maintain_late();
            run.look(a);
            Ok(())
        };
        CrashPoints::new(base).run(workload, |vfs, history, crash| {
            check(&vfs, history, &(rounds, crash));
        });
    }
}

/// What the operating system still has alone lies before what a round makes durable.
#[test]
fn more_durability_from_one_append_to_the_next() {
    let workload = |vfs: MemVfs, history: &mut History| -> Result<(), Failed> {
        let mut run = Run::open(vfs, os(), history)?;
        let a = run.log("a", 1)?;
        run.written(a, 10)?;
        run.switch(a, Some(FlushMode::Sync));
        run.durably(a, 2, 10)?;
        run.switch(a, None);
        // The files of what comes next are synced, its data is in no journal.
        run.written(a, 10)?;
        run.maintain_late();
        run.switch(a, Some(FlushMode::Sync));
        run.durably(a, 1, 10)?;
        run.switch(a, None);
        for _ in 0..3 {
            run.written(a, 1500)?;
        }
        run.switch(a, Some(FlushMode::Sync));
        run.durably(a, 1, 10)?;
        Ok(())
    };
    crash(workload);
}

#[test]
fn a_crash_while_recovering_from_a_crash() {
    let workload = |vfs: MemVfs, history: &mut History| -> Result<(), Failed> {
        let mut run = Run::open(vfs, small(), history)?;
        let a = run.log("a", 1)?;
        let b = run.log("b", 2)?;
        run.durably(a, 3, 1500)?;
        run.durably(b, 1, 10)?;
        run.maintain_late();
        run.durably(a, 1, 1500)?;
        run.delete(b)?;
        let c = run.log("b", 3)?;
        run.durably(c, 2, 10)?;
        Ok(())
    };
    let outer = CrashPoints::new(MemVfs::new()).torn(1).step(7);
    outer.run(workload, |vfs, history, outer: &Crash| {
        let before = history.clone();
        let recovery = |vfs: MemVfs, _: &mut History| -> Result<(), Failed> {
            let mut history = before.clone();
            let run = if outer.after.is_multiple_of(2) {
                Run::open(vfs, small(), &mut history)?
            } else {
                Run::open(Portable(vfs), small(), &mut history)?
            };
            for found in run.store.found() {
                if let Some(topic_id) = found.topic_id {
                    run.store.log(found.id, log_options(Some(topic_id)))?;
                }
            }
            Ok(())
        };
        let inner = CrashPoints::new(vfs).torn(1).step(3);
        inner.run(recovery, |vfs, _, crash| check(&vfs, history, crash));
    });
}
