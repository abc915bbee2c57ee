//! Each step that writes, followed by each other one, with a crash after every operation: what one
//! leaves half done the next must not stumble over, nor the recovery over both.
//!
//! And each step with each of its calls failing, each way it can.
//!
//! The check takes a sample, the same each time: every so many points, as `OTTLA_CRASH_EVERY`
//! says; with 1 all of them.

mod places;
mod readers;

use super::history::{Failed, History, Run, check};
use super::kit::small;
use crate::FlushMode;
use crate::vfs::{CrashPoints, Fault, FaultPoints, MemVfs, Vfs};

/// Something that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Append,
    Roll,
    /// An append that is synced in its own file, past the journal.
    Direct,
    /// An append that no round takes: for a moment the log is durable as the system likes.
    Unsynced,
    Truncate,
    /// A truncation into segments that have ended, which may be sealed.
    CutBack,
    DeleteRecords,
    Retain,
    Compact,
    /// Transactions, aborted and committed, over the ends of segments.
    Transactions,
    /// A whole pass of the scrub, which seals what has no seal.
    Scrub,
    /// The topic is deleted and another one made of the same name.
    MakeAnew,
    /// So many rounds that the journal changes areas.
    Journal,
    /// Everything that is due later: files synced, checkpoints written, segments sealed.
    Background,
    CleanStop,
    Kill,
}

const STEPS: [Step; 16] = [
    Step::Append,
    Step::Roll,
    Step::Direct,
    Step::Unsynced,
    Step::Truncate,
    Step::CutBack,
    Step::DeleteRecords,
    Step::Retain,
    Step::Compact,
    Step::Transactions,
    Step::Scrub,
    Step::MakeAnew,
    Step::Journal,
    Step::Background,
    Step::CleanStop,
    Step::Kill,
];

/// A store with two logs; the steps are done to one of them.
struct Stage<'h, V> {
    vfs: V,
    run: Run<'h>,
    a: usize,
    b: usize,
    topic: u8,
}

impl<'h, V: Vfs + Clone + 'static> Stage<'h, V> {
    fn new(vfs: V, history: &'h mut History) -> Result<Self, Failed> {
        let mut run = Run::open(vfs.clone(), small(), history)?;
        let (a, b) = (run.log("a", 1)?, run.log("b", 2)?);
        run.durably(a, 4, 1500)?;
        run.durably(b, 1, 10)?;
        Ok(Self {
            vfs,
            run,
            a,
            b,
            topic: 2,
        })
    }

    fn step(mut self, step: Step) -> Result<Self, Failed> {
        let (a, run) = (self.a, &mut self.run);
        match step {
            Step::Append => run.durably(a, 1, 10)?,
            Step::Roll => run.durably(a, 3, 1500)?,
            Step::Direct => {
                for _ in 0..8 {
                    run.written(a, 2500)?;
                }
                run.flush()?;
            }
            Step::Unsynced => {
                run.switch(a, Some(FlushMode::Os));
                run.written(a, 10)?;
                run.switch(a, None);
            }
            Step::Truncate => {
                let end = run.end(a);
                run.written(a, 10)?;
                run.truncate(a, (end - 1).max(run.start(a)))?;
            }
            Step::CutBack => {
                let (start, end) = (run.start(a), run.end(a));
                run.truncate(a, start + (end - start) / 2)?;
            }
            Step::DeleteRecords => run.delete_records(a, run.end(a).min(run.start(a) + 3))?,
            Step::Retain => run.retain(a)?,
            Step::Compact => run.compact(a)?,
            Step::Transactions => {
                run.transaction(a, 1500, false)?;
                run.transaction(a, 10, true)?;
                run.transaction(a, 10, false)?;
                run.durably(a, 2, 1500)?;
            }
            Step::Scrub => run.scrub()?,
            Step::MakeAnew => {
                run.delete(a)?;
                self.topic += 1;
                self.a = run.log("a", self.topic)?;
                run.durably(self.a, 3, 1500)?;
            }
            Step::Journal => {
                for _ in 0..9 {
                    run.durably(self.b, 1, 1500)?;
                }
            }
            Step::Background => {
                run.maintain()?;
                run.maintain_late();
                // What has ended is synced now, and is sealed.
                run.maintain()?;
            }
            Step::CleanStop => self.run = self.run.again(self.vfs.clone(), true)?,
            Step::Kill => self.run = self.run.again(self.vfs.clone(), false)?,
        }
        Ok(self)
    }
}

fn workload(
    vfs: impl Vfs + Clone + 'static,
    history: &mut History,
    steps: &[Step],
) -> Result<(), Failed> {
    history.strict = true;
    let mut stage = Stage::new(vfs, history)?;
    for step in steps {
        stage = stage.step(*step)?;
    }
    let (a, b) = (stage.a, stage.b);
    stage.run.durably(a, 1, 10)?;
    stage.run.written(b, 10)?;
    stage.run.look(b);
    Ok(())
}

/// Every how many points are taken, and how many torn images of each.
fn sample(of_check: u64) -> (u64, u64) {
    let every = std::env::var("OTTLA_CRASH_EVERY");
    let every = every.ok().and_then(|every| every.parse().ok());
    let every: u64 = every.unwrap_or(of_check).max(1);
    (every, if every == 1 { 4 } else { 1 })
}

#[test]
fn crash_after_each_pair_of_steps() {
    let (every, torn) = sample(41);
    let (mut pairs, mut crashes) = (0, 0);
    for first in STEPS {
        for second in STEPS {
            pairs += 1;
            let points = CrashPoints::new(MemVfs::new()).torn(torn).step(every);
            // Other points for each pair.
            crashes += points.from(pairs % every).run(
                |vfs, history| workload(vfs, history, &[first, second]),
                |vfs, history: &History, crash| check(&vfs, history, &(first, second, crash)),
            );
        }
    }
    println!("counters {{\"workloads\":{pairs},\"crashes\":{crashes}}}");
    assert_eq!(pairs as usize, STEPS.len() * STEPS.len());
    assert!(crashes >= 10 * pairs, "{crashes}");
}

#[test]
fn each_call_of_each_step_may_fail() {
    let (every, _) = sample(23);
    let mut failures = 0;
    for step in STEPS {
        // A lost sync stays lost for the harness: there is no second process on that disk.
        let starts_again = matches!(step, Step::CleanStop | Step::Kill);
        let lost = (!starts_again).then_some(Fault::LostSync);
        let others = [
            Fault::Io,
            Fault::NoSpace,
            Fault::Short(1),
            Fault::Interrupted,
        ];
        let faults: Vec<Fault> = others.into_iter().chain(lost).collect();
        let points = FaultPoints::new(MemVfs::new()).faults(&faults).step(every);
        failures += points.run(
            |vfs, history: &mut History| {
                // Ends with its first error, or goes on where nothing is to be noticed.
                let done = workload(vfs.clone(), history, &[step, Step::Append]);
                let is_sound = vfs.calls().iter().all(|call| call.fault.is_none());
                if is_sound { done } else { Ok(()) }
            },
            |vfs, history, failure| check(&vfs, history, &(step, failure)),
        );
    }
    println!("counters {{\"failed_calls\":{failures}}}");
    assert!(failures > 500, "{failures}");
}
