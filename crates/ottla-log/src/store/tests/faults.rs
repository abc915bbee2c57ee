//! A disk that fails: each call of a workload in turn, and then the machine stops. What was
//! promised before and after the failure is there; what was refused is not there twice.

use super::history::{Failed, History, Run, check};
use super::kit::small;
use crate::vfs::{Call, Fault, FaultPoints, FaultVfs, MemVfs};

/// A workload that goes on after whatever goes wrong.
fn workload(vfs: FaultVfs, history: &mut History) -> Result<(), Failed> {
    let Ok(mut run) = Run::open(vfs.clone(), small(), history) else {
        return Ok(());
    };
    let (Ok(a), Ok(b)) = (run.log("a", 1), run.log("b", 2)) else {
        return Ok(());
    };
    for round in 0..5 {
        let _ = run.durably(a, 2, 1200);
        let _ = run.written(b, 10);
        let _ = run.flush();
        if round == 2 {
            let _ = run.maintain();
            let _ = run.truncate(a, 4);
        }
    }
    // Large enough to go to its files alone.
    for _ in 0..8 {
        let _ = run.written(a, 2500);
    }
    let _ = run.flush();
    let _ = run.delete_records(a, 3);
    let _ = run.maintain();
    run.maintain_late();
    let _ = run.delete(b);
    let _ = run.durably(a, 1, 10);
    run.close();
    // The harness lets a lost sync be followed by ones that do nothing for as long as it lives, so
    // that a second process on the same disk cannot be had.
    let is_lost = |call: &Call| call.fault == Some(Fault::LostSync);
    if vfs.calls().iter().any(is_lost) {
        return Ok(());
    }
    let Ok(mut run) = Run::open(vfs, small(), history) else {
        return Ok(());
    };
    if let Ok(a) = run.log("a", 1) {
        let _ = run.durably(a, 2, 10);
    }
    Ok(())
}

#[test]
fn one_call_fails() {
    let points = FaultPoints::new(MemVfs::new());
    points.run(workload, |vfs, history, failure| {
        check(&vfs, history, failure);
    });
}

#[test]
fn from_one_call_on_all_fail() {
    // Not for ever interrupted: such a call is repeated.
    let points = FaultPoints::new(MemVfs::new())
        .faults(&[Fault::Io, Fault::LostSync, Fault::NoSpace])
        .step(3)
        .lasting();
    points.run(workload, |vfs, history, failure| {
        check(&vfs, history, failure);
    });
}
